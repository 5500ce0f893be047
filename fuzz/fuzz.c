/* Bounds and properties; see fuzz.h. */
#include "fuzz.h"

#include <signal.h>
#include <stdarg.h>
#include <sys/time.h>
#include <time.h>

#include "api/api.h"
#include "api/runner.h"
#include "ir/text.h"

#define SMALL_FILE       ((size_t)64 << 10) /* the bounds hold for these */
#define RUN_MEMORY       ((size_t)64 << 20) /* runs that want more are none of ours */
#define RUN_ELEMENTS     200000             /* of all values of a graph that is run */
#define INPUT_ELEMENTS   8192               /* of its inputs: an op may well multiply two of them */
#define WRITE_ELEMENTS   ((int64_t)16 << 20)
#define TAME             1e15
#define SUBNORMAL        1.2e-38 /* below it, f32 keeps fewer digits than the rule asks for */
#define RUN_MILLISECONDS 500     /* then the run is asked to stop */

/* ---- bounds ---- */

static struct {
    size_t used, limit, peak;
} heap;

static volatile int cancel;

static void *bounded_alloc(void *user, void *old, size_t old_size, size_t new_size)
{
    (void)user;
    if (!old)
        old_size = 0;
    if (!new_size) {
        heap.used -= old_size;
        free(old);
        return NULL;
    }
    if (new_size > heap.limit || heap.used - old_size > heap.limit - new_size)
        return NULL;
    void *p = realloc(old, new_size);
    if (!p)
        return NULL;
    heap.used += new_size - old_size;
    heap.peak = TL_MAX(heap.peak, heap.used);
    return p;
}

void fuzz_broken(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("broken: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}

tl_context *fuzz_begin(void)
{
    tl_context_options options;
    tl_context_options_init(&options);
    options.allocate = bounded_alloc;
    options.cancel = &cancel;
    options.threads = 1;
    heap.limit = FUZZ_MEMORY;
    heap.peak = 0;
    cancel = 0;
    tl_context *cx = tl_context_new(&options);
    if (!cx)
        fuzz_broken("no context");
    return cx;
}

void fuzz_end(tl_context *cx)
{
    tl_context_free(cx);
    if (heap.used)
        fuzz_broken("%zu bytes leaked", heap.used);
}

static const char *first_record(tl_context *cx)
{
    for (size_t i = 0; i < tl_diagnostics_count(cx); i++) {
        tl_diagnostic d = tl_diagnostics_get(cx, i);
        if (d.status != TL_OK)
            return d.text;
    }
    return "";
}

void fuzz_check_status(tl_context *cx, tl_status status, const char *doing)
{
    const char *said = status == TL_OK ? "" : first_record(cx);
    if (status == TL_BUG || (status != TL_OK && !*said))
        fuzz_broken("%s: status %d: %s", doing, (int)status, said);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- runs that end ---- */

static void on_alarm(int signal)
{
    (void)signal;
    cancel = 1;
}

static void set_alarm(int milliseconds)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval timer = {.it_value = {milliseconds / 1000, milliseconds % 1000 * 1000}};
    sigaction(SIGVTALRM, &action, NULL);
    setitimer(ITIMER_VIRTUAL, &timer, NULL);
}

static bool count_value(const tl_value *value, int64_t *total)
{
    const tl_type *type = tl_type_of(value);
    int64_t n = 1, size;
    for (int i = 0; i < type->rank; i++)
        if (tl_dim_is_const(type->dims[i], &size) && !tl_mul_i64(n, size, &n))
            return false;
    return tl_add_i64(*total, n, total) && *total <= RUN_ELEMENTS;
}

static bool count_graph(const tl_graph *graph, int64_t *total)
{
    for (size_t i = 0; i < graph->inputs.n; i++)
        if (!count_value(graph->inputs.v[i], total))
            return false;
    TL_EACH_NODE (node, graph) {
        for (uint32_t i = 0; i < node->n_out; i++)
            if (!count_value(node->out[i], total))
                return false;
        for (uint32_t i = 0; i < node->n_graphs; i++)
            if (!count_graph(node->graphs[i], total))
                return false;
    }
    return true;
}

/* What comparisons have to know of a source. */
typedef struct looseness {
    bool
        undefined; /* it does not say what comes out: two updates of one place, scales that contradict sizes */
    bool coarse; /* roundings to 16 bits */
} looseness;

static void find_looseness(const tl_graph *graph, looseness *loose)
{
    TL_EACH_NODE (node, graph) {
        bool scatters = node->op == TL_OP_scatter_nd || node->op == TL_OP_scatter_elements;
        if (scatters && tl_attrs_of(node, scatter)->reduce == TL_scatter_reduce_replace)
            loose->undefined = true;
        if (node->op == TL_OP_resize && tl_attrs_of(node, resize)->scales.n)
            loose->undefined = true;
        for (uint32_t i = 0; i < node->n_out; i++) {
            tl_dtype dtype = tl_type_of(node->out[i])->dtype;
            loose->coarse = loose->coarse || dtype == TL_F16 || dtype == TL_BF16;
        }
        for (uint32_t i = 0; i < node->n_graphs; i++)
            find_looseness(node->graphs[i], loose);
    }
}

static looseness looseness_of(const tl_model *model)
{
    looseness loose = {false, false};
    for (size_t i = 0; i < model->entries.n; i++)
        find_looseness(model->entries.v[i].graph, &loose);
    return loose;
}

/* Few enough bytes to write: a splat of any size takes none in the source. */
static bool is_writable(const tl_model *model)
{
    int64_t total = 0;
    for (size_t i = 0; i < model->constants.n; i++) {
        const tl_type *type = tl_type_of(model->constants.v[i]);
        int64_t n = 1, size = 0;
        for (int k = 0; k < type->rank; k++)
            if (!tl_dim_is_const(type->dims[k], &size) || !tl_mul_i64(n, size, &n))
                return false;
        if (!tl_add_i64(total, n, &total) || total > WRITE_ELEMENTS)
            return false;
    }
    return true;
}

/* No constant whose square leaves f32: sums of such overflow in one order and not in another. */
static bool is_tame(const tl_model *model)
{
    tl_arena arena;
    tl_arena_init(&arena, model->cx);
    bool tame = true;
    for (size_t i = 0; tame && i < model->constants.n; i++) {
        const tl_const *c = model->constants.v[i]->constant;
        const double *x =
            tl_dtype_is_float(tl_const_dtype(c)) ? tl_const_load_f64(model->cx, c, &arena) : NULL;
        for (int64_t k = 0; x && k < tl_const_count(c); k++)
            tame = tame && !(x[k] > TAME || x[k] < -TAME);
    }
    tl_arena_release(&arena);
    return tame;
}

/* Small enough that running it tells something within milliseconds. */
static bool is_small(const tl_model *model)
{
    int64_t total = 0;
    for (size_t i = 0; i < model->constants.n; i++)
        if (!count_value(model->constants.v[i], &total))
            return false;
    for (size_t i = 0; i < model->entries.n; i++)
        if (!count_graph(model->entries.v[i].graph, &total))
            return false;
    return true;
}

/* ---- text ---- */

static const char *print_model(const tl_model *model, tl_arena *arena)
{
    tl_text text;
    tl_text_init(&text, arena);
    tl_print_options options = {.types = true, .max_inline = 1 << 16};
    tl_status status = tl_model_print(model, &options, &text);
    if (status != TL_OK)
        return NULL;
    return tl_text_get(&text);
}

/* print ∘ parse is the identity on what print wrote. */
static void check_text(const tl_model *model)
{
    tl_context *cx = model->cx;
    tl_arena arena;
    tl_arena_init(&arena, cx);
    const char *once = print_model(model, &arena);
    tl_model *parsed = NULL;
    if (once && !strstr(once, " hash=")) {
        tl_status status = tl_model_parse(cx, &arena, "text", tl_str_from(once), &parsed);
        const char *twice = status == TL_OK ? print_model(parsed, &arena) : NULL;
        if (!twice && !cx->out_of_memory)
            fuzz_broken("own text does not parse: %s\n%s", first_record(cx), once);
        if (twice && strcmp(once, twice) != 0)
            fuzz_broken("text changes:\n%s\n---\n%s", once, twice);
        if (parsed)
            tl_model_release(parsed);
    }
    tl_arena_release(&arena);
}

/* ---- runs ---- */

typedef struct shaking {
    uint64_t random;
    bool orders_nan; /* an op that compares met NaN, which has no place in an order */
} shaking;

static bool is_ordered(const tl_value *value)
{
    for (const tl_use *use = value->uses; use; use = use->next) {
        tl_op op = use->user->op;
        if (op == TL_OP_argmax || op == TL_OP_argmin || op == TL_OP_topk)
            return true;
    }
    return false;
}

/* Every float becomes some roundings larger or smaller, as the bits of a hash say. */
static void shake_floats(const tl_tensor *tensor, uint64_t *random)
{
    int64_t n = tensor->dtype == TL_F32 ? tl_tensor_count(tensor) : 0;
    float *x = tensor->data;
    for (int64_t k = 0; k < n; k++) {
        if (k % 64 == 0)
            *random = tl_hash_bytes(random, sizeof *random, 1);
        x[k] *= *random >> k % 64 & 1 ? 1.0000005f : 0.9999995f;
    }
}

/* What an op made; what only moves shares the memory of what it moves, which was shaken. */
static void shake(void *user, const tl_value *value, const tl_tensor *tensor)
{
    shaking *s = user;
    const float *x = tensor->data;
    int64_t n = tensor->dtype == TL_F32 && is_ordered(value) ? tl_tensor_count(tensor) : 0;
    for (int64_t k = 0; k < n; k++)
        s->orders_nan = s->orders_nan || x[k] != x[k];
    if (!(tl_op_get(value->def->op)->traits & (TL_TRAIT_MOVES | TL_TRAIT_GRAPHS)))
        shake_floats(tensor, &s->random);
}

typedef struct run_options {
    const char *stage;
    bool reference;
    shaking *shaken; /* every value is changed at random; or NULL */
} run_options;

/* The outputs of one stage; NULL when it cannot be run within the bounds. */
static tl_runner *run_stage(tl_network *network, const run_options *how,
                            const tl_convert_options *convert, const tl_arrays *inputs,
                            const tl_arrays **outputs)
{
    tl_context *cx = network->cx;
    tl_run_options options;
    tl_run_options_init(&options);
    options.stage = how->stage;
    options.reference = how->reference;
    options.inspect = how->shaken != NULL;
    options.convert = convert;
    tl_runner *runner = NULL;
    heap.limit = RUN_MEMORY;
    set_alarm(RUN_MILLISECONDS);
    tl_status status = tl_runner_new(network, &options, &runner);
    if (status == TL_OK) {
        runner->observe = how->shaken ? shake : NULL;
        runner->observe_user = how->shaken;
        status = tl_run(runner, inputs, outputs);
    }
    set_alarm(0);
    heap.limit = FUZZ_MEMORY;
    if (status == TL_OK)
        return runner;
    fuzz_check_status(cx, status, "run");
    tl_runner_free(runner);
    return NULL;
}

static bool is_finite(const tl_arrays *arrays)
{
    for (size_t i = 0; i < tl_arrays_count(arrays); i++) {
        tl_array a = tl_arrays_get(arrays, i);
        tl_tensor t = api_tensor(&a);
        int64_t n = tl_tensor_count(&t);
        for (int64_t k = 0; tl_dtype_is_float(t.dtype) && k < n; k++) {
            double x = tl_dtype_get_f64(t.dtype, t.data, k);
            if (!(x - x == 0))
                return false;
        }
    }
    return true;
}

static int64_t count_inputs(const tl_arrays *inputs)
{
    int64_t total = 0;
    for (size_t i = 0; i < tl_arrays_count(inputs); i++) {
        tl_array a = tl_arrays_get(inputs, i);
        tl_tensor t = api_tensor(&a);
        total += tl_tensor_count(&t);
    }
    return total;
}

/* share: of the tolerance */
static bool agree(const tl_network *network, const tl_array *x, const tl_array *y, double share,
                  tl_comparison *c)
{
    bool coarse = looseness_of(network->model).coarse;
    tl_tolerance tolerance = {.relative = (coarse ? 2e-2 : 1e-3) * share,
                              .cosine = 1 - (coarse ? 1e-3 : 1e-5) * share * share};
    tl_tensor p = api_tensor(x), q = api_tensor(y);
    *c = tl_compare(&q, &p, &tolerance);
    return c->agree || c->max_abs < SUBNORMAL;
}

#define SHAKY_SHARE 0.2 /* of the tolerance */

/* The inputs with other roundings; back: as they were. */
static void shake_inputs(const tl_arrays *inputs, uint64_t seed, bool back)
{
    static char saved[INPUT_ELEMENTS * sizeof(float)];
    char *at = saved;
    for (size_t i = 0; i < tl_arrays_count(inputs); i++) {
        tl_array a = tl_arrays_get(inputs, i);
        tl_tensor t = api_tensor(&a);
        size_t size = t.dtype == TL_F32 ? (size_t)tl_tensor_count(&t) * sizeof(float) : 0;
        if (back && size)
            memcpy(t.data, at, size);
        else if (size)
            memcpy(at, t.data, size);
        if (!back)
            shake_floats(&t, &seed);
        at += size;
    }
}

/* A comparison of two stages, a being that of the reference. */
typedef struct fuzz_pair {
    tl_network *network;
    const tl_convert_options *convert;
    const tl_arrays *inputs, *a, *b;
    const char *stage; /* of b */
} fuzz_pair;

/* What is computed is mostly rounding: other roundings of inputs and of every op give other results, too. */
static bool is_shaky(const fuzz_pair *p, const char *stage, const tl_arrays *plain)
{
    bool same = true;
    for (uint64_t seed = 1; same && seed <= 3; seed++) {
        const tl_arrays *shaken;
        tl_comparison c;
        shaking state = {.random = seed};
        run_options how = {.stage = stage, .reference = true, .shaken = &state};
        shake_inputs(p->inputs, seed, false);
        tl_runner *runner = run_stage(p->network, &how, p->convert, p->inputs, &shaken);
        shake_inputs(p->inputs, seed, true);
        same = runner != NULL && !state.orders_nan;
        for (size_t i = 0; same && i < tl_arrays_count(plain); i++) {
            tl_array x = tl_arrays_get(plain, i), y = tl_arrays_get(shaken, i);
            same = agree(p->network, &x, &y, SHAKY_SHARE, &c);
        }
        tl_runner_free(runner);
    }
    return !same;
}

static void check_same(const char *what, const fuzz_pair *p)
{
    for (size_t i = 0; i < tl_arrays_count(p->a); i++) {
        tl_array x = tl_arrays_get(p->a, i), y = tl_arrays_get(p->b, i);
        tl_comparison c;
        if (agree(p->network, &x, &y, 1, &c) || is_shaky(p, "source", p->a) ||
            is_shaky(p, p->stage, p->b))
            continue;
        tl_arena arena;
        tl_arena_init(&arena, p->network->cx);
        fuzz_broken(
            "%s: output %s: %lld of %lld differ, max|a-b| %g, max|ref| %g, shape %d, type %d\n%s",
            what, x.name, (long long)c.n_different, (long long)c.n, c.max_abs, c.max_ref,
            c.same_shape, c.same_dtype, print_model(p->network->model, &arena));
    }
}

/* Reference kernels, fast kernels and the lowered graph compute the same. */
static void check_runs(tl_network *network, const tl_convert_options *convert, bool convertible)
{
    tl_context *cx = network->cx;
    tl_arrays *inputs;
    const tl_arrays *plain, *fast, *lowered;
    if (!is_small(network->model) || !is_tame(network->model) ||
        looseness_of(network->model).undefined || tl_arrays_new(cx, &inputs) != TL_OK)
        return;
    heap.limit = RUN_MEMORY;
    tl_status status = tl_arrays_add_random(inputs, network, 1, 0);
    heap.limit = FUZZ_MEMORY;
    tl_runner *a = NULL, *b = NULL, *c = NULL;
    if (status == TL_OK && count_inputs(inputs) <= INPUT_ELEMENTS)
        a = run_stage(network, &(run_options){"source", true, NULL}, convert, inputs, &plain);
    if (a)
        b = run_stage(network, &(run_options){"source", false, NULL}, convert, inputs, &fast);
    if (a && b && is_finite(plain))
        check_same("fast kernels", &(fuzz_pair){network, convert, inputs, plain, fast, "source"});
    if (a && b && convertible &&
        (c = run_stage(network, &(run_options){"lowered", false, NULL}, convert, inputs,
                       &lowered)) &&
        is_finite(plain))
        check_same("lowered graph",
                   &(fuzz_pair){network, convert, inputs, plain, lowered, "lowered"});
    if (a && !b && !cx->out_of_memory && !cancel)
        fuzz_broken("only the reference kernels run: %s", first_record(cx));
    if (a && b && convertible && !c && !cx->out_of_memory && !cancel)
        fuzz_broken("only the source runs: %s", first_record(cx));
    tl_runner_free(a);
    tl_runner_free(b);
    tl_runner_free(c);
    tl_arrays_free(inputs);
}

/* ---- files ---- */

/* The written file opens, and is the same when written again. */
static void check_file(tl_context *cx, const void *data, size_t size)
{
    tl_network *file;
    tl_status status = tl_open_memory(cx, "written", data, size, NULL, &file);
    if (status != TL_OK && !cx->out_of_memory)
        fuzz_broken("our own file: %s", first_record(cx));
    if (status != TL_OK)
        return;
    check_text(file->model);
    tl_close(file);
}

static bool convert_network(tl_network *network, const tl_convert_options *options)
{
    const void *data;
    size_t size;
    tl_status status = tl_convert_memory(network, options, &data, &size, NULL);
    fuzz_check_status(network->cx, status, "convert");
    if (status == TL_OK)
        check_file(network->cx, data, size);
    return status == TL_OK;
}

void fuzz_model(const char *name, const uint8_t *data, size_t size)
{
    tl_context *cx = fuzz_begin();
    double start = seconds();
    tl_network *network;
    tl_status status = tl_open_memory(cx, name, data, size, NULL, &network);
    if (status == TL_USAGE) { /* TorchScript stores no sizes; those that have an x get some */
        static const char *const inputs[] = {"x=f32:5,2"};
        tl_open_options options;
        tl_open_options_init(&options);
        options.inputs = inputs;
        options.n_inputs = 1;
        tl_context_reset(cx);
        status = tl_open_memory(cx, name, data, size, &options, &network);
    }
    fuzz_check_status(cx, status, "open");
    if (status == TL_OK) {
        tl_convert_options options;
        tl_convert_options_init(&options);
        options.exact = true;
        options.nhwc = tl_hash_bytes(data, size, 1) % 4 == 0;
        bool core = network->model->legal == TL_LEGAL_CORE && is_writable(network->model);
        bool convertible = core && convert_network(network, &options);
        double took = seconds() - start;
        bool small = size <= SMALL_FILE;
        if (small && (took > FUZZ_SECONDS * FUZZ_SLOWNESS || cx->out_of_memory))
            fuzz_broken("%zu bytes take %.1f s, %zu MB", size, took, heap.peak >> 20);
        tl_context_reset(cx);
        const char *json;
        if (tl_describe(network, NULL, &json) != TL_OK)
            fuzz_broken("no description");
        if (is_writable(network->model)) /* the text of a constant has its hash */
            check_text(network->model);
        check_runs(network, &options, convertible && !options.nhwc);
        tl_close(network);
    } else if (size <= SMALL_FILE && cx->out_of_memory) {
        fuzz_broken("%zu bytes take %zu MB", size, heap.peak >> 20);
    }
    fuzz_end(cx);
}

/* ---- choices ---- */

uint64_t fuzz_next(fuzz_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u; /* SplitMix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

size_t fuzz_below(fuzz_random *random, size_t n)
{
    return n ? (size_t)(fuzz_next(random) % n) : 0;
}

int64_t fuzz_number(fuzz_random *random, int64_t value)
{
    static const int64_t odd[] = {0,         1,         -1,        2,         3,
                                  7,         13,        16,        64,        255,
                                  256,       -128,      65535,     65536,     INT32_MAX,
                                  INT32_MIN, INT64_MAX, INT64_MIN, 1ll << 31, 1ll << 32,
                                  1ll << 40, 1ll << 62, -2,        -3,        100000};
    switch (fuzz_below(random, 6)) {
    case 0:
        return odd[fuzz_below(random, TL_COUNT(odd))];
    case 1:
        return (int64_t)((uint64_t)value ^ (1ull << fuzz_below(random, 64)));
    case 2:
        return (int64_t)(0 - (uint64_t)value);
    case 3:
        return (int64_t)fuzz_below(random, 9);
    default:
        return (int64_t)((uint64_t)value + fuzz_below(random, 7) - 3);
    }
}
