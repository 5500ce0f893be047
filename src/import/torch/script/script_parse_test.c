#include "base/testing.h"
#include "import/torch/script/script_syntax.h"

typedef struct parse_fixture {
    tl_context *cx;
    tl_arena arena;
} parse_fixture;

static int parse_setup(void **state)
{
    parse_fixture *f = test_malloc(sizeof(*f));
    f->cx = tl_context_create(NULL, NULL);
    tl_arena_init(&f->arena, f->cx);
    *state = f;
    return 0;
}

static int parse_teardown(void **state)
{
    parse_fixture *f = *state;
    tl_arena_release(&f->arena);
    tl_context_destroy(f->cx);
    test_free(f);
    return 0;
}

static script_file *parsed(parse_fixture *f, const char *code)
{
    script_file *file;
    assert_int_equal(script_parse(f->cx, &f->arena, "net.pt", TL_STR("code/__torch__.py"),
                                  TL_STR("__torch__"), tl_str_from(code), &file),
                     TL_OK);
    return file;
}

/* Every expression is printed back as the printer of TorchScript writes it. */
static void expressions_survive(void **state)
{
    static const char *const texts[] = {
        "torch.add(x, 1)",
        "ops.prim.min([1, 2])",
        "(self).forward(x, )",
        "x[-1]",
        "t[1:2]",
        "t[:]",
        "annotate(List[Optional[Tensor]], [None, x])",
        "torch.zeros([1], dtype=6, layout=None)",
        "{\"a\": 1, \"b\": (2,)}",
        "CONSTANTS.c0",
        "-9223372036854775808",
        "1e-05",
        "-inf",
        "nan",
        "\"a\\\"b\\\\\"",
    };
    static const char *const printed[] = {[2] = "self.forward(x)", [11] = "0.00001"};
    for (size_t i = 0; i < TL_COUNT(texts); i++) {
        const char *code = tl_arena_printf(&((parse_fixture *)*state)->arena,
                                           "def f(x):\n  return %s\n", texts[i]);
        const script_function *f = tl_map_find(&parsed(*state, code)->functions, TL_STR("f"));
        tl_text text;
        tl_text_init(&text, &((parse_fixture *)*state)->arena);
        script_expr_print(f->body.v[0].values[0], &text);
        const char *expected = i < TL_COUNT(printed) && printed[i] ? printed[i] : texts[i];
        assert_string_equal(tl_text_get(&text), expected);
    }
}

static void statements_and_classes(void **state)
{
    script_file *file = parsed(*state, "class Net(Module):\n"
                                       "  __parameters__ = [\"w\", ]\n"
                                       "  w : Tensor\n"
                                       "  n : Final[int] = 3\n"
                                       "  __annotations__[\"0\"] = __torch__.Other\n"
                                       "  def forward(self: __torch__.Net,\n"
                                       "    x: Tensor,\n"
                                       "    k: int=2) -> Tensor:\n"
                                       "    a, b, = x\n"
                                       "    c, d = 1, 2\n"
                                       "    e, f = torch.max(x, 1)\n"
                                       "    self.n = 4\n"
                                       "    while a:\n"
                                       "      if b:\n"
                                       "        pass\n"
                                       "      else:\n"
                                       "        y : Optional[int] = None\n"
                                       "    for i in range(3):\n"
                                       "      print(i)\n"
                                       "    return a\n"
                                       "class P(NamedTuple):\n"
                                       "  data : Tensor\n"
                                       "def g() -> int:\n"
                                       "  return 1\n");
    const script_class *net = tl_map_find(&file->classes, TL_STR("Net"));
    const script_class *tuple = tl_map_find(&file->classes, TL_STR("P"));
    const script_function *f = script_find_method(net, TL_STR("forward"));
    assert_string_equal(net->name.p, "__torch__.Net");
    assert_int_equal(net->n_fields, 4);
    assert_true(tl_str_is(net->fields[3].name, "0"));
    assert_int_equal(tuple->kind, SCRIPT_CLASS_TUPLE);
    assert_non_null(tl_map_find(&file->functions, TL_STR("g")));
    assert_int_equal(f->n_params, 3);
    assert_int_equal(f->params[2].value->i, 2);
    assert_int_equal(f->body.n, 7);
    assert_true(f->body.v[0].unpack && !f->body.v[1].unpack && f->body.v[2].unpack);
    assert_int_equal(f->body.v[4].kind, SCRIPT_STMT_WHILE);
    assert_int_equal(f->body.v[4].body.v[0].other.v[0].kind, SCRIPT_STMT_ASSIGN);
    assert_int_equal(f->body.v[5].kind, SCRIPT_STMT_FOR);
}

static void errors_name_the_line(void **state)
{
    static const struct {
        const char *code, *message;
    } cases[] = {
        {"def f(x):\n  return x +\n", "net.pt: code/__torch__.py:2: an unexpected character"},
        {"def f(x):\n  return \"abc\n", "net.pt: code/__torch__.py:2: a string without end"},
        {"def f(x):\n  a = (1\n", "net.pt: code/__torch__.py:3: expected ')'"},
        {"def f(x):\nreturn x\n", "net.pt: code/__torch__.py:2: expected a block"},
        {"import os\n", "net.pt: code/__torch__.py:1: expected a class or a function"},
        {"def f(x):\n  a = 99999999999999999999\n",
         "net.pt: code/__torch__.py:2: a number that does not fit"},
    };
    parse_fixture *f = *state;
    for (size_t i = 0; i < TL_COUNT(cases); i++) {
        script_file *file;
        tl_text text;
        tl_context_reset(f->cx);
        assert_int_equal(script_parse(f->cx, &f->arena, "net.pt", TL_STR("code/__torch__.py"),
                                      TL_STR("__torch__"), tl_str_from(cases[i].code), &file),
                         TL_MALFORMED);
        tl_text_init(&text, &f->arena);
        tl_diag_print(f->cx->diags.v[0], &text);
        assert_string_equal(tl_text_get(&text), cases[i].message);
    }
}

/* Nesting beyond any budget ends in a message, not in a stack overflow. */
static void nesting_is_bounded(void **state)
{
    parse_fixture *f = *state;
    static char code[20100];
    size_t n = (size_t)snprintf(code, sizeof(code), "def f(x):\n  return ");
    memset(code + n, '(', 20000);
    script_file *file;
    assert_int_equal(script_parse(f->cx, &f->arena, "net.pt", TL_STR("c"), TL_STR("t"),
                                  (tl_str){code, n + 20000}, &file),
                     TL_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(expressions_survive, parse_setup, parse_teardown),
        cmocka_unit_test_setup_teardown(statements_and_classes, parse_setup, parse_teardown),
        cmocka_unit_test_setup_teardown(errors_name_the_line, parse_setup, parse_teardown),
        cmocka_unit_test_setup_teardown(nesting_is_bounded, parse_setup, parse_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
