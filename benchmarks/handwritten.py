"""`loss_and_grad` of the lecture's networks as one would write them by hand.

The same interface as the emitted functions, the lecture's names, float32, and every derivative on
paper first. `benchmarks/statements.py` counts their statements beside the compiler's; helpers
below them (softmax and its like) are not counted on either side.
"""

from __future__ import annotations

import numpy as np


def cubic(params, x, y):
    """f = a + b x + c x^2 + d x^3, the summed squared error."""
    x = np.asarray(x, dtype=np.float32)
    y = np.asarray(y, dtype=np.float32)
    a, b, c, d = params["a"], params["b"], params["c"], params["d"]
    x2 = x**2
    x3 = x**3
    f = a + b * x + c * x2 + d * x3
    e = f - y
    loss = np.sum(e**2)
    d_f = 2 * e
    d_a = np.sum(d_f)
    d_b = np.sum(d_f * x)
    d_c = np.sum(d_f * x2)
    d_d = np.sum(d_f * x3)
    return float(loss), {"a": d_a, "b": d_b, "c": d_c, "d": d_d}


def regression(params, x, y):
    """f = w x + b, the mean squared error."""
    x = np.asarray(x, dtype=np.float32)
    y = np.asarray(y, dtype=np.float32)
    w, b = params["w"], params["b"]
    f = x @ w + b
    e = f - y
    loss = np.mean(e**2)
    d_f = 2 * e / len(x)
    d_w = d_f @ x
    d_b = np.sum(d_f)
    return float(loss), {"w": d_w, "b": d_b}


def perceptron(params, x, y):
    """z = W x + b, the mean of max_c z_c - z_y; its gradient is the perceptron rule."""
    x = np.asarray(x, dtype=np.float32)
    y = np.asarray(y, dtype=np.int64)
    W, b = params["W"], params["b"]
    z = x @ W.T + b
    winner = one_hot(np.argmax(z, axis=-1), 3)
    label = one_hot(y, 3)
    loss = np.mean(np.sum((winner - label) * z, axis=-1))
    d_z = (winner - label) / len(x)
    d_W = d_z.T @ x
    d_b = np.sum(d_z, axis=0)
    return float(loss), {"W": d_W, "b": d_b}


def softmax(params, x, y):
    """z = W x + b, the mean cross-entropy of softmax(z)."""
    x = np.asarray(x, dtype=np.float32)
    y = np.asarray(y, dtype=np.int64)
    W, b = params["W"], params["b"]
    z = x @ W.T + b
    log_p = log_softmax(z)
    loss = -np.mean(log_p[np.arange(len(x)), y])
    d_z = (np.exp(log_p) - one_hot(y, 3)) / len(x)
    d_W = d_z.T @ x
    d_b = np.sum(d_z, axis=0)
    return float(loss), {"W": d_W, "b": d_b}


def one_hot_error(params, x, y):
    """The errors of the perceptron and of regression, both f - y."""
    x = np.asarray(x, dtype=np.float32)
    y = np.asarray(y, dtype=np.float32)
    W_p, W_r = params["W_p"], params["W_r"]
    z_p = x @ W_p.T
    f_p = one_hot(np.argmax(z_p, axis=-1), 3)
    epsilon_p = f_p - y
    f_r = x @ W_r.T
    epsilon_r = f_r - y
    L_p = np.sum(epsilon_p * z_p, axis=-1)
    L_r = np.sum(epsilon_r**2, axis=-1) / 2
    loss = np.mean(L_p) + np.mean(L_r)
    N = len(x)
    d_W_p = epsilon_p.T @ x / N
    d_W_r = epsilon_r.T @ x / N
    return float(loss), {"W_p": d_W_p, "W_r": d_W_r}


def mlp_2_3_2(params, x, y):
    """Linear, sigmoid, linear, the mean squared error."""
    x = np.asarray(x, dtype=np.float32)
    y = np.asarray(y, dtype=np.float32)
    W_1, b_1, W_2, b_2 = (params[f"f.{name}"] for name in NAMES)
    h = sigmoid(x @ W_1.T + b_1)
    f = h @ W_2.T + b_2
    e = f - y
    loss = np.mean(e**2)
    d_f = 2 * e / e.size
    d_W_2 = d_f.T @ h
    d_b_2 = np.sum(d_f, axis=0)
    d_h = d_f @ W_2
    d_xi = d_h * h * (1 - h)
    d_W_1 = d_xi.T @ x
    d_b_1 = np.sum(d_xi, axis=0)
    grads = dict(zip(NAMES, (d_W_1, d_b_1, d_W_2, d_b_2), strict=True))
    return float(loss), {f"f.{name}": grad for name, grad in grads.items()}


def xor_learned(params, x, y):
    """Two tanh circles and one behind them, each ξ by its name; the mean squared error."""
    x = np.asarray(x, dtype=np.float32)
    y = np.asarray(y, dtype=np.float32)
    b_h, w_x_h, b_f, w_h_f = (params[name] for name in ("b_h", "w_x_h", "b_f", "w_h_f"))
    xi_h = x @ w_x_h.T + b_h
    h = np.tanh(xi_h)
    xi_f = h @ w_h_f + b_f
    f = np.tanh(xi_f)
    e = f - y
    loss = np.mean(e**2)
    d_f = 2 * e / len(x)
    d_xi_f = d_f * (1 - f**2)
    d_w_h_f = d_xi_f @ h
    d_b_f = np.sum(d_xi_f)
    d_h = np.outer(d_xi_f, w_h_f)
    d_xi_h = d_h * (1 - h**2)
    d_w_x_h = d_xi_h.T @ x
    d_b_h = np.sum(d_xi_h, axis=0)
    return float(loss), {"b_h": d_b_h, "w_x_h": d_w_x_h, "b_f": d_b_f, "w_h_f": d_w_h_f}


# ---------------------------------------------------------------------------------------
# Not counted

NAMES = ("linear.weight", "linear.bias", "linear_2.weight", "linear_2.bias")


def one_hot(y, classes):
    """1 at the label's place, else 0."""
    return (y[..., None] == np.arange(classes)).astype(np.float32)


def log_softmax(z):
    """The logarithm of softmax, the largest entry taken off first."""
    shifted = z - np.max(z, axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def sigmoid(x):
    """The logistic function, without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)
