"""Quantised models with loops, branches and state: what they carry is integers with one scale on both sides of the border.
LiteRT with its delegate and with plain kernels, and our executor."""
import json

import numpy as np
import onnx
import pytest

import builders
import support
import test_quantise
from test_recurrent import network as recurrent



def sqnr(reference, result):
    return 10 * np.log10(np.square(reference).sum() / (np.square(reference - result).sum() + 1e-30))


def real(values, details):
    return test_quantise.real(values, details) if details["quantization"][0] else values


class Real:
    """A file in LiteRT, fed and read in real numbers whatever its interface is."""

    def __init__(self, path, delegate):
        self.run = support.LiteRT(path, delegate=delegate)

    def __call__(self, arrays):
        details = self.run.inputs
        results = self.run([test_quantise.stored(a, d) if a.dtype == np.float32 else a for a, d in zip(arrays, details)])
        return [real(r, d) for r, d in zip(results, self.run.outputs)]


def in_all(path, calls, tmp_path, n_out, steps=False):
    """Results by output, of all calls in order, stacked: delegate, plain kernels, ours."""
    runs = {name: Real(path, name == "delegate") for name in ("delegate", "plain")}
    results = {name: [run(arrays) for arrays in calls] for name, run in runs.items()}
    arrays = {f"input_{k}": np.stack([c[k] for c in calls]) for k in range(len(calls[0]))}
    np.savez(tmp_path / "in.npz", **arrays)
    support.tolite("run", path, "--in", tmp_path / "in.npz", "--steps" if steps else "--samples-axis", "--out", tmp_path / "y.npz")
    mine = list(support.load(tmp_path / "y.npz").values())
    details = runs["plain"].run.outputs
    ours = [real(m, d) for m, d in zip(mine, details)]
    for k in range(n_out):
        yield {**{name: np.stack([r[k] for r in rows]) for name, rows in results.items()}, "ours": ours[k]}


def ops(path):
    return {row["op"]: row["count"] for row in json.loads(support.tolite("inspect", path, "--json").stdout)["ops"]}


@pytest.mark.parametrize("mode", ["int8", "int8-only", "int16x8"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("steps", [6, 40])
def test_recurrent(kind, steps, mode, tmp_path):
    """Cells one after the other, and as turns of a loop: 25 dB and better."""
    proto, inputs = recurrent(kind, steps, batch=1, size=8, hidden=16)
    for weights in proto.graph.initializer:  # as trained ones are: what a step errs does not grow from turn to turn
        if weights.name == "r":
            weights.CopyFrom(builders.tensor("r", onnx.numpy_helper.to_array(weights) * np.float32(0.35)))
    rng = np.random.default_rng(5)
    calls = [{k: (rng.standard_normal(v.shape) / 2).astype(np.float32) if v.dtype == np.float32 else v
              for k, v in inputs.items()} for _ in range(52)]
    model = builders.save(proto, tmp_path / "m.onnx")
    for k, call in enumerate(calls):
        np.savez(tmp_path / f"{k}.npz", **call)
    path = test_quantise.convert(tmp_path, "--quantize", mode, "--samples", *[tmp_path / f"{k}.npz" for k in range(40)], model=model)
    assert ("WHILE" in ops(path)) == (steps > 32)
    if mode == "int8-only":
        assert not any(dtype == np.float32 for dtype, _ in test_quantise.tensors(path))
    calls = calls[40:]
    expected = [builders.reference(proto, call) for call in calls]
    names = [i.name for i in proto.graph.input]
    for k, results in enumerate(in_all(path, [[call[n] for n in names] for call in calls], tmp_path, len(expected[0]))):
        reference = np.stack([e[k] for e in expected])
        for name, result in results.items():
            assert sqnr(reference, result.reshape(reference.shape)) > 25, (name, k)
        assert np.abs(results["plain"] - results["ours"].reshape(results["plain"].shape)).max() < (1e-5 if mode != "int16x8" else 1e-3)


@support.needs_networks
@pytest.mark.parametrize("mode", ["int8", "int8-only", "int16x8"])
@pytest.mark.parametrize("state", ["variables", "io"])
def test_state(mode, state, tmp_path):
    """An LSTM that streams: its variables hold integers. Calibrated on the calls that it is compared on: there are no more."""
    folder = support.MODELS / "lstm_stream"
    inputs, outputs = support.golden(folder / "io.steps.npz")
    x = next(iter(inputs.values()))
    path = test_quantise.convert(tmp_path, "--quantize", mode, "--samples", folder / "io.steps.npz", "--steps", "--state", state,
                                 model=folder / "model.pt2")
    details = support.LiteRT(path, delegate=False).interpreter.get_tensor_details()
    if mode == "int8-only":
        assert not any(d["dtype"] == np.float32 for d in details)
    if state == "variables":
        assert not any(d["dtype"] == np.float32 for d in details if d["name"].endswith(".state"))
    n = len(x)
    for delegate in (True, False):
        run = support.LiteRT(path, delegate=delegate)
        run.interpreter.allocate_tensors()
        kept = [np.zeros(d["shape"], d["dtype"]) for d in run.interpreter.get_input_details()[1:]]
        results = []
        for k in range(n):
            y, *kept = run([test_quantise.stored(x[k], run.inputs[0]), *kept])
            results.append(real(y, run.outputs[0]))
        assert sqnr(outputs[0], np.stack(results).reshape(outputs[0].shape)) > 25
    if state == "variables":
        support.tolite("diff", folder / "model.pt2", path, "--in", folder / "io.steps.npz", "--steps", "--min-sqnr", "20")


@support.needs_networks
@pytest.mark.parametrize("name, source, modes", [
    ("lstm_seq", "model.dynamic.onnx", ["int8", "int8-only", "int16x8"]), ("lstm_seq", "model.onnx", ["int8", "int8-only"]),
    ("gru_seq", "model.onnx", ["int8", "int8-only", "int16x8"]), ("rnn_seq", "model.onnx", ["int8", "int8-only"]),
    ("lstm_projection", "model.pt2", ["int8", "int8-only"]), ("lstm_state", "model.onnx", ["int8", "int8-only"]),
    ("scan_net", "model.pt2", ["int8", "int8-only"]), ("while_net_script", "model.onnx", ["int8", "int8-only"]),
    ("cond_net", "model.pt2", ["int8"])])
def test_networks(name, source, modes, tmp_path):
    folder = support.MODELS / name
    inputs, outputs = support.golden(folder / "io.npz")
    for mode in modes:
        path = test_quantise.convert(tmp_path, "--quantize", mode, "--samples", folder / "io.npz", model=folder / source)
        arrays = support.ordered(inputs, support.litert_names(path)[0])
        for k, results in enumerate(in_all(path, [arrays], tmp_path, len(outputs))):
            for who, result in results.items():
                if outputs[k].dtype == np.float32:
                    assert sqnr(outputs[k], result.reshape(outputs[k].shape)) > 25, (mode, who, k)
                else:
                    assert np.array_equal(outputs[k], result.reshape(outputs[k].shape)), (mode, who, k)
