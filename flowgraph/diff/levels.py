"""The pairs of graphs that a diff compares: the diagrams' own, and those that their nodes hold.

Assumes typed graphs of one example. Promises each pair of forms of a block once, however often these meet,
outer graphs before inner ones; what is found inside (which parameters are one) is known outside too.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from ..graph import Graph, Node
from .blocks import Blocks
from .changes import Change
from .held import is_repeat, kind, made, weights
from .keys import Keys
from .match import Pairing, complete, learn, match, together
from .units import View, view


@dataclass
class Level:
    """Two graphs compared.

    scope, path: where they stand, in words and as the names of parameters begin there. changes: what
    differs in them. children: nodes of both that hold graphs, with what differs there. told: of units of
    the old (True) and the new graph (False), how they differ.
    """

    pairing: Pairing
    scope: str
    path: str = ""
    changes: list[Change] = field(default_factory=list)
    children: list[tuple[Node, Node, Level]] = field(default_factory=list)
    told: dict[tuple[bool, int], Change] = field(default_factory=dict)


def find_levels(old: Graph, new: Graph, keys: Keys, blocks: Blocks) -> list[Level]:
    """The levels of two diagrams, their own first. Adds to the renamed blocks those that changed as well."""
    found = _Levels(keys, blocks)
    found.level(view(old), view(new), "", "")
    for level in found.levels:  # grows
        found.begin(level)
    for level in reversed(found.levels):
        known = len(level.pairing.to_new)
        for before, now, child in level.children:
            learn(level.pairing, before, now, child.pairing)
        if len(level.pairing.to_new) > known:
            complete(level.pairing)
    for level in found.levels:  # may still grow
        found.begin(level)
    return found.levels


@dataclass
class _Levels:
    keys: Keys
    blocks: Blocks
    levels: list[Level] = field(default_factory=list)
    known: dict[Hashable, Level] = field(default_factory=dict)

    def level(self, old: View, new: View, scope: str, path: str) -> Level:
        """The level of two graphs, which may be known already where they are held ones."""
        sides = ((old.graph, True), (new.graph, False))
        forms = (scope, *(self.keys.spelling_of(graph, is_old) for graph, is_old in sides if scope))
        if forms not in self.known:
            self.known[forms] = Level(match(old, new, self.keys), scope, path)
            self.levels.append(self.known[forms])
        return self.known[forms]

    def begin(self, level: Level) -> None:
        """Begin the levels of the graphs that two units hold in the same places, unless that is done."""
        pairing = level.pairing
        done = {(before.name, now.name) for before, now, _ in level.children}
        for a, b in list(pairing.to_new.items()):
            for before, now in together(pairing, a, b):
                if (before.name, now.name) in done or not self._is_one(pairing, before, now):
                    continue
                done.add((before.name, now.name))
                views = _inside(pairing.old, before), _inside(pairing.new, now)
                path = ".".join(p for p in (level.path, now.op.path or now.hint or "") if p)
                child = self.level(*views, _scope(level.scope, now), path)
                level.children.append((before, now, child))

    def _is_one(self, pairing: Pairing, before: Node, now: Node) -> bool:
        """Whether two nodes hold graphs that are to be compared: repeats, scans, or calls of one block."""
        if kind(before) != kind(now) or not kind(now):
            return False
        if kind(now) != "block":
            return True
        names = before.op.graph.name, now.op.graph.name
        return self.blocks.are_one(*names) or (
            self.blocks.may_be_one(*names) and self._alike(pairing, before, now) and self.blocks.join(*names)
        )

    def _alike(self, pairing: Pairing, before: Node, now: Node) -> bool:
        """Whether at least half of what two blocks compute is the same under some name."""
        inner = match(_inside(pairing.old, before), _inside(pairing.new, now), self.keys)
        nodes = [sum(unit.kind == "node" for unit in side.units) for side in (inner.old, inner.new)]
        same = sum(inner.old.units[number].kind == "node" for number in inner.to_new)
        return 2 * same >= max(nodes) > 0


def _inside(side: View, node: Node) -> View:
    """The units of a held graph."""
    return view(node.op.graph, made(side.graph, node), weights(side.graph, side.weights, node))


def _scope(around: str, node: Node) -> str:
    name = node.op.graph.name
    if kind(node) == "block":
        return f"block {name}"
    inner = f"repeat {name}" if is_repeat(node) else f"scan of {name}"
    return f"{around}, {inner}" if around else inner
