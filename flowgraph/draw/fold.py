"""The size guard: a picture of more items than anybody can read keeps its ends, and the middle is folded.

Promises at most about `limit` items whatever the picture, in linear time, and a remark that says what was
folded.
"""

from __future__ import annotations

from dataclasses import replace

from .depth import columns
from .neurons import MOST_IN_LAYER
from .picture import Item, Picture, Wire

LIMIT = 1200
"""Items of a picture unless told otherwise."""


def guard(picture: Picture, limit: int | None = None) -> Picture:
    """The picture itself if it has at most `limit` items, else one with ⋮ and ⋯ for most of them."""
    most = LIMIT if limit is None else limit
    if len(picture.items) <= most:
        return picture
    before = len(picture.items)
    at = columns(picture.items, picture.wires)
    picture, at = _wide_columns(picture, at)
    if len(picture.items) > most:
        picture = _long(picture, at, most)
    remark = f"{before} items are too many for a page: {before - _kept(picture)} of them are folded"
    return replace(picture, remarks=(*picture.remarks, remark))


def _kept(picture: Picture) -> int:
    return sum(1 for item in picture.items if item.kind != "more" or not item.id.startswith("..."))


def _wide_columns(picture: Picture, at: dict[str, int]) -> tuple[Picture, dict[str, int]]:
    """In each column of more than a dozen items those in the middle give way to a ⋮."""
    rows: dict[int, list[Item]] = {}
    for item in picture.items:
        rows.setdefault(at[item.id], []).append(item)
    into: dict[str, str] = {}
    mores: dict[str, Item] = {}
    for column, row in rows.items():
        plain = [item for item in row if item.kind != "one"]
        if len(plain) <= MOST_IN_LAYER:
            continue
        middle = plain[MOST_IN_LAYER // 2 : -(MOST_IN_LAYER // 2 - 1)]
        name = f"...{column}"
        mores[name] = Item(name, "more", label=r"\vdots", count=sum(max(i.count, 1) for i in middle))
        into |= {item.id: name for item in middle}
        at[name] = column
    return _merged(picture, into, mores), at


def _long(picture: Picture, at: dict[str, int], most: int) -> Picture:
    """The columns in the middle give way to a single ⋯."""
    sizes: dict[int, int] = {}
    for item in picture.items:
        sizes[at[item.id]] = sizes.get(at[item.id], 0) + 1
    order = sorted(sizes)
    keep: set[int] = set()
    total, low, high = 0, 0, len(order) - 1
    while low <= high and total < most // 2:
        for column in dict.fromkeys((order[low], order[high])):
            keep.add(column)
            total += sizes[column]
        low, high = low + 1, high - 1
    into = {item.id: "..." for item in picture.items if at[item.id] not in keep}
    count = sum(max(i.count, 1) for i in picture.items if i.id in into)
    return _merged(picture, into, {"...": Item("...", "more", label=r"\cdots", count=count)})


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
