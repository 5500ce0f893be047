/* If as a node with child graphs, Constant, and what If, Loop and Scan share. Bodies see the names
 * around them; what they use becomes a captured operand. */
#include "import/onnx/onnx_control.h"

/* ---- Constant ---- */

static tl_value *numbers(onnx_call *c, const onnx_attribute *a)
{
    bool list = a->type == ONNX_ATTR_FLOATS || a->type == ONNX_ATTR_INTS;
    bool floats = a->type == ONNX_ATTR_FLOATS || a->type == ONNX_ATTR_FLOAT;
    const double *f = list ? a->floats.v : &a->f;
    const int64_t *v = list ? a->ints.v : &a->i;
    int64_t n = !list ? 1 : (int64_t)(floats ? a->floats.n : a->ints.n);
    float *narrow = TL_NEW_ARRAY(c->arena, float, n + 1);
    if (!narrow)
        return tl_build_poison(c->b, 1)->out[0];
    for (int64_t i = 0; floats && i < n; i++)
        narrow[i] = (float)f[i];
    static const int64_t none[1];
    const void *data = floats ? (const void *)narrow : n ? (const void *)v : none;
    tl_dtype dtype = floats ? TL_F32 : TL_I64;
    tl_const *constant = tl_const_bytes(c->model->arena, dtype, list, &n, data);
    return tl_build_const(c->model, constant, TL_STR(""));
}

void onnx_import_constant(onnx_call *c)
{
    static const char *const names[] = {"value",         "value_float", "value_floats",
                                        "value_int",     "value_ints",  "value_string",
                                        "value_strings", "sparse_value"};
    const onnx_attribute *a = NULL;
    for (size_t i = 0; i < TL_COUNT(names) && !a; i++)
        a = onnx_find_attr(c, names[i]);
    if (!a) {
        onnx_malformed(c, "no value");
        return;
    }
    switch (a->type) {
    case ONNX_ATTR_TENSOR:
        if (a->t)
            c->out[0] = onnx_tensor_value(c, a->t);
        else
            onnx_malformed(c, "no value");
        break;
    case ONNX_ATTR_FLOAT:
    case ONNX_ATTR_FLOATS:
    case ONNX_ATTR_INT:
    case ONNX_ATTR_INTS:
        c->out[0] = numbers(c, a);
        break;
    case ONNX_ATTR_STRING:
    case ONNX_ATTR_STRINGS:
        onnx_refuse_as(c, TL_U004, "element type string");
        break;
    case ONNX_ATTR_SPARSE:
        onnx_refuse_as(c, TL_U006, "a sparse tensor");
        break;
    default:
        onnx_malformed(c, "value of an unexpected type");
    }
}

/* ---- what If and Loop share ---- */

const onnx_graph *onnx_body_attr(onnx_call *c, const char *name)
{
    const onnx_attribute *a = onnx_find_attr(c, name);
    if (a && a->type == ONNX_ATTR_GRAPH && a->g)
        return a->g;
    onnx_malformed(c, "attribute %s, expected a graph", name);
    return NULL;
}

bool onnx_optional_body(onnx_call *c, const char *name, const onnx_graph **graph)
{
    *graph = onnx_find_attr(c, name) ? onnx_body_attr(c, name) : NULL;
    return *graph || !onnx_find_attr(c, name);
}

tl_value **onnx_inline_body(onnx_call *c, const onnx_graph *body, tl_value *const *in, size_t n)
{
    onnx_importer *imp = c->importer;
    if (body->inputs.n != n) {
        onnx_malformed(c, "graph %.*s: expected %zu inputs, found %zu", TL_STR_ARG(body->name), n,
                       body->inputs.n);
        return NULL;
    }
    if (!onnx_may_nest(c))
        return NULL;
    const tl_origin *origin = c->b->origin;
    onnx_scope scope;
    onnx_scope_enter(imp, &scope, c->b->graph, true);
    for (size_t i = 0; i < n; i++)
        onnx_define(imp, body->inputs.v[i].name, in[i], i);
    onnx_import_graph(imp, body, NULL);
    tl_value **results = onnx_graph_results(imp, body);
    onnx_scope_leave(imp, &scope);
    c->b->origin = origin;
    return results;
}

/* A scalar integer or bool that inference knows, or that can be computed now. */
bool onnx_known_scalar(onnx_call *c, tl_value *x, int64_t *value)
{
    if (tl_dtype_is_float(x->fact.type.dtype))
        return false;
    tl_value *known = tl_known_value(&c->importer->known, x);
    const tl_fact *fact = known ? &known->fact : &x->fact;
    if (fact->shape_value && tl_dim_is_const(fact->shape_value[0], value))
        return true;
    *value = fact->range.lo;
    return tl_interval_is_point(fact->range);
}

/* Scalars are also written as tensors of one element. */
tl_value *onnx_as_scalar(onnx_call *c, tl_value *x)
{
    return x && onnx_rank(x) > 0 ? tl_build_reshape(c->b, x, NULL, 0) : x;
}

bool onnx_has_poison(tl_value *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (v[i]->poison)
            return true;
    return false;
}

/* A graph that was built for nothing: its uses of constants go away. */
void onnx_discard_graph(tl_graph *graph)
{
    (void)tl_graph_set_outputs(graph, NULL, 0);
    while (graph->last->prev)
        tl_node_remove(graph->last->prev);
}

tl_value **onnx_outer_values(onnx_call *c, const onnx_captures *captures, size_t before)
{
    tl_value **operands = TL_NEW_ARRAY(c->arena, tl_value *, before + captures->n + 1);
    for (size_t i = 0; operands && i < captures->n; i++)
        operands[before + i] = captures->v[i].outer;
    return operands;
}

bool onnx_may_nest(onnx_call *c)
{
    onnx_importer *imp = c->importer;
    imp->n_deep += imp->depth >= ONNX_DEEP;
    if (imp->depth < ONNX_MAX_DEPTH && imp->n_deep <= ONNX_MAX_DEEP)
        return true;
    onnx_refuse_as(c, TL_U006, "bodies nested too deeply");
    return false;
}

/* ---- If ---- */

/* The condition is known: the branch takes the place of the node. */
static void inline_branch(onnx_call *c, const onnx_graph *branch)
{
    tl_value **results = onnx_inline_body(c, branch, NULL, 0);
    for (size_t i = 0; results && i < c->n_out; i++)
        c->out[i] = results[i];
}

/* The results of a branch, and their tensors, which its graph gives. NULL: recorded. */
static tl_value **build_branch(onnx_call *c, const onnx_graph *branch, const onnx_captures *before,
                               onnx_scope *scope, onnx_leaves *leaves)
{
    onnx_importer *imp = c->importer;
    onnx_scope_enter(imp, scope, tl_graph_new(c->model, branch->name), true);
    if (before)
        onnx_capture_also(imp, scope, before);
    onnx_import_graph(imp, branch, NULL);
    tl_value **results = onnx_graph_results(imp, branch);
    bool complete = true;
    for (size_t i = 0; results && i < c->n_out; i++)
        complete = onnx_add_leaves(imp, results[i], leaves) && complete;
    onnx_scope_leave(imp, scope);
    if (!complete) {
        onnx_refuse_as(
            c, TL_U006,
            "an optional value from a branch that may hold nothing, and which is taken is "
            "not known");
        return NULL;
    }
    if (results)
        (void)tl_graph_set_outputs(scope->b.graph, leaves->v, leaves->n);
    return results;
}

/* Sequences have as many elements in either branch. */
static bool structures_agree(onnx_call *c, tl_value *const *a, tl_value *const *b)
{
    for (size_t i = 0; i < c->n_out; i++) {
        const onnx_sequence *x = onnx_find_sequence(c->importer, a[i]),
                            *y = onnx_find_sequence(c->importer, b[i]);
        if (onnx_same_structure(c->importer, a[i], b[i]))
            continue;
        if (x && y && x->n != y->n)
            onnx_refuse_as(
                c, TL_U006,
                "the branches give output %zu sequences of %zu and %zu elements, and which is "
                "taken is not known",
                i, x->n, y->n);
        else
            onnx_refuse_as(
                c, TL_U006,
                "the branches give output %zu a sequence and something else, and which is taken "
                "is not known",
                i);
        return false;
    }
    return true;
}

/* Types that the branches may differ in only by sizes. */
static bool branches_agree(onnx_call *c, tl_value *const *a, tl_value *const *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (onnx_rank(a[i]) == onnx_rank(b[i]))
            continue;
        onnx_refuse_as(
            c, TL_U006,
            "the branches give output %zu different ranks, %d and %d, and which is taken is "
            "not known",
            i, onnx_rank(a[i]), onnx_rank(b[i]));
        return false;
    }
    return true;
}

static void build_if(onnx_call *c, tl_value *cond, const onnx_graph *yes, const onnx_graph *no)
{
    onnx_scope a, b;
    onnx_leaves left = {0}, right = {0};
    tl_value **results = build_branch(c, yes, NULL, &a, &left);
    tl_value **others = build_branch(c, no, &a.captures, &b, &right);
    onnx_capture_also(c->importer, &a, &b.captures);
    tl_value **operands = onnx_outer_values(c, &b.captures, 1);
    if (!results || !others || !operands || onnx_has_poison(left.v, left.n) ||
        onnx_has_poison(right.v, right.n) || !structures_agree(c, results, others) ||
        !branches_agree(c, left.v, right.v, left.n)) {
        onnx_discard_graph(a.b.graph);
        onnx_discard_graph(b.b.graph);
        return;
    }
    operands[0] = cond;
    tl_node *node = tl_build_node(c->b, TL_OP_if, operands, 1 + b.captures.n, NULL, left.n,
                                  (tl_graph *[]){a.b.graph, b.b.graph}, 2);
    size_t next = 0;
    for (size_t i = 0; i < c->n_out; i++)
        c->out[i] = onnx_from_leaves(c->importer, results[i], node->out, &next);
}

void onnx_import_if(onnx_call *c)
{
    const onnx_graph *yes = onnx_body_attr(c, "then_branch"),
                     *no = onnx_body_attr(c, "else_branch");
    tl_value *cond = onnx_as_scalar(c, onnx_in(c, 0));
    if (!yes || !no || !onnx_may_nest(c))
        return;
    if (yes->inputs.n || no->inputs.n || yes->outputs.n < c->n_out || no->outputs.n < c->n_out) {
        onnx_malformed(c, "branches, expected no inputs and %zu outputs, found %zu and %zu outputs",
                       c->n_out, yes->outputs.n, no->outputs.n);
        return;
    }
    int64_t taken;
    if (onnx_known_scalar(c, cond, &taken))
        inline_branch(c, taken ? yes : no);
    else
        build_if(c, cond, yes, no);
}
