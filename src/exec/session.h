/* Runs one entry of a model, CORE or TFL ops alike. A session owns its memory plan, packed weights
 * and workers; after the first run with given input shapes nothing is allocated. Deterministic: the
 * result does not depend on the number of threads.
 *
 * State (entry->n_state) starts at zero and is carried from run to run; tl_session_reset clears it.
 */
#ifndef TL_EXEC_SESSION_H
#define TL_EXEC_SESSION_H

#include "kernel/fast/fast.h"

typedef struct tl_session tl_session;

typedef struct tl_session_options {
    int n_threads;  /* 0: as many as the context says */
    bool reference; /* only reference kernels, one thread, nothing in place */
    /* Called after every node for each of its outputs (also inside child graphs), while the data is
     * valid; in graph order, on the calling thread. NULL: not called. When set, every value is computed
     * as it is; else nodes may be joined and transposes not be carried out. */
    void (*observe)(void *user, const tl_value *value, const tl_tensor *tensor);
    void *observe_user;
    bool profile; /* keep nanoseconds per node */
    tl_rounding rounding; /* of quantised arithmetic */
} tl_session_options;

/* model must outlive the session and not change. */
tl_status tl_session_new(tl_context *cx, const tl_model *model, const tl_entry *entry,
                         const tl_session_options *options, tl_session **out);
void tl_session_free(tl_session *session);

/* Copies the tensor. Shape must fit the declared type: fixed dims equal, open dims bind the symbols
 * (O004 otherwise; equal symbols must agree). */
tl_status tl_session_set_input(tl_session *session, size_t index, const tl_tensor *tensor);
/* What messages about inputs name in the place of the model: a file, say; NULL: the model. Not copied. */
void tl_session_name_inputs(tl_session *session, const char *name);
/* Every visible input must have been set once. */
tl_status tl_session_run(tl_session *session);
/* Valid until the next run. */
const tl_tensor *tl_session_output(const tl_session *session, size_t index);
void tl_session_reset(tl_session *session);
/* Value of a symbol in the last run (by id); INT64_MIN when not bound. */
int64_t tl_session_symbol(const tl_session *session, size_t id);

typedef struct tl_session_stats {
    size_t arena_bytes;  /* activations */
    size_t weight_bytes; /* constants held in memory, packed copies included */
    size_t n_nodes;
} tl_session_stats;
tl_session_stats tl_session_get_stats(const tl_session *session);

/* Who works on kernels, and with which instructions. For observers, who may put them to work. */
const tl_workers *tl_session_workers(const tl_session *session);
const tl_isa *tl_session_isa(const tl_session *session);

/* Time of the last run per node of the entry's graph, when profile was set. Nodes that another one does on
 * the side take none. */
typedef struct tl_node_time {
    const tl_node *node;
    uint64_t nanoseconds;
} tl_node_time;
const tl_node_time *tl_session_profile(const tl_session *session, size_t *n);

#endif
