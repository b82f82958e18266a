"""Identities that hold exactly in floating point: x·1, x/1, x − 0, x^1, −(−x), x + (−y).

`x + 0` is not among them (it turns −0 into 0), nor is `x · 0` (nan and inf stay nan).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..graph import Graph, Node, renamed
from ..ops import OPS
from .base import Pass
from .rewrite import rewrite

NEUTRAL = {"mul": (1, (0, 1)), "div": (1, (1,)), "sub": (0, (1,)), "pow": (1, (1,))}
"""The number that leaves the other operand as it is, and the slots it may stand in."""


@dataclass(frozen=True)
class Simplify(Pass):
    """Algebraic identities."""

    name: ClassVar[str] = "simplify"

    def run(self, graph: Graph) -> Graph:
        return rewrite(graph, _simplify)


def _simplify(out: Graph, node: Node) -> Node | str:
    stands_for = _same_as(out, node)
    if stands_for is not None and out[stands_for].type == node.type:
        if node.hint is None:
            return stands_for
        return renamed(node, op=OPS["identity"](), operands=(stands_for,))
    if node.op.name == "add":
        left, right = (out[o] for o in node.operands)
        if right.op.name == "neg" and right.hint is None:
            return renamed(node, op=OPS["sub"](), operands=(left.name, right.operands[0]))
    return node


def _same_as(out: Graph, node: Node) -> str | None:
    """The operand whose value the node has, if there is one."""
    if node.op.name == "identity":
        return node.operands[0] if node.hint is None else None
    if node.op.name == "neg" and out[node.operands[0]].op.name == "neg":
        return out[node.operands[0]].operands[0]
    if node.op.name == "weighted_sum" and node.op.weights == (1,) and node.op.bias is None:
        return node.operands[0]
    if node.op.name in NEUTRAL:
        neutral, slots = NEUTRAL[node.op.name]
        for slot in slots:
            other = out[node.operands[slot]]
            value = other.op.value if other.op.name == "const" else None
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value == neutral:
                return node.operands[1 - slot]
    return None
