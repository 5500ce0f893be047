/* Reductions over a set of axes. The output is walked element by element, and for each of them the
 * reduced axes of the operand. */
#include "kernel/ref/ref.h"

#include "kernel/quant.h"

typedef double (*fold_f64)(double sum, double x);
typedef int64_t (*fold_i64)(int64_t sum, int64_t x);

/* clang-format off */
#define F(name, value) static double ff_##name(double s, double x) { return value; }
#define I(name, value) static int64_t fi_##name(int64_t s, int64_t x) { return value; }
F(sum, s + x)                           I(sum, (int64_t)((uint64_t)s + (uint64_t)x))
F(prod, s * x)                          I(prod, (int64_t)((uint64_t)s * (uint64_t)x))
F(max, s != s || s > x ? s : x)         I(max, TL_MAX(s, x))
F(min, s != s || s < x ? s : x)         I(min, TL_MIN(s, x))
F(tfl_max, s < x ? x : s)               I(any, s | (x != 0))
F(tfl_min, s > x ? x : s)               I(all, s & (x != 0))

/* The result of no elements: a number, or the end of the range of the type. */
enum start { START_0, START_1, START_LOW, START_HIGH };

typedef struct fold_row { fold_f64 f; fold_i64 i; enum start start; bool mean; } fold_row;
static const fold_row fold_rows[TL_OP_COUNT] = {
#define ROW(op, ...) [TL_OP_##op] = {__VA_ARGS__},
    ROW(reduce_sum, ff_sum, fi_sum, START_0)       ROW(tfl_sum, ff_sum, fi_sum, START_0)
    ROW(reduce_mean, ff_sum, fi_sum, START_0, true) ROW(tfl_mean, ff_sum, fi_sum, START_0, true)
    ROW(reduce_prod, ff_prod, fi_prod, START_1)    ROW(tfl_reduce_prod, ff_prod, fi_prod, START_1)
    ROW(reduce_max, ff_max, fi_max, START_LOW)     ROW(tfl_reduce_max, ff_tfl_max, fi_max, START_LOW)
    ROW(reduce_min, ff_min, fi_min, START_HIGH)    ROW(tfl_reduce_min, ff_tfl_min, fi_min, START_HIGH)
    ROW(reduce_any, NULL, fi_any, START_0)         ROW(tfl_reduce_any, NULL, fi_any, START_0)
    ROW(reduce_all, NULL, fi_all, START_1)         ROW(tfl_reduce_all, NULL, fi_all, START_1)
#undef ROW
};
/* clang-format on */

/* Signed comparison of values with this bit flipped orders u64. */
static int64_t order_bit(tl_dtype dtype)
{
    return dtype == TL_U64 ? INT64_MIN : 0;
}

static double start_f64(enum start start)
{
    double infinity = (double)INFINITY;
    return start == START_LOW ? -infinity : start == START_HIGH ? infinity : start == START_1;
}

static int64_t start_i64(enum start start, tl_dtype dtype)
{
    int64_t lo = INT64_MIN, hi = INT64_MAX;
    if (dtype != TL_U64)
        tl_dtype_range(dtype, &lo, &hi);
    return start == START_LOW ? lo : start == START_HIGH ? hi : start == START_1;
}

/* One walk over the kept axes, one over the reduced ones. */
typedef struct reduction {
    tl_ref_walk kept, reduced;
    int64_t n; /* elements per result */
} reduction;

static void reduction_init(reduction *r, const tl_tensor *x, const bool *flags)
{
    int64_t dense[TL_MAX_RANK], shape[2][TL_MAX_RANK], stride[2][TL_MAX_RANK];
    int rank[2] = {0, 0};
    tl_ref_strides(x->rank, x->shape, dense);
    for (int i = 0; i < x->rank; i++) {
        int k = flags[i], to = rank[k]++;
        shape[k][to] = x->shape[i];
        stride[k][to] = dense[i];
    }
    tl_ref_walk_init(&r->kept, rank[0], shape[0]);
    tl_ref_walk_view(&r->kept, 0, stride[0]);
    tl_ref_walk_init(&r->reduced, rank[1], shape[1]);
    tl_ref_walk_view(&r->reduced, 0, stride[1]);
    r->n = tl_ref_product(0, rank[1], shape[1]);
}

static double fold_floats(const tl_tensor *in, reduction *r, const fold_row *row, int64_t at)
{
    double sum = start_f64(row->start), x[TL_REF_RUN];
    tl_ref_walk *w = &r->reduced;
    tl_ref_walk_move(w, 0, at);
    tl_ref_walk_rewind(w);
    while (tl_ref_walk_next(w)) {
        tl_ref_load_f64(in, w->at[0], w->step[0], w->n, x);
        for (int64_t i = 0; i < w->n; i++)
            sum = row->f(sum, x[i]);
    }
    return row->mean ? sum / (double)r->n : sum;
}

static int64_t fold_ints(const tl_tensor *in, reduction *r, const fold_row *row, int64_t at)
{
    bool extreme = row->start == START_LOW || row->start == START_HIGH;
    int64_t flip = extreme ? order_bit(in->dtype) : 0;
    int64_t sum = start_i64(row->start, in->dtype), x[TL_REF_RUN];
    tl_ref_walk *w = &r->reduced;
    tl_ref_walk_move(w, 0, at);
    tl_ref_walk_rewind(w);
    while (tl_ref_walk_next(w)) {
        tl_ref_load_i64(in, w->at[0], w->step[0], w->n, x);
        for (int64_t i = 0; i < w->n; i++)
            sum = row->i(sum, x[i] ^ flip);
    }
    if (row->mean)
        return in->dtype == TL_U64 ? (int64_t)((uint64_t)sum / (uint64_t)r->n) : sum / r->n;
    return sum ^ flip;
}

static tl_status reduce_axes(tl_call *call, const bool *flags)
{
    const fold_row *row = &fold_rows[call->op];
    const tl_tensor *in = &call->in[0];
    tl_tensor *out = &call->out[0];
    bool floats = tl_dtype_is_float(in->dtype);
    double f[TL_REF_RUN];
    int64_t i[TL_REF_RUN];
    reduction r;
    reduction_init(&r, in, flags);
    if (floats && !row->f)
        return tl_ref_fail(call, "the operand must not be of a float type");
    if (!floats && row->mean && r.n == 0 && tl_tensor_count(out) > 0)
        return tl_ref_fail(call, "integer mean of no elements");
    for (tl_ref_walk *w = &r.kept; tl_ref_walk_next(w);) {
        for (int64_t k = 0; k < w->n; k++) {
            int64_t at = w->at[0] + k * w->step[0];
            if (floats)
                f[k] = fold_floats(in, &r, row, at);
            else
                i[k] = fold_ints(in, &r, row, at);
        }
        if (floats)
            tl_ref_store_f64(out, w->done, w->n, f);
        else
            tl_ref_store_i64(out, w->done, w->n, i);
    }
    return TL_OK;
}

tl_status tl_ref_reduce(tl_call *call)
{
    bool flags[TL_MAX_RANK];
    TRY(tl_ref_plain(call));
    TRY(tl_ref_axes_list(call, ((const tl_reduce_attrs *)call->attrs)->axes, call->in[0].rank,
                         flags));
    return reduce_axes(call, flags);
}

/* A scalar has no axes, whatever the operand says: so the runtime. */
static tl_status operand_axes(tl_call *call, bool *flags)
{
    if (call->in[0].rank == 0)
        return TL_OK;
    return tl_ref_operand(call, 1) ? tl_ref_axes_tensor(call, &call->in[1], call->in[0].rank, flags)
                                   : tl_ref_fail(call, "a parameter has no value");
}

tl_status tl_ref_tfl_reduce(tl_call *call)
{
    bool flags[TL_MAX_RANK];
    TRY(tl_ref_plain(call));
    TRY(operand_axes(call, flags));
    return reduce_axes(call, flags);
}

/* ---- quantised sums and means ---- */

/* From the sum of n stored numbers to a stored result. */
typedef struct quant_sum {
    tl_rounding rounding;
    bool mean, in_single; /* in_single: in single precision */
    float ratio, offset;  /* a delegate's mean: sum s_x / s_y / n + offset, ties to even; else 0 */
    float scale;          /* s_x / s_y */
    int64_t n, zero_x, zero_y;
    tl_fixed f;
    int64_t n_channels, n_up; /* of how many channels how many round twice, ties upwards */
} quant_sum;

/* Of images [n, h, w, c] over h and w, all axes kept. */
static bool is_spatial_mean(const tl_call *call, const bool *flags)
{
    return call->op == TL_OP_tfl_mean && call->in[0].rank == 4 && call->out[0].rank == 4 &&
           !flags[0] && flags[1] && flags[2] && !flags[3] && call->in[0].dtype != TL_I16;
}

/* Division by n goes into the multiplier, with as many bits as n has; cut, not rounded. */
static tl_fixed divided(tl_fixed f, int64_t n)
{
    int bits = 0;
    while (n >> (bits + 1))
        bits++;
    bits = TL_MIN(TL_MIN(bits, 32), 31 + f.shift);
    return (tl_fixed){(int32_t)(((int64_t)f.m * (INT64_C(1) << bits)) / n), f.shift - bits};
}

static int64_t round_i64(float x)
{
    return (int64_t)tl_round_away((double)x);
}

/* The spatial mean leaves the zero point out of the product: it is an offset, rounded on its own.
 * Of i8, vector code serves blocks of 16 channels. */
static quant_sum spatial_mean(const tl_call *call, int64_t n)
{
    bool blocks = call->in[0].dtype == TL_I8 && call->rounding == TL_ROUND_PLAIN;
    float x = tl_quant_scale(&call->in[0]), y = tl_quant_scale(&call->out[0]);
    int64_t offset = round_i64((float)tl_quant_zero(&call->in[0]) * x / y);
    return (quant_sum){.rounding = call->rounding,
                       .n = n,
                       .zero_y = tl_quant_zero(&call->out[0]) - offset,
                       .f = tl_fixed_of((double)(x / ((float)n * y))),
                       .n_channels = call->in[0].shape[3],
                       .n_up = blocks ? call->in[0].shape[3] / 16 * 16 : 0};
}

/* Every step in single precision; both zero points are in the offset. */
static void delegate_mean(quant_sum *s, float scale)
{
    s->ratio = scale * (1.0f / (float)TL_MAX(s->n, (int64_t)1));
    s->offset = (float)s->zero_y - (float)s->zero_x * scale;
}

static quant_sum sum_of(const tl_call *call, const bool *flags, int64_t n)
{
    float x = tl_quant_scale(&call->in[0]), y = tl_quant_scale(&call->out[0]);
    bool delegated = call->rounding == TL_ROUND_FLOAT && call->in[0].dtype != TL_I16;
    if (call->rounding != TL_ROUND_TWICE && !delegated && is_spatial_mean(call, flags))
        return spatial_mean(call, n);
    quant_sum s = {.rounding = call->rounding,
                   .mean = call->op == TL_OP_tfl_mean,
                   .in_single = call->op == TL_OP_tfl_sum && call->rounding != TL_ROUND_TWICE,
                   .scale = x / y,
                   .n = n,
                   .zero_x = tl_quant_zero(&call->in[0]),
                   .zero_y = tl_quant_zero(&call->out[0]),
                   .f = tl_fixed_of((double)x / (double)y)};
    if (s.mean && delegated)
        delegate_mean(&s, x / y);
    if (s.mean)
        s.f = divided(s.f, TL_MAX(n, (int64_t)1));
    return s;
}

static int64_t quant_sum_result(const quant_sum *s, int64_t sum, int64_t index)
{
    if (s->n_up && index % s->n_channels < s->n_up)
        return tl_fixed_twice_up(sum, s->f) + s->zero_y;
    if (s->ratio > 0)
        return (int64_t)tl_round_even(
            TL_MIN(TL_MAX((double)((float)sum * s->ratio + s->offset), -0x1p31), 0x1p31));
    if (s->in_single) {
        float offset = (float)-s->zero_x * s->scale * (float)s->n;
        return round_i64((float)sum * s->scale + offset) + s->zero_y;
    }
    return tl_fixed_multiply(sum - s->zero_x * s->n, s->f, s->rounding) + s->zero_y;
}

tl_status tl_ref_quant_sums(tl_call *call, int64_t n, const int32_t *sums)
{
    tl_tensor *out = &call->out[0];
    bool flags[TL_MAX_RANK];
    TRY(tl_ref_quantised(call, -1));
    TRY(operand_axes(call, flags));
    quant_sum s = sum_of(call, flags, n);
    tl_quant_bounds bounds = tl_quant_range(out, TL_tfl_activation_none);
    for (int64_t i = 0, count = tl_tensor_count(out); i < count; i++) {
        int64_t y = quant_sum_result(&s, sums[i], i);
        y = TL_MIN(TL_MAX(y, (int64_t)bounds.lo), (int64_t)bounds.hi);
        tl_ref_store_i64(out, i, 1, &y);
    }
    return TL_OK;
}

tl_status tl_ref_quant_reduce(tl_call *call)
{
    const fold_row *row = &fold_rows[TL_OP_tfl_sum];
    tl_tensor *out = &call->out[0];
    bool flags[TL_MAX_RANK];
    reduction r;
    int64_t q[TL_REF_RUN];
    TRY(tl_ref_quantised(call, -1));
    TRY(operand_axes(call, flags));
    reduction_init(&r, &call->in[0], flags);
    if (r.n == 0 && tl_tensor_count(out) > 0)
        return tl_ref_fail(call, "quantised sum of no elements");
    quant_sum s = sum_of(call, flags, r.n);
    tl_quant_bounds bounds = tl_quant_range(out, TL_tfl_activation_none);
    for (tl_ref_walk *w = &r.kept; tl_ref_walk_next(w);) {
        for (int64_t k = 0; k < w->n; k++) {
            int64_t sum = fold_ints(&call->in[0], &r, row, w->at[0] + k * w->step[0]);
            int64_t y = quant_sum_result(&s, sum, w->done + k);
            q[k] = TL_MIN(TL_MAX(y, (int64_t)bounds.lo), (int64_t)bounds.hi);
        }
        tl_ref_store_i64(out, w->done, w->n, q);
    }
    return TL_OK;
}

tl_status tl_ref_shape_reduce(tl_call *call)
{
    const tl_tensor *x = &call->in[0];
    bool keep = ((const tl_tfl_reduce_attrs *)call->attrs)->keep_dims, flags[TL_MAX_RANK];
    int64_t shape[TL_MAX_RANK];
    int rank = 0;
    TRY(operand_axes(call, flags));
    for (int i = 0; i < x->rank; i++)
        if (keep || !flags[i])
            shape[rank++] = flags[i] ? 1 : x->shape[i];
    tl_ref_set_shape(&call->out[0], rank, shape);
    return TL_OK;
}
