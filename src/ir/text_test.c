/* Graph text: what print writes, what parse accepts and refuses, and that they are inverse. */
#include "base/testing.h"
#include "ir/build.h"
#include "ir/text.h"

typedef struct fixture {
    test_heap heap;
    tl_context *cx;
    tl_arena arena;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->heap.fail_after = -1;
    f->cx = tl_context_create(test_alloc, &f->heap);
    tl_arena_init(&f->arena, f->cx);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    tl_arena_release(&f->arena);
    tl_context_destroy(f->cx);
    assert_int_equal(f->heap.used, 0);
    free(f);
    return 0;
}

static tl_model *parse(fixture *f, const char *text)
{
    tl_model *model;
    tl_context_reset(f->cx);
    if (tl_model_parse(f->cx, &f->arena, "t", tl_str_from(text), &model) == TL_OK)
        return model;
    tl_text message;
    tl_text_init(&message, &f->arena);
    tl_diag_print(f->cx->diags.v[0], &message);
    fail_msg("%s\n%s", tl_text_get(&message), text);
    return NULL;
}

static const char *print(fixture *f, const tl_model *model, const tl_print_options *options)
{
    tl_text text;
    tl_text_init(&text, &f->arena);
    assert_int_equal(tl_model_print(model, options, &text), TL_OK);
    return tl_text_get(&text);
}

/* text prints as printed; printed prints as itself. Both are valid, but for poison. */
static void check_text(fixture *f, const char *text, const char *printed, bool valid)
{
    const char *const both[] = {text, printed};
    for (size_t i = 0; i < 2; i++) {
        tl_model *model = parse(f, both[i]);
        assert_string_equal(print(f, model, NULL), printed);
        if (valid && tl_validate(model) != TL_OK)
            fail_msg("%s", f->cx->diags.v[0]->what);
        tl_model_release(model);
    }
}

static void check(fixture *f, const char *text, const char *printed)
{
    check_text(f, text, printed, true);
}

/* The example of text.h. */
static void the_example(void **state)
{
    check(*state,
          "model \"digits.onnx\"\n"
          "symbol n 1..512 hint=4\n"
          "const %bias : f32[8] = {1, 2.5, -3, 0, 0, 0, 0, 0.1}\n"
          "const %weight \"conv.weight\" : f32[8,3,3,3] = splat 0.5\n"
          "const %b : bool[] = {true}\n"
          "entry \"main\"(%0 \"image\": f32[n,8,8,3]) -> (\"logits\") {\n"
          "  %1 = conv(%0, %weight, %bias) stride=[2,2] pad_lo=[1,1] pad_hi=[1,1] : f32[n,4,4,8]\n"
          "  %2, %3 = split(%1) axis=3 sizes=[4,4]\n"
          "  %4 = if(%b, %2) {\n"
          "    graph(%5: f32[n,4,4,4]) { %6 = relu(%5) return %6 }\n"
          "    graph(%7: f32[n,4,4,4]) { return %7 }\n"
          "  }\n"
          "  return %4\n"
          "}\n",
          "model \"digits.onnx\"\n"
          "symbol n 1..512 hint=4\n"
          "const %c0 \"conv.weight\" : f32[8,3,3,3] = splat 0.5\n"
          "const %c1 : f32[8] = {1, 2.5, -3, 0, 0, 0, 0, 0.1}\n"
          "const %c2 : bool[] = {true}\n"
          "entry \"main\"(%0 \"image\": f32[n,8,8,3]) -> (\"logits\") {\n"
          "  %1 = conv(%0, %c0, %c1) stride=[2,2] pad_lo=[1,1] pad_hi=[1,1] : f32[n,4,4,8]\n"
          "  %2, %3 = split(%1) axis=3 sizes=[4,4] : f32[n,4,4,4], f32[n,4,4,4]\n"
          "  %4 = if(%c2, %2) : f32[n,4,4,4] {\n"
          "    graph(%5: f32[n,4,4,4]) {\n"
          "      %6 = relu(%5) : f32[n,4,4,4]\n"
          "      return %6\n"
          "    }\n"
          "    graph(%7: f32[n,4,4,4]) {\n"
          "      return %7\n"
          "    }\n"
          "  }\n"
          "  return %4\n"
          "}\n");
}

static void entries_states_and_names(void **state)
{
    check(*state,
          "model \"a \\\"b\\\"\" format \"ONNX opset 17\" producer \"pytorch 2\"\n"
          "# a comment\n"
          "entry \"step\"(%x: f32[2]; %h \"hidden\": f32[2]) -> (\"y\"; \"hidden\") {\n"
          "  %sum \"the sum\" = add(%x, %h)\n"
          "  return %sum, %sum\n"
          "}\n"
          "entry \"nothing\"() -> () { return }\n"
          "entry \"z\u00fcrich\\n\"(%x: f32[]) -> (\"z\") { return %x }\n",
          "model \"a \\\"b\\\"\" format \"ONNX opset 17\" producer \"pytorch 2\"\n"
          "entry \"step\"(%0 \"x\": f32[2]; %1 \"hidden\": f32[2]) -> (\"y\"; \"hidden\") {\n"
          "  %2 \"the sum\" = add(%0, %1) : f32[2]\n"
          "  return %2, %2\n"
          "}\n"
          "entry \"nothing\"() -> () {\n"
          "  return\n"
          "}\n"
          "entry \"z\u00fcrich\\n\"(%0 \"x\": f32[]) -> (\"z\") {\n"
          "  return %0\n"
          "}\n");
}

static void absent_operands_and_attributes(void **state)
{
    check(*state,
          "entry \"m\"(%x: f32[n,4], %s: f32[4]) -> (\"y\") {\n"
          "  %0 = layer_norm(%x, _, %s) axis=1 eps=0.001\n"
          "  %1 = reshape(%0) dims=[2*n,2]\n"
          "  %2 = cast(%1) to=f16\n"
          "  return %2\n"
          "}\n",
          "model \"\"\n"
          "symbol n 0..\n"
          "entry \"m\"(%0 \"x\": f32[n,4], %1 \"s\": f32[4]) -> (\"y\") {\n"
          "  %2 = layer_norm(%0, _, %1) axis=1 eps=0.001 : f32[n,4]\n"
          "  %3 = reshape(%2) dims=[2*n,2] : f32[2*n,2]\n"
          "  %4 = cast(%3) to=f16 : f16[2*n,2]\n"
          "  return %4\n"
          "}\n");
}

static void quantised_types(void **state)
{
    check(*state,
          "const %w : i8[2,4]{axis=0 scale=[0.5,0.25] zero=[0,1]} = {1,2,3,4,-5,-6,-7,-8}\n"
          "entry \"m\"(%x: f32[2,4]) -> (\"y\") {\n"
          "  %q = quantize(%x) quant={scale=0.1 zero=3}\n"
          "  %d = dequantize(%q)\n"
          "  %e = dequantize(%w)\n"
          "  %s = add(%d, %e)\n"
          "  return %s\n"
          "}\n",
          "model \"\"\n"
          "const %c0 : i8[2,4]{axis=0 scale=[0.5,0.25] zero=[0,1]} = "
          "{1, 2, 3, 4, -5, -6, -7, -8}\n"
          "entry \"m\"(%0 \"x\": f32[2,4]) -> (\"y\") {\n"
          "  %1 = quantize(%0) quant={scale=0.1 zero=3} : i8[2,4]{scale=0.1 zero=3}\n"
          "  %2 = dequantize(%1) : f32[2,4]\n"
          "  %3 = dequantize(%c0) : f32[2,4]\n"
          "  %4 = add(%2, %3) : f32[2,4]\n"
          "  return %4\n"
          "}\n");
}

/* Sizes that depend on values keep their names, and their order. */
static void born_symbols(void **state)
{
    check(*state,
          "entry \"m\"(%x: f32[k], %y: f32[k]) -> (\"a\", \"b\", \"c\") {\n"
          "  %0 = nonzero(%x)\n"
          "  %1 = nonzero(%y)\n"
          "  %2 = concat(%1, %0) axis=0\n"
          "  return %0, %1, %2\n"
          "}\n",
          "model \"\"\n"
          "symbol k 0..\n"
          "symbol s0 0..\n"
          "symbol s1 0..\n"
          "entry \"m\"(%0 \"x\": f32[k], %1 \"y\": f32[k]) -> (\"a\", \"b\", \"c\") {\n"
          "  %2 = nonzero(%0) : i64[s0,1]\n"
          "  %3 = nonzero(%1) : i64[s1,1]\n"
          "  %4 = concat(%3, %2) : i64[s0+s1,1]\n"
          "  return %2, %3, %4\n"
          "}\n");
    check(*state,
          "symbol second 0..5\n"
          "symbol first 0..\n"
          "entry \"m\"(%x: f32[5], %y: f32[7]) -> (\"c\") {\n"
          "  %0 = nonzero(%y) : i64[first,1]\n"
          "  %1 = nonzero(%x) : i64[second,1]\n"
          "  %2 = concat(%1, %0) axis=0\n"
          "  return %2\n"
          "}\n",
          "model \"\"\n"
          "symbol second 0..5\n"
          "symbol first 0..\n"
          "entry \"m\"(%0 \"x\": f32[5], %1 \"y\": f32[7]) -> (\"c\") {\n"
          "  %2 = nonzero(%1) : i64[first,1]\n"
          "  %3 = nonzero(%0) : i64[second,1]\n"
          "  %4 = concat(%3, %2) : i64[second+first,1]\n"
          "  return %4\n"
          "}\n");
}

static void loops(void **state)
{
    check(*state,
          "const %one : i64[] = {1}\n"
          "const %three : i64[] = {3}\n"
          "entry \"main\"(%i: i64[], %x: f32[4], %s: f32[4]) -> (\"a\") {\n"
          "  %0, %1 = while(%i, %x, %s) carried=2 {\n"
          "    graph(%3: i64[], %4: f32[n], %6: f32[4]) { %7 = less(%3, %three) return %7 }\n"
          "    graph(%8: i64[], %9: f32[m], %11: f32[4]) {\n"
          "      %12 = add(%8, %one)\n"
          "      %13 = concat(%9, %11) axis=0\n"
          "      return %12, %13\n"
          "    }\n"
          "  }\n"
          "  return %1\n"
          "}\n",
          "model \"\"\n"
          "symbol n 0..\n"
          "symbol m 0..\n"
          "symbol s0 0..\n"
          "const %c0 : i64[] = {3}\n"
          "const %c1 : i64[] = {1}\n"
          "entry \"main\"(%0 \"i\": i64[], %1 \"x\": f32[4], %2 \"s\": f32[4]) -> (\"a\") {\n"
          "  %3, %4 = while(%0, %1, %2) carried=2 : i64[], f32[s0] {\n"
          "    graph(%5: i64[], %6: f32[n], %7: f32[4]) {\n"
          "      %8 = less(%5, %c0) : bool[]\n"
          "      return %8\n"
          "    }\n"
          "    graph(%9: i64[], %10: f32[m], %11: f32[4]) {\n"
          "      %12 = add(%9, %c1) : i64[]\n"
          "      %13 = concat(%10, %11) : f32[m+4]\n"
          "      return %12, %13\n"
          "    }\n"
          "  }\n"
          "  return %4\n"
          "}\n");
}

static void target_ops(void **state)
{
    fixture *f = *state;
    const char *text = "model \"\"\n"
                       "const %c0 : i32[2] = {-1, 4}\n"
                       "entry \"m\"(%0 \"x\": f32[2,2,2]) -> (\"y\") {\n"
                       "  %1 = tfl_add(%0, %0) activation=relu6 : f32[2,2,2]\n"
                       "  %2 = tfl_reshape(%1, %c0) : f32[2,4]\n"
                       "  return %2\n"
                       "}\n";
    check(f, text, text);
    tl_model *model = parse(f, text);
    assert_int_equal(model->legal, TL_LEGAL_TFL);
    tl_model_release(model);
}

static void poison_spreads(void **state)
{
    check_text(*state,
               "entry \"m\"(%x: f32[2]) -> (\"y\") {\n"
               "  %0, %1 = poison(%x)\n"
               "  %2 = add(%0, %x)\n"
               "  return %2\n"
               "}\n",
               "model \"\"\n"
               "entry \"m\"(%0 \"x\": f32[2]) -> (\"y\") {\n"
               "  %1, %2 = poison() : poison, poison\n"
               "  %3 = add(%1, %0) : poison\n"
               "  return %3\n"
               "}\n",
               false);
}

/* Constants of all types and forms, each in a model of its own: what follows the '='. */
static void constants(void **state)
{
    fixture *f = *state;
    static const char *const rows[][3] = {
        {"f32[3]", "{inf, -inf, nan}", "{inf, -inf, nan}"},
        {"f32[2]", "{0.1,-0}", "{0.1, -0}"},
        {"f64[1]", "{0.1}", "{0.1}"},
        {"f16[2]", "{0.1, 65504}", "{0.099975586, 65504}"},
        {"bf16[1]", "{1.5}", "{1.5}"},
        {"bool[2]", "{true, false}", "{true, false}"},
        {"i64[2]", "{9223372036854775807, -9223372036854775808}",
         "{9223372036854775807, -9223372036854775808}"},
        {"u64[1]", "{18446744073709551615}", "{18446744073709551615}"},
        {"i4[3]", "{7, -8, 0}", "{7, -8, 0}"},
        {"f32[0]", "{}", "{}"},
        {"i32[4]", "iota 3 -1", "{3, 2, 1, 0}"},
        {"i32[2]", "splat 7", "{7, 7}"},
        {"f32[100]", "splat 0.5", "splat 0.5"},
        {"i64[100]", "splat -3", "splat -3"},
        {"i8[4]", "random 1", "{-67, 65, 50, 34}"},
    };
    for (size_t i = 0; i < TL_COUNT(rows); i++) {
        const char *texts[2];
        for (size_t k = 0; k < 2; k++)
            texts[k] = tl_arena_printf(&f->arena,
                                       "model \"\"\n"
                                       "const %%c0 : %s = %s\n"
                                       "entry \"m\"() -> (\"y\") {\n"
                                       "  return %%c0\n"
                                       "}\n",
                                       rows[i][0], rows[i][k + 1]);
        check(f, texts[0], texts[1]);
    }
}

static void random_is_seeded(void **state)
{
    fixture *f = *state;
    tl_model *m = parse(f, "const %a : f32[1000] = random 7\n"
                           "const %b : f32[1000] = random 7\n"
                           "const %c : f32[1000] = random 8\n"
                           "entry \"m\"() -> (\"a\", \"b\", \"c\") { return %a, %b, %c }");
    const double *v[3], *a;
    for (size_t i = 0; i < 3; i++)
        v[i] = tl_const_load_f64(f->cx, m->constants.v[i]->constant, &f->arena);
    a = v[0];
    assert_memory_equal(a, v[1], 1000 * sizeof *a);
    assert_int_not_equal(memcmp(a, v[2], 1000 * sizeof *a), 0);
    double sum = 0;
    for (size_t i = 0; i < 1000; i++) {
        assert_true(a[i] >= -1 && a[i] < 1);
        sum += a[i];
    }
    assert_true(sum > -60 && sum < 60);
    /* too large to be written out: a hash, which does not parse */
    const char *text = print(f, m, NULL);
    tl_model *back;
    assert_non_null(strstr(text, "const %c0 : f32[1000] = file 4000 hash="));
    assert_int_equal(tl_model_parse(f->cx, &f->arena, "t", tl_str_from(text), &back), TL_MALFORMED);
    assert_null(back);
    tl_model_release(m);
}

static void options(void **state)
{
    fixture *f = *state;
    tl_model *m = parse(f, "const %a : f32[3] = {1, 2, 3}\n"
                           "entry \"m\"(%x: f32[3]) -> (\"y\") {\n"
                           "  %out = add(%x, %a)\n"
                           "  return %out }");
    tl_print_options short_form = {.types = false, .origins = true, .max_inline = 2};
    assert_string_equal(strstr(print(f, m, &short_form), "entry"),
                        "entry \"m\"(%0 \"x\": f32[3]) -> (\"y\") {\n"
                        "  %1 = add(%0, %c0) # at %out (add)\n"
                        "  return %1\n"
                        "}\n");
    assert_non_null(strstr(print(f, m, &short_form), "file 12 hash="));
    tl_text text;
    tl_text_init(&text, &f->arena);
    tl_node_print(m->entries.v[0].graph->first, &text);
    assert_string_equal(tl_text_get(&text), "add(f32[3], const f32[3]) -> f32[3]");
    tl_model_release(m);
}

/* ---- errors ---- */

#define ENTRY(body) "entry \"m\"(%x: f32[2], %y: f32[n]) -> (\"y\") {" body "}"

static void errors(void **state)
{
    fixture *f = *state;
    static const char *const rows[][2] = {
        {"", "t:1: expected an entry, found the end"},
        {"modul", "t:1: expected symbol, const or entry, found 'modul'"},
        {"model digits", "t:1: expected a string, found 'digits'"},
        {"symbol 1", "t:1: expected a string, found '1'"},
        {"symbol n 5..2", "t:1: expected a range such as 1..512"},
        {"symbol n\nsymbol n", "t:2: expected a new symbol, found 'n'"},
        {"const x", "t:1: expected a value such as %0, found 'x'"},
        {"const %x : f32[n] = {1}", "t:1: expected a declared symbol, found 'n'"},
        {"symbol n const %x : f32[n] = {1}", "t:1: expected constant sizes"},
        {"const %x : f32[2] = {1}", "t:1: expected 2 values, found 1"},
        {"const %x : f32[2] = {1, 2, 3}", "t:1: expected '}', found ','"},
        {"const %x : f32[2] = {1 2}", "t:1: expected ',', found '2'"},
        {"const %x : i8[1] = {128}", "t:1: expected a value of i8, found 128"},
        {"const %x : i8[1] = {1.5}", "t:1: expected an integer, found '1.5'"},
        {"const %x : f32[3000000000] = random 1",
         "t:1: expected at most 16777216 values, found 3000000000"},
        {"const %x : f32[1] = file 4 hash=1",
         "t:1: expected '{', splat, iota or random, found 'file'"},
        {"const %x : f32[1] = {1}\nconst %x : f32[1] = {1}", "t:2: expected a new id, found '%x'"},
        {ENTRY("\n%0 = ad(%x)"), "t:2: expected an operator, found 'ad'"},
        {ENTRY("%0 = relu(%z)"), "t:1: expected a value of this graph or a constant, found '%z'"},
        {ENTRY("%0, %1 = relu(%x)"), "t:1: expected 1 results of relu, found 2"},
        {ENTRY("%x = relu(%x)"), "t:1: expected a new id, found '%x'"},
        {ENTRY("%0 = relu(%x) alpha=1"), "t:1: expected an attribute of relu, found 'alpha'"},
        {ENTRY("%0 = relu(%x) : f32[3]"), "t:1: expected f32[2], found f32[3]"},
        {ENTRY("%0 = relu(%y) : f32[n+1]"), "t:1: expected f32[n], found f32[n+1]"},
        {ENTRY("%0 = relu(%x) : f32[2], f32[2]"), "t:1: expected 1 types, found 2"},
        {ENTRY("%0 = reshape(%y) dims=[k]"), "t:1: expected a declared symbol, found 'k'"},
        {ENTRY("return %x, %x"), "t:1: expected 1 results, found 2"},
        {ENTRY("return _"), "t:1: expected a value such as %0, found '_'"},
        {ENTRY("%0 = if(%x) return"), "t:1: expected '{', found 'return'"},
        {ENTRY("%0 = if(%x) { graph() { return %x }"),
         "t:1: expected a value of this graph or a constant, found '%x'"},
        {ENTRY("%0 = if(%x) { graph() { return } }"), "t:1: expected graph, found '}'"},
        {"entry \"m\"(%x: f32[2]; %h: f32[2]) -> (\"y\") { return %x, %h }",
         "t:1: expected 1 states in the results, found 0"},
        {ENTRY("\n%0 = add(%x) return %0"),
         "node %0 (add): add: wrong number of operands, expected 2, found 1"},
        {ENTRY("\n%0 = matmul(%x, %y) return %0"),
         "node %0 (matmul): matmul: operand 0 has rank 1, expected at least 2"},
    };
    for (size_t i = 0; i < TL_COUNT(rows); i++) {
        tl_model *model;
        tl_text text;
        tl_text_init(&text, &f->arena);
        tl_context_reset(f->cx);
        tl_status status = tl_model_parse(f->cx, &f->arena, "t", tl_str_from(rows[i][0]), &model);
        assert_int_equal(status, TL_MALFORMED);
        assert_null(model);
        tl_diag_print(f->cx->diags.v[0], &text);
        if (f->cx->diags.n != 1)
            fail_msg("%s: %zu messages, %s, %s", rows[i][0], f->cx->diags.n, tl_text_get(&text),
                     f->cx->diags.v[1]->what);
        assert_string_equal(tl_text_get(&text), rows[i][1]);
    }
}

/* Any prefix, and any text with one byte changed, is refused or accepted, but nothing worse. */
static void damaged_text(void **state)
{
    fixture *f = *state;
    static const char text[] =
        "model \"d\"\nsymbol n 1..512 hint=4\n"
        "const %b : i8[2]{axis=0 scale=[1,2]} = {1, -3}\nconst %c : bool[] = {true}\n"
        "entry \"main\"(%0 \"x\": f32[n,8]; %h: f32[2]) -> (\"y\"; \"h\") {\n"
        "  %1 = slice(%0) begin=[0,min(n,3)-1] size=[n,4] : f32[n,4]\n"
        "  %2 = if(%c, %1) : f32[n,4] { graph(%3: f32[n,4]) { return %3 }\n"
        "   graph(%4: f32[n,4]) { %5 = relu(%4) return %5 } }\n  return %2, %h\n}\n";
    char copy[sizeof text];
    for (size_t i = 0; i < sizeof text - 1; i++) {
        for (int change = 0; change < 3; change++) {
            static const char other[] = {0, '(', '9'};
            tl_model *model;
            memcpy(copy, text, sizeof text);
            tl_str part = {copy, change ? sizeof text - 1 : i};
            copy[i] = change ? other[change] : copy[i];
            tl_context_reset(f->cx);
            if (tl_model_parse(f->cx, &f->arena, "t", part, &model) == TL_OK)
                tl_model_release(model);
            else
                assert_true(f->cx->diags.n > 0);
            assert_true(tl_context_status(f->cx) != TL_BUG);
            tl_arena_release(&f->arena);
        }
    }
}

static void memory_failures(void **state)
{
    (void)state;
    for (long fail_after = 1; fail_after < 40; fail_after++) {
        test_heap heap = {.fail_after = fail_after};
        tl_context *cx = tl_context_create(test_alloc, &heap);
        tl_arena arena;
        tl_arena_init(&arena, cx);
        tl_model *model;
        tl_str text = TL_STR("const %b : f32[60000] = random 1\n"
                             "entry \"m\"(%x: f32[n,60000]) -> (\"y\") {\n"
                             "  %0 = add(%x, %b)\n  return %0 }");
        if (tl_model_parse(cx, &arena, "t", text, &model) == TL_OK)
            tl_model_release(model);
        else
            assert_true(cx->out_of_memory);
        tl_arena_release(&arena);
        tl_context_destroy(cx);
        assert_int_equal(heap.used, 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_example),
        TEST(entries_states_and_names),
        TEST(absent_operands_and_attributes),
        TEST(quantised_types),
        TEST(born_symbols),
        TEST(loops),
        TEST(target_ops),
        TEST(poison_spreads),
        TEST(constants),
        TEST(random_is_seeded),
        TEST(options),
        TEST(errors),
        TEST(damaged_text),
        cmocka_unit_test(memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
