#include "api/diff_values.h"

#include "verify/local.h"

#include <string.h>

/* One value of the first run, each time it was computed. */
struct diff_seen {
    const tl_value *value;
    tl_tensor tensor; /* in the order of axes of the source */
    diff_seen *next;  /* a turn of a loop later */
    diff_seen *last;  /* of the first turn: the end of the list */
};

/* One value of the second run. */
typedef struct diff_own {
    tl_tensor tensor; /* as it was computed last */
    diff_seen *turn;  /* what it is confronted with next */
} diff_own;

/* A value that both runs have, or one at which a kernel errs. */
struct diff_record {
    const tl_value *value;
    tl_str name;
    const diff_seen *seen; /* NULL: not in the first run */
    tl_comparison all;     /* of the runs; when seen */
    tl_comparison local;   /* of the node alone; when cause */
    const char *cause;     /* "op" or "kernel", whichever is worse; NULL: not known */
    size_t position;       /* of the node in its graph; when cause */
};

void diff_values_init(diff_values *d, tl_context *cx, const tl_tolerance *tolerance)
{
    *d = (diff_values){.cx = cx, .tolerance = *tolerance};
    tl_arena_init(&d->arena, cx);
    tl_map_init(&d->seen, &d->arena);
    tl_map_init(&d->own, &d->arena);
}

void diff_values_release(diff_values *d)
{
    tl_arena_release(&d->arena);
}

/* ---- while they run ---- */

/* The source's name of a value and whether its axes are in another order there. */
static tl_str source_name(const tl_value *value, const int **perm)
{
    *perm = value->mark ? value->mark->perm : NULL;
    return value->mark ? value->mark->name : value->name;
}

void diff_remember(void *user, const tl_value *value, const tl_tensor *tensor)
{
    diff_values *d = user;
    const int *perm;
    tl_str name = source_name(value, &perm);
    diff_seen *first = name.n ? tl_map_find(&d->seen, name) : NULL;
    if (!name.n || !tensor->data || (first && first->value != value))
        return;
    diff_seen *seen = TL_NEW(&d->arena, diff_seen);
    if (!seen || !tl_verify_to_source(&d->arena, tensor, perm, &seen->tensor))
        return;
    seen->value = value;
    seen->last = seen;
    if (!first) {
        (void)tl_map_put(&d->seen, name, seen);
        return;
    }
    first->last->next = seen;
    first->last = seen;
}

/* The record of the value in this turn, with its own tensor noted. */
static diff_own *note_own(diff_values *d, const tl_value *value, tl_str name,
                          const tl_tensor *tensor)
{
    diff_own *own = tl_map_find_id(&d->own, value->id + 1);
    bool first = !own;
    if (first && !(own = TL_NEW(&d->arena, diff_own)))
        return NULL;
    if (!tl_verify_copy(&d->arena, tensor, &own->tensor))
        return NULL;
    if (first) {
        own->turn = name.n ? tl_map_find(&d->seen, name) : NULL;
        (void)tl_map_put_id(&d->own, value->id + 1, own);
    } else if (own->turn) {
        own->turn = own->turn->next;
    }
    return own;
}

/* result in the order, the element type and the quantisation of the reference, then compared. */
static bool compare_values(diff_values *d, const tl_tensor *result, const int *perm,
                           const tl_tensor *reference, tl_comparison *c)
{
    tl_tensor ordered, same;
    if (!tl_verify_to_source(&d->arena, result, perm, &ordered) ||
        !tl_verify_convert(&d->arena, &ordered, reference->dtype, reference->quant, &same))
        return false;
    *c = tl_compare(&same, reference, &d->tolerance);
    return true;
}

static diff_record *add_record(diff_values *d, const tl_value *value, tl_str name)
{
    diff_record *record = TL_NEW(&d->arena, diff_record);
    if (!record || !tl_vec_push(&d->arena, &d->records, record))
        return NULL;
    *record = (diff_record){.value = value, .name = name};
    return record;
}

void diff_confront(void *user, const tl_value *value, const tl_tensor *tensor)
{
    diff_values *d = user;
    const int *perm;
    tl_str name = source_name(value, &perm);
    diff_own *own = tensor->data ? note_own(d, value, name, tensor) : NULL;
    if (!own || !own->turn)
        return;
    tl_arena_mark mark = tl_arena_get_mark(&d->arena);
    tl_comparison c;
    bool compared = compare_values(d, tensor, perm, &own->turn->tensor, &c);
    tl_arena_rewind(&d->arena, mark);
    diff_record *record = compared ? add_record(d, value, name) : NULL;
    if (!record)
        return;
    record->seen = own->turn;
    record->all = c;
}

bool diff_values_agree(const diff_values *d)
{
    for (size_t i = 0; i < d->records.n; i++)
        if (!d->records.v[i]->all.agree)
            return false;
    return true;
}

/* ---- single nodes ---- */

/* The input that b was fed. */
static bool find_input(diff_values *d, const tl_value *value, tl_tensor *t)
{
    const tl_entry *entry = d->b->entry;
    if (value->def || value->graph != entry->graph || value->def_index >= entry->n_in)
        return false;
    const tl_array *array = api_find_input(d->inputs, entry, value->def_index);
    if (!array || (d->part >= 0 && array->rank == 0))
        return false;
    tl_array part = d->part >= 0 ? api_part(array, d->part) : *array;
    tl_tensor given = api_tensor(&part);
    if (!api_as_input(&d->arena, tl_type_of(value), (tl_str){0}, &given, t))
        return false;
    t->quant = tl_type_of(value)->quant;
    return true;
}

static bool find_constant(diff_values *d, const tl_value *value, tl_tensor *t)
{
    const tl_const *c = value->constant;
    const void *data = tl_const_load(d->cx, c, &d->arena);
    union {
        const void *in;
        void *out;
    } plain = {data}; /* kernels do not write to operands */
    *t = (tl_tensor){.dtype = tl_const_dtype(c),
                     .rank = tl_const_rank(c),
                     .data = plain.out,
                     .quant = tl_type_of(value)->quant};
    memcpy(t->shape, tl_const_shape(c), (size_t)t->rank * sizeof *t->shape);
    return data != NULL;
}

/* An operand as it is in b (own) or as it ought to be. */
static bool find_operand(diff_values *d, const tl_value *value, bool own, tl_tensor *t)
{
    *t = (tl_tensor){0};
    if (!value)
        return true;
    if (value->constant)
        return find_constant(d, value, t);
    const diff_own *computed = tl_map_find_id(&d->own, value->id + 1);
    const tl_tensor *found = own ? NULL : tl_map_find_id(&d->expected, value->id + 1);
    if (own && computed)
        found = &computed->tensor;
    if (found)
        *t = *found;
    return found != NULL || find_input(d, value, t);
}

/* Runs the node on its operands as they are, or as they ought to be. */
static bool run_alone(diff_values *d, const tl_node *node, bool own, tl_tensor *out)
{
    tl_tensor *in = TL_NEW_ARRAY(&d->arena, tl_tensor, node->n_in + 1);
    bool good = in != NULL && node->n_graphs == 0;
    for (uint32_t i = 0; good && i < node->n_in; i++)
        good = find_operand(d, node->in[i].value, own, &in[i]);
    for (uint32_t i = 0; good && i < node->n_out; i++) {
        const diff_own *computed = tl_map_find_id(&d->own, node->out[i]->id + 1);
        good = computed != NULL;
        if (good)
            out[i] = computed->tensor;
    }
    return good && tl_verify_run_node(node, in, out, d->symbols, &d->arena);
}

/* The value that b would have if it had the first run's; false when that does not have it. */
static bool expect_from_source(diff_values *d, const tl_value *value, tl_tensor *t)
{
    const int *perm;
    const diff_seen *seen = tl_map_find(&d->seen, source_name(value, &perm));
    const diff_own *own = tl_map_find_id(&d->own, value->id + 1);
    tl_tensor ordered;
    return seen && own && seen->tensor.rank == own->tensor.rank &&
           tl_verify_from_source(&d->arena, &seen->tensor, perm, &ordered) &&
           tl_verify_convert(&d->arena, &ordered, own->tensor.dtype, own->tensor.quant, t);
}

static void expect(diff_values *d, const tl_value *value, const tl_tensor *t)
{
    tl_tensor *copy = tl_arena_copy(&d->arena, t, sizeof *t);
    if (copy)
        (void)tl_map_put_id(&d->expected, value->id + 1, copy);
}

static bool is_worse(const tl_comparison *a, const tl_comparison *b)
{
    return a->agree != b->agree ? !a->agree : a->relative > b->relative;
}

/* Notes an error of a node at one of its results; a kernel that agrees is not worth a record of its
 * own. */
static void note_local(diff_values *d, const tl_value *value, const char *cause,
                       const tl_comparison *c)
{
    diff_record *record = tl_map_find_id(&d->by_value, value->id + 1);
    const int *perm;
    if (!record && !c->agree) {
        record = add_record(d, value, source_name(value, &perm));
        if (record)
            (void)tl_map_put_id(&d->by_value, value->id + 1, record);
    }
    if (record && (!record->cause || is_worse(c, &record->local))) {
        record->local = *c;
        record->cause = cause;
        record->position = d->position;
    }
}

static void search_node(diff_values *d, const tl_node *node)
{
    tl_arena *arena = &d->arena;
    tl_tensor *ideal = TL_NEW_ARRAY(arena, tl_tensor, node->n_out + 1);
    tl_tensor *again = TL_NEW_ARRAY(arena, tl_tensor, node->n_out + 1);
    if (!ideal || !again)
        return;
    bool has_ideal = run_alone(d, node, false, ideal), has_again = run_alone(d, node, true, again);
    for (uint32_t i = 0; i < node->n_out; i++) {
        const tl_value *value = node->out[i];
        const diff_own *own = tl_map_find_id(&d->own, value->id + 1);
        tl_tensor t;
        bool known = expect_from_source(d, value, &t);
        if (known && has_ideal) {
            tl_comparison c = tl_compare(&ideal[i], &t, &d->tolerance);
            note_local(d, value, "op", &c);
        }
        if (own && has_again) {
            tl_comparison c = tl_compare(&own->tensor, &again[i], &d->tolerance);
            note_local(d, value, "kernel", &c);
        }
        if (known) {
            (void)tl_map_put_id(&d->known, value->id + 1, d);
            expect(d, value, &t);
        } else if (has_ideal)
            expect(d, value, &ideal[i]);
        else if (own)
            expect(d, value, &own->tensor);
    }
}

tl_status diff_find_local(diff_values *d, const tl_runner *b, const tl_arrays *inputs, int64_t part)
{
    const tl_model *model = b->model;
    d->b = b;
    d->inputs = inputs;
    d->part = part;
    tl_map_init(&d->expected, &d->arena);
    tl_map_init(&d->known, &d->arena);
    tl_map_init(&d->by_value, &d->arena);
    size_t n_symbols = tl_dims_n_symbols(model->dims);
    d->symbols = TL_NEW_ARRAY(&d->arena, int64_t, n_symbols + 1);
    if (!d->symbols)
        return tl_context_status(d->cx);
    for (size_t i = 0; i < n_symbols; i++)
        d->symbols[i] = tl_session_symbol(b->session, i);
    for (size_t i = 0; i < d->records.n; i++)
        (void)tl_map_put_id(&d->by_value, d->records.v[i]->value->id + 1, d->records.v[i]);
    TL_EACH_NODE (node, b->entry->graph) {
        TRY(tl_check_cancel(d->cx));
        search_node(d, node);
        d->position++;
    }
    return d->cx->out_of_memory ? TL_ENVIRONMENT : TL_OK;
}

bool diff_find_tensor(diff_values *d, const tl_value *value, bool own, tl_tensor *t)
{
    return find_operand(d, value, own, t);
}

bool diff_is_known(const diff_values *d, const tl_value *value)
{
    return tl_map_find_id(&d->known, value->id + 1) != NULL;
}

/* ---- the report ---- */

/* Where the runs part: the first node that brings an error in, else the first value that differs.
 */
static const diff_record *first_record(const diff_values *d, const char **by)
{
    const diff_record *first = NULL;
    for (size_t i = 0; i < d->records.n; i++) {
        const diff_record *r = d->records.v[i];
        bool errs = r->cause && !r->local.agree;
        if (errs && (!first || r->position < first->position))
            first = r;
    }
    *by = first ? "local" : "all";
    for (size_t i = 0; i < d->records.n && !first; i++)
        if (!d->records.v[i]->all.agree)
            first = d->records.v[i];
    return first;
}

static void report_fields(const diff_record *r, tl_json *json)
{
    const tl_node *node = r->value->def;
    tl_json_str(json, "value", r->name.n ? r->name : r->value->name);
    if (node) {
        tl_json_text(json, "op", api_op_title(node->op));
        api_json_origin(json, node->origin);
    }
    if (r->seen)
        api_json_comparison(json, &r->all);
    if (r->cause) {
        tl_json_open(json, "local", '{');
        tl_json_text(json, "cause", r->cause);
        api_json_comparison(json, &r->local);
        tl_json_close(json, '}');
    }
}

static void report_record(const diff_record *r, bool first, tl_json *json)
{
    tl_json_open(json, NULL, '{');
    report_fields(r, json);
    if (first)
        tl_json_bool(json, "first", true);
    tl_json_close(json, '}');
}

const tl_value *diff_first(const diff_values *d, bool *kernel)
{
    const char *by;
    const diff_record *first = first_record(d, &by);
    *kernel = first && first->cause && !strcmp(first->cause, "kernel");
    return first ? first->value : NULL;
}

bool diff_first_is_local(const diff_values *d)
{
    const char *by;
    return first_record(d, &by) && !strcmp(by, "local");
}

void diff_first_report(const diff_values *d, tl_json *json)
{
    const char *by;
    const diff_record *first = first_record(d, &by);
    if (!first)
        return;
    report_fields(first, json);
    tl_json_text(json, "first_by", by);
}

void diff_values_report(const diff_values *d, tl_json *json)
{
    const char *by;
    const diff_record *first = first_record(d, &by);
    tl_json_open(json, "values", '[');
    for (size_t i = 0; i < d->records.n; i++)
        report_record(d->records.v[i], d->records.v[i] == first, json);
    tl_json_close(json, ']');
    if (first)
        tl_json_text(json, "first_by", by);
}
