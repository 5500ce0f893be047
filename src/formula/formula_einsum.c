/* Einsum by pairwise contraction: operands are brought to [batch, free, summed] order, multiplied
 * as matrices, and the result is brought into the order asked for. */
#include "formula/formula_build.h"

#include <string.h>

#include "ir/einsum.h"

#define MAX_TERMS 8

/* An operand, or a product so far, with the labels of its axes. */
typedef struct term {
    tl_value *x;
    tl_einsum_term axes;
} term;

/* Place of the axis of that label; -1: none. */
static int axis_of(const tl_einsum_term *t, unsigned char label)
{
    const unsigned char *at = memchr(t->label, label, (size_t)t->rank);
    return at ? (int)(at - t->label) : -1;
}

/* ---- moving axes ---- */

/* x with its axes in the order of labels; labels that it lacks become axes of size 1. */
static tl_value *arrange(formula *f, const term *t, const unsigned char *labels, int n)
{
    int perm[TL_MAX_RANK], k = 0;
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < n; i++) {
        int axis = axis_of(&t->axes, labels[i]);
        dims[i] = axis < 0 ? fx_int(f, 1) : fx_size(t->x, axis);
        if (axis >= 0)
            perm[k++] = axis;
    }
    tl_value *moved = tl_build_transpose(f->b, t->x, perm);
    return k == n ? moved : tl_build_reshape(f->b, moved, dims, n);
}

/* Who still wants a label: operands to come, and the result. */
typedef struct demand {
    const term *terms;
    size_t n_terms;
    const tl_einsum_term *result;
} demand;

static bool is_wanted(const demand *d, unsigned char label)
{
    for (size_t i = 0; i < d->n_terms; i++)
        if (axis_of(&d->terms[i].axes, label) >= 0)
            return true;
    return axis_of(d->result, label) >= 0;
}

/* Sums away the axes that nobody wants: neither the operands before and behind t nor the result. */
static void sum_away(formula *f, term *t, const demand *before, const demand *behind)
{
    int64_t axes[TL_MAX_RANK];
    size_t n = 0;
    int kept = 0;
    for (int i = 0; i < t->axes.rank; i++) {
        unsigned char label = t->axes.label[i];
        if (is_wanted(before, label) || is_wanted(behind, label))
            t->axes.label[kept++] = label;
        else
            axes[n++] = i;
    }
    if (n)
        t->x = tl_build_reduce(f->b, TL_OP_reduce_sum, t->x, axes, n, false);
    t->axes.rank = kept;
}

/* ---- one product ---- */

/* NULL: no axis has that label. */
static const tl_dim *dim_of(const term *t, unsigned char label)
{
    int axis = axis_of(&t->axes, label);
    return axis < 0 ? NULL : fx_size(t->x, axis);
}

/* Size of a label in the product of both: the one that is not 1. */
static const tl_dim *joint_dim(const term *a, const term *b, unsigned char label)
{
    const tl_dim *x = dim_of(a, label), *y = dim_of(b, label);
    if (!x || !y)
        return x ? x : y;
    return tl_dim_is(x, 1) ? y : x;
}

typedef struct label_list {
    unsigned char v[3 * TL_MAX_RANK];
    int n;
} label_list;

static void push_labels(label_list *to, const label_list *from)
{
    memcpy(to->v + to->n, from->v, (size_t)from->n);
    to->n += from->n;
}

static const tl_dim *product_of(formula *f, const term *t, const label_list *l)
{
    const tl_dim *p = fx_int(f, 1);
    for (int i = 0; i < l->n; i++)
        p = tl_dim_mul(f->model->dims, p, dim_of(t, l->v[i]));
    return p;
}

/* x as [batch..., Π of rows, Π of columns]. */
static tl_value *as_matrices(formula *f, const term *t, const label_list *batch,
                             const label_list *rows, const label_list *columns)
{
    label_list order = *batch;
    const tl_dim *dims[TL_MAX_RANK];
    push_labels(&order, rows);
    push_labels(&order, columns);
    for (int i = 0; i < batch->n; i++)
        dims[i] = dim_of(t, batch->v[i]);
    dims[batch->n] = product_of(f, t, rows);
    dims[batch->n + 1] = product_of(f, t, columns);
    tl_value *x = arrange(f, t, order.v, order.n);
    return tl_build_reshape(f->b, x, dims, batch->n + 2);
}

/* a and b into one term; labels that nobody wants afterwards are summed. */
static bool contract(formula *f, const term *a, const term *b, const demand *later, term *out)
{
    label_list batch = {.n = 0}, left = {.n = 0}, right = {.n = 0}, summed = {.n = 0};
    for (int i = 0; i < a->axes.rank; i++) {
        unsigned char l = a->axes.label[i];
        label_list *to = !dim_of(b, l) ? &left : is_wanted(later, l) ? &batch : &summed;
        if (to == &summed && tl_dim_is(dim_of(a, l), 1) != tl_dim_is(dim_of(b, l), 1))
            return false;
        to->v[to->n++] = l;
    }
    for (int i = 0; i < b->axes.rank; i++)
        if (!dim_of(a, b->axes.label[i]))
            right.v[right.n++] = b->axes.label[i];
    label_list joint = batch;
    push_labels(&joint, &left);
    push_labels(&joint, &right);
    if (batch.n + 2 > TL_MAX_RANK || joint.n > TL_MAX_RANK)
        return false;
    tl_value *x = as_matrices(f, a, &batch, &left, &summed);
    tl_value *product = fx2(f, TL_OP_matmul, x, as_matrices(f, b, &batch, &summed, &right));
    const tl_dim *dims[TL_MAX_RANK];
    for (int i = 0; i < joint.n; i++) {
        dims[i] = joint_dim(a, b, joint.v[i]);
        out->axes.label[i] = joint.v[i];
    }
    out->axes.rank = joint.n;
    out->x = tl_build_reshape(f->b, product, dims, joint.n);
    return true;
}

/* ---- diagonals ---- */

/* 0, n + 1, 2 (n + 1), ...: where the diagonal of n rows lies */
static tl_value *diagonal_places(formula *f, const tl_dim *n)
{
    int64_t known;
    if (tl_dim_is_const(n, &known)) {
        const tl_const *c = tl_const_iota(f->model->arena, TL_I64, known, 0, (double)known + 1);
        return c ? tl_build_const(f->model, c, TL_STR("")) : f->model->poison;
    }
    const tl_dim *step = tl_dim_add_i(f->model->dims, n, 1);
    tl_value *at = fx_iota(f, n);
    return fx_mul(f, at, tl_build_shape_expr(f->b, &step, 1, 0));
}

/* Axes i < k of t, which have the same label, as the diagonal between them, behind all others. */
static void take_diagonal(formula *f, term *t, int i, int k)
{
    int perm[TL_MAX_RANK], n = 0, rank = t->axes.rank;
    const tl_dim *dims[TL_MAX_RANK], *size = fx_size(t->x, i);
    tl_einsum_term left = {0};
    for (int axis = 0; axis < rank; axis++) {
        if (axis == i || axis == k)
            continue;
        dims[n] = fx_size(t->x, axis);
        left.label[n] = t->axes.label[axis];
        perm[n++] = axis;
    }
    perm[n] = i;
    perm[n + 1] = k;
    dims[n] = tl_dim_mul(f->model->dims, size, size);
    left.label[n] = t->axes.label[i];
    left.rank = n + 1;
    tl_value *at = diagonal_places(f, size);
    t->x = tl_build_reshape(f->b, tl_build_transpose(f->b, t->x, perm), dims, n + 1);
    t->x = tl_build2(f->b, TL_OP_gather, t->x, at, &(tl_gather_attrs){.axis = n});
    t->axes = left;
}

static void take_diagonals(formula *f, term *t)
{
    for (int k = 0; k < t->axes.rank; k++) {
        int i = axis_of(&t->axes, t->axes.label[k]);
        if (i == k)
            continue;
        take_diagonal(f, t, i, k);
        k = -1; /* the axes have moved */
    }
}

/* ---- all of it ---- */

/* What is wrong with the equation for a formula; NULL: nothing. */
static const char *read_terms(formula *f, term *terms, size_t n, tl_einsum_term *result)
{
    tl_str equation = tl_attrs_of(f->node, einsum)->equation;
    tl_einsum einsum = {0};
    if (n > MAX_TERMS)
        return "so many operands";
    for (size_t k = 0; k < n; k++) {
        tl_einsum_term *axes = &terms[k].axes;
        terms[k].x = fx_in(f, k);
        if (!tl_einsum_operand(&einsum, equation, k, tl_type_of(terms[k].x)->rank, axes))
            return "this equation";
    }
    return tl_einsum_result(&einsum, equation, result) ? NULL : "this equation";
}

void formula_einsum(formula *f)
{
    term terms[MAX_TERMS];
    tl_einsum_term result;
    size_t n = f->node->n_in;
    const char *trouble = read_terms(f, terms, n, &result);
    if (trouble) {
        fx_refuse(f, trouble);
        return;
    }
    for (size_t k = 0; k < n; k++)
        take_diagonals(f, &terms[k]);
    for (size_t k = 0; k < n; k++) /* before anything is multiplied */
        sum_away(f, &terms[k], &(demand){terms, k, &result},
                 &(demand){terms + k + 1, n - k - 1, &result});
    term product = terms[0];
    for (size_t k = 1; k < n; k++) {
        term joint;
        if (!contract(f, &product, &terms[k], &(demand){terms + k + 1, n - k - 1, &result},
                      &joint)) {
            fx_refuse(f, "operands of these shapes");
            return;
        }
        product = joint;
    }
    f->out[0] = arrange(f, &product, result.label, result.rank);
}
