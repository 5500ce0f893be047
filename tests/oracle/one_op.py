"""Every op of a .tflite file as a file of its own, run in LiteRT (default delegate, plain kernels) and in our executor,
which rounds as the one or the other: so differences of ops do not add up, and none hides behind another.

    one_op.py FILE.tflite ...       a line per kind of op that differs somewhere: how often, and by how many steps

Only integer ops count: what is float is left to the agreement rule. Equal ops (kind, types, shapes, options) are run
once."""
import collections
import copy
import pathlib
import sys
import tempfile

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import support

NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
TYPES = {schema.TensorType.INT8: np.int8, schema.TensorType.UINT8: np.uint8, schema.TensorType.INT16: np.int16,
         schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT32: np.int32}
LEFT_OUT = {"WHILE", "IF", "CALL_ONCE", "STABLEHLO_COMPOSITE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"}


def read(path):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(pathlib.Path(path).read_bytes(), 0))


def is_constant(model, tensor):
    return tensor.buffer and model.buffers[tensor.buffer].data is not None


def is_quantised(tensor):
    return tensor.quantization is not None and tensor.quantization.scale is not None and len(tensor.quantization.scale)


def code_of(model, op):
    code = model.operatorCodes[op.opcodeIndex]
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def numbers(x):
    return () if x is None else tuple(np.asarray(x).ravel().tolist())


def key_of(model, graph, op):
    """Equal for ops that would compute the same with the same constants, whatever these are."""
    parts = [code_of(model, op)]
    for i in [*op.inputs, *op.outputs]:
        t = graph.tensors[i] if i >= 0 else None
        parts.append(t and (t.type, numbers(t.shape), bool(is_constant(model, t)), bool(is_quantised(t))))
    options = op.builtinOptions
    parts.append(tuple(sorted((k, str(v)) for k, v in vars(options).items())) if options else ())
    return tuple(parts)


def cut(model, graph, op):
    """The op alone, as the bytes of a file; the tensors that it is given."""
    new = schema.ModelT()
    new.version = 3
    code = copy.copy(model.operatorCodes[op.opcodeIndex])
    new.operatorCodes = [code]
    new.buffers = [schema.BufferT()]
    sub = schema.SubGraphT()
    sub.tensors, place = [], {}
    for i in [*op.inputs, *op.outputs]:
        if i < 0 or i in place:
            continue
        tensor = copy.copy(graph.tensors[i])
        tensor.name = f"t{len(sub.tensors)}".encode()
        tensor.shapeSignature = None
        if is_constant(model, tensor):
            new.buffers.append(model.buffers[tensor.buffer])
            tensor.buffer = len(new.buffers) - 1
        else:
            tensor.buffer = 0
        place[i] = len(sub.tensors)
        sub.tensors.append(tensor)
    alone = copy.copy(op)
    alone.opcodeIndex = 0
    alone.inputs = [place[i] if i >= 0 else -1 for i in op.inputs]
    alone.outputs = [place[i] for i in op.outputs]
    sub.operators = [alone]
    given = [i for i in dict.fromkeys(op.inputs) if i >= 0 and not is_constant(model, graph.tensors[i])]
    sub.inputs = [place[i] for i in given]
    sub.outputs = list(alone.outputs)
    sub.name = b"main"
    new.subgraphs = [sub]
    builder = flatbuffers.Builder(1024)
    builder.Finish(new.Pack(builder), b"TFL3")
    return bytes(builder.Output()), [graph.tensors[i] for i in given]


def values_for(tensor, rng):
    """Stored numbers over all of the type; floats near one."""
    shape = [max(int(n), 1) for n in (tensor.shape if tensor.shape is not None else [])]
    dtype = TYPES[tensor.type]
    if dtype == np.float32:
        return rng.standard_normal(shape).astype(dtype)
    if not is_quantised(tensor):
        return np.zeros(shape, dtype)  # indices, sizes, conditions: something that every op takes
    limits = np.iinfo(dtype if dtype != np.int32 else np.int16)
    lo = max(limits.min, -limits.max) if dtype == np.int16 else limits.min
    return rng.integers(lo, limits.max, shape, endpoint=True).astype(dtype)


def compare(data, given, rng, folder):
    """{"float": steps, "plain": steps}: the largest difference to the delegate and to the plain kernels."""
    path = folder / "op.tflite"
    path.write_bytes(data)
    arrays = [values_for(t, rng) for t in given]
    np.savez(folder / "in.npz", **{f"input_{i}": a for i, a in enumerate(arrays)})
    worst = {}
    for rounding, delegate in (("float", True), ("plain", False)):
        theirs = support.LiteRT(path, delegate=delegate)(arrays)
        support.tolite("run", path, "--in", folder / "in.npz", "--out", folder / "out.npz", "--rounding", rounding)
        mine = list(support.load(folder / "out.npz").values())
        worst[rounding] = max(difference(a, b) for a, b in zip(mine, theirs))
    return worst


def difference(mine, theirs):
    """In steps; of floats relative to the largest, in millionths."""
    if mine.size == 0:
        return 0
    if theirs.dtype == np.float32:
        d = np.abs(mine.astype(np.float64) - theirs)
        return 0 if np.array_equal(mine, theirs) else max(1, int(1e6 * d.max() / max(1, np.abs(theirs).max())))
    return int(np.abs(mine.astype(np.int64) - theirs.astype(np.int64)).max())


def integer_ops(path):
    """(name, key, bytes, given) of every op of a file that has a quantised result or operand, equal ones once."""
    model, seen = read(path), set()
    for graph in model.subgraphs:
        for op in graph.operators or []:
            tensors = [graph.tensors[i] for i in [*op.inputs, *op.outputs] if i >= 0]
            key = key_of(model, graph, op)
            name = NAMES[code_of(model, op)]
            if key in seen or name in LEFT_OUT or not any(is_quantised(t) for t in tensors):
                continue
            if any(t.type not in TYPES and not is_constant(model, t) for t in tensors[:len(op.inputs)]):
                continue
            seen.add(key)
            data, given = cut(model, graph, op)
            if given:
                yield name, key, data, given


def kind_of(name, given):
    """CONV_2D, of the type of its first operand that is given."""
    return f"{name} {np.dtype(TYPES[given[0].type]).name}"


def survey(paths, rng, seen=None):
    """{kind: Counter of (float steps, plain steps)}; ops seen in an earlier file are left out."""
    seen = set() if seen is None else seen
    kinds = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            for name, key, data, given in integer_ops(path):
                if key in seen:
                    continue
                seen.add(key)
                worst = compare(data, given, rng, pathlib.Path(folder))
                kinds[kind_of(name, given)][worst["float"], worst["plain"]] += 1
    return kinds


def main():
    kinds = survey(sys.argv[1:], np.random.default_rng(1))
    for kind, counts in sorted(kinds.items()):
        print(f"{kind:32}", "  ".join(f"{n}x({a}, {b})" for (a, b), n in sorted(counts.items())))


if __name__ == "__main__":
    main()
