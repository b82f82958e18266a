"""Equations, outputs, losses and metrics: the statements that run in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..errors import Span, shorten
from ..graph import Result
from ..naming import Namer
from ..ops import OPS
from ..syntax import Call, EquationStmt, Expr, LossStmt, MetricStmt, Name, NamedExpr, OutputStmt, Pipe
from .expr import Expressions, Statement
from .scope import Scope
from .static import Skip
from .symbols import Symbol


@dataclass
class Results:
    """What the graph computes, as the file says it."""

    scope: Scope
    expressions: Expressions
    results: list[Result] = field(default_factory=list)
    judged: set[str] = field(default_factory=set)
    """Nodes made inside loss and metric statements."""
    says_outputs: bool = False
    labels: dict[str, Namer] = field(default_factory=dict)
    """The labels given so far, for each role."""

    def equation(self, statement: EquationStmt) -> None:
        """Name the value of an expression, or the several values of one.

        Raises Skip after reporting an error.
        """
        if not all(target.name for target in statement.targets):
            raise Skip  # a number on the left: the parser has said so
        try:
            if len(statement.targets) == 1:
                target = statement.targets[0]
                node = self._named(target.name, target.span, statement.value)
                self._define(target, node)
            else:
                self._unpack(statement)
        except Skip:
            for target in statement.targets:
                self.scope.poison("equation", target.name, target.span)
            raise

    def _unpack(self, statement: EquationStmt) -> None:
        name = statement.targets[0].name
        places: dict[str, Span] = {}
        for target in statement.targets:
            if target.name in places:
                self.scope.found.report(
                    "E0102",
                    f"`{shorten(target.name)}` names two values of one equation",
                    target.span,
                    "named again here",
                    labels=[(places[target.name], "first named here")],
                    help="give each value a name of its own",
                )
                raise Skip
            places[target.name] = target.span
        node = self.expressions.lower(statement.value, Statement(name, whole_call(statement.value)))
        count = len(statement.targets)
        names = statement.targets[0].span.to(statement.targets[-1].span)
        for index, target in enumerate(statement.targets):
            op = OPS["item"](index=index, count=count)
            item = self.scope.add(op, [node], hint=target.name, span=names)
            self._define(target, item)

    def _named(self, name: str, span: Span, value: Expr) -> str:
        return self.expressions.lower(value, Statement(name, whole_call(value)), hint=name)

    def _define(self, target: Name, node: str) -> None:
        if not self.scope.define(Symbol("equation", target.name, target.span, node=node)):
            raise Skip

    # -- results

    def output(self, statement: OutputStmt) -> None:
        """What `forward` returns, in this order."""
        self.says_outputs = True
        for item in statement.items:
            try:
                self._output(item)
            except Skip:
                self.scope.skipped = True
                if item.name is not None:
                    self.scope.poison("equation", item.name, item.name_span or item.span)

    def _output(self, item: NamedExpr) -> None:
        if item.name is not None:
            span = item.name_span or item.span
            node = self._named(item.name, span, item.value)
            self._define(Name(item.name, span), node)
            self._result("output", item.name, node, item.span)
            return
        node = self.expressions.lower(item.value, Statement("output"))
        label = _label(item.value, "output")
        self._result("output", label, node, item.span)

    def loss(self, statement: LossStmt) -> None:
        """One term of the loss. Raises Skip after reporting an error."""
        node = self._judged(statement, "loss")
        self._result("loss", statement.name or "loss", node, statement.value.span, statement.by)

    def metric(self, statement: MetricStmt) -> None:
        """A mean over examples, reported under the operation's name or the one given.

        Raises Skip after reporting an error.
        """
        node = self._judged(statement, "metric")
        label = statement.name or _label(statement.value, "metric")
        self._result("metric", label, node, statement.value.span)

    def _judged(self, statement: LossStmt | MetricStmt, word: str) -> str:
        before = len(self.scope.made)
        name = statement.name
        try:
            node = self.expressions.lower(statement.value, Statement(name or word), hint=name)
            if name is not None:
                self._define(Name(name, statement.name_span or statement.span), node)
        except Skip:
            if name is not None:
                self.scope.poison("equation", name, statement.name_span or statement.span)
            raise
        self.judged.update(self.scope.made[before:])
        return node

    def _result(self, role: str, label: str, node: str, span: Span, by: str = "mean") -> None:
        unique = self.labels.setdefault(role, Namer()).unique(label)
        self.results.append(Result(role, unique, node, by, span))


def whole_call(expr: Expr) -> Expr | None:
    """The expression itself where it is one call, whose parameters take the statement's name."""
    if isinstance(expr, Call):
        return expr
    return expr if isinstance(expr, Pipe) and not isinstance(expr.value, Pipe) else None


def _label(expr: Expr, other: str) -> str:
    """What an unnamed result is called: its name, or that of its outermost operation."""
    if isinstance(expr, Name):
        return expr.name
    if isinstance(expr, Pipe):
        return expr.call.func
    return expr.func if isinstance(expr, Call) else other


def define_equation(scope: Scope, returned: Any, node: str) -> None:
    """Bind names again to what a round of a repeat gives back, a node of one value or of several."""
    count = len(returned.labels)
    for index, (name, span) in enumerate(zip(returned.labels, returned.spans, strict=True)):
        value = node
        if count > 1:
            value = scope.add(OPS["item"](index=index, count=count), [node], hint=name, span=span)
        if not scope.define(Symbol("equation", name, span, node=value)):
            raise Skip
