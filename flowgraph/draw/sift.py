"""The size guard of a graph, before anything of it is drawn: which values stand on the page, and which fold.

Assumes a graph in order of dependence. The values that would be items of their own are the named ones,
inputs, results and blocks. Where there are more than `fold.LIMIT` the columns by depth keep their ends
and the middle of them folds, as `fold.guard` does with items; so a diagram of any size costs one walk of its
graph, and what is kept. Promises the same choice from run to run.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from ..graph import Graph, Node
from ..ops.control import GIVEN, Holder
from .fold import LIMIT, chosen, more_item
from .picture import Item


@dataclass
class Sifted:
    """What of a graph is drawn.

    alive: the nodes that are. places: of the folded values that those read, the id of the ⋮ or ⋯ which
    stands for it. mores: these, by the folded value that each comes in place of, the first one. wires: into
    these. count: how many values are folded.
    """

    alive: set[str]
    places: dict[str, str] = field(default_factory=dict)
    mores: dict[str, Item] = field(default_factory=dict)
    wires: tuple[tuple[str, str], ...] = ()
    count: int = 0


def sift(
    graph: Graph, alive: set[str], silent: Collection[str], path: str, frame: str, most: int | None = None
) -> Sifted:
    """The part of a graph that is drawn: all of `alive` unless it has more than `most` values.

    silent: nodes that no arrow comes from, as parameters. path, frame: of the level that draws it.
    """
    ends = {r.node for r in graph.results}
    nodes = [node for node in graph if node.name in alive and node.name not in silent]
    own = [node for node in nodes if _is_item(graph, node, ends)]
    if len(own) <= (LIMIT if most is None else most):
        return Sifted(alive)
    into = chosen(_columns(nodes, {node.name for node in own}))
    into = {name: f"{path}{more}" for name, more in into.items()}
    kept = {node.name for node in own if node.name not in into}
    near = _near(graph, alive, kept, into)
    counts: dict[str, int] = {}
    first: dict[str, str] = {}
    for node in own:
        if node.name in into:
            more = into[node.name]
            counts[more] = counts.get(more, 0) + 1
            first.setdefault(more, node.name)
    mores = {name: more_item(more, counts[more], frame) for more, name in first.items()}
    read = dict.fromkeys(o for name in sorted(near) for o in graph[name].operands if o in into)
    places = {name: into[name] for name in [*read, *mores]}
    return Sifted(near, places, mores, _wires(nodes, into, kept), len(into))


def _is_item(graph: Graph, node: Node, ends: Collection[str]) -> bool:
    """Whether a value would be an item, or several; an excitation is drawn as part of a neuron."""
    if node.op.name == "item":
        return False
    if node.name in ends or node.op.name in GIVEN or isinstance(node.op, Holder):
        return True
    if node.hint is None:
        return False
    return not (node.hint.startswith("xi_") and len(graph.nx.succ[node.name]) == 1)


def _columns(nodes: list[Node], own: set[str]) -> dict[int, list[str]]:
    """The items by depth: how many of them the longest way to each has."""
    depth: dict[str, int] = {}
    rows: dict[int, list[str]] = {}
    for node in nodes:
        at = max((depth.get(o, -1) for o in node.operands), default=-1)
        if node.name in own:
            at += 1
            rows.setdefault(at, []).append(node.name)
        depth[node.name] = at
    return rows


def _near(graph: Graph, alive: set[str], kept: set[str], into: dict[str, str]) -> set[str]:
    """The items that are kept and what they are computed with, up to other items."""
    found = set(kept)
    stack = list(kept)
    while stack:
        for operand in graph[stack.pop()].operands:
            if operand in alive and operand not in found and operand not in into:
                found.add(operand)
                stack.append(operand)
    return found


def _wires(nodes: list[Node], into: dict[str, str], kept: set[str]) -> tuple[tuple[str, str], ...]:
    """The wires between what is kept and the ⋮, into these: pairs of a node or ⋮ and a ⋮."""
    reached: dict[str, dict[str, None]] = {}
    wires: dict[tuple[str, str], None] = {}
    for node in nodes:
        if node.name in kept:
            reached[node.name] = {node.name: None}
            continue
        from_: dict[str, None] = {}
        for operand in node.operands:
            from_ |= reached.get(operand, {})
        more = into.get(node.name)
        if more is None:
            reached[node.name] = from_
            continue
        wires |= {(source, more): None for source in from_ if source != more}
        reached[node.name] = {more: None}
    return tuple(wires)
