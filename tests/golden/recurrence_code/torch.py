"""gru_chars: A language model over letters, of one layer of GRU.

Compiled from gru_chars.flow by flowc 0.1.0 (target torch, -O1).
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

V = 23
D = 64


class GruChars(nn.Module):
    """logits, shape (N, T, 23), from ids (N, T) of labels 0..22."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(23, 64)
        self.h = nn.GRUCell(64, 64)
        self.bias = nn.Parameter(torch.zeros(V))
        nn.init.normal_(self.table.weight, std=0.3)

    def forward(self, ids):
        N = ids.shape[0]
        first_h = torch.zeros((N, 64), dtype=torch.float32, device=ids.device)
        h, _ = gru_along(self.h, self.table(ids), first_h)
        return F.linear(h, self.table.weight, self.bias)

    def loss(self, ids, next):
        return F.cross_entropy(
            self(ids).flatten(0, -2),
            next.flatten(),
            reduction="mean" if next.shape[0] else "sum",
        )

    def metrics(self, ids, next):
        """Return the mean of each metric."""
        # (N,)
        accuracy_accuracy = torch.mean(
            (torch.argmax(self(ids), dim=-1) == next).to(torch.float32), dim=-1
        )
        accuracy = accuracy_accuracy
        return {"accuracy": batch_mean(accuracy)}


class GruCharsLoss(nn.Module):
    """The loss as a module's forward: what DDP and torch.compile wrap."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, next):
        return self.model.loss(ids, next)


def make_optimizer(model):
    """Return Adam on the model's parameters."""
    params = model.parameters()
    # t counts the steps taken, for the learning rate
    return torch.optim.Adam([{"params": params, "t": 0}], lr=0.01)


def train_step(loss_module, optimizer, ids, next):
    """Take one step; return the loss before it."""
    for group in optimizer.param_groups:
        group["lr"] = cosine(group["t"], 0.01, steps=180)
        group["t"] += 1
    optimizer.zero_grad()
    loss = loss_module(ids, next)
    loss.backward()
    optimizer.step()
    return loss.detach()


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return values.sum() / max(values.shape[0], 1)


def gru_along(cell, x, h):
    """The states of an nn.GRUCell after each row of x (N, T, D), and the last."""
    # PyTorch's function takes no empty sequence, and torch.compile not the function.
    if torch.compiler.is_compiling() or 0 in x.shape:
        return cell_along(cell, x, h)
    weights, settings = cell_weights(cell), (cell.bias, 1, 0.0, cell.training)
    rows, h = torch.gru(x, h[None], weights, *settings, False, True)
    return rows, h[0]


def cell_along(cell, x, h):
    """The states of a cell after each row of x (N, T, D), one by one, and the last."""
    steps = []
    for t in range(x.shape[1]):
        h = cell(x[:, t], h)
        steps.append(h)
    return stacked(steps, h), h


def stacked(steps, h):
    """States (N, H) of all steps as one array (N, T, H)."""
    none = h.new_empty(h.shape[0], 0, h.shape[1])
    return torch.stack(steps, dim=1) if steps else none


def cell_weights(cell):
    """The parameters of a cell as PyTorch's functions for whole sequences take them."""
    biases = (cell.bias_ih, cell.bias_hh) if cell.bias else ()
    return (cell.weight_ih, cell.weight_hh, *biases)


def cosine(t, lr, steps, final=0.0):
    """The rate of step t: half a cosine wave from lr down to final."""
    return final + (lr - final) * (1 + math.cos(math.pi * min(t / steps, 1))) / 2
