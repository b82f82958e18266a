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
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .base import Attr, OpDefinitionError

if TYPE_CHECKING:
    pass

INITS: dict[str, type[Initialiser]] = {}
"""Every initialiser by name."""


class Initialiser:
    """A distribution of first values; immutable, equal to another of the same class and attrs."""

    name: ClassVar[str] = ""
    attrs: ClassVar[tuple[Attr, ...]] = ()
    formula: ClassVar[str] = ""
    numpy: ClassVar[Any] = None
    torch: ClassVar[str] = ""
    least_rank: ClassVar[int] = 0
    """How many axes the parameter must have."""
    public: ClassVar[bool] = True
    """Whether users write it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.attrs = tuple(
            Attr(name, kind, cls.__dict__.get(name, ...))
            for name, kind in cls.__dict__.get("__annotations__", {}).items()
            if not kind.startswith("ClassVar")
        )
        cls.name = cls.__name__.lower()
        if cls.name in INITS or not cls.__doc__:
            raise OpDefinitionError(f"initialiser {cls.name} is declared twice, or has no docstring")
        INITS[cls.name] = cls

    def __init__(self, **attrs: Any) -> None:
        for attr in type(self).attrs:
            value = attrs.pop(attr.name, attr.default)
            if value is ...:
                raise OpDefinitionError(f"{self.name} needs {attr.name}")
            object.__setattr__(self, attr.name, value)
        if attrs:
            raise OpDefinitionError(f"{self.name} has no {', '.join(attrs)}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"initialisers are immutable: {self.name}.{name}")

    @property
    def values(self) -> dict[str, Any]:
        """The attrs by name."""
        return {a.name: getattr(self, a.name) for a in type(self).attrs}

    def __eq__(self, other: object) -> bool:
        return self is other or (type(self) is type(other) and repr(self) == repr(other))

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.values.items())})"

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


class Uniform(Initialiser):
    """Uniform between two bounds."""

    a: float = 0.0
    b: float = 1.0
    formula = "U(a, b)"
    numpy = "rng.uniform(a, b, shape)"
    torch = "nn.init.uniform_(tensor, a, b)"


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


class FanUniform(Initialiser):
    """Uniform in ±1/√fan_in, as PyTorch's linear layers and fresh wires start."""

    public = False
    fan_in: int
    formula = "U(-1/√fan_in, 1/√fan_in)"
    numpy = "rng.uniform(-1, 1, shape) / np.sqrt(fan_in)"
    torch = "nn.init.uniform_(tensor, -(fan_in**-0.5), fan_in**-0.5)"
