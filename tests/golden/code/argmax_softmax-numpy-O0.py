"""argmax_softmax: The one-hot argmax and its softmax.

Compiled from argmax_softmax.flow by flowc 0.1.0 (target numpy, -O0).
"""

import numpy as np

K = 3

PARAMS: dict[str, tuple[int, ...]] = {}


def init(seed=0):
    """There are no parameters."""
    return {}


def forward(params, z):
    """Return hard (N, 3), soft (N, 3) and sharp (N, 3) from z (N, 3)."""
    z = np.asarray(z, dtype=np.float32)  # (N, 3)
    hard_argmax = np.argmax(z, axis=-1)  # (N,)
    hard = (hard_argmax[..., None] == np.arange(3)).astype(np.float32)  # (N, 3)
    soft = softmax(z)
    sharp_mul = 10 * z
    sharp = softmax(sharp_mul)
    return hard, soft, sharp


def softmax(x, axis=-1):
    """Exponentials over their sum; the largest entry is taken off first."""
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)
