"""What formats without curves and measured sizes write of items, wires and frames: dot and Mermaid.

Assumes a Picture. Promises lines of `names.Tex` with roles of the theme, and that everything the picture says
in letters is among them; a nonlinearity is said by its name in place of its graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from . import names
from .looks import item_role
from .names import Tex
from .picture import Facts, Frame, Item, Picture
from .sizes import lines_of, params_of

SILENT = "identity"
"""The activation that is not worth a word."""


class Caption(NamedTuple):
    """A line of an item, and its role in the theme."""

    tex: Tex
    role: str


def captions(picture: Picture, item: Item) -> list[Caption]:
    """What stands in an item, one below the other."""
    lines = [Caption(tex, role) for tex, _, role in lines_of(item) if tex]
    if item.kind == "more":
        lines.append(Caption(f"+{item.count}", "count"))
    said = _nonlinearity(item)
    if said:
        after = 1 if item.label else 0
        lines.insert(after, Caption(said, "operation"))
    return [*lines, *(Caption(tex, "param") for tex in params_of(item))]


def _nonlinearity(item: Item) -> Tex:
    """The name of what a circle's curve shows."""
    if item.symbol:
        return item.symbol
    said = dict(item.facts).get("activation", SILENT)
    return "" if said == SILENT else names.word(said)


def flows_right(picture: Picture) -> bool:
    """Whether the flow goes from left to right: circles do, boxes alone go downwards."""
    return any(item.is_circle for item in picture.items)


def told(facts: Facts) -> list[str]:
    """Facts as lines of plain text."""
    return [f"{title}: {text}" for title, text in facts]


def roles(picture: Picture) -> Mapping[str, list[Item]]:
    """The items by the role of their outline, in order of appearance."""
    found: dict[str, list[Item]] = {}
    for item in picture.items:
        found.setdefault(item_role(item), []).append(item)
    return found


class Open(NamedTuple):
    """Where a frame begins."""

    frame: Frame


class Close(NamedTuple):
    """Where it ends."""

    frame: Frame


def nested(picture: Picture) -> Iterator[tuple[int, Item | Open | Close]]:
    """Items and frames in the order in which they are written, each with how many frames are around it.

    A frame's items come before the frames in it. Frames may be nested to any depth.
    """
    items: dict[str, list[Item]] = {}
    for item in picture.items:
        items.setdefault(item.frame, []).append(item)
    frames: dict[str, list[Frame]] = {}
    for frame in picture.frames:
        frames.setdefault(frame.parent, []).append(frame)

    for item in items.get("", []):
        yield 0, item
    waiting: list[tuple[int, Open | Close]] = [(0, Open(f)) for f in reversed(frames.get("", []))]
    while waiting:
        level, at = waiting.pop()
        yield level, at
        if isinstance(at, Close):
            continue
        for item in items.get(at.frame.id, []):
            yield level + 1, item
        waiting.append((level, Close(at.frame)))
        waiting += [(level + 1, Open(f)) for f in reversed(frames.get(at.frame.id, []))]
