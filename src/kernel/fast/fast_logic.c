/* Comparing, choosing, converting: plain loops over the types that masks and indices are made of.
 */
#include "kernel/fast/fast_loops.h"

/* Operands at p[view], `step` apart (0 or 1); out has n elements. */
typedef void (*logic_loop)(int64_t n, const void *const *p, const int64_t *step, void *out);

typedef struct logic_job {
    const tl_fast_call *fast;
    logic_loop loop;
    tl_fast_loops loops;
} logic_job;

static void logic_part(const void *user, int64_t first, int64_t end, int worker)
{
    const logic_job *job = user;
    const tl_call *call = job->fast->call;
    const tl_fast_loops *l = &job->loops;
    size_t size = (size_t)tl_dtype_bits(call->out[0].dtype) / 8;
    const void *p[TL_FAST_VIEWS];
    int64_t step[TL_FAST_VIEWS];
    (void)worker;
    for (int64_t i = first; i < end; i++) {
        tl_fast_piece piece = tl_fast_loops_piece(l, i);
        for (int v = 0; v < l->n_views; v++) {
            size_t element = (size_t)tl_dtype_bits(call->in[v].dtype) / 8;
            step[v] = l->stride[v][l->rank - 1];
            p[v] = (const char *)call->in[v].data + (size_t)piece.at[v] * element;
        }
        job->loop(piece.n, p, step, (char *)call->out[0].data + (size_t)piece.out * size);
    }
}

static tl_status run_logic(const tl_fast_call *fast, logic_loop loop)
{
    tl_call *call = fast->call;
    const tl_tensor *operands[TL_FAST_VIEWS] = {0};
    logic_job job = {.fast = fast, .loop = loop};
    for (size_t i = 0; i < call->n_in; i++)
        operands[i] = &call->in[i];
    if (!tl_fast_loops_init(&job.loops, &call->out[0], operands, (int)call->n_in))
        return tl_ref_fail(call, "operands do not broadcast to the result");
    int64_t n = tl_tensor_count(&call->out[0]);
    if (n > 0)
        tl_fast_parts(fast->workers, tl_fast_loops_count(&job.loops), n, logic_part, &job);
    return TL_OK;
}

static bool plain(const tl_value *value)
{
    return value && !value->fact.type.quant;
}

static tl_dtype dtype_of(const tl_value *value)
{
    return value->fact.type.dtype;
}

/* ---- comparisons ---- */

/* The common case of neighbours has a loop of its own, which compilers turn into vectors. */
#define COMPARE(name, type, op)                                                       \
    static void name(int64_t n, const void *const *p, const int64_t *step, void *out) \
    {                                                                                 \
        const type *x = p[0], *y = p[1];                                              \
        uint8_t *to = out;                                                            \
        if (step[0] && step[1])                                                       \
            for (int64_t i = 0; i < n; i++)                                           \
                to[i] = x[i] op y[i];                                                 \
        else                                                                          \
            for (int64_t i = 0; i < n; i++)                                           \
                to[i] = x[i * step[0]] op y[i * step[1]];                             \
    }
#define COMPARE_ALL(suffix, type)          \
    COMPARE(equal_##suffix, type, ==)      \
    COMPARE(not_equal_##suffix, type, !=)  \
    COMPARE(less_##suffix, type, <)        \
    COMPARE(less_equal_##suffix, type, <=) \
    COMPARE(greater_##suffix, type, >)     \
    COMPARE(greater_equal_##suffix, type, >=)
COMPARE_ALL(f32, float)
COMPARE_ALL(i32, int32_t)
COMPARE_ALL(i64, int64_t)

static const struct {
    tl_op op, tfl_op;
    logic_loop f32, i32, i64;
} compare_rows[] = {
#define ROW(name)                                                          \
    {                                                                      \
        TL_OP_##name, TL_OP_tfl_##name, name##_f32, name##_i32, name##_i64 \
    }
    ROW(equal), ROW(not_equal), ROW(less), ROW(less_equal), ROW(greater), ROW(greater_equal),
#undef ROW
};

static logic_loop compare_loop(tl_op op, tl_dtype dtype)
{
    for (size_t i = 0; i < TL_COUNT(compare_rows); i++)
        if (compare_rows[i].op == op || compare_rows[i].tfl_op == op)
            return dtype == TL_F32   ? compare_rows[i].f32
                   : dtype == TL_I32 ? compare_rows[i].i32
                   : dtype == TL_I64 ? compare_rows[i].i64
                                     : NULL;
    return NULL;
}

static bool compare_fits(const tl_fast_site *site)
{
    const tl_node *node = site->node;
    return plain(tl_in(node, 0)) && plain(tl_in(node, 1)) &&
           compare_loop(node->op, dtype_of(tl_in(node, 0)));
}

static tl_status compare_run(const tl_fast_call *fast)
{
    return run_logic(fast, compare_loop(fast->call->op, fast->call->in[0].dtype));
}

const tl_fast_kernel tl_fast_compare = {
    .name = "compare", .fits = compare_fits, .run = compare_run};

/* ---- choosing ---- */

#define CHOOSE(bits)                                                                           \
    static void choose_##bits(int64_t n, const void *const *p, const int64_t *step, void *out) \
    {                                                                                          \
        const uint8_t *cond = p[0];                                                            \
        const uint##bits##_t *x = p[1], *y = p[2];                                             \
        uint##bits##_t *to = out;                                                              \
        for (int64_t i = 0; i < n; i++)                                                        \
            to[i] = cond[i * step[0]] ? x[i * step[1]] : y[i * step[2]];                       \
    }
CHOOSE(32)
CHOOSE(64)

static bool choose_fits(const tl_fast_site *site)
{
    const tl_value *y = site->node->out[0];
    int bits = tl_dtype_bits(dtype_of(y));
    return bits == 32 || bits == 64;
}

static tl_status choose_run(const tl_fast_call *fast)
{
    return run_logic(fast, tl_dtype_bits(fast->call->out[0].dtype) == 32 ? choose_32 : choose_64);
}

const tl_fast_kernel tl_fast_choose = {.name = "choose", .fits = choose_fits, .run = choose_run};

/* ---- conversions that round nothing, or once ---- */

#define CONVERT(name, from, to_type, value)                                           \
    static void name(int64_t n, const void *const *p, const int64_t *step, void *out) \
    {                                                                                 \
        const from *x = p[0];                                                         \
        to_type *to = out;                                                            \
        (void)step;                                                                   \
        for (int64_t i = 0; i < n; i++)                                               \
            to[i] = (to_type)(value);                                                 \
    }
CONVERT(bool_to_f32, uint8_t, float, x[i] != 0)
CONVERT(bool_to_i32, uint8_t, int32_t, x[i] != 0)
CONVERT(bool_to_i64, uint8_t, int64_t, x[i] != 0)
CONVERT(i32_to_f32, int32_t, float, x[i])
CONVERT(i32_to_i64, int32_t, int64_t, x[i])
CONVERT(i64_to_f32, int64_t, float, (double)x[i])
CONVERT(i64_to_i32, int64_t, int32_t, (uint32_t)x[i])
CONVERT(f32_to_bool, float, uint8_t, x[i] != 0)
CONVERT(i32_to_bool, int32_t, uint8_t, x[i] != 0)
CONVERT(i64_to_bool, int64_t, uint8_t, x[i] != 0)
CONVERT(not_bool, uint8_t, uint8_t, x[i] == 0)

static const struct {
    tl_dtype from, to;
    logic_loop loop;
} convert_rows[] = {
    {TL_BOOL, TL_F32, bool_to_f32}, {TL_BOOL, TL_I32, bool_to_i32}, {TL_BOOL, TL_I64, bool_to_i64},
    {TL_I32, TL_F32, i32_to_f32},   {TL_I32, TL_I64, i32_to_i64},   {TL_I64, TL_F32, i64_to_f32},
    {TL_I64, TL_I32, i64_to_i32},   {TL_F32, TL_BOOL, f32_to_bool}, {TL_I32, TL_BOOL, i32_to_bool},
    {TL_I64, TL_BOOL, i64_to_bool},
};

static logic_loop convert_loop(tl_op op, tl_dtype from, tl_dtype to)
{
    if (op == TL_OP_not || op == TL_OP_tfl_logical_not)
        return not_bool;
    for (size_t i = 0; i < TL_COUNT(convert_rows); i++)
        if (convert_rows[i].from == from && convert_rows[i].to == to)
            return convert_rows[i].loop;
    return NULL;
}

static bool convert_fits(const tl_fast_site *site)
{
    const tl_value *x = tl_in(site->node, 0), *y = site->node->out[0];
    return plain(x) && plain(y) && convert_loop(site->node->op, dtype_of(x), dtype_of(y));
}

static tl_status convert_run(const tl_fast_call *fast)
{
    const tl_call *call = fast->call;
    return run_logic(fast, convert_loop(call->op, call->in[0].dtype, call->out[0].dtype));
}

const tl_fast_kernel tl_fast_convert = {
    .name = "convert", .fits = convert_fits, .run = convert_run};
