"""softmax: Softmax regression.

Compiled from softmax.flow by flowc 0.1.0 (target numpy, -O1).
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
    """Return p, shape (N, 3), from x (N, 2)."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    W, b = params["W"], params["b"]  # (3, 2), (3,)
    z = x @ W.T + b  # (N, 3)
    return softmax(z)


def loss(params, x, y):
    """Return the loss, the mean over the batch."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    W, b = params["W"], params["b"]  # (3, 2), (3,)
    z = x @ W.T + b  # (N, 3)
    return float(batch_mean(cross_entropy(z, y)))


def loss_and_grad(params, x, y):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    W, b = params["W"], params["b"]  # (3, 2), (3,)
    N = len(x)

    z = x @ W.T + b  # (N, 3)
    loss = batch_mean(cross_entropy(z, y))
    d_z = (softmax(z) - (y[..., None] == np.arange(3)).astype(np.float32)) / max(N, 1)

    # z = x @ W.T + b
    d_b = np.sum(d_z, axis=-2)  # (3,)
    d_W = d_z.T @ x  # (3, 2)

    return float(loss), {"W": d_W, "b": d_b}


def metrics(params, x, y):
    """Return the mean of each metric."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    W, b = params["W"], params["b"]  # (3, 2), (3,)
    z = x @ W.T + b  # (N, 3)
    return {
        "accuracy": float(batch_mean((np.argmax(z, axis=-1) == y).astype(np.float32))),
    }


def softmax(x, axis=-1):
    """Exponentials over their sum; the largest entry is taken off first."""
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def cross_entropy(z, y, axis=()):
    """-log softmax(z) at the label y, classes along the last axis; mean over axis."""
    log_p = np.take_along_axis(log_softmax(z), y[..., None], axis=-1)[..., 0]
    return -np.mean(log_p, axis=axis)


def log_softmax(x, axis=-1):
    """Logarithm of softmax, accurate where softmax is all but 0 or all but 1."""
    top = np.argmax(x, axis=axis, keepdims=True)
    shifted = x - np.take_along_axis(x, top, axis=axis)
    # The largest term is 1: log1p of the others keeps what 1 + others would round away.
    others = np.exp(shifted)
    np.put_along_axis(others, top, 0, axis=axis)
    return shifted - np.log1p(np.sum(others, axis=axis, keepdims=True))


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)
