"""Small scripted modules, one per feature of the language (tools/script_programs.py), with recorded outputs:
against the source run by us, the file we wrote run by LiteRT (default delegate, plain kernels) and by us."""
import pytest

import support
from test_pt2 import by_position, run_steps
from test_script import input_options

FOLDER = support.ROOT / "tests" / "torch" / "programs"
NAMES = sorted(p.stem for p in FOLDER.glob("*.pt"))


def recorded(name):
    """Inputs, outputs, and what to say of the inputs with --input: the recorded sizes or open ones."""
    inputs, outputs = support.golden(FOLDER / f"{name}.npz")
    arrays = support.load(FOLDER / f"{name}.npz")
    spec, steps = arrays.get("spec"), "steps" in arrays
    one = {k: v[0] for k, v in inputs.items()} if steps else inputs
    fixed = input_options(FOLDER / f"{name}.pt", one)
    return inputs, outputs, steps, [fixed] + ([["--input", str(spec)]] if spec is not None else [])


@pytest.mark.parametrize("name", NAMES)
def test_program(name, tmp_path):
    source, out = FOLDER / f"{name}.pt", tmp_path / "model.tflite"
    inputs, outputs, sequence, choices = recorded(name)
    steps = ["--steps"] * sequence
    arrays, result = by_position(inputs, tmp_path / "in.npz"), tmp_path / "result.npz"
    for options in choices:
        said = " ".join(options)
        support.tolite("run", source, "--in", arrays, "--out", result, *options, *steps)
        results = list(support.load(result).values())[:len(outputs)]
        support.assert_agree(results, outputs, f"the source, {said}")
        support.tolite("convert", source, "-o", out, *options)
        support.tolite("run", out, "--in", arrays, "--out", result, *steps)
        results = list(support.load(result).values())[:len(outputs)]
        support.assert_agree(results, outputs, f"our executor, {said}")
        for delegate in (True, False):
            runner, what = support.LiteRT(out, delegate), f"LiteRT, delegate {delegate}, {said}"
            if steps:
                run_steps(runner, inputs, outputs, what)
                continue
            for _ in range(2):
                support.assert_agree(runner(list(inputs.values())), outputs, what)


# ---- messages ----

ERRORS = support.ROOT / "tests" / "torch" / "errors"
SOURCE = support.ROOT / "tools" / "script_programs.py"


def refusal(name, *options):
    done = support.tolite("convert", ERRORS / f"{name}.pt", "-n", *options, status=4)
    return done.stderr.replace(str(ERRORS) + "/", "")


def line_of(code):
    """tools/script_programs.py:N of a line that stands there once."""
    lines = [i for i, line in enumerate(SOURCE.read_text().splitlines(), 1) if line.strip() == code]
    assert len(lines) == 1, code
    return f"tools/script_programs.py:{lines[0]}"


def test_an_unknown_operator_is_named_at_its_line_and_those_of_its_callers():
    said = refusal("CustomOp", "-i", "x=f32:4,4").splitlines()
    operator, caller = "return torch.ops.mylib.mystery(y, k)", "return mystify(z, 3)"
    root = "x = self.block(x)"
    assert said[0] == f"CustomOp.pt: {line_of(operator)}, in mystify: {operator}: operator mylib::mystery"
    assert said[1] == f"  called from {line_of(caller)}, in Block.forward: {caller}"
    assert said[2] == f"  called from {line_of(root)}, in CustomOp.forward: {root}"
    behind = "return torch.linalg.eigvals(x)"
    said = "\n".join(said)
    assert f"{line_of(behind)}, in CustomOp.forward: {behind}: operator aten::linalg_eigvals" in said


def test_state_that_begins_as_none_is_refused():
    assert "last is kept from one run to the next, but begins as None and becomes Tensor" in refusal(
        "Cached", "-i", "x=f32:2")


def test_a_module_without_forward_names_its_methods():
    assert "has no method forward; choose one with --program: encode" in refusal("Methods")


def test_missing_sizes_are_asked_for_with_the_line_to_type():
    done = support.tolite("convert", FOLDER / "Shapes.pt", "-n", status=None)
    assert "TorchScript stores no shapes" in done.stderr and "--input x=f32:1," in done.stderr
