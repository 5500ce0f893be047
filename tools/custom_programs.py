"""Writes tests/torch/custom: programs with operators that only another runtime has. Needs PyTorch.

    python tools/custom_programs.py
"""
import io
import pathlib
import zipfile

import torch

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "torch" / "custom"


class Module(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def inverse(x):
    return torch.linalg.inv(x.relu() + x) + 1


def factors(x):
    q, r = torch.linalg.qr(x)
    return (torch.linalg.cholesky(x), q, r, torch.linalg.det(x), *torch.linalg.slogdet(x))


def small_inverse(x):
    return torch.linalg.inv(x)


def noise(x):
    return x + torch.rand(3, 4)


@torch.library.custom_op("mylib::scale", mutates_args=())
def scale(x: torch.Tensor, factor: float, sizes: list[int], name: str, fast: bool) -> torch.Tensor:
    return x * factor


@scale.register_fake
def _(x, factor, sizes, name, fast):
    return torch.empty_like(x)


def own_operator(x):
    return scale(x.relu(), 2.5, [3, 4], "abc", True) + 1


def save(function, *shape):
    """Without traces and samples, deflated."""
    buffer = io.BytesIO()
    program = torch.export.export(Module(function), (torch.eye(*shape[-2:]).expand(shape).clone(),))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    torch.export.save(program, buffer)
    with zipfile.ZipFile(buffer) as old, \
            zipfile.ZipFile(FOLDER / f"{function.__name__}.pt2", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if "sample_inputs" not in name:
                new.writestr(zipfile.ZipInfo(name), old.read(name), zipfile.ZIP_DEFLATED)


FOLDER.mkdir(parents=True, exist_ok=True)
save(inverse, 2, 40, 40)
save(factors, 40, 40)
save(small_inverse, 3, 3)
save(noise, 3, 4)
save(own_operator, 2, 3)
