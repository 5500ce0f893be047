/* Inference of quantised results, core and TFL. */
#ifndef TL_IR_INFER_QUANT_H
#define TL_IR_INFER_QUANT_H

#include "ir/infer_private.h"

/* The parameters fit the type: an integer type, one scale, or one per element of the axis. */
tl_status tl_infer_check_quant(tl_infer *x, const tl_quant *quant, const tl_type *type);

#endif
