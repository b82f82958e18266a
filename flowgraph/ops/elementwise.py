"""Functions of each entry by itself: exp, log, sin and their like.

Whole numbers are converted to reals first, except by abs and square, which keep them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..types import Mismatch, TensorType, Type, Unifier
from .base import Arg, Elementwise, Interval, NonDifferentiable, Sample, Value, fn, real
from .special import erf, erfc


class Function(Elementwise, abstract=True):
    """A function of one number, applied to each entry."""

    group = "elementwise"
    samples = [Sample(real(2, 3)), Sample(real())]


class Positive(Function, abstract=True):
    """Defined for positive numbers; outside of them the result is not a number."""

    samples = [Sample(real(2, 3, low=0.2)), Sample(real(low=0.2))]


class Abs(Function):
    """The absolute value; its derivative at 0 counts as 0."""

    takes = "number"
    formula = "|x|"
    latex = r"\left|{x}\right|"
    bounds = (0.0, math.inf)
    numpy = "np.abs(x)"
    torch = "torch.abs(x)"
    samples = [Sample(real(2, 3, avoid=(0.0,))), Sample(Arg((3,), kind="int"))]

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [fn.sign(xs[0])]


class Exp(Function):
    """The exponential function."""

    formula = "e^x"
    latex = "e^{{{x}}}"
    remedy = "keep the argument of `exp` below 88, or take `softmax`, `sigmoid` or `logsumexp` for all of it"
    rising = True
    numpy = "np.exp(x)"
    torch = "torch.exp(x)"

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [y]


class Expm1(Function):
    """e^x - 1, accurate near 0."""

    formula = "e^x - 1"
    latex = "e^{{{x}}} - 1"
    remedy = "keep the argument of `expm1` below 88"
    rising = True
    numpy = "np.expm1(x)"
    torch = "torch.expm1(x)"

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [y + 1]


class Log(Positive):
    """The natural logarithm."""

    formula = "ln x"
    latex = r"\ln({x})"
    remedy = (
        "keep the argument of `log` above 0, as in `log(x + 1e-8)`; for the logarithm of a `softmax` or "
        "`sigmoid`, use `log_softmax`, `cross_entropy` or `bce_with_logits`, which take the scores"
    )
    numpy = "np.log(x)"
    torch = "torch.log(x)"

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [1.0 / xs[0]]


class Log1p(Function):
    """ln(1 + x), accurate near 0."""

    formula = "ln(1 + x)"
    latex = r"\ln(1 + {x})"
    remedy = "keep the argument of `log1p` above -1"
    numpy = "np.log1p(x)"
    torch = "torch.log1p(x)"
    samples = [Sample(real(2, 3, low=-0.8))]

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [1.0 / (1 + xs[0])]


class Sqrt(Positive):
    """The square root."""

    formula = "√x"
    latex = r"\sqrt{{{x}}}"
    remedy = "keep the argument of `sqrt` above 0, as in `sqrt(x + 1e-8)`: at 0 its slope is infinite"
    bounds = (0.0, math.inf)
    numpy = "np.sqrt(x)"
    torch = "torch.sqrt(x)"

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [0.5 / y]


class Square(Function):
    """The square."""

    takes = "number"
    formula = "x^2"
    latex = "{{{x}}}^2"
    bounds = (0.0, math.inf)
    numpy = "np.square(x)"
    torch = "torch.square(x)"
    samples = [Sample(real(2, 3)), Sample(Arg((3,), kind="int"))]

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [2 * xs[0]]


class Reciprocal(Function):
    """One over x."""

    formula = "1 / x"
    remedy = "keep the argument of `reciprocal` away from 0, as in `reciprocal(x + 1e-8)` for x of one sign"
    latex = r"\frac{{1}}{{{x}}}"
    numpy = "1 / x"
    torch = "1 / x"
    samples = [Sample(real(2, 3, avoid=(0.0,), low=0.3))]

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [-fn.square(y)]


class Sin(Function):
    """The sine of an angle in radians."""

    formula = "sin x"
    latex = r"\sin({x})"
    bounds = (-1.0, 1.0)
    numpy = "np.sin(x)"
    torch = "torch.sin(x)"

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [fn.cos(xs[0])]


class Cos(Function):
    """The cosine of an angle in radians."""

    formula = "cos x"
    latex = r"\cos({x})"
    bounds = (-1.0, 1.0)
    numpy = "np.cos(x)"
    torch = "torch.cos(x)"

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [-fn.sin(xs[0])]


class Tan(Function):
    """The tangent of an angle in radians."""

    formula = "tan x"
    latex = r"\tan({x})"
    numpy = "np.tan(x)"
    torch = "torch.tan(x)"
    samples = [Sample(real(2, 3, low=-1.2, high=1.2))]

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [1 + fn.square(y)]


class Asin(Function):
    """The angle in [-π/2, π/2] whose sine is x; x in [-1, 1]."""

    formula = "arcsin x"
    latex = r"\arcsin({x})"
    remedy = "keep the argument of `asin` inside -1 and 1, as in `asin(clip(x, -0.999, 0.999))`"
    numpy = "np.arcsin(x)"
    torch = "torch.asin(x)"
    samples = [Sample(real(2, 3, low=-0.9, high=0.9))]

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [1.0 / fn.sqrt(1 - fn.square(xs[0]))]


class Acos(Function):
    """The angle in [0, π] whose cosine is x; x in [-1, 1]."""

    formula = "arccos x"
    latex = r"\arccos({x})"
    remedy = "keep the argument of `acos` inside -1 and 1, as in `acos(clip(x, -0.999, 0.999))`"
    numpy = "np.arccos(x)"
    torch = "torch.acos(x)"
    samples = [Sample(real(2, 3, low=-0.9, high=0.9))]

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [-1.0 / fn.sqrt(1 - fn.square(xs[0]))]


class Atan(Function):
    """The angle in (-π/2, π/2) whose tangent is x."""

    formula = "arctan x"
    latex = r"\arctan({x})"
    rising = True
    numpy = "np.arctan(x)"
    torch = "torch.atan(x)"

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [1.0 / (1 + fn.square(xs[0]))]


class Sinh(Function):
    """The hyperbolic sine."""

    formula = "(e^x - e^-x) / 2"
    latex = r"\sinh({x})"
    remedy = "keep the argument of `sinh` between -88 and 88"
    rising = True
    numpy = "np.sinh(x)"
    torch = "torch.sinh(x)"

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [fn.cosh(xs[0])]


class Cosh(Function):
    """The hyperbolic cosine."""

    formula = "(e^x + e^-x) / 2"
    latex = r"\cosh({x})"
    remedy = "keep the argument of `cosh` between -88 and 88"
    bounds = (1.0, math.inf)
    numpy = "np.cosh(x)"
    torch = "torch.cosh(x)"

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [fn.sinh(xs[0])]


class Rounding(NonDifferentiable, Function, abstract=True):
    """A whole number near x, as a real; its derivative counts as 0."""

    samples = [Sample(real(2, 3, avoid=(-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)))]


class Sign(NonDifferentiable, Function):
    """1 where x is positive, -1 where negative, 0 at 0; its derivative counts as 0."""

    group = "activations"
    formula = "1 if x > 0, 0 if x = 0, -1 if x < 0"
    rising = True
    instead = "train with `tanh` in its place"
    numpy = "np.sign(x)"
    torch = "torch.sign(x)"
    samples = [Sample(real(2, 3)), Sample(Arg((3,), low=0.0, high=0.0))]


class Floor(Rounding):
    """The largest whole number not above x."""

    formula = "⌊x⌋"
    latex = r"\lfloor {x} \rfloor"
    rising = True
    numpy = "np.floor(x)"
    torch = "torch.floor(x)"


class Ceil(Rounding):
    """The smallest whole number not below x."""

    formula = "⌈x⌉"
    latex = r"\lceil {x} \rceil"
    rising = True
    numpy = "np.ceil(x)"
    torch = "torch.ceil(x)"


class Round(Rounding):
    """The nearest whole number; halves go to the even one."""

    formula = "the whole number nearest to x"
    rising = True
    numpy = "np.round(x)"
    torch = "torch.round(x)"


class Clip(Function):
    """The nearest number within the bounds; a bound that is not given does not bind.

    The derivative is 1 at the bounds themselves, as in PyTorch.
    """

    low: float | None = None
    high: float | None = None
    formula = "min(max(x, low), high)"
    samples = [
        Sample(real(2, 3, avoid=(-1.0, 0.5)), low=-1.0, high=0.5),
        Sample(real(3, avoid=(0.0,)), low=0.0),
        Sample(real(3, avoid=(1.0,)), high=1.0),
    ]
    bad_samples = [Sample(real(3)), Sample(real(3), low=1.0, high=0.0)]
    example = "s = clip(x, -1, 1)"

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        if self.low is None and self.high is None:
            raise Mismatch(
                "`clip` needs a bound", code="E0403", help="write `clip(x, low, high)`, or `clip(x, high=1)`"
            )
        if self.low is not None and self.high is not None and self.low > self.high:
            raise Mismatch(
                f"the bounds of `clip` are {self.low} and {self.high}",
                code="E0404",
                help="the lower bound comes first",
            )
        return super().rule(u, *types)

    def form(self, target: str, types: Sequence[Any]) -> str:
        if target == "torch":
            return "torch.clamp(x, min=low, max=high)"
        if self.high is None:
            return "np.maximum(x, low)"
        return "np.minimum(x, high)" if self.low is None else "np.clip(x, low, high)"

    def interval(self, given: Sequence[Interval], types: Sequence[Any]) -> Interval:
        bottom = -math.inf if self.low is None else self.low
        top = math.inf if self.high is None else self.high
        low, high = given[0]
        return max(min(low, top), bottom), max(min(high, top), bottom)

    def is_flat(self, low: float, high: float) -> bool:
        under = self.low is not None and high < self.low
        return under or (self.high is not None and low > self.high)

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [fn.equal(xs[0], y)]


class Erf(Function):
    """The error function, 2/√π times the integral of exp(-t^2) from 0 to x."""

    formula = "2/√π ∫₀ˣ exp(-t^2) dt"
    rising = True
    numpy = erf
    torch = "torch.erf(x)"

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [2 / math.sqrt(math.pi) * fn.exp(-fn.square(xs[0]))]


class Erfc(Function):
    """The complement of the error function, accurate where erf is all but 1."""

    formula = "1 - erf(x)"
    numpy = erfc
    torch = "torch.erfc(x)"

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [-2 / math.sqrt(math.pi) * fn.exp(-fn.square(xs[0]))]
