"""The node tests that ship inside the onnx package, one small model with recorded inputs and outputs each.

nodes.tsv describes them: operator, class, element types (A1 what TFLite computes with; A2 what it can carry;
B, C, S beyond), whether the operator is replaced by the body that the standard gives it, and which inputs are
parameters or weights. Two modes: `strict` leaves every input an input of the file, `folded` makes constants of
parameters and weights, as exporters do. nodes_pass.txt holds what passes, one line per test with its best mode.

    python nodes.py [WORD...]     run the tests whose names contain a word, say why some fail
    python nodes.py --record      run all and write nodes_pass.txt
"""
import csv
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnx.backend.test
from onnx import numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import support  # noqa: E402

DATA = pathlib.Path(onnx.backend.test.__file__).parent / "data" / "node"
PASS = HERE / "nodes_pass.txt"
RTOL, ATOL = 1e-3, 1e-7  # the rule of the suite


def suite():
    """{test: row of nodes.tsv} of the tests that this release of onnx carries."""
    with open(HERE / "nodes.tsv") as file:
        rows = {row["test"]: row for row in csv.DictReader(file, delimiter="\t")}
    return {name: row for name, row in rows.items() if (DATA / name / "model.onnx").exists()}


def recorded():
    """{test: mode} of nodes_pass.txt."""
    return dict(line.split() for line in PASS.read_text().splitlines() if line and line[0] != "#")


# ---- one test ----

def read_arrays(folder, kind, infos):
    arrays = []
    for i, info in enumerate(infos):
        if not info.type.HasField("tensor_type"):
            raise NotImplementedError(f"{info.name} is no tensor")
        tensor = onnx.TensorProto.FromString((folder / f"{kind}_{i}.pb").read_bytes())
        arrays.append(numpy_helper.to_array(tensor))
    return arrays


def freeze(proto, inputs, names):
    """The inputs of these names as constants of the model; what is left of the inputs."""
    for info in [i for i in proto.graph.input if i.name in names]:
        proto.graph.input.remove(info)
        proto.graph.initializer.append(numpy_helper.from_array(inputs[info.name], info.name))
    return {name: x for name, x in inputs.items() if name not in names}


def load(name, mode, row):
    proto = onnx.load(DATA / name / "model.onnx")
    folder = DATA / name / "test_data_set_0"
    arrays = read_arrays(folder, "input", proto.graph.input)
    inputs = {info.name: x for info, x in zip(proto.graph.input, arrays)}
    outputs = read_arrays(folder, "output", proto.graph.output)
    if mode == "folded":
        inputs = freeze(proto, inputs, [p for p in row["parameters"].split(",") if p])
    return proto, inputs, outputs


def difference(results, expected):
    """None, or how the results break the rule of the suite."""
    if len(results) != len(expected):
        return f"{len(results)} outputs, expected {len(expected)}"
    for i, (x, y) in enumerate(zip(results, expected)):
        if x.shape != y.shape or x.dtype != y.dtype:
            return f"output {i}: {x.dtype}{list(x.shape)}, expected {y.dtype}{list(y.shape)}"
        if y.dtype.kind not in "biuc":
            x, y = x.astype(np.float64), y.astype(np.float64)
        if not np.allclose(x, y, RTOL, ATOL, equal_nan=True):
            worst = np.nanmax(np.abs(x.astype(np.float64) - y.astype(np.float64)))
            return f"output {i}: max|a-b| {worst:.3g}"
    return None


def run_source(source, inputs, folder):
    np.savez(folder / "in.npz", **inputs)
    support.tolite("run", source, "--in", folder / "in.npz", "--out", folder / "out.npz")
    return list(support.load(folder / "out.npz").values())


def run_litert(file, inputs, delegate):
    """Results of the second of two calls."""
    runner = support.LiteRT(file, delegate)
    names = [detail["name"] for detail in runner.inputs]
    assert sorted(names) == sorted(inputs), f"inputs {names}, expected {list(inputs)}"
    runner([inputs[name] for name in names])
    return runner([inputs[name] for name in names])


def failure(name, mode, row, folder):
    """None when the test passes, else why not: the stage, and one line."""
    proto, inputs, expected = load(name, mode, row)
    source, file = folder / "model.onnx", folder / "model.tflite"
    onnx.save(proto, source)
    steps = {"convert": lambda: support.tolite("convert", source, "-o", file),
             "source": lambda: run_source(source, inputs, folder),
             "LiteRT": lambda: run_litert(file, inputs, True),
             "LiteRT plain": lambda: run_litert(file, inputs, False)}
    for step, run in steps.items():
        try:
            result = run()
            problem = None if step == "convert" else difference(result, expected)
        except Exception as error:  # whatever stops a test is its result
            problem = str(error).strip().replace("\n", " ").replace(str(folder) + "/", "")
        if problem:
            return f"{step}: {problem}"
    return None


# ---- all of them ----

def in_child(name, mode, row):
    """failure() in a process of its own, since the runtime may crash."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with tempfile.TemporaryDirectory() as folder:
                said = failure(name, mode, row, pathlib.Path(folder))
        except Exception as error:
            said = f"test: {error}"
        os.write(write, (said or "").encode()[:4000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    status = os.waitpid(child, 0)[1]
    return f"LiteRT: crash, status {status}" if status else said or None


def best_mode(name, row):
    """(mode or None, why strict fails)."""
    why = in_child(name, "strict", row)
    if why is None:
        return "strict", None
    if row["parameters"]:
        folded = in_child(name, "folded", row)
        return ("folded", why) if folded is None else (None, folded)
    return None, why


TRAINING = {"test_batchnorm_epsilon_training_mode", "test_batchnorm_example_training_mode",
            "test_training_dropout_zero_ratio", "test_training_dropout_zero_ratio_mask"}
NOT_CORE = {"NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss", "ai.onnx.preview::FlexAttention", "FlexAttention",
            "LinearAttention", "CausalConvWithState", "SwiGLU", "TensorScatter", "BitCast", "CumProd"}


def denominators(row):
    """Names of the sets that a test belongs to."""
    yield "D0 all"
    if row["class"] != "tensor":
        return
    yield "D1 plain tensors"
    if row["types"] not in ("A1", "A2"):
        return
    yield "D2 types of TFLite"
    if row["expanded"] == "1":
        return
    yield "D3 without bodies"
    if row["types"] == "A1":
        yield "D4 computable types"
    if row["operator"] not in NOT_CORE and row["test"] not in TRAINING:
        yield "D5 inference core"


def figures(modes, rows):
    """Lines of a table: strict and best mode against every denominator."""
    table = {}
    for name, row in rows.items():
        for key in denominators(row):
            counts = table.setdefault(key, [0, 0, 0])
            counts[0] += 1
            counts[1] += modes.get(name) == "strict"
            counts[2] += modes.get(name) is not None
    return [f"{key:22} {n:5} strict {strict:5} = {100 * strict / n:5.1f} %   with folded {best:5} = {100 * best / n:5.1f} %"
            for key, (n, strict, best) in sorted(table.items())]


def main(arguments):
    words = [a for a in arguments if not a.startswith("-")]
    rows = {n: r for n, r in suite().items() if not words or any(w in n or w == r["operator"] for w in words)}
    if words and not rows:
        sys.exit(f"no test of the onnx package has {' or '.join(words)} in its name; operators without one are tested in "
                 "test_onnx_import.py")
    modes = {}
    for name, row in rows.items():
        mode, why = best_mode(name, row)
        if mode:
            modes[name] = mode
        if why:
            print(f"{mode or 'FAIL':6} {name} [{row['class']} {row['types']}] {why[:400]}", flush=True)
    lines = figures(modes, rows)
    print("\n".join(lines))
    if "--record" in arguments:
        head = [f"# onnx {onnx.__version__}, written by python nodes.py --record"] + ["# " + line for line in lines]
        PASS.write_text("\n".join(head + [f"{name} {mode}" for name, mode in sorted(modes.items())]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
