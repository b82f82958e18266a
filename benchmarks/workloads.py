"""The workloads that `benchmarks/peers.py` measures: a diagram, a batch, and what we aim at.

A workload is a training step on one batch that stays the same, from the diagram's own first
parameters; the loss is computed at every step and kept, but where `log` says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import flowgraph.bench.known as known
from flowgraph.diagram import Diagram, load

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Mlp:
    """Linear layers with an activation between them, trained by plain gradient descent.

    loss: "cross_entropy" of labels, or "mse".
    """

    sizes: tuple[int, ...]
    activation: str
    loss: str
    lr: float


@dataclass(frozen=True)
class Workload:
    """A network and a batch of inputs and targets, by their names in the diagram.

    aims: contestants with the largest ratio of our time to theirs that we want. log: every which step's
    loss is kept; steps: of a turn, None for as many as fill it.
    """

    name: str
    title: str
    diagram: Callable[[], Diagram]
    batch: Callable[[np.random.Generator], Arrays]
    aims: dict[str, float]
    mlp: Mlp | None = None
    dtype: str = "float32"
    log: int = 1
    steps: int | None = None


def flow(name: str) -> Callable[[], Diagram]:
    return lambda: load(known.FLOWS / f"{name}.flow")


def example(path: str, **sizes: int) -> Callable[[], Diagram]:
    return lambda: load(EXAMPLES / path, settings=sizes)


def rows(*shape: int, classes: int = 0, outputs: int = 0) -> Callable[[np.random.Generator], Arrays]:
    """Normal inputs x of this shape, and labels y below `classes` or normal targets of `outputs` numbers."""

    def batch(rng: np.random.Generator) -> Arrays:
        x = rng.normal(size=shape).astype(np.float32)
        labels = rng.integers(0, classes, shape[0]) if classes else None
        y = rng.normal(size=(shape[0], outputs)).astype(np.float32) if labels is None else labels
        return {"x": x, "y": y}

    return batch


def cubic(rng: np.random.Generator) -> Arrays:
    x = np.linspace(-np.pi, np.pi, 2000)
    return {"x": x, "y": np.sin(x)}


def xor(rng: np.random.Generator) -> Arrays:
    bits = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    return {"x": bits, "y": np.array([0, 1, 1, 0])}


def tokens(rng: np.random.Generator) -> Arrays:
    ids = rng.integers(0, GPT2["V"], (8, GPT2["P"] + 1))
    return {"ids": ids[:, :-1].copy(), "next": ids[:, 1:].copy()}


GPT2 = {"V": 256, "P": 64, "L": 4, "H": 4, "D": 128}
CUBIC_STEPS = 2000

ALL = [
    Workload(
        "cubic",
        "cubic, 2000 points",
        example("lecture/cubic.flow"),
        cubic,
        {"hand": 1 / 30, "torch": 1 / 10, "jax": 1.5},
        dtype="float64",
        log=100,
        steps=CUBIC_STEPS,
    ),
    Workload(
        "xor",
        "XOR 2-2-2, batch 4",
        flow("xor_2_2_2"),
        xor,
        {"hand": 0.5, "torch": 1 / 10, "jax": 1.0},
        Mlp((2, 2, 2), "tanh", "cross_entropy", 0.3),
    ),
    Workload(
        "2-3-2",
        "2-3-2, batch 32",
        example("lecture/mlp_2_3_2.flow"),
        rows(32, 2, outputs=2),
        {"hand": 0.55, "jax": 1.0},
        Mlp((2, 3, 2), "sigmoid", "mse", 0.1),
    ),
    Workload(
        "digits",
        "64-32-10, batch 64",
        flow("digits_64_32_10"),
        rows(64, 64, classes=10),
        {"hand": 0.7, "jax": 0.5},
        Mlp((64, 32, 10), "relu", "cross_entropy", 0.1),
    ),
    Workload(
        "mlp",
        "784-256-128-10, batch 128",
        flow("mlp_784"),
        rows(128, 784, classes=10),
        {"products": 1.15, "torch": 0.7},
        Mlp((784, 256, 128, 10), "relu", "cross_entropy", 0.1),
    ),
    Workload(
        "deep",
        "1024 × 4 layers, batch 256",
        flow("deep_1024"),
        rows(256, 1024, outputs=1024),
        {"products": 1.08},
        Mlp((1024,) * 5, "relu", "mse", 0.1),
    ),
    Workload(
        "lenet",
        "LeNet-5, 28×28, batch 64",
        flow("lenet_28"),
        rows(64, 1, 28, 28, classes=10),
        {"torch": 3.0},
    ),
    Workload(
        "gpt2",
        "GPT-2, 4 layers, width 128, 64 tokens, batch 8",
        example("models/gpt2.flow", **GPT2),
        tokens,
        {"hand": 0.75, "torch": 1.4},
    ),
]
BY_NAME = {workload.name: workload for workload in ALL}
