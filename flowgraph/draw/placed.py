"""A picture with positions, before labels: what layouts make.

Points, y downwards; items by their centres.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from .geometry import Point, Rect, around, around_points
from .sizes import Sized


@dataclass
class Placed:
    """positions: centres of items; routes: chains of Béziers from outline to outline; frames. All by id."""

    positions: dict[str, Point]
    routes: dict[str, tuple[Point, ...]]
    frames: dict[str, Rect] = field(default_factory=dict)

    def outline(self, name: str, sizes: Mapping[str, Sized]) -> Rect:
        """The rectangle around an item's outline."""
        (x, y), own = self.positions[name], sizes[name]
        return Rect(x - own.width / 2, y - own.height / 2, x + own.width / 2, y + own.height / 2)

    def bounds(self, sizes: Mapping[str, Sized]) -> Rect:
        """The rectangle around everything. Raises ValueError where there is nothing."""
        rects = [sizes[name].extent.moved(*at) for name, at in self.positions.items()]
        routes = [around_points(route) for route in self.routes.values()]
        return around([*rects, *self.frames.values(), *routes])


def outline_point(own: Sized, at: Point, towards: Point) -> Point:
    """Where the line from an item's centre to a point leaves its outline."""
    dx, dy = towards[0] - at[0], towards[1] - at[1]
    length = math.hypot(dx, dy) or 1.0
    if own.radius:
        return at[0] + dx / length * own.radius, at[1] + dy / length * own.radius
    across = (own.width / 2) / abs(dx) if dx else math.inf
    down = (own.height / 2) / abs(dy) if dy else math.inf
    share = min(across, down)
    return at[0] + dx * share, at[1] + dy * share
