"""Fits the coefficients of erf in src/formula/formula_eltwise.c: erf(x) = x P(x²) / Q(x²) on [-3.92, 3.92], beyond
which erf is 1 to 3e-8. Rational least squares with Lawson's weights, towards the minimax. Needs numpy."""
from math import erf

import numpy as np

LIMIT, DEGREE, POINTS = 3.92, 5, 4000

x = (np.cos(np.pi * (np.arange(POINTS) + 0.5) / POINTS) + 1) / 2 * LIMIT
x = x[x > 1e-4]
f = np.array([erf(v) / v for v in x])
s = (x / LIMIT) ** 2
up, down = s[:, None] ** np.arange(DEGREE + 1), s[:, None] ** np.arange(1, DEGREE + 1)
weight, q = np.ones_like(s), np.ones_like(s)
for _ in range(400):
    rows = np.concatenate([up, -f[:, None] * down], 1)
    scale = np.sqrt(weight) * x / q
    c, *_ = np.linalg.lstsq(rows * scale[:, None], f * scale, rcond=None)
    q = np.abs(1 + down @ c[DEGREE + 1:])
    error = np.abs(up @ c[:DEGREE + 1] / (1 + down @ c[DEGREE + 1:]) - f) * x
    weight = weight * (0.1 + error / error.max())
    weight /= weight.max()
print("largest error", error.max())
print("P", [float(v) for v in c[:DEGREE + 1] / LIMIT ** (2 * np.arange(DEGREE + 1))])
print("Q", [1.0] + [float(v) for v in c[DEGREE + 1:] / LIMIT ** (2 * np.arange(1, DEGREE + 1))])
