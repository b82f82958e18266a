"""The size guard: a picture of more items than anybody can read keeps its ends, and the middle is folded.

Promises at most about KEPT items of a picture that has more than LIMIT, whatever the picture, in linear
time, and a remark that says what was folded. `sift` is the same for a graph, before there are items.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from .depth import columns
from .neurons import MOST_IN_LAYER
from .picture import Item, Picture, Wire

LIMIT = 1200
"""Items of a picture unless told otherwise."""
TALLEST = 60
"""Items of a column: more do not stand one below the other."""
READ, PASSING = 150, 80
"""A picture of at least so many items folds if more wires than these pass by one of its columns: each counts
as much as an item in laying it out."""
KEPT = 96
"""Items of one that is folded, about: its beginning and its end, side by side on a page."""
MIDDLE = "..."
"""The id of the ⋯ that stands for columns, and with a column's number behind it of the ⋮ in one."""


def guard(picture: Picture, limit: int | None = None, folded: int = 0) -> Picture:
    """The picture itself if it has at most `limit` items, else one with ⋮ and ⋯ for most of them.

    folded: how many are folded already.
    """
    most = LIMIT if limit is None else limit
    mores = sum(1 for item in picture.items if is_more(item))
    before = len(picture.items) - mores + folded
    whole, keep = picture, min(KEPT, most)
    if len(picture.items) > most or _tallest(picture) > TALLEST:
        picture = _folded(whole, keep if len(picture.items) > most else most)
    while len(picture.items) > READ and _passing(picture) > PASSING:
        picture = _folded(whole, keep)
        keep //= 2
    left = before - sum(1 for item in picture.items if not is_more(item))
    if not left:
        return picture
    remark = f"{before} items are too many for a page: {left} of them are folded"
    return replace(picture, remarks=(*picture.remarks, remark))


def _tallest(picture: Picture) -> int:
    """Items of the column that has most, by depth."""
    rows = Counter(columns(picture.items, picture.wires).values())
    return max(rows.values(), default=0)


def _passing(picture: Picture) -> int:
    """How many wires pass by the column that most pass by."""
    at = columns(picture.items, picture.wires)
    steps: Counter[int] = Counter()
    for wire in picture.wires:
        if at[wire.target] - at[wire.source] > 1:
            steps[at[wire.source] + 1] += 1
            steps[at[wire.target]] -= 1
    return max(itertools.accumulate(steps[column] for column in sorted(steps)), default=0)


def is_more(item: Item) -> bool:
    """Whether an item stands for what the guard folded."""
    return item.kind == "more" and item.id.rpartition("/")[2].startswith(MIDDLE)


def _folded(picture: Picture, most: int) -> Picture:
    at = columns(picture.items, picture.wires)
    rows: dict[int, list[str]] = {}
    for item in picture.items:
        if item.kind != "one":
            rows.setdefault(at[item.id], []).append(item.id)
    into = chosen(rows, most)
    middle = [at[name] for name, more in into.items() if more == MIDDLE]
    for item in picture.items:
        if item.kind == "one" and middle and min(middle) <= at[item.id] <= max(middle):
            into[item.id] = MIDDLE
    counts: dict[str, int] = {}
    for item in picture.items:
        if item.id in into:
            counts[into[item.id]] = counts.get(into[item.id], 0) + max(item.count, 1)
    return _merged(picture, into, {name: more_item(name, count) for name, count in counts.items()})


def more_item(name: str, count: int, frame: str = "") -> Item:
    """The ⋮ or ⋯ of an id that `chosen` gave."""
    label = r"\cdots" if name.rpartition("/")[2] == MIDDLE else r"\vdots"
    return Item(name, "more", label=label, count=count, frame=frame)


def chosen(rows: Mapping[int, list[str]], most: int = KEPT) -> dict[str, str]:
    """Of columns of more items than a page shows, those that fold, each with the id of what stands for it.

    In each column of more than a dozen items those in the middle give way to a ⋮; where `most` items or more
    are left the columns in the middle give way to a single ⋯.
    """
    into: dict[str, str] = {}
    sizes: dict[int, int] = {}
    for column, row in rows.items():
        folds = row[MOST_IN_LAYER // 2 : -(MOST_IN_LAYER // 2 - 1)] if len(row) > MOST_IN_LAYER else []
        into |= dict.fromkeys(folds, f"{MIDDLE}{column}")
        sizes[column] = min(len(row), MOST_IN_LAYER)
    if sum(sizes.values()) <= most:
        return into
    order = sorted(rows)
    keep: set[int] = set()
    total, low, high = 0, 0, len(order) - 1
    while low <= high and total < most:
        for column in dict.fromkeys((order[low], order[high])):
            keep.add(column)
            total += sizes[column]
        low, high = low + 1, high - 1
    for column in order[low : high + 1]:
        into |= dict.fromkeys(rows[column], MIDDLE)
    return into


def _merged(picture: Picture, into: dict[str, str], mores: dict[str, Item]) -> Picture:
    """The picture with items replaced by others, each where its first one was, and wires with them."""
    items: list[Item] = []
    placed: set[str] = set()
    for item in picture.items:
        name = into.get(item.id)
        if name is None:
            items.append(item)
        elif name not in placed:
            placed.add(name)
            items.append(mores[name])
    wires: dict[tuple[str, str], Wire] = {}
    out: list[Wire] = []
    for wire in picture.wires:
        a, b = into.get(wire.source, wire.source), into.get(wire.target, wire.target)
        if (a, b) == (wire.source, wire.target):
            out.append(wire)
        elif a != b and (a, b) not in wires:
            wires[a, b] = Wire(f"{a}->{b}", a, b)
            out.append(wires[a, b])
    used = {f.id for item in items for f in picture.frames_of(item)}
    frames = tuple(f for f in picture.frames if f.id in used)
    return replace(picture, items=tuple(items), wires=tuple(out), frames=frames)
