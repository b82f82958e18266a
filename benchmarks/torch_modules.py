"""Networks in PyTorch as one would write them by hand, for `benchmarks/torch_peers.py`.

Each is a module with `forward`, a `loss(model, *batch)` and an optimizer, as a training script has them, and
stands for one of the diagrams there. Parameters stand in the order of the diagram's, but in `Classifier`,
which takes PyTorch's own encoder. Nothing here is made by the compiler, and nothing slows it down:
where PyTorch has one function for what is to be done, that is called.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Mlp(nn.Module):
    """Linear layers with an activation between them: [N, sizes[0]] to [N, sizes[-1]]."""

    def __init__(self, sizes: Sequence[int], activation: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for narrow, wide in itertools.pairwise(sizes):
            layers += [nn.Linear(narrow, wide), activation()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class LeNet(nn.Module):
    """LeNet-5 for images [N, 1, 28, 28]: scores [N, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.tanh(self.conv1(x)), 2)
        x = F.max_pool2d(F.tanh(self.conv2(x)), 2)
        x = F.tanh(self.fc1(x.flatten(1)))
        x = F.tanh(self.fc2(x))
        return self.fc3(x)


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut: [N, channels, S, S] to [N, width, S / stride, S / stride]."""

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if channels != width or stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        h = self.relu(self.bn1(self.conv1(x)))
        h = self.bn2(self.conv2(h))
        h += shortcut
        return self.relu(h)


class ResNet18(nn.Module):
    """ResNet-18 with `width` channels in its first stage: [N, 3, S, S] to [N, classes]."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        stages: list[nn.Module] = [BasicBlock(width, width), BasicBlock(width, width)]
        for wide in (2 * width, 4 * width, 8 * width):
            stages += [BasicBlock(wide // 2, wide, 2), BasicBlock(wide, wide)]
        self.stages = nn.Sequential(*stages)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.fc(self.avgpool(self.stages(x)).flatten(1))


class GptBlock(nn.Module):
    """A round of GPT-2: [N, T, width] to the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(width)
        self.c_attn = nn.Linear(width, 3 * width)
        self.attn_proj = nn.Linear(width, width)
        self.ln_2 = nn.LayerNorm(width)
        self.c_fc = nn.Linear(width, 4 * width)
        self.mlp_proj = nn.Linear(4 * width, width)
        self.gelu = nn.GELU(approximate="tanh")

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attend(self.ln_1(x))
        return x + self.mlp_proj(self.gelu(self.c_fc(self.ln_2(x))))

    def attend(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        q, k, v = self.c_attn(x).split(C, dim=2)
        q = q.view(B, T, self.heads, C // self.heads).transpose(1, 2)
        k = k.view(B, T, self.heads, C // self.heads).transpose(1, 2)
        v = v.view(B, T, self.heads, C // self.heads).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.attn_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class Gpt(nn.Module):
    """GPT-2: tokens [N, T] to scores [N, T, vocabulary]."""

    def __init__(self, vocabulary: int, places: int, layers: int, heads: int, width: int) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(places, width)
        self.h = nn.ModuleList(GptBlock(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, ids: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.wte(ids) + self.wpe(places)
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


class LlamaBlock(nn.Module):
    """A round of Llama: [N, T, width] to the same; `groups` heads of keys and values."""

    def __init__(self, width: int, inner: int, heads: int, groups: int) -> None:
        super().__init__()
        self.size = width // heads
        self.norm1 = nn.RMSNorm(width, eps=1e-5)
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, groups * self.size, bias=False)
        self.v_proj = nn.Linear(width, groups * self.size, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)
        self.norm2 = nn.RMSNorm(width, eps=1e-5)
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attend(self.norm1(x), cos, sin)
        h = self.norm2(x)
        return x + self.down_proj(F.silu(self.gate_proj(h)) * self.up_proj(h))

    def attend(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        B, T, C = x.shape
        q = turned(self.q_proj(x).view(B, T, -1, self.size).transpose(1, 2), cos, sin)
        k = turned(self.k_proj(x).view(B, T, -1, self.size).transpose(1, 2), cos, sin)
        v = self.v_proj(x).view(B, T, -1, self.size).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, C))


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of [.., T, d], whose pairs are entries of the two halves."""
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-b, a), dim=-1) * sin


class Llama(nn.Module):
    """Llama: tokens [N, T] to scores [N, T, vocabulary]; rows of up to `places` tokens."""

    def __init__(
        self, vocabulary: int, places: int, layers: int, heads: int, groups: int, width: int, inner: int
    ) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(LlamaBlock(width, inner, heads, groups) for _ in range(layers))
        self.norm = nn.RMSNorm(width, eps=1e-5)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        size = width // heads
        angles = torch.arange(places)[:, None] / 10000 ** (torch.arange(0, size, 2) / size)
        angles = torch.cat((angles, angles), dim=-1)
        self.cos: Tensor
        self.sin: Tensor
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed_tokens(ids)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.lm_head(self.norm(x))


class LstmChars(nn.Module):
    """Layers of LSTM over letters: [N, T] to scores [N, T, letters]."""

    def __init__(self, letters: int, width: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(letters, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)
        self.logits = nn.Linear(width, letters)

    def forward(self, ids: Tensor) -> Tensor:
        h, _ = self.lstm(self.embed(ids))
        return self.logits(h)


class Vae(nn.Module):
    """A variational autoencoder of images [N, 64], and a reader of its code."""

    def __init__(self, width: int = 128, code: int = 8) -> None:
        super().__init__()
        self.wide = nn.Linear(64, width)
        self.mu = nn.Linear(width, code)
        self.logvar = nn.Linear(width, code)
        self.decoder = nn.Sequential(nn.Linear(code, width), nn.ReLU(), nn.Linear(width, 64))
        self.reader = nn.Linear(code, 10)

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = F.relu(self.wide(image))
        mu, logvar = self.mu(h), self.logvar(h)
        return mu, logvar, mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        mu, logvar, z = self.encode((x > 7.5).float())
        remade = torch.sigmoid(self.decoder(z))
        invented = torch.sigmoid(self.decoder(torch.randn_like(z)))
        return mu, logvar, z, remade, invented


class Classifier(nn.Module):
    """PyTorch's encoder over words [N, places]: probabilities [N, 2]."""

    def __init__(self, letters: int, places: int, layers: int, heads: int, width: int, inner: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(letters, width)
        self.place = nn.Embedding(places, width)
        layer = nn.TransformerEncoderLayer(width, heads, inner, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers)
        self.z = nn.Linear(width, 2)

    def scores(self, letters: Tensor) -> Tensor:
        places = torch.arange(letters.shape[1], device=letters.device)
        return self.z(self.encoder(self.embed(letters) + self.place(places)).mean(dim=1))

    def forward(self, letters: Tensor) -> Tensor:
        return F.softmax(self.scores(letters), dim=-1)


# ---------------------------------------------------------------------------------------
# Losses


def squared(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return F.mse_loss(model(x), y)


def of_labels(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(model(x), y)


def of_scores(model: Classifier, x: Tensor, y: Tensor) -> Tensor:
    """Where forward gives probabilities."""
    return F.cross_entropy(model.scores(x), y)


def of_tokens(model: nn.Module, ids: Tensor, next: Tensor) -> Tensor:
    logits = model(ids)
    return F.cross_entropy(logits.view(-1, logits.shape[-1]), next.view(-1))


def of_vae(model: Vae, x: Tensor, y: Tensor) -> Tensor:
    image = (x > 7.5).float()
    mu, logvar, z = model.encode(image)
    pixels = model.decoder(z)
    cost = F.binary_cross_entropy_with_logits(pixels, image, reduction="sum")
    distance = 0.5 * torch.sum(logvar.exp() + mu**2 - 1 - logvar)
    return (cost + distance) / len(x) + F.cross_entropy(model.reader(mu.detach()), y)
