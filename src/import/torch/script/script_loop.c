/* Loops that the model decides: core `while`. The body is run once into a graph of its own to see what it
 * changes; that becomes carried, and it is run again until nothing new shows. An attempt that did not hold is
 * discarded. Lists that grow become one stacked value. */
#include "import/torch/script/script_private.h"

#define MAX_ATTEMPTS 40

typedef struct loop_part loop_part;

/* A value before the loop, and what of it is carried. */
struct loop_part {
    script_value before;
    loop_part *items; /* of lists, tuples, dicts */
    size_t n;
    bool carried, lost; /* lost: changes into what no loop can carry */
    bool stacks;        /* a list as one value */
    bool unset;         /* uninitialised before: begins with zeros, before tells the kind */
    script_kind element;
    int64_t skip;
    tl_type type; /* of the carried value */
    bool wide[TL_MAX_RANK];
    tl_value *start, *input, *result;
};

typedef struct loop_slot {
    script_change what;
    loop_part part;
} loop_slot;

typedef struct loop_storage {
    aten_storage *storage;
    loop_part part;
} loop_storage;

typedef struct loop {
    script_eval *ev;
    script_slot *counter, *cond;
    script_value trips;
    const script_block *body;
    TL_VEC(loop_slot) slots;
    TL_VEC(loop_storage) storages;
    uint32_t n_before;   /* storages from here on are born inside */
    size_t first_symbol; /* symbols too */
    aten_scope scope;
    tl_value *turn; /* the counter as input */
    bool changed, refused;
} loop;

/* ---- parts ---- */

static loop_part make_part(loop *l, script_value value)
{
    loop_part part = {.before = value};
    bool dict = value.kind == SCRIPT_DICT;
    bool list = value.kind == SCRIPT_LIST || value.kind == SCRIPT_TUPLE;
    if (list && value.list->stacked) {
        part.stacks = true;
        part.element = value.list->element;
        part.skip = value.list->skip;
    } else if ((list || dict) && !script_enter(l->ev)) {
        part.lost = l->refused = true;
    } else if (list || dict) {
        const script_value *items = dict ? value.dict->items.v : value.list->items.v;
        part.n = dict ? value.dict->items.n : value.list->items.n;
        part.items = TL_NEW_ARRAY(l->ev->arena, loop_part, part.n + 1);
        for (size_t i = 0; part.items && i < part.n; i++)
            part.items[i] = make_part(l, items[i]);
        script_leave(l->ev);
    }
    return part;
}

static bool has_carried(const loop_part *part)
{
    if (part->carried || part->lost)
        return true;
    for (size_t i = 0; i < part->n; i++)
        if (has_carried(&part->items[i]))
            return true;
    return false;
}

/* A row of zeros of the elements' type, and behind it the elements that are there already. */
static tl_value *stack_start(loop *l, loop_part *part)
{
    script_eval *ev = l->ev;
    tl_builder *b = &ev->env.scope->b;
    size_t n = part->n + (size_t)part->skip;
    tl_value **rows = TL_NEW_ARRAY(ev->arena, tl_value *, n + 1);
    if (!rows)
        return ev->model->poison;
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < part->type.rank; i++)
        dims[i] = i ? part->type.dims[i] : tl_dim_const(ev->dims, 1);
    if (part->skip)
        rows[0] = tl_build_broadcast_to(b, tl_build_scalar(ev->model, part->type.dtype, 0), dims,
                                        part->type.rank);
    for (size_t i = 0; i < part->n; i++) {
        tl_value *item = script_read(ev, part->items[i].before);
        rows[(size_t)part->skip + i] = tl_build_reshape(b, item, dims, part->type.rank);
    }
    return n == 1 ? rows[0] : tl_build_concat(b, rows, n, 0);
}

/* Before an attempt, in the outer graph: the value that the loop begins with. */
static void prepare(loop *l, loop_part *part)
{
    script_eval *ev = l->ev;
    for (size_t i = 0; i < part->n && !part->stacks; i++)
        prepare(l, &part->items[i]);
    if (!part->carried || part->start)
        return;
    if (part->stacks)
        part->start = part->before.list->stacked ? aten_see(&ev->env, part->before.list->stacked)
                                                 : stack_start(l, part);
    else if (part->unset)
        part->start = tl_build_broadcast_to(&ev->env.scope->b,
                                            tl_build_scalar(ev->model, part->type.dtype, 0),
                                            part->type.dims, part->type.rank);
    else
        part->start = script_read(ev, part->before);
    if (part->start->poison)
        l->refused = true;
    part->type = part->start->fact.type;
    part->wide[0] |= part->stacks;
}

/* Axes that vary get a symbol of their own, born on the input. */
static tl_value *add_input(loop *l, loop_part *part)
{
    script_eval *ev = l->ev;
    tl_type type = part->type;
    const tl_dim **dims = TL_NEW_ARRAY(ev->arena, const tl_dim *, type.rank + 1);
    for (int i = 0; dims && i < type.rank; i++)
        dims[i] = part->wide[i]
                      ? tl_dim_symbol(ev->dims, tl_dims_fresh(ev->dims, "loop", TL_INTERVAL_SIZE))
                      : type.dims[i];
    type.dims = dims;
    part->input = tl_graph_add_input(l->scope.b.graph, type, TL_STR(""));
    return part->input;
}

/* The part with v in the place of what is carried. */
static script_value carried_value(loop *l, const loop_part *part, tl_value *v)
{
    script_eval *ev = l->ev;
    script_value x = part->before;
    if (part->stacks)
        return script_stacked_list(ev, v, part->element, part->skip);
    if (x.kind != SCRIPT_TENSOR)
        return script_number(x.kind, v);
    aten_tensor *t = aten_tensor_new(&ev->env, v);
    t->is_complex = x.t->is_complex;
    return script_tensor(t);
}

typedef tl_value *(*part_source)(loop *l, loop_part *part);

static tl_value *result_of(loop *l, loop_part *part)
{
    (void)l;
    return part->result;
}

/* The value with everything carried replaced by what source gives for it. */
static script_value rebuild(loop *l, loop_part *part, part_source source)
{
    script_eval *ev = l->ev;
    if (part->lost)
        return (script_value){.kind = SCRIPT_UNKNOWN,
                              .why = "it changes its kind in a loop that the model decides"};
    if (part->carried)
        return carried_value(l, part, source(l, part));
    if (!part->items || !has_carried(part))
        return part->before;
    bool dict = part->before.kind == SCRIPT_DICT;
    script_value out =
        dict ? script_make_dict(ev) : script_make_list(ev, part->before.kind, NULL, 0);
    for (size_t i = 0; out.kind == part->before.kind && i < part->n; i++) {
        script_value item = rebuild(l, &part->items[i], source);
        if (dict)
            (void)script_dict_set(ev->arena, out.dict, part->before.dict->keys.v[i], item);
        else
            (void)script_list_push(ev->arena, out.list, item);
    }
    if (out.kind == SCRIPT_TUPLE)
        out.list->class = part->before.list->class;
    return out;
}

/* ---- what an attempt shows ---- */

bool script_is_older_dim(const tl_dim *d, size_t first_symbol)
{
    if (d->kind == TL_DIM_SYMBOL)
        return d->symbol->id < first_symbol;
    if (d->a &&
        !(script_is_older_dim(d->a, first_symbol) && script_is_older_dim(d->b, first_symbol)))
        return false;
    for (uint32_t i = 0; i < d->n_terms; i++)
        for (uint32_t k = 0; k < d->terms[i].n_atoms; k++)
            if (!script_is_older_dim(d->terms[i].atoms[k], first_symbol))
                return false;
    return true;
}

static void refuse(loop *l, const char *why)
{
    if (!l->refused)
        script_fail(l->ev, TL_U006, "a loop that the model decides: %s", why);
    l->refused = true;
}

/* After a turn a carried value has its element type and rank; sizes may vary. */
static void check_type(loop *l, loop_part *part, tl_value *after)
{
    const tl_type *a = &part->input->fact.type, *b = &after->fact.type;
    part->result = after;
    if (after->poison) {
        l->refused = true;
        return;
    }
    if (a->dtype != b->dtype || a->rank != b->rank) {
        refuse(l, "a value changes its type or rank from one turn to the next");
        return;
    }
    for (int i = 0; i < a->rank; i++) {
        if (part->wide[i] || tl_dim_equal(l->ev->dims, a->dims[i], b->dims[i]) == TL_YES)
            continue;
        part->wide[i] = l->changed = true;
    }
}

static void lose(loop *l, loop_part *part)
{
    if (!part->lost)
        part->lost = l->changed = true;
}

static script_kind element_kind(const script_list *list)
{
    script_kind kind = list->items.n ? list->items.v[0].kind : SCRIPT_NONE;
    for (size_t i = 0; i < list->items.n; i++)
        if (list->items.v[i].kind != kind)
            return SCRIPT_NONE;
    return kind;
}

/* Sizes of what a turn made, as far as they are known outside; others are 0 to begin with, and vary. */
static const tl_dim *const *outer_dims(loop *l, loop_part *part, const tl_type *type)
{
    script_eval *ev = l->ev;
    const tl_dim **dims = TL_NEW_ARRAY(ev->arena, const tl_dim *, type->rank + 1);
    for (int i = 0; dims && i < type->rank; i++) {
        bool outer = script_is_older_dim(type->dims[i], l->first_symbol);
        dims[i] = outer ? type->dims[i] : tl_dim_const(ev->dims, 0);
        part->wide[i] |= !outer;
    }
    return dims;
}

/* What is uninitialised before the loop and set in it. */
static void begin_unset(loop *l, loop_part *part, script_value after)
{
    const tl_type *type = &script_read(l->ev, after)->fact.type;
    part->before = after;
    part->type = (tl_type){.dtype = type->dtype, .rank = type->rank};
    part->type.dims = outer_dims(l, part, type);
    part->unset = part->carried = l->changed = true;
    l->refused |= !part->type.dims;
}

/* The type of one element of a list that came out longer; false: they differ in kind. */
static bool element_of(script_eval *ev, const script_list *after, script_kind *kind, tl_type *type)
{
    *kind = after->stacked ? after->element : element_kind(after);
    if (after->stacked) {
        const tl_type *all = &after->stacked->fact.type;
        *type = (tl_type){.dtype = all->dtype, .rank = all->rank - 1, .dims = all->dims + 1};
        return !after->stacked->poison;
    }
    script_value last = after->items.n ? tl_vec_last(&after->items) : script_none();
    if (*kind != SCRIPT_TENSOR && !script_is_number(last))
        return false;
    *type = script_read(ev, last)->fact.type;
    return true;
}

/* A list that came out longer: from now on it is one value, which grows. */
static void begin_stack(loop *l, loop_part *part, const script_list *after)
{
    script_eval *ev = l->ev;
    script_kind kind;
    tl_type element;
    bool fits = (after->stacked || after->items.n > part->n) &&
                element_of(ev, after, &kind, &element) && element.rank < TL_MAX_RANK;
    const tl_dim **dims = fits ? TL_NEW_ARRAY(ev->arena, const tl_dim *, element.rank + 1) : NULL;
    if (!dims) {
        lose(l, part);
        return;
    }
    dims[0] = tl_dim_const(ev->dims, 1);
    for (int i = 0; i < element.rank; i++) {
        dims[i + 1] = element.dims[i];
        if (!script_is_older_dim(element.dims[i], l->first_symbol)) {
            refuse(l, "a list grows by elements of varying shape");
            return;
        }
    }
    part->stacks = part->carried = l->changed = true;
    part->element = kind;
    part->skip = after->stacked ? after->skip : part->n == 0;
    part->type = (tl_type){.dtype = element.dtype, .rank = element.rank + 1, .dims = dims};
}

static void compare(loop *l, loop_part *part, script_value fed, script_value after)
{
    script_eval *ev = l->ev;
    if (part->lost)
        return;
    if (part->carried && part->stacks) {
        if (after.kind == SCRIPT_LIST && after.list->stacked)
            check_type(l, part, aten_see(&ev->env, after.list->stacked));
        else
            refuse(l, "a list that grows is replaced by another");
        return;
    }
    if (part->carried) {
        if (after.kind == SCRIPT_UNKNOWN)
            l->refused = true;
        else if (after.kind == part->before.kind)
            check_type(l, part, script_read(ev, after));
        else
            lose(l, part);
        return;
    }
    if (script_same(fed, after))
        return;
    bool list = (fed.kind == SCRIPT_LIST || fed.kind == SCRIPT_TUPLE) && after.kind == fed.kind;
    bool dict = fed.kind == SCRIPT_DICT && after.kind == fed.kind;
    if (fed.kind == SCRIPT_UNSET && (after.kind == SCRIPT_TENSOR || script_is_number(after))) {
        begin_unset(l, part, after);
    } else if (list && part->stacks) {
        part->carried = l->changed = true;
    } else if (list && fed.kind == SCRIPT_LIST &&
               (after.list->stacked || after.list->items.n != part->n)) {
        begin_stack(l, part, after.list);
    } else if (list || dict) {
        size_t n = list ? after.list->items.n : after.dict->items.n;
        const script_value *a = list ? fed.list->items.v : fed.dict->items.v;
        const script_value *b = list ? after.list->items.v : after.dict->items.v;
        if (n != part->n || !part->items) {
            lose(l, part);
            return;
        }
        for (size_t i = 0; i < n; i++)
            compare(l, &part->items[i], a[i], b[i]);
    } else if ((script_is_number(fed) || fed.kind == SCRIPT_TENSOR) && after.kind == fed.kind) {
        part->carried = l->changed = true;
    } else if (after.kind == SCRIPT_UNKNOWN && !after.why) {
        l->refused = true;
    } else {
        lose(l, part);
    }
}

/* ---- an attempt ---- */

static bool same_change(const script_change *a, const script_change *b)
{
    return a->kind == b->kind && a->slot == b->slot && a->object == b->object &&
           a->list == b->list && a->dict == b->dict && tl_str_equal(a->attr, b->attr);
}

static bool is_listed(const loop *l, const script_change *change)
{
    for (size_t i = 0; i < l->slots.n; i++)
        if (same_change(&l->slots.v[i].what, change))
            return true;
    return false;
}

/* Inputs of the body, in the order of operands: counter, storages, variables. */
static void feed(loop *l, script_value *fed)
{
    script_eval *ev = l->ev;
    l->turn = NULL;
    if (l->counter) {
        l->turn = tl_graph_add_input(l->scope.b.graph, (tl_type){.dtype = TL_I64}, TL_STR(""));
        l->turn->fact.range.lo = 0; /* it counts up from there */
        script_set_slot(ev, l->counter, script_number(SCRIPT_INT, l->turn));
    }
    for (size_t i = 0; i < l->storages.n; i++)
        aten_storage_set(&ev->env, l->storages.v[i].storage, add_input(l, &l->storages.v[i].part));
    for (size_t i = 0; i < l->slots.n; i++) {
        fed[i] = rebuild(l, &l->slots.v[i].part, add_input);
        script_restore(ev, &l->slots.v[i].what, fed[i]);
        if (l->slots.v[i].what.kind == SCRIPT_CHANGE_LIST ||
            l->slots.v[i].what.kind == SCRIPT_CHANGE_DICT)
            fed[i] = script_changed_value(ev, &l->slots.v[i].what);
    }
}

/* Variables that the loop alone has are none of its results. */
static void note_new_changes(loop *l, script_mark mark, script_changes *found)
{
    size_t n;
    const script_change *changed = script_changed(l->ev, mark, &n);
    for (size_t i = 0; changed && i < n; i++) {
        const script_change *c = &changed[i];
        bool local = c->kind == SCRIPT_CHANGE_NAME && (!c->set || c->slot == l->counter);
        if (local || is_listed(l, c))
            continue;
        (void)tl_vec_push(l->ev->arena, found, *c);
        l->changed = true;
    }
}

static void note_new_writes(loop *l, script_mark mark)
{
    script_eval *ev = l->ev;
    aten_storage **written;
    size_t n = aten_journal_written(&ev->env, mark.writes, &written);
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < l->storages.n && l->storages.v[k].storage != written[i])
            k++;
        if (written[i]->id >= l->n_before)
            continue;
        if (k < l->storages.n) {
            check_type(l, &l->storages.v[k].part, aten_see(&ev->env, written[i]->value));
            continue;
        }
        loop_storage storage = {.storage = written[i], .part = {.carried = true}};
        (void)tl_vec_push(ev->arena, &l->storages, storage);
        l->changed = true;
    }
}

/* Begins of what was found, now that everything is as before the loop. */
static void take_new(loop *l, const script_changes *found)
{
    for (size_t i = 0; i < found->n; i++) {
        loop_slot slot = {.what = found->v[i]};
        slot.part = make_part(l, script_changed_value(l->ev, &found->v[i]));
        if (l->cond && found->v[i].slot == l->cond)
            slot.part.carried = true;
        (void)tl_vec_push(l->ev->arena, &l->slots, slot);
    }
}

static tl_graph *build_condition(loop *l);
static void build_while(loop *l, tl_graph *condition);

static void prepare_all(loop *l)
{
    script_eval *ev = l->ev;
    for (size_t i = 0; i < l->slots.n; i++)
        prepare(l, &l->slots.v[i].part);
    for (size_t i = 0; i < l->storages.n; i++) {
        loop_part *part = &l->storages.v[i].part;
        part->start =
            part->start ? part->start : aten_see(&ev->env, l->storages.v[i].storage->value);
        part->type = part->start->fact.type;
        l->refused |= part->start->poison;
    }
}

/* True when the plan held; the graphs are built then. */
static bool attempt(loop *l, tl_graph **condition)
{
    script_eval *ev = l->ev;
    script_changes found = {0};
    prepare_all(l);
    script_value *fed = TL_NEW_ARRAY(ev->arena, script_value, l->slots.n + 1);
    if (!fed || l->refused)
        return false;
    l->scope = (aten_scope){0};
    l->first_symbol = tl_dims_n_symbols(ev->dims);
    script_mark mark = script_mark_set(ev);
    aten_scope_enter(&ev->env, &l->scope, tl_graph_new(ev->model, TL_STR("body")));
    feed(l, fed);
    script_run_block(ev, l->body);
    l->changed = false;
    if (ev->raised || ev->frame->returned) {
        refuse(l, ev->raised ? "its body always raises" : "its body returns");
        ev->raised = ev->frame->returned = false;
    }
    l->refused |= ev->cx->out_of_memory;
    note_new_changes(l, mark, &found);
    note_new_writes(l, mark);
    for (size_t i = 0; i < l->slots.n && !l->refused; i++)
        compare(l, &l->slots.v[i].part, fed[i], script_changed_value(ev, &l->slots.v[i].what));
    bool held = !l->changed && !l->refused;
    *condition = held ? build_condition(l) : NULL;
    held = held && !l->refused;
    aten_scope_leave(&ev->env, &l->scope);
    script_mark_undo(ev, mark);
    if (!held)
        script_discard_graph(l->scope.b.graph);
    take_new(l, &found);
    return held;
}

/* ---- the node ---- */

typedef TL_VEC(loop_part *) part_list;

static void list_parts(loop *l, loop_part *part, part_list *all)
{
    if (part->carried && !part->lost)
        (void)tl_vec_push(l->ev->arena, all, part);
    for (size_t i = 0; i < part->n && !part->carried; i++)
        list_parts(l, &part->items[i], all);
}

static part_list carried_parts(loop *l)
{
    part_list all = {0};
    for (size_t i = 0; i < l->storages.n; i++)
        list_parts(l, &l->storages.v[i].part, &all);
    for (size_t i = 0; i < l->slots.n; i++)
        list_parts(l, &l->slots.v[i].part, &all);
    return all;
}

/* Which input of the body holds the condition; the inputs are in the order of the parts. */
static const loop_part *condition_part(const loop *l)
{
    for (size_t i = 0; i < l->slots.n; i++)
        if (l->slots.v[i].what.slot && l->slots.v[i].what.slot == l->cond)
            return &l->slots.v[i].part;
    return NULL;
}

/* turn < trips, or the carried condition, on inputs like those of the body (whose scope is open). */
static tl_graph *build_condition(loop *l)
{
    script_eval *ev = l->ev;
    const tl_graph *body = l->scope.b.graph;
    const loop_part *cond = condition_part(l);
    tl_value *limit = l->counter ? script_as_scalar(ev, l->trips) : NULL, *result = NULL;
    tl_graph *graph = tl_graph_new(ev->model, TL_STR("condition"));
    if (!l->counter && !cond)
        refuse(l, "its condition never changes");
    tl_builder b = tl_builder_at_end(graph);
    b.origin = script_origin(ev, TL_STR("loop"));
    for (size_t i = 0; i < body->inputs.n; i++) {
        tl_value *input = tl_graph_add_capture(graph, body->inputs.v[i]);
        if (limit && body->inputs.v[i] == limit)
            limit = input;
        if (cond && body->inputs.v[i] == cond->input)
            result = input;
    }
    if (graph->inputs.n < TL_MAX(body->inputs.n, 1)) /* memory is out */
        return graph;
    if (l->counter) {
        if (l->trips.v == NULL) /* sizes are known here too */
            limit = tl_build_shape_expr(&b, &l->trips.i, 1, 0);
        result = tl_build2(&b, TL_OP_less, graph->inputs.v[0], limit, NULL);
    }
    (void)tl_graph_set_outputs(graph, &result, result != NULL);
    return graph;
}

static void set_body_outputs(loop *l, const part_list *parts)
{
    script_eval *ev = l->ev;
    tl_builder *b = &l->scope.b;
    size_t first = l->counter != NULL, n = first + parts->n;
    tl_value **outputs = TL_NEW_ARRAY(ev->arena, tl_value *, n + 1);
    if (!outputs)
        return;
    if (first)
        outputs[0] = tl_build2(b, TL_OP_add, l->turn, tl_build_scalar(ev->model, TL_I64, 1), NULL);
    for (size_t i = 0; i < parts->n; i++) /* what a turn leaves alone is what came in */
        outputs[first + i] = parts->v[i]->result ? parts->v[i]->result : parts->v[i]->input;
    (void)tl_graph_set_outputs(b->graph, outputs, n);
}

static void build_while(loop *l, tl_graph *condition)
{
    script_eval *ev = l->ev;
    part_list parts = carried_parts(l);
    set_body_outputs(l, &parts);
    size_t first = l->counter != NULL, n = first + parts.n, n_in = n + l->scope.captures.n;
    tl_value **operands = TL_NEW_ARRAY(ev->arena, tl_value *, n_in + 1);
    if (!operands)
        return;
    if (first)
        operands[0] = tl_build_scalar(ev->model, TL_I64, 0);
    for (size_t i = 0; i < parts.n; i++)
        operands[first + i] = parts.v[i]->start;
    for (size_t i = n; i < n_in; i++)
        operands[i] = l->scope.captures.v[i - n].outer;
    tl_while_attrs attrs = {.carried = (int64_t)n};
    tl_builder *b = &ev->env.scope->b;
    b->origin = script_origin(ev, TL_STR("loop"));
    tl_node *node = tl_build_node(b, TL_OP_while, operands, n_in, &attrs, n,
                                  (tl_graph *[]){condition, l->scope.b.graph}, 2);
    if (node->n_out < n) /* memory is out */
        return;
    for (size_t i = 0; i < parts.n; i++)
        parts.v[i]->result = node->out[first + i];
    for (size_t i = 0; i < l->storages.n; i++)
        aten_storage_set(&ev->env, l->storages.v[i].storage, l->storages.v[i].part.result);
    for (size_t i = 0; i < l->slots.n; i++)
        if (has_carried(&l->slots.v[i].part))
            script_restore(ev, &l->slots.v[i].what, rebuild(l, &l->slots.v[i].part, result_of));
}

void script_loop(script_eval *ev, script_slot *counter, script_value trips, script_slot *cond,
                 const script_block *body)
{
    loop l = {.ev = ev, .counter = counter, .trips = trips, .cond = cond, .body = body};
    tl_graph *condition;
    l.n_before = ev->env.n_storages;
    if (ev->env.depth >= SCRIPT_MAX_SCOPES) {
        script_fail(ev, TL_U006, "loops nested too deeply");
        return;
    }
    for (int i = 0; i < MAX_ATTEMPTS && !l.refused; i++) {
        if (!attempt(&l, &condition))
            continue;
        build_while(&l, condition);
        return;
    }
    refuse(&l, "what it carries does not settle");
    for (size_t i = 0; i < l.slots.n; i++) /* everything that it changes is unknown */
        if (l.slots.v[i].what.kind == SCRIPT_CHANGE_NAME)
            script_set_slot(ev, l.slots.v[i].what.slot, script_unknown());
}
