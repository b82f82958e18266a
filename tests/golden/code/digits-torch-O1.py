"""digits: Handwritten digits by a network with one hidden layer.

Compiled from digits.flow by flowc 0.1.0 (target torch, -O1).
"""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F


class Digits(nn.Module):
    """p, shape (N, 10), from x (N, 64)."""

    def __init__(self):
        super().__init__()
        self.h = nn.Sequential(
            OrderedDict(
                linear=nn.Linear(64, 64),
                relu=nn.ReLU(),
            )
        )
        self.z = nn.Linear(64, 10)

    def forward(self, x):
        h = self.h(x / 16)  # (N, 64)
        z = self.z(h)  # (N, 10)
        return F.softmax(z, dim=-1)

    def loss(self, x, y):
        h = self.h(x / 16)  # (N, 64)
        z = self.z(h)  # (N, 10)
        return F.cross_entropy(z, y, reduction="mean" if y.shape[0] else "sum")

    def metrics(self, x, y):
        """Return the mean of each metric."""
        h = self.h(x / 16)  # (N, 64)
        z = self.z(h)  # (N, 10)
        return {
            "accuracy": batch_mean((torch.argmax(z, dim=-1) == y).to(torch.float32)),
        }


class DigitsLoss(nn.Module):
    """The loss as a module's forward: what DDP and torch.compile wrap."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, y):
        return self.model.loss(x, y)


def make_optimizer(model):
    """Return Adam on the model's parameters."""
    return torch.optim.Adam(model.parameters(), lr=0.005)


def train_step(loss_module, optimizer, x, y):
    """Take one step; return the loss before it."""
    optimizer.zero_grad()
    loss = loss_module(x, y)
    loss.backward()
    optimizer.step()
    return loss.detach()


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return values.sum() / max(values.shape[0], 1)
