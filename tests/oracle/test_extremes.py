"""Elementwise ops where formulas and shortcuts go wrong first: huge numbers, infinities, attributes that ask for
nothing. The source run by tolite, the file run by tolite and the file in the runtime, against onnxruntime."""
import numpy as np
import pytest

import builders as b
import support

FLOAT, BOOL, INT16, UINT8 = b.FLOAT, b.BOOL, b.TensorProto.INT16, b.TensorProto.UINT8
INF = np.inf


def f32(*numbers):
    return np.array(numbers, np.float32)


CASES = {
    # squares of 1e20 are beyond the range of floats, the results are not
    "asinh": ([b.node("Asinh", "x", "y")], f32(1e20, -1e20, 1e10, 1e9, 3, 1e-3, 0, INF, -INF), FLOAT),
    "acosh": ([b.node("Acosh", "x", "y")], f32(1e20, 1e10, 1e9, 3, 1, INF, 0.5), FLOAT),
    # eˣ overflows before its half does
    "sinh": ([b.node("Sinh", "x", "y")], f32(89.2, -89.2, 88.8, 10, 1, 0.99, 1e-3, 1e-20, 0, 90, -90, INF, -INF), FLOAT),
    "cosh": ([b.node("Cosh", "x", "y")], f32(89.2, -89.2, 88.8, 10, 1, 1e-3, 0, 90, -90, INF, -INF), FLOAT),
    # seconds since 1970 lose what matters in f32
    "time stamps": ([b.node("Constant", "", "k", value=b.tensor("k", np.array([1.7e9, 1.8e9]))), b.node("Sub", "x k", "d"),
                     b.node("Mul", "d d", "q"), b.node("Transpose", "q", "t"), b.node("Cast", "t", "y", to=FLOAT)],
                    np.array([[1.7e9 + 0.125, 1.8e9 - 3.5], [1.7e9 - 2**-18, 1.8e9]]), FLOAT),
    # one value per element, although none depends on it
    "no infinity": ([b.node("IsInf", "x", "y", detect_positive=0, detect_negative=0)], f32(1, INF, -INF), BOOL),
}


def check(tmp_path, nodes, x, dtype, expected=None, initializers=(), options=(), opset=17):
    proto = b.model(nodes, [b.value("x", x.shape, b.helper.np_dtype_to_tensor_dtype(x.dtype))],
                    [b.value("y", x.shape, dtype)], initializers, opset)
    path, out = b.save(proto, tmp_path / "m.onnx"), tmp_path / "m.tflite"
    np.savez(tmp_path / "x.npz", x=x)
    expected = b.reference(proto, {"x": x}) if expected is None else expected
    support.tolite("convert", path, "-o", out, *options)
    for model in (path, out):
        support.tolite("run", model, "--in", tmp_path / "x.npz", "--out", tmp_path / "y.npz")
        support.assert_agree(list(support.load(tmp_path / "y.npz").values()), expected, model.name)
    support.assert_agree(support.LiteRT(out)([x]), expected, "runtime")


@pytest.mark.parametrize("name", CASES)
def test_extremes(name, tmp_path):
    nodes, x, dtype = CASES[name]
    check(tmp_path, nodes, x, dtype)


def test_half_a_power_is_no_root_when_exact(tmp_path):
    """-∞ to the power ½ is ∞, but has no root."""
    check(tmp_path, [b.node("Pow", "x k", "y")], f32(-INF, 0, 4, INF), FLOAT, initializers={"k": np.float32(0.5)},
          options=["--exact"])


def test_a_cast_by_way_of_floats_saturates(tmp_path):
    """ONNX leaves numbers outside the range open; ours are those of the nearest, in the file as in the source."""
    nodes = [b.node("Cast", "x", "h", to=FLOAT), b.node("Cast", "h", "y", to=UINT8)]
    x = np.array([-1, 300, -300, 5], np.int16)
    check(tmp_path, nodes, x, UINT8, [np.array([0, 255, 0, 5], np.uint8)])


def test_one_hot_of_what_is_no_index(tmp_path):
    """Only -depth .. depth - 1 are indices; anything else makes no element hot."""
    x = np.array([0, 2, 3, -1, -3, -4, 7, -100, 1000], np.int64)
    proto = b.model([b.node("OneHot", "x depth values", "y", axis=-1)], [b.value("x", x.shape, b.TensorProto.INT64)],
                    [b.value("y", (9, 3), FLOAT)], {"depth": np.array(3, np.int64), "values": f32(-1, 5)})
    path, out = b.save(proto, tmp_path / "m.onnx"), tmp_path / "m.tflite"
    expected = b.reference(proto, {"x": x})
    support.tolite("convert", path, "-o", out)
    np.savez(tmp_path / "x.npz", x=x)
    for model in (path, out):
        support.tolite("run", model, "--in", tmp_path / "x.npz", "--out", tmp_path / "y.npz")
        support.assert_agree(list(support.load(tmp_path / "y.npz").values()), expected, model.name)
    support.assert_agree(support.LiteRT(out)([x]), expected, "runtime")


def test_small_atanh(tmp_path):
    """(1 + x) / (1 - x) rounds to 1 for small x: every digit counts here, not those of the largest alone."""
    x = f32(1e-6, -1e-7, 1e-4, 0.1, 0.19999, 0.2, 0.21, 0.5, -0.999, 1e-30)
    proto = b.model([b.node("Atanh", "x", "y")], [b.value("x", x.shape)], [b.value("y", x.shape)])
    path, out = b.save(proto, tmp_path / "m.onnx"), tmp_path / "m.tflite"
    support.tolite("convert", path, "-o", out)
    np.testing.assert_allclose(support.LiteRT(out)([x])[0], np.arctanh(x.astype(np.float64)), rtol=1e-6)


@pytest.mark.parametrize("op", ["Atan", "Asin"])
def test_angles_of_open_sizes(op, tmp_path):
    """ATAN2 wants operands of one shape, of which nothing is known before it runs."""
    nodes = [b.node("AveragePool", "x", "p", kernel_shape=[2, 1], strides=[2, 1]), b.node(op, "p", "y")]
    proto = b.model(nodes, [b.value("x", ["n", 3, "h", 4])], [b.value("y", None)])
    path, out = b.save(proto, tmp_path / "m.onnx"), tmp_path / "m.tflite"
    support.tolite("convert", path, "-o", out)
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3, 7, 4)).astype(np.float32)
    support.assert_agree(support.LiteRT(out)([x]), b.reference(proto, {"x": x}), "runtime")


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.uint32, np.int32])
@pytest.mark.parametrize("op, expected", [("And", np.bitwise_and), ("Or", np.bitwise_or), ("Xor", np.bitwise_xor)])
def test_bits_to_the_highest(tmp_path, op, expected, dtype):
    """64 bits, which the runtime has only as pairs of words; all pairs, and a mask."""
    info = np.iinfo(dtype)
    x = np.array([info.min, info.max, info.min + 1, info.max - 1, info.max // 3, info.max // 5 * 4, 0, 1, 255], dtype)
    x, y = np.repeat(x, 9), np.tile(x, 9)
    nodes, kind = [b.node("Bitwise" + op, "x c", "y")], b.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    for constant in y, np.array([255], dtype):
        check(tmp_path, nodes, x, kind, [expected(x, constant)], {"c": constant}, ["--exact"], 18)
