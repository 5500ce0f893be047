"""Post-training quantisation: what each mode does to the bundled example, in LiteRT with and without its delegate and
in our executor."""
import numpy as np
import pytest

import support

HELD_OUT = support.DIGITS / "held_out.npz"
FLOAT_RIGHT = 449  # of the 450 held-out digits


def convert(tmp_path, *options, model=support.DIGITS / "digits.onnx"):
    path = tmp_path / "quantised.tflite"
    support.tolite("convert", model, "-o", path, *options)
    return path


def litert(path, images, delegate):
    """Real numbers out for real numbers in, one picture at a time."""
    interpreter = support.LiteRT(path, delegate=delegate).interpreter
    interpreter.allocate_tensors()
    x, y = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    results = []
    for image in images:
        interpreter.set_tensor(x["index"], stored(image.reshape(x["shape"]), x))
        interpreter.invoke()
        results.append(real(interpreter.get_tensor(y["index"]), y).ravel())
    return np.array(results)


def stored(values, details):
    if details["dtype"] == np.float32:
        return values.astype(np.float32)
    scale, zero = details["quantization"]
    limits = np.iinfo(details["dtype"])
    return np.clip(np.round(values / scale) + zero, limits.min, limits.max).astype(details["dtype"])


def real(values, details):
    scale, zero = details["quantization"]
    return values if details["dtype"] == np.float32 else (values.astype(np.float32) - zero) * np.float32(scale)


def ours(path, images, tmp_path, *options):
    interpreter = support.LiteRT(path, delegate=False).interpreter
    x, y = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    np.savez(tmp_path / "in.npz", input_0=stored(images.reshape(len(images), *x["shape"]), x))
    support.tolite("run", path, "--in", tmp_path / "in.npz", "--samples-axis", "--out", tmp_path / "out.npz", *options)
    return real(next(iter(support.load(tmp_path / "out.npz").values())), y).reshape(len(images), -1)


def right(logits, labels):
    return int((logits.argmax(1) == labels).sum())


def tensors(path):
    """[(dtype, elements)] of every tensor."""
    details = support.LiteRT(path, delegate=False).interpreter.get_tensor_details()
    return [(t["dtype"], int(np.prod(t["shape"]))) for t in details]


# options, most errors beyond float, how far the runtime and we may be apart, largest part of the float file's size
MODES = [
    (["--quantize", "fp16"], 0, 1e-5, 0.55),
    (["--quantize", "weights"], 1, 1e-5, 0.4),
    (["--quantize", "weights", "--weights", "int4"], 2, 1e-5, 0.3),
    (["--quantize", "dynamic"], 2, 0.02, 0.4),
]


@pytest.mark.parametrize("options, errors, apart, size", MODES, ids=lambda v: "-".join(v[1::2]) if isinstance(v, list) else "")
def test_digits(options, errors, apart, size, tmp_path):
    held_out = support.load(HELD_OUT)
    images, labels = held_out["in_image"], held_out["labels"]
    path = convert(tmp_path, *options)
    whole = tmp_path / "float.tflite"
    support.tolite("convert", support.DIGITS / "digits.onnx", "-o", whole)
    assert path.stat().st_size < size * whole.stat().st_size
    results = {
        "delegate": litert(path, images, True),
        "plain": litert(path, images, False),
        "ours": ours(path, images, tmp_path),
    }
    for name, logits in results.items():
        assert right(logits, labels) >= FLOAT_RIGHT - errors, name
        assert np.abs(logits - results["ours"]).max() <= apart, name


def test_unknown_mode(tmp_path):
    said = support.tolite("convert", support.DIGITS / "digits.onnx", "-o", tmp_path / "x.tflite", "--quantize", "int3",
                          status=2).stderr
    assert "--quantize int3, expected fp16, weights, dynamic" in said
    assert not (tmp_path / "x.tflite").exists()
