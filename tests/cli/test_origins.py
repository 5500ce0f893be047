"""Stages of every command, and the user's own lines behind nodes."""
import json
import sys

import numpy as np
import pytest

import support

sys.path.insert(0, str(support.ROOT / "tests" / "oracle"))
import builders as b  # noqa: E402

MODEL = support.DIGITS / "digits.onnx"
TRACE = '''File "train.py", line 12, in <module>
  y = net(x)
File "net.py", line 88, in forward
  return torch.relu(self.mix(x))
'''


@pytest.fixture
def traced(tmp_path):
    """A model whose exporter left the user's stack and module in it."""
    nodes = [b.node("MatMul", "x w", "h", name="mm"), b.node("Sigmoid", "h", "y", name="act")]
    for node in nodes:
        node.metadata_props.add(key="pkg.torch.onnx.stack_trace", value=TRACE)
        node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value="['', 'blocks.0', 'mm']")
    proto = b.model(nodes, [b.value("x", [2, 4])], [b.value("y", [2, 3])], {"w": np.ones((4, 3), np.float32)})
    return b.save(proto, tmp_path / "traced.onnx")


def test_inspect_describes_any_stage(tmp_path):
    source = json.loads(support.tolite("inspect", MODEL, "--json").stdout)
    lowered = json.loads(support.tolite("inspect", MODEL, "--json", "--stage", "lowered").stdout)
    proto = b.model([b.node("Conv", "x w", "y")], [b.value("x", [1, 2, 8, 8])], [b.value("y", [1, 4, 6, 6])],
                    {"w": np.ones((4, 2, 3, 3), np.float32)})
    path = b.save(proto, tmp_path / "conv.onnx")
    nhwc = json.loads(support.tolite("inspect", path, "--json", "--stage", "lowered", "--nhwc").stdout)
    assert "stage" not in source and lowered["stage"] == "lowered"
    assert {op["op"] for op in source["ops"]} & {"conv"} and {op["op"] for op in lowered["ops"]} & {"CONV_2D"}
    assert nhwc["entries"][0]["inputs"][0]["shape"] == [1, 8, 8, 2]
    assert "stage core of " in support.tolite("inspect", MODEL, "--stage", "core").stdout


@pytest.mark.parametrize("command", [["inspect", MODEL], ["run", MODEL, "--random"], ["bench", MODEL],
                                     ["diff", MODEL, "--random"]])
def test_a_stage_that_does_not_exist_names_those_that_do(command):
    for option in ("--stage", "--after"):
        said = support.tolite(*command, option, "nowhere", status=2).stderr
        assert "no stage or pass named nowhere, expected source, core, lowered, file or a pass: pin, dce, fold" in said


def test_text_with_origins(traced):
    plain = support.tolite("inspect", traced, "--ir").stdout
    full = support.tolite("inspect", traced, "--ir", "-v").stdout
    assert "net.py" not in plain
    assert "mm (MatMul), net.py:88, in forward: return torch.relu(self.mix(x)), train.py:12, in <module>: y = net(x)" in full


def test_bench_and_diff_show_the_lines(traced):
    said = support.tolite("bench", traced, "--layers", "-v", "--runs", 2).stdout
    assert "net.py:88, in forward" in said and "train.py:12" in said and "module blocks.0" in said
    assert "net.py" not in support.tolite("bench", traced, "--layers", "--runs", 2).stdout
    command = ["diff", traced, "--stage", "source,file", "--random", "--per-op"]
    assert "train.py:12" in support.tolite(*command, "-v").stdout
    values = json.loads(support.tolite(*command, "--json").stdout)["samples"][0]["values"]
    assert values[-1]["line"] == "net.py:88, in forward: return torch.relu(self.mix(x))" and values[-1]["frames"][1].startswith("train.py:12")


def test_problems_name_the_line_and_the_node(traced, tmp_path):
    import onnx
    proto = onnx.load(traced)
    proto.graph.node[0].input.pop()
    path = b.save(proto, tmp_path / "broken.onnx")
    report = json.loads(support.tolite("check", path, "--json", status=3).stdout)
    (place,) = report["problems"][0]["places"]
    assert place["place"] == "net.py:88, in forward: return torch.relu(self.mix(x))"
    assert place["context"] == ["called from train.py:12, in <module>: y = net(x)", "module blocks.0", "node mm (MatMul)"]
