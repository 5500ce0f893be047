"""Writes tests/torch/programs: small scripted modules, one per feature of the language, with recorded inputs
and outputs. Needs PyTorch; the tests need only what this wrote.

    python -c "import runpy; runpy.run_path('tools/script_programs.py', run_name='__main__')" [NAME...]

in the folder above, so that the files hold this file's name and not that of the folder.
"""
import enum
import inspect
import pathlib
import sys
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from torch import Tensor

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "torch" / "programs"
PROGRAMS = {}


def program(*shapes, dynamic=None, steps=0):
    """Inputs of these shapes (ints: indices below 5); dynamic: what to say of them with --input; steps: so
    many successive calls of one instance are recorded."""
    def register(module):
        PROGRAMS[module.__name__] = (module, shapes, dynamic, steps)
        return module
    return register


def f(*shape):
    return shape, np.float32


def i(*shape):
    return shape, np.int64


# ---- numbers, lists, dicts: all evaluated at import ----

@program(f(2, 3))
class Numbers(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = 0.75
        self.n = 7

    def forward(self, x):
        a = self.n // 2 + self.n % 4 - (-7) // 2 + (-7) % 3
        b = (self.n ** 2) / 10 + abs(-3) + min(4, self.n) + max(1.5, self.scale)
        c = float(a) * self.scale + int(b) + round(2.5) + (1 if self.n > 3 and not a == 2 else 0)
        d = (self.n & 3) | 8 ^ 1
        return x * c + d + (1 << 3)


@program(f(2, 3))
class Lists(torch.nn.Module):
    def forward(self, x):
        sizes: List[int] = []
        for k in range(5):
            if k == 3:
                continue
            sizes.append(k * k)
        sizes.insert(0, 9)
        last = sizes.pop()
        sizes.extend([2, 1])
        sizes.sort()
        sizes.reverse()
        total = 0
        for s in sizes[1:4]:
            total += s
        doubled = [2 * s for s in sizes]
        where = doubled.index(18)
        inside = 4 in sizes and 5 not in sizes
        both = sizes + [len(doubled)] * 2
        return x * total + last + where + int(inside) + both[-1] + sizes[-2] + x.size()[1]


@program(f(2, 3), f(2, 3))
class Dicts(torch.nn.Module):
    def forward(self, x, y):
        d: Dict[str, Tensor] = {"x": x}
        d["y"] = y * 2
        d.update({"z": x - y})
        out: Dict[str, Tensor] = {}
        for k, v in d.items():
            out["new_" + k] = v + len(k)
        if "new_x" in out:
            out["sum"] = out["new_x"] + out["new_y"]
        names: List[str] = list(out.keys())
        out["count"] = torch.tensor(len(names))
        del out["new_z"]
        return out


@program(f(4))
class Strings(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.mode = "Linear"

    def forward(self, x):
        mode = self.mode.lower()
        text = "{}-{}".format(mode, 3)
        if text == "linear-3" and mode.startswith("lin") and "ear" in mode:
            x = x + len(text)
        for c in mode.split("n"):
            x = x + len(c)
        return x * 2 if "_".join([mode, "x"]).endswith("_x") else x


class Pair(NamedTuple):
    first: Tensor
    second: int


@program(f(3))
class Tuples(torch.nn.Module):
    def pair(self, x: Tensor) -> Tuple[Tensor, int]:
        return x + 1, 4

    def forward(self, x):
        a, n = self.pair(x)
        p = Pair(a * n, n + 1)
        nested = ((a, p.first), [n, p.second])
        (b, c), (m, k) = nested[0], (nested[1][0], nested[1][1])
        return b + m, (c + k, p)


@program(f(2, 2))
class Optionals(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.bias: Optional[Tensor] = None

    def add(self, x: Tensor, y: Optional[Tensor] = None, k: Optional[int] = None) -> Tensor:
        if y is not None:
            x = x + y
        if k is None:
            k = 3
        bias = self.bias
        if bias is not None:
            x = x + bias
        return x * k

    def forward(self, x):
        return self.add(x) + self.add(x, x) + self.add(x, None, 5) + self.add(x, k=2)


# ---- control flow ----

@program(f(3, 4), dynamic="x=f32:n,4")
class Unrolled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList([torch.nn.Linear(4, 4) for _ in range(3)])

    def forward(self, x):
        outs: List[Tensor] = []
        for index, layer in enumerate(self.layers):
            x = torch.relu(layer(x)) if index % 2 == 0 else layer(x)
            outs.append(x)
        return torch.cat(outs, 1), torch.stack(outs).sum(0)


@program(f(3))
class Break(torch.nn.Module):
    def forward(self, x):
        k = 0
        while True:
            k += 1
            if k % 5 == 0:
                break
            if k == 2:
                continue
            x = x * 2
        for j in range(10):
            if j > 3:
                return x + j
            x = x + 1
        return x


@program(f(4), f(4))
class Conditions(torch.nn.Module):
    def forward(self, x, y):
        if bool(x.sum() > 0):
            a = x * 2
            n = 1
        elif bool(y.sum() > 0):
            a = y * 3
            n = 2
        else:
            a = x - y
            n = 3
        if n == 2:
            a = a + 100
        return a, n


@program(f(3, 3), dynamic="x=f32:3,3")
class Nested(torch.nn.Module):
    def forward(self, x):
        total = torch.zeros(3)
        for r in range(x.size(0)):
            row = x[r]
            if bool(row.max() > 0.5):
                for c in range(3):
                    if bool(row[c] > 0):
                        total[c] += row[c]
            else:
                total -= row
        return total


@program(f(6), dynamic="x=f32:n")
class Rows(torch.nn.Module):
    def forward(self, x):
        out = torch.zeros_like(x)
        carry = torch.zeros(1)
        for k in range(x.size(0)):
            carry = carry * 0.5 + x[k]
            out[k] = carry[0]
        return out, carry


@program(f(5, 2), dynamic="x=f32:n,2")
class Collect(torch.nn.Module):
    def forward(self, x):
        rows: List[Tensor] = []
        counts: List[int] = []
        for k in range(x.size(0)):
            rows.append(x[k] * k)
            counts.append(k + 1)
        last = rows[-1]
        return torch.stack(rows), torch.cat(rows), last, len(counts)


@program(f(4))
class While(torch.nn.Module):
    def forward(self, x):
        steps = 0
        error = x.abs().max()
        while float(error) > 0.01 and steps < 50:
            x = x * 0.5
            error = x.abs().max()
            steps += 1
        return x, steps


@program(f(4))
class Collatz(torch.nn.Module):
    def forward(self, x):
        n = int(x.abs().sum() * 10) + 3
        seen = 0
        while n != 1:
            if n % 2 == 0:
                n = n // 2
            else:
                n = 3 * n + 1
            seen += 1
        return x + seen


@program(i(3), f(5, 4))
class Gathered(torch.nn.Module):
    def forward(self, index, table):
        k = int(index[0])
        rows = table[index]
        return table[k], rows[:, 1:], table[k, 2], table.select(0, k) * k, table[index[1]:]


# ---- writes in place ----

@program(f(4, 4))
class Writes(torch.nn.Module):
    def forward(self, x):
        y = x.clone()
        y[0] = 5.0
        y[1:3, 1:3] += 10
        y[:, -1].mul_(2)
        z = y.t()
        z[0].copy_(x[1])
        y[y > 8] = 8.0
        view = y.view(2, 8)
        view[1].zero_()
        y.add_(1)
        return y, view, z


@program(f(4), f(4))
class BranchWrites(torch.nn.Module):
    def forward(self, x, y):
        a = x.clone()
        b = y.clone()
        if bool(x[0] > 0):
            a.add_(b)
            b.mul_(2)
        else:
            a[1] = 7.0
        a += b
        return a, b


@program(f(3, 4), dynamic="x=f32:n,4")
class LoopWrites(torch.nn.Module):
    def forward(self, x):
        acc = torch.zeros(4)
        parts = [torch.zeros(4), torch.ones(4)]
        for k in range(x.size(0)):
            acc += x[k]
            parts[0] = parts[0] + acc
            parts[1].mul_(0.5)
        return acc, parts[0], parts[1]


@program(f(2), steps=3)
class Counter(torch.nn.Module):
    """State that does not begin with zeros, and one that is assigned."""
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.tensor([3.0, 4.0]))
        self.register_buffer("last", torch.zeros(2))

    def forward(self, x):
        self.count += 1
        before = self.last
        self.last = x * 2
        return self.count * x, before + self.count


# ---- shapes ----

@program(f(2, 6, 4), dynamic="x=f32:n,m,4")
class Shapes(torch.nn.Module):
    def forward(self, x):
        b, s, e = x.shape
        y = x.view(b, s // 2, 2, e).transpose(1, 2).reshape(b * 2, -1, e)
        z = x.flatten(1).unflatten(1, (s, e)).permute(2, 0, 1)
        w = torch.zeros(b, s, dtype=x.dtype) + torch.arange(s)
        assert x.dim() == 3, "three axes"
        return y, z, w, x.new_ones([s, b]), x.expand(3, b, s, e)[0], x.numel() // e


@program(f(1, 3, 10, 12), dynamic="x=f32:1,3,h,w")
class Resized(torch.nn.Module):
    def forward(self, x):
        h, w = x.shape[-2:]
        a = torch.nn.functional.interpolate(x, size=[h * 2, w * 2], mode="nearest")
        b = torch.nn.functional.pad(x, [0, (4 - w % 4) % 4, 0, (4 - h % 4) % 4])
        return a, b, torch.nn.functional.avg_pool2d(b, 4)


@program(f(2, 3))
class Casts(torch.nn.Module):
    def forward(self, x):
        k = x.to(torch.int64)
        flags = x > 0
        n = int(flags.sum())
        m = float(x.max())
        t = torch.tensor([[1, 2, 3]], dtype=torch.float32)
        u = torch.tensor([n, 2]).float()
        return k + 1, x * n, x + m, t * x, u, torch.as_tensor(2.5) * x, flags.int(), x.double().float()


@program(f(2, 5))
class Shared(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Linear(5, 5)
        self.b = self.a
        self.norm = torch.nn.LayerNorm(5)
        self.seq = torch.nn.Sequential(self.a, torch.nn.GELU(), torch.nn.Dropout(0.3), self.norm)

    def forward(self, x):
        return self.seq(self.b(x)) + self.a(x)


@torch.jit.script
def clamp_to(x: Tensor, lo: float = -0.5, hi: float = 0.5) -> Tensor:
    return x.clamp(lo, hi)


@torch.jit.script
class Box:
    def __init__(self, low: float):
        self.low = low
        self.calls = 0

    def apply(self, x: Tensor) -> Tensor:
        self.calls += 1
        return clamp_to(x, self.low) * self.calls


@program(f(3, 3))
class Objects(torch.nn.Module):
    def forward(self, x):
        box = Box(-0.25)
        return box.apply(x) + box.apply(x) + clamp_to(x, hi=0.1)


@program(f(2, 4, 6), dynamic="x=f32:n,4,6")
class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = torch.nn.GRUCell(6, 5)

    def forward(self, x, h: Optional[Tensor] = None):
        if h is None:
            h = torch.zeros(x.size(0), 5)
        outs: List[Tensor] = []
        for step in x.unbind(1):
            h = self.cell(step, h)
            outs.append(h)
        return torch.stack(outs, 1), h


@program(f(6, 3))
class Masks(torch.nn.Module):
    def forward(self, x):
        keep = x[:, 0] > 0
        picked = x[keep]
        if picked.shape[0] == 0:
            picked = torch.zeros(1, 3)
        best = torch.where(x > 0, x, torch.zeros_like(x))
        best[~keep] = -1.0
        return picked.sum(0), torch.nonzero(keep), best, picked.numel()


# ---- more of the language ----

class Color(enum.Enum):
    RED = 1
    GREEN = 2


@program(f(2, 3))
class Enums(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.color = Color.GREEN

    def forward(self, x):
        if self.color == Color.GREEN:
            x = x + 1
        if self.color is Color.RED:
            x = x * 3
        return x * self.color.value


@program(f(3, 4))
class MoreLists(torch.nn.Module):
    def forward(self, x):
        sizes = [5, 3, 8, 1]
        sizes.remove(3)
        copy = sizes.copy()
        copy.clear()
        backwards = sizes[::-1]
        part = sizes[-1:0:-1]
        del sizes[0]
        nested = [[1, 2], [3]]
        nested[0].append(9)
        values = {k: k * 2 for k in [1, 2, 3]}
        total = sizes.count(8) + len(copy) + backwards[0] * 10 + part[0] + nested[0][2] + sum(values.values())
        return x * total, abs(x), x.element_size()


@program(f(3, 4))
class Fork(torch.nn.Module):
    def scaled(self, x, n: int):
        return x * n

    def forward(self, x):
        later = torch.jit.fork(self.scaled, x, 3)
        return self.scaled(x, 2) - torch.jit.wait(later)


@program(f(3, 4))
class SetState(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.arange(4.0)
        self.k = 3

    @torch.jit.export
    def __getstate__(self):
        return (self.w * 2, self.k, self.training)

    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, int, bool]):
        self.w = state[0] / 2
        self.k = state[1] + 1
        self.training = state[2]

    def forward(self, x):
        return x * self.w + self.k


class Doubled(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2


def before(self, input: Tuple[Tensor]) -> Tuple[Tensor]:
    return (input[0] + 1,)


def after(self, input: Tuple[Tensor], output: Tensor) -> Tensor:
    return output * 3


@program(f(3, 4))
class Hooks(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Doubled()
        self.inner.register_forward_pre_hook(before)
        self.inner.register_forward_hook(after)

    def forward(self, x):
        return self.inner(x)


# ---- lists and values that loops and branches leave ----

@program(i(1), f(1, 6))
class Decode(torch.nn.Module):
    """Tokens up to the end of the sentence."""
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(7, 6)
        self.cell = torch.nn.GRUCell(6, 6)
        self.head = torch.nn.Linear(6, 7)

    def forward(self, token, h):
        tokens: List[int] = []
        for k in range(10):
            h = self.cell(self.table(token), h)
            token = self.head(h).argmax(1)
            t = int(token)
            if t == 3:
                break
            tokens.append(t)
        return torch.tensor(tokens), h


@program(f(5, 3), dynamic="x=f32:n,3")
class Picked(torch.nn.Module):
    def forward(self, x):
        rows: List[Tensor] = []
        for k in range(x.size(0)):
            if bool(x[k].sum() > 0):
                rows.append(x[k])
        if len(rows) > 0:
            return torch.stack(rows), len(rows)
        return torch.zeros(0, 3), 0


@program(f(5, 3), dynamic="x=f32:n,3")
class EarlyReturn(torch.nn.Module):
    def forward(self, x):
        for k in range(x.size(0)):
            if bool(x[k].sum() > 1.0):
                return x[k] * 2
        return x[0] * 0


@program(f(5, 3), dynamic="x=f32:n,3")
class Slots(torch.nn.Module):
    """Elements of a list at an index that the model computes."""
    def forward(self, x):
        sums = [torch.zeros(3), torch.zeros(3)]
        for k in range(x.size(0)):
            sums[k % 2] = sums[k % 2] + x[k]
            sums[-1 - k % 2] = sums[k % 2] * 0.5
        return sums[0], sums[1]


@program(f(5, 3), dynamic="x=f32:n,3")
class Window(torch.nn.Module):
    def forward(self, x):
        window: List[Tensor] = [torch.zeros(3), torch.zeros(3)]
        total = torch.zeros(3)
        for k in range(x.size(0)):
            window.append(x[k])
            window.pop(0)
            total = total + window[0] * window[1]
        return total


@program(f(4), f(4))
class Perhaps(torch.nn.Module):
    """What is None on one way only."""
    def forward(self, x, y):
        z: Optional[Tensor] = None
        k: Optional[int] = None
        if bool(x.sum() > 0):
            z = y
        if bool(y.sum() > 0):
            k = 3
        if z is not None:
            x = x + z
        return x * (k if k is not None else 2)


# ---- more state ----

@program(f(4), steps=3)
class History(torch.nn.Module):
    """A buffer that moves up, a number, a list, a tuple; what is set before it is read is not kept."""
    scratch: Optional[Tensor]

    def __init__(self):
        super().__init__()
        self.register_buffer("rows", torch.zeros(3, 4))
        self.calls = 2
        self.rate = 0.5
        self.pair = [torch.ones(4), torch.zeros(4)]
        self.state: Tuple[Tensor, Tensor] = (torch.zeros(4), torch.full((4,), 2.0))
        self.scratch: Optional[Tensor] = None

    def forward(self, x):
        self.rows[:-1] = self.rows[1:].clone()
        self.rows[-1] = x
        self.calls += 1
        self.rate = self.rate * 0.5
        self.pair[0] = self.pair[0] + x
        a, b = self.state
        self.state = (a + x, b * 0.5)
        self.scratch = x * self.rate
        scratch = self.scratch
        assert scratch is not None
        return self.rows.sum(0), x * self.calls, self.pair[0] - self.pair[1], a + b, scratch


class Decay(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("s", torch.ones(2))

    def forward(self, x):
        self.s = self.s * 0.5 + x
        return self.s


@program(f(2), steps=3)
class SharedState(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.ModuleList([Decay(), Decay()])
        self.b = self.a[0]

    def forward(self, x):
        for m in self.a:
            x = m(x)
        return x + self.b(x)


# ---- what no table has: the file alone is written, into tests/torch/errors ----

ERRORS = FOLDER.parent / "errors"
library = torch.library.Library("mylib", "DEF")
library.define("mystery(Tensor x, int k) -> Tensor")


def mystify(x: Tensor, k: int) -> Tensor:
    y = x + 1
    return torch.ops.mylib.mystery(y, k)


class Block(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        z = x * 2
        return mystify(z, 3)


class CustomOp(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block()

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x)
        return torch.linalg.eigvals(x)


class Cached(torch.nn.Module):
    """State that has no type before the first run."""
    last: Optional[Tensor]

    def __init__(self):
        super().__init__()
        self.last = None

    def forward(self, x: Tensor) -> Tensor:
        last = self.last
        y = x if last is None else x + last
        self.last = x
        return y


class Methods(torch.nn.Module):
    @torch.jit.export
    def encode(self, x: Tensor) -> Tensor:
        return x * 2


def record(name):
    module, specs, dynamic, steps = PROGRAMS[name]
    torch.manual_seed(7)
    instance = torch.jit.script(module().eval())
    rng = np.random.default_rng(len(name))
    arrays = {}
    names = list(inspect.signature(module.forward).parameters)[1:]
    for k, (argument, (shape, dtype)) in enumerate(zip(names, specs)):
        value = rng.normal(0, 1, shape) if dtype == np.float32 else rng.integers(0, 4, shape)
        arrays["in_" + argument] = np.asarray(value, dtype)
    path = FOLDER / f"{name}.pt"
    instance.save(str(path))
    instance = torch.jit.load(str(path))
    results = []
    with torch.no_grad():
        for step in range(steps or 1):
            results.append(flat(instance(*[torch.from_numpy(v.copy()) for v in arrays.values()])))
    if steps:
        arrays = {k: np.stack([v] * steps) for k, v in arrays.items()}
        outputs = [np.stack(r) for r in zip(*results)]
    else:
        outputs = results[0]
    arrays.update({f"out_{k}": v for k, v in enumerate(outputs)})
    if steps:
        arrays["steps"] = np.array(steps)
    if dynamic:
        arrays["spec"] = np.array(dynamic)
    np.savez_compressed(FOLDER / f"{name}.npz", **arrays)


def flat(x):
    if isinstance(x, Tensor):
        return [x.detach().numpy().copy()]
    if isinstance(x, dict):
        return [leaf for v in x.values() for leaf in flat(v)]
    if isinstance(x, (list, tuple)):
        return [leaf for v in x for leaf in flat(v)]
    kinds = ((bool, np.bool_), (int, np.int64), (float, np.float32))
    return [np.asarray(x, next(dtype for kind, dtype in kinds if isinstance(x, kind)))]


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    ERRORS.mkdir(parents=True, exist_ok=True)
    for wrong in (CustomOp, Cached, Methods):
        torch.jit.script(wrong().eval()).save(str(ERRORS / f"{wrong.__name__}.pt"))
    for chosen in sys.argv[1:] or PROGRAMS:
        record(chosen)
