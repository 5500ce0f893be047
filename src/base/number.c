/* Numbers to text and back, exactly and without locale. Everything hard is done on decimal numbers
 * of many digits that can be doubled and halved: slow next to the tables of Ryu or Eisel-Lemire,
 * but short and evidently right. The fast path of reading covers what people write. */
#include "base/str.h"

/* 767 digits tell any double and any midpoint of two doubles; what lies beyond only has to be known
 * to be there. */
#define MAX_DIGITS 800
#define MAX_SHIFT  27 /* (9 << 27) * 10 and its carries fit 64 bits easily */

/* 0.d0 d1 d2 ... * 10^point; d0 is not 0 unless the number is (n == 0). */
typedef struct decimal {
    int n, point;
    bool more; /* non-zero digits were cut off */
    uint8_t d[MAX_DIGITS];
} decimal;

static void trim(decimal *a)
{
    while (a->n > 0 && !a->d[a->n - 1])
        a->n--;
    if (!a->n)
        a->point = 0;
}

static void append_digit(decimal *a, uint8_t digit)
{
    if (a->n < MAX_DIGITS)
        a->d[a->n++] = digit;
    else if (digit)
        a->more = true;
}

/* a * 2^k, k <= MAX_SHIFT */
static void multiply_pow2(decimal *a, int k)
{
    uint64_t carry = 0;
    for (int i = a->n - 1; i >= 0; i--) {
        carry += (uint64_t)a->d[i] << k;
        a->d[i] = (uint8_t)(carry % 10);
        carry /= 10;
    }
    uint8_t head[20];
    int n_head = 0;
    for (; carry; carry /= 10)
        head[n_head++] = (uint8_t)(carry % 10);
    int keep = TL_MIN(a->n, MAX_DIGITS - n_head);
    for (int i = keep; i < a->n; i++)
        a->more |= a->d[i] != 0;
    memmove(a->d + n_head, a->d, (size_t)keep);
    for (int i = 0; i < n_head; i++)
        a->d[i] = head[n_head - 1 - i];
    a->n = keep + n_head;
    a->point += n_head;
    trim(a);
}

/* a / 2^k, k <= MAX_SHIFT */
static void divide_pow2(decimal *a, int k)
{
    decimal q = {.more = a->more};
    uint64_t rest = 0, mask = ((uint64_t)1 << k) - 1;
    for (int i = 0; i < a->n || rest; i++) {
        rest = rest * 10 + (i < a->n ? a->d[i] : 0);
        uint8_t digit = (uint8_t)(rest >> k);
        rest &= mask;
        if (!q.n && digit)
            q.point = a->point - i;
        if (q.n || digit)
            append_digit(&q, digit);
    }
    trim(&q);
    *a = q;
}

/* a * 2^k for any k */
static void shift(decimal *a, int k)
{
    while (k) {
        int step = TL_MAX(-MAX_SHIFT, TL_MIN(MAX_SHIFT, k));
        if (step > 0)
            multiply_pow2(a, step);
        else
            divide_pow2(a, -step);
        k -= step;
    }
}

static decimal decimal_from(uint64_t x)
{
    decimal a = {0};
    uint8_t reversed[20];
    int n = 0;
    for (; x; x /= 10)
        reversed[n++] = (uint8_t)(x % 10);
    for (int i = 0; i < n; i++)
        a.d[i] = reversed[n - 1 - i];
    a.n = a.point = n;
    trim(&a);
    return a;
}

static int decimal_compare(const decimal *a, const decimal *b)
{
    if (!a->n || !b->n)
        return (a->n > 0) - (b->n > 0);
    if (a->point != b->point)
        return a->point < b->point ? -1 : 1;
    int order = memcmp(a->d, b->d, (size_t)TL_MIN(a->n, b->n));
    return order ? order : (a->n > b->n) - (a->n < b->n);
}

/* Keeps p >= 0 digits, cut off or raised by one in the last. */
static void keep_digits(decimal *a, int p, bool raise)
{
    if (p >= a->n)
        return;
    a->n = p;
    a->more = false;
    while (raise && a->n > 0 && a->d[a->n - 1] == 9)
        a->n--;
    if (raise && a->n > 0) {
        a->d[a->n - 1]++;
    } else if (raise) {
        a->d[0] = 1;
        a->n = 1;
        a->point++;
    }
    trim(a);
}

/* Whether rounding to p digits, half to even, raises the last one. */
static bool rounds_up(const decimal *a, int p)
{
    if (p < 0 || p >= a->n)
        return false;
    if (a->d[p] != 5 || p + 1 < a->n || a->more)
        return a->d[p] >= 5;
    return p > 0 && (a->d[p - 1] & 1);
}

/* a < 10^19 rounded half to even. */
static uint64_t decimal_round(const decimal *a)
{
    uint64_t x = 0;
    for (int i = 0; i < a->point; i++)
        x = x * 10 + (i < a->n ? a->d[i] : 0);
    return x + rounds_up(a, a->point);
}

/* ---- reading ---- */

bool tl_str_to_i64(tl_str s, int64_t *out)
{
    bool negative = s.n && s.p[0] == '-';
    size_t i = s.n && (negative || s.p[0] == '+');
    if (i == s.n)
        return false;
    int64_t x = 0;
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        int digit = s.p[i] - '0';
        /* built downwards: the negative side is the larger one */
        if (!tl_mul_i64(x, 10, &x) || !tl_add_i64(x, -digit, &x))
            return false;
    }
    if (!negative && x == INT64_MIN)
        return false;
    *out = negative ? x : -x;
    return true;
}

/* Digits with at most one point and an exponent; the sign is taken off before. */
static bool parse_decimal(tl_str s, decimal *a)
{
    size_t i = 0, n_seen = 0;
    int64_t point = 0;
    bool dot = false;
    for (; i < s.n && s.p[i] != 'e' && s.p[i] != 'E'; i++) {
        char c = s.p[i];
        if (c == '.' && !dot) {
            dot = true;
            continue;
        }
        if (c < '0' || c > '9')
            return false;
        n_seen++;
        if (a->n || c != '0') {
            append_digit(a, (uint8_t)(c - '0'));
            point += !dot;
        } else {
            point -= dot;
        }
    }
    int64_t exponent = 0;
    tl_str text = {s.p + i + 1, i < s.n ? s.n - i - 1 : 0};
    if (i < s.n && !tl_str_to_i64(text, &exponent)) {
        /* an exponent that does not fit 64 bits is as good as any other large one */
        size_t sign = text.n && (text.p[0] == '-' || text.p[0] == '+');
        for (size_t k = sign; k < text.n; k++)
            if (text.p[k] < '0' || text.p[k] > '9')
                return false;
        if (text.n == sign)
            return false;
        exponent = text.p[0] == '-' ? INT64_MIN : INT64_MAX;
    }
    const int64_t large = (int64_t)1 << 40; /* beyond any count of digits */
    exponent = TL_MAX(-large, TL_MIN(large, exponent));
    point = TL_MAX(-100000, TL_MIN(100000, point + exponent));
    a->point = (int)point;
    trim(a);
    return n_seen > 0;
}

static double make_f64(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Exact when digits and power of ten are exact doubles: one correctly rounded operation is left. */
static bool convert_fast(const decimal *a, double *out)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    int exponent = a->point - a->n;
    if (a->n > 15 || exponent > 22 || exponent < -22)
        return false;
    int64_t x = 0;
    for (int i = 0; i < a->n; i++)
        x = x * 10 + a->d[i];
    *out = exponent < 0 ? (double)x / powers[-exponent] : (double)x * powers[exponent];
    return true;
}

/* a > 0 to the nearest double, half to even; false on overflow. Changes a. */
static bool convert_exact(decimal *a, double *out)
{
    /* 2^steps[n] < 10^n: a shift by it brings a number with point n near [0.5, 1) but never past it
     */
    static const int steps[] = {1, 3, 6, 9, 13, 16, 19, 23, 26};
    if (a->point > 310)
        return false;
    if (a->point < -330) {
        *out = 0.0;
        return true;
    }
    int exponent = 0; /* value = a * 2^exponent, a in [0.5, 1) in the end */
    while (a->point > 0) {
        int k = a->point < (int)TL_COUNT(steps) ? steps[a->point] : MAX_SHIFT;
        divide_pow2(a, k);
        exponent += k;
    }
    while (a->point < 0 || a->d[0] < 5) {
        int k = -a->point < (int)TL_COUNT(steps) ? steps[-a->point] : MAX_SHIFT;
        multiply_pow2(a, k);
        exponent -= k;
    }
    exponent--; /* as 1.xxx * 2^exponent */
    if (exponent > 1023)
        return false;
    int lost = exponent < -1022 ? -1022 - exponent : 0;
    shift(a, 53 - lost);
    uint64_t mantissa = decimal_round(a);
    /* adding, not joining, lets a carry of the rounding move into the exponent */
    uint64_t biased = (uint64_t)(lost ? 0 : exponent + 1022);
    uint64_t bits = (biased << 52) + mantissa;
    if (bits >> 52 >= 0x7ff)
        return false;
    *out = make_f64(bits);
    return true;
}

bool tl_str_to_f64(tl_str s, double *out)
{
    bool negative = s.n && s.p[0] == '-';
    if (s.n && (negative || s.p[0] == '+'))
        s = (tl_str){s.p + 1, s.n - 1};
    double x = 0.0;
    decimal a = {0};
    if (tl_str_is(s, "inf"))
        x = make_f64((uint64_t)0x7ff << 52);
    else if (tl_str_is(s, "nan"))
        x = make_f64((uint64_t)0x7ff8 << 48);
    else if (!parse_decimal(s, &a))
        return false;
    else if (a.n && !convert_fast(&a, &x) && !convert_exact(&a, &x))
        return false;
    *out = negative ? -x : x;
    return true;
}

/* ---- writing ---- */

/* Fewest digits that lie between the midpoints to both neighbours; of these the nearest to a.
 * Midpoints themselves belong to the number when its mantissa is even. */
static decimal shortest(const decimal *a, const decimal *low, const decimal *high, bool closed)
{
    for (int p = 1; p < a->n; p++) {
        bool up = rounds_up(a, p);
        for (int k = 0; k < 2; k++) {
            decimal b = *a;
            keep_digits(&b, p, k ? !up : up);
            int over = decimal_compare(&b, low), under = decimal_compare(high, &b);
            if (b.n && over >= !closed && under >= !closed)
                return b;
        }
    }
    return *a;
}

static void print_decimal(tl_text *text, const decimal *a)
{
    char digits[32];
    int n = TL_MIN(a->n, (int)sizeof digits), exponent = a->point - 1;
    for (int i = 0; i < n; i++)
        digits[i] = (char)('0' + a->d[i]);
    if (exponent < -5 || exponent > 15) {
        tl_text_add_char(text, digits[0]);
        if (n > 1)
            tl_text_printf(text, ".%.*s", n - 1, digits + 1);
        tl_text_printf(text, "e%d", exponent);
    } else if (a->point <= 0) {
        tl_text_printf(text, "0.%.*s%.*s", -a->point, "00000", n, digits);
    } else if (a->point >= n) {
        tl_text_printf(text, "%.*s%.*s", n, digits, a->point - n, "0000000000000000");
    } else {
        tl_text_printf(text, "%.*s.%.*s", a->point, digits, n - a->point, digits + a->point);
    }
}

/* mantissa * 2^exponent > 0; the gap below is half as wide when the mantissa is the smallest of its
 * exponent. */
static void print_shortest(tl_text *text, uint64_t mantissa, int exponent, bool narrow_below)
{
    decimal a = decimal_from(mantissa), high = decimal_from(mantissa * 2 + 1);
    decimal low = narrow_below ? decimal_from(mantissa * 4 - 1) : decimal_from(mantissa * 2 - 1);
    shift(&a, exponent);
    shift(&high, exponent - 1);
    shift(&low, exponent - (narrow_below ? 2 : 1));
    decimal b = shortest(&a, &low, &high, !(mantissa & 1));
    print_decimal(text, &b);
}

/* Positive and negative numbers of a binary format given by the width of its fields. */
static void print_float(tl_text *text, uint64_t bits, int mantissa_bits, int exponent_bits)
{
    uint64_t fraction = bits & (((uint64_t)1 << mantissa_bits) - 1);
    int max_exponent = (1 << exponent_bits) - 1, bias = max_exponent / 2;
    int exponent = (int)(bits >> mantissa_bits) & max_exponent;
    bool special = exponent == max_exponent;
    if (special && fraction) {
        tl_text_add(text, "nan");
        return;
    }
    if (bits >> (mantissa_bits + exponent_bits))
        tl_text_add_char(text, '-');
    if (special)
        tl_text_add(text, "inf");
    else if (!exponent && !fraction)
        tl_text_add_char(text, '0');
    else if (!exponent)
        print_shortest(text, fraction, 1 - bias - mantissa_bits, false);
    else
        print_shortest(text, fraction | (uint64_t)1 << mantissa_bits,
                       exponent - bias - mantissa_bits, !fraction && exponent > 1);
}

void tl_text_add_f64(tl_text *text, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    print_float(text, bits, 52, 11);
}

void tl_text_add_f32(tl_text *text, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    print_float(text, bits, 23, 8);
}
