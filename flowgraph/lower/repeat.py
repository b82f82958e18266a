"""`repeat N as name { ... }`: each round is the call of a body that sees the values around it.

A name bound before that the body binds again is a result of the round; names first bound inside
stay inside. Parameters are named after the repeat and the number of the round.
"""

from __future__ import annotations

from typing import Any

from ..errors import shorten
from ..ops.control import Loop
from ..syntax import RepeatStmt
from ..text import print_graph
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
    rounds: list[str] = []
    for index in range(count):
        before = scope.room[0]
        rounds.append(_round(statement, scope, index))
        if scope.room[0] + (scope.room[0] - before) * (count - index - 1) > scope.max_nodes:
            scope.report_limit("nodes", statement.span)
    if count > 1:
        _join(statement, scope, rounds)


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


def _round(statement: RepeatStmt, scope: Scope, index: int) -> str:
    """Lower one round; returns the node of its call."""
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
    kept = {n: s.span for n, s in child.symbols.items() if s.kind == "equation" and n not in returned.labels}
    for inner, span in kept.items():
        cure = f"bind `{shorten(inner)}` before the `repeat`: then it keeps its last value"
        scope.inner[inner] = span, cure
    scope.inner[name] = statement.name_span, "the number of a round is known inside of it"
    define_equation(scope, returned, node)
    return node


# ---------------------------------------------------------------------------------------
# Rounds that agree


def _join(statement: RepeatStmt, scope: Scope, rounds: list[str]) -> None:
    """Put one `loop` node in place of the calls of rounds that agree in all but their parameters.

    Where they do not agree (the number of the round is used, or a shape changes) they stay as calls.
    """
    calls = [scope.nodes[name] for name in rounds]
    first = calls[0].op.graph
    labels = [r.label for r in first.results]
    hints = [first[name].hint for name in first.inputs]
    if not labels or any(hints.count(label) != 1 for label in labels):
        return
    text = print_graph(first)
    if any(print_graph(call.op.graph) != text for call in calls[1:]):
        return
    operands = [dict(zip(hints, call.operands, strict=True)) for call in calls]
    shared = [h for h in hints if h not in labels and len({row[h] for row in operands}) == 1]
    own = [h for h in hints if h not in labels and h not in shared]
    inits = [[getattr(scope.nodes.get(row[h]), "op", None) for h in own] for row in operands]
    if any(_starts(row) != _starts(inits[0]) for row in inits):
        return
    order = [first.inputs[hints.index(h)] for h in (*labels, *shared, *own)]
    graph = first.like()
    for node in first:
        graph.add(node)
    graph.close(order, (), (), first.results)
    path = statement.name if calls[0].op.path else ""
    loop = Loop(graph=graph, count=len(calls), shared=len(shared), path=path)
    given = [operands[0][h] for h in (*labels, *shared)] + [row[h] for row in operands for h in own]
    _forget(scope, rounds)
    single = labels[0] if len(labels) == 1 else None
    made = scope.add(loop, given, hint=single, span=statement.span)
    define_equation(scope, Returned([], labels, [r.span or statement.span for r in first.results]), made)


def _starts(ops: list[Any]) -> list[Any]:
    """How the parameters among a round's own values begin."""
    return [getattr(op, "init", None) for op in ops]


def _forget(scope: Scope, rounds: list[str]) -> None:
    """Take back the calls of the rounds, and the nodes that take their results apart."""
    gone = set(rounds)
    gone |= {n.name for n in scope.nodes.values() if n.op.name == "item" and n.operands[0] in gone}
    for name in gone:
        del scope.nodes[name]
        scope.types.pop(name, None)
    scope.made[:] = [name for name in scope.made if name not in gone]
