"""Columns by depth: how far an item is from where the flow begins.

Assumes wires without rings, which is what diagrams have. Promises that a wire goes from a column to one
further right, that
the circles of a layer share a column, and that what only begins a flow late (a target, the constant 1)
stands right before what it feeds. Linear in items and wires.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .picture import Item, Wire

LATE = ("one", "target", "constant")
"""Kinds that stand right before what they feed."""


def columns(items: Sequence[Item], wires: Iterable[Wire], late: Sequence[str] = LATE) -> dict[str, int]:
    """The column of each item by id, from 0; wires of other items are passed over."""
    unit = {item.id: item.group or item.id for item in items}
    inward: dict[str, set[str]] = {name: set() for name in unit.values()}
    outward: dict[str, list[str]] = {name: [] for name in unit.values()}
    for wire in wires:
        a, b = unit.get(wire.source), unit.get(wire.target)
        if a is not None and b is not None and a != b and a not in inward[b]:
            inward[b].add(a)
            outward[a].append(b)
    kinds = {unit[item.id]: item.kind for item in items if item.kind != "more"}
    depth = dict.fromkeys(outward, 0)
    waiting = {name: len(found) for name, found in inward.items()}
    ready = [name for name, count in waiting.items() if not count]
    order = []
    for name in ready:
        order.append(name)
        for user in outward[name]:
            depth[user] = max(depth[user], depth[name] + 1)
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    for name in reversed(order):
        if kinds.get(name) in late and outward[name]:
            depth[name] = max(min(depth[user] for user in outward[name]) - 1, 0)
    return {item.id: depth[unit[item.id]] for item in items}
