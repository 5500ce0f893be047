"""Pages that are made by the program are up to date, and what they say is true."""
import json
import re
import shutil
import subprocess
import sys

import pytest

import support

DOCS = support.ROOT / "docs"


def test_errors_page_is_that_of_the_program():
    made = support.tolite("explain", "--all").stdout
    assert (DOCS / "errors.md").read_text() == made, "run: build/tolite explain --all > docs/errors.md"


def test_manual_page_is_that_of_the_program():
    made = support.tolite("help", "--man").stdout
    assert (DOCS / "tolite.1").read_text() == made, "run: build/tolite help --man > docs/tolite.1"


def test_onnx_page_is_that_of_the_tables():
    made = subprocess.run([sys.executable, support.ROOT / "tools" / "onnx_ops", support.PROGRAM], capture_output=True,
                          text=True, check=True).stdout
    assert (DOCS / "onnx-ops.md").read_text() == made, "run: tools/onnx_ops > docs/onnx-ops.md"


def test_torch_page_is_that_of_the_tables():
    made = subprocess.run([sys.executable, support.ROOT / "tools" / "torch_ops", support.PROGRAM], capture_output=True,
                          text=True, check=True).stdout
    assert (DOCS / "torch-ops.md").read_text() == made, "run: tools/torch_ops > docs/torch-ops.md"


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_manual_page_is_well_formed():
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", DOCS / "tolite.1"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    plain = re.sub(".\b", "", done.stdout)
    assert "tolite convert IN" in plain and "EXIT STATUS" in plain


def test_every_code_is_explained():
    codes = json.loads(support.tolite("explain", "--all", "--json").stdout)["codes"]
    used = set()
    for path in (support.ROOT / "src").rglob("*.c"):
        used |= set(re.findall(r"\bTL_([UMEOWNIB]\d\d\d)\b", path.read_text()))
    assert used <= {c["code"] for c in codes}
    for c in codes:
        assert c["title"] and len(c["advice"]) > 30 and c["advice"].endswith("."), c
        one = json.loads(support.tolite("explain", c["code"], "--json").stdout)
        assert one == c
        assert support.tolite("explain", c["code"]).stdout.startswith(f"{c['code']}: {c['title']}\n")
    support.tolite("explain", "X999", status=2)
    support.tolite("explain", status=2)


def test_options_that_advice_names_exist():
    options = support.tolite("help", "--man").stdout.replace("\\-", "-")
    for option in set(re.findall(r"--[a-z][a-z-]+", (DOCS / "errors.md").read_text())):
        assert f"{option}\\fR" in options, option
