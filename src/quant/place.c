/* The plan written into the graph, the fusion, and what it leaves: inputs and outputs, and errors. */
#include "quant/planning.h"

#include "pass/pass.h"

#include <string.h>

/* ---- values ---- */

static tl_builder behind(const tl_value *value)
{
    tl_node *next = value->def ? value->def->next : value->graph->first;
    tl_builder b = tl_builder_before(next);
    b.origin = value->def ? value->def->origin : NULL;
    return b;
}

static bool is_integer(const tl_plan *plan, const tl_node *node)
{
    return node && node->id < plan->n_nodes && plan->nodes[node->id].kind != TL_PLAN_FLOAT;
}

/* Stored numbers of value behind it, as floats, for those who read integers, and for all where value is made by an
 * integer op. */
static void place_value(tl_plan *plan, tl_value *value)
{
    bool made = is_integer(plan, value->def), any = made;
    const tl_quant *quant = tl_plan_quant(plan, value);
    if (tl_type_of(value)->dtype != TL_F32 || !quant)
        return;
    for (const tl_use *use = value->uses; use; use = use->next)
        any = any || tl_plan_reads(plan, use->user, (size_t)(use - use->user->in));
    if (!any)
        return;
    tl_builder b = behind(value);
    tl_tfl_quantize_attrs to = {plan->dtype, quant};
    tl_value *q = tl_build1(&b, TL_OP_tfl_quantize, value, &to);
    if (value->mark && value->def) { /* so that diff finds it */
        tl_mark mark = *value->mark;
        mark.exact = false;
        tl_value_set_mark(q, &mark);
    }
    tl_value *x = tl_build1(&b, TL_OP_tfl_dequantize, q, NULL);
    for (tl_use *use = value->uses, *next; use; use = next) {
        next = use->next;
        size_t i = (size_t)(use - use->user->in);
        bool sizes = use->user->op == TL_OP_tfl_shape;
        if (use->user != q->def && (made || sizes || tl_plan_reads(plan, use->user, i)))
            tl_node_set_input(use->user, i, x);
    }
}

/* An operand of an op that keeps scales, in that of the result. */
static void place_kept(tl_plan *plan, tl_node *node)
{
    tl_fusing_kernel kernel;
    const tl_quant *quant = tl_plan_quant(plan, node->out[0]);
    tl_value *x = tl_fusing_stored(tl_in(node, 0));
    if (!is_integer(plan, node) || !tl_fusing_find_kernel(node->op, &kernel) || !kernel.kept ||
        !x || !quant || tl_quant_same(tl_type_of(x)->quant, quant))
        return;
    tl_builder b = tl_builder_before(node);
    tl_tfl_quantize_attrs to = {plan->dtype, quant};
    tl_value *q = tl_build1(&b, TL_OP_tfl_quantize, x, &to);
    tl_node_set_input(node, 0, tl_build1(&b, TL_OP_tfl_dequantize, q, NULL));
}

/* ---- constants ---- */

static tl_value *as_floats(tl_plan *plan, tl_builder *b, const tl_const *c, const tl_quant *quant,
                           tl_str name)
{
    tl_value *stored = tl_build_const_quant(plan->model, c, quant, name);
    return tl_build1(b, TL_OP_tfl_dequantize, stored, NULL);
}

/* The least scales of weights that keep the bias, counted in s_x s_w, within 30 bits, and the ratio to the result's
 * scale within what the kernels' multipliers hold. */
static const double *weight_floors(tl_plan *plan, const tl_node *node, const tl_value *bias,
                                   double x_scale, int64_t n, bool whole)
{
    const tl_quant *y = tl_plan_quant(plan, node->out[0]);
    double *floor = TL_NEW_ARRAY(plan->arena, double, n + 1);
    const double *b = bias ? tl_const_load_f64(plan->model->cx, bias->constant, plan->arena) : NULL;
    int64_t n_bias = b ? tl_const_count(bias->constant) : 0;
    for (int64_t i = 0; floor && i < n; i++) {
        double size = n_bias ? b[n_bias > 1 ? i : 0] : 0;
        size = size < 0 ? -size : size;
        floor[i] = TL_MAX(size / 0x1p30, y ? (double)y->scale[0] * 0x1p-31 : 0) / x_scale;
        if (whole)
            floor[0] = TL_MAX(floor[0], floor[i]);
    }
    return floor;
}

/* A mask that was added to the products is part of the bias: its marks, far beyond the results, need be no larger than
 * what makes these saturate. */
static void limit_bias(tl_plan *plan, tl_node *node, size_t index)
{
    const tl_value *bias = tl_in(node, index);
    const tl_planned *y = tl_plan_root(plan, node->out[0]);
    double lo, hi, size = y ? TL_MAX(-y->lo, y->hi) : 0;
    if (!bias || size <= 0 || !plan->values[node->out[0]->id].marked ||
        !tl_plan_wide_bounds(plan, bias->constant, &lo, &hi) || TL_MAX(-lo, hi) <= 16 * size)
        return;
    tl_arena scratch;
    tl_arena_init(&scratch, plan->model->cx);
    const double *b = tl_const_load_f64(plan->model->cx, bias->constant, &scratch);
    int64_t n = tl_const_count(bias->constant);
    float *limited = b ? TL_NEW_ARRAY(&scratch, float, n + 1) : NULL;
    for (int64_t i = 0; limited && i < n; i++)
        limited[i] = (float)TL_MAX(TL_MIN(b[i], 4 * size), -4 * size);
    if (limited)
        tl_node_set_input(node, index,
                          tl_build_f32s(plan->model, limited, tl_const_rank(bias->constant),
                                        tl_const_shape(bias->constant)));
    tl_arena_release(&scratch);
}

static void place_weights(tl_plan *plan, tl_node *node)
{
    tl_quantize_product p;
    tl_quantize_find_product(node->op, &p);
    limit_bias(plan, node, p.bias);
    tl_value *x = tl_fusing_stored(tl_in(node, p.x)), *w = tl_in(node, p.w);
    int64_t channels;
    if (!x || !w->constant || !tl_dim_is_const(tl_type_of(w)->dims[p.axis], &channels))
        return;
    bool whole = node->op == TL_OP_tfl_fully_connected && plan->options->profile->column != 0;
    const double *floor = weight_floors(plan, node, tl_in(node, p.bias),
                                        (double)tl_type_of(x)->quant->scale[0], channels, whole);
    const tl_quant *quant =
        floor ? tl_quantize_scales(plan->model, w->constant, whole ? -1 : p.axis, 127, floor)
              : NULL;
    tl_builder b = tl_builder_before(node);
    tl_const *c = quant ? tl_quantize_round(plan->model, node->op, w->constant, quant) : NULL;
    if (!c)
        return;
    tl_value *floats = as_floats(plan, &b, c, quant, w->name);
    /* x is the value with statistics, quantised */
    if (x->def && floats->def)
        tl_quantize_correct(node, tl_stats_find(plan->options->stats, tl_in(x->def, 0)),
                            tl_in(floats->def, 0));
    tl_node_set_input(node, p.w, floats);
}

/* A constant that something is compared with, in the steps of that, so that equal numbers are; NULL: it is beyond them, or
 * node does not compare. */
static const tl_quant *compared_as(tl_plan *plan, const tl_node *node, size_t i)
{
    tl_fusing_kernel kernel;
    double lo, hi;
    const tl_value *other = i < 2 ? tl_in(node, 1 - i) : NULL;
    const tl_planned *p = other && !other->constant ? tl_plan_root(plan, other) : NULL;
    if (!tl_fusing_find_kernel(node->op, &kernel) || !kernel.compares || !p || !p->known ||
        !tl_plan_bounds(plan, tl_in(node, i)->constant, &lo, &hi) || lo < p->lo || hi > p->hi)
        return NULL;
    return tl_plan_quant(plan, other);
}

/* Constants among the data of a kernel, each with its own range; those of movers take the result's. */
static void place_constants(tl_plan *plan, tl_node *node)
{
    tl_plan_kind kind = plan->nodes[node->id].kind;
    if (kind == TL_PLAN_PRODUCT) {
        place_weights(plan, node);
        return;
    }
    for (size_t i = 0; i < node->n_in; i++) {
        tl_value *x = node->in[i].value;
        double lo, hi;
        if (!tl_plan_reads(plan, node, i) || !x->constant)
            continue;
        const tl_quant *quant = kind == TL_PLAN_MOVER    ? tl_plan_quant(plan, node->out[0])
                                : kind == TL_PLAN_KERNEL ? compared_as(plan, node, i)
                                                         : NULL;
        if (!quant && tl_plan_constant_range(plan, node, i, &lo, &hi))
            quant = tl_plan_quant_of(plan, lo, hi);
        tl_builder b = tl_builder_before(node);
        tl_const *c =
            quant ? tl_const_quantize(plan->model->arena, x->constant, plan->dtype, quant) : NULL;
        if (c)
            tl_node_set_input(node, i, as_floats(plan, &b, c, quant, x->name));
    }
}

/* ---- graphs ---- */

static void place_graph(tl_plan *plan, tl_graph *graph)
{
    for (size_t i = 0; i < graph->inputs.n; i++)
        place_value(plan, graph->inputs.v[i]);
    for (tl_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        for (size_t i = 0; i < node->n_graphs; i++)
            place_graph(plan, node->graphs[i]);
        if (is_integer(plan, node)) {
            place_constants(plan, node);
            place_kept(plan, node);
        }
        for (size_t i = 0; i < node->n_out; i++)
            place_value(plan, node->out[i]);
    }
}

tl_status tl_plan_place(tl_plan *plan)
{
    for (size_t i = 0; i < plan->model->entries.n; i++)
        place_graph(plan, plan->model->entries.v[i].graph);
    return tl_context_status(plan->model->cx);
}

/* ---- inputs and outputs ---- */

/* The same numbers for an interface of this type: u8 is i8 with numbers and zero point 128 more. */
static const tl_quant *interface_quant(tl_model *model, const tl_quant *quant, tl_dtype from,
                                       tl_dtype to)
{
    if (from == to)
        return quant;
    tl_quant *shifted = tl_arena_copy(model->arena, quant, sizeof *quant);
    int64_t *zero = TL_NEW_ARRAY(model->arena, int64_t, 1);
    if (!shifted || !zero)
        return NULL;
    *zero = tl_fusing_zero(quant, 0) + (to == TL_U8 ? 128 : -128);
    shifted->zero = zero;
    return shifted;
}

/* An input that is only quantised, in one way, becomes integer. */
static tl_status integer_input(tl_model *model, tl_graph *graph, size_t i, tl_dtype io)
{
    tl_value *x = graph->inputs.v[i];
    const tl_tfl_quantize_attrs *to = NULL;
    for (const tl_use *use = x->uses; use; use = use->next) {
        const tl_tfl_quantize_attrs *other =
            use->user->op == TL_OP_tfl_quantize ? tl_attrs_of(use->user, tfl_quantize) : NULL;
        if (!other || other->to != TL_I8 || (to && !tl_quant_same(to->quant, other->quant)))
            return TL_OK;
        to = other;
    }
    if (!to || tl_type_of(x)->dtype != TL_F32)
        return TL_OK;
    tl_type type = tl_type_with_dtype(*tl_type_of(x), io);
    type.quant = interface_quant(model, to->quant, TL_I8, io);
    TRY(tl_graph_set_input_type(graph, i, type));
    for (tl_node *user; io == TL_I8 && (user = tl_fusing_quantizer(x));) {
        tl_replace_uses(user->out[0], x);
        tl_node_remove(user);
    }
    return TL_OK;
}

static void integer_output(tl_model *model, tl_graph *graph, size_t i, tl_dtype io)
{
    tl_value *stored = tl_fusing_stored(tl_graph_output(graph, i));
    if (!stored || tl_type_of(stored)->dtype != TL_I8)
        return;
    tl_builder b = tl_builder_at_end(graph);
    tl_tfl_quantize_attrs to = {io, interface_quant(model, tl_type_of(stored)->quant, TL_I8, io)};
    if (io != TL_I8 && to.quant)
        stored = tl_build1(&b, TL_OP_tfl_quantize, stored, &to);
    tl_node_set_input(graph->last, i, stored);
}

static tl_status set_interface(tl_model *model, tl_dtype io)
{
    for (size_t e = 0; e < model->entries.n; e++) {
        const tl_entry *entry = &model->entries.v[e];
        for (size_t i = 0; i < entry->n_in; i++)
            TRY(integer_input(model, entry->graph, i, io));
        for (size_t i = 0; i < entry->n_out; i++)
            integer_output(model, entry->graph, i, io);
    }
    TRY(tl_context_status(model->cx));
    return tl_pass_dce(model);
}

/* ---- what stays in floats ---- */

static const char *why_float(tl_plan *plan, tl_node *node)
{
    const char *why = node->id < plan->n_nodes ? plan->nodes[node->id].why : NULL;
    if (tl_plan_choice(plan, node) == TL_CHOOSE_FLOAT)
        return "the accuracy that was asked for";
    return why ? why : tl_fusing_refusal(&plan->fusing, node);
}

static bool has_floats(const tl_node *node)
{
    for (size_t i = 0; i < node->n_out; i++)
        if (tl_type_of(node->out[i])->dtype == TL_F32)
            return true;
    for (size_t i = 0; i < node->n_in; i++)
        if (node->in[i].value && tl_type_of(node->in[i].value)->dtype == TL_F32)
            return true;
    return false;
}

/* Ops that are to blame for floats, or, with rest, all others that have some. only: they are errors. */
static void report(tl_plan *plan, tl_graph *graph, bool only, bool rest)
{
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            report(plan, node->graphs[i], only, rest);
        bool border = node->op == TL_OP_tfl_quantize || node->op == TL_OP_tfl_dequantize ||
                      node->op == TL_OP_ret || (node->op == TL_OP_tfl_shape && !rest);
        const char *why = border || !has_floats(node) ? NULL
                          : rest                      ? "its operands are floats"
                                                      : why_float(plan, node);
        tl_where where = tl_origin_where(plan->model, node->origin);
        const char *name = tl_op_get(node->op)->name;
        name += !strncmp(name, "tfl_", 4) ? 4 : 0;
        if (why && only)
            (void)tl_fail(plan->model->cx, TL_U009, &where, "%s cannot be integer: %s", name, why);
        else if (why)
            tl_warn(plan->model->cx, TL_N002, &where, "%s stays in floats: %s", name, why);
    }
}

static tl_status report_all(tl_plan *plan, bool only, bool rest)
{
    for (size_t i = 0; i < plan->model->entries.n; i++)
        report(plan, plan->model->entries.v[i].graph, only, rest);
    return tl_context_status(plan->model->cx);
}

/* Floats at the interface or between integer ops that no op above explains. */
static tl_status check_borders(const tl_model *model)
{
    for (size_t e = 0; e < model->entries.n; e++) {
        const tl_entry *entry = &model->entries.v[e];
        for (size_t i = 0; i < entry->graph->inputs.n; i++)
            if (tl_type_of(entry->graph->inputs.v[i])->dtype == TL_F32)
                return tl_fail(model->cx, TL_U009, NULL, "input %s cannot be integer: %s",
                               i < entry->n_in ? entry->in_names[i].p : "of the state",
                               "no integer op reads it");
        TL_EACH_NODE (node, entry->graph)
            for (size_t i = 0; i < node->n_in; i++)
                if (node->in[i].value && tl_type_of(node->in[i].value)->dtype == TL_F32) {
                    tl_where where = tl_origin_where(model, node->origin);
                    return tl_fail(model->cx, TL_U009, &where, "a value cannot be integer");
                }
    }
    return TL_OK;
}

/* ---- all of it ---- */

/* Everything that is to have this width. */
static tl_status pass(tl_model *model, const tl_quantize_options *o, bool notes, tl_arena *arena,
                      tl_plan **out)
{
    tl_quant_options fuse = {.profile = o->profile, .requantise = true, .quiet = true};
    tl_quant_options *kept = tl_arena_copy(arena, &fuse, sizeof fuse);
    tl_plan *plan = *out = kept ? tl_plan_make(model, o, kept, arena) : NULL;
    if (!plan)
        return tl_context_status(model->cx);
    TRY(tl_plan_place(plan));
    TRY(tl_quant_fuse(model, kept));
    if (notes)
        TRY(report_all(plan, o->mode == TL_QUANTIZE_INT8_ONLY, false));
    bool changed;
    TRY(tl_plan_carry(plan, &changed));
    return changed ? tl_quant_fuse(model, kept) : TL_OK;
}

static bool is_chosen(const tl_quantize_options *o, tl_quantize_choice choice)
{
    for (uint32_t i = 0; o->choice && i < o->n_choice; i++)
        if (o->choice[i] == choice)
            return true;
    return false;
}

/* A mix is made one width after the other: what is integers of 8 bits then looks like floats to those of 16. */
static tl_status quantize(tl_model *model, const tl_quantize_options *o, tl_arena *arena)
{
    bool only = o->mode == TL_QUANTIZE_INT8_ONLY, both = is_chosen(o, TL_CHOOSE_INT16);
    tl_plan *plan, *wide;
    tl_quantize_options rest = *o;
    rest.mode = TL_QUANTIZE_INT16X8;
    TRY(pass(model, o, !o->quiet && !both, arena, &plan));
    if (both)
        TRY(pass(model, &rest, !o->quiet, arena, &wide));
    TRY(tl_plan_carry_state(plan));
    if (o->io != TL_F32)
        TRY(set_interface(model, o->io));
    if (!only)
        return tl_context_status(model->cx);
    TRY(report_all(plan, only, true));
    return check_borders(model);
}

tl_status tl_quantize_static(tl_model *model, const tl_quantize_options *options)
{
    tl_arena arena;
    tl_arena_init(&arena, model->cx);
    tl_status status = quantize(model, options, &arena);
    tl_arena_release(&arena);
    return status;
}
