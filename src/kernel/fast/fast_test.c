/* Fast kernels against reference kernels: every instruction set of this machine, one worker and
 * several, odd sizes. A row is an op, its operands ("3,5" an input of that shape, b, d, l before
 * it: of bool, i32, i64; "c3,5" a constant, "=2" a constant scalar, "i1,2" constant integers, "_"
 * absent) and its attributes. */
#include <stdlib.h>

#include "base/half.h"
#include "base/math.h"
#include "base/testing.h"
#include "ir/build.h"
#include "ir/scan.h"
#include "kernel/fast/isa.h"

typedef struct fast_row {
    const char *op, *operands, *attrs;
    float lo, hi; /* both 0: results are not clamped */
} fast_row;

static const fast_row fast_rows[] = {
#include "kernel/fast/fast_test.def"
};

/* ---- values ---- */

static float next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(*seed >> 40) / (1 << 23) - 1.0);
}

static float *random_floats(int64_t n, uint64_t seed)
{
    float *x = calloc((size_t)n + 64, sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = 2 * next_random(&seed);
    return x;
}

/* ---- nodes ---- */

typedef struct fast_case {
    tl_context *cx;
    tl_arena arena;
    tl_model *model;
    tl_graph *graph;
    tl_node *node;
    tl_fast_site site;
    tl_tensor in[8], out[4];
    float *data[64]; /* to be freed */
    size_t n_data;
} fast_case;

static float *keep(fast_case *c, float *data)
{
    c->data[c->n_data++] = data;
    return data;
}

static tl_value *add_given(fast_case *c, tl_str text, size_t k)
{
    bool constant = tl_str_starts(text, "c");
    tl_tensor *t = &c->in[k];
    tl_str part;
    if (tl_str_is(text, "_"))
        return NULL;
    tl_dtype dtype = tl_str_starts(text, "b")   ? TL_BOOL
                     : tl_str_starts(text, "d") ? TL_I32
                     : tl_str_starts(text, "l") ? TL_I64
                                                : TL_F32;
    if (constant || dtype != TL_F32)
        text = (tl_str){text.p + 1, text.n - 1};
    *t = (tl_tensor){.dtype = dtype};
    while (tl_str_split(&text, ',', &part))
        assert_true(tl_str_to_i64(part, &t->shape[t->rank++]));
    int64_t n = tl_tensor_count(t);
    float *data = keep(c, random_floats(n, k + 1));
    t->data = data;
    if (dtype != TL_F32) {
        t->data = keep(c, calloc((size_t)n + 1, 8));
        for (int64_t i = 0; i < n; i++)
            tl_dtype_set_i64(dtype, t->data, i,
                             dtype == TL_BOOL ? data[i] > 0 : (int64_t)(data[i] * 2));
    }
    if (constant)
        return tl_build_const(
            c->model, tl_const_bytes(&c->arena, TL_F32, t->rank, t->shape, t->data), TL_STR(""));
    return tl_graph_add_input(
        c->graph, tl_type_static(&c->arena, c->model->dims, dtype, t->rank, t->shape), TL_STR(""));
}

/* Integers of a constant operand: "i1,2" is the vector {1, 2}. */
static tl_value *add_integers(fast_case *c, tl_str text, size_t k)
{
    int64_t v[16], n = 0;
    int32_t *narrow = (int32_t *)(void *)keep(c, calloc(16, sizeof *narrow));
    tl_str part;
    text = (tl_str){text.p + 1, text.n - 1};
    while (tl_str_split(&text, ',', &part))
        assert_true(tl_str_to_i64(part, &v[n++]));
    for (int64_t i = 0; i < n; i++)
        narrow[i] = (int32_t)v[i];
    c->in[k] = (tl_tensor){.dtype = TL_I32, .rank = 1, .shape = {n}, .data = narrow};
    return tl_build_i32s(c->model, v, (size_t)n);
}

/* "=2": a constant scalar. */
static tl_value *add_scalar(fast_case *c, tl_str text, size_t k)
{
    double value;
    assert_true(tl_str_to_f64((tl_str){text.p + 1, text.n - 1}, &value));
    float *data = keep(c, calloc(16, sizeof *data));
    *data = (float)value;
    c->in[k] = (tl_tensor){.dtype = TL_F32, .data = data};
    return tl_build_f32(c->model, *data);
}

static void build_case(fast_case *c, const fast_row *row)
{
    tl_op op;
    const void *attrs;
    tl_value *in[8];
    size_t n_in = 0;
    tl_str rest = tl_str_from(row->operands), part;
    c->model = tl_model_new(c->cx, &c->arena);
    c->graph = tl_graph_new(c->model, TL_STR("main"));
    assert_true(tl_op_find(tl_str_from(row->op), &op));
    for (; tl_str_split(&rest, ' ', &part); n_in++)
        in[n_in] = (tl_str_starts(part, "i")   ? add_integers
                    : tl_str_starts(part, "=") ? add_scalar
                                               : add_given)(c, part, n_in);
    tl_scan scan = tl_scan_start(c->cx, &c->arena, "test", tl_str_from(row->attrs));
    assert_true(tl_attrs_scan(&scan, c->model->dims, tl_op_get(op)->attrs, &attrs));
    tl_builder b = tl_builder_at_end(c->graph);
    b.legal = 0;
    c->node = tl_build_node(&b, op, in, n_in, attrs, 1, NULL, 0);
    if (tl_context_status(c->cx) != TL_OK)
        fail_msg("%s %s: %s", row->op, row->operands, c->cx->diags.v[0]->what);
    c->site.node = c->node;
    for (size_t i = 0; i < c->node->n_in && i < TL_FAST_KNOWN; i++)
        c->site.known[i] = in[i] ? in[i]->constant : NULL;
    for (size_t i = 0; i < c->node->n_out; i++) {
        const tl_type *type = tl_type_of(c->node->out[i]);
        c->out[i] = (tl_tensor){.dtype = type->dtype, .rank = type->rank};
        assert_true(tl_type_shape(type, c->out[i].shape));
    }
}

static tl_call call_of(fast_case *c)
{
    return (tl_call){.op = c->node->op,
                     .attrs = c->node->attrs,
                     .in = c->in,
                     .n_in = c->node->n_in,
                     .out = c->out,
                     .n_out = c->node->n_out};
}

static float *new_result(fast_case *c)
{
    int64_t n = tl_tensor_count(&c->out[0]);
    float *x = calloc((size_t)n + 1, 8); /* room for any type */
    for (int64_t i = 0; i <= n; i++)
        x[i] = 1e30f;
    c->out[0].data = keep(c, x);
    return x;
}

static void *aligned_scratch(fast_case *c, size_t size)
{
    char *p = (char *)keep(c, malloc(size + 128));
    memset(p, 0xff, size + 128);
    return p + (64 - (uintptr_t)p % 64);
}

static float *run_reference(fast_case *c, const fast_row *row)
{
    tl_call call = call_of(c);
    const tl_kernel *kernel = tl_kernel_ref(call.op);
    float *y = new_result(c);
    call.scratch = aligned_scratch(c, kernel->scratch ? kernel->scratch(&call) : 0);
    if (kernel->run(&call) != TL_OK)
        fail_msg("%s: %s", row->op, call.error);
    for (int64_t i = 0, n = tl_tensor_count(&c->out[0]); i < n && row->lo != row->hi; i++)
        y[i] = y[i] < row->lo ? row->lo : y[i] > row->hi ? row->hi : y[i];
    return y;
}

/* Several workers on one thread, tasks backwards. */
static void run_backwards(void *user, size_t n, tl_task task, void *arg)
{
    (void)user;
    for (size_t i = n; i-- > 0;)
        task(arg, i, (int)(i % 3));
}

static float *run_fast(fast_case *c, const fast_row *row, const tl_fast_kernel *kernel,
                       const tl_isa *isa, const tl_workers *workers)
{
    tl_call call = call_of(c);
    tl_fast_call fast = {
        .call = &call, .isa = isa, .workers = workers, .lo = row->lo, .hi = row->hi};
    float *y = new_result(c);
    if (row->lo == row->hi) {
        fast.lo = -INFINITY;
        fast.hi = INFINITY;
    }
    assert_true(kernel->clamps || row->lo == row->hi);
    size_t size = kernel->pack_size ? kernel->pack_size(isa, &c->site) : 0;
    if (size) {
        void *packed = aligned_scratch(c, size);
        assert_int_equal(kernel->pack(c->cx, isa, &c->site, packed, &c->arena), TL_OK);
        fast.packed = packed;
    }
    call.scratch = aligned_scratch(c, kernel->scratch ? kernel->scratch(&fast) : 0);
    if (kernel->run(&fast) != TL_OK)
        fail_msg("%s: %s", row->op, call.error);
    return y;
}

static void compare(fast_case *c, const fast_row *row, const char *what, const float *expected,
                    const float *y)
{
    int64_t n = tl_tensor_count(&c->out[0]);
    double top = 1, worst = 0;
    if (c->out[0].dtype != TL_F32) {
        if (memcmp(expected, y, tl_tensor_size(&c->out[0])) != 0)
            fail_msg("%s %s %s, %s: differs", row->op, row->operands, row->attrs, what);
        return;
    }
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++)
        top = fabs((double)expected[i]) > top ? fabs((double)expected[i]) : top;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)expected[i] - (double)y[i]);
        if (!(d <= worst)) {
            worst = d;
            at = i;
        }
    }
    if (!(worst <= 2e-6 * top))
        fail_msg("%s %s %s, %s: element %lld is %.9g, expected %.9g", row->op, row->operands,
                 row->attrs, what, (long long)at, (double)y[at], (double)expected[at]);
    assert_true(y[n] == 1e30f); /* nothing written behind the end */
}

static const tl_isa *const all_isas[] = {
    &tl_isa_generic,
#if TL_X86
    &tl_isa_avx2,
    &tl_isa_avx512,
#endif
};

static bool usable(const tl_isa *isa)
{
    tl_cpu cpu = tl_os_cpu();
    return isa == &tl_isa_generic ||
           (tl_str_is(TL_STR("avx2"), isa->name) ? cpu.avx2_fma : cpu.avx512);
}

static void check_row(const fast_row *row)
{
    fast_case c = {.cx = tl_context_create(NULL, NULL)};
    static const tl_workers one = {.count = 1}, three = {.count = 3, .run = run_backwards};
    tl_arena_init(&c.arena, c.cx);
    build_case(&c, row);
    const tl_fast_kernel *kernel = tl_fast_find(&c.site);
    if (!kernel)
        fail_msg("%s %s: no fast kernel", row->op, row->operands);
    float *expected = run_reference(&c, row);
    for (size_t i = 0; i < TL_COUNT(all_isas); i++) {
        if (!usable(all_isas[i]))
            continue;
        float *y = run_fast(&c, row, kernel, all_isas[i], &one);
        compare(&c, row, all_isas[i]->name, expected, y);
        float *z = run_fast(&c, row, kernel, all_isas[i], &three);
        assert_memory_equal(y, z, tl_tensor_size(&c.out[0]));
    }
    for (size_t i = 0; i < c.n_data; i++)
        free(c.data[i]);
    tl_model_release(c.model);
    tl_arena_release(&c.arena);
    tl_context_destroy(c.cx);
}

static void fast_kernels_agree_with_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < TL_COUNT(fast_rows); i++)
        check_row(&fast_rows[i]);
}

/* ---- functions over all of their range ---- */

typedef struct math_row {
    tl_fast_unary f;
    double (*exact)(double);
    double ulps;     /* of the result, */
    double absolute; /* or so close */
} math_row;

static double exact_sigmoid(double x)
{
    return 1 / (1 + tl_exp(-x));
}

static double exact_softplus(double x)
{
    return (x > 0 ? x : 0) + tl_log1p(tl_exp(x > 0 ? -x : x));
}

static double exact_elu(double x)
{
    return x < 0 ? tl_expm1(x) : x;
}

static const math_row math_rows[] = {
    {TL_FAST_exp, tl_exp, 2, 0},     {TL_FAST_log, tl_log, 2, 1e-7},
    {TL_FAST_tanh, tl_tanh, 4, 0},   {TL_FAST_sigmoid, exact_sigmoid, 4, 1.2e-38},
    {TL_FAST_erf, tl_erf, 8, 1e-37}, {TL_FAST_softplus, exact_softplus, 5, 0},
    {TL_FAST_elu, exact_elu, 5, 0},  {TL_FAST_floor, tl_floor, 0, 0},
    {TL_FAST_ceil, tl_ceil, 0, 0},   {TL_FAST_round, tl_round_even, 0, 0},
};

static double ulp_of(float x)
{
    float a = x < 0 ? -x : x;
    return a < 0x1p-126f        ? 0x1p-149
           : a <= 3.4028234e38f ? (double)(tl_bits_to_f32(tl_f32_to_bits(a) + 1) - a)
                                : 0;
}

static void check_math(const tl_isa *isa, const math_row *row)
{
    float x[64], y[64];
    double worst = 0;
    /* both signs, every exponent, infinities and NaN */
    for (uint64_t bits = 0; bits < UINT64_C(1) << 32; bits += 64 * 31337) {
        for (uint32_t i = 0; i < 64; i++)
            x[i] = tl_bits_to_f32((uint32_t)bits + i * 31337);
        isa->unary(row->f, 64, x, y, 1, 0);
        for (int i = 0; i < 64; i++) {
            float expected = (float)row->exact((double)x[i]);
            if (expected == y[i] || (expected != expected && y[i] != y[i]))
                continue;
            double error = fabs((double)y[i] - row->exact((double)x[i]));
            if (error <= row->absolute)
                continue;
            error /= ulp_of(expected);
            worst = error > worst ? error : worst;
            if (!(error <= row->ulps + 0.5))
                fail_msg("%s function %d of %.9g: %.9g, expected %.9g", isa->name, (int)row->f,
                         (double)x[i], (double)y[i], (double)expected);
        }
    }
}

static void functions_are_exact_to_some_ulps(void **state)
{
    (void)state;
    for (size_t i = 0; i < TL_COUNT(all_isas); i++)
        for (size_t k = 0; usable(all_isas[i]) && k < TL_COUNT(math_rows); k++)
            check_math(all_isas[i], &math_rows[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_kernels_agree_with_reference),
        cmocka_unit_test(functions_are_exact_to_some_ulps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
