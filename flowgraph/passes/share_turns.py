"""Make the angles of rotary embeddings once: outside of the blocks and rounds that turn by them.

`rotary(x)` becomes x cos + swapped(x) sin, where cos and sin are tables that no value enters. Where they
stand in what a call or loop holds they are made before it, and given to it. Assumes that sizes
mean the same inside as outside. Equal to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from ..graph import Builder, Graph, Node, renamed
from ..ops import OPS
from ..ops.control import Call, Loop
from ..ops.rotary import Rotary, RotaryCos, RotarySin, Turns
from .base import Pass

Table = Callable[[Turns], str]
"""The node of a table, made where it is not there yet."""


@dataclass(frozen=True)
class ShareTurns(Pass):
    """Tables of angles, each made once."""

    name: ClassVar[str] = "share_turns"

    def run(self, graph: Graph) -> Graph:
        if not any(_has_rotary(node) for node in graph):
            return graph
        out = graph.like()
        builder = Builder(out, [n.name for n in graph])
        tables: dict[Turns, str] = {}

        def table(op: Turns) -> str:
            if op not in tables:
                tables[op] = builder.apply(op, (), hint=op.title)
            return tables[op]

        for node in graph:
            if _is_turned(node):
                _turn(builder, node, table)
            elif isinstance(node.op, (Call, Loop)):
                out.add(_holding(node, self.run(node.op.graph), table))
            else:
                out.add(node)
        return out.close(graph.inputs, graph.targets, graph.params, graph.results)


def _is_turned(node: Node) -> bool:
    return isinstance(node.op, Rotary) and not node.op.interleaved


def _has_rotary(node: Node) -> bool:
    held = node.op.graph if isinstance(node.op, (Call, Loop)) else ()
    return _is_turned(node) or any(_has_rotary(inner) for inner in held)


def _turn(builder: Builder, node: Node, table: Table) -> None:
    """Add the node as x cos + swapped(x) sin."""
    op, x = node.op, node.operands[0]
    rows, width = node.type.shape[-2:]
    settings = {"rows": rows, "width": width, "base": op.base, "offset": op.offset}
    cos, sin = table(RotaryCos(**settings)), table(RotarySin(**settings))
    swapped = builder.apply(OPS["swap_halves"](), (x,), span=node.span)
    along, across = (builder.apply(OPS["mul"](), o, span=node.span) for o in ((x, cos), (swapped, sin)))
    whole = OPS["sub" if op.inverse else "add"]()
    builder.graph.add(renamed(node, op=whole, operands=(along, across)))


def _holding(node: Node, inner: Graph, table: Table) -> Node:
    """A call or loop, given its graph over tables: these are among its operands."""
    made = [n for n in inner if isinstance(n.op, Turns)]
    if not made:
        return node
    step = inner.like()
    for each in inner:
        step.add(renamed(each, op=OPS["input"](type=each.type)) if each in made else each)
    op, inputs, operands = node.op, list(inner.inputs), list(node.operands)
    place = len(inputs)
    if isinstance(op, Loop):  # what rounds share stands before what each has for itself
        place = op.round_trip() + op.shared
        op = op.with_attrs(shared=op.shared + len(made))
    inputs[place:place] = [n.name for n in made]
    operands[place:place] = [table(n.op) for n in made]
    step.close(inputs, (), (), inner.results)
    return renamed(node, op=op.with_subgraphs([step]), operands=tuple(operands))
