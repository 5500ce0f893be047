"""Sequences and optional values: lists of known length, nothing of which is left in the file but inputs and outputs
NAME.0, NAME.1, ..."""
import numpy as np
import onnx
import onnxruntime
import pytest

import builders as b
import support

H = onnx.helper
RNG = np.random.default_rng(3)


def f(*shape):
    return RNG.normal(0, 1, shape).astype(np.float32)


def sequence(name):
    return H.make_tensor_sequence_value_info(name, b.FLOAT, None)


def check(tmp_path, nodes, feeds, initializers=(), outputs=("y",), opset=18):
    kind = H.np_dtype_to_tensor_dtype
    proto = b.model(nodes, [b.value(k, x.shape, kind(x.dtype)) for k, x in feeds.items()],
                    [H.make_empty_tensor_value_info(o) for o in outputs], initializers, opset=opset)
    expected = b.reference(proto, feeds)
    path, out = b.save(proto, tmp_path / "m.onnx"), tmp_path / "m.tflite"
    np.savez(tmp_path / "in.npz", **feeds)
    support.tolite("convert", path, "-o", out)
    for model in (path, out):
        support.tolite("run", model, "--in", tmp_path / "in.npz", "--out", tmp_path / "out.npz")
        support.assert_agree(list(support.load(tmp_path / "out.npz").values()), expected, model.name)
    for delegate in (True, False):
        support.assert_agree(support.LiteRT(out, delegate)(list(feeds.values())), expected, "LiteRT")


X, Y = f(2, 3), f(2, 3)


@pytest.mark.parametrize("at", [-2, -1, 0, 1, 2])
def test_positions(at, tmp_path):
    nodes = [b.node("SequenceConstruct", "x y", "s"), b.node("SequenceInsert", "s z at", "t"),
             b.node("SequenceErase", "t zero", "u"), b.node("SequenceInsert", "u x", "v"), b.node("SequenceLength", "v", "n"),
             b.node("ConcatFromSequence", "v", "y2", axis=1)]
    check(tmp_path, nodes, {"x": X, "y": Y, "z": f(2, 3)}, {"at": np.int64(at), "zero": np.int64(0)}, ["y2", "n"])


def test_a_position_at_run_time(tmp_path):
    nodes = [b.node("SequenceConstruct", "x y", "s"), b.node("SequenceAt", "s i", "out")]
    for i in (0, 1, -1):
        check(tmp_path, nodes, {"x": X, "y": Y, "i": np.int64(i)}, outputs=["out"])


@pytest.mark.parametrize("split,keep", [(None, 1), (None, 0), (np.int64(2), 1), (np.array([1, 4]), 1)])
def test_split(split, keep, tmp_path):
    nodes = [b.node("SplitToSequence", "x split" if split is not None else "x", "s", axis=1, keepdims=keep),
             b.node("SequenceAt", "s last", "y"), b.node("SequenceLength", "s", "n")]
    init = {"last": np.int64(-1)} | ({"split": split} if split is not None else {})
    check(tmp_path, nodes, {"x": f(2, 5)}, init, ["y", "n"])


def body(nodes, inputs, outputs):
    return H.make_graph(nodes, "body", inputs, outputs)


@pytest.mark.parametrize("trips", [1, 4])
def test_a_loop_that_fills_a_sequence(trips, tmp_path):
    """How torch writes as_strided, and lists that grow."""
    inner = body([b.node("Cast", "i", "f", to=b.FLOAT), b.node("Mul", "x f", "r"), b.node("SequenceInsert", "s r", "t"),
                  b.node("Identity", "c", "d"), b.node("Add", "a r", "a2"), b.node("Identity", "i", "scan")],
                 [b.value("i", [], b.INT64), b.value("c", [], b.BOOL), sequence("s"), b.value("a", [2, 3])],
                 [b.value("d", [], b.BOOL), sequence("t"), b.value("a2", [2, 3]), b.value("scan", [], b.INT64)])
    nodes = [b.node("SequenceEmpty", "", "s0"), H.make_node("Loop", ["n", "", "s0", "x"], ["s1", "sum", "all"], body=inner),
             b.node("ConcatFromSequence", "s1", "y", axis=0, new_axis=1)]
    check(tmp_path, nodes, {"x": X}, {"n": np.int64(trips)}, ["y", "sum", "all"])


def test_map(tmp_path):
    inner = body([b.node("Add", "a b", "c")], [b.value("a", None), b.value("b", None)], [b.value("c", None)])
    nodes = [b.node("SequenceConstruct", "x y", "s"), H.make_node("SequenceMap", ["s", "x"], ["t"], body=inner),
             b.node("ConcatFromSequence", "t", "out", axis=0)]
    check(tmp_path, nodes, {"x": X, "y": Y}, outputs=["out"])


def test_a_sequence_seen_from_a_branch(tmp_path):
    """Elements become operands of the branch."""
    yes = body([b.node("SequenceAt", "s one", "t"), b.node("Neg", "t", "r")], [], [b.value("r", [2, 3])])
    no = body([b.node("ConcatFromSequence", "s", "u", axis=0), b.node("Slice", "u zero two", "e")], [], [b.value("e", [2, 3])])
    nodes = [b.node("SequenceConstruct", "x y", "s"), H.make_node("If", ["c"], ["out"], then_branch=yes, else_branch=no)]
    init = {"one": np.int64(1), "zero": np.array([1]), "two": np.array([3])}
    for c in (True, False):
        check(tmp_path, nodes, {"x": X, "y": Y, "c": np.bool_(c)}, init, ["out"])


def test_optional_values(tmp_path):
    nodes = [b.node("Optional", "x", "o"), b.node("OptionalHasElement", "o", "h"), b.node("OptionalGetElement", "o", "g"),
             b.node("Relu", "g", "y")]
    check(tmp_path, nodes, {"x": X}, outputs=["y", "h"])


def check_lists(tmp_path, proto, feeds, options=(), leaves=None):
    """As check, with sequences at the border: their elements are inputs and outputs NAME.0, NAME.1, ..."""
    path, out = b.save(proto, tmp_path / "m.onnx"), tmp_path / "m.tflite"
    expected = {}
    session = onnxruntime.InferenceSession(path)
    for o, y in zip(proto.graph.output, session.run(None, feeds)):
        expected |= {f"{o.name}.{i}": e for i, e in enumerate(y)} if isinstance(y, list) else {o.name: y}
    flat = {}
    for name, x in feeds.items():
        flat |= {f"{name}.{i}": e for i, e in enumerate(x)} if isinstance(x, list) else {name: x}
    np.savez(tmp_path / "in.npz", **flat)
    support.tolite("convert", path, "-o", out, *options)
    assert support.litert_names(out)[1] == list(expected)
    support.tolite("run", out, "--in", tmp_path / "in.npz", "--out", tmp_path / "out.npz")
    found = support.load(tmp_path / "out.npz")
    assert list(found) == list(expected)
    support.assert_agree(list(found.values()), list(expected.values()), "executor")
    for delegate in (True, False):
        support.assert_agree(support.LiteRT(out, delegate)(list(flat.values())), list(expected.values()), "LiteRT")


def test_a_sequence_as_output(tmp_path):
    nodes = [b.node("SplitToSequence", "x two", "parts", axis=1), b.node("ReduceSum", "x", "sum", keepdims=0)]
    proto = b.model(nodes, [b.value("x", [2, 5])], [sequence("parts"), b.value("sum", [])], {"two": np.int64(2)}, opset=18)
    check_lists(tmp_path, proto, {"x": f(2, 5)})


def test_a_sequence_as_input(tmp_path):
    nodes = [b.node("ConcatFromSequence", "s", "y", axis=0), b.node("SequenceInsert", "s x", "t")]
    proto = b.model(nodes, [sequence("s"), b.value("x", [2, 3])], [b.value("y", [None, 3]), sequence("t")], opset=18)
    check_lists(tmp_path, proto, {"s": [f(2, 3), f(4, 3)], "x": X}, ["--input", "s.0=2,3", "--input", "s.1=4,3"])


def test_a_sequence_from_a_branch(tmp_path):
    yes = body([b.node("Neg", "x", "a"), b.node("SequenceConstruct", "a y", "s")], [], [sequence("s")])
    no = body([b.node("SequenceConstruct", "y x", "t")], [], [sequence("t")])
    nodes = [H.make_node("If", ["c"], ["z"], then_branch=yes, else_branch=no), b.node("SequenceAt", "z one", "last")]
    proto = b.model(nodes, [b.value("x", [2, 3]), b.value("y", [2, 3]), b.value("c", [], b.BOOL)],
                    [sequence("z"), b.value("last", [2, 3])], {"one": np.int64(1)}, opset=18)
    for c in (True, False):
        check_lists(tmp_path, proto, {"x": X, "y": Y, "c": np.array(c)})


def refused(tmp_path, nodes, feeds, *words, status=4, outputs=("y",), initializers=()):
    kind = H.np_dtype_to_tensor_dtype
    proto = b.model(nodes, [b.value(k, x.shape, kind(x.dtype)) for k, x in feeds.items()],
                    [H.make_empty_tensor_value_info(o) for o in outputs], initializers, opset=18)
    path = b.save(proto, tmp_path / "m.onnx")
    said = support.tolite("convert", path, "-o", tmp_path / "m.tflite", status=status).stderr
    for word in words:
        assert word in said, said


def test_what_cannot_be_is_named(tmp_path):
    construct, empty = b.node("SequenceConstruct", "x x", "s"), b.node("SequenceEmpty", "", "s")
    refused(tmp_path, [b.node("SequenceEmpty", "", "y"), b.node("Relu", "x", "z")], {"x": X}, "output y", "no elements",
            outputs=("y", "z"))
    refused(tmp_path, [b.node("SequenceConstruct", "x z", "s"), b.node("SequenceAt", "s i", "y")],
            {"x": X, "z": f(4), "i": np.int64(0)}, "position in a sequence", "run time")
    refused(tmp_path, [construct, b.node("SequenceAt", "s i", "y")], {"x": X}, "position 2", "2 elements", status=3,
            initializers={"i": np.int64(2)})
    refused(tmp_path, [empty, b.node("SequenceErase", "s", "t"), b.node("SequenceLength", "t", "y")], {"x": X}, "empty sequence",
            status=3)
    refused(tmp_path, [b.node("SequenceAt", "x i", "y")], {"x": X, "i": np.int64(0)}, "SequenceAt", "not known")
    inner = body([b.node("SequenceInsert", "s x", "t"), b.node("Identity", "c", "d")],
                 [b.value("i", [], b.INT64), b.value("c", [], b.BOOL), sequence("s")], [b.value("d", [], b.BOOL), sequence("t")])
    refused(tmp_path, [empty, H.make_node("Loop", ["n", "", "s"], ["t2"], body=inner), b.node("SequenceLength", "t2", "y")],
            {"x": X, "n": np.int64(3)}, "number of iterations is not known")
    refused(tmp_path, [construct, b.node("Relu", "s", "y")], {"x": X}, "Relu", "expected tensors")
    yes, no = (body([b.node("SequenceConstruct", names, "s")], [], [sequence("s")]) for names in ("x", "x x"))
    refused(tmp_path, [H.make_node("If", ["c"], ["z"], then_branch=yes, else_branch=no), b.node("SequenceLength", "z", "y")],
            {"x": X, "c": np.bool_(True)}, "1 and 2 elements", "not known")
    proto = b.model([b.node("SequenceLength", "s", "y")], [sequence("s")], [b.value("y", [], b.INT64)], opset=18)
    said = support.tolite("convert", b.save(proto, tmp_path / "m.onnx"), "-o", tmp_path / "m.tflite", status=4).stderr
    assert "input s" in said and "--input s.0=DIMS" in said
