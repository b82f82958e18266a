"""Equations, outputs, losses and metrics: the statements that run in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import Span
from ..graph import Result
from ..ops import OPS
from ..syntax import Call, EquationStmt, Expr, LossStmt, MetricStmt, Name, NamedExpr, OutputStmt, Pipe
from .expr import Expressions, Statement
from .scope import Scope, Symbol
from .static import Skip


@dataclass
class Results:
    """What the graph computes, as the file says it."""

    scope: Scope
    expressions: Expressions
    results: list[Result] = field(default_factory=list)
    judged: set[str] = field(default_factory=set)
    """Nodes made inside loss and metric statements."""
    says_outputs: bool = False
    labels: dict[tuple[str, str], int] = field(default_factory=dict)

    def equation(self, statement: EquationStmt) -> None:
        """Name the value of an expression, or the several values of one."""
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
        node = self.expressions.lower(statement.value, Statement(name, whole_call(statement.value)))
        count = len(statement.targets)
        for index, target in enumerate(statement.targets):
            op = OPS["item"](index=index, count=count)
            item = self.scope.add(op, [node], hint=target.name, span=target.span)
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
        label = item.value.name if isinstance(item.value, Name) else _outermost(item.value, "output")
        self._result("output", label, node, item.span)

    def loss(self, statement: LossStmt) -> None:
        """One term of the loss."""
        node = self._judged(statement, "loss")
        self._result("loss", statement.name or "loss", node, statement.value.span, statement.by)

    def metric(self, statement: MetricStmt) -> None:
        """A mean over examples, reported under the operation's name or the one given."""
        node = self._judged(statement, "metric")
        label = statement.name or _outermost(statement.value, "metric")
        self._result("metric", label, node, statement.value.span)

    def _judged(self, statement: LossStmt | MetricStmt, word: str) -> str:
        before = len(self.scope.nodes)
        if statement.name is None:
            node = self.expressions.lower(statement.value, Statement(word))
        else:
            span = statement.name_span or statement.span
            node = self._named(statement.name, span, statement.value)
            self._define(Name(statement.name, span), node)
        self.judged.update(list(self.scope.nodes)[before:])
        return node

    def _result(self, role: str, label: str, node: str, span: Span, by: str = "mean") -> None:
        key = (role, label)
        self.labels[key] = self.labels.get(key, 0) + 1
        if self.labels[key] > 1:
            label = f"{label}_{self.labels[key]}"
        self.results.append(Result(role, label, node, by, span))


def whole_call(expr: Expr) -> Expr | None:
    """The expression itself where it is one call, whose parameters take the statement's name."""
    if isinstance(expr, Call):
        return expr
    return expr if isinstance(expr, Pipe) and not isinstance(expr.value, Pipe) else None


def _outermost(expr: Expr, other: str) -> str:
    if isinstance(expr, Pipe):
        return expr.call.func
    return expr.func if isinstance(expr, Call) else other
