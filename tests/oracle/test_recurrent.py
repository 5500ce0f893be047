"""LSTM, GRU and RNN with everything that their attributes and inputs can say, against onnxruntime."""
import itertools

import numpy as np
import onnx
import pytest

import builders as b
import support

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}


def network(kind, steps, batch=2, size=3, hidden=4, direction="forward", bias=True, state=True, lengths=None,
            peephole=False, dynamic=False, frozen=True, **attributes):
    """A model and its inputs; weights are constants unless frozen is False."""
    rng = np.random.default_rng(steps * 7 + hidden)
    d, g = DIRECTIONS[direction], GATES[kind]

    def normal(*shape):
        return rng.normal(0, 0.6, shape).astype(np.float32)

    weights = {"w": normal(d, g * hidden, size), "r": normal(d, g * hidden, hidden)}
    if bias:
        weights["b"] = normal(d, 2 * g * hidden)
    inputs = {"x": normal(steps, batch, size)}
    if lengths is not None:
        inputs["lengths"] = np.array(lengths, np.int32)
    if state:
        inputs["h"] = normal(d, batch, hidden)
        if kind == "LSTM":
            inputs["c"] = normal(d, batch, hidden)
    if peephole:
        weights["p"] = normal(d, 3 * hidden)
    order = ["x", "w", "r", "b", "lengths", "h"] + (["c", "p"] if kind == "LSTM" else [])
    names = [n if n in inputs or n in weights else "" for n in order]
    outputs = ["y", "yh"] + (["yc"] if kind == "LSTM" else [])
    node = onnx.helper.make_node(kind, names, outputs, hidden_size=hidden, direction=direction, **attributes)
    if not frozen:
        inputs, weights = {**inputs, **weights}, {}
    axis = {"x": 0}
    infos = [b.value(n, ["steps" if dynamic and axis.get(n) == i else s for i, s in enumerate(a.shape)],
                     b.INT32 if a.dtype == np.int32 else b.FLOAT) for n, a in inputs.items()]
    proto = b.model([node], infos, [b.value(o, [None] * (4 if o == "y" else 3)) for o in outputs], weights, opset=14)
    return proto, inputs


def check(proto, samples, tmp_path):
    source, out = b.save(proto, tmp_path / "m.onnx"), tmp_path / "m.tflite"
    support.tolite("convert", source, "-o", out)
    for inputs in samples:
        expected = b.reference(proto, inputs)
        for delegate in (True, False):
            runner = support.LiteRT(out, delegate)
            arrays = [inputs[d["name"]] for d in runner.inputs]
            for _ in range(2):
                support.assert_agree(runner(arrays), expected, f"LiteRT, delegate {delegate}")
        np.savez(tmp_path / "in.npz", **inputs)
        for model in (source, out):
            support.tolite("run", model, "--in", tmp_path / "in.npz", "--out", tmp_path / "y.npz")
            support.assert_agree(list(support.load(tmp_path / "y.npz").values()), expected, model.name)


@pytest.mark.parametrize("kind,direction,steps", list(itertools.product(GATES, DIRECTIONS, (1, 5, 40))))
def test_directions_unrolled_and_looped(kind, direction, steps, tmp_path):
    proto, inputs = network(kind, steps, direction=direction)
    check(proto, [inputs], tmp_path)


@pytest.mark.parametrize("kind", GATES)
def test_open_length(kind, tmp_path):
    proto, inputs = network(kind, 6, direction="bidirectional", dynamic=True)
    longer = {**inputs, "x": network(kind, 9)[1]["x"]}
    check(proto, [inputs, longer], tmp_path)


@pytest.mark.parametrize("kind,steps", list(itertools.product(GATES, (5, 40))))
def test_lengths_of_sequences(kind, steps, tmp_path):
    proto, inputs = network(kind, steps, direction="bidirectional", lengths=[steps, steps - 3])
    check(proto, [inputs], tmp_path)


@pytest.mark.parametrize("kind", GATES)
def test_operands_that_are_absent(kind, tmp_path):
    proto, inputs = network(kind, 4, bias=False, state=False)
    check(proto, [inputs], tmp_path)


@pytest.mark.parametrize("kind,steps", list(itertools.product(GATES, (4, 40))))
def test_weights_computed_at_run_time(kind, steps, tmp_path):
    proto, inputs = network(kind, steps, direction="reverse", frozen=False)
    check(proto, [inputs], tmp_path)


@pytest.mark.parametrize("steps", (4, 40))
def test_peepholes(steps, tmp_path):
    proto, inputs = network("LSTM", steps, direction="bidirectional", peephole=True)
    check(proto, [inputs], tmp_path)


@pytest.mark.parametrize("kind", GATES)
def test_clipped_gates(kind, tmp_path):
    proto, inputs = network(kind, 5, clip=0.3)
    check(proto, [inputs], tmp_path)


def test_coupled_forget_gate(tmp_path):
    proto, inputs = network("LSTM", 5, input_forget=1)
    check(proto, [inputs], tmp_path)


@pytest.mark.parametrize("bias,steps", list(itertools.product((True, False), (4, 40))))
def test_gru_reset_after_the_product(bias, steps, tmp_path):
    proto, inputs = network("GRU", steps, direction="bidirectional", linear_before_reset=1, bias=bias)
    check(proto, [inputs], tmp_path)


@pytest.mark.parametrize("kind,names,alpha,beta", [
    ("RNN", ["Relu"], [], []),
    ("RNN", ["LeakyRelu"], [0.3], []),
    ("RNN", ["ScaledTanh"], [0.7], [0.4]),
    ("RNN", ["Softsign"], [], []),
    ("RNN", ["Softplus"], [], []),
    ("RNN", ["ThresholdedRelu"], [0.2], []),
    ("RNN", ["Affine"], [0.4], [0.1]),
    ("RNN", ["Elu"], [0.6], []),
    ("GRU", ["HardSigmoid", "Relu"], [0.3], [0.45]),
    ("LSTM", ["HardSigmoid", "Tanh", "LeakyRelu"], [0.3, 0.2], [0.45]),
    ("LSTM", ["sigmoid", "Relu", "TANH"], [], []),
])
def test_activations(kind, names, alpha, beta, tmp_path):
    attributes = {"activations": names}
    if alpha:
        attributes["activation_alpha"] = alpha
    if beta:
        attributes["activation_beta"] = beta
    proto, inputs = network(kind, 5, **attributes)
    check(proto, [inputs], tmp_path)


def test_activations_differ_by_direction(tmp_path):
    proto, inputs = network("RNN", 5, direction="bidirectional", activations=["LeakyRelu", "Affine"],
                            activation_alpha=[0.3, 0.5], activation_beta=[0.1])
    check(proto, [inputs], tmp_path)


def test_activation_that_does_not_exist(tmp_path):
    proto, _ = network("RNN", 5, activations=["Swish"])
    source = b.save(proto, tmp_path / "m.onnx")
    said = support.tolite("convert", source, "-o", tmp_path / "m.tflite", status=4).stderr
    assert 'activation "Swish"' in said
