"""An array laid out from single numbers: what the weights of a drawing's wires are to the compiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from ..types import REAL, Dim, TensorType, Type, Unifier
from .base import Batching, LinearMap, Sample, Value, apply, fn, real
from .declared import Shape
from .value import OPS

MOST_WRITTEN = 12
"""So many entries stand in a formula, row by row."""


class Assemble(LinearMap):
    """Numbers as the entries of an array, row by row."""

    operands = ("*xs",)
    shape: Shape
    latex = r"[{xs}]"
    unsaid = ("shape",)
    samples = [
        Sample(real(), real(), real(), real(), shape=(2, 2)),
        Sample(real(), real(), shape=(2,)),
        Sample(real(), shape=(1, 1)),
    ]

    def lengths(self) -> list[int]:
        """The sizes of the array."""
        return [int(Dim.of(n).value or 0) for n in self.shape]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return TensorType(REAL, tuple(Dim.of(n) for n in self.lengths()))

    def notation(self, types: Sequence[Any]) -> str:
        """The rows in brackets, as far as they are not too many."""
        if len(types) > MOST_WRITTEN:
            return self.latex
        return _nested([f"{{xs[{i}]}}" for i in range(len(types))], self.lengths())

    def form(self, target: str, types: Sequence[Any]) -> Any:
        if target == "torch":
            return "torch.stack([*xs])" if len(self.lengths()) == 1 else "torch.stack([*xs]).reshape(shape)"
        return f"np.array({_nested([f'xs[{i}]' for i in range(len(types))], self.lengths())}, dtype=real)"

    def simpler(self, *xs: Value) -> Value | None:
        return fn.reshape(fn.stack(*xs), shape=self.lengths())

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        return np.array(arrays, dtype=np.float64).reshape(self.lengths())

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        rows = [b.spread(v, t) for v, t in zip(values, types, strict=True)]
        whole = b.mark(apply(OPS["stack"](axis=-1), *rows))
        return b.mark(apply(OPS["reshape"](shape=(b.size, *self.lengths())), whole))

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        places = product(*(range(n) for n in self.lengths()))
        return [fn.index(cotangent, items=place) for place in places]


def _nested(texts: Sequence[str], lengths: Sequence[int]) -> str:
    """`[[a, b], [c, d]]`."""
    if len(lengths) == 1:
        return f"[{', '.join(texts)}]"
    step = len(texts) // max(lengths[0], 1)
    rows = (texts[i * step : (i + 1) * step] for i in range(lengths[0]))
    return f"[{', '.join(_nested(row, lengths[1:]) for row in rows)}]"
