"""Options of the commands, each by what it changes."""
import json
import os

import numpy as np
import pytest

import support

MODEL = support.DIGITS / "digits.onnx"
HELD_OUT = support.DIGITS / "held_out.npz"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.tflite"


def report(*args, **options):
    return json.loads(support.tolite(*args, "--json", **options).stdout)


def test_output_defaults_to_the_name_in_the_current_folder(tmp_path):
    support.tolite("convert", MODEL, cwd=tmp_path)
    assert os.listdir(tmp_path) == ["digits.tflite"]


@pytest.mark.parametrize("command", [
    "calibrate m.onnx --samples x.npz -o m.onnx", "calibrate m.onnx --samples x.npz -o x.npz",
    "calibrate m.onnx --samples x.npz -o link.onnx", "convert m.onnx --report m.onnx -o y.tflite",
    "convert m.onnx --golden x.npz -o x.npz", "convert m.onnx -o y.tflite --report y.tflite", "run m.onnx --in x.npz --out x.npz",
    "run m.onnx --random --out m.onnx", "diff m.onnx m.onnx --random --report m.onnx"])
def test_nothing_that_is_read_is_written(command, tmp_path):
    (tmp_path / "m.onnx").write_bytes(MODEL.read_bytes())
    (tmp_path / "x.npz").write_bytes(HELD_OUT.read_bytes())
    (tmp_path / "link.onnx").symlink_to("m.onnx")
    assert "choose another file" in support.tolite(*command.split(), cwd=tmp_path, status=2).stderr
    assert (tmp_path / "m.onnx").read_bytes() == MODEL.read_bytes()
    assert (tmp_path / "x.npz").read_bytes() == HELD_OUT.read_bytes() and not (tmp_path / "y.tflite").exists()


def test_a_report_without_a_folder_is_refused_before_anything_is_written(out, tmp_path):
    said = support.tolite("convert", MODEL, "-o", out, "--report", tmp_path / "none" / "r.html", status=5).stderr
    assert "folder" in said and not out.exists()


def test_dry_run_does_everything_but_write(out):
    shown = report("convert", MODEL, "-o", out, "--dry-run", "--verify")
    assert shown["bytes"] > 1000 and shown["agree"]
    assert not out.exists()


def test_report_is_the_json_document(out, tmp_path):
    printed = report("convert", MODEL, "-o", out, "--report", tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text()) == printed


def test_quiet_says_nothing(out):
    done = support.tolite("convert", MODEL, "-o", out, "-q")
    assert done.stdout == done.stderr == ""


def test_strip_drops_the_record_of_where_things_came_from(out, tmp_path):
    support.tolite("convert", MODEL, "-o", out)
    support.tolite("convert", MODEL, "-o", tmp_path / "bare.tflite", "--strip")
    assert b"tolite_marks" in out.read_bytes()
    assert b"tolite_marks" not in (tmp_path / "bare.tflite").read_bytes()


def test_exact_keeps_every_multiplication(out):
    exact = report("convert", MODEL, "-o", out, "--exact")
    ops = {row["op"]: row["count"] for row in exact["ops"]}
    assert ops.get("MUL", 0) > 0  # batch norm stays apart
    runner = support.LiteRT(out)
    data = support.load(HELD_OUT)
    support.assert_agree(runner([data["in_image"]]), [data["out_0_logits"]], "exact")


def test_sync_and_threads_give_the_same_file(out, tmp_path):
    support.tolite("convert", MODEL, "-o", out)
    support.tolite("convert", MODEL, "-o", tmp_path / "b.tflite", "--sync", "--threads", 2)
    assert out.read_bytes() == (tmp_path / "b.tflite").read_bytes()


def test_verify_and_golden_report_what_they_compared(out):
    shown = report("convert", MODEL, "-o", out, "--verify=3", "--golden", HELD_OUT)
    assert shown["agree"] and len(shown["verify"]) == 3 and len(shown["golden"]) == 1
    assert all(0 <= row["relative"] < 1e-5 for row in shown["verify"] + shown["golden"])
    assert report("convert", MODEL, "-o", out, "--verify=ref")["agree"]


def test_a_golden_of_another_format_is_found_by_number(out):
    """The .pt2 calls the output of the ONNX file, out_0_logits in the recording, just output."""
    shown = report("convert", support.DIGITS / "digits.pt2", "-o", out, "--golden", HELD_OUT)
    assert shown["agree"] and len(shown["golden"]) == 1


def test_a_golden_that_differs_keeps_the_file_and_says_so(out, tmp_path):
    data = support.load(HELD_OUT)
    data["out_0_logits"] = data["out_0_logits"] + 0.01
    np.savez(tmp_path / "wrong.npz", **data)
    done = support.tolite("convert", MODEL, "-o", out, "--golden", tmp_path / "wrong.npz", status=1)
    assert "DIFFERS" in done.stdout and out.exists()
    support.tolite("convert", MODEL, "-o", out, "--golden", tmp_path / "wrong.npz", "--atol", "0.1")


def test_output_and_start_cut_the_model(out, tmp_path):
    import onnx
    nodes = onnx.load(MODEL).graph.node
    middle = next(n.output[0] for n in nodes if n.op_type == "Add")
    support.tolite("convert", MODEL, "-o", out, "--output", middle)
    first = support.LiteRT(out)
    image = support.load(HELD_OUT)["in_image"][:3]
    half, = first([image])
    support.tolite("convert", MODEL, "-o", tmp_path / "rest.tflite", "--start", middle,
                   "--input", f"{middle}=f32:n,24,8,8")
    logits, = support.LiteRT(tmp_path / "rest.tflite")([half])
    support.assert_agree([logits], [support.load(HELD_OUT)["out_0_logits"][:3]], "two halves")


def test_stages_and_passes_can_be_run_and_printed(tmp_path):
    expected = support.load(HELD_OUT)["out_0_logits"]
    for stage in (["--stage", "source"], ["--stage", "core"], ["--stage", "lowered"], ["--stage", "file"],
                  ["--after", "rewrite"], ["--after", "layout"], ["--reference"]):
        support.tolite("run", MODEL, "--in", HELD_OUT, "--out", tmp_path / "y.npz", *stage)
        logits, = support.load(tmp_path / "y.npz").values()
        support.assert_agree([logits], [expected], str(stage))
    text = support.tolite("inspect", MODEL, "--ir").stdout
    assert "batch_norm(" in text and "conv(" in text
    text = support.tolite("inspect", MODEL, "--ir", "--stage", "lowered").stdout
    assert "tfl_conv_2d(" in text and "batch_norm(" not in text


def test_graph_text_that_inspect_prints_is_a_model(tmp_path):
    text = support.tolite("inspect", MODEL, "--ir", "--after", "layout").stdout
    assert text.startswith("model ")


def test_diff_of_two_stages_compares_values_inside():
    shown = report("diff", MODEL, "--stage", "source,file", "--in", HELD_OUT)
    assert shown["agree"] and len(shown["samples"][0]["values"]) >= 5


def test_diff_names_the_first_value_that_parts(tmp_path):
    import onnx
    proto = onnx.load(MODEL)
    add = next(n for n in proto.graph.node if n.op_type == "Add")
    add.op_type = "Sub"
    onnx.save(proto, tmp_path / "wrong.onnx")
    done = support.tolite("diff", MODEL, tmp_path / "wrong.onnx", "--in", HELD_OUT, status=1)
    assert add.output[0] in done.stdout and "DIFFER" in done.stdout


def test_random_inputs_stay_small(tmp_path):
    model = tmp_path / "m.txt"
    model.write_text('model ""\nentry "main"(%x: f32[a,b,c,d,e,f]) -> ("y") {\n  %1 = relu(%x)\n  return %1\n}\n')
    assert "y: f32[2,16,16,16,16,16]" in support.tolite("run", model, "--random").stdout


def test_random_inputs_are_seeded(tmp_path):
    outputs = []
    for seed in (1, 1, 2):
        support.tolite("run", MODEL, "--random", "--seed", seed, "--out", tmp_path / "y.npz")
        outputs.append(next(iter(support.load(tmp_path / "y.npz").values())))
    assert np.array_equal(outputs[0], outputs[1]) and not np.array_equal(outputs[0], outputs[2])


def test_samples_axis_runs_each_alone(tmp_path):
    images = support.load(HELD_OUT)["in_image"]
    np.savez(tmp_path / "in.npz", image=images[:4, None])
    support.tolite("run", MODEL, "--in", tmp_path / "in.npz", "--samples-axis", "--out", tmp_path / "y.npz")
    logits, = support.load(tmp_path / "y.npz").values()
    assert logits.shape == (4, 1, 10)
    support.assert_agree([logits[:, 0]], [support.load(HELD_OUT)["out_0_logits"][:4]], "samples")


def test_pictures_are_resized_cropped_and_normalised(tmp_path):
    support.tolite("run", MODEL, "--image", support.DIGITS / "3.png", "--resize", "16x16", "--crop", "8x8", "--mean", "0.1",
                   "--std", "2", "--out", tmp_path / "y.npz")
    done = support.tolite("run", MODEL, "--image", support.DIGITS / "3.png", "--resize", "9x9", status=2)
    assert "--resize" in done.stderr or "expected 8x8" in done.stderr


def test_help_lists_every_option():
    for command in ("convert", "run", "diff", "inspect", "ops"):
        assert "--json" in support.tolite("help", command).stdout
    assert "unsupported operator" in support.tolite("explain", "U001").stdout


def test_ops_lists_what_is_read_and_written():
    shown = report("ops")
    assert any(row["op"] == "Conv" for row in shown["from"])
    forms = {row["op"]: row["form"] for row in shown["to"]}
    assert forms["conv"] == "builtin" and forms["mish"] == "expanded"
    assert "none" not in forms.values(), [op for op, form in forms.items() if form == "none"]


def test_a_word_misspelt_is_answered_with_the_one_meant():
    for words, meant in ((["convertt", "x"], "perhaps convert;"), (["convert", "--verif", "x"], "perhaps --verify;"),
                         (["help", "inspekt"], "perhaps inspect;"), (["diff", "--randon"], "perhaps --random;")):
        assert meant in support.tolite(*words, status=2).stderr
    assert "perhaps" not in support.tolite("convert", "--nothing-like-it", status=2).stderr


def test_a_failure_is_a_document_too(tmp_path):
    for words in (["inspect", "missing.onnx"], ["convert", "missing.onnx"], ["bench", "missing.onnx"],
                  ["diff", MODEL, "missing.onnx", "--random"], ["run", MODEL, "--in", "missing.npz"]):
        error = json.loads(support.tolite(*words, "--json", status=5).stdout)["error"]
        assert error["status"] == 5 and error["diagnostics"][0]["code"] == "E001", words
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    shown = json.loads(support.tolite("inspect", tmp_path / "x.onnx", "--json", status=3).stdout)
    assert [d["code"] for d in shown["error"]["diagnostics"]] == ["M001"]
