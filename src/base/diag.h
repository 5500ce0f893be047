/* Context and diagnostics. Three kinds of trouble, never mixed: our bug (tl_bug), bad or unsupported
 * input (tl_fail with a code of that status), environment. Records collect in the context; the
 * library prints nothing. One line reads
 *     FILE: PLACE: what, expected X, found Y; hint
 * and equal lines with different places are one record with several places. */
#ifndef TL_BASE_DIAG_H
#define TL_BASE_DIAG_H

#include "base/map.h"
#include "base/vec.h"

/* Codes: letter = kind, number = stable. The table is base/diag.def. */
typedef enum tl_code {
#define CODE(id, status, title, advice) TL_##id,
#include "base/diag.def"
#undef CODE
    TL_CODE_COUNT
} tl_code;

const char *tl_code_name(tl_code code);   /* "U001" */
const char *tl_code_title(tl_code code);  /* "unsupported operator" */
const char *tl_code_advice(tl_code code); /* what it means and what to do, for `tolite explain` */
tl_status tl_code_status(tl_code code);   /* TL_OK for warnings and notes */
bool tl_code_find(tl_str name, tl_code *out);

typedef struct tl_diag_place {
    const char *place;          /* "node /layer1/Conv (Conv)", "net.py:88, in Mixer.forward"; may be "" */
    const char *const *context; /* further lines, outermost call last */
    size_t n_context;
} tl_diag_place;

typedef struct tl_diag {
    tl_code code;
    const char *file; /* may be "" */
    const char *what; /* message without file and place */
    const char *hint; /* may be "" */
    TL_VEC(tl_diag_place) places;
    size_t n_places; /* all of them; places keeps at most TL_DIAG_MAX_PLACES */
} tl_diag;

#define TL_DIAG_MAX_PLACES 64
#define TL_DIAG_MAX 1000

/* Where something is: filled by the caller as far as known. A zeroed one is legal. */
typedef struct tl_where {
    const char *file;
    const char *place;
    const char *const *context;
    size_t n_context;
} tl_where;

struct tl_context {
    void *(*alloc)(void *user, void *old, size_t old_size, size_t new_size); /* new_size 0 frees */
    void *alloc_user;
    void (*progress)(void *user, const char *phase, double fraction);
    void *progress_user;
    const volatile int *cancel; /* non-zero asks long work to stop with TL_INTERRUPTED; may be NULL */
    tl_arena arena;             /* diagnostics */
    TL_VEC(tl_diag *) diags;
    tl_map index;     /* hash of code, file, what -> tl_diag */
    tl_status status; /* first failure; sticky until tl_context_reset */
    bool out_of_memory;
    size_t n_dropped; /* diagnostics beyond TL_DIAG_MAX (failures: twice that), or without memory */
    int n_threads;    /* 0 = number of processors */
    /* so that lack of memory is recorded without memory: a record, and always one free slot in diags */
    tl_diag oom;
    tl_diag *first_diags[8];
};

/* alloc as tl_allocate in tolite.h; NULL: malloc and friends. NULL when memory is out. */
tl_context *tl_context_create(void *(*alloc)(void *, void *, size_t, size_t), void *user);
void tl_context_destroy(tl_context *cx);
/* Memory comes from malloc, not from the user. */
bool tl_context_has_own_memory(const tl_context *cx);
tl_status tl_context_status(const tl_context *cx);
/* Forgets status and records. */
void tl_context_reset(tl_context *cx);

/* Records a failure and returns its status: that of the code, or TL_ENVIRONMENT when that came first,
 * since what could not be read looks damaged, and when there is no memory for the record. format is the "what, expected X,
 * found Y" part, a hint may follow the first "; ". */
tl_status tl_fail(tl_context *cx, tl_code code, const tl_where *where, const char *format, ...)
    TL_PRINTF(4, 5);
/* Records a warning or note (code with status TL_OK). */
void tl_warn(tl_context *cx, tl_code code, const tl_where *where, const char *format, ...)
    TL_PRINTF(4, 5);
/* Our own invariant broke: TL_BUG. */
tl_status tl_bug(tl_context *cx, const char *format, ...) TL_PRINTF(2, 3);
/* Out of memory: recorded without allocating. Returns TL_ENVIRONMENT. */
tl_status tl_oom(tl_context *cx);
/* TL_INTERRUPTED when the caller asked to stop, recorded; else TL_OK. Call in long loops. */
tl_status tl_check_cancel(tl_context *cx);
void tl_progress(tl_context *cx, const char *phase, double fraction);
/* One record as text: first line, then indented places and context, no trailing newline. */
void tl_diag_print(const tl_diag *diag, tl_text *text);

/* Passes a failure on. */
#define TRY(expr)                          \
    do {                                   \
        tl_status try_status_ = (expr);    \
        if (try_status_ != TL_OK)          \
            return try_status_;            \
    } while (0)

/* Heap for embedded buffers that live across calls; base only hands it out through arenas otherwise. */
void *tl_mem_alloc(tl_context *cx, size_t size); /* zeroed; NULL recorded as out of memory */
void tl_mem_free(tl_context *cx, void *p, size_t size);

#endif
