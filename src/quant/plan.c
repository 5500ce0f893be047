/* The plan: integer ops by what kernels exist, scales by statistics, one for every group of values that must share
 * one. A group is a tree over values (union and find). */
#include "quant/planning.h"

#include "base/math.h"

#include <string.h>

/* ---- values and groups ---- */

static tl_planned *root_of(const tl_plan *plan, const tl_value *value)
{
    if (value->constant || value->id >= plan->n_values || !plan->values[value->id].value)
        return NULL;
    tl_planned *at = &plan->values[value->id];
    while (plan->values[at->parent].parent != at->parent)
        at->parent = plan->values[at->parent].parent;
    return &plan->values[at->parent];
}

static void widen(tl_planned *p, double lo, double hi)
{
    p->lo = TL_MIN(p->lo, lo);
    p->hi = TL_MAX(p->hi, hi);
}

/* Two groups become one, unless kernels give them other scales. take: a's range counts, too. */
static void unite(tl_plan *plan, const tl_value *a, const tl_value *b, bool take)
{
    tl_planned *x = root_of(plan, a), *y = root_of(plan, b);
    if (!x || !y || x == y ||
        (x->fixed && y->fixed && (x->scale != y->scale || x->zero != y->zero)))
        return;
    if (take || !y->known)
        widen(y, x->lo, x->hi);
    if (x->fixed) {
        y->fixed = true;
        y->scale = x->scale;
        y->zero = x->zero;
    }
    y->known |= x->known;
    x->parent = (uint32_t)(y - plan->values);
}

/* -inf that a movement brings in fills the border of a maximum pool, and may saturate. */
static bool is_masked(const tl_value *value, const tl_value_stats *stats)
{
    bool moved = value->def && tl_fusing_is_mover(value->def);
    return tl_stats_has_marks(stats) ||
           (stats && !moved && stats->infinities[0] + stats->infinities[1] > 0);
}

static void note_value(tl_plan *plan, const tl_value *value)
{
    tl_planned *p = &plan->values[value->id];
    if (tl_type_of(value)->dtype != TL_F32)
        return;
    *p = (tl_planned){.value = value, .parent = value->id};
    const tl_value_stats *stats = tl_stats_find(plan->options->stats, value);
    p->masked = plan->options->mode != TL_QUANTIZE_INT8_ONLY && is_masked(value, stats);
    p->known = !p->masked && tl_stats_range(stats, plan->options->range,
                                            plan->dtype == TL_I16 ? 65534 : 255, &p->lo, &p->hi);
}

/* ---- which nodes ---- */

static bool is_float(const tl_value *x)
{
    return x && tl_type_of(x)->dtype == TL_F32;
}

/* Why the range of x is not known; NULL: it is. */
static const char *check_known(const tl_plan *plan, const tl_value *x)
{
    const tl_planned *p = root_of(plan, x);
    if (p && p->known)
        return NULL;
    return p && p->masked ? "the marks of a mask are among its numbers" : "no sample reached it";
}

static const char *check_product(tl_plan *plan, const tl_node *node)
{
    tl_quantize_product p;
    double lo, hi;
    tl_quantize_find_product(node->op, &p);
    const tl_value *w = tl_in(node, p.w), *bias = tl_in(node, p.bias);
    if (!w->constant || !is_float(w))
        return "its weights are computed";
    if (bias && !bias->constant)
        return "its bias is computed";
    if (!tl_plan_bounds(plan, w->constant, &lo, &hi) ||
        (bias && !tl_plan_bounds(plan, bias->constant, &lo, &hi)))
        return "a weight is infinite or no number";
    return NULL;
}

static const char *check_operand(tl_plan *plan, const tl_value *x)
{
    double lo, hi;
    if (!is_float(x))
        return "an operand is absent or no float";
    if (x->constant)
        return tl_plan_bounds(plan, x->constant, &lo, &hi) ? NULL
                                                           : "a constant is infinite or no number";
    return check_known(plan, x);
}

static tl_plan_kind kind_of(const tl_node *node)
{
    tl_quantize_product product;
    tl_fusing_kernel kernel;
    if (tl_quantize_find_product(node->op, &product))
        return TL_PLAN_PRODUCT;
    if (tl_fusing_is_mover(node))
        return TL_PLAN_MOVER;
    return tl_fusing_find_kernel(node->op, &kernel) ? TL_PLAN_KERNEL : TL_PLAN_FLOAT;
}

static bool touches_floats(const tl_node *node)
{
    bool any = false;
    for (size_t i = 0; i < node->n_out; i++)
        any = any || is_float(node->out[i]);
    for (size_t i = 0; i < node->n_in; i++)
        any = any || (is_float(node->in[i].value) && !node->in[i].value->constant);
    return any;
}

static bool is_data(const tl_node *node, tl_plan_kind kind, size_t i)
{
    tl_quantize_product product;
    tl_fusing_kernel kernel;
    switch (kind) {
    case TL_PLAN_PRODUCT:
        return tl_quantize_find_product(node->op, &product) && i == product.x;
    case TL_PLAN_KERNEL:
        return tl_fusing_find_kernel(node->op, &kernel) && i < kernel.n_data;
    case TL_PLAN_MOVER:
        return tl_fusing_is_data(node, i);
    default:
        return false;
    }
}

/* Why node is no integer op. */
static const char *check_node(tl_plan *plan, const tl_node *node, tl_plan_kind kind)
{
    static const tl_quant any = {.n = 1, .axis = -1};
    tl_fusing_kernel kernel;
    const char *why = NULL;
    bool wide = plan->dtype == TL_I16;
    if (kind == TL_PLAN_FLOAT)
        return "there is no integer kernel";
    if (!tl_fusing_allows(&plan->fusing, node->op, plan->dtype, &any))
        return wide ? "the target has no kernel for 16 bits"
                    : "the target has no kernel for 8 bits";
    bool found = kind == TL_PLAN_KERNEL && tl_fusing_find_kernel(node->op, &kernel);
    if (found && kernel.poor && plan->options->mode != TL_QUANTIZE_INT8_ONLY)
        return "its integer kernel would lose too much";
    if (wide && found && kernel.coarse)
        return "its kernel for 16 bits is off by more than a step";
    for (size_t i = 0; i < node->n_out && !why; i++)
        why = is_float(node->out[i]) ? check_known(plan, node->out[i]) : NULL;
    for (size_t i = 0; i < node->n_in && !why; i++)
        if (is_data(node, kind, i))
            why = check_operand(plan, node->in[i].value);
    return why || kind != TL_PLAN_PRODUCT ? why : check_product(plan, node);
}

static void note_graph(tl_plan *plan, const tl_graph *graph)
{
    for (size_t i = 0; i < graph->inputs.n; i++)
        note_value(plan, graph->inputs.v[i]);
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            note_graph(plan, node->graphs[i]);
        for (size_t i = 0; i < node->n_out; i++)
            note_value(plan, node->out[i]);
    }
}

static void choose_graph(tl_plan *plan, const tl_graph *graph)
{
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            choose_graph(plan, node->graphs[i]);
        if (node->op == TL_OP_ret || node->n_graphs || !touches_floats(node))
            continue;
        tl_planned_node *p = &plan->nodes[node->id];
        p->kind = kind_of(node);
        p->why = check_node(plan, node, p->kind);
        if (p->why)
            p->kind = TL_PLAN_FLOAT;
    }
}

static tl_plan_kind planned_kind(const tl_plan *plan, const tl_node *node)
{
    return node && node->id < plan->n_nodes ? plan->nodes[node->id].kind : TL_PLAN_FLOAT;
}

bool tl_plan_reads(const tl_plan *plan, const tl_node *node, size_t i)
{
    tl_plan_kind kind = planned_kind(plan, node);
    return kind != TL_PLAN_FLOAT && is_data(node, kind, i) && is_float(node->in[i].value);
}

static bool is_read(const tl_plan *plan, const tl_value *value)
{
    for (const tl_use *use = value->uses; use; use = use->next)
        if (tl_plan_reads(plan, use->user, (size_t)(use - use->user->in)))
            return true;
    return false;
}

/* Movement is integer where it comes from an integer op or goes to one. */
static bool needs_movement(const tl_plan *plan, const tl_node *node)
{
    for (size_t i = 0; i < node->n_in; i++)
        if (tl_plan_reads(plan, node, i) &&
            planned_kind(plan, node->in[i].value->def) != TL_PLAN_FLOAT)
            return true;
    for (size_t i = 0; i < node->n_out; i++)
        if (is_read(plan, node->out[i]))
            return true;
    return false;
}

/* Arithmetic without weights is integer between integer ops. Next to an op in floats (a layer norm has several) the
 * numbers are floats anyway, and rounding them would cost accuracy for little. Products of two values are dear. */
static bool needs_kernel(const tl_plan *plan, const tl_node *node)
{
    bool read = false;
    if (node->op == TL_OP_tfl_batch_matmul)
        return true;
    for (size_t i = 0; i < node->n_in; i++) {
        const tl_value *x = node->in[i].value;
        if (tl_plan_reads(plan, node, i) && x->def && planned_kind(plan, x->def) == TL_PLAN_FLOAT)
            return false;
    }
    for (const tl_use *use = node->out[0]->uses; use; use = use->next)
        read = read || use->user->op == TL_OP_ret;
    return read || is_read(plan, node->out[0]);
}

/* Integer ops that nothing is gained with go back to floats; in int8_only all stay. */
static bool demote(tl_plan *plan, const tl_graph *graph)
{
    bool changed = false;
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            changed |= demote(plan, node->graphs[i]);
        tl_plan_kind kind = planned_kind(plan, node);
        if ((kind == TL_PLAN_MOVER && !needs_movement(plan, node)) ||
            (kind == TL_PLAN_KERNEL && !needs_kernel(plan, node))) {
            plan->nodes[node->id] = (tl_planned_node){TL_PLAN_FLOAT, NULL};
            changed = true;
        }
    }
    return changed;
}

/* ---- groups ---- */

/* A constant counts where it is not a mark of a mask or the filling of a pool's border. */
static void take_constant(tl_plan *plan, const tl_node *node, const tl_value *c)
{
    tl_planned *group = root_of(plan, node->out[0]);
    double lo, hi;
    if (!group || node->op == TL_OP_tfl_padv2 || !tl_plan_bounds(plan, c->constant, &lo, &hi))
        return;
    double most = 16 * TL_MAX(group->hi, -group->lo);
    if (-lo <= most && hi <= most)
        widen(group, lo, hi);
}

static void group_mover(tl_plan *plan, const tl_node *node)
{
    /* what a relu cuts off need not be stored, where nobody else reads it */
    bool cuts = node->op == TL_OP_tfl_relu;
    for (size_t i = 0; i < node->n_in; i++) {
        tl_value *x = node->in[i].value;
        if (!tl_plan_reads(plan, node, i))
            continue;
        if (x->constant) {
            take_constant(plan, node, x);
            continue;
        }
        /* joins: an operand that others read keeps its scale and is requantised */
        bool joins =
            node->n_in > 1 && is_data(node, TL_PLAN_MOVER, 1) && is_data(node, TL_PLAN_MOVER, 0);
        for (size_t k = 0; k < node->n_out && (tl_has_one_use(x) || (!joins && !cuts)); k++)
            if (is_float(node->out[k]))
                unite(plan, x, node->out[k], !cuts);
    }
    for (size_t k = 1; k < node->n_out; k++)
        if (is_float(node->out[0]) && is_float(node->out[k]))
            unite(plan, node->out[k], node->out[0], true);
}

static void group_graph(tl_plan *plan, const tl_graph *graph)
{
    tl_fusing_kernel kernel;
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            group_graph(plan, node->graphs[i]);
        tl_plan_kind kind = planned_kind(plan, node);
        if (kind == TL_PLAN_MOVER)
            group_mover(plan, node);
        if (kind == TL_PLAN_KERNEL && tl_fusing_find_kernel(node->op, &kernel) && kernel.kept)
            unite(plan, tl_in(node, 0), node->out[0], true);
    }
}

/* Before groups are made: kernels that give one scale. */
static void fix_graph(tl_plan *plan, const tl_graph *graph)
{
    tl_fusing_kernel kernel;
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            fix_graph(plan, node->graphs[i]);
        if (planned_kind(plan, node) != TL_PLAN_KERNEL ||
            !tl_fusing_find_kernel(node->op, &kernel) || kernel.fixed <= 0)
            continue;
        tl_planned *p = root_of(plan, node->out[0]);
        p->fixed = true;
        p->scale = plan->dtype == TL_I16 ? 0x1p-15 : kernel.fixed;
        p->zero = plan->dtype == TL_I16 ? 0 : kernel.zero;
    }
}

/* ---- parameters ---- */

#define LEAST_SCALE \
    0x1p-118 /* products with scales of weights are seldom 0; where they are, the op stays in floats */

/* [lo, hi] as steps: 8 bits with the nearer of both ends' zero points, 16 bits symmetric. */
static void choose_scale(tl_dtype dtype, double lo, double hi, double *scale, int64_t *zero)
{
    *zero = 0;
    if (dtype == TL_I16) {
        *scale = TL_MAX(TL_MAX(-lo, hi) / 32767, LEAST_SCALE);
        return;
    }
    *scale = TL_MAX((hi - lo) / 255, LEAST_SCALE);
    *scale = (double)(float)*scale;
    *zero = (int64_t)TL_MAX(TL_MIN(tl_round_even(-128 - lo / *scale), 127.0), -128.0);
}

static const tl_quant *make_quant(tl_plan *plan, double scale, int64_t zero)
{
    tl_arena *arena = plan->model->arena;
    tl_quant *quant = TL_NEW(arena, tl_quant);
    float *s = TL_NEW_ARRAY(arena, float, 1);
    int64_t *z = TL_NEW_ARRAY(arena, int64_t, 1);
    if (!quant || !s || !z)
        return NULL;
    *s = (float)scale;
    *z = zero;
    *quant = (tl_quant){.n = 1, .scale = s, .zero = z, .axis = -1};
    return quant;
}

const tl_quant *tl_plan_quant_of(tl_plan *plan, double lo, double hi)
{
    double scale = 1;
    int64_t zero = 0;
    if (hi > lo)
        choose_scale(plan->dtype, lo, hi, &scale, &zero);
    return make_quant(plan, scale, zero);
}

const tl_quant *tl_plan_quant(tl_plan *plan, const tl_value *value)
{
    tl_planned *p = root_of(plan, value);
    if (!p || !p->known)
        return NULL;
    if (!p->quant)
        p->quant =
            p->fixed ? make_quant(plan, p->scale, p->zero) : tl_plan_quant_of(plan, p->lo, p->hi);
    return p->quant;
}

/* ---- scales that kernels need to be large enough ---- */

static double size_of(double lo, double hi)
{
    return TL_MAX(-lo, hi);
}

/* Range of an operand, value or constant; false: not known. */
static bool operand_range(tl_plan *plan, const tl_value *x, double *lo, double *hi)
{
    const tl_planned *p = root_of(plan, x);
    if (!p)
        return x->constant && tl_plan_bounds(plan, x->constant, lo, hi);
    *lo = p->lo;
    *hi = p->hi;
    return p->known;
}

/* How large numbers of operand i of a sum may be: a mask needs no more than what brings the result to its end; 0: no
 * mask. It is one when it is far larger than the result, and what it is added to is not. */
static double mask_size(tl_plan *plan, const tl_node *node, size_t i)
{
    double lo[3], hi[3];
    if ((node->op != TL_OP_tfl_add && node->op != TL_OP_tfl_sub) ||
        !operand_range(plan, tl_in(node, i), &lo[0], &hi[0]) ||
        !operand_range(plan, tl_in(node, 1 - i), &lo[1], &hi[1]) ||
        !operand_range(plan, node->out[0], &lo[2], &hi[2]))
        return 0;
    double result = size_of(lo[2], hi[2]);
    bool mask = size_of(lo[0], hi[0]) > 16 * result && size_of(lo[1], hi[1]) <= 4 * result;
    return mask ? 2 * result : 0;
}

bool tl_plan_constant_range(tl_plan *plan, const tl_node *node, size_t i, double *lo, double *hi)
{
    if (!tl_plan_bounds(plan, tl_in(node, i)->constant, lo, hi))
        return false;
    double most = mask_size(plan, node, i);
    if (most > 0) {
        *lo = TL_MAX(*lo, -most);
        *hi = TL_MIN(*hi, most);
    }
    return true;
}

/* The range of a mask that sums alone read, so that it serves the widest of them. */
static void limit_mask(tl_plan *plan, const tl_value *value)
{
    double most = 0;
    tl_planned *p = root_of(plan, value);
    for (const tl_use *use = value->uses; use && p; use = use->next) {
        double size = mask_size(plan, use->user, (size_t)(use - use->user->in));
        if (size <= 0)
            return;
        most = TL_MAX(most, size);
    }
    if (p && most > 0 && !p->fixed) {
        p->lo = TL_MAX(p->lo, -most);
        p->hi = TL_MIN(p->hi, most);
    }
}

static void limit_masks(tl_plan *plan, const tl_graph *graph)
{
    for (size_t i = 0; i < graph->inputs.n; i++)
        limit_mask(plan, graph->inputs.v[i]);
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            limit_masks(plan, node->graphs[i]);
        for (size_t i = 0; i < node->n_out; i++)
            if (is_float(node->out[i]))
                limit_mask(plan, node->out[i]);
    }
}

static double scale_of_range(const tl_plan *plan, double lo, double hi)
{
    double scale = 1;
    int64_t zero;
    if (hi > lo)
        choose_scale(plan->dtype, lo, hi, &scale, &zero);
    return scale;
}

static double scale_of(tl_plan *plan, const tl_value *x)
{
    const tl_planned *p = root_of(plan, x);
    return !p ? 1 : p->fixed ? p->scale : scale_of_range(plan, p->lo, p->hi);
}

static double operand_scale(tl_plan *plan, const tl_node *node, size_t i)
{
    double lo, hi;
    if (!tl_in(node, i)->constant)
        return scale_of(plan, tl_in(node, i));
    return tl_plan_constant_range(plan, node, i, &lo, &hi) ? scale_of_range(plan, lo, hi) : 1;
}

/* The least scale of node's result that its kernel takes: see the checks of fuse_ops.c. */
static double least_scale(tl_plan *plan, const tl_node *node)
{
    double a = operand_scale(plan, node, 0);
    double b = node->n_in > 1 && is_float(tl_in(node, 1)) ? operand_scale(plan, node, 1) : a;
    double most = 2 * TL_MAX(a, b);
    switch ((int)node->op) {
    case TL_OP_tfl_add:
    case TL_OP_tfl_sub:
        return most / (plan->dtype == TL_I16 ? 0x1p15 : 0x1p20);
    case TL_OP_tfl_squared_difference:
        return most * most / 0x1p14;
    case TL_OP_tfl_mul:
    case TL_OP_tfl_prelu:
        return a * b;
    case TL_OP_tfl_batch_matmul:
        return a * b / 256;
    case TL_OP_tfl_hard_swish:
        return a / 128;
    }
    return 0;
}

static bool lift_scales(tl_plan *plan, const tl_graph *graph)
{
    bool changed = false;
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            changed |= lift_scales(plan, node->graphs[i]);
        if (planned_kind(plan, node) != TL_PLAN_KERNEL)
            continue;
        double least = least_scale(plan, node) * 1.001, scale = scale_of(plan, node->out[0]);
        tl_planned *p = root_of(plan, node->out[0]);
        if (scale > least || p->fixed || least <= 0)
            continue;
        double more = p->hi > p->lo ? least / scale * 1.001 : 0;
        p->lo *= more;
        p->hi = more > 0 ? p->hi * more : least * 255 * 1.01;
        changed = true;
    }
    return changed;
}

/* ---- constants ---- */

typedef struct bounds {
    double lo, hi;
    bool finite;
} bounds;

static tl_status take_bounds(void *user, const void *data, int64_t first, int64_t n)
{
    bounds *b = user;
    const float *x = data;
    (void)first;
    for (int64_t i = 0; i < n; i++) {
        b->finite = b->finite && x[i] - x[i] == 0;
        b->lo = TL_MIN(b->lo, (double)x[i]);
        b->hi = TL_MAX(b->hi, (double)x[i]);
    }
    return TL_OK;
}

bool tl_plan_bounds(tl_plan *plan, const tl_const *c, double *lo, double *hi)
{
    bounds b = {.finite = true};
    tl_arena scratch;
    if (tl_const_dtype(c) != TL_F32)
        return false;
    tl_arena_init(&scratch, plan->model->cx);
    tl_status status = tl_const_stream(plan->model->cx, c, 65536, &scratch, take_bounds, &b);
    tl_arena_release(&scratch);
    *lo = b.lo;
    *hi = b.hi;
    return status == TL_OK && b.finite;
}

/* ---- all of it ---- */

static void each_entry(tl_plan *plan, void (*visit)(tl_plan *plan, const tl_graph *graph))
{
    for (size_t i = 0; i < plan->model->entries.n; i++)
        visit(plan, plan->model->entries.v[i].graph);
}

static bool any_entry(tl_plan *plan, bool (*visit)(tl_plan *plan, const tl_graph *graph))
{
    bool any = false;
    for (size_t i = 0; i < plan->model->entries.n; i++)
        any |= visit(plan, plan->model->entries.v[i].graph);
    return any;
}

#define MOST_ROUNDS 100 /* a change goes along a chain of nodes, one a round at worst */

tl_plan *tl_plan_make(tl_model *model, const tl_quantize_options *options,
                      const tl_quant_options *fuse, tl_arena *arena)
{
    tl_plan *plan = TL_NEW(arena, tl_plan);
    if (!plan)
        return NULL;
    *plan = (tl_plan){.fusing = {.model = model, .options = fuse},
                      .model = model,
                      .options = options,
                      .arena = arena,
                      .dtype = options->mode == TL_QUANTIZE_INT16X8 ? TL_I16 : TL_I8,
                      .n_values = model->n_values,
                      .n_nodes = model->n_nodes};
    plan->values = TL_NEW_ARRAY(arena, tl_planned, plan->n_values + 1);
    plan->nodes = TL_NEW_ARRAY(arena, tl_planned_node, plan->n_nodes + 1);
    if (!plan->values || !plan->nodes)
        return NULL;
    memset(plan->values, 0, (plan->n_values + 1) * sizeof *plan->values);
    memset(plan->nodes, 0, (plan->n_nodes + 1) * sizeof *plan->nodes);
    each_entry(plan, note_graph);
    each_entry(plan, choose_graph);
    for (int i = 0; i < MOST_ROUNDS && options->mode != TL_QUANTIZE_INT8_ONLY; i++)
        if (!any_entry(plan, demote))
            break;
    each_entry(plan, fix_graph);
    each_entry(plan, group_graph);
    each_entry(plan, limit_masks);
    for (int i = 0; i < MOST_ROUNDS; i++)
        if (!any_entry(plan, lift_scales))
            break;
    return tl_context_status(model->cx) == TL_OK ? plan : NULL;
}
