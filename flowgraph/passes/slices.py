"""Compute of a product only what is read of it.

Assumes a typed graph, best one in which equal values are computed once: two slices of what are still two
equal products would become two products. Rows and columns picked from a product of matrices or of two
vectors, which nothing else uses and nobody named, are the product of those rows and columns. Exact, but for
rounding where a library sums a smaller product in another order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..graph import Graph, Node, renamed
from ..ops import OPS
from ..ops.select import FULL
from .base import Pass
from .rewrite import fresh, live_uses, rewrite


@dataclass(frozen=True)
class Slices(Pass):
    """Indices into products, moved into their factors."""

    name: ClassVar[str] = "slices"

    def run(self, graph: Graph) -> Graph:
        uses = live_uses(graph)

        def rule(out: Graph, node: Node) -> Node:
            is_read_once = node.op.name == "index" and uses[node.operands[0]] == 1
            return _within(out, node) if is_read_once else node

        return rewrite(graph, rule)


def _within(out: Graph, node: Node) -> Node:
    """The product of what is picked, if what it is picked from is a product."""
    product = out[node.operands[0]]
    if product.hint is not None or product.op.name not in ("matmul", "outer"):
        return node
    row, column = (*node.op.items, FULL)[:2]
    is_outer = product.op.name == "outer"
    if is_outer and (isinstance(row, int) or isinstance(column, int)):
        return node
    if not is_outer and any(out[o].type.rank != 2 for o in product.operands):
        return node
    left, right = product.operands
    if row != FULL:
        left = _index(out, node, left, (row,))
    if column != FULL:
        right = _index(out, node, right, (column,) if is_outer else (FULL, column))
    return renamed(node, op=product.op, operands=(left, right))


def _index(out: Graph, node: Node, matrix: str, items: tuple[Any, ...]) -> str:
    op = OPS["index"](items=items)
    name = fresh(out, f"{matrix}_of_{node.name}")
    out.add(Node(name, op, (matrix,), op.result_type([out[matrix].type]), None, node.span, node.of))
    return name
