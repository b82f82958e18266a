"""Columns by depth: where circles stand in a lecture's picture.

Own placement, for pictures without frames: dot's is tuned for boxes and does not keep what a drawing of
circles
lives by, equal distances and straight arrows. Sugiyama's steps: columns (longest path), a slot in every
column
that a long wire crosses, an order of each column with few crossings that stays near the order of the file,
and
heights by least squares under least distances (isotonic regression). Deterministic.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .depth import LATE, columns
from .picture import Item, Wire

SWEEPS = 12
SLOT = 14.0
"""Height that a wire needs where it crosses a column."""
YIELD = {"one": 1e-6, "target": 1e-3, "loss": 1e-3, "metric": 1e-3}
"""How much those insist on their height, and pull on others, that give way: so what is straight stays so."""
FREE = 1e-7
"""How much an item insists that has no wire."""
TIDY = 3000
"""Crossings of pictures with more slots and circles than these are not reduced."""


@dataclass
class Slot:
    """A place in a column: an item, or a wire that passes through. weight: how much it insists on its height;
    left, right: its neighbours, each with its pull."""

    id: str
    column: int
    above: float
    below: float
    unit: str
    is_one: bool = False
    is_wire: bool = False
    weight: float = 1.0
    y: float = 0.0
    left: list[tuple[str, float]] = field(default_factory=list)
    right: list[tuple[str, float]] = field(default_factory=list)


@dataclass
class Columns:
    """The columns from left to right, each from top to bottom, and the slots of each long wire in order."""

    slots: dict[str, Slot]
    order: list[list[str]]
    chains: dict[str, list[str]]


def place(
    items: Sequence[Item], wires: Sequence[Wire], extents: Mapping[str, tuple[float, float]], gap: float
) -> Columns:
    """Heights of all items and of the slots of long wires, around 0.

    extents: how far each item reaches above and below its centre. gap: least distance between two in a
    column.
    """
    found = _slots(items, wires, extents)
    if len(found.slots) <= TIDY:
        _reduce_crossings(found)
    _settle(found, gap)
    return found


def _slots(
    items: Sequence[Item], wires: Sequence[Wire], extents: Mapping[str, tuple[float, float]]
) -> Columns:
    at = columns(items, wires)
    slots: dict[str, Slot] = {}
    order: list[list[str]] = [[] for _ in range(max(at.values(), default=0) + 1)]
    for item in items:
        above, below = extents[item.id]
        weight = YIELD.get(item.kind, 1.0)
        slots[item.id] = Slot(
            item.id, at[item.id], above, below, item.group or item.id, item.kind == "one", weight=weight
        )
        if item.kind not in LATE:
            order[at[item.id]].append(item.id)
    chains: dict[str, list[str]] = {}
    passing: list[list[str]] = [[] for _ in order]
    for wire in wires:
        first, last = at[wire.source], at[wire.target]
        step = 1 if last >= first else -1
        chain = []
        for column in range(first + step, last, step):
            name = f"{wire.id}@{column}"
            slots[name] = Slot(name, column, SLOT / 2, SLOT / 2, name, is_wire=True)
            passing[column].append(name)
            chain.append(name)
        chains[wire.id] = chain
        ends = [wire.source, *chain, wire.target]
        for a, b in itertools.pairwise(ends):
            strong = 2.0 if slots[a].is_wire or slots[b].is_wire else 1.0
            slots[a].right.append((b, slots[b].weight * strong))
            slots[b].left.append((a, slots[a].weight * strong))
    for column, names in enumerate(passing):
        order[column] += names
        order[column] += [i.id for i in items if i.kind in LATE and i.kind != "one" and at[i.id] == column]
        order[column] += [i.id for i in items if i.kind == "one" and at[i.id] == column]
    return Columns(slots, order, chains)


# ---------------------------------------------------------------------------------------
# Order


def _reduce_crossings(found: Columns) -> None:
    """Sweep to and fro, sorting each column by the middle of its neighbours, while crossings get fewer."""
    best = [list(column) for column in found.order]
    fewest = _crossings(found, best)
    _sort_wires_in(found, best)
    count = _crossings(found, best)
    fewest = min(fewest, count)
    now = [list(column) for column in best]
    for sweep in range(SWEEPS):
        if not fewest:
            break
        rightwards = sweep % 2 == 0
        steps = range(1, len(now)) if rightwards else range(len(now) - 2, -1, -1)
        for column in steps:
            _sort_column(found, now, column, use_left=rightwards)
        count = _crossings(found, now)
        if count < fewest:
            fewest, best = count, [list(column) for column in now]
    found.order = best


def _sort_wires_in(found: Columns, order: list[list[str]]) -> None:
    """Put the slots of long wires where their neighbours to the left are, items staying in order."""
    for column in range(1, len(order)):
        if any(found.slots[n].is_wire for n in order[column]):
            _sort_column(found, order, column, use_left=True, only_wires=True)


def _sort_column(
    found: Columns, order: list[list[str]], column: int, *, use_left: bool, only_wires: bool = False
) -> None:
    """Sort a column by its neighbours' mean place; layers move as a whole, the constant 1 stays below."""
    slots = found.slots
    beside = order[column - 1] if use_left else order[column + 1]
    places = {name: n / max(len(beside) - 1, 1) for n, name in enumerate(beside)}
    units: dict[str, list[str]] = {}
    for name in order[column]:
        units.setdefault(slots[name].unit, []).append(name)
    keys = {}
    for number, (unit, members) in enumerate(units.items()):
        known = [
            places[n]
            for m in members
            for n, _ in (slots[m].left if use_left else slots[m].right)
            if n in places
        ]
        stay = number / max(len(units) - 1, 1)
        keys[unit] = sum(known) / len(known) if known else stay
    if only_wires:
        _thread(found, order, column, units, keys)
        return
    ranked = sorted(units, key=lambda u: (slots[units[u][0]].is_one, keys[u]))
    order[column] = [name for unit in ranked for name in units[unit]]


def _thread(
    found: Columns, order: list[list[str]], column: int, units: dict[str, list[str]], keys: dict[str, float]
) -> None:
    """Insert passing wires between the items of a column without moving those."""
    fixed = [u for u in units if not found.slots[units[u][0]].is_wire]
    plain = [u for u in fixed if not found.slots[units[u][0]].is_one]
    ones = [u for u in fixed if found.slots[units[u][0]].is_one]
    marks = {u: n / max(len(plain) - 1, 1) for n, u in enumerate(plain)}
    threads = [u for u in units if found.slots[units[u][0]].is_wire]
    ranked = sorted([*plain, *threads], key=lambda u: (marks.get(u, keys[u]), u not in marks))
    order[column] = [name for unit in [*ranked, *ones] for name in units[unit]]


def _crossings(found: Columns, order: list[list[str]]) -> int:
    """How many pairs of wires cross between neighbouring columns (counted with a Fenwick tree)."""
    total = 0
    for left, right in itertools.pairwise(order):
        places = {name: n for n, name in enumerate(right)}
        ends = [sorted(places[b] for b, _ in found.slots[a].right if b in places) for a in left]
        tree = [0] * (len(right) + 1)
        seen = 0
        for row in ends:
            for end in row:
                total += seen - _prefix(tree, end + 1)
            for end in row:
                _increment(tree, end + 1)
            seen += len(row)
    return total


def _prefix(tree: list[int], at: int) -> int:
    total = 0
    while at > 0:
        total += tree[at]
        at -= at & -at
    return total


def _increment(tree: list[int], at: int) -> None:
    while at < len(tree):
        tree[at] += 1
        at += at & -at


# ---------------------------------------------------------------------------------------
# Heights


def _settle(found: Columns, gap: float) -> None:
    """Give every slot the height nearest to its neighbours' that the least distances allow."""
    slots = found.slots
    for column in found.order:
        _spread(slots, column, gap)
    for sweep in range(3 * SWEEPS):
        forth = sweep % 2 == 0
        for column in found.order if forth else reversed(found.order):
            _fit(slots, column, gap, _wanted(slots, column))
    middle = [s.y for s in slots.values()]
    shift = (max(middle) + min(middle)) / 2 if middle else 0.0
    for slot in slots.values():
        slot.y -= shift


def _wanted(slots: Mapping[str, Slot], column: Sequence[str]) -> list[tuple[float, float]]:
    """The height that each slot's neighbours pull it to, and how strongly; what has none follows."""
    pulled: list[tuple[float, float] | None] = []
    for name in column:
        slot = slots[name]
        beside = slot.left + slot.right
        pull = sum(w for _, w in beside)
        own = sum(slots[n].y * w for n, w in beside) / pull if pull else 0.0
        pulled.append((own, slot.weight) if pull else None)
    last = next((each[0] for each in pulled if each is not None), 0.0)
    out = []
    for each in pulled:
        last = each[0] if each is not None else last
        out.append(each or (last, FREE))
    return out


def _distances(slots: Mapping[str, Slot], column: Sequence[str], gap: float) -> list[float]:
    out = []
    for a, b in itertools.pairwise(column):
        room = gap if not (slots[a].is_wire and slots[b].is_wire) else 2.0
        room = gap / 2 if slots[a].is_wire != slots[b].is_wire else room
        out.append(slots[a].below + slots[b].above + room)
    return out


def _spread(slots: dict[str, Slot], column: Sequence[str], gap: float) -> None:
    distances = _distances(slots, column, gap)
    at = -sum(distances) / 2
    for name, step in zip(column, [*distances, 0.0], strict=True):
        slots[name].y = at
        at += step


def _fit(
    slots: dict[str, Slot], column: Sequence[str], gap: float, wanted: Sequence[tuple[float, float]]
) -> None:
    """Least squares with y rising by at least the distances: pool adjacent violators."""
    offsets = [0.0]
    for step in _distances(slots, column, gap):
        offsets.append(offsets[-1] + step)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, count
    for (own, weight), offset in zip(wanted, offsets, strict=False):
        mean, total, count = own - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            m, w, c = blocks.pop()
            mean, total, count = (mean * total + m * w) / (total + w), total + w, count + c
        blocks.append((mean, total, count))
    at = 0
    for mean, _, count in blocks:
        for _ in range(count):
            slots[column[at]].y = mean + offsets[at]
            at += 1
