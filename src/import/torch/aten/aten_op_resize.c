/* Resizing pictures, and sampling them at computed places. */
#include "base/math.h"
#include "import/torch/aten/aten_op.h"
#include "ir/resample.h"

#define MAX_SPATIAL 3

typedef struct upsampling {
    tl_value *x; /* [n, *s, c] */
    size_t n;
    const tl_dim *size[MAX_SPATIAL];
    double scale[MAX_SPATIAL];
    bool has_scales;
    tl_resize_attrs attrs;
} upsampling;

/* ---- sizes ---- */

/* ⌊n factor⌋, in double precision as PyTorch has it; of open sizes when the factor is a simple
 * fraction. */
static const tl_dim *scaled_size(aten_call *c, const tl_dim *n, double factor)
{
    int64_t known;
    if (tl_dim_is_const(n, &known) && factor > 0 && (double)known * factor < 1e9)
        return aten_i(c, (int64_t)((double)known * factor));
    for (int64_t q = 1; q <= 64 && factor > 0 && factor < 1e6; q++) {
        double p = (double)(int64_t)(factor * (double)q + 0.5);
        if (p / (double)q == factor)
            return tl_dim_floordiv(c->dims, tl_dim_mul_i(c->dims, n, (int64_t)p), aten_i(c, q));
    }
    aten_refuse_as(c, TL_U005, "factor %g of an axis of open size", factor);
    return NULL;
}

/* The input with channels last, and the size of the result: from a list of sizes or, where that is
 * None, of factors. False: recorded. */
static bool begin_upsample(aten_call *c, size_t n, size_t sizes, size_t factors, upsampling *u)
{
    tl_value *x = aten_value(c, 0);
    size_t n_sizes, n_factors;
    const tl_dim *const *given = aten_dim_list(c, sizes, &n_sizes);
    const double *scale = factors < c->n_arg ? aten_floats(c, factors, &n_factors) : NULL;
    *u = (upsampling){.n = n, .attrs = {.cubic_a = -0.75}};
    if (aten_rank(x) != (int)n + 2 || (given ? n_sizes : scale ? n_factors : 0) != n) {
        aten_malformed(c, "input of rank %d, expected %zu, and as many sizes or factors as axes",
                       aten_rank(x), n + 2);
        return false;
    }
    u->has_scales = !given;
    for (size_t i = 0; i < n; i++) {
        u->scale[i] = given ? 1 : scale[i];
        u->size[i] = given ? given[i] : scaled_size(c, aten_size(x, (int)i + 2), scale[i]);
        if (!u->size[i])
            return false;
    }
    u->x = aten_to_last(c, x);
    return true;
}

/* Factors as separate numbers, where PyTorch passes them beside the sizes. */
static void add_factors(aten_call *c, size_t first, upsampling *u)
{
    bool all = true;
    for (size_t i = 0; i < u->n; i++)
        all = all && !aten_is_none(c, first + i);
    for (size_t i = 0; all && i < u->n; i++)
        u->scale[i] = aten_float(c, first + i, 1);
    u->has_scales = all;
}

static void return_resized(aten_call *c, upsampling *u)
{
    u->attrs.sizes = (tl_dim_list){u->n, u->size};
    u->attrs.scales = (tl_floats){u->has_scales ? u->n : 0, u->scale};
    aten_return(c, 0, aten_to_first(c, tl_build1(c->b, TL_OP_resize, u->x, &u->attrs)));
}

/* ---- nearest ---- */

/* Places that PyTorch takes along an axis, computed in single precision as it does. */
static void nearest_places(const upsampling *u, size_t axis, int64_t n, int64_t m, bool exact,
                           int64_t *at)
{
    float scale = u->has_scales ? (float)(1.0 / u->scale[axis]) : (float)n / (float)m;
    for (int64_t i = 0; i < m; i++) {
        float x = exact ? ((float)i + 0.5f) * scale : (float)i * scale;
        int64_t k = (int64_t)x;
        at[i] = n == m && !exact ? i : m == 2 * n && !exact ? i / 2 : TL_MIN(k, n - 1);
    }
}

/* One axis by a list of places, where rounding makes them differ from those of the core op. */
static bool pick_places(aten_call *c, upsampling *u, size_t axis, bool exact, bool *differs)
{
    int64_t n, m;
    tl_resample ours;
    if (!tl_dim_is_const(aten_size(u->x, (int)axis + 1), &n) ||
        !tl_dim_is_const(u->size[axis], &m) || n < 1 || m < 1)
        return false;
    int64_t *at = TL_NEW_ARRAY(c->arena, int64_t, m);
    u->attrs.scales = (tl_floats){u->has_scales ? u->n : 0, u->scale};
    if (!at || !tl_resample_fits(&u->attrs, (int)axis, n, m) ||
        !tl_resample_make(c->arena, &u->attrs, (int)axis, n, m, &ours))
        return false;
    nearest_places(u, axis, n, m, exact, at);
    *differs |= memcmp(at, ours.index, (size_t)m * sizeof(*at)) != 0;
    tl_gather_attrs attrs = {.axis = (int64_t)axis + 1};
    u->x = tl_build2(c->b, TL_OP_gather, u->x, tl_build_i64s(c->model, at, (size_t)m), &attrs);
    return true;
}

static void return_nearest(aten_call *c, upsampling *u, bool exact)
{
    u->attrs.mode = TL_resize_mode_nearest;
    u->attrs.coord = exact ? TL_resize_coord_half_pixel : TL_resize_coord_asymmetric;
    u->attrs.round = exact ? TL_resize_round_prefer_ceil : TL_resize_round_floor;
    tl_value *x = u->x;
    bool known = true, differs = false;
    for (size_t i = 0; i < u->n; i++)
        known = known && pick_places(c, u, i, exact, &differs);
    if (known && differs) {
        aten_return(c, 0, aten_to_first(c, u->x));
        return;
    }
    u->x = x;
    return_resized(c, u);
}

/* upsample_nearest{1,2,3}d.vec(input, output_size?, scale_factors?): axes from the input */
static void nearest_vec(aten_call *c, bool exact)
{
    upsampling u;
    if (begin_upsample(c, (size_t)TL_MAX(aten_rank(aten_value(c, 0)) - 2, 0), 1, 2, &u))
        return_nearest(c, &u, exact);
}

void aten_op_upsample_nearest_vec(aten_call *c)
{
    nearest_vec(c, false);
}

void aten_op_upsample_nearest_exact_vec(aten_call *c)
{
    nearest_vec(c, true);
}

/* upsample_nearest2d(self, output_size, scales_h?, scales_w?) */
void aten_op_upsample_nearest(aten_call *c)
{
    upsampling u;
    if (!begin_upsample(c, (size_t)TL_MAX(aten_rank(aten_value(c, 0)) - 2, 0), 1, c->n_arg, &u))
        return;
    add_factors(c, 2, &u);
    return_nearest(c, &u, false);
}

/* _upsample_nearest_exact2d(self, output_size, scales_h?, scales_w?) */
void aten_op_upsample_nearest_exact(aten_call *c)
{
    upsampling u;
    if (!begin_upsample(c, (size_t)TL_MAX(aten_rank(aten_value(c, 0)) - 2, 0), 1, c->n_arg, &u))
        return;
    add_factors(c, 2, &u);
    return_nearest(c, &u, true);
}

/* ---- linear and cubic ---- */

static void set_filter(aten_call *c, size_t corners, tl_resize_mode mode, upsampling *u)
{
    u->attrs.mode = mode;
    u->attrs.coord =
        aten_bool(c, corners, false) ? TL_resize_coord_align_corners : TL_resize_coord_half_pixel;
}

/* upsample_{linear1d,bilinear2d,trilinear3d}.vec(input, output_size?, align_corners,
 * scale_factors?); the row has the op resize for linear, anything else for cubic */
void aten_op_upsample_linear_vec(aten_call *c)
{
    upsampling u;
    if (!begin_upsample(c, (size_t)TL_MAX(aten_rank(aten_value(c, 0)) - 2, 0), 1, 3, &u))
        return;
    set_filter(c, 2, TL_resize_mode_linear, &u);
    return_resized(c, &u);
}

void aten_op_upsample_cubic_vec(aten_call *c)
{
    upsampling u;
    if (!begin_upsample(c, 2, 1, 3, &u))
        return;
    set_filter(c, 2, TL_resize_mode_cubic, &u);
    return_resized(c, &u);
}

/* ....(self, output_size, align_corners, scales_h?, scales_w?) */
void aten_op_upsample_linear(aten_call *c)
{
    upsampling u;
    if (!begin_upsample(c, (size_t)TL_MAX(aten_rank(aten_value(c, 0)) - 2, 0), 1, c->n_arg, &u))
        return;
    add_factors(c, 3, &u);
    set_filter(c, 2, TL_resize_mode_linear, &u);
    return_resized(c, &u);
}

void aten_op_upsample_cubic(aten_call *c)
{
    upsampling u;
    if (!begin_upsample(c, 2, 1, c->n_arg, &u))
        return;
    add_factors(c, 3, &u);
    set_filter(c, 2, TL_resize_mode_cubic, &u);
    return_resized(c, &u);
}

/* Antialiased filters with align_corners: PyTorch takes its step, (in - 1) / (out - 1), but places pixels as
 * without. False: recorded. */
static bool corner_step(aten_call *c, upsampling *u)
{
    for (size_t i = 0; i < u->n; i++) {
        int64_t in, out;
        if (!tl_dim_is_const(aten_size(u->x, (int)i + 1), &in) ||
            !tl_dim_is_const(u->size[i], &out)) {
            aten_refuse_as(c, TL_U005, "antialias with align_corners over open sizes");
            return false;
        }
        u->scale[i] =
            in > 1 && out > 1 ? (double)(out - 1) / (double)(in - 1) : (double)out / (double)in;
    }
    u->has_scales = true;
    u->attrs.coord = TL_resize_coord_half_pixel;
    return true;
}

/* Antialiased ones widen the filter, and leave out what lies outside; the cubic one has another
 * parameter. */
static void antialiased(aten_call *c, tl_resize_mode mode, bool sized)
{
    upsampling u;
    if (!begin_upsample(c, 2, 1, sized ? c->n_arg : 3, &u))
        return;
    if (sized)
        add_factors(c, 3, &u);
    set_filter(c, 2, mode, &u);
    if (aten_bool(c, 2, false) && !corner_step(c, &u))
        return;
    u.attrs.antialias = u.attrs.exclude_outside = true;
    u.attrs.cubic_a = -0.5;
    return_resized(c, &u);
}

void aten_op_upsample_linear_aa(aten_call *c)
{
    antialiased(c, TL_resize_mode_linear, false);
}

void aten_op_upsample_cubic_aa(aten_call *c)
{
    antialiased(c, TL_resize_mode_cubic, false);
}

/* _upsample_bilinear2d_aa(self, output_size, align_corners, scales_h?, scales_w?) */
void aten_op_upsample_linear_aa_sized(aten_call *c)
{
    antialiased(c, TL_resize_mode_linear, true);
}

void aten_op_upsample_cubic_aa_sized(aten_call *c)
{
    antialiased(c, TL_resize_mode_cubic, true);
}

/* ---- grid_sampler(input, grid, interpolation, padding, align_corners) ---- */

enum { SAMPLE_LINEAR, SAMPLE_NEAREST, SAMPLE_CUBIC };
enum { PAD_ZEROS, PAD_BORDER, PAD_REFLECT };

typedef struct sampling {
    tl_value *table;                 /* [n s..., c]: pixels as rows */
    tl_value *base;                  /* i64 [n, 1, ...]: first row of every picture */
    const tl_dim *size[MAX_SPATIAL]; /* of the input, outermost first */
    tl_value *at[MAX_SPATIAL];       /* places, [n, *out] */
    size_t n;
    int64_t mode, padding;
    bool corners;
} sampling;

static tl_value *f32_of(aten_call *c, const tl_dim *d)
{
    return tl_build_cast(c->b, tl_build_shape_expr(c->b, &d, 1, 0), TL_F32);
}

static tl_value *plus_number(aten_call *c, tl_value *x, double k)
{
    return aten_2(c, TL_OP_add, x, aten_scalar_like(c, x, k));
}

/* x limited to [0, size - 1] */
static tl_value *limited_to(aten_call *c, tl_value *x, const tl_dim *size)
{
    tl_value *last = f32_of(c, tl_dim_add_i(c->dims, size, -1));
    return aten_2(c, TL_OP_min, aten_2(c, TL_OP_max, x, aten_scalar_like(c, x, 0)), last);
}

/* Mirrored at the borders: of the pixels with align_corners, else half a pixel outside. */
static tl_value *reflected(aten_call *c, tl_value *x, const tl_dim *size, bool corners)
{
    double low = corners ? 0 : -0.5;
    tl_value *span = f32_of(c, corners ? tl_dim_add_i(c->dims, size, -1) : size);
    if (corners && tl_dim_is(size, 1))
        return aten_2(c, TL_OP_mul, x, aten_scalar_like(c, x, 0));
    tl_value *from = aten_1(c, TL_OP_abs, plus_number(c, x, -low));
    tl_value *period = aten_2(c, TL_OP_add, span, span);
    tl_value *rest = aten_2(c, TL_OP_mod, from, period);
    tl_value *back = aten_2(c, TL_OP_sub, period, rest);
    return plus_number(c, aten_2(c, TL_OP_min, rest, back), low);
}

static tl_value *padded_place(aten_call *c, const sampling *s, tl_value *x, size_t axis)
{
    if (s->padding == PAD_REFLECT)
        x = reflected(c, x, s->size[axis], s->corners);
    return s->padding == PAD_ZEROS ? x : limited_to(c, x, s->size[axis]);
}

/* [-1, 1] to places of pixels */
static tl_value *unnormalised(aten_call *c, const sampling *s, tl_value *g, size_t axis)
{
    tl_value *size = f32_of(c, s->size[axis]);
    g = plus_number(c, g, 1);
    if (s->corners)
        size = plus_number(c, size, -1);
    g = aten_2(c, TL_OP_mul, g, aten_2(c, TL_OP_mul, size, tl_build_f32(c->model, 0.5f)));
    return s->corners ? g : plus_number(c, g, -0.5);
}

/* Rows of the table at whole places; weights of those outside become 0. */
static tl_value *fetch(aten_call *c, const sampling *s, tl_value *const *place, tl_value *weight)
{
    tl_value *row = s->base;
    for (size_t i = 0; i < s->n; i++) {
        tl_value *inside = limited_to(c, place[i], s->size[i]);
        if (s->padding == PAD_ZEROS) {
            tl_value *is_in = aten_2(c, TL_OP_equal, inside, place[i]);
            tl_value *in = tl_build_cast(c->b, is_in, TL_F32);
            weight = weight ? aten_2(c, TL_OP_mul, weight, in) : in;
        }
        /* row = (... (n h + y) w + x) */
        row = aten_2(c, TL_OP_mul, row, tl_build_shape_expr(c->b, &s->size[i], 1, 0));
        row = aten_2(c, TL_OP_add, row, tl_build_cast(c->b, inside, TL_I64));
    }
    tl_gather_attrs attrs = {.axis = 0};
    tl_value *pixel = tl_build2(c->b, TL_OP_gather, s->table, row, &attrs); /* [n, *out, c] */
    if (!weight)
        return pixel;
    weight =
        tl_build_cast(c->b, aten_with_axis(c, weight, aten_rank(weight)), pixel->fact.type.dtype);
    return aten_2(c, TL_OP_mul, pixel, weight);
}

static tl_value *summed(aten_call *c, tl_value *sum, tl_value *x)
{
    return sum ? aten_2(c, TL_OP_add, sum, x) : x;
}

static tl_value *sample_linear(aten_call *c, const sampling *s)
{
    tl_value *low[MAX_SPATIAL], *part[MAX_SPATIAL], *sum = NULL;
    for (size_t i = 0; i < s->n; i++) {
        tl_value *x = padded_place(c, s, s->at[i], i);
        low[i] = aten_1(c, TL_OP_floor, x);
        part[i] = aten_2(c, TL_OP_sub, x, low[i]);
    }
    for (unsigned corner = 0; corner < 1u << s->n; corner++) {
        tl_value *place[MAX_SPATIAL], *weight = NULL;
        for (size_t i = 0; i < s->n; i++) {
            bool high = corner >> i & 1;
            place[i] = high ? plus_number(c, low[i], 1) : low[i];
            tl_value *w =
                high ? part[i] : aten_2(c, TL_OP_sub, aten_scalar_like(c, part[i], 1), part[i]);
            weight = weight ? aten_2(c, TL_OP_mul, weight, w) : w;
        }
        sum = summed(c, sum, fetch(c, s, place, weight));
    }
    return sum;
}

static tl_value *sample_nearest(aten_call *c, const sampling *s)
{
    tl_value *place[MAX_SPATIAL];
    for (size_t i = 0; i < s->n; i++)
        place[i] = aten_1(c, TL_OP_round, padded_place(c, s, s->at[i], i));
    return fetch(c, s, place, NULL);
}

/* Weight of the pixel k - 1 places from the lower neighbour; t the part above it, a = -3/4. */
static tl_value *cubic_weight(aten_call *c, tl_value *t, int k)
{
    const double a = -0.75;
    double shift = k - 1;
    tl_value *d = aten_1(c, TL_OP_abs, plus_number(c, t, -shift)), *y;
    if (k == 1 || k == 2) { /* ((a + 2) d - (a + 3)) d² + 1 */
        y = plus_number(c, aten_2(c, TL_OP_mul, d, aten_scalar_like(c, d, a + 2)), -(a + 3));
        y = aten_2(c, TL_OP_mul, aten_2(c, TL_OP_mul, y, d), d);
        return plus_number(c, y, 1);
    }
    y = plus_number(c, aten_2(c, TL_OP_mul, d, aten_scalar_like(c, d, a)), -5 * a);
    y = plus_number(c, aten_2(c, TL_OP_mul, y, d), 8 * a);
    return plus_number(c, aten_2(c, TL_OP_mul, y, d), -4 * a);
}

static tl_value *sample_cubic(aten_call *c, const sampling *s)
{
    tl_value *low[2], *part[2], *sum = NULL;
    for (size_t i = 0; i < 2; i++) {
        low[i] = aten_1(c, TL_OP_floor, s->at[i]);
        part[i] = aten_2(c, TL_OP_sub, s->at[i], low[i]);
    }
    for (int k = 0; k < 16; k++) {
        int step[] = {k / 4, k % 4};
        tl_value *place[2];
        for (size_t i = 0; i < 2; i++)
            place[i] = padded_place(c, s, plus_number(c, low[i], step[i] - 1), i);
        tl_value *of_row = cubic_weight(c, part[0], step[0]);
        tl_value *weight = aten_2(c, TL_OP_mul, of_row, cubic_weight(c, part[1], step[1]));
        sum = summed(c, sum, fetch(c, s, place, weight));
    }
    return sum;
}

static bool begin_sampling(aten_call *c, sampling *s)
{
    tl_value *x = aten_value(c, 0), *grid = aten_value(c, 1);
    int rank = aten_rank(x);
    *s = (sampling){.n = (size_t)TL_MAX(rank - 2, 0),
                    .mode = aten_int(c, 2, 0),
                    .padding = aten_int(c, 3, 0),
                    .corners = aten_bool(c, 4, false)};
    if (rank < 4 || rank > 5 || aten_rank(grid) != rank || (s->mode == SAMPLE_CUBIC && rank != 4)) {
        aten_malformed(c, "input of rank %d, grid of rank %d", rank, aten_rank(grid));
        return false;
    }
    const tl_dim *rows = aten_size(x, 0), *table[2];
    for (size_t i = 0; i < s->n; i++) {
        s->size[i] = aten_size(x, (int)i + 2);
        rows = tl_dim_mul(c->dims, rows, s->size[i]);
    }
    table[0] = rows;
    table[1] = aten_size(x, 1);
    s->table = tl_build_reshape(c->b, aten_to_last(c, x), table, 2);
    grid = tl_build_cast(c->b, grid, TL_F32);
    for (size_t i = 0; i < s->n; i++) { /* the grid has x first */
        const tl_dim *k = aten_i(c, (int64_t)(s->n - 1 - i));
        tl_value *g = aten_without_axis(c, aten_cut(c, grid, rank - 1, k, aten_i(c, 1)), rank - 1);
        s->at[i] = unnormalised(c, s, g, i);
    }
    const tl_dim *batch = aten_size(x, 0);
    tl_value *zero = tl_build_scalar(c->model, TL_I64, 0);
    tl_value *one = tl_build_scalar(c->model, TL_I64, 1);
    tl_value *limit = tl_build_shape_expr(c->b, &batch, 1, 0);
    s->base = tl_build3(c->b, TL_OP_range, zero, limit, one, NULL);
    for (size_t i = 0; i < s->n; i++)
        s->base = aten_with_axis(c, s->base, (int)i + 1);
    return true;
}

void aten_op_grid_sampler(aten_call *c)
{
    sampling s;
    if (!begin_sampling(c, &s))
        return;
    tl_value *y = s.mode == SAMPLE_LINEAR    ? sample_linear(c, &s)
                  : s.mode == SAMPLE_NEAREST ? sample_nearest(c, &s)
                                             : sample_cubic(c, &s);
    aten_return(c, 0, aten_to_first(c, y));
}

/* affine_grid_generator(theta[n, k, k + 1], size, align_corners): [n, *s, k] */
void aten_op_affine_grid(aten_call *c)
{
    tl_value *theta = aten_value(c, 0);
    size_t n;
    const int64_t *size = aten_ints(c, 1, &n);
    bool corners = aten_bool(c, 2, false);
    int64_t k = (int64_t)n - 2, rows = 1;
    if (k < 2 || k > 3 || aten_rank(theta) != 3) {
        aten_malformed(c, "theta of rank %d for %zu sizes", aten_rank(theta), n);
        return;
    }
    for (int64_t i = 0; i < k; i++)
        rows *= size[2 + i];
    float *v = rows > 0 && rows < (1 << 24) ? TL_NEW_ARRAY(c->arena, float, rows *(k + 1)) : NULL;
    for (int64_t r = 0; v && r < rows; r++) {
        int64_t rest = r;
        for (int64_t i = k;
             i-- > 0;) { /* axis i outermost first, its coordinate is column k - 1 - i */
            int64_t m = size[2 + i], at = rest % m;
            double x = m > 1 ? -1 + 2 * (double)at / (double)(m - 1) : 0;
            if (!corners)
                x = (2 * (double)at + 1) / (double)m - 1;
            v[r * (k + 1) + k - 1 - i] = (float)x;
            rest /= m;
        }
        v[r * (k + 1) + k] = 1;
    }
    if (!v)
        return;
    int64_t shape[2] = {rows, k + 1};
    static const int swap[] = {0, 2, 1};
    const tl_dim *out[5] = {aten_size(theta, 0)};
    for (int64_t i = 0; i < k; i++)
        out[1 + i] = aten_i(c, size[2 + i]);
    out[1 + k] = aten_i(c, k);
    tl_value *base = tl_build_f32s(c->model, v, 2, shape);
    tl_value *y = aten_2(c, TL_OP_matmul, base, tl_build_transpose(c->b, theta, swap));
    aten_return(c, 0, tl_build_reshape(c->b, y, out, (int)k + 2));
}
