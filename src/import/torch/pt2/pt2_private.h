/* What the files of the .pt2 reader share. A program is walked as the JSON that it is; names of values live
 * in scopes, one per graph (those of higher-order operators see nothing of the graph around them). */
#ifndef TL_IMPORT_TORCH_PT2_PRIVATE_H
#define TL_IMPORT_TORCH_PT2_PRIVATE_H

#include "codec/json_tree.h"
#include "import/import.h"
#include "import/torch/aten/storage.h"
#include "import/torch/torch_archive.h"

typedef struct pt2_names {
    struct pt2_names *outer;
    tl_map names;    /* aten_arg */
    tl_map declared; /* name of a tensor -> what tensor_values says of it */
    const tl_json_node *graph;
} pt2_names;

/* Contents of a weight, buffer or constant. */
typedef struct pt2_tensor {
    tl_value *value; /* poison when it is not usable (recorded) */
    bool is_complex;
} pt2_tensor;

/* Names that may show the same elements, while the nodes are walked backwards. */
typedef struct pt2_class {
    bool needed;    /* its elements at this point are */
    bool written;   /* behind this point */
    size_t pending; /* names of it that are needed behind, and not defined yet */
} pt2_class;

/* A value that --output asks for. */
typedef struct pt2_cut {
    tl_str name;     /* in the file */
    tl_value *value; /* when it was computed; NULL: not yet, or no tensor */
} pt2_cut;

typedef struct pt2_reader {
    aten_env env;
    tl_context *cx;
    tl_arena *arena; /* lives as long as the import */
    tl_model *model;
    torch_archive archive;
    const tl_import_options *options;
    const tl_json_node *program, *signature, *graph;
    int64_t schema; /* major version; 1: the first ones */
    const char *name; /* of the model inside the archive */
    /* where weights and constants are: a config beside raw members, or one pickle */
    const tl_json_node *weights_config, *constants_config;
    const tl_pickle *weights_dict, *constants_dict;
    torch_archive weights_archive, constants_archive;
    tl_map tensors;  /* pt2_tensor by name */
    tl_map symbols;  /* name in the file -> tl_dim */
    tl_map buffers;  /* name -> aten_storage, of buffers that the program holds */
    const tl_map *states; /* names of buffers that it writes to, known after a first attempt */
    pt2_names *scope;
    /* --start and --output, in pt2_cut.c */
    bool is_part;           /* of the program; else all of it is imported */
    tl_map starts;          /* name in the file -> aten_arg, the input that stands for it */
    pt2_cut *outputs;       /* of options->outputs */
    tl_map needed;          /* names that are computed, or inputs that are asked for */
    tl_map classes;         /* name -> name of the tensor that it may show (tl_str) */
    tl_map needed_classes;  /* -> pt2_class */
    pt2_class spare_class;  /* when memory is out */
    bool autocast; /* inside of a block of torch.autocast, which computes in this type: */
    tl_dtype autocast_type;
} pt2_reader;

/* ---- pt2_archive.c: members, weights ---- */
tl_status pt2_open(pt2_reader *r, tl_file *file);
/* A parameter, buffer (persistent) or constant by its name; poison (recorded) when it is not there. */
tl_value *pt2_weight(pt2_reader *r, tl_str name, bool is_constant, bool *is_complex);
/* The pickle of the inputs that the program was exported with; *out NULL: none is kept. */
tl_status pt2_open_samples(pt2_reader *r, torch_archive *archive, const tl_pickle **out);
/* First member of a union that is not null; its name in *kind (empty when there is none). */
const tl_json_node *pt2_union(const tl_json_node *node, tl_str *kind);

/* ---- pt2_symbols.c: sizes ---- */
/* A SymInt of the file as an expression. make: unknown symbols are made, with range and hint of the file, and
 * what is not understood is recorded; else it gives NULL. */
const tl_dim *pt2_size(pt2_reader *r, const tl_json_node *sym_int, bool make);
/* Type of a tensor of the current graph, as the file declares it; sizes as pt2_size gives them. False: not
 * usable or not declared. */
bool pt2_declared_type(pt2_reader *r, tl_str name, bool make, tl_type *type, bool *is_complex);
/* The symbol a user's dims stand for: names given to sizes of the file. O001 when they contradict it. */
tl_status pt2_bind_input(pt2_reader *r, const tl_input_spec *spec, const tl_json_node *sizes);

/* ---- pt2_args.c: names and arguments ---- */
void pt2_enter(pt2_reader *r, pt2_names *names, const tl_json_node *graph);
void pt2_leave(pt2_reader *r, pt2_names *names);
void pt2_define(pt2_reader *r, tl_str name, aten_arg arg);
/* What a name stands for; recorded and NONE when it is not defined. */
aten_arg pt2_lookup(pt2_reader *r, tl_str name);
aten_arg pt2_argument(pt2_reader *r, const tl_json_node *argument);
/* An output argument takes what an operator gave: tensors, lists, numbers. */
void pt2_bind_output(pt2_reader *r, const tl_json_node *argument, const aten_arg *result);

/* ---- pt2_nodes.c: operators ---- */
void pt2_import_nodes(pt2_reader *r, const tl_json_node *graph);
tl_where pt2_where(pt2_reader *r, const char *kind, tl_str name);

/* ---- pt2_cut.c: parts of a program ---- */
/* Fills r->needed for r->outputs and the values `results` (names) at the end, with r->starts; buffers: those that
 * may become state. */
void pt2_find_needed(pt2_reader *r, const tl_map *results, const tl_map *buffers);
bool pt2_is_needed(const pt2_reader *r, tl_str name);
bool pt2_node_is_needed(pt2_reader *r, const tl_json_node *node);
/* A start value is its input from here on; what an output asks for is taken now. */
void pt2_bind_part(pt2_reader *r, tl_str name);
void pt2_bind_results(pt2_reader *r, const tl_json_node *node);

/* ---- pt2_autocast.c: types inside of torch.autocast ---- */
/* args as the operator takes them there. */
const aten_arg *pt2_autocast_arguments(pt2_reader *r, const aten_row *row, const aten_arg *args);

/* ---- pt2_python.c: operators on sizes and truth values of Python ---- */
/* False: target is none of them. */
bool pt2_python_op(pt2_reader *r, tl_str target, const aten_arg *args, size_t n, aten_arg *result);

/* ---- pt2_higher.c: operators on graphs ---- */
void pt2_higher_order(pt2_reader *r, tl_str name, const tl_json_node *node);

/* ---- pt2_samples.c: inputs that the program was exported with ---- */
/* Those of n inputs (empty names: no tensors) into r->model->samples; none where the tree is not understood. */
tl_status pt2_read_samples(pt2_reader *r, const tl_str *names, size_t n);

/* ---- pt2_names.c: names of inputs and outputs ---- */
/* Leaf names of a pytree spec in order, as "out.boxes", "1.0"; n of them are expected. base: name of a
 * lone leaf; NULL entries never. False when the spec does not fit. */
bool pt2_leaf_names(pt2_reader *r, tl_str spec, const char *base, size_t n, tl_str *names);

#endif
