/* A loop that carries sequences: its iterations one after the other, which takes a number of them that is known.
 * A sequence is a list of the importer, of which nothing is left in the graph. */
#include "import/onnx/onnx_control.h"
#include "import/onnx/onnx_op.h"

#define MAX_UNROLLED 1024

/* One iteration: carried values and those of scan outputs, in place. False: recorded, or (*more false) the
 * condition came out false. */
static bool unroll_once(onnx_call *c, const onnx_graph *body, int64_t i, tl_value **in,
                        tl_value **results, bool *more)
{
    int64_t goes_on = 1;
    in[0] = tl_build_scalar(c->model, TL_I64, (double)i);
    in[1] = tl_build_scalar(c->model, TL_BOOL, 1);
    tl_value **made = onnx_inline_body(c, body, in, c->n_in);
    if (!made || onnx_has_poison(made, body->outputs.n))
        return false;
    if (!onnx_known_scalar(c, made[0], &goes_on)) {
        onnx_refuse_as(c, TL_U006, "a sequence in a loop whose end is not known");
        return false;
    }
    for (size_t k = 1; k < body->outputs.n; k++)
        results[k - 1] = made[k];
    *more = goes_on != 0;
    return true;
}

/* Scan output k, of n iterations, each of which left `step` results. */
static tl_value *stacked(onnx_call *c, tl_value **results, size_t step, size_t k, size_t n)
{
    static const int first = 0;
    tl_value **rows = TL_NEW_ARRAY(c->arena, tl_value *, n + 1);
    if (!rows)
        return NULL;
    if (n == 0 || onnx_find_sequence(c->importer, results[k])) {
        onnx_refuse_as(c, TL_U006,
                       "scan outputs of no iteration, or of sequences, beside a sequence");
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        rows[i] = onnx_unsqueeze(c, results[i * step + k], &first, 1);
    return tl_build_concat(c->b, rows, n, 0);
}

void onnx_unroll_loop(onnx_call *c)
{
    const onnx_graph *body = onnx_body_attr(c, "body");
    tl_value *trips = onnx_as_scalar(c, onnx_in(c, 0)), *cond = onnx_as_scalar(c, onnx_in(c, 1));
    int64_t most = MAX_UNROLLED + 1, enters = 1, n = 0;
    if (!body)
        return;
    if ((trips && !onnx_known_scalar(c, trips, &most)) ||
        (cond && !onnx_known_scalar(c, cond, &enters))) {
        onnx_refuse_as(c, TL_U006, "a sequence in a loop whose number of iterations is not known");
        return;
    }
    size_t carried = c->n_in - TL_MIN(c->n_in, 2),
           step = body->outputs.n - TL_MIN(body->outputs.n, 1);
    if (body->inputs.n != c->n_in || step < carried || c->n_out > step) {
        onnx_malformed(c, "body, expected %zu inputs and at least %zu outputs, found %zu and %zu",
                       c->n_in, TL_MAX(c->n_out, carried) + 1, body->inputs.n, body->outputs.n);
        return;
    }
    most = enters ? TL_MAX(most, 0) : 0;
    tl_value **in = TL_NEW_ARRAY(c->arena, tl_value *, c->n_in + 2);
    tl_value **results =
        TL_NEW_ARRAY(c->arena, tl_value *, (size_t)TL_MIN(most, MAX_UNROLLED) * step + 1);
    if (!in || !results)
        return;
    for (size_t k = 0; k < carried; k++)
        in[2 + k] = c->in[2 + k];
    for (bool more = true; more && n < most; n++) {
        if (n == MAX_UNROLLED) {
            onnx_refuse_as(c, TL_U006, "a sequence in a loop of more than %d iterations",
                           MAX_UNROLLED);
            return;
        }
        tl_value **made = results + (size_t)n * step;
        if (!unroll_once(c, body, n, in, made, &more))
            return;
        for (size_t k = 0; k < carried; k++)
            in[2 + k] = made[k];
    }
    for (size_t k = 0; k < c->n_out; k++)
        c->out[k] = k < carried        ? in[2 + k]
                    : onnx_wants(c, k) ? stacked(c, results, step, k, (size_t)n)
                                       : NULL;
}
