"""The windows of an array as arrays: what convolutions and pools are computed with.

Assumes the settings of `window`. `kernel` and `sizes` have a number for each axis that windows
slide along, which tells how many axes there are; one number of the other settings stands for all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..types import REAL, Dim, Mismatch, Shape, TensorType, Type, Unifier, describe
from .base import LinearMap, Op, Sample, Value, apply, fn, known_shape, real
from .declared import Ints, Padding, PerAxis
from .declared import Shape as Sizes
from .window import Window, planes, window_of

if TYPE_CHECKING:
    from torch.nn import functional as F


def each(value, count):
    """A setting for each axis, one number standing for all."""
    return (value,) * count if isinstance(value, int) else value


def sides(padding, count):
    """How much is put before and after each axis."""
    return [(p, p) if isinstance(p, int) else p for p in each(padding, count)]


def padded_sizes(sizes, padding):
    """The sizes with the padding, and where what is padded lies within them."""
    around = list(zip(sizes, sides(padding, len(sizes)), strict=True))
    inside = tuple(slice(a, a + n) for n, (a, _) in around)
    return [n + a + b for n, (a, b) in around], inside


def places(index, out, stride=1, dilation=1):
    """Where the entry with this index in its window lies, for all windows."""
    steps, gaps = each(stride, len(out)), each(dilation, len(out))
    along = zip(index, gaps, out, steps, strict=True)
    return tuple(slice(i * d, i * d + (n - 1) * s + 1, s) for i, d, n, s in along)


def examples_last(x, count):
    """Examples [..., C, *sizes] with this number of sizes as [C, *sizes, N], a view."""
    lead = x.shape[: -count - 1]
    return np.moveaxis(x.reshape(math.prod(lead), *x.shape[len(lead) :]), 0, -1)


def examples_first(x, lead):
    """An array [..., N] as [*lead, ...], the examples in front again."""
    return np.moveaxis(x, -1, 0).reshape(*lead, *x.shape[:-1])


def columns(x, kernel, stride=1, padding=0, dilation=1):
    """All windows [C, *kernel, *out, N] of examples [..., C, *sizes], a view."""
    count = len(kernel)
    x = examples_last(x, count)
    sizes, inside = padded_sizes(x.shape[1:-1], padding)
    # With the examples last, what is copied lies in long runs.
    padded = np.zeros((len(x), *sizes, x.shape[-1]), x.dtype)
    padded[:, *inside] = x
    steps, gaps = each(stride, count), each(dilation, count)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, gaps, strict=True)]
    axes = tuple(range(1, count + 1))
    view = np.lib.stride_tricks.sliding_window_view(padded, reach, axes)
    starts = [slice(None, None, s) for s in steps]
    entries = [slice(None, None, d) for d in gaps]
    return np.moveaxis(view[:, *starts, :, *entries], range(-count, 0), axes)


def add_columns(total, cols, stride=1, dilation=1):
    """Add windows [C, *kernel, *out, N] to total [C, *sizes, N] where they lie."""
    count = total.ndim - 2
    kernel, out = cols.shape[1 : count + 1], cols.shape[count + 1 : -1]
    for index in np.ndindex(*kernel):
        total[:, *places(index, out, stride, dilation)] += cols[:, *index]


def blocks(rows, size):
    """Slices of so many rows of an array of this size, one by one: about 4 MB each."""
    step = max(1, 2**20 * rows // max(size, 1))
    return [slice(start, start + step) for start in range(0, rows, step)]


def windows(x, kernel, stride=1, padding=0, dilation=1):
    """All windows [..., C, *kernel, *out] of x [..., C, *sizes], zeros around it."""
    cols = columns(x, kernel, stride, padding, dilation)
    return examples_first(cols, x.shape[: -len(kernel) - 1])


def windows_torch(x, kernel, stride=1, padding=0, dilation=1):
    """All windows [..., C, *kernel, *out] of x [..., C, *sizes], zeros around it."""
    count = len(kernel)
    x = F.pad(x, [n for side in reversed(sides(padding, count)) for n in side])
    gaps = each(dilation, count)
    for k, s, d in zip(kernel, each(stride, count), gaps, strict=True):
        x = x.unfold(-count, (k - 1) * d + 1, s)
    x = x[..., *(slice(None, None, d) for d in gaps)]
    return x.movedim(tuple(range(-count, 0)), tuple(range(-2 * count, -count)))


class Windows(LinearMap):
    """All windows [..., C, *kernel, *out] that slide over the last axes of x [..., C, *sizes]."""

    kernel: Ints
    stride: PerAxis = 1
    padding: Padding = 0
    dilation: PerAxis = 1
    formula = "y_ckp = x_c,(stride p + dilation k - padding)"
    numpy = windows
    torch = windows_torch
    samples = [
        Sample(real(2, 4), kernel=(3,)),
        Sample(real(1, 5), kernel=(2,), stride=2, padding=1, dilation=2),
        Sample(real(2, 4, 3), kernel=(3, 2)),
        Sample(real(1, 4, 5), kernel=(2, 3), stride=(2, 1), padding=((0, 1), 1), dilation=(2, 1)),
        Sample(real(2, 1, 3, 3), kernel=(2, 2)),
    ]
    bad_samples = [Sample(real(2, 2), kernel=(3,)), Sample(real(3, 3), kernel=(2, 2))]

    def window(self) -> Window:
        count = len(self.kernel)
        return window_of(self, count, self.kernel, self.stride, self.padding, self.dilation)

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(**self.window().settings)

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        window = self.window()
        channels, sizes = planes(self, u, x, window.count)
        out = window.counts(self, x, sizes)
        kernel = tuple(Dim.of(k) for k in window.kernel)
        return TensorType(REAL, (*u.shape(x.shape[: -window.count - 1]), channels, *kernel, *out))

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        sizes = xs[0].shape[-len(self.kernel) :]
        return [apply(SumWindows(sizes=sizes, **self.window().settings), cotangent)]


def sum_windows(w, sizes, stride=1, padding=0, dilation=1):
    """Windows [..., C, *kernel, *out] added where they lie in [..., C, *sizes]."""
    cols = examples_last(w, 2 * len(sizes))
    wide, inside = padded_sizes(sizes, padding)
    total = np.zeros((len(cols), *wide, cols.shape[-1]), cols.dtype)
    add_columns(total, cols, stride, dilation)
    return examples_first(total[:, *inside], w.shape[: -2 * len(sizes) - 1])


def sum_windows_torch(w, sizes, stride=1, padding=0, dilation=1):
    """Windows [..., C, *kernel, *out] added where they lie in [..., C, *sizes]."""
    count = len(sizes)
    lead, kernel = w.shape[: -2 * count], w.shape[-2 * count : -count]
    wide, inside = padded_sizes(sizes, padding)
    rows = w.reshape(math.prod(lead), math.prod(kernel), math.prod(w.shape[-count:]))
    gaps, steps = each(dilation, count), each(stride, count)
    if count == 1:  # F.fold makes images: a sequence is one of height 1
        wide, kernel, gaps, steps = (1, *wide), (1, *kernel), (1, *gaps), (1, *steps)
    total = F.fold(rows, tuple(wide), tuple(kernel), dilation=gaps, stride=steps)
    return total.reshape(*lead, *wide[-count:])[..., *inside]


class SumWindows(LinearMap):
    """Windows [..., C, *kernel, *out] added where they lie in [..., C, *sizes]: undoes `windows`."""

    operands = ("w",)
    sizes: Sizes
    stride: PerAxis = 1
    padding: Padding = 0
    dilation: PerAxis = 1
    formula = "x_c,i = Σ w_ckp over k and p with i = stride p + dilation k - padding"
    numpy = sum_windows
    torch = sum_windows_torch
    samples = [
        Sample(real(2, 3, 2), sizes=(Dim.of(4),)),
        Sample(real(1, 2, 3), sizes=(Dim.of(5),), stride=2, padding=1, dilation=2),
        Sample(
            real(1, 2, 3, 2, 5),
            sizes=(Dim.of(4), Dim.of(5)),
            stride=(2, 1),
            padding=((0, 1), 1),
            dilation=(2, 1),
        ),
    ]
    bad_samples = [Sample(real(2, 3, 3), sizes=(Dim.of(4),)), Sample(real(3, 2), sizes=(Dim.of(4),))]

    def window(self, shape: Shape) -> Window:
        """The window, given the operand's shape."""
        count = len(self.sizes)
        kernel = tuple(d.value for d in shape[-2 * count : -count])
        return window_of(self, count, kernel, self.stride, self.padding, self.dilation)

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (w,) = types
        count = len(self.sizes)
        blame = [(0, f"is {describe(w)}")]
        cure = "`sum_windows` needs the windows that slide over such sizes"
        if w.rank < 2 * count + 1:
            raise Mismatch("shapes do not agree", blame=blame, help=cure)
        sizes = tuple(Dim.of(d) for d in self.sizes)
        out = self.window(w.shape).counts(self, w, sizes)
        if out != known_shape(u, w.shape[-count:]):
            raise Mismatch("shapes do not agree", blame=blame, help=cure)
        return TensorType(REAL, (*u.shape(w.shape[: -2 * count]), *sizes))

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        window = self.window(xs[0].shape)
        return [fn.windows(cotangent, kernel=window.kernel, **window.settings)]
