"""Say what a sum of pieces in borders of zeros comes to, where they lie side by side: their concatenation.

The cotangent of a value that is taken apart (`qkv[0]`, `qkv[1]`, `qkv[2]`) is the sum of what its parts
send, each at its place among zeros. Exact: each entry is one number plus zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..graph import Graph, Node, renamed
from ..ops import OPS
from ..types import Dim
from .base import Pass


@dataclass(frozen=True)
class Tile(Pass):
    """Sums of padded pieces that fill an axis become `concat`, or `stack` of pieces of size 1."""

    name: ClassVar[str] = "tile"

    def run(self, graph: Graph) -> Graph:
        if not any(node.op.name == "pad" for node in graph):
            return graph
        made = {node.name: new for node in graph if (new := _tiled(graph, node)) is not None}
        return graph if not made else _with(graph, made)


def _with(graph: Graph, made: dict[str, Node]) -> Graph:
    out = graph.like()
    for node in graph:
        out.add(made.get(node.name, node))
    return out.close(graph.inputs, graph.targets, graph.params, graph.results)


def _tiled(graph: Graph, node: Node) -> Node | None:
    """What stands for the sum that a node is; None where it is none of pieces that fill an axis."""
    if node.op.name != "add":
        return None
    pieces = [_piece(graph, term) for term in _terms(graph, node)]
    placed = [p for p in pieces if p is not None]
    if len(placed) < len(pieces) or len({axis for axis, _, _ in placed}) > 1:
        return None
    axis = placed[0][0]
    order = _in_order([(start, inner) for _, start, inner in placed], axis, node.type.shape[axis])
    if order is None:
        return None
    if all(_is_unsqueezed(graph, inner, axis) for inner in order):
        return renamed(node, op=OPS["stack"](axis=axis), operands=tuple(i.operands[0] for i in order))
    return renamed(node, op=OPS["concat"](axis=axis), operands=tuple(i.name for i in order))


def _terms(graph: Graph, node: Node) -> list[Node]:
    """The terms of a sum of sums that nothing else uses."""
    found: list[Node] = []
    for operand in node.operands:
        term = graph[operand]
        if term.op.name == "add" and term.hint is None and graph.use_count(operand) == 1:
            found += _terms(graph, term)
        else:
            found.append(term)
    return found


def _piece(graph: Graph, term: Node) -> tuple[int, Dim, Node] | None:
    """Of a padded piece its axis, from the last one, where it starts, and the piece."""
    if term.op.name != "pad" or term.op.value != 0 or term.hint is not None:
        return None
    widths = [Dim.of(w) for w in term.op.widths]
    axes = [i for i in range(len(widths) // 2) if widths[2 * i] != 0 or widths[2 * i + 1] != 0]
    if len(axes) != 1:
        return None
    return -1 - axes[0], widths[2 * axes[0]], graph[term.operands[0]]


def _in_order(pieces: Sequence[tuple[Dim, Node]], axis: int, size: Dim) -> list[Node] | None:
    """The pieces from the first to the last, if each begins where the one before it ends."""
    left, place, found = list(pieces), Dim.of(0), []
    while left:
        chosen = next((i for i, (start, _) in enumerate(left) if start == place), None)
        if chosen is None:
            return None
        found.append(left.pop(chosen)[1])
        place = place + found[-1].type.shape[axis]
    return found if place == size else None


def _is_unsqueezed(graph: Graph, piece: Node, axis: int) -> bool:
    if piece.op.name != "unsqueeze" or piece.hint is not None:
        return False
    return [a if a < 0 else a - piece.type.rank for a in piece.op.axis] == [axis]
