"""Frames: as tight around what they hold as their titles allow.

Assumes positions from dot, whose frames are free of foreign items and have room for titles, but more of it
than is needed, and on one side. Promises frames that hold their items, the wires between those, and the
frames in them, and nothing that was not in them before; a frame is widened only where its title would else
be crossed by a wire.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .geometry import Lines, Rect, around, around_points, flattened
from .measure import measure
from .picture import Frame, Picture
from .placed import Placed
from .sizes import TITLE, Sized
from .titles import INSET, TOP, place_title, wire_lines

MARGIN, STRIP = 9.0, 8.0
"""Around what a frame holds, and between its title and that."""
WIDER = tuple(6.0 * n for n in range(1, 25))
"""By so much a frame may be widened for its title."""


def fitted(picture: Picture, placed: Placed, sizes: Mapping[str, Sized]) -> dict[str, Rect]:
    """The frames, by id."""
    if not picture.frames:
        return {}
    rects = {i.id: sizes[i.id].extent.moved(*placed.positions[i.id]) for i in picture.items}
    around_item = {item.id: {f.id for f in picture.frames_of(item)} for item in picture.items}
    lines = wire_lines(placed)
    out: dict[str, Rect] = {}
    for frame in sorted(picture.frames, key=lambda f: -f.depth):
        inside = {name for name, frames in around_item.items() if frame.id in frames}
        held = [rects[i.id] for i in picture.items if i.frame == frame.id]
        held += [out[f.id] for f in picture.frames if f.parent == frame.id]
        if not held:
            out[frame.id] = placed.frames[frame.id]
            continue
        held += [
            around_points(flattened(placed.routes[w.id])).grown(-MARGIN / 2)
            for w in picture.wires
            if w.source in inside and w.target in inside
        ]
        foreign = [rect for name, rect in rects.items() if name not in inside]
        foreign += [
            r for n, r in placed.frames.items() if n != frame.id and not _nested(picture, n, frame.id)
        ]
        out[frame.id] = _titled(frame, around(held).grown(MARGIN), lines, foreign)
    return out


def _nested(picture: Picture, one: str, other: str) -> bool:
    """Whether one of two frames is around the other."""
    return one in _outer(picture, other) or other in _outer(picture, one)


def _outer(picture: Picture, frame: str) -> Iterator[str]:
    at = picture.frame_by_id[frame].parent
    while at:
        yield at
        at = picture.frame_by_id[at].parent


def _titled(frame: Frame, rect: Rect, lines: Lines, foreign: list[Rect]) -> Rect:
    """The rectangle with a strip for the title at its top, and wide enough for it."""
    if not frame.title:
        return rect
    said = measure(frame.title, TITLE)
    rect = Rect(rect.x0, rect.y0 - said.height - TOP - STRIP + MARGIN, rect.x1, rect.y1)
    least = said.left + said.right + 2 * INSET
    short = max(least - rect.width, 0.0) / 2
    rect = Rect(rect.x0 - short, rect.y0, rect.x1 + short, rect.y1)
    if not place_title(said, rect, lines)[1]:
        return rect
    for more in WIDER:
        for left, right in ((more / 2, more / 2), (more, 0.0), (0.0, more)):
            wide = Rect(rect.x0 - left, rect.y0, rect.x1 + right, rect.y1)
            if not place_title(said, wide, lines)[1] and not any(wide.overlaps(r, 0.0) for r in foreign):
                return wide
    return rect
