/* Normalisations. Sums and differences in double; each result is rounded once. */
#include "kernel/ref/ref.h"

/* ---- along one axis: softmax, log_softmax, lp_norm, l2_normalization ---- */

/* A line of x and out, in runs. */
typedef struct norm_line {
    const tl_tensor *x;
    tl_tensor *out;
    int64_t at, step, n;
} norm_line;

static int64_t load_part(const norm_line *line, int64_t from, double *x)
{
    int64_t n = TL_MIN(line->n - from, (int64_t)TL_REF_RUN);
    tl_ref_load_f64(line->x, line->at + from * line->step, line->step, n, x);
    return n;
}

static void put_part(const norm_line *line, int64_t from, int64_t n, const double *y)
{
    tl_ref_put_f64(line->out, line->at + from * line->step, line->step, n, y);
}

/* NaN wins, so that it reaches every element. */
static double line_max(const norm_line *line)
{
    double max = -(double)INFINITY, x[TL_REF_RUN];
    for (int64_t from = 0, n; from < line->n; from += n) {
        n = load_part(line, from, x);
        for (int64_t i = 0; i < n; i++)
            max = x[i] != x[i] || x[i] > max ? x[i] : max;
    }
    return max;
}

static double line_sum_exp(const norm_line *line, double beta, double max)
{
    double sum = 0, x[TL_REF_RUN];
    for (int64_t from = 0, n; from < line->n; from += n) {
        n = load_part(line, from, x);
        for (int64_t i = 0; i < n; i++)
            sum += tl_exp(beta * (x[i] - max));
    }
    return sum;
}

static void softmax_line(const norm_line *line, double beta, bool log)
{
    double max = line_max(line), sum = line_sum_exp(line, beta, max), x[TL_REF_RUN];
    double log_sum = log ? tl_log(sum) : 0;
    for (int64_t from = 0, n; from < line->n; from += n) {
        n = load_part(line, from, x);
        for (int64_t i = 0; i < n; i++) {
            double y = beta * (x[i] - max);
            x[i] = log ? y - log_sum : tl_exp(y) / sum;
        }
        put_part(line, from, n, x);
    }
}

static tl_status softmax_axis(tl_call *call, int64_t axis, double beta, bool log)
{
    int k;
    TRY(tl_ref_plain(call));
    if (!tl_ref_axis(axis, call->in[0].rank, &k))
        return tl_ref_fail(call, "axis out of range");
    tl_ref_lines lines = tl_ref_lines_of(&call->in[0], k);
    for (int64_t i = 0; i < lines.n_lines; i++) {
        norm_line line = {&call->in[0], &call->out[0], tl_ref_line_at(&lines, i), lines.step,
                          lines.n};
        softmax_line(&line, beta, log);
    }
    return TL_OK;
}

tl_status tl_ref_softmax(tl_call *call)
{
    bool log = call->op == TL_OP_log_softmax;
    return softmax_axis(call, ((const tl_axis_attrs *)call->attrs)->axis, 1, log);
}

tl_status tl_ref_tfl_softmax(tl_call *call)
{
    return softmax_axis(call, -1, ((const tl_tfl_softmax_attrs *)call->attrs)->beta, false);
}

tl_status tl_ref_tfl_log_softmax(tl_call *call)
{
    return softmax_axis(call, -1, 1, true);
}

static double line_norm(const norm_line *line, double p)
{
    double sum = 0, x[TL_REF_RUN];
    for (int64_t from = 0, n; from < line->n; from += n) {
        n = load_part(line, from, x);
        for (int64_t i = 0; i < n; i++) {
            double a = x[i] < 0 ? -x[i] : x[i];
            sum += p == 1 ? a : p == 2 ? a * a : tl_pow(a, p);
        }
    }
    return p == 1 ? sum : p == 2 ? tl_sqrt(sum) : tl_pow(sum, 1 / p);
}

static tl_status lp_norm_axis(tl_call *call, int64_t axis, double p, double eps,
                              tl_tfl_activation act)
{
    int k;
    double x[TL_REF_RUN];
    TRY(tl_ref_plain(call));
    if (!tl_ref_axis(axis, call->in[0].rank, &k))
        return tl_ref_fail(call, "axis out of range");
    tl_ref_lines lines = tl_ref_lines_of(&call->in[0], k);
    for (int64_t i = 0; i < lines.n_lines; i++) {
        norm_line line = {&call->in[0], &call->out[0], tl_ref_line_at(&lines, i), lines.step,
                          lines.n};
        double norm = line_norm(&line, p), divisor = norm < eps ? eps : norm;
        for (int64_t from = 0, n; from < line.n; from += n) {
            n = load_part(&line, from, x);
            for (int64_t j = 0; j < n; j++)
                x[j] /= divisor;
            tl_ref_activate_f64(act, n, x);
            put_part(&line, from, n, x);
        }
    }
    return TL_OK;
}

tl_status tl_ref_lp_norm(tl_call *call)
{
    const tl_lp_norm_attrs *attrs = call->attrs;
    return lp_norm_axis(call, attrs->axis, (double)attrs->p, attrs->eps, TL_tfl_activation_none);
}

tl_status tl_ref_l2_normalization(tl_call *call)
{
    return lp_norm_axis(call, -1, 2, 1e-6,
                        ((const tl_tfl_activation_attrs *)call->attrs)->activation);
}

/* ---- batch_norm: x[n,*s,c] with statistics given; operands x, scale, bias, mean, var, all [c]
 * ---- */

static void batch_norm_channels(tl_call *call, int64_t c, int64_t first, int64_t n, double eps)
{
    double scale[TL_REF_RUN], bias[TL_REF_RUN], mean[TL_REF_RUN], var[TL_REF_RUN], x[TL_REF_RUN];
    tl_ref_load_f64(&call->in[1], first, 1, n, scale);
    tl_ref_load_f64(&call->in[2], first, 1, n, bias);
    tl_ref_load_f64(&call->in[3], first, 1, n, mean);
    tl_ref_load_f64(&call->in[4], first, 1, n, var);
    for (int64_t at = first, end = tl_tensor_count(&call->in[0]); at < end; at += c) {
        tl_ref_load_f64(&call->in[0], at, 1, n, x);
        for (int64_t i = 0; i < n; i++)
            x[i] = (x[i] - mean[i]) / tl_sqrt(var[i] + eps) * scale[i] + bias[i];
        tl_ref_store_f64(&call->out[0], at, n, x);
    }
}

/* [c] for operands from on; the channel is the last axis of x. */
static tl_status check_channels(tl_call *call, size_t from, int64_t *c)
{
    const tl_tensor *x = &call->in[0];
    TRY(tl_ref_plain(call));
    if (x->rank < 2)
        return tl_ref_fail(call, "an operand with a batch and a channel axis is needed");
    *c = x->shape[x->rank - 1];
    for (size_t k = from; k < call->n_in; k++)
        if (tl_tensor_count(&call->in[k]) != *c)
            return tl_ref_fail(call, "one parameter per channel is needed");
    return TL_OK;
}

tl_status tl_ref_batch_norm(tl_call *call)
{
    int64_t c;
    TRY(check_channels(call, 1, &c));
    for (int64_t first = 0; first < c; first += TL_REF_RUN)
        batch_norm_channels(call, c, first, TL_MIN(c - first, (int64_t)TL_REF_RUN),
                            ((const tl_norm_attrs *)call->attrs)->eps);
    return TL_OK;
}

/* ---- normalised over a part of x: instance, group, layer, rms ---- */

/* Walks the part (view 0: x) from element at on: mean, and mean square deviation from centre. */
static double part_mean(const tl_tensor *x, tl_ref_walk *w, int64_t at, int64_t count)
{
    double sum = 0, v[TL_REF_RUN];
    tl_ref_walk_move(w, 0, at);
    for (tl_ref_walk_rewind(w); tl_ref_walk_next(w);) {
        tl_ref_load_f64(x, w->at[0], w->step[0], w->n, v);
        for (int64_t i = 0; i < w->n; i++)
            sum += v[i];
    }
    return sum / (double)count;
}

static double part_variance(const tl_tensor *x, tl_ref_walk *w, int64_t at, int64_t count,
                            double centre)
{
    double sum = 0, v[TL_REF_RUN];
    tl_ref_walk_move(w, 0, at);
    for (tl_ref_walk_rewind(w); tl_ref_walk_next(w);) {
        tl_ref_load_f64(x, w->at[0], w->step[0], w->n, v);
        for (int64_t i = 0; i < w->n; i++)
            sum += (v[i] - centre) * (v[i] - centre);
    }
    return sum / (double)count;
}

/* (x - centre) / deviation scale + bias over the part; views 1, 2: scale and bias, where there are
 * any. */
static void part_write(tl_call *call, tl_ref_walk *w, int64_t at, double centre, double deviation)
{
    double v[TL_REF_RUN], p[TL_REF_RUN];
    const tl_tensor *scale = tl_ref_operand(call, 1), *bias = tl_ref_operand(call, 2);
    tl_ref_walk_move(w, 0, at);
    for (tl_ref_walk_rewind(w); tl_ref_walk_next(w);) {
        tl_ref_load_f64(&call->in[0], w->at[0], w->step[0], w->n, v);
        for (int64_t i = 0; i < w->n; i++)
            v[i] = (v[i] - centre) / deviation;
        if (scale) {
            tl_ref_load_f64(scale, w->at[1], w->step[1], w->n, p);
            for (int64_t i = 0; i < w->n; i++)
                v[i] *= p[i];
        }
        if (bias) {
            tl_ref_load_f64(bias, w->at[2], w->step[2], w->n, p);
            for (int64_t i = 0; i < w->n; i++)
                v[i] += p[i];
        }
        tl_ref_put_f64(&call->out[0], w->at[0], w->step[0], w->n, v);
    }
}

/* instance_norm: as many groups as channels. The part of one image and group is [s, c / groups]. */
tl_status tl_ref_group_norm(tl_call *call)
{
    const tl_tensor *x = &call->in[0];
    bool instance = call->op == TL_OP_instance_norm;
    int64_t c;
    TRY(check_channels(call, 1, &c));
    int64_t groups = instance ? c : ((const tl_group_norm_attrs *)call->attrs)->groups;
    double eps = instance ? ((const tl_norm_attrs *)call->attrs)->eps
                          : ((const tl_group_norm_attrs *)call->attrs)->eps;
    if (groups < 1 ? c > 0 : c % groups != 0)
        return tl_ref_fail(call, "groups do not divide the channels");
    int64_t part[2] = {tl_ref_product(1, x->rank - 1, x->shape), groups ? c / groups : 0};
    int64_t of_x[2] = {c, 1}, of_channel[2] = {0, 1}, count = part[0] * part[1];
    for (int64_t i = 0; i < x->shape[0] * groups; i++) {
        int64_t channel = i % groups * part[1], at = i / groups * part[0] * c + channel;
        tl_ref_walk w;
        tl_ref_walk_init(&w, 2, part);
        tl_ref_walk_view(&w, at, of_x);
        tl_ref_walk_view(&w, channel, of_channel);
        tl_ref_walk_view(&w, channel, of_channel);
        double mean = part_mean(x, &w, at, count), var = part_variance(x, &w, at, count, mean);
        part_write(call, &w, at, mean, tl_sqrt(var + eps));
    }
    return TL_OK;
}

/* rms_norm: the deviation from 0. The part is the axes from axis on. */
tl_status tl_ref_layer_norm(tl_call *call)
{
    const tl_axis_norm_attrs *attrs = call->attrs;
    const tl_tensor *x = &call->in[0];
    int64_t dense[TL_MAX_RANK], none[TL_MAX_RANK] = {0};
    tl_ref_walk w;
    int axis;
    TRY(tl_ref_plain(call));
    if (!tl_ref_axis(attrs->axis, x->rank, &axis))
        return tl_ref_fail(call, "axis out of range");
    tl_ref_strides(x->rank, x->shape, dense);
    tl_ref_walk_init(&w, x->rank - axis, x->shape + axis);
    tl_ref_walk_view(&w, 0, dense + axis);
    for (size_t k = 1; k <= 2; k++) {
        const tl_tensor *parameter = tl_ref_operand(call, k);
        if (!parameter)
            tl_ref_walk_view(&w, 0, none);
        else if (!tl_ref_walk_broadcast(&w, parameter))
            return tl_ref_fail(call, "scale or bias does not broadcast to the normalised axes");
    }
    int64_t count = tl_ref_product(axis, x->rank, x->shape), total = tl_tensor_count(x);
    for (int64_t at = 0; at < total; at += count) {
        double mean = call->op == TL_OP_rms_norm ? 0 : part_mean(x, &w, at, count);
        part_write(call, &w, at, mean, tl_sqrt(part_variance(x, &w, at, count, mean) + attrs->eps));
    }
    return TL_OK;
}

/* ---- over a window of channels ---- */

/* x / (bias + alpha Σ x²)^beta over channels c - before .. c + after. */
typedef struct lrn_window {
    int64_t before, after;
    double alpha, beta, bias;
} lrn_window;

static double lrn_sum(const tl_tensor *x, int64_t row, int64_t from, int64_t to)
{
    double sum = 0, v[TL_REF_RUN];
    for (int64_t n; from < to; from += n) {
        n = TL_MIN(to - from, (int64_t)TL_REF_RUN);
        tl_ref_load_f64(x, row + from, 1, n, v);
        for (int64_t i = 0; i < n; i++)
            sum += v[i] * v[i];
    }
    return sum;
}

static tl_status lrn_channels(tl_call *call, lrn_window window)
{
    const tl_tensor *x = &call->in[0];
    TRY(tl_ref_plain(call));
    if (x->rank < 1)
        return tl_ref_fail(call, "a channel axis is needed");
    if (window.before < 0 || window.after < 0)
        return tl_ref_fail(call, "empty window");
    int64_t c = x->shape[x->rank - 1], count = tl_tensor_count(x);
    window.before = TL_MIN(window.before, c);
    window.after = TL_MIN(window.after, c);
    for (int64_t at = 0; at < count; at++) {
        int64_t k = at % c, from = TL_MAX(k - window.before, (int64_t)0);
        double v, sum = lrn_sum(x, at - k, from, TL_MIN(k + window.after + 1, c));
        tl_ref_load_f64(x, at, 1, 1, &v);
        v /= tl_pow(window.bias + window.alpha * sum, window.beta);
        tl_ref_store_f64(&call->out[0], at, 1, &v);
    }
    return TL_OK;
}

/* An even window reaches one further up. */
tl_status tl_ref_lrn(tl_call *call)
{
    const tl_lrn_attrs *a = call->attrs;
    if (a->size < 1)
        return tl_ref_fail(call, "empty window");
    return lrn_channels(call, (lrn_window){(a->size - 1) / 2, a->size / 2,
                                           a->alpha / (double)a->size, a->beta, a->bias});
}

tl_status tl_ref_tfl_lrn(tl_call *call)
{
    const tl_tfl_lrn_attrs *a = call->attrs;
    return lrn_channels(call, (lrn_window){a->radius, a->radius, a->alpha, a->beta, a->bias});
}
