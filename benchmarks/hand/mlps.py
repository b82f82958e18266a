"""Networks of linear layers as one would write them by hand in numpy, their gradients on paper.

Each takes first parameters by the diagram's names, inputs and targets of one batch, and takes steps of
gradient descent; it returns the parameters and the loss before every step. The 2-3-2 network is in
`loops`.
"""

from __future__ import annotations

import numpy as np
from loops import cross_entropy


def xor_2_2_2(first, x, y, steps, lr=0.3):
    """x (N, 2), labels y (N,): tanh between, softmax cross-entropy."""
    W_1, b_1, W_2, b_2 = (value.copy() for value in first.values())
    losses = []
    for _ in range(steps):
        h = np.tanh(x @ W_1.T + b_1)
        loss, d_z = cross_entropy(h @ W_2.T + b_2, y)
        losses.append(loss)
        d_xi = d_z @ W_2 * (1 - h * h)
        W_2 -= lr * (d_z.T @ h)
        b_2 -= lr * d_z.sum(axis=0)
        W_1 -= lr * (d_xi.T @ x)
        b_1 -= lr * d_xi.sum(axis=0)
    return dict(zip(first, (W_1, b_1, W_2, b_2), strict=True)), losses


def digits_64_32_10(first, x, y, steps, lr=0.1):
    """x (N, 64), labels y (N,): relu between, softmax cross-entropy."""
    W_1, b_1, W_2, b_2 = (value.copy() for value in first.values())
    losses = []
    for _ in range(steps):
        h = np.maximum(x @ W_1.T + b_1, 0)
        loss, d_z = cross_entropy(h @ W_2.T + b_2, y)
        losses.append(loss)
        d_xi = d_z @ W_2
        d_xi *= h > 0
        W_2 -= lr * (d_z.T @ h)
        b_2 -= lr * d_z.sum(axis=0)
        W_1 -= lr * (d_xi.T @ x)
        b_1 -= lr * d_xi.sum(axis=0)
    return dict(zip(first, (W_1, b_1, W_2, b_2), strict=True)), losses


def mlp_784(first, x, y, steps, lr=0.1):
    """x (N, 784), labels y (N,): relu between, softmax cross-entropy."""
    params = [value.copy() for value in first.values()]
    W_1, b_1, W_2, b_2, W_3, b_3 = params
    losses = []
    for _ in range(steps):
        h_1 = np.maximum(x @ W_1.T + b_1, 0)
        h_2 = np.maximum(h_1 @ W_2.T + b_2, 0)
        loss, d_z = cross_entropy(h_2 @ W_3.T + b_3, y)
        losses.append(loss)
        d_2 = d_z @ W_3
        d_2 *= h_2 > 0
        d_1 = d_2 @ W_2
        d_1 *= h_1 > 0
        grads = [d_1.T @ x, d_1.sum(axis=0), d_2.T @ h_1, d_2.sum(axis=0), d_z.T @ h_2, d_z.sum(axis=0)]
        for w, g in zip(params, grads, strict=True):
            g *= lr
            w -= g
    return dict(zip(first, params, strict=True)), losses


def deep_1024(first, x, y, steps, lr=0.1):
    """x and y (N, 1024): relu between four matrices, the mean squared error."""
    params = [value.copy() for value in first.values()]
    Ws, bs = params[::2], params[1::2]
    losses = []
    for _ in range(steps):
        hs = [x]
        for W, b in zip(Ws[:-1], bs[:-1], strict=True):
            h = hs[-1] @ W.T
            h += b
            hs.append(np.maximum(h, 0, out=h))
        e = hs[-1] @ Ws[-1].T
        e += bs[-1]
        e -= y
        losses.append(float(np.vdot(e, e)) / e.size)
        d = e
        d *= 2 / e.size
        for i in reversed(range(len(Ws))):
            d_W, d_b = d.T @ hs[i], d.sum(axis=0)
            if i:
                d = d @ Ws[i]
                d *= hs[i] > 0
            d_W *= lr
            Ws[i] -= d_W
            bs[i] -= lr * d_b
    return dict(zip(first, params, strict=True)), losses
