"""Archives of PyTorch made to hurt whoever reads them: each ends within a second with one clear line, status 3 or 4,
little memory, and nothing written anywhere."""
import io
import os
import pathlib
import signal
import struct
import subprocess
import time
import zipfile
import zlib

import pytest

import support


MANY = 1_000_000
SCRIPT = support.ROOT / "tests" / "torch" / "programs" / "Nested.pt"
EXPORT = support.DIGITS / "digits.pt2"


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def archive(contents, compressed=()):
    """contents: {name: bytes} or pairs, of which names may occur twice."""
    out, pairs = io.BytesIO(), contents.items() if isinstance(contents, dict) else contents
    with zipfile.ZipFile(out, "w") as z:
        for name, data in pairs:
            z.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED if name in compressed else zipfile.ZIP_STORED)
    return out.getvalue()


def ending(contents, end):
    return next(name for name in contents if name.endswith(end))


def with_member(path, end, data, compressed=False):
    contents = members(path)
    name = ending(contents, end)
    contents[name] = data
    return archive(contents, [name] if compressed else [])


def refuse(tmp_path, data, status=(3, 4), command="inspect", seconds=1.0):
    """The program's last word about these bytes."""
    model = tmp_path / "model.pt"
    model.write_bytes(data)
    before = sorted(os.listdir(tmp_path))
    begin = time.monotonic()
    done = support.tolite(command, model, "--input", "x=f32:4", status=None, cwd=tmp_path)
    took = time.monotonic() - begin
    assert done.returncode in status, f"status {done.returncode}: {done.stderr[-500:]}"
    assert done.returncode == 0 or done.stderr.strip(), "no word about it"
    assert len(done.stderr) < 10_000, done.stderr[:300]
    assert took < seconds, f"{took:.2f} s"
    assert sorted(os.listdir(tmp_path)) == before
    return done.stderr


# ---- zip ----

def test_names_that_leave_the_archive(tmp_path):
    """Nothing is ever unpacked, so names are names; what they hide is not found, or not looked at."""
    contents = members(EXPORT)
    for evil in ("../../../../tmp/tolite-evil", "/tmp/tolite-evil", "a/../../b", "..\\evil"):
        refuse(tmp_path, archive({**contents, evil: b"evil"}), status=(0, 3, 4))
        refuse(tmp_path, archive({(evil + "/" + name): data for name, data in contents.items()}), status=(0, 3, 4))
    assert not pathlib.Path("/tmp/tolite-evil").exists()


@pytest.mark.parametrize("path, end", [(SCRIPT, "data.pkl"), (SCRIPT, ".py"), (EXPORT, "model.json")])
def test_member_that_inflates_without_end(tmp_path, path, end):
    refuse(tmp_path, with_member(path, end, b"\0" * (1 << 30), compressed=True), seconds=3)


def overlapping(n, size):
    """n entries of the directory that share the bytes of one member."""
    body, name = b"\0" * size, b"model/data.pkl"
    local = struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 0, 0, 0, zlib.crc32(body), size, size, len(name), 0) + name + body
    entries = b""
    for i in range(n):
        own = b"model/%06d" % i
        entries += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, 0, 0, 0, zlib.crc32(body), size, size, len(own),
                               0, 0, 0, 0, 0, 0) + own
    return local + entries + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, n % 65536, n % 65536, len(entries), len(local), 0)


def test_members_that_share_bytes(tmp_path):
    refuse(tmp_path, overlapping(1000, 1 << 20))
    refuse(tmp_path, overlapping(60000, 100))


def test_archive_of_many_members(tmp_path):
    """Looking one up is no walk over all."""
    contents = members(SCRIPT)
    root = next(iter(contents)).split("/")[0]
    refuse(tmp_path, archive({**contents, **{f"{root}/data/x{i}": b"" for i in range(60000)}}), status=(0, 2, 3, 4), seconds=2)


def test_archive_in_itself(tmp_path):
    inner = archive(members(EXPORT))
    for _ in range(5):
        inner = archive({"model/" + name: inner for name in members(EXPORT)})
        if len(inner) > 50_000_000:
            break
    refuse(tmp_path, inner)


# ---- pickle ----

PROTO = b"\x80\x02"


def nested(opening, closing, n=MANY):
    return PROTO + opening * n + closing * n + b"."


PICKLES = {
    "lists_a_million_deep": PROTO + b"]" * MANY + b"a" * (MANY - 1) + b".",
    "tuples_a_million_deep": PROTO + b")" + b"\x85" * MANY + b".",
    "marks_without_end": PROTO + b"(" * MANY + b"l" * MANY + b".",
    "dicts_deep": PROTO + b"}" + b"K\1}" * 100000 + b"s" * 100000 + b".",
    "list_that_holds_itself": PROTO + b"]q\0h\0a.",
    "dict_that_holds_itself": PROTO + b"}q\0X\1\0\0\0ah\0s.",
    "tuple_through_a_list": PROTO + b"]q\0(h\0h\0tq\1h\0h\1e.",
    "object_whose_state_it_is": PROTO + b"c__torch__\nNet\n)\x81q\0}q\1X\1\0\0\0ah\0sb.",
    "text_of_gigabytes": PROTO + b"X\xff\xff\xff\x7fab.",
    "number_of_gigabytes": PROTO + b"\x8b\xff\xff\xff\x7f\0.",
    "calls_of_calls": PROTO + b"cos\nsystem\n" + b")R" * 100000 + b".",
    "memo_far_away": PROTO + b"]r\xff\xff\xff\xffj\xff\xff\xff\xff.",
    "empty": b"",
    "stop": PROTO + b".",
    "pops_below_the_ground": PROTO + b"0" * MANY + b".",
}


def doubling(n=100):
    """A list of two lists of two lists: few bytes, and endless to whoever walks it as a tree."""
    return b"]" + b"".join(b"q%c0(h%ch%cl" % (i, i, i) for i in range(n))


# what the attribute of a module may be, which the program reads
VALUES = {
    "list_that_holds_itself": b"]q\0h\0a",
    "lists_deep": b"]" * 100000 + b"a" * 99999,
    "tuples_deep": b")" + b"\x85" * MANY,
    "dicts_deep": b"}" + b"K\1}" * 100000 + b"s" * 100000,
    "doubling": doubling(),
    "object_in_itself": b"c__torch__\nNested\n)\x81q\0}X\1\0\0\0ah\0sb",
    "objects_deep": b"".join(b"c__torch__\nNested\n)\x81}X\1\0\0\0a" for _ in range(20000)) + b"N" + b"sb" * 20000,
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("kind", ["List[List[int]]", "__torch__.Nested", "Tensor"])
def test_attributes(tmp_path, name, kind):
    contents = members(SCRIPT)
    contents[ending(contents, "data.pkl")] = PROTO + b"c__torch__\nNested\n)\x81}X\1\0\0\0a" + VALUES[name] + b"sb."
    contents[ending(contents, ".py")] = (HEAD % (b"Nested", b"__torch__.Nested")).replace(
        b"  def", b"  a : " + kind.encode() + b"\n  def") + b"    a = self.a\n    return x\n"
    said = refuse(tmp_path, archive(contents), status=(0, 3, 4))
    assert "no module of this archive" not in said


@pytest.mark.parametrize("name", PICKLES)
@pytest.mark.parametrize("end", ["data.pkl", "constants.pkl"])
def test_pickles(tmp_path, name, end):
    refuse(tmp_path, with_member(SCRIPT, end, PICKLES[name]), status=(0, 3, 4) if end == "constants.pkl" else (3, 4))


def test_pickle_that_would_run_a_program(tmp_path):
    """A call is data."""
    refuse(tmp_path, with_member(SCRIPT, "data.pkl", PROTO + b"cos\nsystem\nX\x13\0\0\0touch tolite-was-hereX\x85R."))
    assert not (tmp_path / "tolite-was-here").exists()


# ---- JSON ----

DEEP = {
    "lists": b"[" * MANY,
    "closed_lists": b"[" * MANY + b"]" * MANY,
    "objects": b'{"a":' * MANY,
    "text_without_end": b'"' + b"a" * 10 * MANY,
    "escapes": b'"' + b"\\u0000" * MANY + b'"',
    "number": b"1" * MANY,
    "exponent": b"1e" + b"9" * MANY,
    "commas": b"[" + b"," * MANY,
    "ones": b"[" + b"1," * MANY + b"1]",
    "same_keys": b"{" + b'"graph_module":{},' * 100000 + b'"a":1}',
}


@pytest.mark.parametrize("name", DEEP)
def test_json(tmp_path, name):
    refuse(tmp_path, with_member(EXPORT, "model.json", DEEP[name]))


# ---- code ----

HEAD = b"class %s(Module):\n  __parameters__ = []\n  __buffers__ = []\n  def forward(self: %s,\n    x: Tensor) -> Tensor:\n"

CODE = {
    "brackets": b"    return " + b"(" * MANY + b"\n",
    "closed_brackets": b"    return " + b"(" * MANY + b"x" + b")" * MANY + b"\n",
    "lists": b"    return " + b"[" * MANY + b"x" + b"]" * MANY + b"\n",
    "calls": b"    return " + b"torch.neg(" * 300000 + b"x" + b")" * 300000 + b"\n",
    "minus": b"    return " + b"-" * MANY + b"1\n",
    "attributes": b"    return x" + b".a" * MANY + b"\n",
    "indices": b"    return x" + b"[0]" * MANY + b"\n",
    "dicts": b"    return " + b'{"a": ' * MANY + b"\n",
    "types": b"    return annotate(" + b"List[" * MANY + b"\n",
    "branches": b"".join(b" " * (4 + i) + b"if True:\n" for i in range(5000)) + b" " * 5004 + b"return x\n",
    "lines": b"    a = x\n" * 100000 + b"    return a\n",
    "long_name": b"    return " + b"a" * 10 * MANY + b"\n",
    "no_end": b'    return "' + b"a" * MANY,
    "number": b"    return " + b"9" * MANY + b"\n",
    "itself": b"    return (self).forward(x, )\n",
    "forever": b"    while True:\n      y = x\n    return x\n",
    "endless": b"    for i in range(9223372036854775807):\n      y = x\n    return x\n",
    "large": b"    return torch.zeros([1000000, 1000000, 1000000])\n",
    "doubling": b"    a = [x, x]\n" + b"    a = [a, a]\n" * 64 + b"    return x\n",
    "doubling_returned": b"    a = [x, x]\n" + b"    a = [a, a]\n" * 64 + b"    return a\n",
    "joined": b"    a = [x, x]\n" + b"    a = torch.add(a, a)\n" * 64 + b"    return x\n",
    "extended": b"    a = [x, x]\n" + b"    _0 = torch.extend(a, a)\n" * 64 + b"    return x\n",
    "repeated": b"    a = [x, x]\n" + b"    a = torch.mul(a, 60000)\n" * 8 + b"    return x\n",
    "letters": b"    a = \"xx\"\n" + b"    a = torch.add(a, a)\n" * 64 + b"    return x\n",
    "written": b"    a = \"xx\"\n" + b"    a = torch.format(\"{}{}\", a, a)\n" * 64 + b"    return x\n",
}


def program(body):
    """SCRIPT with another forward: the class is found in its code."""
    contents = members(SCRIPT)
    name = next(n for n, data in contents.items() if n.endswith(".py") and b"def forward" in data)
    title = contents[name].split(b"class ", 1)[1].split(b"(", 1)[0]
    contents[name] = HEAD.replace(b"%s", title) + body
    return archive(contents)


@pytest.mark.parametrize("signal", [signal.SIGTERM, signal.SIGINT])
def test_import_can_be_interrupted(tmp_path, signal):
    model = tmp_path / "model.pt"
    model.write_bytes(program(b"    for i in range(60000):\n      for j in range(60000):\n        y = torch.add(x, j)\n    return x\n"))
    run = subprocess.Popen([support.PROGRAM, "inspect", model, "--input", "x=f32:4"], stderr=subprocess.PIPE, text=True)
    time.sleep(0.3)
    assert run.poll() is None, "still at it"
    run.send_signal(signal)
    assert run.wait(2) == 130 and "interrupted" in run.stderr.read()


@pytest.mark.parametrize("name", CODE)
def test_code(tmp_path, name):
    """Time and memory of all of them stay small: lists and texts that grow without end have an allowance."""
    fine = ("branches", "lines", "forever", "endless", "large", "doubling", "minus", "written")
    refuse(tmp_path, program(CODE[name]), status=(0, 3, 4) if name in fine else (3, 4), seconds=2)
