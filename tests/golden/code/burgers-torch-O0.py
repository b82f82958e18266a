"""burgers: Burgers' equation solved by a network.

Compiled from burgers.flow by flowc 0.1.0 (target torch, -O0).
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

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
        u_stack = torch.stack([x, t], dim=-1)  # (N, 2)
        u_linear = self.u.linear(u_stack)  # (N, 20)
        u_tanh = torch.tanh(u_linear)
        u_linear_2 = self.u.linear_2(u_tanh)
        u_tanh_2 = torch.tanh(u_linear_2)
        u_linear_3 = self.u.linear_3(u_tanh_2)  # (N, 1)
        u = torch.sum(u_linear_3, dim=-1)  # (N,)
        return u

    def loss(self, x, t, known, in_equation, in_known):
        u_stack = torch.stack([x, t], dim=-1)  # (N, 2)
        u_linear = self.u.linear(u_stack)  # (N, 20)
        u_tanh = torch.tanh(u_linear)
        u_linear_2 = self.u.linear_2(u_tanh)
        u_tanh_2 = torch.tanh(u_linear_2)
        u_linear_3 = self.u.linear_3(u_tanh_2)  # (N, 1)
        u = torch.sum(u_linear_3, dim=-1)  # (N,)
        u_t_unsqueeze = x.new_tensor(1.0)[None]  # (1,)
        u_t_expand = torch.broadcast_to(u_t_unsqueeze, (1,))
        u_t_matmul = u_t_expand @ self.u.linear_3.weight  # (20,)
        u_tanh_2_2 = u_tanh_2**2  # (N, 20)
        u_t_sub = 1 - u_tanh_2_2
        u_t_mul = u_t_matmul * u_t_sub
        u_t_matmul_2 = u_t_mul @ self.u.linear_2.weight
        u_tanh2 = u_tanh**2
        u_t_sub_2 = 1 - u_tanh2
        u_t_mul_2 = u_t_matmul_2 * u_t_sub_2
        u_t_matmul_3 = u_t_mul_2 @ self.u.linear.weight  # (N, 2)
        u_t = u_t_matmul_3[:, 1]  # (N,)
        u_x_unsqueeze = x.new_tensor(1.0)[None]  # (1,)
        u_x_expand = torch.broadcast_to(u_x_unsqueeze, (1,))
        u_x_matmul = u_x_expand @ self.u.linear_3.weight  # (20,)
        u_tanh_2_2_2 = u_tanh_2**2  # (N, 20)
        u_x_sub = 1 - u_tanh_2_2_2
        u_x_mul = u_x_matmul * u_x_sub
        u_x_matmul_2 = u_x_mul @ self.u.linear_2.weight
        u_tanh2_2 = u_tanh**2
        u_x_sub_2 = 1 - u_tanh2_2
        u_x_mul_2 = u_x_matmul_2 * u_x_sub_2
        u_x_matmul_3 = u_x_mul_2 @ self.u.linear.weight  # (N, 2)
        u_x = u_x_matmul_3[:, 0]  # (N,)
        u_xx_unsqueeze = x.new_tensor(1.0)[None]  # (1,)
        u_xx_pad = F.pad(u_xx_unsqueeze, (0, 1), value=0.0)  # (2,)
        u_xx_matmul = self.u.linear.weight @ u_xx_pad  # (20,)
        u_xx_mul = u_xx_matmul * u_x_sub_2  # (N, 20)
        u_xx_mul_2 = u_xx_matmul * u_x_matmul_2
        u_xx_neg = -u_xx_mul_2
        u_xx_mul_3 = 2 * u_tanh
        u_xx_mul_4 = u_xx_neg * u_xx_mul_3
        u_xx_transpose_last = self.u.linear_2.weight.T  # (20, 20)
        u_xx_matmul_2 = u_xx_mul @ u_xx_transpose_last  # (N, 20)
        u_xx_mul_5 = u_xx_matmul_2 * u_x_matmul
        u_xx_neg_2 = -u_xx_mul_5
        u_xx_mul_6 = 2 * u_tanh_2
        u_xx_mul_7 = u_xx_neg_2 * u_xx_mul_6
        u_tanh_2_2_3 = u_tanh_2**2
        u_xx_sub = 1 - u_tanh_2_2_3
        u_xx_mul_8 = u_xx_mul_7 * u_xx_sub
        u_xx_matmul_3 = u_xx_mul_8 @ self.u.linear_2.weight
        u_xx_add = u_xx_mul_4 + u_xx_matmul_3
        u_tanh2_3 = u_tanh**2
        u_xx_sub_2 = 1 - u_tanh2_3
        u_xx_mul_9 = u_xx_add * u_xx_sub_2
        u_xx_matmul_4 = u_xx_mul_9 @ self.u.linear.weight  # (N, 2)
        u_xx = u_xx_matmul_4[:, 0]  # (N,)
        residual_mul = u * u_x
        residual_add = u_t + residual_mul
        residual_mul_2 = 0.1 * u_xx
        residual = residual_add - residual_mul_2
        residual2 = residual**2
        equation = in_equation * residual2
        u_minus_known = u - known
        u_minus_known2 = u_minus_known**2
        edge = in_known * u_minus_known2
        batch_mean_2 = batch_mean(equation)
        batch_mean_2_2 = batch_mean(edge)
        return batch_mean_2 + batch_mean_2_2


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
