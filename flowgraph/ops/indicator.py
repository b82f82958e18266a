"""A comparison as a number, in one pass: what a comparison and a cast are in planned code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..types import REAL, Elem, TensorType, Type, Unifier
from .base import Elementwise, NonDifferentiable, Sample, broadcast, real, to_common

COMPARISONS = {
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
}
"""The operations that compare, whose names are numpy's, and their signs."""


class Indicator(NonDifferentiable, Elementwise):
    """1 where the comparison holds, else 0. compare: the name of the operation."""

    operands = ("a", "b")
    compare: str
    takes = "any"
    bounds = (0.0, 1.0)
    samples = [
        *(Sample(real(2, 3), real(), compare=compare) for compare in COMPARISONS),
        Sample(real(2, 3), real(3), compare="less"),
    ]

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return to_common(types)

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return TensorType(REAL, broadcast(u, self, types))

    def form(self, target: str, types: Sequence[Any]) -> str:
        sign = COMPARISONS[self.compare]
        return f"(a {sign} b).astype(real)" if target == "numpy" else f"(a {sign} b).to(real)"

    def into_form(self, types: Sequence[Any]) -> tuple[str, ...]:
        return (f"np.{self.compare}(a, b, out=out)",)
