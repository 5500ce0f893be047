/* The nodes of a graph, one after the other: operators of ATen through the table, Python's on
 * sizes, those on graphs; what only asserts is left out. */
#include "import/torch/pt2/pt2_private.h"

#include "import/torch/aten/aten_flex.h"

#define MAX_ARGUMENTS 32

tl_where pt2_where(pt2_reader *r, const char *kind, tl_str name)
{
    const char *place = tl_arena_printf(r->arena, "%s %.*s", kind, TL_STR_ARG(name));
    return (tl_where){.file = tl_file_name(r->archive.file), .place = place ? place : kind};
}

/* ---- what is left out ---- */

static bool is_assertion(tl_str target)
{
    static const char *const names[] = {"torch.ops.aten._assert",
                                        "torch.ops.aten.sym_constrain_range",
                                        "torch.ops.aten._functional_assert",
                                        "torch.ops.aten._functional_sym_constrain_range",
                                        "torch._check",
                                        "torch.ops.aten.sym_is_contiguous"};
    for (size_t i = 0; i < TL_COUNT(names); i++)
        if (tl_str_starts(target, names[i]))
            return true;
    return false;
}

/* ---- targets ---- */

/* torch.ops.NAMESPACE.NAME.OVERLOAD; the table leaves the namespace aten out. */
static bool split_target(pt2_reader *r, tl_str target, tl_str *name, tl_str *overload)
{
    tl_str rest = target, space;
    if (!tl_str_starts(target, "torch.ops."))
        return false;
    rest = (tl_str){target.p + 10, target.n - 10};
    if (!tl_str_split(&rest, '.', &space) || !tl_str_split(&rest, '.', name))
        return false;
    *overload = rest;
    if (!tl_str_is(space, "aten"))
        *name = tl_str_from(
            tl_arena_printf(r->arena, "%.*s::%.*s", TL_STR_ARG(space), TL_STR_ARG(*name)));
    return true;
}

/* ---- results against what the file declares ---- */

static bool sizes_contradict(const tl_type *found, const tl_type *declared)
{
    if (found->rank != declared->rank)
        return true;
    for (int i = 0; i < found->rank; i++) {
        if (!declared->dims[i]) /* a count that only the run shows */
            continue;
        tl_interval a = found->dims[i]->range, b = declared->dims[i]->range;
        int64_t size;
        if (tl_dim_is_const(declared->dims[i], &size)
                ? size < a.lo || size > a.hi
                : tl_dim_is_const(found->dims[i], &size) && (size < b.lo || size > b.hi))
            return true;
    }
    return false;
}

/* Every tensor's type stands in the file: a difference is a fault of ours, or of the file. */
static void check_declared(pt2_reader *r, const tl_json_node *argument)
{
    tl_str kind, name;
    const tl_json_node *is = pt2_union(argument, &kind);
    tl_type declared;
    bool is_complex;
    if (!tl_str_is(kind, "as_tensor"))
        return;
    name = tl_json_as_text(tl_json_member(is, "name"));
    const aten_arg *arg = tl_map_find(&r->scope->names, name);
    if (!arg || arg->kind != ATEN_TENSOR ||
        !pt2_declared_type(r, name, false, &declared, &is_complex))
        return;
    const tl_value *value = aten_tensor_read(&r->env, arg->t);
    const tl_type *found = tl_type_of(value);
    if (value->poison)
        return;
    if (found->dtype == declared.dtype && !sizes_contradict(found, &declared))
        return;
    tl_text a, b;
    for (int i = 0; i < declared.rank; i++)
        if (!declared.dims[i]) /* printed as what was found */
            declared.rank = i;
    tl_text_init(&a, r->arena);
    tl_text_init(&b, r->arena);
    tl_type_print(&declared, &a);
    tl_type_print(found, &b);
    tl_where where = tl_origin_where(r->model, r->env.scope->b.origin);
    (void)tl_fail(r->cx, TL_M008, &where, "value %.*s, expected %s as declared, found %s",
                  TL_STR_ARG(name), tl_text_get(&a), tl_text_get(&b));
}

/* ---- operators ---- */

static size_t read_arguments(pt2_reader *r, const tl_json_node *node, aten_given *given)
{
    const tl_json_node *inputs = tl_json_member(node, "inputs");
    size_t n = TL_MIN(tl_json_count(inputs), MAX_ARGUMENTS);
    for (size_t i = 0; i < n; i++) {
        const tl_json_node *input = tl_json_item(inputs, i);
        given[i].name = tl_json_as_text(tl_json_member(input, "name"));
        given[i].arg = pt2_argument(r, tl_json_member(input, "arg"));
    }
    return n;
}

static void bind_outputs(pt2_reader *r, const tl_json_node *node, const aten_arg *results, size_t n)
{
    const tl_json_node *outputs = tl_json_member(node, "outputs");
    for (size_t i = 0; i < tl_json_count(outputs); i++) {
        pt2_bind_output(r, tl_json_item(outputs, i), i < n ? &results[i] : NULL);
        check_declared(r, tl_json_item(outputs, i));
    }
}

static void import_table_op(pt2_reader *r, const tl_json_node *node, const aten_row *row,
                            bool in_place, const aten_given *given, size_t n)
{
    const char *why = "";
    const aten_arg *args = aten_bind(&r->env, row, given, n, &why);
    size_t n_results = aten_n_results(&r->env, row);
    aten_arg *results = TL_NEW_ARRAY(r->arena, aten_arg, n_results + 1);
    if (!args && !r->cx->out_of_memory) {
        tl_where where = tl_origin_where(r->model, r->env.scope->b.origin);
        (void)tl_fail(r->cx, TL_M003, &where, "%.*s: %s",
                      TL_STR_ARG(tl_json_as_text(tl_json_member(node, "target"))), why);
    }
    args = pt2_autocast_arguments(r, row, args);
    if (args && results)
        aten_apply(&r->env, row, in_place, args, results);
    bind_outputs(r, node, results, args && results ? n_results : 0);
}

/* --custom: what nobody here knows stays what it is; the file says what type its results have. */
static bool import_custom(pt2_reader *r, const tl_json_node *node, tl_str name, const aten_given *given,
                          size_t n)
{
    const tl_json_node *outputs = tl_json_member(node, "outputs");
    tl_type types[MAX_ARGUMENTS];
    aten_arg results[MAX_ARGUMENTS];
    size_t n_out = tl_json_count(outputs);
    if (n_out > MAX_ARGUMENTS)
        return false;
    for (size_t i = 0; i < n_out; i++) {
        tl_str kind;
        bool is_complex;
        const tl_json_node *is = pt2_union(tl_json_item(outputs, i), &kind);
        if (!tl_str_is(kind, "as_tensor") ||
            !pt2_declared_type(r, tl_json_as_text(tl_json_member(is, "name")), true, &types[i],
                               &is_complex) ||
            is_complex)
            return false;
    }
    if (!aten_custom(&r->env, name, given, n, types, results, n_out))
        return false;
    bind_outputs(r, node, results, n_out);
    return true;
}

static void import_operator(pt2_reader *r, const tl_json_node *node, tl_str target)
{
    aten_given given[MAX_ARGUMENTS];
    aten_arg args[MAX_ARGUMENTS], result;
    tl_str name, overload;
    bool in_place, is_op = split_target(r, target, &name, &overload);
    size_t n = read_arguments(r, node, given);
    if (is_op) {
        const aten_row *row = aten_find(name, overload, &in_place);
        if (row) {
            import_table_op(r, node, row, in_place, given, n);
            return;
        }
    }
    for (size_t i = 0; i < n; i++)
        args[i] = given[i].arg;
    if (pt2_python_op(r, target, args, n, &result)) {
        bind_outputs(r, node, &result, 1);
        return;
    }
    if (is_op && r->options->custom && import_custom(r, node, name, given, n))
        return;
    bool is_own = is_op && !r->options->custom && !tl_str_starts(target, "torch.ops.aten.");
    if (is_own)
        target = tl_str_from(tl_arena_printf(r->arena, "%.*s; --custom keeps it as a custom operator",
                                             TL_STR_ARG(target)));
    aten_unsupported(&r->env, target, NULL, 0);
    bind_outputs(r, node, NULL, 0);
}

static void import_node(pt2_reader *r, const tl_json_node *node, size_t index)
{
    tl_str target = tl_json_as_text(tl_json_member(node, "target"));
    const tl_json_node *metadata = tl_json_member(node, "metadata");
    const tl_json_node *first = tl_json_item(tl_json_member(node, "outputs"), 0);
    tl_str name = tl_json_as_text(tl_json_member(node, "name")), kind;
    if (is_assertion(target))
        return;
    if (!name.n)
        name = tl_json_as_text(tl_json_member(pt2_union(first, &kind), "name"));
    if (!name.n)
        name = tl_str_from(tl_arena_printf(r->arena, "#%zu", index));
    r->env.scope->b.origin =
        aten_origin(&r->env, name, target, tl_json_as_text(tl_json_member(metadata, "stack_trace")),
                    tl_json_as_text(tl_json_member(metadata, "nn_module_stack")));
    if (tl_str_starts(target, "torch.ops.higher_order."))
        pt2_higher_order(r, (tl_str){target.p + 23, target.n - 23}, node);
    else
        import_operator(r, node, target);
}

void pt2_import_nodes(pt2_reader *r, const tl_json_node *graph)
{
    const tl_json_node *nodes = tl_json_member(graph, "nodes");
    for (size_t i = 0; i < tl_json_count(nodes); i++) {
        if (r->cx->out_of_memory || tl_check_cancel(r->cx) != TL_OK)
            return;
        const tl_json_node *node = tl_json_item(nodes, i);
        bool is_whole = graph != r->graph; /* of an operator on graphs */
        if (is_whole || pt2_node_is_needed(r, node))
            import_node(r, node, i);
        if (!is_whole)
            pt2_bind_results(r, node);
    }
}
