"""Remove what no result depends on. Inputs, targets and params stay: they are the interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..graph import Graph, rebuild
from .base import Pass


@dataclass(frozen=True)
class Dce(Pass):
    """Dead code elimination."""

    name: ClassVar[str] = "dce"

    def run(self, graph: Graph) -> Graph:
        alive = graph.ancestors(r.node for r in graph.results)
        alive.update(graph.inputs, graph.targets, graph.params)
        return rebuild(graph, (n for n in graph if n.name in alive))
