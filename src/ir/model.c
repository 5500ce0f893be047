/* Models: creation, entries, files, interned origins. */
#include "ir/graph_private.h"

/* Outputs that the stand-in node offers: more than any node that is built without memory being out.
 */
#define POISON_OUTPUTS 1024

/* The stand-ins of build.h for when memory is out. */
static bool make_stand_ins(tl_model *model)
{
    tl_value *value = TL_NEW(model->arena, tl_value);
    tl_node *node = TL_NEW(model->arena, tl_node);
    tl_value **out = TL_NEW_ARRAY(model->arena, tl_value *, POISON_OUTPUTS);
    const tl_dim **dims = TL_NEW_ARRAY(model->arena, const tl_dim *, TL_MAX_RANK + 1);
    const tl_dim *one = tl_dim_const(model->dims, 1);
    if (!value || !node || !out || !dims || !one)
        return false;
    for (size_t i = 0; i <= TL_MAX_RANK; i++)
        dims[i] = one;
    value->fact.type.dims = dims + 1; /* who expects a rank, or a last axis, finds sizes */
    value->model = model;
    value->poison = true;
    value->fact.type.dtype = TL_F32;
    value->fact.range = TL_INTERVAL_ALL;
    for (size_t i = 0; i < POISON_OUTPUTS; i++)
        out[i] = value;
    *node = (tl_node){.op = TL_OP_poison,
                      .attrs = tl_attrs_default(TL_ATTRS_none),
                      .out = out,
                      .n_out = POISON_OUTPUTS};
    model->poison = value;
    model->poison_node = node;
    model->spare = tl_graph_new(model, TL_STR("spare"));
    node->graph = model->spare;
    return model->spare != NULL;
}

tl_model *tl_model_new(tl_context *cx, tl_arena *arena)
{
    tl_model *model = TL_NEW(arena, tl_model);
    if (!model)
        return NULL;
    model->cx = cx;
    model->arena = arena;
    model->legal = TL_LEGAL_CORE;
    model->dims = tl_dims_new(arena);
    tl_map_init(&model->origins, arena);
    return model->dims && make_stand_ins(model) ? model : NULL;
}

void tl_model_release(tl_model *model)
{
    for (size_t i = 0; i < model->files.n; i++)
        tl_file_unref(model->files.v[i]);
    model->files.n = 0;
}

tl_status tl_model_add_file(tl_model *model, tl_file *file)
{
    for (size_t i = 0; i < model->files.n; i++)
        if (model->files.v[i] == file)
            return TL_OK;
    if (!tl_vec_push(model->arena, &model->files, file))
        return tl_context_status(model->cx);
    tl_file_ref(file);
    return TL_OK;
}

static const tl_str *copy_names(tl_arena *arena, const tl_str *names, size_t n)
{
    tl_str *copy = TL_NEW_ARRAY(arena, tl_str, n + 1);
    for (size_t i = 0; copy && i < n; i++)
        copy[i] = tl_str_copy(arena, names[i]);
    return copy;
}

static bool is_among(tl_str name, const tl_str *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (tl_str_equal(names[i], name))
            return true;
    return false;
}

/* Copies of the names; that of a state, the same on both sides, gives way to those before it. */
static bool name_entry(tl_arena *arena, tl_entry *entry, const tl_str *in_names,
                       const tl_str *out_names)
{
    tl_str *in = TL_NEW_ARRAY(arena, tl_str, entry->n_in + entry->n_state + 1);
    tl_str *out = TL_NEW_ARRAY(arena, tl_str, entry->n_out + entry->n_state + 1);
    if (!in || !out)
        return false;
    for (size_t i = 0; i < entry->n_in; i++)
        in[i] = tl_str_copy(arena, in_names[i]);
    for (size_t i = 0; i < entry->n_out; i++)
        out[i] = tl_str_copy(arena, out_names[i]);
    for (size_t i = 0; i < entry->n_state; i++) {
        tl_str name = tl_str_copy(arena, in_names[entry->n_in + i]);
        while (name.n &&
               (is_among(name, in, entry->n_in + i) || is_among(name, out, entry->n_out + i)))
            name = tl_str_from(tl_arena_printf(arena, "%.*s.state", TL_STR_ARG(name)));
        in[entry->n_in + i] = out[entry->n_out + i] = name;
    }
    entry->in_names = in;
    entry->out_names = out;
    return true;
}

tl_status tl_model_add_entry(tl_model *model, tl_str name, tl_graph *graph, const tl_str *in_names,
                             const tl_str *out_names, size_t n_state)
{
    size_t n_in = graph->inputs.n, n_out = tl_graph_n_outputs(graph);
    if (n_state > n_in || n_state > n_out)
        return tl_bug(model->cx, "entry %.*s has %zu states, %zu inputs and %zu outputs",
                      TL_STR_ARG(name), n_state, n_in, n_out);
    tl_entry entry = {.name = tl_str_copy(model->arena, name),
                      .graph = graph,
                      .n_in = n_in - n_state,
                      .n_out = n_out - n_state,
                      .n_state = n_state};
    entry.in_last = TL_NEW_ARRAY(model->arena, bool, entry.n_in + 1);
    entry.out_last = TL_NEW_ARRAY(model->arena, bool, entry.n_out + 1);
    if (!entry.in_last || !entry.out_last ||
        !name_entry(model->arena, &entry, in_names, out_names) ||
        !tl_vec_push(model->arena, &model->entries, entry))
        return tl_context_status(model->cx);
    return TL_OK;
}

/* `old` with n more that are false. */
static bool *longer(tl_arena *arena, const bool *old, size_t n_old, size_t n)
{
    bool *made = TL_NEW_ARRAY(arena, bool, n_old + n + 1);
    for (size_t i = 0; made && i < n_old; i++)
        made[i] = old[i];
    return made;
}

tl_status tl_entry_show_state(tl_model *model, tl_entry *entry)
{
    size_t n = entry->n_state;
    entry->in_last = longer(model->arena, entry->in_last, entry->n_in, n);
    entry->out_last = longer(model->arena, entry->out_last, entry->n_out, n);
    entry->n_in += n;
    entry->n_out += n;
    entry->n_shown += n;
    entry->n_state = 0;
    return tl_context_status(model->cx);
}

void tl_entry_hide_state(tl_entry *entry)
{
    entry->n_in -= entry->n_shown;
    entry->n_out -= entry->n_shown;
    entry->n_state += entry->n_shown;
    entry->n_shown = 0;
}

tl_entry *tl_model_find_entry(const tl_model *model, tl_str name)
{
    for (size_t i = 0; i < model->entries.n; i++)
        if (tl_str_equal(model->entries.v[i].name, name))
            return &model->entries.v[i];
    return NULL;
}

/* ---- origins ---- */

typedef struct interned_origin {
    tl_origin origin;
    const struct interned_origin *next; /* of the same hash */
} interned_origin;

static uint64_t origin_hash(const tl_origin *origin)
{
    uint64_t hash = tl_str_hash(origin->node);
    hash = tl_hash_combine(hash, tl_str_hash(origin->op));
    hash = tl_hash_combine(hash, tl_str_hash(origin->module));
    for (size_t i = 0; i < origin->n_frames; i++)
        hash = tl_hash_combine(hash, tl_str_hash(origin->frames[i]));
    return origin->also ? tl_hash_combine(hash, origin_hash(origin->also)) : hash;
}

static bool origin_same(const tl_origin *a, const tl_origin *b)
{
    if (a == b)
        return true;
    if (!a || !b || a->n_frames != b->n_frames || !tl_str_equal(a->node, b->node) ||
        !tl_str_equal(a->op, b->op) || !tl_str_equal(a->module, b->module))
        return false;
    for (size_t i = 0; i < a->n_frames; i++)
        if (!tl_str_equal(a->frames[i], b->frames[i]))
            return false;
    return origin_same(a->also, b->also);
}

const tl_origin *tl_origin_make(tl_model *model, const tl_origin *origin)
{
    if (!origin)
        return NULL;
    uint64_t hash = origin_hash(origin);
    const interned_origin *first = tl_map_find_id(&model->origins, hash);
    for (const interned_origin *i = first; i; i = i->next)
        if (origin_same(&i->origin, origin))
            return &i->origin;
    tl_arena *arena = model->arena;
    interned_origin *made = TL_NEW(arena, interned_origin);
    if (!made)
        return NULL;
    made->next = first;
    made->origin = (tl_origin){.node = tl_str_copy(arena, origin->node),
                               .op = tl_str_copy(arena, origin->op),
                               .module = tl_str_copy(arena, origin->module),
                               .frames = copy_names(arena, origin->frames, origin->n_frames),
                               .n_frames = origin->n_frames,
                               .also = tl_origin_make(model, origin->also)};
    if (!made->origin.frames || !tl_map_put_id(&model->origins, hash, made))
        return NULL;
    return &made->origin;
}

tl_where tl_origin_where(const tl_model *model, const tl_origin *origin)
{
    tl_arena *arena = &model->cx->arena;
    tl_where where = {0};
    const char **context = NULL;
    if (model->source_name.n)
        where.file = tl_arena_strndup(arena, model->source_name.p, model->source_name.n);
    if (!origin)
        return where;
    context = TL_NEW_ARRAY(arena, const char *, origin->n_frames + 1);
    where.context = context;
    if (origin->n_frames) {
        where.place = tl_str_copy(arena, origin->frames[0]).p;
        for (size_t i = 1; context && i < origin->n_frames; i++)
            context[where.n_context++] =
                tl_arena_printf(arena, "called from %.*s", TL_STR_ARG(origin->frames[i]));
    } else if (origin->node.n) {
        where.place = tl_arena_printf(arena, "node %.*s (%.*s)", TL_STR_ARG(origin->node),
                                      TL_STR_ARG(origin->op));
    } else if (origin->op.n) {
        where.place = tl_arena_printf(arena, "node (%.*s)", TL_STR_ARG(origin->op));
    }
    if (context && origin->module.n)
        context[where.n_context++] =
            tl_arena_printf(arena, "module %.*s", TL_STR_ARG(origin->module));
    return where;
}
