"""Declarations, whose order does not matter: sizes, consts, inputs, targets, params, nodes.

Promises that afterwards every declared name has its symbol, and every requirement on known
sizes is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ..errors import Diagnostics, Span, shorten
from ..ops import OPS
from ..ops.leaf import Input, Target
from ..syntax import (
    BlockStmt,
    Call,
    ConstStmt,
    Declared,
    EquationStmt,
    Expr,
    File,
    InputStmt,
    LayerStmt,
    LossStmt,
    MetricStmt,
    NodeItem,
    NodeStmt,
    OutputStmt,
    ParamStmt,
    RequireStmt,
    SizeStmt,
    TargetStmt,
    TypeExpr,
    UseStmt,
    Wildcard,
    WiresStmt,
)
from ..types import MAX_ELEMENTS, MAX_RANK, Dim, Elem, Origin, Size, TensorType, element_count
from .blocks import Definition
from .calls import bind
from .constants import Constants, names_in, with_origin
from .initial import Initial
from .scope import Scope, article
from .static import Skip, evaluate, shown, whole
from .symbols import Circle, Layer, Symbol
from .wire_tables import declare_table

MAX_DEPTH = 32
"""How deeply the condition of a requirement on symbolic sizes may be nested."""

Place = tuple[str, str, Span]
"""The kind, the name and the place of a declaration."""


class Declarations:
    """Reads all declarations of a file into its scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.found: Diagnostics = scope.found
        self.requires: list[tuple[Any, str, Span]] = []
        self.types: dict[str, TensorType] = {}
        self.constants = Constants(scope)

    def read(self, file: File) -> None:
        """Names first, for any order will do; then statics, which every shape may use; then the rest."""
        self._note_later(file)
        for statement in file.statements:
            self._declare_names(statement)
        self.constants.settle()
        for statement in file.statements:
            if isinstance(statement, RequireStmt):
                self._guard(partial(self._require, statement))
            elif isinstance(statement, (InputStmt, TargetStmt)):
                kind = "input" if isinstance(statement, InputStmt) else "target"
                for item in statement.items:
                    self._each(partial(self._declared, item, kind), kind, item.name, item.name_span)
            elif isinstance(statement, ParamStmt):
                self._each(partial(self._param, statement), "param", statement.name, statement.name_span)
            elif isinstance(statement, WiresStmt):
                table = partial(declare_table, statement, self.scope)
                self._each(table, "param", statement.name, statement.name_span)
            elif isinstance(statement, NodeStmt):
                for node in statement.items:
                    self._each(partial(self._node, node, statement), "node", node.name, node.name_span)

    def _each(self, action: Callable[[], None], kind: str, name: str, span: Span) -> None:
        """Complete the declaration that gave a name its symbol; a second one has its error already."""
        symbol = self.scope.symbols.get(name)
        if symbol is not None and symbol.span == span and not self._guard(action):
            self.scope.poison(kind, name, span)

    def _guard(self, action: Callable[[], None]) -> bool:
        """Whether the action went through without an error."""
        try:
            action()
        except Skip:
            self.scope.skipped = True
            self.scope.check_patience()
            return False
        return True

    # -- names

    def _note_later(self, file: File) -> None:
        """Reserve every name of the file, so that unnamed nodes take no name of the user's."""
        scope = self.scope
        for statement in file.statements:
            for name, span in _bound(statement):
                scope.later.setdefault(name, span)
                scope.bindings[name] = scope.bindings.get(name, 0) + 1
                scope.namer.reserve(name)
            for _, name, _ in _declared(statement):
                scope.namer.reserve(name)

    def _declare_names(self, statement: Any) -> None:
        for kind, name, span in _declared(statement):
            if not self.scope.define(Symbol(kind, name, span)):
                self.scope.check_patience()
        if isinstance(statement, BlockStmt):
            block = Definition(statement, self.scope.symbols, self.scope.callables)
            self._callable(Symbol("block", statement.name, statement.name_span, value=block))
        elif isinstance(statement, LayerStmt):
            layer = Layer(statement.name, statement.call, self.scope)
            self._callable(Symbol("layer", statement.name, statement.name_span, value=layer))
        elif isinstance(statement, UseStmt):
            self._use(statement)
        if isinstance(statement, SizeStmt):
            for item in statement.items:
                self._keep(item.name, item.name_span, item)
        elif isinstance(statement, ConstStmt):
            self._keep(statement.name, statement.name_span, statement)

    def _use(self, statement: UseStmt) -> None:
        symbol = Symbol("file", statement.alias, statement.span)
        try:
            symbol.value = self.scope.files.offered(statement, self.scope)
        except Skip:
            symbol.poisoned = self.scope.skipped = True
        self._callable(symbol)

    def _callable(self, symbol: Symbol) -> None:
        """Declare what is called by its name, which has a table of its own."""
        old = self.scope.callables.get(symbol.name)
        if old is None or self.scope.parent is not None:
            self.scope.callables[symbol.name] = symbol
            return
        self.found.report(
            "E0102",
            f"`{shorten(symbol.name)}` is declared twice",
            symbol.span,
            f"declared again here, as {article(symbol.kind)}",
            labels=[(old.span, f"first declared here, as {article(old.kind)}")],
            help="give one of the two another name",
        )

    def _keep(self, name: str, span: Span, item: Any) -> None:
        symbol = self.scope.symbols.get(name)
        if symbol is not None and symbol.span == span:
            self.constants.definitions[name] = item

    # -- requirements

    def _require(self, statement: RequireStmt) -> None:
        condition = statement.condition
        value = evaluate(condition, self.constants.look_up, self.found)
        message = statement.message or " ".join(condition.span.text.split())
        if isinstance(value, tuple) and value[0] != "%":
            self._require_later(value, message, statement)
        elif not isinstance(value, bool):
            what = "a number" if isinstance(value, (int, float, Dim, tuple)) else shown(value)
            self.found.report(
                "E0211",
                "a requirement is a condition, true or false",
                condition.span,
                f"this is {what}",
                help="compare: `require D > 0`",
            )
        elif not value:
            said = "" if statement.message is None else "this does not hold"
            if statement.message is None:
                message = f"`{shorten(message)}` does not hold"
            self.found.report(
                "E0210",
                message,
                condition.span,
                said or "required here",
                labels=self._sizes_in(condition),
                help="change the sizes, here or with --set",
            )

    def _require_later(self, value: Any, message: str, statement: RequireStmt) -> None:
        """Note a condition on symbolic sizes, which the emitted functions check."""
        parts = [value]
        while parts:
            part = parts.pop()
            if part[0] == "and":
                parts += reversed(part[1:])
            elif _depth(part) > MAX_DEPTH:
                self.found.report(
                    "E0903",
                    "a condition is nested too deeply",
                    statement.condition.span,
                    f"more than {MAX_DEPTH} deep",
                    help="split it into several `require` statements",
                )
                raise Skip
            else:
                self.requires.append((part, message, statement.span))

    def _sizes_in(self, condition: Expr) -> list[tuple[Span | None, str]]:
        """The sizes and consts that a condition names, with their values."""
        labels: list[tuple[Span | None, str]] = []
        for name in names_in(condition)[:4]:
            symbol = self.scope.symbols.get(name)
            if symbol is not None and isinstance(symbol.value, (int, float, Dim)):
                labels.append((symbol.span, f"`{name}` is {shown(symbol.value)}"))
        return labels

    # -- inputs and targets

    def _declared(self, item: Declared, kind: str) -> None:
        symbol = self.scope.symbols[item.name]
        self.scope.check_argument(item.name, item.name_span)
        symbol.type = self.type_of(item.type) if item.type is not None else TensorType(Elem("real"))
        self._check_room(symbol.type, item.type.span if item.type is not None else item.span)
        op = Input(type=symbol.type) if kind == "input" else Target(type=symbol.type)
        symbol.node = self.scope.add(op, hint=item.name, span=item.name_span, name=item.name)
        (self.scope.inputs if kind == "input" else self.scope.targets).append(symbol.node)
        self.types[item.name] = symbol.type

    def type_of(self, expr: TypeExpr) -> TensorType:
        """The type that a declaration writes."""
        elem = Elem(expr.kind)
        if expr.kind == "class":
            elem = self._class(expr)
        return TensorType(elem, tuple(self._size(s, "the size of an input or target") for s in expr.shape))

    def _class(self, expr: TypeExpr) -> Elem:
        if expr.names:
            places: dict[str, Span] = {}
            for name in expr.names:
                if name.value in places:
                    self.found.report(
                        "E0102",
                        f'the class "{shorten(name.value)}" is named twice',
                        name.span,
                        "named again here",
                        labels=[(places[name.value], "first named here")],
                        help="every class needs a name of its own",
                    )
                    raise Skip
                places[name.value] = name.span
            count = Dim.of(len(places), Origin("the classes listed", expr.span))
            return Elem("class", count, tuple(places))
        assert expr.classes is not None
        value = evaluate(expr.classes, self.constants.look_up, self.found)
        count = whole(value, expr.classes.span, self.found, least=1, what="the number of classes")
        return Elem("class", with_origin(count, expr.classes.span))

    def _size(self, expr: Expr | Wildcard, what: str) -> Size:
        if isinstance(expr, Wildcard):
            self.found.report(
                "E0301",
                f"{what} must be written out",
                expr.span,
                "cannot be inferred",
                help="write a number, or declare `size T` for one that is known only when data arrive",
            )
            raise Skip
        value = evaluate(expr, self.constants.look_up, self.found)
        return with_origin(whole(value, expr.span, self.found), expr.span)

    def _check_room(self, type: TensorType, span: Span) -> None:
        """Refuse arrays too large to be meant, before anything is allocated."""
        count = element_count(type.shape)
        if count <= MAX_ELEMENTS and type.rank <= MAX_RANK:
            return
        wide = type.rank > MAX_RANK
        origins = [(size.origin, size) for size in type.shape if size.origin is not None and size.origin.text]
        sizes = {origin.span: f"this is the {size}" for origin, size in origins if origin.span is not None}
        self.found.report(
            "E0904",
            f"an array of {type.rank} axes" if wide else f"an array of {count} elements",
            span,
            "too many axes" if wide else "too large",
            labels=list(sizes.items()),
            help=f"an array may have up to {MAX_RANK} axes"
            if wide
            else f"an array may have up to {MAX_ELEMENTS} elements per example",
        )
        raise Skip

    # -- params

    def _param(self, statement: ParamStmt) -> None:
        symbol = self.scope.symbols[statement.name]
        initial = Initial(self.scope, self.constants.look_up)
        symbol.type, init = initial.read(statement, lambda s: self._size(s, "a size"))
        shape = statement.shape
        whole_shape = shape[0].span.to(shape[-1].span) if shape else statement.name_span
        self._check_room(symbol.type, whole_shape)
        symbol.node = self.scope.add_param(statement.name, symbol.type, init, statement.name_span)

    # -- circles

    def _node(self, item: NodeItem, statement: NodeStmt) -> None:
        symbol = self.scope.symbols[item.name]
        symbol.node = item.name
        size = None if item.size is None else self._circles(item.size)
        self._count_circles(size, item)
        activation = None if statement.activation is None else self._activation(statement.activation)
        xi = item.name if activation is None else self.scope.namer.unique(f"xi_{item.name}")
        circle = Circle(item.name, item.name_span, size, activation, xi)
        symbol.type = circle.type
        self.scope.circles[item.name] = circle
        if activation is not None:
            self.scope.excitations[xi] = circle

    def _circles(self, expr: Expr) -> Dim:
        """The number of circles of a layer, a number known now."""
        value = evaluate(expr, self.constants.look_up, self.found)
        size = whole(value, expr.span, self.found, least=1, what="a number of circles")
        if size.value is None:
            self.found.report(
                "E0211",
                "a layer's number of circles must be known at compile time",
                expr.span,
                f"this is the symbolic size {size}",
                labels=[(size.origin.span, "declared here")] if size.origin else [],
                help="give the size a number, or write equations, which work on any size",
            )
            raise Skip
        return with_origin(size, expr.span)

    def _count_circles(self, size: Dim | None, item: NodeItem) -> None:
        count = 1 if size is None else size.value
        assert count is not None
        self.scope.circle_count += count
        if self.scope.circle_count > self.scope.max_nodes:
            self.scope.report_limit("circles", item.span)

    def _activation(self, call: Call) -> Any:
        cls = OPS.get(call.func)
        fits = (
            cls is not None
            and cls.group
            and cls.required() == 1
            and not cls.params
            and len(cls.operands) == 1
        )
        if cls is None or not fits:
            known = [n for n, c in OPS.items() if c.group == "activations"]
            known_op = cls is not None and bool(cls.group)
            self.found.report(
                "E0104",
                f"there is no activation `{shorten(call.func)}`",
                call.func_span,
                "this operation does not map one value to one" if known_op else "not known",
                help=self.found.closest(call.func, known) or f"activations are {', '.join(known)}",
            )
            raise Skip
        return cls(**bind(cls, call, "xi", self.constants.look_up, self.found).attrs)


def _depth(condition: Any) -> int:
    """How deeply a condition is nested, found without recursion; at most one more than allowed."""
    level, depth = [condition], 0
    while level and depth <= MAX_DEPTH:
        level = [side for part in level if isinstance(part, tuple) for side in part[1:]]
        depth += 1
    return depth


def _declared(statement: Any) -> Iterator[Place]:
    """What a statement declares, in whatever order it stands."""
    if isinstance(statement, (InputStmt, TargetStmt, SizeStmt, NodeStmt)):
        kind = type(statement).__name__.removesuffix("Stmt").lower()
        for item in statement.items:
            yield kind, item.name, item.name_span
    elif isinstance(statement, (ParamStmt, ConstStmt)):
        kind = type(statement).__name__.removesuffix("Stmt").lower()
        yield kind, statement.name, statement.name_span
    elif isinstance(statement, WiresStmt):
        yield "param", statement.name, statement.name_span


def _bound(statement: Any) -> Iterator[tuple[str, Span]]:
    """The names that a statement which runs in order gives to values."""
    if isinstance(statement, EquationStmt):
        for target in statement.targets:
            yield target.name, target.span
    items = statement.items if isinstance(statement, OutputStmt) else ()
    for item in (*items, *((statement,) if isinstance(statement, (LossStmt, MetricStmt)) else ())):
        if item.name is not None:
            yield item.name, item.name_span or item.span
