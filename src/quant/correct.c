/* Biases that take back what rounding the weights adds to the results on average. */
#include "quant/quantize.h"

#include <string.h>

typedef struct shifting {
    tl_context *cx;
    const tl_const *held; /* the stored weights as numbers */
    const tl_quant *quant;
    tl_arena *scratch;
    const tl_value_stats *x;
    bool depthwise;
    int64_t inner, channels, filters, groups; /* weights and channels of a filter; filters in all */
    double *shift;                            /* per filter: Σ (held - given) mean of x */
} shifting;

static tl_status add_shift(void *user, const void *data, int64_t first, int64_t n)
{
    shifting *s = user;
    const float *w = data;
    tl_arena_mark mark = tl_arena_get_mark(s->scratch);
    float *q = TL_NEW_ARRAY(s->scratch, float, n);
    TRY(q ? tl_const_read(s->cx, s->held, first, n, q, s->scratch) : tl_context_status(s->cx));
    for (int64_t i = 0; i < n; i++) {
        int64_t at = first + i, filter = s->depthwise ? at % s->filters : at / s->inner;
        int64_t group = filter / (s->filters / s->groups);
        int64_t channel = group * s->channels + (s->depthwise ? 0 : at % s->channels);
        double scale = (double)s->quant->scale[s->quant->n > 1 ? filter : 0];
        s->shift[filter] += ((double)q[i] * scale - (double)w[i]) * tl_stats_mean(s->x, channel);
    }
    tl_arena_rewind(s->scratch, mark);
    return TL_OK;
}

/* NULL: not known. */
static const double *mean_shift(const tl_node *node, const tl_quantize_product *p,
                                const tl_value_stats *x, const tl_value *stored, int64_t filters,
                                tl_arena *arena)
{
    const tl_const *w = tl_in(node, p->w)->constant;
    int64_t channels = tl_const_shape(w)[tl_const_rank(w) - 1], n = tl_const_count(w);
    bool depthwise = node->op == TL_OP_tfl_depthwise_conv_2d;
    shifting s = {.cx = stored->model->cx,
                  .held = tl_const_cast(arena, stored->constant, TL_F32),
                  .quant = tl_type_of(stored)->quant,
                  .scratch = arena,
                  .x = x,
                  .depthwise = depthwise,
                  .channels = depthwise ? 1 : channels,
                  .inner = filters ? n / filters : 1,
                  .filters = filters,
                  .groups = !channels ? 0 : x->channels / (depthwise ? 1 : channels),
                  .shift = TL_NEW_ARRAY(arena, double, filters + 1)};
    if (s.groups < 1 || filters % s.groups || x->channels != s.groups * s.channels || !s.shift ||
        !s.held)
        return NULL;
    memset(s.shift, 0, (size_t)filters * sizeof *s.shift);
    return tl_const_stream(s.cx, w, 65536, arena, add_shift, &s) == TL_OK ? s.shift : NULL;
}

void tl_quantize_correct(tl_node *node, const tl_value_stats *x, const tl_value *stored)
{
    tl_quantize_product p;
    int64_t filters;
    tl_context *cx = stored->model->cx;
    /* a transposed convolution multiplies some taps only, which ones depends on the pixel */
    if (!x || !tl_quantize_find_product(node->op, &p) || node->op == TL_OP_tfl_transpose_conv ||
        !tl_in(node, p.bias) || !tl_in(node, p.bias)->constant ||
        !tl_dim_is_const(tl_type_of(stored)->dims[p.axis], &filters))
        return;
    tl_arena arena;
    tl_arena_init(&arena, cx);
    const tl_const *bias = tl_in(node, p.bias)->constant;
    const double *shift = mean_shift(node, &p, x, stored, filters, &arena);
    const double *b = shift ? tl_const_load_f64(cx, bias, &arena) : NULL;
    float *corrected = b ? TL_NEW_ARRAY(&arena, float, filters + 1) : NULL;
    bool one = tl_const_count(bias) == 1;
    for (int64_t i = 0; corrected && i < filters; i++)
        corrected[i] = (float)(b[one ? 0 : i] - shift[i]);
    if (corrected)
        tl_node_set_input(node, p.bias, tl_build_f32s(node->graph->model, corrected, 1, &filters));
    tl_arena_release(&arena);
}
