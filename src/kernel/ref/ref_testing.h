/* Table-driven tests of kernels. A case is an op, its attributes, and operands and results as text:
 *     {TL_OP_add, NULL, {"f32[2,1] 1 2", "f32[3] 10 20 30"}, {"f32[2,3] 11 21 31 12 22 32"}}
 * The last number given fills the rest of a tensor. "-" is an absent operand. Quantised:
 * "i8[4]{0.5 3} 1 2 3 4" (scale, zero), "i8[2,2]{0: 0.5 3, 0.25 0} ..." (axis: scale zero, ...).
 * A single result "!text" expects the failure with that text. */
#ifndef TL_KERNEL_REF_REF_TESTING_H
#define TL_KERNEL_REF_REF_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/kernel.h"

#define CASE_IN  6
#define CASE_OUT 4

typedef struct kernel_case {
    tl_op op;
    const void *attrs;
    const char *in[CASE_IN], *out[CASE_OUT];
    tl_rounding rounding;
} kernel_case;

#define CASE_SIZE (1 << 16)

/* A tensor with its bytes, quantisation parameters, and bytes behind it that nobody may touch. */
typedef struct case_tensor {
    tl_tensor t;
    tl_quant quant;
    float scale[32];
    int64_t zero[32];
    _Alignas(64) unsigned char bytes[CASE_SIZE + 64];
} case_tensor;

static inline const char *case_quant(const char *text, case_tensor *ct)
{
    char *end;
    const char *colon = strchr(text, ':'), *close = strchr(text, '}');
    ct->quant = (tl_quant){0, ct->scale, ct->zero, -1, 0};
    if (colon && colon < close) {
        ct->quant.axis = (int)strtol(text, &end, 10);
        text = end + 1;
    }
    for (; *text != '}'; text = end + (*end == ',')) {
        ct->scale[ct->quant.n] = strtof(text, &end);
        ct->zero[ct->quant.n++] = strtoll(end, &end, 10);
    }
    ct->t.quant = &ct->quant;
    return text + 1;
}

static inline void case_parse(const char *text, case_tensor *ct)
{
    char *end;
    const char *bracket = strchr(text, '[');
    memset(ct, 0, offsetof(case_tensor, bytes));
    memset(ct->bytes, 0xa5, sizeof ct->bytes);
    if (text[0] == '-')
        return;
    assert_true(tl_dtype_find((tl_str){text, (size_t)(bracket - text)}, &ct->t.dtype));
    for (text = bracket + 1; *text != ']'; text = end + (*end == ','))
        ct->t.shape[ct->t.rank++] = strtoll(text, &end, 10);
    text++;
    if (*text == '{')
        text = case_quant(text + 1, ct);
    ct->t.data = ct->bytes;
    assert_true(tl_tensor_size(&ct->t) <= CASE_SIZE);
    double f = 0;
    int64_t k = 0;
    for (int64_t i = 0, n = tl_tensor_count(&ct->t); i < n; i++) {
        const char *number = text;
        f = strtod(number, &end);
        if (end != number) {
            text = end;
            k = ct->t.dtype == TL_U64 ? (int64_t)strtoull(number, NULL, 10)
                                      : strtoll(number, NULL, 10);
        } else {
            f = i ? tl_tensor_get_f64(&ct->t, i - 1) : 0;
            k = i ? tl_tensor_get_i64(&ct->t, i - 1) : 0;
        }
        if (tl_dtype_is_float(ct->t.dtype))
            tl_dtype_set_f64(ct->t.dtype, ct->bytes, i, f);
        else
            tl_dtype_set_i64(ct->t.dtype, ct->bytes, i, k);
    }
}

static inline bool case_close(const tl_tensor *a, const tl_tensor *b, int64_t i)
{
    if (!tl_dtype_is_float(a->dtype))
        return tl_tensor_get_i64(a, i) == tl_tensor_get_i64(b, i);
    double x = tl_tensor_get_f64(a, i), y = tl_tensor_get_f64(b, i), size = y < 0 ? -y : y;
    double bound = a->dtype == TL_F64 ? 1e-12 : a->dtype == TL_F32 ? 4e-7 : 0;
    return (x != x && y != y) || x == y || (x - y <= bound * size && y - x <= bound * size);
}

static inline void case_compare(const kernel_case *c, size_t line, size_t k, const case_tensor *got,
                                const case_tensor *want)
{
    const char *name = tl_op_get(c->op)->name;
    for (int64_t i = 0, n = tl_tensor_count(&want->t); i < n; i++)
        if (!case_close(&got->t, &want->t, i))
            fail_msg("case %zu, %s: result %zu, element %lld: %.17g, expected %.17g", line, name, k,
                     (long long)i, tl_tensor_get_f64(&got->t, i), tl_tensor_get_f64(&want->t, i));
    for (size_t i = tl_tensor_size(&got->t); i < sizeof got->bytes; i++)
        if (got->bytes[i] != 0xa5)
            fail_msg("case %zu, %s: result %zu: wrote past its end", line, name, k);
}

/* The kernel's own shape, where it has one, must be the expected one (where it is not to fail). */
static inline tl_status case_shape(const kernel_case *c, size_t line, tl_call *call, bool fails)
{
    const tl_kernel *kernel = tl_kernel_ref(c->op);
    tl_tensor want[CASE_OUT];
    if (!kernel->shape)
        return TL_OK;
    memcpy(want, call->out, sizeof *want * call->n_out);
    for (size_t k = 0; k < call->n_out; k++)
        call->out[k].rank = 0;
    tl_status status = kernel->shape(call);
    for (size_t k = 0; status == TL_OK && !fails && k < call->n_out; k++) {
        bool same = call->out[k].rank == want[k].rank;
        for (int i = 0; same && i < want[k].rank; i++)
            same = call->out[k].shape[i] == want[k].shape[i];
        if (!same)
            fail_msg("case %zu, %s: shape of result %zu", line, tl_op_get(c->op)->name, k);
    }
    return status;
}

static inline void run_case(const kernel_case *c, size_t line)
{
    static case_tensor in[CASE_IN], want[CASE_OUT], got[CASE_OUT];
    static _Alignas(64) unsigned char scratch[CASE_SIZE * 16];
    const tl_kernel *kernel = tl_kernel_ref(c->op);
    const char *name = tl_op_get(c->op)->name, *error = NULL;
    const void *attrs = c->attrs ? c->attrs : tl_attrs_default(tl_op_get(c->op)->attrs);
    tl_tensor ins[CASE_IN], outs[CASE_OUT];
    tl_call call = {.op = c->op, .attrs = attrs, .in = ins, .out = outs, .scratch = scratch,
                    .rounding = c->rounding};
    if (!kernel->run)
        fail_msg("%s has no kernel", name);
    for (; call.n_in < CASE_IN && c->in[call.n_in]; call.n_in++) {
        case_parse(c->in[call.n_in], &in[call.n_in]);
        ins[call.n_in] = in[call.n_in].t;
    }
    for (; call.n_out < CASE_OUT && c->out[call.n_out]; call.n_out++) {
        case_tensor *w = &want[call.n_out], *g = &got[call.n_out];
        if (c->out[call.n_out][0] == '!')
            error = c->out[call.n_out] + 1;
        case_parse(error ? "f32[64]" : c->out[call.n_out], w);
        if (error && in[0].t.quant) {
            w->t.dtype = in[0].t.dtype;
            w->t.quant = in[0].t.quant;
        }
        g->t = w->t;
        memset(g->bytes, 0xa5, sizeof g->bytes);
        g->t.data = g->bytes;
        outs[call.n_out] = g->t;
    }
    tl_status status = case_shape(c, line, &call, error != NULL);
    if (status == TL_OK) {
        assert_true(!kernel->scratch || kernel->scratch(&call) <= sizeof scratch);
        status = kernel->run(&call);
    }
    if (error ? status != TL_MALFORMED || !call.error || strcmp(call.error, error)
              : status != TL_OK)
        fail_msg("case %zu, %s: status %d, error %s", line, name, (int)status,
                 call.error ? call.error : "none");
    for (size_t k = 0; !error && k < call.n_out; k++)
        case_compare(c, line, k, &got[k], &want[k]);
}

static inline void run_cases(const kernel_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        run_case(&cases[i], i);
}

#define RUN_CASES(cases) run_cases(cases, TL_COUNT(cases))
/* Attributes of a case: A(clip, .lo = -1, .hi = 2); lists: INTS(1, 2); known dims: DIMS(D(1), D(2)). */
#define A(name, ...) (&(const tl_##name##_attrs){__VA_ARGS__})
#define INTS(...)                                                                   \
    (tl_ints)                                                                       \
    {                                                                               \
        sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (const int64_t[]) \
        {                                                                           \
            __VA_ARGS__                                                             \
        }                                                                           \
    }
#define D(value) (&(const tl_dim){.kind = TL_DIM_CONST, .constant = (value)})
#define DIMS(...)                                                                       \
    (tl_dim_list)                                                                       \
    {                                                                                   \
        sizeof((const tl_dim *const[]){__VA_ARGS__}) / sizeof(const tl_dim *),          \
            (const tl_dim *const[])                                                     \
        {                                                                               \
            __VA_ARGS__                                                                 \
        }                                                                               \
    }

#endif
