"""Give every value that a reader is told of a name of its own.

Assumes a typed graph. Promises the same graph with other hints, every hint once: a name bound again is
numbered, `u(2)`; the excitation of an activation is called after it as in a lecture, `xi_1` that of `h1` and
`xi_f` that of `f`; the layers and activations of a chain that nobody named are `xi_1`, `h_1`, `xi_2`, ... by
their order. Names of the diagram stay as they are, and go before those that are made up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from ..graph import Graph, Node, rebuild, renamed
from ..mathnames import unicode_name
from ..ops.base import Elementwise
from ..ops.control import GIVEN
from .base import Pass

SUMS = ("add", "sub", "matmul", "weighted_sum")
"""What makes excitations, beside layers with parameters."""
SINGLE = ("neg", "mul")
"""What makes those of circles with a single wire."""

NUMBERED = re.compile(r"h_?([0-9]+)\Z")


@dataclass(frozen=True)
class NameValues(Pass):
    """Hints as a reader wants them."""

    name: ClassVar[str] = "name-values"

    def run(self, graph: Graph) -> Graph:
        hints = _numbered(graph)
        hints |= _excitations(graph, hints)
        hints |= _chains(graph, hints)
        return rebuild(graph, (renamed(n, hint=hints.get(n.name)) for n in graph))


def _numbered(graph: Graph) -> dict[str, str]:
    """The hints of the diagram, each once; what only gives a name to an unnamed value hands it on to that."""
    given = {node.name: node.hint for node in graph if node.hint is not None}
    for node in graph:
        if node.op.name == "identity" and node.hint is not None and node.operands[0] not in given:
            given[node.operands[0]] = given.pop(node.name)
    seen: dict[str, int] = {}
    hints = {}
    for node in graph:
        hint = given.get(node.name)
        if hint is None:
            continue
        seen[hint] = count = seen.get(hint, 0) + 1
        is_first = count == 1 or node.op.name in GIVEN
        hints[node.name] = hint if is_first else f"{hint}({count})"
    return hints


def excitation_of(graph: Graph, node: Node) -> Node | None:
    """The excitation of a node that is an activation of a sum, else None."""
    if node.op.group != "activations" or len(node.operands) != 1:
        return None
    below = graph[node.operands[0]]
    sums = (*SUMS, *SINGLE) if isinstance(node.op, Elementwise) else SUMS
    is_sum = below.op.name in sums or below.op.params
    return below if is_sum and below.op.name not in GIVEN else None


def _excitations(graph: Graph, hints: dict[str, str]) -> dict[str, str]:
    """Names for the excitations of named activations; those of circles are shortened where that is clear."""
    found: dict[str, str] = {}
    free = _Free(hints.values())
    for node in graph:
        below = excitation_of(graph, node)
        hint = hints.get(node.name)
        if below is None or hint is None or below.name in found:
            continue
        long = f"xi_{hint}"
        if hints.get(below.name, long) != long:
            continue  # it has a name of its own
        digits = NUMBERED.match(hint)
        short = f"xi_{digits[1]}" if digits else long
        found[below.name] = short if free.take(short) else long
        free.take(long)
    return found


def _chains(graph: Graph, hints: dict[str, str]) -> dict[str, str]:
    """Names for activations of layers that nobody named, and for these layers."""
    found: dict[str, str] = {}
    free = _Free(hints.values())
    number = 0
    for node in graph:
        below = excitation_of(graph, node)
        if below is None or node.name in hints or below.name in hints or not below.op.params:
            continue
        if below.name in found:
            continue
        number += 1
        while not free.both(f"xi_{number}", f"h_{number}"):
            number += 1
        found[below.name], found[node.name] = f"xi_{number}", f"h_{number}"
    return found


class _Free:
    """Which names look like none of those that are taken."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = set(map(unicode_name, taken))

    def take(self, name: str) -> bool:
        """Take a name; False where another looks like it."""
        looks = unicode_name(name)
        if looks in self.taken:
            return False
        self.taken.add(looks)
        return True

    def both(self, *names: str) -> bool:
        """Take these names, if all of them are free."""
        if any(unicode_name(name) in self.taken for name in names):
            return False
        for name in names:
            self.take(name)
        return True
