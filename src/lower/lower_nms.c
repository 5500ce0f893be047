/* Suppression by NON_MAX_SUPPRESSION_V4, which serves one class, leaves the order of equal scores
 * open, and suppresses at the overlap already: so boxes come sorted, with their rank as score, and
 * the overlap is the next larger number. */
#include "lower/lowerer.h"

#include <math.h>

bool tl_lower_takes_nms(const tl_lower_options *options, const tl_node *node)
{
    const tl_type *scores = tl_type_of(node->in[1].value);
    (void)options;
    return tl_dim_is(scores->dims[0], 1) && tl_dim_is(scores->dims[1], 1);
}

static tl_value *next_larger(tl_lowerer *lw, tl_value *x)
{
    x = tl_lower_cast(lw, x, TL_F32);
    if (tl_type_of(x)->rank)
        x = tl_build_reshape(&lw->b, x, NULL, 0);
    x = tl_build2(&lw->b, TL_OP_mul, x, tl_lower_scalar(lw, TL_F32, 1 + 0x1p-23), NULL);
    return tl_build2(&lw->b, TL_OP_max, x, tl_lower_scalar(lw, TL_F32, 0x1p-126), NULL);
}

/* n - 1, …, 1, 0 */
static tl_value *ranks(tl_lowerer *lw, const tl_dim *n)
{
    tl_value *last = tl_lower_dim(lw, tl_dim_add_i(lw->dims, n, -1));
    tl_value *down = tl_build2(&lw->b, TL_OP_sub, last, tl_lower_iota(lw, n), NULL);
    return tl_lower_cast(lw, down, TL_F32);
}

/* Scores that are too low get a rank below all others. */
static tl_value *rank_scores(tl_lowerer *lw, const tl_node *node, tl_value *sorted, const tl_dim *n)
{
    tl_value *least = tl_in(node, 3), *rank = ranks(lw, n);
    if (!least)
        return rank;
    least = tl_lower_cast(lw, least, TL_F32);
    tl_value *high = tl_build2(&lw->b, TL_OP_greater, sorted, least, NULL);
    return tl_build3(&lw->b, TL_OP_where, high, rank, tl_lower_scalar(lw, TL_F32, -1), NULL);
}

static tl_value *pick(tl_lowerer *lw, tl_value *x, tl_value *index)
{
    tl_gather_attrs attrs = {.axis = 0, .may_be_negative = false};
    return tl_build2(&lw->b, TL_OP_gather, x, index, &attrs);
}

void tl_lower_make_nms(tl_lowerer *lw, const tl_node *node, tl_value **out)
{
    const tl_dim *n = tl_size_of(node->in[0].value, 1), *four = tl_lower_const(lw, 4);
    const tl_dim *kept = tl_size_of(node->out[0], 2);
    tl_value *boxes = tl_lower_cast(lw, node->in[0].value, TL_F32);
    tl_value *scores = tl_lower_cast(lw, node->in[1].value, TL_F32);
    boxes = tl_build_reshape(&lw->b, boxes, (const tl_dim *[]){n, four}, 2);
    scores = tl_build_reshape(&lw->b, scores, &n, 1);
    tl_value *top_in[] = {scores, tl_lower_dim(lw, n)};
    tl_node *top = tl_build_node(&lw->b, TL_OP_tfl_topk_v2, top_in, 2, NULL, 2, NULL, 0);
    tl_value *order = top->out[1];
    tl_value *in[5];
    in[0] = pick(lw, boxes, order);
    in[1] = rank_scores(lw, node, top->out[0], n);
    in[2] = tl_lower_dim(lw, kept);
    in[3] = next_larger(lw, node->in[2].value);
    in[4] = tl_lower_scalar(lw, TL_F32, -0.5);
    tl_node *nms = tl_build_node(&lw->b, TL_OP_tfl_non_max_suppression_v4, in, 5, NULL, 2, NULL, 0);
    tl_value *index = pick(lw, order, nms->out[0]), *count = nms->out[1];
    tl_value *is_kept = tl_build2(&lw->b, TL_OP_less, tl_lower_iota(lw, kept), count, NULL);
    index = tl_build3(&lw->b, TL_OP_where, is_kept, index, tl_lower_int(lw, 0), NULL);
    index = tl_build_reshape(&lw->b, index, tl_type_of(node->out[0])->dims, 3);
    count = tl_build_reshape(&lw->b, count, tl_type_of(node->out[1])->dims, 2);
    out[0] = tl_lower_cast(lw, index, TL_I64);
    out[1] = tl_lower_cast(lw, count, TL_I64);
}
