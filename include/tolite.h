/* tolite: convert, run, compare and inspect neural networks for TensorFlow Lite.
 *
 * The one public header. Handles are opaque; every call that can fail returns a tl_status and leaves
 * records in its context (tl_context_diagnostics). Distinct contexts share nothing, so each may be
 * used by a thread of its own; one context, and whatever was made with it, by one thread at a time. */
#ifndef TOLITE_H
#define TOLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TOLITE_VERSION_MAJOR 0
#define TOLITE_VERSION_MINOR 1
#define TOLITE_VERSION_PATCH 0

/* Also the exit status of the program. */
typedef enum tl_status {
    TL_OK = 0,
    TL_DIFFERS = 1,     /* two models differ, or a requested bound is missed */
    TL_USAGE = 2,       /* an option or argument is wrong */
    TL_MALFORMED = 3,   /* the input is not what its format demands */
    TL_UNSUPPORTED = 4, /* the input is sound, something in it cannot be done */
    TL_ENVIRONMENT = 5, /* file missing or unreadable, disk full, out of memory, no permission */
    TL_BUG = 6,         /* our own invariant broke */
    TL_INTERRUPTED = 130
} tl_status;

typedef struct tl_context tl_context;
typedef struct tl_network tl_network; /* an opened model */
typedef struct tl_runner tl_runner;   /* a network made ready to run */
typedef struct tl_arrays tl_arrays;   /* named tensors: npz files, pictures, outputs */

const char *tl_version(void);
const char *tl_status_name(tl_status status);

/* ---- context ---- */

/* Allocator with the contract of realloc and free in one: new_size 0 frees old and returns NULL; else
 * returns new_size bytes aligned to 16 that begin with the old contents, or NULL. */
typedef void *(*tl_allocate)(void *user, void *old, size_t old_size, size_t new_size);

typedef struct tl_context_options {
    size_t struct_size;
    tl_allocate allocate; /* NULL: malloc and friends */
    void *allocate_user;
    /* Called now and then from long work: phase ("reading", "writing", ...), done in [0, 1]. */
    void (*progress)(void *user, const char *phase, double done);
    void *progress_user;
    const volatile int *cancel; /* set non-zero by a signal handler or thread to stop; may be NULL */
    int threads;                /* 0: number of processors */
} tl_context_options;

void tl_context_options_init(tl_context_options *options);
/* NULL when memory is out. */
tl_context *tl_context_new(const tl_context_options *options);
/* After everything made with it. */
void tl_context_free(tl_context *cx);

typedef struct tl_diagnostic {
    const char *code;  /* "U001"; see tl_explain */
    tl_status status;  /* TL_OK for warnings and notes */
    const char *file;  /* may be "" */
    const char *what;  /* one line */
    const char *hint;  /* may be "" */
    const char *text;  /* the whole as printed, several lines */
    size_t n_places;
} tl_diagnostic;

/* What was recorded since the last clear, in order. Pointers live until then. */
size_t tl_diagnostics_count(const tl_context *cx);
tl_diagnostic tl_diagnostics_get(tl_context *cx, size_t index);
void tl_diagnostics_clear(tl_context *cx);

/* Meaning of a code: title and advice; NULL when unknown. */
const char *tl_explain(const char *code, const char **advice);
/* Every code there is, by number from 0, with the status that it stands for; NULL behind the last. */
const char *tl_code_at(size_t index, tl_status *status);

/* ---- models ---- */

typedef struct tl_open_options {
    size_t struct_size;
    /* NAME=DTYPE:DIMS, DTYPE: or DIMS may be left out; see the manual of --input */
    const char *const *inputs;
    size_t n_inputs;
    const char *const *outputs; /* cut here: names of values that become the outputs */
    size_t n_outputs;
    const char *const *starts; /* begin here: names of values that become inputs */
    size_t n_starts;
    const char *program; /* which one of a file that holds several: a model of a .pt2 archive, a method of TorchScript;
                            NULL: the only one, forward */
    bool flex;   /* TensorFlow's operator (Flex...) where no builtins compute the source's: the file then needs an
                    interpreter with the Flex library */
    bool custom; /* an unknown operator stays, as a custom operator of its name; whoever runs the file registers it */
    bool samples; /* read the sample inputs that the file itself holds (.pt2), for tl_arrays_add_samples */
} tl_open_options;

void tl_open_options_init(tl_open_options *options);
/* Reads a model; its format is told by its content. Weights stay in the file, which must not change
 * while the network lives. options may be NULL. */
tl_status tl_open(tl_context *cx, const char *path, const tl_open_options *options, tl_network **out);
/* data must outlive the network. name is used in messages. */
tl_status tl_open_memory(tl_context *cx, const char *name, const void *data, size_t size,
                         const tl_open_options *options, tl_network **out);
void tl_close(tl_network *network);

typedef struct tl_convert_options tl_convert_options;
typedef struct tl_statistics tl_statistics; /* what activations were like on samples */

/* Which graph of a network is looked at. */
typedef struct tl_view_options {
    size_t struct_size;
    const char *stage; /* NULL or "": the model as it is; "core", "lowered", "file"; or the name of a pass */
    const tl_convert_options *convert; /* for stages behind the source; may be NULL */
    bool origins;      /* in text: where every node comes from, down to the user's lines */
} tl_view_options;

void tl_view_options_init(tl_view_options *options);
/* JSON with everything `inspect` shows. options may be NULL. Lives as long as the network. */
tl_status tl_describe(tl_network *network, const tl_view_options *options, const char **json);
/* Text form of the graph. */
tl_status tl_print(tl_network *network, const tl_view_options *options, const char **text);

typedef struct tl_tensor_info {
    const char *name;
    const char *dtype;   /* "f32" */
    int rank;
    const int64_t *shape; /* -1: open */
    const char *type;     /* "f32[n,3,8,8]" */
} tl_tensor_info;

size_t tl_inputs_count(const tl_network *network);
size_t tl_outputs_count(const tl_network *network);
tl_tensor_info tl_input_info(tl_network *network, size_t index);
tl_tensor_info tl_output_info(tl_network *network, size_t index);

/* Tensors of a file of weights alone (a PyTorch checkpoint, safetensors), as JSON that lives until
 * tl_diagnostics_clear; NULL, and TL_OK, for a file of another format. No pickle is run. */
tl_status tl_list_weights(tl_context *cx, const char *path, const char **json);

/* ---- checking ---- */

typedef struct tl_check_options {
    size_t struct_size;
    const char *profile; /* whose rules a .tflite file is held against; "litert" when NULL */
    const tl_open_options *open; /* how to read the file: shapes of inputs where it has none; may be NULL */
} tl_check_options;

void tl_check_options_init(tl_check_options *options);
/* Well-formedness of a model file. Every problem is a record of the context and part of the report,
 * JSON that lives until tl_diagnostics_clear; report and options may be NULL. TL_OK; TL_MALFORMED; TL_DIFFERS for a
 * well-formed .tflite file that the runtime of the profile refuses, computes wrongly or crashes on; TL_ENVIRONMENT
 * also when a file with weights is missing. A model that tolite cannot convert may well be well-formed: that is a
 * note. */
tl_status tl_check(tl_context *cx, const char *path, const tl_check_options *options, const char **report);

/* ---- conversion ---- */

struct tl_convert_options {
    size_t struct_size;
    const char *profile; /* "litert" when NULL */
    bool exact;          /* no rewrite that changes floats, no demotion of types */
    bool nhwc;           /* channels-last inputs and outputs wherever they reach spatial ops */
    const char *const *nhwc_names; /* ... or only these */
    size_t n_nhwc_names;
    bool dry_run;        /* do everything but write */
    bool sync;           /* make the file durable before it appears */
    int verify;          /* 0 no, else number of samples on which file and source are compared */
    bool verify_reference; /* run the source on reference kernels only */
    const tl_arrays *golden; /* recorded inputs and outputs to compare with; may be NULL */
    bool golden_steps;   /* axis 0 of every array of golden is successive calls */
    double atol, rtol, min_sqnr; /* replace the agreement rule when > 0 */
    bool strip;          /* no marks and descriptions in the file */
    bool show_state;     /* what the model keeps from one run to the next becomes inputs and outputs of the file,
                            instead of variables inside it */
    /* NULL or "none"; "fp16", "weights", "dynamic"; with statistics: "int8", "int8-only", "int16x8". A network read
     * from a .tflite file is converted only with a mode. */
    const char *quantize;
    int weight_bits;     /* of "weights": 8 (also when 0) or 4 */
    const char *io;      /* inputs and outputs of quantised networks: NULL or "float"; "int8", "uint8" ("int8-only"
                          * has int8 when NULL) */
    const char *range;   /* of activations, from statistics: NULL or "min-max"; "percentile", "mse", "entropy" */
    const tl_statistics *statistics; /* of this network, converted with these options */
    /* Compression, before quantisation: docs/compression.md. prune: NULL; "X[:WORD,...]" with X in [0, 1) and the words
     * global, structured, block, magnitude; "N:M" */
    const char *prune;
    const char *const *prune_layers; /* "NAME=X": layers with a fraction of their own */
    size_t n_prune_layers;
    const char *cluster; /* NULL; "N" or "N:channel": values that the weights of a layer (a channel of it) share */
    const tl_statistics *samples; /* of this network: samples that it kept (tl_statistics_keep); may be NULL */
    const char *keep_accuracy; /* NULL, or a bound of mode "int8" that is kept on the samples held out of statistics by types for
                          * single ops, int8, int16 or float: "sqnr=DECIBEL" or "cosine=C" of every output, "top1=SHARE" of rows of the
                          * first output that have the same class as in floats */
    bool detail;         /* the report also tells of every op of the file, of the source's ops and of the time each step took */
};

void tl_convert_options_init(tl_convert_options *options);
/* Converts and writes path (untouched unless TL_OK or TL_DIFFERS). report, may be NULL, receives JSON
 * that lives as long as the network. */
tl_status tl_convert(tl_network *network, const tl_convert_options *options, const char *path,
                     const char **report);
/* The same into memory; *data lives as long as the network. */
tl_status tl_convert_memory(tl_network *network, const tl_convert_options *options, const void **data,
                            size_t *size, const char **report);

/* ---- tensors ---- */

typedef struct tl_array {
    const char *name;
    const char *dtype; /* "f32", "i64", "bool", ... */
    int rank;
    const int64_t *shape;
    const void *data; /* row-major, little-endian */
    size_t size;      /* bytes */
} tl_array;

tl_status tl_arrays_new(tl_context *cx, tl_arrays **out);
void tl_arrays_free(tl_arrays *arrays);
/* npz or npy (named after the file). Integers of less than a byte (i4, u4, i2) are one byte each in files, and
 * inputs of these types take i8 (u4: u8). */
tl_status tl_arrays_read(tl_context *cx, const char *path, tl_arrays **out);
tl_status tl_arrays_write(tl_context *cx, const tl_arrays *arrays, const char *path);
/* Copies array. */
tl_status tl_arrays_add(tl_arrays *arrays, const tl_array *array);
size_t tl_arrays_count(const tl_arrays *arrays);
tl_array tl_arrays_get(const tl_arrays *arrays, size_t index);

typedef struct tl_picture_options {
    size_t struct_size;
    int resize_h, resize_w; /* 0: keep */
    int crop_h, crop_w;     /* centre crop after the resize; 0: none */
    double mean[3], std[3]; /* (pixel / 255 - mean) / std; std 0 means 1 */
    bool raw;               /* no division by 255 */
} tl_picture_options;

void tl_picture_options_init(tl_picture_options *options);
/* Reads pictures and adds them, batched along axis 0, as the tensor `index` of the network's inputs:
 * layout and channel count (1 or 3) are those of the input. Inputs of quantised i8 get the nearest stored numbers;
 * those of u8 get the pixels as they are, unless mean or std is given and they are quantised. */
tl_status tl_arrays_add_pictures(tl_arrays *arrays, tl_network *network, size_t index,
                                 const char *const *paths, size_t n, const tl_picture_options *options);
/* Seeded values for every input that arrays lacks: normal floats, small non-negative integers; open
 * dims at their hint (which = 0), smallest (1) or largest (2) size. */
tl_status tl_arrays_add_random(tl_arrays *arrays, tl_network *network, uint64_t seed, int which);
/* The inputs that the network was exported with, where its file holds them (it was opened with samples); *complete:
 * one for every input, of a shape that the network takes now. Nothing is added otherwise. */
tl_status tl_arrays_add_samples(tl_arrays *arrays, tl_network *network, bool *complete);

/* ---- statistics of activations ---- */

/* Of network as these options convert it (profile, exact, nhwc, and what says how to compress; of quantize only what
 * compression asks of it), which must be the same for the conversion that uses them. Must outlive what is made with them.
 * Free before the network. */
tl_status tl_statistics_new(tl_network *network, const tl_convert_options *options, tl_statistics **out);
void tl_statistics_free(tl_statistics *statistics);
/* Runs the network on samples and counts what its activations are like. Arrays hold one sample, or several along a
 * leading axis of their own, or along the batch axis where the network has one of size 1. steps: they are successive
 * calls, state is carried. Samples first, first + 1, ..., at most `most` (negative: all); *n_seen, may be NULL,
 * receives how many. O004 where an array does not fit or is not finite. */
tl_status tl_statistics_observe(tl_statistics *statistics, const tl_arrays *arrays, bool steps, int64_t first,
                                int64_t most, int64_t *n_seen);
/* Keeps such samples aside, as copies, for tl_convert_options.keep_accuracy; they count nowhere else. */
tl_status tl_statistics_hold_out(tl_statistics *statistics, const tl_arrays *arrays, bool steps, int64_t first, int64_t most,
                                 int64_t *n_seen);
/* n seeded random samples, with a warning: for timing, when nothing real is at hand. */
tl_status tl_statistics_observe_random(tl_statistics *statistics, uint64_t seed, int64_t n);
/* From here on samples are kept instead of counted, the first ones, up to so many bytes: they are for
 * tl_convert_options.samples. */
void tl_statistics_keep(tl_statistics *statistics, size_t most_bytes);
uint64_t tl_statistics_samples(const tl_statistics *statistics);
/* Adds those of a file that tl_statistics_write made for the same network and options. Exact: the order, and how
 * samples were shared out between files, make no difference to a byte of what is written then. */
tl_status tl_statistics_read(tl_statistics *statistics, const char *path);
tl_status tl_statistics_write(const tl_statistics *statistics, const char *path);

/* ---- running ---- */

typedef struct tl_run_options {
    size_t struct_size;
    const char *stage; /* NULL or "": the model as it is; "core", "lowered", "file"; or a pass name */
    const char *signature; /* NULL: the first */
    bool reference;    /* reference kernels only */
    const char *rounding; /* of quantised arithmetic, NULL or "plain": as the runtime's own kernels;
                           * "twice": as its reference kernels; "once"; "float": as its delegate */
    bool profile;
    bool inspect;      /* keep every value readable while it runs, for tl_diff with per_value */
    bool steps;        /* axis 0 of every array is successive calls with carried state */
    bool samples;      /* axis 0 of every array is independent samples */
    const tl_convert_options *convert; /* for stages behind the source; may be NULL */
} tl_run_options;

void tl_run_options_init(tl_run_options *options);
tl_status tl_runner_new(tl_network *network, const tl_run_options *options, tl_runner **out);
void tl_runner_free(tl_runner *runner);
/* Inputs are matched by name, in_NAME or input_K; outputs get the model's names. *outputs is owned by
 * the runner and valid until its next run. */
tl_status tl_run(tl_runner *runner, const tl_arrays *inputs, const tl_arrays **outputs);
void tl_runner_reset(tl_runner *runner); /* state to zero */
/* JSON: time per op of the last run, memory. NULL without profile. */
const char *tl_profile_json(tl_runner *runner);

typedef struct tl_runner_stats {
    size_t activation_bytes; /* of values that are computed; known after the first run */
    size_t weight_bytes;     /* constants held in memory, packed copies included */
    size_t n_nodes;
} tl_runner_stats;

tl_runner_stats tl_runner_get_stats(const tl_runner *runner);

/* ---- comparison ---- */

typedef struct tl_diff_options {
    size_t struct_size;
    double atol, rtol, min_sqnr;
    bool per_value; /* also compare the values inside, aligned by their marks */
    bool local;     /* ... and always every node by itself; else only when some value differs */
} tl_diff_options;

void tl_diff_options_init(tl_diff_options *options);
/* Runs both on the same inputs; TL_OK or TL_DIFFERS. Where one keeps state that the other, a file written with
 * show_state, has as inputs and outputs, that one keeps it, too. report: JSON, lives as long as a. */
tl_status tl_diff(tl_runner *a, tl_runner *b, const tl_arrays *inputs, const tl_diff_options *options,
                  const char **report);
typedef struct tl_bisect_options {
    size_t struct_size;
    const tl_convert_options *convert; /* of the stages; may be NULL */
    double atol, rtol, min_sqnr;
    /* Where the smallest piece that shows the difference is written: a graph in text form, and an npz with its
     * inputs and what its outputs ought to be (out_K_NAME). NULL: nowhere. */
    const char *graph_path, *arrays_path;
} tl_bisect_options;

void tl_bisect_options_init(tl_bisect_options *options);
/* Finds the first stage of a's conversion whose outputs part from the source (on reference kernels), and the op there;
 * with b, the op of b alone. Outputs recorded in inputs (out_K_NAME, output_K) are compared first: where the source parts
 * from them, the stage is "import". TL_OK: nothing parts; else TL_DIFFERS. report: JSON, lives as long as a. */
tl_status tl_bisect(tl_network *a, tl_network *b, const tl_arrays *inputs, const tl_bisect_options *options,
                    const char **report);
/* Compares two sets of tensors by name or position. */
tl_status tl_diff_arrays(tl_context *cx, const tl_arrays *a, const tl_arrays *b,
                         const tl_diff_options *options, const char **report);

/* Coverage as JSON: which operators of `from` ("onnx", "torch") are imported, which core ops `to` (a profile) has
 * forms for. Either may be NULL. */
tl_status tl_ops(tl_context *cx, const char *from, const char *to, const char **json);

#ifdef __cplusplus
}
#endif
#endif
