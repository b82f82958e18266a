"""cubic: a + b x + c x^2 + d x^3 fitted to sin x.

Compiled from cubic.flow by flowc 0.1.0 (target numpy, -O1).
"""

import numpy as np

PARAMS: dict[str, tuple[int, ...]] = {"a": (), "b": (), "c": (), "d": ()}


def init(seed=0):
    """Return first parameters, each drawn from a stream of its own: (seed, name)."""

    def rng(name):
        return np.random.default_rng([seed, *name.encode()])

    values = {
        "a": rng("a").normal(0.0, 1.0, ()),
        "b": rng("b").normal(0.0, 1.0, ()),
        "c": rng("c").normal(0.0, 1.0, ()),
        "d": rng("d").normal(0.0, 1.0, ()),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, x):
    """Return f, shape (N,), from x (N,)."""
    x = np.asarray(x, dtype=np.float32)  # (N,)
    a, b, c, d = params["a"], params["b"], params["c"], params["d"]
    return a + b * x + c * x**2 + d * x**3


def loss(params, x, y):
    """Return the loss, the sum over the batch."""
    y = np.asarray(y, dtype=np.float32)  # (N,)
    f = forward(params, x)
    return float(np.sum((f - y) ** 2))


def loss_and_grad(params, x, y):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N,)
    y = np.asarray(y, dtype=np.float32)  # (N,)
    a, b, c, d = params["a"], params["b"], params["c"], params["d"]

    x2 = x**2  # (N,)
    x3 = x**3
    f = a + b * x + c * x2 + d * x3
    f_minus_y = f - y
    loss = np.sum(f_minus_y**2)
    d_f = 2 * f_minus_y

    # f = a + b * x + c * x2 + d * x3
    d_d = np.sum(d_f * x3)
    d_c = np.sum(d_f * x2)
    d_a = np.sum(d_f)
    d_b = np.sum(d_f * x)

    return float(loss), {"a": d_a, "b": d_b, "c": d_c, "d": d_d}
