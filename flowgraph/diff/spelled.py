"""Values of a graph as Flow text: what a changed equation was and is.

Assumes a typed graph. Promises one line that reads like the language: names where the diagram has them, the
operations between, their settings where these are not the default. Parameters that a layer makes itself are
left out, as in the file. Of very large expressions the inner parts are left out (`...`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import syntax as s
from ..errors import Source, Span
from ..format.doc import Part, flat, number
from ..graph import Node
from ..lower.expr import BINARY
from ..ops.control import Holder
from ..ops.init import FanUniform, Uniform
from ..ops.leaf import Array
from ..types import Dim, TensorType, TupleType, Type, shape_text
from .held import is_repeat, label, passed, rounds
from .units import View, Wire

NOWHERE = Span(Source("", ""), 0, 0)
SIGNS = {op: sign for sign, op in BINARY.items()}
SAME = ("identity", "cast", "pack")
MOST_NODES = 2000
"""So many operations of one expression are written out."""
MOST_ENTRIES = 12
"""Arrays of more entries are written as their beginning and shape."""
DOTS = "..."


def type_text(type: Type | None) -> str:
    """A type as the file writes it: `[3, 2]`, `class(3)[T]`, and `number` for a single real one."""
    if isinstance(type, TupleType):
        return f"({', '.join(map(type_text, type.items))})"
    if not isinstance(type, TensorType):
        return "unknown"
    elem, shape = type.elem, shape_text(type.shape) if type.shape else ""
    if elem.kind == "real":
        return shape or "number"
    names = ", ".join(f'"{name}"' for name in elem.names)
    return f"class({names}){shape}" if names else f"{elem}{shape}"


def value_text(value: Any) -> str:
    """A setting, an initialiser, an operation, an optimiser or a number as Flow text."""
    said = _setting(value)
    bare = isinstance(said, s.Call) and not said.keywords
    return said.func if bare else flat([Part(said)])  # type: ignore[union-attr]


class Speller:
    """Writes the values of one view."""

    def __init__(self, view: View) -> None:
        self.view = view

    def unit(self, number: int) -> str:
        """What a unit is equal to."""
        unit = self.view.units[number]
        if unit.result is not None and unit.node.name in self.view.at:
            return self.name(unit.node)
        return self._written(unit.node, self.view.inside(number))

    def value(self, node: Node) -> str:
        """Any value: its name, or what it is equal to."""
        if self.view.is_named(node.name):
            return self.name(node)
        return self._written(node, self.view.below(node))

    def _written(self, root: Node, inside: Sequence[Node]) -> str:
        names = {node.name for node in inside[:MOST_NODES]}
        said: dict[str, s.Expr] = {}
        stack = [root]
        while stack:
            node = stack[-1]
            waiting = [o for o in node.operands if o in names and o not in said]
            if waiting and node.name not in said:
                stack += map(self.view.graph.__getitem__, waiting)
                continue
            stack.pop()
            said.setdefault(node.name, self._value(node, said))
        return flat([Part(said[root.name])])

    def name(self, node: Node) -> str:
        """What a value is called where it is used; a parameter inside of a block goes by its name there."""
        owner = self.view.excitations.get(node.name)
        if owner is not None:
            return f"{self.view.units[owner].title}.xi"
        return label(node) or DOTS

    def wire(self, wire: Wire, target: str) -> tuple[str, str]:
        """A wire in two parts: `x[1] -> h[0]`, and its weight."""
        source = "1" if wire.source is None else self.name(self.view.graph[wire.source])
        start = source if wire.index is None else f"{source}[{wire.index}]"
        end = target if wire.cell is None else f"{target}[{wire.cell}]"
        return f"{start} -> {end}", self.weight(wire)

    def weight(self, wire: Wire) -> str:
        """A wire's weight: a number, a parameter's name, or a list."""
        if wire.weight is None:
            return number(_plain(wire.factor))
        node = self.view.graph[wire.weight]
        said = value_text(node.op.value) if node.op.name == "const" else self.name(node)
        if wire.factor in (1, -1):
            return said if wire.factor == 1 else f"-{said}"
        return f"{number(_plain(wire.factor))} * {said}"

    # -- one operation

    def _value(self, node: Node, said: dict[str, s.Expr]) -> s.Expr:
        parts = [said.get(o) or self._reference(self.view.graph[o]) for o in node.operands]
        op = node.op
        if op.name == "const":
            return _word(node.hint) if node.hint is not None else _setting(op.value)
        if op.name == "size_value":
            return _word(str(op.size))
        if op.name in SIGNS:
            return s.Binary(SIGNS[op.name], parts[0], parts[1], NOWHERE, NOWHERE)
        if op.name in ("neg", "logical_not"):
            return s.Unary("-" if op.name == "neg" else "not", parts[0], NOWHERE)
        if op.name in SAME and len(parts) == 1:
            return parts[0]
        if op.name == "transpose_last":
            return s.Member(parts[0], "T", NOWHERE, NOWHERE)
        if op.name in ("index", "item"):
            items = op.items if op.name == "index" else (op.index,)
            return s.Index(parts[0], tuple(map(_item, items)), NOWHERE)
        if op.name == "stack" and op.axis in (0, -len(getattr(node.type, "shape", ()))):
            return s.ListExpr(tuple(parts), NOWHERE)
        if op.name == "weighted_sum":
            return _sum(op, parts)
        if isinstance(op, Holder):
            return self._held(node, said)
        return self._call(node, parts)

    def _reference(self, node: Node) -> s.Expr:
        if node.op.name == "const" and node.hint is None:
            return _setting(node.op.value)
        return _word(self.name(node))

    def _call(self, node: Node, parts: list[s.Expr]) -> s.Expr:
        op = node.op
        slots = [name.rstrip("?") for name in op.operands]
        apart = {*op.params, *op.ambient}
        shown = [p for at, p in enumerate(parts) if at >= len(slots) or slots[at] not in apart]
        types = [self.view.graph[o].type for o in node.operands]
        settings = tuple(s.Keyword(k, _setting(v), NOWHERE) for k, v in op.said(types).items())
        return s.Call(op.name, tuple(shown), settings, NOWHERE, NOWHERE)

    def _held(self, node: Node, said: dict[str, s.Expr]) -> s.Expr:
        """A block's call, or how often which values go round."""
        graph = self.view.graph
        shown = [said.get(o) or self._reference(graph[o]) for o in passed(graph, node)]
        name = node.op.graph.name
        if is_repeat(node):
            return s.Call("repeat", (s.Number(rounds(node), NOWHERE), *shown), (), NOWHERE, NOWHERE)
        if node.op.name == "scan":
            return s.Call("scan", (_word(name), *shown), (), NOWHERE, NOWHERE)
        return s.Call(name, tuple(shown), (), NOWHERE, NOWHERE)


def _sum(op: Any, parts: list[s.Expr]) -> s.Expr:
    out: s.Expr | None = None if op.bias is None else _setting(op.bias)
    for weight, part in zip(op.weights, parts, strict=True):
        size = abs(weight) if out is not None else weight
        term = part if size == 1 else s.Binary("*", _setting(size), part, NOWHERE, NOWHERE)
        sign = "-" if weight < 0 else "+"
        out = term if out is None else s.Binary(sign, out, term, NOWHERE, NOWHERE)
    return out if out is not None else s.Number(0, NOWHERE)


def _word(text: str | None) -> s.Expr:
    return s.Name(text or DOTS, NOWHERE)


def _item(item: Any) -> s.Expr | s.Slice:
    if not isinstance(item, tuple):
        return _setting(item)
    start, stop = (None if end is None else _setting(end) for end in item[1:])
    return s.Slice(start, stop, NOWHERE)


def _plain(value: int | float) -> int | float:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e16 else value


def _setting(value: Any) -> s.Expr:
    """A static value as an expression; settings are nested no deeper than calls in a file."""
    if value is None or isinstance(value, bool):
        return _word(str(value).lower())
    if isinstance(value, (int, float)):
        return s.Number(_plain(value), NOWHERE)
    if isinstance(value, str):
        return s.String(value, NOWHERE)
    if isinstance(value, Array):
        return _array(value.data)
    if isinstance(value, (tuple, list)):
        return s.ListExpr(tuple(map(_setting, value)), NOWHERE)
    if isinstance(value, (TensorType, TupleType)):
        return _word(type_text(value))
    if isinstance(value, Dim) or not hasattr(value, "values"):
        return _word(str(value))
    if set(value.values) == {"value"}:  # the initialisers of numbers and lists
        return _setting(value.value)
    if isinstance(value, FanUniform):
        bound = float(f"{value.fan_in**-0.5:.4g}")
        value = Uniform(a=-bound, b=bound)
    settings = [(a.name, getattr(value, a.name), a.default) for a in value.attrs]
    said = tuple(s.Keyword(k, _setting(v), NOWHERE) for k, v, default in settings if v != default)
    return s.Call(value.name, (), said, NOWHERE, NOWHERE)


def _array(data: Any) -> s.Expr:
    if data.size <= MOST_ENTRIES:
        return _setting(data.tolist())
    first = ", ".join(number(_plain(v)) for v in data.ravel()[:4].tolist())
    shape = " x ".join(map(str, data.shape))
    return _word(f"[{first}, {DOTS}] ({shape})")
