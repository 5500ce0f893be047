/* Choosing between operands: where, and TFLite's select in both forms; sums of many operands. */
#include "kernel/ref/ref.h"

/* View 0: cond, 1: x, 2: y. Neighbours with one condition move together. */
static tl_status choose(tl_call *call, tl_ref_walk *w)
{
    int64_t cond[TL_REF_RUN];
    if (!tl_ref_walk_broadcast(w, &call->in[1]) || !tl_ref_walk_broadcast(w, &call->in[2]))
        return tl_ref_fail(call, "operands do not broadcast to the result");
    while (tl_ref_walk_next(w)) {
        tl_ref_load_i64(&call->in[0], w->at[0], w->step[0], w->n, cond);
        for (int64_t i = 0, end; i < w->n; i = end) {
            for (end = i + 1; end < w->n && cond[end] == cond[i];)
                end++;
            int k = cond[i] ? 1 : 2;
            tl_ref_copy(&call->in[k], w->at[k] + i * w->step[k], w->step[k], &call->out[0],
                        w->done + i, end - i);
        }
    }
    return TL_OK;
}

tl_status tl_ref_where(tl_call *call)
{
    tl_ref_walk w;
    tl_ref_walk_init(&w, call->out[0].rank, call->out[0].shape);
    if (!tl_ref_walk_broadcast(&w, &call->in[0]))
        return tl_ref_fail(call, "the condition does not broadcast to the result");
    return choose(call, &w);
}

/* cond: one element, the shape of x, or [x.shape[0]] for all of x[i, ...]. */
tl_status tl_ref_tfl_select(tl_call *call)
{
    const tl_tensor *cond = &call->in[0], *out = &call->out[0];
    int64_t stride[TL_MAX_RANK] = {0};
    tl_ref_walk w;
    if (tl_ref_same_shape(cond, out))
        tl_ref_strides(out->rank, out->shape, stride);
    else if (cond->rank == 1 && out->rank > 0 && cond->shape[0] == out->shape[0])
        stride[0] = 1;
    else if (tl_tensor_count(cond) != 1)
        return tl_ref_fail(call, "shape of the condition does not fit");
    tl_ref_walk_init(&w, out->rank, out->shape);
    tl_ref_walk_view(&w, 0, stride);
    return choose(call, &w);
}

static void add_n_floats(tl_call *call, int64_t at, int64_t n)
{
    double sum[TL_REF_RUN] = {0}, x[TL_REF_RUN];
    for (size_t k = 0; k < call->n_in; k++) {
        tl_ref_load_f64(&call->in[k], at, 1, n, x);
        for (int64_t i = 0; i < n; i++)
            sum[i] = k ? sum[i] + x[i] : x[i];
    }
    tl_ref_store_f64(&call->out[0], at, n, sum);
}

static void add_n_ints(tl_call *call, int64_t at, int64_t n)
{
    int64_t sum[TL_REF_RUN] = {0}, x[TL_REF_RUN];
    for (size_t k = 0; k < call->n_in; k++) {
        tl_ref_load_i64(&call->in[k], at, 1, n, x);
        for (int64_t i = 0; i < n; i++)
            sum[i] = (int64_t)((uint64_t)sum[i] + (uint64_t)x[i]);
    }
    tl_ref_store_i64(&call->out[0], at, n, sum);
}

tl_status tl_ref_add_n(tl_call *call)
{
    bool floats = tl_dtype_is_float(call->out[0].dtype);
    TRY(tl_ref_plain(call));
    for (size_t k = 0; k < call->n_in; k++)
        if (!tl_ref_same_shape(&call->in[k], &call->out[0]))
            return tl_ref_fail(call, "operands differ in shape");
    for (int64_t at = 0, n = tl_tensor_count(&call->out[0]); at < n; at += TL_REF_RUN)
        (floats ? add_n_floats : add_n_ints)(call, at, TL_MIN(n - at, (int64_t)TL_REF_RUN));
    return TL_OK;
}
