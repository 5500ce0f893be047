/* What the ONNX standard says of the form of its operators: a table generated from the onnx package. It knows
 * nothing of shapes. Operators of domains that are not the standard's have no schema. */
#ifndef TL_IMPORT_ONNX_SCHEMA_H
#define TL_IMPORT_ONNX_SCHEMA_H

#include "base/str.h"

/* One row of onnx_schema.def, which explains the fields. */
typedef struct onnx_schema {
    const char *name;
    int since;
    const char *form, *sets, *attributes;
} onnx_schema;

/* Versions of the file format and of the operators that the table knows. */
extern const int onnx_newest_ir, onnx_newest_opset;

typedef struct onnx_formal {
    int variable;       /* number of the type variable */
    bool optional, variadic, mixed; /* mixed: variadic, each of a type of its own */
    uint32_t tensors;   /* bit per TensorProto.DataType that the variable may stand for */
    uint32_t sequences; /* ... as element of a sequence; both 0: other kinds of values */
} onnx_formal;

/* The newest schema of the operator at this version of its domain; NULL when there is none. */
const onnx_schema *onnx_schema_find(tl_str domain, tl_str op, int64_t version);
/* True for the domains that the table covers. */
bool onnx_schema_covers(tl_str domain);
bool onnx_schema_deprecated(const onnx_schema *schema);
/* How many inputs (outputs) a node may have; *most SIZE_MAX: any number. */
void onnx_schema_arity(const onnx_schema *schema, bool outputs, size_t *least, size_t *most);
/* The formal parameter of input (output) `index`; false beyond the last. */
bool onnx_schema_formal(const onnx_schema *schema, bool outputs, size_t index, onnx_formal *out);
/* enum onnx_attribute_type of an attribute; false when the operator has none of that name. */
bool onnx_schema_attribute(const onnx_schema *schema, tl_str name, int *type);
/* Attributes in turn, by *at from 0 on; false behind the last. */
bool onnx_schema_next_attribute(const onnx_schema *schema, size_t *at, tl_str *name, int *type,
                                bool *required);

#endif
