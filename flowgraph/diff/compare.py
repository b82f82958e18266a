"""What differs between two graphs, and between the graphs that their nodes hold.

Assumes typed graphs of one example. Promises every difference of named things once: a block that is called
in many places is compared once for each pair of forms that it has, however often these meet. A change in
the file that means the same gives none: another order of declarations or of the wires of a circle, sums of
numbers written as wires or as an equation. Initial values that follow from the number of wires are not
compared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass

from ..errors import Span
from ..graph import Graph, Node
from .blocks import Blocks
from .changes import ADDED, CHANGED, REMOVED, RENAMED, Change, Note
from .held import is_repeat, item_key, kind, passed, rounds
from .keys import Keys
from .levels import Level
from .match import align, circles_of, node_key, together, weight_key
from .spelled import Speller, type_text, value_text
from .units import Circle, Unit, View, Wire

Frozen = Callable[[str], bool]
"""Whether a parameter of the diagram is kept from learning, by its name."""
DERIVED = "fanuniform"
"""The initial values that follow from what reaches a circle or layer."""


@dataclass(frozen=True)
class Settings:
    """What comparisons of all levels share; frozen: of the old and the new diagram."""

    keys: Keys
    blocks: Blocks
    frozen: tuple[Frozen, Frozen]


def compare_level(level: Level, settings: Settings) -> None:
    """Add to a level what differs in it."""
    _Report(settings, level).run()


@dataclass
class _Report:
    """Compares the units of one level."""

    settings: Settings
    level: Level

    def __post_init__(self) -> None:
        self.pairing = self.level.pairing
        self.old, self.new = self.pairing.old, self.pairing.new
        self.keys = self.settings.keys
        self.spelled = {True: Speller(self.old), False: Speller(self.new)}
        self.own = {side: self._own(side) for side in (True, False)}

    def run(self) -> None:
        """Add what differs to the level: pairs and what is new in the order of the new graph, each old one
        that is gone after the old one before it."""
        self._repeats()
        gone: dict[int, list[int]] = {}
        last = -1
        for number in range(len(self.old.units)):
            if number in self.pairing.to_new:
                last = self.pairing.to_new[number]
            else:
                gone.setdefault(last, []).append(number)
        for number in gone.get(-1, []):
            self._alone(number, is_old=True)
        for number in range(len(self.new.units)):
            before = self.pairing.to_old.get(number)
            if before is None:
                self._alone(number, is_old=False)
            else:
                self._pair(before, number)
            for each in gone.get(number, []):
                self._alone(each, is_old=True)
        self._order()

    def _order(self) -> None:
        """Report outputs that come in another order; of what a repeat binds again only the names count."""
        pairs = self.pairing.to_old.items()
        outputs = [(a, b) for b, a in sorted(pairs) if self.new.units[b].kind == "output"]
        if outputs == sorted(outputs) or ", repeat " in f", {self.level.scope}":
            return
        before, now = (
            ", ".join(view.units[n].name for n in numbers)
            for view, numbers in (
                (self.old, sorted(a for a, _ in outputs)),
                (self.new, [b for _, b in outputs]),
            )
        )
        note = Note("order", before, now)
        self.level.changes.append(Change(CHANGED, "output", "", notes=(note,), scope=self.level.scope))

    def _own(self, is_old: bool) -> dict[str, int]:
        """How each unit is built of units, whatever these are built of."""
        side, pairing = self.pairing.side(is_old), self.pairing
        used: dict[str, int] = {}
        own: dict[str, int] = {}
        for node in side.graph:
            said = self.keys.operation(node, is_old, lambda graph: self._held_name(graph, is_old))
            if kind(node):
                said = ("repeat",) if is_repeat(node) else said
                own[node.name] = self.keys.number((said, *(used[o] for o in passed(side.graph, node))))
            else:
                said = item_key(side.graph, node) or said
                own[node.name] = self.keys.number(node_key(pairing, node, is_old, used, said))
            mark = pairing.mark(node.name, is_old)
            if mark is None and side.is_named(node.name):
                mark = ("only", is_old, node.name)
            used[node.name] = own[node.name] if mark is None else self.keys.number(mark)
        return own

    def _held_name(self, graph: Graph, is_old: bool) -> Hashable:
        """What stands for a held graph, whose inside is compared by itself."""
        return graph.name if is_old else self.settings.blocks.old_name(graph.name)

    # -- units of one side

    def _alone(self, number: int, is_old: bool) -> None:
        side = self.pairing.side(is_old)
        unit = side.units[number]
        way = REMOVED if is_old else ADDED
        if unit.node.name in side.hidden or (
            self.level.scope and unit.result is not None and self._is_plain(unit)
        ):
            return
        ends = (number, None) if is_old else (None, number)
        self._change(way, *ends, said=self._description(number, is_old))
        if unit.circle is not None:
            for wire in unit.circle.wires:
                self._wire(unit, wire if is_old else None, None if is_old else wire, unit)

    def _is_plain(self, unit: Unit) -> bool:
        """Whether a result is nothing but a named value under that name."""
        return unit.result is not None and unit.node.hint == unit.name

    def _description(self, number: int, is_old: bool) -> str:
        side = self.pairing.side(is_old)
        unit = side.units[number]
        type = type_text(unit.node.type)
        if unit.kind in ("input", "target"):
            return type
        if unit.kind in ("param", "buffer"):
            frozen = ", frozen" if self._frozen(unit, is_old) else ""
            return f"{type} = {value_text(unit.node.op.init)}{frozen}"
        shape = "" if type == "number" else f"  {type}"
        if unit.circle is not None:
            count = len(unit.circle.wires)
            return f"{_activation(unit.circle)}, {count} wire{'' if count == 1 else 's'}{shape}"
        by = f" by {unit.result.by}" if unit.result is not None and unit.result.by != "mean" else ""
        said = self.spelled[is_old].unit(number)
        if unit.result is not None:
            return "" if said == unit.name else f"{said}{by}"
        return f"{said}{shape}"

    # -- units of both sides

    def _pair(self, a: int, b: int) -> None:
        one, other = self.old.units[a], self.new.units[b]
        if one.node.name in self.old.hidden and other.node.name in self.new.hidden:
            return
        if one.result is not None:
            notes = self._result_notes(a, b)
            renamed = one.name != other.name and not (self._is_plain(one) and self._is_plain(other))
        else:
            notes = self._given_notes(one, other) if one.is_given else self._node_notes(a, b)
            renamed = one.name != other.name
        if renamed or notes:
            way = RENAMED if renamed else CHANGED
            self._change(way, a, b, notes=tuple(notes))
        circles = self._wired(a, b)
        if circles is not None:
            for before, now in align(self.pairing, *circles):
                self._wire(other, before, now, one)

    def _type_notes(self, one: Unit, other: Unit) -> list[Note]:
        before, now = one.node.type, other.node.type
        if self.keys.type(before, True) == self.keys.type(now, False):
            return []
        said = type_text(before), type_text(now)
        return [Note("shape" if all(t[0] in "[n" for t in said) else "type", *said)]

    def _given_notes(self, one: Unit, other: Unit) -> list[Note]:
        notes = self._type_notes(one, other)
        if one.kind not in ("param", "buffer"):
            return notes
        before, now = one.node.op.init, other.node.op.init
        derived = before.name == now.name == DERIVED
        if not derived and self.keys.value(before, True) != self.keys.value(now, False):
            notes.append(Note("initially", value_text(before), value_text(now)))
        frozen = self._frozen(one, True), self._frozen(other, False)
        if frozen[0] != frozen[1]:
            words = ["frozen" if f else "learns" for f in frozen]
            notes.append(Note("", *words))
        return notes

    def _frozen(self, unit: Unit, is_old: bool) -> bool:
        return unit.kind == "param" and self.settings.frozen[0 if is_old else 1](unit.name)

    def _result_notes(self, a: int, b: int) -> list[Note]:
        one, other = self.old.units[a], self.new.units[b]
        assert one.result is not None and other.result is not None
        notes = []
        if self.level.scope and self._is_plain(one) and self._is_plain(other):
            return []  # the value itself is reported
        if self._mark(one, True) is not None or self._mark(other, False) is not None:
            if self._mark(one, True) != self._mark(other, False):
                notes.append(Note("", self._reference(a, True), self._reference(b, False)))
        else:
            notes += self._type_notes(one, other)
            if self.own[True][one.node.name] != self.own[False][other.node.name]:
                notes = self._written_notes(a, b, notes) + notes
        if one.result.by != other.result.by:
            notes.append(Note("over the batch", one.result.by, other.result.by))
        return notes

    def _reference(self, number: int, is_old: bool) -> str:
        """The value that a result is, by its name if it has one."""
        side = self.pairing.side(is_old)
        node = side.units[number].node
        return (
            side.units[side.at[node.name]].title
            if node.name in side.at
            else self.spelled[is_old].unit(number)
        )

    def _mark(self, unit: Unit, is_old: bool) -> Hashable:
        side = self.pairing.side(is_old)
        if unit.node.name not in side.at:
            return None
        return self.pairing.mark(unit.node.name, is_old) or ("only", is_old)

    def _node_notes(self, a: int, b: int) -> list[Note]:
        one, other = self.old.units[a], self.new.units[b]
        notes = self._type_notes(one, other)
        if self.own[True][one.node.name] == self.own[False][other.node.name]:
            return notes
        circles = circles_of(self.pairing, a, b)
        if circles is None:
            return self._written_notes(a, b, notes) + notes
        said = _activation(circles[0]), _activation(circles[1])
        return ([Note("", *said)] if said[0] != said[1] else []) + notes

    def _wired(self, a: int, b: int) -> tuple[Circle, Circle] | None:
        """The circles of a pair whose wires are not all the same."""
        one, other = self.old.units[a], self.new.units[b]
        if one.is_given or one.result is not None:
            return None
        if self.own[True][one.node.name] == self.own[False][other.node.name]:
            return None
        return circles_of(self.pairing, a, b)

    def _texts(self, a: int, b: int) -> tuple[str, str]:
        return self.spelled[True].unit(a), self.spelled[False].unit(b)

    def _written_notes(self, a: int, b: int, told: Collection[Note] = ()) -> list[Note]:
        """How two expressions differ that are not built alike: as they are written, or else in settings
        that an expression does not say, or in which values of one name they take. told: what is said
        already."""
        texts = self._texts(a, b)
        if texts[0] != texts[1]:
            return [Note("", *texts)]
        found: dict[Note, None] = {}
        for before, now in together(self.pairing, a, b):
            names = self.old.is_named(before.name, a), self.new.is_named(now.name, b)
            if any(names) and before is not self.old.units[a].node:
                found |= dict.fromkeys(self._taken(before, now))
            elif before.op.name == now.op.name and not kind(before) and not told:
                found |= dict.fromkeys(self._settings(before, now))
        return list(found)

    def _taken(self, before: Node, now: Node) -> list[Note]:
        if self.pairing.mark(before.name, True) == self.pairing.mark(now.name, False) is not None:
            return []
        texts = self.spelled[True].value(before), self.spelled[False].value(now)
        if texts[0] == texts[1]:
            units = self._unit(self.old, before), self._unit(self.new, now)
            kinds = {unit.kind for unit in units if unit is not None}
            texts = (self._title(units[0], len(kinds) > 1), self._title(units[1], len(kinds) > 1))
        return [Note("takes", *texts)]

    @staticmethod
    def _unit(side: View, node: Node) -> Unit | None:
        number = side.at.get(node.name, side.excitations.get(node.name))
        return None if number is None else side.units[number]

    @staticmethod
    def _title(unit: Unit | None, with_kind: bool) -> str:
        """A named value, and which one it is among those of its name."""
        if unit is None:
            return "another value"
        return f"{unit.kind} {unit.title}" if with_kind else unit.title

    def _settings(self, before: Node, now: Node) -> list[Note]:
        found = []
        for name, value in before.op.values.items():
            other = now.op.values.get(name)
            if self.keys.value(value, True) != self.keys.value(other, False):
                found.append(Note(f"{before.op.name} {name}", value_text(value), value_text(other)))
        return found

    # -- repeats

    def _repeats(self) -> None:
        """Report repeats of another name, or that are repeated more or less often."""
        for before, now, _ in self.level.children:
            if not is_repeat(now):
                continue
            names = before.op.graph.name, now.op.graph.name
            counts = [f"{count} time{'' if count == 1 else 's'}" for count in (rounds(before), rounds(now))]
            notes = () if counts[0] == counts[1] else (Note("", *counts),)
            if names[0] != names[1] or notes:
                way, new_name = (CHANGED, "") if names[0] == names[1] else (RENAMED, names[1])
                spans = before.span, now.span
                self.level.changes.append(
                    Change(way, "repeat", names[0], new_name, "", notes, self.level.scope, *spans)
                )

    # -- what is found

    def _wire(self, target: Unit, before: Wire | None, now: Wire | None, old_target: Unit) -> None:
        """Report a wire that is gone, new, or of another weight."""
        said = None if before is None else self.spelled[True].wire(before, old_target.name)
        new = None if now is None else self.spelled[False].wire(now, target.name)
        if said is not None and new is not None:
            assert before is not None and now is not None
            if weight_key(self.pairing, before, True) != weight_key(self.pairing, now, False):
                note = Note("weight", said[1], new[1])
                self._add_wire(CHANGED, new[0], old_target, target, notes=(note,))
        elif said is not None:
            self._add_wire(REMOVED, said[0], old_target, None, said=f"weight {said[1]}")
        elif new is not None:
            self._add_wire(ADDED, new[0], None, target, said=f"weight {new[1]}")

    def _add_wire(
        self,
        way: str,
        name: str,
        one: Unit | None,
        other: Unit | None,
        said: str = "",
        notes: tuple[Note, ...] = (),
    ) -> None:
        spans = [None if unit is None else unit.node.span for unit in (one, other)]
        self.level.changes.append(Change(way, "wire", name, "", said, notes, self.level.scope, *spans))

    def _change(
        self, way: str, a: int | None, b: int | None, *, said: str = "", notes: tuple[Note, ...] = ()
    ) -> None:
        """Report what happened to a unit: old a, new b, None for the side that has none."""
        before, now = None if a is None else self.old.units[a], None if b is None else self.new.units[b]
        unit = before or now
        assert unit is not None
        new_name = now.title if now is not None and way == RENAMED else ""
        spans = [None if each is None else _span(each) for each in (before, now)]
        change = Change(way, unit.kind, unit.title, new_name, said, notes, self.level.scope, *spans)
        self.level.changes.append(change)
        self.level.told |= {(side, n): change for side, n in ((True, a), (False, b)) if n is not None}


def _span(unit: Unit) -> Span | None:
    return unit.node.span if unit.result is None else unit.result.span


def _activation(circle: Circle) -> str:
    return "identity" if circle.activation is None else value_text(circle.activation.op)
