"""Require of symbolic sizes what the operations need of them: a kernel fits into no shorter sequence.

Assumes a typed graph. Promises the same nodes, and a requirement for each need that a size of the
data could leave unmet, those of the graphs inside included; so every engine says what is wrong
before it computes anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from ..graph import Graph, Requirement
from ..types import Dim
from .base import Pass


@dataclass(frozen=True)
class NeedSizes(Pass):
    """The graph, requiring what its operations need."""

    name: ClassVar[str] = "need-sizes"

    def run(self, graph: Graph) -> Graph:
        said = {(r.condition, r.message): r for r in graph.requires}
        for requirement in _needs(graph):
            said.setdefault((requirement.condition, requirement.message), requirement)
        if len(said) == len(graph.requires):
            return graph
        out = graph.like(requires=said.values())
        for node in graph:
            out.add(node)
        return out.close(graph.inputs, graph.targets, graph.params, graph.results)


def _needs(graph: Graph) -> Iterator[Requirement]:
    for node in graph:
        types = [graph[o].type for o in node.operands]
        for size, least, why in node.op.needs(types):
            if _may_be_less(size, least):
                yield Requirement((">=", *_moved(size, least)), why, node.span)
        for inner in node.op.subgraphs():
            yield from _needs(inner)


def _may_be_less(size: Dim, least: int) -> bool:
    """Whether some data have a size below this."""
    falls = any(factor < 0 for names, factor in size.terms if names)
    return bool(size.symbols) and (falls or size.at(dict.fromkeys(size.symbols, 0)) < least)


def _moved(size: Dim, least: int) -> tuple[Any, int]:
    """The two sides with the number alone on the right: T - 2 >= 1 is T >= 3."""
    constant = size.at(dict.fromkeys(size.symbols, 0))
    return size - constant, least - constant
