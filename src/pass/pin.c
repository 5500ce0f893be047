/* Open sizes of inputs that can only be one number become that number: where an operator needs c = 4 and runs whatever
 * the input is, a file with c open would promise what neither it nor the source can do. */
#include "ir/substitute.h"
#include "pass/pass.h"

/* The only value of the one symbol in a = b; false when there is none, or none that its range allows. */
static bool solve(const tl_dim *a, const tl_dim *b, const tl_symbol **symbol, int64_t *value)
{
    int64_t result;
    if (!tl_dim_is_const(b, &result)) {
        const tl_dim *other = a;
        a = b;
        b = other;
    }
    if (!tl_dim_is_const(b, &result))
        return false;
    int64_t factor = 1, offset = 0;
    const tl_dim *atom = a;
    if (a->kind == TL_DIM_SUM) {
        if (a->n_terms != 1 || a->terms[0].n_atoms != 1)
            return false;
        factor = a->terms[0].coefficient;
        offset = a->constant;
        atom = a->terms[0].atoms[0];
    }
    if (atom->kind != TL_DIM_SYMBOL || (result - offset) % factor != 0)
        return false;
    *symbol = atom->symbol;
    *value = (result - offset) / factor;
    return *value >= (*symbol)->range.lo && *value <= (*symbol)->range.hi;
}

static bool is_on_an_input(const tl_symbol *symbol)
{
    return symbol->born && !symbol->born->def && !symbol->born->constant;
}

/* What stands in a branch or loop may never run, and its assumptions never count. */
static bool has_child_graphs(const tl_model *model)
{
    for (size_t i = 0; i < model->entries.n; i++)
        TL_EACH_NODE (node, model->entries.v[i].graph)
            if (node->n_graphs)
                return true;
    return false;
}

static bool pins(const tl_assumption *a, const tl_symbol **symbol, int64_t *value)
{
    return solve(a->a, a->b, symbol, value) && is_on_an_input(*symbol);
}

bool tl_pass_pinned(const tl_model *model, size_t i, const tl_symbol **symbol, int64_t *value)
{
    return pins(&model->assumptions.v[i], symbol, value) && !has_child_graphs(model);
}

tl_status tl_pass_pin(tl_model *model)
{
    tl_arena arena;
    tl_substitutions pinned = {0};
    if (!model->assumptions.n || has_child_graphs(model))
        return TL_OK;
    tl_arena_init(&arena, model->cx);
    for (size_t i = 0; i < model->assumptions.n; i++) {
        tl_substitution pin;
        int64_t value;
        if (pins(&model->assumptions.v[i], &pin.symbol, &value)) {
            pin.value = tl_dim_const(model->dims, value);
            (void)tl_vec_push(&arena, &pinned, pin);
        }
    }
    tl_status status = pinned.n ? tl_model_substitute(model, &pinned) : TL_OK;
    tl_arena_release(&arena);
    return status;
}
