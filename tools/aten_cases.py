"""Writes tests/torch/ops: programs of many one-operator cases each, with inputs and the outputs PyTorch computes.
Needs PyTorch; the tests (tests/oracle/test_aten.py) need only what this wrote.

    python tools/aten_cases.py [--to FOLDER] [--each] [GROUP...]

The cases stand in tools/aten_rows/. A case is `case("add.Tensor", f(2, 3), f(3), alpha=2)`: an overload of ATen as
it shall stand in the file and its arguments, or `program(function, f(2, 3), ...)`: what torch.export makes of a
function. A group becomes a few .pt2 files, in which each case has inputs and outputs of its own; --each writes
one file per case, which is how to find the one that fails.

NAME.pt2 is what torch.export.save writes, without traces and samples, deflated. NAME.io is zlib: one line of JSON
{"in": [[name, dtype, shape]...], "out": ...}, then the arrays' bytes one after the other."""
import argparse
import importlib
import io
import itertools
import json
import pathlib
import sys
import warnings
import zipfile
import zlib

import numpy as np
import torch
import torch.utils._pytree as pytree
from torch.export.exported_program import ExportedProgram, ModuleCallEntry, ModuleCallSignature
from torch.export.graph_signature import (ExportGraphSignature, InputKind, InputSpec, OutputKind, OutputSpec,
                                          TensorArgument)
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch._export.verifier import TrainingIRVerifier
from torch._subclasses.fake_tensor import FakeTensorMode

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "torch" / "ops"
MODULES = ("eltwise", "reduce", "move", "index", "nn", "signal", "program")
PER_FILE = 48


# ---- what cases are written with ----

class Input:
    """A tensor of a case: numbers far enough apart that order and rounding are beyond doubt."""

    def __init__(self, shape, dtype, values, constant=False):
        self.shape, self.dtype, self.values, self.constant = tuple(shape), dtype, values, constant

    def make(self, rng):
        return torch.from_numpy(np.asarray(self.values(rng, self.shape))).to(self.dtype).reshape(self.shape)


def spread(lo, hi):
    def values(rng, shape):
        n = int(np.prod(shape))
        return np.round(rng.permutation(np.linspace(lo, hi, n) if n != 1 else np.array([hi * 0.6 + lo * 0.4])) * 64) / 64
    return values


def f(*shape, lo=-3.0, hi=3.0, dtype=torch.float32):
    return Input(shape, dtype, spread(lo, hi))


def half(*shape, lo=-3.0, hi=3.0):
    return f(*shape, lo=lo, hi=hi, dtype=torch.float16)


def i(*shape, lo=-5, hi=6, dtype=torch.int64):
    return Input(shape, dtype, lambda rng, s: rng.integers(lo, hi, s))


def i32(*shape, lo=-5, hi=6):
    return i(*shape, lo=lo, hi=hi, dtype=torch.int32)


def perm(*shape, dtype=torch.int64):
    """Each row of the last axis in an order of its own."""
    return Input(shape, dtype, lambda rng, s: rng.permuted(np.broadcast_to(np.arange(s[-1]), s), axis=-1))


def b(*shape):
    return Input(shape, torch.bool, lambda rng, s: rng.integers(0, 2, s).astype(bool))


def v(values, dtype=None):
    t = torch.tensor(values, dtype=dtype)
    return Input(t.shape, t.dtype, lambda rng, s: t.numpy())


def w(x):
    """The same as a parameter of the model."""
    return Input(x.shape, x.dtype, x.values, True)


class Case:
    def __init__(self, name, call, args, kwargs, only):
        self.name, self.call, self.args, self.kwargs, self.only = name, call, args, kwargs, only


GROUPS = {}
CURRENT = None


def group(name):
    global CURRENT
    CURRENT = GROUPS.setdefault(name, [])


def case(target, *args, only=None, **kwargs):
    """target: "add.Tensor", "relu", "torchvision::nms"; only: the results (positions) that are compared."""
    CURRENT.append(Case(target, target, args, kwargs, only))


def program(function, *args, only=None):
    CURRENT.append(Case(function.__name__, function, args, {}, only))
    return function


def programs(*args):
    """A decorator: the function below is a case with these inputs."""
    return lambda function: program(function, *args)


# ---- one case: its tensors, its outputs ----

def overload(target):
    space, _, name = target.rpartition("::")
    name, _, variant = name.partition(".")
    return getattr(getattr(getattr(torch.ops, space or "aten"), name), variant or "default")


def is_in_place(target):
    name = target.partition(".")[0]
    return name.endswith("_") and not name.endswith("__")


def tensors_of(case, seed):
    rng = np.random.default_rng([zlib.crc32(case.name.encode()), seed])
    tensors = {}

    def replace(x):
        if not isinstance(x, Input):
            return x
        tensors[id(x)] = x.make(rng) if id(x) not in tensors else tensors[id(x)]
        return tensors[id(x)]
    is_leaf = lambda x: isinstance(x, Input)
    return pytree.tree_map(replace, (list(case.args), dict(case.kwargs)), is_leaf=is_leaf)


def results(case, args, kwargs):
    """What PyTorch computes, as a flat list of tensors."""
    args = pytree.tree_map(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, args)
    with torch.no_grad():
        out = case.call(*args) if callable(case.call) else overload(case.call)(*args, **kwargs)
    flat = pytree.tree_leaves(out)
    if not callable(case.call) and is_in_place(case.call):
        flat.append(args[0])
    flat = [t for k, t in enumerate(flat) if case.only is None or k in case.only]
    return [t for t in flat if isinstance(t, torch.Tensor)]


# ---- cases of one operator: the graph is built as it shall stand ----

class Builder:
    """A graph of the training IR, one call after the other."""

    def __init__(self):
        self.mode = FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=False)
        self.graph, self.inputs, self.state, self.outputs = torch.fx.Graph(), {}, {}, {}
        self.last = None

    def leaf(self, name, tensor, constant):
        placeholder = f"p_{name}" if constant else name
        with self.graph.inserting_before() if self.last is None else self.graph.inserting_after(self.last):
            node = self.graph.placeholder(placeholder)
        self.last = node
        node.meta["val"] = self.mode.from_tensor(tensor, static_shapes=True)
        if constant:
            self.state[name] = tensor
        else:
            self.inputs[name] = tensor
        node.meta["of"] = name if constant else None
        return node

    def call(self, target, args, kwargs):
        node = self.graph.call_function(target, tuple(args), kwargs)
        fake = pytree.tree_map(lambda x: x.meta["val"] if isinstance(x, torch.fx.Node) else x, (node.args, node.kwargs))
        with self.mode, torch.no_grad():
            node.meta["val"] = target(*fake[0], **fake[1])
        return node

    def leaves(self, node, value):
        """The tensors of a node's value as nodes."""
        if isinstance(value, (tuple, list)):
            import operator
            found = []
            for k, element in enumerate(value):
                item = self.graph.call_function(operator.getitem, (node, k))
                item.meta["val"] = element
                found += self.leaves(item, element)
            return found
        return [node]

    def add(self, name, case, args, kwargs):
        flat, spec = pytree.tree_flatten((args, kwargs))
        sources, _ = pytree.tree_flatten((list(case.args), dict(case.kwargs)), is_leaf=lambda x: isinstance(x, Input))
        made, count = {}, itertools.count()
        for k, (value, source) in enumerate(zip(flat, sources)):
            if isinstance(value, torch.Tensor):
                if id(source) not in made:
                    made[id(source)] = self.leaf(f"{name}_{next(count)}", value, source.constant)
                flat[k] = made[id(source)]
        args, kwargs = pytree.tree_unflatten(flat, spec)
        if is_in_place(case.call):
            args[0] = self.call(torch.ops.aten.clone.default, [args[0]], {})
        node = self.call(overload(case.call), args, kwargs)
        found = self.leaves(node, node.meta["val"])
        if is_in_place(case.call):
            found.append(args[0])
        found = [x for k, x in enumerate(found) if case.only is None or k in case.only]
        for k, x in enumerate(x for x in found if isinstance(x.meta["val"], torch.Tensor)):
            self.outputs[f"{name}_{k}"] = x

    def program(self):
        self.graph.output(tuple(self.outputs.values()))
        placeholders = [n for n in self.graph.nodes if n.op == "placeholder"]
        specs = [InputSpec(InputKind.PARAMETER if n.meta["of"] else InputKind.USER_INPUT, TensorArgument(n.name),
                           n.meta["of"]) for n in placeholders]
        out = [OutputSpec(OutputKind.USER_OUTPUT, TensorArgument(x.name), None) for x in self.outputs.values()]
        root = torch.nn.Module()
        graph_module = torch.fx.GraphModule(root, self.graph)
        example = (tuple(self.inputs.values()), {})
        signature = ModuleCallSignature(
            inputs=[], outputs=[], in_spec=pytree.tree_flatten(example)[1],
            out_spec=pytree.tree_flatten(dict(self.outputs))[1], forward_arg_names=list(self.inputs))
        return ExportedProgram(graph_module, graph_module.graph, ExportGraphSignature(specs, out),
                               {k: torch.nn.Parameter(t, requires_grad=False) for k, t in self.state.items()}, {},
                               [ModuleCallEntry("", signature)], example, {}, verifiers=[TrainingIRVerifier])


# ---- cases of several operators: as torch.export sees them ----

class Functions(torch.nn.Module):
    def __init__(self, cases):
        super().__init__()
        self.cases = cases

    def forward(self, *tensors):
        tensors, outputs = list(tensors), {}
        for name, case in self.cases.items():
            n = len(case.args)
            flat = pytree.tree_leaves(case.call(*tensors[:n]))
            del tensors[:n]
            flat = [t for k, t in enumerate(flat) if case.only is None or k in case.only]
            outputs.update({f"{name}_{k}": t for k, t in enumerate(flat)})
        return outputs


# ---- files ----

def repack(data, path):
    """The archive without what only people and PyTorch read."""
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for info in source.infolist():
            name = info.filename.split("/", 1)[1]
            if "sample_inputs" in name or "serialization_id" in name:
                continue
            content = source.read(info)
            if name.startswith("models/"):
                model = json.loads(content)
                for graph in graphs(model["graph_module"]["graph"]):
                    for node in graph["nodes"]:
                        node["metadata"] = {}
                model["guards_code"] = []
                content = json.dumps(model, separators=(",", ":")).encode()
            member = zipfile.ZipInfo("archive/" + name, (1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(member, content)


def graphs(graph):
    yield graph
    for node in graph["nodes"]:
        for x in node["inputs"]:
            if "as_graph" in x["arg"]:
                yield from graphs(x["arg"]["as_graph"]["graph"])


def write_io(path, inputs, outputs):
    head, data = {}, []
    for side, tensors in (("in", inputs), ("out", outputs)):
        arrays = {name: t.detach().resolve_conj().contiguous().numpy() for name, t in tensors.items()}
        head[side] = [[name, str(a.dtype), list(a.shape)] for name, a in arrays.items()]
        data += [a.tobytes() for a in arrays.values()]
    text = json.dumps(head, separators=(",", ":")).encode() + b"\n"
    path.write_bytes(zlib.compress(text + b"".join(data), 9))


def write(path, cases, decomposed=False):
    """One file of cases {name: case}; all of one kind. decomposed: as run_decompositions leaves them."""
    inputs, outputs = {}, {}
    tensors = {name: tensors_of(case, k) for k, (name, case) in enumerate(cases.items())}
    if callable(next(iter(cases.values())).call):
        flat = [t for args, _ in tensors.values() for t in args]
        with torch.no_grad():
            exported = torch.export.export(Functions(cases), tuple(flat), strict=False)
            exported = exported.run_decompositions() if decomposed else exported
        inputs = {f"{name}_{k}": t for name, (args, _) in tensors.items() for k, t in enumerate(args)}
    else:
        builder = Builder()
        for name, case in cases.items():
            builder.add(name, case, *tensors[name])
        exported, inputs = builder.program(), builder.inputs
    for name, case in cases.items():
        computed = results(case, *tensors[name])
        outputs.update({f"{name}_{k}": t for k, t in enumerate(computed)})
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(exported, buffer)
    repack(buffer.getvalue(), path)
    write_io(path.with_suffix(".io"), inputs, outputs)


def named(cases):
    """Names such as add_Tensor_3: of the inputs and outputs, unique in the file."""
    return {f"c{k}_{case.name.replace('.', '_').replace('::', '_')}": case for k, case in enumerate(cases)}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--to", type=pathlib.Path, default=FOLDER)
    options.add_argument("--each", action="store_true")
    options.add_argument("groups", nargs="*")
    options = options.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    sys.modules.setdefault("aten_cases", sys.modules[__name__])
    for module in MODULES:
        if (pathlib.Path(__file__).parent / "aten_rows" / f"{module}.py").exists():
            importlib.import_module(f"aten_rows.{module}")
    failed = 0
    for name, cases in GROUPS.items():
        if options.groups and name not in options.groups:
            continue
        for old in options.to.glob(f"{name}-*"):
            old.unlink()
        size = 1 if options.each else PER_FILE
        for kind in ("", "p", "d"):  # operators, programs, decomposed programs
            chosen = [c for c in cases if callable(c.call) == bool(kind)]
            for part, k in enumerate(range(0, len(chosen), size)):
                tag = f"{name}-{kind}{part + 1:02}"
                if options.each:
                    tag += "-" + chosen[k].name.replace("::", "_")
                try:
                    write(options.to / f"{tag}.pt2", named(chosen[k:k + size]), kind == "d")
                except Exception as error:  # one case must not hide the others
                    failed += 1
                    print(f"{tag}: {type(error).__name__}: {str(error)[:300]}", file=sys.stderr)
    print(f"{sum(map(len, GROUPS.values()))} cases, {failed} not written")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
