"""Batch normalisation: the one operation that couples the examples of a batch.

`batchnorm` is what a diagram of one example has; over a batch it becomes `batchnorm_over_batch`,
whose derivative goes through the statistics of the batch. What is differentiated before there is a
batch (`grad`, `jvp`, gradients of single examples) knows no other examples: there it is the affine
map that it is outside training, and in training it is refused when it is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..types import REAL, Dim, Mismatch, TensorType, TupleType, Type, Unifier, describe
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
from .init import Ones, Zeros
from .layer import no_axis, size_at
from .norm import scaled_and_shifted
from .sample import MODE
from .shape import product

if TYPE_CHECKING:
    import torch

RESULTS = ("standard", "scale", "center", "spread")
"""What the results of `batch_standardize` are called in emitted code."""

PARTS = ("x", "train", "running_mean", "running_var", "weight?", "bias?")
OWN = ("running_mean", "running_var", "weight", "bias")


def batch_standardized(x, train, running_mean, running_var, eps=1e-5):
    """x standardized by channel, the factor for it, and mean and variance to keep."""
    each = (-1, *[1] * (x.ndim - 2))
    count = x.size // max(x.shape[1], 1)
    if train and count == 1:
        raise ValueError("batchnorm needs more than one number per channel in training")
    mean, var, unbiased = running_mean, running_var, running_var
    if train and count:
        axes = (0, *range(2, x.ndim))
        mean, var = np.mean(x, axis=axes), np.var(x, axis=axes)
        unbiased = var * (count / (count - 1))
    scale = np.reshape(1 / np.sqrt(var + eps), each)
    return (x - np.reshape(mean, each)) * scale, scale[None], mean, unbiased


def batch_standardized_torch(x, train, running_mean, running_var, eps=1e-5):
    """x standardized by channel, the factor for it, and mean and variance to keep."""
    each = (-1, *[1] * (x.dim() - 2))
    count = x.numel() // max(x.shape[1], 1)
    if train and count == 1:
        raise ValueError("batchnorm needs more than one number per channel in training")
    mean, var, unbiased = running_mean, running_var, running_var
    if train and count:
        axes = (0, *range(2, x.dim()))
        mean, var = x.mean(dim=axes), x.var(dim=axes, correction=0)
        unbiased = var * (count / (count - 1))
    scale = torch.rsqrt(var + eps).reshape(each)
    return (x - mean.reshape(each)) * scale, scale[None], mean, unbiased


class BatchStandardize(Op):
    """A batch with mean 0 and variance 1 in each channel, in training; else by the running statistics.

    Results: that, the factor that scaled it, and of each channel the mean and the unbiased variance,
    which are the running ones outside training.
    """

    operands = PARTS[:4]
    ambient = ("train",)
    eps: float = 1e-5
    latex = r"\mathrm{{standardize}}({x})"
    numpy = batch_standardized
    torch = batch_standardized_torch

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        x, _, running_mean, _ = types
        scale = tuple(running_mean.shape[0] if axis == 1 else Dim.of(1) for axis in range(x.rank))
        return TupleType((x, TensorType(REAL, scale), running_mean, running_mean))

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        t = tangents[0]
        if t is None:
            return None
        over = _Over(xs[0], xs[1])
        standard, scale, *_ = items_of(y, *RESULTS)
        shared = over.sum(t * standard)
        factor = fn.reshape(scale, shape=over.channels)
        return fn.pack(
            over.along(t, standard, scale),
            fn.in_training(-fn.square(scale) * fn.share(shared, size=over.count), over.train),
            fn.in_training(over.flat(fn.share(over.sum(t), size=over.count)), over.train),
            fn.in_training(over.flat(fn.share(shared, size=over.count - 1)) * 2 / factor, over.train),
        )

    def vjp(self, cotangent: Any, y: Value, *xs: Value) -> list[Value | None]:
        """cotangent: a sequence with that of each result, None for zero."""
        over = _Over(xs[0], xs[1])
        standard, scale, *_ = items_of(y, *RESULTS)
        of_standard, of_scale, of_mean, of_var = cotangent
        total = None if of_standard is None else over.along(of_standard, standard, scale)
        shared: Value | None = None
        if of_scale is not None:
            shared = -fn.share(of_scale * fn.square(scale), size=over.count) * standard
        if of_mean is not None:
            part = fn.expand(fn.share(over.each(of_mean), size=over.count), shape=xs[0].shape)
            shared = part if shared is None else shared + part
        if of_var is not None:
            part = fn.share(over.each(of_var), size=over.count - 1) * 2 / scale * standard
            shared = part if shared is None else shared + part
        if shared is not None:
            shared = fn.in_training(shared, over.train)
            total = shared if total is None else total + shared
        return [total, None, None, None]


class _Over:
    """The axes of a batch [N, C, ...] that one channel goes over, and sums over them."""

    def __init__(self, x: Value, train: Value) -> None:
        self.train = train
        rank = x.type.rank
        self.behind = rank - 2
        self.axes = tuple(axis - rank for axis in range(rank) if axis != 1)
        self.channels = (x.shape[1],)
        self.count = product([x.shape[a] for a in self.axes])

    def sum(self, value: Value) -> Value:
        return fn.sum(value, axis=self.axes, keepdims=True)

    def flat(self, value: Value) -> Value:
        """[1, C, 1, ...] as [C]."""
        return fn.reshape(value, shape=self.channels)

    def each(self, value: Value) -> Value:
        """[C] as [1, C, 1, ...]."""
        return fn.reshape(value, shape=(1, *self.channels, *[1] * self.behind))

    def along(self, t: Value, standard: Value, scale: Value) -> Value:
        """The derivative of the standardized batch, a symmetric map of a tangent or a cotangent."""
        mean, shared = (
            fn.share(self.sum(t), size=self.count),
            fn.share(self.sum(t * standard), size=self.count),
        )
        return scale * (t - fn.in_training(mean + standard * shared, self.train))


class InTraining(Op):
    """The value in training, 0 otherwise."""

    operands = ("x", "train")
    ambient = ("train",)
    latex = "{x}"
    numpy = "x * train"
    torch = "x * train"

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return types[0]

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        return b.apply(self, *values)

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        return None if tangents[0] is None else apply(self, tangents[0], xs[1])

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return [apply(self, cotangent, xs[1]), None]


def outside_training(x, train):
    """x; in training an error, since batchnorm couples the examples of a batch."""
    if train:
        raise ValueError(
            "in training batchnorm couples the examples of a batch, and the derivative "
            "of a single one does not exist: call with train=False"
        )
    return x


class OutsideTraining(Op):
    """The value itself, refused in training."""

    operands = ("x", "train")
    ambient = ("train",)
    latex = "{x}"
    numpy = outside_training
    torch = outside_training

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return types[0]

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        return b.apply(self, *values)

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        return None if tangents[0] is None else apply(self, tangents[0], xs[1])

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return [apply(self, cotangent, xs[1]), None]


# ---------------------------------------------------------------------------------------
# The layer


def batchnorm(x, train, running_mean, running_var, weight=None, bias=None, eps=1e-5):
    """Each channel with mean 0 and variance 1, times the weight, plus the bias."""
    y = batch_standardized(x, train, running_mean, running_var, eps)[0]
    each = (-1, *[1] * (x.ndim - 2))
    if weight is not None:
        y = y * np.reshape(weight, each)
    return y if bias is None else y + np.reshape(bias, each)


def batchnorm_torch(
    x, train, running_mean, running_var, weight=None, bias=None, eps=1e-5
):
    """Each channel with mean 0 and variance 1, times the weight, plus the bias."""
    y = batch_standardized_torch(x, train, running_mean, running_var, eps)[0]
    each = (-1, *[1] * (x.dim() - 2))
    if weight is not None:
        y = y * weight.reshape(each)
    return y if bias is None else y + bias.reshape(each)


def batchnorm_alone(x, train, running_mean, running_var, weight=None, bias=None, eps=1e-5):
    """batchnorm of a value that no example changes: a batch of one."""
    return batchnorm(x[None], train, running_mean, running_var, weight, bias, eps)[0]


def batchnorm_alone_torch(
    x, train, running_mean, running_var, weight=None, bias=None, eps=1e-5
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

    latex = r"\mathrm{{batchnorm}}({x})"
    numpy = batchnorm

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
    latex = r"\mathrm{{batchnorm}}({x})"
    numpy = batchnorm_alone
    samples = [
        Sample(real(3), MODE, real(3), real(3, low=0.5), real(3), real(3)),
        Sample(real(3, 2), MODE, real(3), real(3, low=0.5), real(3), real(3), eps=0.1),
        Sample(real(2, 3, 2), MODE, real(2), real(2, low=0.5), real(2), real(2), momentum=0.3),
        Sample(real(2, 1, 3, 2), MODE, real(2), real(2, low=0.5), affine=False),
    ]
    bad_samples = [
        Sample(real(), MODE, real(1), real(1), affine=False),
        Sample(real(3), MODE, real(2), real(2), affine=False),
        Sample(real(1, 1, 1, 1, 1), MODE, real(1), real(1), affine=False),
        Sample(real(3), MODE, real(3), real(3), affine=False, momentum=1.5),
        Sample(real(3), MODE, real(3), real(3), affine=False, eps=0.0),
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
