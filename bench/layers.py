"""What share of the machine's peak each layer of a .tflite reaches when we run it."""
import json
import pathlib
import subprocess

import numpy as np

SHOWN = 25


def details(path):
    """By name of a layer's first result: its kind, multiply-adds, bytes read and written."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    interpreter = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    tensors = {t["index"]: t for t in interpreter.get_tensor_details()}
    found = {}
    for op in interpreter._get_ops_details():
        inputs = [tensors[i] for i in op["inputs"] if i in tensors]
        outputs = [tensors[i] for i in op["outputs"] if i in tensors]
        if not outputs or op["op_name"] == "DELEGATE":
            continue
        size = sum(int(np.prod(t["shape"])) * np.dtype(t["dtype"]).itemsize for t in inputs + outputs)
        found.setdefault(outputs[0]["name"], (op["op_name"], multiplications(op["op_name"], inputs, outputs[0]), size))
    return found


def multiplications(kind, inputs, output):
    out = int(np.prod(output["shape"]))
    if kind in ("CONV_2D", "CONV_3D"):
        return out * int(np.prod(inputs[1]["shape"])) // int(output["shape"][-1])
    if kind == "DEPTHWISE_CONV_2D":
        return out * int(np.prod(inputs[1]["shape"][1:3]))
    if kind == "FULLY_CONNECTED":
        return out * int(inputs[1]["shape"][-1])
    if kind == "BATCH_MATMUL":
        left = int(np.prod(inputs[0]["shape"][-2:]))
        rows = int(output["shape"][-2])
        return out * (left // rows)
    if kind == "TRANSPOSE_CONV":
        return int(np.prod(inputs[2]["shape"])) * int(np.prod(inputs[1]["shape"][:3]))
    return 0


def show(build, path, threads):
    path, threads = pathlib.Path(path), str(threads)
    gflops, gbytes = map(float, subprocess.run([build / "bench_peak", threads], capture_output=True, text=True,
                                               check=True).stdout.split())
    done = subprocess.run([build / "tolite", "bench", path, "--threads", threads, "--layers", "--json"],
                          capture_output=True, text=True, check=True)
    bench, known, rows, kinds = json.loads(done.stdout)["files"][0], details(path), [], {}
    for layer in bench["layers"]:
        kind, products, size = known.get(layer.get("output"), (layer["op"], 0, 0))
        seconds = layer["ms"] * 1e-3
        if not seconds or not size:
            continue
        floor = max(2e-9 * products / gflops, 1e-9 * size / gbytes)
        bound = "compute" if 2 * products / gflops > size / gbytes else "memory"
        rows.append((seconds, kind, layer.get("type", ""), 2e-9 * products / seconds, 1e-9 * size / seconds, floor / seconds,
                     bound, floor))
        total = kinds.setdefault(kind, [0, 0.0, 0.0, 0])
        for i, value in enumerate((1, seconds, floor, products)):
            total[i] += value
    whole = sum(row[0] for row in rows)
    print(f"\n{path.stem}, threads: {threads}, {bench['median_ms']:.2f} ms; "
          f"peak {gflops:.0f} GFLOP/s, {gbytes:.1f} GB/s from memory")
    print(f"  {'ops':24} {'count':>5} {'ms':>9} {'of all':>7} {'GFLOP/s':>8} {'of peak':>8}")
    for kind, (count, seconds, floor, products) in sorted(kinds.items(), key=lambda item: -item[1][1]):
        print(f"  {kind:24} {count:5} {seconds * 1e3:9.3f} {seconds / whole:6.1%} {2e-9 * products / seconds:8.1f} "
              f"{floor / seconds:7.0%}")
    print(f"  {'slowest layers':24} {'ms':>9} {'GFLOP/s':>8} {'GB/s':>7} {'of peak':>8}")
    for seconds, kind, type_, flops, bytes_, share, bound, _ in sorted(rows, key=lambda row: -row[0])[:SHOWN]:
        print(f"  {kind:24} {seconds * 1e3:9.3f} {flops:8.1f} {bytes_:7.1f} {share:7.0%} of {bound:8} {type_}")
    print(f"  all layers: {sum(row[7] for row in rows) / whole:.0%} of the peak (a layer whose operands lie in a cache "
          f"may exceed that of the memory)")
