"""Keep only some results: what a function does not return need not be computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..graph import Graph, rebuild
from .base import Pass


@dataclass(frozen=True)
class Keep(Pass):
    """The results of these roles."""

    name: ClassVar[str] = "keep"
    parts: ClassVar[bool] = True
    roles: tuple[str, ...] = ()

    def run(self, graph: Graph) -> Graph:
        return rebuild(graph, graph, [r for r in graph.results if r.role in self.roles])
