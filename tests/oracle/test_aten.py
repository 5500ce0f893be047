"""Operators of ATen, one by one: every program of tests/torch/ops (tools/aten_cases.py) run by us as it is, converted,
the file run by us and by LiteRT with and without its delegate, against what PyTorch computed."""
import json
import re
import zipfile
import zlib

import numpy as np
import pytest

import support

OPS = support.ROOT / "tests" / "torch" / "ops"
TABLE = support.ROOT / "src" / "import" / "torch" / "aten" / "aten.def"


def recorded(path):
    """Inputs and outputs of a program, {name: array} each."""
    text, _, data = zlib.decompress(path.with_suffix(".io").read_bytes()).partition(b"\n")
    sides, at = [], 0
    for side in ("in", "out"):
        arrays = {}
        for name, dtype, shape in json.loads(text)[side]:
            count = int(np.prod(shape))
            arrays[name] = np.frombuffer(data, dtype, count, at).reshape(shape)
            at += arrays[name].nbytes
        sides.append(arrays)
    return sides


def rule(name, reference, who):
    """Two roundings of half precision; files compute in f32 what the source does in bfloat16."""
    if "autocast" in name and who != "the source":
        return {"relative": 2e-2, "cosine": 0.9999}
    return {"relative": 2e-3} if reference.dtype == np.float16 else {}


def differences(results, expected, who, runtime=False):
    """runtime: LiteRT's own kernels lose NaN and infinities, so places where PyTorch has them do not count."""
    if len(results) != len(expected):
        return [f"{who}: {len(results)} outputs, expected {len(expected)}"]
    found = []
    for result, (name, reference) in zip(results, expected.items()):
        if runtime and reference.dtype.kind == "f" and result.shape == reference.shape:
            result = np.where(np.isfinite(reference), result, reference)
        problem = support.disagreement(result, reference, **rule(name, reference, who))
        if problem:
            found.append(f"{who}: {name}: {problem}")
    return found


def executed(model, inputs, expected, folder, who):
    result = folder / "out.npz"
    done = support.tolite("run", model, "--in", inputs, "--out", result, status=None)
    if done.returncode:
        return [f"{who}: status {done.returncode}: {done.stderr[-1500:]}"]
    return differences(list(support.load(result).values()), expected, who)


def problems(path, folder):
    """Everything in which a program, and what becomes of it, differs from PyTorch."""
    inputs, expected = recorded(path)
    arrays, given, file = list(inputs.values()), folder / "in.npz", folder / "model.tflite"
    np.savez(given, **{f"input_{k}": a for k, a in enumerate(arrays)})
    found = executed(path, given, expected, folder, "the source")
    done = support.tolite("convert", path, "-o", file, status=None)
    if done.returncode:
        return found + [f"convert: status {done.returncode}: {done.stderr[-1500:]}"]
    found += executed(file, given, expected, folder, "the file")
    for delegate in (True, False):
        who = f"LiteRT, delegate {delegate}"
        try:
            found += differences(support.LiteRT(file, delegate)(arrays), expected, who, runtime=True)
        except (RuntimeError, ValueError) as error:
            found.append(f"{who}: {error}")
    return found


@pytest.mark.parametrize("path", sorted(OPS.glob("*.pt2")), ids=lambda p: p.stem)
def test_operators(path, tmp_path):
    found = problems(path, tmp_path)
    assert not found, "\n".join(found)


# ---- coverage: every row of the table has its case ----

# Rows that no case can reach from PyTorch 2.15 as it is installed for tools/aten_cases.py, and why.
RANDOM = "bernoulli multinomial normal_functional rand rand_like randint randint.low randn randn_like randperm".split()
NO_CASE = {
    **{name: "draws random numbers: refused, with the reason" for name in RANDOM},
    "torchvision::nms": "torchvision is not needed to write the cases; the detectors among the test networks have it",
    "torchvision::roi_align": "the same",
    **{name: "a size: export writes it for open sizes alone, in place of a number"
       for name in ("sym_numel", "sym_stride.int", "sym_storage_offset", "size.int")},
    "mkldnn_rnn_layer": "PyTorch makes it of LSTMs where it has the library for it",
}


def overloads():
    """Of the table: signatures by name."""
    found = {}
    for line in TABLE.read_text().splitlines():
        row = re.match(r'[A-Z]+\("(([^("]+)\([^"]*)"', line)
        if row:
            found[row[2]] = row[1]
    return found


def exercised():
    """Targets in the programs, without torch.ops. and aten."""
    found = set()
    for path in OPS.glob("*.pt2"):
        with zipfile.ZipFile(path) as archive:
            model = next(name for name in archive.namelist() if "/models/" in name)
            targets = re.findall(r'"target":"torch\.ops\.(\w+)\.([^"]+)"', archive.read(model).decode())
        found |= {("" if space == "aten" else space + "::") + name.removesuffix(".default") for space, name in targets}
    return found


def rows_of(targets):
    """The rows that serve them: what ends with _ is its functional twin unless it has a row."""
    rows = set(overloads())
    for target in targets:
        name, dot, overload = target.partition(".")
        yield target if target in rows or not name.endswith("_") else name[:-1] + dot + overload


def test_every_row_has_a_case():
    missing = sorted(set(overloads()) - set(rows_of(exercised())) - set(NO_CASE))
    assert not missing, f"rows of aten.def without a case in tools/aten_rows: {missing}"


def test_reasons_are_needed():
    assert not set(NO_CASE) & set(rows_of(exercised())), "rows that do have a case"
    assert set(NO_CASE) <= set(overloads()), "rows that are gone"
