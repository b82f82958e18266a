"""regression: Multiple linear regression.

Compiled from regression.flow by flowc 0.1.0 (target numpy, -O0).
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
    f_matmul = x @ w  # (N,)
    f = f_matmul + b
    return f


def loss(params, x, y):
    """Return the loss, the mean over the batch."""
    y = np.asarray(y, dtype=np.float32)  # (N,)
    f = forward(params, x)
    mse = (f - y) ** 2  # (N,)
    batch_mean_2 = batch_mean(mse)
    return float(batch_mean_2)


def loss_and_grad(params, x, y):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    y = np.asarray(y, dtype=np.float32)  # (N,)
    w, b = params["w"], params["b"]  # (2,), ()
    N = len(x)

    f_matmul = x @ w  # (N,)
    f = f_matmul + b
    mse = (f - y) ** 2
    batch_mean_2 = batch_mean(mse)
    loss = batch_mean_2

    # batch_mean_2 = batch_mean(mse)
    share = np.float32(1.0) / max(N, 1)
    d_mse = np.broadcast_to(share, (N,))

    # mse = (f - y) ** 2
    f_minus_y = f - y
    mul = 2 * f_minus_y
    d_f = d_mse * mul

    # f = f_matmul + b
    d_b = np.sum(d_f)

    # f_matmul = x @ w
    d_w = d_f @ x  # (2,)

    return float(loss), {"w": d_w, "b": d_b}


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)
