"""Random graphs through the program and the runtimes: our executor on the source against onnxruntime, and the file we
write, in our executor and in LiteRT, against onnxruntime.

    python fuzz_graphs.py 1 10000            graphs of these seeds, 40 disconnected ones per model
    python fuzz_graphs.py 1 10000 --ops Conv,Pad,Slice
    python fuzz_graphs.py 4711 --keep DIR    one graph alone: what is said of it; the model and its arrays stay in DIR

A model that fails somewhere is halved until single graphs are left. Every graph is made from its seed alone.
EXPLAINED lists the differences that are no faults of ours, with their reasons.
"""
import argparse
import collections
import pathlib
import re
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import fuzz_ops  # noqa: E402
import support  # noqa: E402

PER_MODEL = 40
NON_FINITE = "non-finite"  # as pattern: some value of the graph is NaN or infinite
SHAKY = "shaky"  # as pattern: inputs that differ by 4e-6 of themselves give results that disagree as well

# What is known and no fault of ours: (name, the stage at which it shows, operators, pattern of what is said, reason).
EXPLAINED = [
    ("refused by onnxruntime", "onnxruntime", (), "", "no kernel for the type, or the random graph is not valid"),
    ("no form", "convert", (), r"status 4: .*(has no form|U00[37])",
     "the target has no builtin for it; said before anything is written"),
    ("non-finite in LiteRT", "LiteRT", (), NON_FINITE,
     "plain kernels clamp results to finite floats; the delegate's EXP, RSQRT, MAX and MIN lose NaN. Our executor on the "
     "same file is held to the numbers of onnxruntime"),
    ("NaN in an order", "", ("ReduceMax", "ReduceMin", "ArgMax", "ArgMin", "MaxPool", "TopK", "Max", "Min", "Clip", "Relu",
                             "GlobalMaxPool", "Hardmax", "Softmax", "LogSoftmax", "ReduceLogSumExp", "ScatterND", "ScatterElements"),
     NON_FINITE,
     "comparisons with NaN: the standard says nothing, onnxruntime's answer depends on the order of elements"),
    ("NaN beside", "", ("Resize", "LRN", "GridSample"), NON_FINITE,
     "a NaN or infinite neighbour of weight 0: implementations skip it or multiply it by 0"),
    ("non-finite rearranged", "file", (), NON_FINITE,
     "rewrites that hold for numbers (scales and offsets folded into weights) need not for infinities"),
    ("no log1p", "file|LiteRT", ("Mish", "Softplus"), r"^cosine",
     "log(1 + e) of a small e is 0 in floats and no builtin does better: off by less than 1e-7, which shows where nothing is larger"),
    ("mostly rounding", "", (), SHAKY, "onnxruntime itself answers something else to inputs that differ in their last digits"),
]


# ---- models ----

def info(name, array, open_axes=()):
    dims = [f"{name}_{i}" if i in open_axes else d for i, d in enumerate(array.shape)]
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), dims)


def build(graphs):
    """One model of all graphs, and its inputs."""
    nodes = [n for g in graphs for n in g.nodes]
    constants = [c for g in graphs for c in g.constants]
    inputs = [info(name, array, g.open[name]) for g in graphs for name, array in g.feeds.items()]
    outputs = [helper.make_tensor_value_info(v.name, fuzz_ops.CODE[v.kind], None) for g in graphs for v in g.outputs]
    graph = helper.make_graph(nodes, "fuzz", inputs, outputs, constants)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", graphs[0].opset)], ir_version=10)
    feeds = {name: array for g in graphs for name, array in g.feeds.items()}
    return proto, feeds


def reference(proto, feeds):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds)))


# ---- one model through everything ----

class Failed(Exception):
    """A stage refused the model as a whole."""

    def __init__(self, stage, text):
        super().__init__(f"{stage}: {text}")
        self.stage, self.text = stage, text


def call(stage, *args):
    done = subprocess.run([str(support.PROGRAM), *map(str, args)], capture_output=True, text=True, timeout=120)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise Failed(stage, f"status {done.returncode}: " + " | ".join(lines[:3]))


def stage_onnxruntime(proto, feeds, folder):
    try:
        return reference(proto, feeds)
    except Exception as problem:
        raise Failed("onnxruntime", str(problem).splitlines()[0]) from None


def stage_source(proto, feeds, folder):
    call("source", "run", folder / "m.onnx", "--in", folder / "in.npz", "--out", folder / "source.npz", "-t", 1)
    return support.load(folder / "source.npz")


def stage_file(proto, feeds, folder):
    call("convert", "convert", folder / "m.onnx", "-o", folder / "m.tflite", "-q", "-t", 1)
    call("file", "run", folder / "m.tflite", "--in", folder / "in.npz", "--out", folder / "file.npz", "-t", 1)
    return support.load(folder / "file.npz")


def stage_litert(delegate):
    def run(proto, feeds, folder):
        try:
            runtime = support.LiteRT(folder / "m.tflite", delegate=delegate)
            results = runtime([feeds[i.name] for i in proto.graph.input])
        except (RuntimeError, ValueError) as problem:
            raise Failed("LiteRT", str(problem).splitlines()[0]) from None
        return dict(zip([o.name for o in proto.graph.output], results))
    return run


STAGES = {"source": stage_source, "file": stage_file, "LiteRT plain": stage_litert(False),
          "LiteRT delegate": stage_litert(True)}


def differences(graphs, expected, results, stage):
    """[(seed, operators, stage, what)] of the graphs whose outputs differ."""
    found = []
    for g in graphs:
        for v in g.outputs:
            what = support.disagreement(results[v.name], expected[v.name]) if v.name in results else "output is missing"
            if what:
                found.append((g.seed, g.ops, stage, what))
                break
    return found


def run_model(graphs, folder):
    """The differences in one model; Failed when a stage refuses it."""
    proto, feeds = build(graphs)
    onnx.save(proto, folder / "m.onnx")
    np.savez(folder / "in.npz", **feeds)
    expected = stage_onnxruntime(proto, feeds, folder)
    np.savez(folder / "expected.npz", **expected)
    found = []
    for stage, run in STAGES.items():
        found += differences(graphs, expected, run(proto, feeds, folder), stage)
    return found


def search(graphs, folder):
    """All differences and refusals, down to single graphs."""
    try:
        return run_model(graphs, folder)
    except Failed as failed:
        if len(graphs) == 1:
            return [(graphs[0].seed, graphs[0].ops, failed.stage, failed.text)]
    half = len(graphs) // 2
    return search(graphs[:half], folder) + search(graphs[half:], folder)


def is_finite(graph):
    """Whether all values of the graph are, in onnxruntime."""
    made = {name for node in graph.nodes for name in node.output}
    whole = [v for v in graph.values if v.name in made and v.kind == "f"]
    graph.outputs = whole
    try:
        return all(np.isfinite(x).all() for x in reference(*build([graph])).values()) if whole else True
    except Exception:
        return True


def is_shaky(graph):
    """Whether onnxruntime's results leave the agreement rule when its inputs move in their last digits."""
    try:
        proto, feeds = build([graph])
        moved = {name: x * (1 + 4e-6 * (-1.0) ** np.arange(x.size).reshape(x.shape)).astype(x.dtype) if x.dtype == np.float32
                 else x for name, x in feeds.items()}
        before, after = reference(proto, feeds), reference(proto, moved)
        return any(support.disagreement(after[name], before[name]) for name in before)
    except Exception:
        return False


def explanation(finding, wanted=None):
    seed, ops, stage, what = finding
    for name, where, operators, pattern, _ in EXPLAINED:
        if not re.search(where, stage) or (operators and not set(operators) & set(ops)):
            continue
        if pattern is SHAKY:
            if "status" not in what and "at different places" not in what and is_shaky(fuzz_ops.random_graph(seed, wanted)):
                return name
        elif pattern is not NON_FINITE and re.search(pattern, what):
            return name
        if pattern is NON_FINITE and "status" not in what and not is_finite(fuzz_ops.random_graph(seed, wanted)):
            return name
    return None


def fuzz(seeds, wanted=None, keep=None):
    """[(finding, explanation)] of these seeds."""
    warnings.simplefilter("ignore")
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(keep or scratch)
        folder.mkdir(exist_ok=True)
        for i in range(0, len(seeds), PER_MODEL):
            found += search([fuzz_ops.random_graph(s, wanted) for s in seeds[i:i + PER_MODEL]], folder)
    return [(f, explanation(f, wanted)) for f in found]


# ---- the program: batches in processes of their own, since a runtime may crash ----

def batch(first, count, ops):
    """Findings of a batch as lines; halved when the process dies."""
    command = [sys.executable, __file__, str(first), str(first + count - 1), "--worker"] + (["--ops", ops] if ops else [])
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return [tuple(line.split("\t")) for line in done.stdout.splitlines()]
    if count == 1:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        return [(str(first), "-", "process", f"ended with {done.returncode}: {last}", "")]
    half = count // 2
    return batch(first, half, ops) + batch(first + half, count - half, ops)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int, nargs="?")
    parser.add_argument("--ops", help="draw from these operators, separated by commas")
    parser.add_argument("--keep", help="folder for the files of the last model")
    parser.add_argument("--worker", action="store_true", help="print findings as tab-separated lines")
    args = parser.parse_args()
    last = args.first if args.last is None else args.last
    wanted = args.ops.split(",") if args.ops else None
    if args.worker or args.keep or last == args.first:
        for (seed, ops, stage, what), name in fuzz(range(args.first, last + 1), wanted, args.keep):
            print(seed, ",".join(ops), stage, what, name or "", sep="\t")
        return
    names, n_open = collections.Counter(), 0
    for first in range(args.first, last + 1, 400):
        for seed, ops, stage, what, name in batch(first, min(400, last + 1 - first), args.ops):
            names[name or f"? {stage}"] += 1
            if not name:
                n_open += 1
                print(seed, ops, stage, what, sep="\t", flush=True)
    print(f"{last + 1 - args.first} graphs, {n_open} unexplained findings")
    for name, n in names.most_common():
        print(f"  {n:6} {name}")


if __name__ == "__main__":
    main()
