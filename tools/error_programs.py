"""Writes tests/torch/lines: one module with an operator of its own, called through functions of the user, as a .pt2
program, TorchScript (traced) and ONNX (dynamo). What tolite says of it names these lines. Needs PyTorch and onnxscript;
the tests need only what this wrote.

    python -c "import runpy; runpy.run_path('tools/error_programs.py', run_name='__main__')"

in the folder above, so that the files hold this file's name and not that of the folder.
"""
import pathlib
import zipfile

import torch
from torch import Tensor

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "torch" / "lines"


@torch.library.custom_op("mylib::mystery", mutates_args=())
def mystery(x: Tensor) -> Tensor:
    return torch.flip(x, [0])


@mystery.register_fake
def _(x):
    return torch.empty_like(x)


def innermost(x):
    return mystery(x) + 1  # the operator


def around(x):
    return innermost(x * 2)  # its caller


class Mixer(torch.nn.Module):
    def forward(self, x):
        return around(x)  # the caller of that


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList([Mixer()])

    def forward(self, x):
        for block in self.blocks:
            x = block(x)  # the outermost
        return x


def write_onnx(net, x):
    """The exporter knows no such operator: it is given another, which the file then calls by its name."""
    import onnx

    global mystery
    mystery = torch.tan
    path = FOLDER / "net.onnx"
    program = torch.export.export(net, (x,), strict=True)
    torch.onnx.export(program, (x,), str(path), dynamo=True, optimize=False, external_data=False)
    model = onnx.load(path)
    for node in model.graph.node:
        if node.op_type == "Tan":
            node.op_type, node.domain = "Mystery", "mylib"
    model.opset_import.append(onnx.helper.make_opsetid("mylib", 1))
    onnx.save(model, path)


def elsewhere(data):
    """The bytes without the folder where PyTorch is installed: another one of as many letters."""
    site = str(pathlib.Path(torch.__file__).parent.parent).encode()
    tail = b"/site-packages"
    other = b"/usr/local" + b"/." * ((len(site) - 10 - len(tail)) // 2)
    return data.replace(site, other + b"/" * (len(site) - len(other) - len(tail)) + tail)


def rewrite(path):
    if path.suffix == ".onnx":
        path.write_bytes(elsewhere(path.read_bytes()))
        return
    with zipfile.ZipFile(path) as archive:
        members = {i.filename: elsewhere(archive.read(i)) for i in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)


def main():
    torch.manual_seed(0)
    FOLDER.mkdir(exist_ok=True)
    net, x = Net().eval(), torch.randn(2, 3)
    torch.export.save(torch.export.export(net, (x,), strict=True), FOLDER / "net.pt2")
    torch.jit.trace(net, x).save(str(FOLDER / "net.ts.pt"))
    write_onnx(net, x)
    for path in FOLDER.iterdir():
        rewrite(path)


if __name__ == "__main__":
    main()
