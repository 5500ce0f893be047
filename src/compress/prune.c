/* Weights set to zero: those that change the results least. The score of a weight is |w| times the root mean square of
 * what it multiplies (Wanda, Sun et al. 2023), without samples |w| alone. */
#include "compress/fit.h"
#include "compress/structured.h"

#include "base/math.h"

#include <string.h>

/* ---- the k least of all scores, exactly, by counting: scores are not negative, so their bits are in their order ---- */

typedef struct selection {
    uint64_t *counts;    /* of 2^16 upper or lower halves */
    uint32_t upper;      /* the half of the last score that goes, */
    uint32_t last;       /* ... and the whole of it */
    uint64_t goes, ties; /* how many go; how many of those that equal the last do */
} selection;

static uint32_t bits_of(float score)
{
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    return bits;
}

static void count(selection *s, const float *scores, int64_t n, bool lower)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = bits_of(scores[i]);
        if (!lower)
            s->counts[bits >> 16]++;
        else if (bits >> 16 == s->upper)
            s->counts[bits & 0xffff]++;
    }
}

/* The half in which the number that goes last lies; *before: how many lie below. */
static uint32_t settle(selection *s, uint64_t *before)
{
    uint32_t k = 0;
    while (k < 0xffff && *before + s->counts[k] < s->goes)
        *before += s->counts[k++];
    memset(s->counts, 0, 0x10000 * sizeof *s->counts);
    return k;
}

static bool goes(selection *s, float score)
{
    uint32_t bits = bits_of(score);
    if (s->goes == 0 || bits > s->last)
        return false;
    if (bits < s->last)
        return true;
    return s->ties && s->ties--;
}

typedef struct pruning {
    tl_layers layers;
    const tl_compress_options *options;
    float **scores; /* per layer */
    selection selection;
} pruning;

/* ---- scores ---- */

/* Of what goes together: one weight, or a block of them. */
static int64_t unit_of(const pruning *p, const tl_layer *layer)
{
    bool blocks = p->options->prune == TL_PRUNE_BLOCKS && layer->inner % p->options->of == 0;
    return blocks ? p->options->of : 1;
}

static tl_status score(pruning *p, const tl_layer *layer, const float *w, float *scores)
{
    int64_t unit = unit_of(p, layer);
    bool magnitude = p->options->magnitude || !layer->x;
    double sum = 0;
    for (int64_t i = 0; i < layer->n; i += unit) {
        double square = 0;
        for (int64_t k = i; k < i + unit; k++)
            square += (double)w[k] * (double)w[k] * (magnitude ? 1 : tl_layer_square(layer, k));
        if (!(square < (double)INFINITY))
            return tl_fail(p->layers.model->cx, TL_M005, NULL,
                           "weights %s hold NaN or infinities, expected finite numbers to prune",
                           tl_layer_name(layer, p->layers.arena));
        scores[i / unit] = (float)tl_sqrt(square);
        sum += square;
    }
    /* the layer's own measure, so that layers can be compared */
    double unit_score = tl_sqrt(sum / (double)(layer->n / unit));
    for (int64_t i = 0; i < layer->n / unit && p->options->global && unit_score > 0; i++)
        scores[i] = (float)((double)scores[i] / unit_score);
    return TL_OK;
}

/* ---- one layer ---- */

static void drop_selected(pruning *p, const tl_layer *layer, const float *scores, float *w)
{
    int64_t unit = unit_of(p, layer);
    for (int64_t i = 0; i < layer->n / unit; i++)
        if (goes(&p->selection, scores[i]))
            memset(w + i * unit, 0, (size_t)unit * sizeof *w);
}

/* The `zeros` least of every `of` neighbours; of equals the first. What is left behind the last group stays. */
static void drop_of_groups(const pruning *p, const tl_layer *layer, const float *scores, float *w)
{
    int64_t of = p->options->of;
    for (int64_t row = 0; row < layer->n; row += layer->inner)
        for (int64_t i = row; i + of <= row + layer->inner; i += of)
            for (int64_t k = i; k < i + of; k++) {
                int64_t less = 0;
                for (int64_t m = i; m < i + of; m++)
                    less += scores[m] < scores[k] || (m < k && !(scores[m] > scores[k]));
                if (less < p->options->zeros)
                    w[k] = 0;
            }
}

static void select_least(selection *s, float *const *scores, const int64_t *n, size_t n_layers,
                         uint64_t k)
{
    uint64_t before = 0;
    *s = (selection){.counts = s->counts, .goes = k};
    for (size_t i = 0; i < n_layers; i++)
        count(s, scores[i], n[i], false);
    s->upper = settle(s, &before);
    for (size_t i = 0; i < n_layers; i++)
        count(s, scores[i], n[i], true);
    s->last = s->upper << 16 | settle(s, &before);
    s->ties = k - TL_MIN(before, k);
}

/* Something is left. */
static uint64_t part_of(double fraction, int64_t n)
{
    return (uint64_t)TL_MIN(tl_round_even(fraction * (double)n), (double)TL_MAX(n - 1, (int64_t)0));
}

static tl_status prune_layer(pruning *p, size_t i)
{
    tl_layer *layer = &p->layers.list.v[i];
    const tl_compress_options *o = p->options;
    float *w = tl_layer_load(&p->layers, layer);
    if (!w)
        return tl_context_status(p->layers.model->cx);
    if (!o->global) {
        int64_t n = layer->n / unit_of(p, layer);
        TRY(score(p, layer, w, p->scores[i]));
        select_least(&p->selection, &p->scores[i], &n, 1, part_of(layer->fraction, n));
    }
    if (o->prune == TL_PRUNE_N_OF_M)
        drop_of_groups(p, layer, p->scores[i], w);
    else
        drop_selected(p, layer, p->scores[i], w);
    return tl_layer_store(&p->layers, layer, w);
}

/* ---- all layers ---- */

static bool is_pruned(const tl_layer *layer)
{
    return layer->fraction > 0;
}

static tl_status hold_scores(pruning *p)
{
    int64_t most = 0;
    p->scores = TL_NEW_ARRAY(p->layers.arena, float *, p->layers.list.n);
    p->selection.counts = TL_NEW_ARRAY(p->layers.arena, uint64_t, 0x10000);
    for (size_t i = 0; i < p->layers.list.n; i++)
        most = TL_MAX(most, p->layers.list.v[i].n);
    float *shared = p->options->global
                        ? NULL
                        : tl_arena_push_raw(p->layers.arena, (size_t)most, sizeof *shared);
    for (size_t i = 0; i < p->layers.list.n && p->scores; i++)
        p->scores[i] = shared ? shared
                              : tl_arena_push_raw(p->layers.arena, (size_t)p->layers.list.v[i].n,
                                                  sizeof *shared);
    return tl_context_status(p->layers.model->cx);
}

/* Scores of all layers, and which of them go. */
static tl_status select_of_all(pruning *p)
{
    size_t n = p->layers.list.n, n_pruned = 0;
    int64_t *counts = TL_NEW_ARRAY(p->layers.arena, int64_t, n);
    float **scores = TL_NEW_ARRAY(p->layers.arena, float *, n);
    int64_t whole = 0;
    if (!counts || !scores)
        return tl_context_status(p->layers.model->cx);
    for (size_t i = 0; i < n; i++) {
        const tl_layer *layer = &p->layers.list.v[i];
        if (!is_pruned(layer))
            continue;
        tl_arena scratch;
        tl_arena_init(&scratch, p->layers.model->cx);
        float *w = tl_arena_push_raw(&scratch, (size_t)layer->n, sizeof *w);
        tl_status status =
            w ? tl_const_read(p->layers.model->cx, layer->w->constant, 0, layer->n, w, &scratch)
              : tl_context_status(p->layers.model->cx);
        if (status == TL_OK)
            status = score(p, layer, w, p->scores[i]);
        tl_arena_release(&scratch);
        TRY(status);
        counts[n_pruned] = layer->n / unit_of(p, layer);
        scores[n_pruned++] = p->scores[i];
        whole += counts[n_pruned - 1];
    }
    select_least(&p->selection, scores, counts, n_pruned, part_of(p->options->fraction, whole));
    return TL_OK;
}

/* What is left makes good what went. whole: the model before, NULL: nothing is fitted. */
static tl_status fit(pruning *p, tl_model *whole, const tl_samples *samples)
{
    tl_fit_layer *layers = TL_NEW_ARRAY(p->layers.arena, tl_fit_layer, p->layers.list.n);
    if (!whole || !layers)
        return tl_context_status(p->layers.model->cx);
    for (size_t i = 0; i < p->layers.list.n; i++)
        layers[i].pruned = is_pruned(&p->layers.list.v[i]);
    return tl_fit(p->layers.model, whole, layers, p->layers.list.n, samples);
}

#define ROUNDS 4

/* Part of the weights that goes by round i: large steps first, for what goes late had most time to be made good. */
static double part_by(double fraction, int i)
{
    double left = 1 - (double)i / ROUNDS;
    return fraction * (1 - left * left * left);
}

static tl_status prune_round(pruning *p, tl_model *whole, const tl_samples *samples)
{
    tl_model *model = p->layers.model;
    TRY(tl_layers_find(&p->layers, model, p->options, samples, p->layers.arena));
    TRY(hold_scores(p));
    if (p->options->global)
        TRY(select_of_all(p));
    for (size_t i = 0; i < p->layers.list.n; i++) {
        if (is_pruned(&p->layers.list.v[i]))
            TRY(prune_layer(p, i));
        TRY(tl_check_cancel(model->cx));
    }
    return fit(p, whole, samples);
}

/* In several rounds where what is left is fitted: the scores of the next one are those of weights that have taken over. */
static tl_status prune_weights(tl_model *model, const tl_compress_options *options, tl_model *whole,
                               const tl_samples *samples)
{
    bool once = !whole || options->prune == TL_PRUNE_N_OF_M;
    for (int i = once ? ROUNDS : 1; i <= ROUNDS; i++) {
        tl_arena arena;
        tl_compress_options now = *options;
        tl_arena_init(&arena, model->cx);
        tl_prune_layer *layers = TL_NEW_ARRAY(&arena, tl_prune_layer, options->n_layers + 1);
        for (size_t k = 0; k < options->n_layers && layers; k++)
            layers[k] =
                (tl_prune_layer){options->layers[k].name, part_by(options->layers[k].fraction, i)};
        now.fraction = part_by(options->fraction, i);
        now.layers = layers;
        pruning p = {.layers = {.model = model, .arena = &arena}, .options = &now};
        tl_status status = layers ? prune_round(&p, whole, samples) : tl_context_status(model->cx);
        tl_arena_release(&arena);
        TRY(status);
    }
    return TL_OK;
}

tl_status tl_compress_prune(tl_model *model, const tl_compress_options *options,
                            const tl_samples *samples)
{
    tl_arena arena;
    if (options->prune == TL_PRUNE_NONE)
        return TL_OK;
    tl_arena_init(&arena, model->cx);
    bool fits = samples && samples->n && !options->plain;
    tl_model *whole = fits ? tl_model_copy(model, &arena) : NULL;
    tl_status status = tl_context_status(model->cx);
    if (status == TL_OK)
        status = options->prune == TL_PRUNE_CHANNELS
                     ? tl_prune_channels(model, options, samples, whole)
                     : prune_weights(model, options, whole, samples);
    if (whole)
        tl_model_release(whole);
    tl_arena_release(&arena);
    return status;
}
