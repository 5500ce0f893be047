"""Operators of ATen, one by one: every program of tests/torch/ops (tools/aten_cases.py) run by us as it is, converted,
the file run by us and by LiteRT with and without its delegate, against what PyTorch computed."""
import json
import re
import zlib

import numpy as np
import pytest

import support

OPS = support.ROOT / "tests" / "torch" / "ops"
TABLE = support.ROOT / "src" / "import" / "torch" / "aten.def"


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


def differences(results, expected, who, runtime=False):
    """runtime: LiteRT's own kernels lose NaN and infinities, so places where PyTorch has them do not count."""
    if len(results) != len(expected):
        return [f"{who}: {len(results)} outputs, expected {len(expected)}"]
    found = []
    for result, (name, reference) in zip(results, expected.items()):
        if runtime and reference.dtype.kind == "f" and result.shape == reference.shape:
            result = np.where(np.isfinite(reference), result, reference)
        # two roundings of half precision
        problem = support.disagreement(result, reference, 2e-3 if reference.dtype == np.float16 else 1e-4)
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
