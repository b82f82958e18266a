"""Plane geometry of pictures: rectangles, chains of cubic Béziers, and what meets what.

The y axis points down, as everywhere in pictures. Distances are in points.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeAlias, TypeVar

Point: TypeAlias = tuple[float, float]
T = TypeVar("T")

PIECES = 12
"""Straight pieces that a Bézier is taken for; of those in pictures none is bent more than a quarter turn, so
the
error is under a hundredth of its length."""


class Rect(NamedTuple):
    """A rectangle by its left, top, right and bottom."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def center(self) -> Point:
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def grown(self, by: float) -> Rect:
        return Rect(self.x0 - by, self.y0 - by, self.x1 + by, self.y1 + by)

    def moved(self, dx: float, dy: float) -> Rect:
        return Rect(self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy)

    def holds(self, other: Rect, slack: float = 0.0) -> bool:
        """Whether the other lies within it, up to `slack`."""
        return (
            other.x0 >= self.x0 - slack
            and other.y0 >= self.y0 - slack
            and other.x1 <= self.x1 + slack
            and other.y1 <= self.y1 + slack
        )

    def overlaps(self, other: Rect, margin: float = 0.0) -> bool:
        """Whether the two share more than a rim of `margin`."""
        return (
            min(self.x1, other.x1) - max(self.x0, other.x0) > margin
            and min(self.y1, other.y1) - max(self.y0, other.y0) > margin
        )

    def distance(self, point: Point) -> float:
        """How far a point lies outside; 0 inside."""
        dx = max(self.x0 - point[0], 0.0, point[0] - self.x1)
        dy = max(self.y0 - point[1], 0.0, point[1] - self.y1)
        return math.hypot(dx, dy)

    def border_distance(self, point: Point) -> float:
        """How far a point is from the outline, inside or outside."""
        outside = self.distance(point)
        if outside:
            return outside
        return min(point[0] - self.x0, self.x1 - point[0], point[1] - self.y0, self.y1 - point[1])


def around(rects: Iterable[Rect]) -> Rect:
    """The smallest rectangle that holds all. Raises ValueError where there is none."""
    x0, y0, x1, y1 = zip(*rects, strict=True)
    return Rect(min(x0), min(y0), max(x1), max(y1))


def around_points(points: Iterable[Point]) -> Rect:
    """The smallest rectangle that holds all points. Raises ValueError where there is none."""
    xs, ys = zip(*points, strict=True)
    return Rect(min(xs), min(ys), max(xs), max(ys))


# ---------------------------------------------------------------------------------------
# Béziers


def straight(a: Point, b: Point) -> tuple[Point, ...]:
    """The straight line from a to b as one Bézier."""
    third = ((b[0] - a[0]) / 3, (b[1] - a[1]) / 3)
    return a, (a[0] + third[0], a[1] + third[1]), (b[0] - third[0], b[1] - third[1]), b


def pieces(path: Sequence[Point]) -> Iterator[tuple[Point, Point, Point, Point]]:
    """The Béziers of a chain."""
    for at in range(0, len(path) - 3, 3):
        yield path[at], path[at + 1], path[at + 2], path[at + 3]


def point_at(piece: Sequence[Point], t: float) -> Point:
    """The point of a Bézier at t in [0, 1]."""
    s = 1 - t
    a, b, c, d = s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t
    p0, p1, p2, p3 = piece
    return (
        a * p0[0] + b * p1[0] + c * p2[0] + d * p3[0],
        a * p0[1] + b * p1[1] + c * p2[1] + d * p3[1],
    )


def split(piece: Sequence[Point], t: float) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """A Bézier as two, divided at t (de Casteljau)."""

    def mix(a: Point, b: Point) -> Point:
        return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t

    p0, p1, p2, p3 = piece
    a, b, c = mix(p0, p1), mix(p1, p2), mix(p2, p3)
    d, e = mix(a, b), mix(b, c)
    f = mix(d, e)
    return (p0, a, d, f), (f, e, c, p3)


def is_straight(piece: Sequence[Point]) -> bool:
    """Whether the control points lie on the line between the ends."""
    (x0, y0), (x1, y1) = piece[0], piece[3]
    dx, dy = x1 - x0, y1 - y0
    length = math.hypot(dx, dy) or 1.0
    return all(abs((x - x0) * dy - (y - y0) * dx) / length < 1e-6 for x, y in piece[1:3])


def flattened(path: Sequence[Point], count: int = PIECES) -> list[Point]:
    """A chain of Béziers as a polyline."""
    if len(path) < 4:
        return list(path)
    out = [path[0]]
    for piece in pieces(path):
        steps = 1 if is_straight(piece) else count
        out += [point_at(piece, k / steps) for k in range(1, steps + 1)]
    return out


def length_of(line: Sequence[Point]) -> float:
    """The length of a polyline."""
    return sum(math.dist(a, b) for a, b in itertools.pairwise(line))


def course(line: Sequence[Point]) -> Callable[[float], tuple[Point, Point]]:
    """Of a polyline the point at a share of its length, and its direction there, of length 1."""
    steps = [(a, b, math.dist(a, b)) for a, b in itertools.pairwise(line) if a != b]
    if not steps:
        return lambda share: (line[-1], (1.0, 0.0))
    ends = list(itertools.accumulate(step for _, _, step in steps))

    def at(share: float) -> tuple[Point, Point]:
        left = share * ends[-1]
        number = min(bisect.bisect_left(ends, left), len(ends) - 1)
        a, b, step = steps[number]
        u = min(1 - (ends[number] - left) / step, 1.0)
        dx, dy = b[0] - a[0], b[1] - a[1]
        return (a[0] + dx * u, a[1] + dy * u), (dx / step, dy / step)

    return at


# ---------------------------------------------------------------------------------------
# Distances


def segment_distance(point: Point, a: Point, b: Point) -> float:
    """How far a point is from a segment."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    square = dx * dx + dy * dy
    u = 0.0 if not square else ((point[0] - a[0]) * dx + (point[1] - a[1]) * dy) / square
    u = min(max(u, 0.0), 1.0)
    return math.hypot(point[0] - a[0] - u * dx, point[1] - a[1] - u * dy)


def line_distance(point: Point, line: Sequence[Point]) -> float:
    """How far a point is from a polyline."""
    return min(segment_distance(point, a, b) for a, b in itertools.pairwise(line))


def segment_meets_rect(a: Point, b: Point, rect: Rect) -> bool:
    """Whether a segment has a point inside a rectangle (Liang and Barsky)."""
    low, high = 0.0, 1.0
    for start, delta, least, most in (
        (a[0], b[0] - a[0], rect.x0, rect.x1),
        (a[1], b[1] - a[1], rect.y0, rect.y1),
    ):
        if delta == 0:
            if not least < start < most:
                return False
            continue
        t0, t1 = (least - start) / delta, (most - start) / delta
        low, high = max(low, min(t0, t1)), min(high, max(t0, t1))
    return low < high


def line_meets_rect(line: Sequence[Point], rect: Rect) -> bool:
    """Whether a polyline enters a rectangle."""
    return any(segment_meets_rect(a, b, rect) for a, b in itertools.pairwise(line))


def rect_line_distance(rect: Rect, a: Point, b: Point) -> float:
    """How far a segment is from a rectangle; 0 where it enters."""
    if segment_meets_rect(a, b, rect):
        return 0.0
    corners = [(x, y) for x in (rect.x0, rect.x1) for y in (rect.y0, rect.y1)]
    return min(rect.distance(a), rect.distance(b), *(segment_distance(c, a, b) for c in corners))


class Grid(Generic[T]):
    """Things by where they are, so that neighbours are found without looking at all."""

    def __init__(self, cell: float = 60.0) -> None:
        self.cell = cell
        self.cells: dict[tuple[int, int], list[int]] = {}
        self.things: list[tuple[Rect, T]] = []

    def add(self, rect: Rect, thing: T) -> None:
        self.things.append((rect, thing))
        for key in cells_of(rect, self.cell):
            self.cells.setdefault(key, []).append(len(self.things) - 1)

    def near(self, rect: Rect) -> list[tuple[Rect, T]]:
        """What may meet the rectangle, in the order in which it was added."""
        found = {n for key in cells_of(rect, self.cell) for n in self.cells.get(key, ())}
        hits = (self.things[n] for n in sorted(found))
        return [h for h in hits if h[0].overlaps(rect, -1e-9)]


class Lines:
    """Polylines by where they run. A long segment is cut into pieces: its bounds would be mostly empty."""

    def __init__(self, cell: float = 40.0) -> None:
        self.cell = cell
        self.cells: dict[tuple[int, int], list[tuple[str, Point, Point]]] = {}

    def add(self, owner: str, line: Sequence[Point]) -> None:
        for a, b in itertools.pairwise(line):
            count = max(math.ceil(math.dist(a, b) / self.cell), 1)
            dx, dy = (b[0] - a[0]) / count, (b[1] - a[1]) / count
            for k in range(count):
                p, q = (a[0] + dx * k, a[1] + dy * k), (a[0] + dx * (k + 1), a[1] + dy * (k + 1))
                for key in cells_of(around_points([p, q]).grown(0.01), self.cell):
                    self.cells.setdefault(key, []).append((owner, p, q))

    def near(self, rect: Rect) -> Iterator[tuple[str, Point, Point]]:
        """Pieces that may run within a rectangle; some twice."""
        for key in cells_of(rect, self.cell):
            yield from self.cells.get(key, ())

    def distances(self, rect: Rect, reach: float) -> dict[str, float]:
        """The lines within a distance of a rectangle, each with how far it is: 0 where it enters."""
        found: dict[str, float] = {}
        x0, y0, x1, y1 = wide = rect.grown(reach)
        for owner, a, b in self.near(wide):
            if max(a[0], b[0]) < x0 or min(a[0], b[0]) > x1 or max(a[1], b[1]) < y0 or min(a[1], b[1]) > y1:
                continue
            known = found.get(owner, reach)
            if known:
                away = rect_line_distance(rect, a, b)
                if away < known:
                    found[owner] = away
        return found


def cells_of(rect: Rect, cell: float) -> Iterator[tuple[int, int]]:
    """The squares of a grid that a rectangle touches."""
    for x in range(math.floor(rect.x0 / cell), math.floor(rect.x1 / cell) + 1):
        for y in range(math.floor(rect.y0 / cell), math.floor(rect.y1 / cell) + 1):
            yield x, y
