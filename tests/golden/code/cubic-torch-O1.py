"""cubic: a + b x + c x^2 + d x^3 fitted to sin x.

Compiled from cubic.flow by flowc 0.1.0 (target torch, -O1).
"""

import torch
from torch import nn


class Cubic(nn.Module):
    """f, shape (N,), from x (N,)."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.empty(()))
        nn.init.normal_(self.a, std=1.0)
        self.b = nn.Parameter(torch.empty(()))
        nn.init.normal_(self.b, std=1.0)
        self.c = nn.Parameter(torch.empty(()))
        nn.init.normal_(self.c, std=1.0)
        self.d = nn.Parameter(torch.empty(()))
        nn.init.normal_(self.d, std=1.0)

    def forward(self, x):
        return self.a + self.b * x + self.c * x**2 + self.d * x**3

    def loss(self, x, y):
        return torch.sum((self(x) - y) ** 2)


class CubicLoss(nn.Module):
    """The loss as a module's forward: what DDP and torch.compile wrap."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, y):
        return self.model.loss(x, y)


def make_optimizer(model):
    """Return gradient descent on the model's parameters."""
    return torch.optim.SGD(model.parameters(), lr=1e-06)


def train_step(loss_module, optimizer, x, y):
    """Take one step; return the loss before it."""
    optimizer.zero_grad()
    loss = loss_module(x, y)
    loss.backward()
    optimizer.step()
    return loss.detach()
