"""The canonical form of a file: what `flowc fmt` prints.

Assumes a `File` that `parse` read without errors. Promises a text that parses to an equal tree,
that formatting it again changes nothing, and that every comment is kept: those on lines of their
own before the statement they precede, those at the end of a line at the end of the statement that
ends there, and those inside a statement on a line above it. Linear time, no recursion.

The form: one statement a line, one blank around operators except `^`, blocks and tables indented by
4, columns of tables aligned, no more parentheses than needed, at most one blank line in a row, and
lines of more than 88 columns broken inside brackets (with a trailing comma) or else after a comma or
an operator. Rows of tables are never broken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .. import syntax as s
from .doc import (
    INDENT,
    Break,
    Part,
    Piece,
    bracketed,
    callee,
    enclosed,
    flat,
    joined,
    layout,
    quoted,
    shape,
    typed,
)

__all__ = ["format_source"]

# Wider cells do not widen their column, lest one long string pad every row.
MAX_COLUMN = 24

_BODY_OPENS = re.compile(r'"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*"|#[^\n]*|\{')


@dataclass(slots=True)
class _Line:
    """One statement, or the first or last line of one with a body, and the source it came from."""

    start: int
    end: int
    indent: int
    text: str
    opens: bool = False
    closes: bool = False
    above: list[s.Comment] = field(default_factory=list)
    inside: list[s.Comment] = field(default_factory=list)
    after: str = ""


def format_source(file: s.File) -> str:
    """The canonical text of a file; an empty file gives an empty text."""
    source = file.span.source.text
    lines = _lines(file.statements, source)
    # Comments after the last statement stand before an end without text.
    lines.append(_Line(len(source), len(source), 0, ""))
    _place_comments(lines, file.comments, source)
    return _assemble(lines, source)


# ---------------------------------------------------------------------------------------
# Comments and blank lines


def _place_comments(lines: Sequence[_Line], comments: Iterable[s.Comment], source: str) -> None:
    """Give every comment to the line it belongs to."""
    at = 0
    for comment in comments:
        place = comment.span.start
        while lines[at].end <= place and at + 1 < len(lines):
            at += 1
        line, before = lines[at], lines[at - 1] if at else None
        if place >= line.start and line.text:
            line.inside.append(comment)
        elif before is not None and "\n" not in source[before.end : place]:
            before.after = f"  {comment.text}"
        else:
            line.above.append(comment)


def _assemble(lines: Sequence[_Line], source: str) -> str:
    """The lines with their comments, and a blank line where the source has one or more."""
    out: list[str] = []
    before_end: int | None = None

    def put(text: str, indent: int, start: int, end: int, *, spaced: bool = True) -> None:
        nonlocal before_end
        if spaced and before_end is not None and source.count("\n", before_end, start) > 1:
            out.append("")
        out.append(" " * indent + text)
        before_end = end

    for line in lines:
        above = line.indent + INDENT if line.closes else line.indent
        for comment in line.above:
            put(comment.text, above, comment.span.start, comment.span.end)
        for comment in line.inside:
            put(comment.text, line.indent, line.start, line.start)
        if line.text:
            put(line.text + line.after, line.indent, line.start, line.end, spaced=not line.closes)
        if line.opens:
            before_end = None
    return "".join(f"{text}\n" for text in out)


# ---------------------------------------------------------------------------------------
# Statements


def _lines(statements: Sequence[s.Stmt], source: str) -> list[_Line]:
    """The lines of all statements and of the bodies in them."""
    out: list[_Line] = []
    waiting: list[tuple[s.Stmt | _Line, int]] = [(item, 0) for item in reversed(statements)]
    while waiting:
        item, indent = waiting.pop()
        if isinstance(item, _Line):
            out.append(item)
        elif isinstance(item, (s.BlockStmt, s.RepeatStmt, s.DataMadeStmt)):
            body = item.equations if isinstance(item, s.DataMadeStmt) else item.body
            out.append(_first_line(item, _head(item), indent, source))
            waiting.append((_last_line(item, indent), indent))
            waiting += [(inner, indent + INDENT) for inner in reversed(body)]
        elif isinstance(item, s.DataTableStmt):
            out.append(_first_line(item, ["data {"], indent, source))
            out += _table(item, indent + INDENT, out[-1].end)
            out.append(_last_line(item, indent))
        else:
            text = layout(_statement(item), indent)
            out.append(_Line(item.span.start, item.span.end, indent, text))
    return out


def _first_line(item: s.Stmt, head: Sequence[Piece], indent: int, source: str) -> _Line:
    """The line of a statement with a body, up to its opening brace."""
    end = item.span.start
    for match in _BODY_OPENS.finditer(source, item.span.start, item.span.end):
        if match.group() == "{":
            end = match.end()
            break
    return _Line(item.span.start, end, indent, layout(head, indent), opens=True)


def _last_line(item: s.Stmt, indent: int) -> _Line:
    return _Line(item.span.end - 1, item.span.end, indent, "}", closes=True)


def _head(item: s.BlockStmt | s.RepeatStmt | s.DataMadeStmt) -> list[Piece]:
    if isinstance(item, s.RepeatStmt):
        return ["repeat ", Part(item.count), f" as {item.name} {{"]
    if isinstance(item, s.DataMadeStmt):
        return ["data ", Part(item.count), " {"]
    out: list[Piece] = [f"block {item.name}"]
    out += bracketed("(", [_parameter(p) for p in item.params], ")")
    if item.results:
        out += (" -> ", *joined([typed(kind) for kind in item.results]))
    return [*out, " {"]


def _parameter(p: s.Param) -> list[Piece]:
    out: list[Piece] = [p.name]
    if p.type is not None:
        out += (" : ", *typed(p.type))
    if p.default is not None:
        out += (" = ", Part(p.default))
    return out


def _statement(item: s.Stmt) -> list[Piece]:
    """A statement without a body."""
    match item:
        case s.DiagramStmt(name, doc):
            return [f"diagram {name}", *([] if doc is None else [f" {quoted(doc)}"])]
        case s.UseStmt(path, alias):
            return [f"use {quoted(path)} as {alias}"]
        case s.SizeStmt(items):
            return ["size ", *joined([_named(i.name, i.value) for i in items])]
        case s.ConstStmt(name, value):
            return [f"const {name} = ", Part(value)]
        case s.RequireStmt(condition, message):
            told = [] if message is None else [[quoted(message)]]
            return ["require ", *joined([[Part(condition)], *told])]
        case s.InputStmt(items):
            return ["input ", *joined([_declared(i) for i in items])]
        case s.TargetStmt(items):
            return ["target ", *joined([_declared(i) for i in items])]
        case s.ParamStmt():
            return _param(item)
        case s.NodeStmt(items, activation):
            made = [] if activation is None else [" : ", *callee(activation, bare=True)]
            return ["node ", *joined([_indexed(i.name, i.size) for i in items]), *made]
        case s.WireStmt():
            return _wire(item)
        case s.WiresStmt(name, path):
            return [f"wires {name} from {quoted(path)}"]
        case s.EquationStmt(targets, value):
            return [*joined([[name.name] for name in targets]), " = ", Part(value)]
        case s.LayerStmt(name, call):
            return [f"layer {name} = ", *callee(call, bare=False)]
        case s.OutputStmt(items):
            return ["output ", *joined([_result(i.name, i.value) for i in items])]
        case s.LossStmt(name, value, by):
            return ["loss ", *_result(name, value), *([" by sum"] if by == "sum" else [])]
        case s.MetricStmt(name, value):
            return ["metric ", *_result(name, value)]
        case s.TrainStmt(optimiser, settings):
            given: list[list[Piece]] = [[Part(setting)] for setting in settings]
            return ["train ", *joined([callee(optimiser, bare=False), *given])]
        case s.DataFileStmt(path, split):
            head = f"data {quoted(path)}"
            return [head] if split is None else [f"{head} split ", Part(split)]
        case s.ReturnStmt(values):
            return ["return ", *joined([[Part(value)] for value in values])]
    raise TypeError(f"not a statement without a body: {type(item).__name__}")


def _named(name: str, value: s.Expr | None) -> list[Piece]:
    return [name] if value is None else [f"{name} = ", Part(value)]


def _result(name: str | None, value: s.Expr) -> list[Piece]:
    return [Part(value)] if name is None else [f"{name} = ", Part(value)]


def _declared(item: s.Declared) -> list[Piece]:
    return [item.name] if item.type is None else [f"{item.name} : ", *typed(item.type)]


def _param(item: s.ParamStmt) -> list[Piece]:
    out: list[Piece] = [f"param {item.name}"]
    if item.shape is not None:
        out += (" : ", *shape(item.shape))
    if item.init is not None:
        out += (" = ", Part(item.init))
    return out


def _indexed(name: str, index: s.Expr | None) -> list[Piece]:
    return [name] if index is None else [name, *enclosed("[", [Part(index)], "]")]


def _wire(item: s.WireStmt) -> list[Piece]:
    sources = joined([_indexed(end.name or "1", end.index) for end in item.sources])
    dests = joined([_indexed(end.name or "1", end.index) for end in item.dests])
    arrow: list[Piece] = ["->"]
    if item.weight is not None:
        arrow = enclosed("-[", [Part(item.weight)], "]->")
    return [*sources, " ", *arrow, Break(" ", hard=False), *dests]


# ---------------------------------------------------------------------------------------
# Tables


def _table(item: s.DataTableStmt, indent: int, begin: int) -> list[_Line]:
    """The header and rows of a data table, their columns aligned."""
    names = (*item.inputs, *item.targets)
    start = names[0].span.start if names else begin
    end = names[-1].span.end if names else begin
    cells = [([n.name for n in item.inputs], [n.name for n in item.targets])]
    cells += [(_cells(row.inputs), _cells(row.targets)) for row in item.rows]
    spans = [(start, end), *((row.span.start, row.span.end) for row in item.rows)]
    left, right = _widths([row[0] for row in cells]), _widths([row[1] for row in cells])
    lines = []
    for (inputs, targets), (first, last) in zip(cells, spans, strict=True):
        text = _aligned(inputs, left)
        if targets:
            # Rows that are too short leave their bar where it stands in the others.
            text = f"{text.ljust(_total(left))} | {_aligned(targets, right)}"
        lines.append(_Line(first, last, indent, text.strip()))
    return lines


def _cells(values: Sequence[s.Expr]) -> list[str]:
    return [flat([Part(value)]) for value in values]


def _widths(rows: Iterable[Sequence[str]]) -> list[int]:
    """The width of every column."""
    widths: list[int] = []
    for row in rows:
        widths += [0] * (len(row) - len(widths))
        for at, cell in enumerate(row):
            if len(cell) <= MAX_COLUMN:
                widths[at] = max(widths[at], len(cell))
    return widths


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    return " ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))


def _total(widths: Sequence[int]) -> int:
    """The width of a row's left side; a padded row of this width ends where the others do."""
    return sum(widths) + max(len(widths) - 1, 0)
