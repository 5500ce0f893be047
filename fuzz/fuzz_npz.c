/* Array files. What reads is written and reads again to the same. */
#include "fuzz.h"

#include "codec/npy.h"

static void check_again(tl_context *cx, tl_arena *arena, const tl_npz *arrays)
{
    tl_out *out;
    size_t size = 0;
    if (tl_out_open_memory(cx, arena, &out) != TL_OK)
        return;
    tl_status status = tl_npz_write(cx, out, arrays->v, arrays->n);
    const void *data = status == TL_OK ? tl_out_memory(out, &size) : NULL;
    tl_out_abort(out);
    fuzz_check_status(cx, status, "write");
    tl_file *file;
    tl_npz again;
    if (!data || tl_file_open_memory(cx, "again.npz", data, size, &file) != TL_OK)
        return;
    status = tl_npz_read(cx, file, arena, &again);
    tl_file_unref(file);
    if (status != TL_OK && !cx->out_of_memory)
        fuzz_broken("our own archive: status %d", (int)status);
    for (size_t i = 0; status == TL_OK && i < again.n; i++) {
        const tl_npy *a = &arrays->v[i], *b = &again.v[i];
        if (again.n != arrays->n || !tl_str_equal(a->name, b->name) || a->dtype != b->dtype ||
            a->rank != b->rank ||
            memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) != 0)
            fuzz_broken("array %zu changes", i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tl_context *cx = fuzz_begin();
    tl_arena arena;
    tl_arena_init(&arena, cx);
    tl_file *file;
    tl_npz arrays;
    if (tl_file_open_memory(cx, "fuzz.npz", data, size, &file) == TL_OK) {
        tl_status status = tl_npz_read(cx, file, &arena, &arrays);
        fuzz_check_status(cx, status, "read");
        if (cx->out_of_memory)
            fuzz_broken("%zu bytes want too much memory", size);
        if (status == TL_OK)
            check_again(cx, &arena, &arrays);
        tl_file_unref(file);
    }
    tl_arena_release(&arena);
    fuzz_end(cx);
    return 0;
}
