"""From a diagram to what its picture shows: circles, layers, and frames that fold.

Assumes a checked diagram. Promises that every value which is named, or is an output or a loss, is in the
picture: as a
circle, a box, or inside of a fold; that the ids are the same from run to run; and that what is left out is
counted (⋮) or said in `remarks`. Metrics are left out, as is what only they need: they take no part in the
flow.
"""

from __future__ import annotations

from ..graph import Graph
from ..parse import paused_collector
from .fold import guard
from .level import Level, Sheet
from .picture import Picture

READABLE = 18
"""Blocks are unfolded, from outside in, while there are at most so many items."""
DEEPEST = 24
NOTHING = "the page is empty: nothing flows in the diagram"


def collect(
    graph: Graph,
    *,
    depth: int | None = None,
    scale: str = "auto",
    limit: int | None = None,
    metrics: bool = False,
) -> Picture:
    """The picture of a typed graph of one example.

    depth: how many levels of blocks, repeats and scans are unfolded; None: as many as leave at most READABLE
    items on the page. scale: "circles" also draws vectors in equations as circles, "layers" draws everything
    as
    boxes, "auto" as `neurons.find` says. limit: beyond so many items the middle is folded (`fold.guard`).
    metrics: draw them too.
    """
    with paused_collector():
        return _collected(graph, depth, scale, limit, metrics)


def _collected(graph: Graph, depth: int | None, scale: str, limit: int | None, metrics: bool) -> Picture:
    if depth is not None:
        return _guarded(graph, _sheet(graph, depth, scale, metrics), limit)
    best = _sheet(graph, 0, scale, metrics)
    for level in range(1, DEEPEST):
        if len(best.items) > READABLE or not any(item.kind == "fold" for item in best.items):
            break
        deeper = _sheet(graph, level, scale, metrics)
        if len(deeper.items) > READABLE:
            break
        best = deeper
    return _guarded(graph, best, limit)


def _sheet(graph: Graph, depth: int, scale: str, metrics: bool) -> Sheet:
    level = Level(graph, depth=depth, scale=scale, metrics=metrics)
    level.draw()
    return level.out


def _guarded(graph: Graph, sheet: Sheet, limit: int | None) -> Picture:
    items, wires, frames = tuple(sheet.items), tuple(sheet.wires), tuple(sheet.frames)
    remarks = () if items else (NOTHING,)
    return guard(Picture(graph.name, graph.doc, items, wires, frames, remarks), limit, sheet.folded)
