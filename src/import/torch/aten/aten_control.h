/* Conditions and loops over graphs under construction, for both readers: captures, writes in place inside of
 * branches, carried values whose sizes change. The caller's functions build a branch or body in the scope
 * that is current when they are called. */
#ifndef TL_IMPORT_TORCH_ATEN_CONTROL_H
#define TL_IMPORT_TORCH_ATEN_CONTROL_H

#include "import/torch/aten/storage.h"

/* Results of a branch, as values of its graph; same number and ranks from both. False: recorded. */
typedef bool (*aten_branch_fn)(aten_env *env, void *user, bool taken, tl_value **results, size_t n);

/* results = cond ? branch(true) : branch(false), cond a scalar that is not known. What the branches write to
 * tensors of the graphs around has the chosen contents afterwards. False: recorded, results are poison. */
bool aten_build_if(aten_env *env, tl_value *cond, aten_branch_fn branch, void *user, tl_value **results,
                   size_t n);

/* One pass of a loop. carried: inputs of the graph. Condition: results[0] = whether to go on. Body: results =
 * the carried values for the next pass. */
typedef bool (*aten_loop_fn)(aten_env *env, void *user, tl_value *const *carried, tl_value **results);

/* while (condition(carried)) carried = body(carried); what the body writes to tensors of the graphs around is
 * carried too. results: n last values. The functions may be called several times, until the sizes that change
 * are known. False: recorded, results are poison. */
bool aten_build_while(aten_env *env, tl_value *const *start, size_t n, aten_loop_fn condition,
                      aten_loop_fn body, void *user, tl_value **results);

#endif
