"""Wrapping: a drawing that is too long for a page is cut into columns side by side, or rows below each other.

Assumes positions and routes without faults, and a flow in one direction. It is cut only between items and
outside of frames, where few wires pass; such a wire leaves the end of its column, runs through the gutter and
enters the next one at its beginning. Promises that what stood apart still does: each part is moved as a
whole, and nothing but those wires runs between the parts. Everything here is written for a flow downwards;
one to the right is turned before and after.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .geometry import Point, Rect, flattened, pieces, point_at, split, straight
from .picture import Picture
from .placed import Placed
from .sizes import Sized

COUNTS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32, 48)
"""Numbers of parts that are tried."""
MOST_WIRES, WORSE = 5, 0.92
"""So many wires may pass a cut; what each but the first makes of a page's worth."""
LARGE = 200
"""Of a drawing of more items only cuts of a single wire are tried."""
UPRIGHT = 3.0
"""They run down so much faster than sideways there."""
GUTTER, LANE, BEND = 34.0, 8.0, 6.0
"""Between parts, between the wires in it, and the radius of their bends."""


@dataclass(frozen=True)
class _Cut:
    """A place to cut: how far down, and the wires there, from the right to the left, with where they pass."""

    at: float
    wires: tuple[tuple[str, float], ...]


def wrapped(
    placed: Placed, picture: Picture, sizes: Mapping[str, Sized], direction: str, page: tuple[float, float]
) -> tuple[Placed, float] | None:
    """The drawing in as many parts as let it fill a page best, and what the wires between them leave of its
    worth, up to 1; None where there is no place to cut.

    direction: of the flow, "TB" downwards or "LR" to the right. page: width and height.
    """
    rects = {i.id: sizes[i.id].extent.moved(*placed.positions[i.id]) for i in picture.items}
    if direction == "LR":
        turned = _turned(placed)
        found = _wrapped(turned, {n: _turned_rect(r) for n, r in rects.items()}, (page[1], page[0]))
        return None if found is None else (_turned(found[0]), found[1])
    return _wrapped(placed, rects, page)


def _wrapped(
    placed: Placed, rects: Mapping[str, Rect], page: tuple[float, float]
) -> tuple[Placed, float] | None:
    cuts = _cuts(placed, [*rects.values(), *placed.frames.values()])
    if not cuts:
        return None
    low = min(r.y0 for r in rects.values())
    high = max(r.y1 for r in rects.values())
    best: tuple[float, Placed, float] | None = None
    most_wires = MOST_WIRES if len(rects) <= LARGE else 1
    for few, count in itertools.product(range(1, most_wires + 1), COUNTS):
        allowed = [cut for cut in cuts if len(cut.wires) <= few]
        if count > len(allowed) + 1 or (few > 1 and all(len(cut.wires) < few for cut in cuts)):
            continue
        chosen = _balanced(allowed, low, high, count)
        found = _in_parts(placed, rects, chosen)
        width, height = _size(found, rects, placed)
        worth = WORSE ** sum(len(cut.wires) - 1 for cut in chosen)
        fit = worth * min(page[0] / width, page[1] / height)
        if best is None or fit > best[0]:
            best = fit, found, worth
    return None if best is None else best[1:]


def _size(found: Placed, rects: Mapping[str, Rect], before: Placed) -> tuple[float, float]:
    moved = []
    for name, rect in rects.items():
        (x0, y0), (x1, y1) = before.positions[name], found.positions[name]
        moved.append(rect.moved(x1 - x0, y1 - y0))
    moved += found.frames.values()
    points = [p for route in found.routes.values() for p in route]
    xs = [x for r in moved for x in (r.x0, r.x1)] + [p[0] for p in points]
    ys = [y for r in moved for y in (r.y0, r.y1)] + [p[1] for p in points]
    return max(xs) - min(xs), max(ys) - min(ys)


# ---------------------------------------------------------------------------------------
# Cuts


def _cuts(placed: Placed, rects: Sequence[Rect]) -> list[_Cut]:
    """The middles of all gaps between items that few wires pass, from above."""
    spans = sorted((r.y0, r.y1) for r in rects)
    gaps = []
    reach = spans[0][1]
    for y0, y1 in spans[1:]:
        if y0 > reach:
            gaps.append((reach + y0) / 2)
        reach = max(reach, y1)
    lines = {name: flattened(route) for name, route in placed.routes.items()}
    passing: dict[int, list[tuple[str, float]]] = {n: [] for n in range(len(gaps))}
    odd: set[int] = set()
    for name, line in lines.items():
        for a, b in itertools.pairwise(line):
            first = bisect.bisect_right(gaps, min(a[1], b[1]))
            last = bisect.bisect_right(gaps, max(a[1], b[1]))
            for n in range(first, last):
                share = (gaps[n] - a[1]) / (b[1] - a[1])
                passing[n].append((name, a[0] + (b[0] - a[0]) * share))
                if b[1] - a[1] < UPRIGHT * abs(b[0] - a[0]):
                    odd.add(n)
    out = []
    for n, at in enumerate(gaps):
        names = [name for name, _ in passing[n]]
        if n not in odd and 0 < len(names) <= MOST_WIRES and len(set(names)) == len(names):
            out.append(_Cut(at, tuple(sorted(passing[n], key=lambda w: -w[1]))))
    return out


def _balanced(cuts: Sequence[_Cut], low: float, high: float, count: int) -> list[_Cut]:
    """At most count - 1 cuts that leave the longest part as short as may be."""
    ends = [cut.at for cut in cuts]
    least, most = (high - low) / count, high - low
    best: list[_Cut] = []
    for _ in range(30):
        middle = (least + most) / 2
        chosen = _greedy(ends, low, high, middle)
        if chosen is None or len(chosen) >= count:
            least = middle
        else:
            most, best = middle, [cuts[n] for n in chosen]
    return best


def _greedy(ends: Sequence[float], low: float, high: float, longest: float) -> list[int] | None:
    """The cuts that make parts as long as allowed, one after another; None where a part is longer."""
    chosen: list[int] = []
    at = low
    while high - at > longest:
        n = bisect.bisect_right(ends, at + longest) - 1
        if n < 0 or (chosen and n <= chosen[-1]):
            return None
        chosen.append(n)
        at = ends[n]
    return chosen


# ---------------------------------------------------------------------------------------
# Parts


def _in_parts(placed: Placed, rects: Mapping[str, Rect], cuts: Sequence[_Cut]) -> Placed:
    """The drawing cut, its parts side by side with their beginnings level."""
    ends = [cut.at for cut in cuts]
    sliced = {name: _sliced(route, ends) for name, route in placed.routes.items()}
    spans: list[list[float]] = [[] for _ in range(len(cuts) + 1)]
    for rect in (*rects.values(), *placed.frames.values()):
        spans[bisect.bisect(ends, rect.y0)] += [rect.x0, rect.x1]
    for slices in sliced.values():
        for part, route in slices:
            spans[part] += [x for x, _ in flattened(route)]
    starts = [math.inf] * len(spans)
    for rect in (*rects.values(), *placed.frames.values()):
        part = bisect.bisect(ends, rect.y0)
        starts[part] = min(starts[part], rect.y0)
    shifts: list[Point] = []
    gutters: list[float] = []
    left = 0.0
    for part, xs in enumerate(spans):
        shifts.append((left - min(xs), -starts[part]))
        right = left + max(xs) - min(xs)
        lanes = LANE * (len(cuts[part].wires) - 1) if part < len(cuts) else 0.0
        gutters.append(right + GUTTER / 2)
        left = right + GUTTER + lanes

    def shift(at: float) -> Point:
        return shifts[bisect.bisect(ends, at)]

    positions = {n: _moved([p], shift(rects[n].y0))[0] for n, p in placed.positions.items()}
    frames = {n: r.moved(*shift(r.y0)) for n, r in placed.frames.items()}
    routes = {n: _joined(n, slices, shifts, cuts, gutters) for n, slices in sliced.items()}
    return Placed(positions, routes, frames)


def _sliced(route: tuple[Point, ...], ends: Sequence[float]) -> list[tuple[int, tuple[Point, ...]]]:
    """A route cut where it passes the ends of parts; each piece with the number of its part."""
    first = bisect.bisect(ends, route[0][1])
    rest = list(pieces(route))
    out: list[tuple[int, tuple[Point, ...]]] = []
    part = first
    now: list[Point] = [route[0]]
    while rest:
        piece = rest.pop(0)
        if part < len(ends) and piece[3][1] > ends[part] >= piece[0][1]:
            before, after = split(piece, _share_at(piece, ends[part]))
            out.append((part, (*now, *before[1:])))
            now = [after[0]]
            part += 1
            rest.insert(0, after)  # type: ignore[arg-type]
            continue
        now += piece[1:]
    return [*out, (part, tuple(now))]


def _share_at(piece: Sequence[Point], y: float) -> float:
    """Where a Bézier that goes down passes a height."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if point_at(piece, middle)[1] < y:
            low = middle
        else:
            high = middle
    return high


def _joined(
    name: str,
    slices: Sequence[tuple[int, tuple[Point, ...]]],
    shifts: Sequence[Point],
    cuts: Sequence[_Cut],
    gutters: Sequence[float],
) -> tuple[Point, ...]:
    """The pieces of a route, each moved with its part, joined through the gutters."""
    part, piece = slices[0]
    out = list(_moved(piece, shifts[part]))
    for part, piece in slices[1:]:
        names = [wire for wire, _ in cuts[part - 1].wires]
        lane, count = names.index(name), len(names)
        after = _moved(piece, shifts[part])
        start, end = out[-1], after[0]
        low = start[1] + lane * LANE + BEND
        high = end[1] - (count - 1 - lane) * LANE - BEND
        x = gutters[part - 1] + lane * LANE
        corners = [start, (start[0], low), (x, low), (x, high), (end[0], high), end]
        out += [*_rounded(corners)[1:], *after[1:]]
    return tuple(out)


def _moved(points: Sequence[Point], by: Point) -> tuple[Point, ...]:
    return tuple((x + by[0], y + by[1]) for x, y in points)


def _rounded(corners: Sequence[Point]) -> list[Point]:
    """A chain of Béziers along corners, which are bends."""
    out = [corners[0]]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        radius = min(BEND, math.dist(before, corner) / 2, math.dist(corner, after) / 2)
        a, b = _towards(corner, before, radius), _towards(corner, after, radius)
        out += [
            _towards(out[-1], a, math.dist(out[-1], a) / 3),
            _towards(a, out[-1], math.dist(out[-1], a) / 3),
            a,
        ]
        out += [_towards(a, corner, radius * 0.55), _towards(b, corner, radius * 0.55), b]
    return [*out, *straight(out[-1], corners[-1])[1:]]


def _towards(a: Point, b: Point, step: float) -> Point:
    far = math.dist(a, b)
    return a if not far else (a[0] + (b[0] - a[0]) * step / far, a[1] + (b[1] - a[1]) * step / far)


# ---------------------------------------------------------------------------------------
# Turning


def _turned(placed: Placed) -> Placed:
    """The same with x and y exchanged."""
    return Placed(
        {n: (y, x) for n, (x, y) in placed.positions.items()},
        {n: tuple((y, x) for x, y in route) for n, route in placed.routes.items()},
        {n: _turned_rect(rect) for n, rect in placed.frames.items()},
    )


def _turned_rect(rect: Rect) -> Rect:
    return Rect(rect.y0, rect.x0, rect.y1, rect.x1)
