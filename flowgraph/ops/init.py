"""Initialisers: how a parameter gets its first values.

An initialiser has a numpy form, an expression or a function of (rng, shape) and its attrs
that gives a float64 array, and a torch form, a statement over (tensor) and its attrs. Both
draw from the same distribution, from different streams. Fans are PyTorch's: for a weight
[out, in, *kernel], fan_in = in * kernel entries, fan_out = out * kernel entries.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from .declared import Declared, OpDefinitionError

INITS: dict[str, type[Initialiser]] = {}
"""Every initialiser by name."""


class Initialiser(Declared):
    """A distribution of first values; immutable, equal to another of the same class and attrs."""

    formula: ClassVar[str] = ""
    numpy: ClassVar[Any] = None
    torch: ClassVar[str] = ""
    public: ClassVar[bool] = True
    """Whether users may write it; the compiler writes the others itself."""
    least_rank: ClassVar[int] = 0
    """How many axes the parameter must have."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = cls.__name__.lower()
        if cls.name in INITS or not cls.__doc__:
            raise OpDefinitionError(f"initialiser {cls.name} is declared twice, or has no docstring")
        INITS[cls.name] = cls

    def misfit(self, shape: Sequence[int]) -> str:
        """Why it cannot fill an array of this shape, or ""."""
        if len(shape) >= self.least_rank:
            return ""
        return f"`{self.name}` needs a weight of at least {self.least_rank} axes: [out, in]"

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """A float64 array of this shape. Raises ValueError where `misfit` says so."""
        if self.misfit(shape):
            raise ValueError(self.misfit(shape))
        form = type(self).numpy
        if isinstance(form, str):
            scope = {**globals(), "rng": rng, "shape": shape, **self.values}
            return np.asarray(eval(form, scope), dtype=np.float64)
        names = inspect.signature(form).parameters
        known = {"rng": rng, "shape": shape, **self.values}
        return np.asarray(form(**{n: known[n] for n in names}), dtype=np.float64)


def fans(shape):
    """Fan in and fan out of a weight [out, in, *kernel]."""
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


class Zeros(Initialiser):
    """All 0."""

    formula = "0"
    numpy = "np.zeros(shape)"
    torch = "nn.init.zeros_(tensor)"


class Ones(Initialiser):
    """All 1."""

    formula = "1"
    numpy = "np.ones(shape)"
    torch = "nn.init.ones_(tensor)"


class Constant(Initialiser):
    """All the same number."""

    value: float
    formula = "value"
    numpy = "np.full(shape, value)"
    torch = "nn.init.constant_(tensor, value)"


class Normal(Initialiser):
    """Normally distributed with mean 0."""

    std: float = 1.0
    formula = "N(0, std^2)"
    numpy = "rng.normal(0.0, std, shape)"
    torch = "nn.init.normal_(tensor, std=std)"

    def misfit(self, shape: Sequence[int]) -> str:
        """Why it cannot fill an array of this shape, or ""."""
        return "" if 0 <= self.std < math.inf else f"`normal` needs a std of at least 0, and it is {self.std}"


class Uniform(Initialiser):
    """Uniform between two bounds."""

    a: float = 0.0
    b: float = 1.0
    formula = "U(a, b)"
    numpy = "rng.uniform(a, b, shape)"
    torch = "nn.init.uniform_(tensor, a, b)"

    def misfit(self, shape: Sequence[int]) -> str:
        """Why it cannot fill an array of this shape, or ""."""
        fits = -math.inf < self.a <= self.b < math.inf
        return "" if fits else f"`uniform` goes from a number up to another, not from {self.a} to {self.b}"


# ---------------------------------------------------------------------------------------
# Written by the compiler itself


class Given(Initialiser):
    """The numbers of a nested list."""

    public = False
    value: Any
    formula = "the list"
    numpy = "np.array(value)"
    torch = "nn.init.constant_(tensor, 0).add_(torch.tensor(value))"

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return np.array(self.value.data, dtype=np.float64)


def fan_uniform(rng, shape, fan_in):
    """Uniform in ±1 / sqrt(fan_in)."""
    return rng.uniform(-1, 1, shape) / np.sqrt(fan_in)


class FanUniform(Initialiser):
    """Uniform in ±1/√fan_in, as PyTorch's linear layers and fresh wires start."""

    public = False
    fan_in: int
    formula = "U(-1/√fan_in, 1/√fan_in)"
    numpy = fan_uniform
    torch = "nn.init.uniform_(tensor, -(fan_in**-0.5), fan_in**-0.5)"


class WireUniform(Initialiser):
    """Uniform in ±1/√fan_in, each entry with a fan_in of its own; 0 where that is infinite."""

    public = False
    fan_in: Any
    formula = "U(-1/√fan_in, 1/√fan_in)"
    numpy = fan_uniform
    torch = "tensor.data.uniform_(-1, 1).div_(torch.sqrt(torch.as_tensor(fan_in)))"

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return fan_uniform(rng, shape, self.fan_in.data)


def glorot(rng, shape):
    """Uniform in ±sqrt(6 / (fan_in + fan_out))."""
    bound = math.sqrt(6 / max(sum(fans(shape)), 1))
    return rng.uniform(-bound, bound, shape)


class Glorot(Initialiser):
    """Keeps the variance of values and gradients alike through linear layers (Glorot, 2010)."""

    least_rank = 2
    formula = "U(-a, a), a = √(6 / (fan_in + fan_out))"
    numpy = glorot
    torch = "nn.init.xavier_uniform_(tensor)"


def he(rng, shape):
    """Normal with standard deviation sqrt(2 / fan_in)."""
    return rng.normal(0.0, math.sqrt(2 / max(fans(shape)[0], 1)), shape)


class He(Initialiser):
    """Keeps the variance of values through layers of rectifiers (He et al., 2015)."""

    least_rank = 2
    formula = "N(0, 2 / fan_in)"
    numpy = he
    torch = 'nn.init.kaiming_normal_(tensor, nonlinearity="relu")'


def lecun(rng, shape):
    """Normal with standard deviation sqrt(1 / fan_in)."""
    return rng.normal(0.0, math.sqrt(1 / max(fans(shape)[0], 1)), shape)


class Lecun(Initialiser):
    """Keeps the variance of values through linear layers (LeCun et al., 1998)."""

    least_rank = 2
    formula = "N(0, 1 / fan_in)"
    numpy = lecun
    torch = 'nn.init.kaiming_normal_(tensor, nonlinearity="linear")'


def orthogonal(rng, shape, gain=1.0):
    """Rows, or columns where there are fewer, that are orthonormal, times gain."""
    rows, columns = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return gain * (q if rows >= columns else q.T).reshape(shape)


class Orthogonal(Initialiser):
    """A random matrix with orthonormal rows or columns, uniformly distributed (Saxe, 2013)."""

    gain: float = 1.0
    least_rank = 2
    formula = "gain Q, with Qᵀ Q = I or Q Qᵀ = I"
    numpy = orthogonal
    torch = "nn.init.orthogonal_(tensor, gain)"
