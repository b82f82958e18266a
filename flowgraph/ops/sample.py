"""Sample operands: what operations are tested on, and documented with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..types import BOOL, REAL, Dim, Elem, TensorType


@dataclass(frozen=True)
class Arg:
    """A sample operand: a shape and where its entries are drawn from.

    kind: "real", "int", "bool" or "class"; "buffer", reals that no derivative is taken by; or what a
    call gives: "mode" (whether it is for training) and "key" (of random draws). avoid: points (kinks,
    poles) that entries keep a distance of 0.05 from. distinct: no two entries closer than 0.05 (for
    max and the like).
    """

    shape: tuple[int, ...] = ()
    low: float = -2.0
    high: float = 2.0
    kind: str = "real"
    classes: int = 0
    avoid: tuple[float, ...] = ()
    distinct: bool = False

    @property
    def type(self) -> TensorType:
        elem = Elem(self.kind, Dim.of(self.classes)) if self.kind == "class" else Elem(self.kind)
        elem = {"mode": BOOL, "buffer": REAL}.get(self.kind, elem)
        return TensorType(elem, tuple(Dim.of(n) for n in self.shape))

    def draw(self, rng: np.random.Generator, lead: tuple[int, ...] = ()) -> np.ndarray:
        """An array of this shape after the leading axes."""
        shape = (*lead, *self.shape)
        if self.kind in ("mode", "key"):
            return np.array([7, 1]) if self.kind == "key" else np.array(self.high > 0)
        if self.kind == "bool":
            return rng.integers(0, 2, shape).astype(bool)
        if self.kind == "class":
            return rng.integers(0, self.classes, shape)
        if self.kind == "int":
            return rng.integers(int(self.low), int(self.high) + 1, shape)
        if self.distinct:
            count = int(np.prod(shape))
            grid = np.linspace(self.low, self.high, max(count, 2))[:count]
            return rng.permutation(grid).reshape(shape)
        out = rng.uniform(self.low, self.high, shape)
        for point in self.avoid:
            near = np.abs(out - point) < 0.05
            out = np.where(near, point + np.where(out >= point, 0.1, -0.1), out)
        return out


def real(*shape: int, **where: Any) -> Arg:
    """A real operand of this shape."""
    return Arg(shape, **where)


def klass(count: int, *shape: int) -> Arg:
    """A class(count) operand."""
    return Arg(shape, kind="class", classes=count)


MODE, TRAIN, DRAWN_FROM = Arg(kind="mode", high=0), Arg(kind="mode"), Arg(kind="key")
"""The operands that the call of an emitted function gives: outside training, in it; a key."""

UNPASSED = ("mode", "key", "buffer")
"""The kinds of operands that no call in a diagram passes."""


def buffer(*shape: int) -> Arg:
    """A buffer of positive numbers."""
    return Arg(shape, low=0.5, kind="buffer")


class Sample:
    """Operands and attrs on which an operation is tested, and with which it is documented."""

    def __init__(self, *args: Arg, **attrs: Any) -> None:
        self.args = args
        self.attrs = attrs

    @property
    def passed(self) -> list[Arg]:
        """The operands that a call in a diagram passes, and the parameters it makes."""
        return [arg for arg in self.args if arg.kind not in UNPASSED]

    def __repr__(self) -> str:
        return (
            f"Sample({', '.join([*map(str, (a.shape for a in self.args)), *map(str, self.attrs.items())])})"
        )
