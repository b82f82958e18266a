"""lenet: LeNet-5 on handwritten digits.

Compiled from lenet.flow by flowc 0.1.0 (target torch, -O0).
"""

import math

import torch
from torch import nn
from torch.nn import functional as F


class Lenet(nn.Module):
    """p, shape (N, 10), from x (N, 64)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, kernel_size=5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=3, padding=1)
        self.fc1 = nn.Linear(64, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        N = x.shape[0]
        image_div = x / 16  # (N, 64)
        image = torch.reshape(image_div, (N, 1, 8, 8))  # (N, 1, 8, 8)
        conv1 = self.conv1(image)  # (N, 6, 8, 8)
        pool1_tanh = torch.tanh(conv1)
        pool1 = F.max_pool2d(pool1_tanh, 2)  # (N, 6, 4, 4)
        conv2 = self.conv2(pool1)  # (N, 16, 4, 4)
        pool2_tanh = torch.tanh(conv2)
        pool2 = F.max_pool2d(pool2_tanh, 2)  # (N, 16, 2, 2)
        fc1_reshape = pool2.flatten(1)  # (N, 64)
        fc1 = self.fc1(fc1_reshape)  # (N, 120)
        fc2_tanh = torch.tanh(fc1)
        fc2 = self.fc2(fc2_tanh)  # (N, 84)
        fc3_tanh = torch.tanh(fc2)
        fc3 = self.fc3(fc3_tanh)  # (N, 10)
        p = F.softmax(fc3, dim=-1)
        return p

    def loss(self, x, y):
        N = x.shape[0]
        image_div = x / 16  # (N, 64)
        image = torch.reshape(image_div, (N, 1, 8, 8))  # (N, 1, 8, 8)
        conv1 = self.conv1(image)  # (N, 6, 8, 8)
        pool1_tanh = torch.tanh(conv1)
        pool1 = F.max_pool2d(pool1_tanh, 2)  # (N, 6, 4, 4)
        conv2 = self.conv2(pool1)  # (N, 16, 4, 4)
        pool2_tanh = torch.tanh(conv2)
        pool2 = F.max_pool2d(pool2_tanh, 2)  # (N, 16, 2, 2)
        fc1_reshape = pool2.flatten(1)  # (N, 64)
        fc1 = self.fc1(fc1_reshape)  # (N, 120)
        fc2_tanh = torch.tanh(fc1)
        fc2 = self.fc2(fc2_tanh)  # (N, 84)
        fc3_tanh = torch.tanh(fc2)
        fc3 = self.fc3(fc3_tanh)  # (N, 10)
        cross_entropy = F.cross_entropy(fc3, y, reduction="none")  # (N,)
        batch_mean_2 = batch_mean(cross_entropy)
        return batch_mean_2

    def metrics(self, x, y):
        """Return the mean of each metric."""
        N = x.shape[0]
        image_div = x / 16  # (N, 64)
        image = torch.reshape(image_div, (N, 1, 8, 8))  # (N, 1, 8, 8)
        conv1 = self.conv1(image)  # (N, 6, 8, 8)
        pool1_tanh = torch.tanh(conv1)
        pool1 = F.max_pool2d(pool1_tanh, 2)  # (N, 6, 4, 4)
        conv2 = self.conv2(pool1)  # (N, 16, 4, 4)
        pool2_tanh = torch.tanh(conv2)
        pool2 = F.max_pool2d(pool2_tanh, 2)  # (N, 16, 2, 2)
        fc1_reshape = pool2.flatten(1)  # (N, 64)
        fc1 = self.fc1(fc1_reshape)  # (N, 120)
        fc2_tanh = torch.tanh(fc1)
        fc2 = self.fc2(fc2_tanh)  # (N, 84)
        fc3_tanh = torch.tanh(fc2)
        fc3 = self.fc3(fc3_tanh)  # (N, 10)
        accuracy = (torch.argmax(fc3, dim=-1) == y).to(torch.float32)  # (N,)
        batch_mean_2 = batch_mean(accuracy)
        return {"accuracy": batch_mean_2}


class LenetLoss(nn.Module):
    """The loss as a module's forward: what DDP and torch.compile wrap."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, y):
        return self.model.loss(x, y)


def make_optimizer(model):
    """Return AdamW on the model's parameters."""
    params = model.parameters()
    # t counts the steps taken, for the learning rate
    return torch.optim.AdamW([{"params": params, "t": 0}], lr=0.01, weight_decay=0.5)


def train_step(loss_module, optimizer, x, y):
    """Take one step; return the loss before it."""
    for group in optimizer.param_groups:
        group["lr"] = cosine(group["t"], 0.01, steps=900)
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
