"""Titles of frames: at the top of the frame, as far to the left as no wire passes through.

Assumes frames with an empty strip at their top (`frames`). Promises titles within their frames; where wires
leave no room at all the title stands at the left, and is set off from them by a halo.
"""

from __future__ import annotations

from .geometry import Lines, Rect, flattened
from .measure import Measured, measure
from .picture import Picture
from .placed import Placed
from .sizes import TITLE

INSET, TOP, CLEAR, STEP = 8.0, 6.0, 2.0, 3.0
"""Of a title: its distance from the frame's sides, its top and from wires, and how far it is moved."""


def titles(picture: Picture, placed: Placed) -> dict[str, tuple[Rect, bool]]:
    """The rectangle of each title by frame, and whether a wire passes through it."""
    titled = [frame for frame in picture.frames if frame.title]
    if not titled:
        return {}
    lines = wire_lines(placed)
    return {f.id: place_title(measure(f.title, TITLE), placed.frames[f.id], lines) for f in titled}


def wire_lines(placed: Placed) -> Lines:
    """All wires, by where they run."""
    lines = Lines()
    for name, route in placed.routes.items():
        lines.add(name, flattened(route))
    return lines


def place_title(said: Measured, frame: Rect, lines: Lines) -> tuple[Rect, bool]:
    """Where a title stands in its frame, and whether a wire passes through it."""
    first = said.rect(frame.x0 + INSET + said.left, frame.y0 + TOP + said.up)
    rect = first
    while rect.x1 <= frame.x1 - INSET:
        if not lines.distances(rect, CLEAR):
            return rect, False
        rect = rect.moved(STEP, 0.0)
    return first, True
