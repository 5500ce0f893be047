/* What If, Loop and Scan share. */
#ifndef TL_IMPORT_ONNX_CONTROL_H
#define TL_IMPORT_ONNX_CONTROL_H

#include "import/onnx/onnx_private.h"

/* The graph of an attribute; NULL: recorded. */
const onnx_graph *onnx_body_attr(onnx_call *c, const char *name);
/* The same, *graph NULL where the node has no such attribute. False: recorded. */
bool onnx_optional_body(onnx_call *c, const char *name, const onnx_graph **graph);
/* The body in place of the node, on these inputs: its results. NULL: recorded. */
tl_value **onnx_inline_body(onnx_call *c, const onnx_graph *body, tl_value *const *in, size_t n);
/* False (recorded) where bodies are nested too deeply. */
bool onnx_may_nest(onnx_call *c);
/* A scalar integer or bool that inference knows, or that can be computed now. */
bool onnx_known_scalar(onnx_call *c, tl_value *x, int64_t *value);
/* Scalars are also written as tensors of one element. NULL is passed on. */
tl_value *onnx_as_scalar(onnx_call *c, tl_value *x);
bool onnx_has_poison(tl_value *const *v, size_t n);
/* A graph that was built for nothing: its uses of constants go away. */
void onnx_discard_graph(tl_graph *graph);
/* A Loop that carries sequences. */
void onnx_unroll_loop(onnx_call *c);
/* Room for `before` operands, then what is captured; NULL on memory failure. */
tl_value **onnx_outer_values(onnx_call *c, const onnx_captures *captures, size_t before);

#endif
