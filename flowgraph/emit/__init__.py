"""Graphs to source text: one file a target."""

from __future__ import annotations

from collections.abc import Mapping

from ..graph import Graph
from ..passes.engines import Engines
from ..passes.functions import Functions
from ..passes.inside import Inside
from ..passes.share_turns import ShareTurns
from .module import Header, with_names
from .modules import CannotHold
from .numpy import emit_numpy
from .torch import emit_torch


def emit(
    graph: Graph, header: Header, derived: Mapping[str, Graph] | None = None, named: Graph | None = None
) -> str:
    """The text of a module, from a graph over batches.

    header: target, level and dtype among it. derived: graphs with derivatives by the function that
    is written from each. named: a graph with the diagram's own params, where those of `graph` are
    packed. Raises CannotHold where calls of blocks must be dissolved first.
    """
    derived = derived or {}
    if header.target == "torch" and header.level > 0:
        graph = ShareTurns().run(Inside(Functions(is_fast=header.level > 1)).run(graph))
    if header.sparse:
        engines = Inside(Engines(header.sparse))
        graph, derived = engines.run(graph), {f: engines.run(g) for f, g in derived.items()}
    header = with_names(header, [graph, *derived.values()], named or graph)
    return (emit_numpy if header.target == "numpy" else emit_torch)(graph, header, derived, named or graph)


__all__ = ["CannotHold", "Header", "emit"]
