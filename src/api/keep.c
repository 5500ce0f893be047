/* --keep-accuracy: the cheapest types for which a bound holds on samples that were not used for calibration.
 *
 * Ops are ranked by the error that each adds by itself: fed with the numbers that the floats have, how far its results in
 * integers are from theirs (noise to signal). The worst k leave int8, k as small as the bound allows (doubled, then halved,
 * for more floats are taken not to make it worse); worst by the error, or by the error for the multiply-adds that it costs to
 * be rid of it, whichever leaves more in int8. Then each of them is put back where the bound holds without it, the one
 * with most multiply-adds first; and those that remain are tried with 16 bits in the place of floats. Every step is
 * confirmed by a run of the whole model, so that the result holds whatever the ranking is worth. */
#include "api/api.h"

#include "base/math.h"
#include "verify/local.h"

#include <stdlib.h>
#include <string.h>

typedef enum bound_kind { BOUND_SQNR, BOUND_COSINE, BOUND_TOP1 } bound_kind;

/* An op that could be integer. */
typedef struct candidate {
    const tl_node *node; /* of the base */
    double noise;        /* to signal, that it adds by itself; 0: not known */
    double price;        /* the measure when it alone is put back; NAN: not tried */
    int64_t macs;
    double worth; /* what it is sorted by, largest first */
} candidate;

typedef struct keeping {
    tl_context *cx;
    tl_network *network;
    const tl_quantize_options *quantize;
    const tl_lower_options *lower;
    tl_arena *arena;
    tl_model *base; /* the lowered model, every value named after its id */
    const api_held *held;
    size_t n_held;
    bound_kind kind;
    double bound;
    uint8_t *choice;      /* by node id */
    tl_tensor *reference; /* outputs of floats, n_held times n_out */
    size_t n_out;
    TL_VEC(candidate) list; /* worst first */
    int n_runs;
} keeping;

/* ---- the bound ---- */

static tl_status parse_bound(keeping *k, const char *text)
{
    static const char *const names[] = {"sqnr=", "cosine=", "top1="};
    for (size_t i = 0; i < TL_COUNT(names); i++) {
        size_t n = strlen(names[i]);
        if (strncmp(text, names[i], n) || !tl_str_to_f64(tl_str_from(text + n), &k->bound))
            continue;
        k->kind = (bound_kind)i;
        if (k->bound > 0 && (k->kind == BOUND_SQNR ? k->bound < 200 : k->bound <= 1))
            return TL_OK;
    }
    return tl_fail(k->cx, TL_O001, NULL,
                   "--keep-accuracy %s, expected sqnr=DECIBEL, cosine=C or top1=SHARE (at most 1), "
                   "such as sqnr=25",
                   text);
}

#define SPARE 0.5 /* decibel: the delegate fuses and rounds some ops in ways that are its own */

/* With something to spare while it is searched for. */
static bool holds(const keeping *k, double measure)
{
    switch (k->kind) {
    case BOUND_SQNR:
        return measure >= k->bound + SPARE;
    case BOUND_COSINE: /* 1 - cosine goes with the error's square */
        return 1 - measure <= (1 - k->bound) * 0.9;
    case BOUND_TOP1:
        return measure >= k->bound;
    }
    return false;
}

/* ---- runs ---- */

/* Sums over samples of one output. */
typedef struct sums {
    double signal, error, dot, size;
} sums;

static void add_sums(sums *s, const tl_tensor *result, const tl_tensor *reference)
{
    for (int64_t i = 0, n = tl_tensor_count(reference); i < n; i++) {
        double x = tl_tensor_get_f64(result, i), y = tl_tensor_get_f64(reference, i);
        if (y - y != 0 && (x == y || x != x)) /* equal infinities, NaN in both */
            continue;
        s->signal += y * y;
        s->size += x * x;
        s->error += (x - y) * (x - y);
        s->dot += x * y;
    }
}

static int64_t largest(const tl_tensor *t, int64_t first, int64_t n)
{
    int64_t at = first;
    for (int64_t i = first; i < first + n; i++)
        if (tl_tensor_get_f64(t, i) > tl_tensor_get_f64(t, at))
            at = i;
    return at;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : a > 0 ? (double)INFINITY : 1;
}

static double measure_of(const keeping *k, const sums *s)
{
    if (k->kind == BOUND_COSINE)
        return ratio(s->dot, tl_sqrt(s->signal) * tl_sqrt(s->size));
    return s->error > 0 ? 10 * tl_log(ratio(s->signal, s->error)) / tl_log(10) : (double)INFINITY;
}

static bool is_measured(const tl_tensor *t)
{
    return tl_dtype_is_float(t->dtype);
}

/* The model of the choices. NULL on failure. */
static tl_model *make_model(keeping *k, tl_arena *arena)
{
    tl_quantize_options o = *k->quantize;
    tl_model *model = tl_model_copy(k->base, arena);
    o.choice = k->choice;
    o.quiet = true;
    if (model &&
        (tl_quantize_static(model, &o) != TL_OK || tl_lower_finish(model, k->lower) != TL_OK)) {
        tl_model_release(model);
        return NULL;
    }
    return model;
}

/* Runs a model on the samples held out; each is called after every one. */
static tl_status
run_held(keeping *k, tl_session *session, const tl_entry *entry,
         tl_status (*each)(keeping *k, tl_session *session, size_t sample, void *user), void *user)
{
    for (size_t i = 0; i < k->n_held; i++) {
        TRY(tl_check_cancel(k->cx));
        if (k->held[i].first)
            tl_session_reset(session);
        TRY(api_feed(k->cx, session, entry, k->held[i].arrays, -1));
        TRY(tl_session_run(session));
        TRY(each(k, session, i, user));
    }
    return TL_OK;
}

static tl_status open_session(keeping *k, tl_model *model, tl_session_options *o,
                              const tl_entry **entry, tl_session **session)
{
    o->n_threads = k->cx->n_threads;
    TRY(api_entry(k->cx, model, NULL, entry));
    return tl_session_new(k->cx, model, *entry, o, session);
}

typedef struct scores {
    sums *outputs;
    int64_t rows, same;
} scores;

static tl_status score(keeping *k, tl_session *session, size_t sample, void *user)
{
    scores *s = user;
    for (size_t i = 0; i < k->n_out; i++) {
        const tl_tensor *reference = &k->reference[sample * k->n_out + i];
        const tl_tensor *result = tl_session_output(session, i);
        if (is_measured(reference) && tl_tensor_count(result) == tl_tensor_count(reference))
            add_sums(&s->outputs[i], result, reference);
    }
    const tl_tensor *x = tl_session_output(session, 0), *y = &k->reference[sample * k->n_out];
    int64_t n = y->rank ? y->shape[y->rank - 1] : 1;
    for (int64_t at = 0; n > 0 && at + n <= tl_tensor_count(y); at += n, s->rows++)
        s->same += largest(x, at, n) == largest(y, at, n);
    return TL_OK;
}

static tl_status measure_rounding(keeping *k, tl_model *model, tl_rounding rounding, double *out)
{
    const tl_entry *entry;
    tl_session *session = NULL;
    tl_session_options options = {.rounding = rounding};
    scores s = {.outputs = TL_NEW_ARRAY(k->arena, sums, k->n_out + 1)};
    if (!s.outputs)
        return tl_context_status(k->cx);
    memset(s.outputs, 0, (k->n_out + 1) * sizeof *s.outputs);
    tl_status status = open_session(k, model, &options, &entry, &session);
    if (status == TL_OK)
        status = run_held(k, session, entry, score, &s);
    tl_session_free(session);
    if (k->kind == BOUND_TOP1)
        *out = TL_MIN(*out, ratio((double)s.same, (double)s.rows));
    for (size_t i = 0; i < k->n_out && k->kind != BOUND_TOP1; i++)
        if (is_measured(&k->reference[i]))
            *out = TL_MIN(*out, measure_of(k, &s.outputs[i]));
    return status;
}

/* The lesser of what the runtime's own kernels and its delegate give, which round in different ways. */
static tl_status measure(keeping *k, tl_model *model, double *out)
{
    *out = (double)INFINITY;
    TRY(measure_rounding(k, model, TL_ROUND_PLAIN, out));
    if (holds(k, *out)) /* else the other cannot mend it */
        TRY(measure_rounding(k, model, TL_ROUND_FLOAT, out));
    k->n_runs++;
    tl_progress(k->cx, "keeping accuracy", 1 - 1.0 / (1 + k->n_runs / 8.0));
    return TL_OK;
}

/* The measure of the choices as they stand. */
static tl_status try_choices(keeping *k, double *out)
{
    tl_arena arena;
    tl_arena_init(&arena, k->cx);
    tl_model *model = make_model(k, &arena);
    tl_status status = model ? measure(k, model, out) : tl_context_status(k->cx);
    if (model)
        tl_model_release(model);
    tl_arena_release(&arena);
    return status;
}

/* ---- floats ---- */

static tl_status keep_outputs(keeping *k, tl_session *session, size_t sample, void *user)
{
    (void)user;
    for (size_t i = 0; i < k->n_out; i++)
        if (!tl_verify_copy(k->arena, tl_session_output(session, i),
                            &k->reference[sample * k->n_out + i]))
            return tl_context_status(k->cx);
    return TL_OK;
}

/* Values of one run, by name. */
typedef struct seen_values {
    tl_map map;
    tl_arena *arena;
} seen_values;

static void remember(void *user, const tl_value *value, const tl_tensor *tensor)
{
    seen_values *seen = user;
    tl_tensor *copy = value->mark && tensor->data ? TL_NEW(seen->arena, tl_tensor) : NULL;
    if (copy && tl_verify_copy(seen->arena, tensor, copy))
        (void)tl_map_put(&seen->map, value->mark->name, copy);
}

static void name_value(tl_model *model, tl_value *value)
{
    char name[24];
    int n = snprintf(name, sizeof name, "#%u", value->id);
    tl_mark mark = {.name = tl_str_copy(model->arena, (tl_str){name, (size_t)n}), .exact = true};
    if (mark.name.p)
        tl_value_set_mark(value, &mark);
}

static void name_graph(tl_graph *graph)
{
    for (size_t i = 0; i < graph->inputs.n; i++)
        name_value(graph->model, graph->inputs.v[i]);
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            name_graph(node->graphs[i]);
        for (size_t i = 0; i < node->n_out; i++)
            name_value(graph->model, node->out[i]);
    }
}

/* Outputs of all samples, and all values of the first. */
static tl_status run_floats(keeping *k, seen_values *seen)
{
    const tl_entry *entry;
    tl_session *session = NULL;
    tl_session_options options = {0}, observed = {.observe = remember, .observe_user = seen};
    TRY(open_session(k, k->base, &options, &entry, &session));
    k->n_out = entry->n_out;
    k->reference = TL_NEW_ARRAY(k->arena, tl_tensor, k->n_held * k->n_out + 1);
    tl_status status =
        k->reference ? run_held(k, session, entry, keep_outputs, NULL) : tl_context_status(k->cx);
    tl_session_free(session);
    session = NULL;
    if (status == TL_OK)
        status = open_session(k, k->base, &observed, &entry, &session);
    if (status == TL_OK)
        status = api_feed(k->cx, session, entry, k->held[0].arrays, -1);
    for (size_t i = 0; i < entry->n_in && status == TL_OK; i++) {
        tl_tensor t = api_tensor(api_find_input(k->held[0].arrays, entry, i));
        remember(seen, entry->graph->inputs.v[i], &t);
    }
    if (status == TL_OK)
        status = tl_session_run(session);
    tl_session_free(session);
    return status;
}

/* ---- what each op adds ---- */

/* The numbers of floats that value stands for; NULL: not known. */
static const tl_tensor *seen_of(const seen_values *seen, const tl_value *value)
{
    while (value && !value->mark && value->def &&
           (value->def->op == TL_OP_tfl_quantize || value->def->op == TL_OP_tfl_dequantize))
        value = tl_in(value->def, 0);
    return value && value->mark ? tl_map_find(&seen->map, value->mark->name) : NULL;
}

static bool load_constant(keeping *k, const tl_value *value, tl_arena *arena, tl_tensor *t)
{
    const tl_const *c = value->constant;
    union {
        const void *in;
        void *out;
    } data = {tl_const_load(k->cx, c, arena)}; /* kernels do not write to operands */
    *t = (tl_tensor){.dtype = tl_const_dtype(c),
                     .rank = tl_const_rank(c),
                     .data = data.out,
                     .quant = tl_type_of(value)->quant};
    memcpy(t->shape, tl_const_shape(c), (size_t)t->rank * sizeof *t->shape);
    return data.in != NULL;
}

/* Noise to signal of node fed with the right numbers; 0: not known. */
static double noise_of(keeping *k, const seen_values *seen, const tl_node *node, tl_arena *arena)
{
    const tl_tensor *right = seen_of(seen, node->out[0]);
    tl_tensor *in = TL_NEW_ARRAY(arena, tl_tensor, node->n_in + 1), out, real;
    bool good = in && right && node->n_out == 1;
    for (size_t i = 0; good && i < node->n_in; i++) {
        const tl_value *x = node->in[i].value;
        const tl_tensor *t = x && !x->constant ? seen_of(seen, x) : NULL;
        in[i] = (tl_tensor){0};
        if (x && x->constant)
            good = load_constant(k, x, arena, &in[i]);
        else if (x)
            good = t &&
                   tl_verify_convert(arena, t, tl_type_of(x)->dtype, tl_type_of(x)->quant, &in[i]);
    }
    if (!good)
        return 0;
    out = *right;
    out.dtype = tl_type_of(node->out[0])->dtype;
    out.quant = tl_type_of(node->out[0])->quant;
    sums s = {0};
    if (!tl_verify_run_node(node, in, &out, NULL, arena) ||
        !tl_verify_convert(arena, &out, TL_F32, NULL, &real) ||
        tl_tensor_count(&real) != tl_tensor_count(right))
        return 0;
    add_sums(&s, &real, right);
    return s.signal > 0 ? s.error / s.signal : 0;
}

static candidate *find_candidate(keeping *k, const tl_value *value)
{
    uint32_t id = 0;
    if (!value->mark || value->mark->name.n < 2 || value->mark->name.p[0] != '#')
        return NULL;
    for (size_t i = 1; i < value->mark->name.n; i++)
        id = id * 10 + (uint32_t)(value->mark->name.p[i] - '0');
    for (size_t i = 0; i < k->list.n; i++)
        if (k->list.v[i].node->out[0]->id == id)
            return &k->list.v[i];
    return NULL;
}

static void list_graph(keeping *k, const tl_graph *graph)
{
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            list_graph(k, node->graphs[i]);
        candidate c = {.node = node, .noise = -1, .price = (double)NAN, .macs = api_macs(node)};
        if (tl_quantize_is_candidate(node) && node->n_out == 1)
            (void)tl_vec_push(k->arena, &k->list, c);
    }
}

/* Notes the noise of all ops that are integers in graph. */
static void rank_graph(keeping *k, const seen_values *seen, const tl_graph *graph)
{
    TL_EACH_NODE (node, graph) {
        for (size_t i = 0; i < node->n_graphs; i++)
            rank_graph(k, seen, node->graphs[i]);
        if (node->n_out != 1 || !tl_type_of(node->out[0])->quant)
            continue;
        candidate *c = find_candidate(k, node->out[0]);
        tl_arena scratch;
        tl_arena_init(&scratch, k->cx);
        if (c)
            c->noise = TL_MAX(c->noise, noise_of(k, seen, node, &scratch));
        tl_arena_release(&scratch);
    }
}

static int worse(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->worth != y->worth)
        return x->worth < y->worth ? 1 : -1;
    return x->node->id < y->node->id ? -1 : 1;
}

/* Those that are integers when all may be, worst first; and the measure of that. */
static tl_status rank(keeping *k, const seen_values *seen, double *all)
{
    tl_arena arena;
    for (size_t e = 0; e < k->base->entries.n; e++)
        list_graph(k, k->base->entries.v[e].graph);
    tl_arena_init(&arena, k->cx);
    tl_model *model = make_model(k, &arena);
    tl_status status = model ? measure(k, model, all) : tl_context_status(k->cx);
    for (size_t e = 0; model && e < model->entries.n; e++)
        rank_graph(k, seen, model->entries.v[e].graph);
    if (model)
        tl_model_release(model);
    tl_arena_release(&arena);
    size_t n = 0;
    for (size_t i = 0; i < k->list.n; i++)
        if (k->list.v[i].noise >= 0)
            k->list.v[n++] = k->list.v[i];
    k->list.n = n;
    return status;
}

static int64_t macs_as(const keeping *k, tl_quantize_choice choice)
{
    int64_t macs = 0;
    for (size_t i = 0; i < k->list.n; i++)
        macs += k->choice[k->list.v[i].node->id] == choice ? k->list.v[i].macs : 0;
    return macs;
}

/* An op without multiply-adds costs something, too: a hundredth of all. */
static void sort_candidates(keeping *k, bool by_cost)
{
    double whole = 1;
    for (size_t i = 0; i < k->list.n; i++)
        whole += (double)k->list.v[i].macs;
    for (size_t i = 0; i < k->list.n; i++) {
        candidate *c = &k->list.v[i];
        c->worth = c->noise / (by_cost ? (double)c->macs + whole / 100 : 1);
    }
    if (k->list.n)
        qsort(k->list.v, k->list.n, sizeof *k->list.v, worse);
}

/* ---- the search ---- */

static void choose_first(keeping *k, size_t n, tl_quantize_choice choice)
{
    for (size_t i = 0; i < k->list.n; i++)
        k->choice[k->list.v[i].node->id] = (uint8_t)(i < n ? choice : TL_CHOOSE_INT8);
}

/* The least number of worst ops in floats with which the bound holds. */
static tl_status find_prefix(keeping *k, size_t *out)
{
    size_t low = 0, high = 1; /* with `low` it does not hold */
    double now;
    for (;; low = high, high *= 2) {
        high = TL_MIN(high, k->list.n);
        choose_first(k, high, TL_CHOOSE_FLOAT);
        TRY(try_choices(k, &now));
        if (holds(k, now) || high == k->list.n)
            break;
    }
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        choose_first(k, middle, TL_CHOOSE_FLOAT);
        TRY(try_choices(k, &now));
        if (holds(k, now))
            high = middle;
        else
            low = middle;
    }
    choose_first(k, high, TL_CHOOSE_FLOAT);
    *out = high;
    return TL_OK;
}

#define MOST_TRIALS 48 /* of single ops, in each of both directions */

static int dearer(const void *a, const void *b)
{
    const candidate *x = *(candidate *const *)a, *y = *(candidate *const *)b;
    if (x->macs != y->macs)
        return x->macs < y->macs ? 1 : -1;
    return x->noise < y->noise ? -1 : x->noise > y->noise;
}

/* Each of the first n candidates that is in floats is given another type where the bound holds with it. */
static tl_status try_each(keeping *k, size_t n, tl_quantize_choice choice)
{
    candidate **order = TL_NEW_ARRAY(k->arena, candidate *, n + 1);
    if (!order)
        return tl_context_status(k->cx);
    for (size_t i = 0; i < n; i++)
        order[i] = &k->list.v[i];
    qsort(order, n, sizeof *order, dearer);
    for (size_t i = 0, tried = 0; i < n && tried < MOST_TRIALS; i++) {
        uint8_t *mine = &k->choice[order[i]->node->id];
        double now;
        if (*mine != TL_CHOOSE_FLOAT)
            continue;
        *mine = (uint8_t)choice;
        TRY(try_choices(k, &now));
        tried++;
        if (!holds(k, now))
            *mine = TL_CHOOSE_FLOAT;
        if (choice == TL_CHOOSE_INT8)
            order[i]->price = now;
    }
    return TL_OK;
}

/* All in floats as 16 bits at once, else one by one. */
static tl_status try_wide(keeping *k, size_t n)
{
    double now;
    uint8_t *before = tl_arena_copy(k->arena, k->choice, k->quantize->n_choice);
    if (!before)
        return tl_context_status(k->cx);
    for (size_t i = 0; i < n; i++)
        if (k->choice[k->list.v[i].node->id] == TL_CHOOSE_FLOAT)
            k->choice[k->list.v[i].node->id] = TL_CHOOSE_INT16;
    TRY(try_choices(k, &now));
    if (holds(k, now))
        return TL_OK;
    memcpy(k->choice, before, k->quantize->n_choice);
    return try_each(k, n, TL_CHOOSE_INT16);
}

/* ---- the report ---- */

static void report_op(keeping *k, tl_json *json, const candidate *c)
{
    static const char *const types[] = {"int8", "int16", "float"};
    tl_json_open(json, NULL, '{');
    tl_json_text(json, "op", api_op_title(c->node->op));
    api_json_origin(json, c->node->origin);
    tl_json_text(json, "type", types[k->choice[c->node->id]]);
    tl_json_int(json, "macs", c->macs);
    if (c->noise > 0)
        tl_json_num(json, "alone", -10 * tl_log(c->noise) / tl_log(10));
    if (c->price == c->price)
        tl_json_num(json, "as_int8", c->price);
    tl_json_close(json, '}');
}

static void count_macs(const tl_graph *graph, int64_t *all)
{
    TL_EACH_NODE (node, graph) {
        *all += api_macs(node);
        for (size_t i = 0; i < node->n_graphs; i++)
            count_macs(node->graphs[i], all);
    }
}

static tl_status report(keeping *k, const char *bound, double all, double reached)
{
    int64_t macs[3] = {0}, whole = 0;
    tl_json json;
    tl_json_init(&json, &k->network->arena);
    tl_json_open(&json, NULL, '{');
    tl_json_text(&json, "bound", bound);
    tl_json_int(&json, "samples", (int64_t)k->n_held);
    tl_json_num(&json, "all_int8", all);
    tl_json_num(&json, "reached", reached);
    tl_json_bool(&json, "holds", reached >= k->bound);
    tl_json_int(&json, "runs", k->n_runs);
    for (int i = 0; i < 3; i++)
        macs[i] = macs_as(k, (tl_quantize_choice)i);
    for (size_t e = 0; e < k->base->entries.n; e++)
        count_macs(k->base->entries.v[e].graph, &whole);
    tl_json_open(&json, "macs", '{');
    tl_json_int(&json, "int8", macs[TL_CHOOSE_INT8]);
    tl_json_int(&json, "int16", macs[TL_CHOOSE_INT16]);
    tl_json_int(&json, "float", whole - macs[TL_CHOOSE_INT8] - macs[TL_CHOOSE_INT16]);
    tl_json_close(&json, '}');
    tl_json_open(&json, "ops", '[');
    for (size_t i = 0; i < k->list.n; i++)
        if (k->choice[k->list.v[i].node->id] != TL_CHOOSE_INT8)
            report_op(k, &json, &k->list.v[i]);
    tl_json_close(&json, ']');
    tl_json_close(&json, '}');
    k->network->kept = tl_json_get(&json);
    return tl_context_status(k->cx);
}

/* ---- all of it ---- */

/* The choices that hold, in one order of the candidates. */
static tl_status search_in_order(keeping *k, bool by_cost)
{
    size_t n;
    sort_candidates(k, by_cost);
    for (size_t i = 0; i < k->list.n; i++)
        k->list.v[i].price = (double)NAN;
    TRY(find_prefix(k, &n));
    TRY(try_each(k, n, TL_CHOOSE_INT8));
    return try_wide(k, n);
}

/* The better of both orders; a draw goes to 16 bits. */
static tl_status search(keeping *k)
{
    size_t size = k->list.n * sizeof *k->list.v;
    TRY(search_in_order(k, false));
    int64_t narrow = macs_as(k, TL_CHOOSE_INT8), wide = macs_as(k, TL_CHOOSE_INT16);
    uint8_t *choice = tl_arena_copy(k->arena, k->choice, k->quantize->n_choice);
    candidate *list = tl_arena_copy(k->arena, k->list.v, size);
    if (!choice || !list)
        return tl_context_status(k->cx);
    TRY(search_in_order(k, true));
    int64_t now = macs_as(k, TL_CHOOSE_INT8);
    if (now < narrow || (now == narrow && macs_as(k, TL_CHOOSE_INT16) <= wide)) {
        memcpy(k->choice, choice, k->quantize->n_choice);
        memcpy(k->list.v, list, size);
    }
    return TL_OK;
}

static tl_status keep(keeping *k, const char *bound)
{
    double all, reached;
    tl_arena values;
    tl_arena_init(&values, k->cx);
    seen_values seen = {.arena = &values};
    tl_map_init(&seen.map, &values);
    tl_status status = run_floats(k, &seen);
    if (status == TL_OK)
        status = rank(k, &seen, &all);
    tl_arena_release(&values);
    TRY(status);
    reached = all;
    if (!holds(k, all) && k->list.n) {
        TRY(search(k));
        TRY(try_choices(k, &reached));
    }
    return report(k, bound, all, reached);
}

tl_status api_keep_accuracy(tl_network *network, const tl_convert_options *o,
                            const tl_quantize_options *quantize, const tl_model *lowered,
                            const tl_lower_options *lower, tl_arena *arena, const uint8_t **choice)
{
    keeping k = {.cx = network->cx,
                 .network = network,
                 .quantize = quantize,
                 .lower = lower,
                 .arena = arena};
    k.held = api_held_out(o->statistics, &k.n_held);
    TRY(parse_bound(&k, o->keep_accuracy));
    if (k.n_held == 0)
        return tl_fail(
            k.cx, TL_O001, NULL,
            "--keep-accuracy needs samples that calibration does not see, expected --held-out "
            "PATH..., or two samples and more");
    k.choice = TL_NEW_ARRAY(arena, uint8_t, quantize->n_choice + 1);
    k.base = k.choice ? tl_model_copy(lowered, arena) : NULL;
    if (!k.base)
        return tl_context_status(k.cx);
    memset(k.choice, TL_CHOOSE_INT8, quantize->n_choice + 1);
    for (size_t e = 0; e < k.base->entries.n; e++)
        name_graph(k.base->entries.v[e].graph);
    tl_status status = keep(&k, o->keep_accuracy);
    tl_model_release(k.base);
    *choice = k.choice;
    return status == TL_OK ? tl_context_status(k.cx) : status;
}
