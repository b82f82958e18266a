"""Layers that convolve sequences and images, as PyTorch's do, with a kernel and a bias of their own.

What they compute without the bias is one of the maps of `conv_maps`, whose derivatives they use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..types import REAL, Dim, Mismatch, TensorType, Type, Unifier, describe
from .base import Batching, Composite, Op, Parameter, Sample, Value, fn, need_equal, real
from .conv_maps import conv, torch_conv, torch_settings
from .declared import Padding, PerAxis, Size
from .layer import around_zero, size_at
from .shape import product
from .window import PLANES, Window, compact, group_of, planes, window_of, wrong_rank


class ConvLayer(Composite, abstract=True):
    """What convolutions and transposed ones share: kernel and bias, and the derivatives' frame."""

    group = "layers"
    operands = ("x", "weight", "bias?")
    params = ("weight", "bias")
    count: ClassVar[int]
    """How many axes the kernel slides along."""
    if TYPE_CHECKING:  # each layer declares them, in the order of PyTorch's arguments
        out_channels: Size
        groups: int
        bias: bool

    def window(self) -> Window:
        """How the kernel slides. Raises Mismatch (E0404)."""
        raise NotImplementedError

    def kernel_shape(self, channels: Dim) -> tuple[Dim, ...]:
        """The shape of the weight for an input of so many channels. Raises Mismatch (E0404)."""
        raise NotImplementedError

    def without_bias(self, x: Value, weight: Value) -> Value:
        """The bilinear map of input and weight."""
        raise NotImplementedError

    def back(self, cotangent: Value, x: Value, weight: Value) -> list[Value | None]:
        """The cotangents of input and weight."""
        raise NotImplementedError

    def bindings(self) -> dict[str, Any]:
        return self.values | {"bias": None}

    def parameters(self, u: Unifier, *types: TensorType) -> list[Parameter]:
        """Weight and bias, uniform in ±1/√fan_in as in PyTorch; an axis before the channels is refused."""
        (x,) = types
        if x.rank != self.count + 1:
            raise wrong_rank(self, x, PLANES[self.count])
        if Dim.of(self.out_channels) == 0:
            raise Mismatch(
                f"`{self.name}` makes no channels",
                help="`out_channels` is a whole number from 1 on",
                code="E0404",
            )
        shape = self.kernel_shape(size_at(self, u, x, 0, 0))
        init = around_zero(product(shape[1:]))
        made = [Parameter("weight", shape, init)]
        return [*made, Parameter("bias", (Dim.of(self.out_channels),), init)] if self.bias else made

    def need_weight(self, u: Unifier, x: TensorType, channels: Dim, weight: TensorType) -> None:
        """Raise Mismatch unless the weight has the shape for this input."""
        blame = [(0, f"is {describe(x)}"), (1, f"is {describe(u.tensor(weight))}")]
        wanted = self.kernel_shape(channels)
        cure = f"`{self.name}` needs the weight [{', '.join(str(d) for d in wanted)}] for {channels} channels"
        if weight.rank != len(wanted):
            raise Mismatch("shapes do not agree", blame=blame, help=cure)
        for have, want in zip(weight.shape, wanted, strict=True):
            need_equal(self, u, have, want, blame=blame, help=cure)

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        if any(b.has(v) for v in values[1:]):
            return b.inline(self, values, types)
        return b.apply(self, *values)

    def spread(self, bias: Value) -> Value:
        """The bias as [out, 1, 1], to be added to each channel."""
        return fn.unsqueeze(bias, axis=tuple(range(-self.count, 0)))

    def expand(self, *xs: Value) -> Value:
        y = self.without_bias(xs[0], xs[1])
        return y + self.spread(xs[2]) if len(xs) == 3 else y

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        parts = [
            tangents[0] and self.without_bias(tangents[0], xs[1]),
            tangents[1] and self.without_bias(xs[0], tangents[1]),
            *(bias and self.spread(bias) for bias in tangents[2:]),
        ]
        total: Value | None = None
        for part in parts:
            if part is not None:
                total = part if total is None else total + part
        if total is None or total.shape == y.shape:
            return total
        return fn.expand(total, shape=y.shape)

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        found = self.back(cotangent, xs[0], xs[1])
        if len(xs) == 2:
            return found
        channel = -self.count - 1
        others = tuple(a for a in range(-cotangent.type.rank, 0) if a != channel)
        return [*found, fn.sum(cotangent, axis=others)]


class Convolution(ConvLayer, abstract=True):
    """A convolution; `kernel_size`, `stride`, `padding` and `dilation` are for all axes or a list."""

    out_channels: Size
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: Padding = 0
    dilation: PerAxis = 1
    groups: int = 1
    bias: bool = True
    formula = "y_o,p = bias_o + Σ_c,k weight_o,c,k x_c,(stride p + dilation k - padding)"
    latex = r"{weight} \ast {x} + {bias}"
    unsaid = ("out_channels", "kernel_size", "bias")
    numpy = conv

    def window(self) -> Window:
        return window_of(self, self.count, self.kernel_size, self.stride, self.padding, self.dilation)

    def canonical(self, types: Sequence[Any]) -> Op:
        window = self.window()
        return self.with_attrs(kernel_size=compact(window.kernel), **window.settings)

    def kernel_shape(self, channels: Dim) -> tuple[Dim, ...]:
        group = group_of(self, self.groups, channels, "channels that go into")
        group_of(self, self.groups, Dim.of(self.out_channels), "channels that come out of", slot=None)
        return (Dim.of(self.out_channels), group, *(Dim.of(k) for k in self.window().kernel))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        x, weight = types[:2]
        window = self.window()
        channels, sizes = planes(self, u, x, self.count)
        self.need_weight(u, x, channels, weight)
        out = window.counts(self, x, sizes)
        return TensorType(REAL, (*u.shape(x.shape[: -self.count - 1]), Dim.of(self.out_channels), *out))

    def needs(self, types: Sequence[Any]) -> Sequence[tuple[Dim, int, str]]:
        return self.window().needs(self, types[0].shape[-self.count :])

    def form(self, target: str, types: Sequence[Any]) -> Any:
        return conv if target == "numpy" else torch_conv(self.window(), self.groups, types)

    def torch_layer(self, types: Sequence[Any]) -> str:
        window = self.window()
        if not window.is_even:
            return ""  # nn.Conv2d warns of padding that is not even
        bias = "" if len(types) == 3 else ", bias=False"
        settings = f"kernel_size={compact(window.kernel)}{torch_settings(window, self.groups)}{bias}"
        return f"nn.Conv{self.count}d({types[0].shape[-self.count - 1]}, {self.out_channels}, {settings})"

    def without_bias(self, x: Value, weight: Value) -> Value:
        return fn.conv(x, weight, groups=self.groups, **self.window().settings)

    def back(self, cotangent: Value, x: Value, weight: Value) -> list[Value | None]:
        window = self.window()
        sizes = x.shape[-window.count :]
        return [
            fn.conv_input(cotangent, weight, sizes=sizes, groups=self.groups, **window.settings),
            fn.conv_weight(x, cotangent, kernel=window.kernel, groups=self.groups, **window.settings),
        ]


class Conv1d(Convolution):
    """The convolution of a sequence [C, L] with a kernel [out, C / groups, size].

    Settings are those of PyTorch's Conv1d, and so are weight and bias, uniform in ±1/√fan_in at
    first; `padding` may be "same" (with stride 1) or "valid".
    """

    count = 1
    samples = [
        Sample(real(2, 5), real(3, 2, 3), real(3), out_channels=Dim.of(3), kernel_size=3),
        Sample(real(2, 6), real(4, 1, 2), real(4), out_channels=Dim.of(4), kernel_size=2, stride=2, groups=2),
        Sample(
            real(1, 5),
            real(2, 1, 3),
            out_channels=Dim.of(2),
            kernel_size=3,
            padding=2,
            dilation=2,
            bias=False,
        ),
        Sample(real(2, 4), real(1, 2, 2), real(1), out_channels=Dim.of(1), kernel_size=2, padding="same"),
    ]
    bad_samples = [
        Sample(real(5), real(3, 1, 3), real(3), out_channels=Dim.of(3), kernel_size=3),
        Sample(real(2, 2), real(3, 2, 3), real(3), out_channels=Dim.of(3), kernel_size=3),
        Sample(real(2, 0), real(3, 2, 3), real(3), out_channels=Dim.of(3), kernel_size=3, padding=2),
        Sample(real(2, 5), real(3, 2, 3), real(3), out_channels=Dim.of(3), kernel_size=3, stride=0),
        Sample(real(2, 5), real(3, 2, 3), real(3), out_channels=Dim.of(3), kernel_size=(3, 3)),
        Sample(
            real(2, 5),
            real(3, 2, 3),
            real(3),
            out_channels=Dim.of(3),
            kernel_size=3,
            stride=2,
            padding="same",
        ),
    ]
    example = "h = conv1d(x, 16, 3)"


class Conv2d(Convolution):
    """The convolution of an image [C, H, W] with a kernel [out, C / groups, height, width].

    Settings are those of PyTorch's Conv2d, and so are weight and bias, uniform in ±1/√fan_in at
    first; `padding` may be "same" (with stride 1) or "valid".
    """

    count = 2
    samples = [
        Sample(real(2, 4, 5), real(3, 2, 3, 3), real(3), out_channels=Dim.of(3), kernel_size=3),
        Sample(
            real(1, 5, 5),
            real(2, 1, 3, 3),
            real(2),
            out_channels=Dim.of(2),
            kernel_size=3,
            stride=2,
            padding=1,
        ),
        Sample(
            real(4, 5, 4),
            real(2, 2, 2, 1),
            out_channels=Dim.of(2),
            kernel_size=(2, 1),
            stride=(2, 1),
            padding=(1, 0),
            dilation=(3, 1),
            groups=2,
            bias=False,
        ),
        Sample(
            real(2, 3, 4),
            real(4, 1, 2, 3),
            real(4),
            out_channels=Dim.of(4),
            kernel_size=(2, 3),
            padding="same",
            groups=2,
        ),
        Sample(real(3, 2, 2), real(2, 3, 1, 1), real(2), out_channels=Dim.of(2), kernel_size=1),
    ]
    bad_samples = [
        Sample(real(4, 5), real(3, 2, 3, 3), real(3), out_channels=Dim.of(3), kernel_size=3),
        Sample(real(2, 2, 5), real(3, 2, 3, 3), real(3), out_channels=Dim.of(3), kernel_size=3),
        Sample(real(3, 5, 5), real(4, 2, 3, 3), real(4), out_channels=Dim.of(4), kernel_size=3, groups=2),
        Sample(real(4, 5, 5), real(3, 2, 3, 3), real(3), out_channels=Dim.of(3), kernel_size=3, groups=2),
        Sample(real(2, 5, 5), real(3, 2, 3, 3), real(3), out_channels=Dim.of(3), kernel_size=3, groups=0),
        Sample(real(2, 5, 5), real(3, 2, 3, 3), real(3), out_channels=Dim.of(3), kernel_size=3, stride=-1),
        Sample(real(2, 5, 5), real(3, 2, 3, 3), real(3), out_channels=Dim.of(3), kernel_size=3, padding=-1),
        Sample(real(2, 5, 5), real(3, 2, 3, 3), real(3), out_channels=Dim.of(3), kernel_size=3, dilation=3),
        Sample(
            real(2, 5, 5), real(3, 2, 3, 3), real(3), out_channels=Dim.of(3), kernel_size=3, padding="full"
        ),
        Sample(real(2, 5, 5), real(3, 4, 3, 3), real(3), out_channels=Dim.of(3), kernel_size=3),
    ]
    example = "h = conv2d(x, 16, 3, padding=1)"
