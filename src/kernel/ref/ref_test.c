/* The table of reference kernels has no holes. */
#include "kernel/ref/ref_testing.h"

static bool runs_graphs(tl_op op)
{
    return op == TL_OP_ret || op == TL_OP_poison || op == TL_OP_custom || op == TL_OP_tfl_custom ||
           tl_op_has(op, TL_TRAIT_GRAPHS);
}

static void every_op_has_a_kernel(void **state)
{
    (void)state;
    for (tl_op op = 0; op < TL_OP_COUNT; op++)
        if ((tl_kernel_ref(op)->run != NULL) == runs_graphs(op))
            fail_msg("%s %s", tl_op_get(op)->name,
                     runs_graphs(op) ? "is not a matter of kernels" : "has no kernel");
}

static void ops_that_birth_sizes_have_a_shape_function(void **state)
{
    (void)state;
    for (tl_op op = 0; op < TL_OP_COUNT; op++)
        if (tl_op_has(op, TL_TRAIT_BIRTHS) && !tl_kernel_ref(op)->shape)
            fail_msg("%s has no shape function", tl_op_get(op)->name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_op_has_a_kernel),
        cmocka_unit_test(ops_that_birth_sizes_have_a_shape_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
