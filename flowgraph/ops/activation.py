"""Activations: what a circle does to its excitation.

All here work on each entry by itself; softmax and log_softmax are in `softmax.py`. Module
functions are numpy and torch forms: emitted modules get their source as it stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .base import Elementwise, NonDifferentiable, Sample, Value, fn, real
from .special import erfc


class Activation(Elementwise, abstract=True):
    """A function of the excitation, entry by entry."""

    group = "activations"
    samples = [Sample(real(2, 3)), Sample(real())]


class Kinked(Activation, abstract=True):
    """Not smooth at 0, where its derivative is that of the left side."""

    samples = [Sample(real(2, 3, avoid=(0.0,))), Sample(real(avoid=(0.0,)))]


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).astype(x.dtype)


def step_torch(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).to(x.dtype)


class Step(NonDifferentiable, Activation):
    """The unit step: 1 where x ≥ 0, else 0; its derivative counts as 0."""

    formula = "1 if x ≥ 0 else 0"
    latex = r"u({x})"
    rising = True
    instead = "train with `sigmoid` in its place"
    numpy = step
    into = "np.greater_equal(x, 0, out=out)"
    torch = step_torch


def sigmoid(x):
    """Logistic function 1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


class Sigmoid(Activation):
    """The logistic function, from 0 to 1."""

    formula = "1 / (1 + e^-x)"
    latex = r"\sigma({x})"
    rising = True
    numpy = sigmoid
    torch = "torch.sigmoid(x)"
    torch_module = "nn.Sigmoid()"

    def simpler(self, *xs: Value) -> Value | None:
        return fn.reciprocal(1 + fn.exp(-xs[0]))  # where exp overflows, the result is 0

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [y * (1 - y)]


class Tanh(Activation):
    """The hyperbolic tangent, from -1 to 1."""

    formula = "(e^x - e^-x) / (e^x + e^-x)"
    latex = r"\tanh({x})"
    rising = True
    numpy = "np.tanh(x)"
    torch = "torch.tanh(x)"
    torch_module = "nn.Tanh()"

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [1 - y**2]


class Relu(Kinked):
    """The rectifier: x where positive, else 0; its derivative at 0 is 0."""

    formula = "max(x, 0)"
    rising = True
    numpy = "np.maximum(x, 0)"
    torch = "torch.relu(x)"
    torch_module = "nn.ReLU()"

    def is_flat(self, low: float, high: float) -> bool:
        return high <= 0

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [xs[0] > 0]


class Relu6(Activation):
    """The rectifier cut off at 6."""

    formula = "min(max(x, 0), 6)"
    rising = True
    numpy = "np.clip(x, 0, 6)"
    torch = "F.relu6(x)"
    torch_module = "nn.ReLU6()"
    samples = [Sample(real(2, 3, low=-8, high=8, avoid=(0.0, 6.0)))]

    def is_flat(self, low: float, high: float) -> bool:
        return high <= 0 or low >= 6

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [fn.logical_and(xs[0] > 0, xs[0] < 6)]


class LeakyRelu(Kinked):
    """x where positive, else a small multiple of it."""

    negative_slope: float = 0.01
    formula = "x if x > 0 else negative_slope x"
    numpy = "np.where(x > 0, x, negative_slope * x)"
    torch = "F.leaky_relu(x, negative_slope)"
    torch_module = "nn.LeakyReLU(negative_slope)"
    samples = [Sample(real(2, 3, avoid=(0.0,))), Sample(real(4, avoid=(0.0,)), negative_slope=0.2)]
    example = "h = leaky_relu(x, 0.1)"

    def simpler(self, *xs: Value) -> Value | None:
        (x,) = xs
        if self.negative_slope == 0:
            return fn.relu(x)
        below = x * self.negative_slope
        return fn.maximum(x, below) if 0 < self.negative_slope <= 1 else fn.where(x > 0, x, below)

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [fn.where(xs[0] > 0, 1.0, self.negative_slope)]


class Elu(Kinked):
    """x where positive, else an exponential that levels off at -alpha."""

    alpha: float = 1.0
    formula = "x if x > 0 else alpha (e^x - 1)"
    numpy = "np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))"
    torch = "F.elu(x, alpha)"
    torch_module = "nn.ELU(alpha)"
    samples = [Sample(real(2, 3, avoid=(0.0,))), Sample(real(4, avoid=(0.0,)), alpha=0.5)]
    example = "h = elu(x)"

    def simpler(self, *xs: Value) -> Value | None:
        (x,) = xs
        below = _levelling_off(x, self.alpha)
        # Up to alpha = 1 the curve is above x where x < 0, and 0 elsewhere.
        return fn.maximum(x, below) if 0 <= self.alpha <= 1 else fn.relu(x) + below

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [fn.where(xs[0] > 0, 1.0, y + self.alpha)]


def _levelling_off(x: Value, height: float) -> Value:
    """The part of elu where x is negative, 0 elsewhere."""
    low = fn.expm1(fn.minimum(x, 0.0))
    return low if height == 1 else low * height


SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772


def selu(x):
    """Scaled exponential linear unit."""
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


class Selu(Kinked):
    """The ELU scaled so that unit normal inputs keep mean 0 and variance 1 (Klambauer, 2017)."""

    formula = "1.0507 (x if x > 0 else 1.6733 (e^x - 1))"
    rising = True
    numpy = selu
    torch = "F.selu(x)"
    torch_module = "nn.SELU()"

    def simpler(self, *xs: Value) -> Value | None:
        return fn.relu(xs[0]) * SELU_SCALE + _levelling_off(xs[0], SELU_SCALE * SELU_ALPHA)

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [fn.where(xs[0] > 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA)]


def gelu(x):
    """x times the probability that a standard normal number is below x."""
    z = x.astype(np.float64)  # in the tail, erfc magnifies the rounding of its argument
    return (0.5 * z * erfc(-z / math.sqrt(2))).astype(x.dtype)


def gelu_tanh(x):
    """The approximation of gelu by tanh; 0.5 (1 + tanh(u)) is the sigmoid of 2 u."""
    return x * sigmoid(2 * math.sqrt(2 / math.pi) * x * (1 + 0.044715 * x**2))


GELU_RATE = 2 * math.sqrt(2 / math.pi)


class Gelu(Activation):
    """x Φ(x), with Φ the standard normal distribution; `tanh=true` approximates it by a tanh.

    The numpy form is exact in the tail, where PyTorch's own loses everything below -9.
    """

    tanh: bool = False
    formula = "x Φ(x); with tanh: 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x^3)))"
    samples = [Sample(real(2, 3, low=-4, high=4)), Sample(real(4), tanh=True)]
    example = "h = gelu(x)"

    def form(self, target: str, types: Sequence[Any]) -> Any:
        if target == "numpy":
            return gelu_tanh if self.tanh else gelu
        return 'F.gelu(x, approximate="tanh")' if self.tanh else "F.gelu(x)"

    def torch_layer(self, types: Sequence[Any]) -> str:
        return 'nn.GELU(approximate="tanh")' if self.tanh else "nn.GELU()"

    def share(self, x: Value) -> Value:
        """What x is multiplied by."""
        if not self.tanh:
            return 0.5 * fn.erfc(-math.sqrt(0.5) * x)
        square = 0.044715 * fn.square(x)
        return fn.sigmoid(GELU_RATE * x * (1 + square))

    def simpler(self, *xs: Value) -> Value | None:
        return xs[0] * self.share(xs[0])

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        (x,) = xs
        if not self.tanh:
            density = math.sqrt(0.5 / math.pi) * fn.exp(-0.5 * fn.square(x))
            return [self.share(x) + x * density]
        square = 0.044715 * fn.square(x)
        share = fn.sigmoid(GELU_RATE * x * (1 + square))
        return [share + x * share * (1 - share) * (GELU_RATE * (1 + 3 * square))]


def silu(x):
    """x times the logistic function of x."""
    return x * sigmoid(x)


class Silu(Activation):
    """x times its sigmoid, also called swish."""

    formula = "x / (1 + e^-x)"
    numpy = silu
    torch = "F.silu(x)"
    torch_module = "nn.SiLU()"

    def simpler(self, *xs: Value) -> Value | None:
        return xs[0] * fn.sigmoid(xs[0])

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        share = fn.sigmoid(xs[0])
        return [share + y * (1 - share)]


class Mish(Activation):
    """x times the tanh of its softplus."""

    formula = "x tanh(ln(1 + e^x))"
    numpy = "x * np.tanh(np.logaddexp(x, 0))"
    torch = "F.mish(x)"
    torch_module = "nn.Mish()"

    def simpler(self, *xs: Value) -> Value | None:
        return xs[0] * fn.tanh(fn.softplus(xs[0]))

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        (x,) = xs
        gate = fn.tanh(fn.softplus(x))
        return [gate + x * (1 - fn.square(gate)) * fn.sigmoid(x)]


class Softplus(Activation):
    """The smooth rectifier."""

    formula = "ln(1 + e^x)"
    rising = True
    numpy = "np.logaddexp(x, 0)"
    torch = "F.softplus(x)"
    torch_module = "nn.Softplus()"

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [fn.sigmoid(xs[0])]


class Softsign(Activation):
    """x over one plus its absolute value, from -1 to 1."""

    formula = "x / (1 + |x|)"
    rising = True
    bounds = (-1.0, 1.0)
    numpy = "x / (1 + np.abs(x))"
    torch = "F.softsign(x)"
    torch_module = "nn.Softsign()"

    def simpler(self, *xs: Value) -> Value | None:
        return xs[0] / (1 + fn.abs(xs[0]))

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [fn.square(1 / (1 + fn.abs(xs[0])))]


class HardSigmoid(Activation):
    """A straight line from 0 at -3 to 1 at 3, constant outside."""

    formula = "min(max(x/6 + 1/2, 0), 1)"
    rising = True
    numpy = "np.clip(x / 6 + 0.5, 0, 1)"
    torch = "F.hardsigmoid(x)"
    torch_module = "nn.Hardsigmoid()"
    samples = [Sample(real(2, 3, low=-5, high=5, avoid=(-3.0, 3.0)))]

    def simpler(self, *xs: Value) -> Value | None:
        return fn.clip(xs[0] / 6 + 0.5, low=0.0, high=1.0)

    def is_flat(self, low: float, high: float) -> bool:
        return high <= -3 or low >= 3

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [fn.where(fn.abs(xs[0]) < 3, 1 / 6, 0.0)]


class HardTanh(Activation):
    """x cut off at the bounds."""

    min_val: float = -1.0
    max_val: float = 1.0
    formula = "min(max(x, min_val), max_val)"
    rising = True
    numpy = "np.clip(x, min_val, max_val)"
    torch = "F.hardtanh(x, min_val, max_val)"
    torch_module = "nn.Hardtanh(min_val, max_val)"
    samples = [
        Sample(real(2, 3, avoid=(-1.0, 1.0))),
        Sample(real(4, avoid=(-0.5, 1.5)), min_val=-0.5, max_val=1.5),
    ]
    example = "h = hard_tanh(x)"

    def is_flat(self, low: float, high: float) -> bool:
        return high <= self.min_val or low >= self.max_val

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        return [fn.logical_and(xs[0] > self.min_val, xs[0] < self.max_val)]


class HardSwish(Activation):
    """x times its hard_sigmoid."""

    formula = "x min(max(x/6 + 1/2, 0), 1)"
    numpy = "x * np.clip(x / 6 + 0.5, 0, 1)"
    torch = "F.hardswish(x)"
    torch_module = "nn.Hardswish()"
    samples = [Sample(real(2, 3, low=-5, high=5, avoid=(-3.0, 3.0)))]

    def simpler(self, *xs: Value) -> Value | None:
        return xs[0] * fn.hard_sigmoid(xs[0])

    def is_flat(self, low: float, high: float) -> bool:
        return high <= -3

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        (x,) = xs
        return [fn.where(fn.abs(x) < 3, x / 3 + 0.5, x > 0)]
