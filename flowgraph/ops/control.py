"""Operations that hold graphs: a block called as one node.

The graph inside is closed: its inputs are the node's operands, in order, and it has no params
of its own. Passes recurse into it by one rule each; `inline` is the pass that dissolves it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..graph import Graph
from ..types import Elem, Mismatch, TensorType, TupleType, Type, Unifier, describe
from .base import Op


class Call(Op):
    """A graph applied to operands; its outputs are the result, a tuple if there are several."""

    operands = ("*xs",)
    graph: Any
    latex = "{xs}"

    def subgraphs(self) -> Sequence[Graph]:
        return (self.graph,)

    def with_subgraphs(self, graphs: Sequence[Graph]) -> Op:
        return Call(graph=graphs[0])

    def accepts(self, count: int) -> bool:
        return count == len(self.graph.inputs)

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [None for _ in types]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        for slot, (given, name) in enumerate(zip(types, self.graph.inputs, strict=True)):
            wanted = self.graph[name].type
            if given.elem.kind != wanted.elem.kind or u.shape(given.shape) != u.shape(wanted.shape):
                raise Mismatch(
                    "shapes do not agree",
                    blame=[(slot, f"is {describe(given)}")],
                    help=f"`{self.graph.name}` takes {describe(wanted)} for `{name}`",
                )
        outputs = tuple(self.graph[r.node].type for r in self.graph.results)
        return outputs[0] if len(outputs) == 1 else TupleType(outputs)

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        known = evaluate_nodes(self.graph, dict(zip(self.graph.inputs, arrays, strict=True)), sizes)
        found = tuple(known[r.node] for r in self.graph.results)
        return found[0] if len(found) == 1 else found


def evaluate_nodes(graph: Graph, known: dict[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
    """Add to `known` the value of every node whose operands are known, in order."""
    for node in graph:
        if node.name not in known and node.op.name not in GIVEN and all(o in known for o in node.operands):
            types = [graph[o].type for o in node.operands]
            known[node.name] = node.op.evaluate([known[o] for o in node.operands], types, sizes)
    return known


GIVEN = ("input", "target", "param")
"""Nodes whose values come from outside."""
