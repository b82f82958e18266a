"""word2vec: Word vectors by skip-gram with negative sampling.

Compiled from word2vec.flow by flowc 0.1.0 (target torch, -O1).
"""

import torch
from torch import nn
from torch.nn import functional as F

V = 28
D = 8
K = 5


class Word2vec(nn.Module):
    """vector, shape (N, 8), from word (N,) of labels 0..27."""

    def __init__(self):
        super().__init__()
        self.vector = nn.Embedding(28, 8)
        self.around = nn.Embedding(28, 8)

    def forward(self, word):
        return self.vector(word)

    def loss(self, word, context, noise):
        vector_ = self(word)
        pair = F.softplus(-torch.sum(self.around(context) * vector_, dim=-1))  # (N,)
        # (N, 5)
        drawn_squeeze = torch.squeeze(self.around(noise) @ vector_[..., None], dim=-1)
        drawn = torch.sum(F.softplus(drawn_squeeze), dim=-1)  # (N,)
        return batch_mean(pair + drawn)


class Word2vecLoss(nn.Module):
    """The loss as a module's forward: what DDP and torch.compile wrap."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, word, context, noise):
        return self.model.loss(word, context, noise)


def make_optimizer(model):
    """Return Adam on the model's parameters."""
    return torch.optim.Adam(model.parameters(), lr=0.02)


def train_step(loss_module, optimizer, word, context, noise):
    """Take one step; return the loss before it."""
    optimizer.zero_grad()
    loss = loss_module(word, context, noise)
    loss.backward()
    optimizer.step()
    return loss.detach()


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return values.sum() / max(values.shape[0], 1)
