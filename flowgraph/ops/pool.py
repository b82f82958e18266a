"""Pools: the largest entry or the mean of each window that slides over the last axes.

Of a sequence [C, L] windows slide along its last axis, of an image [C, H, W] along its last two;
once types are known, `kernel_size` has a number for each axis, and axes before the channels are
more examples. The derivative of `max_pool` at an operand is a pair of linear maps, each the
transpose of the other: the entries where the largest are, and entries put there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..types import REAL, Dim, Mismatch, TensorType, Type, Unifier, describe
from .base import OPS, Interval, LinearMap, Op, Sample, Value, apply, beside, fn, real
from .columns import each, padded_sizes, places
from .conv_maps import of_examples
from .declared import Ints, PerAxis
from .reduce import Mean, need_entries
from .window import PLANES, Window, compact, per_axis, planes, window_of, wrong_rank

if TYPE_CHECKING:
    from torch.nn import functional as F


def surrounded(x, padding, count, value):
    """An array with this value put around it, along so many of its last axes."""
    if padding == 0:
        return x
    sizes, inside = padded_sizes(x.shape[-count:], padding)
    wide = np.full_like(x, value, shape=(*x.shape[:-count], *sizes))
    wide[..., *inside] = x
    return wide


def joined_windows(x, kernel, stride, join):
    """Entries of each window over the last axes joined by a ufunc, axis by axis."""
    for axis, k, s in zip(range(-len(kernel), 0), kernel, stride, strict=True):
        x = np.moveaxis(x, axis, 0)
        count = (len(x) - k) // s + 1
        parts = [x[i : i + (count - 1) * s + 1 : s] for i in range(k)]
        x = join(parts[0], parts[1]) if k > 1 else parts[0]
        for part in parts[2:]:
            join(x, part, out=x)
        x = np.moveaxis(x, 0, axis)
    return x


class Pool(Op, abstract=True):
    """What pools share: how their windows slide."""

    group = "layers"
    kernel_size: PerAxis
    stride: PerAxis | None = None
    padding: PerAxis = 0

    def window(self, x: TensorType) -> Window:
        """How the windows slide over such an operand. Raises Mismatch."""
        count = len(self.kernel_size) if isinstance(self.kernel_size, tuple) else x.rank - 1
        if count not in (1, 2):
            raise wrong_rank(self, x, f"{PLANES[1]}, {PLANES[2]}")
        kernel = per_axis(self, "kernel_size", self.kernel_size, count)
        padding = per_axis(self, "padding", self.padding, count, least=0)
        if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
            raise Mismatch(
                f"`padding` of `{self.name}` is more than half of its kernel",
                help="windows of nothing but padding have no entry: make it smaller",
                code="E0404",
            )
        return window_of(
            self, count, kernel, self.kernel_size if self.stride is None else self.stride, padding
        )

    def canonical(self, types: Sequence[Any]) -> Op:
        window = self.window(types[0])
        stride = None if window.stride == window.kernel else compact(window.stride)
        return self.with_attrs(kernel_size=window.kernel, stride=stride, padding=window.settings["padding"])

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        window = self.window(x)
        _, sizes = planes(self, u, x, window.count)
        return TensorType(REAL, (*u.shape(x.shape[: -window.count]), *window.counts(self, x, sizes)))

    def needs(self, types: Sequence[Any]) -> Sequence[tuple[Dim, int, str]]:
        window = self.window(types[0])
        return window.needs(self, types[0].shape[-window.count :])

    def settings(self) -> str:
        """The settings as PyTorch's calls end with."""
        stride = "" if self.stride is None else f", stride={self.stride}"
        padding = f", padding={self.padding}" if self.padding else ""
        return f"{compact(self.kernel_size)}{stride}{padding}"

    def torch_function(self, x: TensorType, name: str) -> str:
        """The call of a function of PyTorch's, its name without the number of axes."""
        count = len(self.kernel_size)
        return of_examples(f"F.{name}{count}d({{}}, {self.settings()})", "x", x.rank - count - 2)


def max_pool(x, kernel_size, stride=None, padding=0):
    """Largest entry of each window over the last axes."""
    x = surrounded(x, padding, len(kernel_size), -np.inf)
    steps = each(stride or kernel_size, len(kernel_size))
    return joined_windows(x, kernel_size, steps, np.maximum)


class MaxPool(Pool):
    """The largest entry of each window of a sequence [C, L] or an image [C, H, W].

    Windows lie side by side unless `stride` says otherwise; a tie's derivative goes to the first.
    """

    formula = "y_c,p = max over k of x_c,(stride p + k - padding)"
    numpy = max_pool
    shares = True
    samples = [
        Sample(real(2, 5, distinct=True), kernel_size=2),
        Sample(real(1, 6, distinct=True), kernel_size=3, stride=2, padding=1),
        Sample(real(2, 4, 5, distinct=True), kernel_size=2),
        Sample(real(1, 4, 5, distinct=True), kernel_size=3, stride=2, padding=1),
        Sample(real(2, 4, 4, distinct=True), kernel_size=(2, 3), stride=(1, 2), padding=(0, 1)),
        Sample(real(1, 3, 3, distinct=True), kernel_size=1),
    ]
    bad_samples = [
        Sample(real(4), kernel_size=2),
        Sample(real(2, 2, 4, 4), kernel_size=2),
        Sample(real(1, 1, 4), kernel_size=2),
        Sample(real(1, 4, 4), kernel_size=2, padding=2),
        Sample(real(1, 4, 4), kernel_size=2, stride=0),
        Sample(real(1, 4, 4), kernel_size=0),
        Sample(real(1, 4), kernel_size=(2, 2)),
        Sample(real(0, 4, 4), kernel_size=2),
    ]
    example = "h = max_pool(x, 2)"

    def interval(self, given: Sequence[Interval], types: Sequence[Any]) -> Interval:
        return given[0]

    def form(self, target: str, types: Sequence[Any]) -> Any:
        return max_pool if target == "numpy" else self.torch_function(types[0], "max_pool")

    def torch_layer(self, types: Sequence[Any]) -> str:
        return f"nn.MaxPool{len(self.kernel_size)}d(kernel_size={self.settings()})"

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        return None if tangents[0] is None else fn.max_pool_pick(tangents[0], xs[0], y, **self._windows())

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return [fn.max_pool_put(cotangent, xs[0], y, **self._windows())]

    def _windows(self) -> dict[str, Any]:
        return {"kernel": self.kernel_size, "stride": self.stride, "padding": self.padding}


def maxima(x, y, kernel, stride, padding):
    """For each entry of a window: where it lies, and which windows have y there."""
    count = len(kernel)
    x = surrounded(x, padding, count, -np.inf)
    is_free = np.ones_like(y, bool)
    for index in np.ndindex(*kernel):
        at = (..., *places(index, y.shape[-count:], stride or kernel))
        is_here = is_free & (x[at] == y)
        is_free ^= is_here
        yield at, is_here


def max_pool_pick(t, x, y, kernel, stride=None, padding=0):
    """Entries of t at the places where the windows of x have their maxima y."""
    t = surrounded(t, padding, len(kernel), 0)
    picked = np.zeros_like(y)
    for at, is_here in maxima(x, y, kernel, stride, padding):
        picked += t[at] * is_here
    return picked


def max_pool_put(d, x, y, kernel, stride=None, padding=0):
    """Entries of d added at the places where the windows of x have their maxima y."""
    count = len(kernel)
    sizes, inside = padded_sizes(x.shape[-count:], padding)
    total = np.zeros_like(x, shape=(*x.shape[:-count], *sizes))
    for at, is_here in maxima(x, y, kernel, stride, padding):
        total[at] += d * is_here
    return total[..., *inside]


def max_places(x, kernel, stride, padding):
    """Place of the maximum of each window, counted along a row of all entries."""
    count = len(kernel)
    rows = x.reshape(math.prod(x.shape[:-count]), 1, *x.shape[-count:])
    pool = F.max_pool1d if count == 1 else F.max_pool2d
    return pool(rows, kernel, stride, padding, return_indices=True)[1].flatten(1)


def max_pool_pick_torch(t, x, y, kernel, stride=None, padding=0):
    """Entries of t at the places where the windows of x have their maxima y."""
    at = max_places(x, kernel, stride, padding)
    rows = t.reshape(len(at), math.prod(t.shape[-len(kernel) :]))
    return rows.gather(1, at).reshape(y.shape)


def max_pool_put_torch(d, x, kernel, stride=None, padding=0):
    """Entries of d added at the places where the windows of x have their maxima."""
    at = max_places(x, kernel, stride, padding)
    rows = d.new_zeros(len(at), math.prod(x.shape[-len(kernel) :]))
    return rows.scatter_add(1, at, d.reshape(at.shape)).reshape(x.shape)


class MaxPoolPart(Op, abstract=True):
    """Linear in its first operand alone: the others are x and y = max_pool(x), to find the places."""

    kernel: Ints
    stride: PerAxis | None = None
    padding: PerAxis = 0

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        first, x, y = types
        pooled = MaxPool(kernel_size=self.kernel, stride=self.stride, padding=self.padding).rule(u, x)
        assert isinstance(pooled, TensorType)
        given, made = (x, y) if isinstance(self, MaxPoolPick) else (y, x)
        if pooled.shape != u.shape(y.shape) or u.shape(first.shape) != u.shape(given.shape):
            raise Mismatch(
                "shapes do not agree",
                blame=[(slot, f"is {describe(t)}") for slot, t in enumerate(types)],
                help=f"`{self.name}` needs an operand of a pool and its result",
            )
        return TensorType(REAL, u.shape(made.shape))

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        return None if tangents[0] is None else apply(self, tangents[0], *xs[1:])


class MaxPoolPick(MaxPoolPart):
    """The entries of t at the places where the windows of x have their maxima y."""

    operands = ("t", "x", "y")
    formula = "t at the places of max_pool(x)"
    numpy = max_pool_pick
    torch = max_pool_pick_torch

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return [fn.max_pool_put(cotangent, *xs[1:], **self.values), None, None]


class MaxPoolPut(MaxPoolPart):
    """The entries of d added at the places where the windows of x have their maxima y."""

    operands = ("d", "x", "y")
    formula = "x_i = Σ d over the windows with their maximum at i"
    numpy = max_pool_put
    torch = max_pool_put_torch

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return [fn.max_pool_pick(cotangent, *xs[1:], **self.values), None, None]


def avg_pool(x, kernel_size, stride=None, padding=0, count_include_pad=True):
    """Mean of each window over the last axes, the zeros around them counted or not."""
    count = len(kernel_size)
    steps = each(stride or kernel_size, count)
    wide = surrounded(x, padding, count, 0)
    total = joined_windows(wide, kernel_size, steps, np.add)
    if count_include_pad or padding == 0:
        return total / math.prod(kernel_size)
    ones = surrounded(np.ones(x.shape[-count:], x.dtype), padding, count, 0)
    return total / joined_windows(ones, kernel_size, steps, np.add)


class AvgPool(Pool, LinearMap):
    """The mean of each window of a sequence [C, L] or an image [C, H, W].

    Windows lie side by side unless `stride` says otherwise. Zeros of the padding count as
    entries unless `count_include_pad=false`.
    """

    count_include_pad: bool = True
    formula = "y_c,p = (1/n) Σ_k x_c,(stride p + k - padding)"
    numpy = avg_pool
    samples = [
        Sample(real(2, 5), kernel_size=2),
        Sample(real(1, 6), kernel_size=3, stride=2, padding=1),
        Sample(real(2, 4, 5), kernel_size=2),
        Sample(real(1, 4, 5), kernel_size=3, stride=2, padding=1, count_include_pad=False),
        Sample(real(2, 4, 4), kernel_size=(2, 3), stride=(1, 2), padding=(0, 1)),
        Sample(real(1, 3, 3), kernel_size=1),
    ]
    bad_samples = MaxPool.bad_samples
    example = "h = avg_pool(x, 2)"

    def interval(self, given: Sequence[Interval], types: Sequence[Any]) -> Interval:
        (low, high), with_zeros = given[0], self.padding != 0 and self.count_include_pad
        return (min(low, 0.0), max(high, 0.0)) if with_zeros else (low, high)

    def form(self, target: str, types: Sequence[Any]) -> Any:
        return avg_pool if target == "numpy" else self.torch_function(types[0], "avg_pool")

    def settings(self) -> str:
        return super().settings() + ("" if self.count_include_pad else ", count_include_pad=False")

    def torch_layer(self, types: Sequence[Any]) -> str:
        return f"nn.AvgPool{len(self.kernel_size)}d(kernel_size={self.settings()})"

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        """Each entry's share goes to all entries of its window."""
        window = self.window(xs[0].type)
        count, sizes = window.count, xs[0].shape[-window.count :]
        share = cotangent / math.prod(window.kernel)
        if not self.count_include_pad and self.padding:
            # What part of each window is no padding.
            ones = beside(cotangent, OPS["ones"](shape=(Dim.of(1), *sizes)))
            share = share / apply(self.with_attrs(count_include_pad=True), ones)
        alone = fn.unsqueeze(share, axis=tuple(range(-2 * count, -count)))
        kernel = tuple(Dim.of(k) for k in window.kernel)
        spread = fn.expand(alone, shape=(*share.shape[:-count], *kernel, *share.shape[-count:]))
        return [fn.sum_windows(spread, sizes=sizes, **window.settings)]


class GlobalAvgPool(LinearMap):
    """The mean over all axes but the first: of each channel of [C, L] or [C, H, W].

    Once types are known it is a mean.
    """

    group = "layers"
    formula = "y_c = (1/n) Σ_p x_c,p"
    samples = [Sample(real(2, 3)), Sample(real(2, 3, 4)), Sample(real(3, 1, 1))]
    bad_samples = [Sample(real(3)), Sample(real()), Sample(real(3, 0))]
    example = "h = global_avg_pool(x)"

    def canonical(self, types: Sequence[Any]) -> Op:
        return self._mean(types[0]).canonical(types)

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        mean = self._mean(x)
        need_entries(self, u, x, mean.axis)
        return mean.rule(u, x)

    def _mean(self, x: TensorType) -> Mean:
        if x.rank < 2:
            raise Mismatch(
                f"`{self.name}`: {PLANES[1]}, {PLANES[2]}",
                blame=[(0, f"is {describe(x)}")],
                help="`mean(x)` is the mean of all entries",
            )
        return Mean(axis=tuple(range(1 - x.rank, 0)))
