"""Positions and routes: the one function around the engines.

Pictures of circles without frames are placed in columns by depth (`place`); all others by Graphviz's dot
(`engine`). Promises the same result for the same picture, no two items in one place, and routes that begin
and end at outlines. spacing 1 is the least; a larger one gives labels more room.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

from .engine import by_dot, is_large
from .geometry import Point, line_distance, line_meets_rect, straight
from .looks import wire_label
from .measure import measure
from .picture import Picture, Wire
from .place import Columns, place
from .placed import Placed, outline_point
from .sizes import WEIGHT, Sized
from .wrap import wrapped

ROW_GAP, COLUMN_GAP, WIDEST_GAP = 26.0, 104.0, 300.0
"""Between circles of a column, and between columns: the least, and the most that steep wires may ask for."""
ROOMY = 1.4
"""Local factors are long: between wires that fan out they need more room than their own."""
STEEP, STEEP_NOTED = 0.5, 0.7
"""A gap is at least this share of the greatest height that a wire climbs in it; more where there are notes
below circles, which steep wires would cross."""
CLEAR = 4.0
"""Least distance of an arrow from a circle that it does not touch."""
SLIDE = (960.0, 540.0)
PREFERRED = 1.15
"""Boxes flow downwards, or to the right where the page then fits a slide so much better."""
ENOUGH = 0.8
"""A page that has to shrink to less than this to fit a slide is drawn in parts if it then shrinks less."""


def layout(picture: Picture, sizes: Mapping[str, Sized], spacing: float = 1.0) -> Placed:
    """Where everything stands. Raises FlowError (E0605) where Graphviz is needed and not installed."""
    if not picture.items:
        return Placed({}, {})
    if any(i.is_circle for i in picture.items) and not picture.frames:
        return _in_columns(picture, sizes, spacing)
    return _in_ranks(picture, sizes, spacing)


# ---------------------------------------------------------------------------------------
# Ranks


def _in_ranks(picture: Picture, sizes: Mapping[str, Sized], spacing: float) -> Placed:
    """By dot, in the direction in which the page fits a slide better."""
    has_circles = any(item.is_circle for item in picture.items)
    directions = ("LR",) if has_circles else ("TB",) if is_large(picture) else ("TB", "LR")
    found = [(by_dot(picture, sizes, spacing, direction), direction) for direction in directions]
    return _fitting(found, picture, sizes)


def _fitting(found: Sequence[tuple[Placed, str]], picture: Picture, sizes: Mapping[str, Sized]) -> Placed:
    """The first of several layouts, or one that fits a slide better; in parts where none is large enough."""
    choices = [(placed, _fit(placed, sizes)) for placed, _ in found]
    if max(fit for _, fit in choices) < ENOUGH:
        parts = (wrapped(placed, picture, sizes, direction, SLIDE) for placed, direction in found)
        choices += [(placed, worth * _fit(placed, sizes)) for placed, worth in filter(None, parts)]
    best, most = choices[0]
    for placed, fit in choices[1:]:
        if fit > PREFERRED * most:
            best, most = placed, fit
    return best


def _fit(placed: Placed, sizes: Mapping[str, Sized]) -> float:
    """By how much a page may be enlarged until it fills a slide."""
    page = placed.bounds(sizes)
    return min(SLIDE[0] / page.width, SLIDE[1] / page.height)


# ---------------------------------------------------------------------------------------
# Columns


def _in_columns(picture: Picture, sizes: Mapping[str, Sized], spacing: float) -> Placed:
    extents = {i.id: (-sizes[i.id].extent.y0, sizes[i.id].extent.y1) for i in picture.items}
    noted = [i.id for i in picture.items if i.is_circle and (i.notes or i.gradient)]
    lowest = max((extents[name][1] for name in noted), default=0.0)
    extents |= {name: (extents[name][0], lowest) for name in noted}  # so that rows stay level
    found = place(picture.items, picture.wires, extents, ROW_GAP * spacing)
    half = [
        max([max(-sizes[n].extent.x0, sizes[n].extent.x1) for n in column if n in sizes], default=0.0)
        for column in found.order
    ]
    xs = _column_places(picture, found, half, spacing)
    positions = {i.id: (xs[found.slots[i.id].column], found.slots[i.id].y) for i in picture.items}
    routes = {w.id: _route(w, found, positions, xs, half, sizes) for w in picture.wires}
    return _fitting([(Placed(positions, routes), "LR")], picture, sizes)


def _column_places(picture: Picture, found: Columns, half: list[float], spacing: float) -> list[float]:
    """The middle of each column."""
    gaps = [COLUMN_GAP] * max(len(half) - 1, 0)
    steep = STEEP_NOTED if any(item.notes for item in picture.items) else STEEP
    for wire in picture.wires:
        ends = [wire.source, *found.chains[wire.id], wire.target]
        label = wire_label(picture, wire)
        room = measure(label, WEIGHT).width * (ROOMY if wire.is_backward else 1.0) + 44 if label else 0.0
        for a, b in itertools.pairwise(ends):
            one, two = found.slots[a], found.slots[b]
            at = min(one.column, two.column)
            if one.column == two.column:
                continue
            climb = steep * abs(one.y - two.y) if len(ends) == 2 else 0.0
            gaps[at] = max(gaps[at], room, min(climb, WIDEST_GAP))
    xs = [half[0]]
    for number, gap in enumerate(gaps):
        xs.append(xs[-1] + half[number] + gap * spacing + half[number + 1])
    return xs


def _route(
    wire: Wire, found: Columns, positions: Mapping[str, Point], xs: list[float], half: list[float],
    sizes: Mapping[str, Sized],
) -> tuple[Point, ...]:  # fmt: skip
    a, b = positions[wire.source], positions[wire.target]
    start, end = outline_point(sizes[wire.source], a, b), outline_point(sizes[wire.target], b, a)
    if _is_free(wire, start, end, found, positions, sizes):
        return straight(start, end)
    forward = 1.0 if b[0] >= a[0] else -1.0
    first, last = found.slots[wire.source].column, found.slots[wire.target].column
    points = [
        (a[0] + forward * sizes[wire.source].width / 2, a[1]),
        (xs[first] + forward * half[first], a[1]),
    ]
    for name in found.chains[wire.id]:
        slot = found.slots[name]
        points += [(xs[slot.column] + side * forward * half[slot.column], slot.y) for side in (-1, 1)]
    points += [
        (xs[last] - forward * half[last], b[1]),
        (b[0] - forward * sizes[wire.target].width / 2, b[1]),
    ]
    points = [p for n, p in enumerate(points) if not n or math.dist(p, points[n - 1]) > 1e-6]
    path = [points[0]]
    for p, q in itertools.pairwise(points):
        middle = (p[0] + q[0]) / 2
        path += [(middle, p[1]), (middle, q[1]), q]
    return tuple(path)


def _is_free(
    wire: Wire,
    start: Point,
    end: Point,
    found: Columns,
    positions: Mapping[str, Point],
    sizes: Mapping[str, Sized],
) -> bool:
    """Whether the straight line keeps clear of all other items of the columns that it crosses."""
    line = [start, end]
    top, bottom = min(start[1], end[1]) - CLEAR, max(start[1], end[1]) + CLEAR
    for name in (wire.source, *found.chains[wire.id], wire.target):
        for other in found.order[found.slots[name].column]:
            if other in (wire.source, wire.target) or other not in sizes:
                continue
            (x, y), own = positions[other], sizes[other]
            if y + own.extent.y1 < top or y + own.extent.y0 > bottom:
                continue
            if own.radius and line_distance((x, y), line) < own.radius + CLEAR:
                return False
            if not own.radius and line_meets_rect(line, own.extent.moved(x, y).grown(CLEAR)):
                return False
    return True
