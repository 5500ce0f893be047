#include "import/custom.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <string.h>

static const char *const names[] = {
#define FLEX(name) #name,
#include "import/flex.def"
#undef FLEX
};

/* The look-up halves a sorted table. */
static void test_flex_names_are_sorted(void **state)
{
    (void)state;
    for (size_t i = 0; i < TL_COUNT(names); i++) {
        assert_true(i == 0 || strcmp(names[i - 1], names[i]) < 0);
        assert_true(tl_flex_allows(tl_str_from(names[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_flex_names_are_sorted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
