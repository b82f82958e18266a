"""The networks of `benchmarks/torch_peers.py`: each a diagram and what one would write for it by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch_modules as hand
from torch import Tensor, nn

from flowgraph.diagram import Diagram, load, loads

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

DIGITS = """
diagram digits_32
input x : [64]
target y : class(10)
z = x |> linear(32) |> relu |> linear(10)
loss cross_entropy(z, y)
train sgd(lr=0.05), batch=64
"""
MLP_784 = """
diagram mlp_784
input x : [784]
target y : class(10)
z = x |> linear(256) |> relu |> linear(128) |> relu |> linear(10)
loss cross_entropy(z, y)
train sgd(lr=0.05, momentum=0.9), batch=128
"""
LENET_28 = """
diagram lenet_28
input x : [1, 28, 28]
target y : class(10)
pool1 = max_pool(tanh(conv2d(x, 6, 5, padding=2)), 2)
pool2 = max_pool(tanh(conv2d(pool1, 16, 5)), 2)
fc1 = linear(flatten(pool2), 120)
fc2 = linear(tanh(fc1), 84)
fc3 = linear(tanh(fc2), 10)
loss cross_entropy(fc3, y)
train adam(lr=0.001), batch=64
"""
GPT2_SIZES = {"V": 256, "P": 64, "L": 4, "H": 4, "D": 128}
LLAMA_SIZES = {"V": 256, "L": 4, "D": 128, "F": 344, "H": 4, "G": 2}


def drawn(inputs: int = 64, hidden: int = 32, outputs: int = 10) -> str:
    """A network of which every circle and wire is drawn by itself."""
    x = [f"x[{i}]" for i in range(inputs)]
    h, o = ([f"{name}{i}" for i in range(count)] for name, count in (("h", hidden), ("o", outputs)))
    return (
        f"diagram drawn\ninput x : [{inputs}]\ntarget y : class({outputs})\n"
        f"node {', '.join(h)} : relu\nnode {', '.join(o)}\n"
        f"1, {', '.join(x)} -> {', '.join(h)}\n1, {', '.join(h)} -> {', '.join(o)}\n"
        f"z = [{', '.join(o)}]\nloss cross_entropy(z, y)\ntrain sgd(lr=0.05), batch=64\n"
    )


Batch = tuple[Tensor, ...]
Loss = Callable[..., Tensor]


@dataclass(frozen=True)
class Case:
    """A network, what one would write for it by hand, and a batch, inputs before targets.

    optimizer: the one by hand; schedule: what sets its rate after a step. names: what turns the
    names of our parameters into theirs; without any they are matched by their order.
    """

    title: str
    diagram: Callable[[], Diagram]
    module: Callable[[], nn.Module]
    loss: Loss
    optimizer: Callable[[Iterable[nn.Parameter]], Any]
    batch: Callable[[], Batch]
    schedule: Callable[[Any], Any] | None = None
    names: Sequence[tuple[str, str]] = ()
    can_be_whole: bool = True
    """Whether torch.compile takes theirs with fullgraph=True."""


def images(*shape: int, classes: int = 10) -> Callable[[], Batch]:
    return lambda: (torch.randn(shape), torch.randint(0, classes, shape[:1]))


def tokens(classes: int, *shape: int) -> Callable[[], Batch]:
    return lambda: (torch.randint(0, classes, shape), torch.randint(0, classes, shape))


def cosine(steps: int) -> Callable[[Any], Any]:
    return functools.partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=steps)


def example(path: str, **sizes: int) -> Callable[[], Diagram]:
    return lambda: load(EXAMPLES / path, settings=sizes)


SGD, ADAM, ADAMW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
part = functools.partial
CASES = [
    Case(
        "2-3-2, batch 32",
        example("lecture/mlp_2_3_2.flow"),
        lambda: hand.Mlp([2, 3, 2], nn.Sigmoid),
        hand.squared,
        part(SGD, lr=0.1),
        lambda: (torch.rand(32, 2), torch.rand(32, 2)),
    ),
    Case(
        "digits 64-32-10, batch 64",
        lambda: loads(DIGITS),
        lambda: hand.Mlp([64, 32, 10]),
        hand.of_labels,
        part(SGD, lr=0.05),
        images(64, 64),
    ),
    Case(
        "64-32-10 of single circles, batch 64",
        lambda: loads(drawn()),
        lambda: hand.Mlp([64, 32, 10]),
        hand.of_labels,
        part(SGD, lr=0.05),
        images(64, 64),
        names=[
            ("W_h", "layers.0.weight"),
            ("b_h", "layers.0.bias"),
            ("W_o", "layers.2.weight"),
            ("b_o", "layers.2.bias"),
        ],
    ),
    Case(
        "784-256-128-10, batch 128",
        lambda: loads(MLP_784),
        lambda: hand.Mlp([784, 256, 128, 10]),
        hand.of_labels,
        part(SGD, lr=0.05, momentum=0.9),
        images(128, 784),
    ),
    Case(
        "LeNet-5, 28×28, batch 64",
        lambda: loads(LENET_28),
        hand.LeNet,
        hand.of_labels,
        part(ADAM, lr=0.001),
        images(64, 1, 28, 28),
    ),
    Case(
        "ResNet-18, width 16, 32×32, batch 32",
        example("models/resnet18.flow", S=32, W=16, K=10),
        lambda: hand.ResNet18(16, 10),
        hand.of_labels,
        part(SGD, lr=0.02, momentum=0.9, weight_decay=0.0001),
        images(32, 3, 32, 32),
    ),
    Case(
        "GPT-2, 4 layers, width 128, 64 tokens, batch 8",
        example("models/gpt2.flow", **GPT2_SIZES),
        lambda: hand.Gpt(256, 64, 4, 4, 128),
        hand.of_tokens,
        part(ADAMW, lr=0.001),
        tokens(256, 8, 64),
    ),
    Case(
        "Llama, 4 layers, width 128, 64 tokens, batch 8",
        example("models/llama.flow", **LLAMA_SIZES),
        lambda: hand.Llama(256, 64, 4, 4, 2, 128, 344),
        hand.of_tokens,
        part(ADAMW, lr=0.001),
        tokens(256, 8, 64),
    ),
    Case(
        "LSTM, 2 layers, width 64, 32 letters, batch 32",
        example("models/lstm_chars.flow"),
        lambda: hand.LstmChars(23, 64, 2),
        hand.of_tokens,
        part(ADAM, lr=0.01),
        tokens(23, 32, 32),
        cosine(180),
        can_be_whole=False,
    ),
    Case(
        "VAE 64-128-8, batch 32",
        example("models/vae.flow"),
        hand.Vae,
        hand.of_vae,
        part(ADAM, lr=0.003),
        lambda: (16 * torch.rand(32, 64), torch.randint(0, 10, (32,))),
        cosine(1350),
    ),
    Case(
        "Transformer classifier, 2 layers, width 32, batch 64",
        example("models/transformer_classifier.flow"),
        lambda: hand.Classifier(8, 8, 2, 4, 32, 64),
        hand.of_scores,
        part(ADAMW, lr=0.003),
        lambda: (torch.randint(0, 8, (64, 8)), torch.randint(0, 2, (64,))),
        cosine(500),
        names=[("layers.", "encoder.layers."), ("in_proj.", "in_proj_")],
    ),
]
