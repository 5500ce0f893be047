"""`tolite bench`: what it reports, not how fast it is."""
import json

import pytest

import support

MODEL = support.DIGITS / "digits.onnx"


@pytest.fixture(scope="module")
def tflite(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "digits.tflite"
    support.tolite("convert", MODEL, "-o", path, "-q")
    return path


def bench(*args):
    return json.loads(support.tolite("bench", *args, "--json").stdout)


def test_one_file(tflite):
    report = bench(tflite, "--runs", 12, "--warmup", 0, "-t", 1)
    (row,) = report["files"]
    assert row["file"] == str(tflite) and row["runs"] == 12 and row["nodes"] > 5
    assert 0 < row["min_ms"] <= row["median_ms"] <= row["p99_ms"] and row["min_ms"] <= row["mean_ms"]
    assert row["load_ms"] > 0 and row["first_ms"] > 0
    assert row["weight_bytes"] > 10000 and row["activation_bytes"] > 1000 and report["peak_bytes"] > 1000000
    assert "layers" not in row


def test_several_files_and_where_the_time_goes(tflite):
    report = bench(MODEL, tflite, "--runs", 5, "--layers")
    assert [row["file"] for row in report["files"]] == [str(MODEL), str(tflite)]
    for row in report["files"]:
        assert sum(op["count"] for op in row["ops"]) == len(row["layers"])
        assert sum(op["share"] for op in row["ops"]) == pytest.approx(1, abs=0.01)
        assert sum(layer["ms"] for layer in row["layers"]) == pytest.approx(sum(op["ms"] for op in row["ops"]), rel=0.01)
        times = [layer["ms"] for layer in row["layers"]]
        assert times == sorted(times, reverse=True)
    ops = {op["op"] for op in report["files"][1]["ops"]}
    assert "CONV_2D" in ops
    assert any(layer.get("source_op") == "Conv" or "BatchNormalization" in layer.get("source_op", "")
               for layer in report["files"][1]["layers"])


def test_the_table(tflite):
    done = support.tolite("bench", MODEL, tflite, "--runs", 5, "--layers")
    lines = done.stdout.splitlines()
    assert lines[0].split()[:2] == ["ms", "load"] and lines[1].startswith(str(MODEL)) and lines[2].endswith(" x")
    assert any("by op" in line for line in lines) and any("by node" in line for line in lines)


def test_stages_inputs_and_mistakes(tflite):
    assert bench(MODEL, "--stage", "lowered", "--runs", 3)["files"][0]["nodes"] > 5
    assert bench(MODEL, "--in", support.DIGITS / "held_out.npz", "--runs", 3, "--reference")["files"][0]["runs"] == 3
    support.tolite("bench", MODEL, "--stage", "nowhere", status=2)
    support.tolite("bench", MODEL, "--runs", "0", status=2)
    support.tolite("bench", support.DIGITS / "nothing.onnx", status=5)
    support.tolite("bench", status=2)
