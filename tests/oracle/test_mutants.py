"""Files damaged in one op: where LiteRT's outputs leave the agreement rule, `diff` says so and names the op or its
direct consumer."""
import json
import random

import numpy as np
import pytest

import builders as b
import support

NETWORKS = ["mobilenet_v3_small", "densenet", "unet", "googlenet", "yolo_like", "convnext_tiny", "regnet_y"]
MUTANTS = 30  # of each network


def schema():
    from ai_edge_litert import schema_py_generated
    return schema_py_generated


def load(path):
    return schema().ModelT.InitFromObj(schema().Model.GetRootAsModel(path.read_bytes(), 0))


def save(model, path):
    import flatbuffers
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())


def name_of(model, op):
    code = model.operatorCodes[op.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return next(k for k, v in vars(schema().BuiltinOperator).items() if v == number)


def change_floats(model, tensor, change):
    buffer = model.buffers[tensor.buffer]
    if tensor.type != 0 or buffer.data is None or len(buffer.data) == 0:
        return False
    model.buffers.append(schema().BufferT())  # the constant may be shared: change a copy
    values = change(np.array(buffer.data, np.uint8).view(np.float32).copy())
    model.buffers[-1].data = values.view(np.uint8)
    tensor.buffer = len(model.buffers) - 1
    return True


def own_constant(graph, op, k):
    """Operand k as a tensor of this op's own."""
    import copy
    graph.tensors.append(copy.copy(graph.tensors[op.inputs[k]]))
    op.inputs[k] = len(graph.tensors) - 1
    return graph.tensors[-1]


def mutate(model, rng):
    """Changes one op of the main graph. Returns it, or None when the draw did not fit."""
    graph = model.subgraphs[0]
    op = rng.choice(graph.operators)
    op.inputs = [int(t) for t in op.inputs]
    kind, options = name_of(model, op), op.builtinOptions
    weighted = kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    draw = rng.choice(["weights", "bias", "activation", "swap", "negate"])
    if draw == "weights" and weighted:
        return op if change_floats(model, own_constant(graph, op, 1), lambda v: -v) else None
    if draw == "bias" and weighted and len(op.inputs) > 2:
        return op if change_floats(model, own_constant(graph, op, 2), lambda v: v + 0.5 * (1 + np.abs(v).max())) else None
    if draw == "activation" and hasattr(options, "fusedActivationFunction"):
        options.fusedActivationFunction = 0 if options.fusedActivationFunction else 1
        return op
    if draw == "swap" and kind in ("SUB", "DIV", "CONCATENATION") and len(op.inputs) > 1:
        if list(graph.tensors[op.inputs[0]].shape) != list(graph.tensors[op.inputs[1]].shape):
            return None
        op.inputs[0], op.inputs[1] = op.inputs[1], op.inputs[0]
        return op
    if draw == "negate" and kind in ("ADD", "MUL"):
        return op if any(change_floats(model, own_constant(graph, op, k), lambda v: -v) for k in (0, 1)
                         if graph.tensors[op.inputs[k]].buffer) else None
    return None


def suspects(model, op):
    """Names of the op's results and of its direct consumers' (through ops whose results have no name of the
    source: pads and the like)."""
    graph, names, front = model.subgraphs[0], set(), {int(t) for t in op.outputs}
    for _ in range(4):
        names |= {graph.tensors[t].name.decode() for t in front}
        front = {int(t) for o in graph.operators if front & set(map(int, o.inputs)) for t in o.outputs}
        if any(not n.startswith("%") for n in names) and _ > 0:
            break
    return names


def sources():
    yield "cnn", None
    for name in NETWORKS:
        if (support.MODELS / name / "model.onnx").exists():
            yield name, support.MODELS / name / "model.onnx"


@pytest.mark.parametrize("name,source", list(sources()))
def test_mutants(name, source, tmp_path):
    if source is None:
        source = b.save(b.cnn(), tmp_path / "cnn.onnx")
    out, mutant = tmp_path / "whole.tflite", tmp_path / "mutant.tflite"
    support.tolite("convert", source, "-o", out)
    whole = support.LiteRT(out)
    arrays = [np.random.default_rng(i).normal(size=d["shape"]).astype(np.float32) for i, d in enumerate(whole.inputs)]
    np.savez(tmp_path / "in.npz", **{f"input_{i}": a for i, a in enumerate(arrays)})
    reference, rng = whole(arrays), random.Random(name)
    found = named = 0
    misses = []
    for _ in range(40 * MUTANTS):
        model = load(out)
        op = mutate(model, rng)
        if op is None:
            continue
        save(model, mutant)
        results = support.LiteRT(mutant)(arrays)
        if all(support.disagreement(r, e) is None for r, e in zip(results, reference)):
            continue
        done = support.tolite("diff", source, mutant, "--in", tmp_path / "in.npz", "--json", status=1)
        values = json.loads(done.stdout)["samples"][0]["values"]
        first = next((v["value"] for v in values if v.get("first")), None)
        found += 1
        expected = suspects(model, op)
        if first in expected:
            named += 1
        else:
            misses.append((name_of(model, op), first, sorted(expected)))
        if found == MUTANTS:
            break
    assert found >= 10
    assert named >= 0.95 * found, f"{named} of {found}: {misses}"
