"""Circles and wires: the excitation of a circle is the sum of all its wires in the scope.

Assumes that all declarations of the scope are known. Promises sums in the order written, the
bias first, and for every circle the nodes `xi_h` and `h` (one node where the activation is
the identity).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import Span
from ..graph import renamed
from ..ops import OPS
from ..ops.init import INITS
from ..ops.leaf import WeightedSum
from ..syntax import End, Expr, Name, WireStmt
from ..types import Dim, Origin, Size, TensorType, TupleType, Unknown
from .expr import Expressions
from .local import type_of
from .scope import Circle, Scope, Symbol, Term, article, real_type
from .static import Skip, evaluate


@dataclass
class Source:
    """A wire's resolved source: node None for the constant 1; size None for a single number."""

    end: End
    node: str | None
    size: Size | None
    label: str


@dataclass
class Dest:
    """A wire's resolved destination: a circle, a layer, or one circle of a layer."""

    end: End
    circle: Circle
    cell: int | None
    label: str

    @property
    def size(self) -> Dim | None:
        return None if self.cell is not None else self.circle.size


class Wires:
    """Reads wire statements into the circles of a scope."""

    def __init__(self, scope: Scope, expressions: Expressions) -> None:
        self.scope = scope
        self.expressions = expressions

    def read(self, wire: WireStmt) -> None:
        """Add every source-to-destination pair of the statement."""
        dests = [d for d in (self._dest(end) for end in wire.dests) if d is not None]
        sources = [s for s in (self._source(end) for end in wire.sources) if s is not None]
        for source in sources:
            for dest in dests:
                try:
                    self._wire(source, dest, wire)
                except Skip:
                    continue

    # -- ends

    def _dest(self, end: End) -> Dest | None:
        name = end.name
        if name is None:
            self.scope.found.report("E0203", "a wire cannot end in a constant", end.span, "not a node")
            return None
        try:
            symbol = self.scope.look_up(name, end.span)
        except Skip:
            return None
        circle = self.scope.circles.get(name)
        if circle is None:
            self.scope.found.report(
                "E0203",
                f"a wire cannot end in `{name}`",
                end.span,
                f"`{name}` is {article(symbol.kind)}, not a node",
                labels=[(symbol.span, "made here")],
                help=f"declare it with `node {name}`, or write an equation instead of wires",
            )
            return None
        if end.index is None:
            return Dest(end, circle, None, name)
        try:
            cell = self._cell(end, circle.size, symbol)
        except Skip:
            return None
        return Dest(end, circle, cell, f"{name}_{cell}")

    def _cell(self, end: End, size: Size | None, symbol: Symbol) -> int:
        """The number of one circle of a layer, counted from 0."""
        assert end.index is not None
        index = evaluate(end.index, self.expressions.static, self.scope.found)
        if isinstance(index, bool) or not isinstance(index, int):
            self.scope.found.report("E0302", "an index must be a whole number", end.index.span, "not whole")
            raise Skip
        count = None if size is None else size.value
        if size is None:
            self.scope.found.report(
                "E0305",
                f"`{symbol.name}` is a single circle",
                end.span,
                "has no parts to choose from",
                labels=[(symbol.span, "declared here")],
                help=f"write `{symbol.name}` alone",
            )
            raise Skip
        if count is not None and not -count <= index < count:
            self.scope.found.report(
                "E0305",
                f"`{symbol.name}` has no circle {index}",
                end.span,
                f"it has {count}",
                labels=[(symbol.span, "declared here")],
                help=f"indices go from 0 to {count - 1}",
            )
            raise Skip
        return index + count if index < 0 and count is not None else index

    def _source(self, end: End) -> Source | None:
        if end.name is None:
            return Source(end, None, None, "1")
        try:
            symbol = self.scope.look_up(end.name, end.span)
            if symbol.kind in ("size", "const"):
                self.scope.found.report(
                    "E0204",
                    f"a wire cannot start at `{end.name}`",
                    end.span,
                    f"`{end.name}` is {article(symbol.kind)}",
                    help=f"start at the constant 1 with that weight: `1 -[{end.name}]-> ...`",
                )
                return None
            type = type_of(self.scope, symbol.node)
            self._check_source(end, type)
            size = type.shape[0] if type.shape else None
            if end.index is None:
                return Source(end, symbol.node, size, end.name)
            cell = self._cell(end, size, symbol)
        except Skip:
            return None
        key = ("index", symbol.node, cell)
        if key not in self.scope.interned:
            op = OPS["index"](items=(cell,))
            self.scope.interned[key] = self.scope.add(op, [symbol.node], span=end.span)
        return Source(end, self.scope.interned[key], None, f"{end.name}_{cell}")

    def _check_source(self, end: End, type: Any) -> None:
        if not isinstance(type, TupleType) and len(type.shape) <= 1:
            return
        self.scope.found.report(
            "E0204",
            f"a wire cannot start at `{end.name}`",
            end.span,
            f"it is {type}; a wire starts at a single number or a layer",
            help="write an equation for what it feeds",
        )
        raise Skip

    # -- weights

    def _wire(self, source: Source, dest: Dest, wire: WireStmt) -> None:
        self._note_pair(source, dest, wire.span)
        if wire.weight is None:
            node = self._fresh(source, dest, wire.span)
            self._add(source, dest, 1, node)
        elif isinstance(wire.weight, Name):
            self._add_named(source, dest, wire.weight)
        else:
            value = evaluate(wire.weight, self.expressions.static, self.scope.found)
            self._add_value(source, dest, value, wire.weight)

    def _note_pair(self, source: Source, dest: Dest, span: Span) -> None:
        if source.node is None:
            return
        pair = (source.label, dest.label)
        if pair in dest.circle.wires:
            self.scope.found.report(
                "W0201",
                f"a second wire from `{_text(source.end)}` to `{_text(dest.end)}`",
                span,
                "adds to the first",
                labels=[(dest.circle.wires[pair], "the first wire")],
                help="if that is meant, one wire with the sum of the weights says it better",
            )
        dest.circle.wires.setdefault(pair, span)
        count = 1 if source.size is None else self.scope.unifier.resolve(source.size).value or 1
        fans = dest.circle.fan_in
        fans[dest.cell] = fans.get(dest.cell, 0) + count

    def _weight_type(self, source: Source, dest: Dest, span: Span) -> TensorType:
        """The shape that design 1.3's table gives the weight of a wire between such ends."""
        sizes: list[Size] = [] if dest.size is None else [dest.size]
        if source.size is not None:
            sizes.append(source.size)
        return real_type(*sizes)

    def _fresh(self, source: Source, dest: Dest, span: Span) -> str:
        is_bias = source.node is None
        name = f"b_{dest.label}" if is_bias else f"w_{source.label}_{dest.label}"
        name = next(n for n in _numbered(name) if n not in self.scope.params)
        type = self._weight_type(source, dest, span)
        node = self.scope.add_param(name, type, INITS["zeros"](), span)
        if not is_bias:
            dest.circle.fresh.append((node, dest.cell))
        return node

    def _add_named(self, source: Source, dest: Dest, weight: Name) -> None:
        symbol = self.scope.symbols.get(weight.name)
        if symbol is None and weight.name not in self.scope.later:
            type = self._weight_type(source, dest, weight.span)
            symbol = Symbol("param", weight.name, weight.span, type=type)
            if not self.scope.define(symbol):
                raise Skip
            symbol.node = self.scope.add_param(weight.name, type, INITS["zeros"](), weight.span)
            if source.node is not None:
                dest.circle.fresh.append((symbol.node, dest.cell))
        symbol = self.scope.look_up(weight.name, weight.span)
        if symbol.kind == "const" or symbol.kind == "size":
            self._add_value(source, dest, symbol.value, weight)
            return
        if symbol.kind != "param":
            self.scope.found.report(
                "E0205",
                f"`{weight.name}` cannot be a weight",
                weight.span,
                f"it is {article(symbol.kind)}",
                labels=[(symbol.span, "made here")],
                help="weights are numbers, params and consts; a product of two values is an equation",
            )
            raise Skip
        self._add(source, dest, 1, symbol.node, weight.span)

    def _add_value(self, source: Source, dest: Dest, value: Any, weight: Expr) -> None:
        if isinstance(value, list):
            self._add(source, dest, 1, self.scope.literal(value, weight.span), weight.span)
            return
        if isinstance(value, Dim) and value.value is not None:
            value = value.value
        if isinstance(value, (bool, str, tuple, Dim)):
            self.scope.found.report("E0205", "a weight must be a number", weight.span, "not a number")
            raise Skip
        if source.node is None:
            self._add_bias(dest, value)
        elif source.size is not None and dest.size is not None:
            self.scope.found.report(
                "E0205",
                "one number cannot be the weight from a layer to a layer",
                weight.span,
                f"a matrix [{dest.size}, {source.size}] is needed",
                help="give a param, a nested list, or leave the weight out for a fresh trainable one",
            )
            raise Skip
        elif source.size is not None:
            total = self.scope.add(OPS["sum"](), [source.node], span=source.end.span)
            self._terms(dest).append(Term(value, total))
        else:
            self._terms(dest).append(Term(value, source.node))

    def _add_bias(self, dest: Dest, value: int | float) -> None:
        if dest.cell is None:
            old = dest.circle.bias
            dest.circle.bias = value if old is None else old + value
        else:
            cells = dest.circle.cell_bias
            cells[dest.cell] = cells.get(dest.cell, 0) + value

    def _add(self, source: Source, dest: Dest, factor: int, weight: str, span: Span | None = None) -> None:
        """Add the term of a wire whose weight is a node."""
        if source.node is None:
            self._terms(dest).append(Term(factor, weight, is_bias=True))
            return
        op = OPS["mul"] if source.size is None else OPS["matmul"]
        product = self.scope.add(op(), [weight, source.node], span=span or source.end.span)
        self._terms(dest).append(Term(factor, product))

    def _terms(self, dest: Dest) -> list[Term]:
        return dest.circle.terms if dest.cell is None else dest.circle.cells.setdefault(dest.cell, [])

    # -- circles

    def finish(self) -> None:
        """Make the nodes of every circle."""
        for circle in self.scope.circles.values():
            self._finish(circle)

    def _start_fresh(self, circle: Circle) -> None:
        """Fresh weights start uniform in ±1/√fan_in, now that all wires into the circle are known."""
        for param, cell in circle.fresh:
            fan_in = circle.fan_in.get(None, 0) + (0 if cell is None else circle.fan_in.get(cell, 0))
            node = self.scope.nodes[param]
            init = INITS["fanuniform"](fan_in=max(fan_in, 1))
            self.scope.nodes[param] = renamed(node, op=node.op.with_attrs(init=init))

    def _finish(self, circle: Circle) -> None:
        self._start_fresh(circle)
        hint = circle.name if circle.xi == circle.name else f"xi_{circle.name}"
        terms, bias = list(circle.terms), circle.bias
        if circle.cells or circle.cell_bias:
            terms.append(Term(1, self._cells(circle)))
        if not terms and bias is None:
            self.scope.found.report(
                "E0202",
                f"the circle `{circle.name}` has no incoming wire",
                circle.span,
                "nothing feeds it",
                help=f"draw a wire to it: `x -> {circle.name}`",
            )
            return
        shape = () if circle.size is None else (circle.size,)
        self._sum(terms, bias, shape, hint, circle.xi, circle.span)
        if circle.activation is not None:
            self.scope.add(
                circle.activation, [circle.xi], hint=circle.name, span=circle.span, name=circle.name
            )

    def _sum(
        self, terms: list[Term], bias: int | float | None, shape: Any, hint: str, name: str, span: Span
    ) -> None:
        ordered = [t for t in terms if t.is_bias] + [t for t in terms if not t.is_bias]
        weights = tuple(t.factor for t in ordered)
        op = WeightedSum(weights=weights, bias=bias, shape=shape)
        wide = not shape or any(self._is_wide(t.node) for t in ordered)
        if not ordered:
            assert bias is not None
            literal = self.scope.literal(bias, span)
            self.scope.add(OPS["expand"](shape=shape), [literal], hint=hint, span=span, name=name)
        elif wide:
            self.scope.add(op, [t.node for t in ordered], hint=hint, span=span, name=name)
        else:
            op = WeightedSum(weights=weights, bias=bias, shape=())
            total = self.scope.add(op, [t.node for t in ordered], span=span)
            self.scope.add(OPS["expand"](shape=shape), [total], hint=hint, span=span, name=name)

    def _is_wide(self, node: str) -> bool:
        try:
            return bool(type_of(self.scope, node).shape)
        except Skip:
            return True

    def _cells(self, circle: Circle) -> str:
        """The vector of what reaches the circles of a layer one by one."""
        count = None if circle.size is None else circle.size.value
        assert count is not None
        whole = circle.terms or circle.bias is not None
        parts = []
        for cell in range(count):
            terms, bias = circle.cells.get(cell, []), circle.cell_bias.get(cell)
            if not terms and bias is None and not whole:
                self.scope.found.report(
                    "E0202",
                    f"the circle `{circle.name}[{cell}]` has no incoming wire",
                    circle.span,
                    "nothing feeds it",
                    help=f"draw a wire to it: `x -> {circle.name}[{cell}]`",
                )
                return self.scope.literal([0.0] * count)
            if not terms:
                parts.append(self.scope.literal(bias or 0, circle.span))
                continue
            name = self.scope.namer.unique(f"xi_{circle.name}_{cell}")
            self._sum(terms, bias, (), f"xi_{circle.name}_{cell}", name, circle.span)
            parts.append(name)
        return self.scope.add(OPS["stack"](), parts, span=circle.span)


def _numbered(name: str) -> Any:
    yield name
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1


def _text(end: End) -> str:
    return end.span.text


def unknown_size(span: Span) -> Unknown:
    """A size to be inferred, with the place of its `_`."""
    return Unknown(Origin("`_`", span))
