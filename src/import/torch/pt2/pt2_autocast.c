/* torch.autocast: inside of such a block some operators compute in a narrower type whatever their operands
 * are, some in single precision. The program does not spell the casts out. */
#include "import/torch/aten/aten_signature.h"
#include "import/torch/pt2/pt2_private.h"

/* Operators of autocast on processors; those on other devices are the same for what a network uses. */
static const char *const narrow[] = {
    "conv1d",
    "conv2d",
    "conv3d",
    "_convolution",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "convolution",
    "mm",
    "bmm",
    "matmul",
    "linear",
    "addmm",
    "addbmm",
    "baddbmm",
    "linalg_matmul",
    "chain_matmul",
    "linalg_multi_dot",
    "einsum",
    "scaled_dot_product_attention",
};
static const char *const wide[] = {
    "avg_pool3d",
    "binary_cross_entropy",
    "grid_sampler",
    "polar",
    "prod",
    "quantile",
    "cdist",
    "mse_loss",
    "cosine_similarity",
    "l1_loss",
    "huber_loss",
    "smooth_l1_loss",
    "nll_loss",
    "nll_loss_nd",
    "linalg_norm",
    "linalg_vector_norm",
    "linalg_inv",
    "linalg_det",
    "linalg_solve",
    "linalg_qr",
    "inverse",
    "cumprod",
    "trace",
    "linalg_cholesky",
    "fft_fft",
    "fft_rfft",
    "fft_ifft",
    "fft_irfft",
    "stft",
    "upsample_nearest1d",
    "upsample_nearest2d",
    "upsample_nearest3d",
    "upsample_linear1d",
    "upsample_bilinear2d",
    "upsample_trilinear3d",
    "upsample_bicubic2d",
    "replication_pad1d",
    "replication_pad2d",
    "replication_pad3d",
    "view_as_complex",
};

static bool is_among(tl_str name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (tl_str_is(name, names[i]))
            return true;
    return false;
}

static aten_arg in_type(pt2_reader *r, aten_arg arg, tl_dtype dtype)
{
    if (arg.kind == ATEN_TENSOR && !arg.t->is_complex) {
        tl_value *value = aten_tensor_read(&r->env, arg.t);
        tl_dtype own = value->fact.type.dtype;
        if (!value->poison && tl_dtype_is_float(own) && own != TL_F64 && own != dtype)
            arg.t = aten_tensor_new(&r->env, tl_build_cast(&r->env.scope->b, value, dtype));
    }
    if (arg.kind == ATEN_LIST) {
        aten_arg *items = TL_NEW_ARRAY(r->arena, aten_arg, arg.n + 1);
        for (size_t i = 0; items && i < arg.n; i++)
            items[i] = in_type(r, arg.items[i], dtype);
        arg.items = items ? items : arg.items;
    }
    return arg;
}

const aten_arg *pt2_autocast_arguments(pt2_reader *r, const aten_row *row, const aten_arg *args)
{
    tl_str name = aten_signature_of(&r->env, row)->name;
    size_t n = aten_n_args(&r->env, row);
    bool narrows = is_among(name, narrow, TL_COUNT(narrow));
    if (!r->autocast || !args || (!narrows && !is_among(name, wide, TL_COUNT(wide))))
        return args;
    aten_arg *copy = tl_arena_copy(r->arena, args, n * sizeof(*args));
    for (size_t i = 0; copy && i < n; i++)
        copy[i] = in_type(r, copy[i], narrows ? r->autocast_type : TL_F32);
    return copy ? copy : args;
}
