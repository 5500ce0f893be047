/* Field numbers of the schema's tables (vtable slot = 4 + 2 · number). */
#ifndef TL_TFL_SCHEMA_FIELDS_H
#define TL_TFL_SCHEMA_FIELDS_H

enum tl_tfl_model_field {
    TL_MODEL_VERSION = 0,
    TL_MODEL_OPERATOR_CODES = 1,
    TL_MODEL_SUBGRAPHS = 2,
    TL_MODEL_DESCRIPTION = 3,
    TL_MODEL_BUFFERS = 4,
    TL_MODEL_METADATA = 6,
    TL_MODEL_SIGNATURE_DEFS = 7,
    TL_MODEL_N = 8
};
enum tl_tfl_code_field {
    TL_CODE_OLD = 0, /* byte; the greater of both counts */
    TL_CODE_CUSTOM = 1,
    TL_CODE_VERSION = 2, /* default 1 */
    TL_CODE_BUILTIN = 3,
    TL_CODE_N = 4
};
enum tl_tfl_subgraph_field {
    TL_SUBGRAPH_TENSORS = 0,
    TL_SUBGRAPH_INPUTS = 1,
    TL_SUBGRAPH_OUTPUTS = 2,
    TL_SUBGRAPH_OPERATORS = 3,
    TL_SUBGRAPH_NAME = 4,
    TL_SUBGRAPH_N = 5
};
enum tl_tfl_operator_field {
    TL_OPERATOR_CODE = 0,
    TL_OPERATOR_INPUTS = 1,
    TL_OPERATOR_OUTPUTS = 2,
    TL_OPERATOR_OPTIONS_TAG = 3,
    TL_OPERATOR_OPTIONS = 4,
    TL_OPERATOR_CUSTOM_OPTIONS = 5, /* bytes of a custom operator's own */
    TL_OPERATOR_N = 6
};
enum tl_tfl_tensor_field {
    TL_TENSOR_SHAPE = 0,
    TL_TENSOR_TYPE = 1,
    TL_TENSOR_BUFFER = 2,
    TL_TENSOR_NAME = 3,
    TL_TENSOR_QUANTIZATION = 4,
    TL_TENSOR_IS_VARIABLE = 5,
    TL_TENSOR_SPARSITY = 6,
    TL_TENSOR_SHAPE_SIGNATURE = 7,
    TL_TENSOR_HAS_RANK = 8,
    TL_TENSOR_VARIANTS = 9,
    TL_TENSOR_EXTERNAL_BUFFER = 10,
    TL_TENSOR_N = 11
};
enum tl_tfl_buffer_field {
    TL_BUFFER_DATA = 0, /* aligned to 16 */
    TL_BUFFER_OFFSET = 1, /* of data behind the flatbuffer, from the start of the file; u64 */
    TL_BUFFER_SIZE = 2,
    TL_BUFFER_N = 3
};
enum tl_tfl_quantization_field {
    TL_QUANTIZATION_MIN = 0,
    TL_QUANTIZATION_MAX = 1,
    TL_QUANTIZATION_SCALE = 2,
    TL_QUANTIZATION_ZERO_POINT = 3,
    TL_QUANTIZATION_DETAILS_TAG = 4, /* 1 custom, 2 blockwise, 3 multi-axis */
    TL_QUANTIZATION_DETAILS = 5,
    TL_QUANTIZATION_DIMENSION = 6,
    TL_QUANTIZATION_N = 7
};
enum tl_tfl_blockwise_field {
    TL_BLOCKWISE_SCALES = 0,      /* index of a tensor */
    TL_BLOCKWISE_ZERO_POINTS = 1, /* index of a tensor, -1 = none */
    TL_BLOCKWISE_BLOCK_SIZE = 2
};
enum tl_tfl_metadata_field { TL_METADATA_NAME = 0, TL_METADATA_BUFFER = 1, TL_METADATA_N = 2 };
enum tl_tfl_signature_field {
    TL_SIGNATURE_INPUTS = 0,
    TL_SIGNATURE_OUTPUTS = 1,
    TL_SIGNATURE_KEY = 2,
    TL_SIGNATURE_SUBGRAPH = 4,
    TL_SIGNATURE_N = 5
};
enum tl_tfl_tensor_map_field { TL_TENSOR_MAP_NAME = 0, TL_TENSOR_MAP_INDEX = 1, TL_TENSOR_MAP_N = 2 };

#define TL_TFL_SCHEMA_VERSION 3
#define TL_TFL_IDENTIFIER     "TFL3"

#endif
