"""Writes the seeds of the fuzz targets into fuzz/corpus: python fuzz/seeds.py [PROGRAM] (needs onnx). They are small on
purpose: a mutation of a small model hits something."""
import pathlib
import struct
import subprocess
import sys
import zlib

import numpy as np
import onnx
from onnx import TensorProto as T, helper as h

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"
sys.path.insert(0, str(CORPUS.parents[1] / "tests" / "oracle"))
import builders as b  # noqa: E402

def rand(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)

def graph(name, nodes, inputs, outputs):
    return h.make_graph(nodes, name, inputs, outputs)

def scalar(name, dtype=T.FLOAT):
    return b.value(name, [], dtype)

def conv():
    return b.model([b.node("Conv", "x w b", "c", pads=[1, 1, 1, 1], strides=[2, 2]), b.node("Relu", "c", "r"),
                    b.node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]), b.node("Flatten", "p", "f"),
                    b.node("Gemm", "f v", "g"), b.node("Softmax", "g", "y", axis=1)],
                   [b.value("x", ["n", 2, 8, 8])], [b.value("y", ["n", 3])],
                   {"w": rand(3, 2, 3, 3), "b": rand(3), "v": rand(12, 3)})

def transposed_conv():
    return b.model([b.node("ConvTranspose", "x w", "c", strides=[2, 2], group=2, output_padding=[1, 1]),
                    b.node("BatchNormalization", "c s s s s", "n"), b.node("LeakyRelu", "n", "y", alpha=0.2)],
                   [b.value("x", [1, 4, 3, 3])], [b.value("y", None)], {"w": rand(4, 1, 3, 3), "s": rand(2) ** 2 + 1})

def shapes():
    return b.model([b.node("Shape", "x", "s"), b.node("Gather", "s zero", "n"), b.node("Unsqueeze", "n axes", "n1"),
                    b.node("Concat", "n1 minus", "t", axis=0), b.node("Reshape", "x t", "r"),
                    b.node("Transpose", "r", "q", perm=[1, 0]), b.node("Slice", "q b e a", "y")],
                   [b.value("x", ["n", 2, 3])], [b.value("y", None)],
                   {"zero": np.int64(0), "axes": np.array([0]), "minus": np.array([-1]), "b": np.array([1]),
                    "e": np.array([2**62]), "a": np.array([0])})

def branch():
    then = graph("then", [b.node("Neg", "x", "t")], [], [b.value("t", None)])
    other = graph("else", [b.node("Abs", "x", "e")], [], [b.value("e", None)])
    return b.model([b.node("ReduceSum", "x", "s", keepdims=0), b.node("Less", "s zero", "c"),
                    b.node("If", "c", "y", then_branch=then, else_branch=other)],
                   [b.value("x", ["n"])], [b.value("y", None)], {"zero": np.float32(0)})

def loop():
    body = graph("body", [b.node("Identity", "c", "co"), b.node("Add", "v x", "vo"), b.node("ReduceMax", "vo", "s", keepdims=0)],
                 [scalar("i", T.INT64), scalar("c", T.BOOL), b.value("v", [3])],
                 [scalar("co", T.BOOL), b.value("vo", [3]), scalar("s")])
    return b.model([b.node("Loop", "n true x", "last all", body=body)], [b.value("x", [3])],
                   [b.value("last", [3]), b.value("all", None)], {"n": np.int64(4), "true": np.bool_(True)})

def scan():
    body = graph("body", [b.node("Add", "h x", "ho"), b.node("Identity", "ho", "yo")],
                 [b.value("h", [2]), b.value("x", [2])], [b.value("ho", [2]), b.value("yo", [2])])
    return b.model([b.node("Scan", "h0 xs", "h ys", body=body, num_scan_inputs=1)], [b.value("h0", [2]), b.value("xs", [4, 2])],
                   [b.value("h", [2]), b.value("ys", [4, 2])])

def attention():
    return b.model([b.node("MatMul", "x wq", "q"), b.node("MatMul", "x wk", "k"), b.node("Transpose", "k", "kt", perm=[0, 2, 1]),
                    b.node("MatMul", "q kt", "s"), b.node("Div", "s root", "d"), b.node("Softmax", "d", "a"),
                    b.node("MatMul", "a x", "o"), b.node("LayerNormalization", "o g", "y")],
                   [b.value("x", ["n", 4, 8])], [b.value("y", None)],
                   {"wq": rand(8, 8), "wk": rand(8, 8, seed=1), "root": np.float32(2.8), "g": np.ones(8, np.float32)})

def quantised():
    s, z = np.float32(0.1), np.uint8(3)
    return b.model([b.node("QuantizeLinear", "x s z", "q"), b.node("DequantizeLinear", "q s z", "d"),
                    b.node("DequantizeLinear", "w ws", "dw", axis=0), b.node("Conv", "d dw", "c"),
                    b.node("QuantizeLinear", "c s z", "e"), b.node("DequantizeLinear", "e s z", "y")],
                   [b.value("x", [1, 2, 4, 4])], [b.value("y", None)],
                   {"s": s, "z": z, "w": np.arange(-8, 8, dtype=np.int8).reshape(4, 2, 2, 1), "ws": rand(4) ** 2})

def resize():
    return b.model([h.make_node("Resize", ["x", "", "scales"], ["r"], mode="linear"),
                    h.make_node("Pad", ["r", "pads"], ["p"], mode="reflect"), b.node("AveragePool", "p", "y", kernel_shape=[3, 3])],
                   [b.value("x", [1, 1, 4, 4])], [b.value("y", None)],
                   {"scales": np.array([1, 1, 2, 2], np.float32), "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])})

def index():
    return b.model([b.node("TopK", "x k", "v i"), b.node("Cast", "i", "f", to=T.FLOAT), b.node("Add", "v f", "a"),
                    b.node("Where", "m a v", "w"), b.node("ScatterND", "w at up", "y"), b.node("NonZero", "x", "z"),
                    b.node("OneHot", "i depth values", "o"), b.node("CumSum", "x zero", "c"), b.node("Expand", "k1 shape", "e"),
                    b.node("ArgMax", "x", "g"), b.node("Split", "x", "l r", axis=1, num_outputs=2), b.node("Tile", "l reps", "t")],
                   [b.value("x", [2, 4]), b.value("m", [2, 3], T.BOOL)], [b.value(n, None, T.INT64 if n in "zg" else T.FLOAT) for n in "yzocegrt"],
                   {"k": np.array([3]), "at": np.array([[0, 1]]), "up": np.array([5], np.float32), "depth": np.int64(4),
                    "values": np.array([0, 1], np.float32), "zero": np.int64(1), "k1": np.array([3.0], np.float32),
                    "shape": np.array([2, 3]), "reps": np.array([1, 2])}, opset=18)

def einsum():
    return b.model([b.node("Einsum", "x w", "e", equation="bij,jk->bik"), b.node("ReduceL2", "e", "y", axes=[-1], keepdims=1)],
                   [b.value("x", ["b", 3, 4])], [b.value("y", None)], {"w": rand(4, 2)}, opset=13)

def function():
    swish = h.make_function("own", "Swish", ["a"], ["b"], [b.node("Sigmoid", "a", "s"), b.node("Mul", "a s", "b")],
                            [h.make_opsetid("", 17)])
    return b.model([h.make_node("Swish", ["x"], ["m"], domain="own"), h.make_node("Swish", ["m"], ["y"], domain="own")],
                   [b.value("x", [4])], [b.value("y", [4])], functions=[swish], domains=["own"])

def constants():
    nodes = [h.make_node("Constant", [], ["a"], value_floats=[1.0, 2.0]), h.make_node("Constant", [], ["i"], value_ints=[2]),
             h.make_node("ConstantOfShape", ["i"], ["z"]), b.node("Add", "a z", "s"), b.node("Range", "r0 r1 r2", "r"),
             b.node("Mul", "s x", "m"), b.node("Clip", "m lo", "y"), b.node("Gelu", "y", "g"), b.node("HardSwish", "g", "h")]
    model = b.model(nodes, [b.value("x", [2])], [b.value("h", None), b.value("r", None, T.INT64)],
                    {"r0": np.int64(0), "r1": np.int64(5), "r2": np.int64(2), "lo": np.float32(-1)}, opset=20)
    model.graph.initializer.append(h.make_tensor("packed", T.FLOAT, [2], [1.0, 2.0]))
    return model

def sparse():
    model = b.model([b.node("Add", "x sp", "y")], [b.value("x", [2])], [b.value("y", [2])])
    model.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(
        onnx.numpy_helper.from_array(np.array([3.0], np.float32), "sp"),
        onnx.numpy_helper.from_array(np.array([1]), "spi"), [2]))
    return model

def recurrent():
    return b.model([b.node("LSTM", "x w r", "y", hidden_size=2)], [b.value("x", [3, 1, 2])], [b.value("y", None)],
                   {"w": rand(1, 8, 2), "r": rand(1, 8, 2)})

def external():
    model = b.model([b.node("Add", "x w", "y")], [b.value("x", [4])], [b.value("y", [4])], {"w": rand(4)})
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = T.EXTERNAL
    for key, value in [("location", "seeds.bin"), ("offset", "0"), ("length", "16")]:
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return model

MODELS = [conv, transposed_conv, shapes, branch, loop, scan, attention, quantised, resize, index, einsum, function, constants,
          sparse, recurrent, external]

def texts():
    """Graphs of the text tests, each case a seed; of the rewrite tests only some."""
    import re
    root = CORPUS.parents[1] / "tests"
    for file in sorted((root / "lower").glob("*.txt")):
        for i, case in enumerate(re.split(r"^## .*\n", file.read_text(), flags=re.M)[1:]):
            yield f"{file.stem}_{i}", case.split("\n==\n")[0]
    yield "control", (root / "faults" / "control.txt").read_text()

def with_header(text):
    return text if text.startswith("model ") else 'model ""\n' + text

def arrays():
    yield "plain.npz", {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(True), "c": np.zeros((0, 4), np.int8)}
    yield "fortran.npz", {"f": np.asfortranarray(np.arange(6.0).reshape(2, 3))}

def png(color, depth, channels, interlace=0, side=5):
    """A picture of noise, written by hand so that every kind of PNG is there."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rng = np.random.default_rng(0)
    row = (side * channels * depth + 7) // 8
    rows = b"".join(bytes([i % 5 if not interlace else 0]) + rng.bytes(row) for i in range(side))
    if interlace:  # seven passes, each with rows of its own
        rows = b""
        for x0, y0, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]:
            w, h = len(range(x0, side, dx)), len(range(y0, side, dy))
            rows += b"".join(b"\0" + rng.bytes((w * channels * depth + 7) // 8) for _ in range(h if w else 0))
    palette = chunk(b"PLTE", rng.bytes(3 * 2**depth)) if color == 3 else b""
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, depth, color, 0, 0, interlace))
            + palette + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))

def jpeg():
    """Eight by eight grey pixels, all alike, by libjpeg-turbo."""
    import ctypes
    turbo = ctypes.CDLL("libturbojpeg.so.0")
    turbo.tjInitCompress.restype = ctypes.c_void_p
    pixels = (ctypes.c_ubyte * 192)(*(i * 5 % 256 for i in range(192)))
    out, size = ctypes.c_void_p(), ctypes.c_ulong()
    turbo.tjCompress2(ctypes.c_void_p(turbo.tjInitCompress()), pixels, 8, 0, 8, 0, ctypes.byref(out), ctypes.byref(size), 2, 75, 0)
    return ctypes.string_at(out, size.value)

def pictures():
    for color, channels in [(0, 1), (2, 3), (3, 1), (4, 2), (6, 4)]:
        for depth in [1, 8, 16] if color == 0 else [4] if color == 3 else [8]:
            yield f"c{color}d{depth}.png", png(color, depth, channels)
    yield "interlaced.png", png(2, 8, 3, interlace=1)
    yield "small.jpg", jpeg()

def archives():
    """Programs of the tests, without what only debuggers read: name, archive, and members of their own as seeds."""
    import io
    import zipfile
    programs = CORPUS.parents[1] / "tests" / "torch" / "programs"
    for path in [*(programs / f"{n}.pt" for n in ("BranchWrites", "Collect", "Dicts", "While", "Writes", "Objects", "Tuples"))]:
        out = io.BytesIO()
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
            kept = [i for i in old.infolist() if not i.filename.endswith(("debug_pkl", "serialization_id"))]
            for info in kept:
                new.writestr(zipfile.ZipInfo(info.filename), old.read(info))
            yield path, out.getvalue(), {pathlib.Path(i.filename).name: old.read(i) for i in kept}

def write_torch():
    for path, whole, members in archives():
        (CORPUS / "archive" / path.name).write_bytes(whole)
        (CORPUS / "script" / f"{path.stem}.py").write_bytes(members["__torch__.py"])
        (CORPUS / "pickle" / f"{path.stem}.pkl").write_bytes(members["data.pkl"])
    import collections
    import pickle
    for protocol in range(6):
        value = collections.OrderedDict(a=[1, -2, 2**40, 2.5, None, True], b=("text", b"bytes", {1: {2}}))
        (CORPUS / "pickle" / f"protocol_{protocol}.pkl").write_bytes(pickle.dumps(value, protocol))
    (CORPUS / "json" / "values.json").write_text('{"a": [1, -2.5e3, NaN, Infinity, null, true], "b": {"c": "\\u00e9\\n"}}')
    (CORPUS / "json" / "nodes.json").write_text(
        '{"graph_module": {"graph": {"inputs": [{"as_tensor": {"name": "x"}}], "nodes": [{"target": "torch.ops.aten.relu.default", '
        '"inputs": [{"name": "self", "arg": {"as_tensor": {"name": "x"}}, "kind": 1}], "outputs": [{"as_tensor": {"name": "y"}}], '
        '"metadata": {}}], "tensor_values": {"x": {"dtype": 7, "sizes": [{"as_int": 2}]}}}}}')

def main():
    program = sys.argv[1] if len(sys.argv) > 1 else CORPUS.parents[1] / "build" / "tolite"
    for name in ("onnx", "text", "tflite", "npz", "picture", "archive", "pickle", "json", "script"):
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
    for make in MODELS:
        model = make()
        model.producer_name = ""
        onnx.save(model, CORPUS / "onnx" / f"{make.__name__}.onnx")
    for name, text in texts():
        (CORPUS / "text" / f"{name}.txt").write_text(with_header(text))
    few = [p for p in sorted((CORPUS / "text").iterdir()) if not p.stem[-1].isdigit() or p.stem.endswith(("_0", "_3"))]
    for source in sorted((CORPUS / "onnx").iterdir()) + few:
        subprocess.run([program, "convert", source, "-o", CORPUS / "tflite" / f"{source.stem}.tflite", "-q"], check=False)
    for name, values in arrays():
        np.savez(CORPUS / "npz" / name, **values)
    np.savez_compressed(CORPUS / "npz" / "deflated.npz", x=np.zeros((30, 30), np.float64), y=np.arange(5, dtype=np.uint8))
    for name, data in pictures():
        (CORPUS / "picture" / name).write_bytes(data)
    write_torch()
    np.save(CORPUS / "npz" / "lone.npy", np.arange(4, dtype=np.float16))

if __name__ == "__main__":
    main()
