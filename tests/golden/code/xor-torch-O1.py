"""xor: XOR by two hidden step units.

Compiled from xor.flow by flowc 0.1.0 (target torch, -O1).
"""

import torch
from torch import nn
from torch.nn import functional as F


class Xor(nn.Module):
    """f, shape (N,), from x1 (N,) and x2 (N,)."""

    def __init__(self):
        super().__init__()
        self.register_buffer(
            "W_h",
            torch.tensor([[-1, -1], [1, 1]], dtype=torch.float32),
            persistent=False,
        )
        self.register_buffer(
            "b_h", torch.tensor([0.5, -1.5], dtype=torch.float32), persistent=False
        )
        self.register_buffer(
            "W_f", torch.tensor([-1, -1], dtype=torch.float32), persistent=False
        )

    def forward(self, x1, x2):
        h = step(F.linear(torch.stack([x1, x2], dim=-1), self.W_h, self.b_h))  # (N, 2)
        return step(h @ self.W_f + 0.5)


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).to(x.dtype)
