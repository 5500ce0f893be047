"""Data movement: what must not stay in the file."""
import json

import numpy as np
import pytest

import builders as b
import support

MOVES = ("TRANSPOSE",)
PLAIN = ["mobilenet_v2", "mobilenet_v3_small", "squeezenet1_1", "resnet18", "resnext", "densenet", "efficientnet_b0",
         "regnet_y", "mnasnet", "googlenet", "inception_v3", "vgg11_bn", "ghostnet", "hrnet"]


def inspect(path):
    return json.loads(support.tolite("inspect", path, "--json").stdout)


def moves(path):
    return sum(row["count"] for row in inspect(path)["ops"] if row["op"] in MOVES)


@pytest.mark.parametrize("name", PLAIN)
def test_classifiers(name, tmp_path):
    source, out = support.network(name, "model.onnx"), tmp_path / "m.tflite"
    support.tolite("convert", source, "-o", out, "--nhwc")
    assert moves(out) == 0
    support.tolite("convert", source, "-o", out)
    assert moves(out) <= 1  # one image input
    listed = json.loads(support.tolite("inspect", out, "--json").stdout)["transposes"]
    assert len(listed) == moves(out) and all(row["reason"] for row in listed)


def test_channel_shuffle(tmp_path):
    source, out = support.network("shufflenet_v2_x1_0", "model.onnx"), tmp_path / "m.tflite"
    support.tolite("convert", source, "-o", out, "--nhwc")
    shuffles = 4  # one per block, 2 + 3 + 2, but for the last of each stage, which is in the filters behind it
    assert moves(out) <= shuffles


# ---- rearranged channels: what stays of them, and that the result is the same ----

RNG = np.random.default_rng(5)


def weight(*shape):
    return RNG.normal(0, 0.5, shape).astype(np.float32)


def pixel_shuffle():
    """As PyTorch's exporters spell it where the opset has no mode for it."""
    nodes = [b.node("Conv", "x w bias", "c", pads=[1, 1, 1, 1]), b.node("Reshape", "c apart", "r"),
             b.node("Transpose", "r", "t", perm=[0, 1, 4, 2, 5, 3]), b.node("Reshape", "t joined", "y")]
    init = {"w": weight(12, 4, 3, 3), "bias": weight(12), "apart": np.array([1, 3, 2, 2, 6, 5]),
            "joined": np.array([1, 3, 12, 10])}
    return nodes, init, (1, 4, 6, 5), {"DEPTH_TO_SPACE": 1, "CONV_2D": 1, "TRANSPOSE": 2}


def channel_shuffle():
    nodes = [b.node("Conv", "x w", "c"), b.node("Relu", "c", "d"), b.node("Reshape", "d apart", "r"),
             b.node("Transpose", "r", "t", perm=[0, 2, 1, 3, 4]), b.node("Reshape", "t joined", "s"),
             b.node("Conv", "s dw bias", "e", group=8, pads=[1, 1, 1, 1]), b.node("Conv", "e v", "f"),
             b.node("Conv", "s v2", "g"), b.node("Add", "f g", "y")]
    init = {"w": weight(8, 4, 1, 1), "dw": weight(8, 1, 3, 3), "bias": weight(8), "v": weight(5, 8, 1, 1),
            "v2": weight(5, 8, 1, 1), "apart": np.array([1, 2, 4, 6, 5]), "joined": np.array([1, 8, 6, 5])}
    return nodes, init, (1, 4, 6, 5), {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 1, "TRANSPOSE": 2}


def focus():
    """YOLOv5's and YOLOX's: every other row and column, down the columns first."""
    nodes, parts = [], []
    for i, (row, column) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        nodes += [b.node("Slice", f"x from{row} end rows two", f"r{i}"),
                  b.node("Slice", f"r{i} from{column} end columns two", f"p{i}")]
        parts.append(f"p{i}")
    nodes += [b.node("Concat", " ".join(parts), "c", axis=1), b.node("Conv", "c w", "y", pads=[1, 1, 1, 1])]
    init = {"from0": np.array([0]), "from1": np.array([1]), "end": np.array([99]), "rows": np.array([2]),
            "columns": np.array([3]), "two": np.array([2]), "w": weight(5, 12, 3, 3)}
    return nodes, init, (1, 3, 8, 6), {"SPACE_TO_DEPTH": 1, "CONV_2D": 1, "TRANSPOSE": 2}


@pytest.mark.parametrize("make", [pixel_shuffle, channel_shuffle, focus])
def test_rearranged_channels(make, tmp_path):
    nodes, init, shape, ops = make()
    proto = b.model(nodes, [b.value("x", shape)], [b.value("y", None)], init)
    source, out = b.save(proto, tmp_path / "m.onnx"), tmp_path / "m.tflite"
    x = RNG.normal(0, 1, shape).astype(np.float32)
    expected = b.reference(proto, {"x": x})
    support.tolite("convert", source, "-o", out)
    counts = {row["op"]: row["count"] for row in inspect(out)["ops"]}
    assert {op: n for op, n in counts.items() if op != "ADD"} == ops
    for delegate in (True, False):
        support.assert_agree(support.LiteRT(out, delegate)([x]), expected, f"LiteRT, delegate {delegate}")
