/* ATen: what PyTorch's operators mean in core ops. Both readers of PyTorch programs (.pt2, TorchScript)
 * bring an operator and its arguments in this form; the table aten.def has one row per overload. A row is
 * the signature as PyTorch declares it (names, types, defaults) and a handler.
 *
 * Tensors of the source are handles (aten_tensor, storage.h): a window on a storage that other handles may
 * share. Handlers see plain SSA values: aten_value() reads the window, results become fresh storages. What
 * writes in place (relu_, add_.Tensor, copy_) is the row of the functional twin; aten_apply writes its
 * result through the handle. Only views touch handles.
 *
 * Numbers of Python are known (ints as expressions over sizes), or computed at run time (ATEN_NUMBER). A
 * row's parameter of type Tensor accepts numbers too; they do not decide the result's type within a kind. */
#ifndef TL_IMPORT_TORCH_ATEN_H
#define TL_IMPORT_TORCH_ATEN_H

#include "import/known.h"
#include "ir/build.h"

typedef struct aten_env aten_env;
typedef struct aten_row aten_row;
typedef struct aten_tensor aten_tensor;

typedef enum aten_kind {
    ATEN_NONE,
    ATEN_TENSOR,
    ATEN_INT,    /* i */
    ATEN_FLOAT,  /* f */
    ATEN_BOOL,   /* b */
    ATEN_NUMBER, /* v: scalar computed at run time; i64, f64 (f32) or bool by its kind in Python */
    ATEN_STRING, /* s */
    ATEN_DTYPE,  /* dtype, is_complex */
    ATEN_DEVICE, /* these three decide nothing here */
    ATEN_LAYOUT,
    ATEN_MEMORY_FORMAT,
    ATEN_LIST, /* lists and tuples of any of these; optional tensors are NONE in them */
    ATEN_OTHER /* what no operator of the table takes: dicts, objects, ... */
} aten_kind;

typedef struct aten_arg {
    aten_kind kind;
    bool is_complex; /* DTYPE: complex numbers with parts of dtype */
    union {
        aten_tensor *t;
        const tl_dim *i;
        double f;
        bool b;
        tl_value *v;
        tl_str s;
        tl_dtype dtype;
        struct {
            const struct aten_arg *items;
            size_t n;
        };
    };
} aten_arg;

/* ---- one call, as handlers see it ---- */

typedef struct aten_call {
    aten_env *env;
    tl_context *cx;
    tl_model *model;
    tl_dims *dims;
    tl_arena *arena; /* lives as long as the import */
    tl_builder *b;   /* at the end of the current graph, stamped with the origin */
    const aten_row *row;
    const aten_arg *arg; /* by position in the signature, defaults filled in */
    size_t n_arg;
    aten_arg *out; /* set by the handler; NONE: not computed, or (something was recorded) poison */
    size_t n_out;  /* as many as the signature returns */
    bool hand_over; /* refused, and TensorFlow's operator takes its place */
} aten_call;

typedef void (*aten_handler)(aten_call *c);

struct aten_row {
    const char *signature; /* "add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor" */
    aten_handler import;
    tl_op op; /* for handlers that several operators share */
    /* MAPPED: floating-point attributes of op and the arguments they come from; NULL: none */
    const char *attr[2];
    int from[2];
};

/* ---- look-up and binding, for readers ---- */

/* name: "add", "add_", "torchvision::nms" (other namespaces than aten are spelled out); overload "" is the
 * default one. NULL: no row. *in_place: row is that of the functional twin. */
const aten_row *aten_find(tl_str name, tl_str overload, bool *in_place);
/* The overloads of a name, in the order of the table, for TorchScript, which does not say which one:
 * after NULL the first, then the next; NULL at the end. */
const aten_row *aten_next(tl_str name, const aten_row *after, bool *in_place);

typedef struct aten_given {
    tl_str name; /* empty: by position */
    aten_arg arg;
} aten_given;

/* Arguments by position for the signature of row, defaults filled in; in arena. NULL when they do not fit it;
 * then *why (may be NULL) says so. Lists of one element stand for themselves repeated (int[2]), ints serve as
 * floats, numbers as tensors, ints as dtypes (c10's numbers). */
const aten_arg *aten_bind(aten_env *env, const aten_row *row, const aten_given *given, size_t n,
                          const char **why);
/* The first overload of name that the arguments fit without conversions, else with them. NULL: none. */
const aten_row *aten_choose(aten_env *env, tl_str name, const aten_given *given, size_t n, bool *in_place,
                            const aten_arg **args, const char **why);
size_t aten_n_args(aten_env *env, const aten_row *row);
size_t aten_n_results(aten_env *env, const aten_row *row);
size_t aten_row_count(void);
const aten_row *aten_row_at(size_t index);
/* The attribute that row->attr[k] names; NULL: op has no floating-point one of that name. */
const tl_field *aten_mapped_field(const aten_row *row, size_t k);
/* Runs the handler. in_place: the first result is written through arg[0], and *is* arg[0]. results has room
 * for aten_n_results; what stays NONE is not computed (indices of pools, ...): the reader refuses it where it
 * is used. */
void aten_apply(aten_env *env, const aten_row *row, bool in_place, const aten_arg *args, aten_arg *results);

/* An operator without a row (U001), at the current origin; results become poison tensors. */
void aten_unsupported(aten_env *env, tl_str op, aten_arg *results, size_t n_results);

/* dtypes as .pt2 numbers them (schema ScalarType), and as c10 does (TorchScript, pickles). False: no such. */
bool aten_dtype_of_schema(int64_t number, aten_arg *out);
bool aten_dtype_of_c10(int64_t number, aten_arg *out);

/* ---- for handlers ---- */

void aten_refuse(aten_call *c, const char *format, ...) TL_PRINTF(2, 3);              /* U003 */
void aten_refuse_as(aten_call *c, tl_code code, const char *format, ...) TL_PRINTF(3, 4);
void aten_malformed(aten_call *c, const char *format, ...) TL_PRINTF(2, 3);           /* M003 */

/* Arguments by position. A tensor (or number, as a scalar of its kind's type: i64, f32, bool) as a value. */
tl_value *aten_value(aten_call *c, size_t i);
/* NULL for None. */
tl_value *aten_optional(aten_call *c, size_t i);
aten_tensor *aten_handle(aten_call *c, size_t i); /* numbers become fresh tensors */
static inline bool aten_is_none(const aten_call *c, size_t i)
{
    return i >= c->n_arg || c->arg[i].kind == ATEN_NONE;
}
/* Known numbers; recorded and a harmless value when they are not. None gives `absent`. */
int64_t aten_int(aten_call *c, size_t i, int64_t absent);
/* As an expression; a number that the model computes becomes a size of its own. NULL for None. */
const tl_dim *aten_dim(aten_call *c, size_t i);
/* A number that the model computes and nothing is known of, as an i64 scalar; NULL for others. */
tl_value *aten_computed(aten_call *c, size_t i);
double aten_float(aten_call *c, size_t i, double absent);
bool aten_bool(aten_call *c, size_t i, bool absent);
tl_str aten_string(aten_call *c, size_t i); /* empty for None */
bool aten_dtype(aten_call *c, size_t i, tl_dtype *out); /* false for None */
/* Lists; NULL (and n 0) for None. A number is a list of one. */
const int64_t *aten_ints(aten_call *c, size_t i, size_t *n);
const tl_dim *const *aten_dim_list(aten_call *c, size_t i, size_t *n);
const double *aten_floats(aten_call *c, size_t i, size_t *n);
tl_value **aten_values(aten_call *c, size_t i, size_t *n); /* NULL elements where None */

void aten_return(aten_call *c, size_t i, tl_value *value); /* a fresh tensor */
void aten_return_tensor(aten_call *c, size_t i, aten_tensor *t);
void aten_return_complex(aten_call *c, size_t i, tl_value *value); /* [..., 2] */
void aten_return_list(aten_call *c, size_t i, tl_value *const *values, size_t n);
void aten_return_dim(aten_call *c, size_t i, const tl_dim *d);

/* handlers: aten_op_<name>, in aten_op_*.c; declared from the table */
/* clang-format off */
void aten_op_eltwise(aten_call *c);
#define DIRECT(signature, op)
#define MAPPED(signature, op, ...)
#define CUSTOM(signature, handler) void aten_op_##handler(aten_call *c);
#define SHARED(signature, handler, op) void aten_op_##handler(aten_call *c);
#include "import/torch/aten/aten.def"
#undef DIRECT
#undef MAPPED
#undef CUSTOM
#undef SHARED
/* clang-format on */

#endif
