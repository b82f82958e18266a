"""The three bilinear maps of a convolution, each the transpose of the others.

Σ_p y_p Σ_k w_k x_(p + k) is linear in input x, kernel w and result y. It gives `conv` to the
result (a cross-correlation, which every library of networks calls a convolution), `conv_input`
to the input (a transposed convolution) and `conv_weight` to the kernel, so derivatives of any
order of the layers in `conv` and `conv_transpose` stay among them. In numpy each is a matrix
product over the windows of all examples, some rows of the result at a time. Axes before the
channels are more examples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..types import REAL, Dim, Mismatch, TensorType, Type, Unifier, describe
from .base import Batching, BilinearMap, Composite, Op, Sample, Value, fn, known_shape, real
from .columns import add_columns, blocks, columns, each, examples_first, examples_last, padded_sizes, sides
from .declared import Ints, Padding, PerAxis
from .declared import Shape as Sizes
from .shape import product
from .window import Window, compact, group_of, planes, window_of

if TYPE_CHECKING:
    import torch
    from torch.nn import functional as F


class ConvMap(BilinearMap, Composite, abstract=True):
    """One of the three, with the settings of the convolution."""

    stride: PerAxis = 1
    padding: Padding = 0
    dilation: PerAxis = 1
    groups: int = 1

    def simpler(self, *xs: Value) -> Value | None:
        """None: the numpy form goes block by block, where the expansion would lay out all windows."""
        return None


def conv(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution of x [..., C, *sizes] with weight [out, C / groups, *kernel]."""
    kernel = weight.shape[2:]
    view = columns(x, kernel, stride, padding, dilation)
    out, rest = view.shape[len(kernel) + 1 :], [slice(None)] * len(kernel)
    flat = weight.reshape(groups, len(weight) // groups, math.prod(weight.shape[1:]))
    y = np.empty((*flat.shape[:2], *out), x.dtype)
    for rows in blocks(out[0], view.size):
        part = y[..., rows, *rest]
        width = math.prod(part.shape[2:])
        cols = view[..., rows, *rest].reshape(groups, flat.shape[2], width)
        part[...] = (flat @ cols).reshape(part.shape)
    y = y.reshape(len(weight), *out)
    if bias is not None:
        y += bias.reshape(-1, *(1 for _ in out))
    return examples_first(y, x.shape[: -len(out)])


class Conv(ConvMap):
    """The convolution of x with a kernel [out, C / groups, *kernel], without a bias."""

    operands = ("x", "weight")
    formula = "y_o,p = Σ_c,k weight_o,c,k x_c,(stride p + dilation k - padding)"
    numpy = conv
    samples = [
        Sample(real(2, 5), real(3, 2, 3)),
        Sample(real(2, 4, 5), real(3, 2, 2, 3)),
        Sample(real(4, 5, 4), real(2, 2, 2, 1), stride=(2, 1), padding=(1, 0), dilation=(3, 1), groups=2),
        Sample(real(2, 3, 4), real(4, 1, 2, 3), padding=((0, 1), 1), groups=2),
        Sample(real(2, 2, 3, 4), real(1, 2, 2, 2), stride=2),
    ]
    bad_samples = [
        Sample(real(2, 2), real(3, 2, 3)),
        Sample(real(5), real(3, 2, 3)),
        Sample(real(3, 5), real(3, 2, 3)),
        Sample(real(2, 5), real(3, 1, 3), groups=2),
    ]

    def window(self, weight: Sequence[Any]) -> Window:
        """How the kernel slides, given the weight's shape."""
        return window_of(self, len(weight) - 2, sizes_of(weight), self.stride, self.padding, self.dilation)

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        x, weight = types
        shape = known_shape(u, weight.shape)
        window = self.window(shape)
        channels, sizes = planes(self, u, x, window.count)
        group_of(self, self.groups, shape[0], "channels that come out of", slot=1)
        if channels != shape[1] * self.groups:
            raise unlike(self, x, weight)
        out = window.counts(self, x, sizes)
        return TensorType(REAL, (*u.shape(x.shape[: -window.count - 1]), shape[0], *out))

    def form(self, target: str, types: Sequence[Any]) -> Any:
        if target == "numpy":
            return conv
        return torch_conv(self.window(types[1].shape), self.groups, types)

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        return b.inline(self, values, types) if b.has(values[1]) else b.apply(self, *values)

    def expand(self, *xs: Value) -> Value:
        """The kernel as a matrix times the windows of each group."""
        x, weight = xs
        window = self.window(weight.shape)
        found = fn.windows(x, kernel=window.kernel, **window.settings)
        lead, out = x.shape[: -window.count - 1], found.shape[-window.count :]
        rows = rows_of(weight, self.groups)
        cols = fn.reshape(found, shape=(*lead, self.groups, rows.shape[-1], product(out)))
        return fn.reshape(rows @ cols, shape=(*lead, weight.shape[0], *out))

    def transposes(self, cotangent: Value, a: Value, b: Value) -> list[Value | None]:
        window = self.window(b.shape)
        sizes = a.shape[-window.count :]
        return [
            fn.conv_input(cotangent, b, sizes=sizes, groups=self.groups, **window.settings),
            fn.conv_weight(a, cotangent, kernel=window.kernel, groups=self.groups, **window.settings),
        ]


def sizes_of(weight: Sequence[Any]) -> tuple[int, ...]:
    """The kernel's sizes, of the shape [out, C / groups, *kernel]."""
    return tuple(size.value for size in weight[2:])


def rows_of(weight: Value, groups: int) -> Value:
    """A kernel as a matrix for each group: [groups, out / groups, C / groups * kernel]."""
    out = weight.shape[0]
    assert isinstance(out, Dim)
    return fn.reshape(weight, shape=(groups, out.divide(groups), product(weight.shape[1:])))


def unlike(op: Op, *types: TensorType) -> Mismatch:
    """What to say of operands that belong to no one convolution."""
    return Mismatch(
        "shapes do not agree",
        blame=[(slot, f"is {describe(t)}") for slot, t in enumerate(types)],
        help=f"`{op.name}` needs operands of one convolution",
    )


def torch_conv(window: Window, groups: int, types: Sequence[Any]) -> str:
    """A convolution of operands x, weight and perhaps bias by a function of PyTorch's."""
    bias = ", bias" if len(types) == 3 else ""
    more = types[0].rank - window.count - 2
    if window.is_even:
        call = f"F.conv{window.count}d({{}}, weight{bias}{torch_settings(window, groups)})"
        return of_examples(call, "x", more)
    # PyTorch's functions put as much before as after.
    bare = Window(window.kernel, window.stride, ((0, 0),) * window.count, window.dilation)
    padded = f"F.pad({{}}, {window.around})"
    return of_examples(
        f"F.conv{window.count}d({padded}, weight{bias}{torch_settings(bare, groups)})", "x", more
    )


def of_examples(call: str, name: str, more: int) -> str:
    """A call of a function of PyTorch's, which takes one axis of examples, on `more` axes beyond it."""
    if more <= 0:
        return call.format(name)
    return f"{call.format(f'{name}.flatten(0, {more})')}.unflatten(0, {name}.shape[:{more + 1}])"


def torch_settings(window: Window, groups: int) -> str:
    """The settings of a window padded evenly that PyTorch must be told, as they end a call: `, stride=2`."""
    settings = window.settings | {"groups": groups}
    defaults = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    return "".join(f", {key}={value}" for key, value in settings.items() if value != defaults[key])


def conv_input(y, weight, sizes, stride=1, padding=0, dilation=1, groups=1):
    """Transpose of conv: for y [..., out, *out_sizes] its input [..., C, *sizes]."""
    y_last = examples_last(y, len(sizes))
    shape = (weight.shape[1] * groups, *weight.shape[2:])
    flat = weight.reshape(groups, len(weight) // groups, math.prod(weight.shape[1:]))
    wide, inside = padded_sizes(sizes, padding)
    total = np.zeros((shape[0], *wide, y_last.shape[-1]), y.dtype)
    step = each(stride, len(sizes))[0]
    for rows in blocks(y_last.shape[1], math.prod(shape) * y_last[0].size):
        part = y_last[:, rows]
        part_flat = part.reshape(groups, flat.shape[1], math.prod(part.shape[1:]))
        cols = (flat.swapaxes(1, 2) @ part_flat).reshape(*shape, *part.shape[1:])
        add_columns(total[:, rows.start * step :], cols, stride, dilation)
    return examples_first(total[:, *inside], y.shape[: -len(sizes) - 1])


class ConvInput(ConvMap):
    """The transpose of a convolution in its input, which has these sizes."""

    operands = ("y", "weight")
    sizes: Sizes
    formula = "x_c,i = Σ weight_o,c,k y_o,p over o, p and k with i = stride p + dilation k - padding"
    numpy = conv_input
    samples = [
        Sample(real(3, 3), real(3, 2, 3), sizes=(Dim.of(5),)),
        Sample(real(4, 3), real(4, 1, 2), sizes=(Dim.of(7),), stride=2, groups=2),
        Sample(real(3, 2, 3), real(3, 2, 3, 3), sizes=(Dim.of(4), Dim.of(5))),
        Sample(real(2, 3, 3), real(2, 1, 3, 3), sizes=(Dim.of(5), Dim.of(6)), stride=2, padding=1),
        Sample(real(4, 3, 4), real(4, 1, 2, 3), sizes=(Dim.of(3), Dim.of(4)), padding=((0, 1), 1), groups=2),
        Sample(real(2, 3, 2, 3), real(3, 2, 3, 3), sizes=(Dim.of(4), Dim.of(5))),
    ]
    bad_samples = [
        Sample(real(3, 3), real(3, 2, 3), sizes=(Dim.of(6),)),
        Sample(real(3), real(3, 2, 3), sizes=(Dim.of(5),)),
        Sample(real(4, 3), real(3, 2, 3), sizes=(Dim.of(5),)),
        Sample(real(3, 3), real(3, 2, 3), sizes=(Dim.of(5),), groups=2),
    ]

    def window(self, weight: Sequence[Any]) -> Window:
        """How the kernel slides, given the weight's shape."""
        return window_of(self, len(self.sizes), sizes_of(weight), self.stride, self.padding, self.dilation)

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        y, weight = types
        window = self.window(known_shape(u, weight.shape))
        channels, out = planes(self, u, y, window.count)
        group_of(self, self.groups, channels, "channels that go into")
        sizes = tuple(Dim.of(d) for d in self.sizes)
        if channels != weight.shape[0] or window.counts(self, y, sizes) != out:
            raise unlike(self, y, weight)
        group = weight.shape[1]
        assert isinstance(group, Dim)
        return TensorType(REAL, (*u.shape(y.shape[: -window.count - 1]), group * self.groups, *sizes))

    def form(self, target: str, types: Sequence[Any]) -> Any:
        if target == "numpy":
            return conv_input
        y, weight = types
        window = self.window(weight.shape)
        before = Window(
            window.kernel, window.stride, tuple((a, a) for a, _ in window.padding), window.dilation
        )
        least = transposed_sizes(before, y.shape[-window.count :], (0,) * window.count)
        more = [(Dim.of(s) - n).value or 0 for s, n in zip(self.sizes, least, strict=True)]
        extra = compact(tuple(max(m, 0) for m in more))
        ending = f", output_padding={extra}" if extra else ""
        cut = f"[..., {', '.join(f':{m}' if m < 0 else ':' for m in more)}]" if min(more) < 0 else ""
        call = f"F.conv_transpose{window.count}d({{}}, weight{torch_settings(before, self.groups)}{ending})"
        return of_examples(call, "y", y.rank - window.count - 2) + cut

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        return b.inline(self, values, types) if b.has(values[1]) else b.apply(self, *values)

    def expand(self, *xs: Value) -> Value:
        """The kernel's transpose times each entry gives windows, which are added up."""
        y, weight = xs
        window = self.window(weight.shape)
        lead, out = y.shape[: -window.count - 1], y.shape[-window.count :]
        rows = rows_of(weight, self.groups)
        entries = fn.reshape(y, shape=(*lead, self.groups, rows.shape[1], product(out)))
        cols = fn.transpose_last(rows) @ entries
        group = weight.shape[1]
        assert isinstance(group, Dim)
        shape = (*lead, group * self.groups, *weight.shape[2:], *out)
        return fn.sum_windows(fn.reshape(cols, shape=shape), sizes=self.sizes, **window.settings)

    def transposes(self, cotangent: Value, a: Value, b: Value) -> list[Value | None]:
        window = self.window(b.shape)
        return [
            fn.conv(cotangent, b, groups=self.groups, **window.settings),
            fn.conv_weight(cotangent, a, kernel=window.kernel, groups=self.groups, **window.settings),
        ]


def transposed_sizes(window: Window, sizes: Sequence[Any], more: Sequence[int]) -> tuple[Dim, ...]:
    """The sizes of the input of a convolution that gives these sizes, and so many entries more."""
    return tuple(
        (Dim.of(n) - 1) * s - sum(p) + reach + m
        for n, s, p, reach, m in zip(sizes, window.stride, window.padding, window.reach, more, strict=True)
    )


def conv_weight(x, y, kernel, stride=1, padding=0, dilation=1, groups=1):
    """Transpose of conv: from y [..., out, *out_sizes] to weight, over all examples."""
    view = columns(x, kernel, stride, padding, dilation)
    y = examples_last(y, len(kernel))
    rest = [slice(None)] * len(kernel)
    group = len(view) // groups
    cells = group * math.prod(kernel)
    total = np.zeros((groups, len(y) // groups, cells), x.dtype)
    for rows in blocks(y.shape[1], view.size):
        part = y[:, rows]
        width = math.prod(part.shape[1:])
        cols = view[..., rows, *rest].reshape(groups, cells, width)
        total += part.reshape(*total.shape[:2], width) @ cols.swapaxes(1, 2)
    return total.reshape(len(y), group, *kernel)


def conv_weight_torch(x, y, kernel, stride=1, padding=0, dilation=1, groups=1):
    """Transpose of conv: from y [..., out, *out_sizes] to weight, over all examples."""
    count = len(kernel)
    x = F.pad(x, [n for side in reversed(sides(padding, count)) for n in side])
    x = x.reshape(math.prod(x.shape[: -count - 1]), *x.shape[-count - 1 :])
    y = y.reshape(len(x), *y.shape[-count - 1 :])
    grad = torch.nn.grad.conv1d_weight if count == 1 else torch.nn.grad.conv2d_weight  # type: ignore[attr-defined]
    shape = (y.shape[1], x.shape[1] // groups, *kernel)
    return grad(x, shape, y, stride=stride, dilation=dilation, groups=groups)


class ConvWeight(ConvMap):
    """The transpose of a convolution in its kernel; axes before the channels are summed over."""

    operands = ("x", "y")
    kernel: Ints
    formula = "weight_o,c,k = Σ_p y_o,p x_c,(stride p + dilation k - padding)"
    numpy = conv_weight
    torch = conv_weight_torch
    samples = [
        Sample(real(2, 5), real(3, 3), kernel=(3,)),
        Sample(real(2, 6), real(4, 3), kernel=(2,), stride=2, groups=2),
        Sample(real(2, 4, 5), real(3, 2, 3), kernel=(3, 3)),
        Sample(real(1, 5, 6), real(2, 3, 3), kernel=(3, 3), stride=2, padding=1),
        Sample(real(2, 3, 4), real(4, 3, 4), kernel=(2, 3), padding=((0, 1), 1), groups=2),
        Sample(real(2, 1, 4, 4), real(2, 2, 3, 3), kernel=(2, 2)),
    ]
    bad_samples = [
        Sample(real(2, 5), real(3, 4), kernel=(3,)),
        Sample(real(2, 5), real(3), kernel=(3,)),
        Sample(real(2, 2, 5), real(3, 3), kernel=(3,)),
        Sample(real(2, 5), real(3, 3), kernel=(3,), groups=2),
    ]

    def window(self) -> Window:
        """How the kernel slides."""
        count = len(self.kernel)
        return window_of(self, count, self.kernel, self.stride, self.padding, self.dilation)

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        x, y = types
        window = self.window()
        channels, sizes = planes(self, u, x, window.count)
        made, out = planes(self, u, y, window.count, 1)
        alike = u.shape(x.shape[: -window.count - 1]) == u.shape(y.shape[: -window.count - 1])
        if not alike or window.counts(self, x, sizes) != out:
            raise unlike(self, x, y)
        group = group_of(self, self.groups, channels, "channels that go into")
        group_of(self, self.groups, made, "channels that come out of", slot=1)
        return TensorType(REAL, (made, group, *(Dim.of(k) for k in window.kernel)))

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        return b.inline(self, values, types)  # by itself it would sum over the batch

    def expand(self, *xs: Value) -> Value:
        """The result's entries times the windows of each group."""
        x, y = xs
        window = self.window()
        lead, out = x.shape[: -window.count - 1], y.shape[-window.count :]
        group, made = x.shape[-window.count - 1], y.shape[-window.count - 1]
        assert isinstance(group, Dim) and isinstance(made, Dim)
        share = made.divide(self.groups)
        found = fn.windows(x, kernel=window.kernel, **window.settings)
        width = product(window.kernel) * (group.divide(self.groups) or 0)
        cols = fn.reshape(found, shape=(*lead, self.groups, width, product(out)))
        rows = fn.reshape(y, shape=(*lead, self.groups, share, product(out)))
        total = rows @ fn.transpose_last(cols)
        if lead:
            total = fn.sum(total, axis=tuple(range(len(lead))))
        return fn.reshape(total, shape=(made, group.divide(self.groups), *window.kernel))

    def transposes(self, cotangent: Value, a: Value, b: Value) -> list[Value | None]:
        window = self.window()
        sizes = a.shape[-window.count :]
        return [
            fn.conv_input(b, cotangent, sizes=sizes, groups=self.groups, **window.settings),
            fn.conv(a, cotangent, groups=self.groups, **window.settings),
        ]
