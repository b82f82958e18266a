"""Declarations, whose order does not matter: sizes, consts, inputs, targets, params, nodes.

Promises that afterwards every declared name has its symbol, and every requirement on known
sizes is checked.
"""

from __future__ import annotations

from typing import Any

from ..errors import Diagnostics, Span, did_you_mean, shorten
from ..ops import OPS
from ..ops.init import INITS
from ..ops.leaf import Array, Input, Target
from ..syntax import (
    Call,
    ConstStmt,
    Declared,
    EquationStmt,
    Expr,
    File,
    InputStmt,
    Name,
    NamedExpr,
    NodeItem,
    NodeStmt,
    OutputStmt,
    ParamStmt,
    RequireStmt,
    SizeItem,
    SizeStmt,
    TargetStmt,
    TypeExpr,
    Wildcard,
)
from ..types import MAX_ELEMENTS, Dim, Elem, Origin, Size, TensorType, Unknown, element_count
from .calls import bind
from .scope import Circle, Scope, Symbol
from .static import Skip, evaluate, whole

SizeDef = SizeItem | ConstStmt


class Declarations:
    """Reads all declarations of a file into its scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.found: Diagnostics = scope.found
        self.requires: list[tuple[Any, str, Span]] = []
        self.types: dict[str, TensorType] = {}
        self._defs: dict[str, SizeDef] = {}
        self._active: list[str] = []

    def read(self, file: File) -> None:
        """Statics first, since every shape may use them; then all that have a shape."""
        self._note_later(file)
        self._statics(file)
        for statement in file.statements:
            if isinstance(statement, RequireStmt):
                self._guard(lambda s=statement: self._require(s))
            elif isinstance(statement, (InputStmt, TargetStmt)):
                kind = "input" if isinstance(statement, InputStmt) else "target"
                for item in statement.items:
                    self._guard(lambda i=item, k=kind: self._declared(i, k), kind, item.name, item.name_span)
            elif isinstance(statement, ParamStmt):
                self._guard(
                    lambda s=statement: self._param(s), "param", statement.name, statement.name_span
                )
            elif isinstance(statement, NodeStmt):
                for node in statement.items:
                    self._guard(
                        lambda i=node, s=statement: self._node(i, s), "node", node.name, node.name_span
                    )

    def _guard(self, action: Any, kind: str = "", name: str = "", span: Span | None = None) -> None:
        try:
            action()
        except Skip:
            if name and span is not None:
                self.scope.poison(kind, name, span)

    def _note_later(self, file: File) -> None:
        """Reserve every name of the file, so that unnamed nodes take no name of the user's."""
        for statement in file.statements:
            if isinstance(statement, EquationStmt):
                for target in statement.targets:
                    self.scope.later.setdefault(target.name, target.span)
            elif isinstance(statement, OutputStmt):
                for item in statement.items:
                    if isinstance(item, NamedExpr) and item.name is not None:
                        self.scope.later.setdefault(item.name, item.name_span or item.span)
            for name in _names(statement):
                self.scope.namer.reserve(name)
        for name in self.scope.later:
            self.scope.namer.reserve(name)

    # -- sizes and consts

    def _statics(self, file: File) -> None:
        for statement in file.statements:
            items: tuple[SizeDef, ...] = ()
            if isinstance(statement, SizeStmt):
                items = statement.items
            elif isinstance(statement, ConstStmt):
                items = (statement,)
            for item in items:
                kind = "size" if isinstance(item, SizeItem) else "const"
                if self.scope.define(Symbol(kind, item.name, item.name_span)):
                    self._defs[item.name] = item
        for name in list(self._defs):
            self._guard(lambda n=name: self._resolve(n), "", "")
        self._check_settings()

    def _resolve(self, name: str) -> Any:
        """The value of a size or const, its dependencies first. Raises Skip after an error."""
        symbol = self.scope.symbols[name]
        if symbol.poisoned:
            raise Skip
        if symbol.value is not None:
            return symbol.value
        if name in self._active or len(self._active) > 100:
            ring = [*self._active[self._active.index(name) :], name] if name in self._active else [name]
            self.found.report(
                "E0201",
                "sizes depend on each other in a ring" if name in self._active else "too long a chain of sizes",
                symbol.span,
                " -> ".join(f"`{n}`" for n in ring),
                help="give one of them a number",
            )
            symbol.poisoned = True
            raise Skip
        self._active.append(name)
        try:
            symbol.value = self._static_value(self._defs[name])
        except Skip:
            symbol.poisoned = True
            raise
        finally:
            self._active.pop()
        return symbol.value

    def _static_value(self, item: SizeDef) -> Any:
        given = self.scope.settings.get(item.name)
        if isinstance(item, SizeItem):
            if given is not None:
                value: Any = given
            elif item.value is None:
                self.scope.sizes.append(item.name)
                return Dim.symbol(item.name, Origin(f"`size {item.name}`", item.span))
            else:
                value = evaluate(item.value, self._lookup, self.found)
            size = whole(value, item.value.span if item.value else item.name_span, self.found)
            note = " by --set" if given is not None else ""
            return size.with_origin(Origin(f"`size {item.name} = {size}`{note}", item.span))
        value = evaluate(item.value, self._lookup, self.found)
        if given is not None:
            if isinstance(value, list):
                self.found.report(
                    "E0704", f"`{item.name}` is an array; --set changes single numbers", item.name_span
                )
                raise Skip
            value = given
        if isinstance(value, list) and not _rectangular(value):
            self.found.report(
                "E0404", "the lists are not all of one length", item.value.span, "ragged", help="even them out"
            )
            raise Skip
        if isinstance(value, (str, tuple)):
            self.found.report("E0211", "a const is a number or a list of numbers", item.value.span, "not a number")
            raise Skip
        return value

    def _lookup(self, name: Name) -> Any:
        """A static name's value; sizes and consts may stand in any order."""
        symbol = self.scope.look_up(name.name, name.span)
        if name.name in self._defs:
            return self._resolve(name.name)
        if symbol.kind in ("size", "const"):
            return symbol.value
        self.found.report(
            "E0211",
            f"`{name.name}` is not known at compile time",
            name.span,
            f"it is a {symbol.kind}",
            help="use numbers, sizes and scalar consts here",
        )
        raise Skip

    def _check_settings(self) -> None:
        for name in self.scope.settings:
            if name not in self._defs:
                cure = did_you_mean(name, self._defs)
                known = ", ".join(f"`{n}`" for n in self._defs) or "none"
                self.found.report(
                    "E0704",
                    f"--set {shorten(name)}: there is no such size or const",
                    help=cure or f"the file's sizes and consts: {known}",
                )
            else:
                self.scope.symbols[name].used = True

    def _require(self, statement: RequireStmt) -> None:
        value = evaluate(statement.condition, self._lookup, self.found)
        message = statement.message or " ".join(statement.condition.span.text.split())
        if isinstance(value, tuple):
            self.requires.append((value, message, statement.span))
        elif not isinstance(value, bool):
            self.found.report("E0211", "a condition is true or false", statement.condition.span, "a number")
        elif not value:
            self.found.report(
                "E0210", message, statement.condition.span, "does not hold", help="change the sizes it names"
            )

    # -- inputs, targets, params, nodes

    def _declared(self, item: Declared, kind: str) -> None:
        self.scope.check_argument(item.name, item.name_span)
        symbol = Symbol(kind, item.name, item.name_span)
        if not self.scope.define(symbol):
            return
        symbol.type = self.type_of(item.type) if item.type is not None else TensorType(Elem("real"))
        self._check_room(symbol.type, item.span)
        op = Input(type=symbol.type) if kind == "input" else Target(type=symbol.type)
        symbol.node = self.scope.add(op, hint=item.name, span=item.span, name=item.name)
        (self.scope.inputs if kind == "input" else self.scope.targets).append(symbol.node)
        self.types[item.name] = symbol.type

    def type_of(self, expr: TypeExpr) -> TensorType:
        """The type that a declaration writes."""
        elem = Elem(expr.kind)
        if expr.kind == "class":
            elem = self._class(expr)
        return TensorType(elem, tuple(self._size(s, "an input's size") for s in expr.shape))

    def _class(self, expr: TypeExpr) -> Elem:
        if expr.names:
            names = [s.value for s in expr.names]
            double = next((s for i, s in enumerate(expr.names) if s.value in names[:i]), None)
            if double is not None:
                self.found.report("E0102", f"the class {double.value!r} is named twice", double.span, "again")
                raise Skip
            return Elem("class", Dim.of(len(names), Origin("the names listed", expr.span)), tuple(names))
        assert expr.classes is not None
        value = evaluate(expr.classes, self._lookup, self.found)
        count = whole(value, expr.classes.span, self.found, least=1, what="the number of classes")
        return Elem("class", _with_origin(count, expr.classes.span))

    def _size(self, expr: Expr | Wildcard, what: str) -> Size:
        if isinstance(expr, Wildcard):
            self.found.report(
                "E0301", f"{what} must be written out", expr.span, "cannot be inferred", help="give the size"
            )
            raise Skip
        return _with_origin(whole(evaluate(expr, self._lookup, self.found), expr.span, self.found), expr.span)

    def _check_room(self, type: TensorType, span: Span) -> None:
        count = element_count(type.shape)
        if count > MAX_ELEMENTS:
            self.found.report(
                "E0904",
                f"an array of {count} elements",
                span,
                "too large",
                help=f"arrays may have up to {MAX_ELEMENTS} elements",
            )
            raise Skip

    def _param(self, statement: ParamStmt) -> None:
        symbol = Symbol("param", statement.name, statement.name_span)
        if not self.scope.define(symbol):
            return
        if statement.init is None:
            self.found.report(
                "E0208",
                f"the param `{statement.name}` has no initial value",
                statement.span,
                "nothing to start from",
                help=f"write `param {statement.name} ... = glorot()`, another initialiser, or a number",
            )
            raise Skip
        init, shape = self._initialiser(statement.init)
        if statement.shape is not None:
            declared = tuple(
                Unknown(Origin("`_`", s.span)) if isinstance(s, Wildcard) else self._size(s, "a size")
                for s in statement.shape
            )
            shape = self._fit(declared, shape, statement)
        symbol.type = TensorType(Elem("real"), shape or ())
        self._check_room(symbol.type, statement.span)
        symbol.node = self.scope.add_param(statement.name, symbol.type, init, statement.span)

    def _fit(self, declared: Any, listed: Any, statement: ParamStmt) -> Any:
        """The declared shape, with `_` filled in from a nested list if the initial value is one."""
        if listed is None:
            return declared
        agree = len(declared) == len(listed) and all(
            isinstance(d, Unknown) or d == n for d, n in zip(declared, listed, strict=True)
        )
        if not agree:
            assert statement.init is not None
            self.found.report(
                "E0310",
                "shapes do not agree",
                statement.init.span,
                f"this list is [{', '.join(map(str, listed))}]",
                labels=[(statement.name_span, f"declared as [{', '.join(map(str, declared))}]")],
                help="make the list and the declared shape agree, or write `_` for the size",
            )
            raise Skip
        return listed

    def _initialiser(self, expr: Expr) -> tuple[Any, Any]:
        """The initialiser, and the shape where the initial value is a list."""
        if isinstance(expr, Call):
            if expr.func not in public_inits():
                cure = did_you_mean(expr.func, public_inits()) or f"initialisers are {', '.join(public_inits())}"
                self.found.report(
                    "E0104", f"there is no initialiser `{shorten(expr.func)}`", expr.func_span, "not known", help=cure
                )
                raise Skip
            cls = INITS[expr.func]
            return cls(**bind(cls, expr, None, self._lookup, self.found).attrs), None
        value = evaluate(expr, self._lookup, self.found)
        if isinstance(value, list):
            if not _rectangular(value):
                self.found.report("E0404", "the lists are not all of one length", expr.span, "ragged")
                raise Skip
            array = Array(value)
            return INITS["given"](value=array), tuple(Dim.of(n) for n in array.data.shape)
        if isinstance(value, (Dim, int, float)) and not isinstance(value, bool):
            number = value.value if isinstance(value, Dim) else value
            if number is not None:
                return INITS["constant"](value=number), None
        self.found.report(
            "E0208",
            "an initial value is an initialiser, a number or a nested list",
            expr.span,
            "none of these",
            help=f"initialisers are {', '.join(public_inits())}",
        )
        raise Skip

    def _node(self, item: NodeItem, statement: NodeStmt) -> None:
        symbol = Symbol("node", item.name, item.name_span, node=item.name)
        if not self.scope.define(symbol):
            return
        size = None
        if item.size is not None:
            value = evaluate(item.size, self._lookup, self.found)
            size = whole(value, item.size.span, self.found, least=1, what="a number of circles")
            if size.value is None:
                self.found.report(
                    "E0302", "a layer's number of circles must be a number", item.size.span, f"this is {size}"
                )
                raise Skip
            size = _with_origin(size, item.size.span)
        activation = None if statement.activation is None else self._activation(statement.activation)
        xi = item.name if activation is None else self.scope.namer.unique(f"xi_{item.name}")
        circle = Circle(item.name, item.name_span, size, activation, xi)
        symbol.type = circle.type
        self._check_room(symbol.type, item.span)
        self.scope.circles[item.name] = circle

    def _activation(self, call: Call) -> Any:
        cls = OPS.get(call.func)
        fits = cls is not None and cls.group and cls.required() == 1 and not cls.params and len(cls.operands) == 1
        if cls is None or not fits:
            known = [n for n, c in OPS.items() if c.group == "activations"]
            cure = did_you_mean(call.func, known) or "`flowc ops` lists the activations"
            what = "takes more than one value" if cls is not None and cls.group else "not known"
            self.found.report(
                "E0104", f"there is no activation `{shorten(call.func)}`", call.func_span, what, help=cure
            )
            raise Skip
        return cls(**bind(cls, call, "xi", self._lookup, self.found).attrs)


def public_inits() -> list[str]:
    """The initialisers that users may write."""
    return [name for name, cls in INITS.items() if cls.public]


def _with_origin(size: Dim, span: Span) -> Dim:
    """The size with the place it is written at, unless it comes from a `size` statement."""
    return size if size.origin is not None else size.with_origin(Origin(f"the `{shorten(span.text, 20)}` here", span))


def _rectangular(value: Any) -> bool:
    """Whether nested lists of numbers form an array."""
    level = [value]
    while isinstance(level[0], list):
        if any(not isinstance(v, list) or len(v) != len(level[0]) or not v for v in level):
            return False
        level = [item for v in level for item in v]
    return all(isinstance(v, (int, float)) for v in level)


def _names(statement: Any) -> list[str]:
    if isinstance(statement, (InputStmt, TargetStmt, SizeStmt, NodeStmt)):
        return [item.name for item in statement.items]
    if isinstance(statement, (ParamStmt, ConstStmt)):
        return [statement.name]
    return []


