/* What a program changes, and how it is taken back. */
#include "import/torch/script/script_private.h"

static bool journals(const script_eval *ev)
{
    return ev->mark != SIZE_MAX;
}

static void push_change(script_eval *ev, script_change change)
{
    (void)tl_vec_push(ev->arena, &ev->changes, change);
}

/* ---- changing ---- */

script_slot *script_find_slot(script_eval *ev, tl_str name)
{
    script_slot *slot = tl_map_find(&ev->frame->names, name);
    if (slot)
        return slot;
    slot = TL_NEW(ev->arena, script_slot);
    if (slot) {
        slot->name = name;
        (void)tl_map_put(&ev->frame->names, name, slot);
    }
    return slot;
}

void script_set_slot(script_eval *ev, script_slot *slot, script_value value)
{
    if (!slot)
        return;
    if (journals(ev))
        push_change(ev, (script_change){.kind = SCRIPT_CHANGE_NAME,
                                        .slot = slot,
                                        .set = slot->set,
                                        .value = slot->value});
    slot->set = true;
    slot->value = value;
}

void script_assign_attr(script_eval *ev, script_object *object, tl_str name, script_value value)
{
    const script_value *before = script_get_attr(object, name);
    script_note_assigned(ev, object, name);
    if (journals(ev) && object->born < ev->mark)
        push_change(ev, (script_change){.kind = SCRIPT_CHANGE_ATTR,
                                        .object = object,
                                        .attr = name,
                                        .set = before != NULL,
                                        .value = before ? *before : script_none()});
    (void)script_set_attr(ev->arena, object, name, value);
}

/* A copy whose items are its own. */
static script_list copy_list(script_eval *ev, const script_list *list)
{
    script_list copy = *list;
    copy.items.v = NULL;
    copy.items.n = copy.items.cap = 0;
    if (tl_vec_reserve(ev->arena, &copy.items, list->items.n)) {
        for (size_t i = 0; i < list->items.n; i++)
            copy.items.v[i] = list->items.v[i];
        copy.items.n = list->items.n;
    }
    return copy;
}

static script_dict copy_dict(script_eval *ev, const script_dict *dict)
{
    script_dict copy = {.saved = dict->saved};
    for (size_t i = 0; i < dict->keys.n; i++) {
        (void)tl_vec_push(ev->arena, &copy.keys, dict->keys.v[i]);
        (void)tl_vec_push(ev->arena, &copy.items, dict->items.v[i]);
    }
    return copy;
}

void script_touch_list(script_eval *ev, script_list *list)
{
    if (list->path.n)
        script_note_touched(ev, list->path, (script_value){.kind = SCRIPT_LIST, .list = list});
    if (!journals(ev) || list->saved >= ev->mark)
        return;
    push_change(ev, (script_change){.kind = SCRIPT_CHANGE_LIST,
                                    .list = list,
                                    .set = true,
                                    .list_before = copy_list(ev, list)});
    list->saved = ev->clock;
}

void script_touch_dict(script_eval *ev, script_dict *dict)
{
    if (dict->path.n)
        script_note_touched(ev, dict->path, (script_value){.kind = SCRIPT_DICT, .dict = dict});
    if (!journals(ev) || dict->saved >= ev->mark)
        return;
    push_change(ev, (script_change){.kind = SCRIPT_CHANGE_DICT,
                                    .dict = dict,
                                    .set = true,
                                    .dict_before = copy_dict(ev, dict)});
    dict->saved = ev->clock;
}

/* Something new need not be taken back to before it was there. */
script_value script_make_list(script_eval *ev, script_kind kind, const script_value *items,
                              size_t n)
{
    script_value x = script_new_list(ev->arena, kind, items, n);
    if (x.kind == kind)
        x.list->saved = ev->clock;
    return x;
}

script_value script_make_dict(script_eval *ev)
{
    script_value x = script_new_dict(ev->arena);
    if (x.kind == SCRIPT_DICT)
        x.dict->saved = ev->clock;
    return x;
}

/* ---- taking back ---- */

script_mark script_mark_set(script_eval *ev)
{
    script_mark mark = {ev->mark, ev->changes.n, aten_journal_mark(&ev->env)};
    ev->mark = ++ev->clock;
    return mark;
}

void script_mark_keep(script_eval *ev, script_mark mark)
{
    ev->mark = mark.outer;
}

static void take_back(script_eval *ev, const script_change *change)
{
    switch (change->kind) {
    case SCRIPT_CHANGE_NAME:
        change->slot->set = change->set;
        change->slot->value = change->value;
        break;
    case SCRIPT_CHANGE_ATTR:
        if (change->set)
            (void)script_set_attr(ev->arena, change->object, change->attr, change->value);
        else
            (void)tl_map_put(&change->object->attrs, change->attr, NULL);
        break;
    case SCRIPT_CHANGE_LIST:
        *change->list = change->list_before;
        break;
    case SCRIPT_CHANGE_DICT:
        *change->dict = change->dict_before;
        break;
    }
}

void script_mark_undo(script_eval *ev, script_mark mark)
{
    while (ev->changes.n > mark.begin)
        take_back(ev, &ev->changes.v[--ev->changes.n]);
    ev->mark = mark.outer;
    aten_journal_undo(&ev->env, mark.writes);
}

/* ---- looking at what changed ---- */

static bool same_thing(const script_change *a, const script_change *b)
{
    return a->kind == b->kind && a->slot == b->slot && a->object == b->object &&
           a->list == b->list && a->dict == b->dict && tl_str_equal(a->attr, b->attr);
}

const script_change *script_changed(script_eval *ev, script_mark mark, size_t *n)
{
    script_change *found = TL_NEW_ARRAY(ev->arena, script_change, ev->changes.n - mark.begin + 1);
    *n = 0;
    for (size_t i = mark.begin; found && i < ev->changes.n; i++) {
        size_t k = 0;
        while (k < *n && !same_thing(&found[k], &ev->changes.v[i]))
            k++;
        if (k == *n)
            found[(*n)++] = ev->changes.v[i];
    }
    return found;
}

script_value script_changed_value(script_eval *ev, const script_change *change)
{
    const script_value *attr;
    script_value x = {.kind = SCRIPT_UNSET, .b = true};
    switch (change->kind) {
    case SCRIPT_CHANGE_NAME:
        return change->slot->set ? change->slot->value : x;
    case SCRIPT_CHANGE_ATTR:
        attr = script_get_attr(change->object, change->attr);
        return attr ? *attr : x;
    case SCRIPT_CHANGE_LIST: {
        script_list copy = copy_list(ev, change->list);
        copy.saved = ev->clock;
        script_list *list = tl_arena_copy(ev->arena, &copy, sizeof(copy));
        return list ? (script_value){.kind = SCRIPT_LIST, .list = list} : script_unknown();
    }
    case SCRIPT_CHANGE_DICT: {
        script_dict copy = copy_dict(ev, change->dict);
        copy.saved = ev->clock;
        script_dict *dict = tl_arena_copy(ev->arena, &copy, sizeof(copy));
        return dict ? (script_value){.kind = SCRIPT_DICT, .dict = dict} : script_unknown();
    }
    }
    return x;
}

void script_restore(script_eval *ev, const script_change *change, script_value value)
{
    switch (change->kind) {
    case SCRIPT_CHANGE_NAME:
        script_set_slot(ev, change->slot, value);
        break;
    case SCRIPT_CHANGE_ATTR:
        script_assign_attr(ev, change->object, change->attr, value);
        break;
    case SCRIPT_CHANGE_LIST: {
        script_touch_list(ev, change->list);
        size_t saved = change->list->saved;
        if (value.kind == SCRIPT_LIST && value.list)
            *change->list = copy_list(ev, value.list);
        change->list->saved = saved;
        break;
    }
    case SCRIPT_CHANGE_DICT: {
        script_touch_dict(ev, change->dict);
        size_t saved = change->dict->saved;
        if (value.kind == SCRIPT_DICT && value.dict)
            *change->dict = copy_dict(ev, value.dict);
        change->dict->saved = saved;
        break;
    }
    }
}
