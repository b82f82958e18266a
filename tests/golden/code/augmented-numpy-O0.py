"""augmented: XOR with the biases inside the matrices.

Compiled from augmented.flow by flowc 0.1.0 (target numpy, -O0).
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
    h_1_transpose_last = W_1.T  # (3, 2)
    h_1_matmul = h_0 @ h_1_transpose_last  # (N, 2)
    h_1_step = step(h_1_matmul)
    h_1_expand = np.broadcast_to(values, (N, 1))  # (N, 1)
    h_1 = np.concatenate([h_1_step, h_1_expand], axis=-1)  # (N, 3)
    f_transpose_last = W_2.T  # (3, 1)
    f_matmul = h_1 @ f_transpose_last  # (N, 1)
    f = step(f_matmul)
    return f


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).astype(x.dtype)
