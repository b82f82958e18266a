"""Weights beside wires: where each label stands.

Promises labels that overlap no label, circle or box, and that are clearly nearer to their own wire than to
any other, or says which could not be placed. Among such places those above the wire and near its beginning,
where wires have parted and do not cross yet, are taken first; a label for which there is none beside its
wire stands on it, and interrupts it. Labels are placed one by one, those of short wires first; one that finds
no room moves another out of its way; then all are placed once more with all others known.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .geometry import Grid, Lines, Point, Rect, course, flattened, length_of, segment_meets_rect
from .measure import Measured

SHARES = tuple(n / 40 for n in range(5, 36))
"""Where along its wire a label may stand."""
FAVOURED = 0.36
"""Where it stands best: nearer to the beginning, before wires meet."""
NEAR = 9.0
"""A foreign wire that is closer to a label than this, in points, might seem to be the one it belongs to."""
CLEARLY = 1.0
"""No foreign wire is closer to a label than its own wire's distance and this, in points."""
AWAY = 2.2
"""Distance of a label from its wire, in points."""
APART, OFF = 1.0, 1.5
"""Least distance of labels from labels and boxes, and from circles."""
SLIDE, BELOW, ON, CLOSE, BENT = 5.0, 1.2, 6.0, 4.0, 3.0
"""What a place costs: away from the best share, below the wire, on it, near others, over its own bend."""
ABOVE, UNDER, ON_IT = range(3)
PLACES = sorted(
    (SLIDE * abs(share - FAVOURED) + extra, share, side)
    for share in SHARES
    for side, extra in ((ABOVE, 0.0), (UNDER, BELOW), (ON_IT, ON))
)
"""What each place costs at least, and where it is."""
ROUNDS = 3
TRIES = 24
"""So many places are tried where one label has to make room for another."""


@dataclass(frozen=True)
class Wanted:
    """A label to be placed: its owner, its size, and the route it belongs to."""

    owner: str
    said: Measured
    route: tuple[Point, ...]


@dataclass
class _Surroundings:
    """What labels keep clear of. pale: wires that they may lie on."""

    pale: frozenset[str] = frozenset()
    blocks: Grid[tuple[Point, float] | None] = field(default_factory=Grid)
    lines: Lines = field(default_factory=Lines)

    def is_blocked(self, rect: Rect) -> bool:
        return any(_blocks(rect, block, disc) for block, disc in self.blocks.near(rect.grown(OFF)))


def place_labels(
    wanted: Sequence[Wanted], taken: Iterable[Rect], discs: Iterable[tuple[Point, float]],
    routes: Mapping[str, tuple[Point, ...]], pale: Collection[str] = (), *, on_wires: bool = True,
) -> dict[str, Rect]:  # fmt: skip
    """The rectangle of each label by its owner; without those for which there is no free place.

    taken: what no label may overlap; discs: circles likewise. routes: of all wires. pale: those of
    them that never have a label, which others may lie on. on_wires: whether a label may stand on its wire.
    """
    around = _Surroundings(frozenset(pale))
    for rect in taken:
        around.blocks.add(rect, None)
    for (x, y), r in discs:
        around.blocks.add(Rect(x - r, y - r, x + r, y + r), ((x, y), r))
    for owner, route in routes.items():
        around.lines.add(owner, flattened(route))
    lengths = {w.owner: length_of(flattened(w.route)) - w.said.width for w in wanted}
    order = [w.owner for w in sorted(wanted, key=lambda w: lengths[w.owner])]
    places = [p for p in PLACES if on_wires or p[2] != ON_IT]
    table = _Table({w.owner: _Choices(_ranked(w, around, places)) for w in wanted})
    for _ in range(ROUNDS):
        moved = [table.settle(owner) for owner in order]
        if not any(moved):
            break
    return {w.owner: table.found[w.owner] for w in wanted if w.owner in table.found}


class _Table:
    """The labels that are placed."""

    def __init__(self, choices: Mapping[str, _Choices]) -> None:
        self.choices = choices
        self.found: dict[str, Rect] = {}
        self.grid: Grid[tuple[str, Rect]] = Grid()

    def settle(self, owner: str) -> bool:
        """Put a label on its best free place; whether it has moved."""
        for rect in self.choices[owner]:
            if not self._takers(owner, rect):
                return self._put(owner, rect)
        return owner not in self.found and self._make_room(owner)

    def _make_room(self, owner: str) -> bool:
        """Put a label where a single other one stands that can move elsewhere."""
        for rect in itertools.islice(self.choices[owner], TRIES):
            takers = self._takers(owner, rect)
            if len(takers) > 1:
                continue
            grown = rect.grown(APART)
            for other in itertools.islice(self.choices[takers[0]], TRIES):
                if not grown.overlaps(other) and not self._takers(takers[0], other):
                    self._put(takers[0], other)
                    return self._put(owner, rect)
        return False

    def _takers(self, owner: str, rect: Rect) -> list[str]:
        """The other labels that stand in a place."""
        grown = rect.grown(APART)
        near = {name for _, (name, own) in self.grid.near(grown) if self.found[name] is own}
        near.discard(owner)
        return sorted(near)

    def _put(self, owner: str, rect: Rect) -> bool:
        if self.found.get(owner) == rect:
            return False
        self.found[owner] = rect
        self.grid.add(rect, (owner, rect))
        return True


class _Choices:
    """The places of a label that nothing but other labels may take, the best first; found as asked for."""

    def __init__(self, ranked: Iterator[Rect]) -> None:
        self.known: list[Rect] = []
        self.rest = ranked

    def __iter__(self) -> Iterator[Rect]:
        at = 0
        while True:
            if at == len(self.known):
                fresh = next(self.rest, None)
                if fresh is None:
                    return
                self.known.append(fresh)
            yield self.known[at]
            at += 1


def _ranked(
    wanted: Wanted, around: _Surroundings, places: Sequence[tuple[float, float, int]]
) -> Iterator[Rect]:
    """The free places by cost; a place is looked at when no other can be as good as the best known."""
    at = course(flattened(wanted.route))
    known: list[tuple[float, int, Rect]] = []
    for number, (least, share, side) in enumerate(places):
        while known and known[0][0] <= least:
            yield heapq.heappop(known)[2]
        rect = _beside(*at(share), wanted.said, side)
        more = None if around.is_blocked(rect) else _crowding(wanted.owner, rect, around, side == ON_IT)
        if more is not None:
            heapq.heappush(known, (least + more, number, rect))
    yield from (rect for _, _, rect in sorted(known))


def _crowding(owner: str, rect: Rect, around: _Surroundings, is_on: bool) -> float | None:
    """What a place costs for the wires near it; None where it might seem to belong to another."""
    clear = rect.grown(CLEARLY + (0.0 if is_on else AWAY))
    for other, a, b in around.lines.near(clear):
        if other != owner and other not in around.pale and segment_meets_rect(a, b, clear):
            return None
    near = around.lines.distances(rect, NEAR)
    own = near.pop(owner, 0.0)
    bent = BENT if own < AWAY / 2 and not is_on else 0.0
    return bent + sum(CLOSE * (1 - away / NEAR) for away in near.values())


def _blocks(rect: Rect, block: Rect, disc: tuple[Point, float] | None) -> bool:
    if disc is None:
        return rect.grown(APART).overlaps(block)
    return rect.distance(disc[0]) < disc[1] + OFF


def _beside(point: Point, direction: Point, said: Measured, side: int) -> Rect:
    """The rectangle of a label AWAY from a line through the point: one of ABOVE, UNDER,
    ON_IT."""
    width, height = said.left + said.right, said.height
    nx, ny = direction[1], -direction[0]  # to the left of the direction: up, where it points right
    if ny > 0 or (ny == 0 and nx < 0):
        nx, ny = -nx, -ny
    reach = (abs(nx) * width / 2 + abs(ny) * height / 2 + AWAY) * (1, -1, 0)[side]
    cx, cy = point[0] + nx * reach, point[1] + ny * reach
    return Rect(cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
