/* Text tests of the passes; the algebra of every rule against its pattern. */
#include "ir/text_cases.h"

#include "pass/pass.h"
#include "pass/rewrite.h"

static const tl_rule_set *const rule_sets[] = {
    &tl_rules_canonical, &tl_rules_parts, &tl_rules_places,    &tl_rules_spelling,
    &tl_rules_conv,      &tl_rules_idiom, &tl_rules_attention, &tl_rules_linear,
    &tl_rules_views,     &tl_rules_late,  &tl_rules_parts_late};
static const tl_rule_set *const idiom_sets[] = {&tl_rules_canonical, &tl_rules_idiom,
                                                &tl_rules_attention};
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
    if (!strcmp(name, "pin"))
        return tl_pass_pin(model);
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
    if (!strcmp(name, "idioms")) /* as the first rewriting begins: nothing has moved views yet */
        return tl_rewrite(model, idiom_sets, TL_COUNT(idiom_sets), false, NULL);
    if (strcmp(name, "rewrite") != 0)
        fail_msg("no pass %s", name);
    size_t counts[256] = {0};
    tl_status status = TL_OK; /* those that wait for the layout after the others */
    for (size_t n = TL_COUNT(rule_sets) - 2; status == TL_OK && n <= TL_COUNT(rule_sets); n += 2)
        status = tl_rewrite(model, rule_sets, n, false, counts);
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

static void expands(void **state)
{
    (void)state;
    text_cases(TEST_DATA "/pass/expand.txt", run_pass);
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
    if (pattern->n_in < 0) { /* (..) */
        while (**p && **p != ')')
            ++*p;
    }
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

/* Nothing about a node's arity is fixed: a split into 70 parts and their concat turn with the rest. */
static void lays_out_nodes_of_many_values(void **state)
{
    (void)state;
    enum { N = 70 };
    tl_context *cx = tl_context_create(NULL, NULL);
    tl_arena arena;
    tl_text text;
    tl_model *model;
    tl_arena_init(&arena, cx);
    tl_text_init(&text, &arena);
    tl_text_add(&text, "model \"t\"\nconst %w : f32[70,1,1,70] = splat 1\n"
                       "entry \"main\"(%x \"x\": f32[1,4,4,70]) -> (\"y\") {\n"
                       "%a = conv(%x, %w)\n%b = transpose(%a) perm=[0,3,1,2]\n");
    for (int i = 0; i < N; i++)
        tl_text_printf(&text, "%s%%s%d", i ? ", " : "", i);
    tl_text_add(&text, " = split(%b) axis=1 sizes=[1");
    for (int i = 1; i < N; i++)
        tl_text_add(&text, ",1");
    tl_text_add(&text, "]\n%c = concat(%s0");
    for (int i = 1; i < N; i++)
        tl_text_printf(&text, ", %%s%d", i);
    tl_text_add(&text,
                ") axis=1\n%d = transpose(%c) perm=[0,2,3,1]\n%e = conv(%d, %w)\nreturn %e\n}\n");
    assert_int_equal(tl_model_parse(cx, &arena, "many", tl_str_from(tl_text_get(&text)), &model),
                     TL_OK);
    assert_int_equal(tl_pass_layout(model, &(tl_pass_options){0}), TL_OK);
    assert_int_equal(tl_validate(model), TL_OK);
    TL_EACH_NODE (node, model->entries.v[0].graph) {
        assert_int_not_equal(node->op, TL_OP_transpose);
    }
    tl_model_release(model);
    tl_arena_release(&arena);
    tl_context_destroy(cx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(algebra_and_pattern_agree),
        cmocka_unit_test(rewrites),
        cmocka_unit_test(every_rule_is_hit),
        cmocka_unit_test(folds_and_cleans),
        cmocka_unit_test(expands),
        cmocka_unit_test(lays_out),
        cmocka_unit_test(lays_out_nodes_of_many_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
