"""or_gate: OR by one step unit.

Compiled from or.flow by flowc 0.1.0 (target torch, -O1).
"""

from torch import nn


class OrGate(nn.Module):
    """f, shape (N,), from x1 (N,) and x2 (N,)."""

    def forward(self, x1, x2):
        xi_f = -0.5 + x1 + x2  # (N,)
        return step(xi_f)


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).to(x.dtype)
