"""Generated data: `data 2000 { x = linspace(-pi, pi); y = sin(x) }`.

The equations are a small diagram of one example, lowered, typed, batched and simulated like
any other, so that every operation works and means what it means elsewhere. Only the creators
are different: they give one number to each example, over all of them (`linspace` runs through
its range), or the whole column where they are all of its equation. A name that is no column may
be used by further equations. Random columns are drawn from a stream of (seed, column).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import Diagnostics, Span
from ..graph import Graph, Result
from ..lower.calls import bind
from ..lower.expr import Expressions, Statement
from ..lower.program import Program
from ..lower.results import Results
from ..lower.scope import Scope, Symbol, TooManyNodes
from ..lower.static import Skip, evaluate, whole
from ..lower.walk import Steps
from ..ops import OPS
from ..ops.declared import Attr
from ..passes.base import Pipeline
from ..passes.batch import Batch
from ..passes.expand_grad import ExpandDerivatives
from ..passes.infer import InferTypes
from ..passes.simulate import simulate
from ..syntax import Call, DataMadeStmt, Expr
from ..types import REAL, Dim, TensorType, describe, element_count
from .table import Misfit, Table, Wanted, extra_text, fit_values

MAX_NUMBERS = 5 * 10**7
"""No array of generated data may hold more numbers."""


@dataclass(frozen=True)
class Creator:
    """A creator as it works here: `draw(rng, shape, **settings)` gives [N, *shape]."""

    name: str
    attrs: tuple[Attr, ...]
    draw: Callable[..., np.ndarray]


def _creator(name: str, draw: Callable[..., Any], **defaults: Any) -> Creator:
    settings = [Attr(key, "float", value) for key, value in defaults.items()]
    return Creator(name, (*settings, Attr("shape", "Shape | None", None)), draw)


def _spread(line: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """One number for each example, the same in all its entries."""
    return np.broadcast_to(line.reshape(-1, *(1 for _ in shape[1:])), shape).copy()


CREATORS = {
    c.name: c
    for c in (
        _creator(
            "linspace",
            lambda rng, shape, start, stop: _spread(np.linspace(start, stop, shape[0]), shape),
            start=...,
            stop=...,
        ),
        _creator(
            "arange",
            lambda rng, shape, start, step: _spread(start + step * np.arange(shape[0], dtype=float), shape),
            start=0,
            step=1,
        ),
        _creator("zeros", lambda rng, shape: np.zeros(shape)),
        _creator("ones", lambda rng, shape: np.ones(shape)),
        _creator("full", lambda rng, shape, value: np.full(shape, float(value)), value=...),
        _creator("normal", lambda rng, shape, mean, std: rng.normal(mean, std, shape), mean=0, std=1),
        _creator("uniform", lambda rng, shape, a, b: rng.uniform(a, b, shape), a=0, b=1),
    )
}


@dataclass
class Draw:
    """A use of a creator: the stream it draws from, the settings, the shape per example."""

    creator: Creator
    settings: dict[str, Any]
    shape: tuple[int, ...]
    column: str
    number: int

    def array(self, count: int, seed: int) -> np.ndarray:
        """The values for `count` examples."""
        more = [self.number] if self.number else []
        rng = np.random.default_rng([seed, *self.column.encode(), *more])
        with np.errstate(all="ignore"):
            return self.creator.draw(rng, (count, *self.shape), **self.settings)


@dataclass
class Made:
    """Generated data, checked but not computed: the graph of one example, and what feeds it."""

    count: int
    graph: Graph
    draws: dict[str, Draw]
    nodes: dict[str, str]
    spans: dict[str, Span]
    """The equation of each column."""


def check_made(
    statement: DataMadeStmt, program: Program, wanted: Sequence[Wanted], found: Diagnostics, *, targets: bool
) -> Made | None:
    """Lower and type the equations, or None with the errors reported. Computes nothing."""
    before = len(found.items)
    columns = _Columns(program, {c.name: c for c in wanted}, found)
    made = columns.read(statement, targets)
    return None if made is None or any(d.is_error for d in found.items[before:]) else made


def read_made(
    made: Made, wanted: Sequence[Wanted], found: Diagnostics, seed: int, *, allow_nan: bool = False
) -> Table | None:
    """The examples, or None with the errors reported."""
    graph = Pipeline((Batch(),)).run(made.graph)
    values = simulate(graph, {name: draw.array(made.count, seed) for name, draw in made.draws.items()})
    columns: dict[str, np.ndarray] = {}
    for column in wanted:
        if column.name not in made.nodes:
            continue
        value = np.asarray(values[made.nodes[column.name]])
        shape = tuple(int(d) for d in value.shape[-len(column.shape) :]) if column.shape else ()
        value = np.broadcast_to(value, (made.count, *shape))
        try:
            columns[column.name] = fit_values(value, column, finite=not allow_nan)
        except Misfit as error:
            place = "" if error.row is None else f" in example {error.row}"
            found.report(
                error.code, error.message, made.spans[column.name], f"computed here{place}", help=error.help
            )
    if found.has_errors:
        return None
    return Table(
        columns,
        tuple(c.name for c in wanted if c.role == "input" and c.name in columns),
        tuple(c.name for c in wanted if c.role == "target" and c.name in columns),
        {c.name: c.type.elem.names for c in wanted if c.type.elem.names and c.name in columns},
        "generated data",
    )


class _Creators(Expressions):
    """Lowers the equations of data: creators become inputs of the little diagram."""

    def __init__(self, scope: Scope, wanted: Mapping[str, Wanted]) -> None:
        super().__init__(scope)
        self.wanted = wanted
        self.draws: dict[str, Draw] = {}

    def _call(self, call: Call, piped: Expr | None, expr: Expr, st: Statement, hint: str | None) -> Steps:
        if call.func not in CREATORS:
            return (yield super()._call(call, piped, expr, st, hint))
        creator = CREATORS[call.func]
        settings = bind(creator, call, piped, self.static, self.scope.found).attrs  # type: ignore[arg-type]
        shape = self._shape(settings.pop("shape", None), expr is st.whole, st.name, call.span)
        for attr in creator.attrs:
            if not attr.required and attr.name != "shape":
                settings.setdefault(attr.name, attr.default)
        self._check(creator.name, settings, call.span)
        number = sum(1 for d in self.draws.values() if d.column == st.name)
        type = TensorType(REAL, tuple(Dim.of(n) for n in shape))
        node = self.scope.add(OPS["input"](type=type), hint=hint, span=call.span)
        self.draws[node] = Draw(creator, settings, shape, st.name, number)
        return node

    def _check(self, name: str, settings: Mapping[str, Any], span: Span) -> None:
        """Report settings from which nothing can be drawn (E0404) and raise Skip."""
        wrong = next((k for k, v in settings.items() if not math.isfinite(v)), "")
        said = f"`{wrong}` of `{name}` must be finite" if wrong else ""
        if name == "normal" and settings["std"] < 0:
            said = "`std` of `normal` must be at least 0"
        if name == "uniform" and settings["b"] < settings["a"]:
            said = "`uniform` goes from `a` up to `b`"
        if said:
            self.scope.found.report("E0404", said, span, "out of range")
            raise Skip

    def _shape(self, given: Any, is_whole: bool, name: str, span: Span) -> tuple[int, ...]:
        """The shape per example: the one given, else the column's where this is all of it."""
        sizes = given
        if sizes is None:
            column = self.wanted.get(name) if is_whole else None
            sizes = () if column is None else column.type.shape
        if any(d.value is None or d.value < 0 for d in sizes):
            self.scope.found.report(
                "E0301",
                "generated data need sizes that are numbers",
                span,
                "a size is not known here",
                help="give `shape=[...]`, or fix the size with --set",
            )
            raise Skip
        return tuple(d.value for d in sizes)


@dataclass
class _Columns:
    program: Program
    wanted: Mapping[str, Wanted]
    found: Diagnostics
    spans: dict[str, Span] = field(default_factory=dict)

    def read(self, statement: DataMadeStmt, targets: bool) -> Made | None:
        scope = self._scope(statement)
        expressions = _Creators(scope, self.wanted)
        results = Results(scope, expressions)
        try:
            count = self._count(statement, expressions)
            for equation in statement.equations:
                try:
                    results.equation(equation)
                except Skip:
                    continue
        except (Skip, TooManyNodes):
            return None
        self._check_names(scope, statement, targets)
        for span in scope.params.values():
            self.found.report("E0105", "generated data have no parameters", span, "would be trainable")
        if self.found.has_errors:
            return None
        nodes = {name: scope.symbols[name].node for name in self.spans if name in self.wanted}
        graph = self._typed(scope, nodes, list(expressions.draws))
        if graph is None or not self._fits(graph, nodes, count, statement):
            return None
        return Made(count, graph, expressions.draws, nodes, self.spans)

    def _scope(self, statement: DataMadeStmt) -> Scope:
        """A scope that knows the file's sizes and consts."""
        scope = Scope(self.found)
        for name, value in self.program.statics.items():
            kind = "size" if isinstance(value, Dim) else "const"
            scope.symbols[name] = Symbol(kind, name, statement.span, value=value, poisoned=value is None)
        for equation in statement.equations:
            for target in equation.targets:
                scope.later.setdefault(target.name, target.span)
                scope.namer.reserve(target.name)
                if target.name in self.spans:
                    self.found.report(
                        "E0502",
                        f"the column `{target.name}` is given twice",
                        target.span,
                        "again here",
                        labels=[(self.spans[target.name], "the first stands here")],
                        help="keep one of them",
                    )
                self.spans.setdefault(target.name, target.span)
        return scope

    def _count(self, statement: DataMadeStmt, expressions: Expressions) -> int:
        value = evaluate(statement.count, expressions.static, self.found)
        count = whole(value, statement.count.span, self.found, what="a number of examples").value
        if count is None:
            self.found.report(
                "E0211", "the number of examples must be known", statement.count.span, "a symbolic size"
            )
            raise Skip
        return count

    def _check_names(self, scope: Scope, statement: DataMadeStmt, targets: bool) -> None:
        wanted = list(self.wanted.values())
        for equation in statement.equations:
            names = [target.name for target in equation.targets if target.name in scope.symbols]
            if names and not any(name in self.wanted or scope.symbols[name].used for name in names):
                said, cure = extra_text(names[0], wanted)
                self.found.report("E0502", said, self.spans[names[0]], "not declared", help=cure)
        for column in wanted:
            if column.name not in self.spans and (column.role == "input" or targets):
                self.found.report(
                    "E0502",
                    f"the {column.role} `{column.name}` has no column",
                    statement.span,
                    f"no equation for `{column.name}`",
                    help=f"write `{column.name} = ...`",
                )

    def _typed(self, scope: Scope, nodes: Mapping[str, str], draws: list[str]) -> Graph | None:
        graph = Graph("data", sizes=self.program.graph.sizes)
        for node in scope.nodes.values():
            graph.add(node)
        results = [Result("output", name, node) for name, node in nodes.items()]
        graph.close(draws, (), (), results)
        typed = Pipeline((InferTypes(self.found),)).run(graph)
        return None if self.found.has_errors else ExpandDerivatives(self.found).run(typed)

    def _fits(self, graph: Graph, nodes: Mapping[str, str], count: int, statement: DataMadeStmt) -> bool:
        for node in graph:
            tensors = getattr(node.type, "items", None) or (node.type,)
            numbers = count * max(element_count(t.shape) for t in tensors)
            if numbers > MAX_NUMBERS:
                self.found.report(
                    "E0904",
                    f"generated data of {numbers} numbers",
                    statement.count.span,
                    "too many examples",
                    help=f"an array of data holds up to {MAX_NUMBERS} numbers",
                )
                return False
        fine = True
        for name, node_name in nodes.items():
            have, want = graph[node_name].type, self.wanted[name].type
            sizes = [] if not isinstance(have, TensorType) else have.shape
            agree = isinstance(have, TensorType) and len(sizes) == len(want.shape)
            if not agree or any(
                w.value not in (None, h.value) for h, w in zip(sizes, want.shape, strict=True)
            ):
                fine = False
                self.found.report(
                    "E0310",
                    f"the column `{name}` does not fit the {self.wanted[name].role}",
                    self.spans[name],
                    f"an example is {describe(have)}, and `{name}` is {describe(want)}",
                    help="equations of data say what one example is",
                )
        return fine
