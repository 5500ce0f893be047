"""Data movement: what must not stay in the file."""
import json

import pytest

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
    if not support.networks():
        pytest.skip("the test networks are not beside this clone")
    source, out = support.MODELS / name / "model.onnx", tmp_path / "m.tflite"
    support.tolite("convert", source, "-o", out, "--nhwc")
    assert moves(out) == 0
    support.tolite("convert", source, "-o", out)
    assert moves(out) <= 1  # one image input
    listed = json.loads(support.tolite("inspect", out, "--json").stdout)["transposes"]
    assert len(listed) == moves(out) and all(row["reason"] for row in listed)


def test_channel_shuffle(tmp_path):
    if not support.networks():
        pytest.skip("the test networks are not beside this clone")
    source, out = support.MODELS / "shufflenet_v2_x1_0" / "model.onnx", tmp_path / "m.tflite"
    support.tolite("convert", source, "-o", out, "--nhwc")
    shuffles = 7  # one per block: 2 + 3 + 2
    assert moves(out) <= shuffles
