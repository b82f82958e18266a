"""one_hot_error: The error f - y of the perceptron and of regression.

Compiled from one_hot_error.flow by flowc 0.1.0 (target numpy, -O1).
"""

import numpy as np

D = 2
K = 3

PARAMS: dict[str, tuple[int, ...]] = {"W_p": (3, 2), "W_r": (3, 2)}


def init(seed=0):
    """Return first parameters."""
    values = {
        "W_p": np.array([[1, 0], [0, 1], [-1, -1]]),
        "W_r": np.array([[1, 0], [0, 1], [-1, -1]]),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, x):
    """Return f_p (N, 3) and f_r (N, 3) from x (N, 2)."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    W_p, W_r = params["W_p"], params["W_r"]  # (3, 2), (3, 2)
    z_p = x @ W_p.T  # (N, 3)
    f_p = (np.argmax(z_p, axis=-1)[..., None] == np.arange(3)).astype(np.float32)
    z_r = x @ W_r.T
    f_r = z_r
    return f_p, f_r


def loss(params, x, y):
    """Return the sum of the losses L_p, L_r."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    y = np.asarray(y, dtype=np.float32)  # (N, 3)
    W_p, W_r = params["W_p"], params["W_r"]  # (3, 2), (3, 2)
    z_p = x @ W_p.T  # (N, 3)
    f_p = (np.argmax(z_p, axis=-1)[..., None] == np.arange(3)).astype(np.float32)
    epsilon_p = f_p - y
    z_r = x @ W_r.T
    f_r = z_r
    epsilon_r = f_r - y
    L_p = np.sum(epsilon_p * z_p, axis=-1)  # (N,)
    L_r = np.sum(epsilon_r * epsilon_r, axis=-1) / 2
    return float(batch_mean(L_p) + batch_mean(L_r))


def loss_and_grad(params, x, y):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    y = np.asarray(y, dtype=np.float32)  # (N, 3)
    W_p, W_r = params["W_p"], params["W_r"]  # (3, 2), (3, 2)
    N = len(x)

    z_p = x @ W_p.T  # (N, 3)
    f_p = (np.argmax(z_p, axis=-1)[..., None] == np.arange(3)).astype(np.float32)
    epsilon_p = f_p - y
    z_r = x @ W_r.T
    f_r = z_r
    epsilon_r = f_r - y
    L_p = np.sum(epsilon_p * z_p, axis=-1)  # (N,)
    L_r = np.sum(epsilon_r * epsilon_r, axis=-1) / 2
    loss = batch_mean(L_p) + batch_mean(L_r)

    # L_r = np.sum(epsilon_r * epsilon_r, axis=-1) / 2
    d_epsilon_r = epsilon_r / max(N, 1)  # (N, 3)

    # L_p = np.sum(epsilon_p * z_p, axis=-1)
    d_z_p = epsilon_p / max(N, 1)

    # z_r = x @ W_r.T
    d_W_r = d_epsilon_r.T @ x  # (3, 2)

    # z_p = x @ W_p.T
    d_W_p = d_z_p.T @ x

    return float(loss), {"W_p": d_W_p, "W_r": d_W_r}


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)
