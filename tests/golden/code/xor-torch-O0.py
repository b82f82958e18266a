"""xor: XOR by two hidden step units.

Compiled from xor.flow by flowc 0.1.0 (target torch, -O0).
"""

from torch import nn


class Xor(nn.Module):
    """f, shape (N,), from x1 (N,) and x2 (N,)."""

    def forward(self, x1, x2):
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
    return (x >= 0).to(x.dtype)
