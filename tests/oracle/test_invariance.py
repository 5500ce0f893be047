"""Nothing is special-cased: names, order and weights change nothing but names, order and weights. The same
model gives the same bytes, however often, from wherever, by whichever build it is converted."""
import json
import os
import random
import shutil
import subprocess

import numpy as np
import onnx
import pytest

import builders as b
import support


def ops(path):
    return sorted((r["op"], r["count"]) for r in json.loads(support.tolite("inspect", path, "--json").stdout)["ops"])


def renamed(proto, seed=0):
    """Every node, tensor and graph gets another name."""
    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    rng, names = random.Random(seed), {"": ""}

    def fresh(name):
        return names.setdefault(name, f"t{rng.randrange(10**9)}")

    graph = proto.graph
    for node in graph.node:
        node.name = f"n{rng.randrange(10**9)}"
        node.input[:] = [fresh(n) for n in node.input]
        node.output[:] = [fresh(n) for n in node.output]
    for item in [*graph.input, *graph.output, *graph.value_info, *graph.initializer]:
        item.name = fresh(item.name)
    graph.name = "other"
    return proto


def reordered(proto, seed=0):
    """Another topological order."""
    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    rng, nodes = random.Random(seed), list(proto.graph.node)
    ready = {i.name for i in proto.graph.input} | {i.name for i in proto.graph.initializer} | {""}
    order = []
    while nodes:
        pick = rng.choice([n for n in nodes if all(i in ready for i in n.input)])
        nodes.remove(pick)
        ready.update(pick.output)
        order.append(pick)
    del proto.graph.node[:]
    proto.graph.node.extend(order)
    return proto


def check(proto, tmp_path, tag):
    source, out = tmp_path / f"{tag}.onnx", tmp_path / f"{tag}.tflite"
    b.save(proto, source)
    support.tolite("convert", source, "-o", out)
    feeds = {}
    for i, item in enumerate(proto.graph.input):
        if item.name not in {x.name for x in proto.graph.initializer}:
            shape = [d.dim_value or 2 for d in item.type.tensor_type.shape.dim]
            feeds[item.name] = np.random.default_rng(i).normal(size=shape).astype(np.float32)
    expected = b.reference(proto, feeds)
    support.assert_agree(support.LiteRT(out)(list(feeds.values())), expected, tag)
    return ops(out)


MODELS = {"cnn": b.cnn, "digits": lambda: onnx.load(support.DIGITS / "digits.onnx")}


@pytest.mark.parametrize("name", MODELS)
def test_names_order_and_weights(name, tmp_path):
    proto = MODELS[name]()
    plain = check(proto, tmp_path, "plain")
    assert check(renamed(proto), tmp_path, "renamed") == plain
    for seed in range(3):
        assert check(reordered(proto, seed), tmp_path, f"reordered{seed}") == plain
    for tensor in proto.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.dtype == np.float32 and array.ndim > 1:
            shuffled = np.random.default_rng(5).permutation(array.ravel()).reshape(array.shape)
            tensor.CopyFrom(b.tensor(tensor.name, shuffled))
    assert check(proto, tmp_path, "reseeded") == plain


def test_bytes_depend_on_the_model_alone(tmp_path):
    source = tmp_path / "model.onnx"
    shutil.copy(support.DIGITS / "digits.onnx", source)
    results = []

    def convert(*options, program=support.PROGRAM, cwd=tmp_path, name="model.onnx", **environment):
        out = tmp_path / f"{len(results)}.tflite"
        done = subprocess.run([program, "convert", name, "-o", out, *options], cwd=cwd, capture_output=True, text=True,
                              env={**os.environ, **environment})
        assert done.returncode == 0, done.stderr
        results.append(out.read_bytes())

    convert()
    convert()
    convert("--threads", "1")
    convert("--threads", "3")
    convert(LC_ALL="de_DE.UTF-8", TZ="Asia/Tokyo")
    (tmp_path / "elsewhere").mkdir()
    convert(cwd=tmp_path / "elsewhere", name="../model.onnx")
    convert(name=str(source))
    if (other := os.environ.get("TOLITE_ASAN")):
        convert(program=other)  # clang, other optimisation level
    assert all(r == results[0] for r in results), [len(r) for r in results]
