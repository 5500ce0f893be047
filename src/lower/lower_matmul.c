/* matmul: a constant right side is FULLY_CONNECTED, any other BATCH_MATMUL. Integers have no
 * kernel: they go through f32 where that is exact, else products are summed. */
#include "lower/lowerer.h"

/* ---- constant right side ---- */

/* y as weights: a constant [k, n], after leading axes of one. */
static bool is_weight_matrix(const tl_value *y)
{
    for (int i = 0; i < tl_type_of(y)->rank - 2; i++)
        if (!tl_dim_is(tl_size_of(y, i), 1))
            return false;
    return tl_lower_is_weight(y);
}

bool tl_lower_takes_fully_connected(const tl_lower_options *options, const tl_node *node)
{
    tl_dtype dtype;
    return is_weight_matrix(node->in[1].value) &&
           tl_type_of(node->in[1].value)->rank <= tl_type_of(node->in[0].value)->rank &&
           tl_dtype_is_float(tl_type_of(node->in[0].value)->dtype) &&
           tl_lower_type(options, TL_OP_tfl_fully_connected, node, 0, 2, &dtype);
}

void tl_lower_make_fully_connected(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    static const int swap[] = {1, 0};
    tl_lower_compute(lw, TL_OP_tfl_fully_connected, node, 0, 2);
    tl_value *x = tl_lower_cast(lw, node->in[0].value, TL_F32);
    tl_value *y = tl_lower_cast(lw, node->in[1].value, TL_F32);
    while (!y->poison && tl_type_of(y)->rank > 2)
        y = tl_lower_weight_squeeze(lw, y);
    y = tl_lower_weight_transpose(lw, y, swap);
    int rank = tl_type_of(x)->rank,
        max = tl_profile_limits(lw->options->profile, TL_OP_tfl_fully_connected).rank;
    bool all[TL_MAX_RANK] = {0};
    for (int i = 1; i < rank - 1; i++)
        all[i] = true;
    tl_axis_groups groups = tl_lower_group(rank, all, max);
    x = tl_lower_merge(lw, x, &groups);
    tl_value *in[] = {x, y, tl_lower_zeros(lw, TL_F32, tl_size_of(y, 0))};
    tl_tfl_fully_connected_attrs attrs = {.keep_num_dims = groups.n > 2,
                                          .quantized_bias_type = TL_F32};
    tl_value *product = tl_build(&lw->b, TL_OP_tfl_fully_connected, in, 3, &attrs);
    if (groups.n < rank)
        product = tl_lower_like(lw, product, node->out[0]);
    out[0] = tl_lower_result(lw, node, product);
}

/* ---- run-time right side ---- */

bool tl_lower_takes_batch_matmul(const tl_lower_options *options, const tl_node *node)
{
    tl_dtype dtype;
    return tl_dtype_is_float(tl_type_of(node->in[0].value)->dtype) &&
           tl_lower_type(options, TL_OP_tfl_batch_matmul, node, 0, 2, &dtype);
}

/* x before a transposition of its last two axes, if it comes from one. Where that brings other axes in order, too,
 * and would take rows apart, another takes its place that keeps them together. */
static tl_value *untransposed(tl_lowerer *lw, tl_value *x, bool *adj)
{
    int64_t perm[TL_MAX_RANK];
    int turn[TL_MAX_RANK];
    size_t n;
    *adj = false;
    if (!x->def || x->def->op != TL_OP_tfl_transpose ||
        !tl_lower_known(lw->cx, x->def->in[1].value, perm, TL_MAX_RANK, &n) || n < 2)
        return x;
    for (size_t i = 0; i < n; i++)
        turn[i] = (int)perm[i];
    turn[n - 1] = (int)perm[n - 2];
    turn[n - 2] = (int)perm[n - 1];
    bool same = true;
    for (size_t i = 0; i < n; i++)
        same &= turn[i] == (int)i;
    *adj = same || (turn[n - 1] == (int)n - 1 && tl_has_one_use(x));
    return *adj ? tl_build_transpose(&lw->b, x->def->in[0].value, turn) : x;
}

/* x with all batch axes of the result, merged into one */
static tl_value *one_batch_axis(tl_lowerer *lw, tl_value *x, const tl_type *result)
{
    const tl_dim *dims[TL_MAX_RANK];
    int rank = result->rank, own = tl_type_of(x)->rank;
    for (int i = 0; i < rank; i++)
        dims[i] = i < rank - 2 ? result->dims[i] : tl_size_of(x, i - rank + own);
    x = tl_build_broadcast_to(&lw->b, x, dims, rank);
    tl_axis_groups groups = {3, {0, rank - 2, rank - 1, rank}};
    return tl_lower_merge(lw, x, &groups);
}

void tl_lower_make_batch_matmul(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_tfl_batch_matmul_attrs attrs = {0};
    const tl_type *result = tl_type_of(node->out[0]);
    tl_lower_compute(lw, TL_OP_tfl_batch_matmul, node, 0, 2);
    tl_value *x = untransposed(lw, tl_lower_cast(lw, node->in[0].value, TL_F32), &attrs.adj_x);
    tl_value *y = untransposed(lw, tl_lower_cast(lw, node->in[1].value, TL_F32), &attrs.adj_y);
    bool merge =
        result->rank > tl_profile_limits(lw->options->profile, TL_OP_tfl_batch_matmul).rank;
    if (merge && !x->poison && !y->poison) {
        x = one_batch_axis(lw, x, result);
        y = one_batch_axis(lw, y, result);
    }
    tl_value *product = tl_build2(&lw->b, TL_OP_tfl_batch_matmul, x, y, &attrs);
    if (merge)
        product = tl_lower_like(lw, product, node->out[0]);
    out[0] = tl_lower_result(lw, node, product);
}

/* ---- integers ---- */

bool tl_lower_takes_int_matmul(const tl_lower_options *options, const tl_node *node)
{
    (void)options;
    const tl_type *type = tl_type_of(node->in[0].value);
    return tl_dtype_is_int(type->dtype) && !type->quant;
}

/* x[*b, m, k, 1] y[*b, 1, k, n] summed over k */
static tl_value *summed_products(tl_lowerer *lw, tl_value *x, tl_value *y)
{
    x = tl_lower_unsqueeze(lw, x, tl_type_of(x)->rank);
    y = tl_lower_unsqueeze(lw, y, tl_type_of(y)->rank - 2);
    tl_value *products = tl_build2(&lw->b, TL_OP_mul, x, y, NULL);
    int64_t axis = tl_type_of(products)->rank - 2;
    return tl_build_reduce(&lw->b, TL_OP_reduce_sum, products, &axis, 1, false);
}

void tl_lower_make_int_matmul(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    tl_value *x = node->in[0].value, *y = node->in[1].value, *sum = NULL;
    tl_dtype dtype = tl_type_of(node->out[0])->dtype;
    int64_t k, step = tl_lower_exact_terms(x, y);
    int ax = tl_type_of(x)->rank - 1, ay = tl_type_of(y)->rank - 2;
    if (!tl_dim_is_const(tl_size_of(x, ax), &k) || step < 32) {
        out[0] = summed_products(lw, x, y);
        return;
    }
    for (int64_t first = 0; first < k; first += step) {
        const tl_dim *begin = tl_lower_const(lw, first),
                     *n = tl_lower_const(lw, TL_MIN(step, k - first));
        tl_value *a = tl_build_cast(&lw->b, tl_lower_part(lw, x, ax, begin, n, 1), TL_F32);
        tl_value *b = tl_build_cast(&lw->b, tl_lower_part(lw, y, ay, begin, n, 1), TL_F32);
        tl_value *part = tl_lower_wrap(lw, tl_build2(&lw->b, TL_OP_matmul, a, b, NULL), dtype);
        sum = sum ? tl_build2(&lw->b, TL_OP_add, sum, part, NULL) : part;
    }
    out[0] = sum ? sum : summed_products(lw, x, y);
}
