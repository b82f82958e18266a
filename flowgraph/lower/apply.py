"""Calls of what a diagram itself makes: blocks, layers, and callables passed as arguments.

Promises that every argument is bound to a parameter of the signature, as a value, a static or a
callable, and that parameters made inside are named as design 1.4 says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from ..errors import Span, shorten
from ..ops import OPS
from ..ops.base import Op
from ..ops.derivative import REQUESTS
from ..syntax import Binary, BlockStmt, Call, Expr, ListExpr, Name, Number, Param, String, Unary
from ..types import TensorType
from .blocks import Definition, bind_shape, inside, run_body
from .constants import static_value
from .forms import dotted, head_of
from .local import tensor_of
from .scope import Scope
from .static import CONSTANTS, Skip, evaluate
from .symbols import Layer, Symbol
from .walk import Steps

Target: TypeAlias = type[Op] | Definition | Layer
"""What a name before `(` stands for."""


def find_target(scope: Scope, name: str) -> Target | None:
    """What a callable's name stands for; None where it stands for nothing."""
    head, _, rest = name.partition(".")
    symbol = scope.find_callable(head)
    while symbol is not None:
        symbol.used = True
        if symbol.poisoned:
            raise Skip
        if symbol.kind == "file":
            head, _, rest = rest.partition(".")
            symbol = symbol.value.get(head)
            continue
        found: Target | None = None if rest else symbol.value
        return found
    if name in OPS and (OPS[name].group or name in REQUESTS):
        return OPS[name]
    return None


def lacking_in_file(scope: Scope, name: str) -> tuple[str, str, list[str]] | None:
    """Of `lib.f` where no block is called so: `lib`, `f`, and what there is; None where no file is meant."""
    head, _, rest = name.partition(".")
    path, symbol = head, scope.find_callable(head)
    while symbol is not None and symbol.kind == "file" and rest:
        head, _, rest = rest.partition(".")
        if head not in symbol.value:
            return path, head, sorted(symbol.value)
        path, symbol = f"{path}.{head}", symbol.value[head]
    return None


def signature(block: BlockStmt) -> str:
    """`residual(x, width)`, as messages show it."""
    parts = [p.name if p.default is None else f"{p.name}=..." for p in block.params]
    return f"{block.name}({', '.join(parts)})"


def bound_to(block: BlockStmt, call: Call, piped: Expr | None, scope: Scope) -> dict[str, Expr]:
    """The arguments by parameter; `piped` stands before those of the call.

    Raises Skip after reporting E0401 to E0403.
    """
    found = scope.found
    how = f"it is called as `{signature(block)}`"
    made = [(block.name_span, "the block is made here")]
    given = [*([] if piped is None else [piped]), *call.args]
    bound = dict(zip((p.name for p in block.params), given, strict=False))
    names = [p.name for p in block.params]
    for keyword in call.keywords:
        if keyword.name not in names:
            cure = found.closest(keyword.name, names) or how
            said = f"`{shorten(block.name)}` has no parameter `{shorten(keyword.name)}`"
            found.report("E0402", said, keyword.span, "not known", labels=made, help=cure)
            raise Skip
        if keyword.name in bound:
            said = f"`{shorten(block.name)}` is given `{shorten(keyword.name)}` twice"
            found.report("E0403", said, keyword.span, "given again here", labels=made, help=how)
            raise Skip
        bound[keyword.name] = keyword.value
    missing = [p.name for p in block.params if p.name not in bound and p.default is None]
    if missing or len(given) > len(names):
        count = len(given) + len(call.keywords)
        label = f"`{missing[0]}` is missing" if missing else f"{count} arguments here"
        said = f"`{shorten(block.name)}` is called with the wrong number of arguments"
        found.report("E0401", said, call.span, label, labels=made, help=how)
        raise Skip
    return bound


def applied(layer: Layer, call: Call) -> Call:
    """The layer's own call, given the first arguments that it lacks."""
    whole = layer.call
    args = (*call.args, *whole.args)
    return Call(whole.func, args, (*call.keywords, *whole.keywords), call.func_span, call.span)


def call_block(
    expressions: Any, block: Definition, bound: dict[str, Expr], call: Call, st: Any, layer: Layer | None
) -> Steps:
    """The scope of a call's body, given its arguments by parameter; they are evaluated here.

    layer: the layer that the call is an application of. Raises Skip after reporting an error.
    """
    scope: Scope = expressions.scope
    statement = block.statement
    statics = {n: s for n, s in block.symbols.items() if s.kind in ("size", "const")}
    child = inside(
        scope, statement, call.span, f"in this call of `{shorten(statement.name)}`",
        layer=layer, symbols=statics, callables=dict(block.callables),
    )  # fmt: skip
    values: dict[str, tuple[str, TensorType, Span]] = {}
    for param in statement.params:
        argument = bound.get(param.name)
        if argument is None:
            continue
        if param.type is None and (_is_callable(scope, argument) or _is_static(scope, argument)):
            _bind_static(scope, child, param, argument)
            continue
        node = yield expressions._value(argument, st)
        values[param.name] = (*_converted(scope, param, node, argument.span), argument.span)
    for param in statement.params:
        if param.name not in values:
            if param.name not in bound:
                assert param.default is not None
                _bind_static(child, child, param, param.default)
            continue
        node, type, place = values[param.name]
        if param.type is not None:
            bind_shape(child, scope, param.type, type, f"the argument `{shorten(param.name)}`", place)
        inner = child.add(OPS["input"](type=type), hint=param.name, span=param.span)
        child.captured[inner] = node
        child.symbols[param.name] = Symbol("input", param.name, param.span, node=inner, type=type)
    return child


def finish_call(block: Definition, child: Scope, call: Call, hint: str | None) -> str:
    """Lower the body of a call whose arguments are bound; returns the node of the call."""
    assert child.parent is not None
    statement = block.statement
    node, returned = run_body(child.parent, child, statement.body, statement.name, call.span, hint)
    _check_results(block, child, returned.nodes)
    return node


def _check_results(block: Definition, child: Scope, results: Sequence[str]) -> None:
    """Hold what is returned against the signature, where it says what that is."""
    declared = block.statement.results
    if declared and len(declared) != len(results):
        child.found.report(
            "E0401",
            f"`{shorten(block.statement.name)}` returns {_values(len(results))}, not {len(declared)}",
            block.statement.name_span,
            "made here",
            help="change the signature, or the `return` statement",
        )
        raise Skip
    for expr, name in zip(declared, results, strict=False):
        place = child.nodes[name].span or block.statement.name_span
        bind_shape(child, child, expr, tensor_of(child, name, place), "the result", place)


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"


def _converted(scope: Scope, param: Param, node: str, place: Span) -> tuple[str, TensorType]:
    """A value, a whole number made real where the signature asks for that."""
    type = tensor_of(scope, node, place)
    if param.type is not None and param.type.kind == "real" and type.elem.kind in ("int", "bool"):
        node = scope.add(OPS["cast"](kind="real"), [node], span=place)
        type = tensor_of(scope, node, place)
    return node, type


# ---------------------------------------------------------------------------------------
# Arguments that are no values


def _is_callable(scope: Scope, expr: Expr) -> bool:
    """Whether an argument is the name of something to call, as `f` or `lib.f`, and of no value."""
    name, head = dotted(expr), head_of(expr)
    if name is None or head is None or scope.find(head.name) is not None or name in CONSTANTS:
        return False
    return find_target(scope, name) is not None


def _bind_callable(scope: Scope, child: Scope, param: Param, expr: Expr) -> None:
    name = dotted(expr)
    assert name is not None
    target = find_target(scope, name)
    child.callables[param.name] = Symbol("callable", param.name, param.span, value=target, used=True)


def _is_static(scope: Scope, expr: Expr) -> bool:
    """Whether an argument is known at compile time: numbers, strings, sizes, consts, arithmetic."""
    stack = [expr]
    while stack:
        part = stack.pop()
        if isinstance(part, Name):
            symbol = scope.find(part.name)
            if part.name not in CONSTANTS and (symbol is None or symbol.kind not in ("size", "const")):
                return False
        elif isinstance(part, Binary):
            stack += [part.left, part.right]
        elif isinstance(part, Unary):
            stack.append(part.operand)
        elif isinstance(part, ListExpr):
            stack += part.items
        elif not isinstance(part, (Number, String)):
            return False
    return True


def _bind_static(scope: Scope, child: Scope, param: Param, expr: Expr) -> None:
    """Bind a number, size, list or string; the name of a callable as a default too."""
    if _is_callable(scope, expr):
        _bind_callable(scope, child, param, expr)
        return

    value = evaluate(expr, lambda n: static_value(scope, n, "a default is"), scope.found)
    child.symbols[param.name] = Symbol("const", param.name, param.span, value=value, used=True)
