"""An operator that is not read is named at the user's own line, then every call that led there, then the module: in
programs of torch.export, traced TorchScript and ONNX files of PyTorch's exporter. And so is a node everywhere else."""
import json

import pytest

import support

FOLDER = support.ROOT / "tests" / "torch" / "lines"
SOURCE = support.ROOT / "tools" / "error_programs.py"
MARKS = ["# the operator", "# its caller", "# the caller of that", "# the outermost"]
FUNCTIONS = ["innermost", "around", "forward", "forward"]
MODELS = ["net.pt2", "net.onnx", "net.ts.pt"]


def places(with_code):
    lines = SOURCE.read_text().splitlines()
    for mark, function in zip(MARKS, FUNCTIONS):
        (number, line), = [(i, t) for i, t in enumerate(lines, 1) if t.endswith(mark)]
        yield f"tools/error_programs.py:{number}, in {function}" + (f": {line.strip()}" if with_code else "")


@pytest.mark.parametrize("name", MODELS)
def test_refusals_name_the_line_and_every_caller(name, tmp_path):
    said = support.tolite("convert", FOLDER / name, "-o", tmp_path / "x.tflite", status=4).stderr.splitlines()
    line, *callers = places(name != "net.ts.pt")
    assert said[0].startswith(f"{FOLDER / name}: {line}: ") and "ystery" in said[0]
    assert said[1:4] == [f"  called from {c}" for c in callers]
    assert said[4].startswith("  module blocks.0")
    assert "packages" not in "".join(said), "frames of the library"


@pytest.mark.parametrize("name", MODELS)
def test_check_gives_them_as_places(name):
    report = json.loads(support.tolite("check", FOLDER / name, "--json").stdout)
    place, = report["notes"][0]["places"]
    line, *callers = places(name != "net.ts.pt")
    assert place["place"] == line and place["context"][:3] == [f"called from {c}" for c in callers]


@pytest.mark.parametrize("name", ["net.pt2", "net.onnx"])
def test_what_can_be_read_keeps_its_lines(name, tmp_path):
    """Cut before the operator: bench, diff and the report know where the multiplication comes from."""
    out = tmp_path / "x.tflite"
    report = tmp_path / "report.html"
    support.tolite("convert", FOLDER / name, "-o", out, "--output", "mul", "--report", report, "--verify")
    line = list(places(True))[1]
    assert line in report.read_text().replace("&#39;", "'")
    said = support.tolite("bench", out, "--layers", "-v", "--runs", 2).stdout
    assert line in said and "module blocks.0" in said
    said = support.tolite("diff", out, out, "--random", "--per-op", "-v").stdout
    assert line in said
    assert line in support.tolite("inspect", out, "--ir", "-v").stdout
