"""The interface of the file is the source's: count, order, names, types, shapes, layout."""
import numpy as np
import onnx
import pytest

import builders as b
import support


def convert(proto, tmp_path, *options):
    source, out = tmp_path / "model.onnx", tmp_path / "model.tflite"
    b.save(proto, source)
    support.tolite("convert", source, "-o", out, *options)
    return source, out


def check(proto, inputs, tmp_path, *options):
    """Both kernel sets and our executor against onnxruntime, names and order included."""
    source, out = convert(proto, tmp_path, *options)
    expected = b.reference(proto, inputs)
    names_in, names_out = support.litert_names(out)
    assert names_in == [i.name for i in proto.graph.input if i.name in inputs]
    assert names_out == [o.name for o in proto.graph.output]
    arrays = [inputs[name] for name in names_in]
    for delegate in (True, False):
        runner = support.LiteRT(out, delegate)
        for _ in range(2):
            support.assert_agree(runner(arrays), expected, f"LiteRT, delegate {delegate}")
    np.savez(tmp_path / "in.npz", **inputs)
    for model in (source, out):
        support.tolite("run", model, "--in", tmp_path / "in.npz", "--out", tmp_path / "out.npz")
        result = support.load(tmp_path / "out.npz")
        assert list(result) == names_out
        support.assert_agree(list(result.values()), expected, model.name)
    return out


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_inputs_and_outputs_of_one_shape_keep_their_order(tmp_path):
    names = ["zeta", "alpha", "mid"]
    nodes = [b.node("Sub", "zeta alpha", "third"), b.node("Sub", "alpha mid", "first"), b.node("Sub", "mid zeta", "second")]
    proto = b.model(nodes, [b.value(n, [2, 3]) for n in names], [b.value(n, [2, 3]) for n in ("second", "third", "first")])
    check(proto, {n: normal(2, 3, seed=i) for i, n in enumerate(names)}, tmp_path)


def test_an_output_may_be_an_input_a_constant_or_another_output(tmp_path):
    nodes = [b.node("Relu", "x", "y"), b.node("Identity", "x", "same"), b.node("Identity", "y", "again")]
    proto = b.model(nodes, [b.value("x", [2, 3])], [b.value(n, [2, 3]) for n in ("y", "same", "again", "k")], {"k": normal(2, 3)})
    proto.graph.node.insert(0, b.node("Identity", "k0", "k"))
    proto.graph.initializer[0].name = "k0"
    check(proto, {"x": normal(2, 3, seed=3)}, tmp_path)


def test_integer_and_bool_types_stay(tmp_path):
    nodes = [b.node("Gather", "table ids", "rows"), b.node("Greater", "rows zero", "positive"),
             b.node("Add", "ids one", "next")]
    proto = b.model(nodes, [b.value("ids", [4], b.INT64)],
                    [b.value("rows", [4, 5]), b.value("positive", [4, 5], b.BOOL), b.value("next", [4], b.INT64)],
                    {"table": normal(7, 5), "zero": np.float32(0), "one": np.int64(1)})
    check(proto, {"ids": np.array([3, 0, 6, 1])}, tmp_path)


def test_channels_first_images_stay_channels_first_unless_asked(tmp_path):
    proto = b.cnn()
    out = check(proto, {"x": normal(1, 3, 32, 32)}, tmp_path)
    assert list(support.LiteRT(out).inputs[0]["shape"]) == [1, 3, 32, 32]
    _, out = convert(proto, tmp_path, "--nhwc")
    runner = support.LiteRT(out)
    assert list(runner.inputs[0]["shape"]) == [1, 32, 32, 3]
    x = normal(1, 3, 32, 32)
    expected = b.reference(proto, {"x": x})
    support.assert_agree(runner([np.ascontiguousarray(x.transpose(0, 2, 3, 1))]), expected, "channels last")


def test_initialisers_that_are_listed_as_inputs_are_constants(tmp_path):
    proto = b.model([b.node("Mul", "x w", "y")], [b.value("x", [2, 3]), b.value("w", [3])], [b.value("y", [2, 3])], {"w": normal(3)})
    _, out = convert(proto, tmp_path)
    assert support.litert_names(out)[0] == ["x"]
    _, out = convert(proto, tmp_path, "--input", "w=f32:3")
    assert support.litert_names(out)[0] == ["x", "w"]


def test_an_unused_input_stays(tmp_path):
    proto = b.model([b.node("Relu", "x", "y")], [b.value("x", [2]), b.value("spare", [4])], [b.value("y", [2])])
    check(proto, {"x": normal(2), "spare": normal(4)}, tmp_path)


def test_names_with_odd_characters(tmp_path):
    proto = b.model([b.node("Relu", "x:0", "out/päth:0")], [b.value("x:0", [2])], [b.value("out/päth:0", [2])])
    check(proto, {"x:0": normal(2)}, tmp_path)


@pytest.mark.parametrize("option,shape", [("x=f32:4,3", (4, 3)), ("x=4,3", (4, 3)), ("x=n=1..9,3", (5, 3))])
def test_input_option_pins_and_opens(tmp_path, option, shape):
    proto = b.model([b.node("Relu", "x", "y")], [b.value("x", ["batch", 3])], [b.value("y", ["batch", 3])])
    _, out = convert(proto, tmp_path, "--input", option)
    x = normal(*shape)
    support.assert_agree(support.LiteRT(out)([x]), [np.maximum(x, 0)], option)


def test_sizes_that_must_agree_and_may_not_are_named(tmp_path):
    proto = b.model([b.node("Concat", "x y", "z", axis=1)], [b.value("x", ["n", 2]), b.value("y", ["m", 3])],
                    [b.value("z", None)])
    source = b.save(proto, tmp_path / "m.onnx")
    assert "assumes that" in support.tolite("convert", source).stderr
    assert support.tolite("convert", source, "--input", "x=n,2", "--input", "y=n,3").stderr == ""


def test_four_bits_are_a_byte_each_in_npz(tmp_path):
    i4, i8 = onnx.TensorProto.INT4, onnx.TensorProto.INT8
    model = b.model([b.node("Cast", "x", "y", to=i8), b.node("Identity", "x", "z")], [b.value("x", [3], i4)],
                    [b.value("y", [3], i8), b.value("z", [3], i4)], opset=21)
    b.save(model, tmp_path / "m.onnx")
    x = np.array([-8, 7, 3], np.int8)
    np.savez(tmp_path / "in.npz", x=x)
    support.tolite("run", tmp_path / "m.onnx", "--in", tmp_path / "in.npz", "--out", tmp_path / "out.npz")
    out = support.load(tmp_path / "out.npz")
    assert (out["y"] == x).all() and (out["z"] == x).all() and out["z"].dtype == np.int8
    np.savez(tmp_path / "in.npz", x=x + np.int8(1))
    done = support.tolite("run", tmp_path / "m.onnx", "--in", tmp_path / "in.npz", status=None)
    assert "array x: 8, expected i4, from -8 to 7" in done.stderr, done.stderr
