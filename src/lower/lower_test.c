/* Lowering by text. A file of tests/lower holds blocks
 *     ## name [@exact] [@profile=NAME] [@approximate] [@silent]
 *     core graph
 *     ==
 *     TFL graph, or the diagnostics
 * Each block is lowered, printed and compared; then both graphs run on the reference kernels and
 * must agree. With TOLITE_RECORD set the files are written anew. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/testing.h"
#include "exec/session.h"
#include "ir/text.h"
#include "lower/lower.h"

typedef struct block {
    tl_str title, core, want;
} block;

static bool next_block(tl_str *rest, block *b)
{
    tl_str line;
    *b = (block){0};
    while (tl_str_split(rest, '\n', &line))
        if (tl_str_starts(line, "## "))
            break;
    if (!tl_str_starts(line, "## "))
        return false;
    b->title = line;
    b->core.p = rest->p;
    const char *at = rest->p;
    while (tl_str_split(rest, '\n', &line) && !tl_str_is(line, "=="))
        at = rest->p;
    b->core.n = (size_t)(at - b->core.p);
    b->want.p = at = rest->p;
    while (rest->n && !tl_str_starts(*rest, "## "))
        tl_str_split(rest, '\n', &line);
    b->want.n = (size_t)(rest->n ? rest->p - at : line.p + line.n - at);
    return true;
}

static tl_str trimmed(tl_str s)
{
    while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == ' '))
        s.n--;
    return s;
}

static bool has_word(tl_str title, const char *word)
{
    tl_str part;
    while (tl_str_split(&title, ' ', &part))
        if (tl_str_is(part, word))
            return true;
    return false;
}

static const tl_profile *profile_of(tl_str title)
{
    tl_str part, name = TL_STR("litert");
    while (tl_str_split(&title, ' ', &part))
        if (tl_str_starts(part, "@profile="))
            name = (tl_str){part.p + 9, part.n - 9};
    return tl_profile_find(name);
}

static void print_diagnostics(tl_context *cx, tl_text *text)
{
    for (size_t i = 0; i < cx->diags.n; i++) {
        tl_text_add(text, "# ");
        tl_diag_print(cx->diags.v[i], text);
        tl_text_add(text, "\n");
    }
}

/* ---- running ---- */

/* Seeded: floats in [-2, 2), integers in [0, 3]. */
static void fill_randomly(tl_tensor *t, uint64_t *seed)
{
    for (int64_t k = 0; k < tl_tensor_count(t); k++) {
        *seed ^= *seed << 13, *seed ^= *seed >> 7, *seed ^= *seed << 17;
        double x = (double)(*seed >> 40) / (1 << 24);
        if (tl_dtype_is_float(t->dtype))
            tl_dtype_set_f64(t->dtype, t->data, k, 4 * x - 2);
        else
            tl_dtype_set_i64(t->dtype, t->data, k, (int64_t)((t->dtype == TL_BOOL ? 2 : 4) * x));
    }
}

static tl_status feed(tl_session *session, const tl_model *model, tl_arena *arena)
{
    const tl_entry *entry = &model->entries.v[0];
    size_t n_symbols = tl_dims_n_symbols(model->dims);
    int64_t *sizes = TL_NEW_ARRAY(arena, int64_t, n_symbols + 1);
    uint64_t seed = 88172645463325252u;
    for (size_t i = 0; i < n_symbols; i++) {
        const tl_symbol *symbol = tl_dims_get_symbol(model->dims, i);
        sizes[i] = symbol->hint ? symbol->hint : TL_MAX(symbol->range.lo, 3);
    }
    for (size_t i = 0; i < entry->n_in; i++) {
        const tl_type *type = tl_type_of(entry->graph->inputs.v[i]);
        tl_tensor t = {.dtype = type->dtype, .rank = type->rank, .quant = type->quant};
        for (int k = 0; k < t.rank; k++)
            assert_true(tl_dim_eval(type->dims[k], sizes, &t.shape[k]));
        t.data = tl_arena_push(arena, tl_tensor_size(&t));
        fill_randomly(&t, &seed);
        TRY(tl_session_set_input(session, i, &t));
    }
    return TL_OK;
}

/* The first entry on reference kernels. */
static tl_status run(const tl_model *model, tl_arena *arena, tl_session **session)
{
    tl_session_options options = {.reference = true};
    TRY(tl_session_new(model->cx, model, &model->entries.v[0], &options, session));
    TRY(feed(*session, model, arena));
    return tl_session_run(*session);
}

static bool close_enough(double a, double b, bool approximate)
{
    double tolerance = approximate ? 1e-3 : 2e-5;
    return a == b || (isnan(a) && isnan(b)) ||
           fabs(a - b) <= tolerance * fmax(1, fmax(fabs(a), fabs(b)));
}

static bool same_results(const tl_session *a, const tl_session *b, size_t n_out, bool approximate)
{
    for (size_t i = 0; i < n_out; i++) {
        const tl_tensor *x = tl_session_output(a, i), *y = tl_session_output(b, i);
        if (x->dtype != y->dtype || x->rank != y->rank || tl_tensor_count(x) != tl_tensor_count(y)) {
            print_message("output %zu has another shape\n", i);
            return false;
        }
        for (int64_t k = 0; k < tl_tensor_count(x); k++) {
            double p = tl_tensor_get_f64(x, k), q = tl_tensor_get_f64(y, k);
            if (!close_enough(p, q, approximate)) {
                print_message("output %zu, element %lld: %g, expected %g\n", i, (long long)k, q, p);
                return false;
            }
        }
    }
    return true;
}

/* Both models on the same inputs. */
static bool compute_the_same(const tl_model *source, const tl_model *lowered, tl_arena *arena,
                             bool approximate)
{
    tl_session *a = NULL, *b = NULL;
    bool ran = run(source, arena, &a) == TL_OK && run(lowered, arena, &b) == TL_OK;
    bool same = ran && same_results(a, b, source->entries.v[0].n_out, approximate);
    for (size_t i = 0; !ran && i < source->cx->diags.n; i++)
        print_message("%s\n", source->cx->diags.v[i]->what);
    if (a)
        tl_session_free(a);
    if (b)
        tl_session_free(b);
    return same;
}

/* Lowers the block; got receives the text. True when the numbers agree too. */
static bool lower_block(const block *b, tl_arena *arena, tl_context *cx, tl_text *got)
{
    tl_lower_options options = {.profile = profile_of(b->title),
                                .exact = has_word(b->title, "@exact")};
    tl_model *model = NULL;
    assert_non_null(options.profile);
    if (tl_model_parse(cx, arena, "test", b->core, &model) != TL_OK) {
        print_diagnostics(cx, got);
        return true;
    }
    tl_model *source = tl_model_copy(model, arena);
    tl_status status = tl_lower(model, &options);
    if (status == TL_OK)
        status = tl_lower_finish(model, &options);
    print_diagnostics(cx, got);
    if (status != TL_OK)
        return status != TL_BUG;
    if (tl_validate(model) != TL_OK) {
        print_diagnostics(cx, got);
        return false;
    }
    tl_print_options print = {.types = true, .max_inline = 16};
    tl_model_print(model, &print, got);
    if (has_word(b->title, "@silent"))
        return true;
    return compute_the_same(source, model, arena, has_word(b->title, "@approximate"));
}

static int check_file(const char *path, bool record)
{
    int failed = 0;
    tl_context *cx = tl_context_create(NULL, NULL);
    tl_arena arena;
    tl_file *file;
    tl_text all;
    tl_arena_init(&arena, cx);
    tl_text_init(&all, &arena);
    assert_int_equal(tl_file_open(cx, path, &file), TL_OK);
    size_t size = (size_t)tl_file_size(file);
    char *data = tl_arena_push(&arena, size + 1);
    assert_int_equal(tl_file_read(cx, file, 0, data, size), TL_OK);
    tl_str rest = {data, size};
    block b;
    while (next_block(&rest, &b)) {
        tl_text got;
        tl_text_init(&got, &arena);
        tl_context_reset(cx);
        bool agree = lower_block(&b, &arena, cx, &got);
        tl_str want = trimmed(b.want), found = trimmed((tl_str){tl_text_get(&got), got.n});
        if (!agree || (!record && !tl_str_equal(want, found))) {
            print_message("%s: %.*s%s\n", path, TL_STR_ARG(b.title),
                          agree ? "" : ": numbers differ");
            if (!record)
                print_message("found:\n%.*s\nTOLITE_RECORD=1 build/lower_test writes it\n",
                              TL_STR_ARG(found));
            failed++;
        }
        tl_text_printf(&all, "%.*s\n%.*s\n==\n%.*s\n\n", TL_STR_ARG(b.title),
                       TL_STR_ARG(trimmed(b.core)), TL_STR_ARG(found));
    }
    tl_file_unref(file);
    FILE *out = record ? fopen(path, "wb") : NULL;
    if (out) {
        fwrite(tl_text_get(&all), 1, all.n - 1, out);
        fclose(out);
    }
    tl_arena_release(&arena);
    tl_context_destroy(cx);
    return failed;
}

static void lower_texts(void **state)
{
    (void)state;
    struct dirent **files;
    int failed = 0, n = scandir(TEST_DATA "/lower", &files, NULL, alphasort);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        char path[1024];
        snprintf(path, sizeof path, TEST_DATA "/lower/%s", files[i]->d_name);
        if (tl_str_ends(tl_str_from(path), ".txt"))
            failed += check_file(path, getenv("TOLITE_RECORD") != NULL);
        free(files[i]);
    }
    free(files);
    assert_int_equal(failed, 0);
}

static void profiles(void **state)
{
    (void)state;
    assert_string_equal(tl_profile_get(0)->name, "litert");
    assert_ptr_equal(tl_profile_find(TL_STR("tf-2.14")), tl_profile_get(1));
    assert_null(tl_profile_find(TL_STR("none")));
    tl_type type = {.dtype = TL_I64};
    tl_limits sum = tl_profile_limits(tl_profile_get(1), TL_OP_tfl_split);
    assert_false(sum.types & tl_limit_bit(&type));
    assert_true(tl_profile_limits(tl_profile_get(0), TL_OP_tfl_split).types & tl_limit_bit(&type));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profiles),
        cmocka_unit_test(lower_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
