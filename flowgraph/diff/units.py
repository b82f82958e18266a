"""The things of a graph that have a name of their own, and the wires of its circles.

Assumes a typed graph of one example, the diagram's own or one that a node holds. Promises a unit for every
input, target, param, buffer, named value and result, in the order of the graph; whatever nobody named
belongs to the units that use it. A circle is read as it is drawn, its activation and its wires, and so is
an equation of numbers that comes to the same (`as_circle`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from ..graph import Graph, Node, Result
from ..types import TensorType
from .held import AMBIENT, label

GIVEN = {"input": "input", "target": "target", "param": "param", "buffer": "buffer"}
"""The kinds of units that come from outside, by operation."""


@dataclass(frozen=True)
class Wire:
    """A wire into a circle, or into the layer of circles `cell` is one of.

    source: the node where it begins, None for the constant 1; index: which entry of it, None for all.
    weight: the node of its weight, None for a number; factor: that number, or what stands before the weight.
    """

    source: str | None
    index: int | None = None
    weight: str | None = None
    factor: int | float = 1
    cell: int | None = None


@dataclass(frozen=True)
class Circle:
    """activation: the node that applies it, None for the identity. excitation: the node of ξ."""

    activation: Node | None
    excitation: Node
    wires: tuple[Wire, ...]

    @property
    def operation(self) -> str:
        return "" if self.activation is None else str(self.activation.op.name)


@dataclass(frozen=True)
class Unit:
    """A named thing. kind: of GIVEN, "node", "output", "loss" or "metric". count: which one of that kind
    and name it is, from 1. node: where its value is; result: of the last three kinds."""

    kind: str
    name: str
    count: int
    node: Node
    circle: Circle | None = None
    result: Result | None = None

    @property
    def is_given(self) -> bool:
        """Whether its value comes from outside."""
        return self.kind in GIVEN.values()

    @property
    def title(self) -> str:
        """Its name, and of several of one name which one it is: `u`, `u (2)`."""
        return self.name if self.count == 1 else f"{self.name} ({self.count})"


@dataclass
class View:
    """One graph as units.

    at: the unit of a named node; results: of one that is a result, the first such. excitations: of a node
    that is the ξ of a circle, the circle's unit. hidden: inputs that are none of what the file passes to a
    block. weights: inputs that are parameters outside.
    """

    graph: Graph
    hidden: frozenset[str] = frozenset()
    weights: frozenset[str] = frozenset()
    units: list[Unit] = field(default_factory=list)
    at: dict[str, int] = field(default_factory=dict)
    excitations: dict[str, int] = field(default_factory=dict)
    results: dict[str, int] = field(default_factory=dict)

    def number(self, name: str) -> int | None:
        """The unit whose value a node is: one with a name, or else a result."""
        return self.at.get(name, self.results.get(name))

    def inside(self, number: int) -> list[Node]:
        """The nodes of a unit: its own and the unnamed ones below, in the order in which they are met."""
        unit = self.units[number]
        if unit.is_given or (unit.result is not None and unit.node.name in self.at):
            return []
        return self.below(unit.node, number)

    def below(self, node: Node, owner: int | None = None) -> list[Node]:
        """A node and the unnamed ones that it is computed from; owner: the unit that it belongs to."""
        found = {node.name: node}
        stack = [node]
        while stack:
            for name in stack.pop().operands:
                if name not in found and not self.is_named(name, owner):
                    found[name] = self.graph[name]
                    stack.append(self.graph[name])
        return list(found.values())

    def is_named(self, name: str, owner: int | None = None) -> bool:
        """Whether a value is a unit, or the ξ of another circle than `owner`."""
        return name in self.at or self.excitations.get(name, owner) != owner


def view(graph: Graph, hidden: Collection[str] = (), weights: Collection[str] = ()) -> View:
    """The units of a graph; hidden, weights: as `View` says."""
    out = View(graph, frozenset(hidden), frozenset(weights))
    reader = _Reader(graph, out.weights)
    counts: dict[tuple[str, str], int] = {}

    def add(
        kind: str, name: str, node: Node, circle: Circle | None = None, result: Result | None = None
    ) -> int:
        counts[kind, name] = counts.get((kind, name), 0) + 1
        out.units.append(Unit(kind, name, counts[kind, name], node, circle, result))
        return len(out.units) - 1

    owners = _excitations(graph)
    owned = set(owners.values()) | _cells(graph, owners)
    for node in graph:
        if node.op.name in GIVEN:
            out.at[node.name] = add(GIVEN[node.op.name], node.hint or node.name, node)
        elif label(node) is None or node.op.name == "const" or node.op.name in AMBIENT or node.name in owned:
            continue
        else:
            out.at[node.name] = add(
                "node", str(label(node)), node, reader.circle(node, owners.get(node.name))
            )
            if node.name in owners:
                out.excitations[owners[node.name]] = out.at[node.name]
    for result in graph.results:
        number = add(result.role, result.label, graph[result.node], result=result)
        out.results.setdefault(result.node, number)
    return out


# ---------------------------------------------------------------------------------------
# Circles


def _is_sum(graph: Graph, node: Node) -> bool:
    """Whether a node is what wires come to, as lowering writes it."""
    if node.op.name == "expand":
        node = graph[node.operands[0]]
        return node.hint is None and (node.op.name == "weighted_sum" or _number(node) is not None)
    return bool(node.op.name == "weighted_sum")


def _excitations(graph: Graph) -> dict[str, str]:
    """Of every circle with an activation, the node of its ξ."""
    found = {}
    for node in graph:
        if node.hint is None or len(node.operands) != 1:
            continue
        below = graph[node.operands[0]]
        if below.hint == f"xi_{node.hint}" and _is_sum(graph, below):
            found[node.name] = below.name
    return found


def _cells(graph: Graph, owners: dict[str, str]) -> set[str]:
    """The sums of wires that reach single circles of a layer: `xi_h_0` and so on."""
    found: set[str] = set()
    layers = {**owners, **{n.name: n.name for n in graph if n.hint is not None and _is_sum(graph, n)}}
    for layer, excitation in layers.items():
        for name in graph[excitation].operands:
            if graph[name].op.name == "stack" and graph[name].hint is None:
                hints = (f"xi_{graph[layer].hint}_{cell}" for cell in range(len(graph[name].operands)))
                cells = zip(graph[name].operands, hints, strict=True)
                found |= {cell for cell, hint in cells if graph[cell].hint == hint}
    return found


@dataclass(frozen=True)
class _Reader:
    """Reads circles off a graph. weights: its inputs that are parameters outside, in a block."""

    graph: Graph
    weights: frozenset[str]

    def circle(self, node: Node, excitation: str | None) -> Circle | None:
        """The circle that a value is, if it was drawn as one."""
        below = node if excitation is None else self.graph[excitation]
        if not _is_sum(self.graph, below):
            return None
        return Circle(None if excitation is None else node, below, tuple(self.wires(below)))

    def wires(self, excitation: Node, cell: int | None = None) -> Iterator[Wire]:
        """The wires that an excitation is the sum of; biases that are numbers are one."""
        if excitation.op.name == "expand":
            excitation = self.graph[excitation.operands[0]]
        if excitation.op.name == "const":
            yield Wire(None, factor=excitation.op.value, cell=cell)
            return
        if excitation.op.bias is not None:
            yield Wire(None, factor=excitation.op.bias, cell=cell)
        for factor, operand in zip(excitation.op.weights, excitation.operands, strict=True):
            node = self.graph[operand]
            if cell is None and node.op.name == "stack" and node.hint is None:
                for number, each in enumerate(self.graph.operands(node)):
                    if each.op.name != "const" or each.op.value != 0:
                        yield from self.wires(each, number)
            else:
                yield self.wire(node, factor, cell)

    def wire(self, node: Node, factor: int | float, cell: int | None = None) -> Wire:
        """The wire that a summand is."""
        if self.is_weight(node):
            return Wire(None, None, node.name, factor, cell)
        weight = None
        if node.hint is None and node.op.name in ("mul", "matmul"):
            first = self.graph[node.operands[0]]
            if self.is_weight(first):
                weight, node = first.name, self.graph[node.operands[1]]
        elif node.hint is None and node.op.name == "sum":
            node = self.graph[node.operands[0]]
        while node.hint is None and node.op.name == "cast":
            node = self.graph[node.operands[0]]
        if node.hint is None and node.op.name == "index" and isinstance(node.op.items[0], int):
            return Wire(node.operands[0], node.op.items[0], weight, factor, cell)
        return Wire(node.name, None, weight, factor, cell)

    def is_weight(self, node: Node) -> bool:
        """Whether a value can be a weight: wires never begin at one."""
        return node.op.name in ("param", "const") or node.name in self.weights

    def summed(self, root: Node) -> tuple[Wire, ...] | None:
        """The wires that an expression of numbers is the sum of; None where it is no such sum."""
        found: list[Wire] = []
        biases: list[int | float] = []
        stack: list[tuple[Node, int | float]] = [(root, 1)]
        while stack:
            node, factor = stack.pop()
            inner = self.graph.operands(node)
            is_open = node is root or node.hint is None
            if (number := _number(node)) is not None:
                biases.append(factor * number)
            elif is_open and node.op.name in ("add", "sub"):
                stack += [(inner[1], -factor if node.op.name == "sub" else factor), (inner[0], factor)]
            elif is_open and node.op.name == "neg":
                stack.append((inner[0], -factor))
            elif is_open and node.op.name == "mul":
                numbers = [_number(each) for each in inner]
                if numbers[0] is None and numbers[1] is None:
                    wire = self._product(inner, factor)
                    if wire is None:
                        return None
                    found.append(wire)
                else:
                    slot = 0 if numbers[0] is not None else 1
                    stack.append((inner[1 - slot], factor * (numbers[slot] or 0)))
            elif node is not root and (node.hint is not None or node.op.name in ("index", "cast")):
                found.append(self.wire(node, factor))
            else:
                return None
        return (*([Wire(None, factor=sum(biases))] if biases else []), *found) if found else None

    def _product(self, factors: Sequence[Node], factor: int | float) -> Wire | None:
        """The wire that a product of a parameter and a named value is."""
        for weight, source in (factors, factors[::-1]):
            if self.is_weight(weight) and source.hint is not None and not self.is_weight(source):
                return Wire(source.name, None, weight.name, factor)
        return None


def _number(node: Node) -> int | float | None:
    """The number that a literal is, whoever named it."""
    value = node.op.value if node.op.name == "const" else None
    return value if isinstance(value, (int, float)) else None


def as_circle(view: View, unit: Unit) -> Circle | None:
    """The circle that a unit is, or that its equation of numbers comes to; None where it is no such thing."""
    if unit.circle is not None or unit.kind != "node":
        return unit.circle
    node, reader = unit.node, _Reader(view.graph, view.weights)
    if not isinstance(node.type, TensorType) or node.type.shape or node.type.elem.kind != "real":
        return None
    if node.op.group == "activations" and len(node.operands) == 1:
        below = view.graph[node.operands[0]]
        wires = (reader.wire(below, 1),) if below.hint is not None else reader.summed(below)
        return None if wires is None else Circle(node, below, wires)
    wires = reader.summed(node)
    return None if wires is None else Circle(None, node, wires)
