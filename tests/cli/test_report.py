"""The page that --report F.html writes: well-formed, complete by itself, and about the model at hand."""
import re
import sys
import xml.etree.ElementTree

import numpy as np
import pytest

import support

sys.path.insert(0, str(support.ROOT / "tests" / "oracle"))
import builders as b  # noqa: E402

MODEL = support.DIGITS / "digits.onnx"


def page(tmp_path, model, *options, status=0):
    support.tolite("convert", model, "-o", tmp_path / "out.tflite", "--report", tmp_path / "r.html", *options, status=status)
    text = (tmp_path / "r.html").read_text()
    assert text.startswith("<!DOCTYPE html>\n")
    tree = xml.etree.ElementTree.fromstring(text.split("\n", 1)[1])  # every element is closed
    assert not re.search(r"https?:|src=|href=|url\(|@import|<script|<link|<iframe", text), "refers to something outside"
    return tree, text


def titles(tree):
    return [h.text for h in tree.iter("h2")]


def rows(tree, title):
    """Cells of the tables in the section of this title."""
    section = next(s for s in tree.iter("section") if s.find("h2").text == title)
    return [["".join(td.itertext()) for td in tr.iter("td")] for tr in section.iter("tr") if tr.find("td") is not None]


def test_the_page_of_a_verified_conversion(tmp_path):
    tree, text = page(tmp_path, MODEL, "--verify", "--golden", support.DIGITS / "held_out.npz")
    assert "digits.onnx" in "".join(tree.find(".//h1").itertext())
    assert titles(tree) == ["Interface", "Verification", "Error of every value", "Ops before and after", "Data movement",
                            "Every op of the file", "Time of the steps"]
    assert rows(tree, "Interface") == [["input", "image", "f32[n,1,8,8]"], ["output", "logits", "f32[n,10]"]]
    assert {r[1] for r in rows(tree, "Verification")} == {"the source", "recorded outputs"}
    assert all(r[-1] == "agrees" for r in rows(tree, "Verification"))
    dots = [c for c in tree.iter("circle")]
    assert len(dots) >= 5 and all(c.get("class") == "ok" and c.find("title").text for c in dots)
    layers = rows(tree, "Every op of the file")
    assert [r[1] for r in layers].count("CONV_2D") == 4 and any("multiply-adds" in h.text for h in tree.iter("th") if h.text)
    stem = next(r for r in layers if "/stem/stem.2/Clip_output_0" in r[2])
    assert stem[6].startswith("13.8 k")  # 24 channels of 8 x 8, each of 9 products
    assert rows(tree, "Time of the steps")[-1][0].endswith("others together")


def test_a_page_without_proof_says_so(tmp_path):
    tree, text = page(tmp_path, MODEL)
    assert "not verified" in text and "Verification" not in titles(tree)


def test_what_differs_is_told(tmp_path):
    data = support.load(support.DIGITS / "held_out.npz")
    np.savez(tmp_path / "io.npz", in_image=data["in_image"], out_0_logits=data["out_0_logits"] + np.float32(1))
    tree, text = page(tmp_path, MODEL, "--golden", tmp_path / "io.npz", status=1)
    assert "DIFFERS" in text and [r[-1] for r in rows(tree, "Verification")] == ["differs", "differs"]  # both invokes


@pytest.mark.parametrize("name", ["a<b>&\"c", "größe\u2028", "x\x07y"])
def test_names_are_text_whatever_they_hold(tmp_path, name):
    proto = b.model([b.node("Reshape", "x s", "y")], [b.value("x", [2, "w"])], [b.value("y", [6])], {"s": np.array([6], np.int64)})
    for node in proto.graph.node:
        node.output[0] = name
    proto.graph.output[0].name = name
    tree, _ = page(tmp_path, b.save(proto, tmp_path / "model.onnx"), "--verify")
    assert rows(tree, "Interface")[1][1] == name.replace("\x07", "")
    assert "Warnings" in titles(tree)  # 2 w = 6 is assumed


def test_a_report_elsewhere_is_still_json(tmp_path):
    support.tolite("convert", MODEL, "-o", tmp_path / "o.tflite", "--report", tmp_path / "r.json")
    assert (tmp_path / "r.json").read_text().startswith("{")
    said = support.tolite("convert", MODEL, "-o", tmp_path / "o.tflite", "--report", tmp_path / "no" / "r.html", status=5).stderr
    assert "r.html: its folder does not exist" in said
