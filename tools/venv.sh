# The oracles (onnx, onnxruntime, LiteRT) in a Python environment of their own, .venv; made once.
set -eu
stamp=.venv/requirements.txt
cmp -s tests/requirements.txt "$stamp" && exit 0
echo "setup: installing the oracles into .venv" >&2
rm -rf .venv
python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
# an oracle that does not load is an error, not a skip
.venv/bin/python -c 'import numpy, onnx, onnxruntime, pytest, ai_edge_litert.interpreter'
cp tests/requirements.txt "$stamp"
