"""one_hot_error: The error f - y of the perceptron and of regression.

Compiled from one_hot_error.flow by flowc 0.1.0 (target torch, -O0).
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
        z_p_transpose_last = self.W_p.T  # (2, 3)
        z_p = x @ z_p_transpose_last  # (N, 3)
        f_p_argmax = torch.argmax(z_p, dim=-1)  # (N,)
        f_p = F.one_hot(f_p_argmax, 3).to(torch.float32)  # (N, 3)
        z_r_transpose_last = self.W_r.T  # (2, 3)
        z_r = x @ z_r_transpose_last  # (N, 3)
        f_r = z_r
        return f_p, f_r

    def loss(self, x, y):
        z_p_transpose_last = self.W_p.T  # (2, 3)
        z_p = x @ z_p_transpose_last  # (N, 3)
        f_p_argmax = torch.argmax(z_p, dim=-1)  # (N,)
        f_p = F.one_hot(f_p_argmax, 3).to(torch.float32)  # (N, 3)
        epsilon_p = f_p - y
        z_r_transpose_last = self.W_r.T  # (2, 3)
        z_r = x @ z_r_transpose_last  # (N, 3)
        f_r = z_r
        epsilon_r = f_r - y
        L_p_mul = epsilon_p * z_p
        L_p = torch.sum(L_p_mul, dim=-1)  # (N,)
        L_r_mul = epsilon_r * epsilon_r  # (N, 3)
        L_r_sum = torch.sum(L_r_mul, dim=-1)  # (N,)
        L_r = L_r_sum / 2
        batch_mean_2 = batch_mean(L_p)
        batch_mean_2_2 = batch_mean(L_r)
        return batch_mean_2 + batch_mean_2_2


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
