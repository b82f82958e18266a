"""Syntax tree to graph: names get their meaning, wires become sums, calls become nodes.

Assumes a tree from `parse`. Promises a closed graph of one example whose nodes stand in an
order of dependence, without types but on inputs, targets and params; and every error of
naming, wiring and calling in the file reported at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import Diagnostics, FlowError
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
    WireStmt,
)
from .declare import Declarations
from .expr import Expressions
from .finish import finish
from .program import Program
from .results import Results
from .scope import DEFAULT_MAX_NODES, Scope, TooManyNodes
from .static import Skip
from .training import check_frozen, read_data, read_training
from .wires import Wires

LATER = {
    UseStmt: "`use`: blocks of another file are",
    LayerStmt: "`layer`: a layer applied several times is",
    BlockStmt: "`block`: a block is",
    RepeatStmt: "`repeat`: repetition is",
}
"""Statements that are parsed and formatted, and not compiled by this version."""


def lower(
    file: File,
    found: Diagnostics,
    *,
    name: str = "diagram",
    settings: Mapping[str, Any] | None = None,
    max_nodes: int = DEFAULT_MAX_NODES,
) -> Program:
    """The program of a file; errors and warnings go to `found`.

    name: the diagram's, where the file gives none. settings: values for sizes and scalar
    consts that override the file's. Raises FlowError where no graph can be made.
    """
    scope = Scope(found, settings or {}, max_nodes, path=file.span.source.path)
    lowering = _Lowering(scope, file, name)
    try:
        return lowering.run()
    except TooManyNodes:
        raise FlowError(found.sorted()) from None


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

    def run(self) -> Program:
        self.declarations.read(self.file)
        self.wires.read_early(s for s in self.file.statements if isinstance(s, WireStmt))
        for statement in self.file.statements:
            try:
                self._statement(statement)
            except Skip:
                self.scope.skipped = True
                self.scope.check_patience()
        self.wires.finish()
        if "training" in self.program and not self.scope.skipped:
            check_frozen(self.program["training"], self.program["first train"], self.scope)
        return finish(self.scope, self.results, self.name, self.doc, self.declarations, self.program)

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
            scope.found.report(
                "E0207",
                "`return` stands only in a block",
                statement.span,
                "not in a block",
                help="what the diagram gives back is said by `output`",
            )
            raise Skip
        elif type(statement) in LATER:
            scope.found.report(
                "E0212",
                f"{LATER[type(statement)]} not compiled by this version",
                statement.span,
                "not compiled",
                help="it is parsed and formatted; write the network out for now",
            )
            raise Skip
        else:
            assert isinstance(
                statement, (SizeStmt, ConstStmt, RequireStmt, InputStmt, TargetStmt, ParamStmt, NodeStmt)
            )

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
