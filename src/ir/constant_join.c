/* Constants put together: concatenation and padding. Both are read as runs along one axis with all
 * axes inside it. */
#include "ir/constant_private.h"

/* ---- concat ---- */

tl_const *tl_const_concat(tl_arena *arena, const tl_const *const *parts, size_t n, int axis)
{
    TL_ASSERT(n > 0 && axis >= 0 && axis < parts[0]->rank);
    if (n == 1)
        return tl_const_unchanged(parts[0]);
    int64_t shape[TL_MAX_RANK];
    memcpy(shape, parts[0]->shape, sizeof shape);
    int64_t *begin = TL_NEW_ARRAY(arena, int64_t, n + 1);
    const tl_const **copy = tl_arena_copy(arena, parts, n * sizeof *parts);
    if (!begin || !copy)
        return NULL;
    for (size_t i = 0; i < n; i++)
        begin[i + 1] = begin[i] + parts[i]->shape[axis];
    shape[axis] = begin[n];
    tl_const *c = tl_const_new(arena, TL_CONST_CONCAT, parts[0]->dtype, parts[0]->rank, shape);
    if (!c)
        return NULL;
    c->u.concat.parts = copy;
    c->u.concat.begin = begin;
    c->u.concat.n = n;
    c->u.concat.axis = axis;
    return c;
}

/* The part that holds index `at` along the axis. */
static size_t find_part(const tl_const *c, int64_t at)
{
    size_t lo = 0, hi = c->u.concat.n - 1;
    while (lo < hi) {
        size_t middle = (lo + hi + 1) / 2;
        if (c->u.concat.begin[middle] <= at)
            lo = middle;
        else
            hi = middle - 1;
    }
    return lo;
}

tl_status tl_const_read_concat(tl_const_reader *r, const tl_const *c, int64_t first, int64_t n,
                               uint8_t *dst)
{
    int axis = c->u.concat.axis;
    int64_t inner = tl_shape_product(c->shape, axis + 1, c->rank), row = c->shape[axis] * inner;
    while (n > 0) {
        int64_t outer = first / row, in_row = first % row;
        size_t part = find_part(c, in_row / inner);
        int64_t begin = c->u.concat.begin[part] * inner, end = c->u.concat.begin[part + 1] * inner;
        int64_t run = TL_MIN(n, end - in_row);
        TRY(tl_const_read_wide(r, c->u.concat.parts[part], outer * (end - begin) + in_row - begin,
                               run, dst));
        first += run;
        n -= run;
        dst += (size_t)run * tl_const_wide_size(c->dtype);
    }
    return TL_OK;
}

/* ---- pad ---- */

tl_const *tl_const_pad(tl_arena *arena, const tl_const *x, const int64_t *lo, const int64_t *hi,
                       const void *element)
{
    int64_t shape[TL_MAX_RANK];
    bool padded = false;
    for (int i = 0; i < x->rank; i++) {
        TL_ASSERT(lo[i] >= 0 && hi[i] >= 0);
        shape[i] = lo[i] + x->shape[i] + hi[i];
        padded = padded || lo[i] || hi[i];
    }
    if (!padded)
        return tl_const_unchanged(x);
    tl_const *c = tl_const_new(arena, TL_CONST_PAD, x->dtype, x->rank, shape);
    if (!c)
        return NULL;
    c->x = x;
    c->u.pad.lo = tl_arena_copy(arena, lo, (size_t)x->rank * sizeof *lo);
    c->u.pad.hi = tl_arena_copy(arena, hi, (size_t)x->rank * sizeof *hi);
    size_t size = tl_const_wide_size(x->dtype);
    if (tl_dtype_bits(x->dtype) < 8)
        tl_const_unpack(x->dtype, element, 0, 1, (uint8_t *)&c->u.pad.element);
    else
        memcpy(&c->u.pad.element, element, size);
    return c->u.pad.lo && c->u.pad.hi ? c : NULL;
}

/* The number of row `outer` (an index over the axes before `axis`) among the rows of x; -1:
 * padding. */
static int64_t inner_row(const tl_const *c, int axis, int64_t outer)
{
    int64_t number = 0, step = 1;
    for (int i = axis; i-- > 0; step *= c->x->shape[i]) {
        int64_t at = outer % c->shape[i] - c->u.pad.lo[i];
        if (at < 0 || at >= c->x->shape[i])
            return -1;
        number += at * step;
        outer /= c->shape[i];
    }
    return number;
}

tl_status tl_const_read_pad(tl_const_reader *r, const tl_const *c, int64_t first, int64_t n,
                            uint8_t *dst)
{
    int axis = c->rank - 1;
    while (axis > 0 && c->u.pad.lo[axis] == 0 && c->u.pad.hi[axis] == 0)
        axis--;
    int64_t inner = tl_shape_product(c->shape, axis + 1, c->rank), row = c->shape[axis] * inner;
    int64_t begin = c->u.pad.lo[axis] * inner, length = c->x->shape[axis] * inner;
    size_t size = tl_const_wide_size(c->dtype);
    while (n > 0) {
        int64_t at = first % row, number = inner_row(c, axis, first / row), run;
        if (number >= 0 && at >= begin && at < begin + length) {
            run = TL_MIN(n, begin + length - at);
            TRY(tl_const_read_wide(r, c->x, number * length + at - begin, run, dst));
        } else {
            run = TL_MIN(n, (number >= 0 && at < begin ? begin : row) - at);
            tl_const_fill(dst, c->u.pad.element, size, run);
        }
        first += run;
        n -= run;
        dst += (size_t)run * size;
    }
    return TL_OK;
}
