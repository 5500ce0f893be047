"""Post-training quantisation: what each mode does to the bundled example, in LiteRT with and without its delegate and
in our executor."""
import numpy as np
import onnxruntime
import pytest

import builders
import support

HELD_OUT = support.DIGITS / "held_out.npz"
PICTURES = sorted(support.DIGITS.glob("*.png"))  # not among those held out
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
    (["--quantize", "int8", "--samples", *PICTURES], 2, 1e-6, 0.4),
    (["--quantize", "int8-only", "--samples", *PICTURES], 2, 1e-6, 0.4),
    (["--quantize", "int8-only", "--io", "uint8", "--samples", *PICTURES, "--range", "mse"], 2, 1e-6, 0.4),
    (["--quantize", "int16x8", "--samples", *PICTURES], 1, 4e-4, 0.4),
]


@pytest.mark.parametrize("options, errors, apart, size", MODES, ids=lambda v: "-".join(map(str, v[1:4:2])).split("/")[0] if isinstance(v, list) else "")
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
        "ours, rounding as the delegate": ours(path, images, tmp_path, "--rounding", "float"),
    }
    if "int8-only" in options:
        assert not any(dtype == np.float32 for dtype, _ in tensors(path))
    for name, logits in results.items():
        assert right(logits, labels) >= FLOAT_RIGHT - errors, name
    assert np.abs(results["plain"] - results["ours"]).max() <= apart
    assert np.abs(results["delegate"] - results["ours, rounding as the delegate"]).max() <= apart


VIT = support.ROOT / "tests" / "quant" / "digits_vit.onnx"  # of tools/train_digits_vit.py
VIT_SAMPLES = support.ROOT / "tests" / "quant" / "digits_samples.npz"


@pytest.mark.parametrize("options, errors, sqnr", [
    (["dynamic"], 3, 35),
    (["int8", "--samples", VIT_SAMPLES], 5, 27),
    (["int8", "--samples", VIT_SAMPLES, "--range", "mse"], 5, 27),
    (["int8-only", "--samples", VIT_SAMPLES, "--input", "image=f32:1,1,8,8"], 5, 24),
    (["int16x8", "--samples", VIT_SAMPLES], 1, 38),
], ids=lambda v: "-".join(map(str, [v[0], *v[4:]][:2])) if isinstance(v, list) else "")
def test_vision_transformer(options, errors, sqnr, tmp_path):
    held_out = support.load(HELD_OUT)
    images, labels = held_out["in_image"], held_out["labels"]
    whole = litert(convert(tmp_path, model=VIT), images, True)
    path = convert(tmp_path, "--quantize", *options, model=VIT)
    for result in (litert(path, images, True), ours(path, images, tmp_path, "--rounding", "float")):
        assert right(result, labels) >= right(whole, labels) - errors
        assert 10 * np.log10(np.square(whole).sum() / np.square(result - whole).sum()) > sqnr


def test_many_scales_are_summed_up(tmp_path):
    path = convert(tmp_path, "--quantize", "dynamic")
    said = support.tolite("inspect", path, "--weights").stdout
    assert "{axis=0 48 scales, 0.00" in said and max(map(len, said.splitlines())) < 200


def test_unknown_mode(tmp_path):
    said = support.tolite("convert", support.DIGITS / "digits.onnx", "-o", tmp_path / "x.tflite", "--quantize", "int3",
                          status=2).stderr
    assert "--quantize int3, expected fp16, weights, dynamic" in said
    assert not (tmp_path / "x.tflite").exists()


# ---- samples and statistics ----

def shards(tmp_path, n):
    """The ten example pictures as n files of statistics, and as one."""
    model = support.DIGITS / "digits.onnx"
    support.tolite("calibrate", model, "--samples", *PICTURES, "-o", tmp_path / "whole.stats")
    for k in range(n):
        support.tolite("calibrate", model, "--samples", *PICTURES[k::n], "-o", tmp_path / f"{k}.stats")
    return [tmp_path / f"{k}.stats" for k in range(n)]


def test_statistics_of_shards_are_those_of_one_run(tmp_path):
    parts = shards(tmp_path, 4)
    for order in (parts, parts[::-1]):
        support.tolite("calibrate", support.DIGITS / "digits.onnx", "--stats", *order, "-o", tmp_path / "merged.stats")
        assert (tmp_path / "merged.stats").read_bytes() == (tmp_path / "whole.stats").read_bytes()
    one = convert(tmp_path, "--quantize", "int8", "--samples", *PICTURES).read_bytes()
    two = convert(tmp_path, "--quantize", "int8", "--stats", *parts).read_bytes()
    assert one == two


def test_a_tflite_file_is_quantised_like_its_source(tmp_path):
    whole = tmp_path / "float.tflite"
    support.tolite("convert", support.DIGITS / "digits.onnx", "-o", whole)
    path = tmp_path / "from_file.tflite"
    support.tolite("quantize", whole, "--mode", "int8-only", "--samples", *PICTURES, "-o", path)
    held_out = support.load(HELD_OUT)
    direct = convert(tmp_path, "--quantize", "int8-only", "--samples", *PICTURES)
    images = held_out["in_image"][:50]
    assert np.array_equal(litert(path, images, True), litert(direct, images, True))


@pytest.mark.parametrize("mode", ["fp16", "weights", "dynamic", "int8", "int8-only", "int16x8"])
def test_a_file_of_16_bit_weights_is_quantised(mode, tmp_path):
    half = convert(tmp_path, "--quantize", "fp16").rename(tmp_path / "half.tflite")
    out = tmp_path / "out.tflite"
    support.tolite("quantize", half, "--mode", mode, "--samples", *PICTURES, "-o", out)
    images = support.load(HELD_OUT)["in_image"][:100]
    assert (litert(out, images, True).argmax(1) == litert(half, images, True).argmax(1)).sum() >= 98


def test_samples_of_npz_along_batch_and_along_an_axis_of_their_own(tmp_path):
    images = support.load(HELD_OUT)["in_image"][:6]
    np.savez(tmp_path / "own.npz", image=images[:, None])
    for k in range(6):
        np.savez(tmp_path / f"one{k}.npz", image=images[k][None])
    model = support.DIGITS / "digits.onnx"
    support.tolite("calibrate", model, "--samples", tmp_path / "own.npz", "-o", tmp_path / "own.stats")
    support.tolite("calibrate", model, "--samples", *tmp_path.glob("one*.npz"), "-o", tmp_path / "one.stats")
    assert (tmp_path / "own.stats").read_bytes() == (tmp_path / "one.stats").read_bytes()


def said(tmp_path, *options, status):
    done = support.tolite("convert", support.DIGITS / "digits.onnx", "-o", tmp_path / "x.tflite", *options, status=status)
    assert status == 0 or not (tmp_path / "x.tflite").exists()
    return done.stderr


def test_bad_samples(tmp_path):
    images = support.load(HELD_OUT)["in_image"][:2].copy()
    assert "expected --samples PATH... with real inputs" in said(tmp_path, "--quantize", "int8", status=2)
    (tmp_path / "empty").mkdir()
    assert "holds no pictures" in said(tmp_path, "--quantize", "int8", "--samples", tmp_path / "empty", status=2)
    for name, arrays, text in (
            ("shape", {"image": images[:1, :, :7]}, "axis 2 is 7, expected 8"),
            ("dtype", {"image": images.astype(np.int32)}, "i32"),
            ("name", {"other": images}, "no value for input image"),
            ("none", {"image": images[:0]}, "holds no sample"),
    ):
        np.savez(tmp_path / f"{name}.npz", **arrays)
        found = said(tmp_path, "--quantize", "int8", "--samples", tmp_path / f"{name}.npz", status=2)
        assert text in found, found
    for bad in (np.nan, np.inf):
        images[1, 0, 3, 3] = bad
        np.savez(tmp_path / "bad.npz", image=images[:, None])
        found = said(tmp_path, "--quantize", "int8", "--samples", tmp_path / "bad.npz", status=2)
        assert "sample 1: " + ("NaN" if bad != bad else "infinity") in found
    assert "random data" in said(tmp_path, "--quantize", "int8", "--samples", "random", "--limit", "2", status=0)


def test_statistics_of_another_model_and_damaged_ones(tmp_path):
    stats = shards(tmp_path, 1)[0]
    text = stats.read_text()
    fingerprint = text.split()[2]
    for damaged, status, what in ((text[: len(text) // 2], 3, "damaged"), (text[:-4], 3, "damaged"), (text[:-5], 3, "cut off"), ("hello\n", 3, "no statistics"),
                                  (text.replace(fingerprint, "12345", 1), 2, "another model")):
        (tmp_path / "damaged.stats").write_text(damaged)
        found = said(tmp_path, "--quantize", "int8", "--stats", tmp_path / "damaged.stats", status=status)
        assert what in found, found


# ---- a trained network that quantises badly ----

MOBILENET = support.MODELS / "real" / "mobilenet_v1_025" / "model.onnx"
PHOTOS = sorted((support.MODELS / "real" / "imagenet100").glob("*.jpg"))
NORMAL = ["--mean", "0.5", "--std", "0.5"]


@support.needs_networks
@pytest.mark.parametrize("mode, same, lost", [("int8-only", 42, 2), ("dynamic", 46, 2), ("int16x8", 45, 2)])
def test_mobilenet(mode, same, lost, tmp_path):
    """Calibrated on the even photos; on the odd ones our executor, rounding as LiteRT's delegate."""
    path = convert(tmp_path, "--quantize", mode, "--samples", *PHOTOS[::2], *NORMAL, model=MOBILENET)
    classes = []
    for model in (MOBILENET, path):
        support.tolite("run", model, "--image", *PHOTOS[1::2], *NORMAL, "--rounding", "float", "--out", tmp_path / "y.npz")
        classes.append(next(iter(support.load(tmp_path / "y.npz").values())).reshape(50, -1).argmax(1))
    labels = np.array([int(p.name[:3]) + 1 for p in PHOTOS[1::2]])
    assert (classes[0] == classes[1]).sum() >= same
    assert (classes[1] == labels).sum() >= (classes[0] == labels).sum() - lost


# ---- numbers at the edge ----

def edge_model(tmp_path, weights, bias):
    """x[1,4] w + b, relu, and a second product: constant channels, zeros, huge and tiny numbers on the way."""
    proto = builders.model([builders.node("Gemm", "x w b", "t"), builders.node("Relu", "t", "r"),
                            builders.node("Gemm", "r v c", "y")],
                           [builders.value("x", [1, 4])], [builders.value("y", [1, 3])],
                           {"w": weights, "b": bias, "v": np.eye(4, 3, dtype=np.float32),
                            "c": np.zeros(3, np.float32)})
    return builders.save(proto, tmp_path / "edge.onnx")


EDGES = {
    "all weights zero": (np.zeros((4, 4)), np.zeros(4), 1),
    "a zero channel with a bias": (np.diag([1, 1, 1, 0]), np.array([0, 0, 0, 5]), 1),
    "a bias far beyond its products": (np.eye(4) * 1e-6, np.full(4, 1e6), 1e-6),
    "tiny numbers": (np.eye(4), np.zeros(4), 1e-30),
    "huge numbers": (np.eye(4), np.zeros(4), 1e30),
    "tiny weights, huge numbers": (np.eye(4) * 1e-30, np.ones(4), 1e30),
    "constant input": (np.eye(4), np.zeros(4), 0),
}


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("mode", ["int8", "int8-only", "int16x8", "dynamic", "fp16"])
def test_edges(edge, mode, tmp_path):
    weights, bias, size = EDGES[edge]
    model = edge_model(tmp_path, weights.astype(np.float32), bias.astype(np.float32))
    x = (np.random.default_rng(1).uniform(-1, 1, (8, 1, 4)) * size).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    path = tmp_path / "quantised.tflite"
    done = support.tolite("convert", model, "-o", path, "--quantize", mode, "--samples", tmp_path / "x.npz", status=None)
    if mode == "int8-only" and done.returncode == 4:  # said, and no file
        assert "cannot be integer" in done.stderr and not path.exists()
        return
    assert done.returncode == 0, done.stderr
    support.tolite("run", model, "--in", tmp_path / "x.npz", "--samples-axis", "--out", tmp_path / "y.npz")
    expected = next(iter(support.load(tmp_path / "y.npz").values())).reshape(8, 3)
    for delegate in (True, False):
        result = litert(path, x, delegate)
        assert np.isfinite(result).all()
        step = np.abs(expected).max() / 50 + 1e-37
        assert np.abs(result - expected).max() <= step, (edge, mode, delegate, np.abs(result - expected).max(), step)


# ---- what has no integer kernel of its own ----

def integer_only(proto, samples, tmp_path, least):
    """int8-only: both of LiteRT's kernels and ours against onnxruntime, in decibels."""
    model = builders.save(proto, tmp_path / "m.onnx")
    np.savez(tmp_path / "x.npz", x=samples)
    path = convert(tmp_path, "--quantize", "int8-only", "--samples", tmp_path / "x.npz", model=model)
    assert not any(dtype == np.float32 for dtype, _ in tensors(path))
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    expected = np.array([session.run(None, {"x": x})[0].ravel() for x in samples])
    for results in (litert(path, samples, True), litert(path, samples, False), ours(path, samples, tmp_path)):
        assert sqnr(expected, results) >= least
    return path


def sqnr(reference, result):
    return 10 * np.log10(np.square(reference).sum() / (np.square(reference - result).sum() + 1e-30))


def dense(rng, *shape):
    return (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)


def test_a_constant_divisor_is_a_factor(tmp_path):
    rng = np.random.default_rng(2)
    proto = builders.model([builders.node("MatMul", "x w", "t"), builders.node("Div", "t c", "u"),
                            builders.node("MatMul", "u v", "y")],
                           [builders.value("x", [1, 16])], [builders.value("y", [1, 8])],
                           {"w": dense(rng, 16, 16), "c": rng.uniform(0.5, 3, 16).astype(np.float32), "v": dense(rng, 16, 8)})
    integer_only(proto, rng.standard_normal((20, 1, 16)).astype(np.float32), tmp_path, 30)


@pytest.mark.parametrize("how", ["Add", "Where"])
@pytest.mark.parametrize("size", [-np.inf, -3.4e38, -1e9])
def test_marks_of_a_mask_saturate(how, size, tmp_path):
    """Scores of which every third is masked, their softmax, and what it weighs."""
    rng = np.random.default_rng(3)
    masked = np.arange(12) % 3 == 0
    mask = {"mask": np.where(masked, size, 0).astype(np.float32)} if how == "Add" else {
        "mask": masked, "low": np.array(size, np.float32)}
    scores = "t mask" if how == "Add" else "mask low t"
    proto = builders.model([builders.node("MatMul", "x w", "t"), builders.node(how, scores, "u"),
                            builders.node("Softmax", "u", "p", axis=-1), builders.node("MatMul", "p v", "y")],
                           [builders.value("x", [1, 16])], [builders.value("y", [1, 8])],
                           {"w": dense(rng, 16, 12), "v": dense(rng, 12, 8), **mask})
    integer_only(proto, rng.standard_normal((20, 1, 16)).astype(np.float32), tmp_path, 20)


def test_sizes_of_an_integer_value(tmp_path):
    """An open batch: the output size of a transposed convolution is computed from that of its operand."""
    rng = np.random.default_rng(4)
    proto = builders.model([builders.node("ConvTranspose", "x w", "y", strides=[2, 2], kernel_shape=[2, 2])],
                           [builders.value("x", ["n", 3, 4, 4])], [builders.value("y", ["n", 5, 8, 8])],
                           {"w": dense(rng, 3, 5, 2, 2)})
    integer_only(proto, rng.standard_normal((8, 1, 3, 4, 4)).astype(np.float32), tmp_path, 25)


def test_borders_of_a_maximum_pool_saturate(tmp_path):
    """The border is filled with -inf, which is no mark of a mask: the range is that of the numbers, and the pool integer."""
    rng = np.random.default_rng(6)
    proto = builders.model([builders.node("Conv", "x w", "t", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
                            builders.node("MaxPool", "t", "u", kernel_shape=[3, 3], pads=[1, 1, 0, 0], strides=[2, 2]),
                            builders.node("Conv", "u v", "y", kernel_shape=[1, 1])],
                           [builders.value("x", [1, 3, 9, 9])], [builders.value("y", [1, 4, 4, 4])],
                           {"w": dense(rng, 6, 3, 3, 3), "v": dense(rng, 4, 6, 1, 1)})
    integer_only(proto, rng.standard_normal((8, 1, 3, 9, 9)).astype(np.float32), tmp_path, 30)


def test_a_constant_channel_and_weights_of_zeros(tmp_path):
    """What is the same in all samples, and a convolution that gives its bias alone: sound files, no division by zero."""
    rng = np.random.default_rng(7)
    w = dense(rng, 6, 3, 1, 1)
    w[2:4] = 0
    proto = builders.model([builders.node("Conv", "x w b", "t", kernel_shape=[1, 1]), builders.node("Relu", "t", "u"),
                            builders.node("Conv", "u z c", "y", kernel_shape=[1, 1])],
                           [builders.value("x", [1, 3, 4, 4])], [builders.value("y", [1, 2, 4, 4])],
                           {"w": w, "b": np.array([0.1, 0, 0, 2.5, 0, -0.2], np.float32), "z": np.zeros((2, 6, 1, 1), np.float32),
                            "c": np.array([1.5, -0.5], np.float32)})
    samples = rng.standard_normal((8, 1, 3, 4, 4)).astype(np.float32)
    samples[:, :, 1] = 0.75
    integer_only(proto, samples, tmp_path, 35)


# ---- networks ----

NETWORKS = ["resnet18", "mobilenet_v3_small", "densenet", "vit_tiny", "bert_tiny", "unet", "gru_seq", "lstm_seq", "rnn_seq"]


@support.needs_networks
@pytest.mark.parametrize("mode, least", [("fp16", 30), ("weights", 20), ("dynamic", 20), ("int8", 10), ("int16x8", 15)])
@pytest.mark.parametrize("network", NETWORKS)
def test_networks(network, mode, least, tmp_path):
    """Every file loads and runs with and without the delegate; our executor has the numbers of the plain kernels."""
    folder = support.MODELS / network
    path = convert(tmp_path, "--quantize", mode, "--samples", folder / "io.npz", model=folder / "model.onnx")
    inputs, outputs = support.golden(folder / "io.npz")
    support.tolite("run", path, "--in", folder / "io.npz", "--out", tmp_path / "y.npz")
    mine = list(support.load(tmp_path / "y.npz").values())
    arrays = support.ordered(inputs, support.litert_names(path)[0])
    runs = {d: support.LiteRT(path, delegate=d)(arrays) for d in (True, False)}
    for k, reference in enumerate(outputs):
        size = max(1.0, np.abs(reference).max())
        # what stays float between integer ops differs in its last digits, and a number at a tie then by a step: op by
        # op (test_one_op.py) there is no difference; 2e-4 is six steps of 16 bits
        bound = {"dynamic": 2e-2, "int16x8": 2e-4}.get(mode, 1e-4)
        assert np.abs(runs[False][k] - mine[k]).max() <= bound * size
        for delegate, results in runs.items():
            error = np.square(results[k] - reference).sum() + 1e-30
            sqnr = 10 * np.log10(np.square(reference).sum() / error)
            assert sqnr >= least, (delegate, k, sqnr)


@support.needs_networks
def test_sequences_of_a_model_with_state(tmp_path):
    """Successive calls in one file: the state that calibration carries is that of the calls."""
    folder = support.MODELS / "lstm_stream"
    path = convert(tmp_path, "--quantize", "int8", "--samples", folder / "io.steps.npz", "--steps",
                   model=folder / "model.pt2")
    support.tolite("run", path, "--in", folder / "io.steps.npz", "--steps", "--out", tmp_path / "y.npz")
    result = next(iter(support.load(tmp_path / "y.npz").values()))
    reference = support.golden(folder / "io.steps.npz")[1][0]
    error = np.square(result.reshape(reference.shape) - reference).sum()
    assert 10 * np.log10(np.square(reference).sum() / error) > 25
