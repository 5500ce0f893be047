"""Recorded outputs of the test networks against: the source run by us before any pass, the file we wrote
run by LiteRT (default delegate and plain kernels, two invokes each) and run by us."""
import numpy as np
import pytest

import support

# These wait for operators.
LATER = {"stft_net"}
STATEFUL = {"lstm_stream"}  # ONNX holds no state: the file answers the first call only


def cases():
    for name in support.networks():
        for path in support.onnx_files(name):
            if name not in LATER | STATEFUL:
                yield pytest.param(name, path.name, id=f"{name}-{path.name[6:-5] or 'onnx'}")
    if not support.networks():
        yield pytest.param(None, None, marks=pytest.mark.skip(reason=support.NO_NETWORKS))


@pytest.mark.parametrize("name,file", list(cases()))
def test_network(name, file, tmp_path):
    source = support.MODELS / name / file
    out = tmp_path / "model.tflite"
    support.tolite("convert", source, "-o", out)
    rule = support.rule_of(name, file)
    runners = [(f"LiteRT {'default' if d else 'plain'}", support.LiteRT(out, d)) for d in (True, False)]
    names = support.litert_names(out)[0]
    for io in support.io_files(name, file):
        inputs, outputs = support.golden(io)
        for what, runner in runners:
            for _ in range(2):
                support.assert_agree(runner(support.ordered(inputs, names)), outputs, f"{what}, {io.name}", **rule)
        for model, what in ((source, "our executor on the source"), (out, "our executor on the file")):
            result = tmp_path / "result.npz"
            support.tolite("run", model, "--in", io, "--out", result)
            support.assert_agree(list(support.load(result).values()), outputs, f"{what}, {io.name}", **rule)


REAL = ["yolox_nano", "yunet", "ultraface_slim", "ultraface_slim_raw", "mnist_8", "fastestdet", "dnsmos",
        "mobilenet_v1_025", "dtln_1", "dtln_2", "silero_vad_16k"]


@pytest.mark.parametrize("name", REAL)
def test_trained_network(name, tmp_path):
    folder = support.network("real", name)
    out = tmp_path / "model.tflite"
    support.tolite("convert", folder / "model.onnx", "-o", out)
    inputs, outputs = support.golden(folder / "io.npz")
    arrays = list(inputs.values())
    for delegate in (True, False):
        runner = support.LiteRT(out, delegate)
        for i in range(len(arrays[0])):
            results = runner([a[i] for a in arrays])
            support.assert_agree(results, [o[i] for o in outputs], f"LiteRT, delegate {delegate}, sample {i}")
    for model in (folder / "model.onnx", out):
        result = tmp_path / "result.npz"
        support.tolite("run", model, "--in", folder / "io.npz", "--samples-axis", "--out", result)
        support.assert_agree(list(support.load(result).values()), outputs, f"our executor on {model.name}")


@pytest.mark.parametrize("name", ["dtln_1", "dtln_2", "silero_vad_16k"])
def test_a_stream_keeps_its_state(name, tmp_path):
    """Every call gets the state that the one before gave, not the recorded one: errors would add up."""
    folder = support.network("real", name)
    out = tmp_path / "model.tflite"
    support.tolite("convert", folder / "model.onnx", "-o", out)
    inputs, outputs = support.golden(folder / "io.npz")
    frames, states = inputs.values()
    assert np.array_equal(states[1:], outputs[1][:-1])
    for delegate in (True, False):
        runner, state = support.LiteRT(out, delegate), states[0]
        for i, frame in enumerate(frames):
            results = runner([frame, state])
            support.assert_agree(results, [o[i] for o in outputs], f"LiteRT, delegate {delegate}, call {i}")
            state = results[1]


def test_mobilenet_gives_the_recorded_class_on_every_picture(tmp_path):
    folder = support.network("real", "mobilenet_v1_025")
    pictures = sorted((support.MODELS / "real" / "imagenet100").glob("*.jpg"))
    recorded = support.load(folder / "imagenet100_top.npz")
    out, result = tmp_path / "model.tflite", tmp_path / "result.npz"
    support.tolite("convert", folder / "model.onnx", "-o", out)
    support.tolite("run", out, "--image", *pictures, "--mean", "0.5", "--std", "0.5", "--out", result)
    classes = np.squeeze(next(iter(support.load(result).values()))).argmax(-1)
    assert (classes == recorded["top5"][:, 0]).sum() == len(pictures) == 100
