"""Quantised files op by op: each op of a file alone, on random numbers over all of its type, in LiteRT and in our executor.
Integer results are the same bit by bit, in the rounding of the delegate and in that of the plain kernels, but for the ops
of STEPS, whose reasons are in docs/quantisation.md."""
import numpy as np
import pytest

import one_op
import support

# kind: most steps from (the delegate, the plain kernels)
STEPS = {"RESIZE_BILINEAR int8": (1, 0), "LEAKY_RELU int8": (1, 0)}
NETWORKS = ["mobilenet_v3_small", "vit_tiny", "unet", "pooling_zoo", "activations_net", "lstm_seq"]
FLOATS = 20  # millionths of the largest number: what comes out of an op as floats


def allowed(kind):
    if kind.startswith("DEQUANTIZE") or kind.endswith("float32"):
        return FLOATS, FLOATS
    return STEPS.get(kind, (0, 0))


def check(path):
    for kind, counts in one_op.survey([path], np.random.default_rng(1)).items():
        worst = [max(pair[i] for pair in counts) for i in (0, 1)]
        assert all(a <= b for a, b in zip(worst, allowed(kind))), f"{kind}: {dict(counts)}, allowed {allowed(kind)}"


@pytest.mark.parametrize("mode", ["int8-only", "int16x8"])
def test_digits(mode, tmp_path):
    path = tmp_path / "q.tflite"
    support.tolite("convert", support.DIGITS / "digits.onnx", "-o", path, "--quantize", mode, "--samples",
                   *sorted(support.DIGITS.glob("*.png")))
    check(path)


@support.needs_networks
@pytest.mark.parametrize("mode", ["int8", "int16x8", "dynamic"])
@pytest.mark.parametrize("network", NETWORKS)
def test_networks(network, mode, tmp_path):
    folder, path = support.MODELS / network, tmp_path / "q.tflite"
    support.tolite("convert", folder / "model.onnx", "-o", path, "--quantize", mode, "--samples", folder / "io.npz")
    check(path)
