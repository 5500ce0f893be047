/* What a program keeps from one run to the next: buffers that it writes, attributes that it assigns after it
 * read them, elements of lists and dicts in attributes that it replaces.
 * Which these are is known after it ran; it is run again then, with them as inputs. State begins as zeros;
 * where a buffer does not, one more hidden input tells the first run. */
#include "import/torch/script/script_private.h"

script_state *script_find_state(script_eval *ev, tl_str path)
{
    for (size_t i = 0; i < ev->n_states; i++)
        if (tl_str_equal(ev->states[i].path, path))
            return &ev->states[i];
    return NULL;
}

static bool is_zero(const tl_value *v)
{
    double x;
    return v->constant && tl_const_is_splat(v->constant, &x) && x == 0;
}

/* Small buffers may be read to see what they hold. */
static bool begins_with_zeros(script_eval *ev, const tl_value *v)
{
    if (is_zero(v))
        return true;
    if (!v->constant || tl_const_size(v->constant) > TL_CONST_SMALL)
        return false;
    const double *x = tl_const_load_f64(ev->cx, v->constant, ev->arena);
    for (int64_t i = 0; x && i < tl_const_count(v->constant); i++)
        if (x[i] != 0)
            return false;
    return x != NULL;
}

tl_value *script_state_input(script_eval *ev, script_state *state, tl_value *begin)
{
    tl_graph *graph = ev->env.scope->b.graph;
    if (state->input)
        return state->input;
    tl_value *input = tl_graph_add_input(graph, begin->fact.type, state->path);
    state->input = input;
    if (begins_with_zeros(ev, begin))
        return input;
    if (!ev->started)
        ev->started = tl_graph_add_input(graph, (tl_type){.dtype = TL_BOOL}, TL_STR("started"));
    return tl_build3(&ev->env.scope->b, TL_OP_where, ev->started, input, begin, NULL);
}

/* ---- places ---- */

static tl_str part_path(script_eval *ev, tl_str path, tl_str name)
{
    return tl_str_from(tl_arena_printf(ev->arena, "%.*s%s%.*s", TL_STR_ARG(path), path.n ? "." : "",
                                       TL_STR_ARG(name)));
}

script_value script_begin_at(script_eval *ev, tl_str path, script_value x)
{
    script_state *state = script_find_state(ev, path);
    if (!state || !state->is_place || state->is_dead)
        return x;
    if (x.kind == SCRIPT_TENSOR) {
        aten_tensor *t =
            aten_tensor_new(&ev->env, script_state_input(ev, state, script_read(ev, x)));
        t->is_complex = x.t->is_complex;
        return script_tensor(t);
    }
    if (!script_is_number(x))
        return x;
    tl_value *begin = script_as_scalar(ev, x);
    if (x.kind == SCRIPT_FLOAT)
        begin = tl_build_scalar(ev->model, TL_F32, x.f);
    return script_from_value(ev, x.kind, script_state_input(ev, state, begin));
}

void script_begin_attrs(script_eval *ev, script_object *object)
{
    tl_str path = object->path;
    for (size_t i = 0; i < ev->n_states; i++) {
        tl_str name = ev->states[i].path;
        if (path.n &&
            !(name.n > path.n && memcmp(name.p, path.p, path.n) == 0 && name.p[path.n] == '.'))
            continue;
        name = path.n ? (tl_str){name.p + path.n + 1, name.n - path.n - 1} : name;
        const script_value *value = script_get_attr(object, name);
        if (value)
            (void)script_set_attr(ev->arena, object, name,
                                  script_begin_at(ev, ev->states[i].path, *value));
    }
}

/* ---- what a run does to places ---- */

static script_kept *find_kept(script_eval *ev, const script_object *object, tl_str name)
{
    for (size_t i = 0; i < ev->assigned.n; i++)
        if (ev->assigned.v[i].object == object && tl_str_equal(ev->assigned.v[i].name, name))
            return &ev->assigned.v[i];
    return NULL;
}

/* Only what is read before it is assigned reaches from one run into the next. Branches and loops are run more
 * than once, so the value tells, not the order. */
void script_note_read(script_eval *ev, script_object *object, tl_str name, script_value value)
{
    static char yes;
    const script_kept *kept = object->born ? NULL : find_kept(ev, object, name);
    if (!object->born && (!kept || script_same(kept->begin, value)))
        (void)tl_map_put(&object->read, name, &yes);
}

void script_note_assigned(script_eval *ev, script_object *object, tl_str name)
{
    const script_value *begin = script_get_attr(object, name);
    if (object->born || find_kept(ev, object, name)) /* others end with the run */
        return;
    script_kept kept = {.object = object, .name = name, .begin = begin ? *begin : script_none()};
    (void)tl_vec_push(ev->arena, &ev->assigned, kept);
}

void script_note_touched(script_eval *ev, tl_str path, script_value container)
{
    if (find_kept(ev, NULL, path))
        return;
    script_kept kept = {.name = path, .now = container};
    if (container.kind == SCRIPT_DICT) {
        kept.begin = script_make_dict(ev);
        for (size_t i = 0; kept.begin.kind == SCRIPT_DICT && i < container.dict->keys.n; i++)
            (void)script_dict_set(ev->arena, kept.begin.dict, container.dict->keys.v[i],
                                  container.dict->items.v[i]);
    } else {
        kept.begin =
            script_make_list(ev, SCRIPT_LIST, container.list->items.v, container.list->items.n);
    }
    (void)tl_vec_push(ev->arena, &ev->assigned, kept);
}

/* ---- what is kept ---- */

typedef TL_VEC(script_state) state_list;

static void add_state(script_eval *ev, state_list *states, script_state state)
{
    const script_state *known = script_find_state(ev, state.path);
    if (known && known->is_dead)
        return;
    for (size_t i = 0; i < states->n; i++) {
        if (!tl_str_equal(states->v[i].path, state.path))
            continue;
        states->v[i] = state;
        return;
    }
    (void)tl_vec_push(ev->arena, states, state);
}

static void refuse(script_eval *ev, tl_str path, script_value begin, script_value now)
{
    tl_where where = {.file = tl_file_name(ev->archive->file)};
    bool same_kind = begin.kind == now.kind;
    (void)tl_fail(
        ev->cx, TL_U006, &where,
        "%.*s is kept from one run to the next, but %s%s%s%s; a state has one type and shape",
        TL_STR_ARG(path), same_kind ? "changes its size or type: " : "begins as ",
        script_kind_name(begin), same_kind ? "" : " and becomes ",
        same_kind ? "" : script_kind_name(now));
}

static bool same_shape(script_eval *ev, const tl_type *a, const tl_type *b)
{
    bool same = a->dtype == b->dtype && a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++)
        same = tl_dim_equal(ev->dims, a->dims[i], b->dims[i]) == TL_YES;
    return same;
}

/* Two values of one place as states, part by part. depth bounds lists in lists. */
static void add_places(script_eval *ev, state_list *states, tl_str path, script_value begin,
                       script_value now, int depth)
{
    const script_value *a, *b;
    size_t n, k;
    if (script_same(begin, now) || now.kind == SCRIPT_UNKNOWN)
        return;
    if (begin.kind == SCRIPT_TENSOR && now.kind == SCRIPT_TENSOR) {
        tl_value *was = script_read(ev, begin), *v = script_read(ev, now);
        if (was == v) /* another handle of the same contents */
            return;
        if (same_shape(ev, &was->fact.type, &v->fact.type))
            add_state(ev, states, (script_state){.path = path, .is_place = true, .output = v});
        else
            refuse(ev, path, begin, now);
        return;
    }
    if (script_is_number(begin) && begin.kind == now.kind) {
        tl_value *v = script_as_scalar(ev, now);
        add_state(ev, states, (script_state){.path = path, .is_place = true, .output = v});
        return;
    }
    bool alike = begin.kind == now.kind && depth < 16 && script_items(ev, begin, &a, &n) &&
                 script_items(ev, now, &b, &k) && n == k;
    if (!alike) {
        refuse(ev, path, begin, now);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        char index[24];
        (void)snprintf(index, sizeof(index), "%zu", i);
        tl_str name = tl_str_copy(ev->arena, tl_str_from(index));
        bool dict = begin.kind == SCRIPT_DICT;
        if (dict && (!script_same(a[i], b[i]) || a[i].kind != SCRIPT_STR)) {
            refuse(ev, path, begin, now);
            return;
        }
        add_places(ev, states, part_path(ev, path, dict ? a[i].s : name),
                   dict ? begin.dict->items.v[i] : a[i], dict ? now.dict->items.v[i] : b[i],
                   depth + 1);
    }
}

static void add_kept(script_eval *ev, state_list *states, const script_kept *kept)
{
    if (!kept->object) {
        add_places(ev, states, kept->name, kept->begin, kept->now, 0);
        return;
    }
    const script_value *now = script_get_attr(kept->object, kept->name);
    if (now && tl_map_has(&kept->object->read, kept->name))
        add_places(ev, states, part_path(ev, kept->object->path, kept->name), kept->begin, *now, 0);
}

script_state *script_collect_states(script_eval *ev, size_t *n)
{
    aten_storage **written;
    state_list states = {0};
    size_t n_written = aten_journal_written(&ev->env, 0, &written);
    for (size_t i = 0; i < n_written; i++)
        if (written[i]->buffer.n)
            add_state(ev, &states,
                      (script_state){.path = written[i]->buffer, .output = written[i]->value});
    for (size_t i = 0; i < ev->assigned.n; i++)
        add_kept(ev, &states, &ev->assigned.v[i]);
    for (size_t i = 0; ev->n_states && i < states.n; i++) {
        const script_state *known = script_find_state(ev, states.v[i].path);
        tl_where where = {.file = tl_file_name(ev->archive->file)};
        if (!known || !known->input)
            (void)tl_fail(
                ev->cx, TL_U006, &where,
                "%.*s is kept from one run to the next where it is no attribute of a module",
                TL_STR_ARG(states.v[i].path));
    }
    *n = states.n;
    return tl_vec_reserve(ev->arena, &states, 1) ? states.v : NULL;
}

/* ---- states that nothing depends on ---- */

static void need(tl_map *needed, tl_value *v)
{
    if (v && v->graph)
        (void)tl_map_put_id(needed, (uint64_t)v->id + 1, v);
}

static bool is_needed(const tl_map *needed, const tl_value *v)
{
    return v && tl_map_find_id(needed, (uint64_t)v->id + 1) != NULL;
}

/* What the needed values are computed from, in the graph around every other. */
static void need_operands(tl_map *needed, const tl_graph *graph)
{
    for (tl_node *node = graph->last->prev; node; node = node->prev) {
        bool used = false;
        for (uint32_t i = 0; i < node->n_out; i++)
            used |= is_needed(needed, node->out[i]);
        for (uint32_t i = 0; used && i < node->n_in; i++)
            need(needed, node->in[i].value);
    }
}

/* Such as "was a warning given": the program reads and sets it, and no result tells. */
void script_find_dead_states(script_eval *ev, tl_value *const *outputs, size_t n_outputs,
                             script_state *states, size_t n_states)
{
    tl_map needed;
    bool more = true;
    tl_map_init(&needed, ev->arena);
    for (size_t i = 0; i < n_outputs; i++)
        need(&needed, outputs[i]);
    for (size_t i = 0; i < n_states; i++)
        states[i].is_dead = true;
    while (more) {
        more = false;
        need_operands(&needed, ev->env.scope->b.graph);
        for (size_t i = 0; i < n_states; i++) {
            const script_state *known = script_find_state(ev, states[i].path);
            if (!states[i].is_dead || !known || !is_needed(&needed, known->input))
                continue;
            states[i].is_dead = false;
            more = true;
            need(&needed, states[i].output);
        }
    }
}
