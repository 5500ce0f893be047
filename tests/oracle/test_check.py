"""`tolite check` against onnx.checker.check_model(full_check=True): the same verdict on models of the onnx package, as
they are and broken in one way each."""
import json
import pathlib
import random

import onnx
import pytest
from onnx import AttributeProto, TensorProto, checker, helper

from support import tolite

NODE_TESTS = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data" / "node"

# What onnx.checker says otherwise, and why ours stands. By mutation, or by (mutation, model) where it is one model.
DIFFERENT = {
    ("none", "test_mvn"): "onnx's inference does not resolve a reference inside the function body of the operator",
    ("input_more", "test_attention_3d_gqa_softcap"): "onnx's inference does not look at the mask of Attention",
    "constant_bytes": "onnx does not compare the size of raw data with the shape; the data cannot be read",
    "constant_short": "onnx does not count the elements of typed data; the data cannot be read",
    "output_twice": "outputs are found by name, so that two of one name cannot be told apart",
    "domain_long_name": "\"\" and \"ai.onnx\" are one domain by the standard",
    "function_output": "the standard lets no output of a function be undefined",
    "function_arguments": "a function takes as many inputs as it declares",
}


# ---- models ----

def models():
    """Every node test that is small, in the order of the package."""
    return sorted(p.parent.name for p in NODE_TESTS.glob("*/model.onnx") if p.stat().st_size < 20000)


def read(name):
    return onnx.load(NODE_TESTS / name / "model.onnx")


def tensor(name, dims, values, kind=TensorProto.FLOAT):
    return helper.make_tensor(name, kind, dims, values)


def with_constant():
    """y = x + w"""
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 4]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["t"], name="sum"),
                               helper.make_node("LeakyRelu", ["t"], ["y"], name="act", alpha=0.1)],
                              "g", [x], [y], [tensor("w", [4], [1, 2, 3, 4])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def with_function():
    m = with_constant()
    m.opset_import.append(helper.make_opsetid("local", 1))
    m.graph.node.append(helper.make_node("twice", ["y"], ["z"], domain="local"))
    m.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 4]))
    m.functions.append(helper.make_function(
        "local", "twice", ["a"], ["b"],
        [helper.make_node("Identity", ["a"], ["c"]), helper.make_node("Add", ["a", "c"], ["b"])],
        [helper.make_opsetid("", 17)]))
    return m


def with_branches():
    m = with_constant()
    m.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    u = helper.make_tensor_value_info("u", TensorProto.FLOAT, [1, 4])
    bodies = [helper.make_graph([helper.make_node(op, ["y"], ["u"])], op, [], [u]) for op in ("Neg", "Abs")]
    m.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=bodies[0], else_branch=bodies[1]))
    m.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 4]))
    return m


# ---- one way of breaking each; None when there is nothing to break ----

def first(items, wanted=lambda item: True):
    return next((item for item in items if wanted(item)), None)


def body(m, i=0):
    node = first(m.graph.node, lambda n: n.op_type == "If")
    return node.attribute[i].g


def swap(m):
    """The first two nodes of which one uses the other."""
    nodes = m.graph.node
    for i in range(len(nodes) - 1):
        if set(nodes[i].output) & set(nodes[i + 1].input):
            a, b = onnx.NodeProto(), onnx.NodeProto()
            a.CopyFrom(nodes[i]), b.CopyFrom(nodes[i + 1])
            nodes[i].CopyFrom(b), nodes[i + 1].CopyFrom(a)
            return True


def attribute(name, kind=None, **fields):
    a = AttributeProto(name=name, **fields)
    if kind:
        a.type = kind
    return a


def weight(m, **changes):
    w = m.graph.initializer[0]
    for field, value in changes.items():
        w.ClearField(field)
        getattr(w, field).extend(value) if isinstance(value, list) else setattr(w, field, value)
    return True


def do(*actions):
    return True


NODE_MUTATIONS = {
    "none": lambda m: True,
    "input_missing": lambda m: do(m.graph.node[0].input.pop()) if m.graph.node[0].input else None,
    "input_more": lambda m: do(m.graph.node[0].input.append(m.graph.input[0].name)) if m.graph.input else None,
    "input_left_out": lambda m: do(m.graph.node[0].input.__setitem__(0, "")) if m.graph.node[0].input else None,
    "input_undefined": lambda m: do(m.graph.node[0].input.__setitem__(0, "nothing")) if m.graph.node[0].input else None,
    "output_more": lambda m: do(m.graph.node[0].output.append("more")),
    "output_unknown": lambda m: do(setattr(m.graph.output[0], "name", "nothing")) if m.graph.output else None,
    "output_none": lambda m: do(m.graph.node[0].ClearField("output")),
    "operator_unknown": lambda m: do(setattr(m.graph.node[0], "op_type", "Nonsense")),
    "operator_empty": lambda m: do(setattr(m.graph.node[0], "op_type", "")),
    "operator_of_domain": lambda m: do(setattr(m.graph.node[0], "domain", "nowhere")),
    "attribute_unknown": lambda m: do(m.graph.node[0].attribute.append(attribute("nonsense", 1, f=1.0))),
    "attribute_internal": lambda m: do(m.graph.node[0].attribute.append(attribute("__note", 1, f=1.0))),
    "attribute_missing": lambda m: do(m.graph.node[0].attribute.pop()) if m.graph.node[0].attribute else None,
    "attribute_twice": lambda m: do(m.graph.node[0].attribute.append(m.graph.node[0].attribute[0]))
        if m.graph.node[0].attribute else None,
    "attribute_type": lambda m: do(setattr(m.graph.node[0].attribute[0], "type", AttributeProto.TENSORS))
        if m.graph.node[0].attribute else None,
    "attribute_untyped": lambda m: do(m.graph.node[0].attribute[0].ClearField("type"))
        if m.graph.node[0].attribute else None,
    "attribute_unnamed": lambda m: do(setattr(m.graph.node[0].attribute[0], "name", ""))
        if m.graph.node[0].attribute else None,
    "attribute_string": lambda m: do(m.graph.node[0].attribute[0].CopyFrom(
        helper.make_attribute(m.graph.node[0].attribute[0].name, "text"))) if m.graph.node[0].attribute else None,
    "nodes_swapped": swap,
    "node_twice": lambda m: do(m.graph.node.append(m.graph.node[0])),
    "graph_unnamed": lambda m: do(setattr(m.graph, "name", "")),
    "input_twice": lambda m: do(m.graph.input.append(m.graph.input[0])) if m.graph.input else None,
    "input_unnamed": lambda m: do(setattr(m.graph.input[0], "name", "")) if m.graph.input else None,
    "input_untyped": lambda m: do(m.graph.input[0].ClearField("type")) if m.graph.input else None,
    "input_shapeless": lambda m: do(m.graph.input[0].type.tensor_type.ClearField("shape"))
        if m.graph.input and m.graph.input[0].type.HasField("tensor_type") else None,
    "input_undefined_type": lambda m: do(setattr(m.graph.input[0].type.tensor_type, "elem_type", 0))
        if m.graph.input and m.graph.input[0].type.HasField("tensor_type") else None,
    "input_string": lambda m: do(setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.STRING))
        if m.graph.input and m.graph.input[0].type.HasField("tensor_type") else None,
    "input_bool": lambda m: do(setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.BOOL))
        if m.graph.input and m.graph.input[0].type.HasField("tensor_type") else None,
    "output_shapeless": lambda m: do(m.graph.output[0].type.tensor_type.ClearField("shape"))
        if m.graph.output and m.graph.output[0].type.HasField("tensor_type") else None,
    "output_type": lambda m: do(setattr(m.graph.output[0].type.tensor_type, "elem_type", TensorProto.COMPLEX64))
        if m.graph.output and m.graph.output[0].type.HasField("tensor_type") else None,
    "output_twice": lambda m: do(m.graph.output.append(m.graph.output[0])) if m.graph.output else None,
    "opset_none": lambda m: do(m.ClearField("opset_import")),
    "opset_zero": lambda m: do(setattr(m.opset_import[0], "version", 0)),
    "ir_none": lambda m: do(setattr(m, "ir_version", 0)),
    "ir_future": lambda m: do(setattr(m, "ir_version", 99)),
    "metadata_twice": lambda m: do(m.metadata_props.add(key="k", value="1"), m.metadata_props.add(key="k", value="2")),
}


def change_dim(m):
    dims = m.graph.output[0].type.tensor_type.shape.dim if m.graph.output else []
    dim = first(dims, lambda d: d.HasField("dim_value"))
    if dim:
        dim.dim_value += 1
        return True


def change_rank(m):
    shape = m.graph.output[0].type.tensor_type.shape if m.graph.output else None
    if shape is not None and len(shape.dim):
        shape.dim.add(dim_value=1)
        return True


NODE_MUTATIONS |= {"output_dim": change_dim, "output_rank": change_rank}

SMALL_MUTATIONS = {
    "constant_none": (with_constant, lambda m: weight(m, float_data=[])),
    "constant_short": (with_constant, lambda m: weight(m, float_data=[1.0, 2.0])),
    "constant_bytes": (with_constant, lambda m: weight(m, float_data=[], raw_data=b"1234")),
    "constant_two_fields": (with_constant, lambda m: weight(m, raw_data=b"0" * 16)),
    "constant_wrong_field": (with_constant, lambda m: weight(m, float_data=[], int32_data=[1, 2, 3, 4])),
    "constant_negative": (with_constant, lambda m: weight(m, dims=[-4])),
    "constant_empty_with_data": (with_constant, lambda m: weight(m, dims=[0])),
    "constant_untyped": (with_constant, lambda m: weight(m, data_type=0)),
    "constant_unknown_type": (with_constant, lambda m: weight(m, data_type=99)),
    "constant_other_type": (with_constant, lambda m: weight(m, data_type=TensorProto.INT64, float_data=[],
                                                            int64_data=[1, 2, 3, 4])),
    "constant_no_broadcast": (with_constant, lambda m: weight(m, dims=[3], float_data=[1.0, 2.0, 3.0])),
    "constant_unnamed": (with_constant, lambda m: do(m.graph.initializer.append(tensor("", [1], [1])))),
    "constant_twice": (with_constant, lambda m: do(m.graph.initializer.append(m.graph.initializer[0]))),
    "constant_is_output": (with_constant, lambda m: do(m.graph.initializer.append(tensor("y", [1, 4], [1] * 4)))),
    "constant_is_input": (with_constant, lambda m: do(m.graph.initializer.append(tensor("x", [1, 4], [1] * 4)))),
    "constant_is_other_input": (with_constant, lambda m: do(m.graph.initializer.append(tensor("x", [4], [1] * 4)))),
    "constant_old_ir": (with_constant, lambda m: do(setattr(m, "ir_version", 3))),
    "constant_string": (with_constant, lambda m: weight(m, data_type=TensorProto.STRING, float_data=[],
                                                        raw_data=b"0" * 16)),
    "external_missing": (with_constant, lambda m: weight(m, float_data=[], data_location=1) and
                         do(m.graph.initializer[0].external_data.add(key="location", value="nowhere.bin"))),
    "external_nowhere": (with_constant, lambda m: weight(m, float_data=[], data_location=1)),
    "inside_declared": (with_constant, lambda m: do(m.graph.value_info.append(
        helper.make_tensor_value_info("t", TensorProto.FLOAT, [1, 4])))),
    "inside_declared_dim": (with_constant, lambda m: do(m.graph.value_info.append(
        helper.make_tensor_value_info("t", TensorProto.FLOAT, [1, 5])))),
    "inside_declared_type": (with_constant, lambda m: do(m.graph.value_info.append(
        helper.make_tensor_value_info("t", TensorProto.INT64, [1, 4])))),
    "inside_declared_unknown": (with_constant, lambda m: do(m.graph.value_info.append(
        helper.make_tensor_value_info("nothing", TensorProto.INT64, [1, 4])))),
    "attribute_two_values": (with_constant, lambda m: do(setattr(m.graph.node[1].attribute[0], "i", 3))),
    "attribute_reference": (with_constant, lambda m: do(m.graph.node[1].attribute[0].ClearField("f"),
                                                        setattr(m.graph.node[1].attribute[0], "ref_attr_name", "q"))),
    "domain_long_name": (with_constant, lambda m: do(setattr(m.graph.node[0], "domain", "ai.onnx"))),
    "domain_of_others": (with_constant, lambda m: do(setattr(m.graph.node[1], "domain", "com.other"),
                                                     m.opset_import.append(helper.make_opsetid("com.other", 1)))),
    "opset_future": (with_constant, lambda m: do(setattr(m.opset_import[0], "version", 99))),
    "function": (with_function, lambda m: True),
    "function_domain": (with_function, lambda m: do(m.opset_import.pop())),
    "function_opset": (with_function, lambda m: do(m.functions[0].ClearField("opset_import"))),
    "function_other_opset": (with_function, lambda m: do(setattr(m.functions[0].opset_import[0], "version", 15))),
    "function_older_opset": (with_function, lambda m: do(setattr(m.functions[0].opset_import[0], "version", 6))),
    "function_input_twice": (with_function, lambda m: do(m.functions[0].input.append("a"))),
    "function_output_twice": (with_function, lambda m: do(m.functions[0].output.append("b"))),
    "function_attribute_twice": (with_function, lambda m: do(m.functions[0].attribute.extend(["s", "s"]))),
    "function_undefined": (with_function, lambda m: do(m.functions[0].node[0].input.__setitem__(0, "q"))),
    "function_unordered": (with_function, lambda m: do(m.functions[0].node[0].input.__setitem__(0, "b"))),
    "function_output": (with_function, lambda m: do(m.functions[0].output.__setitem__(0, "q"))),
    "function_twice": (with_function, lambda m: do(m.functions.append(m.functions[0]))),
    "function_unnamed": (with_function, lambda m: do(setattr(m.functions[0], "name", ""))),
    "function_itself": (with_function, lambda m: do(
        m.functions[0].node[0].CopyFrom(helper.make_node("twice", ["a"], ["c"], domain="local")),
        m.functions[0].opset_import.append(helper.make_opsetid("local", 1)))),
    "function_arguments": (with_function, lambda m: do(m.graph.node[-1].input.append("x"))),
    "function_few_arguments": (with_function, lambda m: do(m.graph.node[-1].input.pop())),
    "function_operator": (with_function, lambda m: do(setattr(m.functions[0].node[0], "op_type", "Nonsense"))),
    "branch": (with_branches, lambda m: True),
    "branch_unnamed": (with_branches, lambda m: do(setattr(body(m), "name", ""))),
    "branch_undefined": (with_branches, lambda m: do(body(m).node[0].input.__setitem__(0, "q"))),
    "branch_output": (with_branches, lambda m: do(setattr(body(m).output[0], "name", "q"))),
    "branch_output_outside": (with_branches, lambda m: do(setattr(body(m).output[0], "name", "y"))),
    "branch_shadows": (with_branches, lambda m: do(body(m).node[0].output.__setitem__(0, "x"),
                                                   setattr(body(m).output[0], "name", "x"))),
    "branch_input": (with_branches, lambda m: do(body(m).input.append(m.graph.input[0]))),
    "branch_input_new": (with_branches, lambda m: do(body(m).input.append(
        helper.make_tensor_value_info("q", TensorProto.FLOAT, [1])))),
    "branch_outputs": (with_branches, lambda m: do(body(m).output.append(body(m).output[0]))),
    "branch_operator": (with_branches, lambda m: do(setattr(body(m).node[0], "op_type", "Nonsense"))),
    "branch_missing": (with_branches, lambda m: do(m.graph.node[-1].attribute.pop())),
    "branch_condition": (with_branches, lambda m: do(m.graph.node[-1].input.__setitem__(0, "x"))),
    "branch_declared": (with_branches, lambda m: do(
        setattr(body(m).output[0].type.tensor_type, "elem_type", TensorProto.INT64))),
    "branch_untyped_output": (with_branches, lambda m: do(body(m).output[0].ClearField("type"))),
}


# ---- the comparison ----

def onnx_says(path):
    """None when onnx finds nothing wrong, else what it says."""
    try:
        checker.check_model(str(path), full_check=True)
    except Exception as error:
        return str(error) or type(error).__name__
    return None


def compare(tmp_path, model, mutation, name):
    """True when the verdicts were compared, and are the same. Shapes behind operators that tolite does not import
    are not inferred; it says so in a note."""
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    theirs = onnx_says(path)
    done = tolite("check", path, "--json", status=None)
    report = json.loads(done.stdout)
    assert report["well_formed"] == (done.returncode == 0), done.stdout
    assert done.returncode in (0, 3, 5), done.stdout
    if mutation in DIFFERENT or (mutation, name) in DIFFERENT:
        assert (done.returncode == 0) != (theirs is None), f"{mutation}, {name}: agrees by now: {theirs}"
        return True
    if report["notes"] and theirs and "ShapeInferenceError" in theirs:
        return False
    if mutation.startswith("output_") and theirs is None and report["problems"]:  # ours infers more
        assert all(p["code"] == "M004" and "is declared as" in p["what"] for p in report["problems"]), done.stdout
        return False
    assert (done.returncode == 0) == (theirs is None), f"{mutation}, {name}: onnx: {theirs}\nours: {done.stdout}"
    return True


def sample(mutation):
    """Ten models of the package, others for every mutation; for none all that are small."""
    names = models()
    return names if mutation == "none" else random.Random(mutation).sample(names, len(names))


@pytest.mark.parametrize("mutation", NODE_MUTATIONS)
def test_node_models(tmp_path, mutation):
    n = 0
    for name in sample(mutation):
        model = read(name)
        if not NODE_MUTATIONS[mutation](model):
            continue
        n += compare(tmp_path, model, mutation, name)
        if n == 10 and mutation != "none":
            break
    assert n >= 10


@pytest.mark.parametrize("mutation", SMALL_MUTATIONS)
def test_small_models(tmp_path, mutation):
    build, change = SMALL_MUTATIONS[mutation]
    model = build()
    assert change(model)
    compare(tmp_path, model, mutation, build.__name__)


def test_all_problems_are_found(tmp_path):
    """Not only the first, and each with its place."""
    model = with_branches()
    model.graph.node[0].attribute.append(attribute("nonsense", 1, f=1.0))
    model.graph.node[1].input.append("x")
    body(model).node[0].input[0] = "nothing"
    weight(model, float_data=[1.0])
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    report = json.loads(tolite("check", path, "--json", status=3).stdout)
    found = {(p["code"], place["place"]) for p in report["problems"] for place in p["places"]}
    assert found == {("M009", "node sum (Add)"), ("M009", "node act (LeakyRelu)"), ("M010", "node #0 (Abs)"),
                     ("M005", "initializer w")}
    text = tolite("check", path, status=3).stdout
    assert "4 problems" in text and "node sum (Add): Add has no attribute nonsense" in text


def test_what_is_not_supported_is_a_note(tmp_path):
    report = json.loads(tolite("check", NODE_TESTS / "test_string_concat" / "model.onnx", "--json").stdout)
    assert report["well_formed"] and report["notes"] and not report["problems"]


def test_damaged_files(tmp_path):
    path = tmp_path / "model.onnx"
    data = with_constant().SerializeToString()
    for size in (0, 1, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        tolite("check", path, status=3)
    tolite("check", tmp_path / "nothing.onnx", status=5)
