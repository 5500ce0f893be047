/* Constants as values: type, and for small integer ones their contents and bounds. */
#include "ir/graph_private.h"

/* Bounds of integer constants up to this many elements are found by reading them: indices, sizes,
 * axes. Weights have quantisation or a narrow type and are not read. */
#define MAX_RANGE_COUNT 65536

/* Contents as dims when the type has them, and bounds. Failing to read is the caller's failure. */
static tl_status read_facts(tl_model *model, tl_fact *fact, const tl_const *c)
{
    tl_dtype dtype = fact->type.dtype;
    int64_t n = tl_const_count(c);
    bool wanted = tl_fact_n_contents(&fact->type) > 0 || tl_dtype_bits(dtype) >= 32;
    if (tl_dtype_is_float(dtype) || fact->type.quant || n == 0 || n > MAX_RANGE_COUNT || !wanted)
        return TL_OK;
    tl_arena scratch;
    tl_arena_init(&scratch, model->cx);
    const int64_t *v = tl_const_load_i64(model->cx, c, &scratch);
    tl_status status = v ? TL_OK : tl_context_status(model->cx);
    for (int64_t i = 0; v && i < n; i++) {
        tl_interval point = tl_interval_point(v[i]);
        fact->range = i ? tl_interval_join(fact->range, point) : point;
    }
    size_t n_contents = tl_fact_n_contents(&fact->type);
    if (v && n_contents) {
        const tl_dim **dims = TL_NEW_ARRAY(model->arena, const tl_dim *, n_contents);
        for (size_t i = 0; dims && i < n_contents; i++)
            dims[i] = tl_dim_const(model->dims, v[i]);
        fact->shape_value = dims;
    }
    /* above INT64_MAX the bit pattern came back: nothing is known */
    if (dtype == TL_U64 && fact->range.lo < 0)
        *fact = tl_fact_make(fact->type);
    tl_arena_release(&scratch);
    return status;
}

tl_value *tl_build_const_quant(tl_model *model, const tl_const *c, const tl_quant *quant,
                               tl_str name)
{
    tl_value *value = tl_value_new(model, NULL);
    if (!value || !c)
        return model->poison;
    tl_type type = tl_type_static(model->arena, model->dims, tl_const_dtype(c), tl_const_rank(c),
                                  tl_const_shape(c));
    type.quant = quant;
    value->fact = tl_fact_make(type);
    value->constant = c;
    value->name = tl_str_copy(model->arena, name);
    if (type.rank != tl_const_rank(c) || read_facts(model, &value->fact, c) != TL_OK ||
        !tl_vec_push(model->arena, &model->constants, value))
        return model->poison;
    return value;
}

tl_value *tl_build_const(tl_model *model, const tl_const *c, tl_str name)
{
    return tl_build_const_quant(model, c, NULL, name);
}

tl_value *tl_build_scalar(tl_model *model, tl_dtype dtype, double x)
{
    uint64_t element[2] = {0};
    tl_dtype_set_f64(dtype, element, 0, x);
    return tl_build_const(model, tl_const_bytes(model->arena, dtype, 0, NULL, element), TL_STR(""));
}

tl_value *tl_build_f32(tl_model *model, float x)
{
    return tl_build_const(model, tl_const_bytes(model->arena, TL_F32, 0, NULL, &x), TL_STR(""));
}

tl_value *tl_build_i64s(tl_model *model, const int64_t *v, size_t n)
{
    int64_t shape[1] = {(int64_t)n};
    return tl_build_const(model, tl_const_bytes(model->arena, TL_I64, 1, shape, v), TL_STR(""));
}

tl_value *tl_build_i32s(tl_model *model, const int64_t *v, size_t n)
{
    int64_t shape[1] = {(int64_t)n};
    int32_t *narrow = TL_NEW_ARRAY(model->arena, int32_t, n + 1);
    if (!narrow)
        return model->poison;
    for (size_t i = 0; i < n; i++) {
        if (v[i] < INT32_MIN || v[i] > INT32_MAX) {
            tl_fail(model->cx, TL_U004, NULL, "an index or size of %lld, expected 32 bits to hold it",
                    (long long)v[i]);
            return model->poison;
        }
        narrow[i] = (int32_t)v[i];
    }
    return tl_build_const(model, tl_const_adopt(model->arena, TL_I32, 1, shape, narrow),
                          TL_STR(""));
}

tl_value *tl_build_f32s(tl_model *model, const float *v, int rank, const int64_t *shape)
{
    return tl_build_const(model, tl_const_bytes(model->arena, TL_F32, rank, shape, v), TL_STR(""));
}
