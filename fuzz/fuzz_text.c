/* Graphs in text form. The mutator works on words: names of ops, numbers, types, values, whole
 * lines. */
#include "fuzz.h"

#include "ir/op.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("fuzz.txt", data, size);
    return 0;
}

/* ---- words ---- */

typedef struct word {
    size_t at, n;
    char sort; /* 'w' letters, '0' number, '%' value, '"' name, 'x' anything else, one character */
} word;

typedef struct words {
    TL_VEC(word) list;
} words;

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static word next_word(const char *p, size_t at, size_t size)
{
    word w = {at, 1, 'x'};
    bool minus = p[at] == '-' && at + 1 < size && p[at + 1] >= '0' && p[at + 1] <= '9';
    if (p[at] == '%' || is_letter(p[at]) || minus) {
        w.sort = p[at] == '%' ? '%' : minus || (p[at] >= '0' && p[at] <= '9') ? '0' : 'w';
        while (at + w.n < size && (is_letter(p[at + w.n]) || (w.sort == '0' && p[at + w.n] == '.')))
            w.n++;
    } else if (p[at] == '"') {
        w.sort = '"';
        while (at + w.n < size && p[at + w.n] != '"' && p[at + w.n] != '\n')
            w.n++;
        w.n += at + w.n < size;
    }
    return w;
}

static const char *random_op(fuzz_random *r)
{
    return tl_op_get((tl_op)fuzz_below(r, TL_OP_COUNT))->name;
}

static const char *random_type(fuzz_random *r)
{
    static const char *const types[] = {"f32", "f16", "f64", "bf16", "i8",   "u8", "i16",
                                        "i32", "i64", "u32", "u64",  "bool", "i4"};
    return types[fuzz_below(r, TL_COUNT(types))];
}

/* ---- changes ---- */

typedef struct edit {
    tl_text out;
    const char *p;
    size_t size;
    words words;
} edit;

static tl_str text_of(const edit *e, const word *w)
{
    return (tl_str){e->p + w->at, w->n};
}

static const word *same_sort(const edit *e, fuzz_random *r, char sort)
{
    for (int i = 0; i < 40; i++) {
        const word *w = &e->words.list.v[fuzz_below(r, e->words.list.n)];
        if (w->sort == sort)
            return w;
    }
    return NULL;
}

/* What stands instead of w. */
static void replace_word(edit *e, fuzz_random *r, const word *w)
{
    tl_str old = text_of(e, w);
    const word *other = same_sort(e, r, w->sort);
    tl_op op;
    tl_dtype dtype;
    int64_t number;
    if (w->sort == 'w' && tl_op_find(old, &op) && fuzz_below(r, 2))
        tl_text_add(&e->out, random_op(r));
    else if (w->sort == 'w' && tl_dtype_find(old, &dtype))
        tl_text_add(&e->out, random_type(r));
    else if (w->sort == '0' && tl_str_to_i64(old, &number) && fuzz_below(r, 3))
        tl_text_printf(&e->out, "%lld", (long long)fuzz_number(r, number));
    else if (other)
        tl_text_add_str(&e->out, text_of(e, other));
}

static void change_word(edit *e, fuzz_random *r)
{
    size_t k = fuzz_below(r, e->words.list.n);
    for (int i = 0; i < 20 && (e->words.list.v[k].sort == 'x' || e->words.list.v[k].sort == '"');
         i++)
        k = fuzz_below(r, e->words.list.n);
    const word *w = &e->words.list.v[k];
    tl_text_add_str(&e->out, (tl_str){e->p, w->at});
    if (fuzz_below(r, 12)) /* else it goes */
        replace_word(e, r, w);
    tl_text_add_str(&e->out, (tl_str){e->p + w->at + w->n, e->size - w->at - w->n});
}

/* The line around a random place. */
static tl_str random_line(const edit *e, fuzz_random *r)
{
    size_t at = fuzz_below(r, e->size), end = at;
    while (at && e->p[at - 1] != '\n')
        at--;
    while (end < e->size && e->p[end] != '\n')
        end++;
    end += end < e->size;
    return (tl_str){e->p + at, end - at};
}

static void change_line(edit *e, fuzz_random *r)
{
    tl_str line = random_line(e, r), other = random_line(e, r);
    size_t kind = fuzz_below(r, 3);
    tl_text_add_str(&e->out, (tl_str){e->p, (size_t)(line.p - e->p)});
    if (kind != 0) /* 0: it goes */
        tl_text_add_str(&e->out, line);
    if (kind == 1)
        tl_text_add_str(&e->out, other);
    size_t rest = (size_t)(line.p - e->p) + line.n;
    tl_text_add_str(&e->out, (tl_str){e->p + rest, e->size - rest});
}

/* A new node before a return: an op on values that are there. */
static void add_node(edit *e, fuzz_random *r)
{
    static const char returns[] = "return ";
    size_t at = fuzz_below(r, e->size);
    while (at + sizeof returns < e->size && memcmp(e->p + at, returns, sizeof returns - 1) != 0)
        at++;
    const word *x = same_sort(e, r, '%'), *y = same_sort(e, r, '%');
    if (at + sizeof returns >= e->size || !x || !y)
        return;
    tl_text_add_str(&e->out, (tl_str){e->p, at});
    tl_text_printf(&e->out, "%%v%u = %s(%.*s", (unsigned)fuzz_below(r, 1000), random_op(r),
                   TL_STR_ARG(text_of(e, x)));
    if (fuzz_below(r, 2))
        tl_text_printf(&e->out, ", %.*s", TL_STR_ARG(text_of(e, y)));
    tl_text_add(&e->out, ")\n  ");
    tl_text_add_str(&e->out, (tl_str){e->p + at, e->size - at});
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    fuzz_random r = {seed};
    if (!size || fuzz_below(&r, 30) == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    tl_context *cx = tl_context_create(NULL, NULL);
    tl_arena arena;
    tl_arena_init(&arena, cx);
    edit e = {.p = tl_arena_copy(&arena, data, size), .size = size};
    tl_text_init(&e.out, &arena);
    for (size_t at = 0; e.p && at < size;) {
        word w = next_word(e.p, at, size);
        if (!tl_vec_push(&arena, &e.words.list, w))
            break;
        at += w.n;
    }
    size_t kind = fuzz_below(&r, 8), made = 0;
    if (!cx->out_of_memory)
        (kind == 0 ? change_line : kind == 1 ? add_node : change_word)(&e, &r);
    if (e.out.n && e.out.n <= max_size)
        memcpy(data, e.out.p, made = e.out.n);
    tl_arena_release(&arena);
    tl_context_destroy(cx);
    return made ? made : LLVMFuzzerMutate(data, size, max_size);
}
