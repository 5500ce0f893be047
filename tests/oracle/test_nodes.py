"""Node tests of the onnx package: nodes_fail.tsv says where each one stops that does not go through, and nothing
else may stop, nor anything go further. `python nodes.py --record` writes the list anew."""
import numpy as np
import onnx
import pytest

import nodes
import support

NAMES = ("source", "convert", "file", "litert", "plain", nodes.ALL)


def test_nodes_stop_where_the_list_says():
    rows, known = nodes.suite(), nodes.known_failures()
    assert known.keys() <= rows.keys(), "not in this release of onnx"
    wrong = []
    for name, modes in sorted(nodes.run_all(rows).items()):
        for mode in ("strict", "folded"):
            stage, why = modes[mode]
            expected = known[name][mode] if name in known else nodes.ALL
            if stage == expected:
                continue
            better = NAMES.index(stage) > NAMES.index(expected)
            wrong.append(f"{name}, {mode}: goes further than the list says: {expected}, now {stage}" if better
                         else f"{name}, {mode}: stops at {stage}: {why[:300]}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_every_failure_has_a_reason():
    for name, row in nodes.known_failures().items():
        assert row["reason"] and row["reason"][0] != "?", f"{name} waits for a reason: {row['reason']}"


# What stops of the other folders of the package, and why.
STRINGS, GRADIENTS = "strings are no tensors of numbers", "gradients are for training"
OTHERS = {
    "pytorch-converted": {},
    "pytorch-operator": {},
    "simple": {"gradient": GRADIENTS, "strnorm": STRINGS},
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_folders(kind):
    for name, modes in nodes.run_all(nodes.folder(kind)).items():
        stage, why = modes["strict"]
        test = name.split("/")[-1].removeprefix("test_").removeprefix("operator_")
        excused = test in OTHERS[kind] or test.split("_")[0] in OTHERS[kind]
        assert (stage != nodes.ALL) == excused, f"{name}: {'goes through by now' if excused else stage + ': ' + why}"


LIGHT = sorted((nodes.DATA.parent / "light").glob("*.onnx"))
assert len(LIGHT) == 9


@pytest.mark.parametrize("path", LIGHT, ids=[p.stem for p in LIGHT])
def test_networks_of_the_package(path, tmp_path):
    """Whole networks with weights that ConstantOfShape makes, by the rule and bounds of the suite."""
    graph = onnx.load(path).graph
    own = {tensor.name for tensor in graph.initializer}
    (data,) = [i for i in graph.input if i.name not in own]
    shape = [d.dim_value for d in data.type.tensor_type.shape.dim]
    n = int(np.prod(shape))
    x = (np.arange(n, dtype=np.float32) / np.float32(n)).reshape(shape)
    expected = onnx.TensorProto.FromString((path.parent / f"{path.stem}_output_0.pb").read_bytes())
    support.tolite("convert", path, "-o", tmp_path / "m.tflite")
    rtol = 2e-3 if "densenet" in path.stem else 1e-3
    np.testing.assert_allclose(support.LiteRT(tmp_path / "m.tflite")([x])[0], onnx.numpy_helper.to_array(expected), rtol, 1e-7)
    (tmp_path / "m.tflite").unlink()  # up to 500 MB
