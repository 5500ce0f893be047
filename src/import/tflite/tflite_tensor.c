/* Tensors: types, quantisation, constants as ranges of the file. */
#include "import/tflite/tflite_reader.h"

#include <string.h>

const char *tfl_type_text(tfl_reader *r, int64_t code)
{
    const char *name = tl_tfl_type_name(code);
    return name ? name : tl_arena_printf(&r->cx->arena, "code %lld", (long long)code);
}

/* ---- quantisation ---- */

/* Parameters with a scale, or NULL; *refusal when they have a form that the graph has not. */
static const tl_quant *read_quant(tfl_reader *r, tl_fb_table table, const char **refusal)
{
    tl_fb *fb = &r->fb;
    tl_fb_vector scales = tl_fb_vec(fb, table, TL_QUANTIZATION_SCALE, 4);
    tl_fb_vector zeros = tl_fb_vec(fb, table, TL_QUANTIZATION_ZERO_POINT, 8);
    if (tl_fb_u8(fb, table, TL_QUANTIZATION_DETAILS_TAG, 0) != 0) {
        *refusal = "quantisation other than per tensor or per channel";
        return NULL;
    }
    if (scales.n == 0)
        return NULL;
    if (zeros.n > 1 && zeros.n != scales.n) {
        *refusal = "quantisation with as many zero points as no scale";
        return NULL;
    }
    tl_quant *quant = TL_NEW(r->arena, tl_quant);
    float *scale = TL_NEW_ARRAY(r->arena, float, scales.n);
    int64_t *zero = TL_NEW_ARRAY(r->arena, int64_t, scales.n);
    if (!quant || !scale || !zero)
        return NULL;
    tl_fb_vec_read(fb, scales, 4, scale);
    if (zeros.n)
        tl_fb_vec_read(fb, zeros, 8, zero);
    for (uint32_t i = 1; zeros.n == 1 && i < scales.n; i++)
        zero[i] = zero[0];
    int32_t axis = tl_fb_i32(fb, table, TL_QUANTIZATION_DIMENSION, 0);
    *quant =
        (tl_quant){.n = scales.n, .scale = scale, .zero = zero, .axis = scales.n > 1 ? axis : -1};
    return quant;
}

/* Scales count per tensor or along an existing axis. */
static bool quant_fits(const tfl_tensor *t)
{
    const tl_quant *quant = t->quant;
    if (quant->n == 1)
        return true;
    return quant->axis >= 0 && quant->axis < t->rank && t->shape[quant->axis] == (int64_t)quant->n;
}

/* ---- description of a tensor ---- */

static void read_shape(tfl_reader *r, tl_fb_table table, tfl_tensor *t)
{
    tl_fb_vector shape = tl_fb_vec(&r->fb, table, TL_TENSOR_SHAPE, 4);
    tl_fb_vector signature = tl_fb_vec(&r->fb, table, TL_TENSOR_SHAPE_SIGNATURE, 4);
    int32_t sizes[TL_MAX_RANK], open[TL_MAX_RANK];
    t->ranked = tl_fb_u8(&r->fb, table, TL_TENSOR_HAS_RANK, 0) || shape.n > 0;
    if (shape.n > TL_MAX_RANK) {
        t->refusal = "a rank above 12";
        return;
    }
    t->rank = (int)shape.n;
    tl_fb_vec_read(&r->fb, shape, 4, sizes);
    if (signature.n == shape.n)
        tl_fb_vec_read(&r->fb, signature, 4, open);
    for (int i = 0; i < t->rank; i++) {
        t->shape[i] = sizes[i];
        t->signature[i] = signature.n == shape.n && open[i] < 0 ? -1 : sizes[i];
        if (sizes[i] == -1) { /* some writers put it there too */
            t->shape[i] = 1;
            t->signature[i] = -1;
        } else if (sizes[i] < 0) {
            t->refusal = "a negative size";
        }
    }
}

static void read_tensor(tfl_reader *r, tl_fb_table table, uint32_t index, tfl_tensor *t)
{
    tl_fb *fb = &r->fb;
    t->code = tl_fb_u8(fb, table, TL_TENSOR_TYPE, 0);
    t->has_dtype = tl_tfl_type_find(t->code, &t->dtype);
    t->buffer = tl_fb_u32(fb, table, TL_TENSOR_BUFFER, 0);
    t->name = tl_fb_string(fb, table, TL_TENSOR_NAME);
    const char *own =
        tl_arena_printf(&r->scratch, "%%%u", index); /* how our writer names the nameless */
    if (own && tl_str_is(t->name, own))
        t->name = (tl_str){0};
    read_shape(r, table, t);
    t->quant = read_quant(r, tl_fb_child(fb, table, TL_TENSOR_QUANTIZATION), &t->refusal);
    if (t->has_dtype && (!tl_dtype_is_int(t->dtype) || !t->quant))
        t->quant = NULL; /* ranges noted on float tensors mean nothing */
    if (t->quant && !quant_fits(t))
        t->refusal = "scales that do not fit its shape";
    else if (t->quant && !tl_quant_zeros_fit(t->quant, t->dtype))
        t->refusal = "a zero point outside of its type";
    if (!t->has_dtype)
        t->refusal = tl_arena_printf(&r->cx->arena, "type %s", tfl_type_text(r, t->code));
    else if (tl_fb_u8(fb, table, TL_TENSOR_IS_VARIABLE, 0))
        t->refusal = "state that operators keep";
    else if (tl_fb_has(fb, table, TL_TENSOR_SPARSITY))
        t->refusal = "sparse storage";
    else if (tl_fb_u32(fb, table, TL_TENSOR_EXTERNAL_BUFFER, 0))
        t->refusal = "data in another file";
}

tl_status tfl_read_tensors(tfl_scope *s, tl_fb_table subgraph)
{
    tfl_reader *r = s->r;
    tl_fb_vector vec = tl_fb_vec(&r->fb, subgraph, TL_SUBGRAPH_TENSORS, 4);
    TRY(tl_fb_status(&r->fb));
    s->n_tensors = vec.n;
    s->tensors = TL_NEW_ARRAY(&r->scratch, tfl_tensor, (size_t)vec.n + 1);
    s->values = TL_NEW_ARRAY(&r->scratch, tl_value *, (size_t)vec.n + 1);
    if (!s->tensors || !s->values)
        return tl_context_status(r->cx);
    for (uint32_t t = 0; t < vec.n; t++) {
        read_tensor(r, tl_fb_vec_table(&r->fb, vec, t), t, &s->tensors[t]);
        TRY(tl_fb_status(&r->fb));
        if (s->tensors[t].buffer >= r->n_buffers)
            return tfl_inconsistent(r, "tensor %u of subgraph %u has buffer %u of %u", t,
                                    s->subgraph, s->tensors[t].buffer, r->n_buffers);
    }
    return r->cx->out_of_memory ? tl_context_status(r->cx) : TL_OK;
}

/* ---- inputs ---- */

tl_type tfl_input_type(tfl_reader *r, const tfl_tensor *tensor, tl_str name)
{
    tl_dims *dims = r->model->dims;
    const tl_dim *d[TL_MAX_RANK];
    if (!tl_str_is_utf8(name)) /* names of symbols are told apart as text */
        name = TL_STR("size");
    for (int i = 0; i < tensor->rank; i++) {
        if (tensor->signature[i] >= 0) {
            d[i] = tl_dim_const(dims, tensor->signature[i]);
            continue;
        }
        const char *text = tl_arena_printf(r->arena, "%.*s_%d", TL_STR_ARG(name), i);
        tl_str symbol_name = tl_str_from(text);
        tl_symbol *symbol = tl_dims_find_symbol(dims, symbol_name)
                                ? tl_dims_fresh(dims, text ? text : "", TL_INTERVAL_SIZE)
                                : tl_dims_symbol(dims, symbol_name, TL_INTERVAL_SIZE, 0);
        d[i] = symbol ? tl_dim_symbol(dims, symbol) : tl_dim_const(dims, 0);
    }
    tl_type type =
        tl_type_make(r->arena, tensor->has_dtype ? tensor->dtype : TL_F32, tensor->rank, d);
    type.quant = tensor->quant;
    return type;
}

/* ---- constants ---- */

/* Bytes that the elements of t take; false when they are too many to count. */
static bool tensor_size(const tfl_tensor *t, int64_t *count, uint64_t *size)
{
    *count = 1;
    for (int i = 0; i < t->rank; i++)
        if (!tl_mul_i64(*count, t->shape[i], count))
            return false;
    return tl_dtype_size(t->dtype, *count, size);
}

static bool same_constant(const tfl_tensor *a, const tfl_tensor *b)
{
    return a->dtype == b->dtype && a->rank == b->rank && tl_str_equal(a->name, b->name) &&
           tl_quant_same(a->quant, b->quant) &&
           memcmp(a->shape, b->shape, (size_t)a->rank * sizeof(a->shape[0])) == 0;
}

/* The same constant in another subgraph is the same value, as it was before it was written. */
static tl_value *known_constant(const tfl_scope *s, const tfl_tensor *t)
{
    for (tfl_constant *c = s->r->buffers[t->buffer].constants; c; c = c->next)
        if (c->instance != s->instance && same_constant(c->tensor, t)) {
            c->instance = s->instance;
            return c->value;
        }
    return NULL;
}

static tl_value *read_constant(tfl_scope *s, const tfl_tensor *t, const tl_where *where)
{
    tfl_reader *r = s->r;
    tfl_buffer *buffer = &r->buffers[t->buffer];
    int64_t count;
    uint64_t size;
    if (!tensor_size(t, &count, &size) || size > buffer->size) {
        (void)tl_fail(r->cx, TL_M005, where,
                      "constant %.*s has %llu bytes, fewer than its shape needs",
                      TL_STR_ARG(t->name), (unsigned long long)buffer->size);
        return r->model->poison;
    }
    tl_value *known = known_constant(s, t);
    if (known)
        return known;
    const tl_const *c =
        size ? tl_const_file(r->arena, t->dtype, t->rank, t->shape, r->file, buffer->offset)
             : tl_const_bytes(r->arena, t->dtype, t->rank, t->shape, "");
    tfl_constant *made = TL_NEW(r->arena, tfl_constant);
    tfl_tensor *copy = tl_arena_copy(r->arena, t, sizeof(*t));
    if (!c || !made || !copy)
        return r->model->poison;
    tl_value *value = tl_build_const_quant(r->model, c, t->quant, t->name);
    *made = (tfl_constant){copy, value, s->instance, buffer->constants};
    buffer->constants = made;
    return value;
}

tl_status tfl_refuse(tfl_reader *r, const tl_where *where, const tfl_tensor *tensor)
{
    return tl_fail(r->cx, tensor->has_dtype ? TL_U003 : TL_U004, where, "tensor %.*s has %s",
                   TL_STR_ARG(tensor->name), tensor->refusal);
}

tl_value *tfl_tensor_value(tfl_scope *s, uint32_t t, const tl_where *where)
{
    tfl_reader *r = s->r;
    const tfl_tensor *tensor = &s->tensors[t];
    if (s->values[t])
        return s->values[t];
    int64_t count;
    uint64_t size;
    if (tensor->refusal) {
        (void)tfl_refuse(r, where, tensor);
        s->values[t] = r->model->poison;
    } else if (r->buffers[tensor->buffer].size ||
               (tensor_size(tensor, &count, &size) && count == 0)) {
        s->values[t] = read_constant(s, tensor, where);
    } else {
        (void)tl_fail(r->cx, TL_M003, where, "tensor %.*s is read before anything writes it",
                      TL_STR_ARG(tensor->name));
        s->values[t] = r->model->poison;
    }
    return s->values[t];
}
