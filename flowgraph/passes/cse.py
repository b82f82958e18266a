"""Compute equal values once. A value the diagram names keeps its own statement.

Exact: the same operation on the same operands gives the same bits. So do operations that draw
random numbers, whose key is an operand; no two of them have the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..graph import Graph, Node
from .base import Pass
from .rewrite import rewrite

APART = ("input", "target", "param", "buffer", "zeros", "zeros_like")
"""Leaves, which are different things; and zeros, which cost nothing and may each be added to in place."""


@dataclass(frozen=True)
class Cse(Pass):
    """Common subexpression elimination."""

    name: ClassVar[str] = "cse"

    def run(self, graph: Graph) -> Graph:
        seen: dict[Any, str] = {}

        def rule(out: Graph, node: Node) -> Node | str:
            if node.op.name in APART:
                return node
            key = (node.op, node.operands)
            if node.hint is None and key in seen:
                return seen[key]
            seen.setdefault(key, node.name)
            return node

        return rewrite(graph, rule)
