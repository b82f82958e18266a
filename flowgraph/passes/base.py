"""Passes: graph to graph, as values that can be listed, run one at a time and looked at.

A pass is a frozen dataclass with a name; its fields are its options. Promises that the graph
is verified before the first pass and after every one, not during; a pass that breaks the IR
is an InternalError naming it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from ..errors import InternalError
from ..graph import Graph, verify

Observer = Callable[["Pass", Graph], None]


@dataclass(frozen=True)
class Pass:
    """A transformation of graphs. Subclasses give `name` and `run`."""

    name: ClassVar[str] = ""

    def run(self, graph: Graph) -> Graph:
        """The transformed graph; the one given is left as it is."""
        raise NotImplementedError(self.name)


@dataclass(frozen=True)
class Pipeline:
    """Passes in order, with an observer that sees the graph after each."""

    passes: tuple[Pass, ...]

    def run(self, graph: Graph, observe: Observer | None = None) -> Graph:
        """Run all passes. Raises InternalError where one breaks a promise of the IR."""
        _verify_once(graph)
        for step in self.passes:
            graph = step.run(graph)
            try:
                _verify_once(graph)
            except InternalError as error:
                raise InternalError(f"after pass {step.name}: {error}") from error
            if observe is not None:
                observe(step, graph)
        return graph


def _verify_once(graph: Graph) -> None:
    """Verify a graph that was not verified before: a finished graph never changes."""
    if not graph.is_verified:
        verify(graph)
        graph.is_verified = True
