/* Text tests of the fusion into integer ops: a core graph and the lowered one with its integer ops. Both run on
 * the reference kernels, and their results are at most a step apart. */
#include "ir/text_cases.h"

#include "exec/session.h"
#include "lower/lower.h"
#include "quant/fuse.h"

#include <math.h>

static bool has_word(const char *argument, const char *word)
{
    const char *at = strstr(argument, word);
    size_t n = strlen(word);
    return at && (at[n] == 0 || at[n] == ' ') && (at == argument || at[-1] == ' ');
}

/* Seeded: floats in [-4, 4). */
static void feed(tl_session *session, const tl_entry *entry, tl_arena *arena)
{
    uint64_t seed = 88172645463325252u;
    for (size_t i = 0; i < entry->n_in; i++) {
        const tl_type *type = tl_type_of(entry->graph->inputs.v[i]);
        tl_tensor t = {.dtype = type->dtype, .rank = type->rank, .quant = type->quant};
        for (int k = 0; k < t.rank; k++)
            assert_true(tl_dim_is_const(type->dims[k], &t.shape[k]));
        t.data = tl_arena_push(arena, tl_tensor_size(&t));
        for (int64_t k = 0; k < tl_tensor_count(&t); k++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            double x = (double)(seed >> 40) / (1 << 24);
            if (tl_dtype_is_float(t.dtype))
                tl_dtype_set_f64(t.dtype, t.data, k, 8 * x - 4);
            else
                tl_dtype_set_i64(t.dtype, t.data, k, (int64_t)(100 * x));
        }
        assert_int_equal(tl_session_set_input(session, i, &t), TL_OK);
    }
}

static tl_session *run(const tl_model *model, tl_arena *arena)
{
    tl_session *session = NULL;
    const tl_entry *entry = &model->entries.v[0];
    tl_session_options options = {.reference = true};
    assert_int_equal(tl_session_new(model->cx, model, entry, &options, &session), TL_OK);
    feed(session, entry, arena);
    if (tl_session_run(session) != TL_OK)
        fail_msg("%s", model->cx->diags.v[0]->what);
    return session;
}

/* How far an output may be off: a step of its integers. */
static double step_of(const tl_value *output, bool exact)
{
    const tl_node *def = output->def;
    if (exact)
        return 0;
    if (tl_type_of(output)->quant || !def)
        return 1;
    return def->op == TL_OP_tfl_dequantize ? (double)tl_type_of(tl_in(def, 0))->quant->scale[0] : 0;
}

static void compare(const tl_model *source, const tl_model *fused, bool exact)
{
    tl_arena arena;
    tl_arena_init(&arena, fused->cx);
    tl_session *a = run(source, &arena), *b = run(fused, &arena);
    const tl_entry *entry = &fused->entries.v[0];
    for (size_t i = 0; i < entry->n_out; i++) {
        const tl_tensor *x = tl_session_output(a, i), *y = tl_session_output(b, i);
        double step = step_of(tl_graph_output(entry->graph, i), exact);
        assert_int_equal(tl_tensor_count(x), tl_tensor_count(y));
        for (int64_t k = 0; k < tl_tensor_count(x); k++) {
            double p = tl_tensor_get_f64(x, k), q = tl_tensor_get_f64(y, k);
            if (!(fabs(p - q) <= step + 1e-5 * fmax(1, fabs(p))))
                fail_msg("output %zu, element %lld: %g, expected %g", i, (long long)k, q, p);
        }
    }
    tl_session_free(a);
    tl_session_free(b);
    tl_arena_release(&arena);
}

/* Words of the argument: exact; tf-2.14 (a target); reason: the case shows the first message instead. */
static tl_status fuse(tl_model *model, const char *argument)
{
    bool exact = has_word(argument, "exact");
    const char *target = has_word(argument, "tf-2.14") ? "tf-2.14" : "litert";
    tl_lower_options lower = {tl_profile_find(tl_str_from(target)), exact};
    tl_quant_options quant = {lower.profile, exact};
    tl_arena arena;
    tl_arena_init(&arena, model->cx);
    tl_model *source = tl_model_copy(model, &arena);
    TRY(tl_lower(model, &lower));
    TRY(tl_lower_fuse(model, &lower));
    TRY(tl_quant_fuse(model, &quant));
    TRY(tl_lower_finish(model, &lower));
    compare(source, model, exact);
    tl_model_release(source);
    tl_arena_release(&arena);
    return has_word(argument, "reason") ? TL_UNSUPPORTED : TL_OK;
}

static void fusions(void **state)
{
    (void)state;
    text_cases(TEST_DATA "/quant/fuse.txt", fuse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fusions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
