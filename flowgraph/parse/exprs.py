"""The callbacks for expressions and types: what Lark recognises, as nodes of the syntax tree.

The half of the tree's builder that `parse_build` extends by statements; what both assume and promise
is said there. Mistakes that the grammar cannot see (reserved words, chained comparisons, escapes in
strings, numbers out of range) are reported here, and the node is built all the same.
"""

from __future__ import annotations

import re
from sys import intern
from typing import Any

from .. import syntax as s
from ..errors import Diagnostics, Source, Span, shorten

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


class ExprBuilder:
    """Builds the expressions of one source at a time; `begin` before every parse."""

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
            self.report_reserved(token, name)
        return name

    def report_reserved(self, token: Any, name: str) -> None:
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
            self.report_reserved(token, name)
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
    # Types

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
