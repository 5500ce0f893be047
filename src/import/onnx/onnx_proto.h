/* The ONNX protobuf as plain structures. Text and small lists are copied into an arena; tensor contents
 * stay ranges of the file until somebody reads them. Nothing here knows what an operator means.
 * Repeated occurrences of one message field replace or append as protobuf demands; unknown fields are
 * skipped; depth and counts are bounded by the bytes that are there. */
#ifndef TL_IMPORT_ONNX_PROTO_H
#define TL_IMPORT_ONNX_PROTO_H

#include "base/diag.h"
#include "base/dtype.h"
#include "base/io.h"

typedef struct onnx_graph onnx_graph;

/* TensorProto.DataType */
enum onnx_type {
    ONNX_UNDEFINED, ONNX_FLOAT, ONNX_UINT8, ONNX_INT8, ONNX_UINT16, ONNX_INT16, ONNX_INT32,
    ONNX_INT64, ONNX_STRING, ONNX_BOOL, ONNX_FLOAT16, ONNX_DOUBLE, ONNX_UINT32, ONNX_UINT64,
    ONNX_COMPLEX64, ONNX_COMPLEX128, ONNX_BFLOAT16, ONNX_FLOAT8E4M3FN, ONNX_FLOAT8E4M3FNUZ,
    ONNX_FLOAT8E5M2, ONNX_FLOAT8E5M2FNUZ, ONNX_UINT4, ONNX_INT4, ONNX_FLOAT4E2M1, ONNX_FLOAT8E8M0,
    ONNX_UINT2, ONNX_INT2
};
/* False for types that tolite has no element type for. */
bool onnx_dtype(int64_t onnx_type, tl_dtype *dtype);
const char *onnx_type_name(int64_t onnx_type);

typedef struct onnx_pair {
    tl_str key, value;
} onnx_pair;

typedef struct onnx_tensor {
    tl_str name;
    int64_t type; /* enum onnx_type */
    TL_VEC(int64_t) dims;
    /* exactly one source: decoded (typed fields), a range of the model file, external data */
    const void *decoded;
    uint64_t decoded_size;
    uint64_t offset, size;
    bool has_range;
    bool external;
    TL_VEC(onnx_pair) external_data;
    uint32_t seen; /* bit per number of a field that occurs */
} onnx_tensor;

enum onnx_attribute_type {
    ONNX_ATTR_UNDEFINED, ONNX_ATTR_FLOAT, ONNX_ATTR_INT, ONNX_ATTR_STRING, ONNX_ATTR_TENSOR,
    ONNX_ATTR_GRAPH, ONNX_ATTR_FLOATS, ONNX_ATTR_INTS, ONNX_ATTR_STRINGS, ONNX_ATTR_TENSORS,
    ONNX_ATTR_GRAPHS, ONNX_ATTR_SPARSE, ONNX_ATTR_SPARSES, ONNX_ATTR_TYPE, ONNX_ATTR_TYPES
};

typedef struct onnx_attribute {
    tl_str name, ref; /* ref: name of the function's attribute it stands for */
    int64_t type;     /* enum onnx_attribute_type; told from the field that is set in old files */
    double f;
    int64_t i;
    tl_str s;
    onnx_tensor *t;
    onnx_graph *g;
    TL_VEC(double) floats;
    TL_VEC(int64_t) ints;
    TL_VEC(tl_str) strings;
    uint32_t seen; /* bit per number of a field that occurs */
} onnx_attribute;

typedef struct onnx_node {
    tl_str name, op, domain, overload;
    TL_VEC(tl_str) inputs;
    TL_VEC(tl_str) outputs;
    TL_VEC(onnx_attribute) attributes;
    TL_VEC(onnx_pair) metadata;
    uint32_t index; /* position in its graph, for messages on nodes without a name */
} onnx_node;

typedef struct onnx_dim {
    bool known;    /* value holds */
    int64_t value;
    tl_str param;  /* may be empty */
} onnx_dim;

enum onnx_value_kind { ONNX_VALUE_NONE, ONNX_VALUE_TENSOR, ONNX_VALUE_SEQUENCE, ONNX_VALUE_OTHER };

typedef struct onnx_value_info {
    tl_str name;
    enum onnx_value_kind kind;
    int64_t type; /* enum onnx_type; of a sequence: that of its elements */
    bool has_shape;
    TL_VEC(onnx_dim) dims;
} onnx_value_info;

struct onnx_graph {
    tl_str name;
    TL_VEC(onnx_node) nodes;
    TL_VEC(onnx_tensor) initializers;
    TL_VEC(onnx_value_info) inputs;
    TL_VEC(onnx_value_info) outputs;
    TL_VEC(onnx_value_info) values;
    TL_VEC(onnx_tensor) sparse; /* values of sparse constants */
};

typedef struct onnx_opset {
    tl_str domain;
    int64_t version;
} onnx_opset;

typedef struct onnx_function {
    tl_str name, domain, overload;
    TL_VEC(tl_str) inputs;
    TL_VEC(tl_str) outputs;
    TL_VEC(tl_str) attributes;       /* without a default value */
    TL_VEC(onnx_attribute) defaults; /* attributes with a default value */
    TL_VEC(onnx_node) nodes;
    TL_VEC(onnx_opset) opsets;
} onnx_function;

typedef struct onnx_model {
    int64_t ir_version;
    tl_str producer, producer_version;
    TL_VEC(onnx_opset) opsets;
    TL_VEC(onnx_function) functions;
    TL_VEC(onnx_pair) metadata;
    onnx_graph *graph;
} onnx_model;

/* Parses the whole file. TL_MALFORMED with offset when it is not well-formed. */
tl_status onnx_parse(tl_context *cx, tl_file *file, tl_arena *arena, onnx_model **out);
/* True when the first bytes look like a ModelProto (ir_version and graph fields). */
bool onnx_sniff(tl_context *cx, tl_file *file, tl_arena *scratch);

#endif
