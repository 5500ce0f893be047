/* The text of tfl/marks.h. */
#include "emit/emit_plan.h"
#include "tfl/marks.h"

/* Symbols that the inputs of entries give birth to; inference makes the others anew. */
static void mark_symbols(const tl_model *model, tl_text *text)
{
    for (size_t i = 0; i < tl_dims_n_symbols(model->dims); i++) {
        const tl_symbol *symbol = tl_dims_get_symbol(model->dims, i);
        const tl_value *born = symbol->born;
        if (!born || born->def || !born->graph || born->graph->owner)
            continue;
        tl_text_add(text, "symbol");
        tl_marks_add(text, tl_str_from(symbol->name));
        tl_marks_add_int(text, symbol->range.lo);
        tl_marks_add_int(text, symbol->range.hi);
        tl_marks_add_int(text, symbol->hint);
        tl_text_add_char(text, '\n');
    }
}

static void mark_entries(const tl_emit_plan *plan, tl_text *text)
{
    for (size_t e = 0; e < plan->model->entries.n; e++) {
        const tl_entry *entry = &plan->model->entries.v[e];
        tl_text_add(text, "entry");
        tl_marks_add_int(text, tl_emit_plan_entry_graph(plan, entry));
        tl_marks_add_int(text, (int64_t)entry->n_shown);
        tl_marks_add(text, entry->name);
        tl_text_add_char(text, '\n');
    }
}

static void mark_dims(tl_emit_plan *plan, uint32_t g, tl_text *text)
{
    const tl_graph *graph = plan->graphs.v[g].graph;
    for (size_t i = 0; i < graph->inputs.n; i++) {
        const tl_type *type = &graph->inputs.v[i]->fact.type;
        if (tl_type_is_static(type))
            continue;
        tl_text_add(text, "dims");
        tl_marks_add_int(text, g);
        tl_marks_add_int(text, plan->tensor_of[graph->inputs.v[i]->id]);
        for (int axis = 0; axis < type->rank; axis++) {
            tl_text dim;
            tl_text_init(&dim, plan->arena);
            tl_dim_print(type->dims[axis], &dim);
            tl_marks_add(text, tl_str_from(tl_text_get(&dim)));
        }
        tl_text_add_char(text, '\n');
    }
}

static void mark_values(const tl_emit_plan *plan, uint32_t g, tl_text *text)
{
    const tl_emit_graph *graph = &plan->graphs.v[g];
    for (size_t t = 0; t < graph->tensors.n; t++) {
        const tl_value *value = graph->tensors.v[t].value;
        const tl_mark *mark = value ? value->mark : NULL;
        if (!mark)
            continue;
        tl_text_printf(text, "mark %u %zu %s ", g, t, mark->exact ? "exact" : "about");
        for (int i = 0; mark->perm && i < mark->rank; i++)
            tl_text_printf(text, i ? ",%d" : "%d", mark->perm[i]);
        if (!mark->perm)
            tl_text_add_char(text, '-');
        tl_marks_add(text, mark->name);
        tl_text_add_char(text, '\n');
    }
}

/* Number of an origin, written when it is new. */
static size_t mark_origin(tl_map *known, const tl_origin *origin, tl_text *text)
{
    if (!origin)
        return 0;
    uint64_t key = (uint64_t)(uintptr_t)origin; /* interned: one object per origin */
    const size_t *number = tl_map_find_id(known, key);
    if (number)
        return *number;
    size_t also = mark_origin(known, origin->also, text);
    tl_text_add(text, "origin");
    tl_marks_add(text, origin->node);
    tl_marks_add(text, origin->op);
    tl_marks_add(text, origin->module);
    tl_marks_add_int(text, (int64_t)also);
    for (size_t i = 0; i < origin->n_frames; i++)
        tl_marks_add(text, origin->frames[i]);
    tl_text_add_char(text, '\n');
    size_t *made = TL_NEW(known->arena, size_t);
    if (!made)
        return 0;
    *made = known->n + 1;
    return tl_map_put_id(known, key, made) ? *made : 0;
}

static void mark_nodes(const tl_emit_plan *plan, uint32_t g, tl_map *known, tl_text *text)
{
    const tl_graph *graph = plan->graphs.v[g].graph;
    size_t k = plan->graphs.v[g].first.n;
    const tl_origin *last = NULL;
    TL_EACH_NODE (node, graph) {
        if (node != graph->last && node->origin != last) {
            size_t number = mark_origin(known, node->origin, text);
            tl_text_printf(text, "from %u %zu %zu\n", g, k, number);
        }
        last = node->origin;
        k++;
    }
}

void tl_emit_marks(tl_emit_plan *plan, tl_text *text)
{
    tl_map known;
    tl_map_init(&known, plan->arena);
    tl_text_add(text, TL_MARKS_FIRST "\n");
    mark_symbols(plan->model, text);
    mark_entries(plan, text);
    for (uint32_t g = 0; g < plan->graphs.n; g++) {
        tl_emit_plan_enter(plan, g);
        if (g < plan->n_entry_graphs)
            mark_dims(plan, g, text);
        mark_values(plan, g, text);
        if (plan->graphs.v[g].graph)
            mark_nodes(plan, g, &known, text);
    }
}
