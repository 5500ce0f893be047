/* What the files of the TorchScript reader share: the partial evaluator. Modules, attributes and Python
 * values are evaluated at import, tensors become values of the graph under construction.
 *
 * What a program changes (names, attributes, lists, dicts) is journalled, so that the branches of an `if`
 * that the model decides, and the bodies of loops, can be run one after the other from the same state.
 * Writes to tensors have the journal of storage.h. */
#ifndef TL_IMPORT_TORCH_SCRIPT_PRIVATE_H
#define TL_IMPORT_TORCH_SCRIPT_PRIVATE_H

#include "import/import.h"
#include "import/torch/script/script_archive.h"
#include "import/torch/script/script_value.h"

/* A variable of a call. */
typedef struct script_slot {
    tl_str name;
    bool set;
    script_value value;
} script_slot;

/* One call under way. */
typedef struct script_frame {
    struct script_frame *caller;
    const script_function *function;
    const script_object *self; /* NULL: no method */
    const struct script_frame
        *around;              /* of a function inside of another: whose variables it sees */
    tl_map names;             /* -> script_slot */
    uint32_t statement, expr; /* offsets in the file of what is under way */
    tl_str target;            /* the variable that is being assigned, or empty */
    bool returned;
    script_value result;
} script_frame;

typedef enum script_change_kind {
    SCRIPT_CHANGE_NAME,
    SCRIPT_CHANGE_ATTR,
    SCRIPT_CHANGE_LIST,
    SCRIPT_CHANGE_DICT
} script_change_kind;

/* Something that changed, and how to take it back. */
typedef struct script_change {
    script_change_kind kind;
    script_slot *slot;
    script_object *object;
    tl_str attr;
    script_list *list;
    script_dict *dict;
    /* before */
    bool set;
    script_value value;
    script_list list_before;
    script_dict dict_before;
} script_change;

typedef TL_VEC(script_change) script_changes;
typedef TL_VEC(tl_str) script_names;

/* An attribute that was assigned, or a list or dict of the archive that was changed. */
typedef struct script_kept {
    script_object *object; /* NULL: a container */
    tl_str name;           /* of the attribute, of a container the path */
    script_value begin;    /* what the run began with */
    script_value now;      /* the container */
} script_kept;

/* A buffer that the program writes, an attribute that it assigns, or a part of one: hidden input and
 * output. */
typedef struct script_state {
    tl_str path; /* backbone.counter, hidden.0 */
    bool
        is_place; /* of an attribute or element, whatever tensor it holds; else of the tensor's contents */
    bool is_dead;    /* nothing but itself depends on it: it stays what it is at first */
    tl_value *input; /* NULL: not met */
    tl_value *output;
} script_state;

typedef struct script_eval {
    aten_env env;
    tl_context *cx;
    tl_arena *arena;
    tl_model *model;
    tl_dims *dims;
    script_archive *archive;
    const tl_pickle *constants; /* the tuple CONSTANTS */
    tl_map pickled; /* pickled object -> script_value, so that shared ones stay shared */
    struct script_state *states; /* tensors that the program keeps from one run to the next */
    size_t n_states;
    tl_value *started; /* input: false in the first run, where a state does not begin with zeros */
    TL_VEC(script_kept) assigned; /* each once */
    tl_map names;                 /* of values given so far -> size_t, how often */
    const tl_import_options *options;
    script_names *in_names; /* of the inputs that are no states */
    size_t n_user_inputs;   /* the arguments among them, which come first */
    tl_value **cut;         /* of options->outputs; NULL: not computed yet */
    size_t n_cut, n_starts; /* found so far */
    bool ended;             /* all of them are; raised is set, too */
    script_frame *frame;
    int depth;   /* of calls */
    int nesting; /* of script_enter */
    uint64_t n_visits;
    script_changes changes;
    size_t clock; /* grows with every mark */
    size_t
        mark; /* clock of the innermost mark, from which on changes may be taken back; SIZE_MAX: none */
    bool raised;    /* an exception is on its way up */
    tl_str message; /* of it */
    const tl_origin *raised_at;
    uint64_t n_steps; /* statements run so far */
    uint64_t n_made;  /* elements of lists made by joining and repeating, letters too */
} script_eval;

#define SCRIPT_MAX_DEPTH 200 /* calls inside calls */
#define SCRIPT_MAX_STEPS (1u << 22)
#define SCRIPT_MAX_NESTING \
    1500 /* blocks, expressions, values in each other: less than 2 MB of stack */
#define SCRIPT_MAX_VISITS (1u << 23)
#define SCRIPT_MAX_UNROLL (1u << 16)
#define SCRIPT_MAX_MADE (1u << 21)
#define SCRIPT_MAX_BYTES ((size_t)1 << 29) /* of scratch memory */

/* Around everything that recurses over the program or its values, which may be nested without end or hold
 * themselves. False (recorded once): too deep, or too much work; then there is nothing to leave. */
bool script_enter(script_eval *ev);
/* Before n elements, or letters, are made at once: false (recorded once) when that is too much. */
bool script_afford(script_eval *ev, uint64_t n);
static inline void script_leave(script_eval *ev)
{
    ev->nesting--;
}

/* ---- messages and origins: script_debug.c ---- */

/* The user's line of what is under way, and those of the callers. */
const tl_origin *script_origin(script_eval *ev, tl_str op);
void script_fail(script_eval *ev, tl_code code, const char *format, ...) TL_PRINTF(3, 4);
void script_warn(script_eval *ev, tl_code code, const tl_origin *origin, const char *format, ...)
    TL_PRINTF(4, 5);
/* Path of the module under way: backbone.layer1; empty for the root. */
tl_str script_module(const script_eval *ev);

/* ---- parts of a program: script_cut.c ---- */

/* --output or --start is given. */
bool script_is_part(const script_eval *ev);
/* A tensor of the program's own graph got this name. */
void script_cut_value(script_eval *ev, tl_str name, const script_value *value);
/* The outputs that are asked for instead of the program's. O002 where there is no such value. */
tl_status script_cut_outputs(script_eval *ev, script_names *names, tl_value ***values);
/* Arguments that a part does not use are no inputs of it. */
void script_drop_inputs(script_eval *ev, bool (*is_used)(const tl_value *value));

/* ---- the journal: script_journal.c ---- */

script_slot *script_find_slot(script_eval *ev, tl_str name); /* made when there is none */
void script_set_slot(script_eval *ev, script_slot *slot, script_value value);
void script_assign_attr(script_eval *ev, script_object *object, tl_str name, script_value value);
/* To be called before a list or dict changes. */
void script_touch_list(script_eval *ev, script_list *list);
void script_touch_dict(script_eval *ev, script_dict *dict);
script_value script_make_list(script_eval *ev, script_kind kind, const script_value *items,
                              size_t n);
script_value script_make_dict(script_eval *ev);

typedef struct script_mark {
    size_t outer, begin, writes;
} script_mark;

script_mark script_mark_set(script_eval *ev);
/* Keeps what changed since. */
void script_mark_keep(script_eval *ev, script_mark mark);
/* Takes everything back, writes to tensors too. */
void script_mark_undo(script_eval *ev, script_mark mark);
/* What changed since the mark, each thing once, in order. */
const script_change *script_changed(script_eval *ev, script_mark mark, size_t *n);
/* Present contents of what a change is about; a list or dict as a copy. Unset names are UNSET. */
script_value script_changed_value(script_eval *ev, const script_change *change);
/* ... and before the change. */
void script_restore(script_eval *ev, const script_change *change, script_value value);

/* ---- expressions and statements: script_expr.c, script_run.c ---- */

script_value script_eval_expr(script_eval *ev, const script_expr *expr);
void script_run_block(script_eval *ev, const script_block *block);
static inline bool script_stopped(const script_eval *ev)
{
    return ev->raised || ev->frame->returned || ev->cx->out_of_memory;
}
/* args: self excluded. keywords: of the last n_keywords. */
script_value script_call_function(script_eval *ev, const script_function *function,
                                  script_object *self, const script_value *args, size_t n,
                                  const tl_str *keywords, size_t n_keywords);
script_value script_call_method(script_eval *ev, script_object *self, tl_str name,
                                const script_value *args, size_t n, const tl_str *keywords,
                                size_t n_keywords);
bool script_is_instance(script_eval *ev, script_value x, const script_expr *type);
/* A variable of the call under way, or of those around it; NULL: none. */
const script_slot *script_look_up(const script_eval *ev, tl_str name);
/* fork(f) is f(), on the spot. */
script_value script_call_inner(script_eval *ev, const script_function *function);

/* ---- control flow that the model decides: script_branch.c, script_loop.c ---- */

void script_branch(script_eval *ev, tl_value *cond, const script_block *yes,
                   const script_block *no);
/* counter: slot of the loop variable; trips: how often. Both NULL: while the slot cond holds. */
void script_loop(script_eval *ev, script_slot *counter, script_value trips, script_slot *cond,
                 const script_block *body);

#define SCRIPT_MAX_SCOPES 64
/* Every symbol in d is older than the number first_symbol. */
bool script_is_older_dim(const tl_dim *d, size_t first_symbol);
/* Takes a graph apart that was built for nothing. */
void script_discard_graph(tl_graph *graph);
/* Runs a block that raises; the model is taken not to get there, which is reported. */
void script_assume_not(script_eval *ev, const script_block *block);
bool script_always_raises(const script_block *block);
tl_value *script_as_scalar(script_eval *ev, script_value x); /* any number as a value of its kind */

/* ---- numbers: script_number.c ---- */

tl_dtype script_dtype_of(script_kind kind); /* i64, f64, bool */
/* A scalar value (or a tensor of one element) as a number of Python, known where that is possible. */
script_value script_from_value(script_eval *ev, script_kind kind, tl_value *v);
/* x as another kind of number: int(), float(), bool(); of tensors too. UNKNOWN when it has no truth. */
script_value script_to_number(script_eval *ev, script_kind kind, script_value x);
script_value script_int(script_eval *ev, int64_t i);
script_value script_arith(script_eval *ev, tl_op op, script_value a, script_value b);
script_value script_compare(script_eval *ev, tl_op op, script_value a, script_value b);
script_value script_not(script_eval *ev, script_value x);
script_value script_math(script_eval *ev, tl_op op, script_value x);

/* ---- built-in functions: script_builtin.c and the files of its table ---- */

typedef struct script_call {
    script_eval *ev;
    tl_str name; /* "add", "prim::dtype", "int" */
    const script_value *args;
    size_t n; /* those by name included, which are the last n_keywords */
    const tl_str *keywords;
    size_t n_keywords;
    tl_op op;
    int form;
} script_call;

/* False: not for these arguments; then ATen's table has it, or nobody. op, form: of the row. */
typedef bool (*script_builtin)(script_call *c, script_value *out);

/* Operator name (as in the table of ATen) on evaluated arguments. */
script_value script_call_operator(script_eval *ev, tl_str name, const script_value *args, size_t n,
                                  const tl_str *keywords, size_t n_keywords);
/* ... from the table of this reader alone. False: it has none. */
bool script_call_builtin(script_eval *ev, tl_str name, const script_value *args, size_t n,
                         const tl_str *keywords, size_t n_keywords, script_value *out);
/* ... when an argument is a quantised tensor: on what it means, quantised again. False: none is. */
bool script_call_quantized(script_eval *ev, tl_str name, const script_value *args, size_t n,
                           const tl_str *keywords, size_t n_keywords, script_value *out);
/* Argument by position, or by name among those given by name; NULL when not given. */
const script_value *script_arg(const script_call *c, size_t position, const char *name);
aten_arg script_to_aten(script_eval *ev, script_value x);
script_value script_from_aten(script_eval *ev, aten_arg x);
/* c10's number of an element type. */
int64_t script_dtype_number(tl_dtype dtype, bool is_complex);
/* The elements of a stacked list alone. */
tl_value *script_stacked(script_eval *ev, const script_list *list);
/* A list whose elements are stacked in v, behind skip rows that are none. */
script_value script_stacked_list(script_eval *ev, tl_value *v, script_kind element, int64_t skip);
/* Items of a list, tuple or tensor-free iterable, stacked ones taken apart where their number is known. */
bool script_items(script_eval *ev, script_value x, const script_value **items, size_t *n);
tl_value *script_read(script_eval *ev, script_value x); /* a tensor, or number, as a value */

/* clang-format off */
#define KNOWN(name, handler, op, form) bool script_do_##handler(script_call *c, script_value *out);
#define ANY KNOWN
#include "import/torch/script/script_builtin.def"
#undef KNOWN
#undef ANY
/* clang-format on */

/* ---- pickled values: script_unpickle.c ---- */

/* path: of the module or attribute, for names of constants. */
script_value script_unpickle(script_eval *ev, const tl_pickle *pickle, const char *folder,
                             tl_str path);
script_value script_constant(script_eval *ev, tl_str name); /* CONSTANTS.name */

/* ---- state: script_state.c ---- */

script_state *script_find_state(script_eval *ev, tl_str path);
/* The state's value at the begin of a run; begin: its contents before the first one. */
tl_value *script_state_input(script_eval *ev, script_state *state, tl_value *begin);
/* What stands at a place of the archive when a run begins: x, or what the last run left there. */
script_value script_begin_at(script_eval *ev, tl_str path, script_value x);
/* ... for the attributes that an object has. */
void script_begin_attrs(script_eval *ev, script_object *object);
/* To be told: an attribute is read; is assigned (the first time); a list or dict of the archive changes. */
void script_note_read(script_eval *ev, script_object *object, tl_str name, script_value value);
void script_note_assigned(script_eval *ev, script_object *object, tl_str name);
void script_note_touched(script_eval *ev, tl_str path, script_value container);
/* After the program ran: what it keeps, with the values as output. U006 for what cannot be kept. */
script_state *script_collect_states(script_eval *ev, size_t *n);
/* Marks those states as dead on which none of the outputs depends, directly or through other states. */
void script_find_dead_states(script_eval *ev, tl_value *const *outputs, size_t n_outputs,
                             script_state *states, size_t n_states);

/* ---- inputs and outputs: script_input.c, script_output.c ---- */


/* Arguments of a method's call: inputs of the graph made from --input, or as they were traced. names
 * receives those of the inputs. O002, U005 where something is missing, all at once. */
tl_status script_make_inputs(script_eval *ev, const script_function *method,
                             const tl_import_options *options, script_value **args, size_t *n,
                             script_names *names);
/* Tensors and numbers in what the program returns, as outputs of the graph. */
tl_status script_make_outputs(script_eval *ev, script_value result, script_names *names,
                              tl_value ***values);
/* Gives a tensor that a variable holds its name. */
void script_name_value(script_eval *ev, tl_str variable, script_value value);

#endif
