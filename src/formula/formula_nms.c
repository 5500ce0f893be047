/* Suppression for many classes or pictures as one for each of them. */
#include "formula/formula_build.h"

#define UNROLL_CLASSES 16

typedef struct nms_classes {
    const tl_dim *batch, *classes, *boxes, *kept;
    const tl_nms_attrs *attrs;
} nms_classes;

/* Row i (rank 1, one element) of x[m, …] as [1, …]. */
static tl_value *row_of(formula *f, tl_value *x, tl_value *i)
{
    tl_gather_attrs attrs = {.axis = 0, .may_be_negative = false};
    return tl_build2(f->b, TL_OP_gather, x, i, &attrs);
}

/* Class i (i64[1]) of the classes of all pictures: indices [1,k], number [1]. */
static void one_class(formula *f, const nms_classes *c, tl_value *const *in, tl_value *i,
                      tl_value **kept, tl_value **count)
{
    tl_value *picture = fx2(f, TL_OP_floordiv, i, tl_build_shape_expr(f->b, &c->classes, 1, 1));
    tl_value *scores = row_of(f, in[1], i);
    const tl_dim *one = fx_int(f, 1), *row[] = {one, one, c->boxes}, *flat[] = {one, c->kept};
    tl_value *boxes = row_of(f, in[0], picture);
    scores = tl_build_reshape(f->b, scores, row, 3);
    tl_value *operands[] = {boxes, scores, in[2], in[3]};
    tl_node *node = tl_build_node(f->b, TL_OP_nms, operands, in[3] ? 4 : 3, c->attrs, 2, NULL, 0);
    *kept = tl_build_reshape(f->b, node->out[0], flat, 2);
    *count = tl_build_reshape(f->b, node->out[1], &one, 1);
}

static void nms_turn(formula *f, void *user, tl_value *i, tl_value *const *carried,
                     tl_value *const *captured, tl_value **next)
{
    const tl_dim *one = fx_int(f, 1);
    const int64_t zero = 0;
    tl_value *row, *count, *at = tl_build_reshape(f->b, i, &one, 1);
    one_class(f, user, captured, at, &row, &count);
    tl_value *start[] = {at, tl_build_i64s(f->model, &zero, 1)};
    next[0] = tl_build3(f->b, TL_OP_dynamic_update_slice, carried[0], row,
                        tl_build_concat(f->b, start, 2, 0), NULL);
    next[1] = tl_build3(f->b, TL_OP_dynamic_update_slice, carried[1], count, at, NULL);
}

static tl_value *integers(formula *f, const tl_dim *const *dims, int rank)
{
    return tl_build_broadcast_to(f->b, tl_build_scalar(f->model, TL_I64, 0), dims, rank);
}

void formula_nms(formula *f)
{
    tl_dims *d = f->model->dims;
    const tl_type *scores = tl_type_of(fx_in(f, 1)), *out = tl_type_of(f->node->out[0]);
    nms_classes c = {.batch = scores->dims[0],
                     .classes = scores->dims[1],
                     .boxes = scores->dims[2],
                     .kept = out->dims[2],
                     .attrs = tl_attrs_of(f->node, nms)};
    const tl_dim *all = tl_dim_mul(d, c.batch, c.classes), *flat[] = {all, c.kept};
    int64_t n;
    tl_value *kept[UNROLL_CLASSES], *count[UNROLL_CLASSES];
    tl_value *in[] = {fx_in(f, 0),
                      tl_build_reshape(f->b, fx_in(f, 1), (const tl_dim *[]){all, c.boxes}, 2),
                      fx_in(f, 2), fx_in(f, 3)};
    if (tl_dim_is(all, 1)) {
        fx_refuse(f, "a target that has no such kernel");
        return;
    }
    if (tl_dim_is_const(all, &n) && n > 0 && n <= UNROLL_CLASSES) {
        for (int64_t i = 0; i < n; i++)
            one_class(f, &c, in, tl_build_i64s(f->model, &i, 1), &kept[i], &count[i]);
        kept[0] = tl_build_concat(f->b, kept, (size_t)n, 0);
        count[0] = tl_build_concat(f->b, count, (size_t)n, 0);
    } else {
        tl_value *start[2], *end[2];
        start[0] = integers(f, flat, 2);
        start[1] = integers(f, flat, 1);
        fx_loop(f, all, start, 2, in, 4, nms_turn, &c, end);
        kept[0] = end[0];
        count[0] = end[1];
    }
    f->out[0] = tl_build_reshape(f->b, kept[0], out->dims, 3);
    f->out[1] = tl_build_reshape(f->b, count[0], out->dims, 2);
}
