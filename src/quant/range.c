/* From statistics to the range that a number of steps covers. */
#include "quant/stats.h"

#include "base/math.h"

#include <string.h>

bool tl_range_method_find(const char *name, tl_range_method *out)
{
    static const char *const names[] = {"min-max", "percentile", "mse", "entropy"};
    for (size_t i = 0; i < TL_COUNT(names); i++)
        if (!strcmp(name, names[i])) {
            *out = (tl_range_method)i;
            return true;
        }
    return false;
}

/* ---- bins ---- */

static double power_of_two(int n)
{
    return n < 0 ? 1 / (double)(UINT64_C(1) << -n) : (double)(UINT64_C(1) << n);
}

/* Middle and end of a bin's numbers; 0 for bin 0. */
static double bin_at(int bin, double part)
{
    if (bin == 0)
        return 0;
    int k = (bin - 1) % TL_STATS_SIDE;
    int octave = k / TL_STATS_PARTS - TL_STATS_OCTAVES / 2;
    double size = power_of_two(octave) * (1 + (k % TL_STATS_PARTS + part) / TL_STATS_PARTS);
    return bin > TL_STATS_SIDE ? -size : size;
}

/* The least number of which at most a part of all finite ones is larger (sign 1), or smaller (-1). */
static double quantile(const tl_value_stats *s, double part, int sign)
{
    double finite = (double)(s->n - s->nans - s->infinities[0] - s->infinities[1]), beyond = 0;
    int first = sign > 0 ? 1 : 1 + TL_STATS_SIDE;
    for (int k = TL_STATS_SIDE - 1; k >= 0; k--) {
        beyond += (double)s->bins[first + k];
        if (beyond > finite * part)
            return bin_at(first + k, 1);
    }
    return 0;
}

#define TL_STATS_BINS_PER_STEP 512 /* longer runs are cut, which changes little */

/* ---- marks ---- */

#define GAP      (6 * TL_STATS_PARTS) /* bins without a number between marks and all others: 6 octaves */
#define CLUSTER  3    /* bins that marks stand in: they are one number, plus what it was added to */
#define HEADROOM 12.0 /* a softmax makes nothing (e^-12) of what is so far below the others */
#define MOST     1e30

static uint64_t count_size(const tl_value_stats *s, int k)
{
    return s->bins[1 + k] + s->bins[1 + TL_STATS_SIDE + k];
}

/* The largest numbers are marks of a mask (-10000, -1e9) when they stand close together, far from others that are a
 * part of all worth speaking of. *others: the bin of the largest of these. */
static bool find_marks(const tl_value_stats *s, int *others)
{
    uint64_t below = 0, all = 0;
    int top = TL_STATS_SIDE - 1, end;
    while (top >= 0 && !count_size(s, top))
        top--;
    for (end = top; end >= 0 && count_size(s, end); end--)
        ;
    *others = end;
    while (*others >= 0 && !count_size(s, *others))
        --*others;
    for (int k = 0; k < TL_STATS_SIDE; k++) {
        all += count_size(s, k);
        below += k <= *others ? count_size(s, k) : 0;
    }
    return *others >= 0 && top - end <= CLUSTER && end - *others >= GAP && below >= all / 16;
}

bool tl_stats_has_marks(const tl_value_stats *s)
{
    int others;
    return s && s->bins && find_marks(s, &others);
}

/* Without marks, which saturate, but have room below the others. */
static void cut_marks(const tl_value_stats *s, double *lo, double *hi)
{
    int others;
    double most = MOST;
    *lo = TL_MIN((double)s->min, 0.0);
    *hi = TL_MAX((double)s->max, 0.0);
    if (find_marks(s, &others))
        most = TL_MAX(4 * bin_at(1 + others, 1), HEADROOM);
    *lo = TL_MAX(*lo, -most);
    *hi = TL_MIN(*hi, most);
}

/* ---- errors of a range ---- */

/* Σ count (x - held)² over the bins: a twelfth of a step squared inside, the distance outside. */
static double squared_error(const tl_value_stats *s, double lo, double hi, int levels)
{
    double step = (hi - lo) / levels, error = 0;
    for (int i = 0; i < TL_STATS_BINS; i++) {
        if (!s->bins[i])
            continue;
        double x = bin_at(i, 0.5), off = x < lo ? lo - x : x > hi ? x - hi : 0;
        error += (double)s->bins[i] * (off * off + (i ? step * step / 12 : 0));
    }
    return error;
}

/* Bin number i in the order of their numbers. */
static int nth_bin(int i)
{
    return i < TL_STATS_SIDE ? TL_STATS_BINS - 1 - i : i - TL_STATS_SIDE;
}

/* Kullback and Leibler's divergence of the counts from those that the steps hold: what lies outside counts at the
 * ends; the bins of one step share its count by their widths. Zeros are held exactly, whatever the range is. */
static double divergence(const tl_value_stats *s, double lo, double hi, int levels)
{
    double step = (hi - lo) / levels, total = 0, apart = 0;
    for (int i = 0; i < TL_STATS_BINS;) {
        double level = -1, own[TL_STATS_BINS_PER_STEP], width[TL_STATS_BINS_PER_STEP];
        double sum = 0, cut = 0, span = 0;
        int n = 0;
        for (; i < TL_STATS_BINS && n < TL_STATS_BINS_PER_STEP; i++) {
            double count = (double)s->bins[nth_bin(i)], x = bin_at(nth_bin(i), 0.5);
            double at = tl_round_even((TL_MAX(TL_MIN(x, hi), lo) - lo) / step);
            if (count <= 0 || nth_bin(i) == 0)
                continue;
            if (n && at != level)
                break;
            level = at;
            width[n] = bin_at(nth_bin(i), 1) - bin_at(nth_bin(i), 0);
            width[n] = width[n] < 0 ? -width[n] : width[n];
            span += width[n];
            own[n++] = count;
            sum += count;
            cut += x < lo || x > hi ? count : 0;
        }
        total += sum;
        for (int k = 0; k < n; k++) /* what is cut is not held: the step holds the rest */
            apart += own[k] * tl_log(own[k] / (TL_MAX(sum - cut, sum * 1e-6) * width[k] / span));
    }
    return total > 0 ? apart / total : 0;
}

/* Shrinks both ends to where the error is least. */
static void search(const tl_value_stats *s, tl_range_method method, int levels, double *lo,
                   double *hi)
{
    double best_lo = *lo, best_hi = *hi, least = (double)INFINITY;
    for (int i = 0; i < 48; i++) {
        double part = power_of_two(-(i / 8)) * (1 - (i % 8) / 16.0);
        double size = TL_MAX(-*lo, *hi) * part;
        double a = TL_MAX(*lo, -size), b = TL_MIN(*hi, size);
        double error =
            method == TL_RANGE_MSE ? squared_error(s, a, b, levels) : divergence(s, a, b, levels);
        if (error < least) {
            least = error;
            best_lo = a;
            best_hi = b;
        }
    }
    *lo = best_lo;
    *hi = best_hi;
}

bool tl_stats_range(const tl_value_stats *s, tl_range_method method, int levels, double *lo,
                    double *hi)
{
    if (!s || !s->bins || s->n == s->nans + s->infinities[0] + s->infinities[1])
        return false;
    cut_marks(s, lo, hi);
    if (*hi - *lo <= 0)
        return true;
    if (method == TL_RANGE_PERCENTILE) {
        *lo = TL_MAX(*lo, quantile(s, 1e-4, -1));
        *hi = TL_MIN(*hi, quantile(s, 1e-4, 1));
    } else if (method != TL_RANGE_MIN_MAX) {
        search(s, method, levels, lo, hi);
    }
    return true;
}
