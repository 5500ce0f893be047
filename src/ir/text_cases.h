/* Text tests: a file of cases, each a graph and what becomes of it. For the unit tests of pass and lower.
 *
 *   === name of the case: argument
 *   model ... (graph text)
 *   ---
 *   the graph afterwards, or "fails: " and the first diagnostic
 *
 * The argument says what to do (the name of a pass). With TOLITE_RECORD set the file is written anew with what
 * came out; look at the difference before you commit it. */
#ifndef TL_IR_TEXT_CASES_H
#define TL_IR_TEXT_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/build.h"
#include "ir/text.h"

/* Changes the model in place. */
typedef tl_status (*text_case_fn)(tl_model *model, const char *argument);
/* Makes a model of a case whose text is no graph (code, say). */
typedef tl_status (*text_case_maker)(tl_context *cx, tl_arena *arena, tl_str text, const char *argument,
                                     tl_model **out);

static char *text_case_read(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot read %s", path);
    char *text = calloc(1, 1 << 20);
    size_t n = fread(text, 1, (1 << 20) - 1, f);
    text[n] = 0;
    fclose(f);
    return text;
}

static const char *text_case_run(tl_context *cx, tl_arena *arena, tl_str graph, const char *argument,
                                 text_case_maker make, text_case_fn run)
{
    tl_model *model = NULL;
    tl_text text;
    tl_text_init(&text, arena);
    tl_status status = make ? make(cx, arena, graph, argument, &model)
                            : tl_model_parse(cx, arena, "case", graph, &model);
    if (status == TL_OK && run)
        status = run(model, argument);
    if (status == TL_OK)
        status = tl_validate(model);
    if (status == TL_OK)
        status = tl_model_print(model, &(tl_print_options){.types = true, .max_inline = 16}, &text);
    if (status != TL_OK) {
        tl_text_init(&text, arena);
        tl_text_add(&text, "fails: ");
        if (cx->diags.n)
            tl_diag_print(cx->diags.v[0], &text);
        tl_text_add_char(&text, '\n');
    }
    if (model)
        tl_model_release(model);
    return tl_text_get(&text);
}

static void text_cases_of(const char *path, text_case_maker make, text_case_fn run)
{
    char *file = text_case_read(path), *at = strstr(file, "=== ");
    FILE *record = getenv("TOLITE_RECORD") ? fopen(path, "wb") : NULL;
    int n_failed = 0;
    if (record && at)
        fwrite(file, 1, (size_t)(at - file), record);
    while (at) {
        char *next = strstr(at + 4, "\n=== "), *end = next ? next + 1 : at + strlen(at);
        char *line = strchr(at, '\n'), *sep = strstr(at, "\n---\n");
        if (!line || !sep || sep > end)
            fail_msg("%s: a case without ---: %.60s", path, at);
        char title[200];
        snprintf(title, sizeof title, "%.*s", (int)(line - at - 4), at + 4);
        const char *argument = strrchr(title, ':') ? strrchr(title, ':') + 2 : "";
        tl_context *cx = tl_context_create(NULL, NULL);
        tl_arena arena;
        tl_arena_init(&arena, cx);
        const char *got =
            text_case_run(cx, &arena, (tl_str){line + 1, (size_t)(sep - line)}, argument, make, run);
        if (record) {
            fprintf(record, "%.*s---\n%s%s", (int)(sep + 1 - at), at, got, next ? "\n" : "");
        } else {
            char *expected = sep + 5;
            size_t n = (size_t)(end - expected), m = strlen(got);
            while (n && expected[n - 1] == '\n')
                n--;
            while (m && got[m - 1] == '\n')
                m--;
            if (n != m || memcmp(expected, got, n) != 0) {
                print_error("%s: %s\nexpected:\n%.*s\ngot:\n%s\n", path, title, (int)n, expected, got);
                n_failed++;
            }
        }
        tl_arena_release(&arena);
        tl_context_destroy(cx);
        at = next ? next + 1 : NULL;
    }
    if (record)
        fclose(record);
    if (n_failed)
        print_error("with TOLITE_RECORD=1 the test writes what came out into %s\n", path);
    free(file);
    assert_int_equal(n_failed, 0);
}

static inline void text_cases(const char *path, text_case_fn run)
{
    text_cases_of(path, NULL, run);
}

#endif
