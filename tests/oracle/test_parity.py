"""One network is one file, whoever exported it: TorchScript, .pt2 and ONNX of a network give files whose numbers
of ops differ by at most max(2, 5 %), and which agree with each other. Files whose exporter changed the meaning (they
have a recording of their own) are other networks, and stand aside.

`python tests/oracle/test_parity.py [NETWORK ...]` prints the table."""
import collections
import json
import pathlib
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import support  # noqa: E402
from test_script import input_options  # noqa: E402

FORMATS = ("model.onnx", "model.dynamo.onnx", "model.pt2", "model.core.pt2", "model.ts.pt", "model.script.pt")

# Networks that are outside, each with the reason. The list is to shrink: a network that is inside fails, too.
OUTSIDE = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": "the trace computes sizes of pictures at run time that the script knows",
    "resize_more": "dynamo sums the 4 x 3 places of an adaptive pooling window one by one, masked: 11 additions",
    "while_net": "a Loop of ONNX computes its first condition in front of it, once more: 3 operators",
}


def files(name):
    folder = support.MODELS / name
    return [p for f in FORMATS if (p := folder / f).exists() and not (folder / f"io.{f}.npz").exists()]


def recording(source):
    """Inputs and outputs of the first call."""
    steps = source.parent / "io.steps.npz"
    if steps.exists():
        inputs, outputs = support.golden(steps)
        return {k: v[0] for k, v in inputs.items()}, [v[0] for v in outputs]
    return support.golden(source.parent / "io.npz")


def convert(source, out):
    """{op: count} of the file."""
    options = []
    if ".script" in source.name:
        options = input_options(source, recording(source)[0])
    support.tolite("convert", source, "-o", out, *options)
    listed = json.loads(support.tolite("inspect", out, "--json").stdout)
    return {row["op"]: row["count"] for row in listed["ops"]}


def counted(name, folder):
    """{format: {op: count}}"""
    return {p.name: convert(p, folder / f"{p.name}.tflite") for p in files(name)}


def run(name, file, folder):
    path = folder / f"{file}.tflite"
    inputs = recording(support.MODELS / name / file)[0]
    runner, names = support.LiteRT(path), support.litert_names(path)[0]
    arrays = support.ordered(inputs, names[:len(inputs)])
    state = [np.zeros(d["shape"], d["dtype"]) for d in runner.inputs[len(arrays):]]
    return runner(arrays + state)


def bound(name):
    """Each agrees with the recording (test_networks, test_pt2, test_script), so twice that bound holds between two."""
    rules = [support.rule_of(name, f) for f in FORMATS]
    widest = max((r.get("relative", 1e-4) for r in rules))
    return {"relative": 2 * widest, "cosine": min(r.get("cosine", 0.99999) for r in rules)}


def is_inside(counts):
    totals = [sum(ops.values()) for ops in counts.values()]
    return max(totals) - min(totals) <= max(2, 0.05 * min(totals))


def differences(counts):
    """A line per format: how it differs from the one with the fewest ops."""
    least = min(counts, key=lambda f: sum(counts[f].values()))
    for f, ops in counts.items():
        less = collections.Counter(ops)
        less.subtract(counts[least])
        yield f"{f}: {sum(ops.values())} " + " ".join(f"{k}{n:+d}" for k, n in sorted(less.items()) if n)


def cases():
    names = [n for n in support.networks() if len(files(n)) > 1]
    yield from names or [support.no_network]


@pytest.mark.parametrize("name", list(cases()))
def test_formats_give_one_file(name, tmp_path):
    counts = counted(name, tmp_path)
    inside, said = is_inside(counts), "\n".join(differences(counts))
    assert inside or name in OUTSIDE, f"numbers of ops differ:\n{said}"
    assert not inside or name not in OUTSIDE, f"inside now, to be taken off the list:\n{said}"
    results = {f: run(name, f, tmp_path) for f in counts}
    first = next(iter(results))
    for f in results:
        support.assert_agree(results[f], results[first], f"{f} and {first}", **bound(name))


def main():
    import tempfile
    outside = total = 0
    for name in sys.argv[1:] or list(support.networks()):
        with tempfile.TemporaryDirectory() as folder:
            counts = counted(name, pathlib.Path(folder))
        if len(counts) > 1:
            inside = is_inside(counts)
            outside, total = outside + (not inside), total + 1
            print(f"{'  ' if inside else '! '}{name}", *differences(counts), sep="\n      ")
    print(f"{outside} of {total} networks outside")


if __name__ == "__main__":
    main()
