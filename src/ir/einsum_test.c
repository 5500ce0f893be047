/* Einsum equations in labels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ir/einsum.h"

/* Terms as text; dots as digits, 0 the rightmost. */
static const char *term_text(const tl_einsum_term *term)
{
    static char text[TL_MAX_RANK + 1];
    for (int i = 0; i < term->rank; i++) {
        int label = term->label[i];
        text[i] = (char)(label < 26                  ? 'a' + label
                         : label < TL_EINSUM_LETTERS ? 'A' + label - 26
                                                     : '0' + TL_EINSUM_LABELS - 1 - label);
    }
    text[term->rank] = 0;
    return text;
}

typedef struct equation_case {
    const char *equation;
    int n, rank[3];
    const char *operand[3], *result; /* NULL: not valid */
} equation_case;

static void equations_are_read(void **state)
{
    const equation_case cases[] = {
        {"bij,bjk->bik", 2, {3, 3}, {"bij", "bjk"}, "bik"},
        {"ij,jk", 2, {2, 2}, {"ij", "jk"}, "ik"},
        {"bA,bC", 2, {2, 2}, {"bA", "bC"}, "AC"},
        {"...ij,...jk->...ik", 2, {4, 3}, {"10ij", "0jk"}, "10ik"},
        {"i...", 1, {3}, {"i10"}, "10i"},
        {"ii->i", 1, {2}, {"ii"}, "i"},
        {"ii", 1, {2}, {"ii"}, ""},
        {" a b , c -> c a ", 2, {2, 1}, {"ab", "c"}, "ca"},
        {",a->a", 2, {0, 1}, {"", "a"}, "a"},
        {"a,b,c->", 3, {1, 1, 1}, {"a", "b", "c"}, ""},
        {"ij->ik", 1, {2}, {"ij"}, NULL},
        {"ij->ii", 1, {2}, {"ij"}, NULL},
        {"ij->i", 1, {3}, {NULL}, NULL},
        {"i.j->i", 1, {3}, {NULL}, NULL},
        {"i1->i", 1, {2}, {NULL}, NULL},
    };
    (void)state;
    for (size_t c = 0; c < TL_COUNT(cases); c++) {
        tl_str equation = {cases[c].equation, strlen(cases[c].equation)};
        tl_einsum e = {0};
        tl_einsum_term term;
        assert_int_equal(tl_einsum_n_operands(equation), cases[c].n);
        for (int k = 0; k < cases[c].n; k++) {
            bool valid = tl_einsum_operand(&e, equation, (size_t)k, cases[c].rank[k], &term);
            assert_int_equal(valid, cases[c].operand[k] != NULL);
            if (!valid)
                break;
            assert_string_equal(term_text(&term), cases[c].operand[k]);
        }
        if (!cases[c].operand[0])
            continue;
        assert_int_equal(tl_einsum_result(&e, equation, &term), cases[c].result != NULL);
        if (cases[c].result)
            assert_string_equal(term_text(&term), cases[c].result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(equations_are_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
