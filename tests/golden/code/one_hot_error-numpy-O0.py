"""one_hot_error: The error f - y of the perceptron and of regression.

Compiled from one_hot_error.flow by flowc 0.1.0 (target numpy, -O0).
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
    z_p_transpose_last = W_p.T  # (2, 3)
    z_p = x @ z_p_transpose_last  # (N, 3)
    f_p_argmax = np.argmax(z_p, axis=-1)  # (N,)
    f_p = (f_p_argmax[..., None] == np.arange(3)).astype(np.float32)  # (N, 3)
    z_r_transpose_last = W_r.T  # (2, 3)
    z_r = x @ z_r_transpose_last  # (N, 3)
    f_r = z_r
    return f_p, f_r


def loss(params, x, y):
    """Return the sum of the losses L_p, L_r."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    y = np.asarray(y, dtype=np.float32)  # (N, 3)
    W_p, W_r = params["W_p"], params["W_r"]  # (3, 2), (3, 2)
    z_p_transpose_last = W_p.T  # (2, 3)
    z_p = x @ z_p_transpose_last  # (N, 3)
    f_p_argmax = np.argmax(z_p, axis=-1)  # (N,)
    f_p = (f_p_argmax[..., None] == np.arange(3)).astype(np.float32)  # (N, 3)
    epsilon_p = f_p - y
    z_r_transpose_last = W_r.T  # (2, 3)
    z_r = x @ z_r_transpose_last  # (N, 3)
    f_r = z_r
    epsilon_r = f_r - y
    L_p_mul = epsilon_p * z_p
    L_p = np.sum(L_p_mul, axis=-1)  # (N,)
    L_r_mul = epsilon_r * epsilon_r  # (N, 3)
    L_r_sum = np.sum(L_r_mul, axis=-1)  # (N,)
    L_r = L_r_sum / 2
    batch_mean_2 = batch_mean(L_p)
    batch_mean_2_2 = batch_mean(L_r)
    return float(batch_mean_2 + batch_mean_2_2)


def loss_and_grad(params, x, y):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    y = np.asarray(y, dtype=np.float32)  # (N, 3)
    W_p, W_r = params["W_p"], params["W_r"]  # (3, 2), (3, 2)
    N = len(x)

    z_p_transpose_last = W_p.T  # (2, 3)
    z_p = x @ z_p_transpose_last  # (N, 3)
    f_p_argmax = np.argmax(z_p, axis=-1)  # (N,)
    f_p = (f_p_argmax[..., None] == np.arange(3)).astype(np.float32)  # (N, 3)
    epsilon_p = f_p - y
    z_r_transpose_last = W_r.T  # (2, 3)
    z_r = x @ z_r_transpose_last  # (N, 3)
    f_r = z_r
    epsilon_r = f_r - y
    L_p_mul = epsilon_p * z_p
    L_p = np.sum(L_p_mul, axis=-1)  # (N,)
    L_r_mul = epsilon_r * epsilon_r  # (N, 3)
    L_r_sum = np.sum(L_r_mul, axis=-1)  # (N,)
    L_r = L_r_sum / 2
    batch_mean_2 = batch_mean(L_p)
    batch_mean_2_2 = batch_mean(L_r)
    loss = batch_mean_2 + batch_mean_2_2

    # batch_mean_2_2 = batch_mean(L_r)
    share = np.float32(1.0) / max(N, 1)
    d_L_r = np.broadcast_to(share, (N,))

    # batch_mean_2 = batch_mean(L_p)
    share_2 = np.float32(1.0) / max(N, 1)
    d_L_p = np.broadcast_to(share_2, (N,))

    # L_r = L_r_sum / 2
    div = np.float32(1.0) / 2
    mul_3 = d_L_r * div

    # L_r_sum = np.sum(L_r_mul, axis=-1)
    unsqueeze = mul_3[:, None]  # (N, 1)
    d_mul_2 = np.broadcast_to(unsqueeze, (N, 3))  # (N, 3)

    # L_r_mul = epsilon_r * epsilon_r
    mul_5 = d_mul_2 * epsilon_r
    mul_6 = d_mul_2 * epsilon_r
    d_epsilon_r = mul_5 + mul_6

    # L_p = np.sum(L_p_mul, axis=-1)
    unsqueeze_2 = d_L_p[:, None]  # (N, 1)
    d_mul = np.broadcast_to(unsqueeze_2, (N, 3))  # (N, 3)

    # L_p_mul = epsilon_p * z_p
    d_z_p = d_mul * epsilon_p

    # z_r = x @ z_r_transpose_last
    transpose_last_4 = x.T  # (2, N)
    d_transpose_last_2 = transpose_last_4 @ d_epsilon_r  # (2, 3)

    # z_r_transpose_last = W_r.T
    d_W_r = d_transpose_last_2.T  # (3, 2)

    # z_p = x @ z_p_transpose_last
    transpose_last_7 = x.T  # (2, N)
    d_transpose_last = transpose_last_7 @ d_z_p  # (2, 3)

    # z_p_transpose_last = W_p.T
    d_W_p = d_transpose_last.T  # (3, 2)

    return float(loss), {"W_p": d_W_p, "W_r": d_W_r}


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)
