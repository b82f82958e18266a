"""The ends of wires: circles, layers, single circles of layers, and the constant 1.

Assumes that all declarations of the scope are known. Promises, for an end as it is written,
the node and the size that are meant, or a reported error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import Span, shorten
from ..ops import OPS
from ..syntax import End, Name
from ..types import Dim, Size, TensorType, describe
from .local import tensor_of
from .scope import Scope
from .static import Skip, evaluate, shown
from .symbols import Circle, Symbol, article


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


class Ends:
    """Finds what the ends of a scope's wires are; `static` gives names their value at compile time."""

    def __init__(self, scope: Scope, static: Callable[[Name], Any]) -> None:
        self.scope = scope
        self.static = static

    def dest(self, end: End) -> Dest | None:
        """Where a wire ends, or None with the error reported."""
        name = end.name
        if name is None:
            return None  # a constant: the parser has said so
        if name in self.scope.later and name not in self.scope.symbols:
            self._no_circle(end, "equation", self.scope.later[name])
            return None
        try:
            symbol = self.scope.look_up(name, end.span)
        except Skip:
            self.scope.skipped = True
            return None
        circle = self.scope.circles.get(name)
        if circle is None:
            self._no_circle(end, symbol.kind, symbol.span)
            return None
        if end.index is None:
            return Dest(end, circle, None, name)
        try:
            cell = self._cell(end, circle.size, symbol)
        except Skip:
            circle.broken = self.scope.skipped = True
            return None
        return Dest(end, circle, cell, f"{name}_{cell}")

    def _no_circle(self, end: End, kind: str, span: Span) -> None:
        """Report a wire that ends in something that is not a node."""
        self.scope.skipped = True
        name = shorten(end.name or "")
        cure = f"declare it by `node {name}` in place of `{kind}`"
        if kind == "equation":
            cure = f"declare it by `node {name}` in place of the equation, or add to the equation"
        self.scope.found.report(
            "E0203",
            f"a wire cannot end in `{name}`",
            end.span,
            f"`{name}` is {article(kind)}, not a node",
            labels=[(span, "made here")],
            help=f"wires end in circles: {cure}",
        )

    def _cell(self, end: End, size: Size | None, symbol: Symbol) -> int:
        """The number of one circle of a layer, counted from 0."""
        assert end.index is not None
        what = "circle" if symbol.kind == "node" else "entry"
        index = evaluate(end.index, self.static, self.scope.found)
        if isinstance(index, Dim) and index.value is not None:
            index = index.value
        if isinstance(index, bool) or not isinstance(index, int):
            self.scope.found.report(
                "E0302",
                "an index must be a whole number",
                end.index.span,
                f"this is {shown(index)}",
                help=f"indices count from 0, negative ones from the end: `{shorten(symbol.name)}[0]`",
            )
            raise Skip
        if size is None:
            self.scope.found.report(
                "E0305",
                f"`{shorten(symbol.name)}` is a single {'circle' if what == 'circle' else 'number'}",
                end.span,
                "has no parts to choose from",
                labels=[(symbol.span, f"`{shorten(symbol.name)}` is made here")],
                help=f"write `{shorten(symbol.name)}` alone",
            )
            raise Skip
        count = size.value
        if count is not None and not -count <= index < count:
            self.scope.found.report(
                "E0305",
                f"`{shorten(symbol.name)}` has no {what} {index}",
                end.span,
                f"it has {count}",
                labels=[(symbol.span, f"`{shorten(symbol.name)}` is made here")],
                help=f"indices go from 0 to {count - 1}; negative ones count from the end",
            )
            raise Skip
        return index + count if index < 0 and count is not None else index

    def source(self, end: End) -> Source | None:
        """Where a wire starts, or None with the error reported."""
        if end.name is None:
            return Source(end, None, None, "1")
        try:
            symbol = self.scope.look_up(end.name, end.span)
            self._check_kind(end, symbol)
            type = tensor_of(self.scope, symbol.node, end.span)
            self._check_source(end, type)
            size = type.shape[0] if type.shape else None
            if end.index is None:
                return Source(end, symbol.node, size, end.name)
            cell = self._cell(end, size, symbol)
        except Skip:
            return None
        return Source(end, self._entry(symbol.node, cell, end.span), None, f"{end.name}_{cell}")

    def _entry(self, node: str, cell: int, span: Span) -> str:
        """The node of one entry of a vector, the same for all wires from it."""
        key = ("index", node, cell)
        if key not in self.scope.interned:
            self.scope.interned[key] = self.scope.add(OPS["index"](items=(cell,)), [node], span=span)
        return self.scope.interned[key]

    def _check_kind(self, end: End, symbol: Symbol) -> None:
        """Report a source that is no value of the network."""
        if symbol.kind not in ("size", "const"):
            return
        self.scope.found.report(
            "E0204",
            f"a wire cannot start at `{end.name}`",
            end.span,
            f"`{end.name}` is {article(symbol.kind)}",
            help=f"start at the constant 1 with that weight: `1 -[{end.name}]-> ...`",
        )
        raise Skip

    def _check_source(self, end: End, type: TensorType) -> None:
        """Report a source that is neither a circle nor a layer of them."""
        if len(type.shape) <= 1:
            return
        self.scope.found.report(
            "E0204",
            f"a wire cannot start at `{end.name}`",
            end.span,
            f"this is {describe(type)}; a wire starts at a single number or a layer [n]",
            help="write an equation for what it feeds",
        )
        raise Skip


def end_text(end: Source | Dest) -> str:
    """`h` ([3]), as a message names an end with its size."""
    if isinstance(end, Source) and end.node is None:
        return "the constant 1"
    size = "a single number" if end.size is None else f"[{end.size}]"
    return f"`{written(end.end)}` ({size})"


def written(end: End) -> str:
    """An end as the file has it."""
    return shorten(" ".join(end.span.text.split()), 40)
