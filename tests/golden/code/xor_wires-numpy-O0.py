"""xor: XOR by two hidden step units.

Compiled from xor_wires.flow by flowc 0.1.0 (target numpy, -O0).
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
    xi_h1 = 0.5 - x1 - x2  # (N,)
    h1 = step(xi_h1)
    xi_h2 = -1.5 + x1 + x2
    h2 = step(xi_h2)
    xi_f = 0.5 - h1 - h2
    f = step(xi_f)
    return f


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).astype(x.dtype)
