"""The callbacks that turn what Lark recognises into the syntax tree, rule by rule.

Each public method of `TreeBuilder` is called with the children of one rule of
`grammar/flow.lark` (every token included) as soon as the rule is complete, innermost first, so
nothing here recurses and no Lark tree is ever built. Assumes the tokens carry `start_pos` and
`end_pos`. Promises a span on everything, and that what the grammar cannot judge (reserved words,
chained comparisons, constants as wires' ends, escapes in strings, numbers out of range) is
reported to `found`, after which the statement is still built, so that one run finds all mistakes.
"""

from __future__ import annotations

from itertools import pairwise
from sys import intern
from typing import Any

from .. import syntax as s
from ..errors import Span, did_you_mean, shorten
from .exprs import CONSTANTS, RESERVED, Children, ExprBuilder


class TreeBuilder(ExprBuilder):
    """Builds the syntax tree of one source at a time; `begin` before every parse."""

    # -------------------------------------------------------------------------------
    # Files and bodies

    def file(self, c: Children) -> list[s.Stmt]:
        statements: list[s.Stmt] = c[0]
        return statements

    def statements_begin(self, c: Children) -> list[s.Stmt]:
        return []

    def statements_same(self, c: Children) -> list[s.Stmt]:
        statements: list[s.Stmt] = c[0]
        return statements

    def statements_add(self, c: Children) -> list[s.Stmt]:
        statements: list[s.Stmt] = c[0]
        statements.append(c[1])
        return statements

    def body(self, c: Children) -> tuple[tuple[s.Stmt, ...], Any]:
        """The statements between braces, and the closing brace."""
        if len(c) == 4:
            c[1].append(c[2])
        return tuple(c[1]), c[-1]

    # -------------------------------------------------------------------------------
    # Declarations

    def diagram(self, c: Children) -> s.DiagramStmt:
        doc = self.string_value(c[2]) if len(c) == 3 else None
        return s.DiagramStmt(self.new_name(c[1]), doc, self.span(c[0].start_pos, c[-1].end_pos))

    def use(self, c: Children) -> s.UseStmt:
        span = self.span(c[0].start_pos, c[3].end_pos)
        return s.UseStmt(self.string_value(c[1]), self.new_name(c[3]), self.token_span(c[1]), span)

    def size(self, c: Children) -> s.SizeStmt:
        return s.SizeStmt(tuple(c[1]), self.from_token(c[0], c[1][-1]))

    def size_item(self, c: Children) -> s.SizeItem:
        name_span = self.token_span(c[0])
        if len(c) == 1:
            return s.SizeItem(self.new_name(c[0]), None, name_span, name_span)
        return s.SizeItem(self.new_name(c[0]), c[2], name_span, self.from_token(c[0], c[2]))

    def const(self, c: Children) -> s.ConstStmt:
        name = self.new_name(c[1])
        return s.ConstStmt(name, c[3], self.token_span(c[1]), self.from_token(c[0], c[3]))

    def require(self, c: Children) -> s.RequireStmt:
        if len(c) == 2:
            return s.RequireStmt(c[1], None, self.from_token(c[0], c[1]))
        return s.RequireStmt(c[1], self.string_value(c[3]), self.span(c[0].start_pos, c[3].end_pos))

    def input(self, c: Children) -> s.InputStmt:
        return s.InputStmt(tuple(c[1]), self.from_token(c[0], c[1][-1]))

    def target(self, c: Children) -> s.TargetStmt:
        return s.TargetStmt(tuple(c[1]), self.from_token(c[0], c[1][-1]))

    def declared(self, c: Children) -> s.Declared:
        name, name_span = self.new_name(c[0]), self.token_span(c[0])
        if len(c) == 1:
            return s.Declared(name, None, name_span, name_span)
        return s.Declared(name, c[2], name_span, self.from_token(c[0], c[2]))

    def _param(self, c: Children, shape: Any, init: s.Expr | None, end: int) -> s.ParamStmt:
        span = self.span(c[0].start_pos, end)
        return s.ParamStmt(self.new_name(c[1]), shape, init, self.token_span(c[1]), span)

    def param_bare(self, c: Children) -> s.ParamStmt:
        return self._param(c, None, None, c[1].end_pos)

    def param_shape(self, c: Children) -> s.ParamStmt:
        dims, span = c[3]
        return self._param(c, dims, None, span.end)

    def param_init(self, c: Children) -> s.ParamStmt:
        return self._param(c, None, c[3], c[3].span.end)

    def param_full(self, c: Children) -> s.ParamStmt:
        return self._param(c, c[3][0], c[5], c[5].span.end)

    # -------------------------------------------------------------------------------
    # Circles, wires and equations

    def node(self, c: Children) -> s.NodeStmt:
        if len(c) == 2:
            return s.NodeStmt(tuple(c[1]), None, self.from_token(c[0], c[1][-1]))
        return s.NodeStmt(tuple(c[1]), c[3], self.from_token(c[0], c[3]))

    def node_item(self, c: Children) -> s.NodeItem:
        name, name_span = self.new_name(c[0]), self.token_span(c[0])
        if len(c) == 1:
            return s.NodeItem(name, None, name_span, name_span)
        return s.NodeItem(name, c[2], name_span, self.span(c[0].start_pos, c[3].end_pos))

    def end_name(self, c: Children) -> s.End:
        token = c[0]
        name = intern(token.value)
        if name in RESERVED or name in CONSTANTS:
            self.report_reserved(token, name)
        return s.End(name, None, Span(self.source, token.start_pos, token.end_pos))

    def end_index(self, c: Children) -> s.End:
        return s.End(self.new_name(c[0]), c[2], self.span(c[0].start_pos, c[3].end_pos))

    def end_number(self, c: Children) -> s.End:
        token = c[0]
        if token.value != "1":
            self.found.report(
                "E0204",
                f"`{shorten(token.value)}` cannot be an end of a wire",
                self.token_span(token),
                "the only constant source is `1`",
                help="write the number as the weight: `1 -[0.5]-> h`",
            )
        return s.End(None, None, self.token_span(token))

    def equation(self, c: Children) -> s.EquationStmt:
        ends, value = c[0], c[2]
        for end in ends:
            if end.name is None or end.index is not None:
                self._bad_left_side(end)
        names = tuple(s.Name(end.name or "", end.span) for end in ends)
        return s.EquationStmt(names, value, self.span(ends[0].span.start, value.span.end))

    def _bad_left_side(self, end: s.End) -> None:
        self.found.report(
            "E0004",
            "only a name can stand left of `=`",
            end.span,
            "this is a number" if end.name is None else "this is one element of a node",
            help="an equation names a whole node: `h = ...`"
            + ("" if end.name is None else "; a single circle takes wires: `x -[w]-> h[0]`"),
        )

    def _wire(self, sources: list[s.End], weight: s.Expr | None, dests: list[s.End]) -> s.WireStmt:
        for end in dests:
            if end.name is None:
                self.found.report(
                    "E0203",
                    "a wire cannot end in a constant",
                    end.span,
                    help="wires end in circles declared by `node`",
                )
        span = Span(self.source, sources[0].span.start, dests[-1].span.end)
        return s.WireStmt(tuple(sources), weight, tuple(dests), span)

    def wire(self, c: Children) -> s.WireStmt:
        return self._wire(c[0], None, c[2])

    def wire_weight(self, c: Children) -> s.WireStmt:
        return self._wire(c[0], c[2], c[5])

    def wires(self, c: Children) -> s.WiresStmt:
        name, path = self.new_name(c[1]), self.string_value(c[3])
        span = self.span(c[0].start_pos, c[3].end_pos)
        return s.WiresStmt(name, path, self.token_span(c[1]), self.token_span(c[3]), span)

    def layer(self, c: Children) -> s.LayerStmt:
        name = self.new_name(c[1])
        return s.LayerStmt(name, c[3], self.token_span(c[1]), self.from_token(c[0], c[3]))

    # -------------------------------------------------------------------------------
    # What comes out, and training

    def named(self, c: Children) -> s.NamedExpr:
        if len(c) == 1:
            return s.NamedExpr(None, c[0], None, c[0].span)
        span = self.from_token(c[0], c[2])
        return s.NamedExpr(self.new_name(c[0]), c[2], self.token_span(c[0]), span)

    def output(self, c: Children) -> s.OutputStmt:
        return s.OutputStmt(tuple(c[1]), self.from_token(c[0], c[1][-1]))

    def loss(self, c: Children) -> s.LossStmt:
        item = c[1]
        by, end = "mean", item.span.end
        if len(c) == 4:
            by, end = intern(c[3].value), c[3].end_pos
        if by not in ("mean", "sum"):
            self.found.report(
                "E0004",
                f"a loss is taken `by mean` or `by sum`, not `by {shorten(by)}`",
                self.token_span(c[3]),
                help=did_you_mean(by, ("mean", "sum")) or "write `by sum` or leave it out",
            )
            by = "mean"
        span = self.span(c[0].start_pos, end)
        return s.LossStmt(item.name, item.value, by, item.name_span, span)

    def metric(self, c: Children) -> s.MetricStmt:
        item = c[1]
        return s.MetricStmt(item.name, item.value, item.name_span, self.from_token(c[0], item))

    def train(self, c: Children) -> s.TrainStmt:
        settings = tuple(c[3]) if len(c) == 4 else ()
        return s.TrainStmt(c[1], settings, self.from_token(c[0], settings[-1] if settings else c[1]))

    def data_file(self, c: Children) -> s.DataFileStmt:
        path, path_span = self.string_value(c[1]), self.token_span(c[1])
        if len(c) == 2:
            return s.DataFileStmt(path, None, path_span, self.span(c[0].start_pos, c[1].end_pos))
        return s.DataFileStmt(path, c[3], path_span, self.from_token(c[0], c[3]))

    def data_made(self, c: Children) -> s.DataMadeStmt:
        statements, brace = c[2]
        for statement in statements:
            if not isinstance(statement, s.EquationStmt):
                self.found.report(
                    "E0004",
                    "only equations can stand in generated data",
                    statement.span,
                    labels=[(self.token_span(c[0]), "the data begin here")],
                    help="write `data 100 { x = linspace(0, 1); y = sin(x) }`",
                )
        kept = tuple(item for item in statements if isinstance(item, s.EquationStmt))
        return s.DataMadeStmt(c[1], kept, self.span(c[0].start_pos, brace.end_pos))

    def table_begin(self, c: Children) -> Children:
        return [c[-1], []]

    def table_same(self, c: Children) -> Children:
        table: Children = c[0]
        return table

    def table_add(self, c: Children) -> Children:
        table: Children = c[0]
        table[1].append(c[2])
        return table

    def _sides(self, c: Children) -> tuple[Children, Children]:
        """What stands left and right of the bar."""
        if len(c) == 1:
            return c[0], []
        return (c[0], c[2]) if len(c) == 3 else ([], c[1])

    def header(self, c: Children) -> tuple[tuple[s.Name, ...], tuple[s.Name, ...]]:
        left, right = self._sides(c)
        for token in (*left, *right):
            self.new_name(token)
        return tuple(map(self._column, left)), tuple(map(self._column, right))

    def _column(self, token: Any) -> s.Name:
        return s.Name(intern(token.value), self.token_span(token))

    def row(self, c: Children) -> s.DataRow:
        left, right = self._sides(c)
        for side in (left, right):
            for before, after in pairwise(side):
                if before.span.end == after.span.start:
                    self.found.report(
                        "E0004",
                        "two values of a row touch each other",
                        before.span.to(after.span),
                        help="separate the values by blanks or commas; a row holds no calculations",
                    )
        start = left[0].span.start if left else c[0].start_pos
        return s.DataRow(tuple(left), tuple(right), self.span(start, (right or left)[-1].span.end))

    def data_table(self, c: Children) -> s.DataTableStmt:
        (inputs, targets), rows = c[2]
        span = self.span(c[0].start_pos, c[3].end_pos)
        return s.DataTableStmt(inputs, targets, tuple(rows), span)

    def cell_number(self, c: Children) -> s.Number:
        return s.Number(self.number_value(c[0]), self.token_span(c[0]))

    def cell_name(self, c: Children) -> s.Name:
        name = intern(c[0].value)
        if name not in ("true", "false"):
            self.found.report(
                "E0004",
                f"`{shorten(name)}` cannot be a value in a row of data",
                self.token_span(c[0]),
                help=did_you_mean(name, ("true", "false"))
                or f'a row holds numbers, strings, `true`, `false` and lists: write "{shorten(name)}"',
            )
        return s.Name(name, self.token_span(c[0]))

    # -------------------------------------------------------------------------------
    # Structure

    def signature(self, c: Children) -> tuple[s.Param, ...]:
        return tuple(c[1]) if len(c) == 3 else ()

    def _parameter(self, c: Children, kind: Any, default: Any, end: int) -> s.Param:
        return s.Param(self.new_name(c[0]), kind, default, self.span(c[0].start_pos, end))

    def parameter(self, c: Children) -> s.Param:
        return self._parameter(c, None, None, c[0].end_pos)

    def parameter_typed(self, c: Children) -> s.Param:
        return self._parameter(c, c[2], None, c[2].span.end)

    def parameter_default(self, c: Children) -> s.Param:
        return self._parameter(c, None, c[2], c[2].span.end)

    def parameter_full(self, c: Children) -> s.Param:
        return self._parameter(c, c[2], c[4], c[4].span.end)

    def block(self, c: Children) -> s.BlockStmt:
        results = tuple(c[4]) if len(c) == 6 else ()
        body, brace = c[-1]
        span = self.span(c[0].start_pos, brace.end_pos)
        name_span = self.token_span(c[1])
        return s.BlockStmt(self.new_name(c[1]), c[2], results, body, name_span, span)

    def repeat(self, c: Children) -> s.RepeatStmt:
        body, brace = c[4]
        span = self.span(c[0].start_pos, brace.end_pos)
        return s.RepeatStmt(c[1], self.new_name(c[3]), body, self.token_span(c[3]), span)

    def return_(self, c: Children) -> s.ReturnStmt:
        return s.ReturnStmt(tuple(c[1]), self.from_token(c[0], c[1][-1]))
