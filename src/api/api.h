/* What the files of api/ share: the public handles and the way from a network to one of its stages.
 */
#ifndef TL_API_API_H
#define TL_API_API_H

#include "base/json.h"
#include "compress/compress.h"
#include "exec/session.h"
#include "import/import.h"
#include "lower/lower.h"
#include "lower/profile.h"
#include "quant/quantize.h"
#include "tolite.h"
#include "verify/compare.h"

struct tl_network {
    tl_context *cx;
    tl_arena arena; /* the model and every text handed out */
    tl_file *file;
    tl_model *model; /* as it was read */
    const char *name;
    const char *kept; /* of the last conversion with a bound: its report, as JSON; or NULL */
};

typedef TL_VEC(tl_array) api_array_list;

struct tl_arrays {
    tl_context *cx;
    tl_arena arena;
    api_array_list list;
    const char *name; /* of the file, for messages */
    bool lone;        /* one array of an npy file, whose name is that of the file */
};

/* NULL and "" mean the source; see tl_run_options.stage. A stage other than the source is a new
 * model in arena, to be released by tl_model_release. O001 for an unknown name. */
tl_status api_stage(tl_network *network, const char *stage, const tl_convert_options *convert,
                    tl_arena *arena, tl_model **out);
bool api_stage_is_source(const char *stage);
/* The model that options (NULL: the source) speak of; to be given back. */
tl_status api_view(tl_network *network, const tl_view_options *options, tl_model **out);
void api_view_end(tl_network *network, tl_model *model);
/* Compression, one step after the other. */
typedef struct api_compress_step {
    const char *name;        /* "float", "pruned", "clustered", a mode of quantisation */
    uint64_t bytes, zipped;  /* of the file; as a zip program makes it */
    int64_t weights, zeros;  /* of layers */
    double sqnr;             /* dB against "float"; NaN: not comparable */
} api_compress_step;

typedef struct api_compression {
    TL_VEC(api_compress_step) steps;
    tl_samples samples;         /* those compared */
    bool random;                /* they are */
    size_t n_outputs;           /* results of all samples in `float` */
    const tl_tensor *reference; /* [samples][outputs] */
} api_compression;

/* How long the steps of a conversion took. */
typedef struct api_step {
    const char *name;
    uint64_t nanoseconds;
} api_step;

typedef struct api_steps {
    tl_arena *arena;
    uint64_t last; /* when the last step ended */
    TL_VEC(api_step) list;
    api_compression compression; /* what was done, when the options ask for it */
} api_steps;

/* A step that began when the last one ended is over. */
void api_step_done(void *steps, const char *name);

/* Import, passes and lowering; steps may be NULL. */
tl_status api_lower(tl_network *network, const tl_convert_options *convert, tl_arena *arena,
                    api_steps *steps, tl_model **out);

/* What options say of quantisation. O001 for what they cannot mean. */
typedef struct api_quantize {
    tl_quantize_mode mode;
    int bits;
    tl_range_method range;
    tl_dtype io; /* TL_F32, TL_I8 or TL_U8 */
} api_quantize;
tl_status api_quantize_options(tl_context *cx, const tl_convert_options *convert, api_quantize *out);

/* Statistics of the model that these options (not NULL) give; NULL on failure (recorded). */
tl_stats *api_new_stats(const tl_model *model, const tl_convert_options *o, tl_arena *arena);
/* Multiply-adds of one run; open sizes count as 1. */
int64_t api_macs(const tl_node *node);

/* A sample that is kept aside: for the inputs of the lowered model, in order. */
typedef struct api_held {
    tl_arrays *arrays;
    bool first; /* state begins anew */
} api_held;
const api_held *api_held_out(const tl_statistics *statistics, size_t *n);

/* keep.c: which type every op of lowered (prepared, not yet quantised) is to have, by node id, so that the bound of o holds
 * on the samples held out; and what that costs, as JSON in the arena of the network. */
tl_status api_keep_accuracy(tl_network *network, const tl_convert_options *o, const tl_quantize_options *quantize,
                            const tl_model *lowered, const tl_lower_options *lower, tl_arena *arena,
                            const uint8_t **choice);
const tl_stats *api_stats(const tl_statistics *statistics);

/* Options of the user as the readers want them; texts live in arena. options may be NULL. */
tl_status api_import_options(tl_context *cx, tl_arena *arena, const tl_open_options *options,
                             tl_import_options *out);
/* NULL: litert. O001 when there is none of that name. */
tl_status api_profile(tl_context *cx, const char *name, const tl_profile **out);
/* NULL: the first. O002 when there is none of that name. */
tl_status api_entry(tl_context *cx, const tl_model *model, const char *signature,
                    const tl_entry **out);
/* The name users know an op by. */
const char *api_op_title(tl_op op);
/* "source_op", "source_node", "module", "line" and, when there are several, "frames" of an origin that may be NULL, into the open object. */
void api_json_origin(tl_json *json, const tl_origin *origin);
const char *api_type_text(tl_arena *arena, const tl_type *type);
void api_json_type(tl_json *json, tl_arena *arena, const tl_type *type);
/* "custom_ops" of a model, into the open object. */
void api_json_customs(tl_json *json, tl_arena *arena, const tl_model *model);
/* "op", "transposes" and "entries" of a model, into the open object. */
void api_json_model(tl_json *json, tl_arena *arena, const tl_model *model);
/* "source_ops", "layers" and "diagnostics" of a detailed report, into the open object. */
void api_json_detail(tl_json *json, tl_network *network, const tl_model *lowered);
void api_json_comparison(tl_json *json, const tl_comparison *comparison);

tl_tensor api_tensor(const tl_array *array);
/* Array for visible input k of entry: its name, in_NAME, or input_K; the one array of an npy file for the one input.
 * NULL: none. */
const tl_array *api_find_input(const tl_arrays *arrays, const tl_entry *entry, size_t k);
/* ... for output k: NAME, out_K_NAME, output_K. When no output is named so: out_K_ and any name, for the same
 * network has other names in another format. */
const tl_array *api_find_output(const tl_arrays *arrays, const tl_entry *entry, size_t k);
/* See tl_arrays_add_samples. */
tl_status api_add_samples(tl_arrays *arrays, const tl_model *model, const tl_entry *entry, bool *complete);
tl_status api_add_random(tl_arrays *arrays, const tl_entry *entry, uint64_t seed, int which);
/* Element type by name; arrays hold only known ones. */
tl_dtype api_dtype(const char *name);
/* The type in which files of arrays hold elements: a byte at least. */
tl_dtype api_stored_dtype(tl_dtype dtype);
/* A shallow part of array: element i of axis 0. */
tl_array api_part(const tl_array *array, int64_t i);

/* t for an input of this type: floats for one of quantised integers become these by its own scale; a note says so, of
 * the name (empty: it does not). Data in arena, where it is not t's. False on memory failure. */
bool api_as_input(tl_arena *arena, const tl_type *type, tl_str name, const tl_tensor *t, tl_tensor *out);
/* Results as real numbers, where one of both is quantised and the other is not, or otherwise. */
bool api_as_comparable(tl_arena *arena, tl_tensor *a, tl_tensor *b);

/* One session fed from arrays. */
tl_status api_feed(tl_context *cx, tl_session *session, const tl_entry *entry,
                   const tl_arrays *arrays, int64_t part);

#endif
