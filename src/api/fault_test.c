/* Whole conversions and runs through the public API while the environment fails them: every nth
 * allocation, every nth system call of base/io, files cut at every length. Whatever happens, the
 * answer is an honest status with a record that says why, nothing leaks, no file appears, and an
 * older one stays.
 *
 * System calls are failed by the linker (--wrap, see CMakeLists.txt): the library has no seam for
 * it. With TOLITE_FAULTS_ALL=1 every n is tried, else long jobs are sampled evenly. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "base/testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tolite.h"

#define DIGITS   TEST_DATA "/../examples/digits/"
#define SEEDS    TEST_DATA "/../fuzz/corpus/onnx/"
#define CONTROL  TEST_DATA "/faults/control.txt"
#define PROGRAMS TEST_DATA "/torch/programs/"

/* ---- failing allocations ---- */

/* Blocks of the allocator, and the pushes that arenas serve from blocks they already have. */
static struct {
    bool counting; /* only while the library works */
    long n_calls;
    long fail_at;       /* this one fails (counted from 0); negative: none */
    bool stays;         /* ... and all behind it */
    atomic_size_t used; /* bytes handed out now */
} memory;

static bool strike_memory(void)
{
    if (!memory.counting)
        return false;
    long n = memory.n_calls++;
    return memory.fail_at >= 0 && (memory.stays ? n >= memory.fail_at : n == memory.fail_at);
}

static void *fault_alloc(void *user, void *old, size_t old_size, size_t new_size)
{
    (void)user;
    if (!new_size) {
        memory.used -= old ? old_size : 0;
        free(old);
        return NULL;
    }
    if (strike_memory())
        return NULL;
    void *p = realloc(old, new_size);
    assert_non_null(p);
    if (!old)
        memset(p, 0xa5, new_size); /* nobody may count on zeros */
    memory.used += new_size - (old ? old_size : 0);
    return p;
}

/* clang-format off */
#define PUSH(result, name, parameters, arguments)                              \
    result *__real_##name parameters;                                          \
    result *__wrap_##name parameters;                                          \
    result *__wrap_##name parameters                                           \
    {                                                                          \
        return strike_memory() ? (tl_oom(arena->cx), NULL) : __real_##name arguments; \
    }
PUSH(void, tl_arena_push, (tl_arena *arena, size_t size), (arena, size))
PUSH(void, tl_arena_push_aligned, (tl_arena *arena, size_t size, size_t align), (arena, size, align))
PUSH(void, tl_arena_push_array, (tl_arena *arena, size_t n, size_t size), (arena, n, size))
PUSH(void, tl_arena_push_raw, (tl_arena *arena, size_t n, size_t size), (arena, n, size))
PUSH(void, tl_arena_copy, (tl_arena *arena, const void *data, size_t size), (arena, data, size))
PUSH(char, tl_arena_strndup, (tl_arena *arena, const char *text, size_t n), (arena, text, n))
/* clang-format on */

/* ---- failing system calls ---- */

typedef enum fault_kind {
    FAULT_NONE,
    FAULT_EINTR, /* interrupted: to be done again */
    FAULT_SHORT, /* a part only: to be continued */
    FAULT_EIO,
    FAULT_ENOSPC,
    FAULT_END, /* a file that became shorter, a disk that takes nothing more */
    FAULT_COUNT
} fault_kind;

static const struct {
    const char *name;
    int error;
    bool harmless; /* nothing is lost: the work must succeed */
} faults[FAULT_COUNT] = {
    [FAULT_NONE] = {"none", 0, true},           [FAULT_EINTR] = {"EINTR", EINTR, true},
    [FAULT_SHORT] = {"short", 0, true},         [FAULT_EIO] = {"EIO", EIO, false},
    [FAULT_ENOSPC] = {"ENOSPC", ENOSPC, false}, [FAULT_END] = {"end", 0, false},
};

static struct {
    bool counting; /* only while the library works */
    long n_calls, fail_at;
    fault_kind kind;
} calls;

static bool strike(void)
{
    if (!calls.counting || calls.n_calls++ != calls.fail_at)
        return false;
    errno = faults[calls.kind].error;
    return calls.kind != FAULT_NONE;
}

/* For calls that move n bytes: 0 goes on with n, else the answer is *result. */
static bool strike_transfer(size_t *n, ssize_t *result)
{
    if (!strike())
        return false;
    *result = faults[calls.kind].error ? -1 : 0;
    if (calls.kind == FAULT_SHORT)
        *n = TL_MAX(*n / 2, 1);
    return calls.kind != FAULT_SHORT;
}

/* For calls that only succeed or fail; those on names and rights are never interrupted. */
static bool strike_plain(bool interruptible)
{
    return strike() && faults[calls.kind].error && (interruptible || calls.kind != FAULT_EINTR);
}

/* clang-format off */
#define TRANSFER(name, parameters, arguments)                          \
    ssize_t __real_##name parameters;                                  \
    ssize_t __wrap_##name parameters;                                  \
    ssize_t __wrap_##name parameters                                   \
    {                                                                  \
        ssize_t result;                                                \
        return strike_transfer(&n, &result) ? result : __real_##name arguments; \
    }
#define PLAIN(name, interruptible, parameters, arguments)                           \
    int __real_##name parameters;                                      \
    int __wrap_##name parameters;                                      \
    int __wrap_##name parameters                                       \
    {                                                                  \
        return strike_plain(interruptible) ? -1 : __real_##name arguments;          \
    }
TRANSFER(pread64, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
TRANSFER(pwrite64, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
TRANSFER(write, (int fd, const void *p, size_t n), (fd, p, n))
PLAIN(open64, true, (const char *path, int flags, mode_t mode), (path, flags, mode))
PLAIN(fsync, true, (int fd), (fd))
PLAIN(rename, false, (const char *from, const char *to), (from, to))
PLAIN(fchmod, false, (int fd, mode_t mode), (fd, mode))
/* clang-format on */

/* ---- the work ---- */

/* What a job reads and leaves. The digest covers every text and tensor that it got. */
typedef struct work {
    tl_context *cx;
    uint64_t digest;
} work;

static void digest(work *w, const void *data, size_t size)
{
    w->digest = tl_hash_bytes(data, size, w->digest);
}

static tl_status digest_text(work *w, const char *text)
{
    if (!text)
        return TL_ENVIRONMENT;
    digest(w, text, strlen(text));
    return TL_OK;
}

static void digest_arrays(work *w, const tl_arrays *arrays)
{
    for (size_t i = 0; i < tl_arrays_count(arrays); i++) {
        tl_array a = tl_arrays_get(arrays, i);
        digest(w, a.name, strlen(a.name));
        digest(w, a.data, a.size);
    }
}

static tl_status print_stage(work *w, tl_network *network, const char *stage)
{
    const char *text;
    tl_view_options options;
    tl_view_options_init(&options);
    options.stage = stage;
    TRY(tl_print(network, &options, &text));
    return digest_text(w, text);
}

static tl_status describe_file(work *w, tl_network *network)
{
    const char *text;
    TRY(tl_describe(network, NULL, &text));
    return digest_text(w, text);
}

static tl_status print_file(work *w, tl_network *network)
{
    TRY(print_stage(w, network, "source"));
    return describe_file(w, network);
}

static tl_status print_stages(work *w, tl_network *network)
{
    static const char *const stages[] = {"source", "core", "lowered", "file"};
    for (size_t i = 0; i < TL_COUNT(stages); i++)
        TRY(print_stage(w, network, stages[i]));
    return TL_OK;
}

static tl_status run_twice(work *w, tl_network *network, const tl_arrays *inputs, bool profile)
{
    tl_run_options options;
    tl_run_options_init(&options);
    options.profile = profile;
    tl_runner *runner;
    TRY(tl_runner_new(network, &options, &runner));
    tl_status status = TL_OK;
    for (int i = 0; status == TL_OK && i < 2; i++) {
        const tl_arrays *outputs;
        status = tl_run(runner, inputs, &outputs);
        if (status == TL_OK)
            digest_arrays(w, outputs);
    }
    if (status == TL_OK && profile && !tl_profile_json(runner))
        status = TL_ENVIRONMENT;
    tl_runner_free(runner);
    return status;
}

static tl_status run_random(work *w, tl_network *network)
{
    tl_arrays *inputs;
    TRY(tl_arrays_new(w->cx, &inputs));
    tl_status status = tl_arrays_add_random(inputs, network, 1, 0);
    if (status == TL_OK)
        status = run_twice(w, network, inputs, true);
    tl_arrays_free(inputs);
    return status;
}

/* Every value of the source against those of the file. */
static tl_status diff_stages(work *w, tl_network *network, const tl_arrays *inputs)
{
    tl_run_options source, file;
    tl_diff_options options;
    tl_run_options_init(&source);
    tl_run_options_init(&file);
    tl_diff_options_init(&options);
    source.inspect = file.inspect = options.per_value = true;
    file.stage = "file";
    tl_runner *a = NULL, *b = NULL;
    const char *report;
    tl_status status = tl_runner_new(network, &source, &a);
    if (status == TL_OK)
        status = tl_runner_new(network, &file, &b);
    if (status == TL_OK)
        status = tl_diff(a, b, inputs, &options, &report);
    if (status == TL_OK)
        status = digest_text(w, report);
    tl_runner_free(a);
    tl_runner_free(b);
    return status;
}

static tl_status diff_random(work *w, tl_network *network)
{
    tl_arrays *inputs;
    TRY(tl_arrays_new(w->cx, &inputs));
    tl_status status = tl_arrays_add_random(inputs, network, 1, 0);
    if (status == TL_OK)
        status = diff_stages(w, network, inputs);
    tl_arrays_free(inputs);
    return status;
}

static tl_status convert_to_file(work *w, tl_network *network)
{
    tl_convert_options options;
    tl_convert_options_init(&options);
    options.verify = 1;
    options.sync = true;
    const char *report;
    TRY(tl_convert(network, &options, "out.tflite", &report));
    return digest_text(w, report);
}

static tl_status convert_to_memory(work *w, tl_network *network)
{
    tl_convert_options options;
    tl_convert_options_init(&options);
    options.verify = 2;
    options.nhwc = true;
    const void *data;
    size_t size;
    TRY(tl_convert_memory(network, &options, &data, &size, NULL));
    digest(w, data, size);
    return TL_OK;
}

/* What the model keeps as variables of the file, then as inputs and outputs. */
static tl_status convert_state(work *w, tl_network *network)
{
    tl_convert_options options;
    tl_convert_options_init(&options);
    options.verify = 1;
    for (int i = 0; i < 2; i++) {
        const void *data;
        size_t size;
        options.show_state = i == 1;
        TRY(tl_convert_memory(network, &options, &data, &size, NULL));
        digest(w, data, size);
    }
    return TL_OK;
}

/* Statistics to a file and back, then integers alone. */
static tl_status quantise(work *w, tl_network *network)
{
    tl_convert_options options;
    tl_statistics *statistics = NULL, *again = NULL;
    tl_convert_options_init(&options);
    options.quantize = "int8-only";
    const void *data;
    size_t size;
    tl_status status = tl_statistics_new(network, &options, &statistics);
    if (status == TL_OK)
        status = tl_statistics_observe_random(statistics, 1, 1);
    if (status == TL_OK)
        status = tl_statistics_write(statistics, "out.stats");
    if (status == TL_OK)
        status = tl_statistics_new(network, &options, &again);
    if (status == TL_OK)
        status = tl_statistics_read(again, "out.stats");
    options.statistics = again;
    if (status == TL_OK)
        status = tl_convert_memory(network, &options, &data, &size, NULL);
    if (status == TL_OK)
        digest(w, data, size);
    tl_statistics_free(statistics);
    tl_statistics_free(again);
    unlink("out.stats");
    return status;
}

/* Pruned by kept samples, clustered, then quantised. */
static tl_status shrink(work *w, tl_network *network)
{
    tl_convert_options options;
    tl_statistics *kept = NULL, *statistics = NULL;
    tl_convert_options_init(&options);
    const void *data;
    size_t size;
    const char *report = NULL;
    tl_status status = tl_statistics_new(network, &options, &kept);
    if (status == TL_OK) {
        tl_statistics_keep(kept, 1000);
        status = tl_statistics_observe_random(kept, 1, 2);
    }
    options.quantize = "int8";
    options.prune = "0.5";
    options.cluster = "16";
    options.samples = kept;
    if (status == TL_OK)
        status = tl_statistics_new(network, &options, &statistics);
    if (status == TL_OK)
        status = tl_statistics_observe_random(statistics, 1, 1);
    options.statistics = statistics;
    if (status == TL_OK)
        status = tl_convert_memory(network, &options, &data, &size, &report);
    if (status == TL_OK)
        digest(w, data, size);
    if (status == TL_OK)
        status = digest_text(w, report);
    tl_statistics_free(statistics);
    tl_statistics_free(kept);
    return status;
}

/* Pictures in, an archive out and in again. */
static tl_status classify(work *w, tl_network *network)
{
    static const char *const pictures[] = {DIGITS "3.png", DIGITS "4.png"};
    tl_arrays *inputs, *again = NULL;
    TRY(tl_arrays_new(w->cx, &inputs));
    tl_picture_options options;
    tl_picture_options_init(&options);
    options.resize_h = options.resize_w = 8;
    tl_status status = tl_arrays_add_pictures(inputs, network, 0, pictures, 2, &options);
    if (status == TL_OK)
        status = tl_arrays_write(w->cx, inputs, "out.npz");
    if (status == TL_OK)
        status = tl_arrays_read(w->cx, "out.npz", &again);
    if (status == TL_OK)
        status = run_twice(w, network, again, false);
    tl_arrays_free(inputs);
    tl_arrays_free(again);
    unlink("out.npz");
    return status;
}

typedef struct job {
    const char *name, *path;
    tl_status (*work)(work *w, tl_network *network);
    bool writes;
    const char *input; /* what --input says; NULL: nothing */
    long part;         /* long work is tried this many times less often; 0: as the others */
} job;

static const job jobs[] = {
    {"convert digits", DIGITS "digits.onnx", convert_to_file, true},
    {"print digits", DIGITS "digits.onnx", print_stages, false},
    {"diff digits", DIGITS "digits.onnx", diff_random, false},
    {"quantise", DIGITS "digits.onnx", quantise, false},
    {"shrink", DIGITS "digits.onnx", shrink, false, NULL, 10},
    {"classify", DIGITS "digits.onnx", classify, false},
    {"run a file", "digits.tflite", run_random, false},
    {"print a file", "conv.tflite", print_file, false},
    {"convert control flow", CONTROL, convert_to_memory, false},
    {"print control flow", CONTROL, print_stages, false},
    {"convert small", SEEDS "conv.onnx", convert_to_file, true},
    {"convert .pt2", DIGITS "digits.pt2", convert_to_file, true},
    {"run .pt2", DIGITS "digits.pt2", run_random, false},
    {"convert TorchScript", PROGRAMS "Collect.pt", convert_to_file, true, "x=f32:5,2"},
    {"run TorchScript", PROGRAMS "Recurrent.pt", run_random, false, "x=f32:2,4,6"},
    {"run control flow", CONTROL, run_random, false},
    {"convert a script", PROGRAMS "Window.pt", convert_to_memory, false, "x=f32:n,3"},
    {"print lists and texts", PROGRAMS "Lists.pt", print_stages, false, "x=f32:2,3"},
    {"print branches", PROGRAMS "Picked.pt", print_stages, false, "x=f32:n,3"},
    {"print state", PROGRAMS "History.pt", print_stages, false, "x=f32:4"},
    {"convert state", PROGRAMS "History.pt", convert_state, false, "x=f32:4"},
    {"print a state set by the program", PROGRAMS "SetState.pt", print_stages, false, "x=f32:3,4"},
    {"print a loop", PROGRAMS "EarlyReturn.pt", print_stages, false, "x=f32:5,3"},
};

/* ---- one try ---- */

static char folder[64], previous[4096];

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

static void *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    void *data = malloc(*size + 1);
    assert_int_equal(fread(data, 1, *size, f), *size);
    fclose(f);
    return data;
}

static size_t count_files(void)
{
    DIR *dir = opendir(".");
    size_t n = 0;
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* What came of a try; text is the first record. */
typedef struct outcome {
    tl_status status;
    uint64_t digest;
    long n_pushes, n_calls;
    char text[200];
} outcome;

static tl_open_options open_options(const char *const *input)
{
    tl_open_options options;
    tl_open_options_init(&options);
    options.inputs = input;
    options.n_inputs = *input != NULL;
    return options;
}

static tl_status open_and_work(work *w, const job *j)
{
    tl_network *network;
    tl_open_options options = open_options(&j->input);
    TRY(tl_open(w->cx, j->path, &options, &network));
    tl_status status = j->work(w, network);
    tl_close(network);
    return status;
}

/* What went wrong is in the records, of which there is at least one. */
static void note_records(tl_context *cx, outcome *o)
{
    size_t n = tl_diagnostics_count(cx);
    o->text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        tl_diagnostic d = tl_diagnostics_get(cx, i);
        if (d.status != TL_OK && !o->text[0])
            snprintf(o->text, sizeof o->text, "%s", d.text);
    }
    assert_true(o->status == TL_OK || o->text[0] || !n);
}

/* What is to fail. */
typedef struct plan {
    long push; /* negative: none */
    bool stays;
    fault_kind kind;
    long call;
    int threads;
} plan;

static const plan nothing = {.push = -1, .call = -1, .threads = 1};

static tl_context *faulty_context(const plan *p)
{
    tl_context_options options;
    tl_context_options_init(&options);
    options.allocate = fault_alloc;
    options.threads = p->threads;
    memory.n_calls = calls.n_calls = 0;
    memory.fail_at = p->push;
    memory.stays = p->stays;
    calls.kind = p->kind;
    calls.fail_at = p->call;
    memory.counting = calls.counting = true;
    return tl_context_new(&options);
}

static outcome try_job(const job *j, const plan *p)
{
    outcome o = {.status = TL_ENVIRONMENT};
    if (j->writes)
        write_file("out.tflite", "older", 5);
    size_t n_files = count_files();
    work w = {.cx = faulty_context(p)};
    if (w.cx)
        o.status = open_and_work(&w, j);
    memory.counting = calls.counting = false;
    if (w.cx) {
        note_records(w.cx, &o);
        tl_context_free(w.cx);
    }
    o.digest = w.digest;
    o.n_pushes = memory.n_calls;
    o.n_calls = calls.n_calls;
    assert_int_equal(memory.used, 0);
    assert_int_equal(count_files(), n_files);
    return o;
}

static bool whole_target(void)
{
    size_t size;
    char *data = read_file("out.tflite", &size);
    bool whole = size > 8 && !memcmp(data + 4, "TFL3", 4);
    assert_true(whole || (size == 5 && !memcmp(data, "older", 5)));
    free(data);
    return whole;
}

/* The job must have failed honestly, or have done all of its work. */
static void check_try(const job *j, const char *fault, long n, const outcome *o,
                      const outcome *clean, bool must_pass, bool must_fail)
{
    bool whole = j->writes && whole_target();
    bool passed = o->status == TL_OK;
    if (whole && strstr(o->text, "written, but its folder"))
        return; /* said so, and too late to take it back */
    if (passed ? o->digest == clean->digest && !must_fail && whole == j->writes
               : o->status == TL_ENVIRONMENT && !must_pass && !whole)
        return;
    fail_msg("%s, %s at %ld: status %d (%s), %s, %s", j->name, fault, n, (int)o->status, o->text,
             whole ? "target written" : "target as before",
             o->digest == clean->digest ? "same results" : "other results");
}

static outcome try_clean(const job *j)
{
    outcome clean = try_job(j, &nothing);
    if (clean.status != TL_OK)
        fail_msg("%s: status %d: %s", j->name, (int)clean.status, clean.text);
    return clean;
}

/* Every nth, so that about limit tries are made. */
static long stride_for(long n, long limit)
{
    return getenv("TOLITE_FAULTS_ALL") ? 1 : TL_MAX(1, n / limit);
}

/* ---- the tests ---- */

static void fail_pushes(const job *j, int threads, long limit)
{
    outcome clean = try_clean(j);
    long stride = stride_for(clean.n_pushes, limit / TL_MAX(1, j->part));
    plan p = nothing;
    p.threads = threads;
    for (p.push = 0; p.push < clean.n_pushes; p.push += stride) {
        for (int stays = 0; stays < 2; stays++) {
            p.stays = stays;
            outcome o = try_job(j, &p);
            check_try(j, stays ? "no memory from push" : "no memory for push", p.push, &o, &clean,
                      false, false);
        }
    }
    print_message("%s: %ld pushes, %ld calls\n", j->name, clean.n_pushes, clean.n_calls);
}

static void every_push_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < TL_COUNT(jobs); i++)
        fail_pushes(&jobs[i], 1, 250);
}

/* Threads wait for work when memory fails: nothing hangs. */
static void pushes_may_fail_among_threads(void **state)
{
    (void)state;
    fail_pushes(&jobs[TL_COUNT(jobs) - 1], 3, 150);
}

static void every_system_call_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < TL_COUNT(jobs); i++) {
        const job *j = &jobs[i];
        outcome clean = try_clean(j);
        plan p = nothing;
        for (int kind = FAULT_EINTR; kind < FAULT_COUNT; kind++) {
            p.kind = (fault_kind)kind;
            for (p.call = 0; p.call < clean.n_calls;
                 p.call += stride_for(clean.n_calls, 100 / TL_MAX(1, j->part))) {
                outcome o = try_job(j, &p);
                bool harmless = faults[kind].harmless;
                check_try(j, faults[kind].name, p.call, &o, &clean, harmless,
                          !harmless && faults[kind].error);
            }
        }
    }
}

/* ---- cut files ---- */

/* Everything a hostile file may reach: open, describe, run. */
static tl_status work_on(work *w, const char *name, const char *input, const void *data,
                         size_t size)
{
    tl_network *network;
    tl_open_options options = open_options(&input);
    TRY(tl_open_memory(w->cx, name, data, size, &options, &network));
    tl_status status = describe_file(w, network);
    if (status == TL_OK)
        status = run_random(w, network);
    tl_close(network);
    return status;
}

static void cut_at_every_length(const char *name, const char *path, const char *input)
{
    size_t size;
    char *data = read_file(path, &size);
    size_t stride = (size_t)stride_for((long)size, 2000);
    for (size_t n = 0; n < size; n += stride) {
        work w = {.cx = faulty_context(&nothing)};
        char *part = malloc(n + !n); /* so that one byte too far is seen */
        memcpy(part, data, n);
        tl_status status = work_on(&w, name, input, part, n);
        bool said = tl_diagnostics_count(w.cx) > 0;
        tl_context_free(w.cx);
        free(part);
        assert_int_equal(memory.used, 0);
        /* a cut between the fields of a protobuf or behind a comment of a text may leave a model */
        if ((status != TL_MALFORMED && status != TL_UNSUPPORTED && status != TL_OK) ||
            (status != TL_OK && !said))
            fail_msg("%s cut at %zu: status %d", name, n, (int)status);
    }
    free(data);
}

static void files_may_end_anywhere(void **state)
{
    (void)state;
    cut_at_every_length("digits.onnx", DIGITS "digits.onnx", NULL);
    cut_at_every_length("digits.tflite", "digits.tflite", NULL);
    cut_at_every_length("conv.onnx", SEEDS "conv.onnx", NULL);
    cut_at_every_length("index.onnx", SEEDS "index.onnx", NULL);
    cut_at_every_length("loop.onnx", SEEDS "loop.onnx", NULL);
    cut_at_every_length("conv.tflite", "conv.tflite", NULL);
    cut_at_every_length("control.tflite", "control.tflite", NULL);
    cut_at_every_length("control.txt", CONTROL, NULL);
    cut_at_every_length("digits.pt2", DIGITS "digits.pt2", NULL);
    cut_at_every_length("Collect.pt", PROGRAMS "Collect.pt", "x=f32:5,2");
}

/* ---- setup ---- */

/* A .tflite of a model, made without faults. */
static bool convert_input(const char *from, const char *to)
{
    tl_context *cx = tl_context_new(NULL);
    tl_network *network = NULL;
    tl_status status = tl_open(cx, from, NULL, &network);
    if (status == TL_OK)
        status = tl_convert(network, NULL, to, NULL);
    tl_close(network);
    tl_context_free(cx);
    return status == TL_OK;
}

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/tolite_fault_test.XXXXXX");
    bool ready = mkdtemp(folder) && getcwd(previous, sizeof previous) && !chdir(folder) &&
                 convert_input(DIGITS "digits.onnx", "digits.tflite") &&
                 convert_input(SEEDS "conv.onnx", "conv.tflite") &&
                 convert_input(CONTROL, "control.tflite");
    return ready ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    static const char *const made[] = {"digits.tflite", "conv.tflite", "control.tflite",
                                       "out.tflite"};
    for (size_t i = 0; i < TL_COUNT(made); i++)
        unlink(made[i]);
    return chdir(previous) || rmdir(folder); /* nothing else is left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_push_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(pushes_may_fail_among_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(every_system_call_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(files_may_end_anywhere, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
