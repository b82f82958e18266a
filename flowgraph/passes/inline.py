"""Dissolve calls: put the nodes of a called graph in place of the node that calls it.

Assumes a typed graph. Promises a graph without `call` and `loop` nodes that computes the same values;
the names of inner nodes are prefixed with the call's. What a scan holds is treated alike, and literal
arrays in it are made outside: every step shares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..graph import Graph, Node, renamed
from ..naming import Namer
from ..ops import OPS
from ..ops.scan import Scan
from .base import Pass

DISSOLVED = ("call", "loop")


@dataclass(frozen=True)
class Inline(Pass):
    """Calls become copies of what they call, and loops of what they repeat, once for each round."""

    name: ClassVar[str] = "inline"
    bare: bool = False
    """Whether only those in which no parameters are made."""

    def run(self, graph: Graph) -> Graph:
        if not any(node.op.subgraphs() for node in graph):
            return graph
        out = graph.like()
        namer = Namer(n.name for n in graph)
        results: dict[str, list[str]] = {}
        for node in graph:
            if self._dissolves(node):
                results[node.name] = self._rounds(out, namer, node)
                if len(results[node.name]) == 1:
                    inner = results[node.name]
                    out.add(Node(node.name, OPS["identity"](), (inner[0],), node.type, node.hint, node.span))
            elif node.op.name == "item" and node.operands[0] in results:
                inner = [results[node.operands[0]][node.op.index]]
                out.add(Node(node.name, OPS["identity"](), (inner[0],), node.type, node.hint, node.span))
            elif isinstance(node.op, Scan):
                out.add(self._scan(out, namer, node))
            else:
                out.add(node)
        return out.close(graph.inputs, graph.targets, graph.params, graph.results)

    def _scan(self, out: Graph, namer: Namer, node: Node) -> Node:
        """A scan whose step has no calls and no literal arrays; these are added before it."""
        inner = Inline().run(node.op.graph)
        arrays = [n for n in inner if n.op.name == "const" and n.type.shape]
        if not arrays and inner is node.op.graph:
            return node
        step, operands = inner.like(), list(node.operands)
        for each in inner:
            if each in arrays:
                operands.append(namer.unique(f"{node.name}_{each.name}".replace(".", "_")))
                out.add(renamed(each, name=operands[-1]))
                each = renamed(each, op=OPS["input"](type=each.type))
            step.add(each)
        step.close([*inner.inputs, *(a.name for a in arrays)], (), (), inner.results)
        return renamed(node, op=node.op.with_subgraphs([step]), operands=tuple(operands))

    def _dissolves(self, node: Node) -> bool:
        return node.op.name in DISSOLVED and not (self.bare and node.op.path)

    def _rounds(self, out: Graph, namer: Namer, node: Node) -> list[str]:
        """Copy what a node holds as often as it is applied; returns the nodes of its results."""
        inner = self.run(node.op.graph)
        path = (node.op.path or node.name).replace(".", "_")
        if node.op.name == "call":
            return self._copy(out, namer, inner, node.operands, path)
        going = list(node.operands[: node.op.round_trip()])
        for index in range(node.op.count):
            operands = [*going, *node.op.of_round(node.operands, index)]
            going = self._copy(out, namer, inner, operands, f"{path}_{index}")
        return going

    def _copy(self, out: Graph, namer: Namer, inner: Graph, given: Sequence[str], path: str) -> list[str]:
        """Copy a graph's nodes; returns the nodes of its results."""
        new = dict(zip(inner.inputs, given, strict=True))
        for node in inner:
            if node.name in new:
                continue
            new[node.name] = namer.unique(f"{path}_{node.hint or node.name}")
            out.add(
                Node(
                    new[node.name], node.op, tuple(new[o] for o in node.operands), node.type, None, node.span
                )
            )
        return [new[r.node] for r in inner.results]
