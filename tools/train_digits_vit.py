"""Makes tests/quant/digits_vit.onnx: a small vision transformer, trained on the pictures that the digits example
was trained on, and tests/quant/digits_samples.npz: 200 of those pictures, to calibrate with.

    pip install torch scikit-learn onnx && python tools/train_digits_vit.py

The held-out pictures are those of examples/digits/held_out.npz.
"""
import pathlib

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "quant"
HELD_OUT, SAMPLES = 450, 200  # as in train_digits.py
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


def train(images, labels):
    torch.manual_seed(1)
    torch.set_num_threads(1)
    model = VisionTransformer()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=5e-2)
    epochs, batch = 120, 64
    steps = epochs * (len(images) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
    for _ in range(epochs):
        order = torch.randperm(len(images))
        for k in range(len(images) // batch):
            pick = order[k * batch:(k + 1) * batch]
            shift = torch.randint(-1, 2, (2,)).tolist()
            x = torch.roll(images[pick], shift, (2, 3))
            loss = nn.functional.cross_entropy(model(x), labels[pick], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def main():
    digits = load_digits()
    images = torch.tensor(np.round(digits.images * 255 / 16).astype(np.uint8), dtype=torch.float32).div(255)[:, None]
    labels = torch.tensor(digits.target)
    order = np.random.default_rng(0).permutation(len(labels))
    test, rest = order[:HELD_OUT], order[HELD_OUT:]
    model = train(images[rest], labels[rest])
    with torch.no_grad():
        right = (model(images[test]).argmax(1) == labels[test]).sum().item()
    print(f"{right} of {HELD_OUT} held-out digits right")
    torch.onnx.export(model, (images[:1],), FOLDER / "digits_vit.onnx", dynamo=False, opset_version=17,
                      input_names=["image"], output_names=["logits"],
                      dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}})
    np.savez_compressed(FOLDER / "digits_samples.npz", in_image=images[rest[:SAMPLES]].numpy())


main()
