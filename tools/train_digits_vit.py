"""Makes tests/quant/digits_vit.onnx: a small vision transformer, trained on the pictures that the digits example
was trained on, and tests/quant/digits_samples.npz: 200 of those pictures, to calibrate with.

    pip install torch scikit-learn onnx && python tools/train_digits_vit.py

The held-out pictures are those of examples/digits/held_out.npz.
"""
import pathlib

import numpy as np
import torch
from torch import nn

from train_digits import HELD_OUT, dataset, set_up, train

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "quant"
SAMPLES = 200
WIDTH, HEADS, DEPTH = 32, 4, 3


class Block(nn.Module):
    """[n, tokens, WIDTH] to the same."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x):
        n, t, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, t, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        weights = torch.softmax(q @ k.transpose(-1, -2) * (WIDTH // HEADS)**-0.5, -1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(n, t, WIDTH))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """[n, 1, 8, 8] pictures in [0, 1] to [n, 10] logits; a token is 2 x 2 pixels."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(1, WIDTH, 2, 2)
        self.token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.place = nn.Parameter(torch.randn(1, 17, WIDTH) * 0.02)
        self.blocks = nn.Sequential(*[Block() for _ in range(DEPTH)])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10)

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
        return self.head(self.norm(self.blocks(x))[:, 0])


def main():
    set_up()
    _, images, labels, test, rest = dataset()
    model = train(VisionTransformer(), images[rest], labels[rest], rate=2e-3, peak=4e-3, decay=5e-2, epochs=120)
    with torch.no_grad():
        right = (model(images[test]).argmax(1) == labels[test]).sum().item()
    print(f"{right} of {HELD_OUT} held-out digits right")
    torch.onnx.export(model, (images[:1],), FOLDER / "digits_vit.onnx", dynamo=False, opset_version=17,
                      input_names=["image"], output_names=["logits"],
                      dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}})
    np.savez_compressed(FOLDER / "digits_samples.npz", in_image=images[rest[:SAMPLES]].numpy())


if __name__ == "__main__":
    main()
