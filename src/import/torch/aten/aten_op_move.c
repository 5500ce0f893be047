/* Data movement that is no view: joins, repetitions, padding, shuffles. */
#include "import/torch/aten/aten_op.h"

/* ---- joins ---- */

/* Tensors of the list in one type; PyTorch lets empty ones of one axis pass in any company. */
static tl_value **joined_operands(aten_call *c, size_t *n)
{
    static const size_t list = 0;
    tl_dtype type = aten_common_type(c, &list, 1);
    size_t all;
    tl_value **v = aten_values(c, 0, &all);
    *n = 0;
    for (size_t i = 0; v && i < all; i++) {
        bool legacy = aten_rank(v[i]) == 1 && tl_dim_is(aten_size(v[i], 0), 0);
        if (!legacy || all == 1)
            v[(*n)++] = tl_build_cast(c->b, v[i], type);
    }
    if (v && all && !*n)
        v[(*n)++] = tl_build_cast(c->b, v[0], type);
    if (!*n)
        aten_malformed(c, "an empty list");
    return *n ? v : NULL;
}

void aten_op_cat(aten_call *c)
{
    size_t n;
    tl_value **v = joined_operands(c, &n);
    int axis = v ? aten_axis(c, aten_int(c, 1, 0), aten_rank(v[0])) : -1;
    if (axis >= 0)
        aten_return(c, 0, n == 1 ? v[0] : tl_build_concat(c->b, v, n, axis));
}

static void return_stacked(aten_call *c, tl_value **v, size_t n, int axis)
{
    for (size_t i = 0; i < n; i++)
        v[i] = aten_with_axis(c, v[i], axis);
    aten_return(c, 0, n == 1 ? v[0] : tl_build_concat(c->b, v, n, axis));
}

void aten_op_stack(aten_call *c)
{
    static const size_t list = 0;
    tl_dtype type = aten_common_type(c, &list, 1);
    size_t n;
    tl_value **v = aten_values(c, 0, &n);
    int axis = n ? aten_axis(c, aten_int(c, 1, 0), aten_rank(v[0]) + 1) : -1;
    for (size_t i = 0; i < n; i++)
        v[i] = tl_build_cast(c->b, v[i], type);
    if (axis >= 0)
        return_stacked(c, v, n, axis);
}

/* At least `rank` axes, then joined along `axis`. */
static void stack_along(aten_call *c, int rank, int axis)
{
    size_t n;
    tl_value **v = joined_operands(c, &n);
    for (size_t i = 0; v && i < n; i++)
        while (aten_rank(v[i]) < rank) /* [n] becomes [1, n, 1] */
            v[i] = aten_with_axis(c, v[i], aten_rank(v[i]) == 2 ? 2 : 0);
    if (v)
        aten_return(c, 0, n == 1 ? v[0] : tl_build_concat(c->b, v, n, axis));
}

void aten_op_vstack(aten_call *c)
{
    stack_along(c, 2, 0);
}

void aten_op_hstack(aten_call *c)
{
    size_t n;
    tl_value **v = aten_values(c, 0, &n);
    stack_along(c, 1, n && aten_rank(v[0]) > 1);
}

void aten_op_dstack(aten_call *c)
{
    stack_along(c, 3, 2);
}

/* column_stack: vectors are columns */
void aten_op_column_stack(aten_call *c)
{
    size_t n;
    tl_value **v = joined_operands(c, &n);
    for (size_t i = 0; v && i < n; i++)
        while (aten_rank(v[i]) < 2)
            v[i] = aten_with_axis(c, v[i], aten_rank(v[i]));
    if (v)
        aten_return(c, 0, n == 1 ? v[0] : tl_build_concat(c->b, v, n, 1));
}

/* ---- repetitions ---- */

static void return_tiled(aten_call *c, tl_value *x, const tl_dim *const *repeats, size_t n)
{
    const tl_dim *dims[TL_MAX_RANK], *by[TL_MAX_RANK];
    int own = aten_rank(x), rank = TL_MAX(own, (int)n);
    if (rank > TL_MAX_RANK) {
        aten_refuse_as(c, TL_U005, "too many axes");
        return;
    }
    for (int i = 0; i < rank; i++) {
        int k = i - (rank - own), r = i - (rank - (int)n);
        dims[i] = k < 0 ? aten_i(c, 1) : aten_size(x, k);
        by[i] = r < 0 ? aten_i(c, 1) : repeats[r];
    }
    x = tl_build_reshape(c->b, x, dims, rank);
    tl_shape_attrs attrs = {.dims = {(size_t)rank, by}};
    aten_return(c, 0, tl_build1(c->b, TL_OP_tile, x, &attrs));
}

/* repeat(self, repeats), tile(self, dims) */
void aten_op_repeat(aten_call *c)
{
    size_t n;
    const tl_dim *const *repeats = aten_dim_list(c, 1, &n);
    return_tiled(c, aten_value(c, 0), repeats, n);
}

/* Every element `count` times in a row along the axis. */
static tl_value *repeated(aten_call *c, tl_value *x, int axis, const tl_dim *count)
{
    const tl_dim *dims[TL_MAX_RANK + 1], *merged[TL_MAX_RANK];
    int rank = aten_rank(x);
    if (rank >= TL_MAX_RANK)
        return x;
    for (int i = 0; i <= rank; i++)
        dims[i] = i == axis + 1 ? count : aten_size(x, i - (i > axis));
    for (int i = 0; i < rank; i++)
        merged[i] = i == axis ? tl_dim_mul(c->dims, aten_size(x, i), count) : aten_size(x, i);
    x = tl_build_broadcast_to(c->b, aten_with_axis(c, x, axis + 1), dims, rank + 1);
    return tl_build_reshape(c->b, x, merged, rank);
}

static tl_value *flat(aten_call *c, tl_value *x)
{
    const tl_dim *all = aten_product(c, x, 0, aten_rank(x));
    return tl_build_reshape(c->b, x, &all, 1);
}

/* repeat_interleave.self_int(self, repeats, dim?) */
void aten_op_repeat_interleave(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    if (aten_is_none(c, 2))
        x = flat(c, x);
    int axis = aten_axis(c, aten_int(c, 2, 0), aten_rank(x));
    if (axis >= 0)
        aten_return(c, 0, repeated(c, x, axis, aten_dim(c, 1)));
}

/* Row i as often as repeats[i] says, i64: place p takes the row whose repeats and those before it end behind p. */
static tl_value *repeated_rows(aten_call *c, tl_value *repeats)
{
    tl_cumsum_attrs sum = {.axis = 0};
    repeats = tl_build_cast(c->b, repeats, TL_I64);
    tl_value *ends = tl_build1(c->b, TL_OP_cumsum, repeats, &sum);
    tl_value *place = aten_range(c, aten_reduce_all(c, TL_OP_reduce_sum, repeats));
    tl_value *over = aten_2(c, TL_OP_less_equal, ends, aten_with_axis(c, place, 1));
    return aten_reduce(c, TL_OP_reduce_sum, tl_build_cast(c->b, over, TL_I64), 1, false);
}

static void return_repeated_by(aten_call *c, tl_value *x, int axis, tl_value *repeats)
{
    tl_gather_attrs attrs = {.axis = axis};
    if (aten_rank(repeats) != 1)
        aten_refuse_as(c, TL_U005, "repeats of rank %d computed at run time", aten_rank(repeats));
    else
        aten_return(c, 0, tl_build2(c->b, TL_OP_gather, x, repeated_rows(c, repeats), &attrs));
}

/* repeat_interleave.Tensor(repeats, output_size?): the numbers of the rows */
void aten_op_repeated_rows(aten_call *c)
{
    aten_return(c, 0, repeated_rows(c, aten_value(c, 0)));
}

/* repeat_interleave.self_Tensor(self, repeats, dim?) */
void aten_op_repeat_interleave_by(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *known = tl_known_value(&c->env->known, aten_value(c, 1));
    const int64_t *v = known ? tl_const_load_i64(c->cx, known->constant, c->arena) : NULL;
    if (aten_is_none(c, 2))
        x = flat(c, x);
    int axis = aten_axis(c, aten_int(c, 2, 0), aten_rank(x));
    if (axis < 0)
        return;
    if (!v) {
        return_repeated_by(c, x, axis, aten_value(c, 1));
        return;
    }
    int64_t n = tl_const_count(known->constant), total = 0, at = 0;
    if (n == 1) {
        aten_return(c, 0, repeated(c, x, axis, aten_i(c, v[0])));
        return;
    }
    for (int64_t i = 0; i < n; i++)
        total += v[i];
    int64_t *index = total >= 0 ? TL_NEW_ARRAY(c->arena, int64_t, total + 1) : NULL;
    for (int64_t i = 0; index && i < n; i++)
        for (int64_t k = 0; k < v[i] && at < total; k++)
            index[at++] = i;
    tl_gather_attrs attrs = {.axis = axis};
    if (index)
        aten_return(c, 0,
                    tl_build2(c->b, TL_OP_gather, x, tl_build_i64s(c->model, index, (size_t)total),
                              &attrs));
}

/* ---- order along axes ---- */

void aten_op_flip(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    aten_axes axes;
    if (aten_is_none(c, 1) || !aten_read_axes(c, 1, aten_rank(x), false, &axes))
        return;
    tl_axes_attrs attrs = {.axes = {axes.n, axes.v}};
    aten_return(c, 0, axes.n ? tl_build1(c->b, TL_OP_reverse, x, &attrs) : x);
}

static void return_reversed(aten_call *c, int64_t axis)
{
    tl_value *x = aten_value(c, 0);
    tl_axes_attrs attrs = {.axes = {1, &axis}};
    if (aten_rank(x) <= axis)
        aten_malformed(c, "input of rank %d", aten_rank(x));
    else
        aten_return(c, 0, tl_build1(c->b, TL_OP_reverse, x, &attrs));
}

void aten_op_flipud(aten_call *c)
{
    return_reversed(c, 0);
}
void aten_op_fliplr(aten_call *c)
{
    return_reversed(c, 1);
}

static tl_value *rolled(aten_call *c, tl_value *x, int axis, const tl_dim *shift)
{
    const tl_dim *size = aten_size(x, axis), *by = tl_dim_mod(c->dims, shift, size);
    if (tl_dim_is(size, 0) || tl_dim_is(by, 0))
        return x;
    const tl_dim *rest = tl_dim_sub(c->dims, size, by);
    tl_value *end = aten_cut(c, x, axis, rest, by);
    tl_value *begin = aten_cut(c, x, axis, aten_i(c, 0), rest);
    return tl_build_concat(c->b, (tl_value *[]){end, begin}, 2, axis);
}

/* roll(self, shifts, dims): without dims over all elements */
void aten_op_roll(aten_call *c)
{
    tl_value *x = aten_value(c, 0), *y = x;
    size_t n, n_axes;
    const tl_dim *const *shifts = aten_dim_list(c, 1, &n);
    const int64_t *axes = aten_ints(c, 2, &n_axes);
    if (n_axes == 0 && n == 1) {
        y = rolled(c, flat(c, x), 0, shifts[0]);
        y = tl_build_reshape(c->b, y, x->fact.type.dims, aten_rank(x));
    }
    for (size_t i = 0; i < n_axes && i < n; i++) {
        int axis = aten_axis(c, axes[i], aten_rank(x));
        if (axis < 0)
            return;
        y = rolled(c, y, axis, shifts[i]);
    }
    aten_return(c, 0, y);
}

/* rot90(self, k, dims): k quarter turns from the first axis towards the second */
void aten_op_rot90(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    int64_t turns = ((aten_int(c, 1, 1) % 4) + 4) % 4;
    size_t n;
    const int64_t *v = aten_ints(c, 2, &n);
    int rank = aten_rank(x), perm[TL_MAX_RANK];
    int a = n == 2 ? aten_axis(c, v[0], rank) : -1, b = n == 2 ? aten_axis(c, v[1], rank) : -1;
    if (a < 0 || b < 0 || a == b)
        return;
    for (int i = 0; i < rank; i++)
        perm[i] = i == a ? b : i == b ? a : i;
    int64_t both[2] = {TL_MIN(a, b), TL_MAX(a, b)}, first = a, second = b;
    tl_axes_attrs around = {.axes = {2, both}}, back = {.axes = {1, &second}};
    tl_axes_attrs front = {.axes = {1, &first}};
    if (turns == 2)
        x = tl_build1(c->b, TL_OP_reverse, x, &around);
    else if (turns == 1)
        x = tl_build_transpose(c->b, tl_build1(c->b, TL_OP_reverse, x, &back), perm);
    else if (turns == 3)
        x = tl_build_transpose(c->b, tl_build1(c->b, TL_OP_reverse, x, &front), perm);
    aten_return(c, 0, x);
}

/* ---- padding ---- */

/* pads: pairs from the last axis backwards; negative ones cut off. */
static void return_padded(aten_call *c, size_t pads, tl_pad_mode mode, tl_value *element)
{
    tl_value *x = aten_value(c, 0);
    int rank = aten_rank(x);
    size_t n;
    const tl_dim *const *v = aten_dim_list(c, pads, &n), *lo[TL_MAX_RANK], *hi[TL_MAX_RANK];
    const tl_dim *zero = aten_i(c, 0);
    bool grows = false;
    if (n % 2 || n > 2 * (size_t)rank) {
        aten_malformed(c, "%zu pads for rank %d", n, rank);
        return;
    }
    for (int i = 0; i < rank; i++) {
        size_t k = 2 * (size_t)(rank - 1 - i);
        lo[i] = k < n ? v[k] : zero;
        hi[i] = k < n ? v[k + 1] : zero;
        const tl_dim *cut_lo = tl_dim_max(c->dims, tl_dim_mul_i(c->dims, lo[i], -1), zero);
        const tl_dim *cut_hi = tl_dim_max(c->dims, tl_dim_mul_i(c->dims, hi[i], -1), zero);
        if (!tl_dim_is(cut_lo, 0) || !tl_dim_is(cut_hi, 0))
            x = aten_cut(c, x, i, cut_lo,
                         tl_dim_sub(c->dims, aten_size(x, i), tl_dim_add(c->dims, cut_lo, cut_hi)));
        lo[i] = tl_dim_max(c->dims, lo[i], zero);
        hi[i] = tl_dim_max(c->dims, hi[i], zero);
        grows |= !tl_dim_is(lo[i], 0) || !tl_dim_is(hi[i], 0);
    }
    tl_pad_attrs attrs = {.lo = {(size_t)rank, lo}, .hi = {(size_t)rank, hi}, .mode = mode};
    tl_value *in[] = {x, element};
    aten_return(c, 0, grows ? tl_build(c->b, TL_OP_pad, in, element ? 2 : 1, &attrs) : x);
}

/* pad(self, pad, mode, value?) */
void aten_op_pad(aten_call *c)
{
    static const struct {
        const char *word;
        tl_pad_mode mode;
    } modes[] = {{"constant", TL_pad_mode_constant},
                 {"reflect", TL_pad_mode_reflect},
                 {"replicate", TL_pad_mode_edge},
                 {"circular", TL_pad_mode_wrap}};
    tl_str word = aten_string(c, 2);
    tl_value *x = aten_value(c, 0), *element = NULL;
    for (size_t i = 0; i < TL_COUNT(modes); i++) {
        if (!tl_str_is(word, modes[i].word))
            continue;
        if (i == 0 && aten_float(c, 3, 0) != 0)
            element = aten_operand(c, 3, x->fact.type.dtype);
        return_padded(c, 1, modes[i].mode, element);
        return;
    }
    aten_refuse(c, "mode %.*s", TL_STR_ARG(word));
}

/* constant_pad_nd(self, pad, value) */
void aten_op_constant_pad(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    return_padded(c, 1, TL_pad_mode_constant,
                  aten_float(c, 2, 0) != 0 ? aten_operand(c, 2, x->fact.type.dtype) : NULL);
}

void aten_op_reflection_pad(aten_call *c)
{
    return_padded(c, 1, TL_pad_mode_reflect, NULL);
}

void aten_op_replication_pad(aten_call *c)
{
    return_padded(c, 1, TL_pad_mode_edge, NULL);
}

/* ---- shuffles of channels, [..., c, h, w] ---- */

/* The last three axes of x as five (split), in another order, as three again (joined). */
static void return_shuffled(aten_call *c, tl_value *x, const tl_dim *const *split, const int *order,
                            const tl_dim *const *joined_dims)
{
    int rank = aten_rank(x), lead = rank - 3, perm[TL_MAX_RANK];
    const tl_dim *dims[TL_MAX_RANK], *out[TL_MAX_RANK];
    for (int i = 0; i < lead; i++) {
        dims[i] = out[i] = aten_size(x, i);
        perm[i] = i;
    }
    for (int i = 0; i < 5; i++) {
        dims[lead + i] = split[i];
        perm[lead + i] = lead + order[i];
    }
    for (int i = 0; i < 3; i++)
        out[lead + i] = joined_dims[i];
    x = tl_build_transpose(c->b, tl_build_reshape(c->b, x, dims, rank + 2), perm);
    aten_return(c, 0, tl_build_reshape(c->b, x, out, rank));
}

/* [*b, c r r, h, w] to [*b, c, h r, w r] */
void aten_op_pixel_shuffle(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    int rank = aten_rank(x), lead = rank - 3;
    int64_t r = aten_int(c, 1, 1);
    if (rank < 3 || rank + 2 > TL_MAX_RANK || r < 1) {
        aten_malformed(c, "rank %d, factor %lld", rank, (long long)r);
        return;
    }
    const tl_dim *channels = tl_dim_floordiv(c->dims, aten_size(x, lead), aten_i(c, r * r));
    const tl_dim *split[] = {channels, aten_i(c, r), aten_i(c, r), aten_size(x, lead + 1),
                             aten_size(x, lead + 2)};
    const tl_dim *joined_dims[] = {channels, tl_dim_mul_i(c->dims, aten_size(x, lead + 1), r),
                                   tl_dim_mul_i(c->dims, aten_size(x, lead + 2), r)};
    static const int order[] = {0, 3, 1, 4, 2};
    return_shuffled(c, x, split, order, joined_dims);
}

/* [*b, c, h r, w r] to [*b, c r r, h, w] */
void aten_op_pixel_unshuffle(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    int rank = aten_rank(x), lead = rank - 3;
    int64_t r = aten_int(c, 1, 1);
    if (rank < 3 || rank + 2 > TL_MAX_RANK || r < 1) {
        aten_malformed(c, "rank %d, factor %lld", rank, (long long)r);
        return;
    }
    const tl_dim *h = tl_dim_floordiv(c->dims, aten_size(x, lead + 1), aten_i(c, r));
    const tl_dim *w = tl_dim_floordiv(c->dims, aten_size(x, lead + 2), aten_i(c, r));
    const tl_dim *split[] = {aten_size(x, lead), h, aten_i(c, r), w, aten_i(c, r)};
    const tl_dim *joined_dims[] = {tl_dim_mul_i(c->dims, aten_size(x, lead), r * r), h, w};
    static const int order[] = {0, 2, 4, 1, 3};
    return_shuffled(c, x, split, order, joined_dims);
}

/* channel_shuffle(self, groups): [n, g, c / g, ...] with the middle axes swapped */
void aten_op_channel_shuffle(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    int rank = aten_rank(x), perm[TL_MAX_RANK];
    int64_t groups = aten_int(c, 1, 1);
    const tl_dim *dims[TL_MAX_RANK + 1];
    if (rank < 3 || rank >= TL_MAX_RANK || groups < 1)
        return;
    for (int i = 0; i <= rank; i++) {
        dims[i] = i > 2 ? aten_size(x, i - 1) : aten_size(x, 0);
        perm[i] = i == 1 ? 2 : i == 2 ? 1 : i;
    }
    dims[1] = aten_i(c, groups);
    dims[2] = tl_dim_floordiv(c->dims, aten_size(x, 1), aten_i(c, groups));
    tl_value *y = tl_build_transpose(c->b, tl_build_reshape(c->b, x, dims, rank + 1), perm);
    aten_return(c, 0, tl_build_reshape(c->b, y, x->fact.type.dims, rank));
}
