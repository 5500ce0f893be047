"""Several operators together: views written through, in-place chains, control flow, the type a block computes in."""
import torch

from aten_cases import b, case, f, group, half, i, i32, programs, v, w

group("inplace")
ONE = ("abs", "neg", "relu", "sigmoid", "tanh", "exp", "sin", "cos", "floor", "ceil", "round", "trunc", "square", "silu",
       "hardswish", "hardsigmoid", "relu6", "erf", "mish", "reciprocal", "sgn", "sign", "logical_not", "frac", "selu", "expm1",
       "celu", "elu", "leaky_relu", "hardtanh", "nan_to_num", "deg2rad", "zero", "detach", "sinh", "cosh", "tan", "atan", "asinh")
for name in ONE:
    if hasattr(torch.ops.aten, name + "_"):
        case(name + "_", f(2, 3))
for name in ("sqrt", "rsqrt", "log", "log2", "log10", "log1p"):
    case(name + "_", f(2, 3, lo=0.2, hi=4))
for name in ("add", "sub", "mul", "div", "eq", "ne", "lt", "gt", "le", "ge", "remainder", "fmod", "pow", "floor_divide"):
    case(f"{name}_.Tensor", f(2, 3, lo=0.5, hi=3), f(3, lo=0.5, hi=3))
    case(f"{name}_.Scalar", f(2, 3, lo=0.5, hi=3), 2)
case("add_.Tensor", f(2, 3), f(3), alpha=0.5)
case("add_.Tensor", i(2, 3), i(3))
case("mul_.Tensor", f(2, 3), i(3))
case("div_.Tensor_mode", f(2, 3), f(3, lo=0.5, hi=2), rounding_mode="floor")
case("clamp_", f(2, 3), -1, 1)
case("clamp_min_", f(2, 3), 0)
case("clamp_max_", f(2, 3), 0)
case("masked_fill_.Scalar", f(2, 3), b(3), 9)
case("masked_fill_.Tensor", f(2, 3), b(3), f())
case("fill_.Scalar", f(2, 3), 2)
case("fill_.Tensor", f(2, 3), f())
case("copy_", f(2, 3), f(3))
case("copy_", f(2, 3), i(2, 3))
case("index_put_", f(4, 3), [v([3, 1])], f(3))
case("index_put_", f(4, 3), [v([3, 1])], f(2, 3), True)
case("index_add_", f(4, 3), 0, v([0, 2]), f(2, 3))
case("index_copy_", f(4, 3), 0, v([0, 2]), f(2, 3))
case("index_fill_.int_Scalar", f(4, 3), 0, v([0, 2]), 5)
case("scatter_.src", f(4, 4), 0, v([[0, 2, 1, 0]]), f(1, 4))
case("scatter_.value", f(4, 4), 0, v([[0, 2, 1, 0]]), 3)
case("scatter_add_", f(4, 4), 0, v([[0, 2, 1, 0]]), f(1, 4))
case("addcmul_", f(2, 3), f(2, 3), f(3))
case("addcdiv_", f(2, 3), f(2, 3), f(3, lo=1))
case("addmm_", f(2, 4), f(2, 3), f(3, 4))
case("lerp_.Scalar", f(2, 3), f(2, 3), 0.25)
case("cumsum_", f(2, 3), 1)
case("tril_", f(3, 3))
case("triu_", f(3, 3), 1)
case("bitwise_and_.Tensor", i32(4), i32(4))
case("logical_and_", b(4), b(4))
case("dropout_", f(2, 3), 0.5, False)
case("threshold_", f(2, 3), 0, 1)
case("clip_", f(2, 3), -1, 1)

group("alias")


@programs(f(3, 4))
def add_to_a_column(x):
    y = x.clone()
    y[:, 0] += 1
    return y


@programs(f(4, 5), f(2, 3))
def slices_written_through(x, z):
    y = x * 1
    y[1:3, 1:4] = z
    y[::2, -1] = 0
    return y, y[1:3].sum()


@programs(f(4, 4))
def view_sees_the_base(x):
    y = x + 0
    row, column = y[1], y[:, 2]
    y.mul_(2)
    row.add_(10)
    column.neg_()
    return y, row, column


@programs(f(2, 3))
def axes_in_place(x):
    y = x.clone().unsqueeze_(0)
    y[0, 1] = 5
    z = x.clone()
    z.transpose_(0, 1)
    z[0] += 1
    u = x.clone().t_()
    return y.squeeze_(0), z, u


@programs(f(2, 6))
def base_through_reshapes(x):
    y = x.clone()
    z = y.view(3, 4)
    z[1:, :2] = -1
    t = z.t()
    t[0] = 7
    return y, z, t


@programs(f(2, 3, 4))
def permuted_and_written(x):
    y = x.clone()
    z = y.permute(2, 0, 1)
    z[1] = 0
    z[:, 1, 2:] += 3
    return y, z


@programs(f(3, 4), b(3, 4))
def masked_write_through_a_view(x, mask):
    y = x.clone()
    z = y[1:]
    z[mask[1:]] = 5
    return y


@programs(f(5, 3), v([4, 0]))
def index_put_into_a_view(x, index):
    y = x.clone()
    z = y[:, 1:]
    z[index] = 2
    z.index_put_((index,), torch.ones(2, 2), accumulate=True)
    return y


@programs(f(6))
def chunks_written(x):
    y = x.clone()
    a, c = y.chunk(2)
    a.copy_(c)
    c.zero_()
    return y, a, c


@programs(f(4, 3))
def unbind_and_select(x):
    y = x.clone()
    rows = y.unbind(0)
    rows[2].fill_(1)
    y.select(1, 0).neg_()
    return y, rows[2]


@programs(f(4, 4))
def diagonal_written(x):
    y = x.clone()
    y.diagonal().zero_()
    y.diagonal(1).add_(1)
    return y


@programs(f(1, 4))
def expanded_and_read(x):
    y = x.clone()
    z = y.expand(3, 4)
    y.add_(1)
    return z * 1, y


@programs(f(3, 1))
def expanded_source(x):
    y = torch.zeros(3, 4)
    y.copy_(x)
    y[1:] += x[1:].expand(2, 4)
    return y


@programs(f(3, 4))
def input_unchanged_by_a_copy(x):
    y = x.clone()
    y.zero_()
    return x + y


@programs(f(2, 4))
def written_twice(x):
    y = x.clone()
    z = y.narrow(1, 1, 2)
    z += 1
    y += 1
    z *= 2
    return y, z


@programs(f(2, 4))
def contiguous_is_a_copy_when_it_must(x):
    y = x.clone()
    z = y.t().contiguous()
    z.add_(1)
    u = y.contiguous()
    u.add_(2)
    return y, z


@programs(f(2, 4))
def reshape_is_a_copy_when_it_must(x):
    y = x.clone()
    z = y.t().reshape(-1)
    z.add_(1)
    u = y.reshape(-1)
    u.add_(2)
    return y, z


@programs(f(3, 4))
def split_and_swap(x):
    y = x.clone()
    a, c = y.split([1, 3], dim=1)
    t = a.clone()
    a.copy_(c[:, :1])
    c[:, :1] = t
    return y


@programs(f(3, 4))
def flatten_and_unflatten(x):
    y = x.clone()
    y.flatten()[3:6] = 0
    y.unflatten(1, (2, 2))[:, 1, 0] = 9
    return y


@programs(f(5, 4))
def movedim_squeeze_unsqueeze(x):
    y = x.clone()
    y.unsqueeze(0).movedim(0, 1).squeeze(1)[2] = 0
    y.transpose(0, 1).unsqueeze(-1)[1:2] += 1
    return y


@programs(f(4))
def cumulative_by_hand(x):
    y = torch.zeros(4)
    for k in range(4):
        y[k] = x[k] + (y[k - 1] if k else 0)
    return y


@programs(f(2, 3, 8))
def as_strided_read(x):
    return torch.as_strided(x, (2, 3, 4), (24, 8, 2)), torch.as_strided(x, (5,), (3,), 2)


@programs(f(2, 6))
def unfold_read(x):
    y = x.clone()
    z = y.unfold(1, 3, 1)
    y[:, 2] = 0
    return z * 1


@programs(f(12))
def as_strided_written(x):
    y = x.clone()
    y.as_strided((2, 3), (6, 1), 1).zero_()
    y.unfold(0, 3, 3)[1] += 1
    return y


@programs(f(3, 3), f(3, 3))
def where_and_fill(x, y):
    z = torch.empty_like(x)
    z.fill_(2)
    z[x > y] = -1
    z.masked_fill_(x < 0, 0)
    return z


@programs(f(2, 3))
def memory_before_it_is_filled(x):
    a = torch.empty(2, 3)
    c = x.new_empty(2, 3)
    d = torch.empty_strided((2, 3), (1, 2))
    e = torch.ops.aten.empty_permuted([2, 3], [1, 0])
    for t in (a, c, d, e):
        t.copy_(x)
        t[0] = 1
    return a, c, d, e


@programs(f(3, 4))
def out_of_one_into_another(x):
    a = torch.zeros(3, 8)
    a[:, ::2] = x
    a[:, 1::2] = -x
    return a


group("given")


@programs(f(3, 4), f(4))
def result_into_what_is_given(x, y):
    z = torch.zeros(2, 3, 4)
    torch.ops.aten.atan2.out(x, y, out=z[1])
    return z


@programs(f(3, 4))
def resized(x):
    y, z = x.clone(), x.clone()
    y.resize_(2, 6)[0] += 1
    z.resize_(5)
    return y, z * 2


group("flow")


@programs(f(3, 4))
def no_grad_block(x):
    with torch.no_grad():
        y = x * 2
    return y + 1


@programs(f(3, 4), f(4, 5))
def autocast_block(x, y):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = x @ y
    return z.float() + 1


@programs(f(3, 4), f(4, 5))
def autocast_then_float(x, y):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = torch.relu(x @ y) + x.sum()
        s = torch.softmax(z, -1)
    return s.float(), (z * 2).float()


@programs(f(3, 4), f(4, 5))
def autocast_disabled(x, y):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with torch.autocast("cpu", enabled=False):
            z = x @ y
    return z


@programs(f(3), f(3))
def condition(x, y):
    return torch.cond(x.sum() > y.sum(), lambda x, y: x + y, lambda x, y: x * y, (x, y))


@programs(f(3))
def counted_loop(x):
    from torch._higher_order_ops.while_loop import while_loop
    return while_loop(lambda n, y: n < 5, lambda n, y: (n + 1, y * 0.5 + 1), (torch.tensor(0), x))


@programs(f(5, 3), f(3))
def running_sum(xs, start):
    from torch._higher_order_ops.scan import scan
    return scan(lambda carry, x: (carry + x, carry * 2), start, xs)


@programs(f(4, 3), f(3))
def mapped(xs, y):
    from torch._higher_order_ops.map import map as map_over
    return map_over(lambda x, y: x * y + x.sum(), xs, y)


@programs(half(2, 3), f(2, 3), i(2, 3), b(2, 3))
def types_together(h, x, n, p):
    return h + 1.5, h * n, x + n, p + 1, p * 2.5, h + x.sum(), n / 2, n // 2, n + p, torch.where(p, n, 1.5)


@programs(f(2, 3))
def shapes_as_numbers(x):
    return x.reshape(x.shape[1], -1) * x.shape[0], torch.full((x.shape[1],), x.numel() / 4)
