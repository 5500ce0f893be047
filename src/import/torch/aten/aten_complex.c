/* Complex numbers are values with one more axis of two parts, [..., 2]. What PyTorch does with them
 * is here, arithmetic by parts. Handlers of aten.def that only move data along other axes serve them as they are. */
#include "import/torch/aten/aten_complex.h"
#include "import/torch/aten/aten_signature.h"

#define PI 3.141592653589793238463

/* ---- parts ---- */

static tl_value *part_at(aten_call *c, tl_value *x, int64_t k)
{
    int axis = aten_rank(x) - 1;
    return aten_without_axis(c, aten_cut(c, x, axis, aten_i(c, k), aten_i(c, 1)), axis);
}

/* Parts of an argument; real ones have none that is imaginary. */
aten_complex aten_parts(aten_call *c, size_t i)
{
    tl_value *x = aten_value(c, i);
    bool is_complex = c->arg[i].kind == ATEN_TENSOR && c->arg[i].t->is_complex;
    aten_complex z = {0};
    z.re = is_complex ? part_at(c, x, 0) : aten_as_float(c, x);
    z.im = is_complex ? part_at(c, x, 1) : NULL;
    return z;
}

tl_value *aten_joined(aten_call *c, aten_complex z)
{
    if (!z.im)
        z.im = aten_2(c, TL_OP_mul, z.re, aten_scalar_like(c, z.re, 0));
    int rank = aten_rank(z.re);
    tl_value *re = aten_with_axis(c, z.re, rank), *im = aten_with_axis(c, z.im, rank);
    return tl_build_concat(c->b, (tl_value *[]){re, im}, 2, rank);
}

void aten_return_joined(aten_call *c, aten_complex z)
{
    aten_return_complex(c, 0, aten_joined(c, z));
}

/* The parts with a real number each: op is mul or div. */
static aten_complex scaled_parts(aten_call *c, tl_op op, aten_complex z, tl_value *by)
{
    tl_value *re = aten_2(c, op, z.re, by), *im = aten_2(c, op, z.im, by);
    return (aten_complex){re, im};
}

static tl_value *size_squared(aten_call *c, aten_complex z)
{
    tl_value *re = aten_1(c, TL_OP_square, z.re), *im = aten_1(c, TL_OP_square, z.im);
    return aten_2(c, TL_OP_add, re, im);
}

/* size e^(i angle) */
static aten_complex from_polar(aten_call *c, tl_value *size, tl_value *angle)
{
    tl_value *re = aten_2(c, TL_OP_mul, size, aten_1(c, TL_OP_cos, angle));
    tl_value *im = aten_2(c, TL_OP_mul, size, aten_1(c, TL_OP_sin, angle));
    return (aten_complex){re, im};
}

/* ---- arithmetic ---- */

static void complex_sum(aten_call *c)
{
    aten_complex x = aten_parts(c, 0), y = aten_parts(c, 1);
    double alpha = aten_float(c, 2, 1);
    tl_op op = c->row->op;
    if (alpha != 1) {
        aten_refuse(c, "complex numbers with alpha");
        return;
    }
    tl_value *re = aten_2(c, op, x.re, y.re), *im;
    if (x.im && y.im)
        im = aten_2(c, op, x.im, y.im);
    else if (x.im)
        im = aten_2(c, TL_OP_add, x.im, aten_2(c, TL_OP_mul, y.re, aten_scalar_like(c, y.re, 0)));
    else
        im = aten_2(c, op, aten_2(c, TL_OP_mul, x.re, aten_scalar_like(c, x.re, 0)), y.im);
    aten_return_joined(c, (aten_complex){re, im});
}

static aten_complex product_of(aten_call *c, tl_op op, aten_complex x, aten_complex y)
{
    tl_value *re = aten_2(c, op, x.re, y.re);
    tl_value *left = x.im ? aten_2(c, op, x.im, y.re) : NULL;
    tl_value *right = y.im ? aten_2(c, op, x.re, y.im) : NULL;
    if (x.im && y.im)
        re = aten_2(c, TL_OP_sub, re, aten_2(c, op, x.im, y.im));
    return (aten_complex){re, left && right ? aten_2(c, TL_OP_add, left, right)
                              : left        ? left
                                            : right};
}

static void complex_product(aten_call *c)
{
    aten_complex x = aten_parts(c, 0), y = aten_parts(c, 1);
    aten_return_joined(c, product_of(c, TL_OP_mul, x, y));
}

/* x / y = x conj(y) / |y|² */
static void complex_quotient(aten_call *c)
{
    aten_complex x = aten_parts(c, 0), y = aten_parts(c, 1);
    if (!y.im) {
        aten_return_joined(c, scaled_parts(c, TL_OP_div, x, y.re));
        return;
    }
    tl_value *size = size_squared(c, y);
    aten_complex conjugate = {y.re, aten_1(c, TL_OP_neg, y.im)};
    aten_complex z = product_of(c, TL_OP_mul, x, conjugate);
    aten_return_joined(c, scaled_parts(c, TL_OP_div, z, size));
}

static void complex_neg(aten_call *c)
{
    aten_return_complex(c, 0, aten_1(c, TL_OP_neg, aten_value(c, 0)));
}

static void complex_conj(aten_call *c)
{
    aten_complex z = aten_parts(c, 0);
    z.im = aten_1(c, TL_OP_neg, z.im);
    aten_return_joined(c, z);
}

/* √(re² + im²), without overflow in between: see hypot */
static void complex_abs(aten_call *c)
{
    aten_complex z = aten_parts(c, 0);
    aten_return(c, 0, aten_1(c, TL_OP_sqrt, size_squared(c, z)));
}

static void complex_angle(aten_call *c)
{
    aten_complex z = aten_parts(c, 0);
    aten_return(c, 0, aten_2(c, TL_OP_atan2, z.im, z.re));
}

static void complex_exp(aten_call *c)
{
    aten_complex z = aten_parts(c, 0);
    aten_return_joined(c, from_polar(c, aten_1(c, TL_OP_exp, z.re), z.im));
}

static void complex_square(aten_call *c)
{
    aten_complex z = aten_parts(c, 0);
    aten_return_joined(c, product_of(c, TL_OP_mul, z, z));
}

/* matmul by parts */
static void complex_matmul(aten_call *c)
{
    aten_complex x = aten_parts(c, 0), y = aten_parts(c, 1);
    aten_return_joined(c, product_of(c, TL_OP_matmul, x, y));
}

/* sum.dim_IntList, mean.dim: the axes are those of the numbers */
static void complex_reduce(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    aten_axes axes;
    if (aten_read_axes(c, 1, aten_rank(x) - 1, true, &axes))
        aten_return_complex(
            c, 0, tl_build_reduce(c->b, c->row->op, x, axes.v, axes.n, aten_bool(c, 2, false)));
}

/* cat, stack: the axis is counted without the parts */
static void complex_cat(aten_call *c)
{
    size_t n;
    tl_value **v = aten_values(c, 0, &n);
    int axis = n ? aten_axis(c, aten_int(c, 1, 0), aten_rank(v[0]) - 1) : -1;
    if (axis >= 0)
        aten_return_complex(c, 0, n == 1 ? v[0] : tl_build_concat(c->b, v, n, axis));
}

/* 1 / z = conj(z) / |z|² */
static void complex_reciprocal(aten_call *c)
{
    aten_complex z = aten_parts(c, 0);
    tl_value *size = size_squared(c, z);
    z.im = aten_1(c, TL_OP_neg, z.im);
    aten_return_joined(c, scaled_parts(c, TL_OP_div, z, size));
}

/* pow.Tensor_Scalar for whole exponents: by squares */
static void complex_pow(aten_call *c)
{
    aten_complex z = aten_parts(c, 0), y = {NULL, NULL};
    double exponent = c->arg[1].kind == ATEN_TENSOR ? -1 : aten_float(c, 1, 1);
    if (exponent < 1 || exponent > 64 || exponent != (double)(int64_t)exponent) {
        aten_refuse(c, "complex numbers to a power that is not a small whole number");
        return;
    }
    for (int64_t p = (int64_t)exponent; p; p >>= 1) {
        if (p & 1)
            y = y.re ? product_of(c, TL_OP_mul, y, z) : z;
        z = p > 1 ? product_of(c, TL_OP_mul, z, z) : z;
    }
    aten_return_joined(c, y);
}

/* flip(self, dims): the axes are those of the numbers */
static void complex_flip(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    aten_axes axes;
    if (!aten_read_axes(c, 1, aten_rank(x) - 1, false, &axes))
        return;
    tl_axes_attrs attrs = {.axes = {axes.n, axes.v}};
    aten_return_complex(c, 0, axes.n ? tl_build1(c->b, TL_OP_reverse, x, &attrs) : x);
}

/* ---- between real and complex ---- */

static void set_complex(aten_call *c, bool is_complex)
{
    aten_tensor *t = aten_view_same(c->env, aten_handle(c, 0));
    t->is_complex = is_complex;
    aten_return_tensor(c, 0, t);
}

void aten_op_view_as_complex(aten_call *c)
{
    set_complex(c, true);
}

static void complex_view_as_real(aten_call *c)
{
    set_complex(c, false);
}

static void complex_part(aten_call *c, int64_t k)
{
    aten_tensor *t = aten_view_same(c->env, aten_handle(c, 0));
    int axis = aten_rank(aten_tensor_read(c->env, t)) - 1;
    t->is_complex = false;
    aten_return_tensor(c, 0, aten_view_select(c->env, t, axis, aten_i(c, k)));
}

static void complex_real(aten_call *c)
{
    complex_part(c, 0);
}

static void complex_imag(aten_call *c)
{
    complex_part(c, 1);
}

/* complex(real, imag) */
void aten_op_complex(aten_call *c)
{
    tl_value *re = aten_value(c, 0), *im = aten_value(c, 1);
    aten_return_joined(c, (aten_complex){re, im});
}

/* polar(abs, angle) */
void aten_op_polar(aten_call *c)
{
    tl_value *size = aten_value(c, 0), *angle = aten_value(c, 1);
    aten_return_joined(c, from_polar(c, size, angle));
}

/* The angle of a real number is 0 or π. */
void aten_op_angle(aten_call *c)
{
    tl_value *x = aten_as_float(c, aten_value(c, 0));
    tl_value *zero = aten_scalar_like(c, x, 0), *pi = aten_scalar_like(c, x, PI);
    tl_value *below = aten_2(c, TL_OP_less, x, zero);
    aten_return(c, 0, tl_build3(c->b, TL_OP_where, below, pi, zero, NULL));
}

/* ---- which handlers serve complex operands ---- */

static const struct {
    const char *name;
    aten_handler handler; /* NULL: that of the row */
} complex_handlers[] = {
    {"add", complex_sum},
    {"sub", complex_sum},
    {"mul", complex_product},
    {"div", complex_quotient},
    {"neg", complex_neg},
    {"abs", complex_abs},
    {"angle", complex_angle},
    {"conj", complex_conj},
    {"_conj", complex_conj},
    {"conj_physical", complex_conj},
    {"resolve_conj", NULL},
    {"resolve_neg", NULL},
    {"exp", complex_exp},
    {"square", complex_square},
    {"reciprocal", complex_reciprocal},
    {"pow", complex_pow},
    {"flip", complex_flip},
    {"matmul", complex_matmul},
    {"mm", complex_matmul},
    {"bmm", complex_matmul},
    {"sum", complex_reduce},
    {"mean", complex_reduce},
    {"cat", complex_cat},
    {"view_as_real", complex_view_as_real},
    {"real", complex_real},
    {"imag", complex_imag},
    {"fft_fft", aten_complex_fft_fft},
    {"fft_ifft", aten_complex_fft_ifft},
    {"fft_irfft", aten_complex_fft_irfft},
    {"_fft_c2r", aten_complex_fft_c2r},
    {"_fft_c2c", aten_complex_fft_c2c},
    {"fft_fft2", NULL},
    {"fft_ifft2", NULL},
    {"fft_irfft2", NULL},
    {"fft_fftn", NULL},
    {"fft_ifftn", NULL},
    {"fft_irfftn", NULL},
    {"istft", NULL},
    {"_to_copy", NULL},
    {"view", NULL},
    {"reshape", NULL},
    {"flatten", NULL},
    {"unflatten", NULL},
    {"squeeze", NULL},
    {"unsqueeze", NULL},
    {"permute", NULL},
    {"transpose", NULL},
    {"t", NULL},
    {"movedim", NULL},
    {"expand", NULL},
    {"slice", NULL},
    {"narrow", NULL},
    {"select", NULL},
    {"split", NULL},
    {"split_with_sizes", NULL},
    {"chunk", NULL},
    {"unbind", NULL},
    {"alias", NULL},
    {"detach", NULL},
    {"clone", NULL},
    {"contiguous", NULL},
    {"sym_size", NULL},
    {"lift_fresh_copy", NULL},
};

aten_handler aten_complex_handler(const aten_call *c)
{
    tl_str name = aten_signature_of(c->env, c->row)->name;
    for (size_t i = 0; i < TL_COUNT(complex_handlers); i++)
        if (tl_str_is(name, complex_handlers[i].name))
            return complex_handlers[i].handler ? complex_handlers[i].handler : c->row->import;
    return NULL;
}
