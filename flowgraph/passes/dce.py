"""Remove what no result depends on, in scans too.

Inputs, targets, params and buffers stay: they are the interface.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..graph import Graph, rebuild
from .base import Pass
from .trim import trimmed


@dataclass(frozen=True)
class Dce(Pass):
    """Dead code elimination."""

    name: ClassVar[str] = "dce"

    def run(self, graph: Graph) -> Graph:
        nodes, alive = trimmed(graph, (r.node for r in graph.results))
        alive.update(graph.inputs, graph.targets, graph.params, graph.buffers)
        return rebuild(graph, (n for n in nodes if n.name in alive))
