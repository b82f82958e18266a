"""contractive: A contractive autoencoder.

Compiled from contractive.flow by flowc 0.1.0 (target torch, -O0).
"""

import torch
from torch import nn

D = 4
H = 6


class Contractive(nn.Module):
    """h (N, 6) and r (N, 4) from x (N, 4)."""

    def __init__(self):
        super().__init__()
        self.W = nn.Parameter(torch.empty(H, D))
        nn.init.xavier_uniform_(self.W)
        self.b = nn.Parameter(torch.zeros(H))
        self.c = nn.Parameter(torch.zeros(D))

    def forward(self, x):
        h_transpose_last = self.W.T  # (4, 6)
        h_matmul = x @ h_transpose_last  # (N, 6)
        h_add = h_matmul + self.b
        h = torch.sigmoid(h_add)
        r_transpose_last = self.W.T  # (4, 6)
        r_transpose_last_2 = r_transpose_last.T  # (6, 4)
        r_matmul = h @ r_transpose_last_2  # (N, 4)
        r = r_matmul + self.c
        return h, r

    def loss(self, x, v):
        h, r = self(x)
        r_minus_x = r - x  # (N, 4)
        r_minus_x2 = r_minus_x**2
        reconstruction = torch.sum(r_minus_x2, dim=-1)  # (N,)
        h_dot_transpose_last = self.W.T  # (4, 6)
        h_dot_matmul = v @ h_dot_transpose_last  # (N, 6)
        h_dot_sub = 1 - h
        h_dot_mul = h * h_dot_sub
        h_dot = h_dot_matmul * h_dot_mul
        h_dot2 = h_dot**2
        contraction_sum = torch.sum(h_dot2, dim=-1)  # (N,)
        contraction = 0.5 * contraction_sum
        batch_mean_2 = batch_mean(reconstruction)
        batch_mean_2_2 = batch_mean(contraction)
        return batch_mean_2 + batch_mean_2_2


class ContractiveLoss(nn.Module):
    """The loss as a module's forward: what DDP and torch.compile wrap."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, v):
        return self.model.loss(x, v)


def make_optimizer(model):
    """Return Adam on the model's parameters."""
    return torch.optim.Adam(model.parameters(), lr=0.01)


def train_step(loss_module, optimizer, x, v):
    """Take one step; return the loss before it."""
    optimizer.zero_grad()
    loss = loss_module(x, v)
    loss.backward()
    optimizer.step()
    return loss.detach()


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return values.sum() / max(values.shape[0], 1)
