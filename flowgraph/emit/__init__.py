"""Graphs to source text: one file a target."""

from __future__ import annotations

from collections.abc import Mapping

from ..graph import Graph
from .module import header_for
from .numpy import emit_numpy
from .torch import emit_torch


def emit(
    graph: Graph,
    source: str,
    version: str,
    target: str,
    level: int,
    dtype: str,
    derived: Mapping[str, Graph] | None = None,
) -> str:
    """The text of a module for the target, from a graph over batches.

    derived: graphs with derivatives by the function that is written from each (numpy target).
    """
    derived = derived or {}
    header = header_for([graph, *derived.values()], source, version, target, level, dtype)
    if target == "numpy":
        return emit_numpy(graph, header, derived)
    return emit_torch(graph, header, derived)
