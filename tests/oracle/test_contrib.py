"""Operators of com.microsoft and ai.onnx.ml, one to a model: the source and the file in our executor, the file in LiteRT with and
without its delegate, against onnxruntime."""
import numpy as np
import pytest

import builders as b
import support

RNG = np.random.default_rng(5)
I32, U8, I8 = np.int32, np.uint8, np.int8


def f(*shape, scale=1.0):
    return RNG.normal(0, scale, shape).astype(np.float32)


def mask(*rows):
    return np.array(rows, I32)


def angles(n, half):
    table = np.arange(n)[:, None] / 100.0 ** (np.arange(half)[None] / half)
    return np.cos(table).astype(np.float32), np.sin(table).astype(np.float32)


def u8(*shape):
    return RNG.integers(0, 256, shape).astype(U8)


def i8(*shape):
    return RNG.integers(-128, 128, shape).astype(I8)


def q(scale, zero, dtype=U8):
    return np.float32(scale), np.array(zero, dtype)


class Case:
    """inputs: arrays in order, None for one that is left out; those at `open` are fed, the others constant."""

    def __init__(self, op, *inputs, outputs=1, open=(0,), domain="com.microsoft", step=None, rule=None, version=3, **attributes):
        self.op, self.inputs, self.n_out, self.open = op, inputs, outputs, open
        self.domain, self.step, self.rule, self.attributes = domain, step, rule or {}, attributes
        self.version = version  # of ai.onnx.ml

    def model(self):
        names = [f"x{i}" if x is not None else "" for i, x in enumerate(self.inputs)]
        outs = [f"y{i}" for i in range(self.n_out)] if isinstance(self.n_out, int) else self.n_out
        node = b.helper.make_node(self.op, names, outs, domain=self.domain, **self.attributes)
        feeds = {names[i]: self.inputs[i] for i in self.open}
        kind = b.helper.np_dtype_to_tensor_dtype
        graph = b.helper.make_graph(
            [node], "g", [b.value(n, x.shape, kind(x.dtype)) for n, x in feeds.items()],
            [b.helper.make_empty_tensor_value_info(o) for o in outs if o],
            [b.tensor(n, x) for i, (n, x) in enumerate(zip(names, self.inputs)) if x is not None and i not in self.open])
        opsets = [b.helper.make_opsetid("", 17), b.helper.make_opsetid("com.microsoft", 1),
                  b.helper.make_opsetid("ai.onnx.ml", self.version)]
        return b.helper.make_model(graph, opset_imports=opsets, ir_version=9), feeds


X = f(2, 5, 8)
COS, SIN = angles(16, 4)
QKV = [f(2, 5, 8) for _ in range(3)]
EMBED = [np.array([[1, 3, 2], [0, 4, 4]], I32), np.array([[0, 1, 1], [0, 0, 1]], I32), f(6, 8), f(4, 8), f(2, 8), f(8), f(8)]

CASES = {
    "gelu": Case("Gelu", X),
    "bias_gelu": Case("BiasGelu", X, f(8)),
    "fast_gelu": Case("FastGelu", X),
    "fast_gelu_bias": Case("FastGelu", X, f(8)),
    "quick_gelu": Case("QuickGelu", X, alpha=1.5),
    "quick_gelu_default": Case("QuickGelu", X),
    **{f"conv_{a.lower()}": Case("FusedConv", f(1, 4, 6, 6), f(6, 4, 3, 3), f(6), activation=a, pads=[1, 1, 1, 1],
                                 **({"activation_params": p} if p else {}))
       for a, p in [("Relu", []), ("Tanh", []), ("Sigmoid", []), ("LeakyRelu", [0.2]), ("Clip", [-0.5, 1.0]),
                    ("HardSigmoid", [0.3, 0.4])]},
    "conv_sum": Case("FusedConv", f(1, 4, 6, 6), f(6, 4, 1, 1), f(6), f(1, 6, 6, 6), activation="Relu", open=(0, 3)),
    "conv_sum_alone": Case("FusedConv", f(1, 4, 6, 6), f(6, 4, 1, 1), None, f(1, 6, 6, 6), open=(0, 3)),
    "matmul_a": Case("FusedMatMul", f(2, 8, 5), f(2, 8, 3), transA=1, alpha=0.5, open=(0, 1)),
    "matmul_b": Case("FusedMatMul", f(2, 5, 8), f(3, 8), transB=1),
    "matmul_batch": Case("FusedMatMul", f(5, 2, 8), f(8, 2, 3), transBatchA=1, transBatchB=1, open=(0, 1)),
    "matmul_batch_and_b": Case("FusedMatMul", f(5, 2, 8), f(8, 2, 5), transBatchA=1, transA=1, transBatchB=1, transB=1,
                               open=(0, 1)),
    "transpose_matmul": Case("TransposeMatMul", f(2, 8, 5), f(2, 8, 3), transA=1, alpha=0.5, open=(0, 1)),
    "gemm": Case("FusedGemm", f(4, 5), f(6, 5), f(6), transB=1, alpha=0.5, beta=2.0, activation="LeakyRelu",
                 activation_alpha=0.1),
    "skip_layer_norm": Case("SkipLayerNormalization", X, f(2, 5, 8), f(8), f(8), f(8), outputs=["y", "", "", "s"],
                            epsilon=1e-5, open=(0, 1)),
    "skip_layer_norm_plain": Case("SkipLayerNormalization", X, f(2, 5, 8), f(8), open=(0, 1)),
    "skip_rms_norm": Case("SkipSimplifiedLayerNormalization", X, f(2, 5, 8), f(8), outputs=["y", "", "", "s"],
                          epsilon=1e-6, open=(0, 1)),
    "rms_norm": Case("SimplifiedLayerNormalization", X, f(8), axis=-1, epsilon=1e-6, domain=""),
    "embed": Case("EmbedLayerNormalization", *EMBED, np.array([[1, 1, 0], [1, 1, 1]], I32), outputs=["y", "m"],
                  epsilon=1e-5, open=(0, 1, 7)),
    "embed_positions": Case("EmbedLayerNormalization", EMBED[0], None, *EMBED[2:4], None, *EMBED[5:], None,
                            np.array([[2, 1, 0], [3, 0, 1]], I32), outputs=["y", "m"], open=(0, 8)),
    "attention": Case("Attention", X, f(8, 24, scale=0.4), f(24), num_heads=2),
    "attention_mask": Case("Attention", X, f(8, 24), f(24), mask([1, 1, 1, 0, 0], [1, 1, 1, 1, 1]), num_heads=2, open=(0, 3)),
    "attention_lengths": Case("Attention", X, f(8, 24), f(24), np.array([3, 5], I32), num_heads=2, open=(0, 3)),
    "attention_past": Case("Attention", X, f(8, 24), f(24), None, f(2, 2, 2, 3, 4), num_heads=2, unidirectional=1,
                           outputs=2, open=(0, 4)),
    "attention_sizes": Case("Attention", X, f(8, 28), f(28), None, None, f(2, 2, 5, 5), num_heads=2, scale=0.3,
                            qkv_hidden_sizes=[8, 8, 12], open=(0, 5)),
    "heads": Case("MultiHeadAttention", *QKV, num_heads=2, open=(0, 1, 2)),
    "heads_bias": Case("MultiHeadAttention", *QKV, f(24), mask([1, 1, 0, 1, 1], [1, 1, 1, 1, 0]), f(1, 2, 5, 5),
                       num_heads=2, open=(0, 1, 2, 4, 5)),
    "heads_cross": Case("MultiHeadAttention", X, f(2, 2, 7, 4), f(2, 2, 7, 4), num_heads=2, open=(0, 1, 2)),
    "heads_past": Case("MultiHeadAttention", *QKV, None, None, None, f(2, 2, 3, 4), f(2, 2, 3, 4), num_heads=2,
                       unidirectional=1, outputs=3, open=(0, 1, 2, 6, 7)),
    "group_query": Case("GroupQueryAttention", f(2, 5, 64), f(2, 5, 32), f(2, 5, 32), None, None, np.array([4, 4], I32),
                        np.array(5, I32), num_heads=4, kv_num_heads=2, outputs=3, open=(0, 1, 2, 5)),
    "group_query_packed": Case("GroupQueryAttention", f(2, 5, 128), None, None, None, None, np.array([4, 4], I32),
                               np.array(5, I32), *angles(16, 8), num_heads=4, kv_num_heads=2, do_rotary=1, outputs=3, open=(0, 5)),
    **{f"group_query_past_{n}": Case("GroupQueryAttention", f(2, s, 64), f(2, s, 32), f(2, s, 32), f(2, 2, p, 16), f(2, 2, p, 16),
                                     np.array(last, I32), np.array(max(last) + 1, I32), *(angles(16, 8) if turned else ()),
                                     num_heads=4, kv_num_heads=2, do_rotary=turned, outputs=3, open=(0, 1, 2, 3, 4, 5, 6))
       for n, s, p, last, turned in [("one", 1, 4, [4, 4], 0), ("uneven", 1, 6, [3, 5], 1), ("buffer", 1, 9, [4, 8], 1)]},
    "group_query_past_more": Case("GroupQueryAttention", f(1, 3, 64), f(1, 3, 32), f(1, 3, 32), f(1, 2, 4, 16), f(1, 2, 4, 16),
                                  np.array([6], I32), np.array(7, I32), *angles(16, 8), num_heads=4, kv_num_heads=2, do_rotary=1,
                                  outputs=3, open=(0, 1, 2, 3, 4, 5)),
    "q_attention": Case("QAttention", u8(2, 5, 8), i8(8, 24), f(24), np.float32(0.02), np.float32(0.01), None, np.array(120, U8),
                        np.array(3, I8), num_heads=2),
    "q_attention_columns": Case("QAttention", u8(2, 5, 8), i8(8, 24), f(24), np.float32(0.02), f(24) ** 2 * 0.01, np.array([3, 5], I32),
                                np.array(120, U8), np.zeros(24, I8), num_heads=2, unidirectional=1, open=(0, 5)),
    "q_leaky_relu": Case("QLinearLeakyRelu", u8(2, 9), *q(0.05, 100), *q(0.04, 90), alpha=0.2, step=1),
    "q_sigmoid": Case("QLinearSigmoid", u8(2, 9), *q(0.05, 100), *q(1 / 256, 0), step=1),
    "q_sigmoid_signed": Case("QLinearSigmoid", i8(2, 9), *q(0.05, 10, I8), *q(1 / 256, -128, I8), step=1),
    "q_softmax": Case("QLinearSoftmax", u8(2, 3, 9), *q(0.05, 100), *q(1 / 256, 0), axis=-1, opset=13, step=1),
    "q_softmax_flat": Case("QLinearSoftmax", u8(2, 3, 3), *q(0.05, 100), *q(1 / 256, 0), axis=1, opset=12, step=1),
    "q_concat": Case("QLinearConcat", *q(0.06, 110), u8(2, 3), *q(0.05, 100), u8(2, 4), *q(0.04, 90), axis=1, step=1, open=(2, 5)),
    "q_where": Case("QLinearWhere", np.array([[True], [False]]), u8(2, 3), *q(0.05, 100), u8(3), *q(0.04, 90), *q(0.06, 110),
                    step=1, open=(0, 1)),
    "q_average_pool": Case("QLinearAveragePool", u8(1, 3, 6, 6), *q(0.05, 100), *q(0.04, 90), kernel_shape=[3, 3],
                           strides=[2, 2], pads=[1, 1, 1, 1], step=1),
    "q_average_pool_last": Case("QLinearAveragePool", u8(1, 6, 6, 3), *q(0.05, 100), *q(0.05, 100), kernel_shape=[2, 2],
                                strides=[2, 2], channels_last=1, step=1),
    "nhwc_max_pool": Case("NhwcMaxPool", u8(1, 6, 6, 3), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0], step=0),
    "dynamic_matmul": Case("DynamicQuantizeMatMul", f(2, 4, 8), i8(8, 5), np.float32([0.02]), np.array([3], I8), f(5)),
    "dynamic_matmul_columns": Case("DynamicQuantizeMatMul", f(4, 8), u8(8, 5), f(5) ** 2, u8(5)),
    # the source rounds x and every h to 8 bits, ours does not
    **{f"dynamic_lstm_{d}": Case("DynamicQuantizeLSTM", f(7, 2, 6), i8(n, 6, 16), i8(n, 4, 16), f(n, 32, scale=0.3), None,
                                 f(n, 2, 4, scale=0.3), f(n, 2, 4, scale=0.3), None, np.full(n, 0.004, np.float32), i8(n), np.full(n, 0.006, np.float32),
                                 i8(n), outputs=3, hidden_size=4, direction=d, rule={"relative": 0.02, "cosine": 0.999})
       for d, n in (("forward", 1), ("reverse", 1), ("bidirectional", 2))},
    "integer_to_float": Case("MatMulIntegerToFloat", u8(2, 4, 8), i8(8, 5), np.float32(0.02), f(5) ** 2, np.array(7, U8), i8(5),
                             f(5)),
    "4_bits": Case("MatMulNBits", f(2, 3, 64), u8(5, 2, 16), f(10), K=64, N=5, bits=4, block_size=32),
    "4_bits_zeros": Case("MatMulNBits", f(3, 40), u8(5, 3, 8), f(15), u8(10), K=40, N=5, bits=4, block_size=16),
    "4_bits_bias": Case("MatMulNBits", f(3, 64), u8(5, 2, 16), f(10), u8(5), None, f(5), K=64, N=5, bits=4, block_size=32),
    # onnxruntime forgets the zero points where there are groups, and knows no groups of 8 bits
    "4_bits_groups": Case("MatMulNBits", f(3, 64), u8(5, 2, 16), f(10), None, RNG.permutation(64).astype(I32) // 32, K=64, N=5,
                          bits=4, block_size=32),
    "8_bits": Case("MatMulNBits", f(3, 64), u8(5, 2, 32), f(10, scale=0.1), u8(10), K=64, N=5, bits=8, block_size=32),
    # where an index occurs twice the last update stays, on run-time indices too
    "scatter_nd": Case("ScatterND", f(4, 3), np.array([[1], [-1], [1], [3], [1]]), f(5, 3), domain="", open=(0, 1, 2)),
    "scatter_tuples": Case("ScatterND", f(4, 3, 2), np.array([[[1, 2], [-1, 0], [1, -1]], [[3, 0], [1, 2], [0, 1]]]), f(2, 3, 2),
                           domain="", open=(0, 1, 2)),
    "scatter_numbers": Case("ScatterND", f(4, 3), np.array([[1, 2], [0, 0], [1, -1]]), np.float32([np.inf, 2, -3]), domain="",
                            open=(0, 1, 2)),
    "scatter_elements": Case("ScatterElements", f(3, 5), np.array([[0, 2, -5], [1, 1, 1]]), f(2, 3), domain="", axis=1,
                             open=(0, 1, 2)),
    "rotary": Case("RotaryEmbedding", f(2, 5, 16), np.array([[0, 1, 2, 3, 4], [3, 4, 5, 6, 7]]), COS, SIN, open=(0, 1)),
    "rotary_offset": Case("RotaryEmbedding", f(2, 3, 5, 8), np.array([2]), COS, SIN, interleaved=1, open=(0, 1)),
    "rotary_part": Case("RotaryEmbedding", f(2, 5, 24), np.array([1]), COS, SIN, num_heads=2, rotary_embedding_dim=8,
                        open=(0, 1)),
}


# ---- ai.onnx.ml ----

def trees(kind, n_trees=3, depth=3, targets=2, mode="BRANCH_LEQ", full=False, **more):
    """Attributes of random trees over 4 features; every leaf has weights for one target, or for all (full)."""
    rng = np.random.default_rng(11)
    a = {f"nodes_{k}": [] for k in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids",
                                    "missing_value_tracks_true")}
    w = {f"{kind}_{k}": [] for k in ("treeids", "nodeids", "ids", "weights")}

    def grow(tree, level, counter):
        node = counter[0]
        counter[0] += 1
        leaf = level == depth or (level > 0 and rng.random() < 0.3)
        at = len(a["nodes_treeids"])
        for key, v in (("treeids", tree), ("nodeids", node), ("featureids", int(rng.integers(4))), ("values", float(rng.normal())),
                       ("modes", "LEAF" if leaf else mode), ("truenodeids", 0), ("falsenodeids", 0),
                       ("missing_value_tracks_true", 0 if leaf else int(rng.integers(2)))):
            a[f"nodes_{key}"].append(v)
        if leaf:
            for t in range(targets) if full else [int(rng.integers(targets))]:
                for key, v in (("treeids", tree), ("nodeids", node), ("ids", t), ("weights", float(rng.normal()))):
                    w[f"{kind}_{key}"].append(v)
        else:
            a["nodes_truenodeids"][at] = grow(tree, level + 1, counter)
            a["nodes_falsenodeids"][at] = grow(tree, level + 1, counter)
        return node

    for tree in range(n_trees):
        grow(tree, 0, [0])
    return a | w | more


def ml(op, *inputs, **how):
    return Case(op, *inputs, domain="ai.onnx.ml", **how)


def ensemble(mode=0, targets=2, wide=False, **more):
    """Attributes of two trees over 4 features: one of three inner nodes, one of a single one."""
    split = np.array([0.1, -0.5, 0.4, 0.2], np.float64 if wide else np.float32)
    weight = np.array([5, 3, -2, 1, 0.5, -0.25], split.dtype)
    return {"tree_roots": [0, 3], "n_targets": targets, "nodes_featureids": [0, 2, 1, 3], "nodes_splits": b.tensor("s", split),
            "nodes_modes": b.tensor("m", np.full(4, mode, U8)), "nodes_truenodeids": [1, 0, 2, 4], "nodes_trueleafs": [0, 1, 1, 1],
            "nodes_falsenodeids": [2, 1, 3, 5], "nodes_falseleafs": [0, 1, 1, 1], "leaf_weights": b.tensor("w", weight),
            "leaf_targetids": [i % targets for i in range(6)], **more}


def vectors(kind, n=5, **more):
    return {"kernel_type": kind, "kernel_params": [0.3, 0.5, 3.0], "n_supports": n, "coefficients": [float(v) for v in f(n)],
            "support_vectors": [float(v) for v in f(n * 4)], "rho": [0.25], **more}


ROWS = f(6, 4)
HOLES = np.where(np.abs(ROWS) < 0.5, np.nan, ROWS).astype(np.float32)
CLASSES = {"classlabels_int64s": [5, 3, 9]}
CASES |= {
    "scaler": ml("Scaler", ROWS, offset=[0.1, 0.2, 0.3, 0.4], scale=[1.0, 2.0, 3.0, 4.0]),
    "scaler_one": ml("Scaler", np.array([[1, 2], [3, 4]]), offset=[0.5], scale=[2.0]),
    **{f"normalizer_{n.lower()}": ml("Normalizer", np.concatenate([ROWS, np.zeros((1, 4), np.float32)]), norm=n)
       for n in ("L1", "L2")},
    "normalizer_max": ml("Normalizer", np.abs(ROWS), norm="MAX"),
    "binarizer": ml("Binarizer", ROWS, threshold=0.25),
    "features": ml("ArrayFeatureExtractor", ROWS, np.array([[2, 0, 2]])),
    "imputer": ml("Imputer", HOLES, imputed_value_floats=[1.0, 2.0, 3.0, 4.0], replaced_value_float=float("nan")),
    "imputer_one": ml("Imputer", np.float32([[0, 1], [2, 0]]), imputed_value_floats=[7.0], replaced_value_float=0.0),
    "imputer_int": ml("Imputer", np.array([[0, 1], [2, 0]]), imputed_value_int64s=[7], replaced_value_int64=0),
    "vectorizer": ml("FeatureVectorizer", f(3, 2), f(3, 3), inputdimensions=[2, 3], open=(0, 1)),
    "one_hot": ml("OneHotEncoder", np.array([[3, 5], [4, 3]]), cats_int64s=[5, 3]),
    "labels": ml("LabelEncoder", np.array([[3, 5], [4, 3]]), keys_int64s=[5, 3], values_floats=[0.5, 1.5], default_float=-2.0),
    "labels_of_floats": ml("LabelEncoder", np.float32([3, 5, 4]), keys_floats=[5.0, 3.0], values_int64s=[7, 8]),
    "regressor": ml("LinearRegressor", ROWS, coefficients=[float(v) for v in f(8)], intercepts=[0.5, -0.5], targets=2),
    "classifier": ml("LinearClassifier", ROWS, coefficients=[float(v) for v in f(12)], intercepts=[0.5, -0.5, 0.0],
                     classlabels_ints=[4, 2, 7], post_transform="SOFTMAX", outputs=2),
    **{f"trees_{m.lower()}": ml("TreeEnsembleRegressor", ROWS, **trees("target", mode=m, n_targets=2))
       for m in ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT", "BRANCH_GTE")},
    "trees_nan": ml("TreeEnsembleRegressor", HOLES, **trees("target", full=True, n_targets=2, base_values=[0.5, -1.0])),
    "trees_average": ml("TreeEnsembleRegressor", ROWS, **trees("target", targets=1, n_targets=1, aggregate_function="AVERAGE")),
    "trees_min": ml("TreeEnsembleRegressor", ROWS, **trees("target", full=True, n_targets=2, aggregate_function="MIN")),
    "trees_deep": ml("TreeEnsembleRegressor", f(20, 4), **trees("target", 10, 8, n_targets=2, post_transform="LOGISTIC")),
    **{f"ensemble_{m}": ml("TreeEnsemble", ROWS, version=5, **ensemble(m)) for m in range(4)},
    "ensemble_nan": ml("TreeEnsemble", HOLES, version=5, **ensemble(nodes_missing_value_tracks_true=[1, 0, 1, 1])),
    "ensemble_mean": ml("TreeEnsemble", ROWS, version=5, **ensemble(targets=1, aggregate_function=0)),
    "ensemble_doubles": ml("TreeEnsemble", ROWS.astype(np.float64), version=5, **ensemble(wide=True)),
    **{f"svm_{k.lower()}": ml("SVMRegressor", ROWS, **vectors(k)) for k in ("LINEAR", "POLY", "RBF", "SIGMOID")},
    "svm_one_class": ml("SVMRegressor", ROWS, **vectors("RBF", one_class=1)),
    "svm_no_vectors": ml("SVMRegressor", ROWS, kernel_type="LINEAR", kernel_params=[0.0, 0.0, 0.0], coefficients=[0.5, 1.0, -2.0, 0.25], rho=[0.5]),
    "tree_classes": ml("TreeEnsembleClassifier", ROWS, outputs=2, **trees("class", targets=3, full=True, **CLASSES)),
    "tree_classes_softmax": ml("TreeEnsembleClassifier", ROWS, outputs=2,
                               **trees("class", targets=3, full=True, post_transform="SOFTMAX", **CLASSES)),
}
for post, sign in [("NONE", 1), ("NONE", -1), ("LOGISTIC", 1), ("LOGISTIC", -1)]:
    binary = trees("class", targets=1, full=True, post_transform=post, classlabels_int64s=[5, 3])
    if sign > 0:
        binary["class_weights"] = [abs(w) / 5 for w in binary["class_weights"]]
    CASES[f"tree_binary_{post.lower()}_{sign}"] = ml("TreeEnsembleClassifier", ROWS, outputs=2, **binary)


@pytest.mark.parametrize("name", CASES)
def test_one_operator(name, tmp_path):
    case = CASES[name]
    proto, feeds = case.model()
    expected = b.reference(proto, feeds)
    path, out = b.save(proto, tmp_path / "m.onnx"), tmp_path / "m.tflite"
    np.savez(tmp_path / "in.npz", **feeds)
    support.tolite("convert", path, "-o", out)
    results = {}
    for model in (path, out):
        support.tolite("run", model, "--in", tmp_path / "in.npz", "--out", tmp_path / "out.npz")
        results[model.name] = list(support.load(tmp_path / "out.npz").values())
    for delegate in (True, False):
        results[f"LiteRT, delegate {delegate}"] = support.LiteRT(out, delegate)(list(feeds.values()))
    for what, found in results.items():
        if case.step is None:
            support.assert_agree(found, expected, what, **case.rule)
            continue
        for one, other in zip(found, expected):  # integers: steps
            assert one.shape == other.shape and one.dtype == other.dtype, what
            assert np.abs(one.astype(float) - other.astype(float)).max() <= case.step, what


def test_maps_become_columns(tmp_path):
    """ZipMap behind a classifier: what onnxruntime gives as a dictionary per row."""
    linear = b.helper.make_node("LinearClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", post_transform="SOFTMAX",
                                coefficients=[float(v) for v in f(12)], intercepts=[0.5, -0.5, 0.0], classlabels_ints=[4, 2, 7])
    zip_map = b.helper.make_node("ZipMap", ["scores"], ["z"], domain="ai.onnx.ml", classlabels_int64s=[4, 2, 7])
    kind = b.helper.make_sequence_type_proto(b.helper.make_map_type_proto(
        b.TensorProto.INT64, b.helper.make_tensor_type_proto(b.FLOAT, [])))
    proto = b.model([linear, zip_map], [b.value("x", ROWS.shape)],
                    [b.value("label", [6], b.INT64), b.helper.make_value_info("z", kind)], domains=["ai.onnx.ml"])
    label, maps = b.reference(proto, {"x": ROWS})
    expected = [label, np.float32([[row[k] for k in (4, 2, 7)] for row in maps])]
    path, out = b.save(proto, tmp_path / "m.onnx"), tmp_path / "m.tflite"
    assert "one column to a label" in support.tolite("convert", path, "-o", out).stderr
    support.assert_agree(support.LiteRT(out)([ROWS]), expected, "LiteRT")


def test_an_attribute_of_two_meanings_is_refused(tmp_path):
    proto, _ = ml("TreeEnsemble", ROWS, version=5, **ensemble(post_transform=1)).model()
    path = b.save(proto, tmp_path / "m.onnx")
    said = support.tolite("convert", path, "-o", tmp_path / "m.tflite", status=4).stderr
    assert "post_transform, value 1" in said and "onnxruntime" in said
