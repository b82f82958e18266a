"""The nodes of a scope in an order of dependence."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import takewhile
from operator import ne

from .rings import report_ring
from .scope import Scope


def in_order(scope: Scope) -> list[str]:
    """All nodes, operands before users, otherwise as they were made.

    Every ring is reported; the nodes that depend on one come without their operands.
    """
    order: list[str] = []
    done: set[str] = set()
    in_rings: set[str] = set()
    for root in scope.nodes:
        if root in done:
            continue
        path: dict[str, Iterator[str]] = {root: iter(scope.nodes[root].operands)}
        while path:
            name, rest = next(reversed(path.items()))
            step = next((o for o in rest if o not in done and o in scope.nodes), None)
            if step is None:
                path.pop(name)
                done.add(name)
                order.append(name)
            elif step not in path:
                path[step] = iter(scope.nodes[step].operands)
            elif step not in in_rings:
                ring = [step, *reversed(list(takewhile(partial(ne, step), reversed(path))))]
                in_rings.update(ring)
                report_ring(scope, ring)
    return order
