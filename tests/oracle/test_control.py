"""Control flow and several entries through every layer."""
import numpy as np
import pytest

import builders as b
import support


@pytest.mark.parametrize("name", ["cond_net", "while_net"])
def test_control_network(name, tmp_path):
    if not support.networks():
        pytest.skip("the test networks are not beside this clone")
    source, out = support.MODELS / name / "model.dynamo.onnx", tmp_path / "m.tflite"
    support.tolite("convert", source, "-o", out)
    names = support.litert_names(out)[0]
    for io in sorted((support.MODELS / name).glob("io*.npz")):
        inputs, outputs = support.golden(io)
        for delegate in (True, False):
            runner = support.LiteRT(out, delegate)
            for _ in range(2):
                support.assert_agree(runner(support.ordered(inputs, names)), outputs, f"{io.name}, delegate {delegate}")
        for model in (source, out):
            support.tolite("run", model, "--in", io, "--out", tmp_path / "y.npz")
            support.assert_agree(list(support.load(tmp_path / "y.npz").values()), outputs, f"{io.name}, {model.name}")


TWO_SIGNATURES = """model "pair"
const %w "w" : f32[3,4] = random 7
entry "encode"(%0 "x": f32[2,4]) -> ("code") {
  %1 = transpose(%w) perm=[1,0]
  %2 = matmul(%0, %1)
  return %2
}
entry "decode"(%0 "code": f32[2,3]) -> ("y") {
  %1 = matmul(%0, %w)
  return %1
}
"""


def test_two_signatures_share_their_weights(tmp_path):
    source, out = tmp_path / "pair.tlir", tmp_path / "pair.tflite"
    source.write_text(TWO_SIGNATURES)
    support.tolite("convert", source, "-o", out)
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(str(out))
    signatures = interpreter.get_signature_list()
    assert set(signatures) == {"encode", "decode"}
    assert signatures["encode"] == {"inputs": ["x"], "outputs": ["code"]}
    x = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    code = interpreter.get_signature_runner("encode")(x=x)["code"]
    y = interpreter.get_signature_runner("decode")(code=code)["y"]
    for signature, given, expected in (("encode", {"x": x}, code), ("decode", {"code": code}, y)):
        np.savez(tmp_path / "in.npz", **given)
        for model in (source, out):
            support.tolite("run", model, "--signature", signature, "--in", tmp_path / "in.npz", "--out", tmp_path / "y.npz")
            support.assert_agree(list(support.load(tmp_path / "y.npz").values()), [expected], signature)


def test_if_with_captures_and_loop_with_state(tmp_path):
    import onnx
    then = onnx.helper.make_graph([b.node("Mul", "x k", "t")], "then", [], [b.value("t", [2, 3])])
    other = onnx.helper.make_graph([b.node("Sub", "x k", "e")], "else", [], [b.value("e", [2, 3])])
    body = onnx.helper.make_graph(
        [b.node("Add", "h k", "h1"), b.node("Identity", "h", "prev1"), b.node("Identity", "go", "go1")], "body",
        [b.value("i", [], b.INT64), b.value("go", [], b.BOOL), b.value("h", [2, 3]), b.value("prev", [2, 3])],
        [b.value("go1", [], b.BOOL), b.value("h1", [2, 3]), b.value("prev1", [2, 3])])
    nodes = [b.node("ReduceSum", "x", "s", keepdims=0), b.node("Greater", "s zero", "c"),
             onnx.helper.make_node("If", ["c"], ["z"], then_branch=then, else_branch=other),
             onnx.helper.make_node("Loop", ["n", "", "z", "x"], ["last", "before"], body=body)]
    proto = b.model(nodes, [b.value("x", [2, 3]), b.value("n", [], b.INT64)], [b.value("last", [2, 3]), b.value("before", [2, 3])],
                    {"k": np.arange(6, dtype=np.float32).reshape(2, 3), "zero": np.float32(0)})
    source, out = b.save(proto, tmp_path / "m.onnx"), tmp_path / "m.tflite"
    support.tolite("convert", source, "-o", out)
    for sign in (1, -1):
        for n in (0, 1, 5):
            feeds = {"x": np.full((2, 3), 0.5 * sign, np.float32), "n": np.array(n)}
            expected = b.reference(proto, feeds)
            for delegate in (True, False):
                runner = support.LiteRT(out, delegate)
                for _ in range(2):
                    support.assert_agree(runner([feeds["x"], feeds["n"]]), expected, f"n {n}")
            np.savez(tmp_path / "in.npz", **feeds)
            for model in (source, out):
                support.tolite("run", model, "--in", tmp_path / "in.npz", "--out", tmp_path / "y.npz")
                support.assert_agree(list(support.load(tmp_path / "y.npz").values()), expected, f"n {n}, {model.name}")
