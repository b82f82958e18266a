"""What the call of an emitted function gives besides inputs and parameters: mode, key, rate, buffers.

`training` says whether the call is for training; `key` is what its random draws are made from; `rate`
is the learning rate, in code that gives the steps of plain gradient descent; a `buffer` is an array that
a layer keeps up by itself. A draw is a pure function of its key: every operation that draws takes a key
of its own, a `stream` of the call's. So a value is drawn once however often a graph mentions it, all
functions of a module draw the same from the same key, and neither derivatives nor simplifications need
to know of randomness.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..types import BOOL, KEY, REAL, TensorType, Type, Unifier
from .base import Batching, NonDifferentiable, Value
from .declared import Ints
from .leaf import Leaf

TRAINING, OF_KEY, OF_RATE = TensorType(BOOL), TensorType(KEY), TensorType(REAL)


class Training(Leaf):
    """Whether the call is for training; it is not unless it says so."""

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        return np.False_


class Key(Leaf):
    """What the random draws of a call are made from: whole numbers that no other call has.

    Where a call gives none it is empty, and nothing can be drawn from it.
    """

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        return np.array([], dtype=np.int64)


class Rate(Leaf):
    """The learning rate of the step, where what a function gives back is multiplied by it."""


class Buffer(Leaf):
    """An array that is not trained but kept up by the layer that made it, with its first values."""

    init: Any


class Stream(NonDifferentiable):
    """The key of one operation, call or step of many that are given the same: with numbers of its own."""

    operands = ("key",)
    path: Ints
    latex = "{key}"
    unsaid = ("path",)

    def wants(self, types: Sequence[Any]) -> list[Any]:
        return [None]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return OF_KEY

    def form(self, target: str, types: Sequence[Any]) -> str:
        return f"(*key, {', '.join(map(str, self.path))})"

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        return np.array([*arrays[0], *self.path], dtype=np.int64) if len(arrays[0]) else arrays[0]

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        return b.apply(self, *values)


def draw_key(rng, who):
    """The key of one call's draws; who: the operations that draw."""
    if rng is None:
        raise ValueError(f"rng is needed, a numpy.random.Generator: {who}")
    return (int(rng.integers(2**63)),)


def need_key(key: Any, who: str) -> None:
    """Raise ValueError where there is nothing to draw from."""
    if len(key) == 0:
        raise ValueError(f"{who} needs a key to draw from")
