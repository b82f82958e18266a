"""burgers: Burgers' equation solved by a network.

Compiled from burgers.flow by flowc 0.1.0 (target torch, -O1).
"""

import math

import torch
from torch import nn

INSIDE = 800
START = 100
SIDES = 100
POINTS = 1000


class Burgers(nn.Module):
    """u, shape (N,), from x (N,) and t (N,)."""

    def __init__(self):
        super().__init__()
        self.u = nn.ModuleDict(
            {
                "linear": nn.Linear(2, 20),
                "linear_2": nn.Linear(20, 20),
                "linear_3": nn.Linear(20, 1),
            }
        )

    def forward(self, x, t):
        u_tanh = torch.tanh(self.u.linear(torch.stack([x, t], dim=-1)))  # (N, 20)
        return torch.sum(self.u.linear_3(torch.tanh(self.u.linear_2(u_tanh))), dim=-1)

    def loss(self, x, t, known, in_equation, in_known):
        u_tanh = torch.tanh(self.u.linear(torch.stack([x, t], dim=-1)))  # (N, 20)
        u_tanh_2 = torch.tanh(self.u.linear_2(u_tanh))
        u = torch.sum(self.u.linear_3(u_tanh_2), dim=-1)  # (N,)
        u_t_index = self.u.linear_3.weight[0]  # (20,)
        u_t_sub = 1 - u_tanh_2**2  # (N, 20)
        u_t_matmul = u_t_index * u_t_sub @ self.u.linear_2.weight
        u_t_sub_2 = 1 - u_tanh**2
        u_t_matmul_2 = u_t_matmul * u_t_sub_2 @ self.u.linear.weight  # (N, 2)
        u_t = u_t_matmul_2[:, 1]  # (N,)
        u_x = u_t_matmul_2[:, 0]
        u_xx_index = self.u.linear.weight[:, 0]  # (20,)
        # (N, 20)
        u_xx_mul = u_xx_index * u_t_sub_2 @ self.u.linear_2.weight.T * u_t_index
        u_xx_matmul = u_xx_mul * (2 * u_tanh_2) * u_t_sub @ self.u.linear_2.weight
        u_xx_sub = -(u_xx_index * u_t_matmul * (2 * u_tanh)) - u_xx_matmul
        u_xx = (u_xx_sub * u_t_sub_2 @ self.u.linear.weight)[:, 0]  # (N,)
        residual = u_t + u * u_x - 0.1 * u_xx
        equation = in_equation * residual**2
        edge = in_known * (u - known) ** 2
        return batch_mean(equation + edge)


class BurgersLoss(nn.Module):
    """The loss as a module's forward: what DDP and torch.compile wrap."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, t, known, in_equation, in_known):
        return self.model.loss(x, t, known, in_equation, in_known)


def make_optimizer(model):
    """Return Adam on the model's parameters."""
    params = model.parameters()
    # t counts the steps taken, for the learning rate
    return torch.optim.Adam([{"params": params, "t": 0}], lr=0.01)


def train_step(loss_module, optimizer, x, t, known, in_equation, in_known):
    """Take one step; return the loss before it."""
    for group in optimizer.param_groups:
        group["lr"] = cosine(group["t"], 0.01, steps=2000)
        group["t"] += 1
    optimizer.zero_grad()
    loss = loss_module(x, t, known, in_equation, in_known)
    loss.backward()
    optimizer.step()
    return loss.detach()


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return values.sum() / max(values.shape[0], 1)


def cosine(t, lr, steps, final=0.0):
    """The rate of step t: half a cosine wave from lr down to final."""
    return final + (lr - final) * (1 + math.cos(math.pi * min(t / steps, 1))) / 2
