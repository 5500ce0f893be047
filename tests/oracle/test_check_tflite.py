"""`tolite check` of .tflite files: a file of our own, broken in one way each by a patch of its bytes."""
import json
import struct

import numpy as np
import pytest

import builders as b
from support import tolite

# field numbers of the schema
VERSION, CODES, SUBGRAPHS, BUFFERS, SIGNATURES = 0, 1, 2, 4, 7
TENSORS, INPUTS, OUTPUTS, OPERATORS = 0, 1, 2, 3
SHAPE, TYPE, BUFFER = 0, 1, 2


class Flat:
    """Just enough of FlatBuffers to find the bytes of a field."""

    def __init__(self, data):
        self.data = bytearray(data)
        self.root = self.u32(0)

    def u16(self, at):
        return struct.unpack_from("<H", self.data, at)[0]

    def u32(self, at):
        return struct.unpack_from("<I", self.data, at)[0]

    def put(self, at, value, form="<i"):
        struct.pack_into(form, self.data, at, value)

    def field(self, table, number):
        """Position of a field; the test file has all those that are asked for."""
        vtable = table - struct.unpack_from("<i", self.data, table)[0]
        offset = self.u16(vtable + 4 + 2 * number) if 4 + 2 * number < self.u16(vtable) else 0
        assert offset, f"field {number} is not stored"
        return table + offset

    def vector(self, table, number):
        """(position of the first element, count)"""
        at = self.field(table, number)
        at += self.u32(at)
        return at + 4, self.u32(at)

    def child(self, table, number, i):
        """Table i of a vector of tables."""
        at, n = self.vector(table, number)
        assert i < n
        return at + 4 * i + self.u32(at + 4 * i)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("check")
    proto = b.model([b.node("MatMul", "x w", "h"), b.node("Relu", "h", "r"), b.node("Gather", "r i", "g", axis=0),
                     b.node("Softmax", "g", "y")],
                    [b.value("x", [2, 4])], [b.value("y", [3, 3])],
                    {"w": np.ones((4, 3), np.float32), "i": np.array([1, 0, 1], np.int32)})
    tolite("convert", b.save(proto, folder / "m.onnx"), "-o", folder / "m.tflite", "-q")
    return (folder / "m.tflite").read_bytes()


def subgraph(f):
    return f.child(f.root, SUBGRAPHS, 0)


def operator(f, i):
    return f.child(subgraph(f), OPERATORS, i)


def tensor(f, i):
    return f.child(subgraph(f), TENSORS, i)


def constant(f, wanted=48):
    """The tensor with as many bytes of data: 48 the weights, 12 the indices (whose type is not the default)."""
    _, n = f.vector(subgraph(f), TENSORS)
    for i in range(n):
        try:
            buffer = f.child(f.root, BUFFERS, f.u32(f.field(tensor(f, i), BUFFER)))
            size = f.vector(buffer, 0)[1]
            wanted == 12 and f.field(tensor(f, i), TYPE)
        except AssertionError:
            continue
        if size == wanted:
            return tensor(f, i)
    raise AssertionError("no constant")


def indices(f):
    return constant(f, 12)


MUTATIONS = {
    "operand": (lambda f: f.put(f.vector(operator(f, 0), 1)[0], 99), "M003", "operator 0", "tensor 99 of"),
    "result": (lambda f: f.put(f.vector(operator(f, 0), 2)[0], -1), "M003", "operator 0", "tensor -1 of"),
    "code": (lambda f: f.put(f.field(operator(f, 1), 0), 50), "M003", "operator 1", "operator code 50"),
    "late": (lambda f: f.put(f.vector(operator(f, 0), 1)[0], f.u32(f.vector(operator(f, 1), 2)[0])),
             "M010", "operator 0", "read before anything writes it"),
    "twice": (lambda f: f.put(f.vector(operator(f, 1), 2)[0], f.u32(f.vector(operator(f, 0), 2)[0])),
              "M010", "operator 1", "written before"),
    "input": (lambda f: f.put(f.vector(subgraph(f), INPUTS)[0], 1000), "M003", "inputs of subgraph 0", "tensor 1000"),
    "output": (lambda f: f.put(f.vector(subgraph(f), OUTPUTS)[0], 1000), "M003", "outputs of subgraph 0", "tensor 1000"),
    "buffer": (lambda f: f.put(f.field(constant(f), BUFFER), 777), "M003", "tensor", "buffer 777 of"),
    "type": (lambda f: f.put(f.field(indices(f), TYPE), 9, "<B"), "M005", "tensor", "expected 3, found 12"),
    "unknown_type": (lambda f: f.put(f.field(indices(f), TYPE), 200, "<B"), "M003", "tensor", "element type 200"),
    "negative": (lambda f: f.put(f.vector(constant(f), SHAPE)[0], -7), "M003", "tensor", "negative"),
    "too_large": (lambda f: f.put(f.vector(constant(f), SHAPE)[0], 1 << 20), "M005", "tensor", "wrong number of bytes"),
    "shapes": (lambda f: f.put(f.vector(constant(f), SHAPE)[0] + 4, 3), "M004", "node", ""),
    "version": (lambda f: f.put(f.field(f.root, VERSION), 2), "M011", "", "schema version 2"),
    "signature": (lambda f: f.put(f.field(f.child(f.child(f.root, SIGNATURES, 0), 1, 0), 1), 0),
                  "M003", "signature", "no output of subgraph"),
    "root": (lambda f: f.put(0, 1 << 30), "M002", "", ""),
    "vector": (lambda f: f.put(f.vector(subgraph(f), TENSORS)[0] - 4, 1 << 29), "M002", "", ""),
}


def check(tmp_path, data, status):
    path = tmp_path / "m.tflite"
    path.write_bytes(data)
    return json.loads(tolite("check", path, "--json", status=status).stdout)


def test_a_sound_file(tmp_path, sound):
    report = check(tmp_path, sound, 0)
    assert report["well_formed"] and not report["problems"] and not report["rules"]


@pytest.mark.parametrize("name", MUTATIONS)
def test_broken(tmp_path, sound, name):
    change, code, place, what = MUTATIONS[name]
    f = Flat(sound)
    change(f)
    report = check(tmp_path, bytes(f.data), 3)
    found = [(p["code"], q["place"], p["what"]) for p in report["problems"] for q in p["places"] or [{"place": ""}]]
    assert any(c == code and q.startswith(place) and what in w for c, q, w in found), found


def test_several_problems_at_once(tmp_path, sound):
    f = Flat(sound)
    for name in ("code", "operand", "input", "negative"):
        MUTATIONS[name][0](f)
    assert len(check(tmp_path, bytes(f.data), 3)["problems"]) >= 4


def test_every_prefix_is_refused(tmp_path, sound):
    for size in range(0, len(sound) - 1, 97):
        (tmp_path / "m.tflite").write_bytes(sound[:size])
        tolite("check", tmp_path / "m.tflite", status=3)


def test_rules_of_the_runtime(tmp_path):
    """A convolution without bias: well-formed, but not run by the profile, so status 1."""
    proto = b.model([b.node("Conv", "x w", "y")], [b.value("x", [1, 2, 8, 8])], [b.value("y", [1, 4, 6, 6])],
                    {"w": np.ones((4, 2, 3, 3), np.float32)})
    path = tmp_path / "m.tflite"
    tolite("convert", b.save(proto, tmp_path / "m.onnx"), "-o", path, "-q", "--nhwc")
    f = Flat(path.read_bytes())
    f.put(f.vector(operator(f, 0), 1)[0] + 8, -1)
    report = check(tmp_path, bytes(f.data), 1)
    assert report["well_formed"] and report["profile"] == "litert"
    assert [(r["rule"], r["kind"], r["op"]) for r in report["rules"]] == [(8, "crash", "CONV_2D")]
    assert "crash: CONV_2D: " in tolite("check", path, status=1).stdout


def test_a_declared_shape_that_is_not_true_is_a_note(tmp_path, sound):
    f = Flat(sound)
    f.put(f.vector(tensor(f, f.u32(f.vector(operator(f, 1), 2)[0])), SHAPE)[0], 5)
    report = check(tmp_path, bytes(f.data), 0)
    assert [n["code"] for n in report["notes"]] == ["W003"]
