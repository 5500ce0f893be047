"""Control flow and several entries through every layer."""
import numpy as np
import pytest

import builders as b
import support


@pytest.mark.parametrize("name", ["cond_net", "while_net"])
def test_control_network(name, tmp_path):
    source, out = support.network(name, "model.dynamo.onnx"), tmp_path / "m.tflite"
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


def check(proto, samples, tmp_path):
    """Source and file in our executor, the file in LiteRT with and without delegate, against onnxruntime."""
    source, out = b.save(proto, tmp_path / "m.onnx"), tmp_path / "m.tflite"
    support.tolite("convert", source, "-o", out)
    for feeds in samples:
        expected = b.reference(proto, feeds)
        for delegate in (True, False):
            runner = support.LiteRT(out, delegate)
            for _ in range(2):
                support.assert_agree(runner([feeds[d["name"]] for d in runner.inputs]), expected, f"delegate {delegate}")
        np.savez(tmp_path / "in.npz", **feeds)
        for model in (source, out):
            support.tolite("run", model, "--in", tmp_path / "in.npz", "--out", tmp_path / "y.npz")
            support.assert_agree(list(support.load(tmp_path / "y.npz").values()), expected, model.name)


def loop_body(goes_on):
    """h doubles; its value before and the iteration come out of every turn."""
    import onnx
    return onnx.helper.make_graph(
        [b.node("Add", "h h", "h1"), b.node("Identity", "h", "row"), b.node("Identity", "i", "turn"), *goes_on], "body",
        [b.value("i", [], b.INT64), b.value("go", [], b.BOOL), b.value("h", [2])],
        [b.value("go1", [], b.BOOL), b.value("h1", [2]), b.value("row", [2]), b.value("turn", [], b.INT64)])


@pytest.mark.parametrize("trips", [True, False])
def test_rows_of_a_loop_that_ends_by_itself(trips, tmp_path):
    import onnx
    body = loop_body([b.node("ReduceMax", "h1", "m", keepdims=0), b.node("Less", "m limit", "go1")])
    nodes = [b.node("Less", "zero x0", "go0"), b.node("Gather", "x k", "x0"),
             onnx.helper.make_node("Loop", ["n" if trips else "", "go0", "x"], ["last", "rows", "turns"], body=body)]
    nodes = [nodes[1], nodes[0], nodes[2]]
    inputs = [b.value("x", [2])] + ([b.value("n", [], b.INT64)] if trips else [])
    proto = b.model(nodes, inputs, [b.value("last", [2]), b.value("rows", [None, 2]), b.value("turns", [None], b.INT64)],
                    {"limit": np.float32(20), "zero": np.float32(0), "k": np.array(0)})
    samples = [{"x": np.array(x, np.float32)} for x in ([1, 3], [9, 50], [-1, 1])]
    check(proto, [{**s, **({"n": np.array(3)} if trips else {})} for s in samples], tmp_path)


def test_rows_of_a_loop_with_a_computed_number_of_turns(tmp_path):
    import onnx
    body = loop_body([b.node("Identity", "go", "go1")])
    nodes = [onnx.helper.make_node("Loop", ["n", "", "x"], ["last", "rows", "turns"], body=body)]
    proto = b.model(nodes, [b.value("x", [2]), b.value("n", [], b.INT64)],
                    [b.value("last", [2]), b.value("rows", [None, 2]), b.value("turns", [None], b.INT64)])
    check(proto, [{"x": np.array([1, 3], np.float32), "n": np.array(n)} for n in (4, 1, 0)], tmp_path)


@pytest.mark.parametrize("trips", ["n", ""])
def test_elements_whose_sizes_the_loop_alone_knows(trips, tmp_path):
    """Every turn gives the part of x behind `from`, for a computed number of turns or until `until` is reached."""
    import onnx
    body = onnx.helper.make_graph(
        [b.node("Slice", "x from far", "part"), b.node("Mul", "part h", "row"), b.node("Add", "h one", "h1"),
         b.node("Less", "h1 until", "go1")], "body",
        [b.value("i", [], b.INT64), b.value("go", [], b.BOOL), b.value("h", [])],
        [b.value("go1", [], b.BOOL), b.value("h1", []), b.value("row", [None, 2])])
    proto = b.model([onnx.helper.make_node("Loop", [trips, "go", "zero"], ["h", "rows"], body=body)],
                    [b.value("x", [5, 2]), b.value("from", [1], b.INT64), b.value("until", [])]
                    + [b.value("n", [], b.INT64)] * bool(trips),
                    [b.value("h", []), b.value("rows", [None, None, 2])],
                    {"far": np.array([9]), "one": np.float32(1), "zero": np.float32(0), "go": np.array(True)})
    x = np.arange(10, dtype=np.float32).reshape(5, 2)
    samples = [{"x": x, "from": np.array([start]), "until": np.float32(until), **({"n": np.array(n)} if trips else {})}
               for start, until, n in [(2, 4, 3), (4, 2, 7), (0, 3, 1)]]
    check(proto, samples, tmp_path)


@pytest.mark.parametrize("open_length", [True, False])
def test_scan_along_other_axes_and_backwards(open_length, tmp_path):
    import onnx
    body = onnx.helper.make_graph(
        [b.node("Add", "s a", "sa"), b.node("Mul", "sa w", "s1"), b.node("Add", "s1 c", "p"), b.node("Sub", "s1 c", "q")],
        "body", [b.value("s", [2]), b.value("a", [2]), b.value("c", [2])],
        [b.value("s1", [2]), b.value("p", [2]), b.value("q", [2])])
    node = onnx.helper.make_node("Scan", ["s0", "a", "c"], ["last", "p", "q"], body=body, num_scan_inputs=2,
                                 scan_input_axes=[1, -2], scan_input_directions=[0, 1], scan_output_axes=[0, 1],
                                 scan_output_directions=[1, 0])
    t = "t" if open_length else 4
    proto = b.model([node], [b.value("s0", [2]), b.value("a", [2, t]), b.value("c", [t, 2])],
                    [b.value("last", [2]), b.value("p", [None, 2]), b.value("q", [2, None])],
                    {"w": np.array([0.5, 1.5], np.float32)})
    rng = np.random.default_rng(0)
    samples = [{"s0": rng.normal(size=2).astype(np.float32), "a": rng.normal(size=(2, n)).astype(np.float32),
                "c": rng.normal(size=(n, 2)).astype(np.float32)} for n in ((4, 7) if open_length else (4,))]
    check(proto, samples, tmp_path)


def test_loop_collects_rows_of_half_an_open_size(tmp_path):
    """Rows of ⌈n / 2⌉ numbers: a size that is a quotient of what is known outside of the loop."""
    body = b.helper.make_graph(
        [b.node("Identity", "go", "goes"), b.node("Slice", "x zero end zero two", "half"), b.node("Add", "half sum", "row"),
         b.node("ReduceSum", "row", "next", keepdims=0)], "body",
        [b.value("i", [], b.INT64), b.value("go", [], b.BOOL), b.value("sum", [])],
        [b.value("goes", [], b.BOOL), b.value("next", []), b.value("row", None)])
    proto = b.model([b.helper.make_node("Loop", ["trips", "", "start"], ["last", "rows"], body=body)], [b.value("x", ["n"])],
                    [b.value("last", []), b.value("rows", [3, "m"])],
                    {"trips": np.int64(3), "start": np.float32(0), "zero": np.array([0]), "end": np.array([2**62]),
                     "two": np.array([2])})
    path = b.save(proto, tmp_path / "m.onnx")
    np.savez(tmp_path / "x.npz", x=np.arange(1, 6, dtype=np.float32))
    support.tolite("run", path, "--in", tmp_path / "x.npz", "--out", tmp_path / "y.npz")
    expected = b.reference(proto, {"x": np.arange(1, 6, dtype=np.float32)})
    support.assert_agree(list(support.load(tmp_path / "y.npz").values()), expected, "source")


# ---- a voice detector: which network runs depends on the sampling rate, and inside on how the call began ----

HIDDEN, FRAMES, FEATURES = 12, 4, 16


def lstm_branch(name, seed, hop):
    """Frames of the signal through a convolution and an LSTM, which carries the state; the chance of voice."""
    rng = np.random.default_rng(seed)

    def w(*shape):
        return (rng.normal(size=shape) / 3).astype(np.float32)

    weights = {"k": w(FEATURES, 1, hop), "W": w(1, 4 * HIDDEN, FEATURES), "R": w(1, 4 * HIDDEN, HIDDEN), "B": w(1, 8 * HIDDEN),
               "o": w(HIDDEN, 1), "last": np.int64(FRAMES - 1)}
    init = [b.tensor(f"{name}_{k}", v) for k, v in weights.items()]
    n = name
    nodes = [b.node("Conv", f"signal {n}_k", f"{n}_c", strides=[hop]),
             b.node("Relu", f"{n}_c", f"{n}_r"),
             b.node("Transpose", f"{n}_r", f"{n}_t", perm=[2, 0, 1]),
             b.node("LSTM", f"{n}_t {n}_W {n}_R {n}_B length h c", f"{n}_all {n}_h {n}_c2",
                    hidden_size=HIDDEN),
             b.node("Gather", f"{n}_all {n}_last", f"{n}_l", axis=0),
             b.node("Squeeze", f"{n}_l zero", f"{n}_s"),
             b.node("MatMul", f"{n}_s {n}_o", f"{n}_m"),
             b.node("Sigmoid", f"{n}_m", f"{n}_p")]
    outputs = [b.value(f"{n}_p", (1, 1)), b.value(f"{n}_h", (1, 1, HIDDEN)), b.value(f"{n}_c2", (1, 1, HIDDEN))]
    return b.helper.make_graph(nodes, name, [], outputs, init)


def inner_choice(name, seed, hop):
    """Loud signals and quiet ones have weights of their own."""
    n = name
    nodes = [b.node("ReduceMax", "signal", f"{n}_max", keepdims=0),
             b.node("Greater", f"{n}_max level", f"{n}_loud"),
             b.node("If", f"{n}_loud", f"{n}_p {n}_h {n}_c", then_branch=lstm_branch(f"{n}_a", seed, hop),
                    else_branch=lstm_branch(f"{n}_b", seed + 1, hop))]
    outputs = [b.value(f"{n}_p", (1, 1)), b.value(f"{n}_h", (1, 1, HIDDEN)), b.value(f"{n}_c", (1, 1, HIDDEN))]
    return b.helper.make_graph(nodes, name, [], outputs)


def voice_detector():
    nodes = [b.node("Equal", "rate wide", "is_wide"),
             b.node("If", "is_wide", "p hn cn", then_branch=inner_choice("w", 1, 32), else_branch=inner_choice("n", 5, 32))]
    state = (1, 1, HIDDEN)
    return b.model(nodes, [b.value("signal", (1, 1, 32 * FRAMES)), b.value("rate", (), b.INT64), b.value("h", state),
                           b.value("c", state)],
                   [b.value("p", (1, 1)), b.value("hn", state), b.value("cn", state)],
                   {"wide": np.int64(16000), "level": np.float32(1.5), "zero": np.array([0], np.int64),
                    "length": np.array([FRAMES], np.int32)})


def test_voice_detector(tmp_path):
    """If inside If, an LSTM in every branch, its state handed from call to call."""
    proto = voice_detector()
    source, out = b.save(proto, tmp_path / "vad.onnx"), tmp_path / "vad.tflite"
    support.tolite("convert", source, "-o", out)
    names = support.litert_names(out)[0]
    runners = [support.LiteRT(out, delegate) for delegate in (True, False)]
    rng, state = np.random.default_rng(3), [np.zeros((1, 1, HIDDEN), np.float32)] * 2
    seen = set()
    for call in range(8):
        loud = call % 3 == 0
        feeds = {"signal": (rng.uniform(-1, 1, (1, 1, 32 * FRAMES)) * (3 if loud else 1)).astype(np.float32),
                 "rate": np.array(16000 if call % 2 else 8000, np.int64), "h": state[0], "c": state[1]}
        expected = b.reference(proto, feeds)
        seen.add((loud, call % 2))
        for runner in runners:
            support.assert_agree(runner(support.ordered(feeds, names)), expected, f"call {call}")
        np.savez(tmp_path / "in.npz", **feeds)
        for model in (source, out):
            support.tolite("run", model, "--in", tmp_path / "in.npz", "--out", tmp_path / "y.npz")
            support.assert_agree(list(support.load(tmp_path / "y.npz").values()), expected, f"call {call}, {model.name}")
        state = expected[1:]
    assert len(seen) == 4
