"""Models of sizes that make careless programs slow or large. Small ones of every kind always run; those that take gigabytes
or minutes run with TOLITE_BIG=1, and are skipped with a reason where disk or memory is short."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import zlib

import numpy as np
import onnx
import pytest

import builders as b
import support

sys.path.insert(0, str(support.ROOT / "bench"))
from measure import measure  # noqa: E402

BIG = os.environ.get("TOLITE_BIG") == "1"
GB, MB = 10**9, 10**6
CORNER = 16

pytestmark = pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="memory is read from /proc")


def say(what, figures, bound=None):
    """A line for whoever runs this with -s or -rP: the figures are worth having."""
    limit = f", allowed {bound / MB:.0f} MB" if bound else ""
    print(f"{what}: {figures.wall:.2f} s, cpu {figures.cpu:.2f} s, anonymous {figures.anon / MB:.1f} MB{limit}, "
          f"resident {figures.resident / MB:.1f} MB")


def need(folder, disk=0, memory=0):
    free = shutil.disk_usage(folder).free
    if free < disk:
        pytest.skip(f"needs {disk / GB:.1f} GB of disk in {folder}, {free / GB:.1f} are free")
    with open("/proc/meminfo") as f:
        available = int(dict(line.split(":", 1) for line in f)["MemAvailable"].split()[0]) << 10
    if available < memory:
        pytest.skip(f"needs {memory / GB:.1f} GB of memory, {available / GB:.1f} are free")


@pytest.fixture
def folder(tmp_path):
    yield tmp_path
    shutil.rmtree(tmp_path)  # not kept for three sessions


# ---- weights of gigabytes: zeros but for a corner, so that files are sparse and results are known ----

def corner(seed):
    return np.random.default_rng(seed).normal(0, 0.3, (CORNER, CORNER)).astype(np.float32)


def write_corner(file, offset, side, block):
    for i, row in enumerate(block):
        file.seek(offset + 4 * side * i)
        file.write(row.tobytes())


def gemms(n, side, transposed):
    """One matrix behind the other; [out, in] in the file where transposed says so, as the target wants it."""
    nodes = [b.node("Gemm", f"h{i} w{i}", f"h{i + 1}", transB=1) if transposed[i] else b.node("MatMul", f"h{i} w{i}", f"h{i + 1}")
             for i in range(n)]
    return b.model(nodes, [b.value("h0", [1, side])], [b.value(f"h{n}", [1, side])])


def expected(x, blocks, transposed):
    y = x[:, :CORNER].astype(np.float64)
    for block, t in zip(blocks, transposed):
        y = y @ (block.T if t else block)
    whole = np.zeros_like(x)
    whole[:, :CORNER] = y
    return whole


def external_model(path, n, side, transposed):
    """n matrices in one file beside the model."""
    proto, blocks, size = gemms(n, side, transposed), [corner(i) for i in range(n)], 4 * side * side
    with open(path.with_suffix(".bin"), "wb") as data:
        for i in range(n):
            write_corner(data, i * size, side, blocks[i])
            t = onnx.TensorProto(name=f"w{i}", data_type=1, dims=[side, side], data_location=onnx.TensorProto.EXTERNAL)
            for key, value in (("location", path.stem + ".bin"), ("offset", i * size), ("length", size)):
                t.external_data.add(key=key, value=str(value))
            proto.graph.initializer.append(t)
        data.truncate(n * size)
    onnx.save(proto, path)
    return blocks


def varint(n):
    out = b""
    while n >= 128:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def model_in_one_file(path, side):
    """A single matrix inside the model itself: more than the protobuf library writes, so this is by hand. Fields of
    messages may come in any order: graph = field 7 of the model, initializer = 5 of the graph, raw_data = 9 of the tensor."""
    proto, block, size = gemms(1, side, [True]), corner(0), 4 * side * side
    tensor = onnx.TensorProto(name="w0", data_type=1, dims=[side, side]).SerializeToString() + b"\x4a" + varint(size)
    graph = proto.graph.SerializeToString() + b"\x2a" + varint(len(tensor) + size) + tensor
    proto.ClearField("graph")
    with open(path, "wb") as file:
        file.write(proto.SerializeToString() + b"\x3a" + varint(len(graph) + size) + graph)
        start = file.tell()
        write_corner(file, start, side, block)
        file.truncate(start + size)
    return [block]


def prove(folder, model, blocks, transposed, side, memory):
    """Converts within memory, then asks file and model for what numpy knows."""
    out = model.with_suffix(".tflite")
    figures = measure([support.PROGRAM, "convert", model, "-o", out])
    say(f"convert {model.name}", figures, memory)
    assert figures.anon <= memory
    x = np.random.default_rng(9).normal(0, 1, (1, side)).astype(np.float32)
    np.savez(folder / "x.npz", h0=x)
    assert f"h{len(blocks)}" in support.tolite("inspect", out).stdout
    for path in (out, model):
        figures = measure([support.PROGRAM, "run", path, "--in", folder / "x.npz", "--out", folder / "y.npz"])
        say(f"run {path.name}", figures)
        support.assert_agree(list(support.load(folder / "y.npz").values()), [expected(x, blocks, transposed)], path.name)
    support.tolite("diff", model, out, "--in", folder / "x.npz")
    return out


def runs_in_litert(out, x):
    runtime = support.LiteRT(out, delegate=False)
    return runtime([x])


def test_external_data(folder):
    blocks = external_model(folder / "m.onnx", 6, 512, [True, False] * 3)
    prove(folder, folder / "m.onnx", blocks, [True, False] * 3, 512, 300 * MB)


@pytest.mark.skipif(not BIG, reason="3 GB of weights: TOLITE_BIG=1")
def test_external_data_of_3_gb(folder):
    """Also the way of a .tflite past 2 GB: constants lie behind the structure, read back by inspect, run and diff."""
    need(folder, disk=7 * GB, memory=8 * GB)
    transposed = [True, False] * 6
    blocks = external_model(folder / "m.onnx", 12, 8192, transposed)
    out = prove(folder, folder / "m.onnx", blocks, transposed, 8192, 300 * MB)
    assert out.stat().st_size > 3 * GB
    x = support.load(folder / "x.npz")["h0"]
    support.assert_agree(runs_in_litert(out, x), [expected(x, blocks, transposed)], "LiteRT")


def test_one_initialiser(folder):
    blocks = model_in_one_file(folder / "m.onnx", 1000)
    onnx.checker.check_model(str(folder / "m.onnx"))  # what was written by hand is an ONNX file
    prove(folder, folder / "m.onnx", blocks, [True], 1000, 300 * MB)


@pytest.mark.skipif(not BIG, reason="2.5 GB of weights: TOLITE_BIG=1")
def test_one_initialiser_of_2500_mb(folder):
    need(folder, disk=6 * GB, memory=7 * GB)
    blocks = model_in_one_file(folder / "m.onnx", 25000)
    out = prove(folder, folder / "m.onnx", blocks, [True], 25000, 300 * MB)
    assert out.stat().st_size > 2.5 * GB


# ---- the same as a program of PyTorch ----

def tensor_meta(*sizes):
    strides = [int(np.prod(sizes[i + 1:])) for i in range(len(sizes))]
    return {"dtype": 7, "sizes": [{"as_int": s} for s in sizes], "strides": [{"as_int": s} for s in strides],
            "storage_offset": {"as_int": 0}, "requires_grad": False, "device": {"type": "cpu"}, "layout": 7}


def linear_program(n, side):
    """What torch.export writes of n linear layers without bias, as JSON."""
    def tensor(name):
        return {"as_tensor": {"name": name}}

    nodes = [{"target": "torch.ops.aten.linear.default", "outputs": [tensor(f"h{i + 1}")], "metadata": {},
              "inputs": [{"name": "input", "arg": tensor(f"h{i}"), "kind": 1}, {"name": "weight", "arg": tensor(f"w{i}"), "kind": 1}]}
             for i in range(n)]
    values = {**{f"h{i}": tensor_meta(1, side) for i in range(n + 1)}, **{f"w{i}": tensor_meta(side, side) for i in range(n)}}
    weights = [{"parameter": {"arg": {"name": f"w{i}"}, "parameter_name": f"weight{i}"}} for i in range(n)]
    graph = {"inputs": [tensor(f"w{i}") for i in range(n)] + [tensor("h0")], "outputs": [tensor(f"h{n}")], "nodes": nodes,
             "tensor_values": values, "sym_int_values": {}, "sym_bool_values": {}}
    signature = {"input_specs": weights + [{"user_input": {"arg": tensor("h0")}}],
                 "output_specs": [{"user_output": {"arg": tensor(f"h{n}")}}]}
    return {"graph_module": {"graph": graph, "signature": signature, "module_call_graph": []}, "opset_version": {"aten": 10},
            "range_constraints": {}, "schema_version": {"major": 8, "minor": 20}, "verifiers": ["TRAINING"], "torch_version": "2.14.1"}


def torch_program(path, n, side):
    """A .pt2 archive with raw weights, written by hand so that it is sparse: stored members, their sizes in the central
    directory (64 bits where 32 are too few)."""
    size, blocks = 4 * side * side, [corner(i) for i in range(n)]
    config = {f"weight{i}": {"path_name": f"weight_{i}", "is_param": True, "use_pickle": False, "tensor_meta": tensor_meta(side, side)}
              for i in range(n)}
    texts = {"archive_format": b"pt2", "archive_version": b"0", "byteorder": b"little",
             "models/model.json": json.dumps(linear_program(n, side)).encode(),
             "data/weights/model_weights_config.json": json.dumps({"config": config}).encode(),
             "data/constants/model_constants_config.json": b'{"config": {}}'}
    members = [(name, len(data), data) for name, data in texts.items()]
    members += [(f"data/weights/weight_{i}", size, blocks[i]) for i in range(n)]
    central = b""
    with open(path, "wb") as file:
        for name, length, data in members:
            name, header = f"m/{name}".encode(), file.tell()
            crc = zlib.crc32(data) if isinstance(data, bytes) else 0
            file.write(struct.pack("<IHHHHHIIIHH", 0x04034B50, 0, 0x0808, 0, 0, 0, 0, 0, 0, len(name), 0) + name)
            start = file.tell()
            if isinstance(data, bytes):
                file.write(data)
            else:
                write_corner(file, start, side, data)
            file.seek(start + length)
            wide = header > 0xFFFFFFFE
            extra = struct.pack("<HHQ", 1, 8, header) if wide else b""
            central += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 0, 0, 0x0808, 0, 0, 0, crc, length, length, len(name), len(extra),
                                   0, 0, 0, 0, 0xFFFFFFFF if wide else header) + name + extra
        at = file.tell()
        file.write(central)
        end = file.tell()
        file.write(struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, len(members), len(members), len(central), at))
        file.write(struct.pack("<IIQI", 0x07064B50, 0, end, 1))
        file.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, len(members), len(members), len(central), min(at, 0xFFFFFFFF), 0))
    return blocks


def prove_program(folder, n, side, memory):
    blocks, model = torch_program(folder / "m.pt2", n, side), folder / "m.pt2"
    out = folder / "m.tflite"
    figures = measure([support.PROGRAM, "convert", model, "-o", out])
    say(f"convert {model.name}", figures, memory)
    assert figures.anon <= memory
    x = np.random.default_rng(9).normal(0, 1, (1, side)).astype(np.float32)
    np.savez(folder / "x.npz", input_0=x)
    for path in (out, model):
        figures = measure([support.PROGRAM, "run", path, "--in", folder / "x.npz", "--out", folder / "y.npz"])
        say(f"run {path.name}", figures)
        support.assert_agree(list(support.load(folder / "y.npz").values()), [expected(x, blocks, [True] * n)], path.name)
    return out


def test_torch_program(folder):
    prove_program(folder, 6, 512, 300 * MB)


@pytest.mark.skipif(not BIG, reason="3 GB of weights: TOLITE_BIG=1")
def test_torch_program_of_3_gb(folder):
    need(folder, disk=4 * GB, memory=5 * GB)
    assert prove_program(folder, 12, 8192, 300 * MB).stat().st_size > 3 * GB


# ---- many nodes, many constants ----

def graph_of(folder, shape, n):
    path = folder / f"{shape}-{n}.onnx"
    subprocess.run([sys.executable, support.ROOT / "bench" / "scale", "--one", path, shape, "--sizes", str(n)], check=True)
    return path


def best(command, runs):
    return min((measure(command) for _ in range(runs)), key=lambda f: f.cpu)


def growth(folder, shape, n, *options):
    """Processor time at n nodes and half of them; the machine has other things to do, so the best of several counts."""
    half, whole = [[support.PROGRAM, "convert", graph_of(folder, shape, k), "-o", folder / "y.tflite", *options] for k in (n // 2, n)]
    for _ in range(4):
        a, z = best(half, 5), best(whole, 5)
        ratio = z.cpu / a.cpu
        if ratio <= 2.2:
            break
    say(f"{shape} {n} {' '.join(options)}: {ratio:.2f} x that of {n // 2}", z)
    return ratio, z


@pytest.mark.parametrize("shape", ["chain", "wide", "constants", "convolutions", "outputs", "shapes"])
def test_time_grows_with_size(folder, shape):
    """2.2 is what n log n and memory give. At small sizes noise counts for more; a quadratic place still shows."""
    n, bound = (10000, 2.2) if BIG else (4000, 2.6)
    ratio, figures = growth(folder, shape, n)
    assert ratio <= bound and figures.wall < 1
    if BIG:
        assert growth(folder, shape, n, "--verify")[0] <= 2.3


@pytest.mark.skipif(not BIG, reason="40,000 nodes: TOLITE_BIG=1")
@pytest.mark.parametrize("shape", ["chain", "wide"])
def test_forty_thousand_nodes(folder, shape):
    assert growth(folder, shape, 40000)[0] <= 2.4


@pytest.mark.skipif(not BIG, reason="50,000 constants: TOLITE_BIG=1")
def test_fifty_thousand_constants(folder):
    figures = measure([support.PROGRAM, "convert", graph_of(folder, "constants", 50000), "-o", folder / "y.tflite"])
    say("50,000 constants", figures)
    assert figures.cpu < 2 and figures.anon < 400 * MB


# ---- networks of usual size ----

def network(folder, name):
    """In a process of its own, so that its memory is gone."""
    make = "import sys; sys.path.insert(0, sys.argv[1]); import models; models.make(*sys.argv[2:])"
    subprocess.run([sys.executable, "-c", make, str(support.ROOT / "bench"), str(folder), name], check=True)
    return folder / f"{name}.onnx"


@pytest.mark.parametrize("name, memory", [("mobilenet_v2", 40 * MB), ("classifier_100mb", 64 * MB)])
def test_conversion_beside_cp(folder, name, memory):
    """At most three times cp and 20 ms."""
    if name != "mobilenet_v2" and not BIG:
        pytest.skip("a model of 100 MB: TOLITE_BIG=1")
    path = network(folder, name)
    for _ in range(4):
        pairs = [(measure(["cp", path, folder / "copy"]), measure([support.PROGRAM, "convert", path, "-o", folder / "y.tflite"]))
                 for _ in range(7)]
        cp, own = (min(p, key=lambda f: f.wall) for p in zip(*pairs))
        if own.wall <= 3 * cp.wall + 0.02:
            break
    say(f"cp {path.name}", cp)
    say(f"convert {path.name}", own, memory)
    assert own.wall <= 3 * cp.wall + 0.02
    assert max(p[1].anon for p in pairs) <= memory
