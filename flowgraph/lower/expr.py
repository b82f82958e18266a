"""Expressions to nodes, and the names of the parameters that calls make.

Assumes names are resolved by `Scope`. Promises a node for every expression, in the order of
evaluation, without recursion.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..errors import Span, shorten
from ..ops import OPS
from ..ops.ambient import Buffer
from ..ops.base import Op
from ..ops.derivative import REQUESTS
from ..ops.leaf import Param, SizeValue
from ..passes.infer import report_mismatch, report_unknown
from ..syntax import Binary, Call, Expr, Index, ListExpr, Member, Name, Number, Pipe, Slice, String, Unary
from ..types import REAL, Dim, Mismatch, NotYetKnown, TensorType
from .ambient import ambient_operands
from .apply import Target, applied, bound_to, call_block, find_target, finish_call, lacking_in_file
from .blocks import Definition
from .calls import bind
from .constants import static_value
from .derivative import check_variable
from .forms import dotted, head_of, literal_list
from .local import tensor_of, view_of
from .recurrence import scan
from .scope import Scope, article
from .static import CONSTANTS, Skip, evaluate, rectangular, shown
from .symbols import Layer, Symbol
from .walk import Steps, walk

BINARY = {
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "div",
    "^": "pow",
    "%": "mod",
    "@": "matmul",
    "==": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
    "and": "logical_and",
    "or": "logical_or",
}

SCAN = "scan"
"""What is called to go along a sequence."""


@dataclass
class Statement:
    """The statement an expression stands in, for the names of the parameters it makes."""

    name: str
    whole: Expr | None = None
    """The call that is the whole right-hand side, whose parameters take the name itself."""


@dataclass
class Expressions:
    """Lowers expressions into the nodes of a scope."""

    scope: Scope
    paths: dict[str, int] = field(default_factory=dict)

    def lower(self, expr: Expr, statement: Statement, hint: str | None = None) -> str:
        """The node of an expression, a new one of that name where `hint` is given.

        Raises Skip after reporting an error.
        """
        node: str = walk(self._value(expr, statement, hint))
        made = self.scope.nodes.get(node)
        if hint is None or (made is not None and made.hint == hint and made.op.name != "param"):
            return node
        return self.scope.add(OPS["identity"](), [node], hint=hint, span=expr.span)

    def static(self, name: Name) -> Any:
        """The value of a name at compile time. Reports E0211 and raises Skip where it has none."""
        return static_value(self.scope, name)

    # -- one form each

    def _value(self, expr: Expr, st: Statement, hint: str | None = None) -> Steps:
        if isinstance(expr, Number):
            return self.scope.literal(expr.value, expr.span)
        if isinstance(expr, Name):
            return self._name(expr)
        if isinstance(expr, Binary):
            return (yield self._binary(expr, st, hint))
        if isinstance(expr, Unary):
            return (yield self._unary(expr, st, hint))
        if isinstance(expr, Call):
            return (yield self._call(expr, None, expr, st, hint))
        if isinstance(expr, Pipe):
            return (yield self._call(expr.call, expr.value, expr, st, hint))
        if isinstance(expr, Member):
            return (yield self._member(expr, st, hint))
        if isinstance(expr, Index):
            return (yield self._index(expr, st, hint))
        if isinstance(expr, ListExpr):
            return (yield self._list(expr, st, hint))
        assert isinstance(expr, String)
        self.scope.found.report(
            "E0105",
            "a string is not a value",
            expr.span,
            "a string cannot stand here",
            help="strings are for descriptions, messages, paths and the names of classes",
        )
        raise Skip

    def _all(self, exprs: Iterable[Expr], st: Statement) -> Steps:
        """The nodes of several expressions; an error in one does not hide those in the others."""
        nodes, failed = [], False
        for expr in exprs:
            try:
                nodes.append((yield self._value(expr, st)))
            except Skip:
                failed = True
        if failed:
            raise Skip
        return nodes

    def _name(self, expr: Name) -> str:
        if expr.name in CONSTANTS:
            return self.scope.literal(CONSTANTS[expr.name], expr.span)
        symbol = self.scope.look_up(expr.name, expr.span)
        if symbol.kind == "size":
            return self._size(symbol.value, expr.span)
        if symbol.kind == "const":
            hint = symbol.name if isinstance(symbol.value, list) else None
            return self.scope.literal(symbol.value, symbol.span, hint)
        return symbol.node

    def _size(self, size: Dim, span: Span) -> str:
        if size.value is not None:
            return self.scope.literal(size.value, span)
        key = ("size", str(size))
        if key not in self.scope.interned:
            self.scope.interned[key] = self.scope.add(SizeValue(size=size), span=span)
        return self.scope.interned[key]

    def _binary(self, expr: Binary, st: Statement, hint: str | None) -> Steps:
        operands = yield self._all([expr.left, expr.right], st)
        return self.scope.add(OPS[BINARY[expr.op]](), operands, hint=hint, span=expr.span)

    def _unary(self, expr: Unary, st: Statement, hint: str | None) -> Steps:
        if expr.op == "-" and isinstance(expr.operand, Number):
            return self.scope.literal(-expr.operand.value, expr.span)
        operand = yield self._value(expr.operand, st)
        return self.scope.add(
            OPS["neg" if expr.op == "-" else "logical_not"](), [operand], hint=hint, span=expr.span
        )

    def _list(self, expr: ListExpr, st: Statement, hint: str | None) -> Steps:
        if not expr.items:
            self.scope.found.report(
                "E0404", "a list cannot be empty", expr.span, "no items", help="add an item"
            )
            raise Skip
        literal = literal_list(expr)
        if literal is not None:
            return self.scope.literal(rectangular(literal, expr.span, self.scope.found), expr.span)
        items = yield self._all(expr.items, st)
        return self.scope.add(OPS["stack"](), items, hint=hint, span=expr.span)

    def _index(self, expr: Index, st: Statement, hint: str | None) -> Steps:
        value = yield self._value(expr.value, st)
        items = tuple(self._index_item(i) for i in expr.items)
        return self.scope.add(OPS["index"](items=items), [value], hint=hint, span=expr.span)

    def _index_item(self, item: Expr | Slice) -> Any:
        if isinstance(item, Slice):
            ends = [None if e is None else self._whole(e) for e in (item.start, item.stop)]
            return ("slice", *ends)
        return self._whole(item)

    def _whole(self, expr: Expr) -> Any:
        value = evaluate(expr, self.static, self.scope.found)
        if isinstance(value, Dim):
            return value.value if value.value is not None else value
        if isinstance(value, bool) or not isinstance(value, int):
            self.scope.found.report(
                "E0302",
                "an index must be a whole number",
                expr.span,
                f"this is {shown(value)}",
                help="indices count from 0; negative ones count from the end",
            )
            raise Skip
        return value

    def _member(self, expr: Member, st: Statement, hint: str | None) -> Steps:
        path = dotted(expr)
        if path is not None:
            for name in (path, path.removesuffix(".T")):
                if name in self.scope.params and "." in name:
                    self._use_head(expr)
                    node = self.scope.param_nodes[name]
                    if name == path:
                        return node
                    return self.scope.add(OPS["transpose_last"](), [node], hint=hint, span=expr.span)
        if expr.name == "T":
            value = yield self._value(expr.value, st)
            return self.scope.add(OPS["transpose_last"](), [value], hint=hint, span=expr.span)
        if expr.name == "xi":
            value = yield self._value(expr.value, st)
            return self.excitation(value, expr)
        self._unknown_member(expr, path)
        raise Skip

    def _use_head(self, expr: Member) -> None:
        head = head_of(expr)
        if head is not None and head.name in self.scope.symbols:
            self.scope.symbols[head.name].used = True

    def excitation(self, node: str, expr: Member) -> str:
        """The excitation ξ of a circle, or of an equation whose outermost operation is an activation."""
        if node in self.scope.circles:
            return self.scope.circles[node].xi
        made = self.scope.nodes[node]
        if made.op.group == "activations" and made.operands:
            return made.operands[0]
        self.scope.found.report(
            "E0107",
            "this value has no excitation",
            expr.name_span,
            "not the result of an activation",
            labels=[(made.span, "made here")],
            help="`.xi` is for circles, and for equations whose outermost operation is an activation",
        )
        raise Skip

    def _unknown_member(self, expr: Member, path: str | None) -> None:
        head = head_of(expr)
        layer = self.scope.find_callable(head.name) if head is not None else None
        is_layer = layer is not None and layer.kind == "layer"
        if head is not None and head.name not in self.scope.params and not is_layer:
            self.scope.look_up(head.name, head.span)  # a misspelt or broken name is what to tell of
        members = [p for p in self.scope.params if "." in p]
        own = [p for p in members if head is not None and p.startswith(f"{head.name}.")]
        cure = self.scope.found.closest(path, own or members) if path else ""
        if is_layer and not own and head is not None:
            cure = f"a layer has its parameters once it is applied: write `{shorten(head.name)}(...)` before"
        if not cure and own:
            cure = f"there are {', '.join(f'`{p}`' for p in own[:8])}"
        self.scope.found.report(
            "E0107",
            f"`{shorten(expr.name)}` is not a member",
            expr.name_span,
            "not known",
            help=cure or "members are `.T`, `.xi` and the parameters that a statement's layers made",
        )

    # -- calls

    def _call(self, call: Call, piped: Expr | None, expr: Expr, st: Statement, hint: str | None) -> Steps:
        if call.func == SCAN and self.scope.find_callable(SCAN) is None:
            base = st.name if expr is st.whole else f"{st.name}.{SCAN}"
            return (yield scan(self, call, piped, base, Statement, hint))
        try:
            target = self.target(call)
        except Skip:  # the arguments may have errors too
            yield self._all([*([] if piped is None else [piped]), *call.args], st)
            raise
        layer: Layer | None = None
        if isinstance(target, Layer):
            layer = target
            target, call = self.target(layer.call), applied(layer, call)
        if isinstance(target, Definition):
            given = bound_to(target.statement, call, piped, self.scope)
            child = yield call_block(self, target, given, call, st, layer)
            child.prefix = self._path(call.func, expr, st)
            count = len(self.scope.params)
            node = finish_call(target, child, call, hint)
            if layer is None and len(self.scope.params) > count:
                self._take_path(call.func, expr, st)
            return node
        assert isinstance(target, type)
        bound = bind(target, call, piped, self.static, self.scope.found)
        if target.name in REQUESTS:
            check_variable(self.scope, target.name, bound.operands[1])
        operands = yield self._all(bound.operands, st)
        op = target(**bound.attrs)
        made = self._parameters(op, operands, call, expr, st, layer) if target.params else []
        operands += [*ambient_operands(self.scope, op), *made]
        return self.scope.add(op, operands, hint=hint, span=expr.span)

    def target(self, call: Call) -> Target:
        """What a call names. Reports E0104 and raises Skip where there is nothing."""
        target = find_target(self.scope, call.func)
        if target is not None:
            return target
        symbol: Symbol | None = self.scope.symbols.get(call.func.partition(".")[0])
        if symbol is not None and symbol.poisoned:
            raise Skip
        known = [name for name, cls in OPS.items() if cls.group or name in REQUESTS]
        cure = self.scope.found.closest(call.func, [*known, *self.scope.callables])
        labels: list[tuple[Span | None, str]] = []
        what = f"there is no operation `{shorten(call.func)}`"
        lacking = lacking_in_file(self.scope, call.func)
        if symbol is not None:
            what = f"`{shorten(call.func)}` is not an operation"
            labels = [(symbol.span, f"`{shorten(symbol.name)}` is {_said(symbol)}")]
            if self.scope.parent is not None and not cure:
                cure = "a block calls an operation or a block that it is given by name, such as `f(x, relu)`"
        elif lacking is not None:
            file, name, blocks = lacking
            what = f"`{shorten(file)}` has no block `{shorten(name)}`"
            some = ", ".join(f"`{shorten(b)}`" for b in blocks[:8]) + (", ..." if len(blocks) > 8 else "")
            cure = self.scope.found.closest(name, blocks)
            cure = cure or (f"it has {some}" if blocks else "the file makes no blocks")
        elif "." in call.func:
            alias = shorten(call.func.partition(".")[0])
            cure = cure or f'blocks of another file come by `use "blocks.flow" as {alias}`'
        cure = cure or "`flowc ops` lists all operations"
        self.scope.found.report("E0104", what, call.func_span, "not an operation", labels=labels, help=cure)
        raise Skip

    def _path(self, called: str, expr: Expr, st: Statement) -> str:
        """What the names of a call's parameters begin with (design 1.4)."""
        path = st.name if expr is st.whole else f"{st.name}.{called.rpartition('.')[2]}"
        count = self.paths.get(path, 0) + 1
        return path if count == 1 else f"{path}_{count}"

    def _take_path(self, called: str, expr: Expr, st: Statement) -> None:
        """Count a path that parameters were made under."""
        path = st.name if expr is st.whole else f"{st.name}.{called.rpartition('.')[2]}"
        self.paths[path] = self.paths.get(path, 0) + 1

    def _parameters(
        self, op: Op, operands: list[str], call: Call, expr: Expr, st: Statement, layer: Layer | None
    ) -> list[str]:
        """The parameters a layer's call makes, named after its statement (design 1.4)."""
        path = self._path(op.name, expr, st)
        if layer is None:
            self._take_path(op.name, expr, st)
        types = [tensor_of(self.scope, o, expr.span) for o in operands]
        try:
            parameters = op.parameters(self.scope.unifier, *types)
        except Mismatch as error:
            views = [view_of(self.scope, o, t) for o, t in zip(operands, types, strict=True)]
            report_mismatch(self.scope.found, error, op, expr.span, views)
            raise Skip from None
        except NotYetKnown as need:
            report_unknown(self.scope.found, need.size, expr.span)
            raise Skip from None
        made = []
        for parameter in parameters:
            type = TensorType(REAL, parameter.shape)
            leaf = Buffer if parameter.is_buffer else Param
            init, place = parameter.init, call.span
            if layer is not None:
                made.append(self.scope.shared(layer, parameter.name, type, init, place, leaf))
                continue
            help = "give one of the two statements another name on the left"
            name = f"{path}.{parameter.name}"
            made.append(self.scope.add_param(name, type, init, place, help=help, leaf=leaf))
        return made


def _said(symbol: Symbol) -> str:
    """What a name stands for, in words: `3`, `an input`."""
    return shown(symbol.value) if symbol.kind in ("size", "const") else article(symbol.kind)
