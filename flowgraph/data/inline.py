"""Tables written in the file: `data { x1 x2 | y ... }`.

Promises that every cell that does not fit is reported with its own place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import Diagnostics, Span
from ..lower.walk import Steps, walk
from ..syntax import DataRow, DataTableStmt, Expr, ListExpr, Name, Number, String
from ..types import describe
from .table import (
    MAX_PROBLEMS,
    Match,
    Misfit,
    Table,
    Wanted,
    extra_text,
    fit_values,
    labels_of,
    match_columns,
    missing_text,
    needs,
)


def read_table(
    statement: DataTableStmt, wanted: Sequence[Wanted], found: Diagnostics, *, targets: bool = False
) -> Table | None:
    """The examples of a table, or None with the errors reported.

    targets: whether every target needs its column.
    """
    before = len(found.items)
    match = _columns(statement, wanted, found, targets)
    rows = [row for row in statement.rows if _has_width(row, statement, found)]
    given = [c for c in wanted if c.name not in match.missing]
    columns: dict[str, np.ndarray] = {}
    labels: dict[str, tuple[str, ...]] = {}
    cells = [[*row.inputs, *row.targets] for row in rows]
    for column in given:
        read = _Column(column, match, cells, found)
        array = read.array()
        if array is not None:
            columns[column.name] = array
        if read.labels:
            labels[column.name] = read.labels
    if any(d.is_error for d in found.items[before:]):
        return None
    return Table(
        columns,
        tuple(c.name for c in given if c.role == "input"),
        tuple(c.name for c in given if c.role == "target"),
        labels,
        f"the table in {statement.span.source.path}",
    )


def _columns(statement: DataTableStmt, wanted: Sequence[Wanted], found: Diagnostics, targets: bool) -> Match:
    """The header matched with what is declared; what does not match is reported."""
    header = [*statement.inputs, *statement.targets]
    match = match_columns([n.name for n in header], wanted)
    seen: dict[str, Span] = {}
    for index, name in enumerate(header):
        if name.name in seen:
            labels = [(seen[name.name], "the first stands here")]
            found.report(
                "E0502",
                f"the column `{name.name}` is given twice",
                name.span,
                "again here",
                labels=labels,
                help="keep one of them",
            )
        elif index in match.extra:
            said, cure = extra_text(name.name, wanted)
            found.report("E0502", said, name.span, "not declared", help=cure)
        seen.setdefault(name.name, name.span)
    start = header[0].span.to(header[-1].span) if header else statement.span
    for column in needs(match, wanted, targets=targets):
        said, cure = missing_text(column, match.missing[column.name])
        found.report("E0502", said, start, "these are the columns", help=cure)
    for column in wanted:
        for index in match.columns_of(column.name):
            left = index < len(statement.inputs)
            if left != (column.role == "input"):
                side = "left" if column.role == "input" else "right"
                said = f"`{header[index].name}` stands on the wrong side of the bar"
                cure = f"{column.role}s stand {side} of `|`"
                found.report("E0502", said, header[index].span, f"belongs to the {column.role}s", help=cure)
                break
    return match


def _has_width(row: DataRow, statement: DataTableStmt, found: Diagnostics) -> bool:
    """Whether a row has as many values as there are columns, left and right of the bar."""
    for side, cells, names in (
        ("left of", row.inputs, statement.inputs),
        ("right of", row.targets, statement.targets),
    ):
        if len(cells) != len(names):
            place = f" {side} the bar" if statement.targets or row.targets else ""
            plural = "value" if len(cells) == 1 else "values"
            if len(found.items) < MAX_PROBLEMS:
                found.report(
                    "E0503",
                    f"a row has {len(cells)} {plural}{place}, where there are {len(names)} columns",
                    row.span,
                    "this row",
                    labels=[(names[0].span.to(names[-1].span), "the columns")] if names else [],
                    help="give one value for each column",
                )
            return False
    return True


class _Column:
    """The cells of one declared name."""

    def __init__(
        self, column: Wanted, match: Match, cells: Sequence[Sequence[Expr]], found: Diagnostics
    ) -> None:
        self.column = column
        self.found = found
        self.spread = column.name in match.spread
        self.places = match.columns_of(column.name)
        self.cells = cells
        self.labels: tuple[str, ...] = ()
        self.sizes: tuple[int, ...] | None = None

    def array(self) -> np.ndarray | None:
        """All examples, or None after reporting what does not fit."""
        shape = (len(self.places),) if self.spread else self.column.shape
        texts = [c for row in self.cells for i in self.places for c in _strings(row[i])]
        try:
            self.labels = labels_of(self.column, [c.value for c in texts])
        except Misfit as error:
            self.report(error, texts[error.row or 0].span)
            return None
        rows = [[self.cell(row[i], () if self.spread else shape) for i in self.places] for row in self.cells]
        if any(cell is None for row in rows for cell in row):
            return None
        sizes = tuple(n for n in (self.sizes or ()))
        if self.spread:
            sizes = tuple(n if n is not None else len(self.places) for n in self.column.shape)
        elif self.sizes is None:
            sizes = tuple(n or 0 for n in self.column.shape)
        if 0 in sizes:  # columns for an input without entries
            return np.zeros((len(rows), *sizes), dtype=_dtype(self.column))
        made = np.array([cell for row in rows for cell in row], dtype=_dtype(self.column))
        return made.reshape(len(rows), *sizes)

    def cell(self, expr: Expr, shape: Sequence[int | None]) -> Any:
        """A cell's numbers as an array, or None after reporting why not."""
        try:
            value = walk(self._value(expr))
        except Misfit as error:
            self.report(error, expr.span)
            return None
        array = np.array(value, dtype=_dtype(self.column))
        agree = array.ndim == len(shape) and all(
            w is None or w == h for w, h in zip(shape, array.shape, strict=True)
        )
        if not agree:
            given = "a single number" if not array.ndim else f"[{', '.join(map(str, array.shape))}]"
            need = "a single value" if not shape else describe(self.column.type)
            self.report(
                Misfit("E0503", f"a cell of `{self.column.name}` must be {need}, and is {given}"), expr.span
            )
            return None
        if not self.spread:
            if self.sizes is not None and array.shape != self.sizes:
                said = f"the cells of `{self.column.name}` are not all of one size"
                self.report(Misfit("E0503", said, help="examples of one table have equal sizes"), expr.span)
                return None
            self.sizes = array.shape
        return array

    def _value(self, expr: Expr) -> Steps:
        """A cell as numbers in nested lists. Raises Misfit."""
        if isinstance(expr, ListExpr):
            items = []
            for item in expr.items:
                items.append((yield self._value(item)))
            if len({np.shape(i) for i in items}) > 1:
                raise Misfit("E0503", "the lists of a cell are not all of one length")
            return items
        value: Any = None
        if isinstance(expr, (Number, String)):
            value = expr.value
        elif isinstance(expr, Name) and expr.name in ("true", "false"):
            value = expr.name == "true"
        if value is None:
            raise Misfit("E0503", "a cell holds a number, a string, true, false or a list of them")
        raw = np.array([value], dtype=object if isinstance(value, str) else None)
        return fit_values(raw, self.column, self.labels)[0]

    def report(self, error: Misfit, span: Span) -> None:
        if len(self.found.items) < MAX_PROBLEMS:
            self.found.report(error.code, error.message, span, "does not fit", help=error.help)


def _dtype(column: Wanted) -> Any:
    return {"real": np.float64, "bool": np.bool_}.get(column.type.elem.kind, np.int64)


def _strings(expr: Expr) -> list[String]:
    """The strings of a cell."""
    out: list[String] = []
    stack = [expr]
    while stack:
        item = stack.pop()
        if isinstance(item, String):
            out.append(item)
        elif isinstance(item, ListExpr):
            stack += reversed(item.items)
    return out
