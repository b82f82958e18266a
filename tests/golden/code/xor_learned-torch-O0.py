"""xor_learned: XOR learned by two hidden tanh units.

Compiled from xor_learned.flow by flowc 0.1.0 (target torch, -O0).
"""

import torch
from torch import nn


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
        xi_h_transpose_last = self.w_x_h.T  # (2, 2)
        xi_h_matmul = x @ xi_h_transpose_last  # (N, 2)
        xi_h = self.b_h + xi_h_matmul
        h = torch.tanh(xi_h)
        xi_f_matmul = h @ self.w_h_f  # (N,)
        xi_f = self.b_f + xi_f_matmul
        f = torch.tanh(xi_f)
        return f

    def loss(self, x, y):
        f = self(x)
        mse = (f - y) ** 2  # (N,)
        batch_mean_2 = batch_mean(mse)
        return batch_mean_2


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


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return values.sum() / max(values.shape[0], 1)
