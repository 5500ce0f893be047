/* The text of TorchScript: functions and classes or a refusal. */
#include "fuzz.h"

#include "import/torch/script/script_syntax.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tl_context *cx = fuzz_begin();
    tl_arena arena;
    tl_arena_init(&arena, cx);
    script_file *file;
    tl_str text = {(const char *)data, size};
    tl_status status = script_parse(cx, &arena, "net.pt", TL_STR("code/__torch__.py"),
                                    TL_STR("__torch__"), text, &file);
    fuzz_check_status(cx, status, "parse");
    if (cx->out_of_memory)
        fuzz_broken("%zu bytes want too much memory", size);
    tl_arena_release(&arena);
    fuzz_end(cx);
    return 0;
}
