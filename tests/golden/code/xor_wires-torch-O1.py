"""xor: XOR by two hidden step units.

Compiled from xor_wires.flow by flowc 0.1.0 (target torch, -O1).
"""

from torch import nn


class Xor(nn.Module):
    """f, shape (N,), from x1 (N,) and x2 (N,)."""

    def forward(self, x1, x2):
        xi_h1 = 0.5 - x1 - x2  # (N,)
        h1 = step(xi_h1)
        xi_h2 = -1.5 + x1 + x2
        h2 = step(xi_h2)
        xi_f = 0.5 - h1 - h2
        return step(xi_f)


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).to(x.dtype)
