"""`check` of PyTorch's archives, and files that hold several programs."""
import json
import zipfile

import pytest

import support

DIGITS = support.DIGITS / "digits.pt2"
PROGRAMS = support.ROOT / "tests" / "torch"
SCRIPT = PROGRAMS / "programs" / "Writes.pt"
SHAPES = ["-i", "x=f32:4,4"]


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def archive(contents, path):
    with zipfile.ZipFile(path, "w") as z:
        for name, data in contents.items():
            z.writestr(zipfile.ZipInfo(name), data)
    return path


def check(path, status, *options):
    done = json.loads(support.tolite("check", path, "--json", *options, status=status).stdout)
    return done, [(p["code"], p["what"]) for p in done["problems"]]


def test_sound_archives():
    assert check(DIGITS, 0)[0]["well_formed"]
    report, problems = check(SCRIPT, 0, *SHAPES)
    assert report["well_formed"] and not problems and not report["notes"]
    report, problems = check(SCRIPT, 0)
    assert "stores no shapes of inputs" in report["notes"][0]["what"]


@pytest.mark.parametrize("path, end", [(DIGITS, "/data/weights/weight_0"), (SCRIPT, "/constants.pkl")])
def test_a_damaged_member(path, end, tmp_path):
    """Weights are never read as a whole by the other commands: check reads them."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as z:
        info, = [i for i in z.infolist() if i.filename.endswith(end)]
        content = z.read(info)
    at = data.index(content, info.header_offset)
    data[at + len(content) // 2] ^= 1
    broken = tmp_path / "broken.pt"
    broken.write_bytes(data)
    report, problems = check(broken, 3)
    assert not report["well_formed"] and any("wrong checksum" in what for _, what in problems)


def test_code_that_nothing_asks_for(tmp_path):
    contents = members(SCRIPT)
    root = next(iter(contents)).split("/")[0]
    path = archive({**contents, f"{root}/code/__torch__/unused.py": b"def f(:\n"}, tmp_path / "m.pt")
    _, problems = check(path, 3, *SHAPES)
    assert problems and "unused.py" in json.dumps(check(path, 3, *SHAPES)[0])
    support.tolite("inspect", path, *SHAPES)


def edited_program(change, tmp_path):
    contents = members(DIGITS)
    name, = [n for n in contents if n.endswith("models/model.json")]
    program = json.loads(contents[name])
    change(program["graph_module"])
    return archive({**contents, name: json.dumps(program).encode()}, tmp_path / "m.pt2")


def test_a_signature_that_does_not_fit(tmp_path):
    path = edited_program(lambda m: m["graph"]["inputs"].pop(), tmp_path)
    assert any("its signature" in what for _, what in check(path, 3)[1])


def test_a_weight_that_is_not_there(tmp_path):
    contents = members(DIGITS)
    name, = [n for n in contents if n.endswith("/data/weights/weight_1")]
    path = archive({n: d for n, d in contents.items() if n != name}, tmp_path / "m.pt2")
    assert any("is missing" in what for _, what in check(path, 3)[1])


# ---- several programs ----

@pytest.fixture
def two(tmp_path):
    contents = members(DIGITS)
    root = next(iter(contents)).split("/")[0]
    out = {}
    for name, data in contents.items():
        parts = name.split("/")
        if "model" in parts[-1]:
            for model in ("first", "second"):
                out["/".join([*parts[:-1], parts[-1].replace("model", model)])] = data
        else:
            out[name] = data
    assert f"{root}/models/second.json" in out
    return archive(out, tmp_path / "two.pt2")


def test_a_program_is_chosen_by_name(two, tmp_path):
    said = support.tolite("convert", two, "-o", tmp_path / "x.tflite", status=2).stderr
    assert "the archive holds 2 programs; choose one with --program: first, second" in said
    support.tolite("convert", two, "-o", tmp_path / "x.tflite", "--program", "second", "--verify")
    said = support.tolite("inspect", two, "--program", "third", status=2).stderr
    assert "no program is named third; the archive holds: first, second" in said
    assert check(two, 0, "--program", "first")[0]["well_formed"]


def test_a_method_is_chosen_by_name(tmp_path):
    path = PROGRAMS / "errors" / "Methods.pt"
    assert "choose one with --program: encode" in support.tolite("inspect", path, "-i", "x=f32:3", status=4).stderr
    support.tolite("convert", path, "-o", tmp_path / "x.tflite", "--program", "encode", "-i", "x=f32:3", "--verify")
    said = support.tolite("inspect", path, "--program", "decode", status=2).stderr
    assert "has no method decode; choose one with --program: encode" in said


def test_other_formats_hold_one():
    said = support.tolite("inspect", support.DIGITS / "digits.onnx", "--program", "main", status=2).stderr
    assert "a file of format ONNX holds one" in said


def test_operators_of_pytorch():
    rows = json.loads(support.tolite("ops", "--from", "torch", "--json").stdout)["from"]
    assert {"op": "add", "overload": "Tensor"}.items() <= next(r for r in rows if r["op"] == "add" and r["overload"] == "Tensor").items()
    assert "  relu.default\n" in support.tolite("ops", "--from", "torch").stdout
    assert "expected onnx or torch" in support.tolite("ops", "--from", "tf", status=2).stderr
