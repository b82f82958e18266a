"""xor: XOR by two hidden step units.

Compiled from xor.flow by flowc 0.1.0 (target numpy, -O0).
"""

import numpy as np

PARAMS: dict[str, tuple[int, ...]] = {}


def init(seed=0):
    """There are no parameters."""
    return {}


def forward(params, x1, x2):
    """Return f, shape (N,), from x1 (N,) and x2 (N,)."""
    x1 = np.asarray(x1, dtype=np.float32)  # (N,)
    x2 = np.asarray(x2, dtype=np.float32)  # (N,)
    sub = 0.5 - x1  # (N,)
    sub_minus_x2 = sub - x2
    h1 = step(sub_minus_x2)
    add = -1.5 + x1
    add_2 = add + x2
    h2 = step(add_2)
    sub_3 = 0.5 - h1
    sub_3_minus_h2 = sub_3 - h2
    f = step(sub_3_minus_h2)
    return f


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).astype(x.dtype)
