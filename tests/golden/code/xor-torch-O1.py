"""xor: XOR by two hidden step units.

Compiled from xor.flow by flowc 0.1.0 (target torch, -O1).
"""

from torch import nn


class Xor(nn.Module):
    """f, shape (N,), from x1 (N,) and x2 (N,)."""

    def forward(self, x1, x2):
        h1 = step(0.5 - x1 - x2)  # (N,)
        h2 = step(-1.5 + x1 + x2)
        return step(0.5 - h1 - h2)


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).to(x.dtype)
