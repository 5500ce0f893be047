"""Elementwise operators: numbers in, numbers of the same place out."""
import math

import torch

from aten_cases import b, case, f, group, half, i, i32, v, w

NAN, INF = math.nan, math.inf
ODD = v([-INF, -2.5, -1.0, -0.0, 0.0, 0.5, 1.0, 2.5, INF, NAN])

group("unary")
ANY = dict(lo=-3, hi=3)
DOMAINS = {  # name: domain of floats
    "abs": ANY, "ceil": ANY, "cos": ANY, "cosh": ANY, "deg2rad": ANY, "erf": ANY, "erfc": ANY, "exp": ANY, "exp2": ANY,
    "expm1": ANY, "fix": ANY, "floor": ANY, "frac": ANY, "gelu": ANY, "hardsigmoid": dict(lo=-5, hi=5),
    "hardswish": dict(lo=-5, hi=5), "isfinite": ANY, "isinf": ANY, "isnan": ANY, "log": dict(lo=0.1, hi=5),
    "log10": dict(lo=0.1, hi=5), "log1p": dict(lo=-0.9, hi=5), "log2": dict(lo=0.1, hi=5), "log_sigmoid": ANY,
    "logit": dict(lo=0.05, hi=0.95), "mish": ANY, "neg": ANY, "negative": ANY, "positive": ANY, "rad2deg": ANY,
    "reciprocal": dict(lo=0.2, hi=4), "relu": ANY, "relu6": dict(lo=-2, hi=9), "round": ANY, "rsqrt": dict(lo=0.1, hi=5),
    "selu": ANY, "sgn": ANY, "sigmoid": ANY, "sign": ANY, "signbit": ANY, "silu": ANY, "sin": ANY, "sinc": ANY,
    "sinh": ANY, "special_expit": ANY, "sqrt": dict(lo=0, hi=5), "square": ANY, "tan": dict(lo=-1.2, hi=1.2), "tanh": ANY,
    "trunc": ANY, "acos": dict(lo=-1, hi=1), "acosh": dict(lo=1, hi=5), "asin": dict(lo=-1, hi=1), "asinh": ANY,
    "atan": ANY, "arctan": ANY, "atanh": dict(lo=-0.9, hi=0.9), "angle": ANY, "celu": ANY, "elu": ANY, "hardshrink": ANY,
    "hardtanh": ANY, "leaky_relu": ANY, "softplus": ANY, "softshrink": ANY, "nan_to_num": ANY, "logical_not": ANY,
    "erfinv": dict(lo=-0.98, hi=0.98), "digamma": dict(lo=0.3, hi=6), "lgamma": dict(lo=0.3, hi=6),
    "special_i0": ANY, "conj": ANY, "resolve_conj": ANY, "resolve_neg": ANY,
}
for name, domain in DOMAINS.items():
    case(name, f(2, 3, 4, **domain))
for name in ("erf", "exp", "gelu", "sigmoid", "tanh", "relu", "sqrt", "hardswish", "floor", "abs"):
    domain = DOMAINS[name]
    case(name, f(**domain))
    case(name, f(1, 2, 1, 3, 2, 2, **domain))
    case(name, half(5, 3, **domain))
    case(name, f(0, 3, **domain))
for name in ("abs", "neg", "sign", "sgn", "square", "isnan", "isfinite", "isinf", "logical_not", "relu", "ceil",
             "floor", "round", "trunc", "signbit", "positive"):
    case(name, i(3, 4))
    case(name, i32(3, 4))
for name in ("exp", "sqrt", "sin", "sigmoid", "log", "rsqrt", "tanh", "erf", "reciprocal", "atan", "log1p", "log2", "deg2rad",
             "exp2", "expm1", "rad2deg", "log10", "cosh", "erfc", "logit"):
    if name == "logit":
        case(name, i(2, 3, lo=1, hi=2), 0.25)
    else:
        case(name, i(2, 3, lo=1, hi=9))
for name in ("logical_not", "isnan", "isfinite", "exp", "sigmoid", "bitwise_not", "sgn"):
    case(name, b(7))
for name in ("abs", "ceil", "floor", "exp", "log", "log1p", "log2", "log10", "erf", "erfc", "relu", "relu6", "sigmoid", "tanh", "sqrt", "rsqrt",
             "isnan", "isinf", "isfinite", "round", "trunc", "frac", "signbit", "neg", "reciprocal", "softplus",
             "hardtanh", "hardswish", "hardsigmoid", "elu", "leaky_relu", "silu", "mish", "nan_to_num", "hardshrink",
             "softshrink", "log_sigmoid", "exp2", "expm1", "atan", "logical_not", "square"):
    case(name, ODD)
case("bitwise_not", i(3, 4))
case("bitwise_not", i32(5))
case("bitwise_not", i(5, lo=0, hi=255, dtype=torch.uint8))
case("round", v([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5]))
case("round.decimals", f(3, 4), decimals=1)
case("round.decimals", f(3, 4, lo=-300, hi=300), decimals=-2)
case("round.decimals", f(3, 4), decimals=0)
case("gelu", f(3, 5), approximate="tanh")
case("elu", f(3, 5), 0.5)
case("elu", f(3, 5), 1.5, 2.0, 0.5)
case("celu", f(3, 5), 0.4)
case("hardtanh", f(3, 5), -0.5, 2)
case("hardtanh", f(3, 5, hi=9), 0.0, 6.0)
case("hardtanh", i(9), -2, 3)
case("leaky_relu", f(3, 5), 0.3)
case("leaky_relu", f(3, 5), 1.5)
case("leaky_relu", f(3, 5), -0.5)
case("softplus", f(3, 5, lo=-30, hi=30))
case("softplus", f(3, 5), 2.0, 3.0)
case("softplus", f(3, 5, lo=-30, hi=30), 0.5)
case("hardshrink", f(3, 5), 1.25)
case("softshrink", f(3, 5), 1.25)
case("threshold", f(3, 5), 0.5, -7)
case("threshold", i(9), 2, 20)
case("threshold", ODD, 0.0, 20.0)
case("logit", f(3, 4, lo=-0.5, hi=1.5), 1e-3)
case("nan_to_num", ODD, 1.5, 100.0, -200.0)
case("nan_to_num", i(4), 1.5)
case("rrelu", f(3, 5))
case("rrelu", f(3, 5), 0.1, 0.5)
case("prelu", f(2, 3, 4), w(f(3, lo=-1, hi=1)))
case("prelu", f(2, 3, 4, 2), w(f(1, lo=-1, hi=1)))
case("prelu", f(2, 3), f(3, lo=-1, hi=1))
case("prelu", f(5), w(v([0.3])))
case("_prelu_kernel", f(2, 3, 4), w(f(1, 3, 1, lo=-1, hi=1)))
case("glu", f(2, 6))
case("glu", f(4, 3, 5), 0)
case("glu", half(2, 3, 4), 2)
case("special_expit", half(4))
case("asinh", v([-1e4, -300.0, 1e-4, 0.0, 20.0, 1e6]))
case("log1p", v([1e-6, -1e-6, 1e-4, 0.0, 1e6]))
case("expm1", v([1e-6, -1e-6, 1e-4, 0.0, 10.0]))
case("sinc", v([0.0, 0.5, 1.0, -1.5]))
case("abs", v([-128, -1, 127], torch.int8))
case("neg", v([-128, -1, 127], torch.int8))
case("relu", i(6, dtype=torch.int8))
case("sign", i(6, dtype=torch.int16))
case("square", i(6, dtype=torch.int16))

group("binary")
FLOAT_PAIRS = [(f(2, 3, 4), f(2, 3, 4)), (f(2, 3, 4), f(3, 1)), (f(4), f(2, 1, 4)), (f(2, 3), f()), (f(3, 4), w(f(4))),
               (half(2, 3), half(3)), (half(2, 3), f()), (f(2, 3), i(2, 3)), (i(2, 3), f())]
for name in ("add.Tensor", "sub.Tensor", "mul.Tensor", "maximum", "minimum", "rsub.Tensor"):
    for x, y in FLOAT_PAIRS:
        case(name, x, y)
    case(name, i(2, 3), i(3))
    case(name, i32(2, 3), i32(2, 1))
    case(name, i32(4), i(4))
    case(name, i32(4), i())
    case(name, i(4, lo=0, hi=9, dtype=torch.uint8), i(4, dtype=torch.int8))
    case(name, i(4, dtype=torch.int16), i(4, dtype=torch.int16))
for name in ("add.Tensor", "mul.Tensor", "maximum", "minimum"):
    case(name, b(6), b(6))
    case(name, b(6), f(6))
    case(name, b(6), i(6))
for name in ("add", "sub", "rsub"):
    case(f"{name}.Tensor", f(2, 3), f(2, 3), alpha=2)
    case(f"{name}.Tensor", f(2, 3), f(3), alpha=0.5)
    case(f"{name}.Tensor", i(2, 3), i(3), alpha=3)
    case(f"{name}.Scalar", f(2, 3), 1.5)
    case(f"{name}.Scalar", f(2, 3), 2, 3)
    case(f"{name}.Scalar", i(2, 3), 2)
    case(f"{name}.Scalar", i(2, 3), 1.5)
    case(f"{name}.Scalar", half(2, 3), 1.5)
case("add.Scalar", b(4), 1)
case("add.Scalar", b(4), True)
case("add.Scalar", i32(4), 1)
for name in ("mul", "multiply"):
    for scalar in (2.5, 2):
        case(f"{name}.Scalar", f(2, 3), scalar)
        case(f"{name}.Scalar", i(2, 3), scalar)
case("multiply.Tensor", f(2, 3), f(3))
case("max.other", f(2, 3), f(3))
case("min.other", f(2, 3), f(3))
case("max.other", ODD, v([NAN] * 3 + [0.0] * 7))
case("min.other", ODD, v([NAN] * 3 + [0.0] * 7))
case("maximum", ODD, v([0.0] * 10))
case("fmax", ODD, v([NAN] * 3 + [0.0] * 6 + [NAN]))
case("fmin", ODD, v([NAN] * 3 + [0.0] * 6 + [NAN]))
case("fmax", f(2, 3), f(3))
case("fmin", f(2, 3), f(3))
case("fmax", i(6), i(6))
case("fmin", i(6), f(6))
DIVISORS = v([2.0, -2.0, 0.5, 3.0, -1.5, 4.0])
INTS = v([2, -2, 3, 5, -3, 4])
for name in ("div.Tensor", "true_divide.Tensor"):
    case(name, f(2, 6), DIVISORS)
    case(name, i(2, 6), INTS)
    case(name, i32(2, 6), v([3, -2, 3, 5, -3, 4], torch.int32))
    case(name, half(6), v([2.0, -2.0, 0.5, 3.0, -1.5, 4.0], torch.float16))
    case(name, v([1.0, -1.0, 0.0]), v([0.0, 0.0, 0.0]))
for name in ("div.Scalar", "true_divide.Scalar"):
    case(name, f(2, 6), 3)
    case(name, f(2, 6), -0.75)
    case(name, i(2, 6), 4)
for mode in ("floor", "trunc", None):
    case("div.Tensor_mode", f(2, 6), DIVISORS, rounding_mode=mode)
    case("div.Tensor_mode", i(4, 6, lo=-20, hi=21), INTS, rounding_mode=mode)
    case("div.Tensor_mode", i32(4, 6, lo=-20, hi=21), v([2, -2, 3, 5, -3, 4], torch.int32), rounding_mode=mode)
    case("div.Scalar_mode", f(2, 6), 1.5, rounding_mode=mode)
    case("div.Scalar_mode", i(2, 6, lo=-20, hi=21), -3, rounding_mode=mode)
    case("div.Scalar_mode", i(2, 6, lo=-20, hi=21), 1.5, rounding_mode=mode)
for name in ("floor_divide", "remainder.Tensor", "fmod.Tensor"):
    case(name, f(2, 6), DIVISORS)
    case(name, i(4, 6, lo=-20, hi=21), INTS)
    case(name, i32(4, 6, lo=-20, hi=21), v([2, -2, 3, 5, -3, 4], torch.int32))
    case(name, i(2, 6, lo=-20, hi=21), DIVISORS)
    case(name, v([-7.0, 7.0, -7.0, 7.0, -6.0]), v([3.0, 3.0, -3.0, -3.0, 3.0]))
for name in ("floor_divide.Scalar", "remainder.Scalar", "fmod.Scalar"):
    case(name, f(2, 6), 1.5)
    case(name, f(2, 6), -2)
    case(name, i(2, 6, lo=-20, hi=21), 3)
    case(name, i(2, 6, lo=-20, hi=21), -4)
    case(name, i32(2, 6, lo=-20, hi=21), 4)
case("remainder.Scalar_Tensor", 7, v([2, 3, -4, 5]))
case("remainder.Scalar_Tensor", -7.5, v([2.0, 3.0, -4.0, 5.0]))
POSITIVE = f(2, 6, lo=0.2, hi=3)
case("pow.Tensor_Tensor", POSITIVE, DIVISORS)
case("pow.Tensor_Tensor", f(2, 6), v([2.0, 3.0, 0.0, 1.0, -1.0, -2.0]))
case("pow.Tensor_Tensor", i(2, 6), v([2, 3, 0, 1, 4, 2]))
case("pow.Tensor_Tensor", i(2, 6, lo=1, hi=6), DIVISORS)
for exponent in (2, 3, 0.5, -0.5, -1, 0, 1, 2.5, 4):
    case("pow.Tensor_Scalar", f(2, 6, lo=0.2, hi=3), exponent)
for exponent in (2, 3, 0, -1, 4, -2):
    case("pow.Tensor_Scalar", f(2, 6), exponent)
case("pow.Tensor_Scalar", f(2, 6), 0.5)
case("pow.Tensor_Scalar", f(2, 6), 1.5)
for exponent in (2, 3, 0, 1):
    case("pow.Tensor_Scalar", i(2, 6), exponent)
    case("pow.Tensor_Scalar", i32(2, 6), exponent)
case("pow.Tensor_Scalar", i(2, 6, lo=0, hi=7), 0.5)
case("pow.Tensor_Scalar", i(2, 6), 2.0)
case("pow.Scalar", 2, f(2, 3))
case("pow.Scalar", 1, f(2, 3))
case("pow.Scalar", 2, i(2, 3, lo=0, hi=6))
case("pow.Scalar", 0.5, i(2, 3))
case("pow.Scalar", 10.0, half(2, 3, lo=-2, hi=2))
case("atan2", f(3, 4), f(3, 4))
case("atan2", v([0.0, 0.0, 1.0, -1.0, -0.0, 1.0]), v([1.0, -1.0, 0.0, 0.0, -2.0, -3.0]))
case("atan2", i(3, 4, lo=1), i(4, lo=1))
case("hypot", f(3, 4), f(4))
case("logaddexp", f(3, 4), f(4))
case("logaddexp", v([100.0, -100.0, 0.0]), v([99.0, -101.0, 0.0]))
case("logaddexp2", f(3, 4), f(4))
case("xlogy.Tensor", v([0.0, 1.0, 2.0, 0.5]), v([0.0, 3.0, 0.5, 2.0]))
case("xlogy.Tensor", i(4, lo=0, hi=3), v([0.5, 3.0, 0.5, 2.0]))
case("xlogy.Scalar_Self", 2.0, f(4, lo=0.5, hi=3))
case("xlogy.Scalar_Self", 0, f(4, lo=0.5, hi=3))
case("xlogy.Scalar_Other", f(4), 3.5)
case("heaviside", v([-1.0, 0.0, 2.0, 0.0]), v([0.5, 0.5, 0.5, -3.0]))
case("heaviside", v([-1, 0, 2]), v([5]))
case("copysign.Tensor", f(3, 4), f(4))
case("copysign.Scalar", f(3, 4), -1)
case("float_power.Tensor_Scalar", POSITIVE, 1.5)
case("float_power.Tensor_Scalar", i(4), 2)
case("float_power.Tensor_Tensor", POSITIVE, DIVISORS)
case("float_power.Scalar", 2, f(4))
case("addcmul", f(2, 3), f(2, 3), f(3))
case("addcmul", f(2, 3), f(2, 1), f(3), value=0.5)
case("addcmul", i(2, 3), i(2, 3), i(3), value=2)
case("addcdiv", f(2, 6), f(2, 6), DIVISORS)
case("addcdiv", f(2, 6), f(6), DIVISORS, value=-2)
case("lerp.Scalar", f(2, 3), f(3), 0.25)
case("lerp.Scalar", f(2, 3), f(3), 1.5)
case("lerp.Tensor", f(2, 3), f(3), f(2, 1))
for name in ("lerp.Scalar",):
    case(name, half(2, 3), half(2, 3), 0.75)

group("compare")
for name in ("eq", "ne", "lt", "le", "gt", "ge"):
    case(f"{name}.Tensor", i(4, 5, lo=0, hi=3), i(5, lo=0, hi=3))
    case(f"{name}.Tensor", f(4, 5), f(4, 1))
    case(f"{name}.Tensor", i32(4, 5, lo=0, hi=3), f())
    case(f"{name}.Tensor", ODD, v([NAN, 0.0, -1.0, 0.0, -0.0, 0.5, 2.0, 2.5, INF, NAN]))
    case(f"{name}.Tensor", b(9), b(9))
    case(f"{name}.Tensor", i(4, lo=0, hi=3), f(4))
    case(f"{name}.Tensor", i(6, lo=0, hi=200, dtype=torch.uint8), i(6, dtype=torch.int8))
    case(f"{name}.Scalar", i(4, 5, lo=0, hi=3), 1)
    case(f"{name}.Scalar", i(4, 5, lo=0, hi=3), 1.5)
    case(f"{name}.Scalar", f(4, 5), 0)
    case(f"{name}.Scalar", half(4, 5), 0.25)
    case(f"{name}.Scalar", ODD, 0.5)
    case(f"{name}.Scalar", b(9), True)
case("eq.Scalar", ODD, -INF)
for name in ("logical_and", "logical_or", "logical_xor"):
    case(name, b(4, 3), b(3))
    case(name, i(4, 3, lo=0, hi=2), b(3))
    case(name, f(4, 3), v([0.0, 1.0, 0.0]))
    case(name, ODD, b(10))
for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "__and__", "__or__", "__xor__"):
    case(f"{name}.Tensor", i32(4, 3, lo=-100, hi=100), i32(3, lo=-100, hi=100))
    case(f"{name}.Tensor", b(4, 3), b(3))
    case(f"{name}.Tensor", i(4, 3, lo=0, hi=255, dtype=torch.uint8), i(3, lo=0, hi=255, dtype=torch.uint8))
    case(f"{name}.Scalar", i32(4, 3, lo=-100, hi=100), 29)
    case(f"{name}.Scalar", b(9), True)
for left, right in (("bitwise_left_shift", "bitwise_right_shift"), ("__lshift__", "__rshift__")):
    for name in (left, right):
        case(f"{name}.Tensor", i32(3, 4, lo=-100, hi=100), i32(4, lo=0, hi=5))
        case(f"{name}.{'Tensor_Scalar' if 'bit' in name else 'Scalar'}", i32(3, 4, lo=-100, hi=100), 3)
case("bitwise_left_shift.Tensor", i(3, 4, lo=-100, hi=100), i(4, lo=0, hi=5))
case("bitwise_right_shift.Tensor", i(3, 4, lo=-100, hi=100), i(4, lo=0, hi=5))
case("clamp", f(3, 4), -1, 1.5)
case("clamp", f(3, 4), 0.5)
case("clamp", f(3, 4), None, 0.5)
case("clamp", f(3, 4), 2, -1)
case("clamp", i(3, 4), -2, 3)
case("clamp", i(3, 4), -2.5, 3)
case("clamp", i32(3, 4), None, 3)
case("clamp", ODD, -1, 1)
case("clamp.Tensor", f(3, 4), f(4, lo=-2, hi=0), f(3, 1, lo=0, hi=2))
case("clamp.Tensor", f(3, 4), None, f())
case("clamp.Tensor", i(3, 4), i(4, lo=-3, hi=0))
case("clip", f(3, 4), -1, 1.5)
case("clip.Tensor", f(3, 4), f(4, lo=-2, hi=0), f(3, 1, lo=0, hi=2))
case("clamp_min", f(3, 4), 0.25)
case("clamp_min", i(3, 4), 1)
case("clamp_min.Tensor", f(3, 4), f(4))
case("clamp_max", f(3, 4), 0.25)
case("clamp_max", i32(3, 4), 1)
case("clamp_max.Tensor", f(3, 4), f(4))
case("where.self", b(3, 4), f(3, 4), f(4))
case("where.self", b(4), f(3, 1), f())
case("where.self", b(3, 4), i(3, 4), f(4))
case("where.self", b(3, 4), b(3, 4), b(4))
case("where.self", b(3, 4), i32(4), i(3, 1))
case("where.Scalar", b(3, 4), 1, 2)
case("where.Scalar", b(3, 4), 1.5, 2)
case("where.ScalarOther", b(3, 4), f(3, 4), 2.5)
case("where.ScalarOther", b(3, 4), i(3, 4), 7)
case("where.ScalarOther", b(3, 4), half(3, 4), -INF)
case("where.ScalarSelf", b(3, 4), 1.5, f(4))
case("where.ScalarSelf", b(3, 4), 1.5, i(4))
for name in ("masked_fill.Scalar",):
    case(name, f(3, 4), b(3, 4), -2.5)
    case(name, f(3, 4), b(4), -INF)
    case(name, i(3, 4), b(3, 1), 9)
    case(name, half(3, 4), b(3, 1), 9)
case("masked_fill.Tensor", f(3, 4), b(4), f())
case("masked_fill.Tensor", i(3, 4), b(4), i())
case("isin.Tensor_Tensor", i(3, 4), i(5))
case("isin.Tensor_Tensor", f(3, 4), v([0.5, 1.0]), invert=True)
case("isin.Tensor_Scalar", i(3, 4), 2)
case("isposinf", ODD)
case("isneginf", ODD)
case("isclose", f(3, 4), f(3, 4))
case("isclose", v([1.0, 2.0, INF, NAN]), v([1.0, 2.1, INF, NAN]), 0.1, 1e-3, True)
