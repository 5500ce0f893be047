/* Constants computed element by element: cast, multiply-add along an axis, quantise. The operand is
 * read in large pieces, because below may be a view that is expensive to read in small ones: into
 * the place of the result where its elements are no wider, else into scratch memory. */
#include "base/half.h"
#include "ir/constant_private.h"

/* ---- making ---- */

static tl_const *new_map(tl_arena *arena, tl_const_kind kind, const tl_const *x, tl_dtype dtype)
{
    tl_const *c = tl_const_new(arena, kind, dtype, x->rank, x->shape);
    if (c)
        c->x = x;
    return c;
}

/* An element in storage form as one of another type. */
static uint64_t cast_element(tl_dtype from, uint64_t element, tl_dtype to)
{
    uint64_t wide = 0, out = 0, packed = 0;
    if (tl_dtype_bits(from) < 8)
        tl_const_unpack(from, (const uint8_t *)&element, 0, 1, (uint8_t *)&wide);
    else
        wide = element;
    tl_const_convert(from, &wide, to, &out, 1);
    if (tl_dtype_bits(to) >= 8)
        return out;
    tl_const_pack(to, (const uint8_t *)&out, 1, (uint8_t *)&packed);
    return packed;
}

tl_const *tl_const_cast(tl_arena *arena, const tl_const *x, tl_dtype dtype)
{
    if (x->dtype == dtype)
        return tl_const_unchanged(x);
    if (x->kind == TL_CONST_SPLAT) {
        uint64_t element = cast_element(x->dtype, x->u.element, dtype);
        return tl_const_splat(arena, dtype, x->rank, x->shape, &element);
    }
    return new_map(arena, TL_CONST_CAST, x, dtype);
}

/* (x m1 + a1) m2 + a2 = x (m1 m2) + (a1 m2 + a2); NULL stands for all 1 or all 0. */
static bool fuse_muladd(tl_arena *arena, const tl_const *first, int64_t n, const double **mul,
                        const double **add)
{
    const double *m1 = first->u.muladd.mul, *a1 = first->u.muladd.add, *m2 = *mul, *a2 = *add;
    double *m = TL_NEW_ARRAY(arena, double, n), *a = TL_NEW_ARRAY(arena, double, n);
    for (int64_t i = 0; m && a && i < n; i++) {
        m[i] = (m1 ? m1[i] : 1) * (m2 ? m2[i] : 1);
        a[i] = (a1 ? a1[i] : 0) * (m2 ? m2[i] : 1) + (a2 ? a2[i] : 0);
    }
    *mul = m1 || m2 ? m : NULL;
    *add = a1 || a2 ? a : NULL;
    return m && a;
}

tl_const *tl_const_muladd(tl_arena *arena, const tl_const *x, int axis, const double *mul,
                          const double *add)
{
    TL_ASSERT(tl_dtype_is_float(x->dtype) && axis >= 0 && axis < x->rank);
    int64_t n = x->shape[axis];
    if (!mul && !add)
        return tl_const_unchanged(x);
    bool fused = x->kind == TL_CONST_MULADD && x->u.muladd.axis == axis;
    if (fused && !fuse_muladd(arena, x, n, &mul, &add))
        return NULL;
    tl_const *c = new_map(arena, TL_CONST_MULADD, fused ? x->x : x, x->dtype);
    if (!c)
        return NULL;
    size_t size = (size_t)n * sizeof *mul;
    c->u.muladd.axis = axis;
    c->u.muladd.mul = mul ? tl_arena_copy(arena, mul, size) : NULL;
    c->u.muladd.add = add ? tl_arena_copy(arena, add, size) : NULL;
    return (mul && !c->u.muladd.mul) || (add && !c->u.muladd.add) ? NULL : c;
}

tl_const *tl_const_quantize(tl_arena *arena, const tl_const *x, tl_dtype dtype,
                            const tl_quant *quant)
{
    tl_const *c = new_map(arena, TL_CONST_QUANTIZE, x, dtype);
    if (!c)
        return NULL;
    c->u.quant = tl_quant_copy(arena, quant);
    return c->u.quant ? c : NULL;
}

/* ---- cast ---- */

#define BLOCK 512

/* One block; dst does not overlap src. Integers pass through i64, so that all their bits count. */
static void convert_block(tl_dtype from, const void *src, tl_dtype to, void *dst, int64_t n)
{
    tl_dtype wide_from = tl_const_wide(from), wide_to = tl_const_wide(to);
    bool whole = !tl_dtype_is_float(from) && !(from == TL_U64 && tl_dtype_is_float(to));
    bool narrow = tl_dtype_bits(to) < 8;
    int64_t lo, hi;
    if (narrow)
        tl_dtype_range(to, &lo, &hi);
    for (int64_t i = 0; i < n; i++) {
        if (whole || !tl_dtype_is_float(to)) {
            int64_t x = tl_dtype_get_i64(wide_from, src, i);
            if (to == TL_BOOL && !whole)
                x = tl_dtype_get_f64(wide_from, src, i) != 0;
            tl_dtype_set_i64(wide_to, dst, i, narrow ? TL_MAX(lo, TL_MIN(hi, x)) : x);
        } else {
            tl_dtype_set_f64(wide_to, dst, i, tl_dtype_get_f64(wide_from, src, i));
        }
    }
}

#define CONVERT_LOOP(name, T, U, expression)                \
    static void name(const void *src, void *dst, int64_t n) \
    {                                                       \
        const T *in = src;                                  \
        U *out = dst;                                       \
        for (int64_t i = 0; i < n; i++) {                   \
            T x = in[i];                                    \
            out[i] = (expression);                          \
        }                                                   \
    }
CONVERT_LOOP(f16_as_f32, uint16_t, float, tl_f16_to_f32(x))
CONVERT_LOOP(bf16_as_f32, uint16_t, float, tl_bf16_to_f32(x))
CONVERT_LOOP(f32_as_f16, float, uint16_t, tl_f32_to_f16(x))
CONVERT_LOOP(f32_as_bf16, float, uint16_t, tl_f32_to_bf16(x))
CONVERT_LOOP(f64_as_f32, double, float, (float)x)
CONVERT_LOOP(i8_as_f32, int8_t, float, (float)x)
CONVERT_LOOP(u8_as_f32, uint8_t, float, (float)x)

/* Pairs that large constants are made of. */
static const struct {
    tl_dtype from, to;
    void (*convert)(const void *src, void *dst, int64_t n);
} fast_pairs[] = {
    {TL_F16, TL_F32, f16_as_f32},   {TL_BF16, TL_F32, bf16_as_f32}, {TL_F32, TL_F16, f32_as_f16},
    {TL_F32, TL_BF16, f32_as_bf16}, {TL_F64, TL_F32, f64_as_f32},   {TL_I8, TL_F32, i8_as_f32},
    {TL_U8, TL_F32, u8_as_f32},
};

void tl_const_convert(tl_dtype from, const void *src, tl_dtype to, void *dst, int64_t n)
{
    void (*fast)(const void *, void *, int64_t) = NULL;
    for (size_t i = 0; i < TL_COUNT(fast_pairs); i++)
        if (fast_pairs[i].from == from && fast_pairs[i].to == to)
            fast = fast_pairs[i].convert;
    size_t from_size = tl_const_wide_size(from), to_size = tl_const_wide_size(to);
    uint64_t block[BLOCK];
    for (int64_t at = 0; at < n; at += BLOCK) {
        int64_t run = TL_MIN(n - at, BLOCK);
        memcpy(block, (const uint8_t *)src + (size_t)at * from_size, (size_t)run * from_size);
        void *out = (uint8_t *)dst + (size_t)at * to_size;
        if (fast)
            fast(block, out, run);
        else
            convert_block(from, block, to, out, run);
    }
}

/* ---- multiply-add ---- */

/* Where elements lie along the axis of their factors. */
typedef struct along_axis {
    int64_t inner, size; /* elements per step, steps */
} along_axis;

static along_axis along(const tl_const *c, int axis)
{
    if (axis < 0)
        return (along_axis){INT64_MAX, 1};
    return (along_axis){tl_shape_product(c->shape, axis + 1, c->rank), c->shape[axis]};
}

/* Elements from `first` that share a factor, at most n; *k: its number. */
static int64_t run_of(along_axis a, int64_t first, int64_t n, int64_t *k)
{
    *k = first / a.inner % a.size;
    return TL_MIN(n, a.inner - first % a.inner);
}

static double muladd_one(double x, double mul, double add)
{
    return x * mul + add;
}

static void muladd_f32(float *x, int64_t n, double mul, double add)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)muladd_one((double)x[i], mul, add);
}

/* One factor per element. */
static void muladd_f32_each(float *x, int64_t n, const double *mul, const double *add)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)muladd_one((double)x[i], mul ? mul[i] : 1, add ? add[i] : 0);
}

static void muladd_any(tl_dtype dtype, uint8_t *x, int64_t n, double mul, double add)
{
    for (int64_t i = 0; i < n; i++)
        tl_dtype_set_f64(dtype, x, i, muladd_one(tl_dtype_get_f64(dtype, x, i), mul, add));
}

static void apply_muladd(const tl_const *c, int64_t first, int64_t n, uint8_t *dst)
{
    const double *mul = c->u.muladd.mul, *add = c->u.muladd.add;
    along_axis a = along(c, c->u.muladd.axis);
    size_t size = tl_const_wide_size(c->dtype);
    while (n > 0) {
        int64_t k, run = run_of(a, first, n, &k);
        if (a.inner == 1 && c->dtype == TL_F32) {
            run = TL_MIN(n, a.size - k);
            muladd_f32_each((float *)(void *)dst, run, mul ? mul + k : NULL, add ? add + k : NULL);
        } else {
            double m = mul ? mul[k] : 1, b = add ? add[k] : 0;
            if (c->dtype == TL_F32)
                muladd_f32((float *)(void *)dst, run, m, b);
            else
                muladd_any(c->dtype, dst, run, m, b);
        }
        first += run;
        n -= run;
        dst += (size_t)run * size;
    }
}

/* ---- quantise ---- */

/* The scale of element i where every `block` elements along the axis share one. */
static int64_t scale_number(const tl_const *c, along_axis a, int64_t i)
{
    int64_t block = c->u.quant->block, n_blocks = (a.size + block - 1) / block;
    int64_t at = i / a.inner % a.size, outer = i / a.inner / a.size;
    return (outer * n_blocks + at / block) * a.inner + i % a.inner;
}

/* Nearest integer, ties to even, |x| < 2^51: adding 1.5 2^52 leaves no bits for a fraction. */
static double round_small(double x)
{
    return (x + 0x1.8p52) - 0x1.8p52;
}

typedef struct quantizer {
    double scale, zero, lo, hi; /* lo, hi: of the type */
    bool wide;                  /* of f64: the ratio is not rounded to float */
} quantizer;

static void set_scale(quantizer *q, const tl_quant *quant, int64_t k)
{
    q->scale = (double)quant->scale[k];
    q->zero = (double)quant->zero[k];
}

/* Bounds come before rounding: they are integers, so it does not leave them; NaN becomes the lower.
 */
static double quantize_one(const quantizer *q, double x)
{
    double ratio = x / q->scale;
    ratio = q->wide ? ratio : (double)(float)ratio;
    ratio = TL_MIN(TL_MAX(ratio, q->lo - q->zero), q->hi - q->zero);
    return round_small(ratio) + q->zero;
}

static void quantize_run(const quantizer *q, tl_dtype from, const uint8_t *x, tl_dtype to,
                         int64_t n, uint8_t *dst)
{
    if (from == TL_F32 && to == TL_I8) {
        const float *in = (const float *)(const void *)x;
        int8_t *out = (int8_t *)dst;
        for (int64_t i = 0; i < n; i++)
            out[i] = (int8_t)quantize_one(q, (double)in[i]);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        tl_dtype_set_f64(to, dst, i, quantize_one(q, tl_dtype_get_f64(from, x, i)));
}

static void apply_quantize(const tl_const *c, int64_t first, int64_t n, const uint8_t *x,
                           uint8_t *dst)
{
    const tl_quant *quant = c->u.quant;
    bool blocks = quant->block != 0 && quant->n > 1;
    along_axis a = along(c, quant->n == 1 ? -1 : quant->axis);
    tl_dtype from = c->x->dtype, to = tl_const_wide(c->dtype);
    int64_t x_size = (int64_t)tl_const_wide_size(from), size = (int64_t)tl_const_wide_size(to), k,
            lo, hi;
    tl_dtype_range(c->dtype, &lo, &hi);
    quantizer q = {.lo = (double)lo, .hi = (double)hi, .wide = from == TL_F64};
    for (int64_t at = 0; at < n;) {
        int64_t run = run_of(a, first + at, n - at, &k);
        if (blocks || a.inner > 1) {
            run = blocks ? 1 : run;
            set_scale(&q, quant, blocks ? scale_number(c, a, first + at) : k);
            quantize_run(&q, from, x + at * x_size, to, run, dst + at * size);
        } else { /* a scale per element */
            run = TL_MIN(n - at, a.size - k);
            for (int64_t i = 0; i < run; i++) {
                set_scale(&q, quant, k + i);
                quantize_run(&q, from, x + (at + i) * x_size, to, 1, dst + (at + i) * size);
            }
        }
        at += run;
    }
}

/* ---- reading ---- */

static void apply_map(const tl_const *c, int64_t first, int64_t n, const uint8_t *x, uint8_t *dst)
{
    if (c->kind == TL_CONST_CAST)
        tl_const_convert(c->x->dtype, x, c->dtype, dst, n);
    else if (c->kind == TL_CONST_MULADD)
        apply_muladd(c, first, n, dst);
    else
        apply_quantize(c, first, n, x, dst);
}

tl_status tl_const_read_map(tl_const_reader *r, const tl_const *c, int64_t first, int64_t n,
                            uint8_t *dst)
{
    size_t from = tl_const_wide_size(c->x->dtype), to = tl_const_wide_size(c->dtype);
    if (c->kind == TL_CONST_MULADD || (c->kind == TL_CONST_CAST && from <= to)) {
        uint8_t *x = dst + (size_t)n * (to - from); /* where it ends with the result */
        TRY(tl_const_read_wide(r, c->x, first, n, x));
        apply_map(c, first, n, x, dst);
        return TL_OK;
    }
    int64_t chunk = TL_MIN(n, (int64_t)(TL_CONST_BATCH / from));
    tl_arena_mark mark = tl_arena_get_mark(r->scratch);
    uint8_t *x = tl_arena_push_raw(r->scratch, (size_t)chunk, from);
    tl_status status = x ? TL_OK : tl_context_status(r->cx);
    for (int64_t at = 0; status == TL_OK && at < n; at += chunk) {
        int64_t run = TL_MIN(chunk, n - at);
        status = tl_const_read_wide(r, c->x, first + at, run, x);
        if (status == TL_OK)
            apply_map(c, first + at, run, x, dst + (size_t)at * to);
    }
    tl_arena_rewind(r->scratch, mark);
    return status;
}
