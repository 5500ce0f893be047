/* Fast kernels on bytes against the reference kernels: bit by bit, over random shapes, scales, zero points, steps and
 * paddings, in every rounding, for every instruction set of this machine. */
#include <math.h>
#include <stdlib.h>

#include "base/testing.h"
#include "ir/build.h"
#include "kernel/fast/isa.h"
#include "kernel/ref/ref.h"

static uint64_t seed = 7;

static int64_t pick(int64_t lo, int64_t hi)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return lo + (int64_t)((seed >> 33) % (uint64_t)(hi - lo + 1));
}

static bool flip_a_coin(void)
{
    return pick(0, 1) == 1;
}

/* Between 2^-lo and 2^-hi: powers of two, whose ratios make ties, or with a random mantissa. */
static float pick_scale(int lo, int hi)
{
    float x = flip_a_coin() ? (float)(1 << 22) : (float)pick(1 << 22, (1 << 23) - 1);
    for (int64_t i = pick(lo, hi) + 23; i > 0; i--)
        x /= 2;
    return x;
}

#define MOST_CHANNELS 300

typedef struct quant_case {
    tl_context *cx;
    tl_arena arena;
    tl_model *model;
    tl_graph *graph;
    tl_node *node;
    tl_fast_site site;
    tl_tensor in[4], out;
    tl_value *values[4];
    size_t n_in;
} quant_case;

static const tl_quant *new_quant(quant_case *c, size_t n, int axis, int lo, int hi, int64_t zero)
{
    float *scale = TL_NEW_ARRAY(&c->arena, float, n);
    int64_t *zeros = TL_NEW_ARRAY(&c->arena, int64_t, n);
    tl_quant *q = TL_NEW(&c->arena, tl_quant);
    for (size_t i = 0; i < n; i++) {
        scale[i] = pick_scale(lo, hi);
        zeros[i] = zero;
    }
    *q = (tl_quant){n, scale, zeros, n > 1 ? axis : -1, 0};
    return q;
}

/* Room behind the end, so that what reads or writes past it is seen by a sanitizer only where it should be. */
static void *new_data(quant_case *c, size_t size)
{
    char *p = tl_arena_push_raw(&c->arena, size + 64, 1);
    return p + (64 - (uintptr_t)p % 64);
}

static void add_operand(quant_case *c, tl_dtype dtype, int rank, const int64_t *shape,
                        const tl_quant *quant, bool constant)
{
    tl_tensor *t = &c->in[c->n_in];
    int64_t lo, hi;
    *t = (tl_tensor){.dtype = dtype, .rank = rank, .quant = quant};
    memcpy(t->shape, shape, (size_t)rank * sizeof *shape);
    t->data = new_data(c, tl_tensor_size(t));
    bool few = pick(0, 3) == 0; /* near the ends of the type */
    for (int64_t i = 0, n = tl_tensor_count(t); i < n; i++) {
        if (dtype == TL_F32) {
            tl_dtype_set_f64(dtype, t->data, i, (double)pick(-1000, 1000) / 512);
            continue;
        }
        tl_dtype_range(dtype, &lo, &hi);
        if (dtype == TL_I32) {
            lo = -4000;
            hi = 4000;
        }
        tl_dtype_set_i64(dtype, t->data, i, few ? (flip_a_coin() ? lo : hi) : pick(lo, hi));
    }
    tl_type type = tl_type_static(&c->arena, c->model->dims, dtype, rank, shape);
    type.quant = quant;
    c->values[c->n_in++] =
        constant ? tl_build_const(c->model, tl_const_bytes(&c->arena, dtype, rank, shape, t->data),
                                  TL_STR(""))
                 : tl_graph_add_input(c->graph, type, TL_STR(""));
    if (constant)
        c->values[c->n_in - 1]->fact.type.quant = quant;
}

static void finish_case(quant_case *c, tl_op op, const void *attrs, tl_dtype dtype,
                        const tl_quant *quant)
{
    tl_builder b = tl_builder_at_end(c->graph);
    b.legal = 0;
    c->node = tl_build_node(&b, op, c->values, c->n_in, attrs, 1, NULL, 0);
    if (tl_context_status(c->cx) != TL_OK)
        fail_msg("%s: %s", tl_op_get(op)->name, c->cx->diags.v[0]->what);
    c->site.node = c->node;
    for (size_t i = 0; i < c->n_in; i++)
        c->site.known[i] = c->values[i] ? c->values[i]->constant : NULL;
    tl_value *y = c->node->out[0];
    y->fact.type.dtype = dtype;
    y->fact.type.quant = quant;
    c->out = (tl_tensor){.dtype = dtype, .rank = y->fact.type.rank, .quant = quant};
    assert_true(tl_type_shape(&y->fact.type, c->out.shape));
}

/* ---- running ---- */

static void run_backwards(void *user, size_t n, tl_task task, void *arg)
{
    (void)user;
    for (size_t i = n; i-- > 0;)
        task(arg, i, (int)(i % 3));
}

static tl_call call_of(quant_case *c, tl_rounding rounding)
{
    c->out.data = new_data(c, tl_tensor_size(&c->out));
    memset(c->out.data, 0x55, tl_tensor_size(&c->out));
    return (tl_call){.op = c->node->op,
                     .attrs = c->node->attrs,
                     .in = c->in,
                     .n_in = c->n_in,
                     .out = &c->out,
                     .n_out = 1,
                     .rounding = rounding};
}

static void *run_reference(quant_case *c, tl_rounding rounding)
{
    tl_call call = call_of(c, rounding);
    const tl_kernel *kernel = tl_kernel_ref(call.op);
    call.scratch = new_data(c, kernel->scratch ? kernel->scratch(&call) : 0);
    if (kernel->run(&call) != TL_OK)
        fail_msg("%s: %s", tl_op_get(call.op)->name, call.error);
    return c->out.data;
}

static void *run_fast(quant_case *c, const tl_fast_kernel *kernel, const tl_isa *isa,
                      const tl_workers *workers, tl_rounding rounding)
{
    tl_call call = call_of(c, rounding);
    tl_fast_call fast = {
        .call = &call, .isa = isa, .workers = workers, .lo = -INFINITY, .hi = INFINITY};
    size_t size = kernel->pack_size ? kernel->pack_size(isa, &c->site) : 0;
    if (size) {
        void *packed = new_data(c, size);
        assert_int_equal(kernel->pack(c->cx, isa, &c->site, packed, &c->arena), TL_OK);
        fast.packed = packed;
    }
    call.scratch = new_data(c, kernel->scratch ? kernel->scratch(&fast) : 0);
    if (kernel->run(&fast) != TL_OK)
        fail_msg("%s: %s", tl_op_get(call.op)->name, call.error);
    return c->out.data;
}

static const tl_isa *const all_isas[] = {
    &tl_isa_generic,
#if TL_X86
    &tl_isa_avx2,    &tl_isa_avx_vnni, &tl_isa_avx512, &tl_isa_avx512_vnni,
#endif
};

static bool usable(const tl_isa *isa)
{
    tl_cpu cpu = tl_os_cpu();
#if TL_X86
    if (isa == &tl_isa_avx2)
        return cpu.avx2_fma;
    if (isa == &tl_isa_avx_vnni)
        return cpu.avx_vnni;
    if (isa == &tl_isa_avx512)
        return cpu.avx512;
    if (isa == &tl_isa_avx512_vnni)
        return cpu.avx512_vnni;
#endif
    (void)cpu;
    return true;
}

static void compare(const quant_case *c, const char *what, tl_rounding rounding, const void *want,
                    const void *got)
{
    double top = 1;
    tl_tensor a = c->out, b = c->out;
    a.data = (void *)(uintptr_t)want;
    b.data = (void *)(uintptr_t)got;
    int64_t n = tl_tensor_count(&a);
    for (int64_t i = 0; i < n; i++)
        top = TL_MAX(top, fabs(tl_tensor_get_f64(&a, i)));
    for (int64_t i = 0; i < n; i++) {
        double x = tl_tensor_get_f64(&a, i), y = tl_tensor_get_f64(&b, i);
        if (c->out.dtype == TL_F32 ? fabs(x - y) <= 2e-6 * top : x == y)
            continue;
        const int64_t *s = c->in[0].shape, *w = c->in[1].shape;
        fail_msg("%s %s, rounding %d, x %lld,%lld,%lld,%lld, w %lld,%lld,%lld,%lld: element %lld "
                 "is %g, expected %g",
                 tl_op_get(c->node->op)->name, what, (int)rounding, (long long)s[0],
                 (long long)s[1], (long long)s[2], (long long)s[3], (long long)w[0],
                 (long long)w[1], (long long)w[2], (long long)w[3], (long long)i, y, x);
    }
}

static void check_case(quant_case *c)
{
    static const tl_workers one = {.count = 1}, three = {.count = 3, .run = run_backwards};
    const tl_fast_kernel *kernel = tl_fast_find(&c->site);
    if (!kernel)
        fail_msg("%s: no fast kernel", tl_op_get(c->node->op)->name);
    for (int r = TL_ROUND_PLAIN; r <= TL_ROUND_FLOAT; r++) {
        void *want = run_reference(c, (tl_rounding)r);
        for (size_t i = 0; i < TL_COUNT(all_isas); i++)
            if (usable(all_isas[i])) {
                const char *name = tl_isa_name(all_isas[i]);
                compare(c, name, (tl_rounding)r, want,
                        run_fast(c, kernel, all_isas[i], &one, (tl_rounding)r));
                compare(c, name, (tl_rounding)r, want,
                        run_fast(c, kernel, all_isas[i], &three, (tl_rounding)r));
            }
    }
}

static void with_case(void (*build)(quant_case *c))
{
    quant_case c = {.cx = tl_context_create(NULL, NULL)};
    tl_arena_init(&c.arena, c.cx);
    c.model = tl_model_new(c.cx, &c.arena);
    c.graph = tl_graph_new(c.model, TL_STR("main"));
    build(&c);
    check_case(&c);
    tl_model_release(c.model);
    tl_arena_release(&c.arena);
    tl_context_destroy(c.cx);
}

/* ---- products ---- */

static tl_dtype pick_bytes(void)
{
    return flip_a_coin() ? TL_I8 : TL_U8;
}

static int64_t pick_zero(tl_dtype dtype)
{
    return dtype == TL_I8 ? pick(-128, 127) : pick(0, 255);
}

static tl_tfl_activation pick_activation(void)
{
    return (tl_tfl_activation)pick(TL_tfl_activation_none, TL_tfl_activation_relu6);
}

static int64_t pick_channels(void)
{
    return flip_a_coin() ? pick(1, 40) : pick(1, 5) * 16;
}

/* Operands x and w of a product with so many filters, the bias; real: floats times bytes. */
static void product_operands(quant_case *c, bool real, int rank, const int64_t *x, int w_rank,
                             const int64_t *w, int axis)
{
    tl_dtype dtype = real ? TL_F32 : pick_bytes();
    int64_t filters = w[axis];
    size_t n = flip_a_coin() ? (size_t)filters : 1;
    add_operand(c, dtype, rank, x, real ? NULL : new_quant(c, 1, -1, 4, 8, pick_zero(dtype)),
                false);
    add_operand(c, TL_I8, w_rank, w, new_quant(c, n, axis, 5, 9, 0), true);
    if (pick(0, 4) || w_rank == 4)
        add_operand(c, real ? TL_F32 : TL_I32, 1, &filters,
                    real ? NULL : new_quant(c, n, 0, 9, 12, 0), true);
}

static void finish_product(quant_case *c, tl_op op, const void *attrs)
{
    bool real = c->in[0].dtype == TL_F32;
    tl_dtype dtype = real ? TL_F32 : c->in[0].dtype;
    /* results of a few steps, or far beyond them */
    finish_case(c, op, attrs, dtype, real ? NULL : new_quant(c, 1, -1, 0, 6, pick_zero(dtype)));
}

static void build_rows(quant_case *c)
{
    bool real = pick(0, 2) == 0;
    int64_t k = flip_a_coin() ? pick(1, 70) : pick(1, 10) * 64, m = pick(1, 40), n = pick(1, 80);
    tl_tfl_fully_connected_attrs *a = TL_NEW(&c->arena, tl_tfl_fully_connected_attrs);
    *a = *(const tl_tfl_fully_connected_attrs *)tl_attrs_default(TL_ATTRS_tfl_fully_connected);
    a->activation = pick_activation();
    a->asymmetric_quantize_inputs = flip_a_coin();
    product_operands(c, real, 2, (int64_t[]){m, k}, 2, (int64_t[]){n, k}, 0);
    finish_product(c, TL_OP_tfl_fully_connected, a);
}

static void build_conv(quant_case *c)
{
    int64_t groups = pick(0, 3) ? 1 : pick(2, 3), depth = pick_channels(),
            filters = groups * pick(1, 40);
    int64_t kh = pick(1, 3), kw = pick(1, 4);
    if (pick(0, 2) == 0)
        kh = kw = 1;
    tl_tfl_conv_attrs *a = TL_NEW(&c->arena, tl_tfl_conv_attrs);
    *a = *(const tl_tfl_conv_attrs *)tl_attrs_default(TL_ATTRS_tfl_conv);
    a->activation = pick_activation();
    a->padding = flip_a_coin() ? TL_tfl_padding_same : TL_tfl_padding_valid;
    a->stride_h = (int32_t)pick(1, 2);
    a->stride_w = (int32_t)pick(1, 2);
    a->dilation_h = a->dilation_w = (int32_t)pick(1, 2);
    product_operands(c, pick(0, 3) == 0, 4,
                     (int64_t[]){pick(1, 2), pick(6, 9), pick(8, 12), groups * depth}, 4,
                     (int64_t[]){filters, kh, kw, depth}, 0);
    finish_product(c, TL_OP_tfl_conv_2d, a);
}

static void build_depthwise(quant_case *c)
{
    int64_t channels = pick_channels();
    tl_tfl_depthwise_attrs *a = TL_NEW(&c->arena, tl_tfl_depthwise_attrs);
    *a = *(const tl_tfl_depthwise_attrs *)tl_attrs_default(TL_ATTRS_tfl_depthwise);
    a->activation = pick_activation();
    a->padding = flip_a_coin() ? TL_tfl_padding_same : TL_tfl_padding_valid;
    a->stride_h = a->stride_w = (int32_t)pick(1, 2);
    a->dilation_h = a->dilation_w = (int32_t)pick(1, 2);
    product_operands(c, pick(0, 3) == 0, 4,
                     (int64_t[]){pick(1, 2), pick(9, 12), pick(9, 14), channels}, 4,
                     (int64_t[]){1, pick(1, 5), pick(1, 5), channels}, 3);
    finish_product(c, TL_OP_tfl_depthwise_conv_2d, a);
}

static void products_are_exact(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) {
        with_case(build_rows);
        with_case(build_conv);
        with_case(build_depthwise);
    }
}

/* ---- elements, windows, sums ---- */

static void add_bytes(quant_case *c, tl_dtype dtype, int rank, const int64_t *shape)
{
    add_operand(c, dtype, rank, shape, new_quant(c, 1, -1, 4, 8, pick_zero(dtype)), false);
}

static void build_pair(quant_case *c)
{
    static const tl_op ops[] = {TL_OP_tfl_add, TL_OP_tfl_sub, TL_OP_tfl_mul};
    tl_op op = ops[pick(0, 2)];
    tl_dtype dtype = pick_bytes();
    int64_t shape[3] = {pick(1, 5), pick(1, 40), pick(1, 200)}, other[3];
    tl_tfl_add_attrs *a = TL_NEW(&c->arena, tl_tfl_add_attrs);
    tl_tfl_activation_attrs *b = TL_NEW(&c->arena, tl_tfl_activation_attrs);
    *a = *(const tl_tfl_add_attrs *)tl_attrs_default(TL_ATTRS_tfl_add);
    *b = *(const tl_tfl_activation_attrs *)tl_attrs_default(TL_ATTRS_tfl_activation);
    a->activation = b->activation = pick_activation();
    for (int i = 0; i < 3; i++)
        other[i] = pick(0, 2) ? shape[i] : 1;
    add_bytes(c, dtype, 3, shape);
    add_bytes(c, dtype, 3, other);
    bool lists = tl_op_get(op)->attrs == TL_ATTRS_tfl_add;
    finish_case(c, op, lists ? (const void *)a : b, dtype,
                new_quant(c, 1, -1, 3, 8, pick_zero(dtype)));
}

/* To bytes of that type. */
static void finish_quantize(quant_case *c, tl_dtype dtype)
{
    tl_tfl_quantize_attrs *a = TL_NEW(&c->arena, tl_tfl_quantize_attrs);
    *a = (tl_tfl_quantize_attrs){.to = dtype, .quant = new_quant(c, 1, -1, 4, 9, pick_zero(dtype))};
    finish_case(c, TL_OP_tfl_quantize, a, dtype, a->quant);
}

static void build_function(quant_case *c)
{
    static const tl_op ops[] = {TL_OP_tfl_relu,     TL_OP_tfl_relu6,      TL_OP_tfl_logistic,
                                TL_OP_tfl_tanh,     TL_OP_tfl_leaky_relu, TL_OP_tfl_hard_swish,
                                TL_OP_tfl_quantize, TL_OP_tfl_dequantize};
    tl_op op = ops[pick(0, (int64_t)TL_COUNT(ops) - 1)];
    tl_dtype dtype = op == TL_OP_tfl_quantize || op == TL_OP_tfl_dequantize ? pick_bytes() : TL_I8;
    add_bytes(c, dtype, 1, (int64_t[]){pick(1, 700)});
    if (op == TL_OP_tfl_dequantize)
        finish_case(c, op, NULL, TL_F32, NULL);
    else if (op == TL_OP_tfl_quantize)
        finish_quantize(c, pick_bytes());
    else
        finish_case(c, op, tl_attrs_default(tl_op_get(op)->attrs), dtype,
                    new_quant(c, 1, -1, op == TL_OP_tfl_hard_swish ? 1 : 4, 5, pick_zero(dtype)));
}

static void build_round(quant_case *c)
{
    add_operand(c, TL_F32, 1, (int64_t[]){pick(1, 300)}, NULL, false);
    finish_quantize(c, pick_bytes());
}

static void build_pool(quant_case *c)
{
    tl_dtype dtype = pick_bytes();
    tl_tfl_pool_attrs *a = TL_NEW(&c->arena, tl_tfl_pool_attrs);
    *a = *(const tl_tfl_pool_attrs *)tl_attrs_default(TL_ATTRS_tfl_pool);
    a->activation = pick_activation();
    a->padding = flip_a_coin() ? TL_tfl_padding_same : TL_tfl_padding_valid;
    a->stride_h = a->stride_w = (int32_t)pick(1, 3);
    a->filter_h = (int32_t)pick(1, 4);
    a->filter_w = (int32_t)pick(1, 4);
    add_bytes(c, dtype, 4, (int64_t[]){pick(1, 2), pick(4, 9), pick(4, 9), pick(1, MOST_CHANNELS)});
    finish_case(c, flip_a_coin() ? TL_OP_tfl_max_pool_2d : TL_OP_tfl_average_pool_2d, a, dtype,
                c->in[0].quant);
}

static void build_mean(quant_case *c)
{
    tl_dtype dtype = pick_bytes();
    static const int64_t axes[] = {1, 2};
    tl_tfl_reduce_attrs *a = TL_NEW(&c->arena, tl_tfl_reduce_attrs);
    a->keep_dims = flip_a_coin();
    add_bytes(c, dtype, 4, (int64_t[]){pick(1, 3), pick(1, 9), pick(1, 9), pick(1, MOST_CHANNELS)});
    c->in[1] = (tl_tensor){.dtype = TL_I32, .rank = 1, .shape = {2}, .data = new_data(c, 8)};
    for (int i = 0; i < 2; i++)
        tl_dtype_set_i64(TL_I32, c->in[1].data, i, axes[i]);
    c->values[c->n_in++] = tl_build_i32s(c->model, axes, 2);
    finish_case(c, flip_a_coin() ? TL_OP_tfl_mean : TL_OP_tfl_sum, a, dtype,
                new_quant(c, 1, -1, 3, 8, pick_zero(dtype)));
}

static void elements_are_exact(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) {
        with_case(build_pair);
        with_case(build_function);
        with_case(build_round);
        with_case(build_pool);
        with_case(build_mean);
    }
}

/* ---- counting ---- */

static void tallies_are_alike(void **state)
{
    enum { N = TL_FAST_TALLY, SIDE = 100 };
    static const tl_fast_bins bins = {120u << 23, SIDE, 21};
    static float x[N];
    (void)state;
    for (int round = 0; round < 40; round++) {
        size_t n = (size_t)pick(1, N);
        bool odd = false;
        for (size_t i = 0; i < n; i++) {
            x[i] = (float)pick(-1000, 1000) / (float)(1 << pick(0, 20));
            if (round % 4 == 0 && pick(0, 500) == 0) {
                x[i] = flip_a_coin() ? NAN : -INFINITY;
                odd = true;
            }
        }
        for (size_t k = 0; k < TL_COUNT(all_isas); k++) {
            uint32_t counts[TL_FAST_COPIES * (1 + 2 * SIDE)] = {0}, want[1 + 2 * SIDE] = {0};
            int64_t sum[N] = {0};
            tl_fast_extent extent;
            float lo = INFINITY, hi = -INFINITY, least = INFINITY;
            if (!usable(all_isas[k]))
                continue;
            assert_int_equal(tl_fast_tally(all_isas[k], &bins, n, x, counts, &extent), !odd);
            for (size_t i = 0; i < n && !odd; i++) {
                float size = fabsf(x[i]);
                uint32_t bits;
                memcpy(&bits, &size, sizeof bits);
                int64_t bin =
                    bits < bins.first ? 0 : 1 + TL_MIN((bits - bins.first) >> 21, SIDE - 1u);
                want[bin + (bin && x[i] < 0 ? SIDE : 0)]++;
                lo = TL_MIN(lo, x[i]);
                hi = TL_MAX(hi, x[i]);
                least = size > 0 ? TL_MIN(least, size) : least;
            }
            for (int i = 0; i < 1 + 2 * SIDE; i++) {
                for (int copy = 1; copy < TL_FAST_COPIES; copy++)
                    counts[i] += counts[copy * (1 + 2 * SIDE) + i];
                assert_int_equal(counts[i], want[i]);
            }
            if (odd)
                continue;
            uint32_t bits;
            memcpy(&bits, &least, sizeof bits);
            assert_true(extent.lo == lo && extent.hi == hi &&
                        extent.least == (least < INFINITY ? bits : 0));
            tl_fast_add_units(all_isas[k], n, x, 1 << 20, sum);
            for (size_t i = 0; i < n; i++)
                assert_true(sum[i] == (int64_t)(x[i] * (1 << 20)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_exact),
        cmocka_unit_test(elements_are_exact),
        cmocka_unit_test(tallies_are_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
