/* Built-in functions on lists, tuples and dicts. Lists that grow in a loop of the model are one stacked
 * value: they are read by index, counted, appended to, joined. */
#include "import/torch/script/script_private.h"

static bool is_list(script_value x)
{
    return x.kind == SCRIPT_LIST || x.kind == SCRIPT_TUPLE;
}

/* Position in [0, n); false (recorded) outside. */
static bool find_position(script_eval *ev, script_value index, size_t n, size_t *at)
{
    int64_t i;
    if (!script_is_int(index, &i)) {
        script_fail(ev, TL_U006, "an index into a list that is not known at conversion time");
        return false;
    }
    i += i < 0 ? (int64_t)n : 0;
    if (i < 0 || i >= (int64_t)n) {
        script_fail(ev, TL_M003, "index %lld of a list of %zu elements", (long long)i, n);
        return false;
    }
    *at = (size_t)i;
    return true;
}

static script_value result_of_element(script_eval *ev, script_kind kind, tl_value *v)
{
    return kind == SCRIPT_TENSOR ? script_tensor(aten_tensor_new(&ev->env, v))
                                 : script_from_value(ev, kind, v);
}

/* One element of a stacked list; index may be computed at run time. */
static script_value stacked_element(script_eval *ev, const script_list *list, script_value index)
{
    tl_builder *b = &ev->env.scope->b;
    tl_value *all = script_stacked(ev, list);
    int64_t i;
    if (script_is_int(index, &i) && i < 0)
        index = script_dim(tl_dim_add(ev->dims, all->fact.type.dims[0], index.i));
    tl_gather_attrs attrs = {.may_be_negative = true};
    tl_value *at = script_as_scalar(ev, index);
    return result_of_element(ev, list->element, tl_build2(b, TL_OP_gather, all, at, &attrs));
}

/* Ints of a known list as one value. */
static tl_value *join_ints(script_eval *ev, const script_list *list)
{
    size_t n = list->items.n;
    const tl_dim **dims = TL_NEW_ARRAY(ev->arena, const tl_dim *, n + 1);
    for (size_t i = 0; dims && i < n; i++) {
        if (list->items.v[i].kind != SCRIPT_INT || list->items.v[i].v)
            return NULL;
        dims[i] = list->items.v[i].i;
    }
    return dims && n ? tl_build_shape_expr(&ev->env.scope->b, dims, n, 1) : NULL;
}

static bool same_type(script_eval *ev, const tl_type *a, const tl_type *b)
{
    bool same = a->dtype == b->dtype && a->rank == b->rank;
    for (int k = 0; same && k < a->rank; k++)
        same = tl_dim_equal(ev->dims, a->dims[k], b->dims[k]) == TL_YES;
    return same;
}

/* Every element, and x, is a tensor or number of one type. */
static bool are_alike(script_eval *ev, const script_list *list, script_value x)
{
    const tl_type *type = NULL;
    if (x.kind != SCRIPT_TENSOR && !script_is_number(x))
        return false;
    for (size_t i = 0; i < list->items.n; i++) {
        if (list->items.v[i].kind != x.kind)
            return false;
        type = type ? type : &script_read(ev, x)->fact.type;
        if (!same_type(ev, &script_read(ev, list->items.v[i])->fact.type, type))
            return false;
    }
    return type && type->rank < TL_MAX_RANK;
}

/* Elements of one type, one above the other. */
static tl_value *join_rows(script_eval *ev, const script_list *list)
{
    size_t n = list->items.n;
    tl_value **rows = TL_NEW_ARRAY(ev->arena, tl_value *, n + 1);
    const tl_dim *dims[TL_MAX_RANK] = {tl_dim_const(ev->dims, 1)};
    for (size_t i = 0; rows && i < n; i++) {
        rows[i] = script_read(ev, list->items.v[i]);
        int rank = rows[i]->fact.type.rank;
        for (int k = 0; k < rank; k++)
            dims[k + 1] = rows[i]->fact.type.dims[k];
        rows[i] = tl_build_reshape(&ev->env.scope->b, rows[i], dims, rank + 1);
    }
    return rows ? tl_build_concat(&ev->env.scope->b, rows, n, 0) : ev->model->poison;
}

/* An element of a known list at an index that the model computes. */
static bool element_at(script_eval *ev, const script_list *list, script_value index,
                       script_value *out)
{
    tl_gather_attrs attrs = {.may_be_negative = true};
    tl_value *all = join_ints(ev, list);
    if (!all && list->items.n && are_alike(ev, list, list->items.v[0]))
        all = join_rows(ev, list);
    if (!all)
        return false;
    tl_value *at = script_as_scalar(ev, index);
    *out = result_of_element(ev, list->items.v[0].kind,
                             tl_build2(&ev->env.scope->b, TL_OP_gather, all, at, &attrs));
    return true;
}

/* list[index] = x where the model computes the index: every element is x or what it was. */
static bool replace_at(script_eval *ev, script_list *list, script_value index, script_value x)
{
    tl_builder *b = &ev->env.scope->b;
    int64_t n = (int64_t)list->items.n;
    if (!are_alike(ev, list, x))
        return false;
    tl_value *at = script_as_scalar(ev, index), *v = script_read(ev, x);
    script_touch_list(ev, list);
    for (int64_t i = 0; i < n; i++) {
        tl_value *front = tl_build_scalar(ev->model, TL_I64, (double)i);
        tl_value *back = tl_build_scalar(ev->model, TL_I64, (double)(i - n));
        front = tl_build2(b, TL_OP_equal, at, front, NULL);
        back = tl_build2(b, TL_OP_equal, at, back, NULL);
        tl_value *here = tl_build2(b, TL_OP_or, front, back, NULL);
        tl_value *before = script_read(ev, list->items.v[i]);
        list->items.v[i] =
            result_of_element(ev, x.kind, tl_build3(b, TL_OP_where, here, v, before, NULL));
    }
    return true;
}

static bool text_item(script_call *c, script_value *out)
{
    size_t at;
    if (c->args[0].kind != SCRIPT_STR)
        return false;
    *out = script_unknown();
    if (find_position(c->ev, c->args[1], c->args[0].s.n, &at))
        *out = script_str((tl_str){c->args[0].s.p + at, 1});
    return true;
}

/* list[i], dict[key], text[i] */
bool script_do_getitem(script_call *c, script_value *out)
{
    size_t at;
    if (c->n != 2)
        return false;
    script_value x = c->args[0], index = c->args[1];
    if (x.kind == SCRIPT_DICT) {
        at = script_dict_index(x.dict, index);
        *out = at < x.dict->keys.n ? x.dict->items.v[at] : script_unknown();
        if (at == x.dict->keys.n && tl_context_status(c->ev->cx) == TL_OK) {
            tl_text key;
            tl_text_init(&key, c->ev->arena);
            script_print(index, &key);
            script_fail(c->ev, TL_M003, "the dict has no key '%s'", tl_text_get(&key));
        }
        return true;
    }
    if (!is_list(x))
        return text_item(c, out);
    if (index.kind == SCRIPT_BOOL)
        index = script_to_number(c->ev, SCRIPT_INT, index);
    if (index.kind != SCRIPT_INT)
        return false;
    if (x.list->stacked)
        *out = stacked_element(c->ev, x.list, index);
    else if (script_is_int(index, NULL) || !element_at(c->ev, x.list, index, out))
        *out = find_position(c->ev, index, x.list->items.n, &at) ? x.list->items.v[at]
                                                                 : script_unknown();
    return true;
}

static int64_t bound(const script_value *x, int64_t n, int64_t absent)
{
    int64_t i = absent;
    if (x && x->kind == SCRIPT_INT)
        (void)script_is_int(*x, &i);
    i += i < 0 ? n : 0;
    return TL_MIN(TL_MAX(i, 0), n);
}

/* Of a slice that runs backwards, whose end -1 stands in front of the first element. */
static int64_t back_bound(const script_value *x, int64_t n, int64_t absent)
{
    int64_t i = absent;
    if (!x || x->kind != SCRIPT_INT)
        return absent;
    (void)script_is_int(*x, &i);
    i += i < 0 ? n : 0;
    return TL_MIN(TL_MAX(i, -1), n - 1);
}

/* list[a:b:c], text[a:b] */
bool script_do_slice(script_call *c, script_value *out)
{
    const script_value *items;
    size_t n;
    script_value x = c->n ? c->args[0] : script_none();
    const script_value *lo = script_arg(c, 1, "start"), *hi = script_arg(c, 2, "end");
    const script_value *by = script_arg(c, 3, "step");
    int64_t step = 1;
    if (x.kind == SCRIPT_STR) {
        int64_t begin = bound(lo, (int64_t)x.s.n, 0), end = bound(hi, (int64_t)x.s.n, INT64_MAX);
        *out = script_str((tl_str){x.s.p + begin, (size_t)TL_MAX(end - begin, 0)});
        return true;
    }
    if (!is_list(x) || !script_items(c->ev, x, &items, &n))
        return false;
    if (by)
        (void)script_is_int(*by, &step);
    int64_t begin = bound(lo, (int64_t)n, 0), end = bound(hi, (int64_t)n, INT64_MAX);
    *out = script_make_list(c->ev, x.kind, NULL, 0);
    if (step == 0)
        script_fail(c->ev, TL_M003, "a slice of a list with a step of 0");
    if (step == 0 || out->kind != x.kind)
        return true;
    if (step < 0) {
        begin = back_bound(lo, (int64_t)n, (int64_t)n - 1);
        end = back_bound(hi, (int64_t)n, -1);
    }
    for (int64_t i = begin; step > 0 ? i < end : i > end; i += step)
        (void)script_list_push(c->ev->arena, out->list, items[i]);
    return true;
}

bool script_do_len(script_call *c, script_value *out)
{
    script_value x = c->n ? c->args[0] : script_none();
    script_eval *ev = c->ev;
    switch (x.kind) {
    case SCRIPT_LIST:
    case SCRIPT_TUPLE:
        *out = x.list->stacked ? script_dim(script_stacked(ev, x.list)->fact.type.dims[0])
                               : script_int(ev, (int64_t)x.list->items.n);
        return true;
    case SCRIPT_DICT:
        *out = script_int(ev, (int64_t)x.dict->keys.n);
        return true;
    case SCRIPT_STR:
        *out = script_int(ev, (int64_t)x.s.n);
        return true;
    case SCRIPT_TENSOR: {
        const tl_type *type = &aten_tensor_read(&ev->env, x.t)->fact.type;
        if (type->rank == 0)
            return false;
        *out = script_dim(type->dims[0]);
        return true;
    }
    case SCRIPT_OBJECT:
        if (!x.object->class)
            return false;
        *out = script_call_method(ev, x.object, TL_STR("__len__"), NULL, 0, NULL, 0);
        return true;
    default:
        return false;
    }
}

bool script_do_contains(script_call *c, script_value *out)
{
    const script_value *items;
    size_t n;
    if (c->n != 2)
        return false;
    if (c->args[0].kind == SCRIPT_STR && c->args[1].kind == SCRIPT_STR) {
        tl_str s = c->args[0].s, part = c->args[1].s;
        bool found = part.n == 0;
        for (size_t i = 0; i + part.n <= s.n && !found; i++)
            found = memcmp(s.p + i, part.p, part.n) == 0;
        *out = script_bool(found);
        return true;
    }
    if (!script_items(c->ev, c->args[0], &items, &n))
        return false;
    *out = script_bool(false);
    for (size_t i = 0; i < n; i++) {
        script_value same =
            script_is_number(items[i]) && script_is_number(c->args[1])
                ? script_compare(c->ev, TL_OP_equal, items[i], c->args[1])
                : script_bool(script_equal(c->ev->dims, items[i], c->args[1]) == TL_YES);
        *out = script_arith(c->ev, TL_OP_bitor, *out, same);
    }
    return true;
}

/* ---- lists: changing ---- */

/* The element with one more axis in front, as the stacked value has it. */
static tl_value *as_row(script_eval *ev, const tl_value *stacked, script_value item)
{
    const tl_dim *dims[TL_MAX_RANK];
    tl_builder *b = &ev->env.scope->b;
    tl_value *v = script_read(ev, item);
    const tl_type *type = &v->fact.type;
    if (type->rank + 1 > TL_MAX_RANK || type->rank + 1 != stacked->fact.type.rank)
        return NULL;
    dims[0] = tl_dim_const(ev->dims, 1);
    for (int i = 0; i < type->rank; i++)
        dims[i + 1] = type->dims[i];
    return tl_build_reshape(b, v, dims, type->rank + 1);
}

bool script_do_append(script_call *c, script_value *out)
{
    script_eval *ev = c->ev;
    if (c->n != 2 || c->args[0].kind != SCRIPT_LIST)
        return c->n && c->args[0].kind == SCRIPT_UNKNOWN;
    script_list *list = c->args[0].list;
    script_touch_list(ev, list);
    *out = c->args[0];
    if (!list->stacked) {
        (void)script_list_push(ev->arena, list, c->args[1]);
        return true;
    }
    tl_value *all = aten_see(&ev->env, list->stacked);
    tl_value *row = c->args[1].kind == list->element ? as_row(ev, all, c->args[1]) : NULL;
    if (row)
        list->stacked = tl_build_concat(&ev->env.scope->b, (tl_value *[]){all, row}, 2, 0);
    else
        script_fail(ev, TL_U006, "a list that grows in a loop gets an element of another kind");
    return true;
}

bool script_do_extend(script_call *c, script_value *out)
{
    const script_value *items;
    size_t n;
    if (c->n != 2 || c->args[0].kind != SCRIPT_LIST ||
        !script_items(c->ev, c->args[1], &items, &n) || c->args[0].list->stacked)
        return false;
    *out = c->args[0];
    if (!script_afford(c->ev, n))
        return true;
    script_touch_list(c->ev, c->args[0].list);
    for (size_t i = 0; i < n; i++)
        (void)script_list_push(c->ev->arena, c->args[0].list, items[i]);
    return true;
}

bool script_do_insert(script_call *c, script_value *out)
{
    const script_value *items;
    size_t n;
    if (c->n != 3 || c->args[0].kind != SCRIPT_LIST || !script_items(c->ev, c->args[0], &items, &n))
        return false;
    script_list *list = c->args[0].list;
    size_t at = (size_t)bound(&c->args[1], (int64_t)n, 0);
    script_touch_list(c->ev, list);
    if (script_list_push(c->ev->arena, list, c->args[2]))
        memmove(&list->items.v[at + 1], &list->items.v[at], (n - at) * sizeof(list->items.v[0]));
    list->items.v[at] = c->args[2];
    *out = script_none();
    return true;
}

bool script_do_pop(script_call *c, script_value *out)
{
    script_eval *ev = c->ev;
    const script_value *items;
    size_t n, at;
    if (c->n && c->args[0].kind == SCRIPT_DICT) {
        script_dict *dict = c->args[0].dict;
        at = c->n > 1 ? script_dict_index(dict, c->args[1]) : dict->keys.n;
        *out = at < dict->keys.n ? dict->items.v[at] : c->n > 2 ? c->args[2] : script_unknown();
        script_call remove = *c;
        remove.n = 2;
        return at == dict->keys.n || script_do_delete(&remove, &(script_value){0});
    }
    if (!c->n || c->args[0].kind != SCRIPT_LIST || !script_items(ev, c->args[0], &items, &n))
        return false;
    script_value last = script_int(ev, -1);
    *out = script_unknown();
    if (!find_position(ev, c->n > 1 ? c->args[1] : last, n, &at))
        return true;
    *out = items[at];
    script_list *list = c->args[0].list;
    script_touch_list(ev, list);
    memmove(&list->items.v[at], &list->items.v[at + 1], (n - at - 1) * sizeof(list->items.v[0]));
    list->items.n--;
    return true;
}

/* The first element that equals it. */
bool script_do_remove(script_call *c, script_value *out)
{
    if (!script_do_index_of(c, out))
        return false;
    script_value args[2] = {c->args[0], *out};
    script_call pop = *c;
    pop.args = args;
    *out = script_none();
    return args[1].kind != SCRIPT_INT || script_do_pop(&pop, &(script_value){0});
}

bool script_do_count(script_call *c, script_value *out)
{
    const script_value *items;
    size_t n;
    int64_t found = 0;
    if (c->n != 2 || c->args[0].kind != SCRIPT_LIST || !script_items(c->ev, c->args[0], &items, &n))
        return false;
    for (size_t i = 0; i < n; i++)
        found += script_equal(c->ev->dims, items[i], c->args[1]) == TL_YES;
    *out = script_int(c->ev, found);
    return true;
}

bool script_do_clear(script_call *c, script_value *out)
{
    if (c->n != 1 || c->args[0].kind != SCRIPT_LIST)
        return false;
    script_touch_list(c->ev, c->args[0].list);
    c->args[0].list->items.n = 0;
    c->args[0].list->stacked = NULL;
    *out = script_none();
    return true;
}

bool script_do_reverse(script_call *c, script_value *out)
{
    const script_value *items;
    size_t n;
    if (c->n != 1 || c->args[0].kind != SCRIPT_LIST || !script_items(c->ev, c->args[0], &items, &n))
        return false;
    script_touch_list(c->ev, c->args[0].list);
    for (size_t i = 0; i < n / 2; i++) {
        script_value x = items[i];
        c->args[0].list->items.v[i] = items[n - 1 - i];
        c->args[0].list->items.v[n - 1 - i] = x;
    }
    *out = script_none();
    return true;
}

static int compare_items(script_eval *ev, script_value a, script_value b, bool *known)
{
    if (a.kind == SCRIPT_STR && b.kind == SCRIPT_STR)
        return tl_str_compare(a.s, b.s);
    script_value less = script_compare(ev, TL_OP_less, a, b);
    *known &= less.kind == SCRIPT_BOOL && !less.v;
    return *known && less.b ? -1 : 1;
}

/* In place, or sorted(x): a new list. */
bool script_do_sort(script_call *c, script_value *out)
{
    const script_value *items;
    size_t n;
    script_eval *ev = c->ev;
    if (!c->n || !is_list(c->args[0]) || !script_items(ev, c->args[0], &items, &n))
        return false;
    const script_value *flag = script_arg(c, 1, "reverse");
    bool reversed = flag && flag->kind == SCRIPT_BOOL && !flag->v && flag->b, known = true;
    script_value sorted = script_make_list(ev, SCRIPT_LIST, items, n);
    for (size_t i = 1; sorted.kind == SCRIPT_LIST && i < n; i++) {
        script_value x = items[i], *v = sorted.list->items.v;
        size_t at = i;
        for (; at > 0 && known; at--) {
            int order = reversed ? compare_items(ev, v[at - 1], x, &known)
                                 : compare_items(ev, x, v[at - 1], &known);
            if (order >= 0)
                break;
            v[at] = v[at - 1];
        }
        v[at] = x;
    }
    if (!known)
        script_fail(ev, TL_U006, "a list is sorted whose contents are not known");
    *out = sorted;
    if (!c->form && c->args[0].kind == SCRIPT_LIST && sorted.kind == SCRIPT_LIST) {
        script_touch_list(ev, c->args[0].list);
        for (size_t i = 0; i < n; i++)
            c->args[0].list->items.v[i] = sorted.list->items.v[i];
        *out = script_none();
    }
    return true;
}

bool script_do_copy(script_call *c, script_value *out)
{
    const script_value *items;
    size_t n;
    if (c->n != 1)
        return false;
    if (c->args[0].kind == SCRIPT_DICT)
        return script_do_dict(c, out);
    if (c->args[0].kind != SCRIPT_LIST || !script_items(c->ev, c->args[0], &items, &n))
        return false;
    *out = script_make_list(c->ev, SCRIPT_LIST, items, n);
    return true;
}

/* list(x): of a list, tuple, dict (its keys), text */
bool script_do_list(script_call *c, script_value *out)
{
    const script_value *items;
    size_t n;
    script_value x = c->n == 1 ? c->args[0] : script_none();
    if (x.kind == SCRIPT_LIST && x.list->stacked) {
        *out = script_make_list(c->ev, SCRIPT_LIST, NULL, 0);
        if (out->kind == SCRIPT_LIST) {
            out->list->stacked = x.list->stacked;
            out->list->element = x.list->element;
            out->list->skip = x.list->skip;
        }
        return true;
    }
    if (x.kind == SCRIPT_STR) {
        *out = script_unknown();
        if (!script_afford(c->ev, x.s.n))
            return true;
        *out = script_make_list(c->ev, SCRIPT_LIST, NULL, 0);
        for (size_t i = 0; out->kind == SCRIPT_LIST && i < x.s.n; i++)
            (void)script_list_push(c->ev->arena, out->list, script_str((tl_str){x.s.p + i, 1}));
        return true;
    }
    if (!script_items(c->ev, x, &items, &n))
        return false;
    *out = script_make_list(c->ev, SCRIPT_LIST, items, n);
    return true;
}

bool script_do_index_of(script_call *c, script_value *out)
{
    const script_value *items;
    size_t n;
    if (c->n != 2 || c->args[0].kind != SCRIPT_LIST || c->args[0].list->stacked ||
        !script_items(c->ev, c->args[0], &items, &n))
        return false;
    size_t i = 0;
    while (i < n && script_equal(c->ev->dims, items[i], c->args[1]) != TL_YES)
        i++;
    if (i == n)
        script_fail(c->ev, TL_M003, "the list does not hold what is looked for");
    *out = i < n ? script_int(c->ev, (int64_t)i) : script_unknown();
    return true;
}

/* [a] + [b], "a" + "b" */
bool script_do_add_sequences(script_call *c, script_value *out)
{
    const script_value *x, *y;
    size_t n, k;
    if (c->n != 2)
        return false;
    script_value a = c->args[0], b = c->args[1];
    if (a.kind == SCRIPT_STR && b.kind == SCRIPT_STR) {
        *out = script_unknown();
        if (!script_afford(c->ev, a.s.n + b.s.n))
            return true;
        const char *text =
            tl_arena_printf(c->ev->arena, "%.*s%.*s", TL_STR_ARG(a.s), TL_STR_ARG(b.s));
        *out = script_str(tl_str_from(text));
        return true;
    }
    if (!is_list(a) || a.kind != b.kind || !script_items(c->ev, a, &x, &n) ||
        !script_items(c->ev, b, &y, &k))
        return false;
    *out = script_unknown();
    if (!script_afford(c->ev, n + k))
        return true;
    *out = script_make_list(c->ev, a.kind, x, n);
    for (size_t i = 0; out->kind == a.kind && i < k; i++)
        (void)script_list_push(c->ev->arena, out->list, y[i]);
    return true;
}

/* [a] * n */
bool script_do_repeat(script_call *c, script_value *out)
{
    const script_value *items;
    size_t n;
    int64_t times;
    if (c->n != 2 || c->args[0].kind != SCRIPT_LIST || !script_is_int(c->args[1], &times) ||
        !script_items(c->ev, c->args[0], &items, &n))
        return false;
    if (times > SCRIPT_MAX_UNROLL) {
        script_fail(c->ev, TL_U006, "a list repeated %lld times", (long long)times);
        *out = script_unknown();
        return true;
    }
    *out = script_unknown();
    if (times > 0 && !script_afford(c->ev, n * (uint64_t)times))
        return true;
    *out = script_make_list(c->ev, SCRIPT_LIST, NULL, 0);
    for (int64_t k = 0; out->kind == SCRIPT_LIST && k < times; k++)
        for (size_t i = 0; i < n; i++)
            (void)script_list_push(c->ev->arena, out->list, items[i]);
    return true;
}

/* ---- dicts ---- */

bool script_do_set_item(script_call *c, script_value *out)
{
    size_t at;
    *out = script_none();
    if (c->n != 3)
        return false;
    if (c->args[0].kind == SCRIPT_DICT) {
        script_touch_dict(c->ev, c->args[0].dict);
        (void)script_dict_set(c->ev->arena, c->args[0].dict, c->args[1], c->args[2]);
        return true;
    }
    if (c->args[0].kind != SCRIPT_LIST)
        return c->args[0].kind == SCRIPT_UNKNOWN;
    const script_value *items;
    size_t n;
    if (!script_items(c->ev, c->args[0], &items, &n)) {
        script_fail(c->ev, TL_U006, "an element of a list that grows in a loop is replaced");
        return true;
    }
    bool computed = c->args[1].kind == SCRIPT_INT && !script_is_int(c->args[1], NULL);
    if (computed && replace_at(c->ev, c->args[0].list, c->args[1], c->args[2]))
        return true;
    if (find_position(c->ev, c->args[1], n, &at)) {
        script_touch_list(c->ev, c->args[0].list);
        c->args[0].list->items.v[at] = c->args[2];
    }
    return true;
}

/* dict(), dict(d), dict of (key, value) pairs */
bool script_do_dict(script_call *c, script_value *out)
{
    const script_value *pairs;
    size_t n = 0;
    *out = script_make_dict(c->ev);
    if (c->n == 0 || out->kind != SCRIPT_DICT)
        return true;
    if (c->args[0].kind == SCRIPT_DICT) {
        const script_dict *from = c->args[0].dict;
        for (size_t i = 0; i < from->keys.n; i++)
            (void)script_dict_set(c->ev->arena, out->dict, from->keys.v[i], from->items.v[i]);
        return true;
    }
    if (!script_items(c->ev, c->args[0], &pairs, &n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].kind != SCRIPT_TUPLE || pairs[i].list->items.n != 2)
            return false;
        const script_value *pair = pairs[i].list->items.v;
        (void)script_dict_set(c->ev->arena, out->dict, pair[0], pair[1]);
    }
    return true;
}

/* keys, values, items */
bool script_do_dict_items(script_call *c, script_value *out)
{
    if (c->n != 1 || c->args[0].kind != SCRIPT_DICT)
        return false;
    const script_dict *dict = c->args[0].dict;
    *out = script_make_list(c->ev, SCRIPT_LIST, NULL, 0);
    for (size_t i = 0; out->kind == SCRIPT_LIST && i < dict->keys.n; i++) {
        script_value pair[2] = {dict->keys.v[i], dict->items.v[i]};
        script_value item =
            c->form == 2 ? script_make_list(c->ev, SCRIPT_TUPLE, pair, 2) : pair[c->form];
        (void)script_list_push(c->ev->arena, out->list, item);
    }
    return true;
}

bool script_do_get(script_call *c, script_value *out)
{
    if (c->n < 2 || c->args[0].kind != SCRIPT_DICT)
        return false;
    size_t at = script_dict_index(c->args[0].dict, c->args[1]);
    *out = at < c->args[0].dict->keys.n ? c->args[0].dict->items.v[at]
           : c->n > 2                   ? c->args[2]
                                        : script_none();
    return true;
}

bool script_do_setdefault(script_call *c, script_value *out)
{
    if (c->n != 3 || c->args[0].kind != SCRIPT_DICT)
        return false;
    script_dict *dict = c->args[0].dict;
    size_t at = script_dict_index(dict, c->args[1]);
    *out = at < dict->keys.n ? dict->items.v[at] : c->args[2];
    if (at == dict->keys.n) {
        script_touch_dict(c->ev, dict);
        (void)script_dict_set(c->ev->arena, dict, c->args[1], c->args[2]);
    }
    return true;
}

bool script_do_update(script_call *c, script_value *out)
{
    if (c->n != 2 || c->args[0].kind != SCRIPT_DICT || c->args[1].kind != SCRIPT_DICT)
        return false;
    const script_dict *from = c->args[1].dict;
    script_touch_dict(c->ev, c->args[0].dict);
    for (size_t i = 0; i < from->keys.n; i++)
        (void)script_dict_set(c->ev->arena, c->args[0].dict, from->keys.v[i], from->items.v[i]);
    *out = script_none();
    return true;
}

/* del dict[key], del list[i] */
bool script_do_delete(script_call *c, script_value *out)
{
    *out = script_none();
    if (c->n != 2)
        return false;
    if (c->args[0].kind == SCRIPT_LIST)
        return script_do_pop(c, out);
    if (c->args[0].kind != SCRIPT_DICT)
        return false;
    script_dict *dict = c->args[0].dict;
    size_t at = script_dict_index(dict, c->args[1]);
    if (at == dict->keys.n)
        return true;
    script_touch_dict(c->ev, dict);
    size_t rest = dict->keys.n - at - 1;
    memmove(&dict->keys.v[at], &dict->keys.v[at + 1], rest * sizeof(dict->keys.v[0]));
    memmove(&dict->items.v[at], &dict->items.v[at + 1], rest * sizeof(dict->items.v[0]));
    dict->keys.n--;
    dict->items.n--;
    return true;
}

/* ---- lists that grew in a loop ---- */

/* stack: the axis of the elements goes where it is asked for; cat: it is merged with the next. */
bool script_do_stack_list(script_call *c, script_value *out)
{
    script_eval *ev = c->ev;
    int64_t axis = 0;
    const script_value *dim = script_arg(c, 1, "dim");
    if (!c->n || c->args[0].kind != SCRIPT_LIST || !c->args[0].list->stacked ||
        (dim && !script_is_int(*dim, &axis)))
        return false;
    tl_builder *b = &ev->env.scope->b;
    b->origin = script_origin(ev, c->name);
    tl_value *all = script_stacked(ev, c->args[0].list);
    int rank = all->fact.type.rank, joined = c->op == TL_OP_reshape, perm[TL_MAX_RANK];
    axis += axis < 0 ? rank - joined : 0;
    if (axis < 0 || axis >= rank - joined) {
        script_fail(ev, TL_M003, "axis %lld of tensors of rank %d", (long long)axis, rank - 1);
        *out = script_unknown();
        return true;
    }
    for (int i = 0; i < rank; i++)
        perm[i] = i < axis ? i + 1 : i == axis ? 0 : i;
    tl_value *v = tl_build_transpose(b, all, perm);
    if (joined) {
        const tl_dim *dims[TL_MAX_RANK];
        const tl_type *type = &v->fact.type;
        for (int i = 0; i < rank - 1; i++)
            dims[i] = i < axis    ? type->dims[i]
                      : i == axis ? tl_dim_mul(ev->dims, type->dims[i], type->dims[i + 1])
                                  : type->dims[i + 1];
        v = tl_build_reshape(b, v, dims, rank - 1);
    }
    *out = script_tensor(aten_tensor_new(&ev->env, v));
    return true;
}
