"""mlp_2_3_2: Linear, sigmoid, linear, mean squared error.

Compiled from mlp_2_3_2.flow by flowc 0.1.0 (target numpy, -O0).
"""

import numpy as np

PARAMS: dict[str, tuple[int, ...]] = {
    "f.linear.weight": (3, 2),
    "f.linear.bias": (3,),
    "f.linear_2.weight": (2, 3),
    "f.linear_2.bias": (2,),
}


def init(seed=0):
    """Return first parameters, each drawn from a stream of its own: (seed, name)."""

    def rng(name):
        return np.random.default_rng([seed, *name.encode()])

    values = {
        "f.linear.weight": fan_uniform(rng("f.linear.weight"), (3, 2), fan_in=2),
        "f.linear.bias": fan_uniform(rng("f.linear.bias"), (3,), fan_in=2),
        "f.linear_2.weight": fan_uniform(rng("f.linear_2.weight"), (2, 3), fan_in=3),
        "f.linear_2.bias": fan_uniform(rng("f.linear_2.bias"), (2,), fan_in=3),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, x):
    """Return f, shape (N, 2), from x (N, 2)."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    f_linear_weight = params["f.linear.weight"]  # (3, 2)
    f_linear_bias = params["f.linear.bias"]  # (3,)
    f_linear_2_weight = params["f.linear_2.weight"]  # (2, 3)
    f_linear_2_bias = params["f.linear_2.bias"]  # (2,)
    f_linear = x @ f_linear_weight.T + f_linear_bias  # (N, 3)
    f_sigmoid = sigmoid(f_linear)
    f = f_sigmoid @ f_linear_2_weight.T + f_linear_2_bias  # (N, 2)
    return f


def loss(params, x, y):
    """Return the loss, the mean over the batch."""
    y = np.asarray(y, dtype=np.float32)  # (N, 2)
    f = forward(params, x)
    mse = np.mean((f - y) ** 2, axis=-1)  # (N,)
    batch_mean_2 = batch_mean(mse)
    return float(batch_mean_2)


def loss_and_grad(params, x, y):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    y = np.asarray(y, dtype=np.float32)  # (N, 2)
    f_linear_weight = params["f.linear.weight"]  # (3, 2)
    f_linear_bias = params["f.linear.bias"]  # (3,)
    f_linear_2_weight = params["f.linear_2.weight"]  # (2, 3)
    f_linear_2_bias = params["f.linear_2.bias"]  # (2,)
    N = len(x)

    f_linear = x @ f_linear_weight.T + f_linear_bias  # (N, 3)
    f_sigmoid = sigmoid(f_linear)
    f = f_sigmoid @ f_linear_2_weight.T + f_linear_2_bias  # (N, 2)
    mse = np.mean((f - y) ** 2, axis=-1)  # (N,)
    batch_mean_2 = batch_mean(mse)
    loss = batch_mean_2

    # batch_mean_2 = batch_mean(mse)
    share = np.float32(1.0) / max(N, 1)
    d_mse = np.broadcast_to(share, (N,))

    # mse = np.mean((f - y) ** 2, axis=-1)
    share_2 = d_mse / max(2, 1)
    unsqueeze = share_2[:, None]  # (N, 1)
    f_minus_y = f - y  # (N, 2)
    mul = 2 * f_minus_y
    d_f = unsqueeze * mul

    # f = f_sigmoid @ f_linear_2_weight.T + f_linear_2_bias
    transpose_last = d_f.T  # (2, N)
    d_f_linear_2_weight = transpose_last @ f_sigmoid  # (2, 3)
    d_sigmoid = d_f @ f_linear_2_weight  # (N, 3)
    d_f_linear_2_bias = np.sum(d_f, axis=-2)  # (2,)

    # f_sigmoid = sigmoid(f_linear)
    sub_2 = 1 - f_sigmoid  # (N, 3)
    mul_5 = f_sigmoid * sub_2
    d_linear = d_sigmoid * mul_5

    # f_linear = x @ f_linear_weight.T + f_linear_bias
    transpose_last_2 = d_linear.T  # (3, N)
    d_f_linear_weight = transpose_last_2 @ x  # (3, 2)
    d_f_linear_bias = np.sum(d_linear, axis=-2)  # (3,)

    grads = {
        "f.linear.weight": d_f_linear_weight,
        "f.linear.bias": d_f_linear_bias,
        "f.linear_2.weight": d_f_linear_2_weight,
        "f.linear_2.bias": d_f_linear_2_bias,
    }
    return float(loss), grads


def fan_uniform(rng, shape, fan_in):
    """Uniform in ±1 / sqrt(fan_in)."""
    return rng.uniform(-1, 1, shape) / np.sqrt(fan_in)


def sigmoid(x):
    """Logistic function 1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)
