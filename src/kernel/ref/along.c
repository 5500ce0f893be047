/* Ops that order or add up the elements along one axis: argmax, argmin, cumsum, cumprod, topk. */
#include "kernel/ref/ref.h"

#include <string.h>

/* ---- numbers as keys: integers in the order of the numbers ---- */

/* Where NaN stands: above all numbers, or below. */
enum nan_place { NAN_HIGHEST, NAN_LOWEST };

static int64_t key_of(double x, enum nan_place place)
{
    int64_t bits;
    if (x != x)
        return place == NAN_HIGHEST ? INT64_MAX : INT64_MIN;
    x = x == 0 ? 0 : x;
    memcpy(&bits, &x, sizeof bits);
    return bits < 0 ? INT64_MIN - bits : bits;
}

static void load_keys(const tl_tensor *t, int64_t at, int64_t step, int64_t n, enum nan_place place,
                      int64_t *key)
{
    double x[TL_REF_RUN];
    if (!tl_dtype_is_float(t->dtype)) {
        tl_ref_load_i64(t, at, step, n, key);
        for (int64_t i = 0; t->dtype == TL_U64 && i < n; i++)
            key[i] ^= INT64_MIN;
        return;
    }
    tl_ref_load_f64(t, at, step, n, x);
    for (int64_t i = 0; i < n; i++)
        key[i] = key_of(x[i], place);
}

/* ---- argmax, argmin ---- */

typedef struct arg_rule {
    bool smallest, last;
    enum nan_place place;
} arg_rule;

static int64_t arg_line(const tl_tensor *x, const tl_ref_lines *lines, int64_t line, arg_rule rule)
{
    int64_t best = 0, best_key = INT64_MIN, at = tl_ref_line_at(lines, line), key[TL_REF_RUN];
    for (int64_t from = 0; from < lines->n; from += TL_REF_RUN) {
        int64_t run = TL_MIN(lines->n - from, (int64_t)TL_REF_RUN);
        load_keys(x, at + from * lines->step, lines->step, run, rule.place, key);
        for (int64_t i = 0; i < run; i++) {
            int64_t k = rule.smallest ? ~key[i] : key[i];
            if (k > best_key || (k == best_key && rule.last)) {
                best_key = k;
                best = from + i;
            }
        }
    }
    return best;
}

static tl_status arg_axis(tl_call *call, int64_t axis, arg_rule rule)
{
    int i;
    if (!tl_ref_axis(axis, call->in[0].rank, &i))
        return tl_ref_fail(call, "axis out of range");
    tl_ref_lines lines = tl_ref_lines_of(&call->in[0], i);
    if (lines.n == 0 && lines.n_lines > 0)
        return tl_ref_fail(call, "index of the maximum of no elements");
    for (int64_t line = 0; line < lines.n_lines; line++) {
        int64_t best = arg_line(&call->in[0], &lines, line, rule);
        tl_ref_store_i64(&call->out[0], line, 1, &best);
    }
    return TL_OK;
}

/* NaN is the extreme of every line that has one. */
tl_status tl_ref_arg(tl_call *call)
{
    const tl_arg_attrs *attrs = call->attrs;
    bool smallest = call->op == TL_OP_argmin;
    return arg_axis(call, attrs->axis,
                    (arg_rule){smallest, attrs->last, smallest ? NAN_LOWEST : NAN_HIGHEST});
}

/* NaN is skipped. */
tl_status tl_ref_tfl_arg(tl_call *call)
{
    bool smallest = call->op == TL_OP_tfl_arg_min;
    int64_t axis;
    TRY(tl_ref_scalar(call, 1, &axis));
    return arg_axis(call, axis, (arg_rule){smallest, false, smallest ? NAN_HIGHEST : NAN_LOWEST});
}

tl_status tl_ref_shape_arg(tl_call *call)
{
    const tl_tensor *x = &call->in[0];
    int64_t value, shape[TL_MAX_RANK];
    int axis;
    TRY(tl_ref_scalar(call, 1, &value));
    if (!tl_ref_axis(value, x->rank, &axis))
        return tl_ref_fail(call, "axis out of range");
    for (int i = 0; i + 1 < x->rank; i++)
        shape[i] = x->shape[i + (i >= axis)];
    tl_ref_set_shape(&call->out[0], x->rank - 1, shape);
    return TL_OK;
}

/* ---- cumsum, cumprod ---- */

typedef struct running_rule {
    bool product, exclusive, reverse;
} running_rule;

static void run_floats(tl_call *call, int64_t at, int64_t step, int64_t n, running_rule rule)
{
    double all = rule.product ? 1 : 0, x[TL_REF_RUN];
    for (int64_t from = 0; from < n; from += TL_REF_RUN) {
        int64_t run = TL_MIN(n - from, (int64_t)TL_REF_RUN), first = at + from * step;
        tl_ref_load_f64(&call->in[0], first, step, run, x);
        for (int64_t i = 0; i < run; i++) {
            double before = all;
            all = rule.product ? all * x[i] : all + x[i];
            x[i] = rule.exclusive ? before : all;
        }
        tl_ref_put_f64(&call->out[0], first, step, run, x);
    }
}

static void run_ints(tl_call *call, int64_t at, int64_t step, int64_t n, running_rule rule)
{
    uint64_t all = rule.product ? 1 : 0;
    int64_t x[TL_REF_RUN];
    for (int64_t from = 0; from < n; from += TL_REF_RUN) {
        int64_t run = TL_MIN(n - from, (int64_t)TL_REF_RUN), first = at + from * step;
        tl_ref_load_i64(&call->in[0], first, step, run, x);
        for (int64_t i = 0; i < run; i++) {
            uint64_t before = all, next = (uint64_t)x[i];
            all = rule.product ? all * next : all + next;
            x[i] = (int64_t)(rule.exclusive ? before : all);
        }
        tl_ref_put_i64(&call->out[0], first, step, run, x);
    }
}

static tl_status run_along(tl_call *call, int64_t axis, running_rule rule)
{
    int k;
    TRY(tl_ref_plain(call));
    if (!tl_ref_axis(axis, call->in[0].rank, &k))
        return tl_ref_fail(call, "axis out of range");
    tl_ref_lines lines = tl_ref_lines_of(&call->in[0], k);
    bool floats = tl_dtype_is_float(call->in[0].dtype);
    int64_t step = rule.reverse ? -lines.step : lines.step;
    for (int64_t line = 0; line < lines.n_lines; line++) {
        int64_t at = tl_ref_line_at(&lines, line);
        at += rule.reverse ? (lines.n - 1) * lines.step : 0;
        (floats ? run_floats : run_ints)(call, at, step, lines.n, rule);
    }
    return TL_OK;
}

tl_status tl_ref_cumsum(tl_call *call)
{
    const tl_cumsum_attrs *attrs = call->attrs;
    bool product = call->op == TL_OP_cumprod;
    return run_along(call, attrs->axis, (running_rule){product, attrs->exclusive, attrs->reverse});
}

tl_status tl_ref_tfl_cumsum(tl_call *call)
{
    const tl_tfl_cumsum_attrs *attrs = call->attrs;
    int64_t axis;
    TRY(tl_ref_scalar(call, 1, &axis));
    return run_along(call, axis, (running_rule){false, attrs->exclusive, attrs->reverse});
}

/* ---- topk: a heap of the line in scratch, of which k elements are taken ---- */

typedef struct ranked {
    int64_t key, index;
} ranked;

static bool ranked_before(ranked a, ranked b)
{
    return a.key > b.key || (a.key == b.key && a.index < b.index);
}

static void sift_down(ranked *heap, int64_t n, int64_t i)
{
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && ranked_before(heap[child + 1], heap[child]))
            child++;
        if (!ranked_before(heap[child], heap[i]))
            return;
        ranked swap = heap[i];
        heap[i] = heap[child];
        heap[child] = swap;
    }
}

static void rank_line(const tl_tensor *x, const tl_ref_lines *lines, int64_t at, bool largest,
                      enum nan_place place, ranked *heap)
{
    int64_t key[TL_REF_RUN];
    for (int64_t from = 0; from < lines->n; from += TL_REF_RUN) {
        int64_t run = TL_MIN(lines->n - from, (int64_t)TL_REF_RUN);
        load_keys(x, at + from * lines->step, lines->step, run, place, key);
        for (int64_t i = 0; i < run; i++)
            heap[from + i] = (ranked){largest ? key[i] : ~key[i], from + i};
    }
    for (int64_t i = lines->n / 2 - 1; i >= 0; i--)
        sift_down(heap, lines->n, i);
}

static tl_status topk_axis(tl_call *call, int axis, bool largest, enum nan_place place)
{
    const tl_tensor *x = &call->in[0];
    tl_ref_lines from = tl_ref_lines_of(x, axis), to = tl_ref_lines_of(&call->out[0], axis);
    ranked *heap = call->scratch;
    if (to.n > from.n)
        return tl_ref_fail(call, "k is larger than the axis");
    for (int64_t line = 0; line < to.n_lines; line++) {
        int64_t at = tl_ref_line_at(&from, line), out = tl_ref_line_at(&to, line), left = from.n;
        rank_line(x, &from, at, largest, place, heap);
        for (int64_t i = 0; i < to.n; i++, out += to.step) {
            tl_ref_copy(x, at + heap[0].index * from.step, 1, &call->out[0], out, 1);
            tl_ref_store_i64(&call->out[1], out, 1, &heap[0].index);
            heap[0] = heap[--left];
            sift_down(heap, left, 0);
        }
    }
    return TL_OK;
}

/* NaN is larger than every number. */
tl_status tl_ref_topk(tl_call *call)
{
    const tl_topk_attrs *attrs = call->attrs;
    int axis;
    if (!tl_ref_axis(attrs->axis, call->in[0].rank, &axis))
        return tl_ref_fail(call, "axis out of range");
    return topk_axis(call, axis, attrs->largest, NAN_HIGHEST);
}

/* NaN comes last. */
tl_status tl_ref_tfl_topk(tl_call *call)
{
    if (call->in[0].rank == 0)
        return tl_ref_fail(call, "a scalar has no axis");
    return topk_axis(call, call->in[0].rank - 1, true, NAN_LOWEST);
}

/* As long as the longest axis: enough for each of them. */
size_t tl_ref_scratch_topk(const tl_call *call)
{
    int64_t n = 0;
    for (int i = 0; i < call->in[0].rank; i++)
        n = TL_MAX(n, call->in[0].shape[i]);
    return (size_t)n * sizeof(ranked);
}

tl_status tl_ref_shape_topk(tl_call *call)
{
    const tl_tensor *x = &call->in[0];
    int64_t k;
    TRY(tl_ref_scalar(call, 1, &k));
    if (x->rank == 0 || k < 0 || k > x->shape[x->rank - 1])
        return tl_ref_fail(call, "k is larger than the axis");
    for (int i = 0; i < 2; i++) {
        tl_ref_set_shape(&call->out[i], x->rank, x->shape);
        call->out[i].shape[x->rank - 1] = k;
    }
    return TL_OK;
}
