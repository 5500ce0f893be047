"""The clang build with sanitizers and assertions (every pass validated) converts every network to the same bytes."""
import os
import subprocess

import pytest

import support

OTHER = os.environ.get("TOLITE_ASAN")


def files():
    return [support.DIGITS / "digits.onnx", support.DIGITS / "digits.pt2", *sorted(support.MODELS.glob("*/model*.onnx")),
            *sorted(support.MODELS.glob("*/model*.pt2")),
            *sorted(support.MODELS.glob("real/*/model.onnx")), *sorted(support.MODELS.glob("quantised/*/model*.onnx"))]


@pytest.mark.skipif(not OTHER, reason="no second build: TOLITE_ASAN names its program")
@pytest.mark.parametrize("path", files(), ids=lambda p: f"{p.parent.name}-{p.name}")
def test_same_bytes_from_both_builds(path, tmp_path):
    results = []
    for program in (support.PROGRAM, OTHER):
        out = tmp_path / "out.tflite"
        done = subprocess.run([program, "convert", path, "-o", out], capture_output=True, text=True, timeout=300)
        assert done.returncode in (0, 4), done.stderr[-3000:]
        results.append(out.read_bytes() if done.returncode == 0 else done.stderr)
        out.unlink(missing_ok=True)
    assert results[0] == results[1]
