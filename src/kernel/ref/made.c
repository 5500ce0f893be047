/* Tensors made from parameters, sizes and indices. */
#include "kernel/ref/ref.h"

/* ---- sizes ---- */

tl_status tl_ref_shape_expr(tl_call *call)
{
    const tl_shape_attrs *attrs = call->attrs;
    for (size_t i = 0; i < attrs->dims.n; i++) {
        int64_t value;
        if (!tl_dim_eval(attrs->dims.v[i], call->symbols, &value))
            return tl_ref_fail(call, "size overflows or divides by zero");
        tl_ref_store_i64(&call->out[0], (int64_t)i, 1, &value);
    }
    return TL_OK;
}

tl_status tl_ref_shape(tl_call *call)
{
    tl_ref_store_i64(&call->out[0], 0, call->in[0].rank, call->in[0].shape);
    return TL_OK;
}

tl_status tl_ref_rank(tl_call *call)
{
    int64_t rank = call->in[0].rank;
    tl_ref_store_i64(&call->out[0], 0, 1, &rank);
    return TL_OK;
}

/* ---- fill ---- */

tl_status tl_ref_fill_shape(tl_call *call)
{
    tl_ref_fill(&call->in[1], 0, &call->out[0], 0, tl_tensor_count(&call->out[0]));
    return TL_OK;
}

tl_status tl_ref_shape_fill(tl_call *call)
{
    int64_t shape[TL_MAX_RANK], rank = tl_tensor_count(&call->in[0]);
    if (rank > TL_MAX_RANK)
        return tl_ref_fail(call, "rank too high");
    for (int i = 0; i < rank; i++) {
        shape[i] = tl_tensor_get_i64(&call->in[0], i);
        if (shape[i] < 0)
            return tl_ref_fail(call, "negative size");
    }
    tl_ref_set_shape(&call->out[0], (int)rank, shape);
    return TL_OK;
}

/* ---- range: operands start, limit, delta ---- */

tl_status tl_ref_range(tl_call *call)
{
    int64_t count = tl_tensor_count(&call->out[0]);
    if (tl_dtype_is_float(call->out[0].dtype)) {
        double start = tl_tensor_get_f64(&call->in[0], 0),
               delta = tl_tensor_get_f64(&call->in[2], 0);
        for (int64_t i = 0; i < count; i++) {
            double x = start + (double)i * delta;
            tl_ref_store_f64(&call->out[0], i, 1, &x);
        }
    } else {
        uint64_t start = (uint64_t)tl_tensor_get_i64(&call->in[0], 0);
        uint64_t delta = (uint64_t)tl_tensor_get_i64(&call->in[2], 0);
        for (int64_t i = 0; i < count; i++) {
            int64_t x = (int64_t)(start + (uint64_t)i * delta);
            tl_ref_store_i64(&call->out[0], i, 1, &x);
        }
    }
    return TL_OK;
}

/* ⌈(limit - start) / delta⌉ without overflow; delta is not 0. */
static uint64_t range_count_i64(int64_t start, int64_t limit, int64_t delta)
{
    if (delta > 0 ? start >= limit : start <= limit)
        return 0;
    uint64_t step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    uint64_t distance =
        delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    return (distance - 1) / step + 1;
}

tl_status tl_ref_shape_range(tl_call *call)
{
    int64_t n, x[3];
    for (size_t k = 0; k < 3; k++)
        TRY(tl_ref_scalar(call, k, &x[k]));
    if (tl_dtype_is_float(call->in[0].dtype)) {
        double f[3];
        for (int i = 0; i < 3; i++)
            f[i] = tl_tensor_get_f64(&call->in[i], 0);
        double count = tl_ceil((f[1] - f[0]) / f[2]);
        if (f[2] == 0 || !(count < 0x1p62))
            return tl_ref_fail(call, "range without end");
        n = count > 0 ? (int64_t)count : 0;
    } else {
        if (x[2] == 0)
            return tl_ref_fail(call, "range without end");
        uint64_t count = range_count_i64(x[0], x[1], x[2]);
        if (count > INT64_MAX)
            return tl_ref_fail(call, "range too long");
        n = (int64_t)count;
    }
    tl_ref_set_shape(&call->out[0], 1, &n);
    return TL_OK;
}

/* ---- one_hot ---- */

/* on, off: scalars. Indices from -depth on count from the end when `wraps`; others leave all off.
 */
static tl_status one_hot_axis(tl_call *call, int64_t axis, const tl_tensor *on,
                              const tl_tensor *off, bool wraps)
{
    tl_tensor *out = &call->out[0];
    int k;
    if (!tl_ref_axis(axis, out->rank, &k))
        return tl_ref_fail(call, "axis out of range");
    tl_ref_lines lines = tl_ref_lines_of(out, k);
    tl_ref_fill(off, 0, out, 0, tl_tensor_count(out));
    for (int64_t line = 0; lines.n > 0 && line < lines.n_lines; line++) {
        int64_t index = tl_tensor_get_i64(&call->in[0], line);
        index += wraps && index < 0 ? lines.n : 0;
        if (index >= 0 && index < lines.n)
            tl_ref_copy(on, 0, 1, out, tl_ref_line_at(&lines, line) + index * lines.step, 1);
    }
    return TL_OK;
}

tl_status tl_ref_one_hot(tl_call *call)
{
    return one_hot_axis(call, ((const tl_one_hot_attrs *)call->attrs)->axis, &call->in[1],
                        &call->in[2], true);
}

tl_status tl_ref_tfl_one_hot(tl_call *call)
{
    return one_hot_axis(call, ((const tl_tfl_one_hot_attrs *)call->attrs)->axis, &call->in[2],
                        &call->in[3], false);
}

tl_status tl_ref_shape_one_hot(tl_call *call)
{
    const tl_tensor *indices = &call->in[0];
    int64_t depth, shape[TL_MAX_RANK];
    int axis, rank = indices->rank + 1;
    TRY(tl_ref_scalar(call, 1, &depth));
    if (rank > TL_MAX_RANK || depth < 0)
        return tl_ref_fail(call, "rank too high or negative depth");
    if (!tl_ref_axis(((const tl_tfl_one_hot_attrs *)call->attrs)->axis, rank, &axis))
        return tl_ref_fail(call, "axis out of range");
    for (int i = 0; i < rank; i++)
        shape[i] = i == axis ? depth : indices->shape[i - (i > axis)];
    tl_ref_set_shape(&call->out[0], rank, shape);
    return TL_OK;
}

/* ---- trilu ---- */

/* Row i keeps columns i + k .. (upper) or .. i + k. */
tl_status tl_ref_trilu(tl_call *call)
{
    const tl_trilu_attrs *attrs = call->attrs;
    const tl_tensor *x = &call->in[0];
    tl_tensor *out = &call->out[0];
    if (x->rank < 2)
        return tl_ref_fail(call, "a matrix is needed");
    int64_t columns = x->shape[x->rank - 1], rows = x->shape[x->rank - 2],
            count = tl_tensor_count(x);
    int64_t k = TL_MIN(TL_MAX(attrs->k, -rows - 1), columns + 1);
    for (int64_t row = 0, at = 0; at < count; row++, at += columns) {
        int64_t border = row % rows + k + !attrs->upper; /* first column of the right part */
        border = TL_MIN(TL_MAX(border, (int64_t)0), columns);
        int64_t from = attrs->upper ? border : 0, to = attrs->upper ? columns : border;
        tl_ref_clear(out, at, from);
        tl_ref_copy(x, at + from, 1, out, at + from, to - from);
        tl_ref_clear(out, at + to, columns - to);
    }
    return TL_OK;
}

/* ---- nonzero ---- */

/* flag[i]: x[at + i] is not zero. */
static void load_flags(const tl_tensor *x, int64_t at, int64_t n, bool *flag)
{
    double f[TL_REF_RUN];
    int64_t k[TL_REF_RUN];
    bool floats = tl_dtype_is_float(x->dtype);
    if (floats)
        tl_ref_load_f64(x, at, 1, n, f);
    else
        tl_ref_load_i64(x, at, 1, n, k);
    for (int64_t i = 0; i < n; i++)
        flag[i] = floats ? f[i] != 0 : k[i] != 0;
}

tl_status tl_ref_shape_nonzero(tl_call *call)
{
    const tl_tensor *x = &call->in[0];
    int64_t shape[2] = {0, x->rank};
    bool flag[TL_REF_RUN];
    for (int64_t at = 0, count = tl_tensor_count(x); at < count; at += TL_REF_RUN) {
        int64_t run = TL_MIN(count - at, (int64_t)TL_REF_RUN);
        load_flags(x, at, run, flag);
        for (int64_t i = 0; i < run; i++)
            shape[0] += flag[i];
    }
    tl_ref_set_shape(&call->out[0], 2, shape);
    return TL_OK;
}

static void store_index(tl_tensor *out, int64_t row, const tl_tensor *x, int64_t element)
{
    int64_t index[TL_MAX_RANK];
    for (int axis = x->rank - 1; axis >= 0; axis--) {
        index[axis] = element % x->shape[axis];
        element /= x->shape[axis];
    }
    tl_ref_store_i64(out, row * x->rank, x->rank, index);
}

tl_status tl_ref_nonzero(tl_call *call)
{
    const tl_tensor *x = &call->in[0];
    int64_t row = 0, n_rows = call->out[0].shape[0];
    bool flag[TL_REF_RUN];
    for (int64_t at = 0, count = tl_tensor_count(x); at < count; at += TL_REF_RUN) {
        int64_t run = TL_MIN(count - at, (int64_t)TL_REF_RUN);
        load_flags(x, at, run, flag);
        for (int64_t i = 0; i < run; i++)
            if (flag[i] && row < n_rows)
                store_index(&call->out[0], row++, x, at + i);
    }
    return TL_OK;
}
