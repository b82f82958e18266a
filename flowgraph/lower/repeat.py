"""`repeat N as name { ... }`: each round is the call of a body that sees the values around it.

A name bound before that the body binds again is a result of the round; names first bound inside
stay inside. Parameters are named after the repeat and the number of the round.
"""

from __future__ import annotations

from ..errors import shorten
from ..syntax import RepeatStmt
from ..types import Dim
from .blocks import Returned, inside, run_body
from .expr import Expressions
from .results import define_equation
from .scope import Scope
from .static import Skip, evaluate, whole
from .symbols import Symbol


def repeat(statement: RepeatStmt, expressions: Expressions) -> None:
    """Lower all rounds. Raises Skip after reporting an error in one of them."""
    scope = expressions.scope
    count = _count(statement, expressions)
    for index in range(count):
        before = scope.room[0]
        _round(statement, scope, index)
        if scope.room[0] + (scope.room[0] - before) * (count - index - 1) > scope.max_nodes:
            scope.report_limit("nodes", statement.span)


def _count(statement: RepeatStmt, expressions: Expressions) -> int:
    found = expressions.scope.found
    value = evaluate(statement.count, expressions.static, found)
    count = whole(value, statement.count.span, found, what="the number of rounds")
    if count.value is not None:
        return count.value
    found.report(
        "E0211",
        "the number of rounds must be known at compile time",
        statement.count.span,
        f"this is the symbolic size {count}",
        help="give the size a number; over a sequence of any length there is `scan`",
    )
    raise Skip


def _round(statement: RepeatStmt, scope: Scope, index: int) -> None:
    name = statement.name
    counter = Symbol("size", name, statement.name_span, value=Dim.of(index), used=True)
    child = inside(
        scope, statement, statement.name_span, f"in round {index} of `{shorten(name)}`",
        prefix=f"{name}.{index}", is_open=True, symbols={name: counter},
    )  # fmt: skip
    scope.room[0] += 1

    def bound_again() -> Returned:
        again = [
            (n, symbol)
            for n, symbol in child.symbols.items()
            if symbol.kind == "equation" and symbol.node not in child.captured and scope.find(n) is not None
        ]
        return Returned([s.node for _, s in again], [n for n, _ in again], [s.span for _, s in again])

    node, returned = run_body(scope, child, statement.body, f"{name}", statement.span, None, bound_again)
    define_equation(scope, returned, node)
