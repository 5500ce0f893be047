/* The inside of tl_runner, for run.c and diff.c. */
#ifndef TL_API_RUNNER_H
#define TL_API_RUNNER_H

#include "api/api.h"

struct tl_runner {
    tl_context *cx;
    tl_network *network;
    tl_run_options options;
    tl_arena arena;
    tl_model *model; /* of the stage */
    const tl_entry *entry;
    tl_session *session;
    tl_arrays *outputs;
    /* called for every value while one runs, when set and options.inspect */
    void (*observe)(void *user, const tl_value *value, const tl_tensor *tensor);
    void *observe_user;
};

/* A model that nobody else uses, for those who will change it. */
tl_status api_runner_own_model(tl_runner *runner);
/* State that the model shows as inputs and outputs is kept by the session from now on. */
tl_status api_runner_keep_state(tl_runner *runner);
/* Number of steps or samples in inputs; 1 when neither is asked for. */
tl_status api_parts(tl_runner *runner, const tl_arrays *inputs, int64_t *n);
/* One invoke; outputs are the session's. */
tl_status api_run_part(tl_runner *runner, const tl_arrays *inputs, int64_t part);

#endif
