/* Named tensors: npz and npy files, pictures, seeded random values. */
#include "api/api.h"

#include "base/half.h"
#include "base/math.h"
#include "codec/image.h"
#include "codec/npy.h"
#include "pass/pass.h"

#include <string.h>

tl_status tl_arrays_new(tl_context *cx, tl_arrays **out)
{
    tl_arrays *arrays = tl_mem_alloc(cx, sizeof *arrays);
    *out = arrays;
    if (!arrays)
        return tl_context_status(cx);
    arrays->cx = cx;
    arrays->name = "";
    tl_arena_init(&arrays->arena, cx);
    return TL_OK;
}

void tl_arrays_free(tl_arrays *arrays)
{
    if (!arrays)
        return;
    tl_arena_release(&arrays->arena);
    tl_mem_free(arrays->cx, arrays, sizeof *arrays);
}

tl_dtype api_dtype(const char *name)
{
    tl_dtype dtype = TL_F32;
    tl_dtype_find(tl_str_from(name), &dtype);
    return dtype;
}

size_t tl_arrays_count(const tl_arrays *arrays)
{
    return arrays->list.n;
}

tl_array tl_arrays_get(const tl_arrays *arrays, size_t index)
{
    return arrays->list.v[index];
}

/* Makes an array of dtype and shape with room for its data, which is not yet set. */
static tl_status push_array(tl_arrays *arrays, const char *name, tl_dtype dtype, int rank,
                            const int64_t *shape, void **data)
{
    tl_context *cx = arrays->cx;
    tl_str label = tl_str_copy(&arrays->arena, tl_str_from(name));
    int64_t count = 1;
    uint64_t size;
    for (int i = 0; i < rank; i++)
        if (shape[i] < 0 || !tl_mul_i64(count, shape[i], &count))
            return tl_fail(cx, TL_M005, NULL, "array %s: too large", name);
    if (!tl_dtype_size(dtype, count, &size))
        return tl_fail(cx, TL_M005, NULL, "array %s: too large", name);
    int64_t *dims = TL_NEW_ARRAY(&arrays->arena, int64_t, rank + 1);
    void *bytes = tl_arena_push(&arrays->arena, size ? size : 1);
    if (!label.p || !dims || !bytes)
        return tl_context_status(cx);
    memcpy(dims, shape, (size_t)rank * sizeof *dims);
    tl_array array = {label.p, tl_dtype_name(dtype), rank, dims, bytes, size};
    if (!tl_vec_push(&arrays->arena, &arrays->list, array))
        return tl_context_status(cx);
    *data = bytes;
    return TL_OK;
}

tl_status tl_arrays_add(tl_arrays *arrays, const tl_array *array)
{
    tl_dtype dtype;
    void *data;
    if (!tl_dtype_find(tl_str_from(array->dtype), &dtype))
        return tl_fail(arrays->cx, TL_O001, NULL, "array %s: \"%s\" is no element type",
                       array->name, array->dtype);
    TRY(push_array(arrays, array->name, dtype, array->rank, array->shape, &data));
    if (arrays->list.v[arrays->list.n - 1].size != array->size)
        return tl_fail(arrays->cx, TL_O001, NULL,
                       "array %s: %zu bytes do not fit its type and shape", array->name,
                       array->size);
    memcpy(data, array->data, array->size);
    return TL_OK;
}

/* ---- npz and npy ---- */

tl_status tl_arrays_read(tl_context *cx, const char *path, tl_arrays **out)
{
    tl_arrays *arrays;
    tl_file *file = NULL;
    TRY(tl_arrays_new(cx, &arrays));
    *out = NULL;
    tl_npz list = {0};
    tl_status status = tl_file_open(cx, path, &file);
    if (status == TL_OK)
        status = tl_npz_read(cx, file, &arrays->arena, &list);
    for (size_t i = 0; status == TL_OK && i < list.n; i++) {
        const tl_npy *a = &list.v[i];
        uint64_t size;
        int64_t count = 1;
        for (int k = 0; k < a->rank; k++)
            count *= a->shape[k];
        tl_dtype_size(a->dtype, count, &size);
        tl_array array = {tl_str_copy(&arrays->arena, a->name).p,
                          tl_dtype_name(a->dtype),
                          a->rank,
                          a->shape,
                          a->data,
                          size};
        if (!array.name || !tl_vec_push(&arrays->arena, &arrays->list, array))
            status = tl_context_status(cx);
    }
    if (file)
        tl_file_unref(file);
    arrays->name = tl_str_copy(&arrays->arena, tl_str_from(path)).p;
    size_t n = strlen(path);
    arrays->lone = list.n == 1 && n > 4 && !strcmp(path + n - 4, ".npy");
    if (!arrays->name)
        status = tl_context_status(cx);
    if (status == TL_OK)
        *out = arrays;
    else
        tl_arrays_free(arrays);
    return status;
}

/* The elements as the file has them: those of less than a byte get one each. */
static const void *stored_elements(tl_arena *arena, const tl_array *a, tl_dtype dtype)
{
    tl_dtype stored = api_stored_dtype(dtype);
    int64_t n = 1;
    if (stored == dtype)
        return a->data;
    for (int i = 0; i < a->rank; i++)
        n *= a->shape[i]; /* of an array in memory: no overflow */
    void *data = tl_arena_push(arena, (size_t)n + 1);
    for (int64_t i = 0; data && i < n; i++)
        tl_dtype_set_i64(stored, data, i, tl_dtype_get_i64(dtype, a->data, i));
    return data;
}

tl_status tl_arrays_write(tl_context *cx, const tl_arrays *arrays, const char *path)
{
    tl_arena arena;
    tl_arena_init(&arena, cx);
    tl_npy *list = TL_NEW_ARRAY(&arena, tl_npy, arrays->list.n + 1);
    tl_out *out = NULL;
    tl_status status = list ? tl_out_open(cx, path, &out) : tl_context_status(cx);
    for (size_t i = 0; list && i < arrays->list.n; i++) {
        const tl_array *a = &arrays->list.v[i];
        tl_dtype dtype = api_dtype(a->dtype);
        list[i] = (tl_npy){.name = tl_str_from(a->name),
                           .dtype = api_stored_dtype(dtype),
                           .rank = a->rank,
                           .data = stored_elements(&arena, a, dtype)};
        memcpy(list[i].shape, a->shape, (size_t)a->rank * sizeof *a->shape);
    }
    if (status == TL_OK)
        status = tl_npz_write(cx, out, list, arrays->list.n);
    if (status == TL_OK)
        status = tl_out_commit(out, false);
    else if (out)
        tl_out_abort(out);
    tl_arena_release(&arena);
    return status;
}

/* ---- pictures ---- */

void tl_picture_options_init(tl_picture_options *options)
{
    *options = (tl_picture_options){.struct_size = sizeof *options};
}

/* The image an input wants: channels first or last, sizes 0 where open. */
typedef struct picture_slot {
    bool channels_first;
    int64_t channels, h, w;
} picture_slot;

static bool is_channel_count(const tl_dim *d)
{
    return tl_dim_is(d, 1) || tl_dim_is(d, 3);
}

static tl_status find_slot(tl_context *cx, const tl_network *network, const tl_type *type,
                           const char *name, picture_slot *slot)
{
    const tl_where where = {.file = network->name};
    bool first = type->rank == 4 && is_channel_count(type->dims[1]);
    bool last = type->rank == 4 && is_channel_count(type->dims[3]);
    if (!first && !last)
        return tl_fail(cx, TL_O004, &where,
                       "input %s takes no picture, expected rank 4 with 1 or 3 channels", name);
    bool stored = type->dtype == TL_I8 && type->quant;
    if (type->dtype != TL_F32 && type->dtype != TL_U8 && !stored)
        return tl_fail(cx, TL_O004, &where,
                       "input %s takes no picture, expected type f32, u8 or quantised i8, found %s",
                       name, tl_dtype_name(type->dtype));
    if (first && last)
        first = network->model->legal == TL_LEGAL_CORE;
    slot->channels_first = first;
    int64_t sizes[4] = {0};
    for (int i = 0; i < 4; i++)
        if (!tl_dim_is_const(type->dims[i], &sizes[i]))
            sizes[i] = 0;
    slot->channels = sizes[first ? 1 : 3];
    slot->h = sizes[first ? 2 : 1];
    slot->w = sizes[first ? 3 : 2];
    return TL_OK;
}

/* Bilinear, sample centres aligned (half pixel). x: [h, w, c] to y: [h2, w2, c], both 0..255. */
static void resize_picture(const float *x, int h, int w, int c, float *y, int h2, int w2)
{
    for (int i = 0; i < h2; i++) {
        double v = TL_MAX((i + 0.5) * h / h2 - 0.5, 0.0);
        int i0 = TL_MIN((int)v, h - 1), i1 = TL_MIN(i0 + 1, h - 1);
        for (int j = 0; j < w2; j++) {
            double u = TL_MAX((j + 0.5) * w / w2 - 0.5, 0.0);
            int j0 = TL_MIN((int)u, w - 1), j1 = TL_MIN(j0 + 1, w - 1);
            double a = v - i0, b = u - j0;
            for (int k = 0; k < c; k++) {
                double top = (double)x[(i0 * w + j0) * c + k] * (1 - b) +
                             (double)x[(i0 * w + j1) * c + k] * b;
                double low = (double)x[(i1 * w + j0) * c + k] * (1 - b) +
                             (double)x[(i1 * w + j1) * c + k] * b;
                y[(i * w2 + j) * c + k] = (float)(top * (1 - a) + low * a);
            }
        }
    }
}

/* A decoded picture as floats 0..255, with c channels. */
typedef struct picture {
    int h, w, c;
    float *data; /* [h, w, c] */
} picture;

static float channel_of(const tl_image *image, int pixel, int k, int c)
{
    const uint8_t *p = image->data + (size_t)pixel * (size_t)image->channels;
    if (image->channels == c)
        return (float)p[k];
    if (c == 3)
        return (float)p[0];
    return (float)tl_round_even(0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]); /* luma of BT.601 */
}

static tl_status read_picture(tl_context *cx, tl_arena *arena, const char *path, int c,
                              const tl_picture_options *o, picture *out)
{
    tl_file *file;
    tl_image image;
    TRY(tl_file_open(cx, path, &file));
    tl_status status = tl_image_read(cx, file, arena, &image);
    tl_file_unref(file);
    TRY(status);
    size_t n = (size_t)image.w * (size_t)image.h;
    float *data = TL_NEW_ARRAY(arena, float, n *(size_t)c);
    if (!data)
        return tl_context_status(cx);
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < c; k++)
            data[i * (size_t)c + (size_t)k] = channel_of(&image, (int)i, k, c);
    *out = (picture){image.h, image.w, c, data};
    if (o->resize_h > 0) {
        float *sized =
            TL_NEW_ARRAY(arena, float, (size_t)o->resize_h *(size_t)o->resize_w *(size_t)c);
        if (!sized)
            return tl_context_status(cx);
        resize_picture(data, out->h, out->w, c, sized, o->resize_h, o->resize_w);
        *out = (picture){o->resize_h, o->resize_w, c, sized};
    }
    if (o->crop_h > 0) {
        if (o->crop_h > out->h || o->crop_w > out->w)
            return tl_fail(cx, TL_O004, &(tl_where){.file = path},
                           "--crop %dx%d of a picture of %dx%d", o->crop_h, o->crop_w, out->h,
                           out->w);
        int top = (out->h - o->crop_h) / 2, left = (out->w - o->crop_w) / 2;
        for (int i = 0; i < o->crop_h; i++)
            memmove(out->data + (size_t)(i * o->crop_w * c),
                    out->data + (size_t)(((top + i) * out->w + left) * c),
                    (size_t)(o->crop_w * c) * sizeof(float));
        out->h = o->crop_h;
        out->w = o->crop_w;
    }
    return TL_OK;
}

/* A real number as an input of i8 or u8 stores it. */
static void store_real(const tl_type *type, double real, void *data, size_t at)
{
    int64_t lo, hi;
    double scale = (double)type->quant->scale[0];
    double zero = type->quant->zero ? (double)type->quant->zero[0] : 0;
    tl_dtype_range(type->dtype, &lo, &hi);
    double q = scale > 0 ? tl_round_away(real / scale) + zero : zero;
    q = TL_MAX(TL_MIN(q, (double)hi), (double)lo);
    tl_dtype_set_i64(type->dtype, data, (int64_t)at, (int64_t)q);
}

/* Inputs of u8 take pixels as they are, unless a mean or deviation says what their numbers stand for. */
static void store_picture(const picture *p, const picture_slot *slot, const tl_picture_options *o,
                          const tl_type *type, void *data, size_t index)
{
    size_t plane = (size_t)p->h * (size_t)p->w, c = (size_t)p->c;
    tl_dtype dtype = type->dtype;
    bool real = type->quant && (dtype == TL_I8 || o->mean[0] != 0 || o->std[0] != 0);
    for (size_t i = 0; i < plane; i++)
        for (size_t k = 0; k < c; k++) {
            size_t at = index * plane * c + (slot->channels_first ? k * plane + i : i * c + k);
            double x = (double)p->data[i * c + k];
            double std = o->std[k] != 0 ? o->std[k] : 1;
            double normal = ((o->raw ? x : x / 255) - o->mean[k]) / std;
            if (real) {
                store_real(type, normal, data, at);
                continue;
            }
            if (dtype == TL_U8) {
                ((uint8_t *)data)[at] = (uint8_t)tl_round_even(x);
                continue;
            }
            ((float *)data)[at] = (float)normal;
        }
}

tl_status tl_arrays_add_pictures(tl_arrays *arrays, tl_network *network, size_t index,
                                 const char *const *paths, size_t n,
                                 const tl_picture_options *options)
{
    tl_context *cx = arrays->cx;
    const tl_entry *entry;
    tl_picture_options o = *options;
    TRY(api_entry(cx, network->model, NULL, &entry));
    if (index >= entry->n_in || n == 0)
        return tl_fail(cx, TL_O002, &(tl_where){.file = network->name},
                       "no input %zu for a picture", index);
    const tl_type *type = tl_type_of(entry->graph->inputs.v[index]);
    const char *name = entry->in_names[index].p;
    picture_slot slot = {0};
    TRY(find_slot(cx, network, type, name, &slot));
    void *data = NULL;
    picture first = {0};
    for (size_t i = 0; i < n; i++) {
        tl_arena scratch;
        tl_arena_init(&scratch, cx);
        picture p = {0};
        tl_status status = read_picture(cx, &scratch, paths[i], (int)slot.channels, &o, &p);
        if (status == TL_OK && ((slot.h && p.h != slot.h) || (slot.w && p.w != slot.w)))
            status = tl_fail(
                cx, TL_O004, &(tl_where){.file = paths[i]},
                "a picture of %dx%d for input %s, expected %lldx%lld; --resize HxW makes it fit",
                p.h, p.w, name, (long long)slot.h, (long long)slot.w);
        if (status == TL_OK && i > 0 && (p.h != first.h || p.w != first.w))
            status = tl_fail(cx, TL_O004, &(tl_where){.file = paths[i]},
                             "a picture of %dx%d after one of %dx%d; --resize HxW makes them alike",
                             p.h, p.w, first.h, first.w);
        if (status == TL_OK && i == 0) {
            first = p;
            /* a fixed batch that is not n: independent samples, one axis more */
            int64_t batch, shape[5] = {(int64_t)n, 0, 0, 0, 0};
            int at = 1;
            if (tl_dim_is_const(type->dims[0], &batch) && batch != (int64_t)n) {
                if (batch != 1)
                    status = tl_fail(cx, TL_O004, &(tl_where){.file = network->name},
                                     "input %s takes %lld pictures at once, found %zu", name,
                                     (long long)batch, n);
                shape[at++] = 1;
            }
            if (slot.channels_first)
                shape[at++] = p.c;
            shape[at++] = p.h;
            shape[at++] = p.w;
            if (!slot.channels_first)
                shape[at++] = p.c;
            if (status == TL_OK)
                status = push_array(arrays, name, type->dtype, at, shape, &data);
        }
        if (status == TL_OK)
            store_picture(&p, &slot, &o, type, data, i);
        tl_arena_release(&scratch);
        TRY(status);
    }
    return TL_OK;
}

/* ---- random values ---- */

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Standard normal, by Box and Muller. */
static double next_normal(uint64_t *state)
{
    double u = ((double)(next_random(state) >> 11) + 1) * 0x1p-53,
           v = (double)(next_random(state) >> 11) * 0x1p-53;
    return tl_sqrt(-2 * tl_log(u)) * tl_cos(6.283185307179586 * v);
}

#define MANY_ELEMENTS \
    ((int64_t)1 << 24) /* of an input: open dims are chosen smaller to stay below */

/* A size for an open dim's symbol: its hint (or 2 for a first axis, else `most`), its least or
 * greatest. */
static int64_t symbol_size(const tl_symbol *s, int which, int64_t most)
{
    int64_t hint = s->hint ? s->hint : s->axis == 0 ? TL_MIN(2, most) : most;
    int64_t lo = TL_MAX(s->range.lo, 1), hi = TL_MIN(s->range.hi, TL_MAX(2 * hint, lo));
    if (which == 1)
        return lo;
    return which == 2 ? hi : TL_MIN(TL_MAX(hint, lo), hi);
}

static void choose_sizes(const tl_model *model, int which, int64_t most, int64_t *values)
{
    for (size_t i = 0; i < tl_dims_n_symbols(model->dims); i++)
        values[i] = symbol_size(tl_dims_get_symbol(model->dims, i), which, most);
    for (size_t i = 0; i < model->assumptions.n; i++) {
        const tl_symbol *symbol;
        int64_t only;
        if (tl_pass_pinned(model, i, &symbol, &only))
            values[symbol->id] = only;
    }
}

static bool has_many_elements(const tl_entry *entry, const int64_t *values)
{
    for (size_t k = 0; k < entry->n_in; k++) {
        const tl_type *type = tl_type_of(entry->graph->inputs.v[k]);
        int64_t n = 1, size;
        for (int i = 0; i < type->rank; i++)
            if (!tl_dim_eval(type->dims[i], values, &size) || !tl_mul_i64(n, size, &n) ||
                n > MANY_ELEMENTS)
                return true;
    }
    return false;
}

static tl_status fill_randomly(tl_arrays *arrays, const tl_entry *entry, size_t k,
                               const int64_t *values, uint64_t state)
{
    const tl_type *type = tl_type_of(entry->graph->inputs.v[k]);
    int64_t shape[TL_MAX_RANK], count = 1;
    void *data;
    for (int i = 0; i < type->rank; i++)
        if (!tl_dim_eval(type->dims[i], values, &shape[i]))
            return tl_fail(arrays->cx, TL_O004, NULL, "no random values for input %s",
                           entry->in_names[k].p);
    TRY(push_array(arrays, entry->in_names[k].p, type->dtype, type->rank, shape, &data));
    for (int i = 0; i < type->rank; i++)
        count *= shape[i];
    for (int64_t i = 0; i < count; i++) {
        if (tl_dtype_is_float(type->dtype))
            tl_dtype_set_f64(type->dtype, data, i, next_normal(&state));
        else
            tl_dtype_set_i64(type->dtype, data, i,
                             (int64_t)(next_random(&state) % (type->dtype == TL_BOOL ? 2 : 4)));
    }
    return TL_OK;
}

tl_status api_add_random(tl_arrays *arrays, const tl_entry *entry, uint64_t seed, int which)
{
    const tl_model *model = entry->graph->model;
    int64_t *values = TL_NEW_ARRAY(&arrays->arena, int64_t, tl_dims_n_symbols(model->dims) + 1);
    if (!values)
        return tl_context_status(arrays->cx);
    int64_t most = 64;
    for (choose_sizes(model, which, most, values); most > 1 && has_many_elements(entry, values);)
        choose_sizes(model, which, most /= 4, values);
    for (size_t k = 0; k < entry->n_in; k++)
        if (!api_find_input(arrays, entry, k))
            TRY(fill_randomly(arrays, entry, k, values, seed * 1000003 + k));
    return TL_OK;
}

tl_status tl_arrays_add_random(tl_arrays *arrays, tl_network *network, uint64_t seed, int which)
{
    const tl_entry *entry;
    TRY(api_entry(arrays->cx, network->model, NULL, &entry));
    return api_add_random(arrays, entry, seed, which);
}

/* ---- samples that the source holds ---- */

static const tl_example *find_sample(const tl_model *model, const tl_entry *entry, size_t k)
{
    for (size_t i = 0; i < model->examples.n; i++)
        if (tl_str_equal(model->examples.v[i].input, entry->in_names[k]))
            return &model->examples.v[i];
    return NULL;
}

static bool sample_fits(const tl_const *c, const tl_type *type)
{
    const int64_t *shape = tl_const_shape(c);
    int64_t size;
    bool fits = tl_const_rank(c) == type->rank && tl_const_dtype(c) == type->dtype;
    for (int i = 0; fits && i < type->rank; i++)
        fits = !tl_dim_is_const(type->dims[i], &size) || size == shape[i];
    return fits;
}

static tl_status add_sample(tl_arrays *arrays, const tl_example *sample)
{
    tl_arena scratch;
    void *data;
    tl_status status = TL_OK;
    tl_arena_init(&scratch, arrays->cx);
    const void *from = tl_const_load(arrays->cx, sample->value, &scratch);
    if (from)
        status = push_array(arrays, sample->input.p, tl_const_dtype(sample->value),
                            tl_const_rank(sample->value), tl_const_shape(sample->value), &data);
    if (from && status == TL_OK)
        memcpy(data, from, (size_t)tl_const_size(sample->value));
    tl_arena_release(&scratch);
    return from ? status : tl_context_status(arrays->cx);
}

tl_status api_add_samples(tl_arrays *arrays, const tl_model *model, const tl_entry *entry,
                          bool *complete)
{
    size_t n = entry->n_in;
    *complete = n > 0;
    for (size_t k = 0; *complete && k < n; k++) {
        const tl_example *sample = find_sample(model, entry, k);
        *complete = sample && sample_fits(sample->value, tl_type_of(entry->graph->inputs.v[k]));
    }
    for (size_t k = 0; *complete && k < n; k++)
        TRY(add_sample(arrays, find_sample(model, entry, k)));
    return TL_OK;
}

tl_status tl_arrays_add_samples(tl_arrays *arrays, tl_network *network, bool *complete)
{
    const tl_entry *entry;
    TRY(api_entry(arrays->cx, network->model, NULL, &entry));
    return api_add_samples(arrays, network->model, entry, complete);
}

/* ---- finding ---- */

static const tl_array *find_array(const tl_arrays *arrays, const char *prefix, int number,
                                  tl_str name)
{
    for (size_t i = 0; i < arrays->list.n; i++) {
        tl_str key = tl_str_from(arrays->list.v[i].name);
        if (!tl_str_starts(key, prefix))
            continue;
        key = (tl_str){key.p + strlen(prefix), key.n - strlen(prefix)};
        tl_str part;
        int64_t found;
        if (number >= 0) { /* PREFIX K, or PREFIX K _NAME */
            bool has_name = name.n > 0;
            if (has_name && !tl_str_split(&key, '_', &part))
                continue;
            if (tl_str_to_i64(has_name ? part : key, &found) && found == number &&
                (!has_name || tl_str_equal(key, name)))
                return &arrays->list.v[i];
        } else if (tl_str_equal(key, name)) {
            return &arrays->list.v[i];
        }
    }
    return NULL;
}

const tl_array *api_find_input(const tl_arrays *arrays, const tl_entry *entry, size_t k)
{
    const tl_array *found = find_array(arrays, "", -1, entry->in_names[k]);
    if (!found)
        found = find_array(arrays, "in_", -1, entry->in_names[k]);
    if (!found)
        found = find_array(arrays, "input_", (int)k, (tl_str){0});
    return !found && arrays->lone && entry->n_in == 1 ? &arrays->list.v[0] : found;
}

static const tl_array *find_named_output(const tl_arrays *arrays, const tl_entry *entry, size_t k)
{
    const tl_array *found = find_array(arrays, "out_", (int)k, entry->out_names[k]);
    if (!found)
        found = find_array(arrays, "output_", (int)k, (tl_str){0});
    return found ? found : find_array(arrays, "", -1, entry->out_names[k]);
}

/* out_K_... whatever comes then. */
static const tl_array *find_numbered_output(const tl_arrays *arrays, size_t k)
{
    for (size_t i = 0; i < arrays->list.n; i++) {
        tl_str key = tl_str_from(arrays->list.v[i].name), part;
        int64_t found;
        if (tl_str_split(&key, '_', &part) && tl_str_equal(part, tl_str_from("out")) &&
            tl_str_split(&key, '_', &part) && tl_str_to_i64(part, &found) && found == (int64_t)k)
            return &arrays->list.v[i];
    }
    return NULL;
}

const tl_array *api_find_output(const tl_arrays *arrays, const tl_entry *entry, size_t k)
{
    for (size_t i = 0; i < entry->n_out; i++)
        if (find_named_output(arrays, entry, i))
            return find_named_output(arrays, entry, k);
    return find_numbered_output(arrays, k);
}
