/* From dim expressions to run-time values: i32 scalars computed from SHAPE of a tensor that has the
 * size. A size that only a parent graph knows is captured. */
#include "lower/lowerer.h"

/* An axis of value that has exactly size d. */
static bool find_axis(const tl_value *value, const tl_dim *d, int *axis)
{
    const tl_type *type = tl_type_of(value);
    for (*axis = 0; *axis < type->rank; ++*axis)
        if (type->dims[*axis] == d)
            return true;
    return false;
}

/* A value of graph that has an axis of size d, for d a symbol also where it was born. */
static tl_value *find_sized(tl_graph *graph, const tl_dim *d, int *axis)
{
    for (size_t i = 0; i < graph->inputs.n; i++)
        if (find_axis(graph->inputs.v[i], d, axis))
            return graph->inputs.v[i];
    tl_value *born = d->kind == TL_DIM_SYMBOL ? d->symbol->born : NULL;
    if (born && born->graph == graph) {
        *axis = d->symbol->axis;
        return born;
    }
    tl_node *owner = graph->owner;
    tl_value *outer = owner ? find_sized(owner->graph, d, axis) : NULL;
    if (!outer || tl_node_add_capture(owner, outer) != TL_OK)
        return NULL;
    return tl_vec_last(&graph->inputs);
}

/* Size of x along axis, computed once, right behind x, so that every later node may use it. */
static tl_value *size_along(tl_lowerer *lw, tl_value *x, int axis)
{
    uint64_t key = (uint64_t)x->id * TL_MAX_RANK + (uint64_t)axis;
    tl_value *size = tl_map_find_id(&lw->sizes, key);
    if (size)
        return size;
    tl_builder b = lw->b;
    b.before = x->def ? x->def->next : x->graph->first;
    tl_value *shape = tl_build1(&b, TL_OP_tfl_shape, x, NULL);
    tl_value *in[4] = {shape};
    in[1] = tl_lower_ints(lw, (int64_t[]){axis}, 1);
    in[2] = tl_lower_ints(lw, (int64_t[]){axis + 1}, 1);
    in[3] = tl_lower_ints(lw, (int64_t[]){1}, 1);
    tl_tfl_strided_slice_attrs attrs = {.shrink_axis_mask = 1};
    size = tl_build(&b, TL_OP_tfl_strided_slice, in, 4, &attrs);
    tl_map_put_id(&lw->sizes, key, size);
    return size;
}

/* Sizes are i32 at run time: a number beyond that is refused rather than bent. */
static tl_value *number_dim(tl_lowerer *lw, int64_t x)
{
    if (x >= INT32_MIN && x <= INT32_MAX)
        return tl_lower_int(lw, x);
    tl_where where = tl_origin_where(lw->model, lw->node->origin);
    tl_fail(lw->cx, TL_U005, &where, "the number %lld in a size, expected one of 32 bits",
            (long long)x);
    return lw->model->poison;
}

static tl_value *binary_dim(tl_lowerer *lw, tl_op op, tl_value *a, tl_value *b)
{
    return tl_build2(&lw->b, op, a, b, NULL);
}

static tl_value *sum_dim(tl_lowerer *lw, const tl_dim *d)
{
    tl_value *sum = NULL;
    for (size_t i = 0; i < d->n_terms; i++) {
        const tl_dim_term *term = &d->terms[i];
        tl_value *product = NULL;
        for (size_t k = 0; k < term->n_atoms; k++) {
            tl_value *atom = tl_lower_dim(lw, term->atoms[k]);
            product = product ? binary_dim(lw, TL_OP_tfl_mul, product, atom) : atom;
        }
        if (!product)
            continue;
        if (term->coefficient != 1)
            product = binary_dim(lw, TL_OP_tfl_mul, product, number_dim(lw, term->coefficient));
        sum = sum ? binary_dim(lw, TL_OP_tfl_add, sum, product) : product;
    }
    tl_value *constant = number_dim(lw, d->constant);
    if (!sum)
        return constant;
    return d->constant ? binary_dim(lw, TL_OP_tfl_add, sum, constant) : sum;
}

/* What d is made of, when no tensor at hand has that size itself. */
static tl_value *compute_dim(tl_lowerer *lw, const tl_dim *d)
{
    static const struct {
        tl_dim_kind kind;
        tl_op op;
    } ops[] = {{TL_DIM_FLOORDIV, TL_OP_tfl_floor_div},
               {TL_DIM_MOD, TL_OP_tfl_floor_mod},
               {TL_DIM_MIN, TL_OP_tfl_minimum},
               {TL_DIM_MAX, TL_OP_tfl_maximum}};
    for (size_t i = 0; i < TL_COUNT(ops); i++) {
        if (d->kind != ops[i].kind)
            continue;
        tl_value *a = tl_lower_dim(lw, d->a), *b = tl_lower_dim(lw, d->b);
        return binary_dim(lw, ops[i].op, a, b);
    }
    if (d->kind == TL_DIM_SUM)
        return sum_dim(lw, d);
    tl_where where = tl_origin_where(lw->model, lw->node->origin);
    tl_fail(lw->cx, TL_U005, &where, "the size %s cannot be found out at run time",
            d->symbol->name);
    return lw->model->poison;
}

tl_value *tl_lower_dim(tl_lowerer *lw, const tl_dim *d)
{
    int64_t known;
    int axis;
    if (tl_dim_is_const(d, &known))
        return number_dim(lw, known);
    for (size_t i = 0; i < lw->node->n_in && d->kind != TL_DIM_SYMBOL; i++)
        if (lw->node->in[i].value && find_axis(lw->node->in[i].value, d, &axis))
            return size_along(lw, lw->node->in[i].value, axis);
    tl_value *sized = find_sized(lw->b.graph, d, &axis);
    return sized ? size_along(lw, sized, axis) : compute_dim(lw, d);
}

tl_value *tl_lower_dims(tl_lowerer *lw, const tl_dim *const *d, size_t n)
{
    int64_t *known = TL_NEW_ARRAY(lw->arena, int64_t, n + 1);
    tl_value **parts = TL_NEW_ARRAY(lw->arena, tl_value *, n + 1);
    if (!known || !parts)
        return lw->model->poison;
    size_t n_known = 0;
    while (n_known < n && tl_dim_is_const(d[n_known], &known[n_known]) &&
           known[n_known] == (int32_t)known[n_known])
        n_known++;
    if (n_known == n)
        return tl_lower_ints(lw, known, n);
    for (size_t i = 0; i < lw->node->n_in; i++) {
        tl_value *x = lw->node->in[i].value;
        bool same = x && (size_t)tl_type_of(x)->rank == n;
        for (size_t k = 0; same && k < n; k++)
            same = tl_size_of(x, (int)k) == d[k];
        if (same)
            return tl_build1(&lw->b, TL_OP_tfl_shape, x, NULL);
    }
    for (size_t i = 0; i < n; i++)
        parts[i] = tl_lower_dim(lw, d[i]);
    return tl_build(&lw->b, TL_OP_tfl_pack, parts, n, NULL);
}

tl_value *tl_lower_iota(tl_lowerer *lw, const tl_dim *n)
{
    int64_t known;
    if (!tl_dim_is_const(n, &known)) {
        tl_value *zero = tl_lower_int(lw, 0), *limit = tl_lower_dim(lw, n);
        return tl_build3(&lw->b, TL_OP_tfl_range, zero, limit, tl_lower_int(lw, 1), NULL);
    }
    tl_const *c = tl_const_iota(lw->model->arena, TL_I32, known, 0, 1);
    return c ? tl_build_const(lw->model, c, (tl_str){0}) : lw->model->poison;
}
