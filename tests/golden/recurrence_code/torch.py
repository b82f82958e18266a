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
        T = ids.shape[1]
        h_embedding = self.table(ids)  # (N, T, 64)
        h_2 = []
        h = torch.zeros((N, 64), dtype=torch.float32, device=ids.device)
        for t in range(T):
            h = self.h(h_embedding[:, t], h)  # (N, 64)
            h_2.append(h)
        h_2 = torch.stack(h_2, dim=1) if h_2 else h_embedding.new_empty((N, T, 64))
        return h_2 @ self.table.weight.T + self.bias

    def loss(self, ids, next):
        # (N,)
        cross_entropy = torch.mean(
            F.cross_entropy(self(ids).movedim(-1, 1), next, reduction="none"), dim=-1
        )
        return batch_mean(cross_entropy)

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


def cosine(t, lr, steps, final=0.0):
    """The rate of step t: half a cosine wave from lr down to final."""
    return final + (lr - final) * (1 + math.cos(math.pi * min(t / steps, 1))) / 2
