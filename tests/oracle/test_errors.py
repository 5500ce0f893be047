"""Bad input: one clear line, the status of its kind, no file left, an older file untouched."""
import os
import signal
import subprocess
import time

import numpy as np
import onnx
import pytest

import builders as b
import support


def good(tmp_path):
    proto = b.model([b.node("Conv", "x w", "y")], [b.value("x", [1, 2, 8, 8])], [b.value("y", [1, 4, 6, 6])],
                    {"w": np.ones((4, 2, 3, 3), np.float32)})
    return proto


def refused(tmp_path, content, status, *expected, name="model.onnx", options=()):
    """Converting content fails as it should and leaves the folder as it was. Returns what was said."""
    source, out = tmp_path / name, tmp_path / "out.tflite"
    if content is not None:
        source.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    out.write_bytes(b"older")
    before = sorted(os.listdir(tmp_path))
    done = support.tolite("convert", source, "-o", out, *options, status=status)
    assert out.read_bytes() == b"older"
    assert sorted(os.listdir(tmp_path)) == before
    lines = [line for line in done.stderr.splitlines() if not line.startswith((" ", "\t"))]
    assert len(lines) == 1, done.stderr
    assert name in lines[0] or status == 2, done.stderr
    for text in expected:
        assert text in done.stderr, done.stderr
    return done.stderr


def test_three_unsupported_operators_at_five_places_are_reported_at_once(tmp_path):
    nodes, x = [], "x"
    for i, op in enumerate(["Frob", "Frob", "Grommet", "Widget", "Frob"]):
        nodes.append(onnx.helper.make_node(op, [x], [f"v{i}"], name=f"/block{i}/{op}"))
        x = f"v{i}"
    nodes.append(b.node("Relu", x, "y"))
    proto = b.model(nodes, [b.value("x", [2])], [b.value("y", [2])])
    source, out = b.save(proto, tmp_path / "m.onnx"), tmp_path / "m.tflite"
    said = support.tolite("convert", source, "-o", out, status=4).stderr
    for i, op in enumerate(["Frob", "Frob", "Grommet", "Widget", "Frob"]):
        assert f"/block{i}/{op}" in said
    assert "unsupported operator Frob (3 places)" in said
    assert not out.exists()


@pytest.mark.parametrize("what,content", [
    ("empty", b""), ("text", b"this is no model\n"), ("zeros", bytes(1000)), ("picture", b"\x89PNG\r\n\x1a\n" + bytes(50)),
])
def test_not_a_model(tmp_path, what, content):
    refused(tmp_path, content, 3)


def test_truncated(tmp_path):
    data = good(tmp_path).SerializeToString()
    for size in (len(data) // 3, len(data) // 2, len(data) - 5):
        refused(tmp_path, data[:size], 3)


def test_cycle(tmp_path):
    proto = b.model([b.node("Add", "x z", "y"), b.node("Relu", "y", "z")], [b.value("x", [2])], [b.value("z", [2])])
    refused(tmp_path, proto, 3)


def test_overflowing_dims(tmp_path):
    proto = good(tmp_path)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2**62
    refused(tmp_path, proto, 3)


def test_bytes_that_do_not_match_a_shape(tmp_path):
    proto = good(tmp_path)
    proto.graph.initializer[0].raw_data = proto.graph.initializer[0].raw_data[:-4]
    refused(tmp_path, proto, 3, "w")


def test_shapes_that_do_not_fit(tmp_path):
    proto = good(tmp_path)
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 5
    refused(tmp_path, proto, 3)


def test_missing_value(tmp_path):
    proto = b.model([onnx.helper.make_node("Add", ["x", "nowhere"], ["y"], name="/sum")], [b.value("x", [2])], [b.value("y", [2])])
    refused(tmp_path, proto, 3, "nowhere", "/sum")


def test_unsupported_opset_and_type(tmp_path):
    proto = good(tmp_path)
    proto.opset_import[0].version = 1000
    refused(tmp_path, proto, 4, "1000")
    proto = b.model([b.node("StringNormalizer", "x", "y")], [b.value("x", [2], onnx.TensorProto.STRING)],
                    [b.value("y", [2], onnx.TensorProto.STRING)])
    refused(tmp_path, proto, 4, "string")


def test_environment(tmp_path):
    refused(tmp_path, None, 5)  # missing
    (tmp_path / "folder").mkdir()
    done = support.tolite("convert", tmp_path / "folder", "-o", tmp_path / "x.tflite", status=5)
    assert "director" in done.stderr
    proto = good(tmp_path)
    onnx.save(proto, tmp_path / "ext.onnx", save_as_external_data=True, location="gone.bin", size_threshold=0)
    (tmp_path / "gone.bin").unlink()
    done = support.tolite("convert", tmp_path / "ext.onnx", "-o", tmp_path / "x.tflite", status=5)
    assert "gone.bin" in done.stderr
    source = b.save(good(tmp_path), tmp_path / "good.onnx")
    support.tolite("convert", source, "-o", tmp_path / "no" / "such" / "folder" / "x.tflite", status=5)
    support.tolite("convert", source, "-o", tmp_path / "folder", status=5)
    if os.path.exists("/dev/full"):
        support.tolite("convert", source, "-o", "/dev/full", status=5)


def test_external_data_may_not_escape_the_folder(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(1000))
    proto = good(tmp_path)
    onnx.save(proto, tmp_path / "model" / "ext.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    proto = onnx.load(tmp_path / "model" / "ext.onnx", load_external_data=False)
    for location in ("../secret.bin", str(tmp_path / "secret.bin")):
        for entry in proto.graph.initializer[0].external_data:
            if entry.key == "location":
                entry.value = location
        b.save(proto, tmp_path / "model" / "bad.onnx")
        support.tolite("convert", tmp_path / "model" / "bad.onnx", "-o", tmp_path / "x.tflite", status=5)
    (tmp_path / "model" / "w.bin").unlink()
    os.symlink("../secret.bin", tmp_path / "model" / "w.bin")
    support.tolite("convert", tmp_path / "model" / "ext.onnx", "-o", tmp_path / "x.tflite", status=5)


def test_usage(tmp_path):
    source = b.save(good(tmp_path), tmp_path / "good.onnx")
    out = tmp_path / "out.tflite"
    for words in ([], ["frobnicate"], ["convert"], ["convert", source, "--no-such-option"], ["convert", source, "-o"],
                  ["convert", source, "-o", out, "--input", "x=f32:1,banana!"],
                  ["convert", source, "-o", out, "--input", "nosuch=f32:1"],
                  ["convert", source, "-o", out, "--input", "x=f99:1,2,8,8"],
                  ["convert", source, "-o", out, "--profile", "nosuch"],
                  ["convert", source, "-o", source],
                  ["convert", source, "-o", out, "--output", "nosuch"]):
        done = support.tolite(*words, status=2)
        assert done.stderr.strip(), words
        assert not out.exists()


def test_interrupt_leaves_nothing(tmp_path):
    """Ctrl-C in the middle of a large conversion."""
    c = 4096
    proto = b.model([b.node("Gemm", "x w0", "h0"), b.node("Gemm", "h0 w1", "y")], [b.value("x", [1, c])], [b.value("y", [1, c])],
                    {f"w{i}": np.random.default_rng(i).normal(size=(c, c)).astype(np.float32) for i in range(2)})
    source, out = b.save(proto, tmp_path / "big.onnx"), tmp_path / "out.tflite"
    out.write_bytes(b"older")
    interrupted = 0
    for delay in (0.02, 0.05, 0.08):
        process = subprocess.Popen([support.PROGRAM, "convert", source, "-o", out], stderr=subprocess.PIPE)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        process.communicate()
        assert sorted(os.listdir(tmp_path)) == ["big.onnx", "out.tflite"]
        if process.returncode == 130:
            interrupted += 1
            assert out.read_bytes() == b"older"
        else:  # it was done before the signal came
            assert process.returncode == 0
            out.write_bytes(b"older")
