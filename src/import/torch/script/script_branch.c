/* An `if` that the model decides: both branches are run from the same state, each into a graph of its own.
 * What they leave different is taken apart into tensors and numbers, which become results of the node; what
 * cannot be (None here, a tensor there) is unknown from then on, and refused where somebody uses it. */
#include "import/torch/script/script_private.h"

typedef struct frozen frozen;

/* A value with the tensors and numbers in it as its branch's graph sees them. */
struct frozen {
    script_value value;
    tl_value *leaf; /* of tensors and run-time numbers */
    frozen *items;  /* of lists, tuples, dicts */
    size_t n;
    bool stacks;    /* a list as one value: leaf or result */
    size_t present; /* of an Optional: 1 + index of the result that tells; items[0] is the rest */
    script_kind element;
    int64_t skip;
    size_t result; /* 1 + index of the node's result that stands for it; 0: value is it */
};

typedef struct branch {
    aten_scope scope;
    script_change *changed;
    frozen *after; /* of changed */
    size_t n;
    aten_storage **written;
    tl_value **contents; /* of written */
    size_t n_written;
    size_t first_symbol; /* born in the branches */
} branch;

typedef struct merge {
    script_eval *ev;
    branch *a, *b;
    TL_VEC(tl_value *) left, right; /* results of the graphs */
    bool ranks_differ;
} merge;

/* ---- freezing ---- */

static frozen freeze(script_eval *ev, script_value value)
{
    frozen x = {.value = value};
    if (value.kind == SCRIPT_TENSOR) {
        x.leaf = aten_tensor_read(&ev->env, value.t);
    } else if (value.v) {
        x.leaf = aten_see(&ev->env, value.v);
    } else if (value.kind == SCRIPT_LIST || value.kind == SCRIPT_TUPLE ||
               value.kind == SCRIPT_DICT) {
        bool dict = value.kind == SCRIPT_DICT;
        if (!dict && value.list->stacked) {
            x.leaf = aten_see(&ev->env, value.list->stacked);
            x.stacks = true;
            x.element = value.list->element;
            x.skip = value.list->skip;
            return x;
        }
        const script_value *items = dict ? value.dict->items.v : value.list->items.v;
        if (!script_enter(ev))
            return (frozen){.value = script_unknown()};
        x.n = dict ? value.dict->items.n : value.list->items.n;
        x.items = TL_NEW_ARRAY(ev->arena, frozen, x.n + 1);
        for (size_t i = 0; x.items && i < x.n; i++)
            x.items[i] = freeze(ev, items[i]);
        script_leave(ev);
    }
    return x;
}

static script_value thaw(script_eval *ev, const frozen *x, tl_value *const *results);

static script_value thaw_maybe(script_eval *ev, const frozen *x, tl_value *const *results)
{
    script_maybe *maybe = TL_NEW(ev->arena, script_maybe);
    if (!maybe)
        return script_unknown();
    maybe->present = results[x->present - 1];
    maybe->item = thaw(ev, x->items, results);
    return (script_value){.kind = SCRIPT_MAYBE, .maybe = maybe};
}

static script_value thaw(script_eval *ev, const frozen *x, tl_value *const *results)
{
    if (x->present)
        return thaw_maybe(ev, x, results);
    if (x->result) {
        tl_value *v = results[x->result - 1];
        if (x->stacks)
            return script_stacked_list(ev, v, x->element, x->skip);
        if (x->value.kind != SCRIPT_TENSOR)
            return script_from_value(ev, x->value.kind, v);
        aten_tensor *t = aten_tensor_new(&ev->env, v);
        t->is_complex = x->value.t && x->value.t->is_complex;
        return script_tensor(t);
    }
    if (!x->items)
        return x->value;
    script_value out = x->value.kind == SCRIPT_DICT ? script_make_dict(ev)
                                                    : script_make_list(ev, x->value.kind, NULL, 0);
    for (size_t i = 0; out.kind == x->value.kind && i < x->n; i++) {
        script_value item = thaw(ev, &x->items[i], results);
        if (out.kind == SCRIPT_DICT)
            (void)script_dict_set(ev->arena, out.dict, x->value.dict->keys.v[i], item);
        else
            (void)script_list_push(ev->arena, out.list, item);
    }
    if (out.kind == SCRIPT_TUPLE)
        out.list->class = x->value.list->class;
    return out;
}

/* ---- merging ---- */

static frozen undecided(merge *m, const char *why)
{
    const char *text = tl_arena_printf(
        m->ev->arena, "it is %s depending on a condition that the model computes", why);
    return (frozen){.value = {.kind = SCRIPT_UNKNOWN, .why = text}};
}

static tl_value *number_in(script_eval *ev, branch *in, const frozen *x, script_kind kind)
{
    aten_scope *scope = ev->env.scope;
    ev->env.scope = &in->scope;
    tl_value *v = x->leaf ? x->leaf : script_as_scalar(ev, x->value);
    v = tl_build_cast(&in->scope.b, v, script_dtype_of(kind));
    ev->env.scope = scope;
    return v;
}

static frozen merge_leaves(merge *m, script_value value, tl_value *left, tl_value *right)
{
    (void)tl_vec_push(m->ev->arena, &m->left, left);
    (void)tl_vec_push(m->ev->arena, &m->right, right);
    return (frozen){.value = value, .result = m->left.n};
}

static frozen merge_tensors(merge *m, const frozen *a, const frozen *b)
{
    const tl_type *x = &a->leaf->fact.type, *y = &b->leaf->fact.type;
    if (a->leaf->poison || b->leaf->poison)
        return (frozen){.value = script_unknown()};
    if (x->dtype != y->dtype || !tl_quant_same(x->quant, y->quant) ||
        a->value.t->is_complex != b->value.t->is_complex)
        return undecided(m, tl_arena_printf(m->ev->arena, "a tensor of %s or of %s",
                                            tl_dtype_name(x->dtype), tl_dtype_name(y->dtype)));
    m->ranks_differ |= x->rank != y->rank;
    if (x->rank != y->rank)
        return undecided(m, tl_arena_printf(m->ev->arena, "a tensor of rank %d or of rank %d",
                                            x->rank, y->rank));
    return merge_leaves(m, a->value, a->leaf, b->leaf);
}

/* Zeros of a type, for a way on which nobody looks at the value: sizes that the other way alone knows
 * are 0. */
static tl_value *placeholder(script_eval *ev, branch *in, const tl_type *type)
{
    const tl_dim *dims[TL_MAX_RANK];
    aten_scope *scope = ev->env.scope;
    ev->env.scope = &in->scope;
    for (int i = 0; i < type->rank; i++)
        dims[i] = script_is_older_dim(type->dims[i], in->first_symbol) ? type->dims[i]
                                                                       : tl_dim_const(ev->dims, 0);
    tl_value *zero = tl_build_scalar(ev->model, type->dtype, 0);
    tl_value *v = tl_build_broadcast_to(&in->scope.b, zero, dims, type->rank);
    ev->env.scope = scope;
    return v;
}

/* Left uninitialised on one way. */
static frozen merge_unset(merge *m, const frozen *a, const frozen *b)
{
    bool left = a->value.kind != SCRIPT_UNSET;
    const frozen *known = left ? a : b;
    script_value x = known->value;
    if (script_is_known(x) || !known->leaf || known->stacks)
        return *known;
    if (known->leaf->poison)
        return (frozen){.value = script_unknown()};
    tl_value *other = placeholder(m->ev, left ? m->b : m->a, &known->leaf->fact.type);
    return merge_leaves(m, x, left ? known->leaf : other, left ? other : known->leaf);
}

/* None on one way, a tensor or number on the other. */
static frozen merge_none(merge *m, const frozen *a, const frozen *b)
{
    bool left = a->value.kind != SCRIPT_NONE;
    const frozen *known = left ? a : b;
    frozen *item = TL_NEW(m->ev->arena, frozen);
    script_value x = known->value;
    if (!item || known->stacks || (x.kind != SCRIPT_TENSOR && !script_is_number(x)))
        return undecided(m, tl_arena_printf(m->ev->arena, "%s or None", script_kind_name(x)));
    *item = merge_unset(m, left ? known : &(frozen){.value.kind = SCRIPT_UNSET},
                        left ? &(frozen){.value.kind = SCRIPT_UNSET} : known);
    tl_value *yes = tl_build_scalar(m->ev->model, TL_BOOL, 1);
    tl_value *no = tl_build_scalar(m->ev->model, TL_BOOL, 0);
    frozen told = merge_leaves(m, x, left ? yes : no, left ? no : yes);
    return (frozen){.value = x, .items = item, .n = 1, .present = told.result};
}

/* ---- lists of different lengths ---- */

static const tl_type *element_type(const frozen *x)
{
    return x->n && x->items[0].leaf ? &x->items[0].leaf->fact.type : NULL;
}

/* The elements of a list one above the other, behind `skip` rows of zeros, in the branch's graph; row is
 * the type of one. NULL: they do not fit. */
static tl_value *stack_items(script_eval *ev, branch *in, const frozen *x, script_kind element,
                             const tl_type *row, int64_t skip)
{
    const tl_dim *dims[TL_MAX_RANK];
    tl_value **rows = TL_NEW_ARRAY(ev->arena, tl_value *, x->n + 2), *v = NULL;
    size_t n = 0;
    aten_scope *scope = ev->env.scope;
    if (!rows || row->rank >= TL_MAX_RANK)
        return NULL;
    dims[0] = tl_dim_const(ev->dims, 1);
    for (int i = 0; i < row->rank; i++)
        dims[i + 1] = row->dims[i];
    ev->env.scope = &in->scope;
    tl_builder *b = &in->scope.b;
    for (int64_t have = x->stacks ? x->skip : 0; have < skip; have++)
        rows[n++] = tl_build_broadcast_to(b, tl_build_scalar(ev->model, row->dtype, 0), dims,
                                          row->rank + 1);
    if (x->stacks)
        rows[n++] = x->leaf;
    for (size_t i = 0; rows && !x->stacks && i < x->n; i++) {
        const frozen *item = &x->items[i];
        bool fits = item->value.kind == element;
        v = item->leaf ? item->leaf : fits ? script_as_scalar(ev, item->value) : NULL;
        fits = fits && v->fact.type.dtype == row->dtype && v->fact.type.rank == row->rank;
        for (int k = 0; fits && k < row->rank; k++)
            fits = tl_dim_equal(ev->dims, v->fact.type.dims[k], row->dims[k]) == TL_YES;
        if (fits)
            rows[n++] = tl_build_reshape(b, v, dims, row->rank + 1);
        else
            rows = NULL;
    }
    if (rows)
        v = n == 1 ? rows[0] : tl_build_concat(b, rows, n, 0);
    ev->env.scope = scope;
    return rows ? v : NULL;
}

/* A list that grew on one way only becomes one stacked value. */
static frozen merge_lengths(merge *m, const frozen *a, const frozen *b)
{
    script_eval *ev = m->ev;
    frozen failed = undecided(m, "one List or another");
    const frozen *known = a->stacks || !b->stacks ? a : b;
    known = known->stacks || known->n ? known : b;
    frozen out = {.value = known->value, .stacks = true};
    out.element = known->stacks ? known->element
                  : known->n    ? known->items[0].value.kind
                                : SCRIPT_NONE;
    tl_type row = {.dtype = script_dtype_of(out.element)};
    if (known->stacks) {
        const tl_type *all = &known->leaf->fact.type;
        row = (tl_type){.dtype = all->dtype, .rank = all->rank - 1, .dims = all->dims + 1};
    } else if (out.element == SCRIPT_TENSOR && element_type(known)) {
        row = *element_type(known);
    } else if (!script_is_number((script_value){.kind = out.element})) {
        return failed;
    }
    bool differ = (a->stacks && b->stacks && a->element != b->element) ||
                  (a->stacks && a->leaf->poison) || (b->stacks && b->leaf->poison);
    out.skip = TL_MAX(a->stacks ? a->skip : a->n == 0, b->stacks ? b->skip : b->n == 0);
    tl_value *left = differ ? NULL : stack_items(ev, m->a, a, out.element, &row, out.skip);
    tl_value *right = left ? stack_items(ev, m->b, b, out.element, &row, out.skip) : NULL;
    if (!right)
        return failed;
    frozen leaves = merge_leaves(m, out.value, left, right);
    out.result = leaves.result;
    return out;
}

static bool same_keys(const script_dict *a, const script_dict *b)
{
    for (size_t i = 0; i < a->keys.n; i++)
        if (!script_same(a->keys.v[i], b->keys.v[i]))
            return false;
    return true;
}

static frozen merge_values(merge *m, const frozen *a, const frozen *b)
{
    script_value x = a->value, y = b->value;
    if (x.kind == SCRIPT_UNKNOWN || y.kind == SCRIPT_UNKNOWN)
        return (frozen){.value = x.kind == SCRIPT_UNKNOWN ? x : y};
    if (script_same(x, y))
        return (frozen){.value = x};
    if (x.kind == SCRIPT_UNSET || y.kind == SCRIPT_UNSET)
        return merge_unset(m, a, b);
    if (script_is_number(x) && script_is_number(y) &&
        (x.kind == y.kind || (x.kind != SCRIPT_BOOL && y.kind != SCRIPT_BOOL))) {
        script_kind kind = TL_MAX(x.kind, y.kind);
        tl_value *left = number_in(m->ev, m->a, a, kind);
        tl_value *right = number_in(m->ev, m->b, b, kind);
        return merge_leaves(m, (script_value){.kind = kind}, left, right);
    }
    if (x.kind == SCRIPT_NONE || y.kind == SCRIPT_NONE)
        return merge_none(m, a, b);
    if (x.kind != y.kind)
        return undecided(
            m, tl_arena_printf(m->ev->arena, "%s or %s", script_kind_name(x), script_kind_name(y)));
    if (x.kind == SCRIPT_TENSOR)
        return merge_tensors(m, a, b);
    bool parts = a->items && b->items && a->n == b->n &&
                 (x.kind != SCRIPT_DICT || same_keys(x.dict, y.dict));
    if (!parts && x.kind == SCRIPT_LIST)
        return merge_lengths(m, a, b);
    if (!parts)
        return undecided(m,
                         tl_arena_printf(m->ev->arena, "one %s or another", script_kind_name(x)));
    frozen out = {.value = x, .n = a->n, .items = TL_NEW_ARRAY(m->ev->arena, frozen, a->n + 1)};
    for (size_t i = 0; out.items && i < out.n; i++)
        out.items[i] = merge_values(m, &a->items[i], &b->items[i]);
    return out;
}

/* ---- one branch ---- */

static bool same_change(const script_change *a, const script_change *b)
{
    return a->kind == b->kind && a->slot == b->slot && a->object == b->object &&
           a->list == b->list && a->dict == b->dict && tl_str_equal(a->attr, b->attr);
}

static const frozen *find_after(const branch *x, const script_change *change)
{
    for (size_t i = 0; i < x->n; i++)
        if (same_change(&x->changed[i], change))
            return &x->after[i];
    return NULL;
}

/* What the branch changed, and what the other one did that this one leaves alone. */
static void note_changes(script_eval *ev, branch *x, script_mark mark, const branch *other)
{
    size_t n, n_other = other ? other->n : 0;
    const script_change *changed = script_changed(ev, mark, &n);
    x->changed = TL_NEW_ARRAY(ev->arena, script_change, n + n_other + 1);
    x->after = TL_NEW_ARRAY(ev->arena, frozen, n + n_other + 1);
    if (!changed || !x->changed || !x->after)
        return;
    for (size_t i = 0; i < n + n_other; i++) {
        const script_change *change = i < n ? &changed[i] : &other->changed[i - n];
        if (i >= n && find_after(x, change))
            continue;
        x->changed[x->n] = *change;
        x->after[x->n++] = freeze(ev, script_changed_value(ev, change));
    }
}

static void note_writes(script_eval *ev, branch *x, script_mark mark)
{
    x->n_written = aten_journal_written(&ev->env, mark.writes, &x->written);
    x->contents = TL_NEW_ARRAY(ev->arena, tl_value *, x->n_written + 1);
    for (size_t i = 0; x->contents && i < x->n_written; i++)
        x->contents[i] = aten_see(&ev->env, x->written[i]->value);
}

/* False: the branch raises, or leaves the function. */
static bool run_branch(script_eval *ev, branch *x, const script_block *block, const branch *other)
{
    tl_graph *graph = tl_graph_new(ev->model, TL_STR("branch"));
    script_mark mark = script_mark_set(ev);
    aten_scope_enter(&ev->env, &x->scope, graph);
    script_run_block(ev, block);
    bool returned = ev->frame->returned, raised = ev->raised;
    if (!raised && !returned && !ev->cx->out_of_memory) {
        note_changes(ev, x, mark, other);
        note_writes(ev, x, mark);
    }
    aten_scope_leave(&ev->env, &x->scope);
    script_mark_undo(ev, mark);
    if (returned) {
        ev->frame->returned = false;
        script_fail(ev, TL_U006, "a return inside of an if that the model decides");
    }
    return !raised && !returned;
}

void script_discard_graph(tl_graph *graph)
{
    (void)tl_graph_set_outputs(graph, NULL, 0);
    while (graph->last->prev)
        tl_node_remove(graph->last->prev);
}

/* ---- branches that raise ---- */

/* Told without running it: the branch of an assertion. */
bool script_always_raises(const script_block *block)
{
    for (size_t i = 0; i < block->n; i++) {
        const script_expr *call =
            block->v[i].kind == SCRIPT_STMT_EXPR ? block->v[i].values[0] : NULL;
        if (call && call->kind == SCRIPT_EXPR_CALL && call->base->kind == SCRIPT_EXPR_ATTR &&
            tl_str_is(call->base->text, "RaiseException"))
            return true;
    }
    return false;
}

static void report_assumption(script_eval *ev)
{
    ev->raised = false;
    script_warn(ev, TL_W006, ev->raised_at, "taken not to happen: %.*s", TL_STR_ARG(ev->message));
}

void script_assume_not(script_eval *ev, const script_block *block)
{
    aten_scope scope;
    tl_graph *graph = tl_graph_new(ev->model, TL_STR("raises"));
    script_mark mark = script_mark_set(ev);
    aten_scope_enter(&ev->env, &scope, graph);
    script_run_block(ev, block);
    aten_scope_leave(&ev->env, &scope);
    script_mark_undo(ev, mark);
    script_discard_graph(graph);
    if (ev->raised)
        report_assumption(ev);
}

/* ---- the node ---- */

static void add_captures(aten_scope *to, const aten_scope *from, tl_arena *arena)
{
    for (size_t i = 0; i < from->captures.n; i++) {
        tl_value *outer = from->captures.v[i].outer;
        size_t k = 0;
        while (k < to->captures.n && to->captures.v[k].outer != outer)
            k++;
        if (k < to->captures.n)
            continue;
        aten_capture capture = {outer, tl_graph_add_capture(to->b.graph, outer)};
        (void)tl_vec_push(arena, &to->captures, capture);
    }
}

/* Captures of b in the order of a, which has all of them. */
static tl_graph *reorder_captures(merge *m)
{
    tl_graph *graph = m->b->scope.b.graph;
    aten_scope *a = &m->a->scope, *b = &m->b->scope;
    tl_value **inputs = TL_NEW_ARRAY(m->ev->arena, tl_value *, a->captures.n + 1);
    for (size_t i = 0; inputs && i < a->captures.n; i++)
        for (size_t k = 0; k < b->captures.n; k++)
            if (b->captures.v[k].outer == a->captures.v[i].outer)
                inputs[i] = b->captures.v[k].inner;
    for (size_t i = 0; inputs && i < a->captures.n && graph->inputs.n == a->captures.n; i++) {
        graph->inputs.v[i] = inputs[i];
        inputs[i]->def_index = (uint32_t)i;
    }
    return graph;
}

static tl_value **build_if(merge *m, tl_value *cond)
{
    script_eval *ev = m->ev;
    aten_scope *a = &m->a->scope, *b = &m->b->scope;
    add_captures(a, b, ev->arena);
    add_captures(b, a, ev->arena);
    tl_graph *graphs[2] = {a->b.graph, reorder_captures(m)};
    tl_value **operands = TL_NEW_ARRAY(ev->arena, tl_value *, a->captures.n + 1);
    if (!operands)
        return NULL;
    operands[0] = aten_see(&ev->env, cond);
    for (size_t i = 0; i < a->captures.n; i++)
        operands[1 + i] = a->captures.v[i].outer;
    (void)tl_graph_set_outputs(graphs[0], m->left.v, m->left.n);
    (void)tl_graph_set_outputs(graphs[1], m->right.v, m->right.n);
    tl_builder *builder = &ev->env.scope->b;
    builder->origin = script_origin(ev, TL_STR("if"));
    tl_node *node =
        tl_build_node(builder, TL_OP_if, operands, 1 + a->captures.n, NULL, m->left.n, graphs, 2);
    return node->n_out == m->left.n ? node->out : NULL;
}

/* Contents of an outer storage after a branch. */
static tl_value *contents_after(script_eval *ev, branch *x, aten_storage *storage)
{
    for (size_t i = 0; i < x->n_written; i++)
        if (x->written[i] == storage)
            return x->contents[i];
    aten_scope *scope = ev->env.scope;
    ev->env.scope = &x->scope;
    tl_value *same = aten_see(&ev->env, storage->value);
    ev->env.scope = scope;
    return same;
}

/* Storages that are older than the branches and were written in either. */
static size_t merge_writes(merge *m, uint32_t n_before, aten_storage **storages)
{
    size_t n = 0;
    for (int side = 0; side < 2; side++) {
        branch *x = side ? m->b : m->a;
        for (size_t i = 0; i < x->n_written; i++) {
            aten_storage *storage = x->written[i];
            size_t k = 0;
            while (k < n && storages[k] != storage)
                k++;
            if (k < n || storage->id >= n_before)
                continue;
            storages[n++] = storage;
            tl_value *left = contents_after(m->ev, m->a, storage);
            tl_value *right = contents_after(m->ev, m->b, storage);
            (void)merge_leaves(m, script_none(), left, right);
        }
    }
    return n;
}

/* Variables of one branch alone end with it. */
static bool is_local(const script_change *change, const frozen *a, const frozen *b)
{
    return change->kind == SCRIPT_CHANGE_NAME && !change->set &&
           (!a || !b || script_is_absent(a->value) || script_is_absent(b->value));
}

/* False: the branches are for an empty tensor and others, and differ in rank (see script_branch). */
static bool apply(merge *m, tl_value *cond, uint32_t n_before, bool guards_empty)
{
    script_eval *ev = m->ev;
    size_t n = m->b->n;
    frozen *merged = TL_NEW_ARRAY(ev->arena, frozen, n + 1);
    aten_storage **storages =
        TL_NEW_ARRAY(ev->arena, aten_storage *, m->a->n_written + m->b->n_written + 1);
    if (!merged || !storages)
        return true;
    size_t n_storages = merge_writes(m, n_before, storages);
    for (size_t i = 0; i < n; i++) {
        const frozen *a = find_after(m->a, &m->b->changed[i]);
        if (!is_local(&m->b->changed[i], a, &m->b->after[i]) && a)
            merged[i] = merge_values(m, a, &m->b->after[i]);
    }
    if (m->ranks_differ && guards_empty)
        return false;
    tl_value **results = m->left.n ? build_if(m, cond) : NULL;
    if (!m->left.n) {
        script_discard_graph(m->a->scope.b.graph);
        script_discard_graph(m->b->scope.b.graph);
    }
    if (m->left.n && !results) /* memory is out */
        return true;
    for (size_t i = 0; i < n_storages; i++)
        aten_storage_set(&ev->env, storages[i], results[i]);
    for (size_t i = 0; i < n; i++) {
        const frozen *a = find_after(m->a, &m->b->changed[i]);
        if (!a || is_local(&m->b->changed[i], a, &m->b->after[i]))
            continue;
        script_value value = thaw(ev, &merged[i], results);
        bool container = m->b->changed[i].kind == SCRIPT_CHANGE_LIST ||
                         m->b->changed[i].kind == SCRIPT_CHANGE_DICT;
        if (container && value.kind == SCRIPT_UNKNOWN)
            script_fail(ev, TL_U006, "a list or dict: %s", value.why ? value.why : "unknown");
        script_restore(ev, &m->b->changed[i], value);
    }
    return true;
}

/* ---- empty tensors ---- */

/* Contents of a size or a product of sizes that the model computes. */
static bool is_open_size(const tl_value *v)
{
    const tl_dim *const *d = v->fact.shape_value;
    return d && d[0]->range.lo >= 0 && !tl_dim_is_const(d[0], NULL);
}

static bool is_number(const tl_value *v, int64_t number)
{
    return v->fact.range.lo == number && v->fact.range.hi == number;
}

/* Conditions such as size > 0: 1 when they hold for what is not empty, -1 when for what is empty, 0:
 * others. */
static int empty_guard(const tl_value *cond)
{
    static const struct {
        tl_op op;
        int64_t number;
        int sign;
    } forms[] = {{TL_OP_greater, 0, 1}, {TL_OP_not_equal, 0, 1},   {TL_OP_greater_equal, 1, 1},
                 {TL_OP_equal, 0, -1},  {TL_OP_less_equal, 0, -1}, {TL_OP_less, 1, -1}};
    const tl_node *node = cond->def;
    if (!node || node->n_in != 2 || !is_open_size(node->in[0].value))
        return 0;
    for (size_t i = 0; i < TL_COUNT(forms); i++)
        if (node->op == forms[i].op && is_number(node->in[1].value, forms[i].number))
            return forms[i].sign;
    return 0;
}

/* What the second branch alone changes, as the first leaves it. */
static void note_rest(script_eval *ev, branch *a, const branch *b, uint32_t n_before)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        n += find_after(a, &b->changed[i]) == NULL;
    script_change *changed = TL_NEW_ARRAY(ev->arena, script_change, a->n + n + 1);
    frozen *after = TL_NEW_ARRAY(ev->arena, frozen, a->n + n + 1);
    if (!n || !changed || !after)
        return;
    for (size_t i = 0; i < a->n; i++) {
        changed[i] = a->changed[i];
        after[i] = a->after[i];
    }
    aten_scope *scope = ev->env.scope;
    script_mark mark = script_mark_set(ev);
    ev->env.scope = &a->scope;
    for (size_t i = 0; i < a->n_written; i++)
        if (a->written[i]->id < n_before)
            aten_storage_set(&ev->env, a->written[i], a->contents[i]);
    n = a->n;
    for (size_t i = 0; i < b->n; i++) {
        if (find_after(a, &b->changed[i]))
            continue;
        changed[n] = b->changed[i];
        after[n++] = freeze(ev, script_changed_value(ev, &b->changed[i]));
    }
    ev->env.scope = scope;
    script_mark_undo(ev, mark);
    a->changed = changed;
    a->after = after;
    a->n = n;
}

/* Where branches treat empty tensors apart because PyTorch's reshape cannot tell their sizes, and give
 * another rank for them, the way for others serves: it has nothing to compute when there is nothing. */
void script_branch(script_eval *ev, tl_value *cond, const script_block *yes, const script_block *no)
{
    branch a = {.first_symbol = tl_dims_n_symbols(ev->dims)}, b = a;
    uint32_t n_before = ev->env.n_storages;
    if (ev->env.depth >= SCRIPT_MAX_SCOPES) {
        script_fail(ev, TL_U006, "conditions nested too deeply");
        return;
    }
    if (script_always_raises(yes) || script_always_raises(no)) {
        bool first = script_always_raises(yes);
        script_assume_not(ev, first ? yes : no);
        script_run_block(ev, first ? no : yes);
        return;
    }
    const script_block *rest = NULL; /* the only way that is left */
    if (!run_branch(ev, &a, yes, NULL)) {
        rest = no;
    } else if (!run_branch(ev, &b, no, &a)) {
        rest = yes;
    } else {
        merge m = {.ev = ev, .a = &a, .b = &b};
        int guard = empty_guard(cond);
        note_rest(ev, &a, &b, n_before);
        if (ev->cx->out_of_memory)
            return;
        if (!apply(&m, cond, n_before, guard != 0))
            rest = guard > 0 ? yes : no;
    }
    if (!rest)
        return;
    script_discard_graph(a.scope.b.graph);
    if (b.scope.b.graph)
        script_discard_graph(b.scope.b.graph);
    if (ev->raised)
        report_assumption(ev);
    script_run_block(ev, rest);
}
