"""Break long excitations into partial sums, so that every one is a short statement.

Exact: terms are still added one by one, in the order written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..graph import Builder, Graph, Node, renamed
from ..ops.leaf import WeightedSum
from .base import Pass


@dataclass(frozen=True)
class SplitSums(Pass):
    """At most `terms` terms in one sum."""

    name: ClassVar[str] = "split-sums"
    terms: int = 24

    def run(self, graph: Graph) -> Graph:
        if not any(node.op.name == "weighted_sum" for node in graph):
            return graph
        out = graph.like()
        builder = Builder(out, [n.name for n in graph])
        for node in graph:
            out.add(self._split(builder, node) if node.op.name == "weighted_sum" else node)
        return out.close(graph.inputs, graph.targets, graph.params, graph.results)

    def _split(self, builder: Builder, node: Node) -> Node:
        weights, operands, bias = node.op.weights, node.operands, node.op.bias
        if len(operands) <= self.terms:
            return node if node.of is None else renamed(node, of=None)
        while len(operands) > self.terms:
            first = WeightedSum(weights=weights[: self.terms], bias=bias)
            partial = builder.apply(first, operands[: self.terms], span=node.span)
            weights, operands = (1, *weights[self.terms :]), (partial, *operands[self.terms :])
            bias = None
        op = WeightedSum(weights=weights, bias=bias)
        return Node(node.name, op, tuple(operands), node.type, node.hint, node.span)
