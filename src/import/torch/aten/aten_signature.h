/* Signatures in PyTorch's notation, read into parameters. */
#ifndef TL_IMPORT_TORCH_ATEN_SIGNATURE_H
#define TL_IMPORT_TORCH_ATEN_SIGNATURE_H

#include "import/torch/aten/storage.h"

typedef enum param_type {
    PARAM_TENSOR,
    PARAM_INT, /* SymInt too */
    PARAM_FLOAT,
    PARAM_BOOL,
    PARAM_SCALAR,
    PARAM_STRING,
    PARAM_DTYPE,
    PARAM_IGNORED /* Layout, Device, MemoryFormat, Generator */
} param_type;

typedef struct aten_param {
    tl_str name;
    param_type type;
    bool is_list, is_optional, optional_items, written, keyword_only;
    int repeat; /* int[2]: a number stands for that many; 0: none */
    bool has_default;
    aten_arg absent; /* the default */
} aten_param;

typedef struct aten_signature {
    tl_str name, overload;
    const aten_param *params;
    size_t n_params;
    size_t n_results;
    const bool *list_result; /* per result: Tensor[] */
} aten_signature;

const aten_signature *aten_signature_of(aten_env *env, const aten_row *row);

#endif
