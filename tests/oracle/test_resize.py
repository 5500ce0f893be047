"""Resize with scales, sizes and regions that only the run knows, on pictures of open size: one file for all of them. The
source and the file in our executor, the file in LiteRT with and without its delegate, against onnxruntime."""
import numpy as np
import pytest

import builders as b
import support

RNG = np.random.default_rng(3)
F32, I64 = np.float32, np.int64


def scales(*v):
    return np.array([1, 1, *v], F32)


def resize(feed, axes=None, **attributes):
    """One Resize whose input `feed` (roi, scales or sizes) is an input of the model."""
    kinds = {"roi": b.FLOAT, "scales": b.FLOAT, "sizes": b.INT64}
    names = ["x"] + [name if name in feed else "" for name in kinds]
    node = b.helper.make_node("Resize", names, ["y"], **attributes, **({"axes": axes} if axes else {}))
    inputs = [b.value("x", [1, 2, "h", "w"])] + [b.value(k, [len(v)], kinds[k]) for k, v in feed.items()]
    return b.model([node], inputs, [b.value("y", [None] * 4)], opset=19)


def by_quotient():
    """As exporters write it that have sizes but want scales: new / old in floats, behind ones."""
    nodes = [b.node("Shape", "x", "s", start=2), b.node("Cast", "s", "old", to=b.FLOAT), b.node("Cast", "new", "n", to=b.FLOAT),
             b.node("Div", "n old", "q"), b.node("Concat", "ones q", "scales", axis=0),
             b.helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="linear")]
    return b.model(nodes, [b.value("x", [1, 2, "h", "w"]), b.value("new", [2], b.INT64)], [b.value("y", [1, 2, None, None])],
                   {"ones": np.ones(2, F32)}, opset=19)


def to_one_sample():
    node = b.helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="linear",
                              coordinate_transformation_mode="pytorch_half_pixel")
    return b.model([node], [b.value("x", [1, 2, "h", "w"])], [b.value("y", [None] * 4)],
                   {"sizes": np.array([1, 2, 1, 4], I64)}, opset=19)


# model, and one feed per size
SMALL, LARGE = (5, 6), (8, 11)
CASES = {
    "one_sample": (to_one_sample(), {}, {}),
    "quotient": (by_quotient(), {"new": np.array([4, 8])}, {"new": np.array([16, 3])}),
    **{f"{mode}_{coord}": (resize({"scales": scales(2, 2)}, mode=mode, coordinate_transformation_mode=coord),
                           {"scales": scales(2, 0.5)}, {"scales": scales(0.7, 1.6)})
       for mode in ("linear", "cubic") for coord in ("half_pixel", "asymmetric", "pytorch_half_pixel", "align_corners")},
    **{f"nearest_{how}": (resize({"scales": scales(2, 2)}, coordinate_transformation_mode="asymmetric", nearest_mode=how),
                          {"scales": scales(2, 0.5)}, {"scales": scales(1.5, 3)})
       for how in ("floor", "ceil", "round_prefer_floor")},
    "outside": (resize({"scales": scales(2, 2)}, mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5),
                {"scales": scales(2, 0.5)}, {"scales": scales(1.25, 1.5)}),
    "two_axes": (resize({"scales": np.ones(2, F32)}, axes=[2, 3], mode="linear"), {"scales": F32([2, 0.5])}, {"scales": F32([3, 1])}),
    **{f"antialias_{mode}": (resize({"sizes": np.ones(2, I64)}, axes=[2, 3], mode=mode, antialias=1),
                             {"sizes": np.array([3, 2])}, {"sizes": np.array([3, 15])}) for mode in ("linear", "cubic")},
    "antialias_scales": (resize({"scales": scales(1, 1)}, mode="linear", antialias=1),
                         {"scales": scales(0.6, 0.4)}, {"scales": scales(0.5, 2)}),
    **{f"keep_{how}": (resize({"sizes": np.ones(2, I64)}, axes=[2, 3], keep_aspect_ratio_policy=f"not_{how}"),
                       {"sizes": np.array([7, 7])}, {"sizes": np.array([7, 7])}) for how in ("larger", "smaller")},
    "region": (resize({"roi": np.zeros(8, F32), "sizes": np.ones(4, I64)}, mode="linear", extrapolation_value=9.0,
                      coordinate_transformation_mode="tf_crop_and_resize"),
               {"roi": F32([0, 0, 0.4, 0.6, 1, 1, 0.6, 0.8]), "sizes": np.array([1, 2, 3, 3])},
               {"roi": F32([0, 0, 0.5, 0.1, 1, 1, 1.5, 0.9]), "sizes": np.array([1, 2, 4, 3])}),
}


@pytest.mark.parametrize("name", CASES)
def test_computed_sizes(name, tmp_path):
    proto, *feeds = CASES[name]
    path, out = b.save(proto, tmp_path / "m.onnx"), tmp_path / "m.tflite"
    support.tolite("convert", path, "-o", out)
    runners = {d: support.LiteRT(out, d) for d in (True, False)}
    for size, feed in zip((SMALL, LARGE), feeds):
        inputs = {"x": RNG.normal(size=(1, 2, *size)).astype(F32), **feed}
        expected = b.reference(proto, inputs)
        np.savez(tmp_path / "in.npz", **inputs)
        for model in (path, out):
            support.tolite("run", model, "--in", tmp_path / "in.npz", "--out", tmp_path / "out.npz")
            support.assert_agree(list(support.load(tmp_path / "out.npz").values()), expected, f"{model.name}, {size}")
        for delegate, runner in runners.items():
            support.assert_agree(runner(list(inputs.values())), expected, f"LiteRT, delegate {delegate}, {size}")
