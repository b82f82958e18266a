"""matrix_factorisation: Logistic matrix factorisation.

Compiled from matrix_factorisation.flow by flowc 0.1.0 (target torch, -O0).
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
        score_mul = u * s
        score_sum = torch.sum(score_mul, dim=-1)  # (N,)
        score_take = self.user_bias[user]
        score_add = score_sum + score_take
        score_take_2 = self.song_bias[song]
        score = score_add + score_take_2
        likes = torch.sigmoid(score)
        return likes

    def loss(self, user, song, plays):
        u = self.u(user)  # (N, 3)
        s = self.s(song)
        score_mul = u * s
        score_sum = torch.sum(score_mul, dim=-1)  # (N,)
        score_take = self.user_bias[user]
        score_add = score_sum + score_take
        score_take_2 = self.song_bias[song]
        score = score_add + score_take_2
        mul = 0.5 * plays
        add_2 = 1 + mul
        softplus = F.softplus(score)
        mul_2 = add_2 * softplus
        mul_3 = 0.5 * plays
        mul_4 = mul_3 * score
        mul_2_minus_mul_4 = mul_2 - mul_4
        penalty_div = self.user_bias.new_tensor(0.02) / 2
        penalty_mul = u * u  # (N, 3)
        penalty_sum = torch.sum(penalty_mul, dim=-1)  # (N,)
        penalty_mul_2 = s * s  # (N, 3)
        penalty_sum_2 = torch.sum(penalty_mul_2, dim=-1)  # (N,)
        penalty_add = penalty_sum + penalty_sum_2
        penalty = penalty_div * penalty_add
        batch_mean_2 = batch_mean(mul_2_minus_mul_4)
        batch_mean_2_2 = batch_mean(penalty)
        return batch_mean_2 + batch_mean_2_2

    def metrics(self, user, song, plays):
        """Return the mean of each metric."""
        u = self.u(user)  # (N, 3)
        s = self.s(song)
        score_mul = u * s
        score_sum = torch.sum(score_mul, dim=-1)  # (N,)
        score_take = self.user_bias[user]
        score_add = score_sum + score_take
        score_take_2 = self.song_bias[song]
        score = score_add + score_take_2
        right_greater = score > 0
        right_greater_2 = plays > 0
        right_equal = right_greater == right_greater_2
        right = torch.where(right_equal, 1, 0)
        batch_mean_3 = batch_mean(right)
        return {"right": batch_mean_3}


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
