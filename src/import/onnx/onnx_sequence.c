/* Handlers: sequences and optional values. A sequence is a list that the importer keeps, so that its length
 * and, where elements differ, positions in it have to be known; nothing of it is left in the graph. */
#include "import/onnx/onnx_control.h"
#include "import/onnx/onnx_op.h"

#define MAX_ELEMENTS (1u << 16)

static uint64_t key_of(const tl_value *value)
{
    return (uint64_t)(uintptr_t)value;
}

const onnx_sequence *onnx_find_sequence(const onnx_importer *imp, const tl_value *value)
{
    return value ? tl_map_find_id(&imp->sequences, key_of(value)) : NULL;
}

bool onnx_has_sequence(const onnx_importer *imp, tl_value *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (onnx_find_sequence(imp, v[i]))
            return true;
    return false;
}

tl_value *onnx_new_sequence(onnx_importer *imp, tl_value *const *v, size_t n)
{
    const int64_t none = 0;
    onnx_sequence *list = TL_NEW(imp->arena, onnx_sequence);
    tl_value **copy = TL_NEW_ARRAY(imp->arena, tl_value *, n + 1);
    const tl_const *empty = tl_const_bytes(imp->model->arena, TL_I64, 1, &none, &none);
    if (!list || !copy || !empty)
        return tl_build_poison(&imp->scope->b, 1)->out[0];
    for (size_t i = 0; i < n; i++)
        copy[i] = v[i];
    *list = (onnx_sequence){copy, n, false};
    tl_value *value = tl_build_const(imp->model, empty, TL_STR(""));
    tl_map_put_id(&imp->sequences, key_of(value), list);
    return value;
}

static tl_value *new_sequence(onnx_call *c, tl_value *const *v, size_t n)
{
    return onnx_new_sequence(c->importer, v, n);
}

/* ---- the borders of graphs, which tensors alone cross ---- */

bool onnx_add_leaves(onnx_importer *imp, tl_value *value, onnx_leaves *leaves)
{
    const onnx_sequence *list = onnx_find_sequence(imp, value);
    bool complete = true;
    if (!list) {
        value = onnx_capture_value(imp, imp->scope, value);
        (void)tl_vec_push(imp->arena, leaves, value);
        return true;
    }
    for (size_t i = 0; i < list->n; i++)
        complete = onnx_add_leaves(imp, list->v[i], leaves) && complete;
    return complete && !list->is_nothing;
}

bool onnx_same_structure(const onnx_importer *imp, const tl_value *a, const tl_value *b)
{
    const onnx_sequence *x = onnx_find_sequence(imp, a), *y = onnx_find_sequence(imp, b);
    if (!x || !y)
        return x == y;
    bool same = x->n == y->n && x->is_nothing == y->is_nothing;
    for (size_t i = 0; same && i < x->n; i++)
        same = onnx_same_structure(imp, x->v[i], y->v[i]);
    return same;
}

tl_value *onnx_from_leaves(onnx_importer *imp, tl_value *like, tl_value *const *leaves,
                           size_t *next)
{
    const onnx_sequence *list = onnx_find_sequence(imp, like);
    if (!list)
        return leaves[(*next)++];
    tl_value **v = TL_NEW_ARRAY(imp->arena, tl_value *, list->n + 1);
    for (size_t i = 0; v && i < list->n; i++)
        v[i] = onnx_from_leaves(imp, list->v[i], leaves, next);
    return v ? onnx_new_sequence(imp, v, list->n) : tl_build_poison(&imp->scope->b, 1)->out[0];
}

/* Input i as a list; NULL: recorded. */
static const onnx_sequence *need_sequence(onnx_call *c, size_t i)
{
    tl_value *value = onnx_need(c, i);
    const onnx_sequence *list = onnx_find_sequence(c->importer, value);
    if (value && (!list || list->is_nothing)) {
        onnx_refuse_as(c, TL_U006, "a sequence whose length is not known (input %zu)", i);
        return NULL;
    }
    return list;
}

/* An element, as a value of the graph at hand. */
static tl_value *element(onnx_call *c, const onnx_sequence *list, size_t i)
{
    tl_value *x = list->v[i];
    return onnx_find_sequence(c->importer, x)
               ? x
               : onnx_capture_value(c->importer, c->importer->scope, x);
}

/* A known position at input i in [-n, end); false: recorded. */
static bool read_position(onnx_call *c, size_t input, size_t n, size_t end, size_t *at)
{
    int64_t position;
    tl_value *x = onnx_need(c, input);
    if (!x)
        return false;
    if (!onnx_known_scalar(c, x, &position)) {
        onnx_unknown(c, input, "a position in a sequence");
        return false;
    }
    if (position < -(int64_t)n || position >= (int64_t)end) {
        onnx_malformed(c, "position %lld in a sequence of %zu elements", (long long)position, n);
        return false;
    }
    *at = (size_t)(position < 0 ? position + (int64_t)n : position);
    return true;
}

void onnx_import_sequence_empty(onnx_call *c)
{
    c->out[0] = new_sequence(c, NULL, 0);
}

void onnx_import_sequence_construct(onnx_call *c)
{
    c->out[0] = new_sequence(c, c->in, c->n_in);
}

/* list with x (NULL: nothing) in place of `skip` elements at `at` */
static tl_value *spliced(onnx_call *c, const onnx_sequence *list, size_t at, size_t skip,
                         tl_value *x)
{
    size_t n = 0;
    tl_value **v = TL_NEW_ARRAY(c->arena, tl_value *, list->n + 1);
    if (list->n >= MAX_ELEMENTS) {
        onnx_refuse_as(c, TL_U006, "a sequence of more than %u elements", MAX_ELEMENTS);
        return NULL;
    }
    for (size_t i = 0; v && i <= list->n; i++) {
        if (i == at && x)
            v[n++] = x;
        if (i < list->n && (i < at || i >= at + skip))
            v[n++] = list->v[i];
    }
    return v ? new_sequence(c, v, n) : NULL;
}

/* list, x, position?: before it, or at the end */
void onnx_import_sequence_insert(onnx_call *c)
{
    const onnx_sequence *list = need_sequence(c, 0);
    tl_value *x = list ? onnx_need(c, 1) : NULL;
    size_t at = list ? list->n : 0;
    if (x && (!onnx_in(c, 2) || read_position(c, 2, list->n, list->n + 1, &at)))
        c->out[0] = spliced(c, list, at, 0, x);
}

/* list, position?: that one, or the last */
void onnx_import_sequence_erase(onnx_call *c)
{
    const onnx_sequence *list = need_sequence(c, 0);
    size_t at = list ? list->n - 1 : 0;
    if (!list)
        return;
    if (list->n == 0)
        onnx_malformed(c, "an element of an empty sequence");
    else if (!onnx_in(c, 1) || read_position(c, 1, list->n, list->n, &at))
        c->out[0] = spliced(c, list, at, 1, NULL);
}

void onnx_import_sequence_length(onnx_call *c)
{
    const onnx_sequence *list = need_sequence(c, 0);
    if (list)
        c->out[0] = onnx_dim_value(c, onnx_int(c, (int64_t)list->n));
}

/* All elements in one, along axis, or along a new one there. NULL: recorded. */
static tl_value *joined(onnx_call *c, const onnx_sequence *list, int64_t axis, bool is_new)
{
    tl_value **v = TL_NEW_ARRAY(c->arena, tl_value *, list->n + 1);
    if (!v)
        return NULL;
    if (list->n == 0 || onnx_has_sequence(c->importer, list->v, list->n)) {
        onnx_malformed(c, "expected a sequence of tensors, at least one");
        return NULL;
    }
    for (size_t i = 0; i < list->n; i++)
        if ((v[i] = element(c, list, i))->poison)
            return NULL;
    int at = onnx_axis(c, axis, onnx_rank(v[0]) + is_new);
    if (at < 0)
        return NULL;
    for (size_t i = 0; i < list->n && is_new; i++)
        v[i] = onnx_unsqueeze(c, v[i], &at, 1);
    return tl_build_concat(c->b, v, list->n, at);
}

static bool are_alike(const onnx_sequence *list)
{
    for (size_t i = 1; i < list->n; i++)
        if (!tl_type_same(tl_type_of(list->v[0]), tl_type_of(list->v[i])))
            return false;
    return list->n > 0;
}

/* The element at a position; at one that only the run knows, from all of them in one tensor. */
void onnx_import_sequence_at(onnx_call *c)
{
    const onnx_sequence *list = need_sequence(c, 0);
    tl_value *position = list ? onnx_need(c, 1) : NULL;
    int64_t known;
    size_t at;
    if (!position)
        return;
    if (onnx_known_scalar(c, position, &known) || !are_alike(list) ||
        onnx_has_sequence(c->importer, list->v, list->n)) {
        if (read_position(c, 1, list->n, list->n, &at))
            c->out[0] = element(c, list, at);
        return;
    }
    tl_gather_attrs attrs = {.axis = 0, .may_be_negative = true};
    tl_value *all = joined(c, list, 0, true);
    position = tl_build_cast(c->b, onnx_as_scalar(c, position), TL_I64);
    if (all)
        c->out[0] = tl_build2(c->b, TL_OP_gather, all, position, &attrs);
}

void onnx_import_concat_from_sequence(onnx_call *c)
{
    const onnx_sequence *list = need_sequence(c, 0);
    if (!onnx_find_attr(c, "axis"))
        onnx_malformed(c, "attribute axis is missing");
    else if (list)
        c->out[0] = joined(c, list, onnx_attr_i(c, "axis", 0), onnx_attr_i(c, "new_axis", 0) != 0);
}

/* ---- SplitToSequence ---- */

/* Sizes of the parts along an axis of size d. NULL: recorded. */
static const tl_dim **part_sizes(onnx_call *c, const tl_dim *d, size_t *n)
{
    tl_value *split = onnx_in(c, 1);
    if (split && onnx_rank(split) == 1) {
        const tl_dim *const *sizes = onnx_sizes(c, 1, "split", n);
        const tl_dim **copy = sizes ? TL_NEW_ARRAY(c->arena, const tl_dim *, *n + 1) : NULL;
        for (size_t i = 0; copy && i < *n; i++)
            copy[i] = sizes[i];
        return copy;
    }
    int64_t whole, part = 1;
    if (!tl_dim_is_const(d, &whole) || (split && !onnx_known_scalar(c, split, &part))) {
        onnx_refuse_as(c, TL_U006, "a sequence whose length is not known");
        return NULL;
    }
    if (part < 1 || whole / part >= MAX_ELEMENTS) {
        onnx_malformed(c, "split: parts of %lld out of %lld", (long long)part, (long long)whole);
        return NULL;
    }
    *n = (size_t)((whole + part - 1) / part);
    const tl_dim **sizes = TL_NEW_ARRAY(c->arena, const tl_dim *, *n + 1);
    for (size_t i = 0; sizes && i < *n; i++)
        sizes[i] = onnx_int(c, TL_MIN(part, whole - (int64_t)i * part));
    return sizes;
}

static tl_value *without_axis(onnx_call *c, tl_value *x, int axis)
{
    const tl_dim *dims[TL_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < onnx_rank(x); i++)
        if (i != axis)
            dims[rank++] = onnx_size(x, i);
    return tl_build_reshape(c->b, x, dims, rank);
}

void onnx_import_split_to_sequence(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 1, TL_MAX_RANK);
    int axis = x ? onnx_axis(c, onnx_attr_i(c, "axis", 0), onnx_rank(x)) : -1;
    size_t n = 0;
    const tl_dim *begin = onnx_int(c, 0),
                 **sizes = axis >= 0 ? part_sizes(c, onnx_size(x, axis), &n) : NULL;
    tl_value **v = sizes ? TL_NEW_ARRAY(c->arena, tl_value *, n + 1) : NULL;
    /* attribute keepdims is for parts of one alone */
    bool keep = onnx_in(c, 1) || onnx_attr_i(c, "keepdims", 1);
    for (size_t i = 0; v && i < n; i++) {
        v[i] = onnx_part(c, x, axis, begin, sizes[i]);
        if (v[i]->poison)
            return;
        begin = tl_dim_add(c->dims, begin, sizes[i]);
        v[i] = keep ? v[i] : without_axis(c, v[i], axis);
    }
    if (v)
        c->out[0] = new_sequence(c, v, n);
}

/* ---- SequenceMap ---- */

/* The body for every element of the first input, on the elements of the others that are sequences too. */
void onnx_import_sequence_map(onnx_call *c)
{
    const onnx_graph *body = onnx_body_attr(c, "body");
    const onnx_sequence *first = need_sequence(c, 0);
    tl_value **in = TL_NEW_ARRAY(c->arena, tl_value *, c->n_in + 1);
    size_t n = first ? first->n : 0;
    tl_value **made = TL_NEW_ARRAY(c->arena, tl_value *, n * c->n_out + 1);
    if (!body || !first || !in || !made)
        return;
    if (body->outputs.n < c->n_out) {
        onnx_malformed(c, "body, expected %zu outputs, found %zu", c->n_out, body->outputs.n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < c->n_in; k++) {
            const onnx_sequence *list = onnx_find_sequence(c->importer, c->in[k]);
            if (list && list->n != n) {
                onnx_malformed(c, "sequences of %zu and %zu elements", n, list->n);
                return;
            }
            in[k] = list ? element(c, list, i) : c->in[k];
        }
        tl_value **results = onnx_inline_body(c, body, in, c->n_in);
        if (!results)
            return;
        for (size_t k = 0; k < c->n_out; k++)
            made[k * n + i] = results[k];
    }
    for (size_t k = 0; k < c->n_out; k++)
        c->out[k] = new_sequence(c, made + k * n, n);
}

/* ---- optional values ---- */

void onnx_import_optional(onnx_call *c)
{
    if (onnx_in(c, 0)) {
        c->out[0] = c->in[0];
        return;
    }
    c->out[0] = new_sequence(c, NULL, 0);
    onnx_sequence *list = tl_map_find_id(&c->importer->sequences, key_of(c->out[0]));
    if (list)
        list->is_nothing = true;
}

static bool holds_something(onnx_call *c)
{
    const onnx_sequence *list = onnx_find_sequence(c->importer, onnx_in(c, 0));
    return onnx_in(c, 0) && !(list && list->is_nothing);
}

void onnx_import_optional_has_element(onnx_call *c)
{
    c->out[0] = tl_build_scalar(c->model, TL_BOOL, holds_something(c));
}

void onnx_import_optional_get_element(onnx_call *c)
{
    if (holds_something(c))
        c->out[0] = c->in[0];
    else
        onnx_malformed(c, "the element of an optional value that holds nothing");
}
