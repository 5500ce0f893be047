/* Whole channels removed. Classes of tied channels (channels.h) that are made by the same layers are a family; of each family
 * the same part goes, those whose going changes the results least: the energy that the layers which read a channel give
 * to it, |w|^2 times the mean square of the channel, as a part of their whole. Without samples it is |w|^2 alone, times that of
 * the filters that make the channel. */
#include "compress/structured.h"

#include "compress/fit.h"

#include "base/map.h"
#include "base/math.h"

#include <stdlib.h>
#include <string.h>

typedef struct candidate {
    uint32_t root;
    uint64_t family; /* hash of the layers that make it */
    uint64_t part;   /* hash of the groups that it stands in */
    double score, fraction;
} candidate;

typedef struct choosing {
    tl_channels channels;
    tl_layers layers;
    const tl_compress_options *options;
    double *read, *made;     /* energy by root */
    uint64_t *family, *part; /* by root */
    double *fraction;        /* by root; negative: no layer makes it */
    TL_VEC(candidate) candidates;
} choosing;

/* ---- scores ---- */

/* Of filters and of what they read, as parts of the layer's whole. */
static tl_status add_energy(choosing *k, const tl_layer *layer)
{
    const tl_channels *c = &k->channels;
    const tl_value *x = tl_in(layer->node, layer->p.x), *y = layer->node->out[0];
    uint32_t n = tl_channels_of(c, x), m = tl_channels_of(c, y);
    tl_arena scratch;
    tl_arena_init(&scratch, c->model->cx);
    float *w = tl_arena_push_raw(&scratch, (size_t)layer->n, sizeof *w);
    double *in = TL_NEW_ARRAY(&scratch, double, n + 1),
           *out = TL_NEW_ARRAY(&scratch, double, m + 1);
    double whole = 0, bare = 0;
    tl_status status =
        w && in && out ? tl_const_read(c->model->cx, layer->w->constant, 0, layer->n, w, &scratch)
                       : tl_context_status(c->model->cx);
    for (int64_t i = 0; i < layer->n && status == TL_OK; i++) {
        double square = (double)w[i] * (double)w[i];
        double energy = k->options->magnitude ? square : square * tl_layer_square(layer, i);
        in[tl_layer_channel(layer, i)] += energy;
        out[tl_layer_filter(layer, i)] += square;
        whole += energy;
        bare += square;
    }
    if (status == TL_OK && !(bare < (double)INFINITY))
        status = tl_fail(c->model->cx, TL_M005, NULL,
                         "weights %s hold NaN or infinities, expected finite numbers to prune",
                         tl_layer_name(layer, k->layers.arena));
    for (uint32_t i = 0; i < n && status == TL_OK && !layer->multiplier && whole > 0; i++)
        k->read[tl_channel_root(c, x, i)] += in[i] / whole;
    for (uint32_t i = 0; i < m && status == TL_OK && bare > 0; i++)
        k->made[tl_channel_root(c, y, i)] += out[i] / bare;
    tl_arena_release(&scratch);
    return status;
}

/* Tied weights are one layer, used by several nodes. */
static tl_status add_layer(choosing *k, const tl_layer *layer)
{
    for (const tl_use *use = layer->w->uses; use; use = use->next) {
        tl_layer one = *layer;
        one.node = use->user;
        const tl_value *x = tl_in(one.node, one.p.x);
        if (!x || !tl_channels_of(&k->channels, x) ||
            !tl_channels_of(&k->channels, one.node->out[0]))
            continue;
        TRY(add_energy(k, &one));
    }
    return TL_OK;
}

/* ---- families ---- */

static void add_family(choosing *k, const tl_layer *layer)
{
    const tl_channels *c = &k->channels;
    const tl_value *y = layer->node->out[0];
    for (uint32_t i = 0; i < tl_channels_of(c, y) && !layer->multiplier; i++) {
        uint32_t root = tl_channel_root(c, y, i);
        uint64_t word = y->id;
        k->family[root] += tl_hash_bytes(&word, sizeof word, 1);
        bool first = k->fraction[root] < 0;
        k->fraction[root] = first ? layer->fraction : TL_MIN(k->fraction[root], layer->fraction);
    }
}

static void add_parts(choosing *k)
{
    const tl_channels *c = &k->channels;
    for (size_t j = 0; j < c->parts.n; j++) {
        uint32_t n = tl_channels_of(c, c->parts.v[j].value);
        uint32_t size = n / (uint32_t)c->parts.v[j].groups;
        for (uint32_t i = 0; i < n; i++) {
            uint64_t word[2] = {j, i / size};
            k->part[tl_channel_root(c, c->parts.v[j].value, i)] +=
                tl_hash_bytes(word, sizeof word, 1);
        }
    }
}

static int compare_candidates(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->family != y->family)
        return x->family < y->family ? -1 : 1;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    if (x->score < y->score || x->score > y->score)
        return x->score < y->score ? -1 : 1;
    return (x->root > y->root) - (x->root < y->root);
}

/* Those of one family that stand in the same groups: n of them from v on. */
static size_t same_part(const candidate *v, size_t n)
{
    size_t i = 1;
    while (i < n && v[i].family == v->family && v[i].part == v->part)
        i++;
    return i;
}

/* The least of a family go, of each of its parts as many as of the others; a family whose parts are not equal stays. */
static void choose_of_family(choosing *k, const candidate *v, size_t n)
{
    size_t size = same_part(v, n);
    for (size_t at = 0; at < n; at += size)
        if (at + size > n || same_part(v + at, n - at) != size)
            return;
    double going = tl_round_even(v->fraction * (double)size);
    size_t gone = (size_t)TL_MIN(going, (double)(size - 1));
    for (size_t at = 0; at < n; at += size)
        for (size_t i = 0; i < gone; i++)
            k->channels.gone[v[at + i].root] = true;
}

static tl_status choose(choosing *k)
{
    tl_channels *c = &k->channels;
    k->candidates.n = 0;
    memset(c->gone, 0, c->n * sizeof *c->gone);
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->parent[i] != i || c->pinned[i] || k->fraction[i] < 0)
            continue;
        bool weighs = k->layers.list.v[0].x && !k->options->magnitude;
        candidate one = {i, k->family[i], k->part[i], weighs ? k->read[i] : k->read[i] * k->made[i],
                         k->fraction[i]};
        if (!tl_vec_push(k->layers.arena, &k->candidates, one))
            return tl_context_status(c->model->cx);
    }
    const candidate *v = k->candidates.v;
    size_t n = k->candidates.n;
    if (n)
        qsort(k->candidates.v, n, sizeof *v, compare_candidates);
    for (size_t at = 0, end; at < n; at = end) {
        end = at + 1;
        while (end < n && v[end].family == v[at].family)
            end++;
        choose_of_family(k, v + at, end - at);
    }
    return TL_OK;
}

/* Groups that channels of several families stand in may be left with different numbers; then they stay. */
static bool pin_uneven(choosing *k)
{
    tl_channels *c = &k->channels;
    bool pinned = false;
    for (size_t j = 0; j < c->parts.n; j++) {
        const tl_value *value = c->parts.v[j].value;
        uint32_t n = tl_channels_of(c, value), size = n / (uint32_t)c->parts.v[j].groups;
        uint32_t of_first = 0, left = 0;
        bool even = true;
        for (uint32_t i = 0; i < n; i++) {
            left += tl_channel_stays(c, value, i);
            if (i % size != size - 1)
                continue;
            of_first = i < size ? left : of_first;
            even = even && left == of_first;
            left = 0;
        }
        if (!even) {
            tl_channels_pin(c, value);
            pinned = true;
        }
    }
    return pinned;
}

/* ---- all ---- */

static bool makes_fewer(const choosing *k, const tl_layer *layer)
{
    const tl_value *y = layer->node->out[0];
    return tl_channels_left(&k->channels, y) < tl_channels_of(&k->channels, y);
}

static tl_status hold(choosing *k)
{
    size_t n = (size_t)k->channels.n + 1;
    k->read = TL_NEW_ARRAY(k->layers.arena, double, n);
    k->made = TL_NEW_ARRAY(k->layers.arena, double, n);
    k->fraction = TL_NEW_ARRAY(k->layers.arena, double, n);
    k->family = TL_NEW_ARRAY(k->layers.arena, uint64_t, n);
    k->part = TL_NEW_ARRAY(k->layers.arena, uint64_t, n);
    for (size_t i = 0; i < n && k->fraction; i++)
        k->fraction[i] = -1;
    return tl_context_status(k->channels.model->cx);
}

/* Says what stays whole. */
static tl_status tell(const choosing *k)
{
    size_t n = 0, whole = 0;
    for (size_t i = 0; i < k->layers.list.n; i++) {
        const tl_layer *layer = &k->layers.list.v[i];
        if (layer->multiplier || !(layer->fraction > 0))
            continue;
        n++;
        whole += !makes_fewer(k, layer);
    }
    if (whole == n)
        return tl_fail(k->channels.model->cx, TL_O001, NULL,
                       "no layer can lose channels: all of them reach an output, or an operator "
                       "that needs every channel; expected --prune without :structured");
    if (whole)
        tl_warn(k->channels.model->cx, TL_N003, NULL,
                "%zu of %zu layers keep all their channels, which reach an output or an operator "
                "that needs every one",
                whole, n);
    return TL_OK;
}

/* Which filters of every layer are left. */
static tl_fit_layer *filters_left(const choosing *k)
{
    tl_fit_layer *layers = TL_NEW_ARRAY(k->layers.arena, tl_fit_layer, k->layers.list.n);
    for (size_t i = 0; i < k->layers.list.n && layers; i++) {
        const tl_layer *layer = &k->layers.list.v[i];
        const tl_value *y = layer->node->out[0], *x = tl_in(layer->node, layer->p.x);
        uint32_t n = tl_channels_of(&k->channels, y), m = tl_channels_of(&k->channels, x);
        bool *stays = n ? TL_NEW_ARRAY(k->layers.arena, bool, n) : NULL;
        for (uint32_t f = 0; f < n && stays; f++)
            stays[f] = tl_channel_stays(&k->channels, y, f);
        layers[i] = (tl_fit_layer){stays, tl_channels_left(&k->channels, y) < n ||
                                              tl_channels_left(&k->channels, x) < m};
    }
    return layers;
}

static tl_status prune_channels(choosing *k, const tl_samples *samples, tl_model *whole)
{
    tl_model *model = k->channels.model;
    TRY(tl_layers_find(&k->layers, model, k->options, samples, k->layers.arena));
    TRY(tl_channels_find(&k->channels, model, k->layers.arena));
    TRY(hold(k));
    for (size_t i = 0; i < k->layers.list.n; i++) {
        TRY(add_layer(k, &k->layers.list.v[i]));
        add_family(k, &k->layers.list.v[i]);
    }
    add_parts(k);
    do {
        TRY(tl_check_cancel(model->cx));
        TRY(choose(k));
    } while (pin_uneven(k));
    TRY(tell(k));
    const tl_fit_layer *left = whole ? filters_left(k) : NULL;
    TRY(tl_channels_cut(&k->channels));
    return left ? tl_fit(model, whole, left, k->layers.list.n, samples)
                : tl_context_status(model->cx);
}

tl_status tl_prune_channels(tl_model *model, const tl_compress_options *options,
                            const tl_samples *samples, tl_model *whole)
{
    tl_arena arena;
    tl_arena_init(&arena, model->cx);
    choosing k = {.channels = {.model = model}, .layers = {.arena = &arena}, .options = options};
    tl_status status = prune_channels(&k, samples, whole);
    tl_arena_release(&arena);
    return status;
}
