/* Members of PyTorch's archives, and tensors in them. */
#include "import/torch/torch_archive.h"

#define MAX_OVERLAP 64 /* how often a scattered view may hold an element */
#define MAX_COPY    (1u << 30)

/* ---- members ---- */

/* The folder that every member lies in. */
static tl_str common_root(const tl_zip *zip)
{
    tl_str first = zip->n ? zip->v[0].name : TL_STR(""), root;
    tl_str rest = first;
    if (!tl_str_split(&rest, '/', &root) || root.n == first.n)
        return TL_STR("");
    root = (tl_str){first.p, root.n + 1};
    for (size_t i = 0; i < zip->n; i++) {
        tl_str name = zip->v[i].name;
        if (name.n < root.n || memcmp(name.p, root.p, root.n) != 0)
            return TL_STR("");
    }
    return root;
}

tl_status torch_archive_open(tl_file *file, tl_model *model, tl_arena *arena, torch_archive *out)
{
    *out = (torch_archive){.file = file, .model = model, .arena = arena};
    TRY(tl_zip_open(model->cx, file, arena, &out->zip));
    out->root = common_root(&out->zip);
    const tl_zip_entry *order = torch_archive_find(out, "byteorder");
    tl_str text = TL_STR("");
    if (order)
        TRY(torch_archive_read(out, order, &text));
    if (tl_str_starts(text, "big"))
        return tl_fail(model->cx, TL_U008, &(tl_where){.file = tl_file_name(file)},
                       "the archive was written on a big-endian machine");
    return TL_OK;
}

const tl_zip_entry *torch_archive_find(const torch_archive *a, const char *name)
{
    const char *full = tl_arena_printf(a->arena, "%.*s%s", TL_STR_ARG(a->root), name);
    return full ? tl_zip_find(&a->zip, tl_str_from(full)) : NULL;
}

tl_status torch_archive_read(torch_archive *a, const tl_zip_entry *entry, tl_str *out)
{
    void *data;
    TRY(tl_zip_read(a->model->cx, &a->zip, entry, a->arena, &data));
    *out = (tl_str){data, (size_t)entry->size};
    return TL_OK;
}

tl_status torch_archive_read_pickle(torch_archive *a, const char *name, const tl_pickle **out)
{
    const tl_zip_entry *entry = torch_archive_find(a, name);
    tl_str bytes;
    *out = NULL;
    if (!entry)
        return tl_fail(a->model->cx, TL_M003, &(tl_where){.file = tl_file_name(a->file)},
                       "the archive has no member %s", name);
    TRY(torch_archive_read(a, entry, &bytes));
    return tl_pickle_read(a->model->cx, tl_file_name(a->file), bytes.p, bytes.n, a->arena, out,
                          NULL);
}

tl_status torch_archive_inner(torch_archive *a, const tl_zip_entry *entry, torch_archive *out)
{
    tl_context *cx = a->model->cx;
    uint64_t offset;
    tl_file *part;
    const char *name =
        tl_arena_printf(a->arena, "%s: %.*s", tl_file_name(a->file), TL_STR_ARG(entry->name));
    if (entry->method != 0)
        return tl_fail(cx, TL_M007, &(tl_where){.file = name},
                       "an archive inside of the archive is compressed");
    TRY(tl_zip_locate(cx, &a->zip, entry, &offset));
    TRY(tl_file_open_part(cx, name ? name : "", a->file, offset, entry->size, &part));
    tl_status status = tl_model_add_file(a->model, part);
    tl_file_unref(part); /* the model holds it */
    TRY(status);
    return torch_archive_open(part, a->model, a->arena, out);
}

/* ---- strided windows ---- */

static void no_fit(torch_archive *a, tl_str what, const char *why)
{
    (void)tl_fail(a->model->cx, TL_M005, &(tl_where){.file = tl_file_name(a->file)},
                  "tensor %.*s: %s", TL_STR_ARG(what), why);
}

/* Elements that the window reaches over, from its first; 0 for an empty one. -1: not a window. */
static int64_t reach_of(const torch_layout *w)
{
    int64_t reach = 1, step;
    bool empty = false;
    for (int i = 0; i < w->rank; i++) {
        if (w->shape[i] < 0 || w->stride[i] < 0)
            return -1;
        empty |= w->shape[i] == 0;
        if (!tl_mul_i64(TL_MAX(w->shape[i] - 1, 0), w->stride[i], &step) ||
            !tl_add_i64(reach, step, &reach))
            return -1;
    }
    return empty ? 0 : reach;
}

/* Axes with more than one element by falling stride; true when those that are not repeated are
 * dense. */
static bool dense_order(const torch_layout *w, int *order, int *n)
{
    *n = 0;
    for (int i = 0; i < w->rank; i++) {
        if (w->shape[i] == 1 || w->stride[i] == 0)
            continue;
        int k = (*n)++;
        for (; k > 0 && w->stride[order[k - 1]] < w->stride[i]; k--)
            order[k] = order[k - 1];
        order[k] = i;
    }
    int64_t expected = 1;
    for (int k = *n; k-- > 0; expected *= w->shape[order[k]])
        if (w->stride[order[k]] != expected)
            return false;
    return true;
}

/* Elements in a row of memory: a range of the file, or inflated bytes. */
static const tl_const *run_of(torch_archive *a, const tl_zip_entry *entry, tl_dtype dtype, int rank,
                              const int64_t *shape, int64_t first)
{
    tl_context *cx = a->model->cx;
    uint64_t skip, offset;
    if (!tl_dtype_size(dtype, first, &skip))
        return NULL;
    if (entry->method == 0) {
        if (tl_zip_locate(cx, &a->zip, entry, &offset) != TL_OK)
            return NULL;
        return tl_const_file(a->model->arena, dtype, rank, shape, a->file, offset + skip);
    }
    void *data;
    if (tl_zip_read(cx, &a->zip, entry, a->model->arena, &data) != TL_OK)
        return NULL;
    return tl_const_adopt(a->model->arena, dtype, rank, shape, (const char *)data + skip);
}

/* A dense window in some order of its axes, some of them repeated: views of a run. */
static const tl_const *viewed_run(torch_archive *a, const tl_zip_entry *entry,
                                  const torch_layout *w, const int *order, int n)
{
    tl_arena *arena = a->model->arena;
    int64_t shape[TL_MAX_RANK], kept[TL_MAX_RANK];
    int perm[TL_MAX_RANK], at = 0;
    for (int k = 0; k < n; k++)
        shape[k] = w->shape[order[k]];
    const tl_const *c = run_of(a, entry, w->dtype, n, shape, w->offset);
    for (int i = 0; i < w->rank; i++) { /* back to the order of the axes */
        bool real = w->shape[i] != 1 && w->stride[i] != 0;
        kept[i] = real ? w->shape[i] : 1;
        for (int k = 0; real && k < n; k++)
            if (order[k] == i)
                perm[at++] = k;
    }
    c = c ? tl_const_transpose(arena, c, perm) : NULL;
    c = c ? tl_const_reshape(arena, c, w->rank, kept) : NULL;
    return c ? tl_const_broadcast(arena, c, w->rank, w->shape) : NULL;
}

/* Any other window, element by element; windows of a signal overlap, but not without end. */
static const tl_const *copied_run(torch_archive *a, const tl_zip_entry *entry,
                                  const torch_layout *w, int64_t count, tl_str what)
{
    tl_context *cx = a->model->cx;
    size_t item = (size_t)tl_dtype_bits(w->dtype) / 8;
    if ((uint64_t)count > MAX_COPY / item || entry->size > MAX_COPY ||
        (uint64_t)count / MAX_OVERLAP > entry->size / item) {
        no_fit(a, what, "a scattered view of too many elements");
        return NULL;
    }
    tl_arena scratch;
    tl_arena_init(&scratch, cx);
    void *storage;
    char *data = tl_arena_push_raw(a->model->arena, (size_t)count + 1, item);
    if (!data || tl_zip_read(cx, &a->zip, entry, &scratch, &storage) != TL_OK) {
        tl_arena_release(&scratch);
        return NULL;
    }
    int64_t index[TL_MAX_RANK + 1] = {0}, at = w->offset;
    for (int64_t i = 0; i < count; i++) {
        memcpy(data + (size_t)i * item, (char *)storage + (size_t)at * item, item);
        for (int k = w->rank; k-- > 0;) {
            if (++index[k] < w->shape[k]) {
                at += w->stride[k];
                break;
            }
            if (w->shape[k] > 1)
                at -= w->stride[k] * (w->shape[k] - 1);
            index[k] = 0;
        }
    }
    tl_arena_release(&scratch);
    return tl_const_adopt(a->model->arena, w->dtype, w->rank, w->shape, data);
}

/* Repeated axes are left out of the copy. */
static const tl_const *scattered_run(torch_archive *a, const tl_zip_entry *entry,
                                     const torch_layout *w, tl_str what)
{
    int64_t shape[TL_MAX_RANK], count = 1;
    torch_layout once = *w;
    once.shape = shape;
    for (int i = 0; i < w->rank; i++) {
        shape[i] = w->stride[i] == 0 ? 1 : w->shape[i];
        if (!tl_mul_i64(count, shape[i], &count))
            return NULL;
    }
    const tl_const *c = copied_run(a, entry, &once, count, what);
    return c ? tl_const_broadcast(a->model->arena, c, w->rank, w->shape) : NULL;
}

static const tl_const *zeros_of(torch_archive *a, const torch_layout *w)
{
    static const char zero[16];
    return tl_const_splat(a->model->arena, w->dtype, w->rank, w->shape, zero);
}

static const tl_const *real_tensor(torch_archive *a, const tl_zip_entry *entry,
                                   const torch_layout *w, tl_str what)
{
    int64_t reach = reach_of(w), count = 1, end;
    uint64_t need;
    int order[TL_MAX_RANK], n;
    for (int i = 0; i < w->rank; i++)
        if (!tl_mul_i64(count, w->shape[i], &count))
            reach = -1;
    if (reach < 0 || w->offset < 0 || !tl_add_i64(w->offset, reach, &end) ||
        !tl_dtype_size(w->dtype, end, &need)) {
        no_fit(a, what, "sizes or strides make no sense");
        return NULL;
    }
    if (!entry || entry->size == 0 || reach == 0)
        return zeros_of(a, w);
    if (need > entry->size) {
        no_fit(a, what, "its storage is shorter than its shape");
        return NULL;
    }
    return dense_order(w, order, &n) ? viewed_run(a, entry, w, order, n)
                                     : scattered_run(a, entry, w, what);
}

const tl_const *torch_archive_tensor(torch_archive *a, const tl_zip_entry *entry,
                                     const torch_layout *layout, tl_str what)
{
    torch_layout w = *layout;
    int64_t shape[TL_MAX_RANK], stride[TL_MAX_RANK];
    if (w.rank + w.is_complex > TL_MAX_RANK) {
        no_fit(a, what, "too many axes");
        return NULL;
    }
    for (int i = 0; i < w.rank; i++) {
        shape[i] = w.shape[i];
        stride[i] = w.stride[i];
        if (w.is_complex && !tl_mul_i64(w.stride[i], 2, &stride[i]))
            stride[i] = -1;
    }
    if (w.is_complex) { /* pairs: one more axis */
        shape[w.rank] = 2;
        stride[w.rank++] = 1;
        w.offset = w.offset > INT64_MAX / 2 ? -1 : 2 * w.offset;
    }
    w.shape = shape;
    w.stride = stride;
    return real_tensor(a, entry, &w, what);
}

const tl_const *torch_archive_pickled_const(torch_archive *a, const char *folder,
                                            const tl_pickle_tensor *t, tl_str what)
{
    if (t->unknown.n) {
        (void)tl_fail(a->model->cx, TL_U004, &(tl_where){.file = tl_file_name(a->file)},
                      "tensor %.*s has elements of type %.*s", TL_STR_ARG(what),
                      TL_STR_ARG(t->unknown));
        return NULL;
    }
    const tl_zip_entry *entry = NULL;
    if (t->storage) {
        const char *name = tl_arena_printf(a->arena, "%s%.*s", folder, TL_STR_ARG(t->storage->key));
        entry = name ? torch_archive_find(a, name) : NULL;
        if (!entry && t->storage->n > 0) {
            no_fit(a, what, "its storage is not in the archive");
            return NULL;
        }
    }
    torch_layout layout = {t->dtype, t->is_complex, t->rank, t->shape, t->stride, t->offset};
    return torch_archive_tensor(a, entry, &layout, what);
}

tl_value *torch_archive_pickled(torch_archive *a, const char *folder, const tl_pickle_tensor *t,
                                tl_str what)
{
    const tl_const *constant = torch_archive_pickled_const(a, folder, t, what);
    return constant ? tl_build_const(a->model, constant, what) : a->model->poison;
}
