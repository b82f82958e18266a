"""`wires W from "edges.csv"`: the wires that a table lists, between circles of layers.

Assumes, when the table is laid out, that all other wires of the scope are read. Promises one array node for
each layer, or circle, that wires of the table end in (`ops/sparse.py`), whose sources are put side by side,
whatever the number of wires; W, their weights in the order of the table, is one param. What is measured
(batch 32, 500 circles in a layer, 11 wires into each): to put the sources of a layer side by side takes 6 µs
for each layer they come from, a list of wires for each pair of layers 25.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Diagnostics
from ..ops import OPS
from ..ops.init import INITS
from ..ops.leaf import Array, Const
from ..syntax import WiresStmt
from ..types import Dim
from .circles import report_unwired
from .scope import Scope
from .static import Skip
from .symbols import Circle, Term, real_type
from .table_ends import Edges, TableEnds
from .table_levels import Split, can_split, split_layers

LARGE, READ = 1024, 4
"""Of a layer with more circles, of which fewer than one in so many is read, those are taken out first."""


ReadEdges = Callable[[WiresStmt, Diagnostics], Edges | None]
"""Reads the table of a statement, or reports why not."""


@dataclass
class Tabled:
    """A table of a scope: its statement, what it says, and the node of its weights."""

    statement: WiresStmt
    edges: Edges
    param: str


def declare_table(statement: WiresStmt, scope: Scope) -> None:
    """Make the param of a table's weights. Raises Skip after reporting an error."""
    edges = None if scope.read_edges is None else scope.read_edges(statement, scope.found)
    if edges is None:
        scope.tables.append(None)
        raise Skip
    symbol = scope.symbols[statement.name]
    symbol.used = True
    symbol.type = real_type(len(edges.source))
    init = INITS["zeros"]() if edges.weights is None else INITS["given"](value=Array(edges.weights))
    symbol.node = scope.add_param(statement.name, symbol.type, init, statement.name_span)
    scope.tables.append(Tabled(statement, edges, symbol.node))


def lay_tables(scope: Scope) -> None:
    """Add the wires of all tables to the circles they end in."""
    laid: list[_Layout] = []
    if None in scope.tables:  # what it would feed is not to be said to lack wires
        for circle in scope.circles.values():
            circle.broken = True
    for table in filter(None, scope.tables):
        ends = TableEnds(scope, table.edges)
        if not ends.resolve():
            continue
        split = split_layers(ends)
        bases = (scope.circles[part.layer] for part in split.parts.values())
        if ends.ring is not None and (len(scope.tables) > 1 or not all(map(can_split, bases))):
            ends.report_ring(ends.ring)
            continue
        laid.append(_Layout(scope, table, ends, split))
    covered: dict[str, np.ndarray] = {}
    for layout in laid:
        layout.count(covered)
    for name, cells in covered.items():
        _check_wired(scope, scope.circles[name], cells)
    for layout in laid:
        layout.start()
        layout.lay()


def _check_wired(scope: Scope, circle: Circle, covered: np.ndarray) -> None:
    """Report the first circle of a layer that neither a table nor a drawn wire ends in."""
    if circle.terms or circle.bias is not None:
        return
    drawn = [*circle.cells, *circle.cell_bias]
    covered[drawn] = True
    bare = np.flatnonzero(~covered)
    if len(bare):
        report_unwired(scope, circle, f"{circle.name}[{bare[0]}]")


class _Layout:
    """Makes the nodes of a table whose ends are found."""

    def __init__(self, scope: Scope, table: Tabled, ends: TableEnds, split: Split) -> None:
        self.scope, self.table, self.ends, self.split = scope, table, ends, split
        self.values: dict[str, str] = {}
        """The nodes of parts of layers, by the names of the parts."""
        self.sums: dict[str, list[tuple[np.ndarray, str]]] = {}
        """Of layers in parts, the places of the circles of each part, and the node of their sums."""
        sizes = [_size(scope, name) for name in ends.names]
        self.starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        """Where the circles of each layer begin among those of all, and their number."""

    def count(self, covered: dict[str, np.ndarray]) -> None:
        """Note how many wires of the table end in each circle, and which circles have one."""
        ends = self.ends
        weighted = ends.source != ends.order.get("1", -1)
        for name, here in self._by_circle(weighted).items():
            circle = self.scope.circles[name]
            for cell, fans in enumerate(here.tolist()):
                place = None if circle.size is None else cell
                circle.fan_in[place] = circle.fan_in.get(place, 0) + fans
        for name, here in self._by_circle(np.ones(len(weighted), bool)).items():
            if self.scope.circles[name].size is not None:
                covered.setdefault(name, np.zeros(len(here), bool))[here > 0] = True

    def _by_circle(self, chosen: np.ndarray) -> dict[str, np.ndarray]:
        """How many of some wires end in each circle, by the names of the layers that the table's end in."""
        counts = np.bincount(self._place_of_targets()[chosen], minlength=int(self.starts[-1]))
        found = {}
        for group in np.unique(self.ends.target).tolist():
            found[self.ends.names[group]] = counts[self.starts[group] : self.starts[group + 1]]
        return found

    def _place_of_targets(self) -> np.ndarray:
        """For each wire, where it ends among the circles of all layers, one layer after another."""
        return self.starts[self.ends.target] + self.ends.to_cell

    def start(self) -> None:
        """Give fresh weights their first values: uniform in ±1/√fan_in, biases 0."""
        if self.table.edges.weights is not None:
            return
        fans = np.zeros(int(self.starts[-1]))
        for group in np.unique(self.ends.target).tolist():
            circle = self.scope.circles[self.ends.names[group]]
            start = int(self.starts[group])
            for cell, count in circle.fan_in.items():
                every = slice(start, int(self.starts[group + 1])) if cell is None else start + cell
                fans[every] += count
        of_wires = fans[self._place_of_targets()]
        of_wires[self.ends.source == self.ends.order.get("1", -1)] = np.inf
        self.scope.start_param(self.table.param, INITS["wireuniform"](fan_in=Array(of_wires)))

    # -- nodes

    def lay(self) -> None:
        """Add a term to every circle and layer that wires end in."""
        split = self.split
        order = np.argsort(split.target, kind="stable")
        groups, starts = np.unique(split.target[order], return_index=True)
        bounds = [*starts.tolist(), len(order)]
        weights = self._parts(order, np.diff(bounds).tolist())
        for number, group in enumerate(groups.tolist()):
            rows = order[bounds[number] : bounds[number + 1]]
            self._target(split.names[group], rows, weights[number])
        for layer, sums in self.sums.items():
            self._whole(self.scope.circles[layer], sums)

    def _parts(self, order: np.ndarray, counts: list[int]) -> list[str]:
        """The weights of the wires into each group."""
        scope, span, whole = self.scope, self.table.statement.span, self.table.param
        if np.any(np.diff(order) < 0):
            whole = scope.add(OPS["rearrange"](order=Array(order)), [whole], span=span)
        if len(counts) == 1:
            return [whole]
        parts = scope.add(OPS["split"](parts=tuple(map(Dim.of, counts)), axis=0), [whole], span=span)
        items = (OPS["item"](index=i, count=len(counts)) for i in range(len(counts)))
        return [scope.add(item, [parts], span=span) for item in items]

    def _target(self, name: str, rows: np.ndarray, weights: str) -> None:
        span, part = self.table.statement.span, self.split.parts.get(name)
        circle = self.scope.circles[name if part is None else part.layer]
        count = _count(circle) if part is None else len(part.cells)
        sources, places = self._sources(rows)
        op = OPS["wired"](source=Array(places), target=Array(self.split.to_cell[rows]), count=Dim.of(count))
        made = self.scope.add(op, [weights, sources], span=span)
        for group in dict.fromkeys(self.ends.source[rows].tolist()):
            circle.feeds.setdefault(self.ends.names[group], span)
        if part is None:
            self._add(circle, made)
            return
        self.sums.setdefault(part.layer, []).append((part.cells, made))
        self.values[name] = made
        if circle.activation is not None:
            self.values[name] = self.scope.add(circle.activation, [made], span=span)

    def _add(self, circle: Circle, vector: str) -> None:
        """Add a vector to what the excitation of a layer or circle is the sum of."""
        span = self.table.statement.span
        if circle.size is None:
            vector = self.scope.add(OPS["index"](items=(0,)), [vector], span=span)
        circle.terms.append(Term(1, vector, place=span.start))

    def _whole(self, circle: Circle, sums: Sequence[tuple[np.ndarray, str]]) -> None:
        """Add the sums of all parts of a layer to it, each in its place."""
        order = np.argsort(np.concatenate([cells for cells, _ in sums]))
        if len(order) < _count(circle):
            return  # a circle that nothing feeds, which is told
        vectors = [vector for _, vector in sums]
        whole = vectors[0] if len(vectors) == 1 else self._made(OPS["concat"](axis=0), *vectors)
        if np.any(np.diff(order) < 0):
            whole = self._made(OPS["rearrange"](order=Array(order)), whole)
        self._add(circle, whole)

    def _sources(self, rows: np.ndarray) -> tuple[str, np.ndarray]:
        """All that some wires come from as one vector, and the place of each wire's source in it.

        Single numbers stand behind the vectors.
        """
        split = self.split
        places = np.zeros(len(rows), np.int64)
        values: list[str] = []
        singles: list[str] = []
        start = 0
        for group in sorted(np.unique(split.source[rows]).tolist(), key=self._is_single):
            chosen = split.source[rows] == group
            value, cells, size = self._source(split.names[group], split.from_cell[rows[chosen]])
            places[chosen] = start + cells
            start += size
            (singles if self._is_single(group) else values).append(value)
        if singles:
            values.append(self._made(OPS["stack"](axis=0), *singles))
        return values[0] if len(values) == 1 else self._made(OPS["concat"](axis=0), *values), places

    def _is_single(self, group: int) -> bool:
        """Whether what wires come from is a single number."""
        found = self.ends.groups.get(self.split.names[group])
        return found is not None and found.size is None

    def _source(self, name: str, cells: np.ndarray) -> tuple[str, np.ndarray, int]:
        """What wires from some entries of a layer read, the places of these there, and its size."""
        if name == "1":
            return self._made(Const(value=Array([1.0]))), cells, 1
        if name in self.split.parts:
            return self.values[name], cells, len(self.split.parts[name].cells)
        group = self.ends.groups[name]
        assert group is not None
        if group.size is None:
            return group.symbol.node, cells, 1
        used = np.unique(cells)
        if group.size <= LARGE or READ * len(used) >= group.size:
            return group.symbol.node, cells, group.size
        taken = self._made(OPS["take"](axis=0), group.symbol.node, self._made(Const(value=Array(used))))
        return taken, np.searchsorted(used, cells), len(used)

    def _made(self, op: Any, *operands: str) -> str:
        """A node, the same for all that want it."""
        key = ("table", op, operands)
        if key not in self.scope.interned:
            self.scope.interned[key] = self.scope.add(op, operands, span=self.table.statement.span)
        return self.scope.interned[key]


def _size(scope: Scope, name: str) -> int:
    """How many circles the table may end in, of a layer by its name; 0 of what is none."""
    return _count(scope.circles[name]) if name in scope.circles else 0


def _count(circle: Circle) -> int:
    return 1 if circle.size is None else circle.size.value or 0
