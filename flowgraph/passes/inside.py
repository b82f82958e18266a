"""Run passes in the graphs that nodes hold too: innermost first, each graph once."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import ClassVar

from ..graph import Graph, rebuild, renamed
from .base import Pass


@dataclass(frozen=True)
class Inside(Pass):
    """A pass over a graph and all graphs in it. Promises that equal graphs stay equal."""

    name: ClassVar[str] = "inside"
    step: Pass

    def run(self, graph: Graph) -> Graph:
        return self.step.run(self._within(graph, {}))

    def _within(self, graph: Graph, done: dict[int, Graph]) -> Graph:
        """The graph with the pass run in what its nodes hold; done: by the identity of the graph."""
        if not graph.holds_graphs:
            return graph
        nodes = []
        for node in graph:
            inner = node.op.subgraphs()
            for each in inner:
                if id(each) not in done:
                    done[id(each)] = self.step.run(self._within(each, done))
            held = [done[id(each)] for each in inner]
            is_same = all(map(operator.is_, held, inner))
            nodes.append(node if is_same else renamed(node, op=node.op.with_subgraphs(held)))
        return rebuild(graph, nodes)
