/* Resize: what ir/resample.h says is sampled along each axis, and TFLite's two forms with the
 * runtime's own coordinates. */
#include "kernel/ref/resize.h"

#include "kernel/ref/move.h"

#define SPATIAL TL_REF_RESIZE_AXES

static size_t tables_size(const tl_call *call, const int *taps)
{
    size_t n = 0;
    for (int i = 0; i < call->out[0].rank - 2; i++)
        n += (size_t)(call->out[0].shape[i + 1] * taps[i]);
    return n * (sizeof(int64_t) + sizeof(double));
}

static void core_taps(const tl_call *call, int *taps)
{
    const tl_tensor *x = &call->in[0];
    for (int i = 0; i < x->rank - 2 && i < SPATIAL; i++)
        taps[i] = x->shape[i + 1] > 0 && call->out[0].shape[i + 1] > 0
                      ? tl_resample_taps(call->attrs, i, x->shape[i + 1], call->out[0].shape[i + 1])
                      : 0;
}

size_t tl_ref_scratch_resize(const tl_call *call)
{
    int taps[SPATIAL] = {2, 2, 2};
    if (call->op == TL_OP_resize)
        core_taps(call, taps);
    return tables_size(call, taps);
}

/* Tables in scratch. */
static tl_status place_tables(tl_call *call, tl_ref_resizing *r, const int *taps)
{
    const tl_tensor *x = &call->in[0], *out = &call->out[0];
    int64_t *index = call->scratch;
    *r = (tl_ref_resizing){.n = x->rank - 2};
    if (r->n < 1 || r->n > SPATIAL || out->rank != x->rank || out->shape[0] != x->shape[0] ||
        out->shape[r->n + 1] != x->shape[r->n + 1])
        return tl_ref_fail(call, "the result does not fit the operand");
    if (tl_tensor_count(x) == 0 && tl_tensor_count(out) > 0)
        return tl_ref_fail(call, "an empty axis has nothing to be sampled");
    for (int i = 0; i < r->n; i++) {
        int64_t n = out->shape[i + 1] * taps[i];
        r->axis[i] = (tl_resample){out->shape[i + 1], taps[i], index, (double *)(index + n)};
        index += 2 * n;
    }
    return TL_OK;
}

/* What combination `tap` of the taps of a pixel reads: its channel 0 in x, -1 outside. */
static int64_t sample_at(const tl_ref_resizing *r, const tl_tensor *x, const int64_t *place,
                         int64_t tap, double *weight)
{
    int64_t at = 0, stride = x->shape[x->rank - 1];
    bool outside = false;
    *weight = 1;
    for (int i = r->n - 1; i >= 0; i--) {
        const tl_resample *axis = &r->axis[i];
        int64_t k = place[i + 1] * axis->taps + tap % axis->taps;
        outside |= axis->index[k] < 0;
        at += axis->index[k] * stride;
        *weight *= axis->weight[k];
        stride *= x->shape[i + 1];
        tap /= axis->taps;
    }
    return outside ? -1 : at + place[0] * stride;
}

static void fill_pixel(tl_tensor *out, int64_t at, int64_t n, double value)
{
    for (int64_t i = 0; i < n; i++)
        tl_ref_store_f64(out, at + i, 1, &value);
}

/* Channels first .. first + n of one pixel. */
static void blend_pixel(tl_call *call, const tl_ref_resizing *r, int64_t pixel,
                        const int64_t *place, int64_t first, int64_t n)
{
    const tl_tensor *x = &call->in[0];
    int64_t n_taps = 1, c = x->shape[x->rank - 1];
    double sum[TL_REF_RUN] = {0}, value[TL_REF_RUN], weight;
    for (int i = 0; i < r->n; i++)
        n_taps *= r->axis[i].taps;
    for (int64_t tap = 0; tap < n_taps; tap++) {
        int64_t at = sample_at(r, x, place, tap, &weight);
        if (at < 0 && weight != 0) {
            fill_pixel(&call->out[0], pixel * c + first, n, r->extrapolation);
            return;
        }
        if (weight == 0)
            continue;
        tl_ref_load_f64(x, at + first, 1, n, value);
        for (int64_t i = 0; i < n; i++)
            sum[i] += weight * value[i];
    }
    tl_ref_store_f64(&call->out[0], pixel * c + first, n, sum);
}

static void copy_pixel(tl_call *call, const tl_ref_resizing *r, int64_t pixel, const int64_t *place)
{
    const tl_tensor *x = &call->in[0];
    int64_t c = x->shape[x->rank - 1];
    double weight;
    int64_t at = sample_at(r, x, place, 0, &weight);
    if (at < 0)
        fill_pixel(&call->out[0], pixel * c, c, r->extrapolation);
    else
        tl_ref_copy(x, at, 1, &call->out[0], pixel * c, c);
}

static void sample_pixels(tl_call *call, const tl_ref_resizing *r)
{
    const tl_tensor *out = &call->out[0];
    int64_t c = out->shape[out->rank - 1], place[SPATIAL + 1] = {0};
    int64_t n_pixels = tl_ref_product(0, out->rank - 1, out->shape);
    for (int64_t pixel = 0; pixel < n_pixels; pixel++) {
        if (r->nearest)
            copy_pixel(call, r, pixel, place);
        for (int64_t first = 0; !r->nearest && first < c; first += TL_REF_RUN)
            blend_pixel(call, r, pixel, place, first, TL_MIN(c - first, (int64_t)TL_REF_RUN));
        for (int i = out->rank - 2; i >= 0 && ++place[i] == out->shape[i]; i--)
            place[i] = 0;
    }
}

/* The numbers of operand k in v, n of them in [lo, hi], in place of *list; an absent operand leaves it. */
static tl_status operand_list(tl_call *call, size_t k, int n, double lo, double hi, double *v,
                              tl_floats *list)
{
    const tl_tensor *t = tl_ref_operand(call, k);
    if (!t)
        return TL_OK;
    if (tl_tensor_count(t) != n)
        return tl_ref_fail(call, "scales or a region of another number of axes");
    tl_ref_load_f64(t, 0, 1, n, v);
    for (int i = 0; i < n; i++)
        if (!(v[i] >= lo && v[i] <= hi))
            return tl_ref_fail(call, "a scale or a region out of range");
    *list = (tl_floats){(size_t)n, v};
    return TL_OK;
}

static tl_status core_init(tl_call *call, tl_ref_resizing *r)
{
    tl_resize_attrs attrs = *(const tl_resize_attrs *)call->attrs;
    const tl_tensor *x = &call->in[0], *out = &call->out[0];
    double scales[SPATIAL], roi[2 * SPATIAL];
    int taps[SPATIAL] = {0};
    TRY(tl_ref_plain(call));
    core_taps(call, taps);
    TRY(place_tables(call, r, taps));
    TRY(operand_list(call, 1, r->n, 1e-6, 1e6, scales, &attrs.scales));
    TRY(operand_list(call, 2, 2 * r->n, -1e6, 1e6, roi, &attrs.roi));
    r->extrapolation = attrs.extrapolation;
    r->nearest = attrs.mode == TL_resize_mode_nearest;
    for (int i = 0; i < r->n && tl_tensor_count(out) > 0; i++) {
        int64_t n = x->shape[i + 1], m = out->shape[i + 1];
        if (tl_resample_taps(&attrs, i, n, m) > taps[i])
            return tl_ref_fail(call, "a scale that does not fit the sizes");
        tl_resample_fill(&attrs, i, n, m, &r->axis[i]);
    }
    return TL_OK;
}

/* ---- TFLite: positions in single precision, as the runtime computes them ---- */

static float tfl_scale(const tl_tfl_resize_attrs *a, int64_t n, int64_t m)
{
    return a->align_corners && m > 1 ? (float)(n - 1) / (float)(m - 1) : (float)n / (float)m;
}

static void nearest_samples(const tl_tfl_resize_attrs *a, int64_t n, tl_resample *r)
{
    float scale = tfl_scale(a, n, r->m), offset = a->half_pixel_centers ? 0.5f : 0;
    for (int64_t i = 0; i < r->m; i++) {
        double x = (double)(((float)i + offset) * scale);
        int64_t at = (int64_t)(a->align_corners ? tl_round_away(x) : tl_floor(x));
        r->index[i] = TL_MAX(TL_MIN(at, n - 1), (int64_t)0);
        r->weight[i] = 1;
    }
}

static void bilinear_samples(const tl_tfl_resize_attrs *a, int64_t n, tl_resample *r)
{
    float scale = tfl_scale(a, n, r->m);
    for (int64_t i = 0; i < r->m; i++) {
        float x = a->half_pixel_centers ? ((float)i + 0.5f) * scale - 0.5f : (float)i * scale;
        int64_t low = (int64_t)tl_floor((double)x), high = (int64_t)tl_ceil((double)x);
        low = TL_MAX(low, (int64_t)0);
        r->index[2 * i] = TL_MIN(low, n - 1);
        r->index[2 * i + 1] = TL_MAX(TL_MIN(high, n - 1), (int64_t)0);
        r->weight[2 * i + 1] = (double)(x - (float)low);
        r->weight[2 * i] = 1 - r->weight[2 * i + 1];
    }
}

static tl_status tfl_init(tl_call *call, tl_ref_resizing *r)
{
    const tl_tensor *x = &call->in[0];
    bool nearest = call->op == TL_OP_tfl_resize_nearest_neighbor;
    int taps[SPATIAL] = {2 - nearest, 2 - nearest, 0};
    if (!nearest && !tl_dtype_is_float(x->dtype))
        return tl_ref_fail(call, "no bilinear sampling of this type");
    if (x->rank != 4)
        return tl_ref_fail(call, "the result does not fit the operand");
    TRY(place_tables(call, r, taps));
    r->nearest = nearest;
    for (int i = 0; i < 2 && tl_tensor_count(&call->out[0]) > 0; i++)
        (nearest ? nearest_samples : bilinear_samples)(call->attrs, x->shape[i + 1], &r->axis[i]);
    return TL_OK;
}

tl_status tl_ref_resizing_init(tl_call *call, tl_ref_resizing *r)
{
    return (call->op == TL_OP_resize ? core_init : tfl_init)(call, r);
}

tl_status tl_ref_resize(tl_call *call)
{
    tl_ref_resizing r;
    TRY(tl_ref_resizing_init(call, &r));
    if (tl_tensor_count(&call->out[0]) > 0)
        sample_pixels(call, &r);
    return TL_OK;
}

/* operands x, {h, w} */
tl_status tl_ref_shape_resize(tl_call *call)
{
    const tl_tensor *x = &call->in[0];
    int64_t size[2];
    int n;
    TRY(tl_ref_vector(call, 1, 2, size, &n));
    if (n != 2 || x->rank != 4)
        return tl_ref_fail(call, "height and width are needed");
    const int64_t shape[4] = {x->shape[0], size[0], size[1], x->shape[3]};
    return tl_ref_result_shape(call, 4, shape);
}
