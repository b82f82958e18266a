"""Syntax tree to graph: names get their meaning, wires become sums, calls become nodes.

Assumes a tree from `parse`. Promises a closed graph of one example whose nodes stand in an
order of dependence, without types but on inputs, targets and params; and every error of
naming, wiring and calling in the file reported at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import Diagnostics, FlowError, Span
from ..syntax import (
    BlockStmt,
    ConstStmt,
    DataFileStmt,
    DataMadeStmt,
    DataTableStmt,
    DiagramStmt,
    EquationStmt,
    File,
    InputStmt,
    LayerStmt,
    LossStmt,
    MetricStmt,
    Name,
    NodeStmt,
    OutputStmt,
    ParamStmt,
    RepeatStmt,
    RequireStmt,
    ReturnStmt,
    SizeStmt,
    TargetStmt,
    TrainStmt,
    UseStmt,
    WiresStmt,
    WireStmt,
)
from .blocks import Returned
from .declare import Declarations
from .expr import Expressions, Statement
from .files import Files, Read
from .finish import finish
from .program import Program
from .repeat import repeat
from .results import Results
from .scope import DEFAULT_MAX_NODES, Scope, TooManyNodes
from .static import Skip
from .training import check_frozen, read_data, read_training
from .wire_tables import ReadEdges
from .wires import Wires

TOP_ONLY = (
    DiagramStmt, UseStmt, SizeStmt, InputStmt, TargetStmt, OutputStmt, LossStmt, MetricStmt, TrainStmt,
    DataFileStmt, DataTableStmt, DataMadeStmt, BlockStmt, WiresStmt,
)  # fmt: skip
"""Statements of a file that no body has."""

DECLARED = (
    SizeStmt, ConstStmt, RequireStmt, InputStmt, TargetStmt, ParamStmt, NodeStmt, BlockStmt, UseStmt,
    WiresStmt,
)  # fmt: skip
"""Statements that are read before all others."""


def lower(
    file: File,
    found: Diagnostics,
    *,
    name: str = "diagram",
    settings: Mapping[str, Any] | None = None,
    max_nodes: int = DEFAULT_MAX_NODES,
    read: Read | None = None,
    read_edges: ReadEdges | None = None,
) -> Program:
    """The program of a file; errors and warnings go to `found`.

    name: the diagram's, where the file gives none. settings: values for sizes and scalar
    consts that override the file's. read: reads the files that it uses, if it may use any; read_edges:
    the tables of wires.
    Raises FlowError where no graph can be made.
    """
    path = file.span.source.path
    files = Files(Path(path).resolve().parent, read)
    scope = Scope(
        found,
        settings or {},
        max_nodes,
        path=path,
        lower_body=_lower_body,
        files=files,
        read_edges=read_edges,
    )
    lowering = _Lowering(scope, file, name)
    try:
        return lowering.run()
    except TooManyNodes:
        raise FlowError(found.sorted()) from None


def _lower_body(child: Scope, statements: Sequence[Any], span: Span) -> Returned:
    """Lower the statements of a body in its scope; gives what they return."""
    return _Lowering(child, File(tuple(statements), span), "").body()


class _Lowering:
    """One file's lowering: declarations first, in whatever order they stand, then the rest in order."""

    def __init__(self, scope: Scope, file: File, name: str) -> None:
        self.scope = scope
        self.file = file
        self.name, self.doc = name, ""
        self.declarations = Declarations(scope)
        self.expressions = Expressions(scope)
        self.wires = Wires(scope, self.expressions)
        self.results = Results(scope, self.expressions)
        self.program: dict[str, Any] = {}
        self.returned: Returned | None = None

    def run(self) -> Program:
        self._statements()
        if "training" in self.program and not self.scope.skipped:
            check_frozen(self.program["training"], self.program["first train"], self.scope)
        return finish(self.scope, self.results, self.name, self.doc, self.declarations, self.program)

    def body(self) -> Returned:
        """Lower a body: of a block, which returns values, or of a repeat, which binds names again."""
        for statement in self.file.statements:
            if isinstance(statement, TOP_ONLY):
                word = statement.span.text.split(None, 1)[0]
                self.scope.found.report(
                    "E0207",
                    f"`{word}` stands at the top of a file only",
                    statement.span,
                    "inside braces here",
                    help="move it out; a body has equations, params, nodes, wires, layers and `require`",
                )
                raise Skip
        self._statements()
        self.scope.requires += self.declarations.requires
        return self.returned or Returned()

    def _statements(self) -> None:
        errors = self.scope.found.error_count
        self.declarations.read(self.file)
        if self.scope.parent is not None and self.scope.found.error_count > errors:
            raise Skip  # what a body requires guards the rest of it
        self.wires.read_early(s for s in self.file.statements if isinstance(s, WireStmt))
        for statement in self.file.statements:
            try:
                self._statement(statement)
            except Skip:
                self.scope.skipped = True
                self.scope.check_patience()
        self.wires.finish()

    def _return(self, statement: ReturnStmt) -> None:
        """What a block gives back. Raises Skip after reporting E0207."""
        scope = self.scope
        wrong = ""
        if scope.parent is None or scope.is_open:
            wrong = "not in a block"
        elif self.returned is not None:
            wrong = "a second `return`"
        elif statement is not self.file.statements[-1]:
            wrong = "not the last statement"
        if wrong:
            scope.found.report(
                "E0207",
                "`return` stands once in a block, at its end",
                statement.span,
                wrong,
                help="what the diagram gives back is said by `output`; several values: `return a, b`",
            )
            raise Skip
        self.returned = Returned()
        for index, value in enumerate(statement.values):
            node = self.expressions.lower(value, Statement("return"))
            label = value.name if isinstance(value, Name) else f"result_{index}" if index else "result"
            self.returned.nodes.append(node)
            self.returned.labels.append(label)
            self.returned.spans.append(value.span)

    def _statement(self, statement: Any) -> None:
        scope = self.scope
        if isinstance(statement, WireStmt):
            self.wires.in_turn(statement)
        elif isinstance(statement, EquationStmt):
            self.results.equation(statement)
        elif isinstance(statement, OutputStmt):
            self.results.output(statement)
        elif isinstance(statement, LossStmt):
            self.results.loss(statement)
        elif isinstance(statement, MetricStmt):
            self.results.metric(statement)
        elif isinstance(statement, DiagramStmt):
            self._once("diagram", statement)
            self.name, self.doc = statement.name, statement.doc or ""
        elif isinstance(statement, TrainStmt):
            self._once("train", statement)
            self.program["training"] = read_training(statement, scope, self.expressions)
        elif isinstance(statement, (DataFileStmt, DataTableStmt, DataMadeStmt)):
            self._once("data", statement)
            self.program["data"] = read_data(statement, scope, self.expressions)
        elif isinstance(statement, ReturnStmt):
            self._return(statement)
        elif isinstance(statement, RepeatStmt):
            repeat(statement, self.expressions)
        elif isinstance(statement, LayerStmt):
            self.expressions.target(statement.call)
        else:
            assert isinstance(statement, DECLARED)

    def _once(self, what: str, statement: Any) -> None:
        key = f"first {what}"
        if key in self.program:
            self.scope.found.report(
                "E0207",
                f"a file has one `{what}` statement",
                statement.span,
                "this is the second",
                labels=[(self.program[key].span, "the first stands here")],
                help="remove one of them",
            )
            raise Skip
        self.program[key] = statement


__all__ = ["DEFAULT_MAX_NODES", "Program", "lower"]
