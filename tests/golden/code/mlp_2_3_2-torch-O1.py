"""mlp_2_3_2: Linear, sigmoid, linear, mean squared error.

Compiled from mlp_2_3_2.flow by flowc 0.1.0 (target torch, -O1).
"""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F


class Mlp232(nn.Module):
    """f, shape (N, 2), from x (N, 2)."""

    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(
            OrderedDict(
                linear=nn.Linear(2, 3),
                sigmoid=nn.Sigmoid(),
                linear_2=nn.Linear(3, 2),
            )
        )

    def forward(self, x):
        return self.f(x)

    def loss(self, x, y):
        return F.mse_loss(self(x), y, reduction="mean" if y.shape[0] else "sum")


class Mlp232Loss(nn.Module):
    """The loss as a module's forward: what DDP and torch.compile wrap."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, y):
        return self.model.loss(x, y)


def make_optimizer(model):
    """Return gradient descent on the model's parameters."""
    return torch.optim.SGD(model.parameters(), lr=0.1)


def train_step(loss_module, optimizer, x, y):
    """Take one step; return the loss before it."""
    optimizer.zero_grad()
    loss = loss_module(x, y)
    loss.backward()
    optimizer.step()
    return loss.detach()
