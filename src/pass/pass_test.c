/* Text tests of the passes; the algebra of every rule against its pattern. */
#include "ir/text_cases.h"

#include "pass/pass.h"
#include "pass/rewrite.h"

static const tl_rule_set *const rule_sets[] = {&tl_rules_canonical, &tl_rules_conv,
                                               &tl_rules_idiom};
static size_t rule_counts[256]; /* over all cases */

/* What expands: everything, as if the target had nothing. */
static bool has_no_form(void *user, const tl_node *node)
{
    (void)user;
    (void)node;
    return false;
}

static tl_status run_pass(tl_model *model, const char *name)
{
    tl_pass_options options = {.has_form = has_no_form, .nhwc = !strcmp(name, "interface")};
    if (!strcmp(name, "dce"))
        return tl_pass_dce(model);
    if (!strcmp(name, "cse"))
        return tl_pass_cse(model);
    if (!strcmp(name, "fold"))
        return tl_pass_fold(model);
    if (!strcmp(name, "expand"))
        return tl_pass_expand(model, &options);
    if (!strcmp(name, "interface"))
        return tl_pass_interface(model, &options);
    if (!strcmp(name, "layout"))
        return tl_pass_layout(model, &options);
    if (strcmp(name, "rewrite") != 0)
        fail_msg("no pass %s", name);
    size_t counts[256] = {0};
    tl_status status = tl_rewrite(model, rule_sets, TL_COUNT(rule_sets), false, counts);
    for (size_t i = 0; i < TL_COUNT(counts); i++)
        rule_counts[i] += counts[i];
    for (size_t i = 0; status == TL_OK && i < model->entries.n; i++)
        status = tl_graph_reinfer(model->entries.v[i].graph);
    return status;
}

static void rewrites(void **state)
{
    (void)state;
    text_cases(TEST_DATA "/pass/rewrite.txt", run_pass);
}

static void folds_and_cleans(void **state)
{
    (void)state;
    text_cases(TEST_DATA "/pass/fold.txt", run_pass);
}

static void lays_out(void **state)
{
    (void)state;
    text_cases(TEST_DATA "/pass/layout.txt", run_pass);
}

/* A rule that no case hits might as well not be there. */
static void every_rule_is_hit(void **state)
{
    (void)state;
    size_t index = 0;
    for (size_t s = 0; s < TL_COUNT(rule_sets); s++)
        for (size_t i = 0; i < rule_sets[s]->n; i++, index++)
            if (!rule_counts[index])
                fail_msg("no case in tests/pass/rewrite.txt hits rule %s",
                         rule_sets[s]->rules[i].name);
}

/* ---- the left side of a rule's algebra, op(operand, ...), against its pattern ---- */

static void skip_blanks(const char **p)
{
    while (**p == ' ')
        ++*p;
}

static void match_algebra(const tl_rule *rule, const tl_pattern *pattern, const char **p)
{
    char name[64] = {0};
    size_t n = 0;
    skip_blanks(p);
    while ((**p >= 'a' && **p <= 'z') || (**p >= '0' && **p <= '9') || **p == '_')
        name[n++] = *(*p)++;
    bool optional = **p == '?';
    *p += optional;
    if (pattern->kind != TL_PATTERN_NODE) {
        if (optional != (pattern->kind == TL_PATTERN_OPTIONAL) || **p == '(')
            fail_msg("rule %s: operand %s of the algebra does not fit the pattern", rule->name,
                     name);
        return;
    }
    assert_string_equal(name, tl_op_get(pattern->op)->name);
    for (int i = 0; i < pattern->n_in; i++) {
        skip_blanks(p);
        if (**p != (i ? ',' : '('))
            fail_msg("rule %s: %s has %d operands in the pattern", rule->name, name, pattern->n_in);
        ++*p;
        match_algebra(rule, pattern->in[i], p);
    }
    skip_blanks(p);
    if (**p != ')')
        fail_msg("rule %s: %s has %d operands in the pattern", rule->name, name, pattern->n_in);
    ++*p;
}

static void algebra_and_pattern_agree(void **state)
{
    (void)state;
    for (size_t s = 0; s < TL_COUNT(rule_sets); s++)
        for (size_t i = 0; i < rule_sets[s]->n; i++) {
            const tl_rule *rule = &rule_sets[s]->rules[i];
            const char *p = rule->algebra;
            match_algebra(rule, rule->pattern, &p);
            skip_blanks(&p);
            assert_int_equal(*p, '=');
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(algebra_and_pattern_agree),
        cmocka_unit_test(rewrites),
        cmocka_unit_test(every_rule_is_hit),
        cmocka_unit_test(folds_and_cleans),
        cmocka_unit_test(lays_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
