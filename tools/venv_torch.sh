# PyTorch and the libraries of networks for `make test-torch`, in .venv-torch; made once (several GB on disk).
set -eu
cd "$(dirname "$0")/.."
stamp=.venv-torch/requirements.txt
cmp -s tests/zoo/requirements.txt "$stamp" && exit 0
echo "setup: installing PyTorch into .venv-torch" >&2
rm -rf .venv-torch
python3 -m venv .venv-torch
# pip's own settings (PIP_EXTRA_INDEX_URL) choose builds of PyTorch for CPUs alone, a tenth of the size
.venv-torch/bin/pip install --quiet --disable-pip-version-check -r tests/zoo/requirements.txt
.venv-torch/bin/python -c 'import torch, torchvision, timm, transformers, ai_edge_litert.interpreter'
cp tests/zoo/requirements.txt "$stamp"
