"""Models that come quantised: integer ops with the scales of the source. A result of onnxruntime that runs
dequantize, op, quantize as they stand is at most a step away from ours in LiteRT, op by op. Over a whole network
LiteRT's delegate stays there; its plain kernels round twice, so steps add up: they are held to the bits of our
executor, which rounds as they do."""
import json

import numpy as np
import onnx
import pytest

import builders
import support

TYPES = {"i8": np.int8, "u8": np.uint8, "i16": np.int16}
FLOATS = {"lstm_seq"}  # DynamicQuantizeLSTM: the source rounds x and every h to 8 bits by their range, which is left out


def networks():
    paths = [p for p in sorted(support.MODELS.glob("quantised/*/model*.onnx"))]
    for path in paths:
        yield pytest.param(path, id=f"{path.parent.name}-{path.name[6:-5]}")
    if not paths:
        yield support.no_network


def operators(path):
    """[(op, type of the first result)] of a file."""
    interpreter = support.LiteRT(path, delegate=False).interpreter
    types = {t["index"]: t["dtype"] for t in interpreter.get_tensor_details()}
    return [(op["op_name"], types[op["outputs"][0]]) for op in interpreter._get_ops_details()]


def float_operators(path):
    return [op for op, dtype in operators(path) if dtype == np.float32 and op != "DEQUANTIZE"]


def steps_of(path):
    """The scale behind each output, 1 for integers."""
    interpreter = support.LiteRT(path, delegate=False).interpreter
    details = {t["index"]: t for t in interpreter.get_tensor_details()}
    sources = {op["outputs"][0]: op["inputs"][0] for op in interpreter._get_ops_details() if op["op_name"] == "DEQUANTIZE"}
    outputs = [o["index"] for o in interpreter.get_output_details()]
    return [details[sources[i]]["quantization"][0] if i in sources else 1 for i in outputs]


def assert_within_a_step(results, references, steps, what):
    for i, (result, reference, step) in enumerate(zip(results, references, steps)):
        assert result.shape == reference.shape and result.dtype == reference.dtype, what
        error = np.abs(result.astype(np.float64) - reference.astype(np.float64)).max() / step
        assert error < 1.01, f"{what}, output {i}: {error:.1f} steps"


def run(model, io, tmp_path, *options):
    support.tolite("run", model, "--in", io, "--out", tmp_path / "result.npz", *options)
    return list(support.load(tmp_path / "result.npz").values())


# ---- whole networks ----

@pytest.mark.parametrize("path", list(networks()))
def test_network(path, tmp_path):
    io, out = path.parent / f"io{path.name[5:-5]}.npz", tmp_path / "model.tflite"
    support.tolite("convert", path, "-o", out)
    inputs, outputs = support.golden(io)
    arrays = support.ordered(inputs, support.litert_names(out)[0])
    for delegate, rounding in ((True, "float"), (False, "plain")):
        for _ in range(2):
            results = support.LiteRT(out, delegate)(arrays)
        support.assert_agree(run(out, io, tmp_path, "--rounding", rounding), results, f"executor, {rounding}")
        if delegate:
            rule = {"relative": 0.01, "cosine": 0.9995} if path.parent.name in FLOATS else {}
            support.assert_agree(results, outputs, "LiteRT", **rule)
    if "dynamic" not in path.name:
        assert float_operators(out) == []


def comparable():
    """Those whose ops are compared one by one: integers of dynamic ones are computed exactly (test_network), and those
    of u8 sources are i8 in the file."""
    for param in networks():
        path = param.values[0]
        if path is None or "dynamic" not in path.name and not any(
                i.data_type == onnx.TensorProto.UINT8 for i in onnx.load(path).graph.initializer):
            yield param


@pytest.mark.parametrize("rounding", ["plain", "twice", "once", "float"])
@pytest.mark.parametrize("path", list(comparable()))
def test_every_op_alone_is_within_a_step(path, rounding, tmp_path):
    io, out = path.parent / f"io{path.name[5:-5]}.npz", tmp_path / "model.tflite"
    support.tolite("convert", path, "-o", out)
    done = support.tolite("diff", path, out, "--in", io, "--rounding", rounding, "--per-op", "--json", status=None)
    values = json.loads(done.stdout)["samples"][0]["values"]
    alone = [v["local"] | {"op": v["op"]} for v in values if "local" in v and v["op"] != "DEQUANTIZE"]
    assert alone and max(v["max_abs"] for v in alone) <= 1, alone


# ---- one op ----

def weight(rng, *shape, scales=1):
    q = rng.integers(-127, 128, shape).astype(np.int8)
    return q, (rng.uniform(0.5, 1, scales) * 0.01).astype(np.float32).reshape(-1 if scales > 1 else ())


class Net:
    """x1, x2, … quantised and dequantised, an op, the result quantised."""

    def __init__(self, dtype, shapes, scales=None, symmetric=False):
        self.dtype, self.init, self.nodes, self.inputs = TYPES[dtype], {}, [], []
        self.unit = 1 / 256 if dtype == "i16" else 1
        self.zero = {"i8": 3, "u8": 120, "i16": 0}[dtype] if not symmetric else {"i8": 0, "u8": 128, "i16": 0}[dtype]
        for i, shape in enumerate(shapes):
            name = f"x{i + 1}"
            self.inputs.append((name, shape))
            self.quantise(name, f"d{i + 1}", (scales or [0.03, 0.025, 0.02])[i] * self.unit, self.zero)

    def quantise(self, x, y, scale, zero):
        self.init |= {f"{y}_s": np.float32(scale), f"{y}_z": self.dtype(zero)}
        self.nodes += [builders.node("QuantizeLinear", f"{x} {y}_s {y}_z", f"{y}_q"),
                       builders.node("DequantizeLinear", f"{y}_q {y}_s {y}_z", y)]

    def constant(self, name, q, scale, axis=0):
        self.init |= {f"{name}_q": q, f"{name}_s": scale, f"{name}_z": np.zeros(scale.shape, q.dtype)}
        self.nodes.append(builders.node("DequantizeLinear", f"{name}_q {name}_s {name}_z", name, axis=axis))
        return self

    def array(self, name, value):
        self.init[name] = np.asarray(value)
        return self

    def op(self, kind, inputs, shape, scale=0.05, zero=None, outputs=1, **attributes):
        names = [f"r{i}" for i in range(outputs)]
        self.nodes.append(builders.node(kind, inputs, " ".join(names), **attributes))
        for name in names:
            self.quantise(name, f"y{name}", scale * self.unit, self.zero if zero is None else zero)
        outs = [builders.value(f"y{name}", shape) for name in names]
        return builders.model(self.nodes, [builders.value(n, s) for n, s in self.inputs], outs, self.init, opset=21)


def conv(dtype, rng, scales=1, group=1, bias=True, **attributes):
    net = Net(dtype, [(1, 4, 7, 6)])
    q, scale = weight(rng, 8, 4 // group, 3, 3, scales=scales)
    net.constant("w", q, scale)
    if bias:
        s = (scale * np.float32(0.03 * net.unit)).astype(np.float32)
        net.constant("b", rng.integers(-900, 900, 8).astype(np.int32), s)
    return net.op("Conv", "d1 w b" if bias else "d1 w", (1, 8, None, None), 0.08, group=group, **attributes)


def conv_transpose(dtype, rng):
    q, scale = weight(rng, 4, 5, 3, 3)
    return Net(dtype, [(1, 4, 7, 6)]).constant("w", q, scale).op("ConvTranspose", "d1 w", (1, 5, None, None), 0.08,
                                                                strides=[2, 2])


def gemm(dtype, rng, scales=1):
    q, scale = weight(rng, 5, 12, scales=scales)
    net = Net(dtype, [(3, 12)]).constant("w", q, scale)
    s = (scale * np.float32(0.03 * net.unit)).astype(np.float32)
    return net.constant("b", rng.integers(-900, 900, 5).astype(np.int32), s).op("Gemm", "d1 w b", (3, 5), transB=1)


def matmul(dtype, rng):
    q, scale = weight(rng, 12, 5)
    return Net(dtype, [(2, 3, 12)]).constant("w", q, scale).op("MatMul", "d1 w", (2, 3, 5))


IMAGE = (1, 4, 6, 6)
UNARY = {
    "Relu": dict(scale=0.02), "LeakyRelu": dict(scale=0.03, alpha=0.2), "Elu": dict(scale=0.03),
    "HardSwish": dict(scale=0.03), "Abs": dict(scale=0.03), "Exp": dict(scale=0.5),
    "Gelu": dict(scale=0.03), "GlobalAveragePool": dict(scale=0.01), "Flatten": dict(scale=0.03),
}
NOT_OF_16 = {"Elu", "HardSwish", "Gelu", "Exp"}
FIXED = {"Softmax": ((1 / 256, -128), (1 / 256, 0), (2**-15, 0)), "Sigmoid": ((1 / 256, -128), (1 / 256, 0), (2**-15, 0)),
         "Tanh": ((1 / 128, 0), (1 / 128, 128), (2**-15, 0))}


def unary(kind, scale, **attributes):
    shape = (1, 4, 1, 1) if "Global" in kind else (1, 144) if kind == "Flatten" else IMAGE
    return lambda dtype, rng: Net(dtype, [IMAGE]).op(kind, "d1", shape, scale, **attributes)


def fixed(kind):
    def make(dtype, rng):
        scale, zero = FIXED[kind][list(TYPES).index(dtype)]
        net = Net(dtype, [(3, 10)])
        return net.op(kind, "d1", (3, 10), scale / net.unit, zero)
    return make


def binary(kind, scale, second=IMAGE):
    return lambda dtype, rng: Net(dtype, [IMAGE, second]).op(kind, "d1 d2", IMAGE, scale)


def move(kind, shape, arrays=(), outputs=1, **attributes):
    """Of one scale on both sides."""
    def make(dtype, rng):
        net = Net(dtype, [IMAGE])
        for i, array in enumerate(arrays):
            net.array(f"p{i}", array)
        names = " ".join(["d1"] + [f"p{i}" for i in range(len(arrays))])
        return net.op(kind, names, shape, 0.03, outputs=outputs, **attributes)
    return make


def concat(dtype, rng):
    return Net(dtype, [IMAGE, IMAGE], [0.03, 0.03]).op("Concat", "d1 d2", (1, 8, 6, 6), 0.03, axis=1)


def i64(*v):
    return np.array(v, np.int64)


INTEGER = ["i8", "u8", "i16"]
CASES = {
    "conv": (conv, INTEGER),
    "conv_per_channel": (lambda t, r: conv(t, r, scales=8), INTEGER),
    "conv_strided": (lambda t, r: conv(t, r, strides=[2, 2], pads=[1, 1, 1, 1]), INTEGER),
    "conv_dilated": (lambda t, r: conv(t, r, bias=False, dilations=[2, 2], pads=[2, 2, 2, 2]), INTEGER),
    "conv_groups": (lambda t, r: conv(t, r, scales=8, group=2), ["i8", "u8"]),
    "conv_depthwise": (lambda t, r: conv(t, r, scales=8, group=4, pads=[1, 1, 1, 1]), INTEGER),
    "conv_transpose": (conv_transpose, INTEGER),
    "gemm": (gemm, INTEGER),
    "gemm_per_channel": (lambda t, r: gemm(t, r, scales=5), INTEGER),
    "matmul": (matmul, INTEGER),
    "matmul_of_two": (lambda t, r: Net(t, [(2, 3, 8), (2, 8, 5)]).op("MatMul", "d1 d2", (2, 3, 5), 0.2), INTEGER),
    **{kind.lower(): (unary(kind, **how), ["i8", "u8"] if kind in NOT_OF_16 else INTEGER) for kind, how in UNARY.items()},
    **{kind.lower(): (fixed(kind), ["i8", "u8"] if kind == "Softmax" else INTEGER) for kind in FIXED},
    "add": (binary("Add", 0.06), INTEGER), "sub": (binary("Sub", 0.06), INTEGER), "mul": (binary("Mul", 0.1), INTEGER),
    "mul_of_almost_1": (binary("Mul", 0.00076), ["i8", "u8"]),
    "add_row": (binary("Add", 0.06, (6,)), INTEGER), "mul_channel": (binary("Mul", 0.1, (4, 1, 1)), INTEGER),
    "max": (binary("Max", 0.03), INTEGER), "min": (binary("Min", 0.03), INTEGER),
    "prelu": (binary("PRelu", 0.03, (4, 1, 1)), ["i8", "u8"]),
    "concat": (concat, INTEGER),
    "max_pool": (move("MaxPool", (1, 4, 3, 3), kernel_shape=[2, 2], strides=[2, 2]), INTEGER),
    "max_pool_padded": (move("MaxPool", (1, 4, 3, 3), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), INTEGER),
    "average_pool": (move("AveragePool", (1, 4, 3, 3), kernel_shape=[2, 2], strides=[2, 2]), INTEGER),
    "clip": (move("Clip", IMAGE, [np.float32(0), np.float32(6)]), ["i8", "u8"]),
    "reshape": (move("Reshape", (2, 72), [i64(2, 72)]), INTEGER),
    "transpose": (move("Transpose", (6, 1, 4, 6), perm=[2, 0, 1, 3]), INTEGER),
    "slice": (move("Slice", (1, 4, 2, 6), [i64(1), i64(5), i64(2), i64(2)]), INTEGER),
    "pad": (move("Pad", (1, 4, 8, 7), [i64(0, 0, 1, 0, 0, 0, 1, 1)]), INTEGER),
    "split": (move("Split", (1, 2, 6, 6), [i64(2, 2)], outputs=2, axis=1), INTEGER),
    "gather": (move("Gather", (1, 4, 3, 6), [i64(4, 0, 5)], axis=2), INTEGER),
    "reduce_max": (move("ReduceMax", (1, 4, 1, 6), [i64(2)]), INTEGER),
    "resize_nearest": (move("Resize", (1, 4, 12, 12), [np.zeros(0, np.float32), np.float32([1, 1, 2, 2])], mode="nearest",
                            coordinate_transformation_mode="asymmetric", nearest_mode="floor"), INTEGER),
    "resize_linear": (move("Resize", (1, 4, 12, 12), [np.zeros(0, np.float32), np.float32([1, 1, 2, 2])], mode="linear"), INTEGER),
    "mean": (lambda t, r: Net(t, [IMAGE]).array("a", i64(3)).op("ReduceMean", "d1 a", (1, 4, 6, 1), 0.01), INTEGER),
    "sum": (lambda t, r: Net(t, [IMAGE]).array("a", i64(2)).op("ReduceSum", "d1 a", (1, 4, 1, 6), 0.1), INTEGER),
}


@pytest.mark.parametrize("name,dtype", [(n, t) for n, (_, types) in CASES.items() for t in types])
def test_one_op(name, dtype, tmp_path):
    rng = np.random.default_rng(7)
    model = CASES[name][0](dtype, rng)
    path, out = builders.save(model, tmp_path / "model.onnx"), tmp_path / "model.tflite"
    shapes = [[d.dim_value for d in i.type.tensor_type.shape.dim] for i in model.graph.input]
    inputs = {i.name: rng.uniform(-4, 4, s).astype(np.float32) for i, s in zip(model.graph.input, shapes)}
    expected = builders.reference(model, inputs)
    support.tolite("convert", path, "-o", out)
    assert float_operators(out) == []
    np.savez(tmp_path / "in.npz", **inputs)
    for delegate, rounding in ((True, "float"), (False, "plain")):
        results = support.LiteRT(out, delegate)(list(inputs.values()))
        assert_within_a_step(results, expected, steps_of(out), f"LiteRT, delegate {delegate}")
        ours = run(out, tmp_path / "in.npz", tmp_path, "--rounding", rounding)
        assert_within_a_step(ours, expected, steps_of(out), f"executor, {rounding}")


@pytest.mark.parametrize("make", [unary("Exp", 0.5), unary("Gelu", 0.03), fixed("Softmax"),
                                  binary("PRelu", 0.03, (4, 1, 1))], ids=["exp", "gelu", "softmax", "prelu"])
def test_kernels_of_16_bits_that_are_coarse_are_not_used(make, tmp_path):
    path, out = builders.save(make("i16", np.random.default_rng(7)), tmp_path / "model.onnx"), tmp_path / "model.tflite"
    done = support.tolite("convert", path, "-o", out, "-v")
    assert "its kernel for 16 bits is off by more than a step" in done.stdout + done.stderr
    assert float_operators(out) != []
