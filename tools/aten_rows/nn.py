"""Layers: products, convolutions, pools, norms, attention, recurrent layers, resizing, losses, quantisation."""
import torch
import torch.ao.quantization.fx._decomposed  # declares operators

from aten_cases import b, case, f, group, half, i, i32, programs, v, w

group("linear")
case("linear", f(2, 5), w(f(3, 5)), w(f(3)))
case("linear", f(2, 4, 5), w(f(3, 5)))
case("linear", f(5), w(f(3, 5)), w(f(3)))
case("linear", f(2, 2, 2, 5), w(f(3, 5)), w(f(3)))
case("linear", f(2, 5), f(3, 5), f(3))
case("linear", half(2, 5), w(half(3, 5)), w(half(3)))
case("linear", f(2, 5), w(f(5)))
for x, y in (((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)),
             ((2, 1, 3, 4), (3, 4, 2)), ((4,), (2, 4, 3)), ((2, 3, 4), (4,))):
    case("matmul", f(*x), f(*y))
case("matmul", f(2, 3, 4), w(f(4, 5)))
case("matmul", i(2, 3), i(3, 4))
case("matmul", half(2, 3), half(3, 4))
case("linalg_matmul", f(2, 3), f(3, 4))
case("mm", f(2, 3), f(3, 4))
case("mm", f(2, 3), w(f(3, 4)))
case("mm", i32(2, 3), i32(3, 4))
case("bmm", f(2, 3, 4), f(2, 4, 5))
case("bmm", f(2, 3, 4), w(f(2, 4, 5)))
case("mv", f(2, 3), f(3))
case("dot", f(4), f(4))
case("vdot", f(4), f(4))
case("inner", f(2, 3), f(4, 3))
case("inner", f(3), f(3))
case("inner", f(2, 3), f())
case("outer", f(2), f(3))
case("ger", f(2), f(3))
case("kron", f(2, 3), f(2, 2))
case("addmm", f(4), f(2, 3), f(3, 4))
case("addmm", w(f(4)), f(2, 3), w(f(3, 4)))
case("addmm", f(2, 4), f(2, 3), f(3, 4), beta=0.5, alpha=2)
case("addmm", f(2, 4), f(2, 3), f(3, 4), beta=0)
case("addmv", f(2), f(2, 3), f(3), beta=0.5)
case("baddbmm", f(2, 3, 5), f(2, 3, 4), f(2, 4, 5))
case("baddbmm", f(3, 5), f(2, 3, 4), f(2, 4, 5), beta=0.5, alpha=2)
case("bilinear", f(2, 3), f(2, 4), w(f(5, 3, 4)), w(f(5)))
case("bilinear", f(2, 2, 3), f(2, 2, 4), w(f(5, 3, 4)))
for equation, shapes in (("ij,jk->ik", [(2, 3), (3, 4)]), ("bij,bjk", [(2, 3, 4), (2, 4, 2)]), ("ii->i", [(3, 3)]), ("ii", [(3, 3)]),
                         ("...d,de->...e", [(2, 2, 3), (3, 4)]), ("bhqd,bhkd->bhqk", [(1, 2, 3, 4), (1, 2, 5, 4)]),
                         ("i,j->ij", [(2,), (3,)]), ("ij->ji", [(2, 3)]), ("ijk->k", [(2, 3, 4)]),
                         ("bi,bj,ijk->bk", [(2, 3), (2, 4), (3, 4, 2)]), ("ij,ij->", [(2, 3), (2, 3)])):
    case("einsum", equation, [f(*s) for s in shapes])
case("cross", f(2, 3), f(2, 3), 1)
case("cross", f(3, 4), f(3, 4))
case("linalg_cross", f(2, 3), f(1, 3))
for p in (2.0, 1.0, 3.0, float("inf"), 0.0):
    case("cdist", f(3, 4), f(5, 4), p)
case("cdist", f(2, 3, 4), f(2, 5, 4))
case("_cdist_forward", f(3, 4), f(5, 4), 2.0, None)
case("pdist", f(4, 3))
case("_pdist_forward", f(4, 3), 1.0)
case("_pdist_forward", f(4, 3))
case("pairwise_distance", f(3, 4), f(3, 4))
case("pairwise_distance", f(3, 4), f(3, 4), 1.0, 1e-6, True)
case("pairwise_distance", f(3, 4), f(4), 3.0)
case("cosine_similarity", f(3, 4), f(3, 4))
case("cosine_similarity", f(3, 4), f(3, 4), 0)
case("cosine_similarity", f(2, 3, 4), f(4), -1, 1e-6)
SPD = v([[4.0, 1.0, 0.5], [1.0, 3.0, -0.25], [0.5, -0.25, 2.0]])
SQUARE = v([[2.0, 1.0, -1.0], [0.5, -3.0, 2.0], [1.0, 0.25, 1.5]])
ZERO_PIVOT = v([[0.0, 2.0, 1.0], [1.0, 0.0, 3.0], [2.0, 1.0, 0.0]])
BATCH = v([[[2.0, 1.0], [0.5, -3.0]], [[0.0, 1.0], [1.0, 4.0]]])
for matrix in (SPD, SQUARE, ZERO_PIVOT, BATCH, v([[3.0]]), v([[1.0, 2.0], [3.0, 4.0]])):
    case("det", matrix)
    case("linalg_det", matrix)
    case("linalg_inv", matrix)
    case("inverse", matrix)
case("linalg_inv", f(5, 5))
case("linalg_det", f(5, 5))
case("linalg_inv_ex", SQUARE, only=[0])
case("logdet", SPD)
case("linalg_slogdet", SQUARE)
case("linalg_solve", SQUARE, f(3, 2))
case("linalg_solve", SQUARE, f(3))
case("linalg_solve", ZERO_PIVOT, f(3, 1))
case("linalg_solve", BATCH, f(2, 2, 3))
case("linalg_solve", SQUARE, f(2, 3), left=False)
case("linalg_solve_ex", SQUARE, f(3, 2), only=[0])
case("_linalg_solve_ex", SQUARE, f(3, 2), only=[0])
case("linalg_cholesky", SPD)
case("linalg_cholesky", SPD, upper=True)
case("linalg_cholesky_ex", SPD, only=[0])
case("cholesky_solve", f(3, 2), v([[2.0, 0.0, 0.0], [0.5, 1.5, 0.0], [0.25, -0.2, 1.0]]))
case("linalg_solve_triangular", v([[2.0, 0.0, 0.0], [0.5, 1.5, 0.0], [0.25, -0.2, 1.0]]), f(3, 2), upper=False)
case("linalg_solve_triangular", v([[2.0, 1.0, 0.5], [0.0, 1.5, 0.3], [0.0, 0.0, 1.0]]), f(3, 2), upper=True)
for n in (0, 1, 2, 3, 5, -1):
    case("matrix_power", SQUARE, n)
    case("linalg_matrix_power", SQUARE, n)
case("linalg_qr", f(3, 3))
case("linalg_qr", f(4, 2))

group("conv")


def conv(name, x, weight, *args, bias=True):
    case(name, x, w(weight), w(f(weight.shape[0])) if bias else None, *args)


conv("conv2d", f(1, 3, 7, 8), f(4, 3, 3, 3))
conv("conv2d", f(2, 3, 7, 8), f(4, 3, 3, 3), [2, 2], [1, 1])
conv("conv2d", f(1, 3, 7, 8), f(4, 3, 3, 2), [1, 2], [2, 0], [1, 2], bias=False)
conv("conv2d", f(1, 4, 7, 8), f(6, 2, 3, 3), [1, 1], [1, 1], [1, 1], 2)
conv("conv2d", f(1, 4, 7, 8), f(4, 1, 3, 3), [1, 1], [1, 1], [1, 1], 4)
conv("conv2d", f(1, 4, 7, 8), f(8, 1, 3, 3), [2, 2], [1, 1], [1, 1], 4)
conv("conv2d", f(1, 4, 9, 9), f(4, 1, 3, 3), [1, 1], [2, 2], [2, 2], 4)
conv("conv2d", f(3, 7, 8), f(4, 3, 1, 1))
conv("conv2d", f(1, 3, 7, 8), f(4, 3, 3, 3), [2], [1])
case("conv2d", f(1, 2, 5, 5), f(3, 2, 3, 3), f(3))
case("conv2d", half(1, 2, 5, 5), w(half(3, 2, 3, 3)), None)
for mode in ("same", "valid"):
    conv("conv2d.padding", f(1, 3, 7, 8), f(4, 3, 4, 3), [1, 1], mode)
    conv("conv2d.padding", f(1, 3, 9, 9), f(4, 3, 3, 2), [1, 1], mode, [2, 3])
    conv("conv1d.padding", f(1, 3, 9), f(4, 3, 4), [1], mode)
    conv("conv3d.padding", f(1, 2, 4, 5, 4), f(3, 2, 2, 3, 2), [1, 1, 1], mode)
conv("_convolution_mode", f(1, 3, 7, 8), f(4, 3, 3, 3), [1, 1], "same", [1, 1], 1)
conv("conv1d", f(2, 3, 9), f(4, 3, 3))
conv("conv1d", f(2, 3, 9), f(4, 3, 3), [2], [1], [2])
conv("conv1d", f(3, 9), f(4, 3, 3))
conv("conv1d", f(1, 4, 9), f(4, 1, 3), [1], [1], [1], 4)
conv("conv1d", f(1, 4, 9), f(6, 2, 3), [1], [4], [4], 2)
conv("conv3d", f(1, 2, 4, 5, 6), f(3, 2, 3, 3, 3))
conv("conv3d", f(1, 2, 5, 5, 6), f(3, 2, 2, 3, 1), [2, 1, 2], [1, 0, 1], bias=False)
conv("conv3d", f(1, 4, 4, 5, 6), f(4, 2, 2, 2, 2), [1, 1, 1], [0, 0, 0], [1, 1, 1], 2)
for name in ("convolution", "_convolution", "_convolution.deprecated"):
    more = {"convolution": (), "_convolution": (False, False, True, True), "_convolution.deprecated": (False, False, True)}[name]
    case(name, f(1, 3, 7, 8), w(f(4, 3, 3, 3)), w(f(4)), [1, 1], [1, 1], [1, 1], False, [0, 0], 1, *more)
    case(name, f(1, 3, 4, 5), w(f(3, 2, 3, 3)), None, [2, 2], [1, 1], [1, 1], True, [1, 1], 1, *more)
    case(name, f(1, 4, 9), w(f(4, 1, 3)), w(f(4)), [1], [1], [1], False, [0], 4, *more)
case("conv_transpose2d.input", f(1, 3, 4, 5), w(f(3, 2, 3, 3)), w(f(2)))
case("conv_transpose2d.input", f(2, 3, 4, 5), w(f(3, 2, 3, 3)), w(f(2)), [2, 2], [1, 1], [1, 0])
case("conv_transpose2d.input", f(1, 4, 4, 5), w(f(4, 3, 2, 2)), None, [2, 2], [0, 0], [0, 0], 2)
case("conv_transpose2d.input", f(1, 4, 4, 5), w(f(4, 1, 3, 3)), w(f(4)), [2, 2], [1, 1], [1, 1], 4)
case("conv_transpose2d.input", f(1, 3, 4, 5), w(f(3, 2, 3, 2)), None, [1, 3], [0, 1], [0, 2], 1, [2, 1])
case("conv_transpose2d.input", f(3, 4, 5), w(f(3, 2, 2, 2)), None, [2, 2])
case("conv_transpose1d", f(2, 3, 5), w(f(3, 2, 4)), w(f(2)), [2], [1], [1])
case("conv_transpose1d", f(1, 4, 5), w(f(4, 2, 3)), None, [3], [0], [0], 2)
case("conv_transpose3d.input", f(1, 2, 3, 3, 4), w(f(2, 3, 2, 3, 2)), w(f(3)), [2, 1, 2], [0, 1, 0])
case("im2col", f(1, 2, 5, 6), [2, 3], [1, 1], [0, 1], [1, 2])
case("im2col", f(2, 7, 7), [3, 2], [2, 1], [1, 0], [2, 2])
case("col2im", f(1, 12, 9), [4, 5], [2, 3], [1, 1], [0, 0], [1, 1])
case("col2im", f(2, 8, 9), [6, 6], [2, 2], [1, 1], [0, 0], [2, 2])
case("col2im", f(1, 8, 16), [4, 4], [2, 2], [2, 2], [1, 1], [1, 1])
case("_weight_norm", w(f(4, 3, 2)), w(f(4, 1, 1)))
case("_weight_norm", f(4, 3), f(1, 3), 1)

group("pool")
IMAGE = f(2, 3, 7, 9)
case("max_pool2d", IMAGE, [2, 2])
case("max_pool2d", IMAGE, [3, 3], [2, 2], [1, 1])
case("max_pool2d", IMAGE, [3, 2], [2, 3], [1, 0], [1, 2], True)
case("max_pool2d", f(3, 7, 9), [2], [2])
case("max_pool2d", f(1, 1, 5, 5, lo=-9, hi=-1), [2, 2], [2, 2], [1, 1], [1, 1], True)
case("max_pool1d", f(2, 3, 9), [3], [2], [1])
case("max_pool1d", f(3, 9), [2], [2], [0], [1], True)
case("max_pool3d", f(1, 2, 5, 6, 5), [2, 3, 2], [2, 2, 1], [1, 1, 0])
case("max_pool2d_with_indices", IMAGE, [2, 2])
case("max_pool2d_with_indices", IMAGE, [3, 3], [2, 2], [1, 1])
case("max_pool2d_with_indices", IMAGE, [3, 2], [2, 3], [1, 0], [1, 2], True)
case("max_pool1d_with_indices", f(2, 3, 9), [3], [2], [1])
case("max_pool3d_with_indices", f(1, 2, 5, 6, 5), [2, 3, 2], [2, 2, 1])
for ceil in (False, True):
    for padded in (False, True):
        case("avg_pool2d", IMAGE, [3, 3], [2, 2], [1, 1], ceil, padded)
        case("avg_pool1d", f(2, 3, 9), [3], [2], [1], ceil, padded)
        case("avg_pool3d", f(1, 2, 5, 6, 5), [2, 3, 2], [2, 2, 2], [1, 1, 0], ceil, padded)
case("avg_pool2d", IMAGE, [2, 3])
case("avg_pool2d", IMAGE, [3, 3], [2, 2], [1, 1], False, True, 4)
case("avg_pool2d", f(3, 7, 9), [2], [2])
case("avg_pool3d", f(2, 5, 6, 5), [2, 2, 2], [2, 2, 2], [0, 0, 0], False, True, 3)
for size in ([1, 1], [7, 9], [3, 4], [2, 9], [5, 5]):
    case("adaptive_avg_pool2d", IMAGE, size)
    case("_adaptive_avg_pool2d", IMAGE, size)
    case("adaptive_max_pool2d", IMAGE, size)
case("adaptive_avg_pool2d", f(3, 6, 8), [3, 4])
for size in (1, 3, 4, 9):
    case("adaptive_avg_pool1d", f(2, 3, 9), [size])
    case("adaptive_max_pool1d", f(2, 3, 9), [size])
for size in ([1, 1, 1], [2, 3, 2], [3, 2, 4]):
    case("adaptive_avg_pool3d", f(1, 2, 4, 6, 5), size)
    case("_adaptive_avg_pool3d", f(1, 2, 4, 6, 5), size)
    case("adaptive_max_pool3d", f(1, 2, 4, 6, 5), size)
case("max_unpool2d", f(1, 2, 2, 3), v([[[[0, 3, 5], [13, 14, 17]], [[1, 2, 4], [12, 15, 16]]]]), [3, 6])

group("norm")
S, B = w(f(4, lo=0.5, hi=2)), w(f(4))
MEAN, VAR = w(f(4)), w(f(4, lo=0.2, hi=3))
for x in (f(2, 4, 3, 2), f(2, 4), f(2, 4, 5), f(1, 4, 2, 3, 2)):
    case("batch_norm", x, S, B, MEAN, VAR, False, 0.1, 1e-5, True)
case("batch_norm", f(2, 4, 3), None, None, MEAN, VAR, False, 0.1, 1e-3, True)
case("batch_norm", f(2, 4, 3), S, B, f(4), f(4, lo=0.2, hi=3), False, 0.1, 1e-3, True)
case("batch_norm", f(2, 4, 3, 3), S, B, None, None, True, 0.1, 1e-5, True)
case("_native_batch_norm_legit_no_training", f(2, 4, 3, 2), S, B, MEAN, VAR, 0.1, 1e-5, only=[0])
case("_native_batch_norm_legit.no_stats", f(2, 4, 3, 2), S, B, True, 0.1, 1e-5, only=[0])
case("_native_batch_norm_legit", f(2, 4, 3, 2), S, B, MEAN, VAR, False, 0.1, 1e-5, only=[0])
case("native_batch_norm", f(2, 4, 3, 2), S, B, MEAN, VAR, False, 0.1, 1e-5, only=[0])
case("layer_norm", f(2, 3, 4), [4], S, B)
case("layer_norm", f(2, 3, 4), [3, 4])
case("layer_norm", f(2, 3, 4), [3, 4], w(f(3, 4)), w(f(3, 4)), 1e-3)
case("layer_norm", f(2, 4), [4], S)
case("layer_norm", half(2, 4), [4])
case("native_layer_norm", f(2, 3, 4), [4], S, B, 1e-5)
case("native_layer_norm", f(2, 3, 4), [3, 4], None, None, 1e-5)
case("group_norm", f(2, 4, 3, 2), 2, S, B)
case("group_norm", f(2, 4, 3, 2), 1)
case("group_norm", f(2, 4, 5), 4, S, B, 1e-3)
case("group_norm", f(3, 4), 2, S, B)
case("native_group_norm", f(2, 4, 3, 2), S, B, 2, 4, 6, 2, 1e-5)
case("native_group_norm", f(2, 4, 3, 2), None, None, 2, 4, 6, 1, 1e-5)
case("instance_norm", f(2, 4, 3, 2), S, B, None, None, True, 0.1, 1e-5, True)
case("instance_norm", f(2, 4, 5), None, None, None, None, True, 0.1, 1e-5, True)
case("instance_norm", f(2, 4, 5), S, B, MEAN, VAR, False, 0.1, 1e-5, True)
case("rms_norm", f(2, 3, 4), [4], S)
case("rms_norm", f(2, 3, 4), [3, 4], None, 1e-3)
case("dropout", f(2, 3), 0.5, False)
case("feature_dropout", f(2, 3), 0.5, False)
case("alpha_dropout", f(2, 3), 0.5, False)
case("feature_alpha_dropout", f(2, 3), 0.5, False)
case("native_dropout", f(2, 3), 0.5, False)

group("attention")
Q, K, V = f(1, 2, 3, 4), f(1, 2, 5, 4), f(1, 2, 5, 4)
SDPA = "scaled_dot_product_attention"
case(SDPA, Q, K, V)
case(SDPA, Q, K, V, v([[[[True, True, False, True, True]] * 3]]))
case(SDPA, Q, K, V, v([[True, False, False, True, True], [False] * 5, [True] * 5]))
case(SDPA, Q, K, V, f(3, 5))
case(SDPA, Q, K, V, f(1, 1, 3, 5), scale=0.3)
case(SDPA, Q, K, V, None, 0.0, True)
case(SDPA, f(1, 2, 5, 4), K, V, None, 0.0, True)
case(SDPA, f(2, 3, 4), f(2, 5, 4), f(2, 5, 6))
case(SDPA, f(1, 4, 3, 4), K, V, enable_gqa=True)
case(SDPA, half(1, 2, 3, 4), half(1, 2, 5, 4), half(1, 2, 5, 4))
case("_scaled_dot_product_flash_attention_for_cpu", Q, K, V, only=[0])
case("_scaled_dot_product_flash_attention_for_cpu", Q, K, V, 0.0, True, only=[0])


def layer(e, ffn):
    return [w(f(3 * e, e)), w(f(3 * e)), w(f(e, e)), w(f(e))], [w(f(e)), w(f(e)), w(f(e)), w(f(e)), w(f(ffn, e)), w(f(ffn)), w(f(e, ffn)), w(f(e))]


for gelu in (False, True):
    for first in (False, True):
        attend, rest = layer(4, 6)
        case("_transformer_encoder_layer_fwd", f(2, 3, 4), 4, 2, *attend, gelu, first, 1e-5, *rest)

group("recurrent")


def parameters(gates, n, h, layers=1, directions=1, bias=True, proj=0):
    found = []
    for k in range(layers):
        size = n if k == 0 else directions * (proj or h)
        for _ in range(directions):
            found += [w(f(gates * h, size, lo=-1, hi=1)), w(f(gates * h, proj or h, lo=-1, hi=1))]
            found += [w(f(gates * h, lo=-1, hi=1)), w(f(gates * h, lo=-1, hi=1))] if bias else []
            found += [w(f(proj, h, lo=-1, hi=1))] if proj else []
    return found


for name, gates in (("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1)):
    for layers, directions, bias, batch_first in ((1, 1, True, False), (2, 1, True, True), (1, 2, True, False), (2, 2, False, True)):
        state = f(layers * directions, 2, 3)
        hx = [state, f(layers * directions, 2, 3)] if name == "lstm" else state
        x = f(2, 4, 5) if batch_first else f(4, 2, 5)
        case(f"{name}.input", x, hx, parameters(gates, 5, 3, layers, directions, bias), bias, layers, 0.0, False,
             directions == 2, batch_first)
case("lstm.input", f(4, 2, 5), [f(1, 2, 2), f(1, 2, 3)], parameters(4, 5, 3, proj=2), True, 1, 0.0, False, False, False)
case("lstm_cell", f(2, 5), [f(2, 3), f(2, 3)], *parameters(4, 5, 3))
case("lstm_cell", f(2, 5), [f(2, 3), f(2, 3)], *parameters(4, 5, 3, bias=False))
case("gru_cell", f(2, 5), f(2, 3), *parameters(3, 5, 3))
case("rnn_tanh_cell", f(2, 5), f(2, 3), *parameters(1, 5, 3))
case("rnn_relu_cell", f(2, 5), f(2, 3), *parameters(1, 5, 3, bias=False))

group("resize")
for n, linear in ((1, "linear1d"), (2, "bilinear2d"), (3, "trilinear3d")):
    shape = (1, 2) + (4, 5, 3)[:n]
    sizes, factors = [7, 9, 5][:n], [2.0, 1.5, 2.0][:n]
    for align in (False, True):
        case(f"upsample_{linear}.vec", f(*shape), sizes, align, None)
        case(f"upsample_{linear}.vec", f(*shape), None, align, factors)
        case(f"upsample_{linear}", f(*shape), sizes, align)
        case(f"upsample_{linear}", f(*shape), [2, 3, 2][:n], align)
    for kind in ("upsample_nearest", "_upsample_nearest_exact"):
        case(f"{kind}{n}d.vec", f(*shape), sizes, None)
        case(f"{kind}{n}d.vec", f(*shape), None, factors)
        case(f"{kind}{n}d", f(*shape), sizes)
for align in (False, True):
    case("upsample_bicubic2d.vec", f(1, 2, 4, 5), [7, 9], align, None)
    case("upsample_bicubic2d.vec", f(1, 2, 4, 5), None, align, [2.0, 1.5])
    case("upsample_bicubic2d", f(1, 2, 4, 5), [3, 4], align)
    case("_upsample_bilinear2d_aa.vec", f(1, 2, 7, 9), [3, 4], align, None)
    case("_upsample_bilinear2d_aa.vec", f(1, 2, 4, 5), [7, 9], align, None)
    case("_upsample_bicubic2d_aa.vec", f(1, 2, 7, 9), [3, 4], align, None)
    case("_upsample_bilinear2d_aa", f(1, 2, 7, 9), [3, 4], align)
    case("_upsample_bicubic2d_aa", f(1, 2, 7, 9), [3, 4], align)
for mode in (0, 1, 2):
    for padding in (0, 1, 2):
        case("grid_sampler_2d", f(1, 2, 4, 5), f(1, 3, 4, 2, lo=-1.3, hi=1.3), mode, padding, padding == 1)
        case("grid_sampler", f(1, 2, 4, 5), f(1, 3, 4, 2, lo=-1.3, hi=1.3), mode, padding, padding != 1)
for mode in (0, 1):
    case("grid_sampler_3d", f(1, 2, 3, 4, 5), f(1, 2, 3, 2, 3, lo=-1.2, hi=1.2), mode, 0, False)
    case("grid_sampler_3d", f(1, 2, 3, 4, 5), f(1, 2, 3, 2, 3, lo=-1.2, hi=1.2), mode, 1, True)
    case("grid_sampler", f(1, 2, 3, 4, 5), f(1, 2, 3, 2, 3, lo=-1.2, hi=1.2), mode, 2, False)
for align in (False, True):
    case("affine_grid_generator", f(1, 2, 3), [1, 2, 3, 4], align)
    case("affine_grid_generator", f(1, 3, 4), [1, 2, 2, 3, 4], align)

group("bag")
for mode in (0, 1, 2):
    case("embedding_bag.padding_idx", w(f(7, 3)), v([1, 2, 4, 6, 0, 3]), v([0, 2, 5]), False, mode, False, None, False, None, only=[0])
    case("_embedding_bag", w(f(7, 3)), v([1, 2, 4, 6, 0, 3]), v([0, 2, 5]), False, mode, only=[0])
case("embedding_bag", w(f(7, 3)), v([1, 2, 4, 6]), v([0, 2]), only=[0])
case("_embedding_bag_forward_only", w(f(7, 3)), v([1, 2, 4, 6]), v([0, 2]), False, 1, only=[0])
case("embedding_bag.padding_idx", w(f(7, 3)), v([1, 2, 4, 6]), v([0, 2, 4]), False, 0, False, f(4), True, None, only=[0])

group("loss")
TARGET, LABELS = f(3, 4), v([1, 3, 0])
for reduction in (0, 1, 2):
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "soft_margin_loss"):
        case(name, f(3, 4), TARGET, reduction)
    case("kl_div", f(3, 4), f(3, 4, lo=0.1, hi=1), reduction)
    case("kl_div", f(3, 4), f(3, 4, lo=-2, hi=0), reduction, log_target=True)
    case("binary_cross_entropy_with_logits", f(3, 4), f(3, 4, lo=0, hi=1), None, None, reduction)
    case("binary_cross_entropy", f(3, 4, lo=0.05, hi=0.95), f(3, 4, lo=0, hi=1), None, reduction)
    case("nll_loss_nd", f(3, 4), LABELS, None, reduction)
    case("nll_loss_nd", f(3, 4), LABELS, w(f(4, lo=0.2, hi=2)), reduction, 3)
    case("cross_entropy_loss", f(3, 4), LABELS, None, reduction)
    case("cross_entropy_loss", f(3, 4), LABELS, w(f(4, lo=0.2, hi=2)), reduction, 0)
    case("nll_loss_forward", f(3, 4), LABELS, None, reduction, -100)
    case("poisson_nll_loss", f(3, 4), f(3, 4, lo=0.1, hi=2), True, False, 1e-8, reduction)
case("smooth_l1_loss", f(3, 4), TARGET, 1, 0.5)
case("huber_loss", f(3, 4), TARGET, 1, 2.0)
case("binary_cross_entropy_with_logits", f(3, 4), f(3, 4, lo=0, hi=1), w(f(4, lo=0.5, hi=2)), w(f(4, lo=0.5, hi=2)), 1)
case("binary_cross_entropy", f(3, 4, lo=0.05, hi=0.95), f(3, 4, lo=0, hi=1), f(4, lo=0.5, hi=2), 1)
case("nll_loss", f(3, 4), LABELS)
case("nll_loss_nd", f(4), v(2))
case("nll_loss_nd", f(2, 3, 2, 2), i(2, 2, 2, lo=0, hi=3))
case("nll_loss2d_forward", f(2, 3, 2, 2), i(2, 2, 2, lo=0, hi=3), None, 1, -100)
case("nll_loss2d", f(2, 3, 2, 2), i(2, 2, 2, lo=0, hi=3))
case("cross_entropy_loss", f(3, 4), LABELS, None, 1, -100, 0.1)
case("cross_entropy_loss", f(3, 4), LABELS, w(f(4, lo=0.2, hi=2)), 1, -100, 0.1)
case("cross_entropy_loss", f(3, 4), f(3, 4, lo=0, hi=1))
case("cross_entropy_loss", f(2, 3, 4), i(2, 4, lo=0, hi=3))

@programs(f(4, 2, 5), f(1, 2, 3), f(1, 2, 3), f(12, 5, lo=-1, hi=1), f(12, 3, lo=-1, hi=1), f(12), f(12))
def lstm_with_weights_as_inputs(x, h, c, w_ih, w_hh, b_ih, b_hh):
    return torch.ops.aten.lstm.input(x, [h, c], [w_ih, w_hh, b_ih, b_hh], True, 1, 0.0, False, False, False)


group("quant")

PAIR = "quantized_decomposed::{}_per_tensor"
CODES = i(3, 4, lo=-90, hi=90, dtype=torch.int8)
case(PAIR.format("quantize"), f(3, 4), 0.05, 3, -128, 127, torch.int8)
case(PAIR.format("quantize"), f(3, 4), 0.02, 128, 0, 255, torch.uint8)
case(PAIR.format("dequantize"), CODES, 0.05, 3, -128, 127, torch.int8)
for overload in ("tensor", "tensor2"):
    limits = (-128, 127) if overload == "tensor" else (w(v(-128)), w(v(127)))
    case(PAIR.format("quantize") + "." + overload, f(3, 4), w(v(0.05)), w(v(3)), *limits, torch.int8)
    case(PAIR.format("dequantize") + "." + overload, CODES, w(v(0.05)), w(v(3)), *limits, torch.int8)
case("quantized_decomposed::quantize_per_channel", f(3, 4), w(v([0.1, 0.05, 0.02])), w(v([0, 3, -4])), 0, -128, 127, torch.int8)
case("quantized_decomposed::dequantize_per_channel", CODES, w(v([0.1, 0.05, 0.02])), w(v([0, 3, -4])), 0, -128, 127, torch.int8)
case("quantized_decomposed::choose_qparams.tensor", f(3, 4), -128, 127, 1e-6, torch.int8)
case("fake_quantize_per_tensor_affine", f(3, 4), 0.1, 3, -128, 127)
case("fake_quantize_per_tensor_affine", f(3, 4), 0.02, 128, 0, 255)
case("fake_quantize_per_tensor_affine.tensor_qparams", f(3, 4), w(v([0.1])), w(v([3], torch.int32)), -128, 127)
case("fake_quantize_per_channel_affine", f(3, 4), w(v([0.1, 0.05, 0.02])), w(v([0, 3, -4], torch.int32)), 0, -128, 127)
case("fake_quantize_per_channel_affine", f(3, 4), w(v([0.1, 0.05, 0.02, 0.04])), w(v([0, 0, 0, 0], torch.int32)), 1, -127, 127)
