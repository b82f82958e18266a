"""augmented: XOR with the biases inside the matrices.

Compiled from augmented.flow by flowc 0.1.0 (target torch, -O0).
"""

import torch
from torch import nn


class Augmented(nn.Module):
    """f, shape (N, 1), from x (N, 2)."""

    def __init__(self):
        super().__init__()
        self.register_buffer(
            "values", torch.tensor([1], dtype=torch.float32), persistent=False
        )
        self.register_buffer(
            "W_1",
            torch.tensor([[-1.0, -1.0, 0.5], [1.0, 1.0, -1.5]], dtype=torch.float32),
            persistent=False,
        )
        self.register_buffer(
            "W_2",
            torch.tensor([[-1.0, -1.0, 0.5]], dtype=torch.float32),
            persistent=False,
        )

    def forward(self, x):
        N = x.shape[0]
        h_0_expand = torch.broadcast_to(self.values, (N, 1))  # (N, 1)
        h_0 = torch.cat([x, h_0_expand], dim=-1)  # (N, 3)
        h_1_transpose_last = self.W_1.T  # (3, 2)
        h_1_matmul = h_0 @ h_1_transpose_last  # (N, 2)
        h_1_step = step(h_1_matmul)
        h_1_expand = torch.broadcast_to(self.values, (N, 1))  # (N, 1)
        h_1 = torch.cat([h_1_step, h_1_expand], dim=-1)  # (N, 3)
        f_transpose_last = self.W_2.T  # (3, 1)
        f_matmul = h_1 @ f_transpose_last  # (N, 1)
        f = step(f_matmul)
        return f


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).to(x.dtype)
