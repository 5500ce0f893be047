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


# ---- --bisect ----

def as_text(tmp_path, change):
    """The lowered graph as text, changed by hand; and what runs on it."""
    proto = b.model([b.node("MatMul", "x w", "h"), b.node("Sub", "h k", "d"), b.node("Relu", "d", "y")],
                    [b.value("x", [2, 3])], [b.value("y", [2, 4])],
                    {"w": np.arange(12, dtype=np.float32).reshape(3, 4) / 7, "k": np.float32(0.5)})
    source = b.save(proto, tmp_path / "source.onnx")
    text = support.tolite("inspect", source, "--ir").stdout
    (tmp_path / "wrong.txt").write_text(change(text))
    np.savez(tmp_path / "in.npz", x=np.array([[1, -2, 3], [0.5, 4, -1]], np.float32))
    return source, tmp_path / "wrong.txt", tmp_path / "in.npz"


def test_bisect_finds_the_op_of_a_graph_that_was_changed_and_writes_it(tmp_path):
    source, wrong, inputs = as_text(tmp_path, lambda text: text.replace("sub(", "add("))
    report = diff(source, wrong, "--bisect", "--in", inputs, "--repro", tmp_path / "piece", status=1)
    assert report["value"] == "d" and report["op"] == "add" and report["first_by"] == "local"
    assert report["local"]["cause"] == "op" and [s["stage"] for s in report["stages"]] == [str(wrong)]
    graph, io = report["graph"], report["arrays"]
    assert (graph, io) == (f"{tmp_path}/piece/graph.txt", f"{tmp_path}/piece/io.npz")
    piece = support.load(io)
    assert list(piece) == ["h", "out_0_d"] and np.array_equal(piece["out_0_d"], piece["h"] - np.float32(0.5))
    support.tolite("run", graph, "--in", io, "--out", tmp_path / "out.npz")
    assert np.array_equal(support.load(tmp_path / "out.npz")["d"], piece["h"] + np.float32(0.5))
    said = support.tolite("diff", graph, "--bisect", "--in", io, status=1).stdout
    assert "the source, as it was read, parts from the recorded outputs" in said


def test_a_piece_has_the_sizes_of_the_run_and_a_name_that_one_may_choose(tmp_path):
    wrong = changed(tmp_path, change_operator)
    report = diff(MODEL, wrong, "--bisect", "--in", HELD_OUT, "--repro", tmp_path / "add.txt", status=1)
    assert report["stages"][0]["stage"] == "import" and report["stages"][0]["agree"]
    assert report["graph"] == f"{tmp_path}/add.txt" and report["arrays"] == f"{tmp_path}/add.npz"
    n = len(support.load(HELD_OUT)["in_image"])
    assert f"sub(%0, %1) : f32[{n},24,8,8]" in (tmp_path / "add.txt").read_text()


def test_bisect_of_a_sound_conversion(tmp_path):
    report = diff(MODEL, "--bisect", "--random")
    assert report["agree"] and [s["stage"] for s in report["stages"]] == ["file"]
    assert "nothing parts" in support.tolite("diff", MODEL, "--bisect", "--in", HELD_OUT).stdout


def test_bisect_stands_alone():
    assert "--repro needs --bisect" in support.tolite("diff", MODEL, MODEL, "--random", "--repro", "d", status=2).stderr
    said = support.tolite("diff", MODEL, "--bisect", "--nhwc", "--random", status=2).stderr
    assert "--bisect with --nhwc: not yet in this version" in said
