"""Random draws: normal, uniform, dropout.

Each draws from the stream of its key (`ops.ambient`), for every example of a batch by itself. The
torch forms draw from PyTorch's default generator, as its own layers do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..types import REAL, Mismatch, TensorType, Type, Unifier
from .ambient import need_key
from .base import Batching, Composite, NonDifferentiable, Op, Sample, Value, fn, real
from .creator import sizes_of
from .declared import Shape
from .sample import DRAWN_FROM, MODE

if TYPE_CHECKING:
    import torch
    from torch.nn import functional as F


class Draw(NonDifferentiable, abstract=True):
    """Independent random numbers, others at each call and for each example."""

    group = "creators"
    operands = ("key",)
    ambient = ("key",)
    draws = "always"
    shape: Shape

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        self.check()
        return TensorType(REAL, sizes_of(self.name, self.shape))

    def check(self) -> None:
        """Raise Mismatch (E0404) where there is no such distribution."""

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        return b.apply(self.with_attrs(shape=(b.size, *self.shape)), *values)

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        need_key(arrays[0], self.name)
        return super().evaluate(arrays, types, sizes)


class Normal(Draw):
    """Random numbers, normally distributed with mean 0, drawn afresh at each call.

    Each example of a batch has its own. With a mean and a spread that are computed:
    `z = mu + exp(logvar / 2) * normal([d])`.
    """

    std: float = 1.0
    title = "normal"
    torch_draw = "randn"
    formula = "N(0, std^2)"
    latex = r"\mathcal{{N}}(0, {std}^2)"
    unsaid = ("shape",)
    numpy = "np.asarray(np.random.default_rng(key).normal(0, std, shape), dtype=real)"
    samples = [
        Sample(DRAWN_FROM, shape=(3,)),
        Sample(DRAWN_FROM, shape=(2, 3), std=0.5),
        Sample(DRAWN_FROM, shape=()),
    ]
    bad_samples = [
        Sample(DRAWN_FROM, shape=(-1,)),
        Sample(DRAWN_FROM, shape=(3,), std=-1.0),
        Sample(DRAWN_FROM, shape=(3,), std=math.inf),
    ]
    example = "e = normal([3])"

    def check(self) -> None:
        if not 0 <= self.std < math.inf:
            raise Mismatch(
                f"`normal` with a spread of {self.std}", code="E0404", help="give a std of at least 0"
            )

    def form(self, target: str, types: Sequence[Any]) -> Any:
        if target == "numpy":
            return super().form(target, types)
        drawn = "torch.randn(shape, dtype=real)"
        return drawn if self.std == 1 else f"std * {drawn}"

    def drawn(self, key: Any, shape: tuple[int, ...]) -> Any:
        return np.random.default_rng(key).standard_normal(shape)


class Uniform(Draw):
    """Random numbers, uniformly distributed between two bounds, drawn afresh at each call.

    Each example of a batch has its own.
    """

    a: float = 0.0
    b: float = 1.0
    title = "uniform"
    torch_draw = "rand"
    formula = "U(a, b)"
    latex = r"\mathcal{{U}}({a}, {b})"
    unsaid = ("shape",)
    numpy = "np.asarray(np.random.default_rng(key).uniform(a, b, shape), dtype=real)"
    samples = [
        Sample(DRAWN_FROM, shape=(3,)),
        Sample(DRAWN_FROM, shape=(2, 3), a=-1.0, b=2.5),
        Sample(DRAWN_FROM, shape=()),
    ]
    bad_samples = [
        Sample(DRAWN_FROM, shape=(-1,)),
        Sample(DRAWN_FROM, shape=(3,), a=1.0, b=0.0),
        Sample(DRAWN_FROM, shape=(3,), b=math.inf),
    ]
    example = "e = uniform([3], -1, 1)"

    def check(self) -> None:
        if not -math.inf < self.a <= self.b < math.inf:
            raise Mismatch(
                f"`uniform` between {self.a} and {self.b}",
                code="E0404",
                help="the second bound is the upper one: `uniform([3], -1, 1)`",
            )

    def form(self, target: str, types: Sequence[Any]) -> Any:
        if target == "numpy":
            return super().form(target, types)
        drawn = "torch.rand(shape, dtype=real)"
        if (self.a, self.b) == (0, 1):
            return drawn
        scaled = f"{self.b - self.a!r} * {drawn}"
        return scaled + (f" + {self.a!r}" if self.a > 0 else f" - {-self.a!r}" if self.a else "")

    def drawn(self, key: Any, shape: tuple[int, ...]) -> Any:
        return np.random.default_rng(key).random(shape)


# ---------------------------------------------------------------------------------------
# Dropout


def dropout_mask(x, train, key, p):
    """What dropout multiplies x by: 1 / (1 - p) for what it keeps, 0 for the rest."""
    if not train:
        return np.ones_like(x)
    keep = np.random.default_rng(key).random(x.shape) >= p
    return keep.astype(x.dtype) * (1 / (1 - p) if p < 1 else 0.0)


def dropout_mask_torch(x, train, p):
    """What dropout multiplies x by: 1 / (1 - p) for what it keeps, 0 for the rest."""
    return F.dropout(torch.ones_like(x), p, train)


def dropout(x, train, key, p):
    """In training x with each entry 0 with probability p, the others over 1 - p."""
    return x * dropout_mask(x, train, key, p) if train else x


class OfEach(Op, abstract=True):
    """Has one operand with a shape, whose entries are dropped or kept one by one."""

    operands = ("x", "train", "key")
    ambient = ("train", "key")
    draws = "training"
    title = "dropout"
    torch_draw = "dropout"
    p: float = 0.5
    samples: ClassVar[Sequence[Sample]] = ()

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        if not 0 <= self.p <= 1:
            raise Mismatch(
                f"`dropout` with a probability of {self.p}", code="E0404", help="`p` is between 0 and 1"
            )
        return types[0]

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        return b.apply(self, b.spread(values[0], types[0]), *values[1:])

    def drawn(self, key: Any, shape: tuple[int, ...]) -> Any:
        return dropout_mask(np.ones(shape), True, key, self.p)

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        if arrays[1]:
            need_key(arrays[2], self.name)
        return super().evaluate(arrays, types, sizes)


class DropoutMask(NonDifferentiable, OfEach):
    """What dropout multiplies its operand by: 1 / (1 - p) for what it keeps, 0 for the rest."""

    numpy = dropout_mask
    torch = dropout_mask_torch


class Dropout(OfEach, Composite):
    """In training each entry is set to 0 with probability p, the others divided by 1 - p (Srivastava, 2014).

    Outside training it does nothing. Each example of a batch loses its own entries, others at each
    call; the gradient goes through those that were kept.
    """

    group = "layers"
    formula = "x m / (1 - p), with m = 0 with probability p, else 1; outside training x"
    numpy = dropout
    torch = "F.dropout(x, p, train)"
    shares = True
    samples = [
        Sample(real(4), MODE, DRAWN_FROM),
        Sample(real(2, 3), MODE, DRAWN_FROM, p=0.25),
        Sample(real(), MODE, DRAWN_FROM, p=0.0),
    ]
    bad_samples = [
        Sample(real(3), MODE, DRAWN_FROM, p=1.5),
        Sample(real(3), MODE, DRAWN_FROM, p=-0.1),
    ]
    example = "h = dropout(h, 0.5)"

    def torch_layer(self, types: Sequence[Any]) -> str:
        return f"nn.Dropout({self.p!r})"

    def expand(self, *xs: Value) -> Value:
        return xs[0] * fn.dropout_mask(*xs, p=self.p)
