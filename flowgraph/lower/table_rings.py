"""Rings among the wires of a table: circles that feed themselves, or layers that do though no circle does.

Assumes the ends of the wires as numbers, of circles and of the layers they lie in. Promises the first ring
found, the same for the same table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_NAMED = 9
"""A longer ring is shown by its ends."""


@dataclass(frozen=True)
class Ring:
    """circles, groups: those on it, the first again at the end; -1 stands for what is left out.

    row: a wire on it. circles is empty where layers alone make a ring.
    """

    circles: tuple[int, ...]
    groups: tuple[int, ...]
    row: int


def find_ring(
    source_group: np.ndarray, target_group: np.ndarray, source: np.ndarray, target: np.ndarray, count: int
) -> Ring | None:
    """A ring of layers, and one of circles if there is one. count: how many layers there are."""
    pairs, first = np.unique(source_group * count + target_group, return_index=True)
    around = _around(pairs // count, pairs % count, count)
    if not around:
        return None
    of_circles = _around(source, target, int(max(source.max(), target.max())) + 1)
    if of_circles:
        row = int(np.flatnonzero((source == of_circles[0]) & (target == of_circles[1]))[0])
        return Ring(_shown(of_circles), _shown(around), row)
    row = int(first[np.searchsorted(pairs, around[0] * count + around[1])])
    return Ring((), _shown(around), row)


def _around(source: np.ndarray, target: np.ndarray, count: int) -> list[int]:
    """A ring of `count` numbered things, the first again at its end; [] if there is none.

    What nothing feeds is taken away until nothing is left, or everything left is fed from what is left.
    """
    order = np.argsort(source, kind="stable")
    heads = target[order]
    bounds = np.searchsorted(source[order], np.arange(count + 1))
    feeds = np.bincount(target, minlength=count)
    waiting = np.flatnonzero(feeds == 0).tolist()
    left = np.ones(count, bool)
    while waiting:
        one = waiting.pop()
        left[one] = False
        for head in heads[bounds[one] : bounds[one + 1]].tolist():
            feeds[head] -= 1
            if not feeds[head]:
                waiting.append(head)
    if not left.any():
        return []
    inside = left[source] & left[target]
    before = np.full(count, -1)
    before[target[inside][::-1]] = source[inside][::-1]
    one = int(np.flatnonzero(left & (before >= 0))[0])
    way: dict[int, None] = {}
    while one not in way:
        way[one] = None
        one = int(before[one])
    ring = list(way)[list(way).index(one) :][::-1]
    return [*ring, ring[0]]


def _shown(ring: list[int]) -> tuple[int, ...]:
    return tuple(ring) if len(ring) <= MOST_NAMED else (*ring[:4], -1, *ring[-4:])
