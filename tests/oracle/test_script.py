"""TorchScript: recorded outputs of the test networks against the source run by us before any pass, the file we
wrote run by LiteRT (default delegate and plain kernels, two invokes each) and run by us."""
import json
import re
import zipfile

import numpy as np
import pytest

import support
import test_pt2
from test_pt2 import by_position, run_steps

SHORT = {"float32": "f32", "int64": "i64", "int32": "i32", "bool": "bool", "float64": "f64", "uint8": "u8"}


def cases():
    root = support.MODELS
    paths = sorted([*root.rglob("*.ts.pt"), *root.rglob("*.script.pt")]) if root.exists() else []
    for path in paths:
        yield pytest.param(path, id="-".join(path.relative_to(root).parts))
    if not paths:
        yield support.no_network


def parameters(path):
    """Names of what `forward` of the archive's root module takes."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        folder = names[0].split("/")[0]
        module, root = re.match(rb"\x80\x02c([\w.]+)\n(\w+)\n", archive.read(f"{folder}/data.pkl")).groups()
        code = archive.read(f"{folder}/code/{module.decode().replace('.', '/')}.py").decode()
    body = re.search(rf"^class {root.decode()}\(.*?\):\n(.*?)(?=^\S|\Z)", code, re.M | re.S).group(1)
    signature = re.search(r"def forward\((.*?)\) ->", body, re.S).group(1)
    return re.findall(r"(\w+): ", signature)[1:]


def input_options(path, inputs):
    """--input for the sizes of a recording: TorchScript stores none."""
    options = []
    for name, array in zip(parameters(path), inputs.values()):
        options += ["--input", f"{name}={SHORT[str(array.dtype)]}:{','.join(map(str, array.shape))}"]
    return options


def recorded(path):
    """Samples that belong to a file: one size, those of a quantised one named after it."""
    folder = path.parent
    names = [f"io.{part}.npz" for part in path.name.split(".")[:-2]]
    names = [n for n in names if (folder / n).exists()] or ["io.npz", "io.b.npz", "io.c.npz", "io.zero.npz", "io.many.npz"]
    if (folder / "io.steps.npz").exists():
        names = ["io.steps.npz"]
    return [folder / name for name in names if (folder / name).exists()]


def one_step(values):
    """Of the integers behind dequantised values, as far as the values tell: what all differences are multiples of."""
    values = np.unique(np.asarray(values, np.float64))
    step = np.diff(values).min()
    for part in range(1, 256):
        multiples = (values - values[0]) / (step / part)
        if np.abs(multiples - np.rint(multiples)).max() < 1e-3:
            return step / part
    raise AssertionError("no common step")


def network_rule(path):
    """Where float32 itself is less exact, models.tsv says so at one file; it holds for every file of the network."""
    rules = [support.rule_of(path.parent.name, p.name) for p in path.parent.glob("model.*.onnx")]
    return next((r for r in rules if "relative" in r), {})


def rule(path, outputs):
    """Quantised networks: one step of the output, where integers are rounded from floats that differ in the last
    bit. Dynamically quantised ones: our activations stay floats, PyTorch's have 8 bits at run time."""
    if path.parent.parent.name != "quantised":
        return test_pt2.rule(path) or network_rule(path)
    if "dynamic" in path.name:
        return {"relative": 1e-2, "cosine": 0.9995}
    return {"relative": 1.01 * one_step(outputs[0]) / max(1, np.abs(outputs[0]).max()), "cosine": 0.999}


def in_integers(path):
    return path.parent.parent.name == "quantised" and "dynamic" not in path.name


def is_sequence(path, io):
    return "steps" in io.name or path.parent.parent.name == "real"


def samples(path):
    """(name, inputs, outputs, successive calls?) of every recording; one call without its leading axis."""
    for io in recorded(path):
        inputs, outputs = support.golden(io)
        yield io.name, inputs, outputs, is_sequence(path, io)


def convert(path, inputs, sequence, tmp_path, **kwargs):
    one = {k: v[0] for k, v in inputs.items()} if sequence else inputs
    out = tmp_path / "model.tflite"
    return out, support.tolite("convert", path, "-o", out, *input_options(path, one), **kwargs)


@pytest.mark.parametrize("path", list(cases()))
def test_source(path, tmp_path):
    for name, inputs, outputs, sequence in samples(path):
        one = {k: v[0] for k, v in inputs.items()} if sequence else inputs
        result = tmp_path / "result.npz"
        support.tolite("run", path, "--in", by_position(inputs, tmp_path / "in.npz"), "--out", result,
                       *input_options(path, one), *["--steps"] * sequence)
        results = list(support.load(result).values())[:len(outputs)]
        support.assert_agree(results, outputs, name, **rule(path, outputs))


@pytest.mark.parametrize("path", list(cases()))
def test_converted(path, tmp_path):
    out = None
    for name, inputs, outputs, sequence in samples(path):
        out = out or convert(path, inputs, sequence, tmp_path)[0]
        for delegate in (True, False):
            runner, what = support.LiteRT(out, delegate), f"LiteRT, delegate {delegate}, {name}"
            if sequence:
                run_steps(runner, inputs, outputs, what)
                continue
            expected, bound = outputs, rule(path, outputs)
            if in_integers(path) and not delegate:
                # its plain kernels round twice, which adds up; our executor does as they do
                result = tmp_path / "plain.npz"
                support.tolite("run", out, "--in", by_position(inputs, tmp_path / "in.npz"), "--out", result)
                expected, bound = list(support.load(result).values()), {}
            for _ in range(2):
                support.assert_agree(runner(list(inputs.values())), expected, what, **bound)
        result = tmp_path / "result.npz"
        support.tolite("run", out, "--in", by_position(inputs, tmp_path / "in.npz"), "--out", result,
                       *["--steps"] * sequence, *["--rounding", "float"] * in_integers(path))
        results = list(support.load(result).values())[:len(outputs)]
        support.assert_agree(results, outputs, f"our executor, {name}", **rule(path, outputs))


# ---- the same network in several formats ----


def count_ops(path, tmp_path):
    options = []
    if path.suffix == ".pt":
        _, inputs, _, sequence = next(samples(path))
        options = input_options(path, {k: v[0] for k, v in inputs.items()} if sequence else inputs)
    done = support.tolite("convert", path, "-o", tmp_path / "model.tflite", "--json", *options)
    return json.loads(done.stdout)["n_ops"]


def twins():
    for case in cases():
        path = case.values[0]
        if path and (path.parent / "model.pt2").exists():
            yield case


@pytest.mark.parametrize("path", list(twins()))
def test_no_more_operators_than_of_the_exported_program(path, tmp_path):
    ours, other = count_ops(path, tmp_path), count_ops(path.parent / "model.pt2", tmp_path)
    assert ours - other <= max(2, other * 0.05), f"{ours} operators, {other} from the exported program"
