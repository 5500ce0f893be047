"""The networks of the list that no library has: plain modules, written for it."""
import torch
from torch import nn
from torch.nn import functional as F


class LstmClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(24, 32, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        y, _ = self.lstm(x)
        return self.head(y[:, -1])


class GruStream(nn.Module):
    """One step per call; what it remembers lives in a buffer."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(24, 32, batch_first=True)
        self.head = nn.Linear(32, 8)
        self.register_buffer("hidden", torch.zeros(1, 1, 32))

    def forward(self, x):
        y, hidden = self.gru(x, self.hidden)
        self.hidden.copy_(hidden)
        return self.head(y)


class GlobalNorm(nn.Module):
    """Over channels and time together."""

    def __init__(self, channels):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1, channels, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1))

    def forward(self, x):
        mean = x.mean(dim=(1, 2), keepdim=True)
        variance = ((x - mean) ** 2).mean(dim=(1, 2), keepdim=True)
        return self.gain * (x - mean) / torch.sqrt(variance + 1e-8) + self.bias


class TasnetBlock(nn.Module):
    def __init__(self, channels, hidden, dilation):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(channels, hidden, 1), nn.PReLU(), GlobalNorm(hidden),
            nn.Conv1d(hidden, hidden, 3, padding=dilation, dilation=dilation, groups=hidden),
            nn.PReLU(), GlobalNorm(hidden))
        self.residual = nn.Conv1d(hidden, channels, 1)
        self.skip = nn.Conv1d(hidden, channels, 1)

    def forward(self, x):
        y = self.body(x)
        return x + self.residual(y), self.skip(y)


class ConvTasnet(nn.Module):
    def __init__(self, sources=2, filters=64, channels=32, hidden=64):
        super().__init__()
        self.sources, self.filters = sources, filters
        self.encoder = nn.Conv1d(1, filters, 16, stride=8, bias=False)
        self.entry = nn.Sequential(GlobalNorm(filters), nn.Conv1d(filters, channels, 1))
        self.blocks = nn.ModuleList(TasnetBlock(channels, hidden, 2 ** i) for i in range(2))
        self.masks = nn.Sequential(nn.PReLU(), nn.Conv1d(channels, filters * sources, 1), nn.Sigmoid())
        self.decoder = nn.ConvTranspose1d(filters, 1, 16, stride=8, bias=False)

    def forward(self, x):
        mixture = F.relu(self.encoder(x))
        y, skips = self.entry(mixture), 0
        for block in self.blocks:
            y, skip = block(y)
            skips = skips + skip
        masks = self.masks(skips).view(x.shape[0], self.sources, self.filters, -1)
        parts = masks * mixture.unsqueeze(1)
        return self.decoder(parts.view(x.shape[0] * self.sources, self.filters, -1)).view(x.shape[0], self.sources, -1)


def twice(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
                         nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class UnetTranspose(nn.Module):
    def __init__(self, widths=(16, 32, 64, 128, 256)):
        super().__init__()
        self.down = nn.ModuleList(twice(a, b) for a, b in zip((3,) + widths, widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in zip(widths, widths[1:]))
        self.join = nn.ModuleList(twice(2 * a, a) for a in widths[:-1])
        self.head = nn.Conv2d(widths[0], 4, 1)

    def forward(self, x):
        levels = []
        for i, block in enumerate(self.down):
            x = block(x if i == 0 else F.max_pool2d(x, 2))
            levels.append(x)
        for i in reversed(range(len(self.up))):
            x = self.join[i](torch.cat([self.up[i](x), levels[i]], 1))
        return self.head(x)


class Conv(nn.Sequential):
    def __init__(self, inputs, outputs, kernel=1, stride=1):
        super().__init__(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
                         nn.BatchNorm2d(outputs), nn.SiLU())


class Bottleneck(nn.Module):
    def __init__(self, channels, shortcut):
        super().__init__()
        self.body, self.shortcut = nn.Sequential(Conv(channels, channels, 3), Conv(channels, channels, 3)), shortcut

    def forward(self, x):
        return x + self.body(x) if self.shortcut else self.body(x)


class C2f(nn.Module):
    def __init__(self, inputs, outputs, count=1, shortcut=True):
        super().__init__()
        self.half = outputs // 2
        self.entry = Conv(inputs, 2 * self.half)
        self.parts = nn.ModuleList(Bottleneck(self.half, shortcut) for _ in range(count))
        self.exit = Conv((2 + count) * self.half, outputs)

    def forward(self, x):
        found = list(self.entry(x).chunk(2, 1))
        found.extend(part(found[-1]) for part in self.parts)
        return self.exit(torch.cat(found, 1))


class Sppf(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.entry, self.exit = Conv(channels, channels // 2), Conv(channels * 2, channels)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x):
        found = [self.entry(x)]
        for _ in range(3):
            found.append(self.pool(found[-1]))
        return self.exit(torch.cat(found, 1))


class YoloC2fDfl(nn.Module):
    """Three strides, distances as distributions over 16 bins, boxes decoded to pixels."""

    def __init__(self, classes=8, bins=16):
        super().__init__()
        self.classes, self.bins, self.strides = classes, bins, (8, 16, 32)
        self.stem = nn.Sequential(Conv(3, 16, 3, 2), Conv(16, 32, 3, 2), C2f(32, 32))
        self.p3 = nn.Sequential(Conv(32, 64, 3, 2), C2f(64, 64, 2))
        self.p4 = nn.Sequential(Conv(64, 96, 3, 2), C2f(96, 96, 2))
        self.p5 = nn.Sequential(Conv(96, 128, 3, 2), C2f(128, 128), Sppf(128))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.n4, self.n3 = C2f(224, 96, shortcut=False), C2f(160, 64, shortcut=False)
        self.boxes = nn.ModuleList(
            nn.Sequential(Conv(c, 32, 3), nn.Conv2d(32, 4 * bins, 1)) for c in (64, 96, 128))
        self.scores = nn.ModuleList(
            nn.Sequential(Conv(c, 32, 3), nn.Conv2d(32, classes, 1)) for c in (64, 96, 128))

    def forward(self, x):
        p3 = self.p3(self.stem(x))
        p4 = self.p4(p3)
        p5 = self.p5(p4)
        n4 = self.n4(torch.cat([self.up(p5), p4], 1))
        n3 = self.n3(torch.cat([self.up(n4), p3], 1))
        distances, scores, anchors, strides = [], [], [], []
        for y, box, score, stride in zip((n3, n4, p5), self.boxes, self.scores, self.strides):
            height, width = y.shape[2:]
            distances.append(box(y).flatten(2))
            scores.append(score(y).flatten(2))
            rows, columns = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
            anchors.append(torch.stack([columns, rows]).flatten(1))
            strides.append(torch.full((1, height * width), float(stride)))
        distance, anchor, stride = torch.cat(distances, 2), torch.cat(anchors, 1), torch.cat(strides, 1)
        bins = distance.view(x.shape[0], 4, self.bins, -1).transpose(2, 1).softmax(1)
        weights = torch.arange(self.bins, dtype=torch.float32).view(1, self.bins, 1, 1)
        low, high = (bins * weights).sum(1).chunk(2, 1)
        first, last = anchor - low, anchor + high
        boxes = torch.cat([(first + last) / 2, last - first], 1) * stride
        return torch.cat([boxes, torch.cat(scores, 2).sigmoid()], 1)


class GreedyDecoder(nn.Module):
    """Eight tokens, each the likeliest; what was found is a list that grows."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(40, 32)
        self.cell = nn.GRUCell(32, 48)
        self.head = nn.Linear(48, 40)

    def forward(self, ids):
        state = torch.zeros(1, 48)
        for i in range(ids.size(1)):
            state = self.cell(self.embed(ids[:, i]), state)
        found = [ids[:, -1]]
        while len(found) < 9:
            state = self.cell(self.embed(found[-1]), state)
            found.append(self.head(state).argmax(1))
        return torch.stack(found[1:], 1), state


NETWORKS = {"lstm_classifier": LstmClassifier, "gru_stream": GruStream, "conv_tasnet": ConvTasnet,
            "unet_transpose": UnetTranspose, "yolo_c2f_dfl": YoloC2fDfl, "greedy_decoder": GreedyDecoder}
