"""argmax_softmax: The one-hot argmax and its softmax.

Compiled from argmax_softmax.flow by flowc 0.1.0 (target torch, -O0).
"""

import torch
from torch import nn
from torch.nn import functional as F

K = 3


class ArgmaxSoftmax(nn.Module):
    """hard (N, 3), soft (N, 3) and sharp (N, 3) from z (N, 3)."""

    def forward(self, z):
        hard_argmax = torch.argmax(z, dim=-1)  # (N,)
        hard = F.one_hot(hard_argmax, 3).to(torch.float32)  # (N, 3)
        soft = F.softmax(z, dim=-1)
        sharp_mul = 10 * z
        sharp = F.softmax(sharp_mul, dim=-1)
        return hard, soft, sharp
