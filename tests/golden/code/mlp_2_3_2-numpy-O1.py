"""mlp_2_3_2: Linear, sigmoid, linear, mean squared error.

Compiled from mlp_2_3_2.flow by flowc 0.1.0 (target numpy, -O1).
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
        "f.linear.weight": rng("f.linear.weight").uniform(
            -0.7071067811865475, 0.7071067811865475, (3, 2)
        ),
        "f.linear.bias": rng("f.linear.bias").uniform(
            -0.7071067811865475, 0.7071067811865475, (3,)
        ),
        "f.linear_2.weight": rng("f.linear_2.weight").uniform(
            -0.5773502691896258, 0.5773502691896258, (2, 3)
        ),
        "f.linear_2.bias": rng("f.linear_2.bias").uniform(
            -0.5773502691896258, 0.5773502691896258, (2,)
        ),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, x):
    """Return f, shape (N, 2), from x (N, 2)."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    f_linear_weight = params["f.linear.weight"]  # (3, 2)
    f_linear_bias = params["f.linear.bias"]  # (3,)
    f_linear_2_weight = params["f.linear_2.weight"]  # (2, 3)
    f_linear_2_bias = params["f.linear_2.bias"]  # (2,)
    sigmoid_2 = sigmoid(x @ f_linear_weight.T + f_linear_bias)  # (N, 3)
    return sigmoid_2 @ f_linear_2_weight.T + f_linear_2_bias


def loss(params, x, y):
    """Return the loss, the mean over the batch."""
    y = np.asarray(y, dtype=np.float32)  # (N, 2)
    f = forward(params, x)
    return float(batch_mean(np.mean((f - y) ** 2, axis=-1)))


def sigmoid(x):
    """Logistic function 1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)
