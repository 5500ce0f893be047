/* What is decided on TFL ops: activations and biases go into their producers, pads into SAME, and
 * the copies that the runtime's control flow needs are made. */
#include "lower/lowerer.h"
#include "ir/text.h"
#include "lower/runtime_rules.h"
#include "pass/pass.h"

/* ---- replacing a producer and what follows it by one node ---- */

/* node with other operands and attributes stands for `last` as well, whose name and mark it takes.
 */
static void fuse(tl_node *node, tl_value *const *in, size_t n_in, const void *attrs, tl_node *last)
{
    tl_builder b = tl_builder_before(last);
    b.origin = node->origin;
    b.legal = TL_LEGAL_TFL;
    tl_value_succeed(last->out[0], tl_build(&b, node->op, in, n_in, attrs), true);
    tl_node_remove(last);
    if (!tl_has_uses(node->out[0]))
        tl_node_remove(node);
}

static size_t copy_operands(const tl_node *node, tl_value **in, size_t max)
{
    size_t n = TL_MIN(node->n_in, max);
    for (size_t i = 0; i < n; i++)
        in[i] = node->in[i].value;
    return n;
}

#define MAX_OPERANDS 4

/* ---- activations ---- */

static const struct {
    tl_op op;
    tl_tfl_activation activation;
} activations[] = {{TL_OP_tfl_relu, TL_tfl_activation_relu},
                   {TL_OP_tfl_relu6, TL_tfl_activation_relu6},
                   {TL_OP_tfl_relu_n1_to_1, TL_tfl_activation_relu_n1_to_1}};

/* Ops whose kernels apply an activation; `bias` is the operand that holds one, or 0. */
static const struct fusing_op {
    tl_op op;
    size_t bias;
} fusing_ops[] = {{TL_OP_tfl_conv_2d, 2},
                  {TL_OP_tfl_depthwise_conv_2d, 2},
                  {TL_OP_tfl_fully_connected, 2},
                  {TL_OP_tfl_transpose_conv, 3},
                  {TL_OP_tfl_conv_3d, 2},
                  {TL_OP_tfl_add, 0},
                  {TL_OP_tfl_sub, 0},
                  {TL_OP_tfl_mul, 0},
                  {TL_OP_tfl_div, 0},
                  {TL_OP_tfl_max_pool_2d, 0},
                  {TL_OP_tfl_average_pool_2d, 0}};

static const struct fusing_op *find_fusing(tl_op op)
{
    for (size_t i = 0; i < TL_COUNT(fusing_ops); i++)
        if (fusing_ops[i].op == op)
            return &fusing_ops[i];
    return NULL;
}

static const tl_field *activation_field(tl_op op)
{
    size_t n;
    const tl_field *fields = tl_attrs_fields(tl_op_get(op)->attrs, &n);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(fields[i].name, "activation"))
            return &fields[i];
    return NULL;
}

static tl_tfl_activation fused_activation(const tl_node *node)
{
    tl_tfl_activation activation = TL_tfl_activation_none;
    const tl_field *field = activation_field(node->op);
    if (field)
        memcpy(&activation, (const char *)node->attrs + field->offset, sizeof activation);
    return activation;
}

/* The node's attributes with another activation, in the model's arena. */
static const void *with_activation(const tl_node *node, tl_tfl_activation activation)
{
    tl_model *model = node->graph->model;
    char *attrs =
        tl_arena_copy(model->arena, node->attrs, tl_attrs_size(tl_op_get(node->op)->attrs));
    const tl_field *field = activation_field(node->op);
    if (attrs && field)
        memcpy(attrs + field->offset, &activation, sizeof activation);
    return attrs ? attrs : node->attrs;
}

/* The producer of node's first operand, when it has no activation and serves this node alone. */
static tl_node *free_producer(const tl_node *node, size_t operand)
{
    tl_value *x = tl_in(node, operand);
    if (!x || !x->def || !tl_has_one_use(x) || !find_fusing(x->def->op) ||
        x->graph != node->graph || tl_type_of(x)->dtype != TL_F32 ||
        fused_activation(x->def) != TL_tfl_activation_none)
        return NULL;
    return x->def;
}

static bool fuse_activation(tl_node *node)
{
    for (size_t i = 0; i < TL_COUNT(activations); i++) {
        if (node->op != activations[i].op)
            continue;
        tl_node *producer = free_producer(node, 0);
        tl_value *in[MAX_OPERANDS];
        if (!producer)
            return false;
        size_t n = copy_operands(producer, in, MAX_OPERANDS);
        fuse(producer, in, n, with_activation(producer, activations[i].activation), node);
        return true;
    }
    return false;
}

/* ---- biases ---- */

/* The constant that c is, or is the dequantised form of. */
static const tl_value *constant_behind(const tl_value *c)
{
    return c->def && c->def->op == TL_OP_tfl_dequantize ? tl_in(c->def, 0) : c;
}

/* A constant that adds one number per channel (or one in all) to a result of n channels. */
static bool is_channel_vector(const tl_value *value, int64_t n, int rank)
{
    const tl_value *c = constant_behind(value);
    const tl_type *type = tl_type_of(c);
    if (!c->constant || (c == value && type->quant) || type->rank > rank)
        return false;
    if (type->quant && (type->quant->n > 1 || type->quant->block) && type->rank != 1)
        return false;
    int64_t count = tl_const_count(c->constant);
    return count == 1 || (count == n && type->rank > 0 && tl_dim_is(type->dims[type->rank - 1], n));
}

static tl_value *as_bias(tl_builder *b, tl_value *value, int64_t n)
{
    tl_model *model = b->model;
    const tl_value *c = constant_behind(value);
    const tl_const *vector = c->constant;
    tl_const *one = tl_const_reshape(model->arena, vector, 1, (int64_t[]){tl_const_count(vector)});
    if (one && tl_const_count(vector) != n)
        one = tl_const_broadcast(model->arena, one, 1, &n);
    const tl_quant *quant = tl_type_of(c)->quant;
    if (!one)
        return model->poison;
    if (!quant)
        return tl_build_const(model, one, c->name);
    tl_value *stored = tl_build_const_quant(model, one, quant, c->name);
    return tl_build1(b, TL_OP_tfl_dequantize, stored, NULL);
}

static tl_value *summed_bias(tl_model *model, const tl_value *a, const tl_value *b, int64_t n)
{
    tl_arena arena;
    tl_arena_init(&arena, model->cx);
    const double *x = tl_const_load_f64(model->cx, a->constant, &arena);
    const double *y = tl_const_load_f64(model->cx, b->constant, &arena);
    float *sum = TL_NEW_ARRAY(&arena, float, n);
    bool single = tl_const_count(b->constant) == 1;
    for (int64_t i = 0; x && y && sum && i < n; i++)
        sum[i] = (float)(x[i] + y[single ? 0 : i]);
    tl_value *bias = x && y && sum ? tl_build_f32s(model, sum, 1, &n) : model->poison;
    tl_arena_release(&arena);
    return bias;
}

/* producer(x, w, b) + c = producer(x, w, b + c) */
static bool fuse_bias(const tl_lower_options *options, tl_node *node)
{
    tl_model *model = node->graph->model;
    if (node->op != TL_OP_tfl_add)
        return false;
    for (size_t i = 0; i < 2; i++) {
        tl_node *producer = free_producer(node, i);
        tl_value *c = node->in[1 - i].value;
        size_t bias = producer ? find_fusing(producer->op)->bias : 0;
        const tl_type *type = tl_type_of(node->out[0]);
        int64_t n;
        double old = 0;
        if (!bias || !tl_dim_is_const(type->dims[type->rank - 1], &n) ||
            !is_channel_vector(c, n, type->rank))
            continue;
        const tl_value *b = tl_in(producer, bias);
        bool zero = !b || (b->constant && tl_const_is_splat(b->constant, &old) && old == 0);
        if (!zero && (options->exact || !b->constant || !c->constant ||
                      n > (int64_t)(TL_CONST_SMALL / sizeof(double))))
            continue;
        tl_builder before = tl_builder_before(node);
        tl_value *in[MAX_OPERANDS] = {0};
        copy_operands(producer, in, MAX_OPERANDS);
        in[bias] = zero ? as_bias(&before, c, n) : summed_bias(model, b, c, n);
        fuse(producer, in, bias + 1, with_activation(producer, fused_activation(node)), node);
        return true;
    }
    return false;
}

/* ---- pads ---- */

typedef struct conv_shape {
    int64_t stride[2], dilation[2];
} conv_shape;

static bool conv_shape_of(const tl_node *node, conv_shape *s, tl_tfl_padding *padding)
{
    if (node->op == TL_OP_tfl_conv_2d) {
        const tl_tfl_conv_attrs *a = tl_attrs_of(node, tfl_conv);
        *s = (conv_shape){{a->stride_h, a->stride_w}, {a->dilation_h, a->dilation_w}};
        *padding = a->padding;
        return true;
    }
    if (node->op == TL_OP_tfl_depthwise_conv_2d) {
        const tl_tfl_depthwise_attrs *a = tl_attrs_of(node, tfl_depthwise);
        *s = (conv_shape){{a->stride_h, a->stride_w}, {a->dilation_h, a->dilation_w}};
        *padding = a->padding;
        return true;
    }
    return false;
}

/* VALID over a PAD that is what SAME pads. */
static bool fuse_pad(tl_node *node)
{
    tl_model *model = node->graph->model;
    conv_shape s;
    tl_tfl_padding padding;
    const tl_value *x = tl_in(node, 0);
    int64_t pads[8];
    size_t n;
    if (!conv_shape_of(node, &s, &padding) || padding != TL_tfl_padding_valid || !x->def ||
        x->def->op != TL_OP_tfl_pad ||
        !tl_lower_known(model->cx, x->def->in[1].value, pads, 8, &n) || n != 8 || pads[0] ||
        pads[1] || pads[6] || pads[7])
        return false;
    tl_value *inner = x->def->in[0].value;
    for (int i = 0; i < 2; i++) {
        tl_window w = {.n = tl_size_of(inner, i + 1),
                       .lo = tl_dim_const(model->dims, pads[2 + 2 * i]),
                       .hi = tl_dim_const(model->dims, pads[3 + 2 * i]),
                       .stride = s.stride[i],
                       .dilation = s.dilation[i]};
        if (!tl_dim_is_const(tl_size_of(node->in[1].value, i + 1), &w.k) ||
            !tl_window_is_same(model->dims, &w))
            return false;
    }
    tl_value *in[MAX_OPERANDS];
    size_t n_in = copy_operands(node, in, MAX_OPERANDS);
    in[0] = inner;
    tl_tfl_conv_attrs conv;
    tl_tfl_depthwise_attrs dw;
    const void *attrs = &conv;
    if (node->op == TL_OP_tfl_conv_2d) {
        conv = *tl_attrs_of(node, tfl_conv);
        conv.padding = TL_tfl_padding_same;
    } else {
        dw = *tl_attrs_of(node, tfl_depthwise);
        dw.padding = TL_tfl_padding_same;
        attrs = &dw;
    }
    tl_builder b = tl_builder_before(node);
    tl_value_succeed(node->out[0], tl_build(&b, node->op, in, n_in, attrs), true);
    tl_node_remove(node);
    return true;
}

/* ---- copies ---- */

/* The same value in a tensor of its own. */
static tl_value *duplicate(tl_builder *b, tl_value *x)
{
    int64_t zeros[TL_MAX_RANK] = {0}, whole[TL_MAX_RANK];
    tl_model *model = b->model;
    size_t rank = (size_t)tl_type_of(x)->rank;
    for (size_t i = 0; i < rank; i++)
        whole[i] = -1;
    if (rank == 0)
        return tl_build2(b, TL_OP_tfl_reshape, x, tl_build_i32s(model, zeros, 0), NULL);
    tl_value *begin = tl_build_i32s(model, zeros, rank), *size = tl_build_i32s(model, whole, rank);
    return tl_build3(b, TL_OP_tfl_slice, x, begin, size, NULL);
}

/* ... in memory of its own, which a RESHAPE need not have. */
static tl_value *copy_out(tl_builder *b, tl_value *x)
{
    if (tl_type_of(x)->rank)
        return duplicate(b, x);
    tl_value *one = tl_build_i32s(b->model, (int64_t[]){1}, 1);
    tl_value *list = duplicate(b, tl_build2(b, TL_OP_tfl_reshape, x, one, NULL));
    return tl_build2(b, TL_OP_tfl_reshape, list, tl_build_i32s(b->model, NULL, 0), NULL);
}

/* Whether ret has x among its operands before i: uses are a list of the value, outputs may be many. */
static bool is_returned_before(const tl_node *ret, size_t i)
{
    for (const tl_use *use = ret->in[i].value->uses; use; use = use->next)
        if (use->user == ret && use < &ret->in[i])
            return true;
    return false;
}

/* A branch must not return one computed tensor twice, a loop body not another slot's input. */
static void copy_results(tl_graph *graph, bool loop_body)
{
    tl_node *ret = graph->last;
    for (size_t i = 0; i < ret->n_in; i++) {
        tl_value *x = ret->in[i].value;
        bool other_input = loop_body && x->graph == graph && !x->def && x->def_index != i;
        if (other_input || (x->def && is_returned_before(ret, i))) {
            tl_builder b = tl_builder_at_end(graph);
            tl_node_set_input(ret, i, duplicate(&b, x));
        }
    }
}

/* What is overwritten in place must not be a view of what is still wanted. */
static void copy_views(tl_graph *graph)
{
    TL_EACH_NODE(node, graph)
    for (tl_node *view; (view = tl_runtime_overwritten_view(node));) {
        tl_builder b = tl_builder_before(view);
        tl_node_set_input(view, 0, copy_out(&b, tl_in(view, 0)));
    }
}

/* A tensor has one name: an output that is an input, or another output too, becomes a tensor of its
 * own. What a variable is assigned needs none. */
static void part_outputs(const tl_entry *entry)
{
    tl_graph *graph = entry->graph;
    tl_node *ret = graph->last;
    for (size_t i = 0; i < entry->n_out; i++) {
        tl_value *x = ret->in[i].value;
        if ((x->graph == graph && !x->def) || is_returned_before(ret, i)) {
            tl_builder b = tl_builder_at_end(graph);
            tl_node_set_input(ret, i, duplicate(&b, x));
        }
    }
}

/* ---- state ---- */

/* A variable has one shape for good. */
static tl_status check_variables(const tl_model *model, const tl_entry *entry)
{
    for (size_t i = entry->n_in; i < entry->n_in + entry->n_state; i++) {
        tl_where where = tl_origin_where(model, NULL);
        if (!tl_type_is_static(tl_type_of(entry->graph->inputs.v[i])))
            return tl_fail(model->cx, TL_U005, &where,
                           "state %.*s has an open size, a variable has none; pin the inputs with "
                           "--input, or write --state io",
                           TL_STR_ARG(entry->in_names[i]));
    }
    return TL_OK;
}

static tl_status settle_state(tl_model *model, const tl_lower_options *options)
{
    for (size_t i = 0; i < model->entries.n; i++) {
        tl_entry *entry = &model->entries.v[i];
        TRY(options->show_state ? tl_entry_show_state(model, entry)
                                : check_variables(model, entry));
    }
    return TL_OK;
}

static void fuse_graph(const tl_lower_options *options, tl_graph *graph)
{
    tl_lower_tidy_views(options->profile, graph);
    tl_context *cx = graph->model->cx;
    for (tl_node *node = graph->first, *next; node && !cx->out_of_memory; node = next) {
        next = node->next;
        for (size_t i = 0; i < node->n_graphs; i++)
            fuse_graph(options, node->graphs[i]);
        if (!fuse_bias(options, node) && !fuse_activation(node))
            fuse_pad(node);
    }
}

static void copy_graph(tl_graph *graph)
{
    tl_context *cx = graph->model->cx;
    for (tl_node *node = graph->first; node && !cx->out_of_memory; node = node->next) {
        for (size_t i = 0; i < node->n_graphs; i++) {
            copy_graph(node->graphs[i]);
            copy_results(node->graphs[i], node->op == TL_OP_tfl_while && i == 1);
        }
    }
    if (!cx->out_of_memory)
        copy_views(graph);
}

/* An open size that the source itself bakes in: it demands that the number of elements is this. */
static bool source_bakes(const tl_rule_break *broken)
{
    if (broken->rule != 13)
        return false;
    const tl_model *model = broken->node->graph->model;
    const tl_dim *n = tl_type_count(model->dims, tl_type_of(broken->node->in[0].value));
    for (size_t i = 0; i < model->assumptions.n; i++)
        if (model->assumptions.v[i].a == n || model->assumptions.v[i].b == n)
            return true;
    return false;
}

static tl_status prove_rules(const tl_model *model, const tl_profile *profile)
{
    tl_arena arena;
    tl_rule_breaks breaks = {0};
    tl_arena_init(&arena, model->cx);
    tl_status status = tl_runtime_rules_check(model, profile, &arena, &breaks);
    for (size_t i = 0; i < breaks.list.n; i++) {
        const tl_rule_break *broken = &breaks.list.v[i];
        tl_text text;
        tl_text_init(&text, &arena);
        tl_node_print(broken->node, &text);
        bool type_or_rank = broken->rule == 5 || broken->rule == 6; /* of the model, not ours */
        if (broken->kind == TL_RULE_REFUSED || type_or_rank) {
            tl_where where = tl_origin_where(model, broken->node->origin);
            status =
                tl_fail(model->cx, TL_U007, &where, "%s: %s", broken->reason, tl_text_get(&text));
        } else if ((broken->kind == TL_RULE_WRONG || broken->kind == TL_RULE_CRASH) &&
                   !source_bakes(broken)) {
            status = tl_bug(model->cx, "runtime rule %d: %s: %s", broken->rule, broken->reason,
                            tl_text_get(&text));
        }
    }
    tl_arena_release(&arena);
    return status;
}

tl_status tl_lower_fuse(tl_model *model, const tl_lower_options *options)
{
    for (size_t i = 0; i < model->entries.n; i++)
        fuse_graph(options, model->entries.v[i].graph);
    TRY(tl_context_status(model->cx));
    return tl_pass_dce(model);
}

tl_status tl_lower_finish(tl_model *model, const tl_lower_options *options)
{
    TRY(tl_lower_fuse(model, options));
    TRY(settle_state(model, options));
    for (size_t i = 0; i < model->entries.n; i++) {
        tl_lower_settle_constants(options, model->entries.v[i].graph);
        copy_graph(model->entries.v[i].graph);
        TRY(tl_context_status(model->cx));
        tl_lower_settle_windows(model->entries.v[i].graph);
        tl_lower_settle_outputs(model->entries.v[i].graph);
        part_outputs(&model->entries.v[i]);
    }
    TRY(tl_context_status(model->cx));
    TRY(tl_pass_dce(model));
    return prove_rules(model, options->profile);
}
