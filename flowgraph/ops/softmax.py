"""softmax and its logarithm: the activations that work along an axis, the last by default.

An axis on which every entry is -inf has no softmax: the result is not a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..types import Dim, Mismatch, TensorType, Type, Unifier, describe
from .base import Op, Sample, Value, axis_of, called, fn, real
from .declared import Axis
from .reduce import entries_needed, need_entries


def softmax(x, axis=-1):
    """Exponentials over their sum; the largest entry is taken off first."""
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def log_softmax(x, axis=-1):
    """Logarithm of softmax, accurate where softmax is all but 0 or all but 1."""
    top = np.argmax(x, axis=axis, keepdims=True)
    shifted = x - np.take_along_axis(x, top, axis=axis)
    # The largest term is 1: log1p of the others keeps what 1 + others would round away.
    others = np.exp(shifted)
    np.put_along_axis(others, top, 0, axis=axis)
    return shifted - np.log1p(np.sum(others, axis=axis, keepdims=True))


class AlongAxis(Op, abstract=True):
    """Of the shape of its operand, each line along the axis by itself."""

    group = "activations"
    axis: Axis = -1
    samples = [Sample(real(3)), Sample(real(2, 3)), Sample(real(2, 3), axis=0)]
    bad_samples = [Sample(real()), Sample(real(3), axis=1)]

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(axis=axis_of(self, self.axis, types[0].rank))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        if x.rank == 0:
            raise Mismatch(
                f"`{self.name}` needs a vector",
                blame=[(0, f"is {describe(x)}")],
                help="for one number, use `sigmoid`; for several, stack them: `[a, b]`",
            )
        need_entries(self, u, x, [axis_of(self, self.axis, x.rank)])
        return x

    def needs(self, types: Sequence[Any]) -> Sequence[tuple[Dim, int, str]]:
        return entries_needed(self, types[0], [axis_of(self, self.axis, types[0].rank)])

    def torch_layer(self, types: Sequence[Any]) -> str:
        return f"nn.{self.torch_class}(dim={self.axis})"

    torch_class = ""

    def exponentials(self, x: Value) -> tuple[Value, Value, Value]:
        """x less its largest entry, the exponentials of that, and their sum, whose axis stays.

        Softmax, its logarithm and the losses over them make these in one way, and so share them.
        """
        shifted = called(x - fn.max(x, axis=self.axis, keepdims=True), "shifted")
        e = fn.exp(shifted)
        return shifted, e, fn.sum(e, axis=self.axis, keepdims=True)


class Softmax(AlongAxis):
    """Positive numbers with sum 1, in proportion to the exponentials."""

    formula = "e^(x_i) / Σ_j e^(x_j)"
    torch = "F.softmax(x, dim=axis)"
    torch_class = "Softmax"
    numpy = softmax
    bounds = (0.0, 1.0)
    example = "p = softmax(z)"

    def simpler(self, *xs: Value) -> Value | None:
        _, e, total = self.exponentials(xs[0])
        return e / total

    def _along(self, x: Value, y: Value) -> Value:
        return y * (x - fn.sum(x * y, axis=self.axis, keepdims=True))

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        return None if tangents[0] is None else self._along(tangents[0], y)

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return [self._along(cotangent, y)]


class LogSoftmax(AlongAxis):
    """The logarithm of softmax."""

    formula = "x_i - ln Σ_j e^(x_j)"
    torch = "F.log_softmax(x, dim=axis)"
    torch_class = "LogSoftmax"
    numpy = log_softmax
    example = "q = log_softmax(z)"

    def simpler(self, *xs: Value) -> Value | None:
        """Below 1e-16 (1e-7 in single precision) only 0 is told apart: the sum rounds to 1 there."""
        shifted, _, total = self.exponentials(xs[0])
        return shifted - fn.log(total)

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        (t,) = tangents
        return None if t is None else t - fn.sum(fn.exp(y) * t, axis=self.axis, keepdims=True)

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        total = fn.sum(cotangent, axis=self.axis, keepdims=True)
        return [cotangent - fn.exp(y) * total]
