/* Counting floats, for instruction sets without better means. */
#ifndef TL_KERNEL_FAST_PLAIN_TALLY_H
#define TL_KERNEL_FAST_PLAIN_TALLY_H

FN int64_t simd_find_bins(const tl_fast_bins *bins, size_t n, const float *x, uint32_t *at,
                          tl_fast_extent *extent)
{
    float lo = x[0], hi = x[0];
    uint32_t least = UINT32_MAX, most = 0;
    int64_t found = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        uint32_t size = bits & 0x7fffffff, over = size - bins->first;
        at[found] = 1 + TL_MIN(over >> bins->shift, bins->side - 1) + (bits >> 31) * bins->side;
        found += size >= bins->first;
        least = TL_MIN(least, size - 1); /* 0 becomes the largest number */
        most = TL_MAX(most, size);
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    *extent = (tl_fast_extent){lo, hi, least + 1};
    return most < 0x7f800000 ? found : -1;
}

FN void simd_add_units(size_t n, const float *x, float per_unit, int64_t *sum)
{
    for (size_t i = 0; i < n; i++)
        sum[i] += (int64_t)(x[i] * per_unit);
}

#endif
