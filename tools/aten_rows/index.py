"""Gathering, scattering, indices."""
import torch

from aten_cases import b, case, f, group, half, i, i32, perm, program, programs, v, w

group("gather")
X = f(4, 3, 5)
case("index_select", X, 0, v([2, 0, 3]))
case("index_select", X, 1, v([1]))
case("index_select", X, -1, v([4, 4, 0, 1]))
case("index_select", X, 2, v([3, 1], torch.int32))
case("index_select", i(6), 0, v([5, 1]))
case("gather", f(3, 4), 1, v([[0, 3], [1, 1], [2, 0]]))
case("gather", f(3, 4), 0, v([[0, 2, 1, 0]]))
case("gather", X, 2, i(4, 3, 2, lo=0, hi=5))
case("gather", X, 0, i(2, 3, 5, lo=0, hi=4))
case("gather", i(3, 4), -1, i(3, 4, lo=0, hi=4))
case("gather", f(), 0, v(0))
case("take", f(3, 4), v([0, 11, 5]))
case("take", f(3, 4), v([[-1, 3]]))
case("take_along_dim", f(3, 4), i(3, 2, lo=0, hi=4), 1)
case("take_along_dim", f(3, 4), i(3, 1, lo=0, hi=4), 1)
case("take_along_dim", f(3, 4), i(1, 4, lo=0, hi=3), 0)
case("take_along_dim", f(3, 4), i(5, lo=0, hi=12))
case("embedding", w(f(7, 3)), i(2, 4, lo=0, hi=7))
case("embedding", w(f(7, 3)), v([6, 0], torch.int32), 0)
case("embedding", f(7, 3), i(lo=0, hi=7))
case("embedding", w(half(7, 3)), i(4, lo=0, hi=7))
I, J = v([2, 0, 3]), v([1, 2, 0])
case("index.Tensor", X, [I])
case("index.Tensor", X, [I, J])
case("index.Tensor", X, [None, J])
case("index.Tensor", X, [None, None, v([4, -1])])
case("index.Tensor", X, [I, None, J])
case("index.Tensor", X, [None, J, J])
case("index.Tensor", X, [v([[2], [0]]), v([1, 2, 0])])
case("index.Tensor", X, [v([[2], [0]]), None, v([1, 2, 0])])
case("index.Tensor", X, [v(1), v(2), v(3)])
case("index.Tensor", X, [v(-1)])
case("index.Tensor", f(2, 3, 4, 5), [None, v([0, 1]), v([0, 1])])
case("index.Tensor", f(2, 3, 4, 5), [v([0, 1]), None, v([0, 1])])
case("index.Tensor", i(5), [i(2, 2, lo=-5, hi=5)])
case("index.Tensor", b(5), [i32(3, lo=-5, hi=5)])
case("_unsafe_index.Tensor", X, [I, None, J])

group("scatter")
INDEX = v([[0, 2, 1, 0], [3, 3, 0, 1]])
case("scatter.src", f(4, 4), 0, v([[0, 2, 1, 0], [3, 3, 0, 1]]), f(2, 4))
case("scatter.src", f(4, 4), 1, v([[0, 2], [1, 0], [3, 2], [0, 1]]), f(4, 2))
case("scatter.value", f(4, 4), 0, INDEX, 7.5)
case("scatter.value", i(4, 4), 1, v([[0, 2], [1, 0], [3, 2], [0, 1]]), 7)
case("scatter_add", f(4, 4), 0, INDEX, f(2, 4))
case("scatter_add", f(4, 4), 1, v([[0, 0], [1, 1], [3, 2], [0, 0]]), f(4, 2))
case("scatter_add", i(6), 0, v([1, 1, 1, 5]), i(4))
for reduce in ("sum", "prod", "mean", "amax", "amin"):
    case("scatter_reduce.two", f(4, 4), 0, v([[0, 2, 1, 0], [0, 3, 0, 1]]), f(2, 4), reduce)
    case("scatter_reduce.two", f(4, 4), 0, v([[0, 2, 1, 0], [0, 3, 0, 1]]), f(2, 4), reduce, include_self=False)
case("scatter.reduce", f(4, 4), 0, INDEX, f(2, 4), reduce="add")
case("scatter.reduce", f(4, 4), 0, INDEX, f(2, 4), reduce="multiply")
case("scatter.value_reduce", f(4, 4), 0, INDEX, 2.0, reduce="add")
case("index_add", f(4, 3), 0, v([0, 2, 0]), f(3, 3))
case("index_add", f(4, 3), 1, v([2, 1]), f(4, 2), alpha=0.5)
case("index_add", i(5), 0, v([1, 1]), i(2))
case("index_copy", f(4, 3), 0, v([3, 1]), f(2, 3))
case("index_copy", f(4, 3), 1, v([2, 0]), f(4, 2))
case("index_fill.int_Scalar", f(4, 3), 0, v([3, 1]), 9.5)
case("index_fill.int_Scalar", i(4, 3), 1, v([0]), 9)
case("index_fill.int_Tensor", f(4, 3), 1, v([0, 2]), f())
for name in ("index_put", "_unsafe_index_put"):
    case(name, f(4, 3), [v([3, 1])], f(3))
    case(name, f(4, 3), [v([3, 1]), v([0, 2])], f(2))
    case(name, f(4, 3), [None, v([0, 2])], f(4, 2))
    case(name, f(4, 3), [v([1, 1, 0])], f(3, 3), True)
case("index_put", f(4, 3), [v([3, -4])], f())
case("index_put", f(4, 3), [v([1, 1, 3])], f())
case("scatter.value", f(4, 4), 0, v([[0, 2, 1, 0], [0, 3, 0, 1]]), 2.5)
case("index_fill.int_Scalar", f(4, 3), 0, v([1, 1, -1]), 9.5)
case("index_put", f(4, 3), [b(4, 3)], f())
case("index_put", f(2, 3, 4), [v([0, 1]), None, v([3, 0])], f(2, 3))
case("index_put", i(5), [v([[0], [1]]), ], i(2, 1))
case("index_put", f(4, 3), [v([[0], [2]]), v([0, 2])], f(2, 2))
case("masked_scatter", f(3, 4), b(3, 4), f(3, 4))
case("masked_scatter", f(3, 4), b(4), f(12))
case("slice_scatter", f(4, 5), f(4, 2), 1, 1, 3)
case("slice_scatter", f(4, 5), f(2, 5), 0, 0, 4, 2)
case("slice_scatter", f(4, 5), f(4, 5))
case("slice_scatter", f(4, 5), f(1, 5), 0, -1)
case("select_scatter", f(4, 5), f(5), 0, 2)
case("select_scatter", f(4, 5), f(4), -1, -1)
case("diagonal_scatter", f(4, 5), f(4))
case("diagonal_scatter", f(4, 5), f(3), 2)
case("fill_diagonal_", f(3, 4), 5.0)
case("fill_diagonal_", f(5, 3), 5.0)

group("ragged")


@programs(f(3, 4), b(3, 4))
def masked_select(x, mask):
    return torch.masked_select(x, mask)


@programs(b(3, 4))
def nonzero(mask):
    return torch.nonzero(mask)


@programs(i(3, 4, lo=0, hi=2))
def nonzero_numbers(x):
    return torch.nonzero(x)


@programs(b(3, 4))
def where_lists(mask):
    return torch.where(mask)


@programs(b(3, 4))
def nonzero_numpy(mask):
    return torch.ops.aten.nonzero_numpy(mask)


@programs(f(5, 2), b(5))
def mask_of_rows(x, mask):
    return x[mask]


@programs(f(3, 4), b(3, 4))
def index_put_mask(x, mask):
    return torch.ops.aten.index_put(x, [mask], x[mask] * 2)


@programs(f(4, 2), i(4, lo=0, hi=3))
def repeat_interleave_by(x, repeats):
    return torch.repeat_interleave(x, repeats, dim=0)


@programs(i(12, lo=0, hi=5))
def unique_sorted(x):
    return torch.unique(x)


@programs(i(12, lo=0, hi=5))
def unique_inverse_counts(x):
    return torch.unique(x, return_inverse=True, return_counts=True)


@programs(v([1, 1, 2, 2, 2, 1, 5]))
def unique_runs(x):
    return torch.unique_consecutive(x)


@programs(f(6))
def item_as_number(x):
    return x * torch.ops.aten.item(x[2])


@programs(i(6, lo=1, hi=4))
def item_as_size(x):
    n = x[1].item()
    torch._check(n >= 0)
    torch._check(n <= 6)
    return torch.zeros(n)


@programs(i(4, lo=0, hi=6), f(6))
def item_as_index(at, x):
    n = at[1].item()
    torch._check(n >= 0)
    torch._check(n < 6)
    return x[n]


@programs(i(8, lo=0, hi=5))
def bincount_open(x):
    return torch.bincount(x)


@programs(f(3, 4))
def argwhere(x):
    return torch.argwhere(x > 0)
