"""and_gate: AND by one step unit.

Compiled from and.flow by flowc 0.1.0 (target numpy, -O0).
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
    f_add = -1.5 + x1  # (N,)
    f_add_2 = f_add + x2
    f = step(f_add_2)
    return f


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).astype(x.dtype)
