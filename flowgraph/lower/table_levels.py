"""Layers whose circles feed each other by a table without a ring: their parts, level by level.

Assumes the ends of a table without a ring of circles. Promises parts of such layers, each circle in one, of
which none is fed by itself or by a later one; all other layers stay whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import networkx as nx
import numpy as np

from ..ops.base import Elementwise
from .symbols import Circle
from .table_ends import TableEnds


@dataclass(frozen=True)
class Part:
    """Some circles of a layer, by their places there, in rising order."""

    layer: str
    cells: np.ndarray


@dataclass
class Split:
    """The ends of wires, as in `TableEnds`, parts standing for layers; parts: by their names, `h@2`."""

    names: list[str]
    source: np.ndarray
    target: np.ndarray
    from_cell: np.ndarray
    to_cell: np.ndarray
    parts: dict[str, Part] = field(default_factory=dict)


def split_layers(ends: TableEnds) -> Split:
    """The layers that are on rings of layers, in parts."""
    if ends.ring is None:
        return Split(ends.names, ends.source, ends.target, ends.from_cell, ends.to_cell)
    group, cell = ends.group.copy(), ends.cell.copy()
    edges, component = ends.edges, _components(ends)
    inside = (component[ends.source] == component[ends.target]) & (component[ends.source] >= 0)
    level = _levels(edges.source[inside], edges.target[inside], len(edges.names))
    used = np.unique(np.concatenate([edges.source, edges.target]))
    used = used[component[group[used]] >= 0]
    names, parts = list(ends.names), {}
    keys = np.stack([level[used], group[used]])
    for depth, layer in np.unique(keys, axis=1).T.tolist():
        chosen = used[(level[used] == depth) & (group[used] == layer)]
        cells = np.sort(ends.cell[chosen])
        group[chosen] = len(names)
        cell[chosen] = np.searchsorted(cells, ends.cell[chosen])
        name = f"{ends.names[layer]}@{depth}"
        names.append(name)
        parts[name] = Part(ends.names[layer], cells)
    # What lies outside of the ring reads the whole layer, which is made once all its parts are.
    source = np.where(inside, group[edges.source], ends.source)
    from_cell = np.where(inside, cell[edges.source], ends.from_cell)
    return Split(names, source, group[edges.target], from_cell, cell[edges.target], parts)


def can_split(circle: Circle) -> bool:
    """Whether a layer can be computed in parts: the table has all wires into it, and its activation works
    circle by circle."""
    is_drawn = circle.terms or circle.cells or circle.cell_bias or circle.bias is not None
    op = circle.activation
    return not is_drawn and (op is None or (isinstance(op, Elementwise) and not op.draws))


def _components(ends: TableEnds) -> np.ndarray:
    """For each layer the number of the ring it is on, -1 for none."""
    count = len(ends.names)
    pairs = np.unique(ends.source * count + ends.target)
    graph = nx.DiGraph(zip((pairs // count).tolist(), (pairs % count).tolist(), strict=True))
    found = np.full(count, -1)
    for number, layers in enumerate(nx.strongly_connected_components(graph)):
        if len(layers) > 1 or graph.has_edge(*layers, *layers):
            found[list(layers)] = number
    return found


def _levels(source: np.ndarray, target: np.ndarray, count: int) -> np.ndarray:
    """How many wires the longest way to each circle has."""
    order = np.argsort(source, kind="stable")
    heads, bounds = target[order], np.searchsorted(source[order], np.arange(count + 1))
    waits = np.bincount(target, minlength=count)
    level = np.zeros(count, np.int64)
    ready = np.flatnonzero(waits == 0)
    depth = 0
    while len(ready):
        level[ready] = depth
        depth += 1
        counts = bounds[ready + 1] - bounds[ready]
        steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        fed, times = np.unique(heads[np.repeat(bounds[ready], counts) + steps], return_counts=True)
        waits[fed] -= times
        ready = fed[waits[fed] == 0]
    return level
