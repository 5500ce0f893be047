/* A part of a program: from the values of --start to those of --output. Only nodes that the part needs are
 * imported, so that what cannot be, before or behind it, does no harm.
 *
 * A node is needed for its results, or because it writes to a tensor that is needed behind it, under whatever
 * name: names that may show the same elements are one class (a view, what was written in place, and the tensor
 * itself). Buffers are state, needed at the end; an output of the user is what its name stood for when it was
 * computed, whatever is written to it later. */
#include "import/torch/pt2/pt2_private.h"

static char yes;

/* Operators whose result may show the elements of their first operand. */
static const char *const views[] = {"alias",
                                    "as_strided",
                                    "chunk",
                                    "contiguous",
                                    "detach",
                                    "diagonal",
                                    "dropout",
                                    "expand",
                                    "expand_as",
                                    "flatten",
                                    "imag",
                                    "lift_fresh",
                                    "moveaxis",
                                    "movedim",
                                    "narrow",
                                    "permute",
                                    "real",
                                    "reshape",
                                    "reshape_as",
                                    "select",
                                    "slice",
                                    "split",
                                    "split_with_sizes",
                                    "squeeze",
                                    "swapaxes",
                                    "swapdims",
                                    "t",
                                    "tensor_split",
                                    "to",
                                    "transpose",
                                    "type_as",
                                    "unbind",
                                    "unflatten",
                                    "unfold",
                                    "unsafe_chunk",
                                    "unsafe_split",
                                    "unsqueeze",
                                    "view",
                                    "view_as"};

static tl_str op_of(const tl_json_node *node)
{
    tl_str rest = tl_json_as_text(tl_json_member(node, "target")), part = rest;
    for (int i = 0; i < 4; i++) /* torch.ops.aten.NAME.OVERLOAD */
        if (!tl_str_split(&rest, '.', &part))
            return TL_STR("");
    return part;
}

static bool writes_to_self(tl_str op)
{
    return op.n > 1 && op.p[op.n - 1] == '_' && op.p[op.n - 2] != '_';
}

static bool views_self(tl_str op)
{
    for (size_t i = 0; i < TL_COUNT(views); i++)
        if (tl_str_is(op, views[i]))
            return true;
    return false;
}

static tl_str self_of(const tl_json_node *node)
{
    const tl_json_node *first = tl_json_item(tl_json_member(node, "inputs"), 0);
    tl_str kind;
    return tl_json_as_text(tl_json_member(pt2_union(tl_json_member(first, "arg"), &kind), "name"));
}

/* ---- names in arguments and results ---- */

typedef void (*name_fn)(pt2_reader *r, tl_str name, void *user);

/* Every name in an argument, whatever its kind; graphs in it see nothing of the program's names. */
static void each_name(pt2_reader *r, const tl_json_node *argument, int depth, name_fn fn,
                      void *user)
{
    bool is_object = argument->kind == TL_JSON_OBJECT;
    for (size_t i = 0; i < tl_json_count(argument) && depth < 16; i++) {
        tl_str key = is_object ? argument->keys[i] : TL_STR("");
        tl_str text = tl_json_as_text(&argument->items[i]);
        if (text.n && (tl_str_is(key, "name") || tl_str_is(key, "as_name")))
            fn(r, text, user);
        else if (!tl_str_is(key, "as_graph"))
            each_name(r, &argument->items[i], depth + 1, fn, user);
    }
}

static void each_result(pt2_reader *r, const tl_json_node *node, name_fn fn, void *user)
{
    each_name(r, tl_json_member(node, "outputs"), 0, fn, user);
}

static void each_operand(pt2_reader *r, const tl_json_node *node, name_fn fn)
{
    const tl_json_node *inputs = tl_json_member(node, "inputs");
    for (size_t i = 0; i < tl_json_count(inputs); i++)
        each_name(r, tl_json_member(tl_json_item(inputs, i), "arg"), 0, fn, NULL);
}

typedef struct name_search {
    const tl_map *among;
    bool found;
} name_search;

static void look_for(pt2_reader *r, tl_str name, void *user)
{
    name_search *search = user;
    (void)r;
    search->found |= tl_map_has(search->among, name);
}

static bool has_result(pt2_reader *r, const tl_json_node *node, const tl_map *among)
{
    name_search search = {.among = among};
    each_result(r, node, look_for, &search);
    return search.found;
}

/* ---- classes ---- */

/* The name that stands for the class of name: its own, or the one that it is a view of. */
static tl_str class_of(pt2_reader *r, tl_str name)
{
    const tl_str *root = tl_map_find(&r->classes, name);
    return root ? *root : name;
}

static void join_class(pt2_reader *r, tl_str name, void *user)
{
    tl_str *root = user;
    (void)tl_map_put(&r->classes, name, root);
}

static void find_classes(pt2_reader *r, const tl_json_node *nodes)
{
    for (size_t i = 0; i < tl_json_count(nodes); i++) {
        const tl_json_node *node = tl_json_item(nodes, i);
        tl_str op = op_of(node), root = class_of(r, self_of(node));
        if (!root.n || !(writes_to_self(op) || views_self(op)))
            continue;
        tl_str *copy = tl_arena_copy(r->arena, &root, sizeof(root));
        if (copy)
            each_result(r, node, join_class, copy);
    }
}

static pt2_class *get_class(pt2_reader *r, tl_str name)
{
    tl_str root = class_of(r, name);
    pt2_class *class = tl_map_find(&r->needed_classes, root);
    if (!class && (class = TL_NEW(r->arena, pt2_class)))
        (void)tl_map_put(&r->needed_classes, root, class);
    return class ? class : &r->spare_class;
}

/* ---- what is needed ---- */

static void need_name(pt2_reader *r, tl_str name, void *user)
{
    pt2_class *class = get_class(r, name);
    (void)user;
    class->needed = true;
    if (tl_map_has(&r->starts, name) || tl_map_has(&r->needed, name))
        return;
    class->pending++;
    (void)tl_map_put(&r->needed, name, &yes);
}

/* At the node that defines the name. What was in a start value before is of no interest, unless the same elements
 * are needed under another name; then they had better stay the same. */
static void define_name(pt2_reader *r, tl_str name, void *user)
{
    pt2_class *class = get_class(r, name);
    tl_where where = pt2_where(r, "value", name);
    const bool *writes = user; /* the node itself */
    if (tl_map_has(&r->needed, name) && class->pending)
        class->pending--;
    if (!tl_map_has(&r->starts, name))
        return;
    if (class->pending && (class->written || *writes))
        (void)tl_fail(r->cx, TL_U006, &where,
                      "--start: it shares its elements with another value that is needed, and they "
                      "are written to; begin at another value");
    if (!class->pending)
        class->needed = false;
}

void pt2_find_needed(pt2_reader *r, const tl_map *results, const tl_map *buffers)
{
    const tl_json_node *nodes = tl_json_member(r->graph, "nodes");
    find_classes(r, nodes);
    for (size_t i = 0; i < r->options->n_outputs; i++)
        if (tl_map_put(&r->needed, r->outputs[i].name, &yes))
            get_class(r, r->outputs[i].name)->pending++;
    for (size_t i = 0; i < buffers->n; i++) /* written to: state; else of no consequence */
        get_class(r, buffers->entries[i].key)->needed = true;
    for (size_t i = 0; i < results->n; i++)
        need_name(r, results->entries[i].key, NULL);
    for (size_t i = tl_json_count(nodes); i-- > 0;) {
        const tl_json_node *node = tl_json_item(nodes, i);
        pt2_class *class = get_class(r, self_of(node));
        bool writes = writes_to_self(op_of(node));
        each_result(r, node, define_name, &writes);
        if (writes && class->needed) {
            class->written = true;
            each_result(r, node, need_name, NULL);
        }
        if (has_result(r, node, &r->needed))
            each_operand(r, node, need_name);
    }
}

bool pt2_is_needed(const pt2_reader *r, tl_str name)
{
    return !r->is_part || tl_map_has(&r->needed, name);
}

bool pt2_node_is_needed(pt2_reader *r, const tl_json_node *node)
{
    return !r->is_part || has_result(r, node, &r->needed);
}

void pt2_bind_part(pt2_reader *r, tl_str name)
{
    const aten_arg *start = tl_map_find(&r->starts, name), *arg;
    if (start)
        pt2_define(r, name, *start);
    arg = tl_map_find(&r->scope->names, name);
    for (size_t i = 0; arg && arg->kind == ATEN_TENSOR && i < r->options->n_outputs; i++)
        if (tl_str_equal(r->outputs[i].name, name))
            r->outputs[i].value = aten_tensor_read(&r->env, arg->t);
}

static void bind_name(pt2_reader *r, tl_str name, void *user)
{
    (void)user;
    pt2_bind_part(r, name);
}

void pt2_bind_results(pt2_reader *r, const tl_json_node *node)
{
    if (r->is_part)
        each_result(r, node, bind_name, NULL);
}
