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
Shared = dict[tuple[int, "Pass"], tuple[Graph, Graph]]
"""What passes made of graphs, by the identity of the graph, which is kept beside what was made of it."""


@dataclass(frozen=True)
class Pass:
    """A transformation of graphs. Subclasses give `name` and `run`."""

    name: ClassVar[str] = ""
    parts: ClassVar[bool] = False
    """Whether pipelines that begin alike part here: it is the first step towards a derivative."""

    def run(self, graph: Graph) -> Graph:
        """The transformed graph; the one given is left as it is."""
        raise NotImplementedError(self.name)


@dataclass(frozen=True)
class Pipeline:
    """Passes in order, with an observer that sees the graph after each."""

    passes: tuple[Pass, ...]

    def run(self, graph: Graph, observe: Observer | None = None, shared: Shared | None = None) -> Graph:
        """Run all passes. Raises InternalError where one breaks a promise of the IR.

        shared: what pipelines that begin alike have done so far, and need not do again.
        """
        _verify_once(graph)
        idle: set[Pass] = set()
        """The passes that left the graph as it is by now, and need not run again."""
        for step in self.passes:
            before = graph
            if step.parts:
                shared = None
            if step not in idle:
                graph = step.run(graph) if shared is None else _made(step, graph, shared)
            idle = {*idle, step} if graph is before else set()
            try:
                _verify_once(graph, before)
            except InternalError as error:
                raise InternalError(f"after pass {step.name}: {error}") from error
            if observe is not None:
                observe(step, graph)
        return graph


def _made(step: Pass, graph: Graph, shared: Shared) -> Graph:
    """What a pass makes of a graph; passes are functions, so it is made once."""
    if (id(graph), step) not in shared:
        shared[id(graph), step] = graph, step.run(graph)
    return shared[id(graph), step][1]


def _verify_once(graph: Graph, before: Graph | None = None) -> None:
    """Verify a graph that was not verified before: a finished graph never changes.

    before: a verified one that it was made of, which most of its nodes are from.
    """
    if not graph.is_verified:
        verify(graph, before=before)
        graph.is_verified = True
