/* The agreement rule over two tensors. */
#include "verify/compare.h"

#include "base/math.h"

#define DEFAULT_RELATIVE 1e-4
#define DEFAULT_COSINE   0.99999

/* Sums over one pass of both tensors. */
typedef struct pair_sums {
    double aa, bb, ab, error; /* Σ a², Σ b², Σ a b, Σ (a - b)² */
    bool special;             /* NaN against a number, or unequal infinities */
    bool outside;             /* some |a - b| > atol + rtol |b| */
} pair_sums;

static void compare_one(tl_comparison *c, pair_sums *s, const tl_tolerance *t, int64_t i, double a,
                        double b)
{
    if (a == b || (a != a && b != b)) {
        if (b - b == 0) {
            s->aa += a * a;
            s->bb += b * b;
            s->ab += a * b;
            c->max_ref = TL_MAX(c->max_ref, b < 0 ? -b : b);
        }
        return;
    }
    c->n_different++;
    if (a - a != 0 || b - b != 0) { /* one is NaN or infinite */
        s->special = true;
        if (c->worst < 0)
            c->worst = i;
        return;
    }
    double error = a < b ? b - a : a - b, magnitude = b < 0 ? -b : b;
    if (error > c->max_abs) {
        c->max_abs = error;
        c->worst = i;
    }
    c->max_ref = TL_MAX(c->max_ref, magnitude);
    s->outside |= error > t->atol + t->rtol * magnitude;
    s->aa += a * a;
    s->bb += b * b;
    s->ab += a * b;
    s->error += error * error;
}

static bool same_shape(const tl_tensor *a, const tl_tensor *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->shape[i] != b->shape[i])
            return false;
    return true;
}

static bool float_pairs_agree(const tl_comparison *c, const pair_sums *s, const tl_tolerance *t)
{
    if (s->special)
        return false;
    if (t->atol > 0 || t->rtol > 0)
        return !s->outside;
    if (t->min_sqnr > 0)
        return c->sqnr >= t->min_sqnr;
    double relative = t->relative > 0 ? t->relative : DEFAULT_RELATIVE;
    double cosine = t->cosine > 0 ? t->cosine : DEFAULT_COSINE;
    return c->max_abs <= relative * TL_MAX(1.0, c->max_ref) && c->cosine >= cosine;
}

tl_comparison tl_compare(const tl_tensor *result, const tl_tensor *reference,
                         const tl_tolerance *tolerance)
{
    static const tl_tolerance rule = {0};
    const tl_tolerance *t = tolerance ? tolerance : &rule;
    tl_comparison c = {.same_shape = same_shape(result, reference),
                       .same_dtype = result->dtype == reference->dtype,
                       .worst = -1,
                       .cosine = 1,
                       .sqnr = (double)INFINITY};
    if (!c.same_shape || !c.same_dtype)
        return c;
    c.n = tl_tensor_count(reference);
    pair_sums sums = {0};
    if (reference->dtype == TL_F32) {
        const float *a = result->data, *b = reference->data;
        for (int64_t i = 0; i < c.n; i++)
            compare_one(&c, &sums, t, i, (double)a[i], (double)b[i]);
    } else if (!tl_dtype_is_float(reference->dtype)) {
        for (int64_t i = 0; i < c.n; i++) {
            int64_t a = tl_tensor_get_i64(result, i), b = tl_tensor_get_i64(reference, i);
            /* 64-bit values that a double does not tell apart still differ */
            c.n_different += a != b && (double)a == (double)b;
            compare_one(&c, &sums, t, i, (double)a, (double)b);
        }
    } else {
        for (int64_t i = 0; i < c.n; i++)
            compare_one(&c, &sums, t, i, tl_tensor_get_f64(result, i),
                        tl_tensor_get_f64(reference, i));
    }
    c.relative = c.max_abs / TL_MAX(1.0, c.max_ref);
    if (sums.aa > 0 && sums.bb > 0)
        c.cosine = sums.ab / (tl_sqrt(sums.aa) * tl_sqrt(sums.bb));
    else if (sums.aa > 0 || sums.bb > 0)
        c.cosine = c.max_abs <= DEFAULT_RELATIVE
                       ? 1
                       : 0; /* one side is all zero: no direction to compare */
    if (sums.error > 0)
        c.sqnr = 10 * tl_log(sums.bb / sums.error) / tl_log(10);
    c.agree =
        tl_dtype_is_float(reference->dtype) ? float_pairs_agree(&c, &sums, t) : c.n_different == 0;
    return c;
}
