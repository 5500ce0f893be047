#include "import/traceback.h"

#include "base/testing.h"

static void check_frames(const char *trace, const char *const *expected, size_t n)
{
    tl_context *cx = tl_context_create(NULL, NULL);
    tl_arena arena;
    tl_str frames[TL_TRACEBACK_MAX];
    tl_arena_init(&arena, cx);
    assert_int_equal(tl_traceback_read(&arena, tl_str_from(trace), frames), n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(tl_arena_strndup(&arena, frames[i].p, frames[i].n), expected[i]);
    tl_arena_release(&arena);
    tl_context_destroy(cx);
}

/* The innermost first, each with its code; PyTorch's own are left out. */
static void frames_of_the_user(void **state)
{
    static const char *const expected[] = {"b.py:2, in g: return torch.sin(x)",
                                           "a.py:1, in f: g(x)"};
    (void)state;
    check_frames(
        "File \"a.py\", line 1, in f\n    g(x)\n"
        "  File \"/usr/lib/python3/dist-packages/torch/nn/x.py\", line 5, in call\n    y()\n"
        "  File \"b.py\", line 2, in g\n    return torch.sin(x)\n",
        expected, 2);
}

/* Without a line of the user those of an installed package, but never PyTorch's. */
static void frames_of_a_package(void **state)
{
    static const char *const expected[] = {"/x/site-packages/timm/m.py:3, in h"};
    (void)state;
    check_frames("File \"/x/site-packages/timm/m.py\", line 3, in h\n"
                 "  File \"/x/site-packages/torch/_ops.py\", line 9, in call\n    z()\n",
                 expected, 1);
    check_frames("File \"torch/fx/passes/runtime_assert.py\", line 24, in insert\n", NULL, 0);
    check_frames("", NULL, 0);
}

static void a_line_of_the_user_behind_those_of_a_package(void **state)
{
    static const char *const expected[] = {"net.py:4, in f: y = x"};
    (void)state;
    check_frames("  File \"/x/site-packages/runner/r.py\", line 3, in run\n    f()\n"
                 "  File \"net.py\", line 4, in f\n    y = x\n"
                 "  File \"/x/site-packages/timm/m.py\", line 3, in h\n    act(x)\n",
                 expected, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_the_user),
        cmocka_unit_test(frames_of_a_package),
        cmocka_unit_test(a_line_of_the_user_behind_those_of_a_package),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
