/* Attention over heads and rotary embeddings, shared by the operators of the standard and those of
 * com.microsoft. Sizes: b batch, h heads of queries, g of keys, s queries, t keys, d and e sizes of a head. */
#ifndef TL_IMPORT_ONNX_ATTENTION_H
#define TL_IMPORT_ONNX_ATTENTION_H

#include "import/onnx/onnx_op.h"

/* q[b,h,s,d] k[b,g,t,d] v[b,g,t,e], h a multiple of g. */
typedef struct onnx_attention {
    tl_value *q, *k, *v;
    double scale, softcap; /* softcap 0: none */
    tl_value *keep; /* bool[b,h,s,t] or what broadcasts to it: where false, no attention; or NULL */
    tl_value *bias; /* the same, added; or NULL */
    tl_dtype precision; /* of the softmax */
    tl_dtype result;    /* of the product with v */
    /* graphs that change scores and probabilities; NULL: none */
    const onnx_graph *score_mod, *prob_mod;
    /* set by onnx_attend: products before and after softcap, with the mask, probabilities */
    tl_value *scores[4];
} onnx_attention;

/* softmax(q k' scale) v as [b,h,s,e] */
tl_value *onnx_attend(onnx_call *c, onnx_attention *a);
/* [b,s,h d] as [b,h,s,d]; NULL: recorded. And back. */
tl_value *onnx_split_heads(onnx_call *c, tl_value *x, int64_t heads);
tl_value *onnx_join_heads(onnx_call *c, tl_value *x);
/* bool[s,t]: key j <= query i + past */
tl_value *onnx_causal(onnx_call *c, const tl_dim *queries, const tl_dim *keys, const tl_dim *past);
/* bool[b,1,1,t]: key j < length[b] */
tl_value *onnx_before_lengths(onnx_call *c, tl_value *length, const tl_dim *keys);
void onnx_keep_also(onnx_call *c, onnx_attention *a, tl_value *keep);
/* past, then what is new, along axis 2; past NULL: none */
tl_value *onnx_with_past(onnx_call *c, tl_value *past, tl_value *x);

/* x[b,h,s,d] turned by cos, sin [.., s, r/2] that broadcast; what lies behind r stays. */
tl_value *onnx_rotated(onnx_call *c, tl_value *x, tl_value *cosine, tl_value *sine,
                       bool interleaved);
/* Rows of a cache [n, r/2] at ids[b,s], or (ids NULL) the cache [b,s,r/2] itself, as [b,1,s,r/2]. */
tl_value *onnx_cache_rows(onnx_call *c, tl_value *cache, tl_value *ids);

#endif
