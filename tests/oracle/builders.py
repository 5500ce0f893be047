"""Small ONNX models made on the spot."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, INT32, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL


def tensor(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def value(name, dims, dtype=FLOAT):
    return helper.make_tensor_value_info(name, dtype, dims)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def model(nodes, inputs, outputs, initializers=(), opset=17, functions=(), name="graph", domains=()):
    """inputs, outputs: value infos; initializers: {name: array}."""
    graph = helper.make_graph(nodes, name, inputs, outputs, [tensor(k, v) for k, v in dict(initializers).items()])
    opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in domains]
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=9)


def save(proto, path):
    onnx.save(proto, path)
    return path


def reference(proto, inputs):
    """What onnxruntime computes, optimisations off."""
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {name: np.asarray(x) for name, x in inputs.items()})


def cnn(channels=8, seed=0):
    """A small CNN with everything that tempts a converter to be clever about names or order."""
    rng = np.random.default_rng(seed)

    def weight(*shape):
        return rng.normal(0, 0.4, shape).astype(np.float32)

    c = channels
    init = {
        "w1": weight(c, 3, 3, 3), "s1": weight(c) ** 2 + 0.5, "b1": weight(c), "m1": weight(c),
        "v1": weight(c) ** 2 + 0.5, "w2": weight(c, 1, 3, 3), "w3": weight(c, c, 1, 1), "b3": weight(c),
        "w4": weight(2 * c, c // 2, 3, 3), "w5": weight(10, 2 * c), "b5": weight(10),
    }
    nodes = [
        node("Conv", "x w1", "c1", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("BatchNormalization", "c1 s1 b1 m1 v1", "n1"),
        node("Relu", "n1", "r1"),
        node("Conv", "r1 w2", "c2", pads=[1, 1, 1, 1], group=c),
        node("Relu", "c2", "r2"),
        node("Conv", "r2 w3 b3", "c3"),
        node("Add", "c3 r1", "a3"),
        node("MaxPool", "a3", "p3", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Conv", "p3 w4", "c4", pads=[1, 1, 1, 1], group=2),
        node("Sigmoid", "c4", "g4"),
        node("Mul", "c4 g4", "m4"),
        node("GlobalAveragePool", "m4", "p4"),
        node("Flatten", "p4", "f4"),
        node("Gemm", "f4 w5 b5", "y", transB=1),
    ]
    return model(nodes, [value("x", [1, 3, 32, 32])], [value("y", [1, 10])], init)
