/* Deliberate faults, put in by the linker (--wrap, see CMakeLists.txt): a wrong importer row, a wrong pass, a wrong
 * lowering. Which evidence sees each, and where bisection says it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "import/onnx/onnx_call.h"
#include "lower/lowerer.h"
#include "pass/pass.h"
#include "tolite.h"

#define DIGITS TEST_DATA "/../examples/digits/"

typedef enum fault_kind { NO_FAULT, IMPORT_FAULT, PASS_FAULT, LOWER_FAULT } fault_kind;

static fault_kind fault;

const onnx_row *__real_onnx_find_row(tl_str op, int64_t opset);
const onnx_row *__wrap_onnx_find_row(tl_str op, int64_t opset);
tl_status __real_tl_pass_cse(tl_model *model);
tl_status __wrap_tl_pass_cse(tl_model *model);
tl_value *__real_tl_lower_make_direct(tl_lowerer *lw, const tl_node *node, tl_op tfl);
tl_value *__wrap_tl_lower_make_direct(tl_lowerer *lw, const tl_node *node, tl_op tfl);

/* Add imported as Sub. */
const onnx_row *__wrap_onnx_find_row(tl_str op, int64_t opset)
{
    return __real_onnx_find_row(fault == IMPORT_FAULT && tl_str_is(op, "Add") ? TL_STR("Sub") : op,
                                opset);
}

/* Every second addition of a value to another becomes one to itself. */
tl_status __wrap_tl_pass_cse(tl_model *model)
{
    tl_status status = __real_tl_pass_cse(model);
    if (fault != PASS_FAULT || model->legal != TL_LEGAL_CORE)
        return status;
    TL_EACH_NODE (node, model->entries.v[0].graph)
        if (node->op == TL_OP_add && !node->in[1].value->constant)
            tl_node_set_input(node, 1, node->in[0].value);
    return status;
}

/* ADD lowered to SUB. */
tl_value *__wrap_tl_lower_make_direct(tl_lowerer *lw, const tl_node *node, tl_op tfl)
{
    bool wrong = fault == LOWER_FAULT && tfl == TL_OP_tfl_add;
    return __real_tl_lower_make_direct(lw, node, wrong ? TL_OP_tfl_sub : tfl);
}

typedef struct bench {
    tl_context *cx;
    tl_network *network;
    tl_arrays *records; /* inputs and right outputs */
} bench;

static bench set_up(fault_kind which)
{
    bench t = {.cx = tl_context_new(NULL)};
    fault = which;
    assert_non_null(t.cx);
    assert_int_equal(tl_open(t.cx, DIGITS "digits.onnx", NULL, &t.network), TL_OK);
    assert_int_equal(tl_arrays_read(t.cx, DIGITS "held_out.npz", &t.records), TL_OK);
    return t;
}

static void tear_down(bench *t)
{
    tl_arrays_free(t->records);
    tl_close(t->network);
    tl_context_free(t->cx);
    fault = NO_FAULT;
}

static void assert_says(const char *report, const char *text)
{
    if (!report || !strstr(report, text))
        fail_msg("expected %s in %s", text, report ? report : "no report");
}

static tl_status convert(bench *t, bool verify, bool golden)
{
    const void *data;
    size_t size;
    tl_convert_options options;
    tl_convert_options_init(&options);
    options.verify = verify ? 1 : 0;
    options.golden = golden ? t->records : NULL;
    return tl_convert_memory(t->network, &options, &data, &size, NULL);
}

static void evidence(void **state)
{
    (void)state;
    static const struct {
        fault_kind fault;
        tl_status verify, golden;
    } expected[] = {
        {NO_FAULT, TL_OK, TL_OK},
        {IMPORT_FAULT, TL_OK, TL_DIFFERS}, /* the importer and the source that is run share it */
        {PASS_FAULT, TL_DIFFERS, TL_DIFFERS},
        {LOWER_FAULT, TL_DIFFERS, TL_DIFFERS},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        bench t = set_up(expected[i].fault);
        assert_int_equal(convert(&t, true, false), expected[i].verify);
        assert_int_equal(convert(&t, false, true), expected[i].golden);
        tear_down(&t);
    }
}

/* The report of a bisection; the piece goes to graph and arrays. */
static const char *bisect(bench *t, const char *graph, const char *arrays, tl_status expected)
{
    const char *report = NULL;
    tl_bisect_options options;
    tl_bisect_options_init(&options);
    options.graph_path = graph;
    options.arrays_path = arrays;
    assert_int_equal(tl_bisect(t->network, NULL, t->records, &options, &report), expected);
    return report;
}

/* The piece by itself parts from its records as well; it holds one operator. */
static void check_piece(bench *t, const char *graph, const char *arrays)
{
    tl_network *network;
    tl_arrays *records;
    const char *report = NULL, *text = NULL;
    fault = NO_FAULT;
    assert_int_equal(tl_open(t->cx, graph, NULL, &network), TL_OK);
    assert_int_equal(tl_arrays_read(t->cx, arrays, &records), TL_OK);
    assert_int_equal(tl_bisect(network, NULL, records, NULL, &report), TL_DIFFERS);
    assert_says(report, "\"stage\":\"import\"");
    assert_int_equal(tl_print(network, NULL, &text), TL_OK);
    assert_null(strstr(text, "%3"));
    tl_arrays_free(records);
    tl_close(network);
}

static void stages(void **state)
{
    (void)state;
    static const struct {
        fault_kind fault;
        const char *stage, *op;
    } expected[] = {
        {IMPORT_FAULT, "\"stage\":\"import\"", ""},
        {PASS_FAULT, "\"stage\":\"cse\",\"before\":\"fold-expanded\"",
         "\"op\":\"add\",\"source_op\":\"Add\""},
        {LOWER_FAULT, "\"stage\":\"lowered\",\"before\":\"tidy\"",
         "\"op\":\"SUB\",\"source_op\":\"Add\""},
    };
    char graph[] = "/tmp/tolite_piece_XXXXXX", arrays[sizeof graph + 4];
    int file = mkstemp(graph);
    assert_true(file >= 0);
    close(file);
    snprintf(arrays, sizeof arrays, "%s.npz", graph);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        bench t = set_up(expected[i].fault);
        const char *report = bisect(&t, graph, arrays, TL_DIFFERS);
        assert_says(report, expected[i].stage);
        assert_says(report, expected[i].op);
        if (*expected[i].op)
            check_piece(&t, graph, arrays);
        tear_down(&t);
    }
    remove(graph);
    remove(arrays);
}

static void nothing_parts(void **state)
{
    (void)state;
    bench t = set_up(NO_FAULT);
    assert_says(bisect(&t, NULL, NULL, TL_OK), "\"agree\":true");
    tear_down(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(evidence), cmocka_unit_test(stages),
                                       cmocka_unit_test(nothing_parts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
