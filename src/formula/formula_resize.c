/* Resize along one axis after the other: nearest as a gather of rows, the rest as a product with
 * the matrix of weights. Sizes must be known. */
#include "formula/formula_build.h"

#include "ir/resample.h"

static tl_value *gather_rows(formula *f, tl_value *x, int axis, const tl_resample *r)
{
    tl_gather_attrs attrs = {.axis = axis, .may_be_negative = false};
    return tl_build2(f->b, TL_OP_gather, x, tl_build_i64s(f->model, r->index, (size_t)r->m),
                     &attrs);
}

/* The matrix [n, m] of weights as a constant of x's type; the elements of one column sum to 1. */
static tl_value *weight_matrix(formula *f, const tl_resample *r, int64_t n)
{
    const int64_t shape[2] = {n, r->m};
    uint64_t size;
    double *w = TL_NEW_ARRAY(f->model->arena, double, n * r->m);
    if (!w || !tl_dtype_size(f->dtype, n * r->m, &size))
        return f->model->poison;
    void *data = tl_arena_push(f->model->arena, (size_t)size);
    if (!data)
        return f->model->poison;
    for (int64_t i = 0; i < r->m; i++)
        for (int t = 0; t < r->taps; t++)
            w[r->index[i * r->taps + t] * r->m + i] += r->weight[i * r->taps + t];
    for (int64_t i = 0; i < n * r->m; i++)
        tl_dtype_set_f64(f->dtype, data, i, w[i]);
    return tl_build_const(f->model, tl_const_adopt(f->model->arena, f->dtype, 2, shape, data),
                          (tl_str){0});
}

/* x with `axis` last, times the matrix, and back. */
static tl_value *blend_rows(formula *f, tl_value *x, int axis, const tl_resample *r, int64_t n)
{
    int rank = tl_type_of(x)->rank, perm[TL_MAX_RANK];
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    perm[axis] = rank - 1;
    perm[rank - 1] = axis;
    tl_value *moved = tl_build_transpose(f->b, x, perm);
    return tl_build_transpose(f->b, fx2(f, TL_OP_matmul, moved, weight_matrix(f, r, n)), perm);
}

void formula_resize(formula *f)
{
    const tl_resize_attrs *a = tl_attrs_of(f->node, resize);
    tl_value *x = fx_in(f, 0);
    const tl_type *from = tl_type_of(x), *to = tl_type_of(f->node->out[0]);
    for (int axis = 1; axis < from->rank - 1; axis++) {
        int64_t n, m;
        tl_resample r;
        if (!tl_dim_is_const(from->dims[axis], &n) || !tl_dim_is_const(to->dims[axis], &m)) {
            fx_refuse(f, "open sizes in this mode");
            return;
        }
        if (a->coord == TL_resize_coord_tf_crop) {
            fx_refuse(f, "tf_crop_and_resize coordinates");
            return;
        }
        if (!tl_resample_make(f->model->arena, a, axis - 1, n, m, &r)) {
            f->out[0] = f->model->poison;
            return;
        }
        bool same = n == m;
        for (int64_t i = 0; same && i < m; i++)
            for (int t = 0; t < r.taps; t++)
                same &= r.weight[i * r.taps + t] == (r.index[i * r.taps + t] == i ? 1 : 0);
        if (!same)
            x = a->mode == TL_resize_mode_nearest ? gather_rows(f, x, axis, &r)
                                                  : blend_rows(f, x, axis, &r, n);
    }
    f->out[0] = x;
}
