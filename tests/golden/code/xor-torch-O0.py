"""xor: XOR by two hidden step units.

Compiled from xor.flow by flowc 0.1.0 (target torch, -O0).
"""

from torch import nn


class Xor(nn.Module):
    """f, shape (N,), from x1 (N,) and x2 (N,)."""

    def __init__(self):
        super().__init__()

    def forward(self, x1, x2):
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
    return (x >= 0).to(x.dtype)
