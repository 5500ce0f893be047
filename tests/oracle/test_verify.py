"""--verify and --golden: the file that was written, read back, against the source and against records."""
import json

import numpy as np
import pytest

import builders as b
import support


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture
def model(tmp_path):
    """Two outputs, an open batch; its path, an input and what onnxruntime makes of it."""
    nodes = [b.node("MatMul", "x w", "h"), b.node("Softmax", "h", "p", axis=-1), b.node("Relu", "h", "r")]
    proto = b.model(nodes, [b.value("x", ["n", 4])], [b.value("p", ["n", 3]), b.value("r", ["n", 3])], {"w": normal(4, 3)})
    x = normal(5, 4, seed=1)
    return b.save(proto, tmp_path / "model.onnx"), x, b.reference(proto, {"x": x})


def convert(path, tmp_path, *options, status=0):
    done = support.tolite("convert", path, "-o", tmp_path / "model.tflite", "--json", *options, status=status)
    return json.loads(done.stdout)


def records(tmp_path, **arrays):
    np.savez(tmp_path / "io.npz", **arrays)
    return tmp_path / "io.npz"


def test_open_sizes_are_verified_at_typical_least_and_greatest(tmp_path, model):
    report = convert(model[0], tmp_path, "--verify=3", "--input", "x=f32:n=1..7,4")
    assert report["agree"]
    assert [r["sample"] for r in report["verify"]] == [s for s in ("typical sizes", "smallest sizes", "largest sizes") for _ in "pr"]
    sizes = {r["sample"]: r["n"] for r in report["verify"]}
    assert sizes["smallest sizes"] == 3 and sizes["largest sizes"] > sizes["smallest sizes"]


@pytest.mark.parametrize("names", ["{}", "out_{}_{}", "output_{}"])
def test_recorded_outputs_are_found_by_name_or_position(tmp_path, model, names):
    path, x, (p, r) = model
    keys = {"{}": ("p", "r"), "out_{}_{}": ("out_0_p", "out_1_r"), "output_{}": ("output_0", "output_1")}[names]
    report = convert(path, tmp_path, "--golden", records(tmp_path, x=x, **dict(zip(keys, (p, r)))))
    assert report["agree"] and [g["output"] for g in report["golden"]] == ["p", "r"] and report["unrecorded"] == []
    assert report["rule"].startswith("max|a-b| <= 1e-4")


def test_wrong_records_are_told_and_the_file_stays(tmp_path, model):
    path, x, (p, r) = model
    io = records(tmp_path, in_x=x, out_1_r=r + np.float32(0.01))
    done = support.tolite("convert", path, "-o", tmp_path / "model.tflite", "--golden", io, status=1)
    assert "DIFFERS from recorded outputs: output r, sample recorded: max|a-b| 0.01" in done.stdout
    assert "the rule: max|a-b| <= 1e-4 max(1, max|b|) and cosine >= 0.99999; integers equal" in done.stdout
    assert "output p: nothing recorded" in done.stdout
    assert (tmp_path / "model.tflite").exists()
    report = convert(path, tmp_path, "--golden", io, "--atol", "0.02")
    assert report["agree"] and report["rule"].startswith("|a-b| <= 0.02") and report["unrecorded"] == ["p"]


def test_records_that_do_not_fit(tmp_path, model):
    path, x, (p, _) = model
    done = support.tolite("convert", path, "-o", tmp_path / "m.tflite", "--golden", records(tmp_path, x=x), status=2)
    assert "no recorded outputs, expected arrays named like the model's outputs" in done.stderr
    done = support.tolite("convert", path, "-o", tmp_path / "m.tflite", "--golden", records(tmp_path, p=p), status=2)
    assert "no value for input x" in done.stderr
    report = convert(path, tmp_path, "--golden", records(tmp_path, x=x, p=p[:4]), status=1)
    assert report["golden"][0]["why"] == "shapes differ"
    assert not (tmp_path / "m.tflite").exists()


def test_channels_last_files_are_verified_with_the_records_of_the_source(tmp_path):
    """An image whose height, width and channels agree, beside another input of the same shape that is no image."""
    nodes = [b.node("Conv", "x w", "c", pads=[1, 1, 1, 1]), b.node("MatMul", "t t", "u")]
    proto = b.model(nodes, [b.value("x", [1, 3, 3, 3]), b.value("t", [1, 3, 3, 3])],
                    [b.value("c", [1, 3, 3, 3]), b.value("u", [1, 3, 3, 3])], {"w": normal(3, 3, 3, 3)})
    inputs = {"x": normal(1, 3, 3, 3, seed=1), "t": normal(1, 3, 3, 3, seed=2)}
    c, u = b.reference(proto, inputs)
    path = b.save(proto, tmp_path / "model.onnx")
    report = convert(path, tmp_path, "--nhwc", "--verify", "--golden", records(tmp_path, **inputs, c=c, u=u))
    assert report["agree"]
    turned = support.LiteRT(tmp_path / "model.tflite")([inputs["x"].transpose(0, 2, 3, 1).copy(), inputs["t"]])
    support.assert_agree(turned, [c.transpose(0, 2, 3, 1), u], "channels last")


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), ("n", 1, 8, 8), (1, 4, 1, 1)])
def test_images_of_one_channel_or_one_pixel_turn_too(tmp_path, shape):
    proto = b.model([b.node("Conv", "x w", "y", pads=[1, 1, 1, 1])], [b.value("x", shape)], [b.value("y", None)],
                    {"w": normal(2, shape[1], 3, 3)})
    report = convert(b.save(proto, tmp_path / "model.onnx"), tmp_path, "--nhwc", "--verify")
    n, c, h, w = (-1 if isinstance(d, str) else d for d in shape)
    assert report["agree"] and report["entries"][0]["inputs"][0]["shape"] == [n, h, w, c]
    assert report["entries"][0]["outputs"][0]["shape"] == [n, h, w, 2]


def test_an_unknown_name_for_nhwc(tmp_path, model):
    done = support.tolite("convert", model[0], "-o", tmp_path / "m.tflite", "--nhwc=foo", status=2)
    assert done.stderr.startswith(f"{model[0]}: --nhwc=foo: no input or output of rank 4 has that name")


def test_an_open_size_that_can_only_be_one_number(tmp_path):
    """Channels left open, a kernel that wants four: the file says four, and is verified with four."""
    proto = b.model([b.node("Conv", "x w", "y", group=2)], [b.value("x", ["n", "c", 5, 5])], [b.value("y", None)],
                    {"w": normal(6, 2, 3, 3)})
    report = convert(b.save(proto, tmp_path / "model.onnx"), tmp_path, "--verify=3")
    assert report["agree"] and report["entries"][0]["inputs"][0]["shape"] == [-1, 4, 5, 5]
    assert any("c" in w and "4" in w for w in report["warnings"])


def test_a_reshape_that_demands_the_product_of_two_open_sizes(tmp_path):
    proto = b.model([b.node("Reshape", "x s", "y")], [b.value("x", [2, "a", "b"])], [b.value("y", [8])],
                    {"s": np.array([8], np.int64)})
    report = convert(b.save(proto, tmp_path / "model.onnx"), tmp_path)
    assert report["entries"][0]["inputs"][0]["shape"] == [2, -1, -1] and "a*b" in report["warnings"][0]
    x = normal(2, 2, 2)
    support.assert_agree(support.LiteRT(tmp_path / "model.tflite")([x]), [x.ravel()], "the sizes that fit")


def test_a_dequantised_constant_may_be_an_output(tmp_path):
    proto = b.model([b.node("DequantizeLinear", "q s z", "y"), b.node("Add", "x y", "t")], [b.value("x", [3])],
                    [b.value("y", [3]), b.value("t", [3])],
                    {"q": np.array([1, 2, 3], np.int8), "s": np.float32(0.5), "z": np.int8(1)})
    convert(b.save(proto, tmp_path / "model.onnx"), tmp_path, "--verify")
    x = normal(3)
    support.assert_agree(support.LiteRT(tmp_path / "model.tflite")([x]), b.reference(proto, {"x": x}), "delegate")
