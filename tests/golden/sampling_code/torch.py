"""vae: A variational autoencoder of handwritten digits.

Compiled from vae.flow by flowc 0.1.0 (target torch, -O1).
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

H = 128
Z = 8


class Encode(nn.Module):
    """mu (N, 8) and logvar (N, 8) from image (N, 64)."""

    def __init__(self):
        super().__init__()
        self.wide = nn.Linear(64, 128)
        self.mu = nn.Linear(128, 8)
        self.logvar = nn.Linear(128, 8)

    def forward(self, image):
        wide = self.wide(image)  # (N, 128)
        mu_relu = torch.relu(wide)
        mu = self.mu(mu_relu)  # (N, 8)
        logvar = self.logvar(mu_relu)
        return mu, logvar


class Decode(nn.Module):
    """pixels, shape (N, 64), from code (N, 8)."""

    def __init__(self):
        super().__init__()
        self.wide = nn.Linear(8, 128)
        self.pixels = nn.Linear(128, 64)

    def forward(self, code):
        wide = self.wide(code)  # (N, 128)
        return self.pixels(torch.relu(wide))


class Vae(nn.Module):
    """mu (N, 8), logvar (N, 8), z (N, 8), remade (N, 64) and invented (N, 64) from
    x (N, 64).
    """

    def __init__(self):
        super().__init__()
        self.encoder = Encode()
        self.decoder = Decode()
        self.reader = nn.Linear(8, 10)

    def forward(self, x):
        N = x.shape[0]
        image = (x > 7.5).to(torch.float32)  # (N, 64)
        mu, logvar = self.encoder(image)
        z_normal = torch.randn((N, 8), dtype=torch.float32, device=x.device)  # (N, 8)
        z = mu + torch.exp(logvar / 2) * z_normal
        pixels = self.decoder(z)  # (N, 64)
        remade = torch.sigmoid(pixels)
        # (N, 8)
        invented_normal = torch.randn((N, 8), dtype=torch.float32, device=x.device)
        invented = torch.sigmoid(self.decoder(invented_normal))  # (N, 64)
        return mu, logvar, z, remade, invented

    def loss(self, x, y):
        N = x.shape[0]
        image = (x > 7.5).to(torch.float32)  # (N, 64)
        mu, logvar = self.encoder(image)
        z_normal = torch.randn((N, 8), dtype=torch.float32, device=x.device)  # (N, 8)
        z = mu + torch.exp(logvar / 2) * z_normal
        pixels = self.decoder(z)  # (N, 64)
        # (N,)
        cost_bce_with_logits = torch.mean(
            -torch.lerp(F.logsigmoid(-pixels), F.logsigmoid(pixels), image), dim=-1
        )
        cost = 64 * cost_bce_with_logits
        distance = 0.5 * torch.sum(torch.exp(logvar) + mu**2 - 1 - logvar, dim=-1)
        reader = self.reader(mu.detach())  # (N, 10)
        reconstruction = cost  # (N,)
        divergence = distance
        return batch_mean(reconstruction + divergence) + F.cross_entropy(
            reader, y, reduction="mean" if y.shape[0] else "sum"
        )

    def metrics(self, x, y):
        """Return the mean of each metric."""
        N = x.shape[0]
        image = (x > 7.5).to(torch.float32)  # (N, 64)
        mu, logvar = self.encoder(image)
        z_normal = torch.randn((N, 8), dtype=torch.float32, device=x.device)  # (N, 8)
        z = mu + torch.exp(logvar / 2) * z_normal
        pixels = self.decoder(z)  # (N, 64)
        # (N,)
        cost_bce_with_logits = torch.mean(
            -torch.lerp(F.logsigmoid(-pixels), F.logsigmoid(pixels), image), dim=-1
        )
        cost = 64 * cost_bce_with_logits
        distance = 0.5 * torch.sum(torch.exp(logvar) + mu**2 - 1 - logvar, dim=-1)
        reader = self.reader(mu.detach())  # (N, 10)
        bound = -(cost + distance)  # (N,)
        return {
            "bound": batch_mean(bound),
            "accuracy": batch_mean(
                (torch.argmax(reader, dim=-1) == y).to(torch.float32)
            ),
        }


class VaeLoss(nn.Module):
    """The loss as a module's forward: what DDP and torch.compile wrap."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, y):
        return self.model.loss(x, y)


def make_optimizer(model):
    """Return Adam on the model's parameters."""
    params = model.parameters()
    # t counts the steps taken, for the learning rate
    return torch.optim.Adam([{"params": params, "t": 0}], lr=0.003)


def train_step(loss_module, optimizer, x, y):
    """Take one step; return the loss before it."""
    for group in optimizer.param_groups:
        group["lr"] = cosine(group["t"], 0.003, steps=1350)
        group["t"] += 1
    optimizer.zero_grad()
    loss = loss_module(x, y)
    loss.backward()
    optimizer.step()
    return loss.detach()


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return values.sum() / max(values.shape[0], 1)


def cosine(t, lr, steps, final=0.0):
    """The rate of step t: half a cosine wave from lr down to final."""
    return final + (lr - final) * (1 + math.cos(math.pi * min(t / steps, 1))) / 2
