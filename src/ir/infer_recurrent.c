/* Inference of recurrent ops. */
#include "ir/infer_private.h"

/* Sizes that the operands have in common. */
typedef struct recurrent_sizes {
    const tl_dim *steps, *batch, *hidden, *state;
} recurrent_sizes;

/* An optional vector of the element type of operand 0. */
static tl_status need_vector(tl_infer *x, size_t operand, const tl_dim *size)
{
    if (!tl_infer_has(x, operand))
        return TL_OK;
    TRY(tl_infer_need_rank(x, operand, 1));
    TRY(tl_infer_need_same_dtype(x, operand, 0));
    return tl_infer_need_size(x, operand, 0, size);
}

static tl_status need_matrix(tl_infer *x, size_t operand, const tl_dim *rows, const tl_dim *columns)
{
    if (!tl_infer_has(x, operand))
        return TL_OK;
    TRY(tl_infer_need_rank(x, operand, 2));
    TRY(tl_infer_need_same_dtype(x, operand, 0));
    TRY(tl_infer_need_size(x, operand, 0, rows));
    return tl_infer_need_size(x, operand, 1, columns);
}

static tl_status need_lengths(tl_infer *x, size_t operand, const tl_dim *batch)
{
    if (!tl_infer_has(x, operand))
        return TL_OK;
    TRY(tl_infer_need_rank(x, operand, 1));
    TRY(tl_infer_need_index(x, operand));
    return tl_infer_need_size(x, operand, 0, batch);
}

static tl_status recurrent(tl_infer *x, int64_t gates, recurrent_sizes *s)
{
    TRY(tl_infer_need_float(x, 0));
    TRY(tl_infer_need_plain(x));
    TRY(tl_infer_need_rank(x, 0, 3));
    TRY(tl_infer_need_rank(x, 2, 2));
    const tl_type *in = tl_infer_type(x, 0), *r = tl_infer_type(x, 2);
    s->steps = in->dims[0];
    s->batch = in->dims[1];
    s->state = r->dims[1];
    s->hidden = tl_dim_divide_exactly(tl_infer_dims(x), r->dims[0], tl_infer_const(x, gates));
    if (!s->hidden)
        return tl_infer_fail(x, TL_M004, "operand 2 has %s rows, expected %lld per hidden unit",
                             tl_infer_dim_text(x, r->dims[0]), (long long)gates);
    TRY(need_matrix(x, 1, r->dims[0], in->dims[2]));
    TRY(need_matrix(x, 2, r->dims[0], s->state));
    TRY(need_vector(x, 3, r->dims[0]));
    TRY(need_matrix(x, 4, s->batch, s->state));
    TRY(need_lengths(x, 5, s->batch));
    const tl_dim *y[] = {s->steps, s->batch, s->state};
    TRY(tl_infer_result(x, 0, in->dtype, 3, y));
    return tl_infer_result(x, 1, in->dtype, 2, y + 1);
}

tl_status infer_rnn(tl_infer *x)
{
    recurrent_sizes s;
    TRY(recurrent(x, 1, &s));
    return tl_infer_need_size(x, 2, 1, s.hidden);
}

tl_status infer_gru(tl_infer *x)
{
    recurrent_sizes s;
    TRY(recurrent(x, 3, &s));
    TRY(tl_infer_need_size(x, 2, 1, s.hidden));
    return need_vector(x, 6, s.hidden);
}

tl_status infer_lstm(tl_infer *x)
{
    recurrent_sizes s;
    TRY(recurrent(x, 4, &s));
    TRY(need_matrix(x, 6, s.batch, s.hidden));
    TRY(need_vector(x, 7, tl_dim_mul_i(tl_infer_dims(x), s.hidden, 3)));
    TRY(need_matrix(x, 8, s.state, s.hidden));
    if (!tl_infer_has(x, 8))
        TRY(tl_infer_need_size(x, 2, 1, s.hidden));
    const tl_dim *c[] = {s.batch, s.hidden};
    return tl_infer_result(x, 2, tl_infer_type(x, 0)->dtype, 2, c);
}
