/* Running a model on samples. */
#include "compress/compress.h"

tl_status tl_samples_run(const tl_model *model, const tl_samples *samples, const tl_sampling *s)
{
    tl_context *cx = model->cx;
    const tl_entry *entry = &model->entries.v[0];
    tl_session *session = NULL;
    tl_session_options options = {
        .n_threads = cx->n_threads, .observe = s->each, .observe_user = s->user};
    tl_status status = tl_session_new(cx, model, entry, &options, &session);
    for (size_t i = 0; i < samples->n && status == TL_OK; i++) {
        if (!samples->v[i].goes_on)
            tl_session_reset(session);
        for (size_t k = 0; k < entry->n_in && status == TL_OK; k++) {
            status = tl_session_set_input(session, k, &samples->v[i].in[k]);
            if (s->each && status == TL_OK)
                s->each(s->user, entry->graph->inputs.v[k], &samples->v[i].in[k]);
        }
        if (status == TL_OK)
            status = tl_session_run(session);
        if (status == TL_OK && s->after)
            status = s->after(s->user, session, i);
        if (status == TL_OK)
            status = tl_check_cancel(cx);
    }
    if (session)
        tl_session_free(session);
    return status;
}
