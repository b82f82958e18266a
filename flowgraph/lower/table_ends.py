"""The ends of the wires of a table: which circles its names stand for, and what is wrong with them.

Assumes that all other wires and all equations of the scope are read. Promises for every wire the layers, or
single circles, that its ends lie in and their places there; or errors that name the rows of the table. A
ring among the layers is one, and wires between circles that have one already are a warning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from ..errors import shorten
from ..types import Dim, TensorType, describe
from .local import type_of
from .scope import Scope
from .static import Skip
from .symbols import Symbol, article
from .table_rings import Ring, find_ring

END = re.compile(r"([A-Za-z][A-Za-z0-9_]*)(?:\[\s*(-?[0-9]{1,9})\s*\])?\Z")
"""A circle as a table names it."""

MOST_SAID = 20
"""So many mistakes of a table are told."""

CIRCLES = "wires end in circles declared by `node`"
WHOLE = "give all wires into them in one table, with an activation that works circle by circle"
SPELLED = "circles are named as in the diagram: `h1`, `h[0]`, `x[3]`; `1` is the constant source of a bias"


@dataclass
class Edges:
    """What a table says, wire by wire in its order.

    names: the ends as they are written, each once. source, target: for each wire the places of its ends
    among these. weights: None where the table has none. where: the place of a wire, `edges.csv:17`.
    """

    names: list[str]
    source: np.ndarray
    target: np.ndarray
    weights: np.ndarray | None
    where: Callable[[int], str]


@dataclass
class Group:
    """What ends of a table belong to: a layer or circle, by its symbol; size None for a single number."""

    symbol: Symbol
    size: int | None


@dataclass
class TableEnds:
    """The ends of a table: its groups by name, and for each wire those of its ends and the places there."""

    scope: Scope
    edges: Edges
    groups: dict[str, Group | None] = field(default_factory=dict)
    """None for what has an error of its own."""
    said: int = 0

    def resolve(self) -> bool:
        """Find all ends; False with the errors reported."""
        edges = self.edges
        count = len(edges.names)
        self.order: dict[str, int] = {}
        self.group, self.cell = np.zeros(count, np.int64), np.zeros(count, np.int64)
        first = _first_rows(edges.target, count)
        for place, row in enumerate(_first_rows(edges.source, count).tolist()):
            if row >= 0:
                self._end(place, row, first[place] >= 0, is_source=True)
        for place, row in enumerate(first.tolist()):
            if row >= 0:
                self._end(place, row, True, is_source=False)
        if self.said or None in self.groups.values():
            self.scope.skipped = True
            self._break()
            return False
        self._name_once()
        self.source, self.target = self.group[edges.source], self.group[edges.target]
        self.from_cell, self.to_cell = self.cell[edges.source], self.cell[edges.target]
        self._warn_twice()
        self.names = list(self.order)
        self.ring = find_ring(self.source, self.target, edges.source, edges.target, len(self.names))
        if self.ring is not None and self.ring.circles:
            self.report_ring(self.ring)
            return False
        return True

    def _name_once(self) -> None:
        """Let ends that are the same circle, such as `h[2]` and `h[-1]`, be one."""
        edges = self.edges
        _, first, same = np.unique(
            np.stack([self.group, self.cell]), axis=1, return_index=True, return_inverse=True
        )
        one = first[same.reshape(-1)]
        edges.source, edges.target = one[edges.source], one[edges.target]

    def _end(self, place: int, row: int, is_target: bool, *, is_source: bool) -> None:
        """Note what an end is, the first time it is seen as a source or as a target."""
        text = self.edges.names[place]
        try:
            if text == "1" and is_source:
                if is_target:
                    raise self._wrong(row, "E0203", "a wire cannot end in the constant 1", CIRCLES)
                self.group[place] = self.order.setdefault("1", len(self.order))
                return
            match = END.match(text)
            if match is None:
                raise self._wrong(row, "E0503", f"`{shorten(text)}` is no name of a circle", SPELLED)
            group = self._group(match[1], row)
            if group is None:
                return
            if not is_source and match[1] not in self.scope.circles:
                raise self._no_circle(match[1], group.symbol, row)
            self.group[place] = self.order.setdefault(match[1], len(self.order))
            self.cell[place] = self._cell(match, group, row)
        except _Told:
            return

    def _group(self, name: str, row: int) -> Group | None:
        """What a name stands for. Raises _Told."""
        if name in self.groups:
            return self.groups[name]
        symbol = self.scope.symbols.get(name)
        if symbol is None:
            known = [s.name for s in self.scope.symbols.values() if s.kind in ("node", "input", "equation")]
            cure = self.scope.found.closest(name, known)
            cure = cure or "the table may name inputs, nodes and what equations make"
            raise self._wrong(row, "E0101", f"`{shorten(name)}` is not defined", cure)
        symbol.used = True
        self.groups[name] = None
        if not symbol.poisoned:
            self.groups[name] = Group(symbol, self._size(symbol, row))
        return self.groups[name]

    def _size(self, symbol: Symbol, row: int) -> int | None:
        """How many circles a layer has, None for a single number. Raises _Told."""
        name = shorten(symbol.name)
        if symbol.kind in ("size", "const"):
            cure = f"let the wire start at `1`, with the value of `{name}` as its weight"
            raise self._wrong(row, "E0204", f"a wire cannot start at `{name}`, {article(symbol.kind)}", cure)
        try:
            type = type_of(self.scope, symbol.node)
        except Skip:
            raise _Told from None
        if not isinstance(type, TensorType) or type.rank > 1:
            said = describe(type) if isinstance(type, TensorType) else "several values"
            cure = "a wire starts at a single number or a layer [n]"
            raise self._wrong(row, "E0204", f"a wire cannot start at `{name}`, which is {said}", cure)
        size = type.shape[0] if type.shape else None
        if size is None:
            return None
        if not isinstance(size, Dim) or size.value is None:
            cure = "give the size a number"
            raise self._wrong(
                row, "E0301", f"the size of `{name}` must be known for a table to name its entries", cure
            )
        return size.value

    def _cell(self, match: re.Match[str], group: Group, row: int) -> int:
        """The place of a circle in its layer. Raises _Told."""
        index = match[2]
        cell = 0 if index is None else int(index)
        if group.size is None and index is None:
            return 0
        if group.size is not None and index is not None and -group.size <= cell < group.size:
            return cell % group.size
        name = shorten(match[1])
        if group.size is None:
            what = "circle" if group.symbol.kind == "node" else "number"
            raise self._wrong(
                row, "E0305", f"`{name}` is a single {what} and has no parts", f"write `{name}` alone"
            )
        if index is None:
            cure = f"name one of them, from `{name}[0]` to `{name}[{group.size - 1}]`"
            raise self._wrong(row, "E0503", f"`{name}` is a layer of {group.size}, not one circle", cure)
        cure = f"indices go from 0 to {group.size - 1}; negative ones count from the end"
        raise self._wrong(row, "E0305", f"`{name}` has no circle {cell}: it has {group.size}", cure)

    def _no_circle(self, name: str, symbol: Symbol, row: int) -> _Told:
        what = f"`{shorten(name)}` is {article(symbol.kind)}, not a node"
        return self._wrong(row, "E0203", f"a wire cannot end in `{shorten(name)}`: {what}", CIRCLES)

    def _wrong(self, row: int, code: str, message: str, cure: str) -> _Told:
        """Report a mistake in a row, unless enough of the table's are told."""
        self.said += 1
        if self.said <= MOST_SAID:
            self.scope.found.report(code, message, help=cure, path=self.edges.where(row))
        return _Told()

    def _break(self) -> None:
        """Note that the circles of the table lack no wires that it may have."""
        self.scope.skipped = True
        for name in self.order:
            if name in self.scope.circles:
                self.scope.circles[name].broken = True
        if not self.order or self.said:
            for circle in self.scope.circles.values():
                circle.broken = True

    def report_ring(self, ring: Ring) -> None:
        """Report a ring, of circles or of layers that cannot be computed in parts."""
        edges = self.edges
        self._break()
        if ring.circles:
            shown = " -> ".join(f"`{edges.names[c]}`" if c >= 0 else "..." for c in ring.circles)
            message, cure = "circles depend on each other in a ring", "remove one of these wires"
        elif len(ring.groups) == 2:
            shown = f"`{self.names[ring.groups[0]]}`"
            message = "a layer depends on itself, though no circle of it does"
            cure = f"make two layers of it, or {WHOLE}"
        else:
            shown = " -> ".join(f"`{self.names[g]}`" if g >= 0 else "..." for g in ring.groups)
            message = "layers depend on each other in a ring, though no circle does"
            source, target = (edges.names[ends[ring.row]] for ends in (edges.source, edges.target))
            cure = f"make two layers of one of them, for here `{source}` feeds `{target}`, or {WHOLE}"
        cure = f"no value can depend on itself: {cure}"
        self.scope.found.report("E0201", f"{message}: {shown}", help=cure, path=edges.where(ring.row))

    def _warn_twice(self) -> None:
        """Warn of wires between the same two circles, in the table or drawn."""
        edges = self.edges
        pairs = edges.source * len(edges.names) + edges.target
        _, first, counts = np.unique(pairs, return_index=True, return_counts=True)
        again = first[counts > 1]
        drawn = [] if len(again) else list(self._drawn_again())
        if not len(again) and not drawn:
            return
        row = drawn[0] if drawn else int(np.flatnonzero(pairs == pairs[again.min()])[1])
        more = len(drawn) - 1 if drawn else int((counts - 1).sum()) - 1
        source, target = edges.names[edges.source[row]], edges.names[edges.target[row]]
        rest = f", and {more} more such" if more else ""
        earlier = "a wire that is drawn" if drawn else f"that at {edges.where(int(again.min()))}"
        self.scope.found.report(
            "W0201",
            f"a second wire from `{source}` to `{target}`{rest}: it adds to {earlier}",
            help="if that is meant, one wire with the sum of the weights says it better",
            path=edges.where(row),
        )

    def _drawn_again(self) -> Iterable[int]:
        """The rows of wires that are drawn too."""
        edges = self.edges
        labels = [_label(name) for name in edges.names]
        drawn = {
            pair
            for name in self.order
            if name in self.scope.circles
            for pair in self.scope.circles[name].wires
        }
        if not drawn:
            return
        for row, ends in enumerate(zip(edges.source.tolist(), edges.target.tolist(), strict=True)):
            if (labels[ends[0]], labels[ends[1]]) in drawn:
                yield row


class _Told(Exception):
    """A mistake in a row, which is reported."""


def _label(name: str) -> str:
    """A name as wires that are drawn note it: `h_0` of `h[0]`."""
    match = END.match(name)
    return name if match is None or match[2] is None else f"{match[1]}_{int(match[2])}"


def _first_rows(places: np.ndarray, count: int) -> np.ndarray:
    """The first row in which each of `count` names stands, -1 for none."""
    first = np.full(count, -1)
    first[places[::-1]] = np.arange(len(places))[::-1]
    return first
