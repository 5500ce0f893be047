/* Reading and writing through views. */
#include "import/torch/aten/storage.h"

typedef enum view_kind {
    VIEW_RESHAPE,
    VIEW_PERMUTE,
    VIEW_EXPAND,
    VIEW_SLICE,
    VIEW_AT,  /* one element along axis, at a computed index */
    VIEW_PICK /* elements along axis, in any order */
} view_kind;

struct aten_view {
    const aten_view *before; /* towards the base */
    view_kind kind;
    tl_type of;                /* what is viewed */
    const tl_dim *const *dims; /* of the result: RESHAPE, EXPAND */
    int rank;
    int perm[TL_MAX_RANK];
    int axis; /* SLICE, AT, PICK */
    const tl_dim *begin, *size;
    int64_t stride;
    tl_value *index;   /* AT */
    const int64_t *at; /* PICK */
    size_t n_at;
    /* what was read last: valid while the storage has this version, in the graph of the value */
    tl_value *seen;
    uint32_t seen_version;
};

/* ---- storages ---- */

aten_tensor *aten_tensor_new(aten_env *env, tl_value *value)
{
    aten_tensor *t = TL_NEW(env->arena, aten_tensor);
    aten_storage *storage = TL_NEW(env->arena, aten_storage);
    if (!t || !storage)
        return &env->spare;
    *storage = (aten_storage){.value = value, .id = env->n_storages++};
    t->storage = storage;
    return t;
}

void aten_storage_set(aten_env *env, aten_storage *storage, tl_value *value)
{
    aten_write entry = {storage, storage->value, storage->version};
    (void)tl_vec_push(env->arena, &env->journal, entry);
    storage->value = value;
    storage->version = ++env->n_writes;
}

bool aten_tensor_shares(const aten_tensor *a, const aten_tensor *b)
{
    return a->storage == b->storage;
}

/* ---- the journal ---- */

size_t aten_journal_mark(const aten_env *env)
{
    return env->journal.n;
}

size_t aten_journal_written(aten_env *env, size_t mark, aten_storage ***storages)
{
    size_t n = 0;
    *storages = TL_NEW_ARRAY(env->arena, aten_storage *, env->journal.n - mark + 1);
    for (size_t i = mark; *storages && i < env->journal.n; i++) {
        size_t k = 0;
        while (k < n && (*storages)[k] != env->journal.v[i].storage)
            k++;
        if (k == n)
            (*storages)[n++] = env->journal.v[i].storage;
    }
    return n;
}

void aten_journal_undo(aten_env *env, size_t mark)
{
    while (env->journal.n > mark) {
        const aten_write *entry = &env->journal.v[--env->journal.n];
        entry->storage->value = entry->before;
        entry->storage->version = entry->version;
    }
}

/* ---- reading ---- */

/* First element of the view AT: [0, ..., index, ..., 0] */
static tl_value *start_of(aten_env *env, const aten_view *view)
{
    static const int64_t zeros[TL_MAX_RANK];
    tl_builder *b = &env->scope->b;
    const tl_dim *one = tl_dim_const(env->dims, 1);
    tl_value *parts[3];
    size_t n = 0, before = (size_t)view->axis, behind = (size_t)view->of.rank - 1 - before;
    if (before)
        parts[n++] = tl_build_i64s(env->model, zeros, before);
    parts[n++] = tl_build_reshape(b, aten_see(env, view->index), &one, 1);
    if (behind)
        parts[n++] = tl_build_i64s(env->model, zeros, behind);
    return n == 1 ? parts[0] : tl_build_concat(b, parts, n, 0);
}

static tl_value *apply_view(aten_env *env, const aten_view *view, tl_value *x)
{
    tl_builder *b = &env->scope->b;
    switch (view->kind) {
    case VIEW_RESHAPE:
        return tl_build_reshape(b, x, view->dims, view->rank);
    case VIEW_PERMUTE:
        return tl_build_transpose(b, x, view->perm);
    case VIEW_EXPAND:
        return tl_build_broadcast_to(b, x, view->dims, view->rank);
    case VIEW_SLICE: {
        const tl_dim *begin[TL_MAX_RANK], *size[TL_MAX_RANK];
        int64_t stride[TL_MAX_RANK];
        for (int i = 0; i < view->of.rank; i++) {
            begin[i] = i == view->axis ? view->begin : tl_dim_const(env->dims, 0);
            size[i] = i == view->axis ? view->size : view->of.dims[i];
            stride[i] = i == view->axis ? view->stride : 1;
        }
        return tl_build_slice(b, x, begin, size, stride);
    }
    case VIEW_AT: {
        const tl_dim *size[TL_MAX_RANK];
        for (int i = 0; i < view->of.rank; i++)
            size[i] = i == view->axis ? tl_dim_const(env->dims, 1) : view->of.dims[i];
        tl_dynamic_slice_attrs attrs = {.size = {(size_t)view->of.rank, size}};
        return tl_build2(b, TL_OP_dynamic_slice, x, start_of(env, view), &attrs);
    }
    case VIEW_PICK: {
        tl_gather_attrs attrs = {.axis = view->axis};
        tl_value *at = tl_build_i64s(env->model, view->at, view->n_at);
        return tl_build2(b, TL_OP_gather, x, at, &attrs);
    }
    }
    return x;
}

static bool is_open(const aten_env *env, const tl_graph *graph)
{
    for (const aten_scope *s = env->scope; s; s = s->outer)
        if (s->b.graph == graph)
            return true;
    return !graph; /* constants */
}

static tl_value *read_view(aten_env *env, const aten_storage *storage, const aten_view *view)
{
    if (!view)
        return aten_see(env, storage->value);
    if (view->seen && view->seen_version == storage->version && is_open(env, view->seen->graph))
        return aten_see(env, view->seen);
    tl_value *before = read_view(env, storage, view->before);
    tl_value *value = before->poison ? before : apply_view(env, view, before);
    union { /* what was seen is a cache beside the view, which does not change */
        const aten_view *fixed;
        aten_view *cache;
    } v = {.fixed = view};
    v.cache->seen = value;
    v.cache->seen_version = storage->version;
    return value;
}

tl_value *aten_tensor_read(aten_env *env, aten_tensor *t)
{
    return read_view(env, t->storage, t->view);
}

/* ---- writing ---- */

static tl_value *refuse_write(aten_env *env, const char *why)
{
    tl_where where = tl_origin_where(env->model, env->scope->b.origin);
    (void)tl_fail(env->cx, TL_U006, &where, "a write in place through %s", why);
    return tl_build_poison(&env->scope->b, 1)->out[0];
}

static tl_value *cut_axis(aten_env *env, tl_value *x, int axis, const tl_dim *begin,
                          const tl_dim *size)
{
    const aten_view cut = {.kind = VIEW_SLICE,
                           .of = x->fact.type,
                           .axis = axis,
                           .begin = begin,
                           .size = size,
                           .stride = 1};
    return apply_view(env, &cut, x);
}

/* before with part in the place of [begin, begin + size) along the axis */
static tl_value *replace_run(aten_env *env, const aten_view *view, tl_value *before, tl_value *part)
{
    const tl_dim *all = before->fact.type.dims[view->axis];
    const tl_dim *end = tl_dim_add(env->dims, view->begin, view->size);
    tl_value *parts[3];
    size_t n = 0;
    if (!tl_dim_is(view->begin, 0))
        parts[n++] = cut_axis(env, before, view->axis, tl_dim_const(env->dims, 0), view->begin);
    parts[n++] = part;
    const tl_dim *rest = tl_dim_sub(env->dims, all, end);
    if (!tl_dim_is(rest, 0))
        parts[n++] = cut_axis(env, before, view->axis, end, rest);
    return n == 1 ? part : tl_build_concat(&env->scope->b, parts, n, view->axis);
}

/* before with elements along the view's axis from part: i becomes part[taken[i]], -1 stays. */
static tl_value *replace_some(aten_env *env, const aten_view *view, tl_value *before,
                              tl_value *part, const int64_t *taken, int64_t all)
{
    int64_t *from = TL_NEW_ARRAY(env->arena, int64_t, all + 1);
    if (!from)
        return before;
    for (int64_t i = 0; i < all; i++)
        from[i] = taken[i] < 0 ? i : all + taken[i];
    tl_value *both = tl_build_concat(&env->scope->b, (tl_value *[]){before, part}, 2, view->axis);
    tl_gather_attrs attrs = {.axis = view->axis};
    return tl_build2(&env->scope->b, TL_OP_gather, both,
                     tl_build_i64s(env->model, from, (size_t)all), &attrs);
}

/* Every stride-th element. */
static tl_value *replace_comb(aten_env *env, const aten_view *view, tl_value *before,
                              tl_value *part)
{
    int64_t begin, size, all;
    if (!tl_dim_is_const(view->begin, &begin) || !tl_dim_is_const(view->size, &size) ||
        !tl_dim_is_const(before->fact.type.dims[view->axis], &all))
        return refuse_write(env, "a slice with steps over a size that is not known");
    int64_t *taken = TL_NEW_ARRAY(env->arena, int64_t, all + 1);
    for (int64_t i = 0; taken && i < all; i++) {
        int64_t k = (i - begin) / view->stride;
        taken[i] = i >= begin && (i - begin) % view->stride == 0 && k < size ? k : -1;
    }
    return taken ? replace_some(env, view, before, part, taken, all) : before;
}

/* Elements in any order, each once. */
static tl_value *replace_picked(aten_env *env, const aten_view *view, tl_value *before,
                                tl_value *part)
{
    int64_t all;
    if (!tl_dim_is_const(before->fact.type.dims[view->axis], &all))
        return refuse_write(env, "elements of a size that is not known");
    int64_t *taken = TL_NEW_ARRAY(env->arena, int64_t, all + 1);
    for (int64_t i = 0; taken && i < all; i++)
        taken[i] = -1;
    for (size_t k = 0; taken && k < view->n_at; k++) {
        if (taken[view->at[k]] >= 0)
            return refuse_write(env, "a view of overlapping elements");
        taken[view->at[k]] = (int64_t)k;
    }
    return taken ? replace_some(env, view, before, part, taken, all) : before;
}

/* What was viewed, after the view became value. */
static tl_value *undo_view(aten_env *env, const aten_view *view, const aten_storage *storage,
                           tl_value *value)
{
    tl_builder *b = &env->scope->b;
    const tl_type *of = &view->of;
    switch (view->kind) {
    case VIEW_RESHAPE:
        return tl_build_reshape(b, value, of->dims, of->rank);
    case VIEW_PERMUTE: {
        int inverse[TL_MAX_RANK];
        for (int i = 0; i < of->rank; i++)
            inverse[view->perm[i]] = i;
        return tl_build_transpose(b, value, inverse);
    }
    case VIEW_EXPAND:
        return refuse_write(env, "an expanded tensor, whose elements overlap");
    case VIEW_SLICE: {
        tl_value *before = read_view(env, storage, view->before);
        if (before->poison)
            return before;
        return view->stride == 1 ? replace_run(env, view, before, value)
                                 : replace_comb(env, view, before, value);
    }
    case VIEW_AT: {
        tl_value *before = read_view(env, storage, view->before);
        if (before->poison)
            return before;
        tl_value *start = start_of(env, view);
        return tl_build3(b, TL_OP_dynamic_update_slice, before, value, start, NULL);
    }
    case VIEW_PICK: {
        tl_value *before = read_view(env, storage, view->before);
        return before->poison ? before : replace_picked(env, view, before, value);
    }
    }
    return value;
}

void aten_tensor_write(aten_env *env, aten_tensor *t, tl_value *value)
{
    for (const aten_view *view = t->view; view && !value->poison; view = view->before)
        value = undo_view(env, view, t->storage, value);
    aten_storage_set(env, t->storage, value);
}

/* ---- making views ---- */

/* NULL (and a tensor nevertheless) when memory is out. */
static aten_view *add_view(aten_env *env, aten_tensor *t, view_kind kind, aten_tensor **out)
{
    aten_view *view = TL_NEW(env->arena, aten_view);
    aten_tensor *copy = tl_arena_copy(env->arena, t, sizeof(*t));
    *out = copy ? copy : &env->spare;
    if (!view || !copy)
        return NULL;
    view->before = t->view;
    view->kind = kind;
    view->of = aten_tensor_read(env, t)->fact.type;
    copy->view = view;
    copy->is_number = false;
    return view;
}

/* dims, and the axis of the two parts of complex numbers */
static void set_dims(aten_env *env, const aten_tensor *t, aten_view *view,
                     const tl_dim *const *dims, int rank)
{
    if (!view)
        return;
    view->rank = rank + t->is_complex;
    const tl_dim **copy = TL_NEW_ARRAY(env->arena, const tl_dim *, view->rank + 1);
    for (int i = 0; copy && i < rank; i++)
        copy[i] = dims[i];
    if (copy && t->is_complex)
        copy[rank] = tl_dim_const(env->dims, 2);
    view->dims = copy;
}

aten_tensor *aten_view_same(aten_env *env, aten_tensor *t)
{
    aten_tensor *copy = tl_arena_copy(env->arena, t, sizeof(*t));
    return copy ? copy : &env->spare;
}

aten_tensor *aten_view_reshape(aten_env *env, aten_tensor *t, const tl_dim *const *dims, int rank)
{
    aten_tensor *out;
    aten_view *view = add_view(env, t, VIEW_RESHAPE, &out);
    set_dims(env, t, view, dims, rank);
    return out;
}

aten_tensor *aten_view_expand(aten_env *env, aten_tensor *t, const tl_dim *const *dims, int rank)
{
    const tl_type *type = tl_type_of(aten_tensor_read(env, t));
    bool same = type->rank == rank + t->is_complex;
    for (int i = 0; same && i < rank; i++)
        same = tl_dim_equal(env->dims, type->dims[i], dims[i]) == TL_YES;
    if (same)
        return aten_view_same(env, t);
    aten_tensor *out;
    aten_view *view = add_view(env, t, VIEW_EXPAND, &out);
    set_dims(env, t, view, dims, rank);
    return out;
}

aten_tensor *aten_view_permute(aten_env *env, aten_tensor *t, const int *perm)
{
    aten_tensor *out;
    aten_view *view = add_view(env, t, VIEW_PERMUTE, &out);
    if (!view)
        return out;
    int rank = view->of.rank - t->is_complex;
    for (int i = 0; i < rank; i++)
        view->perm[i] = perm[i];
    if (t->is_complex)
        view->perm[rank] = rank;
    return out;
}

aten_tensor *aten_view_slice(aten_env *env, aten_tensor *t, int axis, const tl_dim *begin,
                             const tl_dim *size, int64_t stride)
{
    aten_tensor *out;
    aten_view *view = add_view(env, t, VIEW_SLICE, &out);
    if (!view)
        return out;
    view->axis = axis;
    view->begin = begin;
    view->size = size;
    view->stride = stride;
    return out;
}

/* row has one element along the axis of t, which goes away. */
static aten_tensor *drop_axis(aten_env *env, aten_tensor *t, aten_tensor *row, int axis)
{
    const tl_type *type = tl_type_of(aten_tensor_read(env, t));
    const tl_dim *dims[TL_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < type->rank - t->is_complex; i++)
        if (i != axis)
            dims[rank++] = type->dims[i];
    return aten_view_reshape(env, row, dims, rank);
}

aten_tensor *aten_view_select(aten_env *env, aten_tensor *t, int axis, const tl_dim *index)
{
    const tl_dim *one = tl_dim_const(env->dims, 1);
    return drop_axis(env, t, aten_view_slice(env, t, axis, index, one, 1), axis);
}

aten_tensor *aten_view_at(aten_env *env, aten_tensor *t, int axis, tl_value *index)
{
    aten_tensor *out;
    aten_view *view = add_view(env, t, VIEW_AT, &out);
    if (!view)
        return out;
    view->axis = axis;
    view->index = index;
    return drop_axis(env, t, out, axis);
}

aten_tensor *aten_view_pick(aten_env *env, aten_tensor *t, int axis, const int64_t *at, size_t n)
{
    aten_tensor *out;
    aten_view *view = add_view(env, t, VIEW_PICK, &out);
    if (!view)
        return out;
    view->axis = axis;
    view->at = tl_arena_copy(env->arena, at, n * sizeof(*at));
    view->n_at = view->at ? n : 0;
    return out;
}

/* ---- layout in memory ---- */

/* Strides for the same elements in another shape; false: they need a copy. */
static bool restride(int rank, const int64_t *shape, const int64_t *stride, int new_rank,
                     const int64_t *new_shape, int64_t *new_stride)
{
    int k = new_rank - 1;
    int64_t count = 1, new_count = 1;
    int64_t base = rank ? stride[rank - 1] : 1;
    for (int i = rank - 1; i >= 0; i--) { /* runs of axes that are one in memory */
        count *= shape[i];
        bool ends = i == 0 || (shape[i - 1] != 1 && stride[i - 1] != count * base);
        if (!ends)
            continue;
        while (k >= 0 && (new_count < count || new_shape[k] == 1)) {
            new_stride[k] = new_count * base;
            new_count *= new_shape[k--];
        }
        if (new_count != count)
            return false;
        if (i > 0) {
            base = stride[i - 1];
            count = new_count = 1;
        }
    }
    for (; k >= 0; k--)
        new_stride[k] = 1;
    return true;
}

static void row_major(int rank, const int64_t *shape, int64_t *stride)
{
    int64_t step = 1;
    for (int i = rank; i-- > 0; step *= shape[i])
        stride[i] = step;
}

/* Strides of the elements that a view shows, when the sizes are known and the base lies row by row.
 */
static bool known_strides(const aten_view *view, const tl_type *type, int64_t *stride)
{
    int64_t shape[TL_MAX_RANK], inner[TL_MAX_RANK], of[TL_MAX_RANK];
    if (!tl_type_shape(type, shape))
        return false;
    if (!view) {
        row_major(type->rank, shape, stride);
        return true;
    }
    if (!known_strides(view->before, &view->of, inner))
        return false;
    (void)tl_type_shape(&view->of, of);
    switch (view->kind) {
    case VIEW_RESHAPE:
        return restride(view->of.rank, of, inner, type->rank, shape, stride);
    case VIEW_PERMUTE:
        for (int i = 0; i < type->rank; i++)
            stride[i] = inner[view->perm[i]];
        return true;
    case VIEW_EXPAND:
        for (int i = 0; i < type->rank; i++) {
            int k = i - (type->rank - view->of.rank);
            stride[i] = k < 0 || (of[k] == 1 && shape[i] != 1) ? 0 : inner[k];
        }
        return true;
    case VIEW_SLICE:
        for (int i = 0; i < type->rank; i++)
            stride[i] = inner[i] * (i == view->axis ? view->stride : 1);
        return true;
    case VIEW_AT:
        memcpy(stride, inner, (size_t)type->rank * sizeof(stride[0]));
        return true;
    case VIEW_PICK:
        break;
    }
    return false;
}

bool aten_can_view(aten_env *env, aten_tensor *t, const tl_dim *const *dims, int rank)
{
    const tl_type *type = tl_type_of(aten_tensor_read(env, t));
    int64_t shape[TL_MAX_RANK], stride[TL_MAX_RANK], wanted[TL_MAX_RANK + 1],
        ignored[TL_MAX_RANK + 1];
    bool known = tl_type_shape(type, shape) && known_strides(t->view, type, stride);
    for (int i = 0; known && i < rank; i++)
        known = tl_dim_is_const(dims[i], &wanted[i]);
    if (t->is_complex)
        wanted[rank] = 2;
    if (known)
        return restride(type->rank, shape, stride, rank + t->is_complex, wanted, ignored);
    for (const aten_view *view = t->view; view; view = view->before)
        if (view->kind != VIEW_RESHAPE)
            return false;
    return true;
}
