"""A run of calls made piece by piece, as a loop.

Assumes a planned body that writes the run's statements one after the other.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from .. import source
from ..template import call, helper_name, name
from .chains import Chain, pieces

if TYPE_CHECKING:
    from .body import PlannedBody


class Run:
    """The loop in the making. is_open: whether its first statement is there."""

    def __init__(self, body: PlannedBody, chain: Chain) -> None:
        self.body, self.chain = body, chain
        self.last = chain.nodes[-1]
        self.is_open = False
        self._start = 0
        self._depth = 0
        titles = [body.titles[a] for a in chain.arrays]
        self._holder = body.namer.variable("chain")
        while len(body.parts) < len(titles):
            body.parts.append(body.namer.variable(f"p{len(body.parts)}"))
        self._parts = dict(zip(titles, body.parts, strict=False))

    def of_pieces(self, statement: ast.expr) -> ast.expr:
        """A statement over the pieces; the first one begins the loop."""
        if not self.is_open:
            self._start, self._depth, self.is_open = len(self.body.lines), self.body.depth, True
        return _Renamed(self._parts).visit(statement)

    def close(self) -> None:
        """End the loop: put its head above its statements, and what it goes over into the setup."""
        body = self.body
        helper = helper_name(pieces)
        body.helpers[helper] = pieces
        arrays = [name(title) for title in self._parts]
        made = call(body.renamed.get(helper, helper), ast.Constant(self.chain.rows), *arrays)
        body.bind(self._holder, made)
        head = f"{source.INDENT * self._depth}for {', '.join(self._parts.values())} in {self._holder}:"
        body.lines.insert(self._start, head)


class _Renamed(ast.NodeTransformer):
    """Names in the place of others."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return name(self.names[node.id]) if node.id in self.names else node
