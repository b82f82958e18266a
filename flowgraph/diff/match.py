"""Which unit of the old graph is which of the new one.

First by name. What is left is the same under another name if it is built alike (keys from the inputs up),
or if it does the same in the same place: it stands where another stood in a value that is known, or it
applies the same operation to the same values. Each of these finds more once something is found, so they
take turns a few times. Promises a pairing that is one to one, keeps kinds apart, and depends on nothing but
the two graphs; every turn is linear in their sizes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ..graph import Node
from ..ops.control import Holder
from ..types import TensorType
from .held import by_name, kind, taken
from .keys import Keys
from .units import Circle, Unit, View, Wire, as_circle

TURNS = 8
"""So often what was found may lead to more."""


@dataclass
class Pairing:
    """Two graphs, and which unit of the old one is which of the new one."""

    old: View
    new: View
    keys: Keys
    to_new: dict[int, int] = field(default_factory=dict)
    to_old: dict[int, int] = field(default_factory=dict)

    def join(self, before: int, now: int) -> bool:
        """Note that two units are one, unless either has its other already, or they cannot be."""
        if before in self.to_new or now in self.to_old:
            return False
        if not _can_be(self.old.units[before], self.new.units[now]):
            return False
        self.to_new[before], self.to_old[now] = now, before
        return True

    def side(self, is_old: bool) -> View:
        return self.old if is_old else self.new

    def mark(self, name: str, is_old: bool) -> Hashable:
        """What stands for a value by name on both sides: the new unit that it is, or is the ξ of; None for
        another."""
        view = self.side(is_old)
        number = view.at.get(name)
        what = "unit"
        if number is None:
            number, what = view.excitations.get(name), "xi"
        if number is None:
            return None
        known = self.to_new.get(number) if is_old else number if number in self.to_old else None
        return None if known is None else (what, known)


def match(old: View, new: View, keys: Keys) -> Pairing:
    """The pairing of two graphs."""
    pairing = Pairing(old, new, keys)
    _by_name(pairing)
    complete(pairing)
    return pairing


def complete(pairing: Pairing) -> None:
    """Find what follows from what is joined by now."""
    for _ in range(TURNS):
        before = len(pairing.to_new)
        _by_build(pairing)
        _by_place(pairing)
        _by_operands(pairing)
        if len(pairing.to_new) == before:
            break


def _can_be(a: Unit, b: Unit) -> bool:
    """Whether two units could be one under two names, as far as they themselves go."""
    if a.kind != b.kind:
        return False
    if not a.is_given:
        return True
    one, other = a.node.type, b.node.type
    if not isinstance(one, TensorType) or not isinstance(other, TensorType):
        return False
    return a.name == b.name or (one.elem.kind == other.elem.kind and one.rank == other.rank)


def root(unit: Unit) -> str:
    """The operation that gives a unit its value, as its name; of a circle the activation's."""
    if unit.circle is not None:
        return unit.circle.operation or "weighted_sum"
    return kind(unit.node) or str(unit.node.op.name)


# ---------------------------------------------------------------------------------------
# By name


def _by_name(pairing: Pairing) -> None:
    named: list[dict[tuple[str, str], list[int]]] = []
    for view in (pairing.old, pairing.new):
        table: dict[tuple[str, str], list[int]] = {}
        for number, unit in enumerate(view.units):
            table.setdefault((unit.kind, unit.name), []).append(number)
        named.append(table)
    for key, before in named[0].items():
        now = named[1].get(key, [])
        pairs = (
            zip(before, now, strict=True) if len(before) == len(now) == 1 else _in_turn(pairing, before, now)
        )
        for a, b in pairs:
            pairing.join(a, b)


def _in_turn(pairing: Pairing, before: list[int], now: list[int]) -> Iterator[tuple[int, int]]:
    """Of values that bear one name after another, those that belong together: the same at the beginning and
    at the end, in between those of the same operation, and then whatever is left, in order."""
    said = [_said(pairing.old, n) for n in before], [_said(pairing.new, n) for n in now]
    low, most = 0, min(len(before), len(now))
    while low < most and said[0][low] == said[1][low]:
        yield before[low], now[low]
        low += 1
    high = 0
    while high < most - low and said[0][-1 - high] == said[1][-1 - high]:
        yield before[-1 - high], now[-1 - high]
        high += 1
    first, second = before[low : len(before) - high], now[low : len(now) - high]
    for key in (_said, _root):
        waiting: dict[Hashable, deque[int]] = {}
        for b in second:
            waiting.setdefault(key(pairing.new, b), deque()).append(b)
        left = []
        for a in first:
            queue = waiting.get(key(pairing.old, a))
            if queue:
                yield a, queue.popleft()
            else:
                left.append(a)
        first, second = left, sorted(b for queue in waiting.values() for b in queue)
    yield from zip(first, second, strict=False)


def _root(view: View, number: int) -> Hashable:
    return root(view.units[number])


def _said(view: View, number: int) -> Hashable:
    """A unit as it is written: its operation, and the names of what it is applied to."""
    unit = view.units[number]
    return (root(unit), tuple(view.graph[o].hint for o in unit.node.operands))


# ---------------------------------------------------------------------------------------
# By build


def _by_build(pairing: Pairing) -> None:
    """Join what is built alike from what is known and from nameless inputs and params."""
    waiting: dict[Hashable, deque[int]] = {}
    for number, key in _built(pairing, is_old=True):
        waiting.setdefault(key, deque()).append(number)
    for number, key in _built(pairing, is_old=False):
        if waiting.get(key):
            pairing.join(waiting[key].popleft(), number)


def _built(pairing: Pairing, is_old: bool) -> Iterator[tuple[int, Hashable]]:
    """The units of a side without another, each with how it is built; of what is given only what nothing
    uses, for else its place says more."""
    view, known = pairing.side(is_old), pairing.to_new if is_old else pairing.to_old
    if len(known) == len(view.units):
        return
    built = build(pairing, is_old)
    for number, unit in enumerate(view.units):
        if number not in known and not (unit.is_given and view.graph.use_count(unit.node.name)):
            type = pairing.keys.type(unit.node.type, is_old)
            yield number, (unit.kind, built[unit.node.name], type)


def build(pairing: Pairing, is_old: bool) -> dict[str, int]:
    """How each value is built: of what is known on both sides that it is it, of the rest the structure."""
    view, keys = pairing.side(is_old), pairing.keys
    out: dict[str, int] = {}
    for node in view.graph:
        mark = pairing.mark(node.name, is_old)
        if mark is None:
            out[node.name] = keys.number(node_key(pairing, node, is_old, out, keys.operation(node, is_old)))
        else:
            out[node.name] = keys.number(mark)
    return out


def node_key(
    pairing: Pairing, node: Node, is_old: bool, built: dict[str, int], operation: Hashable
) -> Hashable:
    """How a value is built of its operands, whose keys are `built`; a circle of its wires in whatever
    order."""
    view = pairing.side(is_old)
    number = view.at.get(node.name)
    circle = None if number is None else view.units[number].circle
    if circle is None:
        return (operation, *(built[o] for o in node.operands))
    wires = []
    for wire in circle.wires:
        weight = -1 if wire.weight is None else built[wire.weight]
        source = -1 if wire.source is None else built[wire.source]
        ends = (-1 if wire.cell is None else wire.cell, -1 if wire.index is None else wire.index)
        wires.append((*ends, source, weight, float(wire.factor)))
    return ("circle", None if circle.activation is None else operation, *sorted(wires))


# ---------------------------------------------------------------------------------------
# By place


def _by_place(pairing: Pairing) -> None:
    """Join what stands in the same place of two values that are one."""
    waiting = deque(pairing.to_new.items())
    while waiting:
        a, b = waiting.popleft()
        for before, now in together(pairing, a, b):
            one, other = pairing.old.at.get(before.name), pairing.new.at.get(now.name)
            if one is None or other is None or one in pairing.to_new or other in pairing.to_old:
                continue
            units = pairing.old.units[one], pairing.new.units[other]
            alike = units[0].is_given or root(units[0]) == root(units[1])
            if alike and pairing.join(one, other):
                waiting.append((one, other))


def together(pairing: Pairing, a: int, b: int) -> Iterator[tuple[Node, Node]]:
    """The values that stand in the same places of two units, down to those with names, and these too."""
    old, new = pairing.old, pairing.new
    one, other = old.units[a], new.units[b]
    circles = circles_of(pairing, a, b)
    if circles is not None:
        for wire, other_wire in align(pairing, *circles, guess=True):
            if wire is not None and other_wire is not None:
                yield from _ends(pairing, wire, other_wire)
        return
    if one.is_given or other.is_given:
        return
    opened: set[str] = set()
    stack = [(one.node, other.node)]
    while stack:
        before, now = stack.pop()
        if before.name in opened:
            continue
        yield before, now
        at_root = before is one.node and now is other.node and one.result is None
        if not at_root and (old.is_named(before.name) or new.is_named(now.name)):
            continue
        opened.add(before.name)
        if before.op.name == now.op.name or kind(before) == kind(now) != "":
            names = [(old.graph[x], new.graph[y]) for x, y in operands(before, now)]
            stack += reversed(names)


def _ends(pairing: Pairing, before: Wire, now: Wire) -> Iterator[tuple[Node, Node]]:
    for x, y in ((before.source, now.source), (before.weight, now.weight)):
        if x is not None and y is not None:
            yield pairing.old.graph[x], pairing.new.graph[y]


def operands(before: Node, now: Node) -> Iterable[tuple[str, str]]:
    """The operands of two nodes of one operation that belong together: of blocks by the names of what they
    take."""
    if not isinstance(before.op, Holder):
        return zip(before.operands, now.operands, strict=False)
    given = by_name(before), by_name(now)
    slots = [(given[0][name], given[1][name]) for name in given[0] if name in given[1]]
    return [(before.operands[i], now.operands[j]) for x, y in slots for i, j in zip(x, y, strict=False)]


def learn(pairing: Pairing, before: Node, now: Node, inner: Pairing) -> None:
    """Join the operands of two nodes that hold graphs, given which inputs of these graphs are one."""
    slots = dict(taken(before)), dict(taken(now))
    for name in before.op.graph.inputs:
        other = inner.to_new.get(inner.old.at[name])
        if other is None:
            continue
        pairs = zip(slots[0][name], slots[1][inner.new.units[other].node.name], strict=False)
        for i, j in pairs:
            a, b = pairing.old.at.get(before.operands[i]), pairing.new.at.get(now.operands[j])
            if a is not None and b is not None:
                pairing.join(a, b)


# ---------------------------------------------------------------------------------------
# By operands


def _by_operands(pairing: Pairing) -> None:
    """Join what applies the same operation to the same known values."""
    waiting: dict[Hashable, deque[int]] = {}
    for number, key in _applied(pairing, is_old=True):
        waiting.setdefault(key, deque()).append(number)
    for number, key in _applied(pairing, is_old=False):
        if waiting.get(key):
            pairing.join(waiting[key].popleft(), number)


def _applied(pairing: Pairing, is_old: bool) -> Iterator[tuple[int, Hashable]]:
    view, known = pairing.side(is_old), pairing.to_new if is_old else pairing.to_old
    for number, unit in enumerate(view.units):
        if number in known or unit.kind != "node":
            continue
        used = [o for node in view.inside(number) for o in node.operands]
        marks = {m for m in (pairing.mark(o, is_old) for o in used) if m is not None}
        if marks:
            yield number, (root(unit), tuple(sorted(marks, key=str)))


# ---------------------------------------------------------------------------------------
# Wires


def circles_of(pairing: Pairing, a: int, b: int) -> tuple[Circle, Circle] | None:
    """Two units as circles, if one of them is drawn as one and the other comes to one."""
    one, other = pairing.old.units[a], pairing.new.units[b]
    if one.circle is None and other.circle is None:
        return None
    circles = as_circle(pairing.old, one), as_circle(pairing.new, other)
    return None if circles[0] is None or circles[1] is None else (circles[0], circles[1])


def align(
    pairing: Pairing, before: Circle, now: Circle, *, guess: bool = False
) -> Iterator[tuple[Wire | None, Wire | None]]:
    """The wires of two circles that belong together: those of the same weight between the same ends, those
    between the same ends, and then those that have no other.

    guess: whether wires whose sources have no other yet belong together too, in their order.
    """
    left: list[Sequence[Wire]] = [before.wires, now.wires]
    ways = [(_ends_key, weight_key), (_ends_key,)] + ([(_cell_key,)] if guess else [])
    for way in ways:
        waiting: dict[Hashable, deque[Wire]] = {}
        for wire in left[1]:
            waiting.setdefault(tuple(key(pairing, wire, False) for key in way), deque()).append(wire)
        rest = []
        for wire in left[0]:
            queue = waiting.get(tuple(key(pairing, wire, True) for key in way))
            if queue:
                yield wire, queue.popleft()
            else:
                rest.append(wire)
        unused = {id(wire) for queue in waiting.values() for wire in queue}
        left = [rest, [wire for wire in left[1] if id(wire) in unused]]
    yield from ((wire, None) for wire in left[0])
    yield from ((None, wire) for wire in left[1])


def _ends_key(pairing: Pairing, wire: Wire, is_old: bool) -> Hashable:
    if wire.source is None:
        return (wire.cell, wire.index, "1")
    mark = pairing.mark(wire.source, is_old)
    return (wire.cell, wire.index, mark if mark is not None else (is_old, wire.source))


def _cell_key(pairing: Pairing, wire: Wire, is_old: bool) -> Hashable:
    known = wire.source is None or pairing.mark(wire.source, is_old) is not None
    return (wire.cell, wire.index, ("known", is_old) if known else "unknown")


def weight_key(pairing: Pairing, wire: Wire, is_old: bool) -> Hashable:
    """The weight of a wire, the same on both sides where it is the same."""
    if wire.weight is None:
        return float(wire.factor)
    node = pairing.side(is_old).graph[wire.weight]
    if node.op.name == "const":
        return (float(wire.factor), pairing.keys.operation(node, is_old))
    mark = pairing.mark(wire.weight, is_old)
    return (float(wire.factor), mark if mark is not None else (is_old, wire.weight))
