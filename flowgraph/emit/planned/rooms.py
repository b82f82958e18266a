"""Which values share memory: rooms, arrays made once, in which values live by turns.

Assumes intervals in which values are needed. Promises that no two values whose intervals meet share a room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...ops.shape import product
from ...types import Dim

FOREVER = 1 << 60


@dataclass
class Tenant:
    """A value, or several that lie in one array.

    first, last: the places of the order between which it is needed. size: its entries. heir: one whose
    place it may take although that is needed until `first`, as it is computed entry by entry from it.
    """

    name: str
    kind: str
    shape: tuple[Dim, ...]
    first: int
    last: int
    heir: str = ""

    @property
    def size(self) -> Dim:
        return product(self.shape)


@dataclass
class Room:
    """An array that tenants of one kind of number share."""

    kind: str
    tenants: list[Tenant] = field(default_factory=list)

    def sizes(self) -> list[Dim]:
        """The sizes that it must have room for, none of them always covered by another."""
        sizes = list(dict.fromkeys(t.size for t in self.tenants))
        return [s for s in sizes if not any(o != s and covers(o, s) for o in sizes)]

    def nominal(self, sizes: Mapping[str, int]) -> int:
        """Its entries, where the symbolic sizes are these."""
        return max((t.size.at(sizes) for t in self.tenants), default=0)


def covers(large: Dim, small: Dim) -> bool:
    """Whether a size is at least another one whatever the symbolic sizes, which are not negative."""
    have = dict(large.terms)
    return all(have.get(mono, 0) >= factor for mono, factor in small.terms) and all(
        factor >= 0 or (mono, factor) in small.terms for mono, factor in large.terms
    )


def share(tenants: Sequence[Tenant], nominal: Mapping[str, int], *, reuse: bool = True) -> list[Room]:
    """Rooms for all tenants, first come first served.

    A tenant takes, of the rooms that are free, that of its heir, else the one of its size, else the
    smallest that is large enough at the nominal sizes, else the largest, which grows.
    """
    rooms: list[Room] = []
    free_at: list[int] = []
    for tenant in sorted(tenants, key=lambda t: t.first):
        chosen = _choose(tenant, rooms, free_at, nominal) if reuse else None
        if chosen is None:
            rooms.append(Room(tenant.kind))
            free_at.append(-1)
            chosen = len(rooms) - 1
        rooms[chosen].tenants.append(tenant)
        free_at[chosen] = tenant.last
    return rooms


def _choose(
    tenant: Tenant, rooms: Sequence[Room], free_at: Sequence[int], nominal: Mapping[str, int]
) -> int | None:
    wanted = tenant.size.at(nominal)
    best: tuple[int, int] | None = None
    for index, room in enumerate(rooms):
        if room.kind != tenant.kind:
            continue
        last = room.tenants[-1]
        if last.name == tenant.heir and free_at[index] == tenant.first and last.size == tenant.size:
            return index
        if free_at[index] >= tenant.first:
            continue
        have = room.nominal(nominal)
        exact = any(t.size == tenant.size for t in room.tenants)
        cost = 0 if exact else have - wanted + 1 if have >= wanted else (1 << 40) + wanted - have
        if best is None or cost < best[0]:
            best = (cost, index)
    return None if best is None else best[1]
