"""The error function and its complement in numpy, to about 1e-15 without scipy.

Both are Chebyshev series found by interpolating the functions in 40-digit arithmetic
(mpmath); `tests/ops/test_stability.py` holds them against mpmath. The complement keeps its
relative accuracy (1e-13 or better) far out in the tail, where 1 - erf(x) has none left.
"""

from __future__ import annotations

import numpy as np


def erfc(x):
    """Complementary error function, 1 - erf(x), accurate in its tail too."""
    z = np.minimum(np.abs(x.astype(np.float64)), 40)
    # erfc(z) = t exp(-z^2) S(t) with t = 4 / (4 + z) and S a series in 2 t - 1.
    series = [
        0.40802446954913146,
        0.37635823567636745,
        0.14758035457222363,
        0.049571317930027586,
        0.014227107557117175,
        0.003443493262717524,
        0.000682254183283808,
        0.00010340451975756189,
        9.72854595199015e-06,
        -1.1988713758412045e-07,
        -2.1747767703449563e-07,
        -3.0291767735991394e-08,
        9.47991756520455e-10,
        8.633411694990956e-10,
        6.872156425953403e-11,
        -1.7034898438296277e-11,
        -3.3921306868290887e-12,
        2.6158087668540244e-13,
        1.212767580310864e-13,
        -2.114689543244809e-15,
        -4.117340933404178e-15,
        -6.328712721700708e-17,
    ]
    t = 4 / (4 + z)
    tail = t * np.exp(-z * z) * np.polynomial.chebyshev.chebval(2 * t - 1, series)
    return np.where(x >= 0, tail, 2 - tail).astype(x.dtype)


def erf(x):
    """Error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    z = x.astype(np.float64)
    # Near 0, erf(z) = z S(z^2); from 1 on, the complement is the accurate one.
    series = [
        0.9754769393826541,
        -0.14226120510371365,
        0.010035582187599796,
        -0.0005768764699767485,
        2.741993125219606e-05,
        -1.1043175507344507e-06,
        3.8488755420345036e-08,
        -1.1808582533875466e-09,
        3.2334215826050907e-11,
        -7.991015947004549e-13,
        1.7990725113961456e-14,
        -3.718635487818693e-16,
    ]
    near = np.clip(z, -1, 1)
    inner = near * np.polynomial.chebyshev.chebval(2 * near * near - 1, series)
    outer = np.sign(z) * (1 - erfc(np.abs(z)))
    return np.where(np.abs(z) < 1, inner, outer).astype(x.dtype)
