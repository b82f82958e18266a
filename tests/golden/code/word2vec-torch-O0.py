"""word2vec: Word vectors by skip-gram with negative sampling.

Compiled from word2vec.flow by flowc 0.1.0 (target torch, -O0).
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
        vector_ = self.vector(word)  # (N, 8)
        return vector_

    def loss(self, word, context, noise):
        vector_ = self(word)
        pair_embedding = self.around(context)  # (N, 8)
        pair_mul = pair_embedding * vector_
        pair_sum = torch.sum(pair_mul, dim=-1)  # (N,)
        pair_neg = -pair_sum
        pair = F.softplus(pair_neg)
        drawn_embedding = self.around(noise)  # (N, 5, 8)
        drawn_unsqueeze = vector_[..., None]  # (N, 8, 1)
        drawn_matmul = drawn_embedding @ drawn_unsqueeze  # (N, 5, 1)
        drawn_squeeze = torch.squeeze(drawn_matmul, dim=-1)  # (N, 5)
        drawn_softplus = F.softplus(drawn_squeeze)
        drawn = torch.sum(drawn_softplus, dim=-1)  # (N,)
        batch_mean_2 = batch_mean(pair)
        batch_mean_2_2 = batch_mean(drawn)
        return batch_mean_2 + batch_mean_2_2


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
