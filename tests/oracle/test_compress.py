"""Pruning and clustering: what becomes of the bundled example, in LiteRT and in our executor."""
import json

import numpy as np
import pytest

import support
from test_quantise import FLOAT_RIGHT, HELD_OUT, PICTURES, litert, ours, right

DIGITS = support.DIGITS / "digits.onnx"


def compress(tmp_path, *options, model=DIGITS, command="convert", samples=PICTURES, name="small.tflite"):
    path = tmp_path / name
    given = ["--samples", *samples] if samples is not None else []
    done = support.tolite(command, model, "-o", path, "--json", *options, *given)
    return path, json.loads(done.stdout)["compression"]


def steps(compression):
    return {step["step"]: step for step in compression["steps"]}


def weights(path):
    """{name: array} of the constants of more than one axis that are no parameters."""
    interpreter = support.LiteRT(path, delegate=False).interpreter
    interpreter.allocate_tensors()
    return {t["name"]: interpreter.get_tensor(t["index"]) for t in interpreter.get_tensor_details()
            if "weight" in t["name"] and len(t["shape"]) > 1 and t["dtype"] in (np.float32, np.int8)}


def agree(path, tmp_path, apart=1e-4):
    """LiteRT, with and without its delegate, and we compute the same; the number of digits right."""
    held_out = support.load(HELD_OUT)
    images, labels = held_out["in_image"], held_out["labels"]
    mine = ours(path, images, tmp_path)
    for delegate in (True, False):
        theirs = litert(path, images, delegate)
        assert np.abs(theirs - mine).max() <= (apart if not delegate else max(apart, 0.02)) * max(1, np.abs(mine).max())
    return right(mine, labels)


def test_half_of_the_weights(tmp_path):
    path, report = compress(tmp_path, "--prune", "0.5")
    for name, w in weights(path).items():
        zeros = (w == 0).mean()
        assert abs(zeros - 0.5) < 0.5 / w.size + 1e-9 if "depthwise" not in name else zeros == 0, name
    pruned = steps(report)["pruned"]
    assert pruned["bytes"] == path.stat().st_size
    assert pruned["zip_bytes"] < 0.65 * steps(report)["float"]["zip_bytes"]
    assert agree(path, tmp_path) >= 435  # by ten samples, without any training


def half(tmp_path):
    """Every other digit of those held out as samples; the others are counted."""
    images = support.load(HELD_OUT)["in_image"]
    np.savez(tmp_path / "half.npz", image=images[::2, None])
    return [tmp_path / "half.npz"]


@pytest.mark.parametrize("options, least", [
    (["--prune", "0.5"], 222), (["--prune", "0.8"], 200), (["--prune", "0.8:global"], 200), (["--prune", "2:4"], 223),
    (["--prune", "0.5:structured"], 198), (["--prune", "0.25:structured"], 223),
    (["--prune", "0.8", "--cluster", "16", "--quantize", "int8"], 195),
])
def test_right_of_225_by_other_samples(options, least, tmp_path):
    path, _ = compress(tmp_path, *options, samples=half(tmp_path))
    held_out = support.load(HELD_OUT)
    assert right(litert(path, held_out["in_image"][1::2], True), held_out["labels"][1::2]) >= least


def test_plain_pruning_leaves_the_other_weights(tmp_path):
    whole = tmp_path / "whole.tflite"
    support.tolite("convert", DIGITS, "-o", whole)
    path, _ = compress(tmp_path, "--prune", "0.5:plain")
    before = weights(whole)
    for name, w in weights(path).items():
        assert np.array_equal(w[w != 0], before[name][w != 0]), name


def test_two_of_four(tmp_path):
    path, _ = compress(tmp_path, "--prune", "2:4")
    w = weights(path)["down.0.weight"]
    assert ((w.reshape(-1, 4) == 0).sum(1) >= 2).all()
    agree(path, tmp_path)


def test_sixteen_values_per_layer(tmp_path):
    path, report = compress(tmp_path, "--cluster", "16")
    assert all(len(np.unique(w)) <= 16 for name, w in weights(path).items() if "depthwise" not in name)
    assert steps(report)["clustered"]["zip_bytes"] < 0.3 * steps(report)["float"]["zip_bytes"]
    assert agree(path, tmp_path) >= FLOAT_RIGHT - 2


def test_sixteen_values_per_channel(tmp_path):
    path, _ = compress(tmp_path, "--cluster", "16:channel")
    assert all(len(np.unique(row)) <= 16 for name, w in weights(path).items() if "depthwise" not in name for row in w)
    assert agree(path, tmp_path) >= FLOAT_RIGHT - 1


@pytest.mark.parametrize("mode", ["weights", "dynamic", "int8", "int8-only", "int16x8"])
def test_sixteen_integers_per_layer(mode, tmp_path):
    path, report = compress(tmp_path, "--cluster", "16", "--quantize", mode)
    assert [s["step"] for s in report["steps"]] == ["float", "clustered", mode]
    held = [w for name, w in weights(path).items() if w.dtype == np.int8 and "depthwise" not in name]
    assert held and all(len(np.unique(w)) <= 16 for w in held)
    assert steps(report)[mode]["sqnr"] > 12
    assert agree(path, tmp_path, 0.05) >= FLOAT_RIGHT - 3


def test_all_three_zip_to_less_than_15_percent(tmp_path):
    path, report = compress(tmp_path, "--prune", "0.8", "--cluster", "16", "--quantize", "int8")
    by_name = steps(report)
    assert list(by_name) == ["float", "pruned", "clustered", "int8"]
    assert by_name["int8"]["zip_bytes"] < 0.15 * by_name["float"]["zip_bytes"]
    for name, w in weights(path).items():
        if w.dtype == np.int8:
            assert "depthwise" in name or len(np.unique(w)) <= 16, name
            assert "depthwise" in name or (w == 0).mean() >= 0.8 - 1 / w.size, name
    agree(path, tmp_path, 0.05)


def test_a_tflite_file_is_compressed_like_its_source(tmp_path):
    whole = tmp_path / "whole.tflite"
    support.tolite("convert", DIGITS, "-o", whole)
    options = ["--prune", "0.5", "--cluster", "16"]
    from_file, _ = compress(tmp_path, *options, model=whole, command="quantize", name="a.tflite")
    direct, _ = compress(tmp_path, *options, name="b.tflite")
    images = support.load(HELD_OUT)["in_image"][:50]
    assert np.array_equal(litert(from_file, images, True), litert(direct, images, True))


def test_without_samples_sizes_decide_and_errors_are_of_random_inputs(tmp_path):
    a, report = compress(tmp_path, "--prune", "0.5", samples=None, name="a.tflite")
    assert report["random"] and report["samples"] == 4
    b, report = compress(tmp_path, "--prune", "0.5:magnitude,plain", name="b.tflite")
    assert not report["random"] and report["samples"] == 10
    for x, y in zip(weights(a).values(), weights(b).values()):
        assert np.array_equal(x, y)  # the biases differ


def test_a_layer_of_its_own(tmp_path):
    path, _ = compress(tmp_path, "--prune", "0.5", "--prune-layer", "head.weight=0", "--prune-layer", "down.0.weight=0.9")
    found = weights(path)
    assert (found["head.weight"] != 0).all()
    assert abs((found["down.0.weight"] == 0).mean() - 0.9) < 1e-3


@pytest.mark.parametrize("options, text", [
    (["--prune", "1"], "--prune 1: no part in [0, 1), expected a part in [0, 1) such as 0.5"),
    (["--prune", "-0.1"], "no part in [0, 1)"),
    (["--prune", "nan"], "no part in [0, 1)"),
    (["--prune", "half"], "no part in [0, 1)"),
    (["--prune", "4:4"], "no part in [0, 1)"),
    (["--prune", "0.5:often"], "an unknown word"),
    (["--prune", "0.5:structured,block"], "N:M, structured and block exclude each other"),
    (["--prune", "2:4:block"], "exclude each other"),
    (["--prune", "2:4:global"], "layer by layer, not globally"),
    (["--prune", "0.5:structured,global"], "layer by layer, not globally"),
    (["--prune", "0.5", "--prune-layer", "head.weight"], "--prune-layer head.weight, expected NAME=X"),
    (["--prune", "0.5", "--prune-layer", "head.weight=1.5"], "expected NAME=X with X in [0, 1)"),
    (["--prune", "0.5", "--prune-layer", "nowhere=0.5"], "no layer with weights is called nowhere, expected the name"),
    (["--prune-layer", "head.weight=0.5", "--cluster", "16"], "option --prune-layer says nothing by itself, expected --prune X beside it"),
    (["--prune", "2:4", "--prune-layer", "head.weight=0.5"], "left whole with head.weight=0"),
    (["--cluster", "1"], "--cluster 1, expected a number of values from 2 to 4096"),
    (["--cluster", "16:row"], "expected a number of values"),
    (["--cluster", "16", "--quantize", "int8", "--stats", "x.stats"], "--stats are of the network as it was"),
    (["--cluster", "16", "--stats", "x.stats"], "says nothing by itself, expected --quantize MODE"),
])
def test_bad_options(options, text, tmp_path):
    done = support.tolite("convert", DIGITS, "-o", tmp_path / "x.tflite", *options, status=2)
    assert text in done.stderr and len(done.stderr.splitlines()) <= 2, done.stderr
    assert not (tmp_path / "x.tflite").exists()


# ---- channels ----

def test_half_of_the_channels(tmp_path):
    """Through a depthwise convolution, a sum, a pad and a grouped convolution."""
    whole = tmp_path / "whole.tflite"
    support.tolite("convert", DIGITS, "-o", whole)
    path, report = compress(tmp_path, "--prune", "0.5:structured")
    shapes = {name: w.shape for name, w in weights(path).items()}
    assert shapes["stem.0.weight"] == (12, 3, 3, 1) and shapes["depthwise.0.weight"] == (1, 3, 3, 12)
    assert shapes["down.0.weight"] == (24, 3, 3, 12) and shapes["grouped.0.weight"] == (24, 3, 3, 6)
    assert shapes["head.weight"] == (10, 24)
    assert path.stat().st_size < 0.35 * whole.stat().st_size
    agree(path, tmp_path)


def networks_with_channels():
    return [n for n in ("mobilenet_v2", "resnet18", "resnext", "densenet", "efficientnet_b0", "googlenet", "unet", "hrnet",
                        "convnext_tiny", "vit_tiny") if (support.MODELS / n).exists()]


@pytest.mark.parametrize("name", networks_with_channels())
def test_networks_without_half_of_their_channels(name, tmp_path):
    """The files are valid and smaller; LiteRT computes what we do."""
    model = support.MODELS / name / "model.onnx"
    path, report = compress(tmp_path, "--prune", "0.5:structured", model=model, samples=None)
    assert steps(report)["pruned"]["bytes"] < 0.9 * steps(report)["float"]["bytes"]
    inputs, _ = support.golden(support.MODELS / name / "io.npz")
    given = support.ordered(inputs, support.litert_names(path)[0])
    np.savez(tmp_path / "in.npz", **{f"input_{k}": x for k, x in enumerate(given)})
    support.tolite("run", path, "--in", tmp_path / "in.npz", "--out", tmp_path / "out.npz")
    mine = list(support.load(tmp_path / "out.npz").values())
    support.assert_agree(support.LiteRT(path)(given), mine, name, relative=1e-3, cosine=0.999)


def test_layers_that_keep_their_channels_are_counted(tmp_path):
    done = support.tolite("convert", DIGITS, "-o", tmp_path / "x.tflite", "--prune", "0.5:structured")
    assert "1 of 5 layers keep all their channels" in done.stderr
    done = support.tolite("convert", DIGITS, "-o", tmp_path / "x.tflite", "--prune", "0:structured", "--prune-layer",
                          "head.weight=0.5", status=2)
    assert "no layer can lose channels" in done.stderr


def test_channels_in_integers(tmp_path):
    path, report = compress(tmp_path, "--prune", "0.25:structured", "--quantize", "int8-only")
    assert steps(report)["int8-only"]["bytes"] < 0.3 * steps(report)["float"]["bytes"]
    agree(path, tmp_path, 0.05)
