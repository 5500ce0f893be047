/* Functions of vectors. Errors are those measured over all floats against double (fast_test.c): below 2 ulp
 * unless said. Included once per instruction set. */

#define LOG2E  0x1.715476p+0f
#define LN2_HI 0x1.62e400p-1f
#define LN2_LO 0x1.7f7d1cp-20f

/* eʳ - 1 - r for |r| <= ln 2 / 2: the polynomial of Cephes' expf. */
IN vf v_exp_tail(vf r)
{
    vf p = v_fma(r, v_set(1.9875691500e-4f), v_set(1.3981999507e-3f));
    p = v_fma(p, r, v_set(8.3334519073e-3f));
    p = v_fma(p, r, v_set(4.1665795894e-2f));
    p = v_fma(p, r, v_set(1.6666665459e-1f));
    p = v_fma(p, r, v_set(5.0000001201e-1f));
    return v_mul(p, v_mul(r, r));
}

/* eˣ = 2ⁿ eʳ; 2ⁿ in two factors so that subnormal results and 2^128 have one. */
IN vf v_exp(vf x)
{
    x = v_min(v_set(89.0f), v_max(v_set(-104.0f), x));
    vf n = v_round(v_mul(x, v_set(LOG2E)));
    vf r = v_fma(n, v_set(-LN2_HI), x);
    r = v_fma(n, v_set(-LN2_LO), r);
    vf p = v_add(v_add(v_exp_tail(r), r), v_set(1.0f));
    vf half = v_round(v_mul(n, v_set(0.5f)));
    return v_mul(v_mul(p, v_pow2(half)), v_pow2(v_sub(n, half)));
}

/* x = m 2ᵉ, ln m by the polynomial of Cephes' logf on [√½, √2). */
IN vf v_log(vf x)
{
    vf e, tiny = v_set(0x1p-126f), scaled = v_lt(x, tiny, v_mul(x, v_set(0x1p24f)), x);
    vf z = v_sub(v_split(scaled, &e), v_set(1.0f)), z2 = v_mul(z, z);
    e = v_lt(x, tiny, v_sub(e, v_set(24.0f)), e);
    vf p = v_fma(z, v_set(7.0376836292e-2f), v_set(-1.1514610310e-1f));
    p = v_fma(p, z, v_set(1.1676998740e-1f));
    p = v_fma(p, z, v_set(-1.2420140846e-1f));
    p = v_fma(p, z, v_set(1.4249322787e-1f));
    p = v_fma(p, z, v_set(-1.6668057665e-1f));
    p = v_fma(p, z, v_set(2.0000714765e-1f));
    p = v_fma(p, z, v_set(-2.4999993993e-1f));
    p = v_fma(p, z, v_set(3.3333331174e-1f));
    vf y = v_mul(v_mul(z, z2), p);
    y = v_fma(e, v_set(-2.12194440e-4f), y);
    y = v_fma(z2, v_set(-0.5f), y);
    y = v_fma(e, v_set(0.693359375f), v_add(z, y));
    vf inf = v_set(__builtin_inff()), zero = v_set(0.0f);
    y = v_lt(x, inf, y, x);
    y = v_lt(x, zero, v_set(__builtin_nanf("")), v_lt(zero, x, y, v_sub(zero, inf)));
    return v_nan(x, y);
}

IN vf v_sigmoid(vf x)
{
    vf one = v_set(1.0f);
    return v_div(one, v_add(one, v_exp(v_sub(v_set(0.0f), x))));
}

/* Small x: Cephes' tanhf; else 1 - 2 / (e^2|x| + 1). */
IN vf v_tanh(vf x)
{
    vf a = v_abs(x), z = v_mul(x, x), one = v_set(1.0f);
    vf p = v_fma(z, v_set(-5.70498872745e-3f), v_set(2.06390887954e-2f));
    p = v_fma(p, z, v_set(-5.37397155531e-2f));
    p = v_fma(p, z, v_set(1.33314422036e-1f));
    p = v_fma(p, z, v_set(-3.33332819422e-1f));
    vf small = v_fma(v_mul(p, z), x, x);
    vf big = v_sub(one, v_div(v_set(2.0f), v_add(v_exp(v_add(a, a)), one)));
    return v_lt(a, v_set(0.625f), small, v_signed(big, x));
}

/* x P(x²) / Q(x²) on [-4, 4], 1 - 2e-8 beyond: absolute error below 2e-7. */
IN vf v_erf(vf x)
{
    x = v_min(v_set(4.0f), v_max(v_set(-4.0f), x));
    vf z = v_mul(x, x);
    vf p = v_fma(z, v_set(-2.72614225801306e-10f), v_set(2.77068142495902e-08f));
    p = v_fma(p, z, v_set(-2.10102402082508e-06f));
    p = v_fma(p, z, v_set(-5.69250639462346e-05f));
    p = v_fma(p, z, v_set(-7.34990630326855e-04f));
    p = v_fma(p, z, v_set(-2.95459980854025e-03f));
    p = v_fma(p, z, v_set(-1.60960333262415e-02f));
    vf q = v_fma(z, v_set(-1.45660718464996e-05f), v_set(-2.13374055278905e-04f));
    q = v_fma(q, z, v_set(-1.68282697438203e-03f));
    q = v_fma(q, z, v_set(-7.37332916720468e-03f));
    q = v_fma(q, z, v_set(-1.42647390514189e-02f));
    return v_div(v_mul(x, p), q);
}

/* ln(1 + eˣ) = max(x, 0) + ln(1 + e^-|x|); the last term by ln u (t / (u - 1)), u = 1 + t, exact for small t. */
IN vf v_softplus(vf x)
{
    vf one = v_set(1.0f), t = v_exp(v_sub(v_set(0.0f), v_abs(x))), u = v_add(one, t), d = v_sub(u, one);
    vf rest = v_lt(v_set(0.0f), d, v_mul(v_log(u), v_div(t, d)), t);
    return v_add(v_max(v_set(0.0f), x), rest);
}

/* eˣ - 1 for x <= 0: the polynomial itself where it is small. */
IN vf v_expm1(vf x)
{
    vf p = v_add(v_exp_tail(x), x);
    return v_lt(v_abs(x), v_set(0.25f), p, v_sub(v_exp(x), v_set(1.0f)));
}

/* ---- y = f(x, a, b), b second parameter ---- */

IN vf u_clamp(vf x, vf a, vf b)
{
    return v_min(b, v_max(a, x));
}
IN vf u_scale(vf x, vf a, vf b)
{
    (void)b;
    return v_mul(x, a);
}
IN vf u_abs(vf x, vf a, vf b)
{
    (void)a, (void)b;
    return v_abs(x);
}
IN vf u_neg(vf x, vf a, vf b)
{
    (void)a, (void)b;
    return v_mul(x, v_set(-1.0f));
}
IN vf u_square(vf x, vf a, vf b)
{
    (void)a, (void)b;
    return v_mul(x, x);
}
IN vf u_sqrt(vf x, vf a, vf b)
{
    (void)a, (void)b;
    return v_sqrt(x);
}
IN vf u_rsqrt(vf x, vf a, vf b)
{
    (void)a, (void)b;
    return v_div(v_set(1.0f), v_sqrt(x));
}
IN vf u_reciprocal(vf x, vf a, vf b)
{
    (void)a, (void)b;
    return v_div(v_set(1.0f), x);
}
IN vf u_exp(vf x, vf a, vf b)
{
    (void)a, (void)b;
    return v_exp(x);
}
IN vf u_log(vf x, vf a, vf b)
{
    (void)a, (void)b;
    return v_log(x);
}
IN vf u_sigmoid(vf x, vf a, vf b)
{
    (void)a, (void)b;
    return v_sigmoid(x);
}
IN vf u_tanh(vf x, vf a, vf b)
{
    (void)a, (void)b;
    return v_tanh(x);
}
IN vf u_erf(vf x, vf a, vf b)
{
    (void)a, (void)b;
    return v_erf(x);
}
IN vf u_silu(vf x, vf a, vf b)
{
    (void)a, (void)b;
    return v_mul(x, v_sigmoid(x));
}
IN vf u_gelu(vf x, vf a, vf b)
{
    (void)a, (void)b;
    return v_mul(v_mul(v_set(0.5f), x), v_add(v_set(1.0f), v_erf(v_mul(x, v_set(0.70710678f)))));
}
/* ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))) */
IN vf u_gelu_tanh(vf x, vf a, vf b)
{
    (void)a, (void)b;
    vf t = v_fma(v_mul(v_set(0.044715f), v_mul(x, x)), x, x);
    return v_mul(v_mul(v_set(0.5f), x), v_add(v_set(1.0f), v_tanh(v_mul(v_set(0.79788456f), t))));
}
IN vf u_hard_swish(vf x, vf a, vf b)
{
    (void)a, (void)b;
    vf gate = v_min(v_set(6.0f), v_max(v_set(0.0f), v_add(x, v_set(3.0f))));
    return v_mul(x, v_mul(gate, v_set(1.0f / 6)));
}
IN vf u_hard_sigmoid(vf x, vf a, vf b)
{
    return v_min(v_set(1.0f), v_max(v_set(0.0f), v_fma(a, x, b)));
}
IN vf u_leaky_relu(vf x, vf a, vf b)
{
    (void)b;
    return v_lt(x, v_set(0.0f), v_mul(a, x), x);
}
IN vf u_elu(vf x, vf a, vf b)
{
    (void)b;
    return v_lt(x, v_set(0.0f), v_mul(a, v_expm1(x)), x);
}
IN vf u_softplus(vf x, vf a, vf b)
{
    (void)a, (void)b;
    return v_softplus(x);
}
IN vf u_mish(vf x, vf a, vf b)
{
    (void)a, (void)b;
    return v_mul(x, v_tanh(v_softplus(x)));
}
IN vf u_cube(vf x, vf a, vf b)
{
    (void)a, (void)b;
    return v_mul(x, v_mul(x, x));
}
IN vf u_root(vf x, vf a, vf b)
{
    (void)a, (void)b;
    vf inf = v_set(__builtin_inff());
    return v_lt(x, v_set(-0x1.fffffep127f), inf, v_sqrt(v_add(x, v_set(0.0f))));
}
IN vf u_inverse_root(vf x, vf a, vf b)
{
    return v_div(v_set(1.0f), u_root(x, a, b));
}
IN vf u_round(vf x, vf a, vf b)
{
    (void)a, (void)b;
    return v_round(x);
}
IN vf u_floor(vf x, vf a, vf b)
{
    (void)a, (void)b;
    vf r = v_round(x);
    return v_signed(v_lt(x, r, v_sub(r, v_set(1.0f)), r), x);
}
IN vf u_ceil(vf x, vf a, vf b)
{
    (void)a, (void)b;
    vf r = v_round(x);
    return v_signed(v_lt(r, x, v_add(r, v_set(1.0f)), r), x);
}

/* ---- z = f(x, y) ---- */

IN vf b_add(vf x, vf y)
{
    return v_add(x, y);
}
IN vf b_sub(vf x, vf y)
{
    return v_sub(x, y);
}
IN vf b_mul(vf x, vf y)
{
    return v_mul(x, y);
}
IN vf b_div(vf x, vf y)
{
    return v_div(x, y);
}
/* A NaN in either operand wins: v_min and v_max give y when there is one. */
IN vf b_min(vf x, vf y)
{
    return v_nan(x, v_min(x, y));
}
IN vf b_max(vf x, vf y)
{
    return v_nan(x, v_max(x, y));
}
IN vf b_squared_difference(vf x, vf y)
{
    vf d = v_sub(x, y);
    return v_mul(d, d);
}
IN vf b_prelu(vf x, vf y)
{
    return v_lt(x, v_set(0.0f), v_mul(x, y), x);
}
