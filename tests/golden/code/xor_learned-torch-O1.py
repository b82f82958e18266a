"""xor_learned: XOR learned by two hidden tanh units.

Compiled from xor_learned.flow by flowc 0.1.0 (target torch, -O1).
"""

import torch
from torch import nn
from torch.nn import functional as F


class XorLearned(nn.Module):
    """f, shape (N,), from x (N, 2)."""

    def __init__(self):
        super().__init__()
        self.b_h = nn.Parameter(torch.zeros(2))
        self.w_x_h = nn.Parameter(torch.empty(2, 2))
        nn.init.uniform_(self.w_x_h, -(2**-0.5), 2**-0.5)
        self.b_f = nn.Parameter(torch.zeros(()))
        self.w_h_f = nn.Parameter(torch.empty(2))
        nn.init.uniform_(self.w_h_f, -(2**-0.5), 2**-0.5)

    def forward(self, x):
        xi_h = self.b_h + x @ self.w_x_h.T  # (N, 2)
        h = torch.tanh(xi_h)
        xi_f = self.b_f + h @ self.w_h_f  # (N,)
        return torch.tanh(xi_f)

    def loss(self, x, y):
        return F.mse_loss(self(x), y, reduction="mean" if y.shape[0] else "sum")


class XorLearnedLoss(nn.Module):
    """The loss as a module's forward: what DDP and torch.compile wrap."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, y):
        return self.model.loss(x, y)


def make_optimizer(model):
    """Return gradient descent on the model's parameters."""
    return torch.optim.SGD(model.parameters(), lr=0.3)


def train_step(loss_module, optimizer, x, y):
    """Take one step; return the loss before it."""
    optimizer.zero_grad()
    loss = loss_module(x, y)
    loss.backward()
    optimizer.step()
    return loss.detach()
