"""Weights beside wires: where each label stands.

Promises labels that overlap no label, circle or box, or says which could not be placed; among the free
places those
near the wire's beginning and off other wires are taken first. Labels are placed one by one, the one with
the fewest free places first, and then once more with all others known.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .geometry import Grid, Point, Rect, along, around_points, flattened, segment_distance, segment_meets_rect
from .measure import Measured

SHARES = tuple(n / 40 for n in range(5, 36))
"""Where along its wire a label may stand."""
FAVOURED = 0.36
"""Where it stands best: nearer to the beginning, before wires meet."""
NEAR = 9.0
"""A foreign wire that is closer to a label than this, in points, might seem to be the one it belongs to."""
AWAY = 2.2
"""Distance of a label from its wire, in points."""
ROUNDS = 3


@dataclass(frozen=True)
class Wanted:
    """A label to be placed: its owner, its size, and the route it belongs to."""

    owner: str
    said: Measured
    route: tuple[Point, ...]


@dataclass(frozen=True)
class _Place:
    rect: Rect
    cost: float


def place_labels(
    wanted: Sequence[Wanted], taken: Iterable[Rect], discs: Iterable[tuple[Point, float]],
    routes: Mapping[str, tuple[Point, ...]],
) -> dict[str, Rect]:  # fmt: skip
    """The rectangle of each label by its owner; without those for which there is no free place.

    taken: what no label may overlap; discs: circles likewise. routes: all wires, which labels keep off if
    they can.
    """
    blocks: Grid[tuple[Point, float] | None] = Grid()
    for rect in taken:
        blocks.add(rect, None)
    for (x, y), r in discs:
        blocks.add(Rect(x - r, y - r, x + r, y + r), ((x, y), r))
    lines: Grid[tuple[str, Point, Point]] = Grid()
    for owner, route in routes.items():
        line = flattened(route)
        for a, b in itertools.pairwise(line):
            lines.add(around_points([a, b]).grown(0.01), (owner, a, b))
    choices = {w.owner: _choices(w, blocks, lines) for w in wanted}
    order = sorted(range(len(wanted)), key=lambda n: (len(choices[wanted[n].owner]), n))
    found: dict[str, Rect] = {}
    for _ in range(ROUNDS):
        changed = False
        for n in order:
            owner = wanted[n].owner
            best = _best(owner, choices[owner], found)
            if best is not None and found.get(owner) != best:
                found[owner] = best
                changed = True
        if not changed:
            break
    return found


def _best(owner: str, choices: Sequence[_Place], found: Mapping[str, Rect]) -> Rect | None:
    """The cheapest place that no other label takes."""
    others = [rect for name, rect in found.items() if name != owner]
    for choice in choices:
        grown = choice.rect.grown(1.0)
        if not any(grown.overlaps(rect) for rect in others):
            return choice.rect
    return None


def _choices(
    wanted: Wanted, blocks: Grid[tuple[Point, float] | None], lines: Grid[tuple[str, Point, Point]]
) -> list[_Place]:
    """The places on either side of the wire that nothing blocks, the best first."""
    line = flattened(wanted.route)
    out = []
    for share in SHARES:
        point, direction = along(line, share)
        for side in (0, 1):
            rect = _beside(point, direction, wanted.said, up=side == 0)
            if any(_blocks(rect, block, disc) for block, disc in blocks.near(rect.grown(1.0))):
                continue
            cost = 5.0 * abs(share - FAVOURED) + 1.2 * side
            for _, (owner, a, b) in lines.near(rect.grown(NEAR)):
                if segment_meets_rect(a, b, rect):
                    cost += 30.0 if owner == wanted.owner else 9.0
                elif owner != wanted.owner:
                    cost += 4.0 * max(0.0, 1 - _distance(rect, a, b) / NEAR)
            out.append(_Place(rect, cost))
    return sorted(out, key=lambda p: p.cost)


def _distance(rect: Rect, a: Point, b: Point) -> float:
    """How far a segment that does not enter a rectangle is from it."""
    corners = [(x, y) for x in (rect.x0, rect.x1) for y in (rect.y0, rect.y1)]
    return min(rect.distance(a), rect.distance(b), *(segment_distance(c, a, b) for c in corners))


def _blocks(rect: Rect, block: Rect, disc: tuple[Point, float] | None) -> bool:
    if disc is None:
        return rect.grown(1.0).overlaps(block)
    return rect.distance(disc[0]) < disc[1] + 1.5


def _beside(point: Point, direction: Point, said: Measured, *, up: bool) -> Rect:
    """The rectangle of a label that touches a line through the point but for AWAY."""
    width, height = said.left + said.right, said.height
    nx, ny = direction[1], -direction[0]  # to the left of the direction: up, where it points right
    if ny > 0 or (ny == 0 and nx < 0):
        nx, ny = -nx, -ny
    if not up:
        nx, ny = -nx, -ny
    reach = abs(nx) * width / 2 + abs(ny) * height / 2 + AWAY
    cx, cy = point[0] + nx * reach, point[1] + ny * reach
    return Rect(cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
