"""gpt2: GPT-2.

Compiled from gpt2.flow by flowc 0.1.0 (target torch, -O1).
"""

import torch
from torch import nn
from torch.nn import functional as F

V = 50257
P = 1024
L = 12
H = 12
D = 768


class Attend(nn.Module):
    """c_proj, shape (N, T, 768), from x (N, T, 768)."""

    def __init__(self):
        super().__init__()
        self.c_attn = nn.Linear(768, 2304)
        self.c_proj = nn.Linear(768, 768)

    def forward(self, x):
        N = x.shape[0]
        T = x.shape[1]
        c_attn = self.c_attn(x)  # (N, T, 2304)
        # (N, 3, 12, T, 64)
        qkv = torch.reshape(c_attn, (N, T, 3, 12, 64)).permute(0, 2, 3, 1, 4)
        q, k, v = qkv.unbind(1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (N, 12, T, 64)
        return self.c_proj(y.permute(0, 2, 1, 3).flatten(2))


class Feed(nn.Module):
    """c_proj, shape (N, T, 768), from x (N, T, 768)."""

    def __init__(self):
        super().__init__()
        self.c_fc = nn.Linear(768, 3072)
        self.c_proj = nn.Linear(3072, 768)

    def forward(self, x):
        c_fc = self.c_fc(x)  # (N, T, 3072)
        return self.c_proj(F.gelu(c_fc, approximate="tanh"))


class HRound(nn.Module):
    """u, shape (N, T, 768), from u (N, T, 768)."""

    def __init__(self):
        super().__init__()
        self.ln_1 = nn.LayerNorm(768)
        self.attn = Attend()
        self.ln_2 = nn.LayerNorm(768)
        self.mlp = Feed()

    def forward(self, u):
        ln_1 = self.ln_1(u)  # (N, T, 768)
        attn = self.attn(ln_1)
        u_2 = u + attn
        ln_2 = self.ln_2(u_2)
        mlp = self.mlp(ln_2)
        return u_2 + mlp


class Gpt2(nn.Module):
    """logits, shape (N, T, 50257), from ids (N, T) of labels 0..50256."""

    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(50257, 768)
        self.wpe = nn.Embedding(1024, 768)
        self.h = nn.ModuleList(HRound() for _ in range(12))
        self.ln_f = nn.LayerNorm(768)
        nn.init.normal_(self.wte.weight, std=0.02)
        nn.init.normal_(self.wpe.weight, std=0.02)

    def forward(self, ids):
        T = ids.shape[1]
        assert T <= 1024, "no place is left: the row has more than P tokens"
        u = self.wte(ids) + self.wpe(torch.arange(T, device=ids.device))  # (N, T, 768)
        for h in self.h:
            u = h(u)
        ln_f = self.ln_f(u)
        return ln_f @ self.wte.weight.T

    def loss(self, ids, next):
        return F.cross_entropy(
            self(ids).flatten(0, -2),
            next.flatten(),
            reduction="mean" if next.shape[0] else "sum",
        )


class Gpt2Loss(nn.Module):
    """The loss as a module's forward: what DDP and torch.compile wrap."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, next):
        return self.model.loss(ids, next)


def make_optimizer(model):
    """Return AdamW on the model's parameters."""
    return torch.optim.AdamW(model.parameters(), lr=0.001)


def train_step(loss_module, optimizer, ids, next):
    """Take one step; return the loss before it."""
    optimizer.zero_grad()
    loss = loss_module(ids, next)
    loss.backward()
    optimizer.step()
    return loss.detach()
