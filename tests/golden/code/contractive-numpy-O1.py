"""contractive: A contractive autoencoder.

Compiled from contractive.flow by flowc 0.1.0 (target numpy, -O1).
"""

import math

import numpy as np

D = 4
H = 6

PARAMS: dict[str, tuple[int, ...]] = {"W": (H, D), "b": (H,), "c": (D,)}


def init(seed=0):
    """Return first parameters, each drawn from a stream of its own: (seed, name)."""

    def rng(name):
        return np.random.default_rng([seed, *name.encode()])

    values = {"W": glorot(rng("W"), (H, D)), "b": np.zeros((H,)), "c": np.zeros((D,))}
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, x):
    """Return h (N, 6) and r (N, 4) from x (N, 4)."""
    x = np.asarray(x, dtype=np.float32)  # (N, 4)
    W, b, c = params["W"], params["b"], params["c"]  # (6, 4), (6,), (4,)
    h = sigmoid(x @ W.T + b)  # (N, 6)
    r = h @ W + c  # (N, 4)
    return h, r


def loss(params, x, v):
    """Return the sum of the losses reconstruction, contraction."""
    x = np.asarray(x, dtype=np.float32)  # (N, 4)
    v = np.asarray(v, dtype=np.float32)  # (N, 4)
    W, b, c = params["W"], params["b"], params["c"]  # (6, 4), (6,), (4,)
    h = sigmoid(x @ W.T + b)  # (N, 6)
    r = h @ W + c  # (N, 4)
    reconstruction = np.sum((r - x) ** 2, axis=-1)  # (N,)
    h_dot = v @ W.T * (h * (1 - h))  # (N, 6)
    contraction = 0.5 * np.sum(h_dot**2, axis=-1)  # (N,)
    return float(batch_mean(reconstruction) + batch_mean(contraction))


def loss_and_grad(params, x, v):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N, 4)
    v = np.asarray(v, dtype=np.float32)  # (N, 4)
    W, b, c = params["W"], params["b"], params["c"]  # (6, 4), (6,), (4,)
    N = len(x)

    h = sigmoid(x @ W.T + b)  # (N, 6)
    r = h @ W + c  # (N, 4)
    r_minus_x = r - x
    reconstruction = np.sum(r_minus_x**2, axis=-1)  # (N,)
    h_dot_matmul = v @ W.T  # (N, 6)
    h_dot_sub = 1 - h
    h_dot_mul = h * h_dot_sub
    h_dot = h_dot_matmul * h_dot_mul
    contraction = 0.5 * np.sum(h_dot**2, axis=-1)  # (N,)
    loss = batch_mean(reconstruction) + batch_mean(contraction)

    # contraction = 0.5 * np.sum(h_dot**2, axis=-1)
    d_h_dot = h_dot / max(N, 1)  # (N, 6)

    # h_dot = h_dot_matmul * h_dot_mul
    d_mul = d_h_dot * h_dot_matmul

    # reconstruction = np.sum(r_minus_x**2, axis=-1)
    d_r = 2 * r_minus_x / max(N, 1)  # (N, 4)

    # r = h @ W + c
    d_c = np.sum(d_r, axis=-2)  # (4,)
    d_h = d_mul * h_dot_sub - d_mul * h + d_r @ W.T  # (N, 6)

    # h = sigmoid(x @ W.T + b)
    d_add = d_h * h_dot_mul
    d_b = np.sum(d_add, axis=-2)  # (6,)
    d_W = h.T @ d_r + ((d_h_dot * h_dot_mul).T @ v + d_add.T @ x)  # (6, 4)

    return float(loss), {"W": d_W, "b": d_b, "c": d_c}


def glorot(rng, shape):
    """Uniform in ±sqrt(6 / (fan_in + fan_out))."""
    bound = math.sqrt(6 / max(sum(fans(shape)), 1))
    return rng.uniform(-bound, bound, shape)


def fans(shape):
    """Fan in and fan out of a weight [out, in, *kernel]."""
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def sigmoid(x):
    """Logistic function 1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)
