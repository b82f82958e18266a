"""Matrix products into given arrays.

Assumes a planned body whose operands have variables. Promises that no operand is copied.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ...graph import Node
from ...ops.shape import product
from ...types import Dim
from ..template import call, name
from .homes import Home, View

if TYPE_CHECKING:
    from .body import PlannedBody


class Products:
    """Writes the calls."""

    def __init__(self, body: PlannedBody) -> None:
        self.body = body
        self._flat: dict[str, str] = {}

    def call(self, node: Node, out: ast.expr) -> ast.expr:
        """A matrix product: `np.dot` is the quicker call, but copies what is not laid out in one piece."""
        a, b = node.operands
        ranks = [self.body.graph[o].type.rank for o in (a, b)]
        operands = [self.body.variables[o] for o in (a, b)]
        plain = all(self._in_one_piece(o) for o in (a, b)) and self._owns(node.name)
        if max(ranks) > 2 and ranks[1] == 2 and plain and self._c_order(a) and self.body.plan_.is_fixed(a):
            operands[0], out = self._as_rows(a), self._as_rows(node.name)
            ranks = [2, 2]
        title = "np.dot" if max(ranks) <= 2 and plain else "np.matmul"
        made = call(title, *operands)
        made.keywords = [ast.keyword("out", out)]
        return made

    def _as_rows(self, node: str) -> ast.expr:
        """A value with its first axes as one, as a view made once."""
        if node not in self._flat:
            type = self.body.graph[node].type
            rows = product(type.shape[:-1])
            value = self.body.variables.get(node) or name(self.body.titles[node])
            title = value.id if isinstance(value, ast.Name) else node
            shaped = ast.Attribute(value, "reshape", ast.Load())
            variable = self.body.namer.variable(f"{title}_rows")
            self.body.bind(
                variable, ast.Call(shaped, [self.body.size(rows), self.body.size(Dim.of(type.shape[-1]))], [])
            )
            self._flat[node] = variable
        return name(self._flat[node])

    def _in_one_piece(self, node: str) -> bool:
        layout = self.body.plan_.layouts.get(node)
        if layout is None:
            return False
        return bool(layout.flags.c_contiguous or layout.flags.f_contiguous) and self._laid_out(node)

    def _c_order(self, node: str) -> bool:
        return bool(self.body.plan_.layouts[node].flags.c_contiguous)

    def _laid_out(self, node: str) -> bool:
        """Whether the array in which a value lies is as the plan's layouts take it to be: its own."""
        while isinstance(home := self.body.plan_.homes[node], View):
            node = home.of
        return not isinstance(home, Home) or self._owns(node)

    def _owns(self, node: str) -> bool:
        """Whether a value has an array, or a gradient's, for itself."""
        home = self.body.plan_.homes[node]
        assert isinstance(home, Home)
        steps = self.body.plan_.gradients[node][1] if node in self.body.plan_.gradients else home.steps
        return all(op.name == "reshape" for op in steps)
