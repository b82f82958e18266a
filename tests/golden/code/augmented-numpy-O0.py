"""augmented: XOR with the biases inside the matrices.

Compiled from augmented.flow by flowc 0.1.0 (target numpy, -O0).
"""

import numpy as np

values = np.array([1], dtype=np.int64)
values_2 = np.array([1], dtype=np.float32)
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
    expand = np.broadcast_to(values_2, (N, 1))  # (N, 1)
    h_0 = np.concatenate([x, expand], axis=-1)  # (N, 3)
    transpose_last = W_1.T  # (3, 2)
    matmul = h_0 @ transpose_last  # (N, 2)
    step_2 = step(matmul)
    expand_2 = np.broadcast_to(values_2, (N, 1))  # (N, 1)
    h_1 = np.concatenate([step_2, expand_2], axis=-1)  # (N, 3)
    transpose_last_2 = W_2.T  # (3, 1)
    matmul_2 = h_1 @ transpose_last_2  # (N, 1)
    f = step(matmul_2)
    return f


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).astype(x.dtype)
