/* Convolutions. PyTorch is channels first, the core channels last: transposes go around, those of
 * constant weights into the constant. */
#include "import/torch/aten/aten_op.h"

#define MAX_SPATIAL 3

typedef struct aten_conv {
    tl_value *x, *w, *bias; /* x [n, c, *s] */
    bool unbatched;         /* x came as [c, *s] */
    size_t n;               /* spatial axes */
    int64_t stride[MAX_SPATIAL], dilation[MAX_SPATIAL];
    const tl_dim *lo[MAX_SPATIAL], *hi[MAX_SPATIAL], *out_pad[MAX_SPATIAL];
    int64_t groups;
} aten_conv;

/* ---- reading ---- */

static bool read_operands(aten_call *c, size_t n, aten_conv *v)
{
    *v = (aten_conv){0};
    v->x = aten_value(c, 0);
    v->w = aten_value(c, 1);
    v->bias = aten_optional(c, 2);
    v->n = n ? n : (size_t)aten_rank(v->w) - 2;
    v->groups = 1;
    if (v->n < 1 || v->n > MAX_SPATIAL || aten_rank(v->w) != (int)v->n + 2) {
        aten_refuse_as(c, TL_U005, "weights of rank %d", aten_rank(v->w));
        return false;
    }
    v->unbatched = aten_rank(v->x) == (int)v->n + 1;
    if (v->unbatched)
        v->x = aten_with_axis(c, v->x, 0);
    if (aten_rank(v->x) != (int)v->n + 2) {
        aten_malformed(c, "input of rank %d for weights of rank %d", aten_rank(v->x),
                       aten_rank(v->w));
        return false;
    }
    for (size_t i = 0; i < v->n; i++) {
        v->stride[i] = v->dilation[i] = 1;
        v->lo[i] = v->hi[i] = v->out_pad[i] = aten_i(c, 0);
    }
    return true;
}

/* One number per spatial axis, or one for all. */
static const tl_dim *nth(const tl_dim *const *list, size_t n, size_t i)
{
    return list[n == 1 ? 0 : i];
}

static bool read_list(aten_call *c, size_t arg, size_t n, const tl_dim **out)
{
    size_t given;
    const tl_dim *const *list = aten_dim_list(c, arg, &given);
    if (given != 1 && given != n) {
        aten_malformed(c, "a list of %zu numbers for %zu axes", given, n);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = nth(list, given, i);
    return true;
}

static bool read_steps(aten_call *c, size_t arg, size_t n, int64_t *out)
{
    const tl_dim *dims[MAX_SPATIAL];
    if (!read_list(c, arg, n, dims))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!tl_dim_is_const(dims[i], &out[i]) || out[i] < 1) {
            aten_malformed(c, "strides and dilations, expected known numbers above 0");
            return false;
        }
    return true;
}

static bool read_padding(aten_call *c, size_t arg, aten_conv *v)
{
    if (!read_list(c, arg, v->n, v->lo))
        return false;
    memcpy(v->hi, v->lo, sizeof(v->hi));
    return true;
}

/* ---- building ---- */

static tl_value *finish_conv(aten_call *c, const aten_conv *v, tl_value *y)
{
    y = aten_to_first(c, y);
    return v->unbatched ? aten_without_axis(c, y, 0) : y;
}

static void build_conv(aten_call *c, aten_conv *v)
{
    tl_conv_attrs attrs = {.stride = {v->n, v->stride},
                           .dilation = {v->n, v->dilation},
                           .pad_lo = {v->n, v->lo},
                           .pad_hi = {v->n, v->hi},
                           .groups = v->groups};
    tl_value *weights = aten_restored(c, aten_to_last(c, aten_stored(v->w)));
    tl_value *in[] = {aten_to_last(c, v->x), weights, v->bias};
    aten_return(c, 0, finish_conv(c, v, tl_build(c->b, TL_OP_conv, in, v->bias ? 3 : 2, &attrs)));
}

/* w [g cg, og, *k] to [g og, *k, cg] */
static tl_value *transposed_weights(aten_call *c, tl_value *w, int64_t groups)
{
    int rank = aten_rank(w), perm[TL_MAX_RANK] = {0, 2};
    const tl_dim *dims[TL_MAX_RANK] = {aten_i(c, groups)}, *out[TL_MAX_RANK];
    if (groups == 1) {
        for (int i = 0; i < rank; i++)
            perm[i] = (i + 1) % rank;
        return aten_restored(c, tl_build_transpose(c->b, aten_stored(w), perm));
    }
    dims[1] = tl_dim_floordiv(c->dims, aten_size(w, 0), aten_i(c, groups));
    out[0] = tl_dim_mul_i(c->dims, aten_size(w, 1), groups);
    for (int i = 1; i < rank; i++)
        dims[i + 1] = aten_size(w, i);
    for (int i = 2; i < rank; i++) {
        perm[i] = i + 1;
        out[i - 1] = aten_size(w, i);
    }
    perm[rank] = 1;
    out[rank - 1] = dims[1];
    tl_value *grouped = tl_build_reshape(c->b, w, dims, rank + 1);
    return tl_build_reshape(c->b, tl_build_transpose(c->b, grouped, perm), out, rank);
}

static void build_transposed(aten_call *c, aten_conv *v)
{
    tl_conv_transpose_attrs attrs = {.stride = {v->n, v->stride},
                                     .dilation = {v->n, v->dilation},
                                     .pad_lo = {v->n, v->lo},
                                     .pad_hi = {v->n, v->hi},
                                     .out_pad = {v->n, v->out_pad},
                                     .groups = v->groups};
    tl_value *x = aten_to_last(c, v->x), *w = transposed_weights(c, v->w, v->groups);
    tl_value *in[] = {x, w, v->bias};
    tl_value *y = tl_build(c->b, TL_OP_conv_transpose, in, v->bias ? 3 : 2, &attrs);
    aten_return(c, 0, finish_conv(c, v, y));
}

/* ---- operators ---- */

static bool read_groups(aten_call *c, size_t arg, aten_conv *v)
{
    v->groups = aten_int(c, arg, 1);
    if (v->groups < 1)
        aten_malformed(c, "%lld groups", (long long)v->groups);
    return v->groups >= 1;
}

/* conv{1,2,3}d(input, weight, bias, stride, padding, dilation, groups) */
void aten_op_conv(aten_call *c)
{
    aten_conv v;
    if (read_operands(c, 0, &v) && read_steps(c, 3, v.n, v.stride) && read_padding(c, 4, &v) &&
        read_steps(c, 5, v.n, v.dilation) && read_groups(c, 6, &v))
        build_conv(c, &v);
}

/* ... with padding "same" (strides are 1: left half rounded down) or "valid"; _convolution_mode too
 */
void aten_op_conv_padding(aten_call *c)
{
    aten_conv v;
    if (!read_operands(c, 0, &v) || !read_steps(c, 3, v.n, v.stride) ||
        !read_steps(c, 5, v.n, v.dilation) || !read_groups(c, 6, &v))
        return;
    for (size_t i = 0; i < v.n && tl_str_is(aten_string(c, 4), "same"); i++) {
        const tl_dim *k = aten_size(v.w, (int)i + 2);
        const tl_dim *total = tl_dim_mul_i(c->dims, tl_dim_add_i(c->dims, k, -1), v.dilation[i]);
        v.lo[i] = tl_dim_floordiv(c->dims, total, aten_i(c, 2));
        v.hi[i] = tl_dim_sub(c->dims, total, v.lo[i]);
    }
    build_conv(c, &v);
}

/* conv_transpose{1,2,3}d(input, weight, bias, stride, padding, output_padding, groups, dilation) */
void aten_op_conv_transpose(aten_call *c)
{
    aten_conv v;
    if (read_operands(c, 0, &v) && read_steps(c, 3, v.n, v.stride) && read_padding(c, 4, &v) &&
        read_list(c, 5, v.n, v.out_pad) && read_groups(c, 6, &v) &&
        read_steps(c, 7, v.n, v.dilation))
        build_transposed(c, &v);
}

/* convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)
 */
void aten_op_convolution(aten_call *c)
{
    aten_conv v;
    if (!read_operands(c, 0, &v) || !read_steps(c, 3, v.n, v.stride) || !read_padding(c, 4, &v) ||
        !read_steps(c, 5, v.n, v.dilation) || !read_groups(c, 8, &v))
        return;
    if (!aten_bool(c, 6, false))
        build_conv(c, &v);
    else if (read_list(c, 7, v.n, v.out_pad))
        build_transposed(c, &v);
}

/* ---- windows as matrices ---- */

typedef struct patches {
    int64_t kernel[2], dilation[2], padding[2], stride[2];
} patches;

static bool read_patches(aten_call *c, size_t first, patches *p)
{
    int64_t *const lists[] = {p->kernel, p->dilation, p->padding, p->stride};
    for (size_t k = 0; k < 4; k++) {
        size_t n;
        const int64_t *v = aten_ints(c, first + k, &n);
        if (n != 1 && n != 2)
            return false;
        for (size_t i = 0; i < 2; i++)
            lists[k][i] = v[n == 1 ? 0 : i];
    }
    return true;
}

/* Rows of a padded axis that the windows touch: [k, n], k of the kernel, n windows. */
static tl_value *window_rows(aten_call *c, const patches *p, int axis, int64_t size, int64_t *n)
{
    int64_t k = p->kernel[axis];
    *n = (size + 2 * p->padding[axis] - p->dilation[axis] * (k - 1) - 1) / p->stride[axis] + 1;
    int64_t shape[2] = {k, *n};
    int64_t *v = *n > 0 ? TL_NEW_ARRAY(c->arena, int64_t, k * *n) : NULL;
    for (int64_t i = 0; v && i < k * *n; i++)
        v[i] = i / *n * p->dilation[axis] + i % *n * p->stride[axis];
    return v ? tl_build_const(c->model, tl_const_bytes(c->model->arena, TL_I64, 2, shape, v),
                              TL_STR(""))
             : NULL;
}

/* im2col(self, kernel, dilation, padding, stride): [n, c, h, w] to [n, c kh kw, l] */
void aten_op_im2col(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    patches p;
    int64_t h, w, n_h, n_w;
    bool unbatched = aten_rank(x) == 3;
    if (unbatched)
        x = aten_with_axis(c, x, 0);
    if (aten_rank(x) != 4 || !read_patches(c, 1, &p))
        return;
    if (!tl_dim_is_const(aten_size(x, 2), &h) || !tl_dim_is_const(aten_size(x, 3), &w)) {
        aten_refuse_as(c, TL_U005, "windows over open sizes");
        return;
    }
    const tl_dim *batch = aten_size(x, 0), *channels = aten_size(x, 1), *zero = aten_i(c, 0);
    const tl_dim *pads[4] = {zero, zero, aten_i(c, p.padding[0]), aten_i(c, p.padding[1])};
    tl_pad_attrs pad = {.lo = {4, pads}, .hi = {4, pads}};
    if (p.padding[0] || p.padding[1])
        x = tl_build1(c->b, TL_OP_pad, x, &pad);
    tl_value *rows = window_rows(c, &p, 0, h, &n_h), *columns = window_rows(c, &p, 1, w, &n_w);
    if (!rows || !columns)
        return;
    tl_gather_attrs along_w = {.axis = 3}, along_h = {.axis = 2};
    x = tl_build2(c->b, TL_OP_gather, x, columns, &along_w); /* [n, c, h, kw, nw] */
    x = tl_build2(c->b, TL_OP_gather, x, rows, &along_h);    /* [n, c, kh, nh, kw, nw] */
    static const int order[] = {0, 1, 2, 4, 3, 5};
    const tl_dim *out[] = {batch, tl_dim_mul_i(c->dims, channels, p.kernel[0] * p.kernel[1]),
                           aten_i(c, n_h * n_w)};
    x = tl_build_reshape(c->b, tl_build_transpose(c->b, x, order), out, 3);
    aten_return(c, 0, unbatched ? aten_without_axis(c, x, 0) : x);
}

/* col2im(self, output_size, kernel, dilation, padding, stride): every window's elements are added
 * where they came from. [n, c kh kw, l] to [n, c, h, w] */
void aten_op_col2im(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    patches p;
    size_t n;
    const int64_t *size = aten_ints(c, 1, &n);
    bool unbatched = aten_rank(x) == 2;
    if (unbatched)
        x = aten_with_axis(c, x, 0);
    if (aten_rank(x) != 3 || n != 2 || !read_patches(c, 2, &p))
        return;
    int64_t k = p.kernel[0] * p.kernel[1], n_h, n_w, full[2];
    for (int i = 0; i < 2; i++)
        full[i] = size[i] + 2 * p.padding[i];
    n_h = (full[0] - p.dilation[0] * (p.kernel[0] - 1) - 1) / p.stride[0] + 1;
    n_w = (full[1] - p.dilation[1] * (p.kernel[1] - 1) - 1) / p.stride[1] + 1;
    int64_t count = k * n_h * n_w, *at = TL_NEW_ARRAY(c->arena, int64_t, count + 1);
    for (int64_t i = 0; at && i < count; i++) { /* [kh, kw, nh, nw] */
        int64_t kh = i / (p.kernel[1] * n_h * n_w), kw = i / (n_h * n_w) % p.kernel[1];
        int64_t y = kh * p.dilation[0] + i / n_w % n_h * p.stride[0];
        at[i] = y * full[1] + kw * p.dilation[1] + i % n_w * p.stride[1];
    }
    const tl_dim *batch = aten_size(x, 0);
    const tl_dim *channels = tl_dim_floordiv(c->dims, aten_size(x, 1), aten_i(c, k));
    const tl_dim *rows = tl_dim_mul(c->dims, batch, channels);
    const tl_dim *flat[] = {rows, aten_i(c, count)},
                 *target[] = {aten_i(c, full[0] * full[1]), rows};
    static const int swap[] = {1, 0};
    int64_t shape[2] = {count, 1};
    if (!at)
        return;
    tl_value *index =
        tl_build_const(c->model, tl_const_bytes(c->model->arena, TL_I64, 2, shape, at), TL_STR(""));
    tl_scatter_attrs adds = {.reduce = TL_scatter_reduce_add};
    tl_value *updates = tl_build_transpose(c->b, tl_build_reshape(c->b, x, flat, 2), swap);
    tl_value *zeros = aten_filled(c, x->fact.type.dtype, target, 2, 0);
    tl_value *y = tl_build3(c->b, TL_OP_scatter_nd, zeros, index, updates, &adds);
    const tl_dim *image[] = {batch, channels, aten_i(c, full[0]), aten_i(c, full[1])};
    y = tl_build_reshape(c->b, tl_build_transpose(c->b, y, swap), image, 4);
    for (int i = 0; i < 2; i++)
        y = aten_cut(c, y, 2 + i, aten_i(c, p.padding[i]), aten_i(c, size[i]));
    aten_return(c, 0, unbatched ? aten_without_axis(c, y, 0) : y);
}
