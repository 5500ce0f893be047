"""The bundled example: digits."""
import numpy as np
import pytest

import support

MODEL = support.DIGITS / "digits.onnx"
HELD_OUT = support.DIGITS / "held_out.npz"


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    out = tmp_path_factory.mktemp("digits") / "digits.tflite"
    support.tolite("convert", MODEL, "-o", out, "--verify", "--golden", HELD_OUT)
    return out


@pytest.mark.parametrize("delegate", [True, False])
def test_held_out_digits_in_litert(converted, delegate):
    data = support.load(HELD_OUT)
    runner = support.LiteRT(converted, delegate)
    for size in (len(data["labels"]), 1, 7):
        logits, = runner([data["in_image"][:size]])
        support.assert_agree([logits], [data["out_0_logits"][:size]], f"batch {size}")
    logits, = runner([data["in_image"]])
    assert (logits.argmax(1) == data["labels"]).mean() > 0.97


@pytest.mark.parametrize("model", ["source", "file"])
def test_held_out_digits_in_our_executor(converted, model, tmp_path):
    data = support.load(HELD_OUT)
    support.tolite("run", MODEL if model == "source" else converted, "--in", HELD_OUT, "--out", tmp_path / "y.npz")
    logits, = support.load(tmp_path / "y.npz").values()
    support.assert_agree([logits], [data["out_0_logits"]], model)


def test_pictures_get_their_labels(converted):
    pictures = [support.DIGITS / f"{d}.png" for d in range(10)]
    done = support.tolite("run", converted, "--image", *pictures, "--labels", support.DIGITS / "labels.txt",
                          "--top", 1, "--json")
    import json
    rows = json.loads(done.stdout)["classes"]
    assert [row["top"][0]["label"] for row in rows] == [str(d) for d in range(10)]


def test_a_cnn_has_only_the_ops_it_needs(converted):
    import json
    shown = json.loads(support.tolite("inspect", converted, "--json").stdout)
    ops = {row["op"]: row["count"] for row in shown["ops"]}
    assert ops.get("CONV_2D", 0) == 4 and ops.get("DEPTHWISE_CONV_2D", 0) == 1
    # one channel: the move between channels first and last is a reshape, not a transpose
    assert "TRANSPOSE" not in ops and "BATCH_MATMUL" not in ops
    assert sum(ops.values()) <= 10, ops


def test_two_sessions_of_one_file_do_not_share_state(converted):
    data = support.load(HELD_OUT)["in_image"]
    first, second = support.LiteRT(converted), support.LiteRT(converted)
    a = first([data[:2]])[0].copy()
    second([data[2:4]])
    assert np.array_equal(first([data[:2]])[0], a)
