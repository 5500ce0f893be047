/* Handlers: choosing by contents. What is chosen is known when the model runs; sizes are births of nonzero. */
#include "import/onnx/onnx_op.h"

/* x[n,..] at the indices v[k]. */
static tl_value *rows_at(onnx_call *c, tl_value *x, tl_value *v, int axis)
{
    tl_gather_attrs attrs = {.axis = axis, .may_be_negative = false};
    return tl_build2(c->b, TL_OP_gather, x, v, &attrs);
}

/* Where flag[n] is true, as i64[k]. */
static tl_value *places_of(onnx_call *c, tl_value *flag)
{
    tl_value *found = onnx_build_1(c, TL_OP_nonzero, flag);
    return found->poison ? found : tl_build_reshape(c->b, found, tl_type_of(found)->dims, 1);
}

static tl_value *flattened(onnx_call *c, tl_value *x)
{
    const tl_dim *all = onnx_product(c, x, 0, onnx_rank(x));
    return tl_build_reshape(c->b, x, &all, 1);
}

void onnx_import_compress(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 1, TL_MAX_RANK), *flag = onnx_need_rank(c, 1, 1, 1);
    bool along = onnx_find_attr(c, "axis") != NULL;
    int axis = x && along ? onnx_axis(c, onnx_attr_i(c, "axis", 0), onnx_rank(x)) : 0;
    if (!x || !flag || axis < 0)
        return;
    tl_value *at = places_of(c, flag);
    if (!at->poison)
        c->out[0] = rows_at(c, along ? x : flattened(c, x), at, axis);
}

/* ---- Unique: every row against every other ---- */

typedef struct rows {
    tl_value *x; /* [n,m] */
    const tl_dim *n, *m;
    tl_value *same,
        *less; /* bool[n,n]: row i equals row j; is below it, by the first element that differs */
} rows;

/* x as [n,1,m] or [1,n,m]. */
static tl_value *spread_rows(onnx_call *c, const rows *r, bool down)
{
    const tl_dim *one = onnx_int(c, 1);
    const tl_dim *dims[] = {down ? r->n : one, down ? one : r->n, r->m};
    return tl_build_reshape(c->b, r->x, dims, 3);
}

static void compare_rows(onnx_call *c, rows *r)
{
    static const int64_t last[] = {2};
    tl_value *a = spread_rows(c, r, true), *b = spread_rows(c, r, false);
    tl_value *differs = onnx_build(c, TL_OP_not_equal, a, b);
    tl_value *below = onnx_build(c, TL_OP_less, a, b);
    r->same = tl_build_reduce(c->b, TL_OP_reduce_any, differs, last, 1, false);
    r->same = onnx_build_1(c, TL_OP_not, r->same);
    if (r->same->poison || below->poison)
        return;
    const tl_dim *square[] = {r->n, r->n};
    if (tl_dim_is(r->m, 1)) {
        r->less = tl_build_reshape(c->b, below, square, 2);
        return;
    }
    tl_arg_attrs arg = {.axis = 2, .keep = true};
    tl_gather_attrs gather = {.axis = 2, .may_be_negative = false};
    tl_value *first = tl_build1(c->b, TL_OP_argmax, tl_build_cast(c->b, differs, TL_I32), &arg);
    below =
        tl_build2(c->b, TL_OP_gather_elements, tl_build_cast(c->b, below, TL_I32), first, &gather);
    r->less = tl_build_reshape(c->b, tl_build_cast(c->b, below, TL_BOOL), square, 2);
}

/* The sum of flags bool[n,n] over axis. */
static tl_value *count_flags(onnx_call *c, tl_value *flags, int64_t axis)
{
    return tl_build_reduce(c->b, TL_OP_reduce_sum, tl_build_cast(c->b, flags, TL_I64), &axis, 1,
                           false);
}

/* The place of every row among the unique ones: how many unique rows are below it, or came before its first. */
static tl_value *rank_rows(onnx_call *c, const rows *r, tl_value *is_first, tl_value *first,
                           bool sorted)
{
    const int front = 0, behind = 1;
    tl_value *before;
    if (sorted) { /* less[j,i] and is_first[j], over j */
        tl_value *column = onnx_unsqueeze(c, is_first, &behind, 1);
        return count_flags(c, onnx_build(c, TL_OP_and, r->less, column), 0);
    }
    tl_value *row = onnx_unsqueeze(c, is_first, &front, 1), *j = onnx_iota(c, r->n);
    before = onnx_build(c, TL_OP_less, j, onnx_unsqueeze(c, first, &behind, 1));
    return count_flags(c, onnx_build(c, TL_OP_and, before, row), 1);
}

/* x with `axis` in front, as rows; axis -1: of one element each. */
static void take_rows(onnx_call *c, rows *r, tl_value *x, int axis)
{
    int perm[TL_MAX_RANK];
    const tl_dim *dims[] = {onnx_product(c, x, 0, onnx_rank(x)), onnx_int(c, 1)};
    for (int i = 0; i < onnx_rank(x); i++)
        perm[i] = i == 0 ? axis : i <= axis ? i - 1 : i;
    if (axis >= 0) {
        x = tl_build_transpose(c->b, x, perm);
        dims[0] = onnx_size(x, 0);
        dims[1] = onnx_product(c, x, 1, onnx_rank(x));
    }
    *r = (rows){.x = tl_build_reshape(c->b, x, dims, 2), .n = dims[0], .m = dims[1]};
    compare_rows(c, r);
}

/* Memory and time grow with the square of the number of rows. */
void onnx_import_unique(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 0, TL_MAX_RANK);
    bool along = onnx_find_attr(c, "axis") != NULL;
    int axis = x && along ? onnx_axis(c, onnx_attr_i(c, "axis", 0), onnx_rank(x)) : -1;
    rows r;
    if (!x || (along && axis < 0))
        return;
    take_rows(c, &r, x, axis);
    if (r.same->poison || r.less->poison)
        return;
    tl_arg_attrs arg = {.axis = 1};
    tl_value *first = tl_build1(c->b, TL_OP_argmax, tl_build_cast(c->b, r.same, TL_I32), &arg);
    tl_value *is_first = onnx_build(c, TL_OP_equal, first, onnx_iota(c, r.n));
    tl_value *rank = rank_rows(c, &r, is_first, first, onnx_attr_i(c, "sorted", 1) != 0);
    tl_value *at = places_of(c, is_first);
    if (rank->poison || at->poison)
        return;
    /* the first place of unique row k: at, in the order of ranks */
    tl_scatter_attrs scatter = {.axis = 0, .reduce = TL_scatter_reduce_replace};
    tl_value *zeros = tl_build_scalar(c->model, TL_I64, 0);
    zeros = tl_build_broadcast_to(c->b, zeros, tl_type_of(at)->dims, 1);
    tl_value *place = rows_at(c, rank, at, 0);
    at = tl_build3(c->b, TL_OP_scatter_elements, zeros, place, at, &scatter);
    if (at->poison)
        return;
    c->out[0] = rows_at(c, along ? x : flattened(c, x), at, along ? axis : 0);
    onnx_set_out(c, 1, at);
    onnx_set_out(c, 2, rank);
    if (onnx_wants(c, 3))
        c->out[3] = rows_at(c, count_flags(c, r.same, 1), at, 0);
}
