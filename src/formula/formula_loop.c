/* Loops with a known number of turns, and the small things that formulas over sequences need. */
#include "formula/formula_build.h"

#define MAX_LOOP 24 /* carried and captured values */

tl_value *fx_part(formula *f, tl_value *x, int axis, const tl_dim *begin, const tl_dim *size)
{
    const tl_type *type = tl_type_of(x);
    const tl_dim *begins[TL_MAX_RANK], *sizes[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK];
    for (int i = 0; i < type->rank; i++) {
        begins[i] = i == axis ? begin : fx_int(f, 0);
        sizes[i] = i == axis ? size : type->dims[i];
        stride[i] = 1;
    }
    return tl_build_slice(f->b, x, begins, sizes, stride);
}

tl_value *fx_zeros(formula *f, const tl_dim *const *dims, int rank)
{
    return tl_build_broadcast_to(f->b, fx_number(f, 0), dims, rank);
}

tl_value *fx_size_number(formula *f, const tl_dim *d)
{
    int64_t n;
    if (tl_dim_is_const(d, &n))
        return fx_number(f, (double)n);
    return tl_build_cast(f->b, tl_build_shape_expr(f->b, &d, 1, 0), f->dtype);
}

static tl_value *range_up_to(formula *f, tl_value *limit)
{
    tl_value *zero = tl_build_scalar(f->model, TL_I64, 0);
    tl_value *one = tl_build_scalar(f->model, TL_I64, 1);
    return tl_build3(f->b, TL_OP_range, zero, limit, one, NULL);
}

tl_value *fx_iota(formula *f, const tl_dim *n)
{
    return range_up_to(f, tl_build_shape_expr(f->b, &n, 1, 0));
}

const tl_dim *fx_computed_size(formula *f, tl_value *number)
{
    tl_value *range = range_up_to(f, tl_build_cast(f->b, number, TL_I64));
    return range->poison ? fx_int(f, 0) : fx_size(range, 0);
}

void fx_cubic_weights(formula *f, tl_value *t, double a, tl_value **w)
{
    const double far[4] = {-4 * a, 8 * a, -5 * a, a}, near[4] = {1, 0, -(a + 3), a + 2};
    tl_value *s = fx_sub(f, fx_number(f, 1), t);
    w[0] = fx_polynomial(f, fx_add_n(f, t, 1), far, 4);
    w[1] = fx_polynomial(f, t, near, 4);
    w[2] = fx_polynomial(f, s, near, 4);
    w[3] = fx_polynomial(f, fx_add_n(f, s, 1), far, 4);
}

typedef struct loop_graphs {
    tl_graph *cond, *body;
    tl_value *in[1 + MAX_LOOP], *operands[1 + MAX_LOOP];
    size_t n;
} loop_graphs;

static tl_value *add_slot(loop_graphs *g, tl_value *outer, bool captured)
{
    tl_value *inner;
    if (captured) {
        inner = tl_graph_add_capture(g->body, outer);
        (void)tl_graph_add_capture(g->cond, outer);
    } else {
        inner = tl_graph_add_input(g->body, *tl_type_of(outer), TL_STR(""));
        (void)tl_graph_add_input(g->cond, *tl_type_of(outer), TL_STR(""));
    }
    g->operands[g->n] = outer;
    g->in[g->n++] = inner;
    return inner;
}

/* i < turns */
static void build_loop_condition(formula *f, tl_graph *cond, const tl_dim *turns)
{
    tl_builder b = tl_builder_at_end(cond);
    b.origin = f->b->origin;
    b.legal = f->b->legal;
    tl_value *limit = tl_build_shape_expr(&b, &turns, 1, 0);
    tl_value *more = tl_build2(&b, TL_OP_less, cond->inputs.v[0], limit, NULL);
    (void)tl_graph_set_outputs(cond, &more, 1);
}

void fx_loop(formula *f, const tl_dim *turns, tl_value *const *start, size_t n,
             tl_value *const *captured, size_t n_captured, fx_turn turn, void *user, tl_value **out)
{
    TL_ASSERT(n + n_captured <= MAX_LOOP);
    loop_graphs g = {.cond = tl_graph_new(f->model, TL_STR("more"))};
    g.body = tl_graph_new(f->model, TL_STR("turn"));
    tl_value *inner[MAX_LOOP + 1] = {0}, *next[MAX_LOOP + 1];
    tl_value *i = add_slot(&g, tl_build_scalar(f->model, TL_I64, 0), false);
    for (size_t k = 0; k < n; k++)
        (void)add_slot(&g, start[k], false);
    for (size_t k = 0; k < n_captured; k++)
        if (captured[k])
            inner[k] = captured[k]->constant ? captured[k] : add_slot(&g, captured[k], true);
    build_loop_condition(f, g.cond, turns);

    tl_builder b = tl_builder_at_end(g.body), *outside = f->b;
    b.origin = outside->origin;
    b.legal = outside->legal;
    f->b = &b;
    turn(f, user, i, g.in + 1, inner, next + 1);
    next[0] = fx_add(f, i, tl_build_scalar(f->model, TL_I64, 1));
    f->b = outside;
    (void)tl_graph_set_outputs(g.body, next, n + 1);

    tl_while_attrs attrs = {.carried = (int64_t)n + 1};
    tl_node *node = tl_build_node(f->b, TL_OP_while, g.operands, g.n, &attrs, n + 1,
                                  (tl_graph *[]){g.cond, g.body}, 2);
    for (size_t k = 0; k < n; k++)
        out[k] = node->out[k + 1];
}
