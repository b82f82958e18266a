"""Overlays: values, gradients and weights of one example, laid over a picture.

Assumes a picture that `collect` made of the same diagram. Promises the same items, wires and frames in the
same order with the same ids, so that the layout is that of the bare picture as far as labels have room: ξ and
h beside every circle and small arrays in boxes; the derivative of the loss by what stands in an item, and on
the arrows, which are reversed, the local factors; the numbers of weights on the wires, coded by width and
sign. What is not on the page is not labelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..graph import Graph
from ..lower.program import Program
from ..params import Params
from ..passes.simulate import ShapeClash
from ..run.one import One, find_one, needs_targets
from ..run.table import array_text
from ..types import TensorType
from . import names
from .digits import lines, scalar, short
from .factor import Factors, partial
from .gradient import Gradient, gradient_of
from .levels import Levels, is_real, parted
from .names import Tex
from .picture import Facts, Item, Picture, Wire
from .values import values_of

NOT_BACK = ("one", "target", "constant", "metric")
"""Kinds of items that no gradient flows to."""
FAINT = 0.35
"""The ink of wires that take no part: which carry 0, or no gradient."""
MOST_LABELLED = 16
"""Weights stand beside the wires between two layers if there are at most so many."""
MOST_FACTORS = 300
"""Wires of pictures with more have no local factors: nobody could read them."""


@dataclass(frozen=True)
class Wishes:
    """What is to be laid over a picture. inputs: values by name, targets among them or not, or None. params:
    as `Diagram.run` takes them; seed: of first values. grad: the backward flow."""

    inputs: Mapping[str, Any] | None = None
    params: Params | None = None
    grad: bool = False
    seed: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.inputs or self.grad or self.params is not None)


@dataclass(frozen=True)
class Overlay:
    """What is known of one example. path: the diagram's file, for errors."""

    program: Program
    graph: Graph
    path: str
    wishes: Wishes
    levels: Levels = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", Levels(self.graph))

    # -- numbers

    @cached_property
    def one(self) -> One | None:
        """What is given; None where no numbers are wanted."""
        wishes = self.wishes
        if not wishes.inputs and wishes.params is None:
            return None
        return find_one(
            self.program, self.graph, self.path, wishes.inputs, wishes.params, wishes.seed,
            "a picture shows one",
        )  # fmt: skip

    @property
    def has_values(self) -> bool:
        """Whether the values of everything are known, not those of parameters alone."""
        return self.one is not None and self.one.is_whole

    @cached_property
    def values(self) -> dict[str, Any]:
        """What is known, by path. Raises FlowError (E0504)."""
        if self.one is None:
            return {}
        try:
            return values_of(self.levels, self.one.values, self.wishes.seed)
        except ShapeClash as clash:
            raise clash.refusal("E0504", self.path) from None

    @cached_property
    def gradient(self) -> Gradient:
        """The gradient of the loss. Raises FlowError (E0504) where the numbers need a target that is not
        given."""
        if not self.has_values:
            return gradient_of(self.levels, None, self.wishes.seed)
        unknown = [r.node for r in self.graph.results_of("loss") if r.node not in self.values]
        if unknown:
            raise needs_targets(self.graph, unknown, self.values, self.path, "the backward flow")
        return gradient_of(self.levels, self.values, self.wishes.seed)

    # -- the picture

    def on(self, picture: Picture) -> Picture:
        """The picture with everything laid over it. Raises FlowError."""
        if self.wishes.params is not None:
            picture = self._with_weights(picture)
        if self.has_values:
            picture = self._with_values(picture)
        if self.wishes.grad:
            picture = self._with_gradient(picture)
        return picture

    # -- weights

    def _with_weights(self, picture: Picture) -> Picture:
        """Weights as numbers, their size as width and their sign as colour and dashes."""
        weights = [self._weight(picture, wire) for wire in picture.wires]
        largest = max((abs(w) for w in weights if w is not None), default=0.0) or 1.0
        crowds = _crowds(picture)
        wires = []
        for wire, weight in zip(picture.wires, weights, strict=True):
            if weight is None:
                wires.append(wire)
                continue
            share = min(abs(weight) / largest, 1.0) if np.isfinite(weight) else 1.0
            few = crowds[_crowd(picture, wire)] <= MOST_LABELLED
            known = any(title == "weight" for title, _ in wire.facts)
            facts = wire.facts if known else (*wire.facts, ("weight", f"{weight:.6g}"))
            ink = wire.strength if wire.strength == 1 else max(share, 0.15)
            wires.append(
                replace(wire, weight=weight, label=short(weight) if few else "", is_coded=True, share=share,
                        strength=ink, facts=facts)
            )  # fmt: skip
        items = [self._with_params(item) for item in picture.items]
        return replace(picture, items=tuple(items), wires=tuple(wires))

    def _weight(self, picture: Picture, wire: Wire) -> float | None:
        """The weight of a wire as a number; None of a wire without one."""
        if not wire.terms or picture.by_id[wire.target].kind == "value":
            return None
        total = 0.0
        for term in wire.terms:
            value = self._param(picture.by_id[wire.target], term.param) if term.param else 1.0
            if value is None or (term.param and np.ndim(value) != len(term.index)):
                return None
            total += term.number * float(np.asarray(value)[term.index] if term.param else 1.0)
        return total

    def _param(self, near: Item, hint: str) -> Any:
        """The value of a parameter by its name, as an item's graph knows it."""
        path = self.levels.param(near.node, hint)
        return None if path is None else self.values.get(path)

    def _with_params(self, item: Item) -> Item:
        """The parameters beside a box, with their numbers among its facts."""
        found = [(name, self._param(item, name)) for name, _ in item.params] if item.node else []
        facts = tuple((name, array_text(value)) for name, value in found if value is not None)
        return replace(item, facts=(*item.facts, *facts)) if facts else item

    # -- values

    def _with_values(self, picture: Picture) -> Picture:
        items = tuple(self._valued(item) for item in picture.items)
        idle = set() if self.wishes.grad else {item.id for item in items if item.state == "idle"}
        wires = []
        for wire in picture.wires:
            carries = wire.source not in idle
            wires.append(wire if carries else replace(wire, strength=min(wire.strength, FAINT)))
        return replace(picture, items=items, wires=tuple(wires))

    def _valued(self, item: Item) -> Item:
        value = self._entry(item.node, item.index)
        if value is None or item.kind == "more":
            return item
        node = self.levels.node(item.node)
        labels = node.type.elem.names if node is not None and isinstance(node.type, TensorType) else ()
        facts: Facts = (*item.facts, ("value", array_text(value)))
        if not item.is_circle:
            notes = _box_notes(item, value, labels)
            return replace(item, notes=(*item.notes, *notes), facts=facts)
        said = scalar(value, labels)
        xi = self._entry(item.excitation, item.index) if item.excitation else None
        name = item.label or "h"
        if xi is not None:
            facts = (*item.facts, ("ξ", array_text(xi)), ("value", array_text(value)))
        if xi is None:
            notes = (f"{name}={said}",)
        else:
            notes = (rf"\xi ={short(xi)}", f"{name}={said}")
        state = "" if item.kind == "target" else "idle" if said == "0" else "active"
        mark = None if xi is None else float(xi)
        return replace(item, notes=(*item.notes, *notes), facts=facts, state=state, mark=mark)

    def _entry(self, path: str, index: int | None) -> Any:
        """A value, or an entry of it; None where it is not known."""
        value = self.values.get(path)
        if value is None or isinstance(value, tuple):
            return None
        return np.asarray(value)[() if index is None else index]

    # -- the gradient

    def _with_gradient(self, picture: Picture) -> Picture:
        loss = _loss_name(picture)
        factors = Factors(self.levels, picture, self.values if self.has_values else None)
        flow = {item.id for item in picture.items if self._has_gradient(item)}
        said = len(picture.wires) <= MOST_FACTORS
        items = [self._graded(item, loss, factors) if item.id in flow else item for item in picture.items]
        crowds = _crowds(picture)
        wires = []
        for wire in picture.wires:
            few = said and crowds[_crowd(picture, wire)] <= MOST_LABELLED
            wires.append(self._reversed(wire, picture, flow, factors if few else None))
        remarks = picture.remarks
        if not said:
            remarks = (*remarks, f"{len(wires)} wires are too many for local factors: they are left out")
        return replace(picture, items=tuple(items), wires=tuple(wires), is_backward=True, remarks=remarks)

    def _has_gradient(self, item: Item) -> bool:
        """Whether the loss depends on an item, by way of a real value."""
        if item.kind in NOT_BACK:
            return False
        if not item.node or item.kind == "more":
            return True
        level, name = parted(item.node)
        node = self.levels.written(level)[name]
        is_class = isinstance(node.type, TensorType) and not is_real(node)
        return not is_class and name in self.levels.on_path(level)

    def _graded(self, item: Item, loss: Tex, factors: Factors) -> Item:
        """The item with the derivative of the loss by its value."""
        label = factors.label(item)
        if item.kind == "neuron":
            item = replace(item, slope=factors.slope(item))
        if item.kind in ("loss", "more") or not item.node or not label:
            return item
        node = self.levels.node(item.node)
        if node is None or not is_real(node):
            return item
        title = f"{partial(loss)}/{partial(label)}"
        value: Any = None
        if item.node in self.gradient.values:
            value = np.asarray(self.gradient.values[item.node])[() if item.index is None else item.index]
        if item.node in self.gradient.zero:
            return replace(item, gradient=f"{title}=0", facts=(*item.facts, ("gradient", "0")))
        if value is None:
            return replace(item, gradient=title)
        facts = (*item.facts, ("gradient", array_text(value)))
        rows = lines(value)
        if len(rows) == 1:
            return replace(item, gradient=f"{title}={rows[0]}", facts=facts)
        norm = short(float(np.linalg.norm(np.ravel(value))))
        return replace(item, gradient=rf"\Vert {title}\Vert ={norm}", facts=facts)

    def _reversed(self, wire: Wire, picture: Picture, flow: set[str], factors: Factors | None) -> Wire:
        """The wire with the gradient flowing back through it, or pale where none does."""
        if wire.source not in flow or wire.target not in flow:
            return replace(wire, label="", strength=min(wire.strength, FAINT), is_coded=False)
        back = replace(wire, is_backward=True)
        if factors is None:
            return back
        found = factors.of(wire)
        shown = found.tex if found.number is None else short(found.number)
        facts = (*wire.facts, *((("local factor", _told(found)),) if found.tex else ()))
        facts += tuple(self._slope_facts(picture.by_id[wire.target], wire))
        ink = min(back.strength, FAINT) if shown == "0" else back.strength
        return replace(back, factor=shown, facts=facts, strength=ink)

    def _slope_facts(self, target: Item, wire: Wire) -> Iterable[tuple[str, str]]:
        """The derivatives of the loss by the parameters that are a wire's weight."""
        for term in wire.terms:
            path = self.levels.param(target.node, term.param) if term.param else None
            value = None if path is None else self.gradient.values.get(path)
            if value is not None and np.ndim(value) == len(term.index):
                tex = names.entry(term.param, *term.index) if term.index else names.name(term.param)
                yield f"∂L/∂{names.plain(tex)}", f"{float(np.asarray(value)[term.index]):.6g}"


def _told(found: Any) -> str:
    """A factor in Unicode, with its number."""
    said = names.plain(found.tex)
    return said if found.number is None or found.tex == "0" else f"{said} = {found.number:.6g}"


def _box_notes(item: Item, value: Any, labels: tuple[str, ...]) -> tuple[Tex, ...]:
    rows = lines(value, labels)
    return (f"{item.label}={rows[0]}",) if len(rows) == 1 and item.label else rows


def _loss_name(picture: Picture) -> Tex:
    """What the loss is called in derivatives: as in its box where there is one."""
    losses = [item.label for item in picture.items if item.kind == "loss" and item.label]
    return losses[0] if len(losses) == 1 else "L"


def _crowd(picture: Picture, wire: Wire) -> tuple[str, str]:
    """The layers that a wire runs between; wires from the constant 1 are counted by themselves."""
    source, target = picture.by_id[wire.source], picture.by_id[wire.target]
    return source.group or source.id, target.group or target.id


def _crowds(picture: Picture) -> dict[tuple[str, str], int]:
    """How many wires run between two layers."""
    found: dict[tuple[str, str], int] = {}
    for wire in picture.wires:
        key = _crowd(picture, wire)
        found[key] = found.get(key, 0) + 1
    return found
