"""Random small ONNX graphs: one maker per operator, each knows the shape and type of what it makes.

A value is `exact` when every right implementation computes the same bits: an input, or what data movement, comparison
and arithmetic on short dyadic fractions make of it. Operators that jump (Floor, ArgMax, a comparison) or that magnify
small errors (Log, Reciprocal) are fed with exact values alone, so that a difference is a fault and not a rounding.
"""
import math

import numpy as np
from onnx import helper, numpy_helper

FLOATS = {"f"}
NUMPY = {"f": np.float32, "l": np.int64, "i": np.int32, "b": np.bool_, "B": np.uint8, "c": np.int8}
CODE = {"f": 1, "l": 7, "i": 6, "b": 9, "B": 2, "c": 3}


class Value:
    def __init__(self, name, shape, kind, exact=False, grid=None, top=4.0):
        self.name, self.shape, self.kind = name, tuple(int(d) for d in shape), kind
        self.exact = exact or kind != "f"
        self.grid, self.top = grid, top  # multiples of grid, at most top; of exact floats

    @property
    def rank(self):
        return len(self.shape)

    @property
    def size(self):
        return math.prod(self.shape)


class Graph:
    """One random graph. Names begin with `prefix`, so that many live in one model."""

    def __init__(self, seed, opset=21):
        self.rng = np.random.default_rng(seed)
        self.seed, self.prefix, self.opset = seed, f"g{seed}_", opset
        self.nodes, self.constants, self.feeds, self.values, self.outputs = [], [], {}, [], []
        self.open = {}  # input -> its axes with open size
        self.ops = []
        self.count = 0

    # ---- drawing ----

    def chance(self, p):
        return bool(self.rng.random() < p)

    def pick(self, items):
        return items[int(self.rng.integers(len(items)))]

    def between(self, lo, hi):
        return int(self.rng.integers(lo, hi + 1))

    def dims(self, rank, limit=600):
        while True:
            shape = tuple(int(self.pick([1, 1, 2, 2, 3, 4, 5, 7, 8])) for _ in range(rank))
            if math.prod(shape) <= limit:
                return shape

    def array(self, shape, kind="f", lo=-16, hi=16):
        """Floats are multiples of 1/4 in [lo, hi] / 4."""
        if kind == "f":
            return np.asarray(self.rng.integers(lo, hi + 1, shape) / 4, np.float32)
        if kind == "b":
            return np.asarray(self.rng.integers(0, 2, shape), np.bool_)
        lo, hi = (0, 9) if kind == "B" else (-9, 9)
        return np.asarray(self.rng.integers(lo, hi + 1, shape), NUMPY[kind])

    # ---- building ----

    def name(self):
        self.count += 1
        return f"{self.prefix}v{self.count}"

    def constant(self, array):
        array = np.asarray(array)
        name = self.name()
        self.constants.append(numpy_helper.from_array(array, name))
        kind = next(k for k, t in NUMPY.items() if t == array.dtype)
        top = float(np.abs(array).max()) if array.size and kind == "f" else 4.0
        return Value(name, array.shape, kind, True, 0.25 if kind == "f" else None, top)

    def input(self, shape, kind="f"):
        name = self.name()
        self.feeds[name] = self.array(shape, kind)
        may_open = [i for i in range(len(shape)) if i != 1 or len(shape) < 3]  # channels are never open
        self.open[name] = [i for i in may_open if self.chance(0.4)] if self.chance(0.25) else []
        value = Value(name, shape, kind, True, 0.25)
        self.values.append(value)
        return value

    def take(self, kind="f", rank=None, low=1, high=4, exact=False, shape=None, nonempty=True):
        """A value that fits: one there is, or a new input."""
        fits = [v for v in self.values if v.kind == kind and (not exact or v.exact)
                and (v.shape == shape if shape is not None else v.rank == rank if rank is not None
                     else low <= v.rank <= high)]
        if fits and self.chance(0.8):
            return fits[-1] if self.chance(0.5) else self.pick(fits)
        if shape is None:
            shape = self.dims(self.between(low, high) if rank is None else rank)
        return self.input(shape, kind)

    def operand(self, shape, kind="f", exact=False):
        """Something that broadcasts against shape: a value, an input or a constant."""
        shape = tuple(1 if self.chance(0.2) else d for d in shape[self.between(0, len(shape)) if self.chance(0.5) else 0:])
        if self.chance(0.4):
            return self.constant(self.array(shape, kind))
        return self.take(kind, shape=shape, exact=exact)

    def add(self, op, ins, shape, kind="f", exact=False, grid=None, top=4.0, **attributes):
        return self.add_many(op, ins, [(shape, kind, exact)], grid, top, **attributes)[0]

    def add_many(self, op, ins, outs, grid=None, top=4.0, domain="", **attributes):
        values = [Value(self.name(), s, k, e, grid, top) for s, k, e in outs]
        attributes = {k: v for k, v in attributes.items() if v is not None}
        self.nodes.append(helper.make_node(op, [v.name if v else "" for v in ins], [v.name for v in values],
                                           name=f"{self.prefix}n{len(self.nodes)}_{op}", domain=domain, **attributes))
        self.ops.append(op)
        self.values += values
        return values

    def finish(self):
        used = {name for node in self.nodes for name in node.input}
        made = [v for v in self.values if v.name not in self.feeds]
        self.outputs = [v for v in made if v.name not in used] or made[-1:]
        self.feeds = {k: x for k, x in self.feeds.items() if k in used}


def broadcast(*shapes):
    return np.broadcast_shapes(*shapes)


MAKERS = {}


def maker(*names, weight=1):
    def register(function):
        for name in names:
            MAKERS[name] = (function, weight)
        return function
    return register


# ---- elementwise ----

SMOOTH = ["Sigmoid", "Tanh", "Erf", "Softplus", "Softsign", "Elu", "Selu", "Celu", "HardSigmoid", "HardSwish", "Gelu",
          "Mish", "Sin", "Cos", "Atan", "Asinh", "LeakyRelu"]
STEEP = ["Ceil", "Floor", "Round", "Sign", "Sqrt", "Log", "Reciprocal", "Exp", "Sinh", "Cosh", "Tan", "Acosh", "Atanh",
         "Asin", "Acos", "IsNaN", "IsInf", "ThresholdedRelu", "Shrink"]


@maker(*SMOOTH)
def smooth(g, op):
    x = g.take(high=5)
    alpha = float(g.pick([0.1, 0.5, 1.0, 2.0])) if op in ("Elu", "Celu", "LeakyRelu", "HardSigmoid") else None
    approximate = g.pick(["none", "tanh"]) if op == "Gelu" else None
    g.add(op, [x], x.shape, alpha=alpha, approximate=approximate)


DOMAINS = {"Sqrt": (1, 16), "Log": (1, 16), "Reciprocal": (1, 9), "Acosh": (4, 16), "Atanh": (-3, 3), "Asin": (-4, 4),
           "Acos": (-4, 4), "Tan": (-5, 5)}  # in quarters


@maker(*STEEP)
def steep(g, op):
    if op in DOMAINS and g.chance(0.85):  # else NaN and infinities come about
        x = g.input(g.dims(g.between(1, 5)))
        g.feeds[x.name] = g.array(x.shape, "f", *DOMAINS[op])
    else:
        x = g.take(high=5, exact=True)
    if op in ("Exp", "Sinh", "Cosh") and x.top > 20:
        x = g.input(x.shape)
    kind = "b" if op.startswith("Is") else "f"
    exact = op in ("Ceil", "Floor", "Round", "Sign", "IsNaN", "IsInf", "ThresholdedRelu", "Shrink")
    bias = float(g.pick([0.0, 0.5])) if op == "Shrink" else None
    lambd = float(g.pick([0.5, 1.0])) if op == "Shrink" else None
    alpha = float(g.pick([0.5, 1.0])) if op == "ThresholdedRelu" else None
    g.add(op, [x], x.shape, kind, exact, 0.25 if exact else None, x.top + 1, bias=bias, lambd=lambd, alpha=alpha)


@maker("Abs", "Neg", "Relu", "Identity")
def plain(g, op):
    x = g.take("f" if op == "Relu" or g.chance(0.7) else g.pick("li"), high=6)
    g.add(op, [x], x.shape, x.kind, x.exact, x.grid, x.top)


@maker("Clip")
def clip(g, op):
    x = g.take("f" if g.chance(0.8) else g.pick("li"))
    lo, hi = sorted(g.array((2,), x.kind).tolist())
    bounds = [g.constant(np.array(v, NUMPY[x.kind])) if g.chance(0.8) else None for v in (lo, hi)]
    g.add(op, [x, *bounds], x.shape, x.kind, x.exact, x.grid, x.top + 4)


@maker("Add", "Sub", "Mul", weight=3)
def arithmetic(g, op):
    x = g.take("f" if g.chance(0.75) else g.pick("li"), high=5)
    y = g.operand(x.shape, x.kind)
    if g.chance(0.5):
        x, y = y, x
    exact, grid, top = False, None, 4.0
    if x.kind == "f" and x.exact and y.exact and x.grid and y.grid:
        grid = min(x.grid, y.grid) if op != "Mul" else x.grid * y.grid
        top = x.top + y.top if op != "Mul" else x.top * y.top
        exact = top / grid < 2 ** 22
    g.add(op, [x, y], broadcast(x.shape, y.shape), x.kind, exact, grid, top)


@maker("Div", weight=2)
def divide(g, op):
    kind = "f" if g.chance(0.7) else g.pick("li")
    x = g.take(kind)
    shape = tuple(1 if g.chance(0.3) else d for d in x.shape)
    y = g.array(shape, kind, 1, 16) * (1 if g.chance(0.5) else -1)
    y = g.constant(np.where(y == 0, 3, y).astype(NUMPY[kind]))
    if kind == "f" and g.chance(0.3):
        x, y = y, g.add("Abs", [x], x.shape, "f") if g.chance(0.1) else g.add("Exp", [g.input(x.shape)], x.shape)
    g.add(op, [x, y], broadcast(x.shape, y.shape), kind)


@maker("Pow")
def power(g, op):
    x = g.take(exact=True)
    y = g.constant(np.array(g.pick([0.0, 0.5, 1.0, 2.0, 3.0, -1.0, 1.5]), np.float32)) if g.chance(0.7) else \
        g.operand(x.shape, exact=True)
    if x.top > 20 or y.top > 20:
        x, y = g.input(x.shape), g.constant(np.float32(2))
    if x.name in g.feeds and g.chance(0.8):
        g.feeds[x.name] = np.abs(g.feeds[x.name]) + np.float32(0.25)
    g.add(op, [x, y], broadcast(x.shape, y.shape))


@maker("Mod")
def modulo(g, op):
    kind = g.pick("fli")
    x = g.take(kind, exact=True)
    y = g.array((), kind, 1, 16) if g.chance(0.5) else g.array(x.shape, kind)
    y = g.constant(np.where(y == 0, 3, y).astype(NUMPY[kind]))
    fmod = 1 if kind == "f" else g.pick([0, 1])
    g.add(op, [x, y], x.shape, kind, True, 0.25, y.top, fmod=fmod)


@maker("Max", "Min", "Sum", "Mean")
def variadic(g, op):
    kind = "f" if op in ("Sum", "Mean") or g.chance(0.7) else g.pick("li")
    x = g.take(kind)
    ins = [x] + [g.operand(x.shape, kind) for _ in range(g.between(0, 2))]
    exact = op in ("Max", "Min") and all(v.exact for v in ins)
    g.add(op, ins, broadcast(*[v.shape for v in ins]), kind, exact, 0.25 if exact else None, max(v.top for v in ins))


@maker("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
def compare(g, op):
    x = g.take(g.pick("fli"), exact=True)
    y = g.operand(x.shape, x.kind, exact=True)
    g.add(op, [x, y], broadcast(x.shape, y.shape), "b")


@maker("And", "Or", "Xor")
def logic(g, op):
    x = g.take("b")
    y = g.operand(x.shape, "b")
    g.add(op, [x, y], broadcast(x.shape, y.shape), "b")


@maker("Not")
def negate(g, op):
    x = g.take("b")
    g.add(op, [x], x.shape, "b")


@maker("BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot")
def bitwise(g, op):
    x = g.take("i")
    ins = [x] if op == "BitwiseNot" else [x, g.operand(x.shape, x.kind)]
    g.add(op, ins, broadcast(*[v.shape for v in ins]), x.kind)


@maker("Where", weight=2)
def where(g, op):
    x = g.take(g.pick("fffli"))
    y, c = g.operand(x.shape, x.kind), g.operand(x.shape, "b")
    exact = x.exact and y.exact
    g.add(op, [c, x, y], broadcast(x.shape, y.shape, c.shape), x.kind, exact, 0.25 if exact else None, max(x.top, y.top))


@maker("Cast", weight=2)
def cast(g, op):
    x = g.take(g.pick("flib"), exact=True)
    to = g.pick([k for k in "flib" if k != x.kind])
    g.add(op, [x], x.shape, to, True, 1 if to == "f" else None, 16.0, to=CODE[to])


@maker("PRelu")
def prelu(g, op):
    x = g.take(low=2)
    slope = g.array(tuple(1 if g.chance(0.5) else d for d in x.shape[1:]))
    g.add(op, [x, g.constant(slope)], x.shape)


# ---- movement ----

def moved(g, op, ins, x, shape, **attributes):
    return g.add(op, ins, shape, x.kind, x.exact, x.grid, x.top, **attributes)


def any_value(g, low=1, high=5):
    return g.take(g.pick("ffffflib"), low=low, high=high)


@maker("Transpose", weight=4)
def transpose(g, op):
    x = any_value(g, 1, 5)
    perm = [int(i) for i in g.rng.permutation(x.rank)]
    moved(g, op, [x], x, [x.shape[i] for i in perm], perm=perm)


def split_of(g, n):
    """n as a product of a few factors."""
    factors = []
    while n > 1 and len(factors) < 4:
        divisors = [d for d in range(2, n + 1) if n % d == 0]
        factors.append(int(g.pick(divisors)))
        n //= factors[-1]
    factors.append(n)
    if g.chance(0.3):
        factors.insert(g.between(0, len(factors)), 1)
    return factors


@maker("Reshape", weight=4)
def reshape(g, op):
    x = any_value(g)
    shape = split_of(g, x.size)
    g.rng.shuffle(shape)
    asked = list(shape)
    if g.chance(0.5):
        asked[g.between(0, len(shape) - 1)] = -1
    elif shape[0] == x.shape[0] and g.chance(0.7):
        asked[0] = 0
    moved(g, op, [x, g.constant(np.array(asked, np.int64))], x, shape)


@maker("Flatten")
def flatten(g, op):
    x = any_value(g)
    axis = g.between(-x.rank, x.rank)
    at = axis + x.rank if axis < 0 else axis
    moved(g, op, [x], x, [math.prod(x.shape[:at]), math.prod(x.shape[at:])], axis=axis)


@maker("Squeeze")
def squeeze(g, op):
    x = any_value(g)
    ones = [i for i, d in enumerate(x.shape) if d == 1]
    if not ones:
        return unsqueeze(g, "Unsqueeze")
    axes = [i for i in ones if g.chance(0.6)] or ones[:1]
    shape = [d for i, d in enumerate(x.shape) if i not in axes]
    moved(g, op, [x, g.constant(np.array([a - x.rank if g.chance(0.3) else a for a in axes], np.int64))], x, shape)


@maker("Unsqueeze")
def unsqueeze(g, op):
    x = any_value(g, 0, 4)
    axis = g.between(0, x.rank)
    shape = list(x.shape)
    shape.insert(axis, 1)
    moved(g, op, [x, g.constant(np.array([axis], np.int64))], x, shape)


@maker("Expand")
def expand(g, op):
    x = any_value(g, 1, 4)
    to = [int(g.pick([2, 3])) if d == 1 else (1 if g.chance(0.3) else d) for d in x.shape]
    if g.chance(0.3):
        to = [2, *to]
    moved(g, op, [x, g.constant(np.array(to, np.int64))], x, broadcast(x.shape, tuple(to)))


@maker("Tile")
def tile(g, op):
    x = any_value(g, 1, 4)
    reps = [g.between(1, 3) for _ in x.shape]
    moved(g, op, [x, g.constant(np.array(reps, np.int64))], x, [a * b for a, b in zip(x.shape, reps)])


@maker("Concat", weight=3)
def concat(g, op):
    x = any_value(g)
    axis = g.between(-x.rank, x.rank - 1)
    ins, total = [x], x.shape[axis]
    for _ in range(g.between(1, 2)):
        shape = list(x.shape)
        if g.chance(0.5):
            shape[axis] = g.between(1, 4)
        shape = tuple(shape)
        y = g.constant(g.array(shape, x.kind)) if g.chance(0.3) else g.take(x.kind, shape=shape)
        ins.append(y)
        total += shape[axis]
    shape = list(x.shape)
    shape[axis] = total
    exact = all(v.exact for v in ins)
    g.add(op, ins, shape, x.kind, exact, 0.25 if exact else None, max(v.top for v in ins), axis=axis)


@maker("Split", weight=2)
def split(g, op):
    x = any_value(g)
    axis = g.between(-x.rank, x.rank - 1)
    n, sizes = x.shape[axis], []
    while n > 0:
        sizes.append(g.between(1, n))
        n -= sizes[-1]
    outs = [(tuple(s if i == axis % x.rank else d for i, d in enumerate(x.shape)), x.kind, x.exact) for s in sizes]
    g.add_many(op, [x, g.constant(np.array(sizes, np.int64))], outs, x.grid, x.top, axis=axis)


@maker("Slice", weight=4)
def slice_(g, op):
    x = any_value(g)
    axes = [i for i in range(x.rank) if g.chance(0.6)] or [0]
    starts, ends, steps, shape = [], [], [], list(x.shape)
    for a in axes:
        d = x.shape[a]
        step = g.pick([1, 1, 1, 2, 3, -1, -2])
        start = g.between(0, d - 1)
        end = g.between(start + 1, d) if step > 0 else (g.between(-1, start - 1))
        shape[a] = len(range(start, end, step))
        if end == -1:
            end = -d - 1 if g.chance(0.5) else -2 ** 31
        elif end == d and g.chance(0.5):
            end = 2 ** 31 - 1
        elif end < d and g.chance(0.3):
            end -= d
        starts.append(start - d if g.chance(0.3) else start)
        ends.append(end)
        steps.append(step)
    named = [a - x.rank if g.chance(0.3) else a for a in axes]
    moved(g, op, [x] + [g.constant(np.array(v, np.int64)) for v in (starts, ends, named, steps)], x, shape)


@maker("Pad", weight=2)
def pad(g, op):
    x = g.take("f" if g.chance(0.8) else "i")
    mode = g.pick(["constant", "constant", "reflect", "edge", "wrap"])
    limit = [2 if mode == "constant" else d - 1 if mode == "reflect" else d if mode == "wrap" else 2 for d in x.shape]
    lo, hi = ([g.between(0, min(2, m)) if g.chance(0.6) else 0 for m in limit] for _ in "lh")
    if mode == "constant" and g.chance(0.3):
        lo = [-1 if d > 2 and g.chance(0.5) else p for d, p in zip(x.shape, lo)]
    value = g.constant(g.array((), x.kind)) if mode == "constant" and g.chance(0.5) else None
    ins = [x, g.constant(np.array(lo + hi, np.int64))] + ([value] if value else [])
    moved(g, op, ins, x, [a + d + b for a, d, b in zip(lo, x.shape, hi)], mode=mode)


@maker("DepthToSpace", "SpaceToDepth")
def space(g, op):
    b = g.pick([2, 3])
    n, c, h, w = g.dims(4, 40)
    mode = None
    if op == "DepthToSpace":
        x, shape = g.take(shape=(n, c * b * b, h, w)), (n, c, h * b, w * b)
        mode = g.pick(["DCR", "CRD"])
    else:
        x, shape = g.take(shape=(n, c, h * b, w * b)), (n, c * b * b, h, w)
    moved(g, op, [x], x, shape, blocksize=b, mode=mode)


def indices(g, shape, n, negative=True):
    a = g.rng.integers(-n if negative and g.chance(0.4) else 0, n, shape).astype(np.int64)
    return a.astype(np.int32) if g.chance(0.3) else a


def index_value(g, array):
    """As a constant, or as an input of the model."""
    if g.chance(0.7):
        return g.constant(array)
    name = g.name()
    g.feeds[name], g.open[name] = array, []
    return Value(name, array.shape, "l")


@maker("Gather", weight=2)
def gather(g, op):
    x = any_value(g)
    axis = g.between(-x.rank, x.rank - 1)
    shape = g.dims(g.between(0, 2), 12)
    at = index_value(g, indices(g, shape, x.shape[axis]))
    a = axis % x.rank
    moved(g, op, [x, at], x, x.shape[:a] + shape + x.shape[a + 1:], axis=axis)


@maker("GatherElements")
def gather_elements(g, op):
    x = any_value(g, 1, 4)
    axis = g.between(-x.rank, x.rank - 1)
    shape = list(x.shape)
    shape[axis] = g.between(1, 5)
    moved(g, op, [x, index_value(g, indices(g, shape, x.shape[axis]))], x, shape, axis=axis)


@maker("GatherND")
def gather_nd(g, op):
    x = any_value(g, 1, 4)
    k = g.between(1, x.rank)
    lead = g.dims(g.between(1, 2), 12)
    at = np.stack([g.rng.integers(0, d, lead) for d in x.shape[:k]], -1).astype(np.int64)
    moved(g, op, [x, index_value(g, at)], x, lead + x.shape[k:])


@maker("ScatterElements")
def scatter_elements(g, op):
    x = g.take("f", high=4)
    axis = g.between(-x.rank, x.rank - 1)
    shape = [g.between(1, d) for d in x.shape]
    reduction = g.pick(["none", "none", "add", "mul", "max", "min"])
    at = np.empty(shape, np.int64)
    for where_ in np.ndindex(*[d for i, d in enumerate(shape) if i != axis % x.rank]):
        index = list(where_)
        index.insert(axis % x.rank, slice(None))
        at[tuple(index)] = g.rng.permutation(x.shape[axis])[:shape[axis]]
    updates = g.take("f", shape=tuple(shape))
    exact = x.exact and updates.exact and reduction in ("none", "max", "min")
    g.add(op, [x, index_value(g, at), updates], x.shape, "f", exact, 0.25, max(x.top, updates.top), axis=axis,
          reduction=reduction)


@maker("ScatterND")
def scatter_nd(g, op):
    x = g.take("f", high=4)
    k = g.between(1, x.rank)
    rows = np.array(list(np.ndindex(*x.shape[:k])), np.int64)
    n = g.between(1, min(4, len(rows)))
    at = rows[g.rng.permutation(len(rows))[:n]]
    reduction = g.pick(["none", "none", "add", "mul", "max", "min"])
    updates = g.take("f", shape=(n, *x.shape[k:]))
    exact = x.exact and updates.exact and reduction in ("none", "max", "min")
    g.add(op, [x, index_value(g, at), updates], x.shape, "f", exact, 0.25, max(x.top, updates.top), reduction=reduction)


@maker("OneHot")
def one_hot(g, op):
    depth = g.between(2, 5)
    shape = g.dims(g.between(1, 3), 40)
    at = index_value(g, indices(g, shape, depth).astype(np.int64))
    axis = g.between(-len(shape) - 1, len(shape))
    out = list(shape)
    out.insert(axis % (len(shape) + 1), depth)
    kind = g.pick("fl")
    g.add(op, [at, g.constant(np.array(depth, np.int64)), g.constant(np.array([0, 1], NUMPY[kind]))], out, kind, True, 1,
          1.0, axis=axis)


@maker("Trilu")
def trilu(g, op):
    x = g.take(g.pick("ffl"), low=2)
    k = g.constant(np.array(g.between(-2, 2), np.int64)) if g.chance(0.6) else None
    moved(g, op, [x, k] if k else [x], x, x.shape, upper=g.pick([0, 1]))


@maker("ReverseSequence")
def reverse_sequence(g, op):
    x = g.take("f", low=2)
    batch = g.pick([0, 1])
    lengths = g.rng.integers(1, x.shape[1 - batch] + 1, x.shape[batch]).astype(np.int64)
    moved(g, op, [x, index_value(g, lengths)], x, x.shape, batch_axis=batch, time_axis=1 - batch)


# ---- reductions and order ----

@maker("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
       "ReduceLogSumExp", "ReduceLogSum")
def reduce(g, op):
    kind = "f" if op in ("ReduceMean", "ReduceL2", "ReduceLogSumExp", "ReduceLogSum") or g.chance(0.8) else g.pick("il")
    x = g.take(kind, exact=op in ("ReduceLogSum", "ReduceL2", "ReduceProd"), high=5)
    if op == "ReduceLogSum":
        x = g.add("Abs", [x], x.shape, "f", True, x.grid, x.top)
    if op == "ReduceProd" and (kind != "f" or x.top > 4 or x.size > 60):  # onnxruntime multiplies i32 in floats
        x = g.constant(g.array(g.dims(2, 8), kind, -6, 6))
        x = g.add("Identity", [x], x.shape, kind, True, 0.25)
    axes = [i for i in range(x.rank) if g.chance(0.5)]
    keep = g.pick([0, 1])
    gone = axes or list(range(x.rank))
    shape = [1 if i in gone else d for i, d in enumerate(x.shape) if keep or i not in gone]
    named = [a - x.rank if g.chance(0.3) else a for a in axes]
    ins = [x, g.constant(np.array(named, np.int64))] if axes else [x]
    exact = x.exact and op in ("ReduceMax", "ReduceMin")
    g.add(op, ins, shape, kind, exact, x.grid if exact else None, x.top, keepdims=keep)


@maker("ArgMax", "ArgMin")
def arg(g, op):
    x = g.take(g.pick("ffi"), exact=True)
    axis, keep = g.between(-x.rank, x.rank - 1), g.pick([0, 1])
    shape = [1 if i == axis % x.rank else d for i, d in enumerate(x.shape) if keep or i != axis % x.rank]
    g.add(op, [x], shape, "l", axis=axis, keepdims=keep, select_last_index=1 if g.chance(0.2) else None)


@maker("TopK")
def topk(g, op):
    x = g.take("f", exact=True)
    axis = g.between(-x.rank, x.rank - 1)
    k = g.between(1, x.shape[axis])
    shape = [k if i == axis % x.rank else d for i, d in enumerate(x.shape)]
    g.add_many(op, [x, g.constant(np.array([k], np.int64))], [(shape, "f", True), (shape, "l", True)], x.grid, x.top,
               axis=axis, largest=g.pick([1, 1, 0]), sorted=1)


@maker("CumSum")
def cumsum(g, op):
    x = g.take(g.pick("ffl"))
    axis = g.constant(np.array(g.between(-x.rank, x.rank - 1), g.pick([np.int64, np.int32])))
    g.add(op, [x, axis], x.shape, x.kind, exclusive=g.pick([0, 1]), reverse=g.pick([0, 1]))


@maker("Softmax", "LogSoftmax", weight=2)
def softmax(g, op):
    x = g.take()
    g.add(op, [x], x.shape, axis=g.between(-x.rank, x.rank - 1))


@maker("Hardmax")
def hardmax(g, op):
    x = g.take(exact=True)
    g.add(op, [x], x.shape, "f", True, 1, 1.0, axis=g.between(-x.rank, x.rank - 1))


# ---- normalisation ----

def channels(g, x, positive=False):
    a = g.array(x.shape[1:2])
    return g.constant(np.abs(a) + np.float32(0.5) if positive else a)


@maker("BatchNormalization", weight=2)
def batch_norm(g, op):
    x = g.take(low=2, high=4)
    g.add(op, [x, channels(g, x), channels(g, x), channels(g, x), channels(g, x, True)], x.shape,
          epsilon=g.pick([1e-5, 1e-3]))


@maker("InstanceNormalization")
def instance_norm(g, op):
    x = g.take(shape=(g.between(1, 2), g.between(1, 4), g.between(2, 5), g.between(2, 5)), exact=True)
    g.add(op, [x, channels(g, x), channels(g, x)], x.shape, epsilon=1e-2)


@maker("LayerNormalization")
def layer_norm(g, op):
    x = g.take(low=2, high=4, exact=True)
    axis = g.between(1, x.rank - 1)
    ins = [x, g.constant(g.array(x.shape[axis:]))] + ([g.constant(g.array(x.shape[axis:]))] if g.chance(0.7) else [])
    g.add(op, ins, x.shape, axis=axis - x.rank if g.chance(0.5) else axis, epsilon=1e-2)


@maker("GroupNormalization")
def group_norm(g, op):
    groups = g.between(1, 3)
    x = g.input((g.between(1, 2), groups * g.between(1, 2), g.between(2, 4), g.between(2, 4)))
    g.add(op, [x, channels(g, x), channels(g, x)], x.shape, num_groups=groups, epsilon=1e-2)


@maker("LpNormalization")
def lp_norm(g, op):
    shape = g.dims(g.between(1, 4))
    x = g.input(shape)
    y = g.add("Add", [x, g.constant(np.float32(8.125))], shape, "f", True, 0.125, 13)
    g.add(op, [y], shape, axis=g.between(-len(shape), len(shape) - 1), p=g.pick([1, 2]))


@maker("LRN")
def lrn(g, op):
    x = g.take(rank=4)
    g.add(op, [x], x.shape, size=g.pick([1, 3, 5]), alpha=0.01, beta=0.75, bias=1.0)


# ---- windows ----

def window(g, n, at_most=3):
    """Sizes, strides, dilations and pads of an n-dimensional window, with input sizes that it fits into."""
    kernel = [g.between(1, at_most) for _ in range(n)]
    stride = [g.between(1, 2) for _ in range(n)]
    dilation = [g.between(1, 2) if g.chance(0.3) else 1 for _ in range(n)]
    pads = [g.between(0, k - 1) if g.chance(0.5) else 0 for k in kernel * 2]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    sizes = [r + g.between(0, 4) for r in reach]
    return kernel, stride, dilation, pads, sizes


def window_out(sizes, kernel, stride, dilation, pads, ceil=False):
    n = len(sizes)
    out = []
    for i in range(n):
        room = sizes[i] + pads[i] + pads[n + i] - (kernel[i] - 1) * dilation[i] - 1
        size = (-(-room // stride[i]) if ceil else room // stride[i]) + 1
        if ceil and (size - 1) * stride[i] >= sizes[i] + pads[i]:
            size -= 1
        out.append(size)
    return out


def fit(g, batch, sizes):
    """An activation of these sizes: cut out of one there is, or an input."""
    return g.take(shape=(batch[0], batch[1], *sizes))


@maker("Conv", weight=6)
def conv(g, op):
    n = g.pick([1, 2, 2, 2, 2, 3])
    kernel, stride, dilation, pads, sizes = window(g, n, 3 if n < 3 else 2)
    group = g.pick([1, 1, 1, 2, 3])
    depth = g.between(1, 3)
    c, o = group * (1 if g.chance(0.3) else depth), group * g.between(1, 3)
    x = fit(g, (g.between(1, 2), c), sizes)
    ins = [x, g.constant(g.array((o, c // group, *kernel), lo=-6, hi=6))]
    if g.chance(0.5):
        ins.append(g.constant(g.array((o,))))
    auto = g.pick(["SAME_UPPER", "SAME_LOWER", "VALID"]) if g.chance(0.15) else None
    if auto and auto != "VALID":
        dilation = [1] * n
        out = [-(-s // t) for s, t in zip(sizes, stride)]
    else:
        out = window_out(sizes, kernel, stride, dilation, [0] * 2 * n if auto else pads)
    g.add(op, ins, (x.shape[0], o, *out), kernel_shape=kernel, strides=stride, dilations=dilation, group=group,
          pads=None if auto else pads, auto_pad=auto)


@maker("ConvTranspose", weight=2)
def conv_transpose(g, op):
    n = g.pick([1, 2, 2, 2])
    kernel, stride, dilation, pads, sizes = window(g, n)
    sizes = [min(s, 4) for s in sizes]
    extra = [g.between(0, max(0, s - 1)) if g.chance(0.3) else 0 for s in stride]
    out = [(s - 1) * t + e + (k - 1) * d + 1 - pads[i] - pads[n + i]
           for i, (s, t, e, k, d) in enumerate(zip(sizes, stride, extra, kernel, dilation))]
    if min(out) < 1:
        return
    group = g.pick([1, 1, 2])
    c, o = group * g.between(1, 2), g.between(1, 2)
    x = fit(g, (g.between(1, 2), c), sizes)
    ins = [x, g.constant(g.array((c, o, *kernel), lo=-6, hi=6))]
    if g.chance(0.5):
        ins.append(g.constant(g.array((o * group,))))
    g.add(op, ins, (x.shape[0], o * group, *out), kernel_shape=kernel, strides=stride, dilations=dilation, group=group,
          pads=pads, output_padding=extra)


@maker("MaxPool", "AveragePool", weight=3)
def pool(g, op):
    n = g.pick([1, 2, 2, 2, 3])
    kernel, stride, dilation, pads, sizes = window(g, n)
    ceil = g.pick([0, 0, 0, 1])
    x = fit(g, (g.between(1, 2), g.between(1, 4)), sizes)
    out = window_out(sizes, kernel, stride, dilation, pads, ceil)
    include = g.pick([0, 1]) if op == "AveragePool" else None
    exact = op == "MaxPool" and x.exact
    g.add(op, [x], (*x.shape[:2], *out), "f", exact, x.grid if exact else None, x.top, kernel_shape=kernel, strides=stride,
          dilations=dilation, pads=pads, ceil_mode=ceil, count_include_pad=include)


@maker("LpPool")
def lp_pool(g, op):
    kernel, stride, dilation, pads, sizes = window(g, 2)
    x = fit(g, (1, g.between(1, 3)), sizes)
    g.add(op, [x], (*x.shape[:2], *window_out(sizes, kernel, stride, [1, 1], pads)), kernel_shape=kernel,
          strides=stride, pads=pads, p=g.pick([1, 2]))


@maker("GlobalAveragePool", "GlobalMaxPool")
def global_pool(g, op):
    x = g.take(low=3, high=5)
    exact = x.exact and op == "GlobalMaxPool"
    g.add(op, [x], (*x.shape[:2], *[1] * (x.rank - 2)), "f", exact, x.grid if exact else None, x.top)


@maker("Resize", weight=2)
def resize(g, op):
    x = g.take(rank=g.pick([3, 4, 4]))
    mode = g.pick(["nearest", "linear", "linear", "cubic"]) if x.rank == 4 else g.pick(["nearest", "linear"])
    coordinates = g.pick(["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"])
    near = g.pick(["round_prefer_floor", "floor", "ceil", "round_prefer_ceil"]) if mode == "nearest" else None
    out = list(x.shape)
    if g.chance(0.5):
        scales = [1.0, 1.0] + [g.pick([1.0, 2.0, 3.0, 0.5, 1.5]) for _ in x.shape[2:]]
        out = [int(math.floor(d * s)) for d, s in zip(x.shape, scales)]
        ins = [x, None, g.constant(np.array(scales, np.float32))]
    else:
        # nearest: whole factors, since onnxruntime rounds coordinates that are whole before it takes their floor
        out[2:] = [d * g.between(1, 3) if mode == "nearest" else g.between(1, 9) for d in out[2:]]
        ins = [x, None, None, g.constant(np.array(out, np.int64))]
    if min(out) < 1 or (mode == "cubic" and min(x.shape[2:]) < 2):
        return
    exact = mode == "nearest" and x.exact
    g.add(op, ins, out, "f", exact, x.grid if exact else None, x.top, mode=mode, nearest_mode=near,
          coordinate_transformation_mode=coordinates,
          cubic_coeff_a=g.pick([-0.75, -0.5]) if mode == "cubic" else None)


@maker("GridSample")
def grid_sample(g, op):
    x = g.take(shape=(g.between(1, 2), g.between(1, 3), g.between(2, 5), g.between(2, 5)))
    h, w = g.between(1, 4), g.between(1, 4)
    grid = (g.rng.integers(-9, 10, (x.shape[0], h, w, 2)) / 7.3).astype(np.float32)
    g.add(op, [x, g.constant(grid)], (*x.shape[:2], h, w), mode=g.pick(["linear", "nearest"]),
          padding_mode=g.pick(["zeros", "border", "reflection"]), align_corners=g.pick([0, 1]))


# ---- products ----

@maker("MatMul", weight=4)
def matmul(g, op):
    x = g.take(low=1, high=4)
    k, n = x.shape[-1], g.between(1, 6)
    batch = x.shape[:-2] if x.rank > 2 and g.chance(0.5) else ()
    shape = (k,) if g.chance(0.1) and not batch else (*batch, k, n)
    y = g.constant(g.array(shape)) if g.chance(0.6) else g.take(shape=shape)
    out = np.matmul(np.empty(x.shape), np.empty(y.shape)).shape
    g.add(op, [x, y], out)


@maker("Gemm", weight=2)
def gemm(g, op):
    ta, tb = g.pick([0, 0, 1]), g.pick([0, 1])
    x = g.take(rank=2)
    m, k = x.shape[::-1] if ta else x.shape
    n = g.between(1, 6)
    y = g.constant(g.array((n, k) if tb else (k, n)))
    bias = [g.constant(g.array(g.pick([(n,), (1, n), (m, n), (m, 1), ()])))] if g.chance(0.7) else []
    g.add(op, [x, y, *bias], (m, n), transA=ta, transB=tb, alpha=g.pick([1.0, 0.5]), beta=g.pick([1.0, 2.0]))


@maker("Einsum")
def einsum(g, op):
    equation = g.pick(["ij,jk->ik", "bij,bjk->bik", "bhqd,bhkd->bhqk", "ij,ij->i", "i,j->ij", "bqhd,bkhd->bhqk", "ijk->kij",
                       "bij->bj", "...ij,jk->...ik", "bn,anm,bm->ba"])
    sizes = {c: g.between(1, 4) for c in "abcdefhijkmnqk"}
    left, right = equation.split("->")
    lead = g.dims(g.between(0, 2), 6)
    shapes = [sum(((tuple(lead) if c == "." else (sizes[c],)) for c in term.replace("...", ".")), ()) for term in left.split(",")]
    out = sum(((tuple(lead) if c == "." else (sizes[c],)) for c in right.replace("...", ".")), ())
    g.add(op, [g.take(shape=s) for s in shapes], out, equation=equation)


# ---- sequences ----

@maker("LSTM", "GRU", "RNN")
def recurrent(g, op):
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    t, b, i, h = g.between(1, 4), g.between(1, 3), g.between(1, 4), g.between(1, 3)
    direction = g.pick(["forward", "reverse", "bidirectional"])
    d = 2 if direction == "bidirectional" else 1
    x = g.take(shape=(t, b, i))
    ins = [x] + [g.constant(g.array(s, lo=-3, hi=3)) for s in ((d, gates * h, i), (d, gates * h, h))]
    ins.append(g.constant(g.array((d, 2 * gates * h), lo=-3, hi=3)) if g.chance(0.7) else None)
    if g.chance(0.3):
        ins += [None, g.take(shape=(d, b, h))]
    g.add_many(op, ins, [((t, d, b, h), "f", False), ((d, b, h), "f", False)] +
               ([((d, b, h), "f", False)] if op == "LSTM" else []), hidden_size=h, direction=direction,
               linear_before_reset=g.pick([0, 1]) if op == "GRU" else None)


# ---- quantisation ----

@maker("QuantizeLinear", weight=1)
def quantize(g, op):
    x = g.take(exact=True)
    if x.grid is None or x.grid < 0.25:  # no ties: ONNX rounds them to even, plain QUANTIZE away from 0
        x = g.input(x.shape)
    kind = g.pick("Bc")
    zero = g.array((), kind)
    if x.rank < 2 or g.chance(0.5):
        scale, zero, axis = np.float32(0.25), zero, None
    else:
        axis = g.between(0, x.rank - 1)
        g.open = {name: [] for name in g.open}  # as many scales as the axis is long
        scale = np.full((x.shape[axis],), 0.125, np.float32)
        zero = g.array((x.shape[axis],), kind)
    ins = [g.constant(scale), g.constant(zero)]
    y = g.add(op, [x, *ins], x.shape, kind, axis=axis)
    g.add("DequantizeLinear", [y, *ins], x.shape, "f", True, 0.125, 64, axis=axis)


@maker("Shape")
def shape(g, op):
    x = any_value(g)
    g.add(op, [x], (x.rank,), "l")


@maker("ConstantOfShape")
def constant_of_shape(g, op):
    x = any_value(g, 1, 3)
    s = g.add("Shape", [x], (x.rank,), "l")
    g.add(op, [s], x.shape, "f", True, 0.25, value=numpy_helper.from_array(g.array((1,))))


@maker("NonZero")
def nonzero(g, op):
    x = g.constant(g.array(g.dims(g.between(1, 3), 40), g.pick("fb")))
    g.add(op, [x], (x.rank, int(np.count_nonzero(numpy_helper.to_array(g.constants[-1])))), "l")


def random_graph(seed, wanted=None):
    """The graph of a seed; wanted: operators to draw from."""
    g = Graph(seed)
    names = sorted(wanted or MAKERS)
    weights = np.array([MAKERS[n][1] for n in names], float)
    n = g.between(1, 6)
    while len(g.nodes) < n:
        name = names[int(g.rng.choice(len(names), p=weights / weights.sum()))]
        MAKERS[name][0](g, name)
        g.values = [v for v in g.values if v.size <= 5000]
        if not g.values:
            g.input((2, 3))
    g.finish()
    return g
