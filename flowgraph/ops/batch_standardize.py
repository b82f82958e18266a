"""A batch standardized channel by channel: what batch normalisation is made of, and its derivative.

In training by mean and variance of the batch, and the derivative goes through both; else by running
statistics, which are constants. So the derivative has parts that count in training alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..types import REAL, Dim, TensorType, TupleType, Type, Unifier
from .base import Batching, Op, Sample, Value, apply, fn, items_of, real
from .sample import MODE, TRAIN, buffer
from .shape import product

if TYPE_CHECKING:
    import torch

RESULTS = ("standard", "scale", "center", "spread")
"""What the results of `batch_standardize` are called in emitted code."""


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

    operands = ("x", "train", "running_mean", "running_var")
    ambient = ("train",)
    eps: float = 1e-5
    numpy = batch_standardized
    torch = batch_standardized_torch
    samples = [
        Sample(real(5, 3), TRAIN, buffer(3), buffer(3)),
        Sample(real(3, 2, 4), TRAIN, buffer(2), buffer(2), eps=0.1),
        Sample(real(3, 2, 4), MODE, buffer(2), buffer(2)),
    ]

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
    samples = [Sample(real(2, 3), TRAIN), Sample(real(2, 3), MODE)]

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
    shares = True
    samples = [Sample(real(2, 3), MODE)]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return types[0]

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        return b.apply(self, *values)

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        return None if tangents[0] is None else apply(self, tangents[0], xs[1])

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return [apply(self, cotangent, xs[1]), None]
