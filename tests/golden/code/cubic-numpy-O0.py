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
    f_mul = b * x  # (N,)
    f_add = a + f_mul
    x2 = x**2
    f_mul_2 = c * x2
    f_add_2 = f_add + f_mul_2
    x3 = x**3
    f_mul_3 = d * x3
    f = f_add_2 + f_mul_3
    return f


def loss(params, x, y):
    """Return the loss, the sum over the batch."""
    y = np.asarray(y, dtype=np.float32)  # (N,)
    f = forward(params, x)
    f_minus_y = f - y  # (N,)
    f_minus_y2 = f_minus_y**2
    batch_sum = np.sum(f_minus_y2)
    return float(batch_sum)


def loss_and_grad(params, x, y):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N,)
    y = np.asarray(y, dtype=np.float32)  # (N,)
    a, b, c, d = params["a"], params["b"], params["c"], params["d"]
    N = len(x)

    f_mul = b * x  # (N,)
    f_add = a + f_mul
    x2 = x**2
    f_mul_2 = c * x2
    f_add_2 = f_add + f_mul_2
    x3 = x**3
    f_mul_3 = d * x3
    f = f_add_2 + f_mul_3
    f_minus_y = f - y
    f_minus_y2 = f_minus_y**2
    batch_sum = np.sum(f_minus_y2)
    loss = batch_sum

    # batch_sum = np.sum(f_minus_y2)
    d_pow_3 = np.broadcast_to(np.float32(1.0), (N,))

    # f_minus_y2 = f_minus_y**2
    mul_4 = 2 * f_minus_y
    d_f = d_pow_3 * mul_4

    # f_mul_3 = d * x3
    mul_6 = d_f * x3
    d_d = np.sum(mul_6)

    # f_mul_2 = c * x2
    mul_8 = d_f * x2
    d_c = np.sum(mul_8)

    # f_add = a + f_mul
    d_a = np.sum(d_f)

    # f_mul = b * x
    mul_10 = d_f * x
    d_b = np.sum(mul_10)

    return float(loss), {"a": d_a, "b": d_b, "c": d_c, "d": d_d}
