"""Local factors: what an arrow of the backward flow multiplies by.

The factor of a wire is the derivative of its target's value by its source's, all other items of the picture
being as they are, so that the gradient of a value is the sum over its wires of the target's gradient times
the factor. Its number is computed by reverse mode on the part of the graph between the items; so is the
formula, which gives way to g'(ξ), or to ∂z/∂x, where it is long. Knows no single operation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..graph import Graph, Node, Result, renamed
from ..ops import OPS
from ..ops.base import Elementwise, Op
from ..passes.name_values import NameValues
from ..passes.simulate import simulate
from ..types import TensorType
from . import names
from .digits import short
from .factor_formula import (
    HOLE,
    LONGEST,
    LONGEST_SLOPE,
    is_by_entry,
    is_flat,
    product,
    slope_graph,
    tidied_gradient,
    weight_of,
    without_hole,
    written,
)
from .gradient import Pulled, pulled
from .levels import Levels, is_holder, is_real, parted
from .names import Tex
from .picture import Item, Picture, Wire
from .values import Values
from .wording import ATOM, Said


@dataclass(frozen=True)
class Factor:
    """tex: what stands beside the wire, "" for nothing. number: its value where it is one and known."""

    tex: Tex = ""
    number: float | None = None


@dataclass(frozen=True)
class _Cut:
    """The part of a graph that computes a node from drawn values and leaves, and its derivatives by them."""

    graph: Graph
    target: str
    pulled: Pulled


@dataclass
class Factors:
    """The factors of a picture's wires. known: values by path, if there are any."""

    levels: Levels
    picture: Picture
    known: Values | None = None
    _drawn: dict[str, set[str]] = field(default_factory=dict)
    _items: dict[tuple[str, int | None], Item] = field(default_factory=dict)
    _cuts: dict[str, _Cut | None] = field(default_factory=dict)
    _slopes: dict[tuple[str, int | None], dict[str, Any]] = field(default_factory=dict)
    _named: dict[str, Graph] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for item in self.picture.items:
            if item.node and item.kind != "more":
                level, name = parted(item.node)
                self._drawn.setdefault(level, set()).add(name)
                self._items[item.node, item.index] = item

    def of(self, wire: Wire) -> Factor:
        """The factor of a wire; an empty one where its ends are the same value, or no numbers."""
        source, target = self.picture.by_id[wire.source], self.picture.by_id[wire.target]
        if not (source.node and target.node):
            return Factor()
        level, _ = parted(target.node)
        cut = self._cut(target.node)
        found = [] if cut is None else self.levels.seen_from(source.node, level)
        variables = [] if cut is None else [name for name in found if name in cut.pulled.wrt]
        if cut is None or not variables:
            return Factor()
        if not any(name in cut.pulled.live for name in variables):
            return Factor("0", 0.0)
        number = self._number(source, target, cut, variables)
        return Factor(self._symbol(wire, source, target, cut, variables[0]), number)

    # -- the part between

    def _cut(self, path: str) -> _Cut | None:
        """The computation of a node from what is drawn; None where it has no derivative."""
        if path not in self._cuts:
            self._cuts[path] = self._cut_out(path)
        return self._cuts[path]

    def _cut_out(self, path: str) -> _Cut | None:
        level, target = parted(path)
        graph = self.levels.plain(level)
        if target not in graph or not is_real(graph[target]) or not graph[target].operands:
            return None
        needed: set[str] = set()
        stack = [target]
        while stack:
            name = stack.pop()
            if name not in needed:
                needed.add(name)
                stack += () if name != target and self._is_stop(level, graph[name]) else graph[name].operands
        out = graph.like()
        for node in graph:
            if node.name not in needed:
                continue
            stays = node.name == target or not node.operands or not self._is_stop(level, node)
            out.add(node if stays else renamed(node, op=OPS["input"](type=node.type), operands=()))
        leaves = {op: [n.name for n in out if n.op.name == op] for op in ("input", "target", "param")}
        wrt = [n.name for n in out if not n.operands and is_real(n) and n.op.name in ("input", "target")]
        if not wrt:
            return None
        out.close(leaves["input"], leaves["target"], leaves["param"], [Result("loss", "loss", target)])
        return _Cut(out, target, pulled(out, [target], wrt))

    def _is_stop(self, level: str, node: Node) -> bool:
        """Whether a value stands in the picture by itself, or is the result of what does."""
        if not isinstance(node.type, TensorType):
            return False
        if node.name in self._drawn.get(level, ()):
            return True
        graph = self.levels.written(level)
        if node.name not in graph:
            return False
        own = graph[node.name]
        return is_holder(own) or (own.op.name == "item" and is_holder(graph[own.operands[0]]))

    # -- numbers

    def _number(self, source: Item, target: Item, cut: _Cut, variables: list[str]) -> float | None:
        """The factor as a number, where both ends are numbers."""
        level, _ = parted(target.node)
        if self.known is None or not (_is_number(source) and _is_number(target)):
            return None
        key = (target.node, target.index)
        if key not in self._slopes:
            if target.node not in self.known:
                return None
            leaves = [n.name for n in cut.graph if level + n.name in self.known and not n.operands]
            seed = np.zeros(np.shape(self.known[target.node]))
            seed[() if target.index is None else target.index] = 1.0
            given = {name: self.known[level + name] for name in leaves}
            self._slopes[key] = cut.pulled.at(given, {cut.target: seed})
        slopes = [self._slopes[key].get(name) for name in variables]
        if any(slope is None for slope in slopes):
            return None
        at = () if source.index is None else source.index
        return float(sum(np.asarray(slope)[at] for slope in slopes))

    # -- symbols

    def _symbol(self, wire: Wire, source: Item, target: Item, cut: _Cut, variable: str) -> Tex:
        if target.kind == "neuron" and source.is_circle:
            slope = self._slope_at(target)
            if slope is not None:
                return product(weight_of(wire), slope)
        return self._formula(source, target, cut, variable) or self._partial(source, target, cut)

    def slope(self, item: Item) -> Tex:
        """What stands at a circle of the derivative of its value by its excitation: h' = 1 - h²; "" of the
        identity, and where every entry has another one."""
        said = self._slope_at(item)
        if said is None or said.tex == "1" or not self.label(item):
            return ""
        value = self._slope_number(item)
        if value is not None:
            return f"{said.tex}={short(value)}"
        if is_flat(self._operation(item)):
            return f"{said.tex}=0"
        graph, x, y = slope_graph(self._operation(item))
        xi, label = self._excitation(item), self.label(item)
        formula = written(graph, {x: Said(xi, ATOM, 2), y: Said(label, ATOM, 2)})
        if formula is None or formula.length > LONGEST_SLOPE:
            return f"{said.tex}={names.word(self._operation(item).name)}^{{\\prime }}({xi})"
        return f"{said.tex}={formula.tex}"

    def _operation(self, item: Item) -> Op:
        level, name = parted(item.node)
        op: Op = self.levels.written(level)[name].op
        return op

    def _slope_at(self, item: Item) -> Said | None:
        """The derivative of a circle's value by its excitation as arrows name it, h' or g'(ξ); 1 of the
        identity, None where every entry has another one."""
        if item.excitation in ("", item.node):
            return Said("1", ATOM, 1)
        if not isinstance(self._operation(item), Elementwise):
            return None
        label = self.label(item)
        if label:
            return Said(f"{label}^{{\\prime }}", ATOM, 2)
        name = names.word(self._operation(item).name)
        return Said(f"{name}^{{\\prime }}({self._excitation(item)})", ATOM, 9)

    def _excitation(self, item: Item) -> Tex:
        return self.called(item.excitation, item.index) or r"\xi "

    def _slope_number(self, item: Item) -> float | None:
        if self.known is None or item.excitation not in self.known:
            return None
        graph, x, _ = slope_graph(self._operation(item))
        xi = np.asarray(self.known[item.excitation])[() if item.index is None else item.index]
        return float(simulate(graph, {x: xi})[graph.results[0].node])

    def _formula(self, source: Item, target: Item, cut: _Cut, variable: str) -> Tex:
        """The factor written out, "" where that is long, or makes use of what has no name."""
        level, _ = parted(target.node)
        graph = tidied_gradient(cut.graph, cut.target, cut.pulled, variable)
        if source.index is not None and not all(is_by_entry(n) for n in graph):
            return ""
        known: dict[str, Said] = {}
        for node in graph:
            if node.name in cut.graph and (node.name == cut.target or not node.operands):
                tex = self.called(level + node.name, source.index if node.type.shape else None, exact=True)
                if tex:
                    known[node.name] = Said(tex, ATOM, len(node.hint or "12"))
            elif node.op.name == "input":
                known[node.name] = Said(HOLE, ATOM, 0)
        said = written(graph, known)
        if said is None or said.length > LONGEST:
            return ""
        return without_hole(said.tex, all(is_by_entry(n) for n in graph))

    def _partial(self, source: Item, target: Item, cut: _Cut) -> Tex:
        """∂z/∂x, or g'(x) of a box that is g(x)."""
        below = self.label(source) or r"\cdot "
        op = self.levels.plain(parted(target.node)[0])[cut.target].op
        if isinstance(op, Elementwise) and len(cut.graph[cut.target].operands) == 1 and self.label(source):
            level, _ = parted(target.node)
            if cut.graph[cut.target].operands[0] in self.levels.seen_from(source.node, level):
                return f"{names.word(op.name)}^{{\\prime }}({below})"
        return f"{partial(self.label(target))}/{partial(below)}"

    # -- names

    def label(self, item: Item) -> Tex:
        """What an item is called: its label, or the name that equations give its value."""
        return item.label or (self.called(item.node, item.index) if item.node else "")

    def called(self, path: str, index: int | None, *, exact: bool = False) -> Tex:
        """What a value, or an entry of it, is called in equations; "" if it has no name.

        exact: only by names that are in the picture or in the file.
        """
        item = self._items.get((path, index))
        if item is not None and item.label:
            return item.label
        level, name = parted(path)
        graph = self.levels.written(level)
        if name not in graph:
            return ""
        if level not in self._named:
            self._named[level] = NameValues().run(graph)
        hint = graph[name].hint if exact else self._named[level][name].hint
        if hint is None:
            return ""
        return names.name(hint) if index is None else _entry(hint, index)


def partial(tex: Tex) -> Tex:
    """∂x."""
    return rf"\partial {tex}"


def _entry(hint: str, index: int) -> Tex:
    """The name of an entry; of `xi_h` one more subscript."""
    plain = names.entry(hint, index)
    whole = names.name(hint)
    if plain.endswith("]") and whole.endswith("}") and "." not in hint:
        return f"{whole[:-1]},{index}}}"
    return plain


def _is_number(item: Item) -> bool:
    return item.is_circle or not item.shape
