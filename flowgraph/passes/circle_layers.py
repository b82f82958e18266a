"""Which single circles of a drawing are a layer.

Assumes a typed graph of one example. Circles are a layer where they lie at the same depth, have the same
activation, and are held together by sources that they share, which are circles, inputs or entries of
vectors themselves.

The rule of what is dense: the wires from one vector are a matrix where at least half of its entries are
wires, or one of 16 if all weights are numbers, or where it is small. Thinner ones are a list of wires
(`ops/sparse.py`), if there are enough to be worth it: 16 circles and 64 wires. What is neither is left as it
is drawn. Where the numbers come from: an entry of a matrix costs numpy 0.4 ns for each of 32 examples' worth
of a batch, a wire of a list 8 (scipy's CSR: 5), so a list pays below one wire in 20 (13). A matrix of
parameters is laid out anew at every call and its gradient gathered from all entries, which costs as much
again for every entry as 16 of them in the product: there a list pays below one wire in two. A list costs 25
µs however short it is, a wire by itself 1.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..graph import Graph, Node
from ..ops.base import Elementwise
from .affine import Form, Forms, Weight, is_entry, is_number

SMALL = 256
"""A matrix with this many entries is small."""
SHARE, SHARE_TRAINED = 16, 2
"""A larger one has a wire for every so many entries: one of numbers, one with params."""
LEAST_CIRCLES, LEAST_WIRES = 16, 64
"""What a list of wires has at the least."""
MANY_PARTS = 4
"""More groups of circles that are small become one list of wires."""


@dataclass
class Unit:
    """A circle. excitation: the node whose form it is of; the circle itself, where it has no activation."""

    node: Node
    excitation: str
    form: Form


@dataclass
class Layer:
    """Circles that become one vector, in the order of the graph."""

    units: list[Unit]
    depth: int

    def __post_init__(self) -> None:
        self.names = [unit.node.name for unit in self.units]


def find_layers(graph: Graph) -> tuple[list[Layer], dict[str, int]]:
    """The layers of a graph, the lowest first, and the depth of every node: all sources of a layer lie
    below it, and what its circles are used by does not."""
    forms = Forms(graph)
    units: dict[str, Unit] = {}
    for node in graph:
        unit = _unit(graph, forms, node)
        if unit is not None and all(_is_drawn(graph[source], units) for source in unit.form.sources()):
            units[node.name] = unit
    depths = _depths(graph, units)
    groups: dict[object, list[Unit]] = {}
    for unit in units.values():
        op = None if unit.excitation == unit.node.name else unit.node.op
        groups.setdefault((depths[unit.node.name], op), []).append(unit)
    layers: list[Layer] = []
    inside: set[str] = set()
    for group in sorted(groups.values(), key=lambda g: depths[g[0].node.name]):
        for part in _pooled(group, _connected(group), inside):
            if _is_worth(part, inside):
                layers.append(Layer(part, depths[part[0].node.name]))
                inside.update(layers[-1].names if len(part) > 1 else ())
    return layers, depths


def _unit(graph: Graph, forms: Forms, node: Node) -> Unit | None:
    """The circle that a node is, if it is one with a wire."""
    if not is_number(node):
        return None
    is_activation = _is_activation(node) and node.name not in forms.own
    excitation = node.operands[0] if is_activation else node.name
    form = forms.own.get(excitation)
    if form is None or not any(True for _ in form.sources()):
        return None
    if is_activation and not _is_excitation(graph, excitation):
        return None
    if not is_activation and (not forms.is_source(node) or _is_excitation(graph, node.name)):
        return None
    return Unit(node, excitation, form)


def _is_drawn(source: Node, circles: Mapping[str, Unit]) -> bool:
    """Whether a source is a circle, an input or an entry of a vector, and no result such as a loss."""
    return source.name in circles or source.op.name == "input" or is_entry(source)


def _is_excitation(graph: Graph, name: str) -> bool:
    """Whether a number is what one activation alone is applied to."""
    users = graph.users(name)
    return len(users) == 1 and _is_activation(users[0])


def _is_activation(node: Node) -> bool:
    """Whether a node is a function of one value, entry by entry."""
    return isinstance(node.op, Elementwise) and len(node.operands) == 1


def _depths(graph: Graph, units: Mapping[str, Unit]) -> dict[str, int]:
    """How many circles lie on the longest way to each node."""
    depths: dict[str, int] = {}
    circles = {**units} | {u.excitation: u for u in units.values()}
    for node in graph:
        if node.name in circles:
            sources = circles[node.name].form.sources()
            depths[node.name] = 1 + max((depths[s] for s in sources), default=0)
        else:
            depths[node.name] = max((depths[o] for o in node.operands), default=0)
    return depths


def _connected(units: Sequence[Unit]) -> list[list[Unit]]:
    """The circles in groups, each held together by the sources that they share."""
    first: dict[str, int] = {}
    parent = list(range(len(units)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, unit in enumerate(units):
        for source in unit.form.sources():
            parent[root(i)] = root(first.setdefault(source, i))
    groups: dict[int, list[Unit]] = {}
    for i, unit in enumerate(units):
        groups.setdefault(root(i), []).append(unit)
    return list(groups.values())


def _pooled(units: Sequence[Unit], parts: Sequence[list[Unit]], inside: set[str]) -> list[list[Unit]]:
    """The groups; those that are no layer, or many small ones, together with the thinnest layer there is
    where this makes a list of wires."""
    small = [i for i, part in enumerate(parts) if _size(part) <= SMALL]
    loose = {i for i, part in enumerate(parts) if not _is_worth(part, inside)}
    thin = [i for i, part in enumerate(parts) if _is_list(part) and not _is_matrix(part)]
    if thin or len(small) > MANY_PARTS:
        loose.update(small)
    if not loose:
        return list(parts)
    loose.update(thin)
    pool = {id(unit) for i in loose for unit in parts[i]}
    together = [unit for unit in units if id(unit) in pool]
    if len(loose) >= 2 and _is_list(together):
        return [*(part for i, part in enumerate(parts) if i not in loose), together]
    if len(parts) > MANY_PARTS and _is_list(units) and not _is_matrix(units):
        return [list(units)]
    return list(parts)


def _is_matrix(units: Sequence[Unit]) -> bool:
    """Whether all wires together would be a matrix."""
    wires = _wires(units)
    is_literal = all(not param for _, param in wires)
    return is_dense(len(wires), _size(units), is_literal=is_literal)


def _size(units: Sequence[Unit]) -> int:
    """How many entries the matrix of all wires would have."""
    return len(units) * len({s for u in units for s in u.form.sources()})


def _wires(units: Sequence[Unit]) -> list[Weight]:
    return [weight for u in units for weight in u.form.terms if weight[0]]


def _is_list(units: Sequence[Unit]) -> bool:
    """Whether there is enough for a list of wires."""
    return len(units) >= LEAST_CIRCLES and len(_wires(units)) >= LEAST_WIRES


def is_dense(wires: int, entries: int, *, is_literal: bool) -> bool:
    """Whether so many wires are a matrix with so many entries, not a list."""
    return entries <= SMALL or (SHARE if is_literal else SHARE_TRAINED) * wires >= entries


def _is_worth(units: Sequence[Unit], inside: set[str]) -> bool:
    """Whether circles gain by being a vector: several of them, or one that reads a vector; densely wired,
    or many."""
    sources = {s for u in units for s in u.form.sources()}
    if len(units) == 1 and sum(s in inside for s in sources) < 2:
        return False
    wires = _wires(units)
    if _is_list(units):
        return True
    entries = len(units) * len(sources)
    if units[0].excitation == units[0].node.name and 3 * len(wires) < 2 * entries:
        return False  # sums of a few numbers each, such as differences, are clearer and as fast one by one
    if all(not param for _, param in wires):  # a literal matrix: where there is no wire it has a 0
        return is_dense(len(wires), entries, is_literal=True)
    return SHARE_TRAINED * len(wires) >= entries
