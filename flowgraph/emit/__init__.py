"""Graphs to source text: one file a target."""

from __future__ import annotations

from ..graph import Graph
from .module import header_for
from .numpy import emit_numpy
from .torch import emit_torch


def emit(graph: Graph, source: str, version: str, target: str, level: int, dtype: str) -> str:
    """The text of a module for the target, from a graph over batches."""
    header = header_for(graph, source, version, target, level, dtype)
    return emit_numpy(graph, header) if target == "numpy" else emit_torch(graph, header)
