"""layers: Five layers xi = W h + b, h = g(xi).

Compiled from layers.flow by flowc 0.1.0 (target torch, -O0).
"""

import torch
from torch import nn


class Layers(nn.Module):
    """h_5, shape (N, 2), from h_0 (N, 2)."""

    def __init__(self):
        super().__init__()
        self.W_1 = nn.Parameter(
            torch.tensor([[1, 1], [1, -1], [-1, 0]], dtype=torch.float32)
        )
        self.b_1 = nn.Parameter(torch.tensor([-1.0, 0.0, 0.5], dtype=torch.float32))
        self.W_2 = nn.Parameter(
            torch.tensor([[1, -1, 0], [0, 1, -1], [1, 1, 1]], dtype=torch.float32)
        )
        self.b_2 = nn.Parameter(torch.tensor([0.0, 0.0, -1.5], dtype=torch.float32))
        self.W_3 = nn.Parameter(
            torch.tensor([[1, 0, 1], [0, 2, 0]], dtype=torch.float32)
        )
        self.b_3 = nn.Parameter(torch.tensor([0, 1], dtype=torch.float32))
        self.W_4 = nn.Parameter(torch.tensor([[2, 0], [0, -2]], dtype=torch.float32))
        self.b_4 = nn.Parameter(torch.tensor([-1, 1], dtype=torch.float32))
        self.W_5 = nn.Parameter(torch.tensor([[1, 1], [1, -1]], dtype=torch.float32))
        self.b_5 = nn.Parameter(torch.zeros(2))

    def forward(self, h_0):
        xi_1_transpose_last = self.W_1.T  # (2, 3)
        xi_1_matmul = h_0 @ xi_1_transpose_last  # (N, 3)
        xi_1 = xi_1_matmul + self.b_1
        h_1 = step(xi_1)
        xi_2_transpose_last = self.W_2.T  # (3, 3)
        xi_2_matmul = h_1 @ xi_2_transpose_last  # (N, 3)
        xi_2 = xi_2_matmul + self.b_2
        h_2 = torch.sign(xi_2)
        xi_3_transpose_last = self.W_3.T  # (3, 2)
        xi_3_matmul = h_2 @ xi_3_transpose_last  # (N, 2)
        xi_3 = xi_3_matmul + self.b_3
        h_3 = torch.sigmoid(xi_3)
        xi_4_transpose_last = self.W_4.T  # (2, 2)
        xi_4_matmul = h_3 @ xi_4_transpose_last  # (N, 2)
        xi_4 = xi_4_matmul + self.b_4
        h_4 = torch.tanh(xi_4)
        xi_5_transpose_last = self.W_5.T  # (2, 2)
        xi_5_matmul = h_4 @ xi_5_transpose_last  # (N, 2)
        xi_5 = xi_5_matmul + self.b_5
        h_5 = torch.relu(xi_5)
        return h_5


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).to(x.dtype)
