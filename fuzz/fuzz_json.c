/* JSON: a tree or a refusal. A tree has no more nodes than the text has bytes. */
#include "fuzz.h"

#include "codec/json_tree.h"

static size_t count_nodes(const tl_json_node *node)
{
    size_t n = 1;
    for (size_t i = 0; i < tl_json_count(node); i++) {
        n += count_nodes(&node->items[i]);
        if (node->keys && node->keys[i].n && !node->keys[i].p)
            fuzz_broken("a key without text");
    }
    (void)tl_json_as_int(node, 0);
    (void)tl_json_as_float(node, 0);
    return n + (tl_json_as_text(node).n > SIZE_MAX / 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tl_context *cx = fuzz_begin();
    tl_arena arena;
    tl_arena_init(&arena, cx);
    const tl_json_node *root;
    tl_str text = {(const char *)data, size};
    tl_status status = tl_json_parse(cx, "fuzz.json", text, &arena, &root);
    fuzz_check_status(cx, status, "parse");
    if (cx->out_of_memory)
        fuzz_broken("%zu bytes want too much memory", size);
    if (status == TL_OK && count_nodes(root) > size)
        fuzz_broken("more nodes than bytes");
    tl_arena_release(&arena);
    fuzz_end(cx);
    return 0;
}
