/* Pickles: plain data or a refusal, whatever the bytes. What comes back is walked, no further than memory that was
 * there for it: objects may hold each other. */
#include "fuzz.h"

#include "codec/pickle.h"

static unsigned walk(const tl_pickle *p, int depth, unsigned *budget)
{
    unsigned sum = (unsigned)p->kind;
    if (!depth || !*budget)
        return sum;
    --*budget;
    switch (p->kind) {
    case TL_PICKLE_TEXT:
    case TL_PICKLE_BYTES:
        for (size_t i = 0; i < p->s.n; i++)
            sum += (uint8_t)p->s.p[i];
        break;
    case TL_PICKLE_LIST:
    case TL_PICKLE_TUPLE:
    case TL_PICKLE_SET:
    case TL_PICKLE_DICT:
        for (size_t i = 0; i < p->n; i++)
            sum += walk(p->items[i], depth - 1, budget);
        break;
    case TL_PICKLE_OBJECT:
        sum += p->args ? walk(p->args, depth - 1, budget) : 0;
        sum += p->state ? walk(p->state, depth - 1, budget) : 0;
        break;
    case TL_PICKLE_TENSOR:
        for (int i = 0; i < p->tensor->rank; i++)
            sum += (unsigned)p->tensor->shape[i] + (unsigned)p->tensor->stride[i];
        break;
    default:
        break;
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tl_context *cx = fuzz_begin();
    tl_arena arena;
    tl_arena_init(&arena, cx);
    const tl_pickle *root;
    size_t used = 0;
    tl_status status = tl_pickle_read(cx, "fuzz.pkl", data, size, &arena, &root, &used);
    fuzz_check_status(cx, status, "read");
    if (cx->out_of_memory)
        fuzz_broken("%zu bytes want too much memory", size);
    unsigned budget = 10000;
    if (status == TL_OK && (used > size || walk(root, 50, &budget) == 0xffffffffu))
        fuzz_broken("%zu of %zu bytes", used, size);
    tl_arena_release(&arena);
    fuzz_end(cx);
    return 0;
}
