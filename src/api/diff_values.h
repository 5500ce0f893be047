/* The values inside two runs, aligned by the names that their marks give them: how far they are apart, and which
 * node brought the difference in. A node brings it in when its reference kernel, fed with the values of the first
 * run, gives something else than the first run has ("op": the graph computes another function), or when fed with
 * the second run's own operands gives something else than the second run has ("kernel"). */
#ifndef TL_API_DIFF_VALUES_H
#define TL_API_DIFF_VALUES_H

#include "api/runner.h"

typedef struct diff_seen diff_seen;
typedef struct diff_record diff_record;

typedef struct diff_values {
    tl_context *cx;
    tl_arena arena;
    tl_tolerance tolerance;
    tl_map seen; /* name in the source -> diff_seen, of the first run */
    tl_map own;  /* id + 1 -> tl_tensor, of the second run */
    TL_VEC(diff_record *) records;
    /* of diff_find_local: */
    const tl_runner *b;
    const tl_arrays *inputs; /* what both were fed */
    int64_t part;
    int64_t *symbols;
    tl_map expected; /* id + 1 -> tl_tensor: what a value of b is when the first run is right */
    tl_map known;    /* id + 1 -> not NULL: that is what the first run has, not a kernel's result */
    tl_map by_value; /* id + 1 -> diff_record */
    size_t position; /* of the node at hand */
} diff_values;

void diff_values_init(diff_values *d, tl_context *cx, const tl_tolerance *tolerance);
void diff_values_release(diff_values *d);
/* Both as tl_runner.observe, in this order. */
void diff_remember(void *user, const tl_value *value, const tl_tensor *tensor);
void diff_confront(void *user, const tl_value *value, const tl_tensor *tensor);
/* After both have run: adds the errors of single nodes to the records. inputs: what both were fed. */
tl_status diff_find_local(diff_values *d, const tl_runner *b, const tl_arrays *inputs,
                          int64_t part);
bool diff_values_agree(const diff_values *d);
/* ---- behind diff_find_local ---- */
/* Where the runs part, NULL when they do not; kernel: an error of its kernel, not of the graph. */
const tl_value *diff_first(const diff_values *d, bool *kernel);
bool diff_first_is_local(const diff_values *d);              /* one node errs by itself */
void diff_first_report(const diff_values *d, tl_json *json); /* its record, into the open object */
/* A value of b as it is (own), or as it ought to be; false when that is not known. */
bool diff_find_tensor(diff_values *d, const tl_value *value, bool own, tl_tensor *t);
/* What it ought to be is a value of the first run. */
bool diff_is_known(const diff_values *d, const tl_value *value);
/* "values" and "first_by" into the open object. */
void diff_values_report(const diff_values *d, tl_json *json);

#endif
