/* Reading strided views. A range of a view falls into at most 2 rank + 1 boxes (ranges of indices
 * per axis). A box is read in pieces: the innermost axes by stride in the source, as far as their
 * elements lie close together, make one piece that is read at once, gaps included. Pieces are
 * collected in scratch memory, as many as fit, and copied to their places in tiles, so that a large
 * matrix is transposed with long reads and with few cache misses. */
#include "ir/constant_private.h"

/* Reading this many bytes for nothing costs about as much as another read. */
#define MAX_GAP 4096

typedef struct box_axis {
    int64_t size, src, dst; /* strides in elements */
} box_axis;

typedef struct box {
    int n;
    box_axis axis[TL_MAX_RANK];
    int64_t src; /* first element in the source */
    uint8_t *dst;
    size_t element; /* bytes */
} box;

/* ---- copying in memory ---- */

#define TILE 32

/* dst[i * di + k * dk] = src[i * si + k * sk], dk = 1 or si = 1 worth a tile */
#define COPY_PLANE(T)                                                                          \
    static void copy_plane_##T(const uint8_t *src, uint8_t *dst, box_axis a, box_axis b)       \
    {                                                                                          \
        for (int64_t i0 = 0; i0 < a.size; i0 += TILE) {                                        \
            for (int64_t k0 = 0; k0 < b.size; k0 += TILE) {                                    \
                int64_t i1 = TL_MIN(a.size, i0 + TILE), k1 = TL_MIN(b.size, k0 + TILE);        \
                for (int64_t i = i0; i < i1; i++)                                              \
                    for (int64_t k = k0; k < k1; k++)                                          \
                        memcpy(dst + (i * a.dst + k * b.dst) * (int64_t)sizeof(T),             \
                               src + (i * a.src + k * b.src) * (int64_t)sizeof(T), sizeof(T)); \
            }                                                                                  \
        }                                                                                      \
    }
COPY_PLANE(uint8_t)
COPY_PLANE(uint16_t)
COPY_PLANE(uint32_t)
COPY_PLANE(uint64_t)

static void copy_plane(size_t element, const uint8_t *src, uint8_t *dst, box_axis a, box_axis b)
{
    if (b.src == 1 && b.dst == 1) {
        for (int64_t i = 0; i < a.size; i++)
            memcpy(dst + i * a.dst * (int64_t)element, src + i * a.src * (int64_t)element,
                   (size_t)b.size * element);
        return;
    }
    switch (element) {
    case 1:
        copy_plane_uint8_t(src, dst, a, b);
        break;
    case 2:
        copy_plane_uint16_t(src, dst, a, b);
        break;
    case 4:
        copy_plane_uint32_t(src, dst, a, b);
        break;
    default:
        copy_plane_uint64_t(src, dst, a, b);
    }
}

/* Copies the box from memory, axes in any order; src is where its first element stands. */
static void copy_box(const box *b, const uint8_t *src)
{
    /* inner: steps through dst by 1; outer: the other one that steps through src closest */
    int inner = 0, outer = -1;
    for (int i = 1; i < b->n; i++)
        if (b->axis[i].dst == 1 || b->axis[i].dst == -1)
            inner = i;
    for (int i = 0; i < b->n; i++)
        if (i != inner && (outer < 0 || b->axis[i].src < b->axis[outer].src))
            outer = i;
    box_axis one = {1, 0, 0}, rest[TL_MAX_RANK];
    int n = 0;
    for (int i = 0; i < b->n; i++)
        if (i != inner && i != outer)
            rest[n++] = b->axis[i];
    int64_t index[TL_MAX_RANK] = {0}, from = 0, to = 0;
    for (;;) {
        copy_plane(b->element, src + from * (int64_t)b->element, b->dst + to * (int64_t)b->element,
                   outer < 0 ? one : b->axis[outer], b->n ? b->axis[inner] : one);
        int i = n - 1;
        for (; i >= 0; i--) {
            from += rest[i].src;
            to += rest[i].dst;
            if (++index[i] < rest[i].size)
                break;
            from -= rest[i].src * rest[i].size;
            to -= rest[i].dst * rest[i].size;
            index[i] = 0;
        }
        if (i < 0)
            return;
    }
}

/* ---- order ---- */

/* Drops axes of size 1, joins neighbours that step alike, turns backward steps through the source
 * around (then dst steps backwards), sorts by step through the source, largest first. */
static void box_normalise(box *b)
{
    int n = 0;
    for (int i = 0; i < b->n; i++) {
        box_axis a = b->axis[i];
        if (a.size == 1)
            continue;
        if (n && b->axis[n - 1].src == a.src * a.size && b->axis[n - 1].dst == a.dst * a.size) {
            a.size *= b->axis[n - 1].size;
            n--;
        }
        b->axis[n++] = a;
    }
    b->n = n;
    for (int i = 0; i < n; i++) {
        box_axis *a = &b->axis[i];
        if (a->src >= 0)
            continue;
        b->src += (a->size - 1) * a->src;
        b->dst += (a->size - 1) * a->dst * (int64_t)b->element;
        a->src = -a->src;
        a->dst = -a->dst;
    }
    for (int i = 1; i < n; i++) {
        box_axis a = b->axis[i];
        int k = i;
        for (; k > 0 && b->axis[k - 1].src < a.src; k--)
            b->axis[k] = b->axis[k - 1];
        b->axis[k] = a;
    }
}

/* ---- reading ---- */

/* Elements that axes from..n span in the source. */
static int64_t box_span(const box *b, int from)
{
    int64_t span = 1;
    for (int i = from; i < b->n; i++)
        span += (b->axis[i].size - 1) * b->axis[i].src;
    return span;
}

/* The first axis of the piece that is read at once. */
static int piece_start(const box *b)
{
    int at = b->n;
    int64_t limit = (int64_t)(TL_CONST_PIECE / b->element), gap = (int64_t)(MAX_GAP / b->element);
    while (at > 0) {
        if (b->axis[at - 1].src - box_span(b, at) > gap || box_span(b, at - 1) > limit)
            break;
        at--;
    }
    return at;
}

/* How pieces along the axis before them are collected. */
typedef struct piece_batch {
    uint8_t *buffer;
    int64_t size, step; /* pieces, elements from one to the next in the buffer */
    int64_t span;       /* of a piece */
    bool together;      /* gaps between them are small: one read for all */
} piece_batch;

static tl_status read_batch(tl_const_reader *r, const tl_const *x, const piece_batch *batch, int64_t src,
                            int64_t src_step, int64_t n, size_t element)
{
    if (batch->together)
        return tl_const_read_wide(r, x, src, (n - 1) * batch->step + batch->span, batch->buffer);
    for (int64_t i = 0; i < n; i++)
        TRY(tl_const_read_wide(r, x, src + i * src_step, batch->span,
                               batch->buffer + (size_t)(i * batch->step) * element));
    return TL_OK;
}

static tl_status batch_init(tl_const_reader *r, piece_batch *batch, const box *b, int piece)
{
    const box_axis *axis = &b->axis[piece - 1];
    int64_t limit = (int64_t)(TL_CONST_PIECE / b->element);
    batch->span = box_span(b, piece);
    batch->together = axis->src - batch->span <= (int64_t)(MAX_GAP / b->element);
    batch->step = batch->together ? axis->src : batch->span;
    int64_t room = (limit - batch->span) / TL_MAX(batch->step, 1) + 1;
    batch->size = TL_MAX(1, TL_MIN(axis->size, room));
    size_t elements = (size_t)((batch->size - 1) * batch->step + batch->span);
    batch->buffer = tl_arena_push_raw(r->scratch, elements, b->element);
    return batch->buffer ? TL_OK : tl_context_status(r->cx);
}

/* Axes 0 .. piece - 2 one by one, axis piece - 1 in batches, the others in the piece. */
static tl_status gather_batches(tl_const_reader *r, const tl_const *x, const box *b, int piece)
{
    piece_batch batch;
    TRY(batch_init(r, &batch, b, piece));
    int64_t index[TL_MAX_RANK] = {0}, src = b->src;
    box part = *b;
    part.axis[0] = b->axis[piece - 1];
    part.axis[0].src = batch.step;
    part.n = b->n - piece + 1;
    memcpy(part.axis + 1, b->axis + piece, (size_t)(b->n - piece) * sizeof *part.axis);
    const box_axis *axis = &b->axis[piece - 1];
    for (int i = 0; i >= 0;) {
        uint8_t *start = part.dst;
        for (int64_t at = 0; at < axis->size; at += batch.size) {
            part.axis[0].size = TL_MIN(batch.size, axis->size - at);
            TRY(read_batch(r, x, &batch, src + at * axis->src, axis->src, part.axis[0].size,
                           b->element));
            part.dst = start + at * axis->dst * (int64_t)b->element;
            copy_box(&part, batch.buffer);
        }
        part.dst = start;
        for (i = piece - 2; i >= 0; i--) {
            const box_axis *a = &b->axis[i];
            src += a->src;
            part.dst += a->dst * (int64_t)b->element;
            if (++index[i] < a->size)
                break;
            src -= a->src * a->size;
            part.dst -= a->dst * a->size * (int64_t)b->element;
            index[i] = 0;
        }
    }
    return TL_OK;
}

static tl_status gather(tl_const_reader *r, const tl_const *x, box *b)
{
    box_normalise(b);
    if (b->n == 0 || (b->n == 1 && b->axis[0].src == 1 && b->axis[0].dst == 1))
        return tl_const_read_wide(r, x, b->src, box_span(b, 0), b->dst);
    if (x->kind == TL_CONST_BYTES && tl_dtype_bits(x->dtype) >= 8) {
        copy_box(b, x->u.bytes + (size_t)b->src * b->element);
        return TL_OK;
    }
    int piece = piece_start(b);
    tl_status status;
    tl_arena_mark mark = tl_arena_get_mark(r->scratch);
    if (piece > 0) {
        status = gather_batches(r, x, b, piece);
    } else {
        int64_t span = box_span(b, 0);
        uint8_t *buffer = tl_arena_push_raw(r->scratch, (size_t)span, b->element);
        status = buffer ? tl_const_read_wide(r, x, b->src, span, buffer) : tl_context_status(r->cx);
        if (status == TL_OK)
            copy_box(b, buffer);
    }
    tl_arena_rewind(r->scratch, mark);
    return status;
}

/* ---- ranges ---- */

/* The largest box that starts with element `first` and holds at most n; *taken elements. */
static box next_box(const tl_const *c, int64_t first, int64_t n, int64_t *taken)
{
    box b = {.src = c->u.view.offset, .element = tl_const_wide_size(c->dtype)};
    int64_t index[TL_MAX_RANK], inner = 1;
    for (int i = c->rank; i-- > 0; first /= c->shape[i]) {
        index[i] = first % c->shape[i];
        b.src += index[i] * c->u.view.stride[i];
    }
    int axis = c->rank;
    while (axis > 0 && (axis == c->rank || index[axis] == 0) && inner <= n) {
        axis--;
        /* a whole axis goes on outwards; a part of one ends the box */
        if (index[axis] != 0 || inner * c->shape[axis] > n)
            break;
        inner *= c->shape[axis];
    }
    *taken = 1;
    b.n = c->rank - axis;
    for (int i = c->rank; i-- > axis;) {
        int64_t size = c->shape[i] - (i == axis ? index[i] : 0);
        size = i == axis ? TL_MIN(size, n / *taken) : size;
        b.axis[i - axis] = (box_axis){size, c->u.view.stride[i], *taken};
        *taken *= size;
    }
    return b;
}

tl_status tl_const_read_view(tl_const_reader *r, const tl_const *c, int64_t first, int64_t n,
                             uint8_t *dst)
{
    while (n > 0) {
        int64_t taken;
        box b = next_box(c, first, n, &taken);
        b.dst = dst;
        TRY(gather(r, c->x, &b));
        first += taken;
        dst += (size_t)taken * b.element;
        n -= taken;
    }
    return TL_OK;
}
