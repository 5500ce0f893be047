/* Greedy suppression of overlapping boxes. Scratch holds the candidates of one class as a heap,
 * best first, and which were kept. */
#include "kernel/ref/ref.h"

typedef struct nms_box {
    double score;
    int64_t index;
} nms_box;

typedef struct nms_class {
    const tl_tensor *boxes, *scores;
    int64_t first_box, first_score, n, most;
    double overlap, least;
    bool suppress_at; /* suppressed at the overlap already */
    nms_box *heap;
    int64_t *kept;
} nms_class;

static bool is_better(nms_box a, nms_box b)
{
    return a.score > b.score || (a.score == b.score && a.index < b.index);
}

static void sink(nms_box *heap, int64_t n, int64_t i)
{
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && is_better(heap[child + 1], heap[child]))
            child++;
        if (!is_better(heap[child], heap[i]))
            return;
        nms_box swap = heap[i];
        heap[i] = heap[child];
        heap[child] = swap;
    }
}

/* Corners in ascending order. */
static void load_box(const nms_class *c, int64_t i, double *lo, double *hi)
{
    double v[4];
    tl_ref_load_f64(c->boxes, (c->first_box + i) * 4, 1, 4, v);
    for (int k = 0; k < 2; k++) {
        lo[k] = TL_MIN(v[k], v[k + 2]);
        hi[k] = TL_MAX(v[k], v[k + 2]);
    }
}

/* In f32, as detectors compute it: thresholds are met exactly or not at all. */
static bool suppresses(const nms_class *c, int64_t i, int64_t j)
{
    double lo[2][2], hi[2][2];
    load_box(c, i, lo[0], hi[0]);
    load_box(c, j, lo[1], hi[1]);
    float area[2], common = 1;
    for (int k = 0; k < 2; k++) {
        area[k] = (float)(hi[k][0] - lo[k][0]) * (float)(hi[k][1] - lo[k][1]);
        common *= (float)TL_MAX(TL_MIN(hi[0][k], hi[1][k]) - TL_MAX(lo[0][k], lo[1][k]), 0);
    }
    float iou = area[0] <= 0 || area[1] <= 0 ? 0 : common / (area[0] + area[1] - common);
    return c->suppress_at ? (double)iou >= c->overlap : (double)iou > c->overlap;
}

/* The number kept. */
static int64_t run_class(nms_class *c)
{
    int64_t n = 0, n_kept = 0;
    for (int64_t i = 0; i < c->n; i++) {
        double score;
        tl_ref_load_f64(c->scores, c->first_score + i, 1, 1, &score);
        if (score > c->least)
            c->heap[n++] = (nms_box){score, i};
    }
    for (int64_t i = n / 2 - 1; i >= 0; i--)
        sink(c->heap, n, i);
    while (n && n_kept < c->most) {
        int64_t best = c->heap[0].index;
        bool keeps = true;
        c->heap[0] = c->heap[--n];
        sink(c->heap, n, 0);
        for (int64_t k = n_kept - 1; k >= 0 && keeps; k--)
            keeps = !suppresses(c, best, c->kept[k]);
        if (keeps)
            c->kept[n_kept++] = best;
    }
    return n_kept;
}

static void store_class(tl_call *call, const nms_class *c, int64_t at, int64_t n_kept)
{
    int64_t size = call->out[0].shape[call->out[0].rank - 1];
    tl_ref_clear(&call->out[0], at * size, size);
    for (int64_t k = 0; k < n_kept; k++)
        tl_ref_store_i64(&call->out[0], at * size + k, 1, &c->kept[k]);
    tl_ref_store_i64(&call->out[1], at, 1, &n_kept);
}

size_t tl_ref_scratch_nms(const tl_call *call)
{
    size_t n = (size_t)call->in[0].shape[call->in[0].rank - 2];
    return n * (sizeof(nms_box) + sizeof(int64_t));
}

static double number_or(const tl_call *call, size_t operand, double otherwise)
{
    const tl_tensor *t = tl_ref_operand(call, operand);
    return t ? tl_tensor_get_f64(t, 0) : otherwise;
}

static nms_class class_of(tl_call *call, size_t overlap, size_t least)
{
    nms_class c = {.boxes = &call->in[0], .scores = &call->in[1]};
    c.n = c.boxes->shape[c.boxes->rank - 2];
    c.most = call->out[0].shape[call->out[0].rank - 1];
    c.overlap = number_or(call, overlap, 0);
    c.least = number_or(call, least, -(double)INFINITY);
    c.heap = call->scratch;
    c.kept = (int64_t *)(void *)(c.heap + c.n);
    return c;
}

tl_status tl_ref_nms(tl_call *call)
{
    int64_t n_batch = call->in[1].shape[0], n_classes = call->in[1].shape[1];
    nms_class c = class_of(call, 2, 3);
    for (int64_t i = 0; i < n_batch * n_classes; i++) {
        c.first_box = i / n_classes * c.n;
        c.first_score = i * c.n;
        store_class(call, &c, i, run_class(&c));
    }
    return TL_OK;
}

tl_status tl_ref_tfl_nms(tl_call *call)
{
    nms_class c = class_of(call, 3, 4);
    c.suppress_at = true;
    store_class(call, &c, 0, run_class(&c));
    return TL_OK;
}

tl_status tl_ref_shape_nms(tl_call *call)
{
    int64_t most;
    TRY(tl_ref_scalar(call, 2, &most));
    if (most < 0)
        return tl_ref_fail(call, "negative number of boxes");
    tl_ref_set_shape(&call->out[0], 1, &most);
    tl_ref_set_shape(&call->out[1], 0, NULL);
    return TL_OK;
}
