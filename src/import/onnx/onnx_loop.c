/* Loop and Scan as a while with child graphs. A Loop becomes
 *     while (go and i < trips) (i, go, carried) = body(i, carried)
 * with i and go only where they matter. Which of them matter, and what varies from one iteration to
 * the next, is known after the body has been built, so it is built again until the plan holds; an
 * attempt that did not is discarded. Scan outputs are written into a tensor that is carried; where
 * the number of iterations is not known before, they grow it. Where the sizes of the elements are
 * not known either, their numbers grow a list, beside which the sizes are carried; it takes its shape
 * behind the loop. Scan is a Loop over the elements of its inputs. */
#include "import/onnx/onnx_control.h"
#include "import/onnx/onnx_op.h"

#define MAX_ATTEMPTS 40

/* One scan input: element i lies at index i of an axis, counted from the end when backwards. */
typedef struct loop_element {
    tl_value *source;
    int axis;
    bool backwards;
} loop_element;

/* Carried values come first in every list, then scan outputs, then the sizes of those that are loose. */
typedef struct loop_plan {
    const onnx_graph *body;
    tl_value *trips, *cond; /* NULL: without end, without condition */
    const tl_dim *n_trips;  /* contents of trips where they are known */
    bool counts, tests;     /* i, go are carried */
    bool scans;             /* a Scan: its body has no i and go */
    size_t n_carried, n_scans;
    const loop_element *elements;
    size_t n_elements;
    tl_value **start; /* before the first iteration; of scan outputs once their type is known */
    tl_type *types;   /* in the body */
    bool *widened;    /* TL_MAX_RANK per carried value and scan output: the axis varies */
    bool outputs_known, grows;
    bool *loose; /* per scan output: sizes of its elements are known inside alone */
    size_t n_loose;
} loop_plan;

typedef struct loop_attempt {
    onnx_scope scope;
    tl_value *counter, *go; /* inputs, or NULL */
    tl_value **inputs;      /* of carried values and scan outputs */
    tl_value **results;     /* of carried values and elements of scan outputs */
    tl_value *goes_on;      /* result of the body, or NULL */
    size_t first_symbol;    /* symbols from here on are born inside */
} loop_attempt;

static size_t n_hidden(const loop_plan *plan)
{
    return (size_t)plan->counts + (size_t)plan->tests;
}

static size_t n_shown(const loop_plan *plan)
{
    return plan->n_carried + plan->n_scans + plan->n_loose;
}

/* Place of the sizes of a loose scan output. */
static size_t sizes_of(const loop_plan *plan, size_t scan)
{
    size_t k = plan->n_carried + plan->n_scans;
    for (size_t i = 0; i < scan; i++)
        k += plan->loose[i];
    return k;
}

static tl_type scalar_type(tl_dtype dtype)
{
    return (tl_type){.dtype = dtype};
}

/* Axes that vary get a symbol of their own, born on the body's input. */
static tl_type carried_type(onnx_call *c, const loop_plan *plan, size_t i)
{
    tl_type type = plan->types[i];
    const tl_dim **dims = TL_NEW_ARRAY(c->arena, const tl_dim *, type.rank + 1);
    for (int axis = 0; dims && axis < type.rank; axis++) {
        bool varies = plan->widened[i * TL_MAX_RANK + (size_t)axis];
        dims[axis] = !varies
                         ? type.dims[axis]
                         : tl_dim_symbol(c->dims, tl_dims_fresh(c->dims, "loop", TL_INTERVAL_SIZE));
    }
    type.dims = dims;
    return type;
}

/* Inputs of the body: hidden ones, carried ones, and scan outputs once their type is known. */
static void add_body_inputs(onnx_call *c, const loop_plan *plan, loop_attempt *x)
{
    tl_graph *graph = x->scope.b.graph;
    x->counter = plan->counts ? tl_graph_add_input(graph, scalar_type(TL_I64), TL_STR("")) : NULL;
    x->go = plan->tests ? tl_graph_add_input(graph, scalar_type(TL_BOOL), TL_STR("")) : NULL;
    size_t n = plan->outputs_known ? n_shown(plan) : plan->n_carried;
    for (size_t i = 0; i < n; i++)
        x->inputs[i] = tl_graph_add_input(graph, carried_type(c, plan, i), TL_STR(""));
}

/* Element of a scan input in this iteration. */
static tl_value *read_element(onnx_call *c, const loop_plan *plan, loop_attempt *x,
                              const loop_element *element)
{
    tl_builder *b = &x->scope.b;
    tl_value *source = onnx_capture_input(c->importer, &x->scope, element->source);
    tl_value *index = x->counter;
    tl_gather_attrs attrs = {.axis = element->axis};
    if (element->backwards) {
        const tl_dim *last = tl_dim_add_i(c->dims, plan->n_trips, -1);
        index = tl_build2(b, TL_OP_sub, tl_build_shape_expr(b, &last, 1, 0), index, NULL);
    }
    return tl_build2(b, TL_OP_gather, source, index, &attrs);
}

/* The body runs only while the condition holds, so that inside it is true. */
static void define_body_inputs(onnx_call *c, const loop_plan *plan, loop_attempt *x)
{
    onnx_importer *imp = c->importer;
    const onnx_value_info *names = plan->body->inputs.v;
    size_t k = 0;
    if (!plan->scans) {
        tl_value *counter = x->counter ? x->counter : tl_build_scalar(c->model, TL_I64, 0);
        onnx_define(imp, names[k++].name, counter, 0);
        onnx_define(imp, names[k++].name, tl_build_scalar(c->model, TL_BOOL, 1), 1);
    }
    for (size_t i = 0; i < plan->n_carried; i++, k++)
        onnx_define(imp, names[k].name, x->inputs[i], k);
    for (size_t i = 0; i < plan->n_elements; i++, k++)
        onnx_define(imp, names[k].name, read_element(c, plan, x, &plan->elements[i]), k);
}

static bool build_body(onnx_call *c, const loop_plan *plan, loop_attempt *x)
{
    onnx_importer *imp = c->importer;
    *x = (loop_attempt){.first_symbol = tl_dims_n_symbols(c->dims)};
    x->inputs = TL_NEW_ARRAY(c->arena, tl_value *, n_shown(plan) + 1);
    if (!x->inputs)
        return false;
    onnx_scope_enter(imp, &x->scope, tl_graph_new(c->model, plan->body->name), true);
    add_body_inputs(c, plan, x);
    define_body_inputs(c, plan, x);
    onnx_import_graph(imp, plan->body, NULL);
    tl_value **results = onnx_graph_results(imp, plan->body);
    onnx_scope_leave(imp, &x->scope);
    if (!results || onnx_has_poison(results, plan->body->outputs.n))
        return false;
    x->goes_on = plan->scans ? NULL : results[0];
    x->results = results + !plan->scans;
    return true;
}

/* True when every symbol of the dim is known outside of the loop. */
static bool is_outer_dim(const tl_dim *d, size_t first_symbol)
{
    return d->n_symbols == 0 || d->symbols[d->n_symbols - 1]->id < first_symbol;
}

/* A carried value keeps its element type and rank; sizes that change are widened. False: refused.
 */
static bool check_carried(onnx_call *c, loop_plan *plan, const loop_attempt *x, size_t i,
                          bool *changed)
{
    const tl_type *before = &x->inputs[i]->fact.type, *after = &x->results[i]->fact.type;
    if (before->dtype != after->dtype) {
        onnx_refuse_as(c, TL_M008, "carried value %zu, expected %s, found %s after an iteration", i,
                       tl_dtype_name(before->dtype), tl_dtype_name(after->dtype));
        return false;
    }
    if (before->rank != after->rank) {
        onnx_refuse_as(c, TL_U006, "carried value %zu changes its rank from %d to %d", i,
                       before->rank, after->rank);
        return false;
    }
    for (int axis = 0; axis < before->rank; axis++) {
        bool *widened = &plan->widened[i * TL_MAX_RANK + (size_t)axis];
        if (*widened || tl_dim_equal(c->dims, before->dims[axis], after->dims[axis]) == TL_YES)
            continue;
        *widened = *changed = true;
    }
    return true;
}

/* The tensor that the elements of a scan output are written to; one that grows begins with a row
 * that goes in the end, as the runtime cannot let an empty tensor grow. */
static bool plan_output(onnx_call *c, loop_plan *plan, const loop_attempt *x, size_t i)
{
    const tl_type *element = &x->results[plan->n_carried + i]->fact.type;
    const tl_dim **dims = TL_NEW_ARRAY(c->arena, const tl_dim *, element->rank + 1);
    if (!dims)
        return false;
    if (element->rank == TL_MAX_RANK) {
        onnx_refuse_as(c, TL_U006, "scan output %zu of rank %d", i, element->rank + 1);
        return false;
    }
    for (int axis = 0; axis < element->rank; axis++) {
        dims[axis + 1] = element->dims[axis];
        plan->loose[i] |= !is_outer_dim(element->dims[axis], x->first_symbol);
    }
    bool grows = plan->grows || plan->loose[i];
    size_t k = plan->n_carried + i;
    int rank = plan->loose[i] ? 1 : element->rank + 1;
    dims[0] = grows ? tl_dim_const(c->dims, 1) : plan->n_trips;
    plan->types[k] = (tl_type){.dtype = element->dtype, .rank = rank, .dims = dims};
    plan->widened[k * TL_MAX_RANK] = grows;
    plan->start[k] =
        tl_build_broadcast_to(c->b, tl_build_scalar(c->model, element->dtype, 0), dims, rank);
    return true;
}

/* The sizes of loose elements are 0 before there are any. The last ones count: all have to be the same. */
static void plan_sizes(onnx_call *c, loop_plan *plan, const loop_attempt *x)
{
    static const int64_t zeros[TL_MAX_RANK];
    for (size_t i = 0; i < plan->n_scans; i++) {
        size_t k = plan->n_carried + plan->n_scans + plan->n_loose;
        if (!plan->loose[i])
            continue;
        int rank = onnx_rank(x->results[plan->n_carried + i]);
        plan->start[k] = tl_build_i64s(c->model, zeros, (size_t)rank);
        plan->types[k] = plan->start[k]->fact.type;
        plan->n_loose++;
        plan->counts = true;
    }
}

static bool counter_matters(const loop_plan *plan, const loop_attempt *x)
{
    bool returned = x->goes_on == x->counter;
    for (size_t i = 0; i < plan->n_carried + plan->n_scans; i++)
        returned = returned || x->results[i] == x->counter;
    return returned || tl_has_uses(x->counter);
}

/* Compares the attempt with the plan; *changed: it has to be made again. False: refused. */
static bool revise_plan(onnx_call *c, loop_plan *plan, const loop_attempt *x, bool *changed)
{
    int64_t on = 0;
    *changed = false;
    if (!plan->tests && x->goes_on && !(onnx_known_scalar(c, x->goes_on, &on) && on))
        plan->tests = *changed = true;
    plan->grows = plan->tests || !plan->n_trips;
    if (plan->counts && !plan->trips && !plan->n_loose && (plan->grows || !plan->n_scans) &&
        !counter_matters(plan, x)) {
        plan->counts = false;
        *changed = true;
    }
    for (size_t i = 0; i < plan->n_carried; i++)
        if (!check_carried(c, plan, x, i, changed))
            return false;
    if (*changed || plan->outputs_known)
        return true;
    for (size_t i = 0; i < plan->n_scans; i++)
        if (!plan_output(c, plan, x, i))
            return false;
    plan_sizes(c, plan, x);
    plan->outputs_known = true;
    *changed = plan->n_scans > 0;
    return true;
}

/* tensor[k] = element of scan output i, in the body; or behind all others */
static tl_value *write_element(onnx_call *c, const loop_plan *plan, tl_builder *b, size_t i,
                               tl_value *tensor, tl_value *element, tl_value *counter)
{
    const tl_dim *dims[TL_MAX_RANK];
    int rank = onnx_rank(element);
    if (plan->loose[i]) {
        const tl_dim *count = onnx_product(c, element, 0, rank);
        tl_value *lists[] = {tensor, tl_build_reshape(b, element, &count, 1)};
        return tl_build_concat(b, lists, 2, 0);
    }
    dims[0] = tl_dim_const(c->dims, 1);
    for (int axis = 0; axis < rank; axis++)
        dims[axis + 1] = onnx_size(element, axis);
    tl_value *row = tl_build_reshape(b, element, dims, rank + 1);
    if (plan->grows) {
        tl_value *rows[] = {tensor, row};
        return tl_build_concat(b, rows, 2, 0);
    }
    tl_value *start = tl_build_reshape(b, counter, dims, 1);
    if (rank) {
        static const int64_t zeros[TL_MAX_RANK];
        tl_value *parts[2] = {start, tl_build_i64s(c->model, zeros, (size_t)rank)};
        start = tl_build_concat(b, parts, 2, 0);
    }
    return tl_build3(b, TL_OP_dynamic_update_slice, tensor, row, start, NULL);
}

static void finish_body(onnx_call *c, const loop_plan *plan, loop_attempt *x)
{
    tl_builder *b = &x->scope.b;
    size_t n = plan->n_carried + plan->n_scans, k = 0;
    tl_value **outputs = TL_NEW_ARRAY(c->arena, tl_value *, n_hidden(plan) + n_shown(plan) + 1);
    if (!outputs)
        return;
    if (plan->counts)
        outputs[k++] =
            tl_build2(b, TL_OP_add, x->counter, tl_build_scalar(c->model, TL_I64, 1), NULL);
    if (plan->tests)
        outputs[k++] =
            onnx_rank(x->goes_on) ? tl_build_reshape(b, x->goes_on, NULL, 0) : x->goes_on;
    for (size_t i = 0; i < n; i++)
        outputs[k++] = i < plan->n_carried ? x->results[i]
                                           : write_element(c, plan, b, i - plan->n_carried,
                                                           x->inputs[i], x->results[i], x->counter);
    for (size_t i = 0; i < plan->n_scans; i++) {
        const tl_type *element = tl_type_of(x->results[plan->n_carried + i]);
        if (plan->loose[i])
            outputs[k++] = tl_build_shape_expr(b, element->dims, (size_t)element->rank, 1);
    }
    (void)tl_graph_set_outputs(b->graph, outputs, k);
}

/* go and i < trips, on inputs like those of the body. trips: the body's input for it, or a constant
 */
static tl_graph *build_condition(onnx_call *c, const loop_plan *plan, const loop_attempt *x,
                                 const tl_value *trips)
{
    const tl_graph *body = x->scope.b.graph;
    tl_graph *graph = tl_graph_new(c->model, TL_STR("condition"));
    tl_builder b = tl_builder_at_end(graph);
    b.origin = c->b->origin;
    tl_value *limit = plan->trips, *result = NULL;
    for (size_t i = 0; i < body->inputs.n; i++) {
        tl_value *input = tl_graph_add_input(graph, body->inputs.v[i]->fact.type, TL_STR(""));
        if (body->inputs.v[i] == trips)
            limit = input;
    }
    if (plan->trips)
        result = tl_build2(&b, TL_OP_less, graph->inputs.v[0], limit, NULL);
    if (plan->tests) {
        tl_value *go = graph->inputs.v[plan->counts];
        result = result ? tl_build2(&b, TL_OP_and, go, result, NULL) : go;
    }
    (void)tl_graph_set_outputs(graph, &result, 1);
    return graph;
}

static tl_value *without_first_row(onnx_call *c, tl_value *x)
{
    const tl_dim *begin[TL_MAX_RANK], *size[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK];
    for (int i = 0; i < onnx_rank(x); i++) {
        begin[i] = tl_dim_const(c->dims, i == 0);
        size[i] = i == 0 ? tl_dim_add_i(c->dims, onnx_size(x, 0), -1) : onnx_size(x, i);
        stride[i] = 1;
    }
    return tl_build_slice(c->b, x, begin, size, stride);
}

/* The list of a loose scan output as [turns, sizes of an element]. */
static tl_value *shaped(onnx_call *c, const loop_plan *plan, const loop_attempt *x, size_t i,
                        const tl_node *node, tl_value *list)
{
    const tl_type *element = tl_type_of(x->results[plan->n_carried + i]);
    tl_value *sizes = node->out[n_hidden(plan) + sizes_of(plan, i)];
    const tl_dim *dims[TL_MAX_RANK], *one = onnx_int(c, 1);
    dims[0] = plan->grows ? onnx_scalar_size(c, node->out[0]) : plan->n_trips;
    for (int axis = 0; axis < element->rank; axis++) {
        dims[axis + 1] = element->dims[axis];
        if (is_outer_dim(element->dims[axis], x->first_symbol))
            continue;
        dims[axis + 1] = onnx_scalar_size(c, onnx_part(c, sizes, 0, onnx_int(c, axis), one));
    }
    return tl_build_reshape(c->b, list, dims, element->rank + 1);
}

static void build_while(onnx_call *c, const loop_plan *plan, loop_attempt *x)
{
    finish_body(c, plan, x);
    const tl_value *trips =
        plan->trips ? onnx_capture_input(c->importer, &x->scope, plan->trips) : NULL;
    tl_graph *condition = build_condition(c, plan, x, trips);
    size_t hidden = n_hidden(plan), n = hidden + n_shown(plan);
    tl_value **operands = onnx_outer_values(c, &x->scope.captures, n);
    if (!operands)
        return;
    if (plan->counts)
        operands[0] = tl_build_scalar(c->model, TL_I64, 0);
    if (plan->tests)
        operands[plan->counts] = plan->cond ? plan->cond : tl_build_scalar(c->model, TL_BOOL, 1);
    for (size_t i = hidden; i < n; i++)
        operands[i] = plan->start[i - hidden];
    tl_while_attrs attrs = {.carried = (int64_t)n};
    tl_node *node = tl_build_node(c->b, TL_OP_while, operands, n + x->scope.captures.n, &attrs, n,
                                  (tl_graph *[]){condition, x->scope.b.graph}, 2);
    for (size_t i = 0; i < c->n_out; i++) {
        size_t scan = i - plan->n_carried;
        bool loose = i >= plan->n_carried && plan->loose[scan];
        c->out[i] = node->out[hidden + i];
        if (loose || (plan->grows && i >= plan->n_carried))
            c->out[i] = without_first_row(c, c->out[i]);
        if (loose)
            c->out[i] = shaped(c, plan, x, scan, node, c->out[i]);
    }
}

/* Room for the lists; carried values from operand `first` on. False: recorded. */
static bool take_carried(onnx_call *c, loop_plan *plan, size_t first)
{
    size_t n = plan->n_carried + 2 * plan->n_scans;
    plan->loose = TL_NEW_ARRAY(c->arena, bool, plan->n_scans + 1);
    plan->start = TL_NEW_ARRAY(c->arena, tl_value *, n + 1);
    plan->types = TL_NEW_ARRAY(c->arena, tl_type, n + 1);
    plan->widened = TL_NEW_ARRAY(c->arena, bool, (n + 1) * TL_MAX_RANK);
    if (!plan->start || !plan->types || !plan->widened || !plan->loose)
        return false;
    for (size_t i = 0; i < plan->n_carried; i++) {
        if (!c->in[first + i]) {
            onnx_malformed(c, "carried value %zu is absent", i);
            return false;
        }
        plan->start[i] = c->in[first + i];
        plan->types[i] = plan->start[i]->fact.type;
    }
    return true;
}

/* Operands and the body's interface; false: recorded. */
static bool make_plan(onnx_call *c, loop_plan *plan)
{
    const onnx_graph *body = onnx_body_attr(c, "body");
    if (!body || !onnx_may_nest(c))
        return false;
    size_t n = c->n_in > 2 ? c->n_in - 2 : 0;
    if (body->inputs.n != n + 2 || body->outputs.n < n + 1 || c->n_out > body->outputs.n - 1) {
        onnx_malformed(c, "body, expected %zu inputs and at least %zu outputs, found %zu and %zu",
                       n + 2, TL_MAX(n, c->n_out) + 1, body->inputs.n, body->outputs.n);
        return false;
    }
    *plan = (loop_plan){.body = body, .n_carried = n, .n_scans = body->outputs.n - 1 - n};
    if (!take_carried(c, plan, 2))
        return false;
    int64_t known;
    plan->trips = onnx_as_scalar(c, onnx_in(c, 0));
    if (plan->trips && onnx_known_scalar(c, plan->trips, &known) && known == INT64_MAX)
        plan->trips = NULL;
    if (plan->trips) {
        tl_value *constant = tl_known_value(&c->importer->known, plan->trips);
        plan->trips = tl_build_cast(c->b, constant ? constant : plan->trips, TL_I64);
    }
    if (plan->trips && plan->trips->fact.shape_value)
        plan->n_trips =
            tl_dim_max(c->dims, plan->trips->fact.shape_value[0], tl_dim_const(c->dims, 0));
    plan->cond = onnx_as_scalar(c, onnx_in(c, 1));
    plan->counts = true;
    plan->tests = plan->cond && !(onnx_known_scalar(c, plan->cond, &known) && known);
    return true;
}

/* Builds the body until the plan holds. */
static void run_plan(onnx_call *c, loop_plan *plan)
{
    for (int i = 0; i < MAX_ATTEMPTS; i++) {
        loop_attempt attempt;
        bool changed = false;
        bool fine = build_body(c, plan, &attempt) && revise_plan(c, plan, &attempt, &changed);
        if (changed && tl_context_status(c->model->cx) != TL_OK)
            fine = false; /* there will be no model: reading the body again says nothing new */
        if (fine && !changed && (plan->trips || plan->tests)) {
            build_while(c, plan, &attempt);
            return;
        }
        if (fine && !changed)
            onnx_refuse_as(c, TL_U006, "a loop without end");
        fine = fine && changed;
        if (attempt.scope.b.graph)
            onnx_discard_graph(attempt.scope.b.graph);
        if (!fine)
            return;
    }
    onnx_refuse_as(c, TL_U006, "sizes that change in too many ways");
}

void onnx_import_loop(onnx_call *c)
{
    loop_plan plan;
    if (onnx_has_sequence(c->importer, c->in, c->n_in))
        onnx_unroll_loop(c);
    else if (make_plan(c, &plan))
        run_plan(c, &plan);
}

/* ---- Scan ---- */

/* Element i of an attribute list that may be left out. */
static int64_t scan_attr(onnx_call *c, const char *name, size_t i)
{
    size_t n;
    const int64_t *v = onnx_attr_ints(c, name, &n);
    return v && i < n ? v[i] : 0;
}

/* Scan inputs from operand `first` on: all of one length, which is the number of iterations. */
static bool take_elements(onnx_call *c, loop_plan *plan, size_t first)
{
    loop_element *elements = TL_NEW_ARRAY(c->arena, loop_element, plan->n_elements + 1);
    if (!elements)
        return false;
    plan->elements = elements;
    for (size_t i = 0; i < plan->n_elements; i++) {
        tl_value *x = c->in[first + i];
        int axis = x ? onnx_axis(c, scan_attr(c, "scan_input_axes", i), onnx_rank(x)) : -1;
        if (axis < 0)
            return false;
        bool backwards =
            scan_attr(c, c->opset < 9 ? "directions" : "scan_input_directions", i) != 0;
        elements[i] = (loop_element){x, axis, backwards};
        plan->n_trips = plan->n_trips ? plan->n_trips : onnx_size(x, axis);
        if (tl_dim_equal(c->dims, plan->n_trips, onnx_size(x, axis)) == TL_NO) {
            onnx_malformed(c, "scan inputs of different lengths");
            return false;
        }
    }
    return true;
}

static bool make_scan_plan(onnx_call *c, loop_plan *plan)
{
    const onnx_graph *body = onnx_body_attr(c, "body");
    int64_t n_elements = onnx_attr_i(c, "num_scan_inputs", 0);
    if (!body || !onnx_may_nest(c))
        return false;
    if (n_elements < 1 || (uint64_t)n_elements > c->n_in || body->inputs.n != c->n_in ||
        c->n_in - (size_t)n_elements > body->outputs.n || c->n_out > body->outputs.n) {
        onnx_malformed(c, "body, expected %zu inputs and at least %zu outputs, found %zu and %zu",
                       c->n_in, c->n_out, body->inputs.n, body->outputs.n);
        return false;
    }
    size_t n = c->n_in - (size_t)n_elements;
    *plan = (loop_plan){.body = body,
                        .scans = true,
                        .counts = true,
                        .n_carried = n,
                        .n_scans = body->outputs.n - n,
                        .n_elements = (size_t)n_elements};
    if (!take_carried(c, plan, 0) || !take_elements(c, plan, n))
        return false;
    plan->trips = tl_build_shape_expr(c->b, &plan->n_trips, 1, 0);
    return true;
}

/* A scan output [t, ...] with t at the axis that is asked for, backwards if it is. */
static tl_value *place_output(onnx_call *c, tl_value *y, size_t i)
{
    int perm[TL_MAX_RANK], rank = onnx_rank(y);
    int axis = onnx_axis(c, scan_attr(c, "scan_output_axes", i), rank);
    const int64_t first = 0;
    if (axis < 0)
        return NULL;
    if (scan_attr(c, "scan_output_directions", i))
        y = tl_build1(c->b, TL_OP_reverse, y, &(tl_axes_attrs){{1, &first}});
    for (int k = 0; k < rank; k++)
        perm[k] = k < axis ? k + 1 : k == axis ? 0 : k;
    return tl_build_transpose(c->b, y, perm);
}

void onnx_import_scan(onnx_call *c)
{
    loop_plan plan;
    if (!make_scan_plan(c, &plan))
        return;
    run_plan(c, &plan);
    for (size_t i = plan.n_carried; i < c->n_out; i++)
        if (c->out[i])
            c->out[i] = place_output(c, c->out[i], i - plan.n_carried);
}

/* Opset 8: a leading batch axis on everything, operand 0 the lengths. One sequence is like later
 * versions. */
void onnx_import_scan_batch(onnx_call *c)
{
    onnx_call one = *c;
    const int front = 0;
    if (onnx_in(c, 0)) {
        onnx_refuse(c, "input 0 (sequence_lens)");
        return;
    }
    one.in = c->in + 1;
    one.n_in = c->n_in - 1;
    for (size_t i = 0; i < one.n_in; i++) {
        tl_value *x = onnx_in(&one, i);
        if (!x || onnx_rank(x) < 1 || !tl_dim_is(onnx_size(x, 0), 1)) {
            onnx_refuse(c, "more than one sequence");
            return;
        }
        one.in[i] = tl_build_reshape(c->b, x, x->fact.type.dims + 1, onnx_rank(x) - 1);
    }
    onnx_import_scan(&one);
    for (size_t i = 0; i < c->n_out; i++)
        c->out[i] = c->out[i] ? onnx_unsqueeze(c, c->out[i], &front, 1) : NULL;
}
