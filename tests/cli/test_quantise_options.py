"""Options of quantisation, each by what it says when it is used the wrong way, and what reports say of it."""
import json
import os

import numpy as np
import pytest

import support

MODEL = support.DIGITS / "digits.onnx"
HELD_OUT = support.DIGITS / "held_out.npz"
PICTURES = sorted(support.DIGITS.glob("*.png"))


def said(*options, status=2, **more):
    return support.tolite("convert", MODEL, *options, status=status, **more).stderr


@pytest.mark.parametrize("options, text", [
    ("--samples x.npz", "option --samples says nothing by itself, expected --quantize MODE"),
    ("--stats x.stats", "option --stats says nothing by itself, expected --quantize MODE"),
    ("--range mse", "expected --quantize int8, int8-only or int16x8"),
    ("--weights int4", "expected --quantize weights"), ("--io int8", "expected --quantize int8"),
    ("--quantize fp16 --limit 3", "expected --samples"), ("--quantize fp16 --mean 0.5", "expected pictures in --samples"),
    ("--min-sqnr 20", "expected --verify or --golden"), ("--atol 1", "expected --verify or --golden"),
    ("--steps", "expected --samples PATH... or --golden IO.npz"),
    ("--quantize -o x.tflite", "option --quantize needs MODE, found -o"),
    ("--quantize int8 --samples x.png --std 0", "expected one positive number or three"),
    ("--quantize int8 --samples x.png --std 0.2,-1,0.2", "expected one positive number or three"),
])
def test_options_that_say_nothing_or_nonsense(options, text, tmp_path):
    assert text in said(*options.split(), cwd=tmp_path)
    assert os.listdir(tmp_path) == []


def test_values_may_begin_with_a_minus(tmp_path):
    said("--quantize", "int8", "--samples", PICTURES[0], "--mean", "-0.5", "-o", tmp_path / "x.tflite", status=0)
    said("-o-dashed.tflite", cwd=tmp_path, status=0)
    assert "-dashed.tflite" in os.listdir(tmp_path)


def test_a_quantised_file_does_not_take_the_name_of_the_float_one(tmp_path):
    said(cwd=tmp_path, status=0)
    said("--quantize", "int8-only", "--samples", PICTURES[0], cwd=tmp_path, status=0)
    support.tolite("quantize", "digits.tflite", "--mode", "fp16", cwd=tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["digits.fp16.tflite", "digits.int8-only.tflite", "digits.tflite"]


def test_a_document_has_the_errors_without_a_code(tmp_path):
    shown = json.loads(support.tolite("convert", MODEL, "--json", "--quantize", "-o", "x", status=2).stdout)
    assert shown["error"]["status"] == 2 and "found -o" in shown["error"]["diagnostics"][0]["text"]
    (tmp_path / "empty").mkdir()
    shown = json.loads(support.tolite("convert", MODEL, "--json", "--quantize", "int8", "--samples", tmp_path / "empty",
                                      status=2).stdout)
    assert "holds no pictures" in shown["error"]["diagnostics"][0]["text"]


def test_a_document_has_the_mode_and_the_warnings_of_calibration(tmp_path):
    out = tmp_path / "x.tflite"
    shown = json.loads(support.tolite("convert", MODEL, "--json", "--quantize", "int8", "--samples", "random", "--limit", "3",
                                      "-o", out).stdout)
    assert shown["quantize"] == "int8" and shown["samples"] == 3
    assert any("random data" in text for text in shown["warnings"])
    shown = json.loads(support.tolite("calibrate", MODEL, "--json", "--samples", "random", "-o", tmp_path / "x.stats").stdout)
    assert any("random data" in text for text in shown["warnings"])


# ---- samples ----

def test_messages_about_samples_name_their_file(tmp_path):
    images = support.load(HELD_OUT)["in_image"][:2]
    for name, array, text in (("small", images[..., :7], "small.npz: input image: axis 3 is 7, expected 8"),
                              ("wide", images.astype(np.float64), "wide.npz: input image: type is f64, expected f32"),
                              ("flat", images.reshape(2, 64), "flat.npz: input image: rank is 2, expected 4")):
        np.savez(tmp_path / f"{name}.npz", image=array)
        assert text in said("--quantize", "int8", "--samples", tmp_path / f"{name}.npz", "-o", tmp_path / "x.tflite")


def test_a_lone_npy_is_the_one_input_whatever_its_name(tmp_path):
    images = support.load(HELD_OUT)["in_image"][:4]
    np.savez(tmp_path / "four.npz", image=images[:, None])
    (tmp_path / "folder").mkdir()
    for k in range(4):
        np.save(tmp_path / "folder" / f"picture{k}.npy", images[k][None])
    support.tolite("calibrate", MODEL, "--samples", tmp_path / "four.npz", "-o", tmp_path / "a.stats")
    support.tolite("calibrate", MODEL, "--samples", tmp_path / "folder", "-o", tmp_path / "b.stats")
    assert (tmp_path / "a.stats").read_bytes() == (tmp_path / "b.stats").read_bytes()


def test_statistics_belong_to_a_model_and_its_options(tmp_path):
    stats = tmp_path / "x.stats"
    use = ["--quantize", "int8", "--stats", stats, "-o", tmp_path / "x.tflite"]
    support.tolite("calibrate", MODEL, "--samples", *PICTURES, "-o", stats)
    said(*use, status=0)
    for other in (["--profile", "tf-2.14"], ["--nhwc"]):
        assert "converted with other options (--profile" in said(*use, *other)
    import onnx
    from onnx import numpy_helper
    proto = onnx.load(MODEL)  # the same operators after another training
    first = proto.graph.initializer[0]
    first.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(first) + np.float32(0.01), first.name))
    onnx.save(proto, tmp_path / "other.onnx")
    assert "statistics of another model" in support.tolite("convert", tmp_path / "other.onnx", *use, status=2).stderr


# ---- what is quantised already ----

def test_integers_are_not_rounded_twice(tmp_path):
    for mode in ("int8-only", "dynamic"):
        said("--quantize", mode, "--samples", *PICTURES, "-o", tmp_path / f"{mode}.tflite", status=0)
    again = ["--mode", "int8-only", "--samples", HELD_OUT, "--limit", "3", "-o", tmp_path / "again.tflite"]
    for first, text in (("int8-only", "the model is quantised already"), ("dynamic", "its weights are quantised already")):
        found = support.tolite("quantize", tmp_path / f"{first}.tflite", *again, status=4).stderr
        assert text in found and "quantise the file of floats" in found
    found = support.tolite("quantize", tmp_path / "int8-only.tflite", "--mode", "fp16", "-o", tmp_path / "again.tflite").stderr
    assert "the model is quantised already: --quantize changes only what is left in floats" in found


def test_an_integer_interface_is_compared_with_floats(tmp_path):
    """--golden and diff of a file with integer inputs and outputs, against records and a source of floats."""
    held_out = support.load(HELD_OUT)
    np.savez(tmp_path / "five.npz", in_image=held_out["in_image"][:5, None], out_0_logits=held_out["out_0_logits"][:5, None])
    for io in ("int8", "uint8"):
        out = tmp_path / f"{io}.tflite"
        done = support.tolite("convert", MODEL, "--quantize", "int8-only", "--io", io, "--samples", *PICTURES, "-o", out, "--golden",
                              tmp_path / "five.npz", "--steps", "--min-sqnr", "25", "--json")
        shown = json.loads(done.stdout)
        assert len(shown["golden"]) == 5 and shown["agree"] and all(25 < pair["sqnr"] < 80 for pair in shown["golden"])
        kind = {"int8": "i8", "uint8": "u8"}[io]
        assert f"input image is {kind}: floats are quantised for it, scale 0.00392" in done.stderr
        done = support.tolite("diff", MODEL, out, "--in", tmp_path / "five.npz", "--samples-axis", "--min-sqnr", "25", "--per-op", "--json")
        assert all(25 < output["sqnr"] < 80 for sample in json.loads(done.stdout)["samples"] for output in sample["outputs"])


# ---- notes ----

def test_notes_list_a_few_places_unless_asked_for_all(tmp_path):
    import builders
    nodes = [builders.node("Sin", f"x{k}", f"x{k + 1}") for k in range(9)]
    nodes.append(builders.node("MatMul", "x9 w", "y"))
    proto = builders.model(nodes, [builders.value("x0", [1, 4])], [builders.value("y", [1, 4])],
                           {"w": np.eye(4, dtype=np.float32)})
    builders.save(proto, tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.ones((1, 4), np.float32))
    use = ["convert", tmp_path / "m.onnx", "--quantize", "int8", "--samples", tmp_path / "x.npy", "-o", tmp_path / "y.tflite"]
    few, all_of_them = support.tolite(*use).stderr, support.tolite(*use, "-v").stderr
    assert "(9 places)" in few and "and 5 more; --verbose lists them" in few and few.count("(Sin)") == 4
    assert all_of_them.count("(Sin)") == 9 and "more" not in all_of_them
