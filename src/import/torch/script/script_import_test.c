/* Small programs: the code of a module Net, made into an archive, and the graph that comes of it. */
#include "codec/zip.h"
#include "import/import.h"
#include "ir/text_cases.h"

/* Pickled: an object of __torch__.Net with attributes n = 3, scale = 0.5, on = True, off = None. */
static const char data_pickle[] = "\x80\x02"
                                  "c__torch__\nNet\n)\x81}("
                                  "X\1\0\0\0nK\3"
                                  "X\5\0\0\0scaleG\x3f\xe0\0\0\0\0\0\0"
                                  "X\2\0\0\0on\x88"
                                  "X\3\0\0\0offN"
                                  /* w: f32[2] in data/0 */
                                  "X\1\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(("
                                  "X\7\0\0\0storagectorch\nFloatStorage\n"
                                  "X\1\0\0\0"
                                  "0"
                                  "X\3\0\0\0cpuK\2tQ"
                                  "K\0K\2\x85K\1\x85\x89"
                                  "ccollections\nOrderedDict\n)RtR"
                                  "ub.";
static const char constants_pickle[] = "\x80\x02).";

static void add_member(tl_zip_writer *writer, const char *name, const void *data, size_t size)
{
    tl_zip_part part = {data, size};
    assert_int_equal(tl_zip_write(writer, tl_str_from(name), &part, 1), TL_OK);
}

/* The code of a case: methods of the class, with what stands before a line `class` as functions. */
static tl_file *make_archive(tl_context *cx, tl_arena *arena, tl_str code, const char *version,
                             tl_out **out)
{
    static const float weights[2] = {1, 2};
    tl_zip_writer writer;
    tl_file *file;
    assert_int_equal(tl_out_open_memory(cx, arena, out), TL_OK);
    tl_zip_writer_init(&writer, cx, *out, arena);
    add_member(&writer, "net/data.pkl", data_pickle, sizeof(data_pickle) - 1);
    add_member(&writer, "net/data/0", weights, sizeof(weights));
    add_member(&writer, "net/constants.pkl", constants_pickle, sizeof(constants_pickle) - 1);
    add_member(&writer, "net/code/__torch__.py", code.p, code.n);
    if (version)
        add_member(&writer, "net/version", version, 2);
    assert_int_equal(tl_zip_finish(&writer), TL_OK);
    size_t size;
    const void *bytes = tl_out_memory(*out, &size);
    assert_int_equal(tl_file_open_memory(cx, "net.pt", bytes, size, &file), TL_OK);
    return file;
}

/* Archives say their version where the case's argument does: "x=2 version=3". */
static const char *version_of(const char *argument)
{
    const char *at = strstr(argument, "version=");
    return !at ? NULL : at[8] == '3' ? "3\n" : "4\n";
}

/* argument: x=2,3 y=n k=i64,4 (f32 where not said; i64 alone is a scalar; i64,4 a vector) */
static size_t parse_inputs(tl_arena *arena, const char *argument, tl_input_spec *specs, size_t most)
{
    tl_str rest = tl_str_from(argument), one, dim;
    size_t n = 0;
    while (n < most && tl_str_split(&rest, ' ', &one)) {
        tl_input_spec *spec = &specs[n];
        *spec = (tl_input_spec){.rank = 0};
        if (!tl_str_split(&one, '=', &spec->name) || !spec->name.n ||
            tl_str_is(spec->name, "version"))
            continue;
        const char **dims = TL_NEW_ARRAY(arena, const char *, 8);
        spec->dtype = TL_I64;
        while (one.n && tl_str_split(&one, ',', &dim)) {
            if (tl_str_is(dim, "i64"))
                spec->has_dtype = true;
            else
                dims[spec->rank++] = tl_str_copy(arena, dim).p;
        }
        spec->dims = dims;
        n++;
    }
    return n;
}

static tl_status import_code(tl_context *cx, tl_arena *arena, tl_str code, const char *argument,
                             tl_model **out)
{
    tl_input_spec specs[4];
    tl_out *archive;
    tl_file *file = make_archive(cx, arena, code, version_of(argument), &archive);
    tl_import_options options = {.inputs = specs,
                                 .n_inputs = parse_inputs(arena, argument, specs, 4)};
    tl_status status = tl_torchscript_import(cx, file, &options, arena, out);
    tl_file_unref(file);
    tl_out_abort(archive);
    return status;
}

static void programs(void **state)
{
    (void)state;
    text_cases_of(TEST_DATA "/torch/script.txt", import_code, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(programs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
