"""regression: Multiple linear regression.

Compiled from regression.flow by flowc 0.1.0 (target numpy, -O1).
"""

import numpy as np

D = 2

PARAMS: dict[str, tuple[int, ...]] = {"w": (D,), "b": ()}


def init(seed=0):
    """Return first parameters."""
    values = {"w": np.zeros((D,)), "b": np.full((), 0)}
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, x):
    """Return f, shape (N,), from x (N, 2)."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    w, b = params["w"], params["b"]  # (2,), ()
    return x @ w + b


def loss(params, x, y):
    """Return the loss, the mean over the batch."""
    y = np.asarray(y, dtype=np.float32)  # (N,)
    f = forward(params, x)
    return float(batch_mean((f - y) ** 2))


def loss_and_grad(params, x, y):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    y = np.asarray(y, dtype=np.float32)  # (N,)
    w, b = params["w"], params["b"]  # (2,), ()
    N = len(x)

    f = x @ w + b  # (N,)
    loss = batch_mean((f - y) ** 2)
    d_f = 2 * (f - y) / max(N, 1)

    # f = x @ w + b
    d_b = np.sum(d_f)
    d_w = d_f @ x  # (2,)

    return float(loss), {"w": d_w, "b": d_b}


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)
