"""perceptron: Multi-class perceptron.

Compiled from perceptron.flow by flowc 0.1.0 (target torch, -O0).
"""

import torch
from torch import nn
from torch.nn import functional as F

D = 2
K = 3


class Perceptron(nn.Module):
    """f, shape (N, 3), from x (N, 2)."""

    def __init__(self):
        super().__init__()
        self.W = nn.Parameter(
            torch.tensor([[1, 0], [0, 1], [-1, -1]], dtype=torch.float32)
        )
        self.b = nn.Parameter(torch.zeros(K))

    def forward(self, x):
        z_transpose_last = self.W.T  # (2, 3)
        z_matmul = x @ z_transpose_last  # (N, 3)
        z = z_matmul + self.b
        f_argmax = torch.argmax(z, dim=-1)  # (N,)
        f = F.one_hot(f_argmax, 3).to(torch.float32)  # (N, 3)
        return f

    def loss(self, x, y):
        z_transpose_last = self.W.T  # (2, 3)
        z_matmul = x @ z_transpose_last  # (N, 3)
        z = z_matmul + self.b
        perceptron = z.max(dim=-1).values - z.gather(-1, y[..., None])[..., 0]  # (N,)
        batch_mean_2 = batch_mean(perceptron)
        return batch_mean_2

    def metrics(self, x, y):
        """Return the mean of each metric."""
        z_transpose_last = self.W.T  # (2, 3)
        z_matmul = x @ z_transpose_last  # (N, 3)
        z = z_matmul + self.b
        accuracy = (torch.argmax(z, dim=-1) == y).to(torch.float32)  # (N,)
        batch_mean_2 = batch_mean(accuracy)
        return {"accuracy": batch_mean_2}


class PerceptronLoss(nn.Module):
    """The loss as a module's forward: what DDP and torch.compile wrap."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, y):
        return self.model.loss(x, y)


def make_optimizer(model):
    """Return gradient descent on the model's parameters."""
    return torch.optim.SGD(model.parameters(), lr=1.0)


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
