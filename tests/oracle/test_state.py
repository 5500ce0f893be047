"""What a model keeps from one run to the next: variables inside the file, or inputs and outputs with --state io.
In LiteRT with its delegate and with plain kernels, and in our executor, over successive calls."""
import json

import numpy as np
import pytest

import support

DELAY = """model "delay"
const %c0 : i64[] = {1}
const %c1 : i32[2] = {3, 4}
entry "main"(%0 "x": f32[1,3]; %1 "a": f32[1,3], %2 "b": f32[1,3], %3 "n": i64[], %4 "on": bool[], %5 "still": f32[2], %6 "k": i32[2])
 -> ("old", "both", "count", "flag", "steps", "same"; "a", "b", "n", "on", "still", "k") {
  %7 = add(%1, %2) : f32[1,3]
  %8 = add(%3, %c0) : i64[]
  %9 = not(%4) : bool[]
  %10 = add(%6, %c1) : i32[2]
  return %2, %7, %8, %4, %10, %5, %0, %1, %8, %9, %5, %10
}
"""

# The delegate has no CUMSUM: reading and assigning end up in different parts of what it takes.
PARTED = """model "parted"
entry "main"(%0 "x": f32[1,3]; %1 "a": f32[1,3], %2 "b": f32[1,3]) -> ("y", "z"; "a", "b") {
  %3 = add(%0, %0) : f32[1,3]
  %4 = cumsum(%3) axis=1 : f32[1,3]
  %5 = mul(%4, %1) : f32[1,3]
  %6 = cumsum(%2) axis=1 : f32[1,3]
  %7 = add(%6, %5) : f32[1,3]
  return %7, %6, %0, %4
}
"""


def delayed(xs):
    a = b = np.zeros((1, 3), np.float32)
    for i, x in enumerate(xs):
        steps = np.array([3, 4], np.int32) * (i + 1)
        yield [b, a + b, np.int64(i + 1), np.bool_(i % 2), steps.astype(np.int32), np.zeros(2, np.float32)]
        a, b = x, a


def parted(xs):
    a = b = np.zeros((1, 3), np.float32)
    for x in xs:
        c, z = np.cumsum(2 * x, 1), np.cumsum(b, 1)
        yield [(z + c * a).astype(np.float32), z.astype(np.float32)]
        a, b = x, c


def calls(n=6):
    return list(np.random.default_rng(3).normal(size=(n, 1, 3)).astype(np.float32))


def write(text, tmp_path, *options):
    source, out = tmp_path / "model.txt", tmp_path / "model.tflite"
    source.write_text(text)
    support.tolite("convert", source, "-o", out, "--verify", *options)
    return source, out


def our_calls(model, xs, tmp_path, *options):
    np.savez(tmp_path / "in.npz", x=np.array(xs))
    support.tolite("run", model, "--steps", "--in", tmp_path / "in.npz", "--out", tmp_path / "out.npz", *options)
    arrays = list(support.load(tmp_path / "out.npz").values())
    return [[array[i] for array in arrays] for i in range(len(xs))]


def agree(results, expected, what):
    for i, (result, reference) in enumerate(zip(results, expected, strict=True)):
        support.assert_agree(result, reference, f"{what}, call {i}")


@pytest.mark.parametrize("text, meaning", [(DELAY, delayed), (PARTED, parted)], ids=["delay", "parted"])
def test_variables(text, meaning, tmp_path):
    source, out = write(text, tmp_path)
    xs = calls()
    expected = list(meaning(xs))
    assert support.litert_names(out)[0] == ["x"]
    for delegate in (True, False):
        runner = support.LiteRT(out, delegate)
        agree([runner([x]) for x in xs], expected, f"LiteRT, delegate {delegate}")
        agree([support.LiteRT(out, delegate)([xs[0]])], expected[:1], "a new interpreter begins anew")
    for model in (source, out):
        agree(our_calls(model, xs, tmp_path), expected, model.name)


@pytest.mark.parametrize("text, meaning", [(DELAY, delayed), (PARTED, parted)], ids=["delay", "parted"])
def test_inputs_and_outputs(text, meaning, tmp_path):
    source, out = write(text, tmp_path, "--state", "io")
    xs = calls()
    expected = list(meaning(xs))
    inputs, outputs = support.litert_names(out)
    entry, = json.loads(support.tolite("inspect", out, "--json").stdout)["entries"]
    states = [s["name"] for s in entry["states"]]
    assert all(s["io"] for s in entry["states"]) and entry["state"] == 0
    assert inputs == ["x", *states] and len(outputs) == len(expected[0]) + len(states)
    assert [o["name"] for o in entry["outputs"]][-len(states):] == states
    for delegate in (True, False):
        runner = support.LiteRT(out, delegate)
        results, state = [], [np.zeros(d["shape"], d["dtype"]) for d in runner.inputs[1:]]
        for x in xs:
            result = runner([x, *state])
            results.append(result[:-len(states)])
            state = result[-len(states):]
        agree(results, expected, f"LiteRT, delegate {delegate}")
    np.savez(tmp_path / "in.npz", x=np.array(xs))
    support.tolite("diff", source, out, "--steps", "--in", tmp_path / "in.npz")


def test_order_of_states_of_one_shape(tmp_path):
    """An LSTM's h and c: as tensors and in the signature."""
    from ai_edge_litert.interpreter import Interpreter
    source, out = write(PARTED, tmp_path, "--state", "io")
    x, a, b = calls(3)
    runner = Interpreter(str(out)).get_signature_runner()
    by_name = runner(x=x, a=a, b=b)
    y, z, next_a, next_b = support.LiteRT(out)([x, a, b])
    support.assert_agree([y, z, next_a, next_b], [by_name["y"], by_name["z"], x, np.cumsum(2 * x, 1)], "by position")
    support.assert_agree([by_name["a"], by_name["b"]], [x, np.cumsum(2 * x, 1)], "by name")


def test_a_state_gives_way_to_an_input_of_its_name(tmp_path):
    text = """model "m"
entry "main"(%0 "h": f32[2]; %1 "h": f32[2]) -> ("y"; "h") {
  %2 = add(%0, %1) : f32[2]
  return %2, %2
}
"""
    source, out = write(text, tmp_path, "--state", "io")
    entry, = json.loads(support.tolite("inspect", out, "--json").stdout)["entries"]
    assert [v["name"] for v in entry["inputs"] + entry["outputs"]] == ["h", "h.state", "y", "h.state"]


def test_open_sizes_need_io(tmp_path):
    text = """model "m"
symbol n 1..8
entry "main"(%0 "x": f32[n,2]; %1 "h": f32[n,2]) -> ("y"; "h") {
  %2 = add(%0, %1) : f32[n,2]
  return %2, %2
}
"""
    (tmp_path / "m.txt").write_text(text)
    done = support.tolite("convert", tmp_path / "m.txt", "-o", tmp_path / "m.tflite", status=4)
    assert "state h has an open size" in done.stderr and "--state io" in done.stderr
    support.tolite("convert", tmp_path / "m.txt", "-o", tmp_path / "m.tflite", "--state", "io")


def test_the_option_says_what_it_takes(tmp_path):
    assert "expected variables or io" in support.tolite("convert", "x", "--state", "maybe", status=2).stderr


# ---- files of others ----

def edit(path, change):
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    change(model, schema)
    model.metadata = []
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def codes_of(model, graph):
    return [model.operatorCodes[o.opcodeIndex].builtinCode for o in graph.operators]


def test_first_contents_other_than_zeros(tmp_path):
    first = np.array([[1, -2, 3]], np.float32)

    def change(model, schema):
        once = model.subgraphs[-1]
        assign = once.operators[codes_of(model, once).index(schema.BuiltinOperator.ASSIGN_VARIABLE)]
        tensor = once.tensors[assign.inputs[1]]
        tensor.buffer = len(model.buffers)
        model.buffers.append(schema.BufferT())
        model.buffers[-1].data = np.frombuffer(first.tobytes(), np.uint8)

    _, out = write(PARTED, tmp_path)
    edit(out, change)
    xs = calls()
    expected = [support.LiteRT(out)([xs[0]])]
    assert not np.array_equal(expected[0][0], next(parted(xs))[0]), "another state at the beginning"
    runner = support.LiteRT(out)
    agree(our_calls(out, xs, tmp_path), [runner([x]) for x in xs], "our executor")


def test_a_variable_without_contents(tmp_path):
    def change(model, schema):
        graph = model.subgraphs[0]
        del graph.operators[codes_of(model, graph).index(schema.BuiltinOperator.CALL_ONCE)]

    _, out = write(PARTED, tmp_path)
    edit(out, change)
    assert "read before anything is assigned" in support.tolite("inspect", out, status=3).stderr


def test_first_contents_that_are_computed(tmp_path):
    def change(model, schema):
        once = model.subgraphs[-1]
        code = codes_of(model, once)
        assign = once.operators[code.index(schema.BuiltinOperator.ASSIGN_VARIABLE)]
        model.operatorCodes.append(schema.OperatorCodeT())
        model.operatorCodes[-1].builtinCode = schema.BuiltinOperator.NEG
        model.operatorCodes[-1].deprecatedBuiltinCode = schema.BuiltinOperator.NEG
        operator, tensor = schema.OperatorT(), schema.TensorT()
        tensor.name, tensor.shape, tensor.type = b"made", once.tensors[assign.inputs[1]].shape, 0
        operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes) - 1, [assign.inputs[1]], [len(once.tensors)]
        assign.inputs = [assign.inputs[0], len(once.tensors)]
        once.tensors.append(tensor)
        once.operators.insert(0, operator)

    _, out = write(PARTED, tmp_path)
    edit(out, change)
    assert "begins with a computed value" in support.tolite("inspect", out, status=4).stderr


# ---- programs of PyTorch ----

STATEFUL = ["lstm_stream/model.pt2", "lstm_stream/model.core.pt2", "lstm_stream/model.ts.pt",
            "lstm_stream/model.script.pt", "real/g1_lstm_policy/model.ts.pt"]


@pytest.mark.parametrize("state", ["variables", "io"])
@pytest.mark.parametrize("name", STATEFUL)
def test_recorded_calls(name, state, tmp_path):
    path = support.network(name)
    io, = [p for p in path.parent.glob("io*.npz")]
    inputs, outputs = support.golden(io)
    x, = inputs.values()
    size = [] if name.endswith("pt2") else ["--input", f"x=f32:1,{x.shape[2]}"]
    out = tmp_path / "model.tflite"
    done = support.tolite("convert", path, "-o", out, "--state", state, "--golden", io, "--steps", "--verify", "--json", *size)
    report = json.loads(done.stdout)
    assert len(report["golden"]) == len(x) and report["agree"]
    kept = report["entries"][0]["states"]
    assert len(kept) == 2 and all(s["io"] == (state == "io") for s in kept)
    for delegate in (True, False):
        runner = support.LiteRT(out, delegate)
        assert len(runner.inputs) == (3 if state == "io" else 1)
        values = [np.zeros(d["shape"], d["dtype"]) for d in runner.inputs[1:]]
        for call, (given, expected) in enumerate(zip(x, outputs[0])):
            result, *values = runner([given, *values])
            support.assert_agree([result], [expected], f"LiteRT, delegate {delegate}, call {call}")
    support.tolite("diff", path, out, "--in", io, "--steps", *size)
