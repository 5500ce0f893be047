/* Attention, one query after the other: scores, their softmax, the mean of the values under it. */
#include "kernel/ref/ref.h"

#include <math.h>

typedef struct attention {
    const tl_attention_attrs *attrs;
    const tl_tensor *q, *k, *v, *mask;
    int64_t rows, keys, width, depth; /* of q all together, of k, sizes of a row of q and k, of v */
    int64_t mask_step[TL_MAX_RANK];   /* along the axes of the scores */
    double *query, *key, *weight, *value;
} attention;

size_t tl_ref_scratch_attention(const tl_call *call)
{
    const tl_tensor *k = &call->in[1], *v = &call->in[2];
    int64_t n = 2 * k->shape[k->rank - 1] + k->shape[k->rank - 2] + v->shape[v->rank - 1];
    return (size_t)n * sizeof(double);
}

static bool set_mask(attention *a)
{
    int rank = a->q->rank, own = a->mask->rank;
    int64_t stride[TL_MAX_RANK];
    tl_ref_strides(own, a->mask->shape, stride);
    for (int i = 0; i < rank; i++) {
        int axis = i - (rank - own);
        int64_t size = i == rank - 1 ? a->keys : a->q->shape[i];
        if (axis >= 0 && a->mask->shape[axis] != 1 && a->mask->shape[axis] != size)
            return false;
        a->mask_step[i] = axis < 0 || a->mask->shape[axis] == 1 ? 0 : stride[axis];
    }
    return own <= rank;
}

/* First element of the mask for a row of q, row-major over its axes but the last. */
static int64_t mask_at(const attention *a, int64_t row)
{
    int64_t at = 0;
    for (int i = a->q->rank - 2; i >= 0; i--) {
        at += row % a->q->shape[i] * a->mask_step[i];
        row /= a->q->shape[i];
    }
    return at;
}

/* First row of k and v for a row of q: the heads of q share those of k evenly. */
static int64_t first_key(const attention *a, int64_t row)
{
    int rank = a->q->rank;
    int64_t matrix = row / a->q->shape[rank - 2];
    if (rank == 2)
        return 0;
    int64_t heads = a->q->shape[rank - 3], shared = a->k->shape[rank - 3];
    return (matrix / heads * shared + matrix % heads * shared / heads) * a->keys;
}

/* Scores of one query; whether the mask lets any key in. */
static bool score(attention *a, int64_t row, int64_t first)
{
    bool any = a->mask == NULL || a->mask->dtype != TL_BOOL;
    int64_t at = a->mask ? mask_at(a, row) : 0, step = a->mask_step[a->q->rank - 1];
    tl_ref_load_f64(a->q, row * a->width, 1, a->width, a->query);
    for (int64_t t = 0; t < a->keys; t++) {
        double sum = 0, m = 0;
        tl_ref_load_f64(a->k, (first + t) * a->width, 1, a->width, a->key);
        for (int64_t i = 0; i < a->width; i++)
            sum += a->query[i] * a->key[i];
        sum *= a->attrs->scale;
        if (a->mask)
            tl_ref_load_f64(a->mask, at + t * step, 1, 1, &m);
        if (a->mask && a->mask->dtype == TL_BOOL) {
            sum = m != 0 ? sum : a->attrs->fill;
            any |= m != 0;
        } else {
            sum += m;
        }
        a->weight[t] = sum;
    }
    return any;
}

static void weigh(attention *a, bool any)
{
    double most = -(double)INFINITY, sum = 0;
    for (int64_t t = 0; t < a->keys; t++)
        most = a->weight[t] > most ? a->weight[t] : most;
    for (int64_t t = 0; t < a->keys; t++)
        sum += a->weight[t] = tl_exp(a->weight[t] - most);
    bool is_bool = a->mask && a->mask->dtype == TL_BOOL;
    for (int64_t t = 0; t < a->keys; t++) {
        double w = a->weight[t] / sum;
        a->weight[t] = a->attrs->safe && (is_bool ? !any : w != w) ? 0 : w;
    }
}

/* The sum of the values, weighted. */
static void gather(attention *a, tl_tensor *out, int64_t row, int64_t first)
{
    for (int64_t i = 0; i < a->depth; i++)
        a->value[i] = 0;
    for (int64_t t = 0; t < a->keys; t++)
        for (int64_t i = 0, n; i < a->depth; i += n) {
            double part[TL_REF_RUN];
            n = TL_MIN(a->depth - i, (int64_t)TL_REF_RUN);
            tl_ref_load_f64(a->v, (first + t) * a->depth + i, 1, n, part);
            for (int64_t j = 0; j < n; j++)
                a->value[i + j] += a->weight[t] * part[j];
        }
    tl_ref_store_f64(out, row * a->depth, a->depth, a->value);
}

tl_status tl_ref_attention(tl_call *call)
{
    attention a = {call->attrs, &call->in[0], &call->in[1], &call->in[2], tl_ref_operand(call, 3)};
    int rank = a.q->rank;
    TRY(tl_ref_plain(call));
    a.width = a.q->shape[rank - 1];
    a.keys = a.k->shape[rank - 2];
    a.depth = a.v->shape[rank - 1];
    if (a.k->shape[rank - 1] != a.width || a.v->shape[rank - 2] != a.keys ||
        (rank > 2 && (a.k->shape[rank - 3] < 1 || a.q->shape[rank - 3] % a.k->shape[rank - 3])))
        return tl_ref_fail(call, "queries, keys and values do not fit each other");
    if (a.mask && !set_mask(&a))
        return tl_ref_fail(call, "the mask does not broadcast to the scores");
    a.query = call->scratch;
    a.key = a.query + a.width;
    a.weight = a.key + a.width;
    a.value = a.weight + a.keys;
    a.rows = tl_ref_product(0, rank - 1, a.q->shape);
    for (int64_t row = 0; row < a.rows; row++) {
        int64_t first = first_key(&a, row);
        weigh(&a, score(&a, row, first));
        gather(&a, &call->out[0], row, first);
    }
    return TL_OK;
}
