"""Training loops in plain numpy as one would write them by hand, for `benchmarks/training.py`.

Each takes first parameters by the diagram's names and a list of batches that are ready to use
(float32, labels int64), takes one step a batch, and returns parameters and losses. Gradients are
derived on paper; what need not be done in the loop is done before it.
"""

from __future__ import annotations

import numpy as np


def xor(first, batches, lr=0.3):
    """2-2-1 with tanh, the mean squared error, gradient descent."""
    W, b, v, c = (first[name].copy() for name in ("w_x_h", "b_h", "w_h_f", "b_f"))
    losses = []
    for x, y in batches:
        h = np.tanh(x @ W.T + b)
        f = np.tanh(h @ v + c)
        e = f - y
        losses.append(float(np.mean(e * e)))
        d_f = 2 / len(x) * e * (1 - f * f)
        d_h = d_f[:, None] * v * (1 - h * h)
        v -= lr * (d_f @ h)
        c -= lr * d_f.sum()
        W -= lr * (d_h.T @ x)
        b -= lr * d_h.sum(axis=0)
    return {"w_x_h": W, "b_h": b, "w_h_f": v, "b_f": c}, losses


def xor_circles(first, batches, lr=0.3):
    """The same network whose weights are single numbers by name: gathered into matrices first."""
    sources = {"w_x_h": [["w_x1_h1", "w_x2_h1"], ["w_x1_h2", "w_x2_h2"]]}
    sources |= {"b_h": ["b_h1", "b_h2"], "w_h_f": ["w_h1_f", "w_h2_f"], "b_f": "b_f"}
    packed = {name: _gather(first, parts) for name, parts in sources.items()}
    trained, losses = xor(packed, batches, lr)
    single = {}
    for name, parts in sources.items():
        single |= dict(zip(np.ravel(parts).tolist(), np.ravel(trained[name]), strict=True))
    return single, losses


def _gather(first, parts):
    if isinstance(parts, str):
        return first[parts]
    return np.stack([_gather(first, part) for part in parts])


def mlp_2_3_2(first, batches, lr=0.1):
    """Linear, sigmoid, linear, the mean squared error, gradient descent."""
    names = ("f.linear.weight", "f.linear.bias", "f.linear_2.weight", "f.linear_2.bias")
    W_1, b_1, W_2, b_2 = (first[name].copy() for name in names)
    losses = []
    for x, y in batches:
        h = 1 / (1 + np.exp(-(x @ W_1.T + b_1)))
        e = h @ W_2.T + b_2 - y
        losses.append(float(np.mean(e * e)))
        d_f = 2 / e.size * e
        d_xi = d_f @ W_2 * h * (1 - h)
        W_2 -= lr * (d_f.T @ h)
        b_2 -= lr * d_f.sum(axis=0)
        W_1 -= lr * (d_xi.T @ x)
        b_1 -= lr * d_xi.sum(axis=0)
    return dict(zip(names, (W_1, b_1, W_2, b_2), strict=True)), losses


def digits(first, batches, lr=0.005, beta1=0.9, beta2=0.999, eps=1e-8):
    """64-64-10 with relu, cross-entropy, Adam; the pixels are scaled before the loop."""
    names = ("h.linear.weight", "h.linear.bias", "z.weight", "z.bias")
    params = [first[name].copy() for name in names]
    W_1, b_1, W_2, b_2 = params
    ms = [np.zeros_like(w) for w in params]
    vs = [np.zeros_like(w) for w in params]
    losses = []
    scaled = [(x / 16, y) for x, y in batches]
    for t, (x, y) in enumerate(scaled, 1):
        h = np.maximum(x @ W_1.T + b_1, 0)
        loss, d_z = cross_entropy(h @ W_2.T + b_2, y)
        losses.append(loss)
        d_h = d_z @ W_2
        d_h *= h > 0
        grads = [d_h.T @ x, d_h.sum(axis=0), d_z.T @ h, d_z.sum(axis=0)]
        rate = lr * np.sqrt(1 - beta2**t) / (1 - beta1**t)
        small = eps * np.sqrt(1 - beta2**t)
        for w, g, m, v in zip(params, grads, ms, vs, strict=True):
            m += (1 - beta1) * (g - m)
            v += (1 - beta2) * (g * g - v)
            w -= rate * m / (np.sqrt(v) + small)
    return dict(zip(names, params, strict=True)), losses


def mlp_784(first, batches, lr=0.05, momentum=0.9):
    """784-256-128-10 with relu, cross-entropy, gradient descent with momentum."""
    layers = ("linear", "linear_2", "linear_3")
    names = [f"z.{layer}.{part}" for layer in layers for part in ("weight", "bias")]
    params = [first[name].copy() for name in names]
    W_1, b_1, W_2, b_2, W_3, b_3 = params
    moved = [np.zeros_like(w) for w in params]
    losses = []
    for x, y in batches:
        h_1 = np.maximum(x @ W_1.T + b_1, 0)
        h_2 = np.maximum(h_1 @ W_2.T + b_2, 0)
        loss, d_z = cross_entropy(h_2 @ W_3.T + b_3, y)
        losses.append(loss)
        d_2 = d_z @ W_3
        d_2 *= h_2 > 0
        d_1 = d_2 @ W_2
        d_1 *= h_1 > 0
        grads = [d_1.T @ x, d_1.sum(axis=0), d_2.T @ h_1, d_2.sum(axis=0), d_z.T @ h_2, d_z.sum(axis=0)]
        for w, g, m in zip(params, grads, moved, strict=True):
            m *= momentum
            m += g
            w -= lr * m
    return dict(zip(names, params, strict=True)), losses


def cross_entropy(z, y):
    """The mean loss of scores [N, K] at the labels, and its derivative by the scores."""
    rows = np.arange(len(y))
    z = z - z.max(axis=1, keepdims=True)
    e = np.exp(z)
    total = e.sum(axis=1, keepdims=True)
    loss = float(np.mean(np.log(total[:, 0]) - z[rows, y]))
    d_z = e / total
    d_z[rows, y] -= 1
    return loss, d_z / len(y)
