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
    h1_sub = 0.5 - x1  # (N,)
    h1_sub_minus_x2 = h1_sub - x2
    h1 = step(h1_sub_minus_x2)
    h2_add = -1.5 + x1
    h2_add_2 = h2_add + x2
    h2 = step(h2_add_2)
    f_sub = 0.5 - h1
    f_sub_minus_h2 = f_sub - h2
    f = step(f_sub_minus_h2)
    return f


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).astype(x.dtype)
