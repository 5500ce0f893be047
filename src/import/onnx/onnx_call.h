/* One ONNX node on its way into the core graph, as handlers see it, and the table of handlers. A row
 * serves an operator from one opset version on, until a row of the same name with a higher version. */
#ifndef TL_IMPORT_ONNX_CALL_H
#define TL_IMPORT_ONNX_CALL_H

#include "import/onnx/onnx_proto.h"
#include "ir/build.h"

typedef struct onnx_importer onnx_importer;
typedef struct onnx_row onnx_row;

typedef struct onnx_call {
    onnx_importer *importer;
    tl_context *cx;
    tl_model *model;
    tl_dims *dims;
    tl_arena *arena; /* lives as long as the import */
    tl_builder *b;
    const onnx_node *node;
    const onnx_row *row;
    int64_t opset;   /* of the node's domain */
    tl_value **in;   /* NULL: absent optional input */
    size_t n_in;
    tl_value **out;  /* to be set by the handler; what stays NULL becomes poison. Room for at least one */
    size_t n_out;    /* as many as the node names, the last of them non-empty */
} onnx_call;

typedef void (*onnx_handler)(onnx_call *c);

struct onnx_row {
    const char *name;
    int since;
    onnx_handler import;
    tl_op op; /* for handlers shared by several operators */
    /* attributes that map to alpha and beta, with their defaults */
    const char *alpha;
    double alpha_default;
    const char *beta;
    double beta_default;
};

/* The row for an operator of the default domain at an opset; NULL when there is none. */
const onnx_row *onnx_find_row(tl_str op, int64_t opset);
size_t onnx_row_count(void);
const onnx_row *onnx_row_at(size_t index);

/* ---- for handlers ---- */

/* Records "operator does not do this" (U003) at the node; the outputs become poison. */
void onnx_refuse(onnx_call *c, const char *format, ...) TL_PRINTF(2, 3);
/* ... with another code. */
void onnx_refuse_as(onnx_call *c, tl_code code, const char *format, ...) TL_PRINTF(3, 4);
/* Records a contradiction in the file (M003) at the node. */
void onnx_malformed(onnx_call *c, const char *format, ...) TL_PRINTF(2, 3);

static inline tl_value *onnx_in(const onnx_call *c, size_t i)
{
    return i < c->n_in ? c->in[i] : NULL;
}
/* True when output i is named (somebody may use it). */
bool onnx_wants(const onnx_call *c, size_t i);

/* Attributes by name; NULL / the default when absent. References inside functions are resolved. */
const onnx_attribute *onnx_find_attr(const onnx_call *c, const char *name);
int64_t onnx_attr_i(const onnx_call *c, const char *name, int64_t value);
double onnx_attr_f(const onnx_call *c, const char *name, double value);
tl_str onnx_attr_s(const onnx_call *c, const char *name, const char *value);
const int64_t *onnx_attr_ints(const onnx_call *c, const char *name, size_t *n);
/* A tensor attribute as a constant; poison when its type or data is not usable (recorded). */
tl_value *onnx_tensor_value(onnx_call *c, const onnx_tensor *tensor);

/* Contents of an integer input when they are known: constants and shape arithmetic. NULL otherwise. */
const tl_dim *const *onnx_contents(onnx_call *c, size_t input, size_t *n);
/* The same, or numbers computed at run time (a list of known length, or a scalar) as sizes. NULL: recorded. */
const tl_dim *const *onnx_dims(onnx_call *c, size_t input, const char *what, size_t *n);
/* ... that are never negative. */
const tl_dim *const *onnx_sizes(onnx_call *c, size_t input, const char *what, size_t *n);
/* ... and all of them constant. */
const int64_t *onnx_const_ints(onnx_call *c, size_t input, size_t *n);
/* Contents of a small constant input as doubles; NULL when it is not constant. */
const double *onnx_const_floats(onnx_call *c, size_t input, size_t *n);
/* A list that is an attribute in old opsets and an input in new ones, as expressions. False: recorded; *v NULL
 * when absent. */
bool onnx_list(onnx_call *c, const char *attr, size_t input, const tl_dim *const **v, size_t *n);

/* axis in [-rank, rank) made non-negative; refuses and returns -1 otherwise. */
int onnx_axis(onnx_call *c, int64_t axis, int rank);

/* [n, c, *s] to [n, *s, c] and back. */
tl_value *onnx_to_last(onnx_call *c, tl_value *x);
tl_value *onnx_to_first(onnx_call *c, tl_value *x);
tl_value *onnx_transpose(onnx_call *c, tl_value *x, const int64_t *perm);
tl_value *onnx_build(onnx_call *c, tl_op op, tl_value *x, tl_value *y);
/* Scalar of x's element type. */
tl_value *onnx_scalar_like(onnx_call *c, const tl_value *x, double value);
tl_value *onnx_unsqueeze(onnx_call *c, tl_value *x, const int *axes, size_t n);

static inline int onnx_rank(const tl_value *x)
{
    return x->fact.type.rank;
}
static inline const tl_dim *onnx_size(const tl_value *x, int axis)
{
    return x->fact.type.dims[axis];
}

/* handlers: import_<name>.c; declared from the table */
#define ROW(name, since, handler, ...) void onnx_import_##handler(onnx_call *c);
#include "import/onnx/onnx_ops.def"
#undef ROW

#endif
