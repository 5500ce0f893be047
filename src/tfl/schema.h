/* The TFLite schema in numbers: which builtin an op is, how its options are stored, what the type codes
 * mean. Expanded from tflite.def; writer and reader both work from it, so what one writes the other
 * reads. Vtable slots of the tables that are no option tables are in schema_fields.h. */
#ifndef TL_TFL_SCHEMA_H
#define TL_TFL_SCHEMA_H

#include "ir/op.h"

typedef enum tl_tfl_wire {
    TL_TFL_BYTE,
    TL_TFL_INT,
    TL_TFL_FLOAT,
    TL_TFL_INTS,
    TL_TFL_DTYPE,
    TL_TFL_COUNT,
    TL_TFL_GRAPH,
    TL_TFL_ZERO
} tl_tfl_wire;

typedef struct tl_tfl_option {
    int id; /* field number in the option table; -1 ends the list */
    tl_tfl_wire wire;
    int otherwise;     /* default of the schema, which is not stored */
    const char *field; /* of the op's attributes */
} tl_tfl_option;

typedef struct tl_tfl_builtin {
    tl_op op;
    int code;
    int tag; /* of the option table in the union BuiltinOptions; 0: it has none */
    const tl_tfl_option *options;
} tl_tfl_builtin;

/* NULL when op is no TFL op. */
const tl_tfl_builtin *tl_tfl_builtin_get(tl_op op);
/* NULL when no op has that code. */
const tl_tfl_builtin *tl_tfl_builtin_find(int64_t code);
/* "CONV_2D"; NULL beyond the schema. */
const char *tl_tfl_builtin_name(int64_t code);

#define TL_TFL_CUSTOM      32
#define TL_TFL_PLACEHOLDER 127 /* stands in the old byte-wide field for greater codes */

#define TL_TFL_RESOURCE 13 /* TensorType of a variable's handle, which no value has */

/* TensorType; false when the format has no such type / when this program has none. */
bool tl_tfl_type_code(tl_dtype dtype, int *code);
bool tl_tfl_type_find(int64_t code, tl_dtype *dtype);
/* "COMPLEX64", for messages about types that are not supported; NULL beyond the schema. */
const char *tl_tfl_type_name(int64_t code);

/* The field of op's attributes that an option stands for; NULL for COUNT, GRAPH and ZERO. */
const tl_field *tl_tfl_option_field(tl_op op, const tl_tfl_option *option);
/* The quantisation of the output that attrs carry, or NULL. */
const tl_quant *tl_tfl_attrs_quant(tl_op op, const void *attrs);

#endif
