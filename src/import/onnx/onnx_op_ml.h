/* What the handlers of ai.onnx.ml share. */
#ifndef TL_IMPORT_ONNX_OP_ML_H
#define TL_IMPORT_ONNX_OP_ML_H

#include "import/onnx/onnx_op.h"

/* Lists of a node's attribute; NULL and *n 0 when it is absent. */
const double *onnx_attr_floats(onnx_call *c, const char *name, size_t *n);
/* Floats as a constant of rank 1, or of 2 with rows of `columns`. */
tl_value *onnx_float_list(onnx_call *c, const double *v, size_t n);
tl_value *onnx_float_table(onnx_call *c, const double *v, size_t rows, size_t columns);
/* Input 0 as f32[n, features] (a vector is one row); NULL: recorded. */
tl_value *onnx_need_features(onnx_call *c);
/* Scores [n, k] by attribute post_transform; NULL: recorded. */
tl_value *onnx_post_transform(onnx_call *c, tl_value *scores);
/* The labels classlabels_ints; NULL: recorded, strings too. */
const int64_t *onnx_class_labels(onnx_call *c, const char *ints, const char *strings, size_t *n);
/* The label of the greatest score of each row. */
tl_value *onnx_best_label(onnx_call *c, tl_value *scores, const int64_t *labels, size_t n);

#endif
