"""Circles, once all their wires are known: excitations and activations become nodes.

Promises sums in the order of the wires in the text, the bias first, and for every circle the
nodes `xi_h` and `h` (one node where the activation is the identity).
"""

from __future__ import annotations

from typing import Any

from ..errors import Span, shorten
from ..ops import OPS
from ..ops.init import INITS
from ..ops.leaf import WeightedSum
from ..types import TensorType
from .local import type_of
from .scope import Scope
from .static import Skip
from .symbols import Circle, Term


class Circles:
    """Makes the nodes of a scope's circles."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def finish(self) -> None:
        """Make the nodes of every circle whose declaration has no error."""
        for circle in self.scope.circles.values():
            if not self.scope.symbols[circle.name].poisoned:
                self._finish(circle)

    def _start_fresh(self, circle: Circle) -> None:
        """Fresh weights start uniform in ±1/√fan_in, now that all wires into the circle are known."""
        for param, cell in circle.fresh:
            fan_in = circle.fan_in.get(None, 0) + (0 if cell is None else circle.fan_in.get(cell, 0))
            self.scope.start_param(param, INITS["fanuniform"](fan_in=max(fan_in, 1)))

    def _finish(self, circle: Circle) -> None:
        self._start_fresh(circle)
        hint = circle.name if circle.xi == circle.name else f"xi_{circle.name}"
        terms, bias = list(circle.terms), circle.bias
        if circle.cells or circle.cell_bias:
            cells = self._cells(circle)
            if cells is None:
                return
            terms.append(Term(1, cells, place=max((t.place for t in terms), default=0)))
        if not terms and bias is None:
            report_unwired(self.scope, circle, circle.name)
            return
        shape = () if circle.size is None else (circle.size,)
        self._sum(terms, bias, shape, hint, circle.xi, circle.span)
        if circle.activation is not None:
            self.scope.add(
                circle.activation, [circle.xi], hint=circle.name, span=circle.span, name=circle.name
            )

    def _sum(
        self, terms: list[Term], bias: int | float | None, shape: Any, hint: str, name: str, span: Span
    ) -> None:
        terms = sorted(terms, key=lambda t: (not t.is_bias, t.place))
        weights = tuple(t.factor for t in terms)
        op = WeightedSum(weights=weights, bias=bias, shape=shape)
        wide = not shape or any(self._is_wide(t.node) for t in terms)
        if not terms:
            assert bias is not None
            literal = self.scope.literal(bias, span)
            self.scope.add(OPS["expand"](shape=shape), [literal], hint=hint, span=span, name=name)
        elif wide:
            self.scope.add(op, [t.node for t in terms], hint=hint, span=span, name=name)
        else:
            op = WeightedSum(weights=weights, bias=bias, shape=())
            total = self.scope.add(op, [t.node for t in terms], span=span)
            self.scope.add(OPS["expand"](shape=shape), [total], hint=hint, span=span, name=name)

    def _is_wide(self, node: str) -> bool:
        """Whether a term is a vector; one whose type has an error counts as one."""
        try:
            type = type_of(self.scope, node)
        except Skip:
            return True
        return not isinstance(type, TensorType) or bool(type.shape)

    def _cells(self, circle: Circle) -> str | None:
        """The vector of what reaches the circles of a layer one by one; None if some has no wire."""
        count = None if circle.size is None else circle.size.value
        assert count is not None
        whole = bool(circle.terms) or circle.bias is not None
        bare = (
            [] if whole else [i for i in range(count) if i not in circle.cells and i not in circle.cell_bias]
        )
        if bare:
            report_unwired(self.scope, circle, f"{circle.name}[{bare[0]}]")
            return None
        parts = []
        for cell in range(count):
            terms, bias = circle.cells.get(cell, []), circle.cell_bias.get(cell)
            if not terms:
                parts.append(self.scope.literal(bias or 0, circle.span))
                continue
            name = self.scope.namer.unique(f"xi_{circle.name}_{cell}")
            self._sum(terms, bias, (), f"xi_{circle.name}_{cell}", name, circle.span)
            parts.append(name)
        return self.scope.add(OPS["stack"](), parts, span=circle.span)


def report_unwired(scope: Scope, circle: Circle, name: str) -> None:
    """Report E0202 for a circle that nothing feeds, or one circle of a layer."""
    scope.skipped = True
    scope.check_patience()
    if circle.broken:
        return  # a wire to it has an error of its own
    what = "circle" if circle.size is None or "[" in name else "layer"
    scope.found.report(
        "E0202",
        f"the {what} `{shorten(name)}` has no incoming wire",
        circle.span,
        "nothing feeds it",
        help=f"draw a wire to it, `x -> {shorten(name)}`, or remove it",
    )
