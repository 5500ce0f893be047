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
    tl_map seen;   /* name in the source -> diff_seen, of the first run */
    tl_map own;    /* id + 1 -> tl_tensor, of the second run */
    TL_VEC(diff_record *) records;
} diff_values;

void diff_values_init(diff_values *d, tl_context *cx, const tl_tolerance *tolerance);
void diff_values_release(diff_values *d);
/* Both as tl_runner.observe, in this order. */
void diff_remember(void *user, const tl_value *value, const tl_tensor *tensor);
void diff_confront(void *user, const tl_value *value, const tl_tensor *tensor);
/* After both have run: adds the errors of single nodes to the records. inputs: what both were fed. */
tl_status diff_find_local(diff_values *d, const tl_runner *b, const tl_arrays *inputs, int64_t part);
bool diff_values_agree(const diff_values *d);
/* "values" and "first_by" into the open object. */
void diff_values_report(const diff_values *d, tl_json *json);

#endif
