/* Handlers: transpose, concat, split, slice, pad, blocks to depth and back. */
#include "import/onnx/onnx_op.h"

void onnx_import_transpose(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    size_t n = 0;
    const int64_t *given = onnx_attr_ints(c, "perm", &n);
    int perm[TL_MAX_RANK];
    bool seen[TL_MAX_RANK] = {false};
    if (!x)
        return;
    int rank = onnx_rank(x);
    if (n && n != (size_t)rank) {
        onnx_malformed(c, "attribute perm: expected %d axes, found %zu", rank, n);
        return;
    }
    for (int i = 0; i < rank; i++) {
        perm[i] = n ? onnx_axis(c, given[i], rank) : rank - 1 - i;
        if (perm[i] < 0)
            return;
        if (seen[perm[i]]) {
            onnx_malformed(c, "attribute perm: axis %d is given twice", perm[i]);
            return;
        }
        seen[perm[i]] = true;
    }
    c->out[0] = tl_build_transpose(c->b, x, perm);
}

void onnx_import_concat(onnx_call *c)
{
    tl_value *first = onnx_need(c, 0);
    if (!first)
        return;
    if (!onnx_find_attr(c, "axis") && c->opset >= 4) {
        onnx_malformed(c, "attribute axis is missing");
        return;
    }
    int axis = onnx_axis(c, onnx_attr_i(c, "axis", 1), onnx_rank(first));
    if (axis < 0)
        return;
    for (size_t i = 1; i < c->n_in; i++)
        if (!onnx_need(c, i))
            return;
    c->out[0] = tl_build_concat(c->b, c->in, c->n_in, axis);
}

/* ---- split ---- */

/* Equal parts of d; with `ragged` the last ones are smaller, or empty. False: recorded. */
static bool equal_parts(onnx_call *c, const tl_dim *d, size_t n, bool ragged, const tl_dim **sizes)
{
    tl_dims *dims = c->dims;
    const tl_dim *count = onnx_int(c, (int64_t)n), *part = tl_dim_divide_exactly(dims, d, count);
    for (size_t i = 0; i < n && part; i++)
        sizes[i] = part;
    if (part)
        return true;
    if (!ragged && tl_dim_is_const(d, NULL)) {
        onnx_malformed(c, "the axis does not divide into %zu equal parts", n);
        return false;
    }
    part = ragged ? tl_dim_ceildiv(dims, d, count) : tl_dim_floordiv(dims, d, count);
    for (size_t i = 0; i < n; i++) {
        const tl_dim *rest = tl_dim_sub(dims, d, tl_dim_mul_i(dims, part, (int64_t)i));
        sizes[i] = ragged ? tl_dim_max(dims, tl_dim_min(dims, part, rest), onnx_int(c, 0)) : part;
    }
    return true;
}

/* Sizes of the parts: attribute (2), input (13), or equal parts. NULL: recorded. */
static const tl_dim *const *split_sizes(onnx_call *c, const tl_value *x, int axis, size_t *n)
{
    const tl_dim *const *given = NULL;
    if (!onnx_list(c, "split", 1, &given, n))
        return NULL;
    if (given)
        return given;
    int64_t parts = onnx_attr_i(c, "num_outputs", (int64_t)c->node->outputs.n);
    if (parts < 1 || (uint64_t)parts > c->node->outputs.n) {
        onnx_malformed(c, "attribute num_outputs: expected %zu, found %lld", c->node->outputs.n,
                       (long long)parts);
        return NULL;
    }
    *n = (size_t)parts;
    const tl_dim **sizes = TL_NEW_ARRAY(c->arena, const tl_dim *, *n);
    if (!sizes || !equal_parts(c, onnx_size(x, axis), *n, c->opset >= 18, sizes))
        return NULL;
    return sizes;
}

void onnx_import_split(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    int axis = x ? onnx_axis(c, onnx_attr_i(c, "axis", 0), onnx_rank(x)) : -1;
    size_t n = 0;
    const tl_dim *const *sizes = axis >= 0 ? split_sizes(c, x, axis, &n) : NULL;
    if (!sizes)
        return;
    if (n < c->n_out) {
        onnx_malformed(c, "%zu sizes for %zu outputs", n, c->n_out);
        return;
    }
    tl_split_attrs attrs = {.axis = axis, .sizes = {n, sizes}};
    tl_node *node = tl_build_node(c->b, TL_OP_split, &x, 1, &attrs, n, NULL, 0);
    for (size_t i = 0; i < c->n_out && i < node->n_out; i++)
        c->out[i] = node->out[i];
}

/* ---- slice ---- */

/* 1 when d < 0, else 0, as an expression. */
static const tl_dim *is_negative(onnx_call *c, const tl_dim *d)
{
    const tl_dim *minus = tl_dim_sub(c->dims, onnx_int(c, 0), d);
    return tl_dim_min(c->dims, onnx_int(c, 1), tl_dim_max(c->dims, minus, onnx_int(c, 0)));
}

static const tl_dim *clamp(onnx_call *c, const tl_dim *d, const tl_dim *lo, const tl_dim *hi)
{
    return tl_dim_min(c->dims, tl_dim_max(c->dims, d, lo), hi);
}

/* A start or end on an axis of size n, in [lo, hi]: counted from the end when negative. Numbers
 * beyond any size mean "as far as it goes". */
static const tl_dim *slice_bound(onnx_call *c, const tl_dim *at, const tl_dim *n, const tl_dim *lo,
                                 const tl_dim *hi)
{
    int64_t known;
    if (tl_dim_is_const(at, &known) && known >= INT32_MAX)
        return hi;
    if (tl_dim_is_const(at, &known) && known <= -INT32_MAX)
        return lo;
    if (at == n) /* cut down to hi anyway */
        return hi;
    if (at->range.hi < 0)
        at = tl_dim_add(c->dims, at, n);
    else if (at->range.lo < 0)
        at = tl_dim_add(c->dims, at, tl_dim_mul(c->dims, n, is_negative(c, at)));
    return clamp(c, at, lo, hi);
}

/* One axis of a slice: where it begins and how many elements it takes. */
static void slice_axis(onnx_call *c, const tl_dim *n, const tl_dim *start, const tl_dim *end,
                       int64_t step, const tl_dim **begin, const tl_dim **size)
{
    tl_dims *dims = c->dims;
    const tl_dim *zero = onnx_int(c, 0), *minus_one = onnx_int(c, -1), *span;
    if (step > 0) {
        *begin = slice_bound(c, start, n, zero, n);
        span = tl_dim_sub(dims, slice_bound(c, end, n, zero, n), *begin);
    } else {
        /* elements start, start - |step|, ... behind end, which may be -1: "through 0" */
        const tl_dim *last = tl_dim_add_i(dims, n, -1);
        *begin = slice_bound(c, start, n, zero, last);
        span = tl_dim_sub(dims, *begin, slice_bound(c, end, n, minus_one, last));
        *begin = tl_dim_max(dims, *begin, zero); /* of an empty axis nothing is taken */
    }
    /* |step| of INT64_MIN takes one element at most, as INT64_MAX does */
    const tl_dim *stride = onnx_int(c, step > 0 ? step : step == INT64_MIN ? INT64_MAX : -step);
    *size = tl_dim_max(dims, tl_dim_ceildiv(dims, span, stride), zero);
}

/* Input i as `n` constant integers, or `absent` in every place when it is not there. */
static bool slice_ints(onnx_call *c, size_t i, const char *what, size_t n, const int64_t **v)
{
    size_t found = n;
    if (!onnx_in(c, i))
        return true;
    *v = onnx_need_ints(c, i, what, &found);
    if (*v && found != n)
        onnx_malformed(c, "%s: expected %zu numbers as for starts, found %zu", what, n, found);
    return *v && found == n;
}

/* Step of axis i of the list; false when it is not known. */
static bool known_step(onnx_call *c, size_t i, int64_t *step)
{
    size_t n;
    const int64_t *v = onnx_in(c, 4) ? onnx_const_ints(c, 4, &n) : NULL;
    *step = v && i < n ? v[i] : 1;
    return !onnx_in(c, 4) || (v && i < n);
}

/* Bounds computed at run time may be as large as an i64: cut to -n - 1 .. n of their axis, and counted
 * from the front where all steps are positive. */
static void tame_bounds(onnx_call *c, const tl_value *x, size_t input)
{
    size_t n, n_axes = 0;
    const tl_dim *hi[TL_MAX_RANK], *lo[TL_MAX_RANK];
    bool forward = true;
    if (!onnx_is_computed_list(c, input, &n) || n > (size_t)onnx_rank(x))
        return;
    const int64_t *axes = onnx_in(c, 3) ? onnx_const_ints(c, 3, &n_axes) : NULL;
    for (size_t i = 0; i < n; i++) {
        int64_t axis = axes && i < n_axes ? axes[i] : (int64_t)i, step;
        axis += axis < 0 ? onnx_rank(x) : 0;
        if (axis < 0 || axis >= onnx_rank(x))
            return;
        hi[i] = onnx_size(x, (int)axis);
        lo[i] = tl_dim_sub(c->dims, onnx_int(c, -1), hi[i]);
        forward = known_step(c, i, &step) && step > 0 && forward;
    }
    tl_value *v = tl_build_cast(c->b, c->in[input], TL_I64);
    tl_value *size = tl_build_shape_expr(c->b, hi, n, 1);
    v = onnx_build(c, TL_OP_max, v, tl_build_shape_expr(c->b, lo, n, 1));
    v = onnx_build(c, TL_OP_min, v, size);
    if (forward) {
        tl_value *zero = onnx_scalar_like(c, v, 0);
        tl_value *negative = onnx_build(c, TL_OP_less, v, zero);
        v = tl_build3(c->b, TL_OP_where, negative, onnx_build(c, TL_OP_add, v, size), v, NULL);
        v = onnx_build(c, TL_OP_max, v, zero);
    }
    c->in[input] = v;
}

/* starts and ends: attributes in opset 1, inputs since 10. */
static bool slice_bounds(onnx_call *c, const tl_value *x, const tl_dim *const **starts,
                         const tl_dim *const **ends, size_t *n)
{
    size_t n_ends = 0;
    tame_bounds(c, x, 1);
    tame_bounds(c, x, 2);
    if (!onnx_list(c, "starts", 1, starts, n) || !onnx_list(c, "ends", 2, ends, &n_ends))
        return false;
    if (!*starts || !*ends || *n != n_ends) {
        onnx_malformed(c, "starts and ends: expected lists of one length, found %zu and %zu", *n,
                       n_ends);
        return false;
    }
    return true;
}

/* Element i of an input as an i64 scalar. */
static tl_value *wide_element(onnx_call *c, size_t input, int64_t i)
{
    tl_value *v = onnx_part(c, c->in[input], 0, onnx_int(c, i), onnx_int(c, 1));
    return tl_build_cast(c->b, tl_build_reshape(c->b, v, NULL, 0), TL_I64);
}

/* at, counted from the end when negative, in lo .. hi. */
static tl_value *computed_bound(onnx_call *c, tl_value *at, tl_value *n, tl_value *lo, tl_value *hi)
{
    tl_value *negative = onnx_build(c, TL_OP_less, at, onnx_scalar_like(c, at, 0));
    at = tl_build3(c->b, TL_OP_where, negative, onnx_build(c, TL_OP_add, at, n), at, NULL);
    return onnx_build(c, TL_OP_min, onnx_build(c, TL_OP_max, at, lo), hi);
}

/* Elements start, start + step, ... of one axis, whichever way they go. */
static tl_value *stepped(onnx_call *c, tl_value *x, int axis, size_t i)
{
    tl_value *start = wide_element(c, 1, (int64_t)i), *end = wide_element(c, 2, (int64_t)i);
    tl_value *step = wide_element(c, 4, (int64_t)i), *n = onnx_dim_value(c, onnx_size(x, axis));
    tl_value *zero = onnx_scalar_like(c, n, 0), *minus = onnx_scalar_like(c, n, -1);
    tl_value *forward = onnx_build(c, TL_OP_greater, step, zero);
    tl_value *last = onnx_build(c, TL_OP_add, n, minus);
    tl_value *hi = tl_build3(c->b, TL_OP_where, forward, n, last, NULL);
    tl_value *lo = tl_build3(c->b, TL_OP_where, forward, zero, minus, NULL);
    start = computed_bound(c, start, n, zero, hi);
    end = computed_bound(c, end, n, lo, hi);
    tl_gather_attrs attrs = {.axis = axis, .may_be_negative = false};
    tl_value *at = tl_build3(c->b, TL_OP_range, start, end, step, NULL);
    return tl_build2(c->b, TL_OP_gather, x, at, &attrs);
}

static void slice_by_computed_steps(onnx_call *c, tl_value *x, size_t n)
{
    const int64_t *axes = NULL;
    if (!slice_ints(c, 3, "axes", n, &axes))
        return;
    for (size_t i = 0; i < n; i++) {
        int axis = onnx_axis(c, axes ? axes[i] : (int64_t)i, onnx_rank(x));
        for (size_t k = 1; k < 5; k++) {
            if (k == 3 ||
                (onnx_rank(c->in[k]) == 1 && tl_dim_is(onnx_size(c->in[k], 0), (int64_t)n)))
                continue;
            onnx_malformed(c, "starts, ends and steps: expected lists of one length");
            return;
        }
        if (axis < 0 || (x = stepped(c, x, axis, i))->poison)
            return;
    }
    c->out[0] = x;
}

void onnx_import_slice(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    const tl_dim *const *starts, *const *ends, *begin[TL_MAX_RANK], *size[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK];
    bool seen[TL_MAX_RANK] = {false};
    size_t n = 0, n_axes = 0;
    if (x && onnx_is_computed_list(c, 4, &n)) {
        slice_by_computed_steps(c, x, n);
        return;
    }
    if (!x || !slice_bounds(c, x, &starts, &ends, &n))
        return;
    const int64_t *axes = onnx_attr_ints(c, "axes", &n_axes), *steps = NULL;
    if (axes && n_axes != n) {
        onnx_malformed(c, "axes: expected %zu numbers as for starts, found %zu", n, n_axes);
        return;
    }
    if (!slice_ints(c, 3, "axes", n, &axes) || !slice_ints(c, 4, "steps", n, &steps))
        return;
    for (int i = 0; i < onnx_rank(x); i++) {
        begin[i] = onnx_int(c, 0);
        size[i] = onnx_size(x, i);
        stride[i] = 1;
    }
    for (size_t i = 0; i < n; i++) {
        int axis = onnx_axis(c, axes ? axes[i] : (int64_t)i, onnx_rank(x));
        if (axis < 0)
            return;
        if (seen[axis] || (steps && steps[i] == 0)) {
            onnx_malformed(c, seen[axis] ? "axis %d is given twice" : "axis %d has step 0", axis);
            return;
        }
        seen[axis] = true;
        stride[axis] = steps ? steps[i] : 1;
        slice_axis(c, onnx_size(x, axis), starts[i], ends[i], stride[axis], &begin[axis],
                   &size[axis]);
    }
    c->out[0] = tl_build_slice(c->b, x, begin, size, stride);
}

/* ---- pad ---- */

/* Pads of every axis of x from the list [lo..., hi...] over some axes. False: recorded. */
static bool read_pads(onnx_call *c, const tl_value *x, const tl_dim **lo, const tl_dim **hi)
{
    const tl_dim *const *v = NULL;
    size_t n = 0, n_axes = (size_t)onnx_rank(x), given = 0;
    const int64_t *axes = NULL;
    if (!onnx_list(c, c->opset < 2 ? "paddings" : "pads", 1, &v, &n))
        return false;
    if (onnx_in(c, 3)) {
        axes = onnx_need_ints(c, 3, "axes", &given);
        if (!axes)
            return false;
        n_axes = given;
    }
    if (n != 2 * n_axes) {
        onnx_malformed(c, "pads: expected %zu numbers, found %zu", 2 * n_axes, n);
        return false;
    }
    for (int i = 0; i < onnx_rank(x); i++)
        lo[i] = hi[i] = onnx_int(c, 0);
    for (size_t i = 0; i < n_axes; i++) {
        int axis = onnx_axis(c, axes ? axes[i] : (int64_t)i, onnx_rank(x));
        if (axis < 0)
            return false;
        lo[axis] = v[i];
        hi[axis] = v[n_axes + i];
    }
    return true;
}

/* Negative pads crop, before anything is added: x without them, lo and hi the positive parts. */
static tl_value *crop(onnx_call *c, tl_value *x, const tl_dim **lo, const tl_dim **hi)
{
    tl_dims *dims = c->dims;
    const tl_dim *zero = onnx_int(c, 0), *begin[TL_MAX_RANK], *size[TL_MAX_RANK];
    int64_t stride[TL_MAX_RANK];
    for (int i = 0; i < onnx_rank(x); i++) {
        const tl_dim *cut_lo = tl_dim_max(dims, tl_dim_sub(dims, zero, lo[i]), zero);
        const tl_dim *cut_hi = tl_dim_max(dims, tl_dim_sub(dims, zero, hi[i]), zero);
        begin[i] = cut_lo;
        size[i] = tl_dim_sub(dims, onnx_size(x, i), tl_dim_add(dims, cut_lo, cut_hi));
        stride[i] = 1;
        lo[i] = tl_dim_max(dims, lo[i], zero);
        hi[i] = tl_dim_max(dims, hi[i], zero);
    }
    return tl_build_slice(c->b, x, begin, size, stride);
}

/* The filling of mode constant as a scalar; NULL for 0. False: recorded. */
static bool pad_value(onnx_call *c, const tl_value *x, tl_value **fill)
{
    *fill = NULL;
    if (c->opset < 11) {
        double value = onnx_attr_f(c, "value", 0);
        if (value != 0)
            *fill = onnx_scalar_like(c, x, value);
        return true;
    }
    if (!onnx_in(c, 2))
        return true;
    *fill = onnx_need_scalar(c, 2);
    return *fill != NULL;
}

void onnx_import_pad(onnx_call *c)
{
    static const char *const words[] = {"constant", "reflect", "edge", "wrap"};
    static const tl_pad_mode modes[] = {TL_pad_mode_constant, TL_pad_mode_reflect, TL_pad_mode_edge,
                                        TL_pad_mode_wrap};
    tl_value *x = onnx_need(c, 0), *fill;
    const tl_dim *lo[TL_MAX_RANK], *hi[TL_MAX_RANK];
    int mode = onnx_choice(c, "mode", "constant", words, TL_COUNT(words));
    if (!x || mode < 0 || !read_pads(c, x, lo, hi) || !pad_value(c, x, &fill))
        return;
    size_t rank = (size_t)onnx_rank(x);
    tl_value *in[2] = {crop(c, x, lo, hi), fill};
    tl_pad_attrs attrs = {{rank, lo}, {rank, hi}, modes[mode]};
    bool nothing = true;
    for (size_t i = 0; i < rank; i++)
        nothing &= tl_dim_is(lo[i], 0) && tl_dim_is(hi[i], 0);
    bool filled = fill && modes[mode] == TL_pad_mode_constant;
    c->out[0] = nothing ? in[0] : tl_build(c->b, TL_OP_pad, in, filled ? 2 : 1, &attrs);
}

/* ---- blocks ---- */

/* [n, h, w, c b b] to [n, h, w, b b c]: from column-row-depth order to depth-column-row order. */
static tl_value *blocks_first(onnx_call *c, tl_value *x, int64_t block)
{
    static const int perm[] = {0, 1, 2, 4, 3};
    const tl_dim *area = onnx_int(c, block * block);
    const tl_dim *depth = tl_dim_divide_exactly(c->dims, onnx_size(x, 3), area);
    if (!depth) {
        onnx_refuse_as(c, tl_dim_is_const(onnx_size(x, 3), NULL) ? TL_M003 : TL_U005,
                       "channels are not known to be a multiple of %lld",
                       (long long)(block * block));
        return NULL;
    }
    const tl_dim *dims[5] = {onnx_size(x, 0), onnx_size(x, 1), onnx_size(x, 2), depth, area};
    tl_value *split = tl_build_reshape(c->b, x, dims, 5);
    return tl_build_reshape(c->b, tl_build_transpose(c->b, split, perm), tl_type_of(x)->dims, 4);
}

/* x with its channels last and the block size; NULL: recorded. */
static tl_value *read_block(onnx_call *c, int64_t *block)
{
    tl_value *x = onnx_need_rank(c, 0, 4, 4);
    *block = onnx_attr_i(c, "blocksize", 0);
    if (*block < 1 || *block > INT16_MAX) {
        onnx_malformed(c, "attribute blocksize: expected 1 or more, found %lld", (long long)*block);
        return NULL;
    }
    return x ? onnx_to_last(c, x) : NULL;
}

void onnx_import_depth_to_space(onnx_call *c)
{
    static const char *const words[] = {"DCR", "CRD"};
    tl_block_attrs attrs;
    tl_value *x = read_block(c, &attrs.block);
    int mode = onnx_choice(c, "mode", "DCR", words, TL_COUNT(words));
    if (!x || x->poison || mode < 0)
        return;
    if (mode == 1)
        x = blocks_first(c, x, attrs.block);
    if (x)
        c->out[0] = onnx_to_first(c, tl_build1(c->b, TL_OP_depth_to_space, x, &attrs));
}

void onnx_import_space_to_depth(onnx_call *c)
{
    tl_block_attrs attrs;
    tl_value *x = read_block(c, &attrs.block);
    if (x)
        c->out[0] = onnx_to_first(c, tl_build1(c->b, TL_OP_space_to_depth, x, &attrs));
}

/* ---- CenterCropPad ---- */

/* x along axis at size elements: the middle part, or x in the middle of zeros. */
static tl_value *centred(onnx_call *c, tl_value *x, int axis, const tl_dim *size)
{
    const tl_dim *n = onnx_size(x, axis), *zero = onnx_int(c, 0), *two = onnx_int(c, 2);
    const tl_dim *lo[TL_MAX_RANK], *hi[TL_MAX_RANK];
    const tl_dim *cut = tl_dim_max(c->dims, tl_dim_sub(c->dims, n, size), zero);
    const tl_dim *more = tl_dim_max(c->dims, tl_dim_sub(c->dims, size, n), zero);
    x = onnx_part(c, x, axis, tl_dim_floordiv(c->dims, cut, two), tl_dim_sub(c->dims, n, cut));
    if (tl_dim_is(more, 0))
        return x;
    for (int i = 0; i < onnx_rank(x); i++)
        lo[i] = hi[i] = zero;
    lo[axis] = tl_dim_floordiv(c->dims, more, two);
    hi[axis] = tl_dim_sub(c->dims, more, lo[axis]);
    tl_pad_attrs attrs = {
        {(size_t)onnx_rank(x), lo}, {(size_t)onnx_rank(x), hi}, TL_pad_mode_constant};
    return tl_build1(c->b, TL_OP_pad, x, &attrs);
}

void onnx_import_center_crop_pad(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    size_t n = 0, n_axes = 0;
    const tl_dim *const *sizes = x ? onnx_sizes(c, 1, "shape", &n) : NULL;
    const int64_t *axes = onnx_attr_ints(c, "axes", &n_axes);
    if (!sizes)
        return;
    if (n != (axes ? n_axes : (size_t)onnx_rank(x))) {
        onnx_malformed(c, "shape: expected one number per axis, found %zu", n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        int axis = onnx_axis(c, axes ? axes[i] : (int64_t)i, onnx_rank(x));
        if (axis < 0 || (x = centred(c, x, axis, sizes[i]))->poison)
            return;
    }
    c->out[0] = x;
}
