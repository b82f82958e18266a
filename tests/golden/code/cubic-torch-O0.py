"""cubic: a + b x + c x^2 + d x^3 fitted to sin x.

Compiled from cubic.flow by flowc 0.1.0 (target torch, -O0).
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
        f_mul = self.b * x  # (N,)
        f_add = self.a + f_mul
        x2 = x**2
        f_mul_2 = self.c * x2
        f_add_2 = f_add + f_mul_2
        x3 = x**3
        f_mul_3 = self.d * x3
        f = f_add_2 + f_mul_3
        return f

    def loss(self, x, y):
        f = self(x)
        f_minus_y = f - y  # (N,)
        f_minus_y2 = f_minus_y**2
        batch_sum = torch.sum(f_minus_y2)
        return batch_sum


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
