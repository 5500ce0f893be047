"""Node tests of the onnx package that pass must go on passing; `python nodes.py --record` writes the list anew."""
import os

import pytest

import nodes

RECORD = os.environ.get("TOLITE_NODES") == "record"


@pytest.fixture(scope="module")
def rows():
    return nodes.suite()


@pytest.mark.skipif(RECORD, reason="the list is being recorded")
@pytest.mark.parametrize("name,mode", nodes.recorded().items())
def test_node(name, mode, rows, tmp_path):
    assert name in rows, "not in this release of onnx"
    why = nodes.failure(name, mode, rows[name], tmp_path)
    assert why is None, why


@pytest.mark.skipif(not RECORD, reason="only with TOLITE_NODES=record")
def test_record():
    nodes.main(["--record"])
