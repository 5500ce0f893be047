/* The inside of a session. A graph becomes a list of steps over slots; a slot is where a value of
 * the graph lives. Memory is counted blocks of a slab: a value holds its block until its last use,
 * values that are the same data share one. Child graphs have slots of their own, to which the
 * owner's are lent. */
#ifndef TL_EXEC_EXEC_H
#define TL_EXEC_EXEC_H

#include "exec/session.h"
#include "exec/workers.h"

/* ---- memory ---- */

typedef struct exec_chunk exec_chunk;

/* A piece of a chunk: taken (refs > 0), or free. */
typedef struct exec_block {
    void *data; /* aligned to TL_EXEC_ALIGN */
    size_t size;
    uint32_t refs;
    exec_chunk *chunk;
    struct exec_block *prev, *next; /* neighbours in the chunk; next alone: among spare ones */
    struct exec_block *prev_free, *next_free; /* others of about its size; only while free */
} exec_block;

#define TL_EXEC_ALIGN 64
#define TL_EXEC_BINS  64 /* free blocks of 2^i bytes and more, less than twice that, in bin i */

typedef struct exec_slab {
    tl_context *cx;
    tl_arena blocks; /* descriptions of blocks */
    exec_block *spare;
    exec_chunk *chunks;
    exec_block *bins[TL_EXEC_BINS];
    size_t total;      /* bytes of all chunks */
    size_t live, peak; /* bytes of taken blocks, now and at most since the last settle */
    size_t want;       /* the next chunk should have this size */
} exec_slab;

void tl_exec_slab_init(exec_slab *slab, tl_context *cx);
void tl_exec_slab_release(exec_slab *slab);
/* A block of at least size bytes with one reference; NULL when memory is out (recorded). */
exec_block *tl_exec_take(exec_slab *slab, size_t size);
void tl_exec_drop(exec_slab *slab, exec_block *block); /* NULL: nothing */
/* Between runs: pieces of memory that together did what one can do go, so that the next run takes
 * that one. A run that repeats an earlier one then allocates nothing. */
void tl_exec_slab_settle(exec_slab *slab);

/* ---- graphs ---- */

/* A symbol that is born on a slot, and the assumptions that can be tested then. */
typedef struct exec_birth {
    const tl_symbol *symbol;
    const tl_assumption **checks;
    size_t n_checks;
    struct exec_birth *next;
} exec_birth;

typedef struct exec_step exec_step;

typedef struct exec_slot {
    tl_tensor t;
    exec_block *block; /* NULL: a constant, or no value now */
    /* moved: axis i of the data is axis order[i] of t */
    bool moved;
    int8_t order[TL_MAX_RANK];
    const tl_value *value;
    exec_step *maker; /* NULL: an input, a constant */
    exec_birth *births;
    bool wanted; /* somebody reads it as it is, not in packed form alone */
} exec_slot;

typedef struct exec_graph exec_graph;

typedef enum exec_kind {
    EXEC_KERNEL,
    EXEC_VIEW,    /* the result is the operand's data in another shape, */
    EXEC_MOVE,    /* ... or in another order of axes */
    EXEC_CONTROL, /* has child graphs */
    EXEC_NOTHING  /* done by the step that makes the operand */
} exec_kind;

struct exec_step {
    const tl_node *node;
    exec_kind kind;
    const tl_kernel *kernel;    /* reference */
    const tl_fast_kernel *fast; /* NULL: the reference kernel runs */
    tl_fast_call fast_call;
    tl_call call;
    tl_tensor *operands; /* call.in */
    exec_slot **in;      /* NULL: absent */
    exec_slot **out;
    size_t n_in, n_out;
    unsigned packs;    /* bit i: operand i is read in packed form only */
    tl_fast_site site; /* of the fast kernel */
    size_t pack_size;  /* bytes of the packed form, */
    size_t pack_at;    /* ... and where in the block of all of them */
    exec_slot **dying; /* whose last use this is */
    size_t n_dying;
    exec_graph *graphs[2];
    exec_slot *carried; /* of a loop: what goes from turn to turn */
};

struct exec_graph {
    const tl_graph *graph;
    exec_step *steps;
    size_t n_steps;
    exec_slot **inputs, **outputs;
    size_t n_inputs, n_outputs;
    exec_birth **births; /* of all slots */
    size_t n_births;
};

struct tl_session {
    tl_context *cx;
    const tl_model *model;
    const tl_entry *entry;
    tl_session_options options;
    const char *inputs_name; /* for messages; NULL: the model's */
    tl_arena arena, weights;
    exec_slab slab;
    exec_workers *workers; /* NULL: the caller alone */
    tl_workers view;
    const tl_isa *isa;
    exec_graph *graph;
    TL_VEC(exec_slot *) slots; /* of all graphs, without constants */
    TL_VEC(exec_slot *) constants;
    TL_VEC(exec_step *) packing; /* steps with packed operands */
    int64_t *symbols;   /* by id; INT64_MIN: not bound */
    exec_slot *given;   /* visible inputs, then state */
    exec_slot *results; /* visible outputs */
    tl_node_time *times;
    size_t n_nodes;
};

/* What is known of a value before any run; NULL: nothing. */
const tl_const *tl_exec_known(tl_session *s, const tl_value *value);
/* Memory that lives as long as the session, aligned to TL_EXEC_ALIGN, not zeroed: it is filled at once. NULL when
 * memory is out (recorded). */
void *tl_exec_weight_memory(tl_session *s, size_t size);
/* Packs the operands of all steps that ask for it. */
tl_status tl_exec_pack(tl_session *s, tl_arena *scratch);
/* Steps that another one can do on the side: paddings, clamps. Before last uses are found. */
void tl_exec_join(tl_session *s, exec_graph *graph, exec_slot *const *slots_by_value);
/* Builds the steps of the entry's graph and of its child graphs. */
tl_status tl_exec_prepare(tl_session *s);
/* Bytes that values of the graph take at the same time at most, as far as sizes are known now. */
size_t tl_exec_estimate(const tl_session *s, const exec_graph *graph);
/* Inputs of the graph must be set; outputs stay set until tl_exec_graph_clear. */
tl_status tl_exec_graph_run(tl_session *s, exec_graph *graph);
void tl_exec_graph_clear(tl_session *s, exec_graph *graph);

/* dst becomes the data of src, shared. */
void tl_exec_slot_set(tl_session *s, exec_slot *dst, const exec_slot *src);
void tl_exec_slot_clear(tl_session *s, exec_slot *slot);
/* Memory of its own for the shape that is set. */
tl_status tl_exec_slot_hold(tl_session *s, exec_slot *slot);
/* Binds the symbols born on slot to its shape and tests what is assumed of them. */
tl_status tl_exec_bind(tl_session *s, const exec_slot *slot);
/* Value of d; false when a symbol in it is not bound, or on overflow. */
bool tl_exec_dim(const tl_session *s, const tl_dim *d, int64_t *out);

/* ---- orders of axes (layout.c) ---- */

/* Attributes for a call in another order of axes. */
typedef struct exec_mapped {
    const void *attrs;
    tl_axis_attrs axis;
    tl_pad_attrs pad;
    tl_slice_attrs slice;
    tl_reduce_attrs reduce;
    const tl_dim *dims[2][TL_MAX_RANK];
    int64_t ints[TL_MAX_RANK];
} exec_mapped;

/* The data of a slot as it lies. */
tl_tensor tl_exec_physical(const exec_slot *slot);
tl_status tl_exec_make_dense(tl_session *s, exec_slot *slot);
/* The result of a transpose as another view of its operand; false: no such axes. */
bool tl_exec_transpose(tl_session *s, exec_step *step);
/* Before a call, when shapes are set: operands either all in one order that the op can work in,
 * which becomes that of the result, or all dense. */
tl_status tl_exec_put_in_order(tl_session *s, exec_step *step, exec_mapped *mapped);

#endif
