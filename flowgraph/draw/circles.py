"""The circle scale: neurons, layers of them, the constant 1, and wires with their weights.

Draws on a level's sheet. Promises a wire for each term of an excitation between circles that are drawn, with
its weight
as a number where the file gives it and as a name where it is trained.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph import Node
from ..ops.base import Elementwise
from ..ops.leaf import Array
from . import names
from .curve import Sketch, sketch
from .depth import columns
from .measure import measure
from .names import Tex
from .neurons import Neuron
from .picture import Item, Weight, Wire
from .terms import Source, Term, length

if TYPE_CHECKING:
    from .level import Level

LABELLED = 16
"""Weights stand beside the wires between two layers if there are at most so many."""
THIN = 12
"""More parallel wires than these share the ink by their weights."""
FAINT = 0.3
"""The ink of a wire among many whose weight is not known, or is near 0."""
WIDEST = 36.0
"""A weight's name that is wider at SIZE, in points, stands once for all wires of its layer."""
LONGEST = 90.0
"""Width of what is said of a weight, at SIZE: a longer name is cut."""
SIZE = 9.0


class Circles:
    """Draws the circles of one level."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self.first = len(level.out.items)
        self.biases: list[tuple[str, Term, Neuron]] = []

    # -- items

    def leaf(self, node: Node, entries: tuple[int | None, ...]) -> None:
        """An input or target."""
        kind = "target" if node.op.name == "target" else "input"
        self._layer(node, kind, entries, {})

    def value(self, node: Node, source: Source) -> None:
        """A number that stands between circles without a name, such as x²."""
        level = self.level
        level.wording.fold(node.name)
        label = level.wording.said[node.name].tex
        text = level.wording.text(node.name)
        level.add(
            Item(
                level.id(node.name),
                "value",
                is_circle=True,
                curve=self._sketch_of(node, source),
                **level.common(node) | {"label": label, "name": text},
            )
        )
        level.places[node.name] = (level.id(node.name),)
        self._wire(source, level.id(node.name), Term(source), None, said=False)

    def neuron(self, neuron: Neuron) -> None:
        """A circle or a layer, and its wires."""
        node, level = neuron.node, self.level
        op = node.op if neuron.activation is not None else None
        looks: dict[str, Any] = {"curve": _sketch_of_op(op)}
        if looks["curve"] is None and op is not None:
            looks["symbol"] = names.word(op.name)
        said = "identity" if op is None else op.name
        looks["facts"] = (("activation", said), ("equation", level.wording.text(node.name)))
        looks["excitation"] = level.id(neuron.excitation.name)
        self._layer(node, "neuron", neuron.entries, looks)
        wires: list[tuple[Term, str]] = []
        for entry, terms in zip(neuron.entries, neuron.terms, strict=True):
            wires += [(term, self._entry_id(node, entry)) for term in terms]
        sizes: dict[str, int] = {}
        for term, _ in wires:
            key = term.source.node if term.source is not None else ""
            sizes[key] = sizes.get(key, 0) + 1
        said_once: set[tuple[str, str]] = set()
        for term, target in wires:
            if term.source is None:
                self.biases.append((target, term, neuron))
                continue
            many = sizes[term.source.node]
            self._wire(term.source, target, term, neuron, said=True, many=many, once=said_once)

    def _layer(self, node: Node, kind: str, entries: tuple[int | None, ...], looks: dict[str, Any]) -> None:
        level = self.level
        common = level.common(node)
        facts = (*common.pop("facts"), *looks.pop("facts", ()))
        single = entries == (None,)
        size = length(node) or 1
        group = "" if single else level.id(node.name)
        places = []
        for number, entry in enumerate(entries):
            own = dict(common)
            if entry is not None:
                if number and entries[number - 1] != entry - 1:
                    more = level.id(f"{node.name}[...]")
                    level.add(
                        Item(more, "more", label=r"\vdots", count=size - len(entries), group=group,
                             frame=level.frame, node=common["node"], span=node.span)
                    )  # fmt: skip
                own["name"] = f"{own['name']}[{entry}]" if own["name"] and size > 1 else own["name"]
                own["label"] = names.entry(node.hint, entry) if node.hint and size > 1 else own["label"]
            own["shape"] = ""
            item = self._entry_id(node, entry)
            level.add(Item(item, kind, is_circle=True, group=group, index=entry, facts=facts, **own, **looks))
            places.append(item)
        level.places[node.name] = tuple(places)

    def _entry_id(self, node: Node, entry: int | None) -> str:
        return self.level.id(node.name if entry is None else f"{node.name}[{entry}]")

    # -- wires

    def _place(self, source: Source) -> str:
        node = self.level.graph[source.node]
        if node.name in self.level.found.leaves or node.name in self.level.found.neurons:
            return self._entry_id(node, source.index)
        return self.level.place(node.name)[0]

    def _wire(
        self,
        source: Source,
        target: str,
        term: Term,
        neuron: Neuron | None,
        *,
        said: bool,
        many: int = 1,
        once: set[tuple[str, str]] | None = None,
    ) -> None:
        """A wire between circles; once: the parameters that one wire has spoken for already."""
        level = self.level
        node = level.graph[source.node]
        is_drawn = node.name in level.found.leaves or node.name in level.found.neurons
        is_box = not is_drawn and (source.index is not None or node.name in level.sifted.places)
        place = self._place(source)
        if is_box:
            key = (place, target)
            if once is not None and key in once:
                return
            if once is not None:
                once.add(key)
        label, weight = self._weight(term, neuron, said, many, once) if not is_box else ("", None)
        strength = 1.0 if many <= THIN else FAINT
        level.out.wire(
            place, target, label=label, weight=weight, terms=self._terms(term), strength=strength,
            span=None if neuron is None else neuron.node.span, facts=self._facts(term, weight),
        )  # fmt: skip

    def _weight(
        self, term: Term, neuron: Neuron | None, said: bool, many: int, once: set[tuple[str, str]] | None
    ) -> tuple[str, float | None]:
        """What stands beside a wire, and its weight as a number."""
        if not term.param:
            alone = neuron is None or (not neuron.is_wired and all(len(ts) < 2 for ts in neuron.terms))
            spoken = said and many <= LABELLED and not (alone and term.number == 1)
            return names.number(term.number) if spoken else "", term.number
        param = self.level.graph[term.param]
        given = _initial(param, term.index)
        if given is not None:
            weight = given * term.number
            return (names.number(weight) if many <= LABELLED else ""), weight
        sign = "" if term.number == 1 else "-" if term.number == -1 else names.number(term.number) + r"\,"
        own = (
            names.entry(param.hint or param.name, *term.index) if term.index else names.name(param.hint or "")
        )
        if many <= LABELLED and measure(sign + own, SIZE).width <= WIDEST:
            return sign + own, None
        key = (term.param, sign)
        if once is None or key in once:
            return "", None
        once.add(key)
        shape = param.type.shape
        tail = names.word(f" [{', '.join(map(str, shape))}]") if shape else ""
        return sign + _cut(param.hint or param.name) + tail, None

    def _terms(self, term: Term) -> tuple[Weight, ...]:
        return (Weight(term.number, self._param(term), term.index),)

    def _param(self, term: Term) -> str:
        if not term.param:
            return ""
        return self.level.graph[term.param].hint or term.param

    def _facts(self, term: Term, weight: float | None) -> tuple[tuple[str, str], ...]:
        found = []
        if term.param:
            entry = f"[{', '.join(map(str, term.index))}]" if term.index else ""
            found.append(("parameter", self._param(term) + entry))
        if weight is not None:
            found.append(("weight", f"{weight:.6g}"))
        return tuple(found)

    # -- the constant 1

    def ones(self) -> None:
        """A circle for the constant 1 in each column that needs one, and the wires from it."""
        level = self.level
        own = [i for i in level.out.items[self.first :] if i.frame == level.frame]
        known = {item.id for item in own}
        fresh: list[Item] = []
        ones = [Wire("", f"1->{target}", target) for target, _, _ in self.biases]
        held = [Item(wire.source, "one") for wire in ones]
        at = columns([*own, *held], [*(w for w in level.out.wires if w.target in known), *ones])
        once: set[tuple[str, str]] = set()
        sizes: dict[str, int] = {}
        for _, _, neuron in self.biases:
            sizes[neuron.node.name] = sizes.get(neuron.node.name, 0) + 1
        made: dict[int, str] = {}
        drawn = [b for b in self.biases if b[1].param or b[1].number]
        # A name that stands once for a layer stands on its lowest wire: there is room below it.
        said = [self._bias(t, n, sizes[n.node.name], once) for _, t, n in reversed(drawn)]
        for (target, term, neuron), (label, weight) in zip(drawn, reversed(said), strict=True):
            column = at[target] - 1
            if column not in made:
                made[column] = level.id(f"1@{column}")
                fresh.append(
                    Item(made[column], "one", is_circle=True, label="1", name="1", frame=level.frame)
                )
            level.out.wire(
                made[column], target, label=label, weight=weight, terms=self._terms(term),
                span=neuron.node.span, facts=self._facts(term, weight),
            )  # fmt: skip
        level.out.items += fresh

    def _bias(
        self, term: Term, neuron: Neuron, many: int, once: set[tuple[str, str]]
    ) -> tuple[str, float | None]:
        """What stands beside a wire from the constant 1, and its weight as a number."""
        label, weight = self._weight(term, neuron, True, many, once)
        if not label and weight is not None and many <= LABELLED:
            label = names.number(weight)
        return label, weight

    # -- nonlinearities

    def _sketch_of(self, node: Node, source: Source) -> Sketch | None:
        """The graph of an unnamed number as a function of its source."""
        graph = self.level.graph
        names_ = [n for n in graph if n.name in graph.ancestors([node.name]) and n.name != source.node]

        def function(x: Any) -> Any:
            known = {source.node: x}
            for each in names_:
                if all(o in known for o in each.operands):
                    types = [graph[o].type for o in each.operands]
                    known[each.name] = each.op.evaluate([known[o] for o in each.operands], types, {})
            return known[node.name]

        return sketch(function)


@lru_cache(maxsize=256)
def _sketch_of_op(op: Any) -> Sketch | None:
    """The graph of an activation, a straight line for none; None where it looks at several entries."""
    if op is None:
        return sketch(lambda x: x)
    if not isinstance(op, Elementwise):
        return None
    return sketch(lambda x: op.evaluate([x], [None], {}))


def _cut(name: str) -> Tex:
    """A parameter's name, without its end where that is too long to stand beside a wire."""
    tex, length = names.name(name), len(name)
    while measure(tex, SIZE).width > LONGEST:
        length -= 1
        tex = names.name(name[:length].rstrip("_.")) + r"\ldots "
    return tex


def _initial(param: Node, index: tuple[int, ...]) -> float | None:
    """The first value of a parameter's entry where the file gives it as a literal."""
    value = getattr(getattr(param.op, "init", None), "value", None)
    if value is None or getattr(param.op.init, "name", "") not in ("given",):
        return None
    data = np.asarray(value.data if isinstance(value, Array) else value)
    return float(data[index]) if data.ndim == len(index) else float(data) if data.ndim == 0 else None
