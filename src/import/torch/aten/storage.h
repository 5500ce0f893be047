/* Views and writes in place, resolved into SSA. A tensor is a handle: a storage and the chain of views
 * that leads from it. Reading builds the chain's ops on the storage's present value; writing builds the
 * value of the storage after the write (the views undone one by one), which every handle on it sees from
 * then on. A write through a view whose elements overlap is refused.
 *
 * Scopes are the graphs under construction, innermost first. What is read in a scope and computed in an
 * outer one becomes a captured input. Writes are journalled, so that the branches of an `if` can be built
 * one after the other from the same state, and what they wrote becomes a result of the node. */
#ifndef TL_IMPORT_TORCH_STORAGE_H
#define TL_IMPORT_TORCH_STORAGE_H

#include "import/torch/aten/aten.h"

typedef struct aten_storage {
    tl_value *value; /* present contents, as the base sees them */
    uint32_t id;
    uint32_t version; /* changes with every write */
    tl_str buffer;    /* name of the model's buffer, empty: a computed tensor */
} aten_storage;

typedef struct aten_view aten_view; /* one step of the chain */

struct aten_tensor {
    aten_storage *storage;
    const aten_view *view; /* last step; NULL: the base itself */
    bool is_complex;       /* the value has one more axis, [..., 2]: real and imaginary parts */
    bool is_number;        /* a Python number made a tensor: yields in type promotion */
};

typedef struct aten_capture {
    tl_value *outer, *inner;
} aten_capture;

typedef struct aten_scope {
    struct aten_scope *outer;
    tl_builder b;
    TL_VEC(aten_capture) captures; /* in the order of the graph's inputs that stand for them */
} aten_scope;

typedef struct aten_write {
    aten_storage *storage;
    tl_value *before;
    uint32_t version;
} aten_write;

/* What an import of a PyTorch program carries around. */
struct aten_env {
    tl_context *cx;
    tl_file *file;
    tl_arena *arena; /* lives as long as the import */
    tl_model *model;
    tl_dims *dims;
    tl_known known; /* values known at import */
    aten_scope *scope;
    int depth; /* of scopes */
    bool flex; /* TensorFlow's operators where a handler refuses (aten_flex.h) */
    TL_VEC(aten_write) journal;
    uint32_t n_storages, n_writes;
    tl_map births;     /* value id + 1 of a number -> tl_dim that stands for it */
    tl_map signatures; /* address of a row -> its signature, read */
    aten_tensor spare; /* stands in for any tensor when memory is out */
    aten_storage spare_storage;
};

void aten_env_init(aten_env *env, tl_context *cx, tl_file *file, tl_arena *arena, tl_model *model);
void aten_scope_enter(aten_env *env, aten_scope *scope, tl_graph *graph);
void aten_scope_leave(aten_env *env, aten_scope *scope);
/* The inner value for one of an outer graph, as an input of the scope's graph. */
tl_value *aten_capture_input(aten_env *env, aten_scope *scope, tl_value *outer);
/* value as the current scope's graph sees it: itself, a constant that equals it, or a captured input. */
tl_value *aten_see(aten_env *env, tl_value *value);

/* ---- tensors ---- */

aten_tensor *aten_tensor_new(aten_env *env, tl_value *value);
tl_value *aten_tensor_read(aten_env *env, aten_tensor *t);
/* Replaces the contents; value has the type and shape of t. */
void aten_tensor_write(aten_env *env, aten_tensor *t, tl_value *value);
/* True when a and b may show the same elements. */
bool aten_tensor_shares(const aten_tensor *a, const aten_tensor *b);

/* Views of t. A view that changes nothing is a handle like t. dims, perm, ... are copied. */
aten_tensor *aten_view_same(aten_env *env, aten_tensor *t);
aten_tensor *aten_view_reshape(aten_env *env, aten_tensor *t, const tl_dim *const *dims, int rank);
aten_tensor *aten_view_permute(aten_env *env, aten_tensor *t, const int *perm);
aten_tensor *aten_view_expand(aten_env *env, aten_tensor *t, const tl_dim *const *dims, int rank);
/* size elements from begin, stride >= 1 apart, along axis */
aten_tensor *aten_view_slice(aten_env *env, aten_tensor *t, int axis, const tl_dim *begin,
                             const tl_dim *size, int64_t stride);
/* One element along axis, which goes away. */
aten_tensor *aten_view_select(aten_env *env, aten_tensor *t, int axis, const tl_dim *index);
/* The same at an index in [0, size) that the model computes (scalar i64). */
aten_tensor *aten_view_at(aten_env *env, aten_tensor *t, int axis, tl_value *index);
/* The elements at[0 .. n) along axis, in that order; at is copied. Not written through where one comes twice. */
aten_tensor *aten_view_pick(aten_env *env, aten_tensor *t, int axis, const int64_t *at, size_t n);

/* True when the elements of t, in the order of the shape, lie in memory such that another shape needs no copy
 * (where sizes are open: when nothing but reshapes leads to t). */
bool aten_can_view(aten_env *env, aten_tensor *t, const tl_dim *const *dims, int rank);

/* ---- branches ---- */

size_t aten_journal_mark(const aten_env *env);
/* Storages written since the mark, each once, in order of their first write. */
size_t aten_journal_written(aten_env *env, size_t mark, aten_storage ***storages);
/* Takes the writes since the mark back. */
void aten_journal_undo(aten_env *env, size_t mark);
/* Sets the contents of a storage as a whole, as a write. */
void aten_storage_set(aten_env *env, aten_storage *storage, tl_value *value);

/* ---- where in the user's program ---- */

/* Interned origin: trace is Python's traceback text (outermost frame first), modules the text of
 * nn_module_stack; either may be empty. */
const tl_origin *aten_origin(aten_env *env, tl_str node, tl_str op, tl_str trace, tl_str modules);

#endif
