"""The picture of a nonlinearity: its graph over [-3, 3], drawn from the operation itself.

Assumes an elementwise operation. The values come from its numpy form; where a function is not defined its
graph is not drawn, and where it jumps the graph goes straight up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .geometry import Point, segment_distance

REACH = 3.0
SAMPLES = 601
HIGHEST = 12.0
"""Values beyond are cut: the graph of exp would hide its own bend."""
FINE = 0.004
"""How far a simplified curve may be from the samples, in its own units."""


@dataclass(frozen=True)
class Sketch:
    """A graph as points in [-1, 1]², x to the right and y upwards; axis: the y of its zero.

    The middle is x = 0; y runs from the least to the greatest value, 0 included.
    """

    points: tuple[Point, ...]
    axis: float

    def at(self, x: float) -> Point:
        """Where the graph is at an argument of the function, or at its end that is nearest to it."""
        place = min(max(x / REACH, self.points[0][0]), self.points[-1][0])
        before = [p for p in self.points if p[0] <= place][-1]
        after = next((p for p in self.points if p[0] > place), before)
        share = 0.0 if after is before else (place - before[0]) / (after[0] - before[0])
        return place, before[1] + share * (after[1] - before[1])


def sketch(function: Callable[[Any], Any]) -> Sketch | None:
    """The graph of a function of an array; None where there is none."""
    xs = np.linspace(-REACH, REACH, SAMPLES)
    with np.errstate(all="ignore"):
        try:
            ys = np.asarray(function(xs), dtype=np.float64)
        except (TypeError, ValueError, IndexError):
            return None
    if ys.shape != xs.shape:
        return None
    fine = np.isfinite(ys) & (np.abs(ys) <= HIGHEST)
    if not fine.any():
        return None
    start, end = _longest(fine)
    xs, ys = xs[start:end], ys[start:end]
    if len(xs) < 3:
        return None
    low, high = min(float(ys.min()), 0.0), max(float(ys.max()), 0.0)
    scale = (high - low) or 1.0
    points = [(float(x) / REACH, 2 * (float(y) - low) / scale - 1) for x, y in zip(xs, ys, strict=True)]
    rounded = tuple((round(x, 4), round(y, 4)) for x, y in _simplified(points))
    return Sketch(rounded, round(2 * -low / scale - 1, 4))


def _longest(fine: np.ndarray) -> tuple[int, int]:
    """The longest stretch of true entries."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], fine.astype(np.int8), [0]))))
    starts, ends = edges[::2], edges[1::2]
    best = int(np.argmax(ends - starts))
    return int(starts[best]), int(ends[best])


def _simplified(points: list[Point]) -> list[Point]:
    """The polyline without the points that lie on the line between others (Douglas and Peucker)."""
    keep = [False] * len(points)
    keep[0] = keep[-1] = True
    stack = [(0, len(points) - 1)]
    while stack:
        a, b = stack.pop()
        if b - a < 2:
            continue
        far, at = max((segment_distance(points[i], points[a], points[b]), i) for i in range(a + 1, b))
        if far > FINE:
            keep[at] = True
            stack += [(a, at), (at, b)]
    return [p for p, kept in zip(points, keep, strict=True) if kept]
