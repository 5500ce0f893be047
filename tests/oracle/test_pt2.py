"""Programs of torch.export: recorded outputs of the test networks against the source run by us before any pass,
the file we wrote run by LiteRT (default delegate and plain kernels, two invokes each) and run by us."""
import json

import numpy as np
import pytest

import support

DIGITS = support.DIGITS / "digits.pt2"


def recorded(path):
    """Samples that belong to a program: one size unless it is dynamic, its own where it is quantised."""
    folder, tag = path.parent, ".".join(path.name.split(".")[1:-1])
    if (folder / f"io.{tag}.npz").exists():
        return [folder / f"io.{tag}.npz"]
    if (folder / "io.steps.npz").exists():
        return [folder / "io.steps.npz"]
    names = ["io.npz", "io.float.npz", "io.b.npz", "io.c.npz"] + ["io.size2.npz"] * ("dynamic" in path.name)
    return [folder / name for name in names if (folder / name).exists()]


def cases():
    programs = sorted(support.MODELS.rglob("*.pt2")) if support.MODELS.exists() else []
    for path in programs:
        yield pytest.param(path, id="-".join(path.relative_to(support.MODELS).parts))
    if not programs:
        yield support.no_network


def rule(path):
    bounds = support.rule_of(path.parent.name, path.name)
    return bounds if "relative" in bounds else {}


def by_position(inputs, path):
    """The same arrays under names that fit any model."""
    np.savez(path, **{f"input_{i}": array for i, array in enumerate(inputs.values())})
    return path


@pytest.mark.parametrize("path", list(cases()))
def test_source(path, tmp_path):
    for io in recorded(path):
        inputs, outputs = support.golden(io)
        steps = ["--steps"] if "steps" in io.name else []
        result = tmp_path / "result.npz"
        support.tolite("run", path, "--in", by_position(inputs, tmp_path / "in.npz"), "--out", result, *steps)
        support.assert_agree(list(support.load(result).values()), outputs, io.name, **rule(path))


@pytest.mark.parametrize("path", list(cases()))
def test_converted(path, tmp_path):
    out = tmp_path / "model.tflite"
    support.tolite("convert", path, "-o", out)
    for io in recorded(path):
        inputs, outputs = support.golden(io)
        for delegate in (True, False):
            runner, what = support.LiteRT(out, delegate), f"LiteRT, delegate {delegate}, {io.name}"
            if "steps" in io.name:
                run_steps(runner, inputs, outputs, what)
                continue
            for _ in range(2):
                support.assert_agree(runner(list(inputs.values())), outputs, what, **rule(path))
        steps = ["--steps"] if "steps" in io.name else []
        result = tmp_path / "result.npz"
        support.tolite("run", out, "--in", by_position(inputs, tmp_path / "in.npz"), "--out", result, *steps)
        results = list(support.load(result).values())[:len(outputs)]
        support.assert_agree(results, outputs, f"our executor, {io.name}", **rule(path))


def run_steps(runner, inputs, outputs, what):
    """State is further inputs and outputs, which begin with zeros."""
    arrays, n_out = list(inputs.values()), len(outputs)
    state = [np.zeros(d["shape"], d["dtype"]) for d in runner.inputs[len(arrays):]]
    for step in range(len(arrays[0])):
        results = runner([a[step] for a in arrays] + state)
        support.assert_agree(results[:n_out], [o[step] for o in outputs], f"{what}, step {step}")
        state = results[n_out:]


# ---- the bundled example ----

def test_digits_and_its_onnx_twin_give_the_same(tmp_path):
    data = support.load(support.DIGITS / "held_out.npz")
    out = tmp_path / "digits.tflite"
    support.tolite("convert", DIGITS, "-o", out, "--verify")
    logits, = support.LiteRT(out)([data["in_image"]])
    support.assert_agree([logits], [data["out_0_logits"]], "LiteRT")
    support.tolite("run", DIGITS, "--in", support.DIGITS / "held_out.npz", "--out", tmp_path / "y.npz")
    support.assert_agree(list(support.load(tmp_path / "y.npz").values()), [data["out_0_logits"]], "the source")


def test_digits_can_be_pinned_to_a_size(tmp_path):
    shown = json.loads(support.tolite("inspect", DIGITS, "--json", "-i", "image=3,1,8,8").stdout)
    assert shown["entries"][0]["inputs"][0]["shape"] == [3, 1, 8, 8]
    done = support.tolite("inspect", DIGITS, "-i", "image=3,1,9,9", status=None)
    assert done.returncode and "which the program fixes" in done.stderr


def test_inputs_that_the_program_was_exported_with(tmp_path):
    """They stand in the archive: verified on them first, and calibrated on them where asked to."""
    out, stats = tmp_path / "m.tflite", tmp_path / "m.stats"
    report = json.loads(support.tolite("convert", DIGITS, "-o", out, "--verify", "--json").stdout)
    assert report["verify"][0]["sample"] == "of the source file" and all(c["agree"] for c in report["verify"])
    pinned = json.loads(support.tolite("convert", DIGITS, "-o", out, "--verify", "--json", "-i", "image=3,1,8,8").stdout)
    assert "of the source file" not in [c["sample"] for c in pinned["verify"]], "of another size"
    done = json.loads(support.tolite("calibrate", DIGITS, "--samples", "model", "-o", stats, "--json").stdout)
    assert done["samples"] >= 1 and not done["warnings"]
    support.tolite("convert", DIGITS, "-o", out, "--quantize", "int8", "--samples", "model")
    assert "no sample inputs" in support.tolite("calibrate", out, "--samples", "model", "-o", stats, status=2).stderr


HOLDING = ["lstm_state/model.pt2", "index_put_net/model.core.pt2", "detr_tiny/model.pt2", "bert_tiny/model.pt2",
           "old/lstm_seq/model.torch2.4.pt2", "old/mobilenet_v2/model.torch2.8.pt2"]


@pytest.mark.parametrize("name", HOLDING)
def test_networks_hold_samples(name, tmp_path):
    path = support.network(name)
    report = json.loads(support.tolite("convert", path, "-o", tmp_path / "m.tflite", "--verify=1", "--json").stdout)
    assert report["verify"][0]["sample"] == "of the source file"
