"""What the Python tests share: the program, the test networks, LiteRT, the agreement rule."""
import os
import pathlib
import re
import subprocess
import zipfile

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = pathlib.Path(os.environ.get("TOLITE", ROOT / "build" / "tolite"))
MODELS = pathlib.Path(os.environ.get("TOLITE_MODELS") or ROOT.parent / "shared" / "models")
DIGITS = ROOT / "examples" / "digits"


def tolite(*args, status=0, **options):
    """Runs the program; fails the test when its exit status is not `status` (None: any)."""
    done = subprocess.run([str(PROGRAM), *map(str, args)], capture_output=True, text=True, timeout=300, **options)
    said = f"tolite {' '.join(map(str, args))}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    assert status is None or done.returncode == status, f"exit status {done.returncode}, expected {status}: {said}"
    return done


def load(path):
    """An npz as an ordered dict of arrays, in the order of the archive."""
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def golden(path):
    """Recorded inputs by name and outputs by position: in_NAME / out_I_NAME, or input_K / output_K."""
    arrays = load(path)
    inputs = {re.sub(r"^in_|^input_", "", k): v for k, v in arrays.items() if k.startswith("in")}
    outputs = [v for k, v in arrays.items() if k.startswith("out")]
    return inputs, outputs


# ---- the agreement rule (README of the test networks) ----

def disagreement(result, reference, relative=1e-4, cosine=0.99999):
    """None when they agree, else a line that says how they differ."""
    result, reference = np.asarray(result), np.asarray(reference)
    if result.shape != reference.shape:
        return f"shape {result.shape}, expected {reference.shape}"
    if result.dtype != reference.dtype:
        return f"type {result.dtype}, expected {reference.dtype}"
    if reference.dtype.kind not in "f":
        different = int((result != reference).sum())
        return f"{different} of {reference.size} integers differ" if different else None
    a, b = result.astype(np.float64).ravel(), reference.astype(np.float64).ravel()
    if not np.array_equal(np.isnan(a), np.isnan(b)) or not np.array_equal(a[np.isinf(b)], b[np.isinf(b)]):
        return "NaN or infinity at different places"
    finite = np.isfinite(b)
    a, b = a[finite], b[finite]
    if b.size == 0:
        return None
    error, bound = np.abs(a - b).max(), relative * max(1.0, np.abs(b).max())
    if not error <= bound:
        return f"max|a-b| {error:.3g}, allowed {bound:.3g}"
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    if norms > 0 and a @ b / norms < cosine:
        return f"cosine {a @ b / norms:.8f}, expected {cosine}"
    return None


def assert_agree(results, references, what, **rule):
    assert len(results) == len(references), f"{what}: {len(results)} outputs, expected {len(references)}"
    for i, (result, reference) in enumerate(zip(results, references)):
        problem = disagreement(result, reference, **rule)
        assert problem is None, f"{what}: output {i}: {problem}"


# ---- LiteRT ----

class LiteRT:
    """A .tflite file in the runtime; delegate=False: plain kernels."""

    def __init__(self, path, delegate=True, signature=None, threads=1):
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
        kind = OpResolverType.AUTO if delegate else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self.interpreter = Interpreter(str(path), experimental_op_resolver_type=kind, num_threads=threads)
        self.inputs = self.interpreter.get_input_details()
        self.outputs = self.interpreter.get_output_details()
        self.shapes = None

    def __call__(self, arrays):
        """arrays: in the order of the file's inputs."""
        shapes = [a.shape for a in arrays]
        if shapes != self.shapes:
            for detail, array in zip(self.inputs, arrays):
                if tuple(detail["shape"]) != array.shape or self.shapes is not None:
                    self.interpreter.resize_tensor_input(detail["index"], array.shape, strict=True)
            self.interpreter.allocate_tensors()
            self.shapes = shapes
        for detail, array in zip(self.inputs, arrays):
            self.interpreter.set_tensor(detail["index"], array)
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(d["index"]) for d in self.outputs]


def litert_names(path):
    """Names of the main subgraph's inputs and outputs, and of the first signature's."""
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(str(path))
    return ([d["name"] for d in interpreter.get_input_details()],
            [d["name"] for d in interpreter.get_output_details()])


def ordered(inputs, names):
    """Recorded inputs in the order of the model's names; by position when the names are numbers."""
    if all(name in inputs for name in names):
        return [inputs[name] for name in names]
    assert len(inputs) == len(names), f"inputs {list(inputs)} do not fit {names}"
    return list(inputs.values())


# ---- the test networks ----

def networks():
    """{name: group} from the table in the README of the test networks; empty when they are absent."""
    readme = MODELS / "README.md"
    if not readme.exists():
        return {}
    table = readme.read_text().split("<!-- networks -->")[1].split("<!-- end -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()]
    return {row[0]: row[1] for row in rows[2:]}


NO_NETWORKS = "the test networks are not beside this clone"
needs_networks = pytest.mark.skipif(not networks(), reason=NO_NETWORKS)
no_network = pytest.param(None, marks=pytest.mark.skip(reason=NO_NETWORKS))  # instead of an empty list of them


def network(*parts):
    """A path below the test networks. Without these the test is skipped; with them a wrong path is an error."""
    if not networks():
        pytest.skip(NO_NETWORKS)
    path = MODELS.joinpath(*parts)
    assert path.exists(), path
    return path


def onnx_files(name):
    return sorted(p for p in (MODELS / name).glob("model*.onnx"))


def rule_of(name, file):
    """Arguments of `disagreement` for a network: models.tsv states a wider bound ("relative [cosine]") where
    float32 itself is less exact."""
    for line in (MODELS / "models.tsv").read_text().splitlines()[1:]:
        row = line.split("\t")
        if row[1] == f"{name}/{file}" and len(row) > 11 and row[11]:
            bounds = [float(word) for word in row[11].split()]
            return dict(zip(("relative", "cosine"), [max(1e-4, bounds[0]), *bounds[1:]]))
    return {}


def io_files(name, file):
    """Recorded samples that belong to a model file: one size unless the file is dynamic."""
    folder = MODELS / name
    own = folder / f"io.{file}.npz"
    files = [own] if own.exists() else [folder / "io.npz"]
    files += [p for tag in ("b", "c", "zero", "many") if (p := folder / f"io.{tag}.npz").exists()]
    if "dynamic" in file:
        files += [p for p in [folder / "io.size2.npz"] if p.exists()]
    return files
