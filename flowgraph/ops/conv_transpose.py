"""The transposed convolution as a layer: what takes an image back to the size before a convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..types import REAL, Dim, Mismatch, TensorType, Type, Unifier, describe
from .base import Op, Sample, Value, fn, real
from .columns import each
from .conv import ConvLayer
from .conv_maps import conv_input, of_examples, torch_settings, transposed_sizes
from .declared import PerAxis, Size
from .window import Window, compact, group_of, per_axis, planes, window_of


def conv_transpose(
    x,
    weight,
    bias=None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
):
    """Transposed conv of x [..., C, *sizes]; weight: [C, out / groups, *kernel]."""
    kernel = weight.shape[2:]
    settings = (stride, padding, dilation, output_padding)
    numbers = [each(setting, len(kernel)) for setting in settings]
    along = zip(x.shape[-len(kernel) :], kernel, *numbers, strict=True)
    sizes = [(n - 1) * s - 2 * p + (k - 1) * d + m + 1 for n, k, s, p, d, m in along]
    y = conv_input(x, weight, sizes, stride, padding, dilation, groups)
    return y if bias is None else y + bias.reshape(-1, *(1 for _ in kernel))


class ConvTranspose2d(ConvLayer):
    """The transposed convolution of an image [C, H, W] with a kernel [C, out / groups, height, width].

    It enlarges: stride s spreads the entries s apart. Settings are those of PyTorch's
    ConvTranspose2d, and so are weight and bias, uniform in ±1/√fan_in at first.
    """

    count = 2
    out_channels: Size
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: PerAxis = 0
    output_padding: PerAxis = 0
    groups: int = 1
    bias: bool = True
    dilation: PerAxis = 1
    formula = "y_o,i = bias_o + Σ weight_c,o,k x_c,p over c, p and k with i = stride p + dilation k - padding"
    unsaid = ("out_channels", "kernel_size", "bias")
    numpy = conv_transpose
    samples = [
        Sample(real(2, 3, 2), real(2, 3, 2, 2), real(3), out_channels=Dim.of(3), kernel_size=2, stride=2),
        Sample(
            real(1, 2, 3),
            real(1, 2, 3, 3),
            real(2),
            out_channels=Dim.of(2),
            kernel_size=3,
            stride=2,
            padding=1,
            output_padding=1,
        ),
        Sample(
            real(4, 2, 3),
            real(4, 1, 2, 3),
            out_channels=Dim.of(2),
            kernel_size=(2, 3),
            stride=(1, 2),
            padding=(1, 0),
            output_padding=(0, 1),
            dilation=(3, 1),
            groups=2,
            bias=False,
        ),
        Sample(real(2, 3, 3), real(2, 1, 3, 3), real(1), out_channels=Dim.of(1), kernel_size=3),
    ]
    bad_samples = [
        Sample(real(3, 2), real(2, 3, 2, 2), real(3), out_channels=Dim.of(3), kernel_size=2),
        Sample(real(2, 1, 1), real(2, 3, 2, 2), real(3), out_channels=Dim.of(3), kernel_size=2, padding=1),
        Sample(
            real(2, 3, 3), real(2, 3, 2, 2), real(3), out_channels=Dim.of(3), kernel_size=2, output_padding=1
        ),
        Sample(real(2, 3, 3), real(2, 3, 2, 2), real(3), out_channels=Dim.of(3), kernel_size=2, groups=2),
        Sample(real(2, 3, 3), real(2, 3, 2, 2), real(3), out_channels=Dim.of(3), kernel_size=2, stride=0),
        Sample(real(3, 3, 3), real(2, 3, 2, 2), real(3), out_channels=Dim.of(3), kernel_size=2),
    ]
    example = "h = conv_transpose2d(x, 16, 2, stride=2)"

    def window(self) -> Window:
        padding = per_axis(self, "padding", self.padding, self.count, least=0)
        return window_of(self, self.count, self.kernel_size, self.stride, padding, self.dilation)

    def more(self) -> tuple[int, ...]:
        """The entries added after the last ones. Raises Mismatch (E0404)."""
        found = per_axis(self, "output_padding", self.output_padding, self.count, least=0)
        if any(m >= s for m, s in zip(found, self.window().stride, strict=True)):
            raise Mismatch(
                f"`output_padding` of `{self.name}` must be smaller than the stride",
                help="it adds entries that a convolution of this stride would have left out",
                code="E0404",
            )
        return found

    def canonical(self, types: Sequence[Any]) -> Op:
        window = self.window()
        settings = {"kernel_size": compact(window.kernel), "output_padding": compact(self.more())}
        return self.with_attrs(**settings, **window.settings)

    def kernel_shape(self, channels: Dim) -> tuple[Dim, ...]:
        group_of(self, self.groups, channels, "channels that go into")
        group = group_of(self, self.groups, Dim.of(self.out_channels), "channels that come out of", slot=None)
        return (channels, group, *(Dim.of(k) for k in self.window().kernel))

    def sizes(self, x: Sequence[Any]) -> tuple[Dim, ...]:
        """The sizes of the result, given the operand's shape."""
        return transposed_sizes(self.window(), x[-self.count :], self.more())

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        x, weight = types[:2]
        channels, given = planes(self, u, x, self.count)
        self.need_weight(u, x, channels, weight)
        sizes = self.sizes(given)
        for size in sizes:
            if size.value is not None and size.value < 1:
                raise Mismatch(
                    f"nothing is left of the result of `{self.name}`",
                    blame=[(0, f"is {describe(x)}")],
                    help="the padding takes off as much as there is: make it smaller",
                )
        return TensorType(REAL, (*u.shape(x.shape[: -self.count - 1]), Dim.of(self.out_channels), *sizes))

    def needs(self, types: Sequence[Any]) -> Sequence[tuple[Dim, int, str]]:
        return [(size, 1, f"for `{self.name}` to leave something") for size in self.sizes(types[0].shape)]

    def form(self, target: str, types: Sequence[Any]) -> Any:
        if target == "numpy":
            return conv_transpose
        bias = ", bias" if len(types) == 3 else ""
        call = f"F.conv_transpose2d({{}}, weight{bias}{self._settings()})"
        return of_examples(call, "x", types[0].rank - self.count - 2)

    def _settings(self) -> str:
        more = compact(self.more())
        return torch_settings(self.window(), self.groups) + (f", output_padding={more}" if more else "")

    def torch_layer(self, types: Sequence[Any]) -> str:
        channels = types[0].shape[-self.count - 1]
        bias = "" if len(types) == 3 else ", bias=False"
        settings = f"kernel_size={compact(self.window().kernel)}{self._settings()}{bias}"
        return f"nn.ConvTranspose2d({channels}, {self.out_channels}, {settings})"

    def without_bias(self, x: Value, weight: Value) -> Value:
        sizes = self.sizes(x.shape)
        return fn.conv_input(x, weight, sizes=sizes, groups=self.groups, **self.window().settings)

    def back(self, cotangent: Value, x: Value, weight: Value) -> list[Value | None]:
        window = self.window()
        return [
            fn.conv(cotangent, weight, groups=self.groups, **window.settings),
            fn.conv_weight(cotangent, x, kernel=window.kernel, groups=self.groups, **window.settings),
        ]
