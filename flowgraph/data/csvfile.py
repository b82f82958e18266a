"""CSV files: a header of column names, then one example a line.

Read in blocks, so that memory holds the numbers and not their text. A cell's place in an
error is the file and the line it stands on.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Diagnostics, Span, shorten
from .files import report_unusable
from .table import (
    MAX_PROBLEMS,
    MISSING_CURE,
    NAN_CURE,
    Match,
    Misfit,
    Table,
    Wanted,
    fit_values,
    header_problems,
    labels_of,
    match_columns,
    says_missing,
    says_not_finite,
)

BLOCK = 4096


def read_csv(
    path: Path,
    wanted: Sequence[Wanted],
    found: Diagnostics,
    span: Span | None,
    *,
    targets: bool,
    allow_nan: bool = False,
) -> Table | None:
    """The examples of a file, or None with the errors reported. Reports E0501 to E0503, E0307."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _Csv(str(path), csv.reader(file, strict=True), wanted, found, allow_nan).read(targets)
    except OSError as error:
        report_unusable(found, str(path), str(error), span, "save it as comma-separated text")
    except UnicodeDecodeError:
        why = f"line {undecodable(path)} is not UTF-8"
        report_unusable(found, str(path), why, span, "save it as UTF-8 text")
    return None


def undecodable(path: Path) -> int:
    """The number of the first line that is not UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1


class _Csv:
    """One file being read; `lines` are the line numbers of the examples so far."""

    def __init__(
        self, path: str, reader: Any, wanted: Sequence[Wanted], found: Diagnostics, allow_nan: bool
    ) -> None:
        self.path = path
        self.allow_nan = allow_nan
        self.reader = reader
        self.rows = self._rows()
        self.wanted = wanted
        self.found = found
        self.lines: list[int] = []
        self.header: list[str] = []
        self.match = Match()
        self.errors = 0

    def read(self, targets: bool) -> Table | None:
        self.header = [name.strip() for name in next(self.rows, [])]
        if self.errors:
            return None
        self.match = match_columns(self.header, self.wanted)
        if not self._check_header(targets):
            return None
        given = [c for c in self.wanted if c.name not in self.match.missing]
        parts: dict[str, list[Any]] = {c.name: [] for c in given}
        for first, rows in self._blocks():
            for column in given:
                parts[column.name] += self._cells(column, rows, first)
            if self.errors >= MAX_PROBLEMS:
                break
        if self.errors:
            return None
        columns, labels = {}, {}
        for column in given:
            array, names = self._finish(column, parts[column.name])
            if array is not None:
                columns[column.name] = array
            if names:
                labels[column.name] = names
        if self.errors:
            return None
        return Table(
            columns,
            tuple(c.name for c in given if c.role == "input"),
            tuple(c.name for c in given if c.role == "target"),
            labels,
            Path(self.path).name,
        )

    def _check_header(self, targets: bool) -> bool:
        if not self.header:
            columns = ", ".join(f"`{c.name}`" for c in self.wanted[:8])
            cure = f"the file is empty; its first line names the columns, here {columns}"
            self.report(1, "E0502", "the file has no columns", cure)
            return False
        problems = header_problems(self.header, self.match, self.wanted, targets=targets)
        for said, cure in itertools.islice(problems, MAX_PROBLEMS):
            self.report(1, "E0502", said, self._header_cure() or cure)
        return not self.errors

    def _header_cure(self) -> str:
        if len(self.header) == 1 and any(c in self.header[0] for c in ";\t"):
            return "separate the columns by commas"
        if all(number_in(name) is not None for name in self.header):
            return "the first line must name the columns"
        return ""

    def _blocks(self) -> Iterator[tuple[int, list[list[str]]]]:
        """Rows of the right width, in blocks, each with the number of its first example."""
        block: list[list[str]] = []
        first = 0
        for row in self.rows:
            if not row or (len(row) == 1 and not row[0].strip() and len(self.header) > 1):
                continue
            if len(row) != len(self.header):
                said = f"a row has {len(row)} values, where there are {len(self.header)} columns"
                self.report(self.reader.line_num, "E0503", said, "give one value for each column")
                if self.errors >= MAX_PROBLEMS:
                    return
                continue
            block.append(row)
            self.lines.append(self.reader.line_num)
            if len(block) == BLOCK:
                yield first, block
                first, block = first + len(block), []
        if block:
            yield first, block

    def _rows(self) -> Iterator[list[str]]:
        """The rows up to one that is no row, which is reported."""
        begins = 1
        try:
            for row in self.reader:
                yield row
                begins = self.reader.line_num + 1
        except csv.Error as error:
            said = f"the row that begins here cannot be read: {error}"
            cure = "close every quote; inside of quotes, double them; separate values by commas"
            self.report(begins, "E0503", said, cure)

    def _cells(self, column: Wanted, rows: list[list[str]], first: int) -> list[Any]:
        """A block's cells of a column: text for classes, else arrays [rows, entries]."""
        places = self.match.columns_of(column.name)
        if column.type.elem.kind == "class":
            self._check_labels(column, places, rows, first)
            return [[row[i] for i in places] for row in rows]
        whole = column.type.elem.kind in ("int", "bool")
        if not whole and (array := _real_block(rows, places)) is not None:
            return [array]
        read = _whole if whole else _any_number if self.allow_nan else number_in
        numbers: list[Any] = []
        for number, row in enumerate(rows):
            for place in places:
                value = read(row[place])
                if value is None:
                    need = "a whole number" if whole else "a number"
                    self._bad_cell(self.header[place], row[place], self.lines[first + number], need)
                    value = 0
                    if self.errors >= MAX_PROBLEMS:
                        return []
                numbers.append(value)
        dtype = np.int64 if whole else np.float64
        try:
            return [np.array(numbers, dtype=dtype).reshape(len(rows), len(places))]
        except OverflowError:
            self.report(self.lines[first], "E0503", f"a number of `{column.name}` is too large", "")
            return []

    def _check_labels(self, column: Wanted, places: list[int], rows: list[list[str]], first: int) -> None:
        """Report cells that hold no label at all."""
        texts = {row[place] for row in rows for place in places}
        bad = {t for t in texts if says_missing(t) and t.strip() not in column.type.elem.names}
        if not bad:
            return
        for number, row in enumerate(rows):
            for place in places:
                if row[place] in bad and self.errors < MAX_PROBLEMS:
                    self._bad_cell(self.header[place], row[place], self.lines[first + number], "a label")

    def _bad_cell(self, name: str, text: str, line: int, need: str) -> None:
        """Report a cell that is not what is needed: "a number", "a whole number" or "a label"."""
        what = "is empty" if not text.strip() else f"holds `{shorten(text, 40)}`"
        cure = f"it must be {need}"
        if says_not_finite(text) and need == "a number":
            cure = f"it must be finite: {NAN_CURE}"
        elif says_missing(text) or text.strip().lower() in ("na", "null", "none"):
            cure += f"; {MISSING_CURE}"
        self.report(line, "E0503", f"the column `{shorten(name)}` {what}", cure)

    def _finish(self, column: Wanted, parts: list[Any]) -> tuple[np.ndarray | None, tuple[str, ...]]:
        """A column's blocks as one array, and the names of its classes."""
        shape = tuple(n if n is not None else -1 for n in column.shape)
        count = len(self.lines)
        entries = len(self.match.columns_of(column.name))
        try:
            labels: tuple[str, ...] = ()
            if column.type.elem.kind == "class":
                labels = labels_of(column, [text for row in parts for text in row], max(entries, 1))
                array = np.array(parts, dtype=object).reshape(count, entries)
            else:
                dtype = np.int64 if column.type.elem.kind in ("int", "bool") else np.float64
                array = np.concatenate(parts) if parts else np.zeros((0, entries), dtype)
            if shape == (-1,):
                shape = (entries,)
            array = array.reshape(count, *shape)
            return fit_values(array, column, labels, finite=not self.allow_nan), labels
        except Misfit as error:
            line = None if error.row is None else self.lines[error.row]
            self.report(line, error.code, error.message, error.help)
            return None, ()

    def report(self, line: int | None, code: str, message: str, help: str) -> None:
        self.errors += 1
        path = self.path if line is None else f"{self.path}:{line}"
        self.found.report(code, message, help=help, path=path)


def _real_block(rows: list[list[str]], places: list[int]) -> np.ndarray | None:
    """A block of finite numbers [rows, places], or None where any cell is something else."""
    texts = [row[i] for row in rows for i in places]
    if "_" in "".join(texts):
        return None
    try:
        array = np.array(list(map(float, texts))).reshape(len(rows), len(places))
    except ValueError:
        return None
    return array if np.isfinite(array).all() else None


def number_in(text: str) -> float | None:
    """A finite number, or None. Python's `1_000` is not one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value - value == 0 and "_" not in text else None


def _any_number(text: str) -> float | None:
    """A number, also nan and the infinities written as such; 1e999 is none."""
    return float(text) if says_not_finite(text) else number_in(text)


def _whole(text: str) -> int | None:
    """A whole number, also written 3.0 or true; None for anything else."""
    text = text.strip()
    if text.lower() in ("true", "false"):
        return int(text.lower() == "true")
    value = number_in(text)
    if value is None or not value.is_integer():
        return None
    digits = text.lstrip("+-")
    return int(text) if digits.isdigit() and digits.isascii() and len(digits) < 20 else int(value)


__all__ = ["number_in", "read_csv", "undecodable"]
