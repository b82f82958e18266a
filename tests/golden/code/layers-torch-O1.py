"""layers: Five layers xi = W h + b, h = g(xi).

Compiled from layers.flow by flowc 0.1.0 (target torch, -O1).
"""

import torch
from torch import nn
from torch.nn import functional as F


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
        xi_1 = F.linear(h_0, self.W_1, self.b_1)  # (N, 3)
        h_1 = step(xi_1)
        xi_2 = F.linear(h_1, self.W_2, self.b_2)
        h_2 = torch.sign(xi_2)
        xi_3 = F.linear(h_2, self.W_3, self.b_3)  # (N, 2)
        h_3 = torch.sigmoid(xi_3)
        xi_4 = F.linear(h_3, self.W_4, self.b_4)
        h_4 = torch.tanh(xi_4)
        xi_5 = F.linear(h_4, self.W_5, self.b_5)
        return torch.relu(xi_5)


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).to(x.dtype)
