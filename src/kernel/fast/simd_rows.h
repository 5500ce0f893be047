/* Loops over rows of floats. Included once per instruction set. */

/* ---- elementwise ---- */

#define LOOP(name)                                                                                 \
    FN void unary_##name(size_t n, const float *x, float *y, float pa, float pb)                   \
    {                                                                                              \
        vf a = v_set(pa), b = v_set(pb);                                                           \
        size_t i = 0;                                                                              \
        for (; i + VL <= n; i += VL)                                                               \
            v_store(y + i, u_##name(v_load(x + i), a, b));                                         \
        if (i < n)                                                                                 \
            v_store_part(y + i, (int)(n - i), u_##name(v_load_part(x + i, (int)(n - i)), a, b));   \
    }
TL_FAST_UNARY(LOOP)
#undef LOOP

FN void simd_unary(tl_fast_unary f, size_t n, const float *x, float *y, float a, float b)
{
    typedef void (*unary_fn)(size_t, const float *, float *, float, float);
#define ENTRY(name) unary_##name,
    static const unary_fn loops[] = {TL_FAST_UNARY(ENTRY)};
#undef ENTRY
    loops[f](n, x, y, a, b);
}

IN vf clamp_to(vf x, vf lo, vf hi)
{
    return v_min(hi, v_max(lo, x));
}

/* LX, LY: how the operands are loaded, from offset i on */
#define ONE_LOOP(name, LX, LY)                                                                     \
    for (; i + VL <= n; i += VL)                                                                   \
        v_store(out + i, clamp_to(b_##name(LX(x), LY(y)), lo, hi));
#define ALL(p)  v_load(p + i)
#define SAME(p) p##_one
#define LOOP(name)                                                                                 \
    FN void binary_##name(size_t n, const float *x, int x_step, const float *y, int y_step,        \
                          float *out, vf lo, vf hi)                                                \
    {                                                                                              \
        vf x_one = v_set(*x), y_one = v_set(*y);                                                   \
        size_t i = 0;                                                                              \
        if (x_step && y_step)                                                                      \
            ONE_LOOP(name, ALL, ALL)                                                               \
        else if (x_step)                                                                           \
            ONE_LOOP(name, ALL, SAME)                                                              \
        else                                                                                       \
            ONE_LOOP(name, SAME, ALL)                                                              \
        if (i < n) {                                                                               \
            int rest = (int)(n - i);                                                               \
            vf p = x_step ? v_load_part(x + i, rest) : x_one;                                      \
            vf q = y_step ? v_load_part(y + i, rest) : y_one;                                      \
            v_store_part(out + i, rest, clamp_to(b_##name(p, q), lo, hi));                         \
        }                                                                                          \
    }
TL_FAST_BINARY(LOOP)
#undef LOOP
#undef ONE_LOOP
#undef ALL
#undef SAME

FN void simd_binary(tl_fast_binary f, size_t n, const float *x, int x_step, const float *y, int y_step,
                    float *out, float lo, float hi)
{
    vf vlo = v_set(lo), vhi = v_set(hi);
    if (n == 0)
        return;
    switch (f) {
#define CASE(name)                                                                                 \
    case TL_FAST2_##name:                                                                          \
        binary_##name(n, x, x_step, y, y_step, out, vlo, vhi);                                     \
        break;
        TL_FAST_BINARY(CASE)
#undef CASE
    case TL_FAST_BINARY_COUNT:
        break;
    }
}

/* ---- folds ---- */

IN vf fold_two(tl_fast_fold f, vf all, vf x)
{
    switch (f) {
    case TL_FAST_FOLD_sum:
        return v_add(all, x);
    case TL_FAST_FOLD_max:
        return b_max(all, x);
    case TL_FAST_FOLD_min:
        return b_min(all, x);
    default:
        return v_max(x, all);
    }
}

/* Long sums by parts of PART rows, so that rounding grows with the root of their number alone. */
#define PART 256

IN vf fold_column(tl_fast_fold f, size_t n_rows, const float *const *rows, size_t i, int n)
{
    float start = f == TL_FAST_FOLD_sum ? 0 : f == TL_FAST_FOLD_min ? __builtin_inff() : -__builtin_inff();
    vf all = v_set(start);
    for (size_t first = 0; first < n_rows; first += PART) {
        vf part = v_set(start);
        for (size_t k = first; k < n_rows && k < first + PART; k++)
            part = fold_two(f, part, n == VL ? v_load(rows[k] + i) : v_load_part(rows[k] + i, n));
        all = fold_two(f, all, part);
    }
    return all;
}

#define FOLD_LOOP(f)                                                                               \
    for (; i + VL <= n; i += VL)                                                                   \
        v_store(y + i, clamp_to(v_mul(fold_column(f, n_rows, rows, i, VL), s), vlo, vhi));         \
    if (i < n)                                                                                     \
        v_store_part(y + i, (int)(n - i),                                                          \
                     clamp_to(v_mul(fold_column(f, n_rows, rows, i, (int)(n - i)), s), vlo, vhi));

FN void simd_fold_rows(tl_fast_fold f, size_t n_rows, const float *const *rows, size_t n, float *y,
                       float scale, float lo, float hi)
{
    vf s = v_set(scale), vlo = v_set(lo), vhi = v_set(hi);
    size_t i = 0;
    if (f == TL_FAST_FOLD_sum) {
        FOLD_LOOP(TL_FAST_FOLD_sum)
    } else if (f == TL_FAST_FOLD_max) {
        FOLD_LOOP(TL_FAST_FOLD_max)
    } else if (f == TL_FAST_FOLD_min) {
        FOLD_LOOP(TL_FAST_FOLD_min)
    } else {
        FOLD_LOOP(TL_FAST_FOLD_max_number)
    }
}
#undef FOLD_LOOP

/* The first n lanes, one after the other. */
FN float sum_first(vf v, int n)
{
    float lanes[VL], sum = 0;
    v_store(lanes, v);
    for (int i = 0; i < n; i++)
        sum += lanes[i];
    return sum;
}

/* Σ g(x) by parts, into total. */
#define SUM_OF(g)                                                                                  \
    float total = 0;                                                                               \
    for (size_t i = 0; i < n;) {                                                                   \
        size_t end = n - i < (size_t)PART * VL ? n : i + (size_t)PART * VL;                        \
        vf sum = v_set(0.0f);                                                                      \
        for (; i + VL <= end; i += VL)                                                             \
            sum = v_add(sum, g(v_load(x + i)));                                                    \
        total += v_sum(sum);                                                                       \
        if (i < end)                                                                               \
            total += sum_first(g(v_load_part(x + i, (int)(end - i))), (int)(end - i));             \
        i = end;                                                                                   \
    }
#define IDENTITY(v) (v)

FN float row_sum(size_t n, const float *x)
{
    SUM_OF(IDENTITY)
    return total;
}

IN float better(tl_fast_fold f, float x, float y)
{
    return x != x || (f == TL_FAST_FOLD_max ? x >= y : x <= y) ? x : y;
}

FN float row_fold(tl_fast_fold f, size_t n, const float *x)
{
    vf all = v_set(x[0]);
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        all = fold_two(f, all, v_load(x + i));
    float lanes[VL], best = x[0];
    v_store(lanes, all);
    for (int k = 0; k < VL; k++)
        best = better(f, best, lanes[k]);
    for (; i < n; i++)
        best = better(f, best, x[i]);
    return best;
}

FN float simd_fold(tl_fast_fold f, size_t n, const float *x)
{
    return f == TL_FAST_FOLD_sum ? row_sum(n, x) : row_fold(f, n, x);
}

/* ---- normalisation of a row ---- */

FN float row_max(size_t n, const float *x)
{
    return row_fold(TL_FAST_FOLD_max, n, x);
}

FN void simd_softmax(size_t n, const float *x, float *y, float beta)
{
    vf b = v_set(beta), top, sum = v_set(0.0f);
    if (n == 0)
        return;
    top = v_set(beta < 0 ? row_fold(TL_FAST_FOLD_min, n, x) : row_max(n, x));
    float total = 0;
    for (size_t i = 0; i < n; i += VL) {
        int m = n - i < VL ? (int)(n - i) : VL;
        vf e = v_exp(v_mul(b, v_sub(m == VL ? v_load(x + i) : v_load_part(x + i, m), top)));
        v_store_part(y + i, m, e);
        if (m == VL)
            sum = v_add(sum, e);
        else
            total += sum_first(e, m);
        if ((i / VL + 1) % PART == 0) {
            total += v_sum(sum);
            sum = v_set(0.0f);
        }
    }
    total += v_sum(sum);
    simd_unary(TL_FAST_scale, n, y, y, 1.0f / total, 0);
}

FN void simd_log_softmax(size_t n, const float *x, float *y)
{
    if (n == 0)
        return;
    float top = row_max(n, x);
    vf t = v_set(top);
#define POWER(v) v_exp(v_sub(v, t))
    SUM_OF(POWER)
#undef POWER
    vf log_total = v_log(v_set(total));
    for (size_t i = 0; i < n; i += VL) {
        int m = n - i < VL ? (int)(n - i) : VL;
        v_store_part(y + i, m, v_sub(v_sub(v_load_part(x + i, m), t), log_total));
    }
}

FN void simd_layer_norm(size_t n, const float *x, const float *scale, const float *bias, float eps,
                        bool rms, float *y)
{
    float mean = rms || n == 0 ? 0.0f : row_sum(n, x) / (float)n;
    vf m = v_set(mean);
#define DEVIATION(v) v_mul(v_sub(v, m), v_sub(v, m))
    SUM_OF(DEVIATION)
#undef DEVIATION
    vf factor = v_div(v_set(1.0f), v_sqrt(v_set(total / (float)n + eps)));
    for (size_t i = 0; i < n; i += VL) {
        int k = n - i < VL ? (int)(n - i) : VL;
        vf v = v_mul(v_sub(k == VL ? v_load(x + i) : v_load_part(x + i, k), m), factor);
        if (scale)
            v = v_mul(v, v_load_part(scale + i, k));
        if (bias)
            v = v_add(v, v_load_part(bias + i, k));
        v_store_part(y + i, k, v);
    }
}
#undef SUM_OF
#undef IDENTITY
#undef PART

/* ---- sampling, movement ---- */

FN void simd_weigh_rows(size_t n_rows, const float *const *rows, const float *weights, size_t n, float *y)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL) {
        vf sum = v_set(0.0f);
        for (size_t k = 0; k < n_rows; k++)
            sum = v_fma(v_set(weights[k]), v_load(rows[k] + i), sum);
        v_store(y + i, sum);
    }
    if (i < n) {
        int rest = (int)(n - i);
        vf sum = v_set(0.0f);
        for (size_t k = 0; k < n_rows; k++)
            sum = v_fma(v_set(weights[k]), v_load_part(rows[k] + i, rest), sum);
        v_store_part(y + i, rest, sum);
    }
}

/* Blocks that fit the first cache, so that neither side is walked with long strides for long. */
FN void simd_transpose(size_t rows, size_t cols, const float *x, size_t x_stride, float *y, size_t y_stride)
{
    enum { BLOCK = 16 };
    for (size_t r = 0; r < rows; r += BLOCK)
        for (size_t c = 0; c < cols; c += BLOCK) {
            size_t r_end = TL_MIN(r + BLOCK, rows), c_end = TL_MIN(c + BLOCK, cols);
            for (size_t j = c; j < c_end; j++)
                for (size_t i = r; i < r_end; i++)
                    y[j * y_stride + i] = x[i * x_stride + j];
        }
}
