"""Circles and wires: the excitation of a circle is the sum of all its wires in the scope.

Assumes that all declarations of the scope are known. Promises that every wire adds its term to
the circles it ends in, or has an error. Wires may stand before or after what they connect; one
whose source is an equation's name that stands further down takes the value of that equation, if
there is only one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NoReturn

from ..errors import Span, shorten
from ..ops import OPS
from ..ops.init import INITS
from ..syntax import End, Expr, Name, WireStmt
from ..types import Dim, Mismatch, Size, TensorType, describe, shape_text
from .circles import Circles
from .ends import Dest, Ends, Source, end_text, written
from .expr import Expressions
from .scope import Scope, article
from .static import CONSTANTS, Skip, evaluate, in_range, rectangular, shown
from .symbols import Symbol, Term, real_type
from .wire_tables import lay_tables


class Wires:
    """Reads wire statements into the circles of a scope."""

    def __init__(self, scope: Scope, expressions: Expressions) -> None:
        self.scope = scope
        self.static = expressions.static
        self.ends = Ends(scope, expressions.static)
        self.numbers: dict[str, int] = {}
        """How many fresh weights have been made of each name."""
        self.deferred: list[WireStmt] = []
        self.done: set[int] = set()

    def read_early(self, wires: Iterable[WireStmt]) -> None:
        """Read every wire whose sources are known before any equation is.

        Equations may so use a weight that a wire further down introduces.
        """
        for wire in wires:
            if not self._waits(wire):
                self.done.add(id(wire))
                self.read(wire)

    def in_turn(self, wire: WireStmt) -> None:
        """Read a wire where it stands, unless it was read early or an equation must come first."""
        if id(wire) in self.done:
            return
        if self._waits(wire) and all(self._is_single(end) for end in wire.sources):
            self.deferred.append(wire)
            return
        self.read(wire)

    def _waits(self, wire: WireStmt) -> bool:
        names = (end.name for end in wire.sources)
        return any(n in self.scope.later and n not in self.scope.symbols for n in names)

    def _is_single(self, end: End) -> bool:
        """Whether a name means one value in the whole file."""
        return end.name is None or self.scope.bindings.get(end.name, 0) <= 1

    def read(self, wire: WireStmt) -> None:
        """Add every source-to-destination pair of the statement."""
        dests = [d for d in (self.ends.dest(end) for end in wire.dests) if d is not None]
        sources = [s for s in (self.ends.source(end) for end in wire.sources) if s is not None]
        if len(sources) < len(wire.sources):
            self._break(dests)
        if len(sources) * len(dests) < len(wire.sources) * len(wire.dests):
            self._excuse_weight(wire)
        for source in sources:
            for dest in dests:
                try:
                    self._wire(source, dest, wire)
                except Skip:
                    self._break([dest])

    def _excuse_weight(self, wire: WireStmt) -> None:
        """Where ends have errors, do not tell of the uses of a weight that the wire would introduce."""
        name = wire.weight.name if isinstance(wire.weight, Name) else ""
        if name and name not in self.scope.symbols and name not in self.scope.later:
            self.scope.poison("param", name, wire.weight.span)  # type: ignore[union-attr]

    def _break(self, dests: Iterable[Dest]) -> None:
        """Note that a wire has an error, so that its circle is not said to lack wires."""
        self.scope.skipped = True
        for dest in dests:
            dest.circle.broken = True
        self.scope.check_patience()

    # -- weights

    def _wire(self, source: Source, dest: Dest, wire: WireStmt) -> None:
        self._note_pair(source, dest, wire.span)
        if wire.weight is None:
            self._add(source, dest, self._fresh(source, dest, wire.span), wire.span, wire)
        elif isinstance(wire.weight, Name) and wire.weight.name not in CONSTANTS:
            self._add_named(source, dest, wire.weight, wire)
        else:
            value = evaluate(wire.weight, self.static, self.scope.found)
            self._add_value(source, dest, value, wire.weight, wire)

    def _note_pair(self, source: Source, dest: Dest, span: Span) -> None:
        if source.node is None or source.end.name is None:
            return
        dest.circle.feeds.setdefault(source.end.name, span)
        pair = (source.label, dest.label)
        if pair in dest.circle.wires:
            self.scope.found.report(
                "W0201",
                f"a second wire from `{written(source.end)}` to `{written(dest.end)}`",
                span,
                "adds to the first",
                labels=[(dest.circle.wires[pair], "the first wire")],
                help="if that is meant, one wire with the sum of the weights says it better",
            )
        dest.circle.wires.setdefault(pair, span)
        count = 1 if source.size is None else self.scope.unifier.resolve(source.size).value or 1
        fans = dest.circle.fan_in
        fans[dest.cell] = fans.get(dest.cell, 0) + count

    @staticmethod
    def _weight_type(source: Source, dest: Dest) -> TensorType:
        """The shape that design 1.3's table gives the weight of a wire between such ends."""
        sizes: list[Size] = [] if dest.size is None else [dest.size]
        if source.size is not None:
            sizes.append(source.size)
        return real_type(*sizes)

    def _fresh(self, source: Source, dest: Dest, span: Span) -> str:
        is_bias = source.node is None
        name = self._free_name(f"b_{dest.label}" if is_bias else f"w_{source.label}_{dest.label}")
        node = self.scope.add_param(name, self._weight_type(source, dest), INITS["zeros"](), span)
        if not is_bias:
            dest.circle.fresh.append((node, dest.cell))
        return node

    def _free_name(self, name: str) -> str:
        """The name itself, or numbered where a parameter has it already."""
        free = name
        while free in self.scope.params:
            self.numbers[name] = self.numbers.get(name, 1) + 1
            free = f"{name}_{self.numbers[name]}"
        return free

    def _add_named(self, source: Source, dest: Dest, weight: Name, wire: WireStmt) -> None:
        if weight.name not in self.scope.symbols and weight.name not in self.scope.later:
            self._introduce(source, dest, weight)
        symbol = self.scope.symbols.get(weight.name)
        kind = "equation" if symbol is None else symbol.kind
        if kind not in ("param", "const", "size") and not (symbol is not None and symbol.poisoned):
            span = self.scope.later[weight.name] if symbol is None else symbol.span
            self.scope.found.report(
                "E0205",
                f"`{shorten(weight.name)}` cannot be a weight",
                weight.span,
                f"this is {article(kind)}",
                labels=[(span, "made here")],
                help="weights are numbers, params and consts; a product of two values is an equation",
            )
            raise Skip
        symbol = self.scope.look_up(weight.name, weight.span)
        if symbol.kind == "param":
            type = self.scope.nodes[symbol.node].op.type
            self._check_weight(source, dest, type, weight, symbol)
            self._add(source, dest, symbol.node, weight.span, wire)
        else:
            self._add_value(source, dest, symbol.value, weight, wire, symbol)

    def _introduce(self, source: Source, dest: Dest, weight: Name) -> None:
        """Make the param that a wire's weight names and nothing declares."""
        type = self._weight_type(source, dest)
        symbol = Symbol("param", weight.name, weight.span, type=type, is_implied=True)
        if not self.scope.define(symbol):
            raise Skip
        try:
            symbol.node = self.scope.add_param(weight.name, type, INITS["zeros"](), weight.span)
        except Skip:
            symbol.poisoned = True
            raise
        if source.node is not None:
            dest.circle.fresh.append((symbol.node, dest.cell))

    def _check_weight(
        self, source: Source, dest: Dest, type: TensorType, weight: Expr, symbol: Symbol | None
    ) -> None:
        """Report a weight that does not have the shape a wire between these ends needs."""
        unifier = self.scope.unifier
        wanted = self._weight_type(source, dest)
        have = unifier.tensor(type)
        try:
            if have.rank != wanted.rank:
                raise Mismatch("")
            for a, b in zip(have.shape, wanted.shape, strict=True):
                unifier.unify(a, b)
            return
        except Mismatch:
            pass
        text = f"`{shorten(weight.span.text, 30)}`"
        cure = f"a wire from {end_text(source)} to {end_text(dest)} takes {_weight_words(wanted)}"
        if not have.shape and wanted.shape and symbol is not None:
            cure += ": one param for all of it needs an equation"
        labels: list[tuple[Span | None, str]] = []
        if symbol is not None and symbol.span != weight.span:
            how = "introduced" if symbol.is_implied else "declared"
            labels.append((symbol.span, f"{text} is {how} here"))
        self.scope.found.report(
            "E0310",
            "the weight does not fit the wire",
            weight.span,
            f"this is {describe(have)}",
            labels=labels,
            help=cure,
        )
        raise Skip

    def _add_value(
        self,
        source: Source,
        dest: Dest,
        value: Any,
        weight: Expr,
        wire: WireStmt,
        symbol: Symbol | None = None,
    ) -> None:
        """Add a wire whose weight is known at compile time; `symbol` is the const it comes from."""
        if isinstance(value, list):
            numbers = value if symbol is not None else rectangular(value, weight.span, self.scope.found)
            hint = None if symbol is None else symbol.name
            node = self.scope.literal(numbers, weight.span if symbol is None else symbol.span, hint)
            sizes = self.scope.nodes[node].op.shape
            self._check_weight(source, dest, real_type(*sizes), weight, symbol)
            self._add(source, dest, node, weight.span, wire)
            return
        if isinstance(value, Dim) and value.value is not None:
            value = value.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.scope.found.report(
                "E0205",
                "a weight must be a number",
                weight.span,
                f"this is {'a symbolic size' if isinstance(value, Dim) else shown(value)}",
                help="weights are numbers, params and consts",
            )
            raise Skip
        if not math.isfinite(value):
            self._report_endless(weight)
        self._add_number(source, dest, in_range(value), weight, wire)

    def _report_endless(self, weight: Expr) -> NoReturn:
        self.scope.found.report(
            "E0205",
            "a weight must be finite",
            weight.span,
            "this is infinite",
            help="what cannot pass gets the weight 0, or no wire",
        )
        raise Skip

    def _add_number(
        self, source: Source, dest: Dest, value: int | float, weight: Expr, wire: WireStmt
    ) -> None:
        place = wire.span.start
        if source.node is None:
            self._add_bias(dest, value, weight)
        elif source.size is not None and dest.size is not None:
            self.scope.found.report(
                "E0205",
                "one number cannot be the weight from a layer to a layer",
                weight.span,
                f"a matrix [{dest.size}, {source.size}] is needed",
                help="give a param or a nested list, or leave the weight out for a fresh trainable one",
            )
            raise Skip
        elif source.size is not None:
            self._terms(dest).append(Term(value, self._total(source.node, source.end.span), place=place))
        else:
            self._terms(dest).append(Term(value, source.node, place=place))

    def _total(self, node: str, span: Span) -> str:
        """The node of the sum of a layer, the same for all wires from it."""
        key = ("sum", node)
        if key not in self.scope.interned:
            self.scope.interned[key] = self.scope.add(OPS["sum"](), [node], span=span)
        return self.scope.interned[key]

    def _add_bias(self, dest: Dest, value: int | float, weight: Expr) -> None:
        old = dest.circle.bias if dest.cell is None else dest.circle.cell_bias.get(dest.cell)
        total = in_range(value if old is None else old + value)
        if not math.isfinite(total):
            self._report_endless(weight)
        if dest.cell is None:
            dest.circle.bias = total
        else:
            dest.circle.cell_bias[dest.cell] = total

    def _add(self, source: Source, dest: Dest, weight: str, span: Span, wire: WireStmt) -> None:
        """Add the term of a wire whose weight is a node."""
        place = wire.span.start
        if source.node is None:
            self._terms(dest).append(Term(1, weight, is_bias=True, place=place))
            return
        op = OPS["mul"] if source.size is None else OPS["matmul"]
        product = self.scope.add(op(), [weight, source.node], span=span)
        self._terms(dest).append(Term(1, product, place=place))

    @staticmethod
    def _terms(dest: Dest) -> list[Term]:
        return dest.circle.terms if dest.cell is None else dest.circle.cells.setdefault(dest.cell, [])

    # -- the end

    def finish(self) -> None:
        """Read the wires that had to wait, then make the nodes of every circle."""
        for wire in self.deferred:
            self.read(wire)
        lay_tables(self.scope)
        Circles(self.scope).finish()


def _weight_words(wanted: TensorType) -> str:
    return f"a weight {shape_text(wanted.shape)}" if wanted.shape else "a single number"
