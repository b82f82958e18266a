"""iris: Iris species by softmax regression.

Compiled from iris.flow by flowc 0.1.0 (target torch, -O1).
"""

import torch
from torch import nn
from torch.nn import functional as F


class Iris(nn.Module):
    """p, shape (N, 3), from sepal_length (N,), sepal_width (N,), petal_length (N,)
    and petal_width (N,).
    """

    def __init__(self):
        super().__init__()
        self.W = nn.Parameter(
            torch.tensor(
                [
                    [5.006, 3.428, 1.462, 0.246],
                    [5.936, 2.77, 4.26, 1.326],
                    [6.588, 2.974, 5.552, 2.026],
                ],
                dtype=torch.float32,
            )
        )
        self.b = nn.Parameter(
            torch.tensor([-19.50459, -31.407436, -43.5879], dtype=torch.float32)
        )

    def forward(self, sepal_length, sepal_width, petal_length, petal_width):
        # (N, 4)
        x = torch.stack([sepal_length, sepal_width, petal_length, petal_width], dim=-1)
        z = F.linear(x, self.W, self.b)  # (N, 3)
        return F.softmax(z, dim=-1)

    def loss(self, sepal_length, sepal_width, petal_length, petal_width, species):
        # (N, 4)
        x = torch.stack([sepal_length, sepal_width, petal_length, petal_width], dim=-1)
        z = F.linear(x, self.W, self.b)  # (N, 3)
        return F.cross_entropy(
            z, species, reduction="mean" if species.shape[0] else "sum"
        )

    def metrics(self, sepal_length, sepal_width, petal_length, petal_width, species):
        """Return the mean of each metric."""
        # (N, 4)
        x = torch.stack([sepal_length, sepal_width, petal_length, petal_width], dim=-1)
        z = F.linear(x, self.W, self.b)  # (N, 3)
        accuracy = (torch.argmax(z, dim=-1) == species).to(torch.float32)  # (N,)
        return {"accuracy": batch_mean(accuracy)}


class IrisLoss(nn.Module):
    """The loss as a module's forward: what DDP and torch.compile wrap."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, sepal_length, sepal_width, petal_length, petal_width, species):
        return self.model.loss(
            sepal_length, sepal_width, petal_length, petal_width, species
        )


def make_optimizer(model):
    """Return gradient descent on the model's parameters."""
    return torch.optim.SGD(model.parameters(), lr=0.05)


def train_step(
    loss_module,
    optimizer,
    sepal_length,
    sepal_width,
    petal_length,
    petal_width,
    species,
):
    """Take one step; return the loss before it."""
    optimizer.zero_grad()
    loss = loss_module(sepal_length, sepal_width, petal_length, petal_width, species)
    loss.backward()
    optimizer.step()
    return loss.detach()


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return values.sum() / max(values.shape[0], 1)
