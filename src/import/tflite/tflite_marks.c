/* Reads the text of tfl/marks.h. Nothing in it is trusted: a record that does not fit is skipped,
 * and sizes are taken only when they agree with what the schema says. */
#include "import/tflite/tflite_reader.h"
#include "tfl/marks.h"

#define MAX_MARKS (UINT64_C(1) << 28)

static uint64_t place_key(uint32_t subgraph, uint32_t index)
{
    return (uint64_t)subgraph << 32 | index;
}

static bool next_index(tl_str *line, uint32_t *index)
{
    int64_t value;
    if (!tl_marks_next_int(line, &value) || value < 0 || value > INT32_MAX)
        return false;
    *index = (uint32_t)value;
    return true;
}

static void read_symbol(tfl_reader *r, tl_str line)
{
    tl_str name;
    int64_t lo, hi, hint;
    if (!tl_marks_next(&line, r->arena, &name) || !tl_marks_next_int(&line, &lo) ||
        !tl_marks_next_int(&line, &hi) || !tl_marks_next_int(&line, &hint))
        return;
    if (name.n && tl_str_is_utf8(name) && lo >= 0 && lo <= hi && hint >= 0 &&
        !tl_dims_find_symbol(r->model->dims, name))
        (void)tl_dims_symbol(r->model->dims, name, (tl_interval){lo, hi}, hint);
}

static void read_entry_mark(tfl_reader *r, tl_str line)
{
    tfl_entry_mark mark;
    uint32_t n_shown;
    if (!next_index(&line, &mark.subgraph) || !next_index(&line, &n_shown) ||
        !tl_marks_next(&line, r->arena, &mark.name))
        return;
    mark.n_shown = n_shown;
    (void)tl_vec_push(&r->scratch, &r->marks.entries, mark);
}

/* Keeps the rest of a line for the tensor that its first two words name. */
static void keep_line(tfl_reader *r, tl_map *map, tl_str line)
{
    uint32_t subgraph, tensor;
    if (!next_index(&line, &subgraph) || !next_index(&line, &tensor))
        return;
    tl_str *rest = tl_arena_copy(&r->scratch, &line, sizeof line);
    if (rest)
        (void)tl_map_put_id(map, place_key(subgraph, tensor), rest);
}

static void read_origin(tfl_reader *r, tl_str line)
{
    tl_origin origin = {0};
    TL_VEC(tl_str) frames = {0};
    uint32_t also;
    if (!tl_marks_next(&line, &r->scratch, &origin.node) ||
        !tl_marks_next(&line, &r->scratch, &origin.op) ||
        !tl_marks_next(&line, &r->scratch, &origin.module) || !next_index(&line, &also))
        return;
    for (tl_str frame; tl_marks_next(&line, &r->scratch, &frame);)
        if (!tl_vec_push(&r->scratch, &frames, frame))
            return;
    origin.frames = frames.v;
    origin.n_frames = frames.n;
    origin.also = also && also <= r->marks.origins.n ? r->marks.origins.v[also - 1] : NULL;
    (void)tl_vec_push(&r->scratch, &r->marks.origins, tl_origin_make(r->model, &origin));
}

static void read_from(tfl_reader *r, tl_str line)
{
    uint32_t subgraph, k, number;
    if (!next_index(&line, &subgraph) || !next_index(&line, &k) || !next_index(&line, &number) ||
        number > r->marks.origins.n)
        return;
    const tl_origin **place = TL_NEW(&r->scratch, const tl_origin *);
    if (!place)
        return;
    *place = number ? r->marks.origins.v[number - 1] : NULL;
    (void)tl_map_put_id(&r->marks.from, place_key(subgraph, k), place);
}

static void read_line(tfl_reader *r, tl_str line)
{
    tl_str kind;
    if (!tl_str_split(&line, ' ', &kind))
        return;
    if (tl_str_is(kind, "symbol"))
        read_symbol(r, line);
    else if (tl_str_is(kind, "entry"))
        read_entry_mark(r, line);
    else if (tl_str_is(kind, "dims"))
        keep_line(r, &r->marks.dims, line);
    else if (tl_str_is(kind, "mark"))
        keep_line(r, &r->marks.values, line);
    else if (tl_str_is(kind, "origin"))
        read_origin(r, line);
    else if (tl_str_is(kind, "from"))
        read_from(r, line);
}

/* The buffer of the metadata entry of that name, or NULL. */
static const tfl_buffer *find_metadata(tfl_reader *r, const char *name)
{
    tl_fb_vector vec = tl_fb_vec(&r->fb, r->root, TL_MODEL_METADATA, 4);
    for (uint32_t i = 0; i < vec.n && tl_fb_status(&r->fb) == TL_OK; i++) {
        tl_fb_table table = tl_fb_vec_table(&r->fb, vec, i);
        uint32_t buffer = tl_fb_u32(&r->fb, table, TL_METADATA_BUFFER, 0);
        if (tl_str_is(tl_fb_string(&r->fb, table, TL_METADATA_NAME), name) && buffer < r->n_buffers)
            return &r->buffers[buffer];
    }
    return NULL;
}

tl_status tfl_read_marks(tfl_reader *r)
{
    tl_map_init(&r->marks.dims, &r->scratch);
    tl_map_init(&r->marks.values, &r->scratch);
    tl_map_init(&r->marks.from, &r->scratch);
    const tfl_buffer *buffer = find_metadata(r, TL_MARKS_NAME);
    TRY(tl_fb_status(&r->fb));
    if (!buffer || buffer->size > MAX_MARKS)
        return TL_OK;
    size_t size = (size_t)buffer->size;
    char *text = tl_arena_push_raw(&r->scratch, size + 1, 1);
    if (!text)
        return tl_context_status(r->cx);
    TRY(tl_file_read(r->cx, r->file, buffer->offset, text, size));
    tl_str rest = {text, size}, line;
    if (!tl_str_split(&rest, '\n', &line) || !tl_str_is(line, TL_MARKS_FIRST))
        return TL_OK;
    r->marks.present = true;
    while (tl_str_split(&rest, '\n', &line))
        read_line(r, line);
    return r->cx->out_of_memory ? tl_context_status(r->cx) : TL_OK;
}

/* Sizes of input t; false when there are none that agree with its declaration. */
static bool marked_dims(const tfl_scope *s, uint32_t t, const tl_dim **dims)
{
    tfl_reader *r = s->r;
    const tfl_tensor *tensor = &s->tensors[t];
    const tl_str *found = tl_map_find_id(&r->marks.dims, place_key(s->subgraph, t));
    tl_str line = found ? *found : (tl_str){0}, word;
    for (int i = 0; i < tensor->rank; i++) {
        int64_t size, declared = tensor->signature[i];
        if (!found && declared >= 0) {
            dims[i] = tl_dim_const(r->model->dims, declared);
            continue;
        }
        if (!tl_marks_next(&line, &r->scratch, &word))
            return false;
        dims[i] = tl_dim_parse(r->model->dims, word, false);
        if (!dims[i] || dims[i]->range.hi < 0)
            return false;
        if (tl_dim_is_const(dims[i], &size) ? size != declared : declared >= 0)
            return false;
    }
    return !line.p;
}

/* Every symbol of d is in born. */
static bool born_in(const tl_dim *d, const tl_map *born)
{
    for (uint32_t i = 0; i < d->n_symbols; i++)
        if (!tl_map_find_id(born, (uint64_t)d->symbols[i]->id + 1))
            return false;
    return true;
}

bool tfl_marked_types(tfl_scope *s, tl_type *types)
{
    tfl_reader *r = s->r;
    tl_map born; /* symbols that stand alone on an axis, which gives them their value */
    tl_map_init(&born, &r->scratch);
    for (uint32_t i = 0; i < s->n_inputs; i++) {
        const tfl_tensor *tensor = &s->tensors[s->inputs[i]];
        const tl_dim *dims[TL_MAX_RANK];
        if (tensor->refusal || !marked_dims(s, (uint32_t)s->inputs[i], dims))
            return false;
        types[i] = tl_type_make(r->arena, tensor->dtype, tensor->rank, dims);
        types[i].quant = tensor->quant;
        for (int k = 0; k < tensor->rank; k++)
            if (dims[k]->kind == TL_DIM_SYMBOL && !dims[k]->symbol->born)
                (void)tl_map_put_id(&born, (uint64_t)dims[k]->symbol->id + 1, r);
    }
    for (uint32_t i = 0; i < s->n_inputs; i++)
        for (int k = 0; k < types[i].rank; k++)
            if (!born_in(types[i].dims[k], &born))
                return false;
    return true;
}

/* "2,0,1" or "-": a permutation of rank numbers. */
static bool parse_perm(tl_str word, int rank, int *perm, bool *identity)
{
    unsigned seen = 0;
    *identity = tl_str_is(word, "-");
    if (*identity)
        return true;
    for (int i = 0; i < rank; i++) {
        tl_str part;
        int64_t axis;
        if (!tl_str_split(&word, ',', &part) || !tl_str_to_i64(part, &axis) || axis < 0 ||
            axis >= rank || (seen >> axis & 1))
            return false;
        seen |= 1u << axis;
        perm[i] = (int)axis;
    }
    return !word.p;
}

void tfl_mark_value(tfl_reader *r, uint32_t subgraph, uint32_t t, tl_value *value)
{
    const tl_str *found = tl_map_find_id(&r->marks.values, place_key(subgraph, t));
    if (!found || value->poison || !value->graph)
        return;
    tl_str line = *found, kind, perm_word;
    int perm[TL_MAX_RANK];
    bool identity;
    tl_mark mark = {.rank = value->fact.type.rank};
    if (!tl_marks_next(&line, &r->scratch, &kind) ||
        !tl_marks_next(&line, &r->scratch, &perm_word) ||
        !tl_marks_next(&line, &r->scratch, &mark.name) ||
        !parse_perm(perm_word, mark.rank, perm, &identity))
        return;
    mark.exact = tl_str_is(kind, "exact");
    mark.perm = identity ? NULL : perm;
    tl_value_set_mark(value, &mark);
}

void tfl_marked_origin(const tfl_reader *r, uint32_t subgraph, uint32_t k, const tl_origin **origin)
{
    const tl_origin *const *found = tl_map_find_id(&r->marks.from, place_key(subgraph, k));
    if (found)
        *origin = *found;
}
