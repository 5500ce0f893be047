#include "lower/runtime_rules.h"

#include "ir/build.h"

#include "tfl/version.h"

#define FAST_TAPS 25
#define LEAST_EPSILON \
    1e-37 /* what f32 holds without becoming subnormal, which the delegate flushes to 0 */

typedef struct rule_case {
    const tl_node *node;
    const tl_profile *profile;
    tl_arena *arena;
} rule_case;

typedef bool (*rule_broken)(const rule_case *c);

/* ---- reading operands ---- */

static bool is_known(const tl_value *value)
{
    return value && value->constant;
}

static bool is_dequantized(const tl_value *value)
{
    return value && value->def && value->def->op == TL_OP_tfl_dequantize &&
           is_known(tl_in(value->def, 0));
}

/* Small integer contents; NULL when not constant. */
static const int64_t *contents(const rule_case *c, size_t operand, size_t *n)
{
    const tl_value *value = tl_in(c->node, operand);
    if (!is_known(value) || tl_const_count(value->constant) > 64)
        return NULL;
    *n = (size_t)tl_const_count(value->constant);
    return tl_const_load_i64(c->node->graph->model->cx, value->constant, c->arena);
}

/* Which operand carries the data, where it is not the first. */
static const struct {
    tl_op op;
    size_t operand;
} data_operands[] = {
    {TL_OP_tfl_select, 1},
    {TL_OP_tfl_select_v2, 1},
    {TL_OP_tfl_transpose_conv, 2},
    {TL_OP_tfl_split, 1},
    {TL_OP_tfl_conv_3d_transpose, 2},
    {TL_OP_tfl_scatter_nd, 1},
    {TL_OP_tfl_one_hot, 2},
    {TL_OP_tfl_fill, 1},
    {TL_OP_tfl_embedding_lookup, 1},
};

static const tl_value *data_of(const tl_node *node)
{
    size_t operand = 0;
    for (size_t i = 0; i < TL_COUNT(data_operands); i++)
        if (data_operands[i].op == node->op)
            operand = data_operands[i].operand;
    return tl_in(node, operand);
}

/* Operands that are parameters: axes, shapes, begins, … */
static const struct {
    tl_op op;
    size_t first, last;
} parameters[] = {
    {TL_OP_tfl_reshape, 1, 1},
    {TL_OP_tfl_transpose, 1, 1},
    {TL_OP_tfl_strided_slice, 1, 3},
    {TL_OP_tfl_sum, 1, 1},
    {TL_OP_tfl_mean, 1, 1},
    {TL_OP_tfl_reduce_max, 1, 1},
    {TL_OP_tfl_reduce_min, 1, 1},
    {TL_OP_tfl_reduce_prod, 1, 1},
    {TL_OP_tfl_reduce_any, 1, 1},
    {TL_OP_tfl_reduce_all, 1, 1},
    {TL_OP_tfl_cumsum, 1, 1},
    {TL_OP_tfl_topk_v2, 1, 1},
    {TL_OP_tfl_resize_bilinear, 1, 1},
    {TL_OP_tfl_reverse_v2, 1, 1},
    {TL_OP_tfl_scatter_nd, 2, 2},
    {TL_OP_tfl_resize_nearest_neighbor, 1, 1},
};

/* ---- predicates ---- */

static bool returns_twice(const rule_case *c)
{
    for (size_t g = 0; g < c->node->n_graphs; g++) {
        const tl_graph *graph = c->node->graphs[g];
        for (size_t i = 0; i < tl_graph_n_outputs(graph); i++)
            for (size_t k = 0; k < i && tl_graph_output(graph, i)->def; k++)
                if (tl_graph_output(graph, i) == tl_graph_output(graph, k))
                    return true;
    }
    return false;
}

static bool returns_other_input(const rule_case *c)
{
    const tl_graph *body = c->node->graphs[1];
    for (size_t i = 0; i < tl_graph_n_outputs(body); i++) {
        const tl_value *y = tl_graph_output(body, i);
        if (y->graph == body && !y->def && y->def_index != i)
            return true;
    }
    return false;
}

static bool slice_size_is_open(const rule_case *c)
{
    return !is_known(tl_in(c->node, 2)) && tl_type_is_static(tl_type_of(c->node->out[0]));
}

static bool shapes_differ(const rule_case *c)
{
    const tl_type *a = tl_type_of(c->node->in[0].value), *b = tl_type_of(c->node->in[1].value);
    bool differ = a->rank != b->rank;
    for (int i = 0; !differ && i < a->rank; i++)
        differ = a->dims[i] != b->dims[i];
    return differ;
}

static bool type_is_not_computed(const rule_case *c)
{
    const tl_value *x = data_of(c->node);
    uint32_t types = tl_profile_limits(c->profile, c->node->op).types;
    return x && types != TL_LIMIT_ANY && !(types & tl_limit_bit(tl_type_of(x)));
}

static bool rank_is_too_high(const rule_case *c)
{
    const tl_value *x = data_of(c->node);
    int max = tl_profile_limits(c->profile, c->node->op).rank;
    return x && max && tl_type_of(x)->rank > max;
}

static bool spreads_too_far(const rule_case *c)
{
    int max = tl_profile_limits(c->profile, c->node->op).spread_rank,
        rank = tl_type_of(c->node->out[0])->rank;
    for (size_t i = 0; max && rank > max && i < c->node->n_in; i++) {
        const tl_type *x = tl_type_of(c->node->in[i].value);
        for (int a = 0; a < rank; a++)
            if (x->rank != rank || x->dims[a] != tl_type_of(c->node->out[0])->dims[a])
                return true;
    }
    return false;
}

bool tl_runtime_rsqrt_is_safe(const tl_value *x)
{
    double eps;
    if (!x->def || x->def->op != TL_OP_tfl_add)
        return false;
    for (size_t i = 0; i < 2; i++) {
        const tl_value *e = x->def->in[i].value;
        if (is_known(e) && tl_const_number(x->model->cx, e->constant, &eps) && eps >= LEAST_EPSILON)
            return true;
    }
    return false;
}

static bool lacks_epsilon(const rule_case *c)
{
    return !tl_runtime_rsqrt_is_safe(c->node->in[0].value);
}

static bool lacks_bias(const rule_case *c)
{
    return !tl_in(c->node, 2);
}

static bool activation_is_ignored(const rule_case *c)
{
    size_t n;
    const tl_field *fields = tl_attrs_fields(tl_op_get(c->node->op)->attrs, &n);
    for (size_t i = 0; i < n; i++) {
        if (fields[i].kind != TL_FIELD_enum || strcmp(fields[i].name, "activation"))
            continue;
        int value;
        memcpy(&value, (const char *)c->node->attrs + fields[i].offset, sizeof value);
        return value == TL_tfl_activation_tanh || value == TL_tfl_activation_sign_bit ||
               (c->node->op == TL_OP_tfl_concatenation && value != TL_tfl_activation_none);
    }
    return false;
}

static bool parameter_is_wide(const rule_case *c)
{
    for (size_t i = 0; i < TL_COUNT(parameters); i++)
        for (size_t k = parameters[i].first;
             parameters[i].op == c->node->op && k <= parameters[i].last; k++)
            if (tl_in(c->node, k) && tl_type_of(tl_in(c->node, k))->dtype != TL_I32)
                return true;
    return false;
}

/* The source itself demands that an open size have this value, and the user was told so. */
static bool is_assumed(const tl_model *model, const tl_dim *size, int64_t value)
{
    const tl_dim *known = tl_dim_const(model->dims, value);
    for (size_t i = 0; i < model->assumptions.n; i++) {
        const tl_assumption *a = &model->assumptions.v[i];
        if ((a->a == size && a->b == known) || (a->a == known && a->b == size))
            return true;
    }
    return false;
}

static bool bakes_open_size(const rule_case *c)
{
    const tl_model *model = c->node->graph->model;
    int64_t product = 1;
    size_t n = 0;
    const int64_t *shape = contents(c, 1, &n);
    if (!shape || tl_type_is_static(tl_type_of(c->node->in[0].value)))
        return false;
    for (size_t i = 0; i < n; i++)
        if (shape[i] < 0 || !tl_mul_i64(product, shape[i], &product))
            return false;
    const tl_dim *count = tl_type_count(model->dims, tl_type_of(c->node->in[0].value));
    return !tl_dim_is_const(count, NULL) && !is_assumed(model, count, product);
}

static bool has_many_taps(const rule_case *c)
{
    const tl_type *k = tl_type_of(c->node->in[1].value);
    int64_t h, w;
    return tl_dim_is_const(k->dims[1], &h) && tl_dim_is_const(k->dims[2], &w) && h * w > FAST_TAPS;
}

static bool constant_is_returned(const rule_case *c)
{
    if (!is_known(tl_in(c->node, 0)))
        return false;
    for (const tl_use *use = c->node->out[0]->uses; use; use = use->next)
        if (use->user->op == TL_OP_ret)
            return true;
    return false;
}

static bool in_any_case(const rule_case *c)
{
    (void)c;
    return true;
}

static bool steps_backwards(const rule_case *c)
{
    size_t n = 0;
    const int64_t *stride = contents(c, 3, &n);
    for (size_t i = 0; stride && i < n; i++)
        if (stride[i] < 0)
            return true;
    return false;
}

static bool weights_are_computed(const rule_case *c)
{
    return !is_known(tl_in(c->node, 1)) && !is_dequantized(tl_in(c->node, 1));
}

static bool is_too_new(const rule_case *c)
{
    const char *release = tl_tfl_release(c->node->op, tl_tfl_version(c->node));
    return !release || tl_tfl_release_compare(release, c->profile->release) > 0;
}

static bool makes_view(tl_op op)
{
    return op == TL_OP_tfl_reshape || op == TL_OP_tfl_squeeze || op == TL_OP_tfl_expand_dims;
}

static bool works_in_place(tl_op op)
{
    static const tl_op ops[] = {TL_OP_tfl_add, TL_OP_tfl_sub,     TL_OP_tfl_mul,
                                TL_OP_tfl_div, TL_OP_tfl_softmax, TL_OP_tfl_dynamic_update_slice};
    for (size_t i = 0; i < TL_COUNT(ops); i++)
        if (ops[i] == op)
            return true;
    return false;
}

/* The runtime counts the users of a tensor, not those of the tensors that share its memory. So r =
 * ADD(t, 1) in the place of t, a view of r, and MUL(view, 3) in the place of that view leave r with
 * the product, whoever else reads it. Measured with the plain and the reference kernels; the
 * delegate is right. */
tl_node *tl_runtime_overwritten_view(const tl_node *node)
{
    if (!works_in_place(node->op))
        return NULL;
    for (size_t i = 0; i < node->n_in; i++) {
        tl_value *x = tl_in(node, i);
        while (x && x->def && makes_view(x->def->op)) {
            tl_node *view = x->def;
            x = tl_in(view, 0);
            bool shares = x->def && (makes_view(x->def->op) || works_in_place(x->def->op));
            if (shares && !tl_has_one_use(x))
                return view;
        }
    }
    return NULL;
}

static bool overwrites_view(const rule_case *c)
{
    return tl_runtime_overwritten_view(c->node) != NULL;
}

/* ---- the table ---- */

#define ANY TL_OP_COUNT

/* Rules that have no row: 11, 12 and 17 are about ops outside this vocabulary (fused recurrent
 * ones, CALL_ONCE). */
static const struct rule_row {
    int rule;
    tl_rule_kind kind;
    tl_op op;
    rule_broken broken;
    const char *reason;
} rule_rows[] = {
    {1, TL_RULE_WRONG, TL_OP_tfl_if, returns_twice,
     "a branch returns one computed tensor twice: the first copy stays uninitialised"},
    {2, TL_RULE_WRONG, TL_OP_tfl_while, returns_other_input,
     "the body returns another slot's input: it may be overwritten before it is copied"},
    {3, TL_RULE_WRONG, TL_OP_tfl_slice, slice_size_is_open,
     "the declared size is believed, whatever the run-time size is"},
    {4, TL_RULE_WRONG, TL_OP_tfl_atan2, shapes_differ, "ATAN2 does not broadcast"},
    {5, TL_RULE_CRASH, ANY, type_is_not_computed,
     "no kernel computes this element type rightly: wrong numbers, a refusal or a crash"},
    {6, TL_RULE_CRASH, ANY, rank_is_too_high, "the kernel or the delegate refuses this many axes"},
    {6, TL_RULE_CRASH, ANY, spreads_too_far,
     "the kernel aborts when it broadcasts over this many axes"},
    {7, TL_RULE_DOUBT, TL_OP_tfl_rsqrt, lacks_epsilon, "RSQRT of 0 is NaN under the delegate"},
    {8, TL_RULE_CRASH, TL_OP_tfl_conv_2d, lacks_bias, "CONV_2D without bias is refused"},
    {8, TL_RULE_CRASH, TL_OP_tfl_depthwise_conv_2d, lacks_bias,
     "DEPTHWISE_CONV_2D without bias crashes"},
    {9, TL_RULE_WRONG, ANY, activation_is_ignored, "this fused activation is not applied"},
    {10, TL_RULE_CRASH, ANY, parameter_is_wide,
     "a parameter that is not i32 is refused or misread"},
    {13, TL_RULE_CRASH, TL_OP_tfl_reshape, bakes_open_size, "an open size is baked into the shape"},
    {14, TL_RULE_SLOW, TL_OP_tfl_depthwise_conv_2d, has_many_taps,
     "kernels of more than 25 taps are several times slower than strips of it"},
    {15, TL_RULE_SLOW, TL_OP_tfl_broadcast_to, in_any_case, "TILE is several times faster"},
    {15, TL_RULE_SLOW, TL_OP_tfl_mirror_pad, in_any_case,
     "SLICE and CONCATENATION are many times faster"},
    {15, TL_RULE_SLOW, TL_OP_tfl_strided_slice, steps_backwards, "REVERSE_V2 is many times faster"},
    {16, TL_RULE_SLOW, TL_OP_tfl_fully_connected, weights_are_computed,
     "BATCH_MATMUL is several times faster where the weights are computed"},
    {19, TL_RULE_WRONG, ANY, overwrites_view,
     "the memory of a view is overwritten while the tensor that it views is still wanted"},
    {20, TL_RULE_WRONG, TL_OP_tfl_dequantize, constant_is_returned,
     "under the delegate a dequantised constant that is an output stays 0"},
    {18, TL_RULE_REFUSED, ANY, is_too_new, "the op version is newer than the runtime"},
};

static tl_status check_rule_rows(const tl_graph *graph, const tl_profile *profile, tl_arena *arena,
                                 tl_rule_breaks *breaks)
{
    tl_context *cx = graph->model->cx;
    TL_EACH_NODE (node, graph) {
        if (tl_op_get(node->op)->legal != TL_LEGAL_TFL)
            continue;
        rule_case c = {node, profile, arena};
        for (size_t i = 0; i < TL_COUNT(rule_rows); i++) {
            const struct rule_row *row = &rule_rows[i];
            if ((row->op != ANY && row->op != node->op) || !row->broken(&c))
                continue;
            tl_rule_break found = {row->rule, row->kind, node, row->reason};
            if (!tl_vec_push(arena, &breaks->list, found))
                return tl_context_status(cx);
        }
        for (size_t g = 0; g < node->n_graphs; g++)
            TRY(check_rule_rows(node->graphs[g], profile, arena, breaks));
    }
    return TL_OK;
}

tl_status tl_runtime_rules_check(const tl_model *model, const tl_profile *profile, tl_arena *arena,
                                 tl_rule_breaks *breaks)
{
    for (size_t i = 0; i < model->entries.n; i++)
        TRY(check_rule_rows(model->entries.v[i].graph, profile, arena, breaks));
    return TL_OK;
}

const char *tl_rule_kind_name(tl_rule_kind kind)
{
    static const char *const names[] = {"wrong", "crash", "refused", "doubt", "slow"};
    return names[kind];
}
