"""Graphs to source text: one file a target."""

from __future__ import annotations

from ..graph import Graph
from .module import header_for
from .numpy import emit_numpy
from .torch import emit_torch


def emit(
    graph: Graph, source: str, version: str, target: str, level: int, dtype: str, gradient: Graph | None = None
) -> str:
    """The text of a module for the target, from a graph over batches.

    gradient: the same graph with its gradient, for the numpy target's `loss_and_grad`.
    """
    header = header_for(gradient or graph, source, version, target, level, dtype)
    if target == "numpy":
        return emit_numpy(graph, header, gradient)
    return emit_torch(graph, header)
