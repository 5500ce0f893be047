"""The 60 networks of zoo60.txt: exported by PyTorch, converted by us, the file run by LiteRT and by us against what
PyTorch computed. One line for each; `make test-torch` runs all.

    .venv-torch/bin/python tests/zoo/zoo.py [-k WORD] [--again] [--keep]

Exports stay in build/zoo and are made once (--again: anew); --keep leaves the .tflite files, too."""
import argparse
import os
import pathlib
import subprocess
import sys
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import listed  # noqa: E402
import support  # noqa: E402

CACHE = pathlib.Path(os.environ.get("TOLITE_ZOO", support.ROOT / "build" / "zoo"))
LIMIT = 1800  # seconds for one step


class Stop(Exception):
    """A network ends here, and why."""


def run(command, what):
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise Stop(f"{what}: longer than {LIMIT} s") from None
    if done.returncode:
        raise Stop(f"{what}: status {done.returncode}: {done.stderr.strip()[-3000:]}")
    return done


def exported(entry, again):
    """The file that PyTorch wrote, and its recorded inputs and outputs by position."""
    folder = CACHE / entry.name
    folder.mkdir(parents=True, exist_ok=True)
    if again or not (folder / "io.npz").exists():
        for old in folder.iterdir():
            old.unlink()
        log = run([sys.executable, HERE / "export.py", entry.name, folder], "export").stderr
        (folder / "export.log").write_text(log)
    arrays = support.load(folder / "io.npz")
    inputs = [a for k, a in arrays.items() if k.startswith("in_")]
    return next(folder.glob("model.*")), inputs, [a for k, a in arrays.items() if k.startswith("out_")]


def shapes(entry, model):
    """A scripted file stores no sizes: --input options."""
    if not model.name.endswith(".script.pt"):
        return []
    return [f"--input={name}={dtype}:{','.join(map(str, shape))}" for name, (dtype, shape) in entry.inputs.items()]


def in_litert(file, inputs, outputs):
    """Every call; state beyond the recorded inputs begins with zeros and goes from one call to the next."""
    runner = support.LiteRT(file)
    state = [np.zeros(d["shape"], d["dtype"]) for d in runner.inputs[len(inputs):]]
    for k in range(len(outputs[0])):
        results = runner([a[k] for a in inputs] + state)
        compared(results[:len(results) - len(state)], [a[k] for a in outputs], "LiteRT")
        state = results[len(results) - len(state):] if state else state


def in_executor(file, inputs, outputs, folder):
    given, result = folder / "given.npz", folder / "result.npz"
    np.savez(given, **{f"input_{i}": a for i, a in enumerate(inputs)})
    run([support.PROGRAM, "run", file, "--in", given, "--out", result, "--steps"], "run")
    results = list(support.load(result).values())[:len(outputs)]
    compared(results, outputs, "tolite run")


def compared(results, references, who):
    if len(results) != len(references):
        raise Stop(f"{who}: {len(results)} outputs, expected {len(references)}")
    for i, (result, reference) in enumerate(zip(results, references)):
        problem = support.disagreement(result, reference)
        if problem:
            raise Stop(f"{who}: output {i}: {problem}")


def attempt(entry, options):
    """What to say of a network that agrees; Stop otherwise."""
    model, inputs, outputs = exported(entry, options.again)
    if not any(np.ptp(a.astype(np.float64)) > 0 for a in outputs):
        raise Stop("export: every output is constant, which proves nothing")
    file = CACHE / entry.name / "model.tflite"
    start = time.monotonic()
    run([support.PROGRAM, "convert", model, "-o", file, *shapes(entry, model)], "convert")
    took = time.monotonic() - start
    try:
        in_litert(file, inputs, outputs)
        in_executor(file, inputs, outputs, CACHE / entry.name)
        return f"{model.name.removeprefix('model.')}, {file.stat().st_size / 1e6:.1f} MB, {took:.2f} s"
    except (RuntimeError, ValueError) as error:
        raise Stop(f"LiteRT: {error}") from None
    finally:
        if not options.keep:
            file.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-k", default="", help="only networks with this in their name or source")
    parser.add_argument("--again", action="store_true", help="export anew")
    parser.add_argument("--keep", action="store_true", help="leave the .tflite files")
    options = parser.parse_args()
    agree = total = 0
    for entry in listed.entries().values():
        if options.k not in f"{entry.source} {entry.name}":
            continue
        total += 1
        try:
            line = f"agrees  {entry.source:<13}{entry.name:<37} {attempt(entry, options)}"
            agree += 1
        except Stop as problem:
            line = f"STOPS   {entry.source:<13}{entry.name:<37} {problem}"
        print(line, flush=True)
    print(f"{agree} of {total} agree")
    return 0 if total and agree >= min(total, GOAL) else 1


GOAL = 57   # of 60; the rest stop with a diagnostic

if __name__ == "__main__":
    sys.exit(main())
