"""Writes tests/torch/weights: small files of weights alone in every form that torch.save has, to be listed and
refused. Needs PyTorch; the tests need only what this wrote.

    python tools/weight_files.py
"""
import collections
import pathlib

import torch

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "torch" / "weights"


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Linear(3, 4)
        self.blocks = torch.nn.ModuleList([torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2, bias=False)])
        self.register_buffer("scale", torch.zeros(2, 3, dtype=torch.float16))


def main():
    torch.manual_seed(0)
    FOLDER.mkdir(exist_ok=True)
    net = Net()
    state = net.state_dict()
    training = {"model": state, "epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.zeros(4)}}, "lr": 0.1},
                "mixed": [torch.zeros((), dtype=torch.int64), (torch.zeros(2, dtype=torch.complex64),)]}
    torch.save(state, FOLDER / "state_dict.pth")
    torch.save(training, FOLDER / "training.ckpt")
    torch.save(net, FOLDER / "module.pt")
    torch.save(training, FOLDER / "old.pth", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2)), FOLDER / "old_module.pth", _use_new_zipfile_serialization=False)
    quantised = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    torch.save(collections.OrderedDict(w=quantised, p=torch.nn.Parameter(torch.ones(2))), FOLDER / "quantised.pth")


if __name__ == "__main__":
    main()
