"""one_hot_error: The error f - y of the perceptron and of regression.

Compiled from one_hot_error.flow by flowc 0.1.0 (target torch, -O1).
"""

import torch
from torch import nn
from torch.nn import functional as F

D = 2
K = 3


class OneHotError(nn.Module):
    """f_p (N, 3) and f_r (N, 3) from x (N, 2)."""

    def __init__(self):
        super().__init__()
        self.W_p = nn.Parameter(
            torch.tensor([[1, 0], [0, 1], [-1, -1]], dtype=torch.float32)
        )
        self.W_r = nn.Parameter(
            torch.tensor([[1, 0], [0, 1], [-1, -1]], dtype=torch.float32)
        )

    def forward(self, x):
        z_p = x @ self.W_p.T  # (N, 3)
        f_p = F.one_hot(torch.argmax(z_p, dim=-1), 3).to(torch.float32)
        z_r = x @ self.W_r.T
        f_r = z_r
        return f_p, f_r

    def loss(self, x, y):
        z_p = x @ self.W_p.T  # (N, 3)
        f_p = F.one_hot(torch.argmax(z_p, dim=-1), 3).to(torch.float32)
        epsilon_p = f_p - y
        z_r = x @ self.W_r.T
        f_r = z_r
        epsilon_r = f_r - y
        L_p = torch.sum(epsilon_p * z_p, dim=-1)  # (N,)
        L_r = torch.sum(epsilon_r * epsilon_r, dim=-1) / 2
        return batch_mean(L_p + L_r)


class OneHotErrorLoss(nn.Module):
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
