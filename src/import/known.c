/* Values known at import: constants through the reference kernels, expressions through data
 * movement. */
#include "import/known.h"

#include "kernel/evaluate.h"

#define MAX_RESULT  (64u << 10)
#define MAX_OPERAND (1u << 20)
#define MAX_CHAIN   256
#define MAX_DIMS    256

/* What is not known is remembered as this. */
static const char not_known;

static bool is_small(const tl_value *value)
{
    int64_t shape[TL_MAX_RANK], n = 1;
    uint64_t size;
    const tl_type *type = &value->fact.type;
    if (!tl_type_shape(type, shape))
        return tl_op_has(value->def->op, TL_TRAIT_BIRTHS);
    for (int i = 0; i < type->rank; i++)
        if (!tl_mul_i64(n, shape[i], &n))
            return false;
    return tl_dtype_size(type->dtype, n, &size) && size <= MAX_RESULT;
}

static const tl_const *contents_as_const(tl_known *k, const tl_value *value)
{
    const tl_type *type = &value->fact.type;
    int64_t n = 1;
    if (type->rank == 1)
        (void)tl_dim_is_const(type->dims[0], &n);
    int64_t *data = TL_NEW_ARRAY(k->model->arena, int64_t, n + 1);
    for (int64_t i = 0; data && i < n; i++) {
        int64_t x;
        if (!tl_dim_is_const(value->fact.shape_value[i], &x))
            return NULL;
        tl_dtype_set_i64(type->dtype, data, i, x);
    }
    return data ? tl_const_adopt(k->model->arena, type->dtype, type->rank, &n, data) : NULL;
}

static const tl_const *evaluate(tl_known *k, const tl_value *value, int chain);

static const tl_const *compute(tl_known *k, const tl_value *value, int chain)
{
    const tl_node *node = value->def;
    if (value->poison || !node || node->n_graphs || node->op == TL_OP_poison ||
        chain >= MAX_CHAIN || !is_small(value))
        return NULL;
    tl_arena scratch;
    tl_arena_init(&scratch, k->model->cx);
    const tl_const **operands = TL_NEW_ARRAY(&scratch, const tl_const *, node->n_in + 1);
    const tl_const **results = TL_NEW_ARRAY(&scratch, const tl_const *, node->n_out + 1);
    bool known = operands && results, done = false;
    for (uint32_t i = 0; known && i < node->n_in; i++) {
        const tl_value *operand = node->in[i].value;
        operands[i] = operand ? evaluate(k, operand, chain + 1) : NULL;
        known = !operand || (operands[i] && tl_const_size(operands[i]) <= MAX_OPERAND);
    }
    if (known &&
        tl_kernel_evaluate(k->model, node, operands, MAX_RESULT, &scratch, results, &done) != TL_OK)
        done = false; /* recorded */
    const tl_const *result = done ? results[value->def_index] : NULL;
    tl_arena_release(&scratch);
    return result;
}

static const tl_const *evaluate(tl_known *k, const tl_value *value, int chain)
{
    if (value->constant)
        return value->constant;
    if (value->fact.shape_value)
        return contents_as_const(k, value);
    union { /* a map holds plain pointers */
        const void *known;
        void *pointer;
    } entry = {.pointer = tl_map_find_id(&k->values, (uint64_t)value->id + 1)};
    if (!entry.pointer) {
        const tl_const *result = compute(k, value, chain);
        entry.known = result ? (const void *)result : &not_known;
        (void)tl_map_put_id(&k->values, (uint64_t)value->id + 1, entry.pointer);
    }
    return entry.known == &not_known ? NULL : entry.known;
}

tl_value *tl_known_value(tl_known *k, tl_value *value)
{
    if (value->constant)
        return value;
    const tl_const *known = evaluate(k, value, 0);
    return known ? tl_build_const_quant(k->model, known, value->fact.type.quant, value->name)
                 : NULL;
}

/* ---- expressions ---- */

typedef struct known_dims {
    size_t n; /* 0: not known */
    const tl_dim *v[MAX_DIMS];
} known_dims;

static const known_dims *evaluate_dims(tl_known *k, const tl_value *value, int chain);

/* Appends contents that are at hand: a fact, or a constant. */
static bool add_contents(tl_known *k, const tl_value *value, known_dims *dims)
{
    const tl_type *type = &value->fact.type;
    int64_t shape[TL_MAX_RANK], n = 1;
    if (!tl_type_shape(type, shape))
        return false;
    for (int i = 0; i < type->rank; i++)
        if (!tl_mul_i64(n, shape[i], &n))
            return false;
    if (n <= 0 || (uint64_t)n > MAX_DIMS - dims->n)
        return false;
    const int64_t *numbers = NULL;
    if (value->constant)
        numbers = tl_const_load_i64(k->model->cx, value->constant, k->arena);
    for (int64_t i = 0; i < n && (numbers || value->fact.shape_value); i++)
        dims->v[dims->n++] =
            numbers ? tl_dim_const(k->model->dims, numbers[i]) : value->fact.shape_value[i];
    return numbers || value->fact.shape_value;
}

static bool moves_operands(tl_op op)
{
    return tl_op_has(op, TL_TRAIT_MOVES) && op != TL_OP_pad && op != TL_OP_dynamic_update_slice;
}

/* Places of operand i in the list, in the shape of the operand. */
static const tl_const *places(tl_known *k, const tl_value *operand, size_t first, tl_arena *scratch)
{
    int64_t shape[TL_MAX_RANK], n = 1;
    const tl_type *type = &operand->fact.type;
    if (!tl_type_shape(type, shape))
        return NULL;
    for (int i = 0; i < type->rank; i++)
        n *= shape[i];
    int64_t *data = TL_NEW_ARRAY(scratch, int64_t, n + 1);
    for (int64_t i = 0; data && i < n; i++)
        tl_dtype_set_i64(type->dtype, data, i, (int64_t)first + i);
    return data ? tl_const_bytes(k->model->arena, type->dtype, type->rank, shape, data) : NULL;
}

static bool move_dims(tl_known *k, const tl_value *value, int chain, tl_arena *scratch,
                      known_dims *result)
{
    const tl_node *node = value->def;
    size_t n_moved = node->op == TL_OP_concat ? node->n_in : 1;
    const tl_const **operands = TL_NEW_ARRAY(scratch, const tl_const *, node->n_in + 1);
    const tl_const **results = TL_NEW_ARRAY(scratch, const tl_const *, node->n_out + 1);
    known_dims *list = TL_NEW(scratch, known_dims);
    if (!operands || !results || !list)
        return false;
    for (uint32_t i = 0; i < node->n_in; i++) {
        const tl_value *operand = node->in[i].value;
        if (operand && i >= n_moved) {
            operands[i] = evaluate(k, operand, chain + 1);
        } else if (operand) {
            const known_dims *part = evaluate_dims(k, operand, chain + 1);
            if (!part || part->n > MAX_DIMS - list->n)
                return false;
            operands[i] = places(k, operand, list->n, scratch);
            memcpy(list->v + list->n, part->v, part->n * sizeof(part->v[0]));
            list->n += part->n;
        }
        if (operand && !operands[i])
            return false;
    }
    bool done;
    if (tl_kernel_evaluate(k->model, node, operands, MAX_DIMS * 8, scratch, results, &done) !=
            TL_OK ||
        !done)
        return false;
    const tl_const *moved = results[value->def_index];
    const int64_t *from = tl_const_load_i64(k->model->cx, moved, scratch);
    result->n = from ? (size_t)TL_MIN(tl_const_count(moved), MAX_DIMS) : 0;
    for (size_t i = 0; i < result->n; i++)
        result->v[i] = list->v[from[i]];
    return result->n > 0;
}

static bool compute_dims(tl_known *k, const tl_value *value, int chain, known_dims *result)
{
    tl_dtype dtype = value->fact.type.dtype;
    if (value->poison || chain >= MAX_CHAIN || (dtype != TL_I32 && dtype != TL_I64))
        return false;
    if (add_contents(k, value, result))
        return true;
    if (!value->def)
        return false;
    if (value->def->op == TL_OP_cast) { /* sizes fit either type, as everywhere */
        const known_dims *same = evaluate_dims(k, value->def->in[0].value, chain + 1);
        if (same)
            *result = *same;
        return same != NULL;
    }
    if (!moves_operands(value->def->op))
        return false;
    tl_arena scratch;
    tl_arena_init(&scratch, k->model->cx);
    bool known = move_dims(k, value, chain, &scratch, result);
    tl_arena_release(&scratch);
    return known;
}

static const known_dims *evaluate_dims(tl_known *k, const tl_value *value, int chain)
{
    known_dims *dims = tl_map_find_id(&k->dims, (uint64_t)value->id + 1);
    if (!dims) {
        dims = TL_NEW(k->arena, known_dims);
        if (!dims)
            return NULL;
        if (!compute_dims(k, value, chain, dims))
            dims->n = 0;
        (void)tl_map_put_id(&k->dims, (uint64_t)value->id + 1, dims);
    }
    return dims->n ? dims : NULL;
}

const tl_dim *const *tl_known_dims(tl_known *k, const tl_value *value, size_t *n)
{
    const known_dims *dims = evaluate_dims(k, value, 0);
    *n = dims ? dims->n : 0;
    return dims ? dims->v : NULL;
}

void tl_known_init(tl_known *known, tl_model *model, tl_arena *arena)
{
    *known = (tl_known){.model = model, .arena = arena};
    tl_map_init(&known->values, arena);
    tl_map_init(&known->dims, arena);
}
