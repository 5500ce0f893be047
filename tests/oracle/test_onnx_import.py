"""What an ONNX file may contain beside plain nodes: functions, bodies, typed and external data, cuts."""
import numpy as np
import onnx
import pytest

import builders as b
import support

H = onnx.helper


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def run(proto, inputs, tmp_path):
    """The source in our executor."""
    source = tmp_path / "model.onnx"
    b.save(proto, source)
    np.savez(tmp_path / "in.npz", **inputs)
    support.tolite("run", source, "--in", tmp_path / "in.npz", "--out", tmp_path / "out.npz")
    return support.load(tmp_path / "out.npz")


def check(proto, inputs, tmp_path):
    onnx.checker.check_model(proto)
    result = run(proto, inputs, tmp_path)
    assert list(result) == [o.name for o in proto.graph.output]
    support.assert_agree(list(result.values()), b.reference(proto, inputs), "against onnxruntime")


def refused(proto, tmp_path, status, *expected):
    source = b.save(proto, tmp_path / "model.onnx")
    said = support.tolite("convert", source, "-o", tmp_path / "out.tflite", status=status).stderr
    for text in expected:
        assert text in said, said
    return said


# ---- functions ----

def reference_to(name, attribute, kind):
    a = onnx.AttributeProto()
    a.name, a.ref_attr_name, a.type = name, attribute, kind
    return a


def leaky_function():
    """leak(x) = LeakyRelu(x, alpha = slope), slope = 0.5 by default."""
    leaky = b.node("LeakyRelu", "v", "w")
    leaky.attribute.append(reference_to("alpha", "slope", onnx.AttributeProto.FLOAT))
    return H.make_function("own", "Leak", ["v"], ["w"], [leaky], [H.make_opsetid("", 17)],
                           attribute_protos=[H.make_attribute("slope", 0.5)])


def test_functions_nest_and_pass_attributes_on(tmp_path):
    inner = H.make_node("Leak", ["a"], ["x"], domain="own")
    inner.attribute.append(reference_to("slope", "s", onnx.AttributeProto.FLOAT))
    twice = H.make_function("own", "Twice", ["a"], ["y"],
                            [inner, H.make_node("Leak", ["x"], ["x2"], domain="own"), b.node("Add", "x2 a", "y")],
                            [H.make_opsetid("", 17), H.make_opsetid("own", 1)], attributes=["s"])
    nodes = [H.make_node("Twice", ["x"], ["y"], domain="own", s=0.25), H.make_node("Leak", ["y"], ["z"], domain="own")]
    proto = b.model(nodes, [b.value("x", [2, 3])], [b.value("y", [2, 3]), b.value("z", [2, 3])],
                    functions=[leaky_function(), twice], domains=["own"])
    check(proto, {"x": normal(2, 3)}, tmp_path)


def test_a_function_that_calls_itself_is_refused(tmp_path):
    loop = H.make_function("own", "F", ["a"], ["y"], [H.make_node("F", ["a"], ["y"], domain="own")],
                           [H.make_opsetid("", 17), H.make_opsetid("own", 1)])
    proto = b.model([H.make_node("F", ["x"], ["y"], domain="own")], [b.value("x", [2])], [b.value("y", [2])],
                    functions=[loop], domains=["own"])
    refused(proto, tmp_path, 3, "calls itself")


def test_expanded_operators_of_the_standard(tmp_path):
    """onnx's own function bodies, inlined by us."""
    import onnx.backend.test
    import pathlib
    data = pathlib.Path(onnx.backend.test.__file__).parent / "data" / "node"
    done = 0
    for name in ("test_gelu_tanh_1_expanded", "test_elu_expanded", "test_softmax_axis_1_expanded", "test_selu_expanded",
                 "test_layer_normalization_2d_axis1_expanded"):
        if not (data / name / "model.onnx").exists():
            continue
        done += 1
        proto = onnx.load(data / name / "model.onnx")
        inputs = {}
        for i, item in enumerate(proto.graph.input):
            tensor = onnx.TensorProto.FromString((data / name / "test_data_set_0" / f"input_{i}.pb").read_bytes())
            inputs[item.name] = onnx.numpy_helper.to_array(tensor)
        expected = []
        for i in range(len(proto.graph.output)):
            tensor = onnx.TensorProto.FromString((data / name / "test_data_set_0" / f"output_{i}.pb").read_bytes())
            expected.append(onnx.numpy_helper.to_array(tensor))
        support.assert_agree(list(run(proto, inputs, tmp_path).values()), expected, name)
    if not done:
        pytest.skip("this release of onnx carries no test data")


# ---- bodies ----

def test_bodies_see_the_names_around_them(tmp_path):
    """A branch inside a loop uses values of the loop and of the graph, and the branches use different ones."""
    then = H.make_graph([b.node("Mul", "h scale", "t")], "then", [], [b.value("t", [2, 3])])
    other = H.make_graph([b.node("Sub", "h shifted", "e")], "else", [], [b.value("e", [2, 3])])
    body = H.make_graph(
        [b.node("Mod", "i two", "odd"), b.node("Equal", "odd one", "c"),
         H.make_node("If", ["c"], ["h1"], then_branch=then, else_branch=other), b.node("Identity", "go", "go1")],
        "body", [b.value("i", [], b.INT64), b.value("go", [], b.BOOL), b.value("h", [2, 3])],
        [b.value("go1", [], b.BOOL), b.value("h1", [2, 3])])
    nodes = [b.node("Add", "x k", "shifted"), b.node("Relu", "x", "scale"),
             H.make_node("Loop", ["n", "", "x"], ["y"], body=body)]
    proto = b.model(nodes, [b.value("x", [2, 3]), b.value("n", [], b.INT64)], [b.value("y", [2, 3])],
                    {"k": normal(3, seed=1), "two": np.int64(2), "one": np.int64(1)})
    for n in (0, 1, 4):
        check(proto, {"x": normal(2, 3), "n": np.int64(n)}, tmp_path)


def counting_loop(trips, inputs, initializers):
    body = H.make_graph(
        [b.node("Add", "h x", "h1"), b.node("ReduceSum", "h1", "s", keepdims=0), b.node("Identity", "go", "go1"),
         b.node("Mul", "h1 two", "row")],
        "body", [b.value("i", [], b.INT64), b.value("go", [], b.BOOL), b.value("h", [3])],
        [b.value("go1", [], b.BOOL), b.value("h1", [3]), b.value("row", [3]), b.value("s", [])])
    return b.model([H.make_node("Loop", [trips, "", "x"], ["last", "rows", "sums"], body=body)],
                   [b.value("x", [3]), *inputs], [b.value("last", [3]), b.value("rows", ["k", 3]), b.value("sums", ["k"])],
                   {"two": np.float32(2), **initializers})


def test_scan_outputs_of_a_counted_loop(tmp_path):
    check(counting_loop("n", [], {"n": np.int64(4)}), {"x": normal(3)}, tmp_path)


def test_scan_outputs_whose_rows_differ_in_size_fail_when_run(tmp_path):
    """The standard forbids them; whether they differ shows in the run alone."""
    body = H.make_graph([b.node("Concat", "h x", "h1", axis=0), b.node("Identity", "go", "go1"),
                         b.node("Identity", "h1", "row")], "body",
                        [b.value("i", [], b.INT64), b.value("go", [], b.BOOL), b.value("h", ["k"])],
                        [b.value("go1", [], b.BOOL), b.value("h1", ["m"]), b.value("row", ["m"])])
    proto = b.model([H.make_node("Loop", ["n", "", "x"], ["y", "rows"], body=body)],
                    [b.value("x", [2]), b.value("n", [], b.INT64)], [b.value("y", ["m"]), b.value("rows", [None, "m"])])
    check(proto, {"x": normal(2), "n": np.int64(1)}, tmp_path)
    np.savez(tmp_path / "two.npz", x=normal(2), n=np.int64(2))
    source, file = tmp_path / "model.onnx", tmp_path / "m.tflite"
    support.tolite("convert", source, "-o", file)
    done = support.tolite("run", source, "--in", tmp_path / "two.npz", "--out", tmp_path / "out.npz", status=2)
    assert "must be equal, found 10 and 12" in done.stderr
    assert support.tolite("run", file, "--in", tmp_path / "two.npz", "--out", tmp_path / "out.npz", status=None).returncode
    with pytest.raises(RuntimeError):
        support.LiteRT(file)([normal(2), np.array(2)])


def test_a_carried_value_may_grow(tmp_path):
    body = H.make_graph([b.node("Concat", "h x", "h1", axis=0), b.node("Identity", "go", "go1")], "body",
                        [b.value("i", [], b.INT64), b.value("go", [], b.BOOL), b.value("h", ["k"])],
                        [b.value("go1", [], b.BOOL), b.value("h1", ["m"])])
    proto = b.model([H.make_node("Loop", ["n", "", "x"], ["y"], body=body)],
                    [b.value("x", [2]), b.value("n", [], b.INT64)], [b.value("y", ["m"])])
    for n in (0, 1, 3):
        check(proto, {"x": normal(2), "n": np.int64(n)}, tmp_path)


def test_a_known_condition_takes_its_branch_only(tmp_path):
    """The branch not taken holds an operator that nobody knows, and another rank."""
    then = H.make_graph([b.node("Squeeze", "x axes", "t")], "then", [], [b.value("t", [3])])
    other = H.make_graph([b.node("Frobnicate", "x", "e")], "else", [], [b.value("e", [1, 3])])
    nodes = [b.node("Shape", "x", "s"), b.node("Gather", "s zero", "d"), b.node("Equal", "d one", "c"),
             H.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)]
    proto = b.model(nodes, [b.value("x", [1, 3])], [b.value("y", [3])],
                    {"axes": np.array([0]), "zero": np.int64(0), "one": np.int64(1)})
    x = normal(1, 3)
    support.assert_agree(list(run(proto, {"x": x}, tmp_path).values()), [x[0]], "the branch taken")


# ---- data ----

def test_typed_and_raw_data_are_alike(tmp_path):
    arrays = {"f": normal(3), "d": np.array([1.5, -2, 3]), "i": np.array([-1, 2, 3], np.int32), "l": np.array([-4, 5, 6]),
              "h": np.array([0.5, -1, 2], np.float16), "t": np.array([True, False, True]), "u": np.array([1, 2, 255], np.uint8),
              "s": np.array([-1, 7, -128], np.int8)}
    kinds = {k: H.np_dtype_to_tensor_dtype(v.dtype) for k, v in arrays.items()}
    nodes = [b.node("Identity", k, f"out_{k}") for k in arrays]
    outputs = [b.value(f"out_{k}", [3], kinds[k]) for k in arrays]
    results = []
    for raw in (False, True):
        proto = b.model(nodes, [b.value("x", [1])], outputs)
        for k, v in arrays.items():
            tensor = onnx.numpy_helper.from_array(v, k) if raw else H.make_tensor(k, kinds[k], v.shape, v.tolist())
            assert tensor.HasField("raw_data") == raw
            proto.graph.initializer.append(tensor)
        results.append(run(proto, {"x": normal(1)}, tmp_path))
    for k, v in arrays.items():
        for result in results:
            np.testing.assert_array_equal(result[f"out_{k}"], v)
            assert result[f"out_{k}"].dtype == v.dtype


def test_external_data(tmp_path):
    proto = b.cnn()
    plain = b.save(proto, tmp_path / "plain.onnx")
    onnx.save(proto, tmp_path / "outside.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    for name in ("plain", "outside"):
        support.tolite("convert", tmp_path / f"{name}.onnx", "-o", tmp_path / f"{name}.tflite")
    np.savez(tmp_path / "in.npz", x=normal(1, 3, 32, 32))
    results = []
    for name in ("plain", "outside"):
        support.tolite("run", tmp_path / f"{name}.tflite", "--in", tmp_path / "in.npz", "--out", tmp_path / "out.npz")
        results.append(list(support.load(tmp_path / "out.npz").values())[0])
    np.testing.assert_array_equal(*results)
    data = (tmp_path / "weights.bin").read_bytes()
    (tmp_path / "weights.bin").write_bytes(data[: len(data) // 2])
    said = support.tolite("convert", tmp_path / "outside.onnx", "-o", tmp_path / "x.tflite", status=3).stderr
    assert "weights.bin" in said
    assert plain.exists()


# ---- cuts ----

def chain():
    nodes = [b.node("Relu", "x", "a"), b.node("Neg", "a", "b"), b.node("Frobnicate", "b", "c"), b.node("Exp", "c", "y")]
    proto = b.model(nodes, [b.value("x", [2, 3]), b.value("spare", [4])], [b.value("y", [2, 3])])
    proto.graph.value_info.append(b.value("c", [2, 3]))
    return proto


def converted(tmp_path, *options):
    source, out = b.save(chain(), tmp_path / "model.onnx"), tmp_path / "model.tflite"
    support.tolite("convert", source, "-o", out, *options)
    return out


def test_cut_at_an_output(tmp_path):
    x = normal(2, 3)
    out = converted(tmp_path, "--output", "b", "--output", "a")
    assert support.litert_names(out) == (["x"], ["b", "a"])
    support.assert_agree(support.LiteRT(out)([x]), [-np.maximum(x, 0), np.maximum(x, 0)], "cut")


def test_begin_at_a_value(tmp_path):
    c = normal(2, 3)
    out = converted(tmp_path, "--start", "c")
    assert support.litert_names(out) == (["c"], ["y"])
    support.assert_agree(support.LiteRT(out)([c]), [np.exp(c)], "begun at c")


# ---- contradictions ----

def test_contradictions_in_the_file(tmp_path):
    x, y = [b.value("x", [2, 3])], [b.value("y", [2, 3])]
    refused(b.model([b.node("Relu", "x", "y"), b.node("Neg", "x", "y")], x, y), tmp_path, 3, "y is defined twice")
    refused(b.model([b.node("Relu", "x", "z")], x, y), tmp_path, 3, "y is not defined")
    refused(b.model([b.node("Relu", "x", "y")], x, [b.value("y", [2, 3], b.INT64)]), tmp_path, 3, "int64", "f32")
    refused(b.model([], x, []), tmp_path, 3, "no outputs")
    refused(b.model([b.node("Add", "x", "y")], x, y), tmp_path, 3, "input 1")
    source = b.save(b.model([b.node("Relu", "x", "y")], x, [b.value("y", [7, 3])]), tmp_path / "model.onnx")
    said = support.tolite("convert", source, "-o", tmp_path / "out.tflite").stderr
    assert "[7,3]" in said and "f32[2,3]" in said


def test_outputs_that_are_not_computed_matter_only_when_used(tmp_path):
    x, c = [b.value("x", [1, 2, 4])], normal(2)
    weights = {"s": c, "o": c, "m": c, "v": c * c + 1}
    node = b.node("BatchNormalization", "x s o m v", "y mean var")
    node.attribute.append(H.make_attribute("training_mode", 0))
    proto = b.model([node], x, [b.value("y", [1, 2, 4])], weights)
    assert list(run(proto, {"x": normal(1, 2, 4)}, tmp_path)) == ["y"]
    proto.graph.node.append(b.node("Neg", "mean", "z"))
    proto.graph.output.append(b.value("z", [2]))
    refused(proto, tmp_path, 4, "output 1")
