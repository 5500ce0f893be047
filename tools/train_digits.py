"""Makes examples/digits: a small network trained on scikit-learn's handwritten digits, as ONNX and .pt2.

    pip install torch scikit-learn onnx onnxscript && python tools/train_digits.py

It has what image networks are made of: batch norm, depthwise and grouped convolution, a residual join, a
strided convolution, global pooling. Run again only to change the example; the files are in the repository.
"""
import pathlib
import zlib

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "examples" / "digits"
HELD_OUT = 450


def block(c_in, c_out, kernel=3, stride=1, groups=1, act=True):
    layers = [nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(c_out)]
    return nn.Sequential(*layers, *([nn.ReLU6()] if act else []))


class Digits(nn.Module):
    """[n, 1, 8, 8] pictures in [0, 1] to [n, 10] logits."""

    def __init__(self):
        super().__init__()
        self.stem = block(1, 24)
        self.depthwise = block(24, 24, groups=24)
        self.project = block(24, 24, kernel=1, act=False)
        self.down = block(24, 48, stride=2)
        self.grouped = block(48, 48, groups=4, act=False)
        self.head = nn.Linear(48, 10)

    def forward(self, image):
        x = self.stem(image)
        x = x + self.project(self.depthwise(x))
        x = torch.relu(self.grouped(self.down(x)))
        return self.head(x.mean((2, 3)))


def png(pixels):
    """An 8-bit grey PNG, written here so that the example needs no imaging package."""
    h, w = pixels.shape

    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = w.to_bytes(4, "big") + h.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def train(model, images, labels, rate, peak, decay, epochs):
    """One-cycle AdamW over pictures that are shifted by up to a pixel."""
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=decay)
    batch = 64
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, epochs * (len(images) // batch))
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


def dataset():
    """Pictures as bytes and as [n, 1, 8, 8] in [0, 1], labels, indices held out, the others."""
    digits = load_digits()
    pixels = np.round(digits.images * 255 / 16).astype(np.uint8)  # what the pictures hold
    images = torch.tensor(pixels, dtype=torch.float32).div(255)[:, None]
    order = np.random.default_rng(0).permutation(len(images))
    return pixels, images, torch.tensor(digits.target), order[:HELD_OUT], order[HELD_OUT:]


def set_up():
    torch.manual_seed(1)
    torch.set_num_threads(1)


def main():
    set_up()
    pixels, images, labels, test, rest = dataset()
    model = train(Digits(), images[rest], labels[rest], rate=4e-3, peak=1e-2, decay=1e-2, epochs=60)
    with torch.no_grad():
        logits = model(images[test])
    accuracy = (logits.argmax(1) == labels[test]).float().mean().item()
    print(f"accuracy on {HELD_OUT} held-out digits: {accuracy:.4f}")
    assert accuracy > 0.97

    FOLDER.mkdir(parents=True, exist_ok=True)
    example = (images[test][:1],)
    batch = torch.export.Dim("n", min=1, max=1024)
    program = torch.export.export(model, (images[test][:2],), dynamic_shapes={"image": {0: batch}})
    for node in program.graph.nodes:  # where the sources lay when this ran is nobody's business
        if "stack_trace" in node.meta:
            trace = node.meta["stack_trace"].replace(f"{FOLDER.parent.parent}/", "")
            node.meta["stack_trace"] = trace.replace(f"{pathlib.Path(torch.__file__).parent.parent}/", "")
    torch.export.save(program, FOLDER / "digits.pt2")
    torch.onnx.export(model, example, FOLDER / "digits.onnx", dynamo=False, opset_version=17, input_names=["image"],
                      output_names=["logits"], dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}},
                      do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)
    np.savez_compressed(FOLDER / "held_out.npz", in_image=images[test].numpy(), out_0_logits=logits.numpy(),
                        labels=labels[test].numpy())
    (FOLDER / "labels.txt").write_text("".join(f"{i}\n" for i in range(10)))
    for digit in range(10):
        index = next(i for i in test if labels[i] == digit)
        (FOLDER / f"{digit}.png").write_bytes(png(pixels[index]))


if __name__ == "__main__":
    main()
