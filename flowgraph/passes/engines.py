"""Say which library computes lists of wires, where it is not numpy alone.

Assumes a typed graph. Promises the same graph, its `wired` nodes with that library as their engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..graph import Graph, rebuild, renamed
from .base import Pass


@dataclass(frozen=True)
class Engines(Pass):
    """Lists of wires by a library: "scipy"."""

    name: ClassVar[str] = "engines"
    library: str

    def run(self, graph: Graph) -> Graph:
        if not any(node.op.name == "wired" for node in graph):
            return graph
        nodes = (
            renamed(node, op=node.op.with_attrs(engine=self.library)) if node.op.name == "wired" else node
            for node in graph
        )
        return rebuild(graph, nodes)
