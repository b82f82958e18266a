"""cubic: a + b x + c x^2 + d x^3 fitted to sin x.

Compiled from cubic.flow by flowc 0.1.0 (target numpy, -O0).
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
    mul = b * x  # (N,)
    add = a + mul
    pow_ = x**2
    mul_2 = c * pow_
    add_2 = add + mul_2
    pow_2 = x**3
    mul_3 = d * pow_2
    f = add_2 + mul_3
    return f


def loss(params, x, y):
    """Return the loss, the sum over the batch."""
    y = np.asarray(y, dtype=np.float32)  # (N,)
    f = forward(params, x)
    sub = f - y  # (N,)
    pow_3 = sub**2
    batch_sum = np.sum(pow_3)
    return float(batch_sum)
