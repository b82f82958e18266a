"""xor: XOR by two hidden step units.

Compiled from xor_wires.flow by flowc 0.1.0 (target numpy, -O1).
"""

import numpy as np

W_h = np.array([[-1, -1], [1, 1]], dtype=np.float32)
b_h = np.array([0.5, -1.5], dtype=np.float32)
W_f = np.array([-1, -1], dtype=np.float32)

PARAMS: dict[str, tuple[int, ...]] = {}


def init(seed=0):
    """There are no parameters."""
    return {}


def forward(params, x1, x2):
    """Return f, shape (N,), from x1 (N,) and x2 (N,)."""
    x1 = np.asarray(x1, dtype=np.float32)  # (N,)
    x2 = np.asarray(x2, dtype=np.float32)  # (N,)
    h = step(np.stack([x1, x2], axis=-1) @ W_h.T + b_h)  # (N, 2)
    xi_f = h @ W_f + 0.5  # (N,)
    return step(xi_f)


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).astype(x.dtype)
