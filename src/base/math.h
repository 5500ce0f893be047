/* Elementary functions of our own. Reference kernels and constant folding use these and nothing from
 * libm, so that converted bytes do not depend on libm, compiler, processor or threads. Double
 * precision, error below 2 ulp over the whole range unless said; only + - * / sqrt and bit moves,
 * compiled with -ffp-contract=off. NaN and infinities as in C's Annex F. */
#ifndef TL_BASE_MATH_H
#define TL_BASE_MATH_H

#include "base/platform.h"

double tl_exp(double x);
double tl_expm1(double x);
double tl_log(double x);
double tl_log1p(double x);
double tl_pow(double x, double y);
double tl_sin(double x); /* any finite x: Payne-Hanek or exact reduction */
double tl_cos(double x);
double tl_tan(double x);
double tl_asin(double x);
double tl_acos(double x);
double tl_atan(double x);
double tl_atan2(double y, double x);
double tl_sinh(double x);
double tl_cosh(double x);
double tl_tanh(double x);
double tl_asinh(double x);
double tl_acosh(double x);
double tl_atanh(double x);
double tl_erf(double x);
double tl_sqrt(double x);
double tl_floor(double x);
double tl_ceil(double x);
double tl_trunc(double x);
double tl_round_even(double x); /* half to even */
double tl_round_away(double x); /* half away from zero */
double tl_fmod(double x, double y);

#endif
