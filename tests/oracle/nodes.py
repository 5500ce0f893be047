"""The node tests that ship inside the onnx package, one small model with recorded inputs and outputs each.

nodes.tsv describes them: operator, class, element types (A1 what TFLite computes with; A2 what it can carry;
B, C, S beyond), whether the operator is replaced by the body that the standard gives it, and which inputs are
parameters or weights. Two modes: `strict` leaves every input an input of the file, `folded` makes constants of
parameters and weights, as exporters do.

A test goes through these stages, each compared with the recorded outputs: source, the model in our executor;
convert, which writes the file; file, that file in our executor; litert, the file in LiteRT; plain, in LiteRT
without its delegate. nodes_fail.tsv lists every test that does not go through all of them in both modes: where
it stops, and why.

    python nodes.py [WORD...]     run the tests whose names contain a word (=WORD: whose operator it is), say
                                  where some stop, and print the figures per set
    python nodes.py --record      run all and write nodes_fail.tsv; reasons that are there stay
"""
import csv
import os
import pathlib
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
FAIL = HERE / "nodes_fail.tsv"
RTOL, ATOL = 1e-3, 1e-7  # the rule of the suite
STAGES = ("source", "convert", "file", "litert", "plain")
ALL = "-"  # no stage stops it


def suite():
    """{test: row of nodes.tsv} of the tests that this release of onnx carries."""
    with open(HERE / "nodes.tsv") as file:
        rows = {row["test"]: row for row in csv.DictReader(file, delimiter="\t")}
    return {name: row for name, row in rows.items() if (DATA / name / "model.onnx").exists()}


def folder(kind):
    """The tests of another folder of the package: names are paths from that of the node tests."""
    names = sorted(path.parent.name for path in (DATA.parent / kind).glob("*/model.onnx"))
    return {f"../{kind}/{name}": {"parameters": ""} for name in names}


def known_failures():
    """{test: row of nodes_fail.tsv}: set, strict and folded (the stage that stops it, or -), reason."""
    lines = [line for line in FAIL.read_text().splitlines() if line and line[0] != "#"]
    return {row["test"]: row for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)}


# ---- one test ----

def read_arrays(folder, kind, infos):
    """{name: array}; elements of a sequence are NAME.0, NAME.1, ..."""
    arrays = {}
    for i, info in enumerate(infos):
        data = (folder / f"{kind}_{i}.pb").read_bytes()
        if info.type.HasField("sequence_type"):
            elements = numpy_helper.to_list(onnx.SequenceProto.FromString(data))
            arrays |= {f"{info.name}.{k}": x for k, x in enumerate(elements)}
        elif info.type.HasField("tensor_type"):
            arrays[info.name] = numpy_helper.to_array(onnx.TensorProto.FromString(data))
        else:
            raise NotImplementedError(f"{info.name} is an optional value")
    return arrays


def element_options(inputs, infos):
    """How many elements the sequences among the inputs have, as options of the program."""
    names = [info.name for info in infos if info.type.HasField("sequence_type")]
    return [word for name, x in inputs.items() if name.rsplit(".", 1)[0] in names
            for word in ("--input", f"{name}={','.join(map(str, x.shape))}")]


def whole_bytes(array):
    """Integers of less than a byte have one each in npz files, and in LiteRT's interface."""
    small = {"int4": np.int8, "int2": np.int8, "uint4": np.uint8, "uint2": np.uint8}
    return array.astype(small.get(array.dtype.name, array.dtype))


def freeze(proto, inputs, names):
    """The inputs of these names as constants of the model; what is left of the inputs."""
    for info in [i for i in proto.graph.input if i.name in names]:
        proto.graph.input.remove(info)
        proto.graph.initializer.append(numpy_helper.from_array(inputs[info.name], info.name))
    return {name: x for name, x in inputs.items() if name not in names}


def load(name, mode, row):
    proto = onnx.load(DATA / name / "model.onnx")
    folder = DATA / name / "test_data_set_0"
    constants = {tensor.name for tensor in proto.graph.initializer}  # old files list them as inputs, too
    infos = [info for info in proto.graph.input if info.name not in constants]
    inputs = read_arrays(folder, "input", infos)
    outputs = list(read_arrays(folder, "output", proto.graph.output).values())
    options = element_options(inputs, infos)
    if mode == "folded":
        inputs = freeze(proto, inputs, [p for p in row["parameters"].split(",") if p])
    return proto, inputs, outputs, options


def difference(results, expected):
    """None, or how the results break the rule of the suite."""
    if len(results) != len(expected):
        return f"{len(results)} outputs, expected {len(expected)}"
    for i, (x, y) in enumerate(zip(results, expected)):
        if y.dtype.name == "bfloat16" and x.dtype.str == "|V2":  # what npz files call it
            x = x.view(y.dtype)
        if x.shape != y.shape or x.dtype != y.dtype:
            return f"output {i}: {x.dtype}{list(x.shape)}, expected {y.dtype}{list(y.shape)}"
        if y.dtype.kind not in "biuc":
            x, y = x.astype(np.float64), y.astype(np.float64)
        if not np.allclose(x, y, RTOL, ATOL, equal_nan=True):
            worst = np.nanmax(np.abs(x.astype(np.float64) - y.astype(np.float64)))
            return f"output {i}: max|a-b| {worst:.3g}"
    return None


def run_ours(model, arrays, folder, options=()):
    support.tolite("run", model, "--in", arrays, "--out", folder / "out.npz", *options)
    return list(support.load(folder / "out.npz").values())


def run_litert(file, inputs, delegate):
    """Results of the second of two calls."""
    runner = support.LiteRT(file, delegate)
    names = [detail["name"] for detail in runner.inputs]
    assert sorted(names) == sorted(inputs), f"inputs {names}, expected {list(inputs)}"
    runner([inputs[name] for name in names])
    return runner([inputs[name] for name in names])


def outcome(name, mode, row, folder, report=lambda stage: None):
    """(stage that stops the test, or ALL; one line that says why). report is told of each stage before it runs."""
    report("source")
    proto, inputs, expected, options = load(name, mode, row)
    source, file, arrays = folder / "model.onnx", folder / "model.tflite", folder / "in.npz"
    onnx.save(proto, source)
    inputs = {name: whole_bytes(x) for name, x in inputs.items()}
    np.savez(arrays, **inputs)
    expected = [whole_bytes(y) for y in expected]
    run = {"source": lambda: run_ours(source, arrays, folder, options),
           "convert": lambda: support.tolite("convert", source, "-o", file, *options),
           "file": lambda: run_ours(file, arrays, folder),
           "litert": lambda: run_litert(file, inputs, True),
           "plain": lambda: run_litert(file, inputs, False)}
    for stage in STAGES:
        report(stage)
        try:
            result = run[stage]()
            problem = None if stage == "convert" else difference(result, expected)
        except Exception as error:  # whatever stops a test is its result
            problem = str(error).strip().replace("\n", " ").replace(str(folder) + "/", "") or repr(error)
        if problem:
            return stage, problem
    return ALL, ""


# ---- many of them, in processes of their own, since the runtime may crash ----

def work(tasks, pipe):
    """Runs (name, mode, row) one after the other; lines "index stage why" to pipe, "index >stage" before each stage."""
    import ai_edge_litert.interpreter  # noqa: F401: once, rather than in every test
    def say(*words):
        os.write(pipe, ("\t".join(map(str, words)).replace("\n", " ")[:3000] + "\n").encode())
    for index, (name, mode, row) in tasks:
        try:
            with tempfile.TemporaryDirectory() as folder:
                said = outcome(name, mode, row, pathlib.Path(folder), lambda stage: say(index, ">" + stage))
        except Exception as error:
            said = "source", f"test: {error}"
        say(index, *said)


def run_share(tasks):
    """{index: (stage, why)}; a crash is the result of the test in which it happens."""
    results, left = {}, list(tasks)
    while left:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            work(left, write)
            os._exit(0)
        os.close(write)
        begun = {}
        with os.fdopen(read, errors="replace") as pipe:
            for line in pipe:
                index, stage, *why = line.rstrip("\n").split("\t")
                if stage[0] == ">":
                    begun[int(index)] = stage[1:]
                else:
                    results[int(index)] = (stage, " ".join(why))
        status = os.waitpid(child, 0)[1]
        for index in set(begun) - set(results):
            results[index] = (begun[index], f"crash, status {status}")
        if status and not set(begun) & {index for index, _ in left}:
            raise RuntimeError(f"no test begun, status {status}")
        left = [task for task in left if task[0] not in results]
    return results


def run_all(rows):
    """{test: {mode: (stage, why)}}; what has no parameters is the same in both modes."""
    from multiprocessing.pool import ThreadPool
    tasks = [(name, "strict", row) for name, row in rows.items()]
    tasks += [(name, "folded", row) for name, row in rows.items() if row["parameters"]]
    numbered = list(enumerate(tasks))
    n = os.cpu_count() or 1
    with ThreadPool(n) as pool:
        parts = pool.map(run_share, [numbered[i::n] for i in range(n)])
    results = {}
    for part in parts:
        for index, said in part.items():
            name, mode, _ = tasks[index]
            results.setdefault(name, {})[mode] = said
    for modes in results.values():
        modes.setdefault("folded", modes["strict"])
    return results


# ---- figures ----

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


def figures(results, rows):
    """Lines of a table: how many go through our executor, and through LiteRT as well, against every set."""
    table = {}
    for name, modes in results.items():
        for key in denominators(rows[name]):
            counts = table.setdefault(key, {"n": 0})
            counts["n"] += 1
            for mode, (stage, _) in modes.items():
                for end, stops in (("file", STAGES[:3]), ("litert", STAGES)):
                    counts[mode, end] = counts.get((mode, end), 0) + (stage not in stops)
    head = f"{'set':20} {'tests':>5}"
    lines, columns = [], [(mode, end) for mode in ("folded", "strict") for end in ("file", "litert")]
    lines.append(head + "".join(f"   {mode + ' ' + end:>15}" for mode, end in columns))
    for key, counts in sorted(table.items()):
        shares = "".join(f"   {counts[c]:5} = {100 * counts[c] / counts['n']:5.1f} %" for c in columns)
        lines.append(f"{key:20} {counts['n']:5}{shares}")
    return lines


def selected(words):
    rows = suite()
    if not words:
        return rows
    return {name: row for name, row in rows.items()
            if any(w[1:] == row["operator"] if w[0] == "=" else w in name for w in words)}


def smallest_set(row):
    return list(denominators(row))[-1].split()[0]


def record(results, rows, lines):
    known = known_failures() if FAIL.exists() else {}
    out = [f"# onnx {onnx.__version__}, written by python nodes.py --record", *("# " + line for line in lines)]
    out.append("\t".join(("test", "set", "strict", "folded", "reason")))
    for name, modes in sorted(results.items()):
        stages = [modes[mode][0] for mode in ("strict", "folded")]
        if stages != [ALL, ALL]:
            why = next(modes[mode][1] for mode in ("folded", "strict") if modes[mode][0] != ALL)
            old = known.get(name)
            same = old and [old["strict"], old["folded"]] == stages
            reason = old["reason"] if same else "? " + why[:200].replace("\t", " ")
            out.append("\t".join((name, smallest_set(rows[name]), *stages, reason)))
    FAIL.write_text("\n".join(out) + "\n")


def main(arguments):
    words = [a for a in arguments if not a.startswith("-")]
    rows = selected(words)
    if not rows:
        sys.exit(f"no test of the onnx package has {' or '.join(words)} in its name; operators without one are tested in "
                 "test_onnx_import.py")
    results = run_all(rows)
    for name, modes in sorted(results.items()):
        for mode in ("strict", "folded") if rows[name]["parameters"] else ("strict",):
            stage, why = modes[mode]
            if stage != ALL:
                print(f"{mode:6} {stage:7} {name} [{rows[name]['operator']} {smallest_set(rows[name])}] {why[:400]}")
    lines = figures(results, rows)
    print("\n".join(lines))
    if "--record" in arguments:
        record(results, rows, lines)


if __name__ == "__main__":
    main(sys.argv[1:])
