/* The table of formulas. */
#include "formula/formula_build.h"

static const formula_fn formulas[TL_OP_COUNT] = {
#define FORMULA(name) [TL_OP_##name] = formula_##name,
#include "formula/formulas.def"
#undef FORMULA
};

bool tl_formula_has(tl_op op)
{
    return formulas[op] != NULL;
}

tl_status tl_formula_expand(tl_builder *b, const tl_node *node, tl_value **out)
{
    formula f = {.b = b, .model = b->model, .node = node, .out = out};
    const tl_value *first = tl_in(node, 0);
    f.dtype = first ? tl_type_of(first)->dtype : TL_F32;
    if (!formulas[node->op])
        return tl_bug(b->model->cx, "no formula of %s", tl_op_get(node->op)->name);
    formulas[node->op](&f);
    return TL_OK;
}

tl_value *fx_polynomial(formula *f, tl_value *x, const double *c, int n)
{
    tl_value *sum = fx_number(f, c[n - 1]);
    for (int i = n - 2; i >= 0; i--) {
        sum = i == n - 2 ? fx_mul_n(f, x, c[n - 1]) : fx_mul(f, sum, x);
        sum = c[i] == 0 ? sum : fx_add_n(f, sum, c[i]);
    }
    return sum;
}

void fx_refuse(formula *f, const char *what)
{
    const tl_origin *origin = f->node->origin;
    tl_where where = {.file = f->model->source_name.p,
                      .place = origin && origin->node.n ? origin->node.p : ""};
    tl_fail(f->model->cx, TL_U003, &where, "%s with %s", tl_op_get(f->node->op)->name, what);
    tl_node *poison = tl_build_poison(f->b, f->node->n_out);
    for (uint32_t i = 0; i < f->node->n_out; i++)
        f->out[i] = poison->out[i];
}
