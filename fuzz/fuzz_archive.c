/* Archives of PyTorch, .pt2 and TorchScript. The mutator changes the contents of one member and writes the archive anew,
 * with sums and sizes that are right: else nothing gets past the zip reader. Program texts have numbers and words changed,
 * the rest bytes. */
#include "fuzz.h"

#include "codec/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("fuzz.pt", data, size);
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Another number in place of one, at a random place of a text; bytes elsewhere. */
static tl_str change_member(tl_arena *arena, fuzz_random *r, tl_str old)
{
    size_t room = old.n + 32, at = fuzz_below(r, old.n + 1), end;
    char *copy = tl_arena_push_raw(arena, room, 1);
    if (!copy)
        return old;
    memcpy(copy, old.p, old.n);
    while (at < old.n && !is_digit(old.p[at]))
        at++;
    if (at >= old.n || fuzz_below(r, 2))
        return (tl_str){copy, LLVMFuzzerMutate((uint8_t *)copy, old.n, room)};
    for (end = at; end < old.n && is_digit(old.p[end]);)
        end++;
    tl_text text;
    tl_text_init(&text, arena);
    tl_text_add_str(&text, (tl_str){old.p, at});
    tl_text_printf(&text, "%lld", (long long)fuzz_number(r, old.p[at] - '0'));
    tl_text_add_str(&text, (tl_str){old.p + end, old.n - end});
    return (tl_str){tl_text_get(&text), text.n};
}

static tl_status write_changed(tl_context *cx, tl_file *file, tl_arena *arena, fuzz_random *r,
                               tl_out *out)
{
    tl_zip zip;
    tl_zip_writer writer;
    tl_zip_writer_init(&writer, cx, out, arena);
    TRY(tl_zip_open(cx, file, arena, &zip));
    size_t target = fuzz_below(r, zip.n);
    for (size_t i = 0; i < zip.n; i++) {
        void *bytes;
        TRY(tl_zip_read(cx, &zip, &zip.v[i], arena, &bytes));
        tl_str content = {bytes, (size_t)zip.v[i].size};
        if (i == target)
            content = change_member(arena, r, content);
        TRY(tl_zip_write(&writer, zip.v[i].name, &(tl_zip_part){content.p, content.n}, 1));
    }
    return tl_zip_finish(&writer);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    fuzz_random r = {seed};
    size_t made = 0;
    tl_context *cx = tl_context_create(NULL, NULL);
    tl_arena arena;
    tl_arena_init(&arena, cx);
    tl_file *file = NULL;
    tl_out *out = NULL;
    if (fuzz_below(&r, 20) && tl_file_open_memory(cx, "seed.pt", data, size, &file) == TL_OK &&
        tl_out_open_memory(cx, &arena, &out) == TL_OK &&
        write_changed(cx, file, &arena, &r, out) == TL_OK) {
        const void *bytes = tl_out_memory(out, &made);
        if (bytes && made <= max_size)
            memcpy(data, bytes, made);
        else
            made = 0;
    }
    if (out)
        tl_out_abort(out);
    if (file)
        tl_file_unref(file);
    tl_arena_release(&arena);
    tl_context_destroy(cx);
    return made ? made : LLVMFuzzerMutate(data, size, max_size);
}
