"""regression: Multiple linear regression.

Compiled from regression.flow by flowc 0.1.0 (target torch, -O0).
"""

import torch
from torch import nn

D = 2


class Regression(nn.Module):
    """f, shape (N,), from x (N, 2)."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(D))
        self.b = nn.Parameter(torch.empty(()))
        nn.init.constant_(self.b, 0)

    def forward(self, x):
        f_matmul = x @ self.w  # (N,)
        f = f_matmul + self.b
        return f

    def loss(self, x, y):
        f = self(x)
        mse = (f - y) ** 2  # (N,)
        batch_mean_2 = batch_mean(mse)
        return batch_mean_2


class RegressionLoss(nn.Module):
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


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return values.sum() / max(values.shape[0], 1)
