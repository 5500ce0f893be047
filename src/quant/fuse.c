/* The rewrites, repeated over each graph until none applies. q and dq are QUANTIZE and DEQUANTIZE:
 *     dq(u8 x)              = dq(i8 x)           u8 and i8: the same numbers, 128 apart
 *     move(dq(x))           = dq(move(x))
 *     q(move(x, …))         = move(q(x), …)      also maximum, minimum, choices, joins
 *     q(dq(x))              = x                  of the same parameters
 *     q(dq(x))              ~ requantise(x)      of others
 *     q(op(dq(x), …))       ~ integer op(x, …)   fuse_ops.c */
#include "quant/fusing.h"

#include "pass/pass.h"

#include <string.h>

/* ---- tools ---- */

tl_value *tl_fusing_stored(const tl_value *value)
{
    if (!value || !value->def || value->def->op != TL_OP_tfl_dequantize)
        return NULL;
    tl_value *x = tl_in(value->def, 0);
    return tl_type_of(x)->quant && (x->constant || x->graph == value->graph) ? x : NULL;
}

bool tl_fusing_allows(const fusing *f, tl_op op, tl_dtype dtype, const tl_quant *quant)
{
    tl_type type = {.dtype = dtype, .quant = quant};
    uint32_t types = tl_profile_limits(f->options->profile, op).types;
    return types == TL_LIMIT_ANY || (types & tl_limit_bit(&type));
}

const void *tl_fusing_attrs(const tl_node *node, const tl_quant *quant)
{
    size_t n;
    const tl_op_info *info = tl_op_get(node->op);
    const tl_field *fields = tl_attrs_fields(info->attrs, &n);
    char *attrs = tl_arena_copy(node->graph->model->arena, node->attrs, tl_attrs_size(info->attrs));
    for (size_t i = 0; attrs && i < n; i++)
        if (fields[i].kind == TL_FIELD_quant)
            memcpy(attrs + fields[i].offset, &quant, sizeof quant);
    if (attrs && quant && (node->op == TL_OP_tfl_add || node->op == TL_OP_tfl_sub)) {
        tl_tfl_add_attrs *sum = (tl_tfl_add_attrs *)(void *)attrs;
        sum->pot_scale_int16 = false; /* scales are powers of two by accident only */
    }
    return attrs;
}

tl_value *tl_fusing_quantize(tl_builder *b, tl_value *x, const tl_tfl_quantize_attrs *to)
{
    const tl_type *type = tl_type_of(x);
    if (type->quant && type->dtype == to->to && tl_quant_same(type->quant, to->quant))
        return x;
    if (x->constant && !type->quant) {
        tl_const *c = tl_const_quantize(b->model->arena, x->constant, to->to, to->quant);
        return c ? tl_build_const_quant(b->model, c, to->quant, x->name) : b->model->poison;
    }
    return tl_build1(b, TL_OP_tfl_quantize, x, to);
}

static bool same_parameters(const tl_tfl_quantize_attrs *a, const tl_tfl_quantize_attrs *b)
{
    return a->to == b->to && tl_quant_same(a->quant, b->quant);
}

const tl_tfl_quantize_attrs *tl_fusing_wanted(const tl_node *node)
{
    const tl_tfl_quantize_attrs *wanted = NULL;
    for (size_t i = 0; i < node->n_out; i++) {
        if (!tl_has_uses(node->out[i]) || tl_type_of(node->out[i])->quant)
            return NULL;
        for (const tl_use *use = node->out[i]->uses; use; use = use->next) {
            if (use->user->op != TL_OP_tfl_quantize || use->user->graph != node->graph)
                return NULL;
            const tl_tfl_quantize_attrs *attrs = tl_attrs_of(use->user, tfl_quantize);
            if (wanted && !same_parameters(wanted, attrs))
                return NULL;
            wanted = attrs;
        }
    }
    return wanted;
}

void tl_fusing_report_scale(const tl_node *node, const char *what)
{
    const tl_model *model = node->graph->model;
    tl_where where = tl_origin_where(model, node->origin);
    tl_warn(model->cx, TL_W006, &where, "%s is requantised: %s", tl_op_get(node->op)->name + 4, what);
}

/* replacement stands for old, whose name and mark it takes where it has none. */
static void succeed(tl_value *old, tl_value *replacement)
{
    if (!replacement->name.n)
        tl_value_set_name(replacement, old->name);
    if (!replacement->mark && old->mark)
        tl_value_set_mark(replacement, old->mark);
    tl_replace_uses(old, replacement);
}

static void remove_unused(tl_node *node)
{
    for (size_t i = 0; i < node->n_out; i++)
        if (tl_has_uses(node->out[i]))
            return;
    tl_node_remove(node);
}

/* All users of output i of node, quantize nodes, give way to stored. */
static void replace_quantized(tl_node *node, size_t i, tl_value *stored)
{
    while (tl_has_uses(node->out[i])) {
        tl_node *user = node->out[i]->uses->user;
        succeed(user->out[0], stored);
        tl_node_remove(user);
    }
}

/* ---- u8 as i8 ---- */

static bool is_shift(const tl_node *node)
{
    const tl_type *x = tl_type_of(tl_in(node, 0)), *y = tl_type_of(node->out[0]);
    if (node->op != TL_OP_tfl_quantize || !x->quant || x->quant->n != 1 || y->quant->n != 1 ||
        x->quant->scale[0] != y->quant->scale[0])
        return false;
    int64_t apart = x->quant->zero[0] - y->quant->zero[0];
    return (x->dtype == TL_U8 && y->dtype == TL_I8 && apart == 128) ||
           (x->dtype == TL_I8 && y->dtype == TL_U8 && apart == -128);
}

/* The parameters of u8 numbers as i8. */
static const tl_quant *shifted_quant(tl_model *model, const tl_quant *quant)
{
    tl_quant *shifted = TL_NEW(model->arena, tl_quant);
    int64_t *zero = TL_NEW_ARRAY(model->arena, int64_t, quant->n);
    if (!shifted || !zero)
        return NULL;
    *shifted = *quant;
    for (size_t i = 0; i < quant->n; i++)
        zero[i] = quant->zero[i] - 128;
    shifted->zero = zero;
    return shifted;
}

/* u8 numbers minus 128, never computed before the file is written. */
static tl_value *shifted_constant(tl_model *model, const tl_value *x, const tl_quant *quant)
{
    tl_arena *arena = model->arena;
    int64_t flat[2] = {1, tl_const_count(x->constant)};
    double less = -128;
    tl_const *c = tl_const_reshape(arena, x->constant, 2, flat);
    c = c ? tl_const_cast(arena, c, TL_F32) : NULL;
    c = c ? tl_const_muladd(arena, c, 0, NULL, &less) : NULL;
    c = c ? tl_const_cast(arena, c, TL_I8) : NULL;
    c = c ? tl_const_reshape(arena, c, tl_const_rank(x->constant), tl_const_shape(x->constant))
          : NULL;
    return c && quant ? tl_build_const_quant(model, c, quant, x->name) : model->poison;
}

/* dq(u8 x) = dq(i8 x) */
static bool read_as_i8(fusing *f, tl_node *node)
{
    tl_value *x = tl_in(node, 0);
    const tl_type *type = tl_type_of(x);
    if (node->op != TL_OP_tfl_dequantize || type->dtype != TL_U8 || !type->quant ||
        type->quant->block || (type->quant->n > 1 && !x->constant))
        return false;
    const tl_quant *quant = shifted_quant(f->model, type->quant);
    tl_tfl_quantize_attrs to = {.to = TL_I8, .quant = quant};
    tl_builder b = tl_builder_before(node);
    tl_value *shifted = x->constant ? shifted_constant(f->model, x, quant)
                        : quant     ? tl_build1(&b, TL_OP_tfl_quantize, x, &to)
                                    : f->model->poison;
    tl_node_set_input(node, 0, shifted);
    return true;
}

/* q(float to u8) = u8(q(float to i8)) */
static bool write_as_i8(fusing *f, tl_node *node)
{
    if (node->op != TL_OP_tfl_quantize || tl_type_of(tl_in(node, 0))->quant)
        return false;
    const tl_tfl_quantize_attrs *attrs = tl_attrs_of(node, tfl_quantize);
    if (attrs->to != TL_U8 || attrs->quant->n != 1)
        return false;
    const tl_quant *quant = shifted_quant(f->model, attrs->quant);
    tl_builder b = tl_builder_before(node);
    tl_tfl_quantize_attrs to = {.to = TL_I8, .quant = quant};
    tl_value *q = quant ? tl_build1(&b, TL_OP_tfl_quantize, tl_in(node, 0), &to) : f->model->poison;
    tl_node_set_input(node, 0, q);
    return true;
}

/* i8(u8(x)) = x */
static bool cancel_shifts(tl_node *node)
{
    tl_node *inner = is_shift(node) ? tl_in(node, 0)->def : NULL;
    if (!inner || inner->op != TL_OP_tfl_quantize || !is_shift(inner))
        return false;
    tl_value *x = tl_in(inner, 0);
    succeed(node->out[0], x);
    tl_node_remove(node);
    remove_unused(inner);
    return true;
}

/* ---- movement ---- */

/* Ops that pick among their operand's elements, whatever these stand for; `first` is the data operand,
 * n how many there are (0: all). down: dq may go behind the op, else only q in front of it. */
static const struct mover {
    tl_op op;
    uint8_t first, n;
    bool down;
} movers[] = {
    {TL_OP_tfl_reshape, 0, 1, true},
    {TL_OP_tfl_squeeze, 0, 1, true},
    {TL_OP_tfl_expand_dims, 0, 1, true},
    {TL_OP_tfl_transpose, 0, 1, true},
    {TL_OP_tfl_unpack, 0, 1, true},
    {TL_OP_tfl_split, 1, 1, true},
    {TL_OP_tfl_split_v, 0, 1, true},
    {TL_OP_tfl_slice, 0, 1, true},
    {TL_OP_tfl_strided_slice, 0, 1, true},
    {TL_OP_tfl_pad, 0, 1, true},
    {TL_OP_tfl_mirror_pad, 0, 1, true},
    {TL_OP_tfl_tile, 0, 1, true},
    {TL_OP_tfl_broadcast_to, 0, 1, true},
    {TL_OP_tfl_reverse_v2, 0, 1, true},
    {TL_OP_tfl_gather, 0, 1, true},
    {TL_OP_tfl_gather_nd, 0, 1, true},
    {TL_OP_tfl_depth_to_space, 0, 1, true},
    {TL_OP_tfl_space_to_depth, 0, 1, true},
    {TL_OP_tfl_batch_to_space_nd, 0, 1, true},
    {TL_OP_tfl_space_to_batch_nd, 0, 1, true},
    {TL_OP_tfl_max_pool_2d, 0, 1, true},
    {TL_OP_tfl_reduce_max, 0, 1, true},
    {TL_OP_tfl_reduce_min, 0, 1, true},
    {TL_OP_tfl_resize_nearest_neighbor, 0, 1, true},
    {TL_OP_tfl_arg_max, 0, 1, true},
    {TL_OP_tfl_arg_min, 0, 1, true},
    {TL_OP_tfl_concatenation, 0, 0, true},
    {TL_OP_tfl_pack, 0, 0, true},
    {TL_OP_tfl_maximum, 0, 2, true},
    {TL_OP_tfl_minimum, 0, 2, true},
    {TL_OP_tfl_select, 1, 2, true},
    {TL_OP_tfl_select_v2, 1, 2, true},
    {TL_OP_tfl_padv2, 0, 0, false}, /* operand 1 is none of the data: see data_operand */
    {TL_OP_tfl_dynamic_update_slice, 0, 2, true},
    {TL_OP_tfl_relu, 0, 1, false},
};

static const struct mover *find_mover(const tl_node *node)
{
    for (size_t i = 0; i < TL_COUNT(movers); i++)
        if (movers[i].op == node->op)
            return &movers[i];
    return NULL;
}

static bool is_data(const tl_node *node, const struct mover *m, size_t i)
{
    if (node->op == TL_OP_tfl_padv2)
        return i != 1;
    return m->n == 0 || (i >= m->first && i < (size_t)m->first + m->n);
}

/* A fused activation is more than movement. */
static bool only_moves(const tl_node *node)
{
    switch ((int)node->op) {
    case TL_OP_tfl_max_pool_2d:
        return tl_attrs_of(node, tfl_pool)->activation == TL_tfl_activation_none;
    case TL_OP_tfl_concatenation:
        return tl_attrs_of(node, tfl_concatenation)->activation == TL_tfl_activation_none;
    }
    return node->n_graphs == 0;
}

#define MAX_DATA 64

/* The stored numbers of all data operands, which have one scale; constants of floats are left to q. */
static bool stored_operands(const fusing *f, const tl_node *node, const struct mover *m,
                            tl_value **in)
{
    const tl_type *first = NULL;
    for (size_t i = 0; i < node->n_in; i++) {
        in[i] = node->in[i].value;
        if (!is_data(node, m, i))
            continue;
        tl_value *x = tl_fusing_stored(in[i]);
        if (!x || tl_type_of(x)->quant->n != 1 || tl_type_of(x)->quant->block)
            return false;
        const tl_type *type = tl_type_of(x);
        if (first && (first->dtype != type->dtype || !tl_quant_same(first->quant, type->quant)))
            return false;
        if (x->constant && node->op != TL_OP_tfl_gather && node->op != TL_OP_tfl_gather_nd &&
            m->n == 1)
            return false;
        first = type;
        in[i] = x;
    }
    return first && tl_fusing_allows(f, node->op, first->dtype, first->quant);
}

/* move(dq(x)) = dq(move(x)); where the results are indices they stay as they are */
static bool move_stored(fusing *f, tl_node *node)
{
    const struct mover *m = find_mover(node);
    tl_value *in[MAX_DATA];
    if (!m || !m->down || !only_moves(node) || node->n_in > MAX_DATA ||
        !stored_operands(f, node, m, in))
        return false;
    tl_builder b = tl_builder_before(node);
    tl_node *moved =
        tl_build_node(&b, node->op, in, node->n_in, node->attrs, node->n_out, NULL, 0);
    for (size_t i = 0; i < node->n_out; i++) {
        bool floats = tl_dtype_is_float(tl_type_of(node->out[i])->dtype);
        tl_value *y = floats ? tl_build1(&b, TL_OP_tfl_dequantize, moved->out[i], NULL)
                             : moved->out[i];
        succeed(node->out[i], y);
    }
    tl_node_remove(node);
    return true;
}

/* move(u8(x)) = u8(move(x)) */
static bool move_shifted(fusing *f, tl_node *node)
{
    const struct mover *m = find_mover(node);
    tl_value *in[MAX_DATA];
    if (!m || m->n != 1 || !m->down || !only_moves(node) || node->n_in > MAX_DATA)
        return false;
    tl_value *x = node->in[m->first].value;
    if (!x->def || !is_shift(x->def) || tl_type_of(x)->dtype != TL_U8 || x->graph != node->graph)
        return false;
    const tl_type *type = tl_type_of(tl_in(x->def, 0));
    if (!tl_fusing_allows(f, node->op, type->dtype, type->quant) ||
        tl_type_of(node->out[0])->dtype != TL_U8)
        return false;
    for (size_t i = 0; i < node->n_in; i++)
        in[i] = i == m->first ? tl_in(x->def, 0) : node->in[i].value;
    tl_builder b = tl_builder_before(node);
    tl_node *moved =
        tl_build_node(&b, node->op, in, node->n_in, node->attrs, node->n_out, NULL, 0);
    tl_tfl_quantize_attrs to = {.to = TL_U8, .quant = tl_type_of(x)->quant};
    for (size_t i = 0; i < node->n_out; i++)
        succeed(node->out[i], tl_build1(&b, TL_OP_tfl_quantize, moved->out[i], &to));
    tl_node_remove(node);
    return true;
}

/* q(move(x, …)) = move(q(x), …) */
static bool quantize_operands(fusing *f, tl_node *node, const tl_tfl_quantize_attrs *wanted)
{
    const struct mover *m = find_mover(node);
    tl_value *in[MAX_DATA];
    if (!m || !only_moves(node) || node->n_in > MAX_DATA || wanted->quant->n != 1 ||
        node->op == TL_OP_tfl_arg_max || node->op == TL_OP_tfl_arg_min ||
        !tl_fusing_allows(f, node->op, wanted->to, wanted->quant))
        return false;
    tl_tfl_quantize_attrs to = *wanted;
    tl_builder b = tl_builder_before(node);
    for (size_t i = 0; i < node->n_in; i++) {
        in[i] = node->in[i].value;
        if (is_data(node, m, i))
            in[i] = tl_fusing_quantize(&b, in[i], &to);
    }
    tl_node *moved =
        tl_build_node(&b, node->op, in, node->n_in, node->attrs, node->n_out, NULL, 0);
    for (size_t i = 0; i < node->n_out; i++)
        replace_quantized(node, i, moved->out[i]);
    tl_node_remove(node);
    return true;
}

/* ---- what is left between two scales ---- */

static bool can_requantize(tl_dtype from, tl_dtype to)
{
    return from == TL_I8 ? to == TL_I8 || to == TL_U8 || to == TL_I16
                         : from == TL_I16 && (to == TL_I8 || to == TL_I16);
}

static bool zeros_fit(const tl_quant *quant, tl_dtype dtype)
{
    return dtype != TL_I16 || quant->zero[0] == 0;
}

/* q(dq(x)) */
static bool join_scales(fusing *f, tl_node *node)
{
    tl_value *x = node->op == TL_OP_tfl_quantize ? tl_fusing_stored(tl_in(node, 0)) : NULL;
    if (!x)
        return false;
    const tl_tfl_quantize_attrs *to = tl_attrs_of(node, tfl_quantize);
    const tl_type *type = tl_type_of(x);
    tl_node *dequantize = tl_in(node, 0)->def;
    if (type->dtype == to->to && tl_quant_same(type->quant, to->quant)) {
        succeed(node->out[0], x);
        tl_node_remove(node);
    } else if (!f->options->exact && type->quant->n == 1 && to->quant->n == 1 && !x->constant &&
               can_requantize(type->dtype, to->to) && zeros_fit(type->quant, type->dtype) &&
               zeros_fit(to->quant, to->to)) {
        tl_fusing_report_scale(node, "the scales on both sides differ");
        tl_node_set_input(node, 0, x);
    } else {
        return false;
    }
    remove_unused(dequantize);
    return true;
}

/* ---- the walk ---- */

/* Rewrites around node; whatever becomes of it, the walk goes on behind it. */
static bool rewrite_node(fusing *f, tl_node *node)
{
    const char *why;
    if (read_as_i8(f, node) || write_as_i8(f, node) || cancel_shifts(node) ||
        join_scales(f, node) || move_shifted(f, node) || move_stored(f, node))
        return true;
    if (node->n_out == 0 || node->op == TL_OP_tfl_quantize)
        return false;
    const tl_tfl_quantize_attrs *wanted = tl_fusing_wanted(node);
    if (!wanted)
        return false;
    if (!f->options->exact) {
        tl_tfl_quantize_attrs to = *wanted;
        tl_value *y = node->n_out == 1 ? tl_fusing_integer_op(f, node, &to, &why) : NULL;
        if (y) {
            replace_quantized(node, 0, y);
            tl_node_remove(node);
            return true;
        }
    }
    return quantize_operands(f, node, wanted);
}

static void rewrite_graph(fusing *f, tl_graph *graph)
{
    for (tl_node *node = graph->first, *next; node && !f->model->cx->out_of_memory; node = next) {
        next = node->next;
        for (size_t i = 0; i < node->n_graphs; i++)
            rewrite_graph(f, node->graphs[i]);
        /* users of node may go, and with them `next` */
        tl_node *before = node->prev;
        if (rewrite_node(f, node)) {
            f->changed = true;
            next = before ? before->next : graph->first;
        }
    }
}

/* ---- what stays in floats ---- */

/* An op whose operands are all quantised numbers or constants, and some are. */
static bool could_be_integer(const tl_node *node)
{
    bool some = false;
    if (node->op == TL_OP_tfl_quantize || node->op == TL_OP_ret || node->n_out == 0 ||
        !tl_dtype_is_float(tl_type_of(node->out[0])->dtype))
        return false;
    for (size_t i = 0; i < node->n_in; i++) {
        const tl_value *x = node->in[i].value, *stored = tl_fusing_stored(x);
        if (x && !stored && !x->constant)
            return false;
        some = some || (stored && !stored->constant);
    }
    return some;
}

static void report_floats(fusing *f, tl_graph *graph)
{
    TL_EACH_NODE(node, graph)
    {
        for (size_t i = 0; i < node->n_graphs; i++)
            report_floats(f, node->graphs[i]);
        if (!could_be_integer(node))
            continue;
        const char *why = NULL;
        const tl_tfl_quantize_attrs *wanted = tl_fusing_wanted(node);
        if (!wanted)
            why = "its result is not quantised";
        else if (f->options->exact)
            why = "integers would round otherwise";
        else
            tl_fusing_integer_op(f, node, wanted, &why);
        tl_where where = tl_origin_where(f->model, node->origin);
        tl_warn(f->model->cx, TL_N002, &where, "%s stays in floats: %s",
                tl_op_get(node->op)->name + 4, why ? why : "the target has no kernel for this type");
    }
}

static bool has_quantized(const tl_graph *graph)
{
    TL_EACH_NODE(node, graph)
    {
        if (node->op == TL_OP_tfl_quantize || node->op == TL_OP_tfl_dequantize)
            return true;
        for (size_t i = 0; i < node->n_graphs; i++)
            if (has_quantized(node->graphs[i]))
                return true;
    }
    return false;
}

#define MAX_TURNS 100

tl_status tl_quant_fuse(tl_model *model, const tl_quant_options *options)
{
    fusing f = {.model = model, .options = options, .changed = true};
    bool any = false;
    for (size_t i = 0; i < model->entries.n; i++)
        any = any || has_quantized(model->entries.v[i].graph);
    if (!any)
        return TL_OK;
    for (int turn = 0; f.changed && turn < MAX_TURNS; turn++) {
        f.changed = false;
        for (size_t i = 0; i < model->entries.n; i++)
            rewrite_graph(&f, model->entries.v[i].graph);
        TRY(tl_context_status(model->cx));
        TRY(tl_pass_dce(model));
    }
    if (f.changed)
        return tl_bug(model->cx, "quantised ops are rewritten without end");
    for (size_t i = 0; i < model->entries.n; i++)
        report_floats(&f, model->entries.v[i].graph);
    TRY(tl_pass_cse(model));
    return tl_pass_dce(model);
}
