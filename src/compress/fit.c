/* Least squares for the weights that are left. */
#include "compress/fit.h"

#include "base/math.h"

#include <string.h>

/* Of the mean square of what a weight multiplies: */
#define RIDGE           0.003
#define RIDGE_OF_SAMPLE 1.0  /* more by this / samples, whose places are alike, */
#define RIDGE_OF_PLACE  0.05 /* ... and by this times weights of a filter / places */
#define ROWS       8 /* places per weight of a filter, where samples have as many, */
#define LEAST_ROWS 4096
#define MOST_ROWS  8192
#define MOST_RUNS  2048 /* of samples, over all layers */
#define LEAST_RUNS 8    /* ... for a layer */
#define BLOCK_ROWS 64
/* Multiplications for exact solutions; where there are more, rounds of descent. */
#define MOST_SOLVED 2e10
#define ROUNDS      30

    /* What a filter reads at a place: taps of a window times the channels of its group. */
    typedef struct window {
    int64_t groups, taps, inner, p; /* p = taps inner */
    int64_t kh, kw, stride_h, stride_w, dilation_h, dilation_w;
    bool same;
} window;

typedef struct fitting {
    tl_layers layers, whole; /* of both models, in the same order */
    tl_arena *scratch;
    tl_samples samples;
    tl_layer *layer;      /* the one that is fitted, */
    const tl_layer *from; /* ... and what it was */
    const bool *stays;
    window w, from_w;
    int64_t rows_per_sample, rows, most_rows;
    float *y; /* [rows, filters of layer] */
    const float *from_weights, *from_bias;
    double *h;     /* [groups, p + 1, p + 1]: Σ x x, a constant 1 last; upper triangle */
    double *g;     /* [filters, p + 1]: Σ y x */
    double *block; /* [BLOCK_ROWS, p + 1] */
    float *patch;  /* [channels of a place] */
    size_t sample;
} fitting;

/* ---- windows ---- */

static void set_window(window *w, const tl_layer *layer)
{
    const tl_node *node = layer->node;
    *w = (window){.groups = layer->filters / layer->group, .taps = 1, .inner = layer->inner};
    w->kh = w->kw = w->stride_h = w->stride_w = w->dilation_h = w->dilation_w = 1;
    const int64_t *shape = tl_const_shape(layer->w->constant);
    if (node->op == TL_OP_tfl_conv_2d) {
        const tl_tfl_conv_attrs *a = tl_attrs_of(node, tfl_conv);
        w->kh = shape[1], w->kw = shape[2];
        w->stride_h = a->stride_h, w->stride_w = a->stride_w;
        w->dilation_h = a->dilation_h, w->dilation_w = a->dilation_w;
        w->same = a->padding == TL_tfl_padding_same;
    } else if (node->op == TL_OP_tfl_depthwise_conv_2d) {
        const tl_tfl_depthwise_attrs *a = tl_attrs_of(node, tfl_depthwise);
        w->kh = shape[1], w->kw = shape[2];
        w->stride_h = a->stride_h, w->stride_w = a->stride_w;
        w->dilation_h = a->dilation_h, w->dilation_w = a->dilation_w;
        w->same = a->padding == TL_tfl_padding_same;
        w->groups = layer->filters / layer->multiplier;
    }
    w->taps = w->kh * w->kw;
    w->p = w->taps * w->inner;
}

static int64_t output_size(int64_t in, int64_t k, int64_t stride, int64_t dilation, bool same)
{
    int64_t span = (k - 1) * dilation + 1;
    return same ? (in + stride - 1) / stride : in < span ? 0 : (in - span) / stride + 1;
}

static int64_t pad_before(int64_t in, int64_t out, int64_t k, int64_t stride, int64_t dilation,
                          bool same)
{
    int64_t all = (out - 1) * stride + (k - 1) * dilation + 1 - in;
    return same && all > 0 ? all / 2 : 0;
}

/* Where the places of an operand are. */
typedef struct places {
    int64_t n, oh, ow, h, w, c, pad_h, pad_w;
} places;

static places places_of(const window *w, const tl_tensor *x)
{
    places at = {
        .n = tl_tensor_count(x), .oh = 1, .ow = 1, .h = 1, .w = 1, .c = w->groups * w->inner};
    if (x->rank == 4 && (w->taps > 1 || w->stride_h > 1 || w->stride_w > 1)) {
        at.h = x->shape[1], at.w = x->shape[2];
        at.oh = output_size(at.h, w->kh, w->stride_h, w->dilation_h, w->same);
        at.ow = output_size(at.w, w->kw, w->stride_w, w->dilation_w, w->same);
        at.pad_h = pad_before(at.h, at.oh, w->kh, w->stride_h, w->dilation_h, w->same);
        at.pad_w = pad_before(at.w, at.ow, w->kw, w->stride_w, w->dilation_w, w->same);
    }
    at.n = at.n / (at.h * at.w * at.c) * at.oh * at.ow;
    return at;
}

/* patch: [taps, channels of x] of a place; 0 outside. */
static void read_patch(const window *w, const places *at, const float *x, int64_t place,
                       float *patch)
{
    int64_t oy = place / at->ow % at->oh, ox = place % at->ow, image = place / (at->oh * at->ow);
    for (int64_t t = 0; t < w->taps; t++) {
        int64_t y = oy * w->stride_h - at->pad_h + t / w->kw * w->dilation_h;
        int64_t z = ox * w->stride_w - at->pad_w + t % w->kw * w->dilation_w;
        bool inside = y >= 0 && y < at->h && z >= 0 && z < at->w;
        if (inside)
            memcpy(patch + t * at->c, x + ((image * at->h + y) * at->w + z) * at->c,
                   (size_t)at->c * sizeof *patch);
        else
            memset(patch + t * at->c, 0, (size_t)at->c * sizeof *patch);
    }
}

/* Element j of what a filter of group g reads. */
static double read_element(const window *w, const float *patch, int64_t g, int64_t j)
{
    return (double)patch[j / w->inner * (w->groups * w->inner) + g * w->inner + j % w->inner];
}

/* The weight that multiplies it. */
static int64_t weight_at(const tl_layer *layer, const window *w, int64_t filter, int64_t j)
{
    return layer->multiplier ? j * layer->filters + filter : filter * w->p + j;
}

static int64_t group_of(const tl_layer *layer, int64_t filter)
{
    return filter / (layer->multiplier ? layer->multiplier : layer->group);
}

/* Which places of a sample count: spread evenly, others in each sample. */
static int64_t place_number(const fitting *f, int64_t i, int64_t n, int64_t of)
{
    return (i * of + (int64_t)(f->sample * 7919) % of) / n;
}

/* ---- what the whole network computes ---- */

static void see_whole(void *user, const tl_value *value, const tl_tensor *x)
{
    fitting *f = user;
    if (value != tl_in(f->from->node, f->from->p.x) || x->dtype != TL_F32)
        return;
    places at = places_of(&f->from_w, x);
    int64_t n = TL_MIN(f->rows_per_sample, at.n);
    for (int64_t i = 0; i < n && f->rows < f->most_rows; i++, f->rows++) {
        float *y = f->y + f->rows * f->layer->filters;
        read_patch(&f->from_w, &at, x->data, place_number(f, i, n, at.n), f->patch);
        for (int64_t old = 0, k = 0; old < f->from->filters; old++) {
            if (f->stays && !f->stays[old])
                continue;
            double sum = f->from_bias ? (double)f->from_bias[old] : 0;
            for (int64_t j = 0; j < f->from_w.p; j++)
                sum += (double)f->from_weights[weight_at(f->from, &f->from_w, old, j)] *
                       read_element(&f->from_w, f->patch, group_of(f->from, old), j);
            y[k++] = (float)sum;
        }
    }
}

static tl_status count_sample(void *user, tl_session *session, size_t sample)
{
    fitting *f = user;
    (void)session;
    f->sample = sample + 1;
    return TL_OK;
}

/* ---- what the pruned one has to compute it from ---- */

static void add_block(fitting *f, int64_t g, int64_t first, int64_t n)
{
    int64_t size = f->w.p + 1, per_group = f->layer->filters / f->w.groups;
    double *h = f->h + g * size * size;
    for (int64_t i = 0; i < size; i++)
        for (int64_t r = 0; r < n; r++) {
            const double *x = f->block + r * size;
            for (int64_t k = i; k < size && x[i] != 0; k++)
                h[i * size + k] += x[i] * x[k];
        }
    for (int64_t k = g * per_group; k < (g + 1) * per_group; k++)
        for (int64_t r = 0; r < n; r++) {
            double y = (double)f->y[(first + r) * f->layer->filters + k];
            for (int64_t i = 0; i < size; i++)
                f->g[k * size + i] += y * f->block[r * size + i];
        }
}

static void see_pruned(void *user, const tl_value *value, const tl_tensor *x)
{
    fitting *f = user;
    if (value != tl_in(f->layer->node, f->layer->p.x) || x->dtype != TL_F32)
        return;
    places at = places_of(&f->w, x);
    int64_t size = f->w.p + 1, n = TL_MIN(TL_MIN(f->rows_per_sample, at.n), f->most_rows - f->rows);
    int64_t all = TL_MIN(f->rows_per_sample, at.n);
    for (int64_t g = 0; g < f->w.groups; g++)
        for (int64_t first = 0; first < n; first += BLOCK_ROWS) {
            int64_t rows = TL_MIN(n - first, (int64_t)BLOCK_ROWS);
            for (int64_t r = 0; r < rows; r++) {
                read_patch(&f->w, &at, x->data, place_number(f, first + r, all, at.n), f->patch);
                for (int64_t j = 0; j < f->w.p; j++)
                    f->block[r * size + j] = read_element(&f->w, f->patch, g, j);
                f->block[r * size + f->w.p] = 1;
            }
            add_block(f, g, f->rows + first, rows);
        }
    f->rows += n;
}

/* ---- solving ---- */

/* A filter's unknowns: the weights that are not 0, and the bias. */
typedef struct unknowns {
    int64_t *at; /* elements of what it reads; p: the bias */
    int64_t n;
    double *a; /* [n, n], then its Cholesky factor below the diagonal */
    double *b, *ridge;
} unknowns;

static double symmetric(const double *h, int64_t size, int64_t i, int64_t k)
{
    return i < k ? h[i * size + k] : h[k * size + i];
}

/* a = l lᵀ, in place; false when it is not positive definite. */
static bool factor(double *a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k <= i; k++) {
            double sum = a[i * n + k];
            for (int64_t j = 0; j < k; j++)
                sum -= a[i * n + j] * a[k * n + j];
            if (i == k && !(sum > 0))
                return false;
            a[i * n + k] = i == k ? tl_sqrt(sum) : sum / a[k * n + k];
        }
    return true;
}

static void solve(const double *l, int64_t n, double *b)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < i; k++)
            b[i] -= l[i * n + k] * b[k];
        b[i] /= l[i * n + i];
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        b[i] /= l[i * n + i];
        for (int64_t k = 0; k < i; k++)
            b[k] -= l[i * n + k] * b[i];
    }
}

/* Coordinate by coordinate, from the weights before: error falls with every step. v: the unknowns, in and out. */
static void descend(const unknowns *u, const double *h, int64_t size, double *v)
{
    double *rest = u->b; /* what is left to explain: b - a v */
    for (int64_t i = 0; i < u->n; i++)
        for (int64_t k = 0; k < u->n; k++)
            rest[i] -= (symmetric(h, size, u->at[i], u->at[k]) + (i == k ? u->ridge[i] : 0)) * v[k];
    for (int round = 0; round < ROUNDS; round++)
        for (int64_t i = 0; i < u->n; i++) {
            double whole = h[u->at[i] * size + u->at[i]] + u->ridge[i];
            double step = whole > 0 ? rest[i] / whole : 0;
            v[i] += step;
            for (int64_t k = 0; k < u->n; k++)
                rest[k] -= step * symmetric(h, size, u->at[i], u->at[k]);
            rest[i] -= step * u->ridge[i];
        }
}

static void choose_unknowns(const fitting *f, int64_t filter, const float *w, bool has_bias,
                            unknowns *u)
{
    u->n = 0;
    for (int64_t j = 0; j < f->w.p; j++)
        if (w[weight_at(f->layer, &f->w, filter, j)] != 0)
            u->at[u->n++] = j;
    if (has_bias)
        u->at[u->n++] = f->w.p;
}

/* Whether the filter has the unknowns of the one before, whose factor then serves again. */
static bool is_alike(const unknowns *a, const unknowns *b)
{
    return a->n == b->n && memcmp(a->at, b->at, (size_t)a->n * sizeof *a->at) == 0;
}

static double mean_square(const double *h, int64_t size)
{
    double sum = 0;
    for (int64_t i = 0; i + 1 < size; i++)
        sum += h[i * size + i];
    return size > 1 ? sum / (double)(size - 1) : 0;
}

static void set_up(const fitting *f, const unknowns *u, const double *h, int64_t size, bool matrix)
{
    double ridge = RIDGE + RIDGE_OF_SAMPLE / (double)f->samples.n +
                   RIDGE_OF_PLACE * (double)f->w.p / (double)f->rows;
    double mean = mean_square(h, size);
    for (int64_t i = 0; i < u->n; i++) {
        bool is_bias = u->at[i] == size - 1;
        u->ridge[i] = is_bias ? 0 : ridge * (mean + h[u->at[i] * size + u->at[i]]) / 2 + 1e-30;
        for (int64_t k = 0; k <= i && matrix; k++)
            u->a[i * u->n + k] =
                symmetric(h, size, u->at[i], u->at[k]) + (i == k ? u->ridge[i] : 0);
    }
}

static bool alloc_unknowns(fitting *f, unknowns *u, int64_t size)
{
    u->at = TL_NEW_ARRAY(f->scratch, int64_t, size);
    u->b = TL_NEW_ARRAY(f->scratch, double, size);
    u->ridge = TL_NEW_ARRAY(f->scratch, double, size);
    u->a = tl_arena_push_array(f->scratch, (size_t)size, (size_t)size * sizeof *u->a);
    return u->at && u->b && u->ridge && u->a;
}

/* Exact solutions for all filters are not too much work. */
static bool is_cheap(const fitting *f, const float *w)
{
    double n = 0, filters = (double)f->layer->filters;
    for (int64_t i = 0; i < f->layer->n; i++)
        n += w[i] != 0;
    bool shared = n == (double)f->layer->n; /* one factor per group */
    n /= filters;
    return n * n * n / 3 * (shared ? (double)f->w.groups : filters) < MOST_SOLVED;
}

static tl_status solve_filters(fitting *f, float *w, float *bias)
{
    int64_t size = f->w.p + 1, per_group = f->layer->filters / f->w.groups;
    bool cheap = is_cheap(f, w), good = false;
    unknowns u = {0}, last = {0};
    double *v = TL_NEW_ARRAY(f->scratch, double, size);
    if (!alloc_unknowns(f, &u, size) || !(last.at = TL_NEW_ARRAY(f->scratch, int64_t, size)) || !v)
        return tl_context_status(f->layers.model->cx);
    for (int64_t k = 0; k < f->layer->filters; k++) {
        const double *h = f->h + k / per_group * size * size;
        choose_unknowns(f, k, w, bias, &u);
        bool again = k % per_group && is_alike(&u, &last);
        if (!again)
            set_up(f, &u, h, size, cheap);
        if (!again && cheap)
            good = factor(u.a, u.n);
        for (int64_t i = 0; i < u.n; i++) {
            bool is_bias = u.at[i] == f->w.p;
            v[i] = (double)(is_bias ? bias[k] : w[weight_at(f->layer, &f->w, k, u.at[i])]);
            u.b[i] = f->g[k * size + u.at[i]] + u.ridge[i] * v[i];
        }
        if (cheap && good) {
            solve(u.a, u.n, u.b);
            memcpy(v, u.b, (size_t)u.n * sizeof *v);
        } else {
            descend(&u, h, size, v);
        }
        for (int64_t i = 0; i < u.n; i++) {
            float *to = u.at[i] == f->w.p ? &bias[k] : &w[weight_at(f->layer, &f->w, k, u.at[i])];
            float fitted = (float)v[i];
            /* a weight that comes out as 0 was none of those pruned */
            *to = fitted - fitted == 0 && fitted != 0 ? fitted : *to;
        }
        last.n = u.n;
        memcpy(last.at, u.at, (size_t)u.n * sizeof *u.at);
        TRY(tl_check_cancel(f->layers.model->cx));
    }
    return TL_OK;
}

/* ---- a layer ---- */

static const float *load(fitting *f, const tl_const *c, int64_t n)
{
    float *w = tl_arena_push_raw(f->scratch, (size_t)n, sizeof *w);
    bool one = tl_const_count(c) == 1;
    tl_context *cx = f->layers.model->cx;
    if (!w || tl_const_read(cx, c, 0, one ? 1 : n, w, f->scratch) != TL_OK)
        return NULL;
    for (int64_t i = 1; i < n && one; i++)
        w[i] = w[0];
    return w;
}

static tl_status gather_moments(fitting *f)
{
    tl_sampling whole = {see_whole, count_sample, f}, pruned = {see_pruned, count_sample, f};
    f->rows = 0;
    f->sample = 0;
    TRY(tl_samples_run(f->whole.model, &f->samples, &whole));
    f->most_rows = f->rows;
    f->rows = 0;
    f->sample = 0;
    return tl_samples_run(f->layers.model, &f->samples, &pruned);
}

static tl_status hold(fitting *f)
{
    size_t size = (size_t)f->w.p + 1, filters = (size_t)f->layer->filters;
    size_t patch = (size_t)TL_MAX(f->w.p * f->w.groups, f->from_w.p * f->from_w.groups);
    f->most_rows = TL_MIN(TL_MAX(ROWS * f->w.p, (int64_t)LEAST_ROWS), (int64_t)MOST_ROWS);
    f->rows_per_sample = (f->most_rows + (int64_t)f->samples.n - 1) / (int64_t)f->samples.n;
    f->y = tl_arena_push_array(f->scratch, (size_t)f->most_rows, filters * sizeof *f->y);
    f->h = tl_arena_push_array(f->scratch, (size_t)f->w.groups * size, size * sizeof *f->h);
    f->g = tl_arena_push_array(f->scratch, filters, size * sizeof *f->g);
    f->block = tl_arena_push_array(f->scratch, BLOCK_ROWS, size * sizeof *f->block);
    f->patch = TL_NEW_ARRAY(f->scratch, float, patch);
    return tl_context_status(f->layers.model->cx);
}

static tl_status fit_layer(fitting *f)
{
    tl_model *model = f->layers.model;
    const tl_value *bias = tl_in(f->layer->node, f->layer->p.bias);
    const tl_value *from_bias = tl_in(f->from->node, f->from->p.bias);
    TRY(hold(f));
    f->from_weights = load(f, f->from->w->constant, f->from->n);
    f->from_bias = from_bias ? load(f, from_bias->constant, f->from->filters) : NULL;
    const float *old = bias ? load(f, bias->constant, f->layer->filters) : NULL;
    float *fitted = tl_layer_load(&f->layers, f->layer);
    float *shift =
        bias ? tl_arena_copy(f->scratch, old, (size_t)f->layer->filters * sizeof *old) : NULL;
    TRY(tl_context_status(model->cx));
    TRY(gather_moments(f));
    if (f->rows == 0) /* no sample comes here */
        return TL_OK;
    TRY(solve_filters(f, fitted, shift));
    if (bias)
        tl_node_set_input(f->layer->node, f->layer->p.bias,
                          tl_build_f32s(model, shift, 1, &f->layer->filters));
    return tl_layer_store(&f->layers, f->layer, fitted);
}

static bool may_be_fitted(fitting *f)
{
    const tl_layer *layer = f->layer;
    const tl_value *bias = tl_in(layer->node, layer->p.bias);
    if (layer->node->op == TL_OP_tfl_transpose_conv || !tl_has_one_use(layer->w) ||
        layer->node->graph != f->layers.model->entries.v[0].graph ||
        tl_in(layer->node, layer->p.x)->constant || (bias && !bias->constant))
        return false;
    set_window(&f->w, layer);
    set_window(&f->from_w, f->from);
    return f->w.p <= TL_FIT_WEIGHTS && layer->filters % f->w.groups == 0;
}

tl_status tl_fit(tl_model *model, tl_model *whole, const tl_fit_layer *layers, size_t n_layers,
                 const tl_samples *samples)
{
    static const tl_compress_options all;
    tl_arena arena, scratch;
    tl_arena_init(&arena, model->cx);
    tl_arena_init(&scratch, model->cx);
    size_t most = TL_MAX((size_t)LEAST_RUNS, MOST_RUNS / TL_MAX(n_layers, (size_t)1));
    fitting f = {.scratch = &scratch, .samples = {samples->v, TL_MIN(samples->n, most)}};
    tl_status status = tl_layers_find(&f.layers, model, &all, NULL, &arena);
    if (status == TL_OK)
        status = tl_layers_find(&f.whole, whole, &all, NULL, &arena);
    /* weights that several layers shared may have become several */
    bool paired = status == TL_OK && f.layers.list.n == n_layers && f.whole.list.n == n_layers;
    bool changed = false;
    for (size_t i = 0; i < n_layers && paired && status == TL_OK; i++) {
        f.layer = &f.layers.list.v[i];
        f.from = &f.whole.list.v[i];
        f.stays = layers[i].stays;
        changed = changed || layers[i].pruned;
        if (changed && may_be_fitted(&f))
            status = fit_layer(&f);
        tl_arena_release(&scratch);
        tl_progress(model->cx, "fitting", (double)(i + 1) / (double)n_layers);
    }
    tl_arena_release(&scratch);
    tl_arena_release(&arena);
    return status;
}
