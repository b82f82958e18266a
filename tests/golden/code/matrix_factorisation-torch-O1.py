"""matrix_factorisation: Logistic matrix factorisation.

Compiled from matrix_factorisation.flow by flowc 0.1.0 (target torch, -O1).
"""

import torch
from torch import nn
from torch.nn import functional as F

U = 40
S = 24
D = 3


class MatrixFactorisation(nn.Module):
    """likes, shape (N,), from user (N,) of labels 0..39 and song (N,) of labels
    0..23.
    """

    def __init__(self):
        super().__init__()
        self.u = nn.Embedding(40, 3)
        self.s = nn.Embedding(24, 3)
        self.user_bias = nn.Parameter(torch.zeros(U))
        self.song_bias = nn.Parameter(torch.zeros(S))
        nn.init.normal_(self.u.weight, std=0.1)
        nn.init.normal_(self.s.weight, std=0.1)

    def forward(self, user, song):
        u = self.u(user)  # (N, 3)
        s = self.s(song)
        # (N,)
        score = torch.sum(u * s, dim=-1) + self.user_bias[user] + self.song_bias[song]
        return torch.sigmoid(score)

    def loss(self, user, song, plays):
        u = self.u(user)  # (N, 3)
        s = self.s(song)
        # (N,)
        score = torch.sum(u * s, dim=-1) + self.user_bias[user] + self.song_bias[song]
        mul = 0.5 * plays
        penalty = 0.01 * (torch.sum(u * u, dim=-1) + torch.sum(s * s, dim=-1))
        return batch_mean((1 + mul) * F.softplus(score) - mul * score + penalty)

    def metrics(self, user, song, plays):
        """Return the mean of each metric."""
        u = self.u(user)  # (N, 3)
        s = self.s(song)
        # (N,)
        score = torch.sum(u * s, dim=-1) + self.user_bias[user] + self.song_bias[song]
        right = ((score > 0) == (plays > 0)).to(torch.int64)
        return {"right": batch_mean(right)}


class MatrixFactorisationLoss(nn.Module):
    """The loss as a module's forward: what DDP and torch.compile wrap."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, user, song, plays):
        return self.model.loss(user, song, plays)


def make_optimizer(model):
    """Return Adam on the model's parameters."""
    return torch.optim.Adam(model.parameters(), lr=0.02)


def train_step(loss_module, optimizer, user, song, plays):
    """Take one step; return the loss before it."""
    optimizer.zero_grad()
    loss = loss_module(user, song, plays)
    loss.backward()
    optimizer.step()
    return loss.detach()


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return values.sum() / max(values.shape[0], 1)
