/* Scales: one for every group of values that must share one, large enough for the kernels that compute them. A group
 * is a tree over values (union and find). */
#include "quant/planning.h"

#include "base/math.h"

#include <float.h>

/* ---- groups ---- */

static void widen(tl_planned *p, double lo, double hi)
{
    p->lo = TL_MIN(p->lo, lo);
    p->hi = TL_MAX(p->hi, hi);
}

/* Whether numbers of y fit in the scale that a kernel gives x, but for a step. */
static bool is_held(const tl_plan *plan, const tl_planned *x, const tl_planned *y)
{
    double most = plan->dtype == TL_I16 ? 32767 : 127, zero = (double)x->zero;
    return !y->known ||
           (y->lo >= (-most - 2 - zero) * x->scale && y->hi <= (most + 1 - zero) * x->scale);
}

void tl_plan_unite(tl_plan *plan, const tl_value *a, const tl_value *b, bool take)
{
    tl_planned *x = tl_plan_root(plan, a), *y = tl_plan_root(plan, b);
    if (!x || !y || x == y ||
        (x->fixed && y->fixed && (x->scale != y->scale || x->zero != y->zero)))
        return;
    if (x->fixed != y->fixed && !(x->fixed ? is_held(plan, x, y) : !take || is_held(plan, y, x)))
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

/* A constant counts where it is not a mark of a mask or the filling of a pool's border. */
static void take_constant(tl_plan *plan, const tl_node *node, const tl_value *c)
{
    tl_planned *group = tl_plan_root(plan, node->out[0]);
    double lo, hi;
    if (!group || node->op == TL_OP_tfl_padv2 || !tl_plan_wide_bounds(plan, c->constant, &lo, &hi))
        return;
    double most = 16 * TL_MAX(group->hi, -group->lo);
    if (-lo <= most && hi <= most)
        widen(group, lo, hi);
}

/* Made by an op that gives any scale, read once: a group of its own. */
static bool is_alone(const tl_plan *plan, const tl_value *x)
{
    tl_fusing_kernel kernel;
    tl_plan_kind kind = x->def ? tl_plan_kind_of(plan, x->def) : TL_PLAN_FLOAT;
    bool kept = kind == TL_PLAN_KERNEL && tl_fusing_find_kernel(x->def->op, &kernel) && kernel.kept;
    return tl_has_one_use(x) && !kept && (kind == TL_PLAN_KERNEL || kind == TL_PLAN_PRODUCT);
}

static void group_mover(tl_plan *plan, const tl_node *node)
{
    /* what a relu cuts off need not be stored, where nobody else reads it nor shares its scale */
    bool cuts = node->op == TL_OP_tfl_relu && is_alone(plan, tl_in(node, 0));
    for (size_t i = 0; i < node->n_in; i++) {
        tl_value *x = node->in[i].value;
        if (!tl_plan_reads(plan, node, i))
            continue;
        if (x->constant) {
            take_constant(plan, node, x);
            continue;
        }
        /* joins: an operand that others read keeps its scale and is requantised */
        bool joins = node->n_in > 1 && tl_plan_is_data(node, TL_PLAN_MOVER, 1) &&
                     tl_plan_is_data(node, TL_PLAN_MOVER, 0);
        for (size_t k = 0; k < node->n_out && (tl_has_one_use(x) || !joins); k++)
            if (tl_plan_is_float(node->out[k]))
                tl_plan_unite(plan, x, node->out[k], !cuts);
    }
    for (size_t k = 1; k < node->n_out; k++)
        if (tl_plan_is_float(node->out[0]) && tl_plan_is_float(node->out[k]))
            tl_plan_unite(plan, node->out[k], node->out[0], true);
}

static void group_graph(tl_plan *plan, const tl_graph *graph)
{
    tl_fusing_kernel kernel;
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            group_graph(plan, node->graphs[i]);
        tl_plan_kind kind = tl_plan_kind_of(plan, node);
        if (kind == TL_PLAN_MOVER)
            group_mover(plan, node);
        if (kind == TL_PLAN_KERNEL && tl_fusing_find_kernel(node->op, &kernel) && kernel.kept)
            tl_plan_unite(plan, tl_in(node, 0), node->out[0], true);
    }
}

/* Before groups are made: kernels that give one scale. */
static void fix_graph(tl_plan *plan, const tl_graph *graph)
{
    tl_fusing_kernel kernel;
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            fix_graph(plan, node->graphs[i]);
        if (tl_plan_kind_of(plan, node) != TL_PLAN_KERNEL ||
            !tl_fusing_find_kernel(node->op, &kernel) || kernel.fixed <= 0)
            continue;
        tl_planned *p = tl_plan_root(plan, node->out[0]);
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
    tl_planned *p = tl_plan_root(plan, value);
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
    const tl_planned *p = tl_plan_root(plan, x);
    if (!p)
        return x->constant && tl_plan_wide_bounds(plan, x->constant, lo, hi);
    *lo = p->lo;
    *hi = p->hi;
    return p->known;
}

#define ENDLESS 1e30 /* such a number stands for infinity */

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
    double mine = size_of(lo[0], hi[0]), other = size_of(lo[1], hi[1]),
           result = size_of(lo[2], hi[2]);
    if (mine >= ENDLESS) /* whatever the result is */
        return 2 * TL_MAX(result, other);
    return mine > 16 * result && other <= 4 * result ? 2 * result : 0;
}

bool tl_plan_constant_range(tl_plan *plan, const tl_node *node, size_t i, double *lo, double *hi)
{
    if (!tl_plan_wide_bounds(plan, tl_in(node, i)->constant, lo, hi))
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
    tl_planned *p = tl_plan_root(plan, value);
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
            if (tl_plan_is_float(node->out[i]))
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
    const tl_planned *p = tl_plan_root(plan, x);
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
    double b =
        node->n_in > 1 && tl_plan_is_float(tl_in(node, 1)) ? operand_scale(plan, node, 1) : a;
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
        if (tl_plan_kind_of(plan, node) != TL_PLAN_KERNEL)
            continue;
        double least = least_scale(plan, node) * 1.001, scale = scale_of(plan, node->out[0]);
        tl_planned *p = tl_plan_root(plan, node->out[0]);
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
    bool finite, number;
} bounds;

static tl_status take_bounds(void *user, const void *data, int64_t first, int64_t n)
{
    bounds *b = user;
    const float *x = data;
    (void)first;
    for (int64_t i = 0; i < n; i++) {
        b->finite = b->finite && x[i] - x[i] == 0;
        b->number = b->number && x[i] == x[i];
        b->lo = TL_MIN(b->lo, (double)x[i]);
        b->hi = TL_MAX(b->hi, (double)x[i]);
    }
    return TL_OK;
}

static bool read_bounds(tl_plan *plan, const tl_const *c, bounds *b)
{
    *b = (bounds){.finite = true, .number = true};
    tl_arena scratch;
    if (tl_const_dtype(c) != TL_F32)
        return false;
    tl_arena_init(&scratch, plan->model->cx);
    tl_status status = tl_const_stream(plan->model->cx, c, 65536, &scratch, take_bounds, b);
    tl_arena_release(&scratch);
    return status == TL_OK && b->number;
}

bool tl_plan_bounds(tl_plan *plan, const tl_const *c, double *lo, double *hi)
{
    bounds b;
    bool read = read_bounds(plan, c, &b);
    *lo = b.lo;
    *hi = b.hi;
    return read && b.finite;
}

bool tl_plan_wide_bounds(tl_plan *plan, const tl_const *c, double *lo, double *hi)
{
    bounds b;
    bool read = read_bounds(plan, c, &b);
    *lo = TL_MAX(b.lo, -(double)FLT_MAX);
    *hi = TL_MIN(b.hi, (double)FLT_MAX);
    return read;
}

/* ---- all of it ---- */

void tl_plan_scales(tl_plan *plan)
{
    tl_plan_each(plan, fix_graph);
    tl_plan_each(plan, group_graph);
    tl_plan_join_links(plan);
    tl_plan_each(plan, limit_masks);
    for (int i = 0; i < TL_PLAN_ROUNDS; i++)
        if (!tl_plan_any(plan, lift_scales))
            break;
}
