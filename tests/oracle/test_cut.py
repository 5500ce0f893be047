"""--output and --start on programs of PyTorch: a model cut in two at any value, run one after the other, is the whole."""
import json
import re

import numpy as np
import pytest

import support

PROGRAMS = support.ROOT / "tests" / "torch" / "programs"
CASES = [(support.DIGITS / "digits.pt2", ["-i", "image=2,1,8,8"])]
NETWORKS = [("resnet18/model.pt2", []), ("views_inplace/model.pt2", []), ("gru_seq/model.pt2", []),
            ("index_put_net/model.pt2", []), ("bert_tiny/model.pt2", []),
            ("resnet18/model.script.pt", ["-i", "x=f32:1,3,48,48"]), ("views_inplace/model.ts.pt", []),
            ("mobilenet_v3_small/model.ts.pt", [])]


def values(path, options):
    """Names of the values inside, and of the inputs and outputs."""
    text = support.tolite("inspect", path, "--ir", *options).stdout
    entry = json.loads(support.tolite("inspect", path, "--json", *options).stdout)["entries"][0]
    inside = re.findall(r'^  %\d+ "([^"]+)"', text, re.M)
    return inside, [v["name"] for v in entry["inputs"]], [v["name"] for v in entry["outputs"]]


def run(path, arrays, tmp_path, *options):
    np.savez(tmp_path / "in.npz", **arrays)
    support.tolite("run", path, "--in", tmp_path / "in.npz", "--out", tmp_path / "out.npz", *options)
    return support.load(tmp_path / "out.npz")


def cut(path, options, name, tmp_path):
    head, tail = tmp_path / "head.tflite", tmp_path / "tail.tflite"
    support.tolite("convert", path, "-o", head, "--output", name, *options)
    done = support.tolite("convert", path, "-o", tail, "--start", name, *options, status=None)
    if done.returncode:
        assert done.returncode == 4 and "it shares its elements with another value" in done.stderr, done.stderr
        return None
    return head, tail


def check_parts(path, options, tmp_path, most):
    inside, inputs, outputs = values(path, options)
    whole = tmp_path / "whole.tflite"
    support.tolite("convert", path, "-o", whole, *options)
    shapes = json.loads(support.tolite("inspect", whole, "--json").stdout)["entries"][0]["inputs"]
    rng = np.random.default_rng(1)
    types = {"f32": np.float32, "i64": np.int64, "i32": np.int32, "bool": np.bool_}
    arrays = {v["name"]: np.abs(2 * rng.normal(size=v["shape"])).astype(types[v["dtype"]]) for v in shapes}
    expected = run(whole, arrays, tmp_path)
    names, refused = [n for n in inside if n not in outputs], 0
    for name in names[:: max(1, len(names) // most)]:
        parts = cut(path, options, name, tmp_path)
        if not parts:
            refused += 1
            continue
        head, tail = parts
        middle = run(head, arrays, tmp_path)
        assert list(middle) == [name]
        needed = json.loads(support.tolite("inspect", tail, "--json").stdout)["entries"][0]["inputs"]
        given = {**arrays, **middle}
        result = run(tail, {v["name"]: given[v["name"]] for v in needed}, tmp_path)
        support.assert_agree(list(result.values()), list(expected.values()), f"{path.name} cut at {name}")
    assert refused == 0 or "views" in str(path)


@pytest.mark.parametrize("path, options", CASES, ids=["digits"])
def test_bundled_program(path, options, tmp_path):
    check_parts(path, options, tmp_path, 30)


@pytest.mark.parametrize("name, options", NETWORKS, ids=[n for n, _ in NETWORKS])
def test_networks(name, options, tmp_path):
    path = support.network(name)
    if name.endswith("ts.pt"):
        x = list(support.golden(path.parent / "io.npz")[0].values())[0]
        options = ["-i", f"x=f32:{','.join(map(str, x.shape))}"]
    check_parts(path, options, tmp_path, 40)


def test_names_that_do_not_exist(tmp_path):
    script = PROGRAMS / "Tuples.pt"
    for path, options in ((support.DIGITS / "digits.pt2", []), (script, ["-i", "x=f32:3"])):
        for option in ("--start", "--output"):
            said = support.tolite("convert", path, "-o", tmp_path / "x.tflite", option, "nosuch", *options, status=2).stderr
            assert "no value is named nosuch" in said and "O002" in said
