"""--flex and --custom: operators of another runtime in the file. The options are read back by the flexbuffers package
and, TensorFlow's definition of the operator, by hand; LiteRT says which operators it misses."""
import json
import re

import pytest
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import flexbuffers

import support

PROGRAMS = support.ROOT / "tests" / "torch" / "custom"


def convert(name, out, *options, status=0):
    return support.tolite("convert", PROGRAMS / f"{name}.pt2", "-o", out, *options, status=status)


def customs(file):
    """[(name, options)] of the operators that are no builtins."""
    text = support.tolite("inspect", file, "--ir").stdout
    return [(name, bytes.fromhex(digits)) for name, digits in
            re.findall(r'tfl_custom\(.*code="([^"]*)" options="(\w*)"', text)]


def fields(message):
    """[(number, value)] of a protobuf message: bytes or an integer each."""
    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    at, found = 0, []
    while at < len(message):
        tag = varint()
        assert tag & 7 in (0, 2)
        value = varint()
        if tag & 7 == 2:
            value, at = message[at:at + value], at + value
        found.append((tag >> 3, value))
    return found


def node_def(options):
    """(op, number of inputs, {attribute: (field of AttrValue, value)})"""
    vector = flexbuffers.GetRoot(bytearray(options)).AsVector
    name, definition = vector[0].AsString, fields(bytes(vector[1].AsStringBytes))
    assert [v for f, v in definition if f in (1, 2)] == [name.encode()] * 2
    attrs = {}
    for entry in (dict(fields(v)) for f, v in definition if f == 5):
        (attrs[entry[1].decode()],) = fields(entry[2])
    return name, sum(f == 3 for f, _ in definition), attrs


def test_an_inverse_needs_flex_and_says_so(tmp_path):
    done = convert("inverse", tmp_path / "m.tflite", status=4)
    assert "--flex hands it to TensorFlow's MatrixInverse" in done.stderr
    assert not (tmp_path / "m.tflite").exists()


def test_an_inverse_with_flex(tmp_path):
    file = tmp_path / "m.tflite"
    done = convert("inverse", file, "--flex")
    assert "builtins only" not in done.stdout.replace("not builtins only", "")
    assert "Flex library (Select TensorFlow ops): FlexMatrixInverse" in done.stdout + done.stderr
    ((name, options),) = customs(file)
    assert name == "FlexMatrixInverse"
    assert node_def(options) == ("MatrixInverse", 1, {"T": (6, 1), "adjoint": (5, 0)})
    with pytest.raises(RuntimeError, match="Select TensorFlow op"):
        Interpreter(str(file)).allocate_tensors()


def test_factors_with_flex(tmp_path):
    file = tmp_path / "m.tflite"
    report = json.loads(convert("factors", file, "--flex", "--json").stdout)
    names = ["FlexCholesky", "FlexQr", "FlexMatrixDeterminant", "FlexLogMatrixDeterminant"]
    assert sorted(op["op"] for op in report["custom_ops"]) == sorted(names)
    found = {name: node_def(options) for name, options in customs(file)}
    assert found["FlexQr"] == ("Qr", 1, {"T": (6, 1), "full_matrices": (5, 0)})
    assert found["FlexCholesky"] == ("Cholesky", 1, {"T": (6, 1)})


def test_random_numbers_with_flex(tmp_path):
    assert "--flex" in convert("noise", tmp_path / "m.tflite", status=4).stderr
    convert("noise", tmp_path / "m.tflite", "--flex")
    ((_, options),) = customs(tmp_path / "m.tflite")
    name, n_in, attrs = node_def(options)
    assert (name, n_in) == ("RandomUniform", 1)
    assert attrs["dtype"] == (6, 1) and attrs["T"][1] in (3, 9)


def test_check_says_what_an_interpreter_needs(tmp_path):
    convert("noise", tmp_path / "flex.tflite", "--flex")
    said = support.tolite("check", tmp_path / "flex.tflite", status=None)
    assert "needs an interpreter with the Flex library (Select TensorFlow ops): FlexRandomUniform" in said.stdout + said.stderr
    convert("own_operator", tmp_path / "own.tflite", "--custom")
    said = support.tolite("check", tmp_path / "own.tflite", "--json", status=None)
    assert json.loads(said.stdout)["custom_ops"] == [{"op": "mylib::scale", "count": 1}]
    convert("small_inverse", tmp_path / "none.tflite")
    said = support.tolite("check", tmp_path / "none.tflite")
    assert "needs" not in said.stdout + said.stderr


def test_nothing_else_changes(tmp_path):
    convert("small_inverse", tmp_path / "a.tflite")
    convert("small_inverse", tmp_path / "b.tflite", "--flex", "--custom")
    assert (tmp_path / "a.tflite").read_bytes() == (tmp_path / "b.tflite").read_bytes()


def test_an_operator_of_ones_own(tmp_path):
    file = tmp_path / "m.tflite"
    assert "--custom" in convert("own_operator", file, status=4).stderr
    done = convert("own_operator", file, "--custom")
    assert "custom ops: mylib::scale" in done.stdout + done.stderr
    ((name, options),) = customs(file)
    assert name == "mylib::scale"
    assert flexbuffers.Loads(options) == {"factor": 2.5, "fast": True, "name": "abc", "sizes": [3, 4]}
    with pytest.raises(RuntimeError, match="mylib::scale"):
        Interpreter(str(file)).allocate_tensors()


def test_such_files_are_read_but_not_run(tmp_path):
    file = tmp_path / "m.tflite"
    convert("inverse", file, "--flex")
    assert "FlexMatrixInverse, 1" in support.tolite("inspect", file).stdout
    support.tolite("check", file)
    done = support.tolite("run", file, "--random", status=4)
    assert "FlexMatrixInverse cannot be run here" in done.stderr
    done = convert("inverse", tmp_path / "n.tflite", "--flex", "--verify", status=4)
    assert "cannot be run here" in done.stderr
    assert not (tmp_path / "n.tflite").exists()
