"""or_gate: OR by one step unit.

Compiled from or.flow by flowc 0.1.0 (target numpy, -O1).
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
    xi_f = -0.5 + x1 + x2  # (N,)
    return step(xi_f)


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).astype(x.dtype)
