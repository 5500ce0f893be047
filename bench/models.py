"""The networks of the benchmarks, written with random weights: full-width MobileNetV2, ResNet-50, and a classifier
of 100 MB whose weights are mostly one matrix."""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Writer:
    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.weights, self.count = [], [], 0

    def weight(self, *shape, scale=None):
        self.count += 1
        name = f"w{self.count}"
        fan = int(np.prod(shape[1:])) or 1
        array = (self.rng.standard_normal(shape, dtype=np.float32) * (scale or (2 / fan) ** 0.5)).astype(np.float32)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def constant(self, array):
        self.count += 1
        self.weights.append(numpy_helper.from_array(np.asarray(array), f"k{self.count}"))
        return f"k{self.count}"

    def op(self, kind, *inputs, **attributes):
        self.count += 1
        out = f"v{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], f"/{kind}_{self.count}", **attributes))
        return out

    def conv(self, x, c_in, c_out, kernel=3, stride=1, groups=1, act=None):
        """Convolution, batch norm, activation, as an exporter writes them before folding."""
        pad = kernel // 2
        x = self.op("Conv", x, self.weight(c_out, c_in // groups, kernel, kernel), kernel_shape=[kernel] * 2,
                    strides=[stride] * 2, pads=[pad] * 4, group=groups)
        ones = np.ones(c_out, np.float32)
        x = self.op("BatchNormalization", x, self.constant(ones), self.constant(0 * ones), self.constant(0 * ones),
                    self.constant(ones))
        if act == "relu6":
            x = self.op("Clip", x, self.constant(np.float32(0)), self.constant(np.float32(6)))
        elif act:
            x = self.op("Relu", x)
        return x

    def save(self, x, shape, out_shape, path):
        self.nodes.append(helper.make_node("Identity", [x], ["logits"]))
        graph = helper.make_graph(self.nodes, "bench", [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
                                  [helper.make_tensor_value_info("logits", TensorProto.FLOAT, out_shape)], self.weights)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
        return path


def mobilenet_v2(path, size=224):
    w = Writer()
    x, c = w.conv("image", 3, 32, stride=2, act="relu6"), 32
    for expand, c_out, repeat, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                          (6, 160, 3, 2), (6, 320, 1, 1)):
        for i in range(repeat):
            s, hidden, y = (stride if i == 0 else 1), c * expand, x
            if expand != 1:
                y = w.conv(y, c, hidden, 1, act="relu6")
            y = w.conv(y, hidden, hidden, 3, s, hidden, "relu6")
            y = w.conv(y, hidden, c_out, 1)
            x, c = (w.op("Add", x, y) if s == 1 and c == c_out else y), c_out
    x = w.conv(x, c, 1280, 1, act="relu6")
    x = w.op("Flatten", w.op("GlobalAveragePool", x))
    x = w.op("Gemm", x, w.weight(1000, 1280), w.constant(np.zeros(1000, np.float32)), transB=1)
    return w.save(x, [1, 3, size, size], [1, 1000], path)


def resnet50(path, size=224):
    w = Writer()
    x = w.conv("image", 3, 64, 7, 2, act="relu")
    x, c = w.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), 64
    for width, repeat, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(repeat):
            s = stride if i == 0 else 1
            y = w.conv(x, c, width, 1, act="relu")
            y = w.conv(y, width, width, 3, s, act="relu")
            y = w.conv(y, width, 4 * width, 1)
            skip = w.conv(x, c, 4 * width, 1, s) if i == 0 else x
            x, c = w.op("Relu", w.op("Add", y, skip)), 4 * width
    x = w.op("Flatten", w.op("GlobalAveragePool", x))
    x = w.op("Gemm", x, w.weight(1000, 2048), w.constant(np.zeros(1000, np.float32)), transB=1)
    return w.save(x, [1, 3, size, size], [1, 1000], path)


def classifier_100mb(path):
    """A stem and one large fully connected layer: 7·7·128 inputs times 4096 outputs."""
    w = Writer()
    x = w.conv("image", 3, 128, 7, 2, act="relu")
    x = w.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = w.op("AveragePool", x, kernel_shape=[8, 8], strides=[8, 8])
    x = w.op("Flatten", x)
    x = w.op("Relu", w.op("Gemm", x, w.weight(4096, 128 * 49), w.constant(np.zeros(4096, np.float32)), transB=1))
    x = w.op("Gemm", x, w.weight(1000, 4096), w.constant(np.zeros(1000, np.float32)), transB=1)
    return w.save(x, [1, 3, 224, 224], [1, 1000], path)


MODELS = {"mobilenet_v2": mobilenet_v2, "resnet50": resnet50, "classifier_100mb": classifier_100mb}


def make(folder, *names):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name in names:
        path = folder / f"{name}.onnx"
        if not path.exists():
            MODELS[name](path)
        paths[name] = path
    return paths
