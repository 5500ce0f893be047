/* Sessions on graph text: values in, values out. */
#include <stdio.h>
#include <stdlib.h>

#include "base/testing.h"
#include "exec/session.h"
#include "ir/build.h"
#include "ir/text.h"

typedef struct rig {
    test_heap heap;
    tl_context *cx;
    tl_arena arena;
    tl_model *model;
    tl_session *session;
    bool own; /* the context's memory is its own, not the heap's */
} rig;

static tl_status try_open(rig *r, const char *text, const tl_session_options *options)
{
    TRY(tl_model_parse(r->cx, &r->arena, "test", tl_str_from(text), &r->model));
    return tl_session_new(r->cx, r->model, &r->model->entries.v[0], options, &r->session);
}

static rig start_rig(void)
{
    rig r = {.heap.fail_after = -1};
    return r;
}

static void begin(rig *r)
{
    r->cx = r->own ? tl_context_create(NULL, NULL) : tl_context_create(test_alloc, &r->heap);
    tl_arena_init(&r->arena, r->cx);
}

static const char *message(const rig *r)
{
    return r->cx->diags.n ? r->cx->diags.v[0]->what : "";
}

static void open_with(rig *r, const char *text, tl_session_options options)
{
    begin(r);
    if (try_open(r, text, &options) != TL_OK)
        fail_msg("%s", message(r));
}

static void open_rig(rig *r, const char *text)
{
    open_with(r, text, (tl_session_options){.n_threads = 2});
}

static void close_rig(rig *r)
{
    tl_session_free(r->session);
    if (r->model)
        tl_model_release(r->model);
    tl_arena_release(&r->arena);
    tl_context_destroy(r->cx);
    assert_int_equal(r->heap.used, 0);
}

static tl_status set(rig *r, size_t index, tl_dtype dtype, int rank, const int64_t *shape,
                     const double *values)
{
    char data[1024];
    tl_tensor t = {.dtype = dtype, .rank = rank, .data = data};
    for (int i = 0; i < rank; i++)
        t.shape[i] = shape[i];
    for (int64_t i = 0, n = tl_tensor_count(&t); i < n; i++)
        tl_dtype_set_f64(dtype, data, i, values[i]);
    return tl_session_set_input(r->session, index, &t);
}

#define SHAPE(...)    \
    (const int64_t[]) \
    {                 \
        __VA_ARGS__   \
    }
#define VALUES(...)  \
    (const double[]) \
    {                \
        __VA_ARGS__  \
    }

static void set_vector(rig *r, size_t index, int64_t n, const double *values)
{
    assert_int_equal(set(r, index, TL_F32, 1, &n, values), TL_OK);
}

static void run(rig *r)
{
    if (tl_session_run(r->session) != TL_OK)
        fail_msg("%s", message(r));
}

static void expect(const rig *r, size_t index, int rank, const int64_t *shape, const double *values)
{
    const tl_tensor *t = tl_session_output(r->session, index);
    assert_int_equal(t->rank, rank);
    for (int i = 0; i < rank; i++)
        assert_int_equal(t->shape[i], shape[i]);
    for (int64_t i = 0, n = tl_tensor_count(t); i < n; i++)
        if (tl_tensor_get_f64(t, i) != values[i])
            fail_msg("output %zu, element %lld: %g, expected %g", index, (long long)i,
                     tl_tensor_get_f64(t, i), values[i]);
}

/* ---- plain graphs ---- */

static void a_graph_runs_again_and_again(void **state)
{
    (void)state;
    rig r = start_rig();
    open_rig(&r, "entry \"main\"(%x \"x\": f32[3]) -> (\"y\", \"z\") {\n"
                 "  %a = add(%x, %x)\n"
                 "  %b = relu(%a)\n"
                 "  %c = mul(%b, %x)\n"
                 "  return %c, %x\n"
                 "}\n");
    for (int i = 0; i < 3; i++) {
        double k = i - 1;
        set_vector(&r, 0, 3, VALUES(k, 2, -3));
        run(&r);
        expect(&r, 0, 1, SHAPE(3), VALUES(k > 0 ? 2 * k * k : 0, 8, -0.0));
        expect(&r, 1, 1, SHAPE(3), VALUES(k, 2, -3));
    }
    run(&r); /* inputs stay */
    expect(&r, 1, 1, SHAPE(3), VALUES(1, 2, -3));
    close_rig(&r);
}

static void open_sizes_are_bound_by_inputs(void **state)
{
    (void)state;
    rig r = start_rig();
    open_rig(&r, "symbol n 1..8\n"
                 "entry \"main\"(%x \"x\": f32[n,2], %y \"y\": f32[n,2]) -> (\"z\") {\n"
                 "  %a = concat(%x, %y) axis=0\n"
                 "  %b = reshape(%a) dims=[4*n]\n"
                 "  return %b\n"
                 "}\n");
    for (int64_t n = 1; n < 3; n++) {
        assert_int_equal(set(&r, 0, TL_F32, 2, SHAPE(n, 2), VALUES(1, 2, 3, 4)), TL_OK);
        assert_int_equal(set(&r, 1, TL_F32, 2, SHAPE(n, 2), VALUES(5, 6, 7, 8)), TL_OK);
        run(&r);
        expect(&r, 0, 1, SHAPE(4 * n),
               n == 1 ? VALUES(1, 2, 5, 6) : VALUES(1, 2, 3, 4, 5, 6, 7, 8));
        assert_int_equal(tl_session_symbol(r.session, 0), n);
    }
    close_rig(&r);
}

static void steady_runs_allocate_nothing(void **state)
{
    (void)state;
    rig r = start_rig();
    open_rig(&r, "symbol n\n"
                 "entry \"main\"(%x \"x\": f32[n]) -> (\"y\") {\n"
                 "  %a = exp(%x)\n"
                 "  %b = add(%a, %x)\n"
                 "  %i = nonzero(%b)\n"
                 "  %s = concat(%i, %i) axis=0\n"
                 "  return %s\n"
                 "}\n");
    set_vector(&r, 0, 3, VALUES(1, 2, 3));
    run(&r);
    run(&r);
    size_t used = r.heap.used;
    r.heap.fail_after = 0;
    for (int i = 0; i < 5; i++) {
        set_vector(&r, 0, 3, VALUES(1, i, 3));
        run(&r);
    }
    assert_int_equal(r.heap.used, used);
    r.heap.fail_after = -1;
    close_rig(&r);
}

/* Fast, joined and in whatever order of axes against reference; the input is [1, 4, 5, 6]. Weights are packed by
 * the caller, then by all workers, which needs memory that is not the user's. */
static void check_against_reference(const char *text)
{
    double x[120], expected[1024] = {0};
    for (int i = 0; i < 120; i++)
        x[i] = (i * 37 % 120 - 60) / 16.0;
    for (int fast = 0; fast < 3; fast++) {
        rig r = start_rig();
        r.own = fast == 2;
        open_with(&r, text, (tl_session_options){.reference = !fast, .n_threads = 3});
        assert_int_equal(set(&r, 0, TL_F32, 4, SHAPE(1, 4, 5, 6), x), TL_OK);
        run(&r);
        run(&r);
        size_t at = 0;
        for (size_t k = 0; k < r.model->entries.v[0].n_out; k++) {
            const tl_tensor *y = tl_session_output(r.session, k);
            for (int64_t i = 0, n = tl_tensor_count(y); i < n; i++, at++) {
                assert_true(at < TL_COUNT(expected));
                if (!fast)
                    expected[at] = tl_tensor_get_f64(y, i);
                else if (!(fabs(expected[at] - tl_tensor_get_f64(y, i)) <=
                           1e-6 * (10 + fabs(expected[at]))))
                    fail_msg("output %zu, element %lld: %g, expected %g", k, (long long)i,
                             tl_tensor_get_f64(y, i), expected[at]);
            }
        }
        close_rig(&r);
    }
}

static void joined_steps_compute_the_same(void **state)
{
    (void)state;
    check_against_reference("const %w : f32[5,3,3,6] = random 1\n"
                            "const %b : f32[5] = random 2\n"
                            "const %d : f32[1,3,3,5] = random 3\n"
                            "const %p : i32[4,2] = {0, 0, 1, 1, 0, 2, 0, 0}\n"
                            "entry \"main\"(%x \"x\": f32[1,4,5,6]) -> (\"y\") {\n"
                            "  %1 = tfl_pad(%x, %p)\n"
                            "  %2 = tfl_conv_2d(%1, %w, %b) padding=valid\n"
                            "  %3 = tfl_relu6(%2)\n"
                            "  %4 = tfl_pad(%3, %p)\n"
                            "  %5 = tfl_depthwise_conv_2d(%4, %d, %b) padding=valid\n"
                            "  %6 = tfl_reshape(%5) new_shape=[-1]\n"
                            "  %7 = tfl_add(%6, %6)\n"
                            "  return %7\n"
                            "}\n");
}

/* Filters that are stored in fewer bits, or in another order. */
static void known_values_are_packed_once(void **state)
{
    (void)state;
    check_against_reference("const %h : f16[5,3,3,6] = random 1\n"
                            "const %q : i8[5,5]{axis=0 scale=[0.5,0.25,1,2,4]} = random 2\n"
                            "const %b : f16[5] = random 3\n"
                            "entry \"main\"(%x \"x\": f32[1,4,5,6]) -> (\"y\") {\n"
                            "  %1 = tfl_dequantize(%h)\n"
                            "  %2 = tfl_dequantize(%b)\n"
                            "  %3 = tfl_conv_2d(%x, %1, %2) padding=same\n"
                            "  %4 = dequantize(%q)\n"
                            "  %5 = transpose(%4) perm=[1,0]\n"
                            "  %6 = matmul(%3, %5)\n"
                            "  return %6\n"
                            "}\n");
}

static void work_is_done_in_other_orders_of_axes(void **state)
{
    (void)state;
    check_against_reference(
        "const %w : f32[4,1,1,4] = random 1\n"
        "const %c : f32[4,1,1] = random 2\n"
        "entry \"main\"(%x \"x\": f32[1,4,5,6]) -> (\"a\", \"b\", \"c\", \"d\") {\n"
        "  %1 = transpose(%x) perm=[0,2,3,1]\n"
        "  %2 = conv(%1, %w)\n"
        "  %3 = transpose(%2) perm=[0,3,1,2]\n"
        "  %4 = relu(%3)\n"              /* joins */
        "  %5 = mul(%4, %c)\n"           /* a bias */
        "  %6 = concat(%5, %4) axis=1\n" /* one order */
        "  %7 = pad(%6) lo=[0,1,0,2] hi=[0,0,1,0]\n"
        "  %8 = slice(%7) begin=[0,0,1,7] size=[1,9,4,3] stride=[1,1,1,-2]\n"
        "  %9 = reduce_mean(%8) axes=[2,3]\n"
        "  %10 = reduce_sum(%8) axes=[1] keep=true\n"
        "  %11 = add(%5, %x)\n" /* two orders */
        "  %12 = transpose(%11) perm=[3,2,1,0]\n"
        "  %13 = reshape(%5) dims=[20,6]\n"
        "  return %9, %10, %12, %13\n"
        "}\n");
}

/* ---- control flow ---- */

static void a_branch_is_taken(void **state)
{
    (void)state;
    rig r = start_rig();
    open_rig(&r, "entry \"main\"(%p \"p\": bool[], %x \"x\": f32[2]) -> (\"y\", \"x2\") {\n"
                 "  %a = add(%x, %x)\n"
                 "  %y, %z = if(%p, %a) {\n"
                 "    graph(%c: f32[2]) { %d = neg(%c) return %d, %c }\n"
                 "    graph(%e: f32[2]) { %f = mul(%e, %e) return %e, %f }\n"
                 "  }\n"
                 "  %s = add(%y, %x)\n"
                 "  return %s, %z\n"
                 "}\n");
    set_vector(&r, 1, 2, VALUES(1, 3));
    assert_int_equal(set(&r, 0, TL_BOOL, 0, NULL, VALUES(1)), TL_OK);
    run(&r);
    expect(&r, 0, 1, SHAPE(2), VALUES(-1, -3));
    expect(&r, 1, 1, SHAPE(2), VALUES(2, 6));
    assert_int_equal(set(&r, 0, TL_BOOL, 0, NULL, VALUES(0)), TL_OK);
    run(&r);
    expect(&r, 0, 1, SHAPE(2), VALUES(3, 9));
    expect(&r, 1, 1, SHAPE(2), VALUES(4, 36));
    close_rig(&r);
}

/* Counts to n while the list grows by x each turn. */
static const char growing_loop[] =
    "const %zero : i64[] = {0}\n"
    "const %one : i64[] = {1}\n"
    "entry \"main\"(%n \"n\": i64[], %x \"x\": f32[1]) -> (\"list\", \"i\") {\n"
    "  %i, %list = while(%zero, %x, %n, %x) carried=2 {\n"
    "    graph(%a: i64[], %b: f32[k], %c: i64[], %d: f32[1]) {\n"
    "      %e = less(%a, %c)\n"
    "      return %e\n"
    "    }\n"
    "    graph(%f: i64[], %g: f32[m], %h: i64[], %j: f32[1]) {\n"
    "      %k = add(%f, %one)\n"
    "      %l = add(%g, %j)\n"
    "      %o = concat(%l, %j) axis=0\n"
    "      return %k, %o\n"
    "    }\n"
    "  }\n"
    "  return %list, %i\n"
    "}\n";

static void a_loop_turns(void **state)
{
    (void)state;
    rig r = start_rig();
    open_rig(&r, growing_loop);
    set_vector(&r, 1, 1, VALUES(1));
    for (int n = 0; n < 4; n++) {
        assert_int_equal(set(&r, 0, TL_I64, 0, NULL, VALUES(n)), TL_OK);
        run(&r);
        double list[4];
        for (int i = 0; i <= n; i++)
            list[i] = i == 0 ? n + 1 : n + 1 - i;
        expect(&r, 0, 1, SHAPE(n + 1), list);
        expect(&r, 1, 0, NULL, VALUES(n));
    }
    close_rig(&r);
}

static void a_tfl_loop_carries_everything(void **state)
{
    (void)state;
    rig r = start_rig();
    open_rig(&r, "const %limit : f32[] = {100}\n"
                 "entry \"main\"(%x \"x\": f32[], %y \"y\": f32[]) -> (\"a\", \"b\") {\n"
                 "  %a, %b = tfl_while(%x, %y) {\n"
                 "    graph(%c: f32[], %d: f32[]) { %e = tfl_less(%c, %limit) return %e }\n"
                 "    graph(%f: f32[], %g: f32[]) { %h = tfl_mul(%f, %g) return %h, %g }\n"
                 "  }\n"
                 "  return %a, %b\n"
                 "}\n");
    assert_int_equal(set(&r, 0, TL_F32, 0, NULL, VALUES(1)), TL_OK);
    assert_int_equal(set(&r, 1, TL_F32, 0, NULL, VALUES(3)), TL_OK);
    run(&r);
    expect(&r, 0, 0, NULL, VALUES(243));
    expect(&r, 1, 0, NULL, VALUES(3));
    close_rig(&r);
}

/* ---- state ---- */

static void state_is_carried_and_cleared(void **state)
{
    (void)state;
    rig r = start_rig();
    begin(&r);
    assert_int_equal(
        tl_model_parse(
            r.cx, &r.arena, "test",
            TL_STR("entry \"main\"(%x \"x\": f32[2], %s \"s\": f32[2]) -> (\"y\", \"s\") {\n"
                   "  %t = add(%x, %s)\n"
                   "  %y = neg(%t)\n"
                   "  return %y, %t\n"
                   "}\n"),
            &r.model),
        TL_OK);
    tl_entry *entry = &r.model->entries.v[0];
    entry->n_in = entry->n_out = entry->n_state = 1;
    assert_int_equal(tl_session_new(r.cx, r.model, entry, NULL, &r.session), TL_OK);
    set_vector(&r, 0, 2, VALUES(1, 2));
    for (int i = 1; i < 4; i++) {
        run(&r);
        expect(&r, 0, 1, SHAPE(2), VALUES(-i, -2 * i));
    }
    tl_session_reset(r.session);
    run(&r);
    expect(&r, 0, 1, SHAPE(2), VALUES(-1, -2));
    close_rig(&r);
}

/* ---- failures ---- */

static void wrong_inputs_are_refused(void **state)
{
    (void)state;
    rig r = start_rig();
    open_rig(&r, "symbol n 2..4\n"
                 "entry \"main\"(%x \"x\": f32[3,n], %y \"y\": f32[n]) -> (\"z\") {\n"
                 "  %a = add(%x, %y)\n"
                 "  return %a\n"
                 "}\n");
    static const double zeros[64];
    assert_int_equal(tl_session_run(r.session), TL_USAGE);
    assert_string_equal(message(&r), "input x has no value");
    tl_context_reset(r.cx);
    assert_int_equal(set(&r, 0, TL_F32, 2, SHAPE(5, 3), zeros), TL_USAGE);
    assert_string_equal(message(&r), "input x: axis 0 is 5, expected 3");
    tl_context_reset(r.cx);
    assert_int_equal(set(&r, 0, TL_F32, 1, SHAPE(3), zeros), TL_USAGE);
    assert_string_equal(message(&r), "input x: rank is 1, expected 2");
    tl_context_reset(r.cx);
    assert_int_equal(set(&r, 0, TL_I32, 2, SHAPE(3, 3), zeros), TL_USAGE);
    assert_string_equal(message(&r), "input x: type is i32, expected f32");
    tl_context_reset(r.cx);
    assert_int_equal(set(&r, 0, TL_F32, 2, SHAPE(3, 3), zeros), TL_OK);
    assert_int_equal(set(&r, 1, TL_F32, 1, SHAPE(2), zeros), TL_OK);
    assert_int_equal(tl_session_run(r.session), TL_USAGE);
    assert_string_equal(message(&r), "input y: axis 0 is 2, expected 3");
    tl_context_reset(r.cx);
    assert_int_equal(set(&r, 0, TL_F32, 2, SHAPE(3, 5), zeros), TL_OK);
    assert_int_equal(set(&r, 1, TL_F32, 1, SHAPE(5), zeros), TL_OK);
    assert_int_equal(tl_session_run(r.session), TL_USAGE);
    assert_string_equal(message(&r), "input x: axis 1 is 5, expected 2..4");
    close_rig(&r);
}

static void assumptions_are_tested(void **state)
{
    (void)state;
    rig r = start_rig();
    open_rig(&r, "symbol n 2..9\n"
                 "symbol m 2..9\n"
                 "entry \"main\"(%x \"x\": f32[n], %y \"y\": f32[m]) -> (\"z\") {\n"
                 "  %a = add(%x, %y)\n"
                 "  return %a\n"
                 "}\n");
    set_vector(&r, 0, 3, VALUES(1, 2, 3));
    set_vector(&r, 1, 3, VALUES(1, 2, 3));
    run(&r);
    set_vector(&r, 1, 2, VALUES(1, 2));
    assert_int_equal(tl_session_run(r.session), TL_USAGE);
    assert_string_equal(message(&r), "sizes n and m must be equal, found 3 and 2");
    close_rig(&r);
}

static void a_kernel_that_fails_is_named(void **state)
{
    (void)state;
    rig r = start_rig();
    open_rig(&r, "entry \"main\"(%x \"x\": f32[3], %i \"i\": i64[]) -> (\"y\") {\n"
                 "  %a = gather(%x, %i)\n"
                 "  return %a\n"
                 "}\n");
    set_vector(&r, 0, 3, VALUES(1, 2, 3));
    assert_int_equal(set(&r, 1, TL_I64, 0, NULL, VALUES(7)), TL_OK);
    assert_int_equal(tl_session_run(r.session), TL_MALFORMED);
    assert_non_null(strstr(message(&r), "gather: "));
    tl_context_reset(r.cx);
    assert_int_equal(set(&r, 1, TL_I64, 0, NULL, VALUES(-1)), TL_OK);
    run(&r);
    expect(&r, 0, 0, NULL, VALUES(3));
    close_rig(&r);
}

static void nothing_leaks_when_memory_is_out(void **state)
{
    (void)state;
    tl_status status = TL_ENVIRONMENT;
    long n = 0;
    for (; status != TL_OK; n++) {
        rig r = start_rig();
        begin(&r);
        r.heap.n_calls = 0;
        r.heap.fail_after = n;
        status = try_open(&r, growing_loop, NULL);
        if (status == TL_OK)
            status = set(&r, 0, TL_I64, 0, NULL, VALUES(3));
        if (status == TL_OK)
            status = set(&r, 1, TL_F32, 1, SHAPE(1), VALUES(1));
        if (status == TL_OK)
            status = tl_session_run(r.session);
        assert_true(status == TL_OK || status == TL_ENVIRONMENT);
        close_rig(&r);
    }
    assert_true(n > 10);
}

/* ---- looking inside ---- */

typedef struct watch {
    char text[256];
} watch;

static void note_value(void *user, const tl_value *value, const tl_tensor *t)
{
    watch *w = user;
    size_t at = strlen(w->text);
    (void)value;
    if (t->rank == 1 && t->dtype == TL_F32)
        snprintf(w->text + at, sizeof w->text - at, "%g ", tl_tensor_get_f64(t, 0));
}

static void values_are_seen_in_order_inside_loops_too(void **state)
{
    (void)state;
    for (int reference = 0; reference < 2; reference++) {
        rig r = start_rig();
        watch w = {{0}};
        open_with(&r, growing_loop,
                  (tl_session_options){
                      .observe = note_value, .observe_user = &w, .reference = reference});
        set_vector(&r, 1, 1, VALUES(1));
        assert_int_equal(set(&r, 0, TL_I64, 0, NULL, VALUES(2)), TL_OK);
        run(&r);
        assert_string_equal(w.text, "2 2 3 3 3 ");
        close_rig(&r);
    }
}

static void time_is_kept_per_node(void **state)
{
    (void)state;
    rig r = start_rig();
    open_with(&r,
              "entry \"main\"(%x \"x\": f32[3]) -> (\"y\") {\n"
              "  %a = exp(%x)\n"
              "  %b = neg(%a)\n"
              "  return %b\n"
              "}\n",
              (tl_session_options){.profile = true});
    set_vector(&r, 0, 3, VALUES(1, 2, 3));
    run(&r);
    size_t n;
    const tl_node_time *times = tl_session_profile(r.session, &n);
    assert_int_equal(n, 2);
    assert_int_equal(times[0].node->op, TL_OP_exp);
    assert_int_equal(times[1].node->op, TL_OP_neg);
    assert_int_equal(tl_session_get_stats(r.session).n_nodes, 2);
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_graph_runs_again_and_again),
        cmocka_unit_test(open_sizes_are_bound_by_inputs),
        cmocka_unit_test(steady_runs_allocate_nothing),
        cmocka_unit_test(joined_steps_compute_the_same),
        cmocka_unit_test(known_values_are_packed_once),
        cmocka_unit_test(work_is_done_in_other_orders_of_axes),
        cmocka_unit_test(a_branch_is_taken),
        cmocka_unit_test(a_loop_turns),
        cmocka_unit_test(a_tfl_loop_carries_everything),
        cmocka_unit_test(state_is_carried_and_cleared),
        cmocka_unit_test(wrong_inputs_are_refused),
        cmocka_unit_test(assumptions_are_tested),
        cmocka_unit_test(a_kernel_that_fails_is_named),
        cmocka_unit_test(nothing_leaks_when_memory_is_out),
        cmocka_unit_test(values_are_seen_in_order_inside_loops_too),
        cmocka_unit_test(time_is_kept_per_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
