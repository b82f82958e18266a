"""mlp_2_3_2: Linear, sigmoid, linear, mean squared error.

Compiled from mlp_2_3_2.flow by flowc 0.1.0 (target torch, -O0).
"""

import torch
from torch import nn


class Mlp232(nn.Module):
    """f, shape (N, 2), from x (N, 2)."""

    def __init__(self):
        super().__init__()
        self.f = nn.ModuleDict({"linear": nn.Linear(2, 3), "linear_2": nn.Linear(3, 2)})

    def forward(self, x):
        f_linear = self.f.linear(x)  # (N, 3)
        f_sigmoid = torch.sigmoid(f_linear)
        f = self.f.linear_2(f_sigmoid)  # (N, 2)
        return f

    def loss(self, x, y):
        f = self(x)
        mse = torch.mean((f - y) ** 2, dim=-1)  # (N,)
        batch_mean_2 = batch_mean(mse)
        return batch_mean_2


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


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return values.sum() / max(values.shape[0], 1)
