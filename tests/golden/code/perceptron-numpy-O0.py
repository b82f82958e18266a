"""perceptron: Multi-class perceptron.

Compiled from perceptron.flow by flowc 0.1.0 (target numpy, -O0).
"""

import numpy as np

D = 2
K = 3

PARAMS: dict[str, tuple[int, ...]] = {"W": (3, 2), "b": (K,)}


def init(seed=0):
    """Return first parameters."""
    values = {"W": np.array([[1, 0], [0, 1], [-1, -1]]), "b": np.zeros((K,))}
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, x):
    """Return f, shape (N, 3), from x (N, 2)."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    W, b = params["W"], params["b"]  # (3, 2), (3,)
    z_transpose_last = W.T  # (2, 3)
    z_matmul = x @ z_transpose_last  # (N, 3)
    z = z_matmul + b
    f_argmax = np.argmax(z, axis=-1)  # (N,)
    f = (f_argmax[..., None] == np.arange(3)).astype(np.float32)  # (N, 3)
    return f


def loss(params, x, y):
    """Return the loss, the mean over the batch."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    W, b = params["W"], params["b"]  # (3, 2), (3,)
    z_transpose_last = W.T  # (2, 3)
    z_matmul = x @ z_transpose_last  # (N, 3)
    z = z_matmul + b
    perceptron_2 = perceptron(z, y)  # (N,)
    batch_mean_2 = batch_mean(perceptron_2)
    return float(batch_mean_2)


def loss_and_grad(params, x, y):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    W, b = params["W"], params["b"]  # (3, 2), (3,)
    N = len(x)

    z_transpose_last = W.T  # (2, 3)
    z_matmul = x @ z_transpose_last  # (N, 3)
    z = z_matmul + b
    perceptron_2 = perceptron(z, y)  # (N,)
    batch_mean_2 = batch_mean(perceptron_2)
    loss = batch_mean_2

    # batch_mean_2 = batch_mean(perceptron_2)
    share = np.float32(1.0) / max(N, 1)
    d_perceptron = np.broadcast_to(share, (N,))

    # perceptron_2 = perceptron(z, y)
    unsqueeze = d_perceptron[:, None]  # (N, 1)
    argmax_2 = np.argmax(z, axis=-1)  # (N,)
    one_hot = (argmax_2[..., None] == np.arange(3)).astype(np.float32)  # (N, 3)
    one_hot_2 = (y[..., None] == np.arange(3)).astype(np.float32)
    one_hot_minus_one_hot_2 = one_hot - one_hot_2
    d_z = unsqueeze * one_hot_minus_one_hot_2

    # z = z_matmul + b
    d_b = np.sum(d_z, axis=-2)  # (3,)

    # z_matmul = x @ z_transpose_last
    transpose_last_3 = x.T  # (2, N)
    d_transpose_last = transpose_last_3 @ d_z  # (2, 3)

    # z_transpose_last = W.T
    d_W = d_transpose_last.T  # (3, 2)

    return float(loss), {"W": d_W, "b": d_b}


def metrics(params, x, y):
    """Return the mean of each metric."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    W, b = params["W"], params["b"]  # (3, 2), (3,)
    z_transpose_last = W.T  # (2, 3)
    z_matmul = x @ z_transpose_last  # (N, 3)
    z = z_matmul + b
    accuracy = (np.argmax(z, axis=-1) == y).astype(np.float32)  # (N,)
    batch_mean_2 = batch_mean(accuracy)
    return {"accuracy": float(batch_mean_2)}


def perceptron(z, y, axis=()):
    """Largest score minus the label's, classes along the last axis; mean over axis."""
    own = np.take_along_axis(z, y[..., None], axis=-1)[..., 0]
    return np.mean(np.max(z, axis=-1) - own, axis=axis)


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)
