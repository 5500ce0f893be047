/* The file as it was written, read back and run beside the source or against recorded outputs. */
#ifndef TL_API_PROOF_H
#define TL_API_PROOF_H

#include "api/api.h"

/* Adds "rule", "verify" and "golden" to the open object, as options ask. lowered: what was written; its entry says which
 * inputs and outputs --nhwc turned. */
tl_status api_prove(tl_network *network, const tl_convert_options *options, const tl_model *lowered,
                    tl_file *written, tl_json *json, bool *differs);

#endif
