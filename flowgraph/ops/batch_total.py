"""What the compiler writes over a batch: the mean, the sum, and an example's share of either."""

from __future__ import annotations

import numpy as np

from ..types import REAL, Dim, TensorType, Type, Unifier
from .base import LinearMap, Sample, Value, fn, real
from .declared import Size


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)


def batch_mean_torch(values):
    """Mean over the batch, 0 for an empty one."""
    return values.sum() / max(values.shape[0], 1)


class BatchMean(LinearMap):
    """The mean over the batch axis, 0 for an empty batch."""

    operands = ("values",)
    latex = r"\frac{{1}}{{N}}\sum_n {{{values}}}_n"
    numpy = batch_mean
    torch = batch_mean_torch
    samples = [Sample(real(4)), Sample(real(1))]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return TensorType(REAL, types[0].shape[1:])

    def simpler(self, *xs: Value) -> Value | None:
        return fn.share(fn.sum(xs[0], axis=0), size=xs[0].shape[0])

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        size = xs[0].shape[0]
        return [fn.expand(fn.share(cotangent, size=size), shape=xs[0].shape)]


class BatchSum(LinearMap):
    """The sum over the batch axis."""

    latex = r"\sum_n {{{x}}}_n"
    numpy = "np.sum(x)"
    torch = "torch.sum(x)"
    samples = [Sample(real(4))]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return TensorType(REAL, types[0].shape[1:])

    def simpler(self, *xs: Value) -> Value | None:
        return fn.sum(xs[0], axis=0)

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [fn.expand(cotangent, shape=xs[0].shape)]


class Share(LinearMap):
    """The value over a number of examples, counted as at least one: an example's share."""

    size: Size
    latex = r"\frac{{{x}}}{{{size}}}"
    numpy = "x / max(size, 1)"
    torch = "x / max(size, 1)"
    samples = [Sample(real(3), size=Dim.of(4)), Sample(real(), size=Dim.of(0))]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return types[0]

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        return [fn.share(cotangent, size=self.size)]
