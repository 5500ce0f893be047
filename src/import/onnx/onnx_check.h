/* Is an ONNX file well-formed? Goes through the file as it is, by the rules of the standard (its IR.md and the
 * table onnx_schema.def), and records every breach with its place; then through the importer, for contradictions
 * of shapes. It asks for nothing that tolite alone demands. */
#ifndef TL_IMPORT_ONNX_CHECK_H
#define TL_IMPORT_ONNX_CHECK_H

#include "import/onnx/onnx_private.h"

/* What is known of the type of a value. */
typedef struct onnx_known_type {
    bool sequence;
    int64_t element; /* enum onnx_type; ONNX_UNDEFINED: nothing is known */
} onnx_known_type;

typedef struct onnx_check_scope {
    const struct onnx_check_scope *outer; /* whose names are seen; NULL: none */
    tl_map names;      /* onnx_known_type */
    tl_map declared;   /* onnx_value_info */
    const char *place; /* "graph main", "body then_branch of node /If (If)" */
} onnx_check_scope;

typedef struct onnx_checker {
    tl_context *cx;
    onnx_importer *imp; /* for opsets, functions and origins; it imports nothing */
    const onnx_check_scope *scope;
    const onnx_node *node; /* at hand; NULL: the graph as such */
    const char *place;     /* within the graph; NULL: none */
} onnx_checker;

/* Records a breach at the node at hand, or at the graph. */
void onnx_problem(onnx_checker *k, tl_code code, const char *format, ...) TL_PRINTF(3, 4);
/* What is known of a name that is seen here; NULL: it is not defined. */
const onnx_known_type *onnx_check_find(const onnx_checker *k, tl_str name);
onnx_known_type onnx_declared_type(const onnx_value_info *info);

/* onnx_check.c: a graph in an attribute of the node at hand; types: of its inputs as far as they follow. */
void onnx_check_body(onnx_checker *k, const onnx_attribute *attribute, const onnx_known_type *types,
                     size_t n_types);
/* onnx_check_node.c: attributes, number of operands and element types of the node at hand. out: room for the
 * types of its outputs. */
void onnx_check_node(onnx_checker *k, onnx_known_type *out);
/* onnx_check_tensor.c: type, sizes and data of a constant. */
void onnx_check_tensor(onnx_checker *k, const onnx_tensor *tensor);

#endif
