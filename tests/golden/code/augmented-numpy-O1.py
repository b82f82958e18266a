"""augmented: XOR with the biases inside the matrices.

Compiled from augmented.flow by flowc 0.1.0 (target numpy, -O1).
"""

import numpy as np

values = np.array([1], dtype=np.float32)
W_1 = np.array([[-1.0, -1.0, 0.5], [1.0, 1.0, -1.5]], dtype=np.float32)
W_2 = np.array([[-1.0, -1.0, 0.5]], dtype=np.float32)

PARAMS: dict[str, tuple[int, ...]] = {}


def init(seed=0):
    """There are no parameters."""
    return {}


def forward(params, x):
    """Return f, shape (N, 1), from x (N, 2)."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    N = len(x)
    h_0_expand = np.broadcast_to(values, (N, 1))  # (N, 1)
    h_0 = np.concatenate([x, h_0_expand], axis=-1)  # (N, 3)
    h_1 = np.concatenate([step(h_0 @ W_1.T), h_0_expand], axis=-1)
    return step(h_1 @ W_2.T)


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).astype(x.dtype)
