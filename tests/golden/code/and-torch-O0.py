"""and_gate: AND by one step unit.

Compiled from and.flow by flowc 0.1.0 (target torch, -O0).
"""

from torch import nn


class AndGate(nn.Module):
    """f, shape (N,), from x1 (N,) and x2 (N,)."""

    def forward(self, x1, x2):
        f_add = -1.5 + x1  # (N,)
        f_add_2 = f_add + x2
        f = step(f_add_2)
        return f


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).to(x.dtype)
