"""Say what a product with a unit vector comes to: a row or a column.

The derivative with respect to one entry of a stacked vector, or of a layer with one output,
begins with a unit vector: a literal 1, padded with zeros. `e_i @ W` becomes `W[i]`, `W @ e_i`
becomes `W[:, i]`, an entry of a transposed matrix that of the matrix; repetitions and paddings
that add nothing go. Exact, but that a row that is not picked may hold infinite numbers, which
the product would turn into nan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..graph import Graph, Node, renamed
from ..ops import OPS
from ..types import Dim
from .base import Pass
from .rewrite import rewrite

FULL = ("slice", None, None)


@dataclass(frozen=True)
class Pick(Pass):
    """Products with unit vectors become indices."""

    name: ClassVar[str] = "pick"

    def run(self, graph: Graph) -> Graph:
        return rewrite(graph, _pick)


def _pick(out: Graph, node: Node) -> Node | str:
    op = node.op.name
    if op in ("expand", "pad"):
        source = out[node.operands[0]]
        if source.type == node.type and (op == "expand" or not any(w != 0 for w in node.op.widths)):
            return _same(node, source.name)
        if op == "expand" and source.op.name == "expand" and source.hint is None:
            return renamed(node, operands=source.operands)
    if op == "matmul":
        left, right = (out[o] for o in node.operands)
        row, column = _unit(out, left), _unit(out, right)
        if row is not None and right.type.rank == 2:
            return _entry(out, node, right, (row,))
        if column is not None and left.type.rank == 2:
            return _entry(out, node, left, (FULL, column))
    if op == "index" and len(node.op.items) in (1, 2):
        return _entry(out, node, out[node.operands[0]], node.op.items)
    return node


def _same(node: Node, source: str) -> Node | str:
    if node.hint is None:
        return source
    return renamed(node, op=OPS["identity"](), operands=(source,))


def _entry(out: Graph, node: Node, matrix: Node, items: tuple[Any, ...]) -> Node:
    """The node as an index into a matrix, or into the matrix that it is the transposed of."""
    if matrix.op.name == "transpose_last" and matrix.hint is None and matrix.type.rank == 2:
        if isinstance(items[0], int) and len(items) == 1:
            return _entry(out, node, out[matrix.operands[0]], (FULL, items[0]))
        if items[0] == FULL and isinstance(items[1], int):
            return _entry(out, node, out[matrix.operands[0]], (items[1],))
    return renamed(node, op=OPS["index"](items=items), operands=(matrix.name,))


def _unit(out: Graph, node: Node) -> int | None:
    """The place of the 1 in a unit vector; None for anything else."""
    if node.hint is not None or node.type.rank != 1:
        return None
    place = 0
    if node.op.name == "pad":
        start = Dim.of(node.op.widths[0])
        if node.op.value != 0 or start.value is None:
            return None
        place, node = start.value, out[node.operands[0]]
    if node.op.name != "expand" or node.type.shape != (1,):
        return None
    one = out[node.operands[0]]
    is_one = one.op.name == "const" and not one.type.shape and one.op.value == 1
    return place if is_one else None
