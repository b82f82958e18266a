"""The lecture's loop: a + b x + c x² + d x³ fitted by gradient descent, gradients on paper."""

from __future__ import annotations

import numpy as np


def train(first, x, y, steps, log=100, lr=1e-6):
    """Take steps on x and y, both (N,); return the parameters and every log-th loss."""
    a, b, c, d = (float(first[name]) for name in "abcd")
    losses = []
    for t in range(steps):
        f = a + b * x + c * x**2 + d * x**3
        loss = np.square(f - y).sum()
        if t % log == 0:
            losses.append(float(loss))
        d_f = 2.0 * (f - y)
        d_a = d_f.sum()
        d_b = (d_f * x).sum()
        d_c = (d_f * x**2).sum()
        d_d = (d_f * x**3).sum()
        a -= lr * d_a
        b -= lr * d_b
        c -= lr * d_c
        d -= lr * d_d
    return {"a": a, "b": b, "c": c, "d": d}, losses
