"""The pictures that a page shows as its blocks fold and unfold.

A state is a set of frames that are unfolded; one that is, has its parents unfolded too. Where there are at
most MOST_STATES, every one is there: each block folds by itself. Else there are those of `--depth` 0, 1, 2,
... and for each block the one where nothing but it and what is around it is unfolded: the number of
states is then that of the blocks. Blocks that only unfold in pictures of more than MOST_ITEMS items stay
folded.

Promises the drawing's own picture first, then the others from folded to unfolded, in an order that is the
same from run to run.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

from .collect import DEEPEST
from .drawing import Drawing
from .fold import is_more
from .picture import Frame, Item, Picture, Wire

MOST_STATES = 24
MOST_ITEMS = 400
"""Items of one state."""
MOST_IN_ALL = 6000
"""Items of all states together: a page of a few megabytes."""


def states(drawing: Drawing) -> list[Picture]:
    """The pictures of a page, the drawing's own first."""
    levels = _levels(drawing)
    found = [drawing.picture, *levels]
    if levels:
        found += _between(levels, MOST_IN_ALL - sum(len(p.items) for p in found))
    own, *others = _distinct(found)
    order = {frame.id: number for number, frame in enumerate(levels[-1].frames)} if levels else {}
    return [own, *sorted(others, key=lambda p: (len(p.frames), [order.get(f.id, -1) for f in p.frames]))]


def is_cut(picture: Picture) -> bool:
    """Whether the size guard took something out of it (`fold.guard`): its items are no longer the graph's."""
    return any(is_more(item) for item in picture.items)


def _levels(drawing: Drawing) -> list[Picture]:
    """The pictures of depth 0, 1, 2, ..., while they grow, and none is too large."""
    found: list[Picture] = []
    for depth in range(DEEPEST):
        picture = drawing.unfolded(depth).picture
        if is_cut(picture) or len(picture.items) > MOST_ITEMS:
            break
        if found and len(found[-1].frames) == len(picture.frames):
            break
        found.append(picture)
    return found


def _distinct(pictures: Iterable[Picture]) -> list[Picture]:
    """One picture of each state, the first; one that is cut is a state of its own."""
    found: dict[tuple[bool, frozenset[str]], Picture] = {}
    for picture in pictures:
        found.setdefault((is_cut(picture), frozenset(f.id for f in picture.frames)), picture)
    return list(found.values())


def _between(levels: list[Picture], room: int) -> list[Picture]:
    """The states between the levels, with at most `room` items together."""
    deepest = levels[-1]
    children: dict[str, list[str]] = {"": []}
    for frame in deepest.frames:
        children.setdefault(frame.parent, []).append(frame.id)
        children.setdefault(frame.id, [])
    if _count(children, "") <= MOST_STATES:
        wanted = [frozenset(chosen) for chosen in _choices(children, "")]
    else:
        wanted = [frozenset(_around(deepest, frame)) for frame in deepest.frames]
    found = []
    for opened in wanted:
        picture = fold_to(levels, opened)
        room -= len(picture.items)
        if room < 0:
            break
        found.append(picture)
    return found


def _count(children: Mapping[str, list[str]], name: str) -> int:
    """How many states the frames within a frame have."""
    return math.prod(1 + _count(children, child) for child in children[name])


def _choices(children: Mapping[str, list[str]], name: str) -> Iterator[tuple[str, ...]]:
    """The states of the frames within a frame, each as the frames that are unfolded."""
    parts = [[(), *((child, *rest) for rest in _choices(children, child))] for child in children[name]]
    for choice in product(*parts):
        yield tuple(frame for part in choice for frame in part)


def _around(picture: Picture, frame: Frame) -> list[str]:
    """A frame and those around it."""
    found = [frame.id]
    while frame.parent:
        frame = picture.frame_by_id[frame.parent]
        found.append(frame.id)
    return found


def fold_to(levels: Sequence[Picture], opened: Collection[str]) -> Picture:
    """The deepest picture with all frames folded but those in `opened`.

    levels: the pictures of depth 0, 1, 2, ...: they say what a folded block looks like, and its wires.
    """
    deepest = levels[-1]
    folds = {i.id: i for p in levels for i in p.items if i.kind == "fold" and i.id in deepest.frame_by_id}
    known = {wire.id: wire for picture in levels for wire in picture.wires}
    into: dict[str, str] = {}
    for item in deepest.items:
        closed = [frame.id for frame in deepest.frames_of(item) if frame.id not in opened]
        if closed:
            into[item.id] = closed[-1]
    items: dict[str, Item] = {}
    for item in deepest.items:
        name = into.get(item.id, item.id)
        items.setdefault(name, folds[name] if item.id in into else item)
    wires: dict[str, Wire] = {}
    for wire in deepest.wires:
        moved = _moved(wire, into)
        if moved.source == moved.target:
            continue
        first = wires.get(moved.id)
        if moved is not wire and moved.id in known:
            wires[moved.id] = known[moved.id]
        else:
            wires[moved.id] = moved if first is None else _joined(first, moved)
    frames = tuple(frame for frame in deepest.frames if frame.id in opened)
    return replace(deepest, items=tuple(items.values()), wires=tuple(wires.values()), frames=frames)


def _moved(wire: Wire, into: Mapping[str, str]) -> Wire:
    """A wire between what is seen. What ends in a fold is a plain arrow, as `collect` draws it."""
    source, target = into.get(wire.source, wire.source), into.get(wire.target, wire.target)
    if (source, target) == (wire.source, wire.target):
        return wire
    name = f"{source}->{target}"
    if wire.target in into:
        return Wire(name, source, target, is_backward=wire.is_backward)
    return replace(wire, id=name, source=source, target=target)


def _joined(a: Wire, b: Wire) -> Wire:
    """Two wires that became one: no weight of its own unless both say the same."""
    count = a.count + b.count
    if (a.label, a.factor, a.weight) == (b.label, b.factor, b.weight):
        return replace(a, count=count)
    return Wire(a.id, a.source, a.target, is_backward=a.is_backward, count=count)
