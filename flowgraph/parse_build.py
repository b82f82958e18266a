"""The callbacks that turn what Lark recognises into the syntax tree, rule by rule.

Each public method of `TreeBuilder` is called with the children of one rule of
`grammar/flow.lark` (every token included) as soon as the rule is complete, innermost first, so
nothing here recurses and no Lark tree is ever built. Assumes the tokens carry `start_pos` and
`end_pos`. Promises a span on everything, and that what the grammar cannot judge (reserved words,
chained comparisons, constants as wires' ends, escapes in strings, numbers out of range) is
reported to `found`, after which the statement is still built, so that one run finds all mistakes.
"""

from __future__ import annotations

import re
from itertools import pairwise
from sys import intern
from typing import Any

from . import syntax as s
from .errors import Diagnostics, Source, Span, did_you_mean, shorten

STATEMENT_WORDS = (
    *("diagram", "use", "size", "const", "require", "input", "target", "param", "node", "layer"),
    *("output", "loss", "metric", "train", "data", "wires", "block", "repeat", "return"),
)
"""The words that begin a statement, in the order of the language reference."""

RESERVED = frozenset(STATEMENT_WORDS) | {"and", "or", "not"}
CONSTANTS = frozenset(("pi", "inf", "true", "false"))

MAX_NAME = 200
MAX_DIGITS = 400

_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}
_ESCAPE = re.compile(r"\\(.)")

# Lark's children: tokens and what the methods below returned.
Children = list[Any]
_set = object.__setattr__


class TreeBuilder:
    """Builds the syntax tree of one source at a time; `begin` before every parse."""

    def __init__(self) -> None:
        self.begin(Source("", ""), Diagnostics())

    def begin(self, source: Source, found: Diagnostics) -> None:
        """Build for `source` from now on, reporting to `found`."""
        self.source = source
        self.found = found
        self.comments: list[Any] = []

    def on_comment(self, token: Any) -> Any:
        """Keep a comment's token: Lark shows it here before it is ignored."""
        self.comments.append(token)
        return token

    # -------------------------------------------------------------------------------
    # Spans, names, numbers

    def span(self, start: int, end: int) -> Span:
        return Span(self.source, start, end)

    def token_span(self, token: Any) -> Span:
        return Span(self.source, token.start_pos, token.end_pos)

    def from_token(self, token: Any, last: Any) -> Span:
        """The span from a token to the end of a node."""
        return Span(self.source, token.start_pos, last.span.end)

    def new_name(self, token: Any) -> str:
        """The text of a token that names a new thing; reserved words are reported."""
        name = intern(token.value)
        if name in RESERVED or name in CONSTANTS:
            self._reserved(token, name)
        return name

    def _reserved(self, token: Any, name: str) -> None:
        kind = "a constant" if name in CONSTANTS else "a word of the language"
        self.found.report(
            "E0007",
            f"`{name}` is reserved and cannot name a thing",
            self.token_span(token),
            f"this is {kind}",
            help=f"choose another name, such as `{name}_1`",
        )

    def name_node(self, token: Any) -> s.Name:
        """A name that refers to something."""
        name = intern(token.value)
        if name in RESERVED:
            self._reserved(token, name)
        return s.Name(name, Span(self.source, token.start_pos, token.end_pos))

    def number_value(self, token: Any) -> int | float:
        """The value of a number token; whole numbers are int. Out of range is E0901, and 0."""
        text = token.value
        if len(text) > MAX_DIGITS:
            self._bad_number(token, f"a number has {len(text)} characters", f"use at most {MAX_DIGITS}")
            return 0
        digits = text[1:] if text[0] in "+-" else text
        value = float(text)
        if value in (float("inf"), float("-inf")):
            self._bad_number(token, "a number is too large", "the largest is about 1.8e308")
            return 0
        if value == 0 and digits.lower().split("e")[0].strip("0."):
            self._bad_number(token, "a number is too close to 0", "the smallest is about 5e-324")
            return 0
        return int(text) if digits.isdecimal() else value

    def _bad_number(self, token: Any, message: str, cure: str) -> None:
        self.found.report("E0901", message, self.token_span(token), help=cure)

    def string_value(self, token: Any) -> str:
        """The text a string token stands for; escapes other than `\\" \\\\ \\n \\t` are E0009."""
        body: str = token.value[1:-1]
        if "\\" not in body:
            return body

        def replace(match: re.Match[str]) -> str:
            escape = match.group(1)
            if escape in _ESCAPES:
                return _ESCAPES[escape]
            at = token.start_pos + 1 + match.start()
            self.found.report(
                "E0009",
                f"`\\{shorten(escape)}` is not an escape",
                self.span(at, at + 2),
                help='the escapes are \\" \\\\ \\n \\t; a backslash itself is written \\\\',
            )
            return escape

        return _ESCAPE.sub(replace, body)

    # -------------------------------------------------------------------------------
    # Lists

    def first(self, c: Children) -> Children:
        return [c[0]]

    def more(self, c: Children) -> Children:
        items: Children = c[0]
        items.append(c[2])
        return items

    def cells_more(self, c: Children) -> Children:
        items: Children = c[0]
        items.append(c[1])
        return items

    def seq(self, c: Children) -> Children:
        """A list with a trailing comma."""
        items: Children = c[0]
        return items

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

    def shape(self, c: Children) -> tuple[tuple[s.Expr | s.Wildcard, ...], Span]:
        """The sizes of a shape, and its span."""
        dims = tuple(c[1]) if len(c) == 3 else ()
        return dims, self.span(c[0].start_pos, c[-1].end_pos)

    def wildcard(self, c: Children) -> s.Wildcard:
        return s.Wildcard(self.token_span(c[0]))

    def type_shape(self, c: Children) -> s.TypeExpr:
        dims, span = c[0]
        return s.TypeExpr("real", None, (), dims, span)

    def type_kind(self, c: Children) -> s.TypeExpr:
        dims, span = c[1] if len(c) == 2 else ((), self.token_span(c[0]))
        span = self.span(c[0].start_pos, span.end)
        return s.TypeExpr(intern(c[0].value), None, (), dims, span)

    def type_class(self, c: Children) -> s.TypeExpr:
        given = c[2]
        dims, end = (c[4][0], c[4][1].end) if len(c) == 5 else ((), c[3].end_pos)
        span = self.span(c[0].start_pos, end)
        if all(isinstance(item, s.String) for item in given):
            return s.TypeExpr("class", None, tuple(given), dims, span)
        if len(given) > 1:
            self.found.report(
                "E0004",
                "`class(...)` takes one number of classes, or their names as strings",
                self.span(given[0].span.start, given[-1].span.end),
                help='write `class(3)` or `class("red", "green", "blue")`',
            )
        return s.TypeExpr("class", given[0], (), dims, span)

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
            self._reserved(token, name)
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

    # -------------------------------------------------------------------------------
    # Expressions

    def number(self, c: Children) -> s.Number:
        return s.Number(self.number_value(c[0]), self.token_span(c[0]))

    def string(self, c: Children) -> s.String:
        return s.String(self.string_value(c[0]), self.token_span(c[0]))

    def dotted(self, c: Children) -> list[Any]:
        """The name tokens of `a.b.c`; a lone name stays a token."""
        names = c[0]
        if type(names) is not list:
            names = [names]
        names.append(c[2])
        return names

    def value(self, c: Children) -> s.Expr:
        names = c[0]
        if type(names) is not list:
            return self.name_node(names)
        node: s.Expr = self.name_node(names[0])
        for token in names[1:]:
            node = self._member(node, token)
        return node

    def member(self, c: Children) -> s.Member:
        return self._member(c[0], c[2])

    def _member(self, value: s.Expr, token: Any) -> s.Member:
        span = self.span(value.span.start, token.end_pos)
        return s.Member(value, intern(token.value), self.token_span(token), span)

    def unary(self, c: Children) -> s.Unary:
        return s.Unary(intern(c[0].value), c[1], self.from_token(c[0], c[1]))

    def binary(self, c: Children) -> s.Binary:
        left, operator, right = c
        span = self.span(left.span.start, right.span.end)
        return s.Binary(intern(operator.value), left, right, self.token_span(operator), span)

    def chained(self, c: Children) -> s.Binary:
        first = c[0]
        self.found.report(
            "E0008",
            "comparisons cannot be chained",
            self.token_span(c[1]),
            "a second comparison",
            labels=[(first.op_span, "the first one")],
            help="write `a < b and b < c`, or put one comparison in parentheses",
        )
        return self.binary(c)

    def group(self, c: Children) -> s.Expr:
        inner: s.Expr = c[1]
        # The span of what stands in parentheses takes them in, so that carets under a larger
        # expression begin and end where the user sees it begin and end.
        _set(inner, "span", self.span(c[0].start_pos, c[2].end_pos))
        return inner

    def make_list(self, c: Children) -> s.ListExpr:
        items = tuple(c[1]) if len(c) == 3 else ()
        return s.ListExpr(items, self.span(c[0].start_pos, c[-1].end_pos))

    def keyword(self, c: Children) -> s.Keyword:
        return s.Keyword(intern(c[0].value), c[2], self.from_token(c[0], c[2]))

    def arguments(self, c: Children) -> tuple[Children, int]:
        """The arguments as written, and the offset after the closing parenthesis."""
        return (c[1] if len(c) == 3 else []), c[-1].end_pos

    def callee(self, c: Children) -> s.Call:
        if len(c) == 2:
            return self.call(c)
        func, span = self._func(c[0])
        return s.Call(func, (), (), span, span, False)

    def call(self, c: Children) -> s.Call:
        func, func_span = self._func(c[0])
        given, end = c[1]
        keywords = tuple(item for item in given if isinstance(item, s.Keyword))
        if keywords:
            self._check_order(given)
            given = [item for item in given if not isinstance(item, s.Keyword)]
        return s.Call(func, tuple(given), keywords, func_span, self.span(func_span.start, end))

    def _func(self, names: Any) -> tuple[str, Span]:
        if type(names) is not list:
            return self.name_node(names).name, self.token_span(names)
        first = self.name_node(names[0]).name
        func = intern(".".join([first, *(token.value for token in names[1:])]))
        return func, self.span(names[0].start_pos, names[-1].end_pos)

    def _check_order(self, given: Children) -> None:
        keyword = None
        for item in given:
            if isinstance(item, s.Keyword):
                keyword = keyword or item
            elif keyword is not None:
                self.found.report(
                    "E0004",
                    "an argument without a name follows one with a name",
                    item.span,
                    labels=[(keyword.span, "the first with a name")],
                    help="put the arguments without a name first",
                )
                return

    def pipe(self, c: Children) -> s.Pipe:
        return s.Pipe(c[0], c[2], self.span(c[0].span.start, c[2].span.end))

    def index(self, c: Children) -> s.Index:
        return s.Index(c[0], tuple(c[2]), self.span(c[0].span.start, c[3].end_pos))

    def slice_all(self, c: Children) -> s.Slice:
        return s.Slice(None, None, self.token_span(c[0]))

    def slice_from(self, c: Children) -> s.Slice:
        return s.Slice(c[0], None, self.span(c[0].span.start, c[1].end_pos))

    def slice_to(self, c: Children) -> s.Slice:
        return s.Slice(None, c[1], self.from_token(c[0], c[1]))

    def slice_both(self, c: Children) -> s.Slice:
        return s.Slice(c[0], c[2], self.span(c[0].span.start, c[2].span.end))
