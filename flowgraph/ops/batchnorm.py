"""Batch normalisation: the one operation that couples the examples of a batch.

`batchnorm` is what a diagram of one example has; over a batch it becomes `batchnorm_over_batch`,
whose derivative goes through the statistics of the batch. What is differentiated before there is a
batch (`grad`, `jvp`, gradients of single examples) knows no other examples: there it is the affine
map that it is outside training, and in training it is refused when it is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..types import Mismatch, TensorType, Type, Unifier, describe
from .base import (
    Batching,
    Composite,
    Op,
    Parameter,
    Sample,
    Value,
    apply,
    fn,
    items_of,
    need_equal,
    real,
)
from .batch_standardize import (
    RESULTS,
    BatchStandardize,
    batch_standardized,
    batch_standardized_torch,
)
from .init import Ones, Zeros
from .layer import no_axis, size_at
from .norm import scaled_and_shifted
from .sample import MODE, TRAIN, buffer
from .shape import product

PARTS = ("x", "train", "running_mean", "running_var", "weight?", "bias?")
OWN = ("running_mean", "running_var", "weight", "bias")


def batchnorm(x, train, running_mean, running_var, weight=None, bias=None, eps=1e-5):
    """Each channel with mean 0 and variance 1, times the weight, plus the bias."""
    y = batch_standardized(x, train, running_mean, running_var, eps)[0]
    each = (-1, *[1] * (x.ndim - 2))
    if weight is not None:
        y = y * np.reshape(weight, each)
    return y if bias is None else y + np.reshape(bias, each)


def batchnorm_torch(
    x,
    train,
    running_mean,
    running_var,
    weight=None,
    bias=None,
    eps=1e-5,
):
    """Each channel with mean 0 and variance 1, times the weight, plus the bias."""
    y = batch_standardized_torch(x, train, running_mean, running_var, eps)[0]
    each = (-1, *[1] * (x.dim() - 2))
    if weight is not None:
        y = y * weight.reshape(each)
    return y if bias is None else y + bias.reshape(each)


def batchnorm_alone(
    x,
    train,
    running_mean,
    running_var,
    weight=None,
    bias=None,
    eps=1e-5,
):
    """batchnorm of a value that no example changes: a batch of one."""
    return batchnorm(x[None], train, running_mean, running_var, weight, bias, eps)[0]


def batchnorm_alone_torch(
    x,
    train,
    running_mean,
    running_var,
    weight=None,
    bias=None,
    eps=1e-5,
):
    """batchnorm of a value that no example changes: a batch of one."""
    y = batchnorm_torch(x[None], train, running_mean, running_var, weight, bias, eps)
    return y[0]


class Normalises(Op, abstract=True):
    """Normalises channels. momentum: the weight of a batch in the running statistics."""

    operands = PARTS
    params = OWN
    ambient = ("train",)
    couples = True
    eps: float = 1e-5
    momentum: float = 0.1
    affine: bool = True

    def need_channels(self, u: Unifier, types: Sequence[TensorType], axis: int) -> None:
        """Unify the number of channels with the sizes of the parameters. Raises Mismatch."""
        x = types[0]
        for slot, param in enumerate(types[2:], 2):
            need_equal(
                self,
                u,
                x.shape[axis],
                param.shape[0],
                blame=[(0, f"is {describe(u.tensor(x))}"), (slot, f"is {describe(u.tensor(param))}")],
                help=f"the parameters of this `{self.name}` are {describe(u.tensor(param))}",
            )


class BatchnormOverBatch(Normalises, Composite):
    """Batch normalisation of a batch [N, C, ...]: what `batchnorm` becomes over one."""

    unsaid = ("momentum", "affine")
    numpy = batchnorm
    samples = [
        Sample(real(5, 3), TRAIN, buffer(3), buffer(3), real(3), real(3)),
        Sample(real(3, 2, 4), TRAIN, buffer(2), buffer(2), affine=False),
        Sample(real(2, 2, 1, 3), MODE, buffer(2), buffer(2), real(2), real(2), momentum=0.3),
    ]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        self.need_channels(u, types, 1)
        return types[0]

    def form(self, target: str, types: Sequence[Any]) -> Any:
        return batchnorm if target == "numpy" else batchnorm_torch

    def kept(self, buffers: Mapping[int, Value], *xs: Value) -> Mapping[int, Value]:
        run = apply(BatchStandardize(eps=self.eps), *xs[:4])
        found = dict(zip((2, 3), items_of(run, *RESULTS)[2:], strict=True))
        return {slot: old + (found[slot] - old) * self.momentum for slot, old in buffers.items()}

    def torch_layer(self, types: Sequence[Any]) -> str:
        x = types[0]
        kind = {2: "1d", 3: "1d", 4: "2d", 5: "3d"}[x.rank]
        settings = "" if self.eps == 1e-5 else f", eps={self.eps!r}"
        settings += "" if self.momentum == 0.1 else f", momentum={self.momentum!r}"
        settings += "" if len(types) > 4 else ", affine=False"
        return f"nn.BatchNorm{kind}({x.shape[1]}{settings})"

    def expand(self, *xs: Value) -> Value:
        x, train, running_mean, running_var, *params = xs
        run = apply(BatchStandardize(eps=self.eps), x, train, running_mean, running_var)
        standard = items_of(run, *RESULTS)[0]
        behind = tuple(range(2 - x.type.rank, 0))
        return scaled_and_shifted(standard, [fn.unsqueeze(p, axis=behind) if behind else p for p in params])


class Batchnorm(Normalises):
    """Each channel with mean 0 and variance 1 over the batch, times a weight, plus a bias (Ioffe, 2015).

    Of [C], [C, L], [C, H, W] or [C, D, H, W]. In training mean and variance are those of the batch, and
    running averages of them are kept in the buffers `running_mean` and `running_var`, the new one
    counting by `momentum` (its variance unbiased); otherwise these averages are used. Weight and
    bias are [C] and start at 1 and 0; `affine=false` leaves both out. It couples the examples of a
    batch, so in training it is refused under `grad`, `jvp` and gradients of single examples, and
    within `scan` altogether.
    """

    group = "layers"
    formula = "(x - mean x) / √(var x + eps) weight + bias, over the batch for each channel"
    unsaid = ("momentum", "affine")
    numpy = batchnorm_alone
    samples = [
        Sample(real(3), MODE, buffer(3), buffer(3), real(3), real(3)),
        Sample(real(3, 2), MODE, buffer(3), buffer(3), real(3), real(3), eps=0.1),
        Sample(real(2, 3, 2), MODE, buffer(2), buffer(2), real(2), real(2), momentum=0.3),
        Sample(real(2, 1, 3, 2), MODE, buffer(2), buffer(2), affine=False),
    ]
    bad_samples = [
        Sample(real(), MODE, buffer(1), buffer(1), affine=False),
        Sample(real(3), MODE, buffer(2), buffer(2), affine=False),
        Sample(real(1, 1, 1, 1, 1), MODE, buffer(1), buffer(1), affine=False),
        Sample(real(3), MODE, buffer(3), buffer(3), affine=False, momentum=1.5),
        Sample(real(3), MODE, buffer(3), buffer(3), affine=False, eps=0.0),
    ]
    example = "h = batchnorm(x)"

    def parameters(self, u: Unifier, *types: TensorType) -> list[Parameter]:
        x = types[0]
        if x.rank == 0:
            raise no_axis(self, x, 0)
        channels = (size_at(self, u, x, 0, 0),)
        made = [
            Parameter("running_mean", channels, Zeros(), is_buffer=True),
            Parameter("running_var", channels, Ones(), is_buffer=True),
        ]
        affine = [Parameter("weight", channels, Ones()), Parameter("bias", channels, Zeros())]
        return made + affine if self.affine else made

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        x = types[0]
        if x.rank == 0:
            raise no_axis(self, x, 0)
        if x.rank > 4:
            raise Mismatch(
                "`batchnorm` takes channels and up to three axes behind them",
                blame=[(0, f"is {describe(u.tensor(x))}")],
                help="`[C]`, `[C, L]`, `[C, H, W]` or `[C, D, H, W]`; `reshape` joins axes",
            )
        if not 0 <= self.momentum <= 1 or not self.eps > 0:
            said = f"a momentum of {self.momentum}" if self.eps > 0 else f"an eps of {self.eps}"
            raise Mismatch(
                f"`batchnorm` with {said}", code="E0404", help="`momentum` is between 0 and 1, `eps` above 0"
            )
        self.need_channels(u, types, 0)
        return x

    def form(self, target: str, types: Sequence[Any]) -> Any:
        return batchnorm_alone if target == "numpy" else batchnorm_alone_torch

    def least_rows(self, types: Sequence[Any]) -> int:
        return 2 if product(types[0].shape[1:]).value == 1 else 0

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        over = BatchnormOverBatch(eps=self.eps, momentum=self.momentum, affine=self.affine)
        return b.apply(over, *values)

    # -- outside training, for one example

    def _parts(self, xs: Sequence[Value]) -> tuple[Value, Value, Value | None]:
        """What the weight is multiplied by, the factor in it, and the weight with axes for positions."""
        x, train, mean, var, *params = xs
        behind = tuple(range(1 - x.type.rank, 0))
        wide = [fn.unsqueeze(v, axis=behind) if behind else v for v in (mean, var, *params)]
        scale = fn.reciprocal(fn.sqrt(fn.outside_training(wide[1], train) + self.eps))
        return (x - wide[0]) * scale, scale, wide[2] if params else None

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        standard, scale, weight = self._parts(xs)
        behind = tuple(range(1 - xs[0].type.rank, 0))
        of_x, of_weight, of_bias = tangents[0], *(*tangents[4:], None, None)[:2]
        parts = []
        if of_x is not None:
            parts.append(of_x * scale if weight is None else of_x * scale * weight)
        if of_weight is not None:
            parts.append(standard * (fn.unsqueeze(of_weight, axis=behind) if behind else of_weight))
        if of_bias is not None:
            wide = fn.unsqueeze(of_bias, axis=behind) if behind else of_bias
            parts.append(fn.expand(wide, shape=y.shape) if behind else wide)
        total: Value | None = None
        for part in parts:
            total = part if total is None else total + part
        return total

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        standard, scale, weight = self._parts(xs)
        behind = tuple(range(1 - xs[0].type.rank, 0))
        of_x = cotangent * scale if weight is None else cotangent * scale * weight
        if weight is None:
            return [of_x, None, None, None]
        of_params = [cotangent * standard, cotangent]
        return [of_x, None, None, None, *(fn.sum(c, axis=behind) if behind else c for c in of_params)]
