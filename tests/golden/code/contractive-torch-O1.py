"""contractive: A contractive autoencoder.

Compiled from contractive.flow by flowc 0.1.0 (target torch, -O1).
"""

import torch
from torch import nn
from torch.nn import functional as F

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
        h = torch.sigmoid(F.linear(x, self.W, self.b))  # (N, 6)
        r = h @ self.W + self.c  # (N, 4)
        return h, r

    def loss(self, x, v):
        h, r = self(x)
        reconstruction = torch.sum((r - x) ** 2, dim=-1)  # (N,)
        h_dot = v @ self.W.T * (h * (1 - h))  # (N, 6)
        contraction = 0.5 * torch.sum(h_dot**2, dim=-1)  # (N,)
        return batch_mean(reconstruction + contraction)


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
