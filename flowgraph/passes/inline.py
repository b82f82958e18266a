"""Dissolve calls: put the nodes of a called graph in place of the node that calls it.

Assumes a typed graph. Promises a graph without `call` and `loop` nodes that computes the same values;
the names of inner nodes are prefixed with the call's. What a scan holds is treated alike, and literal
arrays in it are made outside: every step shares them. Where loops are to stay, those do whose rounds
differ in their parameters alone, and what they hold is treated like what a scan holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..graph import Graph, Node, renamed
from ..naming import Namer
from ..ops import OPS
from ..ops.control import Loop
from ..ops.scan import Scan
from .base import Pass
from .rounds import differ_in_params

DISSOLVED = ("call", "loop")


@dataclass(frozen=True)
class Inline(Pass):
    """Calls become copies of what they call, and loops of what they repeat, once for each round."""

    name: ClassVar[str] = "inline"
    bare: bool = False
    """Whether only those in which no parameters are made."""
    rounds: bool = False
    """Whether loops stay whose rounds differ in their parameters alone."""

    def run(self, graph: Graph) -> Graph:
        inlined = self._once(graph)
        # Which of the loops in a block may stay shows when they stand where their parameters are.
        return self._once(inlined) if self.rounds else inlined

    def _once(self, graph: Graph) -> Graph:
        if not any(node.op.subgraphs() for node in graph):
            return graph
        out = graph.like()
        namer = Namer(n.name for n in graph)
        results: dict[str, list[str]] = {}
        for node in graph:
            if self._dissolves(graph, node):
                results[node.name] = self._rounds(out, namer, node)
                if len(results[node.name]) == 1:
                    inner = results[node.name]
                    out.add(Node(node.name, OPS["identity"](), (inner[0],), node.type, node.hint, node.span))
            elif node.op.name == "item" and node.operands[0] in results:
                inner = [results[node.operands[0]][node.op.index]]
                out.add(Node(node.name, OPS["identity"](), (inner[0],), node.type, node.hint, node.span))
            elif isinstance(node.op, (Scan, Loop)):
                out.add(self._holding(out, namer, node))
            else:
                out.add(node)
        return out.close(graph.inputs, graph.targets, graph.params, graph.results)

    def _holding(self, out: Graph, namer: Namer, node: Node) -> Node:
        """A scan or loop whose graph has no calls and no literal arrays; these are added before it."""
        if self.bare and isinstance(node.op, Loop):
            return node
        inner = Inline().run(node.op.graph)
        arrays = [n for n in inner if n.op.name == "const" and n.type.shape]
        if not arrays and inner is node.op.graph:
            return node
        step, made = inner.like(), []
        for each in inner:
            if each in arrays:
                made.append(namer.unique(f"{node.name}_{each.name}".replace(".", "_")))
                out.add(renamed(each, name=made[-1]))
                each = renamed(each, op=OPS["input"](type=each.type))
            step.add(each)
        op, inputs, operands = node.op, list(inner.inputs), list(node.operands)
        place = len(inputs)
        if isinstance(op, Loop):  # what rounds share stands before what each has for itself
            place = op.round_trip() + op.shared
            op = op.with_attrs(shared=op.shared + len(made))
        inputs[place:place] = [a.name for a in arrays]
        operands[place:place] = made
        step.close(inputs, (), (), inner.results)
        return renamed(node, op=op.with_subgraphs([step]), operands=tuple(operands))

    def _dissolves(self, graph: Graph, node: Node) -> bool:
        if self.rounds and isinstance(node.op, Loop):
            return not differ_in_params(graph, node)
        return node.op.name in DISSOLVED and not (self.bare and node.op.path)

    def _rounds(self, out: Graph, namer: Namer, node: Node) -> list[str]:
        """Copy what a node holds as often as it is applied; returns the nodes of its results."""
        inner = self.run(node.op.graph)
        path = (node.op.path or node.name).replace(".", "_")
        if node.op.name == "call":
            return self._copy(out, namer, inner, node.operands, path)
        op, count = node.op, node.op.round_trip()
        going, kept = list(node.operands[:count]), [[""]] * op.count
        for index in reversed(range(op.count)) if op.reverse else range(op.count):
            operands = [*going, *op.of_round(node.operands, index)]
            found = self._copy(out, namer, inner, operands, f"{path}_{index}")
            going, kept[index] = found[:count], found[count:]
        return [*going, *(name for names in kept for name in names)]

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
