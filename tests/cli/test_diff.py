"""`tolite diff`: which node brings a difference in."""
import json
import sys

import numpy as np
import onnx
import pytest

import support

sys.path.insert(0, str(support.ROOT / "tests" / "oracle"))
import builders as b  # noqa: E402

MODEL = support.DIGITS / "digits.onnx"
HELD_OUT = support.DIGITS / "held_out.npz"


def diff(*args, status=0):
    return json.loads(support.tolite("diff", *args, "--json", status=status).stdout)


def changed(tmp_path, change):
    proto = onnx.load(MODEL)
    change(proto)
    onnx.save(proto, tmp_path / "changed.onnx")
    return tmp_path / "changed.onnx"


def errors(report):
    return [v for v in report["samples"][0]["values"] if "local" in v and not v["local"]["agree"]]


def change_operator(proto):
    next(n for n in proto.graph.node if n.op_type == "Add").op_type = "Sub"


def change_weights(proto):
    """Every weight of the second convolution, by a percent."""
    name = [n for n in proto.graph.node if n.op_type == "Conv"][1].input[1]
    for w in proto.graph.initializer:
        if w.name == name:
            array = onnx.numpy_helper.to_array(w) * np.float32(1.01)
            w.CopyFrom(onnx.numpy_helper.from_array(array, name))


@pytest.mark.parametrize("change", [change_operator, change_weights])
def test_the_node_that_errs_is_named_and_none_behind_it(tmp_path, change):
    report = diff(MODEL, changed(tmp_path, change), "--in", HELD_OUT, status=1)
    (sample,) = report["samples"]
    (first,) = [v for v in sample["values"] if v.get("first")]
    assert sample["first_by"] == "local" and first["local"]["cause"] == "op"
    assert [v["value"] for v in errors(report)] == [first["value"]]
    behind = [v for v in sample["values"] if not v["agree"]]
    assert len(behind) > 1, "errors are carried on"
    assert first["source_op"] in ("Add", "Sub", "Conv", "BatchNormalization", "Clip")


def test_agreeing_models_need_no_search_unless_asked(tmp_path):
    report = diff(MODEL, "--stage", "source,file", "--in", HELD_OUT)
    assert report["agree"] and not any("local" in v for v in report["samples"][0]["values"])
    report = diff(MODEL, "--stage", "source,file", "--in", HELD_OUT, "--per-op")
    values = report["samples"][0]["values"]
    assert all("local" in v and v["local"]["agree"] for v in values) and "first_by" not in report["samples"][0]


def test_the_words(tmp_path):
    said = support.tolite("diff", MODEL, changed(tmp_path, change_operator), "--in", HELD_OUT, status=1).stdout
    assert "first place where they part: /Add_output_0" in said
    assert "this op alone: max|a-b|" in said and "so far: max|a-b|" in said and "the models DIFFER" in said


def test_values_of_a_loop_are_compared_turn_by_turn(tmp_path):
    body = onnx.helper.make_graph(
        [b.node("Identity", "c", "c_out"), b.node("Mul", "v w", "v_out")], "body",
        [b.value("i", [], b.INT64), b.value("c", [], b.BOOL), b.value("v", [3])],
        [b.value("c_out", [], b.BOOL), b.value("v_out", [3])])
    proto = b.model([onnx.helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)], [b.value("x", [3])],
                    [b.value("y", [3])], {"n": np.array(5, np.int64), "w": np.array([1, 2, 3], np.float32)})
    path = b.save(proto, tmp_path / "loop.onnx")
    report = diff(path, "--stage", "source,file", "--random", "--per-op")
    assert report["agree"] and all(v["agree"] for v in report["samples"][0]["values"])


def test_integers_of_other_widths_are_compared_by_value(tmp_path):
    proto = b.model([b.node("Add", "x x", "s"), b.node("Cast", "s", "y", to=b.FLOAT)], [b.value("x", [4], b.INT64)],
                    [b.value("y", [4])])
    path = b.save(proto, tmp_path / "ints.onnx")
    assert diff(path, "--stage", "source,lowered", "--random", "--per-op")["agree"]
