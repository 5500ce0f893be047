"""The networks of the benchmarks, written with random weights at full width: MobileNetV2, MobileNetV3-large, ResNet-50,
a U-Net, ViT-B/16, and a classifier of 100 MB whose weights are mostly one matrix."""
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
        elif act == "hard_swish":
            x = self.op("HardSwish", x)
        elif act:
            x = self.op("Relu", x)
        return x

    def linear(self, x, c_in, c_out):
        """Weights as x W + b on the last axis, which is how exporters write it for more than two axes."""
        return self.op("Add", self.op("MatMul", x, self.weight(c_in, c_out, scale=c_in ** -0.5)),
                       self.constant(np.zeros(c_out, np.float32)))

    def layer_norm(self, x, c):
        return self.op("LayerNormalization", x, self.constant(np.ones(c, np.float32)),
                       self.constant(np.zeros(c, np.float32)), axis=-1, epsilon=1e-6)

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


def mobilenet_v3_large(path, size=224):
    w = Writer()

    def squeeze(x, c):
        hidden = max(8, (c // 4 + 4) // 8 * 8)
        y = w.op("GlobalAveragePool", x)
        y = w.op("Relu", w.op("Conv", y, w.weight(hidden, c, 1, 1), w.constant(np.zeros(hidden, np.float32))))
        y = w.op("Conv", y, w.weight(c, hidden, 1, 1), w.constant(np.zeros(c, np.float32)))
        return w.op("Mul", x, w.op("HardSigmoid", y, alpha=1 / 6, beta=0.5))

    x, c = w.conv("image", 3, 16, stride=2, act="hard_swish"), 16
    for kernel, hidden, c_out, se, act, stride in (
            (3, 16, 16, 0, "relu", 1), (3, 64, 24, 0, "relu", 2), (3, 72, 24, 0, "relu", 1), (5, 72, 40, 1, "relu", 2),
            (5, 120, 40, 1, "relu", 1), (5, 120, 40, 1, "relu", 1), (3, 240, 80, 0, "hard_swish", 2),
            (3, 200, 80, 0, "hard_swish", 1), (3, 184, 80, 0, "hard_swish", 1), (3, 184, 80, 0, "hard_swish", 1),
            (3, 480, 112, 1, "hard_swish", 1), (3, 672, 112, 1, "hard_swish", 1), (5, 672, 160, 1, "hard_swish", 2),
            (5, 960, 160, 1, "hard_swish", 1), (5, 960, 160, 1, "hard_swish", 1)):
        y = x if hidden == c else w.conv(x, c, hidden, 1, act=act)
        y = w.conv(y, hidden, hidden, kernel, stride, hidden, act)
        y = squeeze(y, hidden) if se else y
        y = w.conv(y, hidden, c_out, 1)
        x, c = (w.op("Add", x, y) if stride == 1 and c == c_out else y), c_out
    x = w.conv(x, c, 960, 1, act="hard_swish")
    x = w.op("Flatten", w.op("GlobalAveragePool", x))
    x = w.op("HardSwish", w.op("Gemm", x, w.weight(1280, 960), w.constant(np.zeros(1280, np.float32)), transB=1))
    x = w.op("Gemm", x, w.weight(1000, 1280), w.constant(np.zeros(1000, np.float32)), transB=1)
    return w.save(x, [1, 3, size, size], [1, 1000], path)


def unet(path, size=256):
    """Four levels from 64 to 1024 channels, transposed convolutions on the way up, two classes per pixel."""
    w = Writer()
    x, skips, c = "image", [], 3
    for width in (64, 128, 256, 512):
        x = w.conv(w.conv(x, c, width, act="relu"), width, width, act="relu")
        skips.append(x)
        x, c = w.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), width
    x = w.conv(w.conv(x, 512, 1024, act="relu"), 1024, 1024, act="relu")
    for width in (512, 256, 128, 64):
        x = w.op("ConvTranspose", x, w.weight(2 * width, width, 2, 2), w.constant(np.zeros(width, np.float32)),
                 kernel_shape=[2, 2], strides=[2, 2])
        x = w.op("Concat", skips.pop(), x, axis=1)
        x = w.conv(w.conv(x, 2 * width, width, act="relu"), width, width, act="relu")
    x = w.op("Conv", x, w.weight(2, 64, 1, 1), w.constant(np.zeros(2, np.float32)))
    return w.save(x, [1, 3, size, size], [1, 2, size, size], path)


def vit_b16(path, size=224):
    """Twelve blocks of 768 channels, twelve heads; the attention and the error function as their plain pieces."""
    w = Writer()
    c, heads, n = 768, 12, (size // 16) ** 2 + 1
    axes = [1, n, heads, c // heads]
    x = w.op("Conv", "image", w.weight(c, 3, 16, 16), w.constant(np.zeros(c, np.float32)), kernel_shape=[16, 16],
             strides=[16, 16])
    x = w.op("Transpose", w.op("Reshape", x, w.constant(np.array([1, c, n - 1]))), perm=[0, 2, 1])
    x = w.op("Add", w.op("Concat", w.weight(1, 1, c), x, axis=1), w.weight(1, n, c))
    for _ in range(12):
        y = w.linear(w.layer_norm(x, c), c, 3 * c)
        q, k, v = (w.op("Reshape", w.op("Slice", y, w.constant(np.array([i * c])), w.constant(np.array([(i + 1) * c])),
                                        w.constant(np.array([2]))), w.constant(np.array(axes))) for i in range(3))
        q, v = (w.op("Transpose", t, perm=[0, 2, 1, 3]) for t in (q, v))
        scores = w.op("MatMul", w.op("Mul", q, w.constant(np.float32(axes[3] ** -0.5))),
                      w.op("Transpose", k, perm=[0, 2, 3, 1]))
        y = w.op("MatMul", w.op("Softmax", scores, axis=-1), v)
        y = w.op("Reshape", w.op("Transpose", y, perm=[0, 2, 1, 3]), w.constant(np.array([1, n, c])))
        x = w.op("Add", x, w.linear(y, c, c))
        y = w.linear(w.layer_norm(x, c), c, 4 * c)
        erf = w.op("Erf", w.op("Div", y, w.constant(np.float32(2 ** 0.5))))
        y = w.op("Mul", w.op("Mul", y, w.op("Add", erf, w.constant(np.float32(1)))), w.constant(np.float32(0.5)))
        x = w.op("Add", x, w.linear(y, 4 * c, c))
    x = w.op("Gather", w.layer_norm(x, c), w.constant(np.array(0)), axis=1)
    x = w.op("Gemm", x, w.weight(1000, c), w.constant(np.zeros(1000, np.float32)), transB=1)
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


MODELS = {"mobilenet_v2": mobilenet_v2, "mobilenet_v3_large": mobilenet_v3_large, "resnet50": resnet50, "unet": unet,
          "vit_b16": vit_b16, "classifier_100mb": classifier_100mb}


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
