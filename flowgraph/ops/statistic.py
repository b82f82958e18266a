"""Reductions with a formula of their own: logsumexp, var, std, norm; and cumsum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..types import INT, Dim, Elem, Mismatch, TensorType, Type, Unifier, promote
from .base import Arg, LinearMap, Op, Sample, Value, axis_of, fn, real
from .declared import Axes, Axis
from .reduce import Mean, Reduction, axis_count, entries_needed, need_entries


def logsumexp(x, axis, keepdims=False):
    """Logarithm of the sum of exponentials, the largest entry taken off first."""
    top = np.max(x, axis=axis, keepdims=True)
    is_top = x == top
    with np.errstate(invalid="ignore"):  # inf - inf, where the largest is infinite
        others = np.where(is_top, 0, np.exp(x - top))
    # log1p of the others keeps what adding them to 1 would round away.
    ties = np.sum(is_top, axis=axis, keepdims=True, dtype=x.dtype)
    rest = np.sum(others, axis=axis, keepdims=True) / ties
    total = top + np.log(ties) + np.log1p(rest)
    return total if keepdims else np.squeeze(total, axis=axis)


class Logsumexp(Reduction):
    """The logarithm of the sum of the exponentials, by default along the last axis.

    Entries of -inf do not count; where all are -inf, the result is -inf.
    """

    axis: Axes = -1
    formula = "ln Σ e^x"
    latex = r"\ln(\sum e^{{{x}}})"
    numpy = logsumexp
    torch = "torch.logsumexp"
    samples = [s for s in Reduction.samples if s.args[0].shape]
    bad_samples = [*Reduction.bad_samples, Sample(real()), Sample(real(0))]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        need_entries(self, u, types[0], self.axes(types[0].rank))
        return super().rule(u, *types)

    def needs(self, types: Sequence[Any]) -> Sequence[tuple[Dim, int, str]]:
        return entries_needed(self, types[0], self.axes(types[0].rank))

    def arguments(self, target: str, everything: bool) -> str:
        return super().arguments(target, everything=False)

    def simpler(self, *xs: Value) -> Value | None:
        (x,) = xs
        axes = self.axes(x.type.rank)
        top = fn.max(x, axis=axes, keepdims=True)
        # What an infinite entry leaves: 0 of -inf alone, for which the sum counts as 1, else infinity.
        finite = fn.where(fn.abs(top) < math.inf, top, 0.0)
        total = fn.maximum(fn.sum(fn.exp(x - finite), axis=axes, keepdims=True), 1.0)
        found = top + fn.log(total)
        return found if self.keepdims else fn.squeeze(found, axis=axes)

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        (t,), (x,) = tangents, xs
        return None if t is None else self.again(t * fn.exp(x - self.back(y, x)), x)

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        (x,) = xs
        return [self.back(cotangent, x) * fn.exp(x - self.back(y, x))]


class Spread(Reduction, abstract=True):
    """How far entries are from their mean; divides by n - correction."""

    correction: int = 0
    samples = [
        *(s for s in Reduction.samples if s.args[0].shape),
        Sample(real(2, 3), axis=1, correction=1),
    ]
    bad_samples = [*Mean.bad_samples, Sample(real(1), correction=1)]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        axes = self.axes(x.rank)
        need_entries(self, u, x, axes)
        sizes = [u.resolve(x.shape[a]).value for a in axes]
        count = int(np.prod([s for s in sizes if s is not None], dtype=object))
        if None not in sizes and count <= self.correction:
            raise Mismatch(
                f"`{self.name}` of {count} {'entry' if count == 1 else 'entries'} divides by "
                f"{count - self.correction}",
                blame=[(0, f"has {count} entries to go over")],
                help=f"it needs more than {self.correction} entries, or a smaller `correction`",
            )
        return super().rule(u, *types)

    def needs(self, types: Sequence[Any]) -> Sequence[tuple[Dim, int, str]]:
        count = axis_count(types[0].shape, self.axes(types[0].rank))
        return [(count, self.correction + 1, f"for `{self.name}` to divide by something")]

    def arguments(self, target: str, everything: bool) -> str:
        where = super().arguments(target, everything and target == "numpy")
        if target == "torch":
            return f"{where}, correction={self.correction}"
        return f"{where}, ddof=correction" if self.correction else where

    def spread(self, x: Value) -> Value:
        """The variance by operations that pass over their arrays once: see `Op.simpler`."""
        axes = self.axes(x.type.rank)
        if not axes:
            return x - x
        count = axis_count(x.shape, axes) - self.correction
        return fn.share(self.again(fn.square(x - fn.mean(x, axis=axes, keepdims=True)), x), size=count)

    def slope(self, x: Value) -> Value:
        """The derivative of the variance by each entry."""
        axes = self.axes(x.type.rank)
        count = axis_count(x.shape, axes) - self.correction
        return 2 * fn.share(x - fn.mean(x, axis=axes, keepdims=True), size=count)


class Var(Spread):
    """The variance, the mean squared distance from the mean; divides by n - correction."""

    formula = "Σ (x - mean x)^2 / (n - correction)"
    numpy = "np.var"
    torch = "torch.var"
    of_number = "x - x"

    def simpler(self, *xs: Value) -> Value | None:
        return self.spread(xs[0])

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        (t,), (x,) = tangents, xs
        return None if t is None else self.again(t * self.slope(x), x)

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        (x,) = xs
        return [self.back(cotangent, x) * self.slope(x)]


def nonzero(y: Value) -> Value:
    """The value with 1 in place of 0, to divide by where the quotient counts as 0."""
    return fn.where(fn.equal(y, 0), 1.0, y)


class Std(Spread):
    """The standard deviation, the root of var; its derivative at 0 counts as 0."""

    formula = "√(Σ (x - mean x)^2 / (n - correction))"
    numpy = "np.std"
    torch = "torch.std"
    of_number = "x - x"

    def simpler(self, *xs: Value) -> Value | None:
        return fn.sqrt(self.spread(xs[0]))

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        (t,), (x,) = tangents, xs
        return None if t is None else self.again(t * self.slope(x), x) / (2 * nonzero(y))

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        (x,) = xs
        return [self.back(cotangent / (2 * nonzero(y)), x) * self.slope(x)]


class Norm(Reduction):
    """The Euclidean length, the root of the sum of squares; its derivative at 0 counts as 0."""

    formula = "√(Σ x^2)"
    latex = r"\Vert {x} \Vert"
    numpy = "np.linalg.norm"
    torch = "torch.linalg.vector_norm"
    of_number = "abs(x)"

    def form(self, target: str, types: Sequence[Any]) -> Any:
        axes = self.axes(types[0].rank)
        if target == "numpy" and len(axes) > 1:
            return f"np.sqrt(np.sum(x**2{self.arguments(target, len(axes) == types[0].rank)[1:]}))"
        return super().form(target, types)

    def simpler(self, *xs: Value) -> Value | None:
        (x,) = xs
        return fn.sqrt(self.again(fn.square(x), x)) if self.axes(x.type.rank) else fn.abs(x)

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        (t,), (x,) = tangents, xs
        return None if t is None else self.again(t * x, x) / nonzero(y)

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        (x,) = xs
        return [self.back(cotangent / nonzero(y), x) * x]


class Cumsum(LinearMap):
    """The running sum along an axis: of each entry and all before it."""

    group = "reductions"
    axis: Axis = -1
    formula = "y_i = x_0 + ... + x_i"
    numpy = "np.cumsum(x, axis=axis)"
    into = "np.cumsum(x, axis=axis, out=out)"
    torch = "torch.cumsum(x, dim=axis)"
    samples = [
        Sample(real(4)),
        Sample(real(2, 3), axis=0),
        Sample(real(2, 3), axis=-1),
        Sample(Arg((4,), kind="int")),
    ]
    bad_samples = [Sample(real()), Sample(real(3), axis=1)]
    example = "s = cumsum(x)"

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [INT if types[0].elem.kind == "bool" else None]

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(axis=axis_of(self, self.axis, types[0].rank))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        axis_of(self, self.axis, x.rank)
        return TensorType(promote([x.elem]), x.shape)

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        backwards = fn.flip(cotangent, axis=self.axis)
        return [fn.flip(fn.cumsum(backwards, axis=self.axis), axis=self.axis)]
