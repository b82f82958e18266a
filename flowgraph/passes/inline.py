"""Dissolve calls: put the nodes of a called graph in place of the node that calls it.

Assumes a typed graph. Promises a graph without `call` nodes that computes the same values;
the names of inner nodes are prefixed with the call's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..graph import Graph, Node
from ..naming import Namer
from ..ops import OPS
from .base import Pass


@dataclass(frozen=True)
class Inline(Pass):
    """Calls become copies of what they call."""

    name: ClassVar[str] = "inline"

    def run(self, graph: Graph) -> Graph:
        if not any(node.op.name == "call" for node in graph):
            return graph
        out = graph.like()
        namer = Namer(n.name for n in graph)
        results: dict[str, list[str]] = {}
        for node in graph:
            if node.op.name == "call":
                results[node.name] = self._copy(out, namer, node)
                if len(results[node.name]) == 1:
                    inner = results[node.name]
                    out.add(Node(node.name, OPS["identity"](), (inner[0],), node.type, node.hint, node.span))
            elif node.op.name == "item" and node.operands[0] in results:
                inner = [results[node.operands[0]][node.op.index]]
                out.add(Node(node.name, OPS["identity"](), (inner[0],), node.type, node.hint, node.span))
            else:
                out.add(node)
        return out.close(graph.inputs, graph.targets, graph.params, graph.results)

    def _copy(self, out: Graph, namer: Namer, call: Node) -> list[str]:
        """Copy the called graph's nodes; returns the nodes of its results."""
        inner = self.run(call.op.graph)
        new = dict(zip(inner.inputs, call.operands, strict=True))
        for node in inner:
            if node.name in new:
                continue
            new[node.name] = namer.unique(f"{call.name}_{node.name}")
            operands = tuple(new[o] for o in node.operands)
            out.add(Node(new[node.name], node.op, operands, node.type, None, node.span))
        return [new[r.node] for r in inner.results]
