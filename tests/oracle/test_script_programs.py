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
