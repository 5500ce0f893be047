#include "codec/npy.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/diag.h"

typedef struct npy_fixture {
    tl_context *cx;
    tl_arena arena;
} npy_fixture;

static int npy_setup(void **state)
{
    npy_fixture *f = test_malloc(sizeof(*f));
    f->cx = tl_context_create(NULL, NULL);
    tl_arena_init(&f->arena, f->cx);
    *state = f;
    return 0;
}

static int npy_teardown(void **state)
{
    npy_fixture *f = *state;
    tl_arena_release(&f->arena);
    tl_context_destroy(f->cx);
    test_free(f);
    return 0;
}

static tl_status read_bytes(npy_fixture *f, const void *bytes, size_t size, tl_npz *out)
{
    tl_file *file;
    tl_context_reset(f->cx);
    assert_int_equal(tl_file_open_memory(f->cx, "dir/lone.npy", bytes, size, &file), TL_OK);
    tl_status status = tl_npz_read(f->cx, file, &f->arena, out);
    tl_file_unref(file);
    return status;
}

/* An npy file with a header of this text. */
static tl_status read_npy(npy_fixture *f, int version, const char *dict, const void *data,
                          size_t size, tl_npz *out)
{
    uint8_t bytes[512] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', (uint8_t)version, 0, (uint8_t)strlen(dict)};
    size_t head = version == 1 ? 10 : 12;
    memcpy(bytes + head, dict, strlen(dict));
    memcpy(bytes + head + strlen(dict), data, size);
    return read_bytes(f, bytes, head + strlen(dict) + size, out);
}

static const char *message(npy_fixture *f)
{
    assert_int_equal(f->cx->diags.n, 1);
    return f->cx->diags.v[0]->what;
}

static void round_trip(void **state)
{
    npy_fixture *f = *state;
    const float floats[6] = {1, 2, 3, 4, 5, 6};
    const uint8_t bools[2] = {1, 0};
    const uint16_t halves[1] = {0x3c00};
    const int64_t ints[1] = {-7};
    const tl_npy arrays[] = {
        {TL_STR("in_x"), TL_F32, 2, {2, 3}, floats}, {TL_STR("flag"), TL_BOOL, 1, {2}, bools},
        {TL_STR("h"), TL_F16, 1, {1}, halves},       {TL_STR("scalar"), TL_I64, 0, {0}, ints},
        {TL_STR("none"), TL_F32, 2, {0, 4}, NULL},   {TL_STR("b"), TL_BF16, 1, {1}, halves},
    };
    const void *first = NULL;
    size_t first_size = 0;
    for (int round = 0; round < 2; round++) {
        tl_out *out;
        assert_int_equal(tl_out_open_memory(f->cx, &f->arena, &out), TL_OK);
        assert_int_equal(tl_npz_write(f->cx, out, arrays, TL_COUNT(arrays)), TL_OK);
        size_t size;
        const void *bytes = tl_out_memory(out, &size);
        if (first) {
            assert_int_equal(size, first_size);
            assert_memory_equal(bytes, first, size);
        }
        first = tl_arena_copy(&f->arena, bytes, size);
        first_size = size;
        tl_out_abort(out);
    }
    tl_npz npz;
    assert_int_equal(read_bytes(f, first, first_size, &npz), TL_OK);
    assert_int_equal(npz.n, TL_COUNT(arrays));
    for (size_t i = 0; i < npz.n; i++) {
        assert_true(tl_str_equal(npz.v[i].name, arrays[i].name));
        assert_int_equal(npz.v[i].dtype, arrays[i].dtype);
        assert_int_equal(npz.v[i].rank, arrays[i].rank);
        int64_t n = 1;
        for (int k = 0; k < arrays[i].rank; k++) {
            assert_int_equal(npz.v[i].shape[k], arrays[i].shape[k]);
            n *= arrays[i].shape[k];
        }
        uint64_t size;
        assert_true(tl_dtype_size(arrays[i].dtype, n, &size));
        if (size)
            assert_memory_equal(npz.v[i].data, arrays[i].data, size);
    }
}

static void header_forms(void **state)
{
    npy_fixture *f = *state;
    const int32_t data[6] = {1, 2, 3, 4, 5, 6};
    tl_npz npz;
    for (int version = 1; version <= 3; version++) {
        assert_int_equal(read_npy(f, version,
                                  "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }\n",
                                  data, sizeof(data), &npz),
                         TL_OK);
        assert_int_equal(npz.n, 1);
        assert_true(tl_str_is(npz.v[0].name, "lone"));
        assert_int_equal(npz.v[0].rank, 2);
        assert_memory_equal(npz.v[0].data, data, sizeof(data));
    }
    assert_int_equal(read_npy(f, 1, "{\"shape\":(6,),\"fortran_order\":False,\"descr\":\"=i4\"}",
                              data, sizeof(data), &npz),
                     TL_OK);
    assert_int_equal(npz.v[0].shape[0], 6);
}

static void column_major_is_reordered(void **state)
{
    npy_fixture *f = *state;
    /* [[1, 2, 3], [4, 5, 6]] by columns */
    const int32_t data[6] = {1, 4, 2, 5, 3, 6}, rows[6] = {1, 2, 3, 4, 5, 6};
    tl_npz npz;
    assert_int_equal(read_npy(f, 1, "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3)}",
                              data, sizeof(data), &npz),
                     TL_OK);
    assert_memory_equal(npz.v[0].data, rows, sizeof(rows));
}

static void refusals_name_the_reason(void **state)
{
    npy_fixture *f = *state;
    const int32_t data[2] = {0};
    static const struct {
        const char *dict, *expected;
    } cases[] = {
        {"{'descr': '>i4', 'fortran_order': False, 'shape': (2,)}", "big-endian"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", "object"},
        {"{'descr': '<U3', 'fortran_order': False, 'shape': (2,)}", "string"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (2,)}", "complex"},
        {"{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (2,)}", "structured"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (3,)}", "shorter"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (9223372036854775807, 4)}", "shorter"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (-1,)}", "damaged shape"},
        {"{'descr': '<i4', 'fortran_order': False}", "damaged header"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}",
         "too many"},
    };
    for (size_t i = 0; i < TL_COUNT(cases); i++) {
        tl_npz npz;
        assert_int_equal(read_npy(f, 1, cases[i].dict, data, sizeof(data), &npz), TL_MALFORMED);
        assert_non_null(strstr(message(f), cases[i].expected));
    }
    tl_npz npz;
    assert_int_equal(read_bytes(f, "no array", 8, &npz), TL_MALFORMED);
    assert_int_equal(read_bytes(f, "", 0, &npz), TL_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_trip, npy_setup, npy_teardown),
        cmocka_unit_test_setup_teardown(header_forms, npy_setup, npy_teardown),
        cmocka_unit_test_setup_teardown(column_major_is_reordered, npy_setup, npy_teardown),
        cmocka_unit_test_setup_teardown(refusals_name_the_reason, npy_setup, npy_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
