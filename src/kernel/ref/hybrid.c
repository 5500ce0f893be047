/* Float operands times weights of 8 bits (dynamic range): the operand is rounded to 256 steps of its own, one
 * range per image or row, as the runtime's kernels do on the fly; then it is multiplied. Sums of such products
 * are exact in double, so what the plain kernel makes of the rounded numbers is what an integer kernel gives,
 * up to the rounding of floats. */
#include "kernel/ref/contraction.h"

/* Where the operand stands; the weights are operand 1. axis: of scales of the weights. */
static const struct hybrid_op {
    tl_op op;
    size_t x;
    int axis;
} hybrid_ops[] = {{TL_OP_tfl_conv_2d, 0, 0},
                  {TL_OP_tfl_depthwise_conv_2d, 0, 3},
                  {TL_OP_tfl_fully_connected, 0, 0},
                  {TL_OP_tfl_transpose_conv, 2, 0}};

static const struct hybrid_op *find_hybrid(const tl_call *call)
{
    for (size_t i = 0; i < TL_COUNT(hybrid_ops); i++)
        if (hybrid_ops[i].op == call->op && hybrid_ops[i].x < call->n_in)
            return &hybrid_ops[i];
    return NULL;
}

bool tl_ref_is_hybrid(const tl_call *call)
{
    const struct hybrid_op *h = find_hybrid(call);
    return h && call->in[h->x].dtype == TL_F32 && call->in[1].quant && !call->out[0].quant;
}

#define PIECE 64 /* alignment of what lies in scratch */

static size_t floats_of(const tl_tensor *t)
{
    return ((size_t)tl_tensor_count(t) * sizeof(float) + PIECE - 1) / PIECE * PIECE;
}

/* Both operands as floats, in front of what the plain kernel needs. */
static size_t hybrid_scratch(const tl_call *call, size_t plain)
{
    const struct hybrid_op *h = find_hybrid(call);
    return tl_ref_is_hybrid(call) ? floats_of(&call->in[h->x]) + floats_of(&call->in[1]) + plain
                                  : plain;
}

size_t tl_ref_scratch_tfl_conv(const tl_call *call)
{
    return hybrid_scratch(call, tl_ref_scratch_conv(call));
}

size_t tl_ref_scratch_tfl_depthwise(const tl_call *call)
{
    return hybrid_scratch(call, tl_ref_scratch_depthwise(call));
}

size_t tl_ref_scratch_tfl_fully_connected(const tl_call *call)
{
    return hybrid_scratch(call, tl_ref_scratch_contraction(call));
}

/* The nearer of the zero points that the two ends of the range ask for. */
static double nudged_zero(double lo, double hi, double scale)
{
    double from_lo = -128 - lo / scale, from_hi = 127 - hi / scale;
    double error_lo = 128 - lo / scale, error_hi = 127 + hi / scale; /* lo <= 0 <= hi */
    double zero = error_lo < error_hi ? from_lo : from_hi;
    return tl_round_away(TL_MAX(TL_MIN(zero, 127.0), -128.0));
}

tl_ref_rounding tl_ref_rounding_of(double lo, double hi, bool asymmetric)
{
    lo = TL_MIN(lo, 0.0);
    hi = TL_MAX(hi, 0.0);
    double most = TL_MAX(-lo, hi);
    tl_ref_rounding r = {.scale = (double)(float)(asymmetric ? (hi - lo) / 255 : most / 127),
                         .least = asymmetric ? -128 : -127};
    if (r.scale > 0 && asymmetric)
        r.zero = nudged_zero(lo, hi, r.scale);
    return r;
}

void tl_ref_round_row(const tl_ref_rounding *r, const float *x, int64_t n, int8_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        double q = r->scale > 0 ? tl_round_away(r->zero + (double)x[i] / r->scale) : r->zero;
        out[i] = (int8_t)TL_MAX(TL_MIN(q, 127.0), r->least);
    }
}

static void round_floats(const float *x, int64_t n, bool asymmetric, float *out)
{
    double lo = 0, hi = 0;
    int8_t q[TL_REF_RUN];
    for (int64_t i = 0; i < n; i++) {
        lo = TL_MIN(lo, (double)x[i]);
        hi = TL_MAX(hi, (double)x[i]);
    }
    tl_ref_rounding r = tl_ref_rounding_of(lo, hi, asymmetric);
    for (int64_t at = 0; at < n; at += TL_REF_RUN) {
        int64_t run = TL_MIN(n - at, (int64_t)TL_REF_RUN);
        tl_ref_round_row(&r, x + at, run, q);
        for (int64_t i = 0; i < run; i++)
            out[at + i] = (float)(r.scale * (q[i] - r.zero));
    }
}

/* What stored weights stand for. */
static void load_weights(const tl_tensor *w, int axis, float *out)
{
    int64_t inner = tl_ref_product(axis + 1, w->rank, w->shape), n = tl_tensor_count(w);
    double q[TL_REF_RUN];
    for (int64_t i = 0; i < n; i += TL_REF_RUN) {
        int64_t run = TL_MIN(n - i, (int64_t)TL_REF_RUN);
        tl_ref_load_f64(w, i, 1, run, q);
        for (int64_t k = 0; k < run; k++) {
            size_t channel = w->quant->n > 1 ? (size_t)((i + k) / inner % w->shape[axis]) : 0;
            double zero = w->quant->zero ? (double)w->quant->zero[channel] : 0;
            out[i + k] = (float)((double)w->quant->scale[channel] * (q[k] - zero));
        }
    }
}

static bool is_asymmetric(const tl_call *call)
{
    if (call->op == TL_OP_tfl_fully_connected)
        return ((const tl_tfl_fully_connected_attrs *)call->attrs)->asymmetric_quantize_inputs;
    return call->in[1].quant->n > 1;
}

/* The delegate takes a convolution that looks at single pixels, one after the other, for a matrix product. */
int64_t tl_ref_hybrid_row(const tl_call *call)
{
    const struct hybrid_op *h = find_hybrid(call);
    const tl_tensor *x = &call->in[h->x], *w = &call->in[1];
    if (h->op == TL_OP_tfl_fully_connected)
        return w->shape[1];
    if (h->op == TL_OP_tfl_conv_2d && call->rounding == TL_ROUND_FLOAT) {
        const tl_tfl_conv_attrs *a = call->attrs;
        if (w->shape[1] == 1 && w->shape[2] == 1 && a->stride_h == 1 && a->stride_w == 1)
            return x->shape[x->rank - 1];
    }
    return tl_ref_product(1, x->rank, x->shape);
}

tl_status tl_ref_hybrid(tl_call *call, tl_kernel_run plain)
{
    const struct hybrid_op *h = find_hybrid(call);
    const tl_tensor *x = &call->in[h->x], *w = &call->in[1];
    tl_tensor in[4];
    const char *wrong = tl_quant_check(call, 1);
    if (wrong)
        return tl_ref_fail(call, wrong);
    if (call->n_in > TL_COUNT(in) || w->rank <= h->axis ||
        (w->quant->n > 1 && (int64_t)w->quant->n != w->shape[h->axis]))
        return tl_ref_fail(call, "the weights do not have one scale per result channel");
    tl_call inner = *call;
    for (size_t i = 0; i < call->n_in; i++)
        in[i] = call->in[i];
    char *scratch = call->scratch;
    float *floats = (float *)(void *)scratch, *weights = (float *)(void *)(scratch + floats_of(x));
    int64_t n = tl_tensor_count(x);
    int64_t row = tl_ref_hybrid_row(call);
    for (int64_t i = 0; row > 0 && i + row <= n; i += row)
        round_floats((const float *)x->data + i, row, is_asymmetric(call), floats + i);
    load_weights(w, h->axis, weights);
    in[h->x].data = floats;
    in[1].data = weights;
    in[1].dtype = TL_F32;
    in[1].quant = NULL;
    inner.in = in;
    inner.scratch = scratch + floats_of(x) + floats_of(w);
    tl_status status = plain(&inner);
    call->error = inner.error;
    return status;
}
