#include "import/import.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "codec/zip.h"

typedef struct import_fixture {
    tl_context *cx;
    tl_arena arena;
} import_fixture;

static int import_setup(void **state)
{
    import_fixture *f = test_malloc(sizeof(*f));
    f->cx = tl_context_create(NULL, NULL);
    tl_arena_init(&f->arena, f->cx);
    *state = f;
    return 0;
}

static int import_teardown(void **state)
{
    import_fixture *f = *state;
    tl_arena_release(&f->arena);
    tl_context_destroy(f->cx);
    test_free(f);
    return 0;
}

static tl_format sniff(import_fixture *f, const void *bytes, size_t size)
{
    tl_file *file;
    tl_format format;
    tl_context_reset(f->cx);
    assert_int_equal(tl_file_open_memory(f->cx, "x", bytes, size, &file), TL_OK);
    assert_int_equal(tl_format_sniff(f->cx, file, &format), TL_OK);
    tl_file_unref(file);
    return format;
}

/* An archive with empty members of these names. */
static tl_format sniff_members(import_fixture *f, const char *const *names)
{
    tl_out *out;
    tl_zip_writer writer;
    assert_int_equal(tl_out_open_memory(f->cx, &f->arena, &out), TL_OK);
    tl_zip_writer_init(&writer, f->cx, out, &f->arena);
    for (size_t i = 0; names[i]; i++)
        assert_int_equal(tl_zip_write(&writer, tl_str_from(names[i]), NULL, 0), TL_OK);
    assert_int_equal(tl_zip_finish(&writer), TL_OK);
    size_t size;
    const void *bytes = tl_out_memory(out, &size);
    tl_format format = sniff(f, bytes, size);
    tl_out_abort(out);
    return format;
}

static void formats_are_told_by_content(void **state)
{
    import_fixture *f = *state;
    assert_int_equal(sniff(f, "", 0), TL_FORMAT_UNKNOWN);
    assert_int_equal(sniff(f, "plain text", 10), TL_FORMAT_UNKNOWN);
    assert_int_equal(sniff(f, "\x1c\0\0\0TFL3", 8), TL_FORMAT_TFLITE);
    assert_int_equal(sniff(f, "\x89HDF\r\n\x1a\n", 8), TL_FORMAT_HDF5);
    assert_int_equal(sniff(f, "model \"m\"\n", 10), TL_FORMAT_TEXT);
    assert_int_equal(sniff(f, "\x1c\0\0\0ET12", 8), TL_FORMAT_EXECUTORCH);
    assert_int_equal(sniff(f, "\x1c\0\0\0PTMF", 8), TL_FORMAT_LITE);
    assert_int_equal(sniff(f, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15),
                     TL_FORMAT_CHECKPOINT_OLD);
    assert_int_equal(sniff(f, "\x80\x04\x95\0\0\0\0\0\0\0\0N.", 13), TL_FORMAT_PICKLE);
    assert_int_equal(sniff(f, "\x02\0\0\0\0\0\0\0{}", 10), TL_FORMAT_SAFETENSORS);
    assert_int_equal(sniff(f, "\x03\0\0\0\0\0\0\0{}", 10), TL_FORMAT_UNKNOWN);
    assert_int_equal(sniff(f, "{\"weight_map\": {}}", 18), TL_FORMAT_SHARDS);
    assert_int_equal(sniff(f, "{\"weight_map\": ", 15), TL_FORMAT_UNKNOWN);
    assert_int_equal(sniff(f, "table\x57\xfb\x80\x8b\x24\x75\x47\xdb", 13),
                     TL_FORMAT_TF_CHECKPOINT);
    assert_int_equal(sniff(f, "version https://git-lfs.github.com/spec/v1", 42), TL_FORMAT_LFS);
    assert_int_equal(sniff(f, "\x08\x08\x3a\x03\x12\x01g", 7), TL_FORMAT_ONNX);
    assert_int_equal(sniff(f, "\x08\x01\x12\x02\x3a\x00", 6), TL_FORMAT_SAVED_MODEL);
}

static void archives_are_told_by_their_members(void **state)
{
    import_fixture *f = *state;
    static const struct {
        tl_format format;
        const char *names[5];
    } cases[] = {
        {TL_FORMAT_PT2, {"m/archive_format", "m/models/model.json"}},
        {TL_FORMAT_PT2, {"serialized_exported_program.json", "version"}},
        {TL_FORMAT_TORCHSCRIPT, {"m/data.pkl", "m/code/__torch__.py", "m/constants.pkl"}},
        {TL_FORMAT_TORCHSCRIPT,
         {"m/data.pkl", "m/code/__torch__/models/net.py", "m/constants.pkl", "m/bytecode.pkl"}},
        {TL_FORMAT_LITE, {"m/data.pkl", "m/bytecode.pkl"}},
        {TL_FORMAT_AOTI, {"m/archive_format", "m/data/aotinductor/model/c.so"}},
        {TL_FORMAT_TORCH_PACKAGE, {"m/.data/version", "m/.data/extern_modules", "m/net.py"}},
        {TL_FORMAT_TORCH_1_0, {"m/model.json", "m/tensors/0"}},
        {TL_FORMAT_KERAS, {"metadata.json", "config.json", "model.weights.h5"}},
        {TL_FORMAT_CHECKPOINT, {"archive/data.pkl", "archive/data/0"}},
        {TL_FORMAT_NPZ, {"in_x.npy"}},
        {TL_FORMAT_ZIP, {"README", "m/constants.pkl"}},
    };
    for (size_t i = 0; i < TL_COUNT(cases); i++)
        assert_int_equal(sniff_members(f, cases[i].names), cases[i].format);
}

static void what_is_not_read_says_so(void **state)
{
    import_fixture *f = *state;
    static const struct {
        const char *bytes;
        size_t size;
        tl_status status;
        const char *expected;
    } cases[] = {
        {"", 0, TL_MALFORMED, "empty"},
        {"plain text", 10, TL_MALFORMED, "not a model"},
        {"\x89HDF\r\n\x1a\n", 8, TL_UNSUPPORTED, "Keras"},
        {"PK\3\4", 4, TL_MALFORMED, "cut off"},
    };
    for (size_t i = 0; i < TL_COUNT(cases); i++) {
        tl_file *file;
        tl_model *model;
        tl_context_reset(f->cx);
        assert_int_equal(tl_file_open_memory(f->cx, "x", cases[i].bytes, cases[i].size, &file),
                         TL_OK);
        assert_int_equal(tl_import(f->cx, file, NULL, &f->arena, &model), cases[i].status);
        assert_null(model);
        assert_non_null(strstr(f->cx->diags.v[0]->what, cases[i].expected));
        tl_file_unref(file);
    }
}

static void dims_of_an_input(void **state)
{
    import_fixture *f = *state;
    tl_model *model = tl_model_new(f->cx, &f->arena);
    static const char *const texts[] = {"3", "n", "m=1..512", "2..4", "n"};
    tl_input_spec spec = {.name = TL_STR("x"), .rank = 5, .dims = texts};
    const tl_dim *dims[5];
    assert_int_equal(tl_input_spec_dims(model, &spec, dims), TL_OK);
    assert_true(tl_dim_is(dims[0], 3));
    assert_ptr_equal(dims[1], dims[4]);
    assert_int_equal(dims[2]->range.lo, 1);
    assert_int_equal(dims[2]->range.hi, 512);
    assert_int_equal(dims[3]->range.hi, 4);
    static const char *const wrong[] = {"banana!", "", "-1", "3..2", "m=1..9", "n=", "..", "1.5"};
    for (size_t i = 0; i < TL_COUNT(wrong); i++) {
        tl_context_reset(f->cx);
        spec.rank = 1;
        spec.dims = &wrong[i];
        assert_int_equal(tl_input_spec_dims(model, &spec, dims), TL_USAGE);
    }
    tl_model_release(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(formats_are_told_by_content, import_setup, import_teardown),
        cmocka_unit_test_setup_teardown(archives_are_told_by_their_members, import_setup,
                                        import_teardown),
        cmocka_unit_test_setup_teardown(what_is_not_read_says_so, import_setup, import_teardown),
        cmocka_unit_test_setup_teardown(dims_of_an_input, import_setup, import_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
