/* What the files of the TFLite reader share. Tensors of the file become values one to one; a tensor that
 * cannot be one is poison from the operator on that reads it, with a record. */
#ifndef TL_IMPORT_TFLITE_TFLITE_READER_H
#define TL_IMPORT_TFLITE_TFLITE_READER_H

#include "codec/flatbuf.h"
#include "import/import.h"
#include "tfl/schema.h"
#include "tfl/schema_fields.h"

/* Bytes of a constant in the file. */
typedef struct tfl_buffer {
    uint64_t offset, size;
    struct tfl_constant *constants; /* values made from it */
} tfl_buffer;

typedef struct tfl_code {
    int64_t code;
    int64_t version;
    tl_str custom;                 /* name of a custom operator */
    const tl_tfl_builtin *builtin; /* NULL: not supported */
} tfl_code;

typedef struct tfl_tensor {
    tl_str name;         /* empty: none */
    int64_t code;        /* TensorType */
    tl_dtype dtype;      /* when has_dtype */
    bool has_dtype;
    bool ranked;         /* false: shape [] may stand for an unknown rank */
    int rank;
    int64_t shape[TL_MAX_RANK], signature[TL_MAX_RANK]; /* signature: -1 = open */
    uint32_t buffer;
    const tl_quant *quant;
    const char *refusal; /* why it can be no value, or NULL */
} tfl_tensor;

/* A value made from a constant of the file, to be found again from another subgraph. */
typedef struct tfl_constant {
    const tfl_tensor *tensor;
    tl_value *value;
    uint32_t instance; /* the last graph that used it */
    struct tfl_constant *next;
} tfl_constant;

/* A name of a signature for a tensor of its subgraph. */
typedef struct tfl_name {
    tl_str name;
    uint32_t tensor;
} tfl_name;

typedef struct tfl_signature {
    tl_str key;
    uint32_t subgraph;
    tfl_name *in, *out;
    uint32_t n_in, n_out;
} tfl_signature;

/* The records of tfl/marks.h. */
typedef struct tfl_entry_mark {
    uint32_t subgraph;
    size_t n_shown;
    tl_str name;
} tfl_entry_mark;

typedef struct tfl_marks {
    TL_VEC(tfl_entry_mark) entries;
    TL_VEC(const tl_origin *) origins;
    tl_map dims, values; /* subgraph << 32 | tensor -> rest of the line (tl_str *) */
    tl_map from;         /* subgraph << 32 | operator -> where its origin is (const tl_origin **) */
    bool present;
} tfl_marks;

typedef struct tfl_reader {
    tl_context *cx;
    tl_file *file;
    tl_arena *arena; /* of the model */
    tl_arena scratch;
    tl_model *model;
    const tl_import_options *options;
    tl_fb fb;
    tl_fb_table root;
    tfl_buffer *buffers;
    tfl_code *codes;
    uint32_t n_buffers, n_codes;
    tl_fb_vector subgraphs;
    bool *active;          /* subgraphs being read, to find those that contain themselves */
    int nesting;           /* how many */
    uint32_t n_instances;  /* graphs made */
    tfl_marks marks;
} tfl_reader;

/* A variable of an entry's graph: what CALL_ONCE assigns to it, and its value at this point. */
typedef struct tfl_variable {
    tl_str container, name;
    tl_value *first, *now; /* NULL: nothing yet */
} tfl_variable;

/* A hidden input and what goes out with it: the variable's value at the end, or `next`. */
typedef struct tfl_state {
    tl_str name;
    tl_value *input, *next;
    const tfl_variable *variable;
} tfl_state;

/* One graph while it is read. */
typedef struct tfl_scope {
    tfl_reader *r;
    uint32_t subgraph, instance;
    tl_graph *graph;
    tfl_tensor *tensors;
    tl_value **values; /* of the tensors; NULL: not yet */
    uint32_t n_tensors;
    int32_t *inputs, *outputs; /* indices of tensors */
    uint32_t n_inputs, n_outputs;
    const tfl_signature *signature; /* of an entry's graph, else NULL */
    bool first;                     /* entry that the options speak of */
    bool *skip;                     /* operators that a cut leaves out; NULL: none */
    const tl_origin *origin;        /* of the last operator, from the marks */
    bool is_once;                   /* the subgraph of a CALL_ONCE */
    tfl_variable **handles;         /* of the tensors; NULL: no variable so far */
    TL_VEC(tfl_variable *) variables;
    TL_VEC(tfl_state) states;
    tl_value *started;              /* the flag among the states, or NULL */
} tfl_scope;

/* ---- tensors ---- */

tl_status tfl_read_tensors(tfl_scope *s, tl_fb_table subgraph);
/* Type of an input; open dims are fresh symbols named after name and axis. */
tl_type tfl_input_type(tfl_reader *r, const tfl_tensor *tensor, tl_str name);
/* The value of tensor t for a reader at `where`: made when it is a constant; poison with a record when
 * there is none. */
tl_value *tfl_tensor_value(tfl_scope *s, uint32_t t, const tl_where *where);
/* Records why the tensor can be no value. */
tl_status tfl_refuse(tfl_reader *r, const tl_where *where, const tfl_tensor *tensor);
/* "STRING", "code 99" */
const char *tfl_type_text(tfl_reader *r, int64_t code);

/* ---- graphs ---- */

/* Reads subgraph s->subgraph into s->graph. Its inputs have the types of `given`, or of the declarations,
 * marks and options when s->signature is set. */
tl_status tfl_read_graph(tfl_scope *s, tl_value *const *given, size_t n_given);
/* Indices of a vector of the file, each below limit or, when optional, -1. */
tl_status tfl_read_indices(tfl_reader *r, tl_fb_table table, int field, uint32_t limit, bool optional,
                           int32_t **indices, uint32_t *n);

/* ---- state ---- */

/* An operator that keeps state. */
typedef struct tfl_stateful {
    tl_fb_table options;
    const int32_t *in, *out;
    uint32_t n_in, n_out;
    const tl_where *where;
} tfl_stateful;

/* VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE, CALL_ONCE. */
bool tfl_is_stateful(int64_t code);
tl_status tfl_read_stateful(tfl_scope *s, int64_t code, const tfl_stateful *o, tl_builder *b);
tl_value *tfl_state_result(const tfl_state *state);

/* ---- entries ---- */

/* Every signature as an entry of the model. */
tl_status tfl_read_entries(tfl_reader *r);
/* Types of the inputs of an entry's graph. */
tl_status tfl_entry_types(tfl_scope *s, tl_type *types);
/* Applies the options that begin and end the first entry elsewhere: other inputs, outputs, operators. */
tl_status tfl_cut(tfl_scope *s, tl_fb_table subgraph);

/* ---- marks ---- */

tl_status tfl_read_marks(tfl_reader *r);
/* Types of all inputs of an entry's graph; false when the marks say nothing that fits. */
bool tfl_marked_types(tfl_scope *s, tl_type *types);
void tfl_mark_value(tfl_reader *r, uint32_t subgraph, uint32_t t, tl_value *value);
/* Sets *origin, that of operator k - 1, to that of operator k. */
void tfl_marked_origin(const tfl_reader *r, uint32_t subgraph, uint32_t k, const tl_origin **origin);

/* M003 with the file as place. */
tl_status tfl_inconsistent(tfl_reader *r, const char *format, ...) TL_PRINTF(2, 3);

#endif
