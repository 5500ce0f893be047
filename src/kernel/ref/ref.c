/* The table of the reference kernels, and what all of them share: failing, axes, shapes. */
#include "kernel/ref/ref.h"

#include "kernel/quant.h"
#include "kernel/ref/contraction.h"

/* clang-format off */
static const tl_kernel_run plain_runs[TL_OP_COUNT] = {
#define KERNEL(op, run_) [TL_OP_##op] = tl_ref_##run_,
#define QUANTISED(op, run_)
#define SCRATCH(op, scratch_)
#define SHAPE(op, shape_)
#include "kernel/ref/kernels.def"
#undef KERNEL
#undef QUANTISED
};
static const tl_kernel_run quantised_runs[TL_OP_COUNT] = {
#define KERNEL(op, run_)
#define QUANTISED(op, run_) [TL_OP_##op] = tl_ref_##run_,
#include "kernel/ref/kernels.def"
#undef KERNEL
#undef QUANTISED
#undef SCRATCH
#undef SHAPE
};
/* clang-format on */

static bool has_scales(const tl_call *call)
{
    for (size_t i = 0; i < call->n_in; i++)
        if (call->in[i].quant)
            return true;
    for (size_t i = 0; i < call->n_out; i++)
        if (call->out[i].quant)
            return true;
    return false;
}

/* Ops without arithmetic of their own on quantised numbers move them, or refuse. */
static tl_status run_either(tl_call *call)
{
    tl_kernel_run quantised = quantised_runs[call->op];
    if (tl_ref_is_hybrid(call))
        return tl_ref_hybrid(call, plain_runs[call->op]);
    return (quantised && has_scales(call) ? quantised : plain_runs[call->op])(call);
}

/* clang-format off */
static const tl_kernel kernels[TL_OP_COUNT] = {
#define KERNEL(op, run_) [TL_OP_##op].run = run_either,
#define QUANTISED(op, run_)
#define SCRATCH(op, scratch_) [TL_OP_##op].scratch = tl_ref_scratch_##scratch_,
#define SHAPE(op, shape_) [TL_OP_##op].shape = tl_ref_shape_##shape_,
#include "kernel/ref/kernels.def"
#undef KERNEL
#undef QUANTISED
#undef SCRATCH
#undef SHAPE
};
/* clang-format on */

const tl_kernel *tl_kernel_ref(tl_op op)
{
    return &kernels[op];
}

tl_status tl_ref_fail(tl_call *call, const char *text)
{
    call->error = text;
    return TL_MALFORMED;
}

tl_status tl_ref_plain(tl_call *call)
{
    return has_scales(call) ? tl_ref_fail(call, "no arithmetic on quantised numbers for this op")
                            : TL_OK;
}

tl_status tl_ref_quantised(tl_call *call, int weights)
{
    const char *wrong = tl_quant_check(call, weights);
    for (size_t i = 0; i < call->n_out && !wrong; i++)
        if (call->out[i].dtype != TL_BOOL && !call->out[i].quant)
            wrong = "the result has no scale";
    for (size_t i = 0; i < call->n_in && !wrong; i++)
        if (tl_dtype_is_float(call->in[i].dtype) || (i == 0 && !call->in[i].quant))
            wrong = "an operand has no scale";
    return wrong ? tl_ref_fail(call, wrong) : TL_OK;
}

/* Stored numbers of one scale, as plain ones: what compares or picks them. */
tl_status tl_ref_quant_stored(tl_call *call)
{
    const tl_tensor *given = call->in;
    tl_tensor in[2], *out = &call->out[0];
    const tl_quant *quant = out->quant;
    if (call->n_in > TL_COUNT(in))
        return tl_ref_fail(call, "too many operands");
    for (size_t i = 0; i < call->n_in; i++) {
        in[i] = given[i];
        if (in[i].quant && !tl_quant_same(in[i].quant, quant))
            return tl_ref_fail(call, "operands and result must have one scale");
        in[i].quant = NULL;
    }
    call->in = in;
    out->quant = NULL;
    tl_status status = plain_runs[call->op](call);
    call->in = given;
    out->quant = quant;
    return status;
}

const tl_tensor *tl_ref_operand(const tl_call *call, size_t k)
{
    return k < call->n_in && call->in[k].data ? &call->in[k] : NULL;
}

tl_status tl_ref_scalar(tl_call *call, size_t k, int64_t *out)
{
    const tl_tensor *t = tl_ref_operand(call, k);
    if (!t || tl_tensor_count(t) < 1)
        return tl_ref_fail(call, "a parameter has no value");
    *out = tl_tensor_get_i64(t, 0);
    return TL_OK;
}

bool tl_ref_axis(int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank)
        return false;
    *out = (int)(axis < 0 ? axis + rank : axis);
    return true;
}

static tl_status flag_axis(tl_call *call, int64_t axis, int rank, bool *flags)
{
    int i;
    if (!tl_ref_axis(axis, rank, &i))
        return tl_ref_fail(call, "axis out of range");
    flags[i] = true;
    return TL_OK;
}

tl_status tl_ref_axes_list(tl_call *call, tl_ints axes, int rank, bool *flags)
{
    for (int i = 0; i < rank; i++)
        flags[i] = false;
    for (size_t i = 0; i < axes.n; i++)
        TRY(flag_axis(call, axes.v[i], rank, flags));
    return TL_OK;
}

tl_status tl_ref_axes_tensor(tl_call *call, const tl_tensor *axes, int rank, bool *flags)
{
    for (int i = 0; i < rank; i++)
        flags[i] = false;
    for (int64_t i = 0, n = tl_tensor_count(axes); i < n; i++)
        TRY(flag_axis(call, tl_tensor_get_i64(axes, i), rank, flags));
    return TL_OK;
}

void tl_ref_strides(int rank, const int64_t *shape, int64_t *stride)
{
    int64_t size = 1;
    for (int i = rank - 1; i >= 0; i--) {
        stride[i] = size;
        size *= shape[i];
    }
}

int64_t tl_ref_product(int from, int to, const int64_t *shape)
{
    int64_t product = 1;
    for (int i = from; i < to; i++)
        product *= shape[i];
    return product;
}

bool tl_ref_same_shape(const tl_tensor *a, const tl_tensor *b)
{
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++)
        same = a->shape[i] == b->shape[i];
    return same;
}

void tl_ref_set_shape(tl_tensor *t, int rank, const int64_t *shape)
{
    t->rank = rank;
    for (int i = 0; i < rank; i++)
        t->shape[i] = shape[i];
}

tl_ref_lines tl_ref_lines_of(const tl_tensor *t, int axis)
{
    int64_t outer = tl_ref_product(0, axis, t->shape);
    int64_t inner = tl_ref_product(axis + 1, t->rank, t->shape);
    return (tl_ref_lines){outer * inner, t->shape[axis], inner};
}

int64_t tl_ref_line_at(const tl_ref_lines *lines, int64_t line)
{
    return line / lines->step * lines->step * lines->n + line % lines->step;
}
