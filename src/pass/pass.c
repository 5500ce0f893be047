/* The order of the passes. */
#include "pass/pass.h"

#include "pass/rewrite.h"

#include <string.h>

static tl_status run_dce(tl_model *model, const tl_pass_options *options)
{
    (void)options;
    return tl_pass_dce(model);
}

static tl_status run_pin(tl_model *model, const tl_pass_options *options)
{
    (void)options;
    return tl_pass_pin(model);
}

static tl_status run_cse(tl_model *model, const tl_pass_options *options)
{
    (void)options;
    return tl_pass_cse(model);
}

static tl_status run_fold(tl_model *model, const tl_pass_options *options)
{
    (void)options;
    return tl_pass_fold(model);
}

static const tl_rule_set *const rule_sets[] = {
    &tl_rules_canonical, &tl_rules_parts,     &tl_rules_places, &tl_rules_spelling,
    &tl_rules_conv,      &tl_rules_idiom,     &tl_rules_linear, &tl_rules_views,
    &tl_rules_late,      &tl_rules_parts_late};

static const tl_rule_set *const idiom_sets[] = {&tl_rules_canonical, &tl_rules_idiom,
                                                &tl_rules_attention};
static const tl_rule_set *const first_sets[] = {
    &tl_rules_canonical, &tl_rules_parts,     &tl_rules_places, &tl_rules_spelling, &tl_rules_conv,
    &tl_rules_idiom,     &tl_rules_attention, &tl_rules_linear, &tl_rules_views};

/* Idioms twice: what they leave of conditions folds, and the rules about linear layers, which mix with attention,
 * bring pieces together that views kept apart. */
static tl_status run_rewrite_first(tl_model *model, const tl_pass_options *options)
{
    TRY(tl_rewrite(model, idiom_sets, TL_COUNT(idiom_sets), options->exact, NULL));
    TRY(tl_pass_fold(model));
    TRY(tl_rewrite(model, idiom_sets, TL_COUNT(idiom_sets), options->exact, NULL));
    return tl_rewrite(model, first_sets, TL_COUNT(first_sets), options->exact, NULL);
}

static tl_status run_rewrite(tl_model *model, const tl_pass_options *options)
{
    return tl_rewrite(model, rule_sets, TL_COUNT(rule_sets) - 2, options->exact, NULL);
}

static tl_status run_rewrite_late(tl_model *model, const tl_pass_options *options)
{
    return tl_rewrite(model, rule_sets, TL_COUNT(rule_sets), options->exact, NULL);
}

/* Fold first, so that rules meet constants; rules before the expansion, so that they meet
 * composites; both again behind it and behind the layout, which brings neighbours together that
 * transposes kept apart. */
static const struct {
    const char *name;
    tl_status (*run)(tl_model *model, const tl_pass_options *options);
} passes[] = {
    {"pin", run_pin},
    {"dce", run_dce},
    {"fold", run_fold},
    {"rewrite", run_rewrite_first},
    {"expand", tl_pass_expand},
    {"fold-expanded", run_fold},
    {"cse", run_cse},
    {"rewrite-expanded", run_rewrite},
    {"interface", tl_pass_interface},
    {"layout", tl_pass_layout},
    {"fold-layout", run_fold},
    {"rewrite-layout", run_rewrite_late},
    {"cse-layout", run_cse},
    {"tidy", run_dce},
};

size_t tl_pass_count(void)
{
    return TL_COUNT(passes);
}

const char *tl_pass_name(size_t index)
{
    return passes[index].name;
}

/* Types of values downstream of a change become what inference gives now. */
static tl_status reinfer(tl_model *model)
{
    for (size_t i = 0; i < model->entries.n; i++)
        TRY(tl_graph_reinfer(model->entries.v[i].graph));
    return TL_OK;
}

tl_status tl_pass_run(tl_model *model, const tl_pass_options *options)
{
    for (size_t i = 0; i < TL_COUNT(passes); i++) {
        TRY(tl_check_cancel(model->cx));
        TRY(passes[i].run(model, options));
        TRY(reinfer(model));
        TRY(tl_context_status(model->cx));
#ifndef NDEBUG
        TRY(tl_validate(model));
#endif
        tl_progress(model->cx, "converting", (double)(i + 1) / (double)TL_COUNT(passes));
        if (options->after)
            options->after(options->after_user, passes[i].name);
        if (options->last && !strcmp(passes[i].name, options->last))
            break;
    }
    return TL_OK;
}
