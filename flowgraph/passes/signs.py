"""Carry minus signs outwards, until they meet another or become a subtraction.

`-a * b` becomes `-(a * b)`, likewise in quotients, products of matrices and sums over axes;
`-a + b` becomes `b - a`, and `a - -b` becomes `a + b`. Exact: rounding to nearest treats both
signs alike. A value that has a name or several users keeps its sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..graph import Builder, Graph, Node, renamed
from ..ops import OPS
from .base import Pass

ODD = ("mul", "div", "matmul", "sum", "mean", "expand", "transpose_last", "index", "pad", "unsqueeze")
"""Operations whose value changes its sign with any one operand's."""


@dataclass(frozen=True)
class Signs(Pass):
    """Signs outside of products and sums."""

    name: ClassVar[str] = "signs"

    def run(self, graph: Graph) -> Graph:
        alone = {
            n.name for n in graph if n.op.name == "neg" and n.hint is None and graph.use_count(n.name) == 1
        }
        if not alone:
            return graph
        out = graph.like()
        builder = Builder(out, [n.name for n in graph])
        for node in graph:
            _move(builder, node, alone)
        return out.close(graph.inputs, graph.targets, graph.params, graph.results)


def _move(builder: Builder, node: Node, alone: set[str]) -> None:
    """Add the node with the signs of its operands moved out of it."""
    out = builder.graph
    if alone.isdisjoint(node.operands):
        out.add(node)
        return
    signed = [o in alone and out[o].op.name == "neg" for o in node.operands]
    bare = tuple(out[o].operands[0] if s else o for o, s in zip(node.operands, signed, strict=True))
    if node.op.name in ODD and any(signed):
        if sum(signed) == 2:
            out.add(renamed(node, operands=bare))
            return
        builder.of = node.of
        inner = builder.apply(node.op, bare, span=node.span)
        builder.of = None
        out.add(renamed(node, op=OPS["neg"](), operands=(inner,)))
        if node.hint is None:
            alone.add(node.name)
        return
    if node.op.name == "add" and signed[0] and not signed[1]:
        out.add(renamed(node, op=OPS["sub"](), operands=(bare[1], bare[0])))
    elif node.op.name == "sub" and signed[1] and not signed[0]:
        out.add(renamed(node, op=OPS["add"](), operands=bare))
    else:
        out.add(node)
