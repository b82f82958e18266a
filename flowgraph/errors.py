"""Diagnostics: spans of source text, errors and warnings as data, and their rendering.

Assumes nothing of the rest of the package (it imports none of it). Promises that every
message a user sees has a code listed in `flowgraph.codes`, and that rendering is a pure
function of the diagnostics: same input, same text.
"""

from __future__ import annotations

import bisect
import difflib
import itertools
import json
import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from .codes import CODES

TAB = 4
MAX_LINE = 160
MAX_SHOWN = 50
"""So many are rendered; `--json` prints all."""
MAX_ERRORS = 1000
"""Lowering and inference stop looking after so many."""
MAX_POOL = 2000
"""A misspelt name is compared with at most so many others."""


class Source:
    """The text of one file, able to turn an offset into a line and a column."""

    __slots__ = ("_starts", "path", "text")

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self._starts: list[int] | None = None

    @property
    def starts(self) -> list[int]:
        """The offset at which each line begins; computed on first use, since most files are fine."""
        if self._starts is None:
            starts, at = [0], self.text.find("\n")
            while at >= 0:
                starts.append(at + 1)
                at = self.text.find("\n", at + 1)
            self._starts = starts
        return self._starts

    def position(self, offset: int) -> tuple[int, int]:
        """The line and column of an offset, both counted from 1."""
        line = bisect.bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line (counted from 1) without its end."""
        starts = self.starts
        end = starts[number] - 1 if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : end].rstrip("\r")


class Span(NamedTuple):
    """The characters `start` to `end` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span | None) -> Span:
        """The span from the beginning of this one to the end of `other`."""
        return self if other is None else Span(self.source, self.start, max(self.end, other.end))


class Label(NamedTuple):
    """A remark on a second place that an error involves."""

    span: Span
    text: str


@dataclass(frozen=True)
class Diagnostic:
    """One error or warning: what is wrong, where, what else is involved, and the cure."""

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    labels: tuple[Label, ...] = ()
    help: str = ""
    path: str = ""

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"diagnostic code {self.code} is not listed in flowgraph.codes")

    @property
    def is_error(self) -> bool:
        return self.code.startswith("E")

    @property
    def severity(self) -> str:
        return "error" if self.is_error else "warning"

    @property
    def sort_key(self) -> tuple[str, int, str]:
        if self.span is None:
            return (self.path, -1, self.code)
        return (self.span.source.path, self.span.start, self.code)

    def as_json(self) -> str:
        """One line of JSON: code, severity, message, file, line, column, end, labels, help."""
        row: dict[str, object] = {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "file": self.path or (self.span.source.path if self.span else None),
        }
        if self.span is not None:
            row |= _place(self.span)
        row["label"] = self.label
        row["labels"] = [{"file": at.source.path, **_place(at), "text": text} for at, text in self.labels]
        row["help"] = self.help
        return json.dumps(row)


class FlowError(Exception):
    """What the user wrote cannot be used; carries the diagnostics that say why."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(d.message for d in self.diagnostics if d.is_error))

    def __str__(self) -> str:
        return "\n" + render(self.diagnostics)

    def _render_traceback_(self) -> list[str]:
        """The lines that IPython shows in place of a traceback."""
        return render(self.diagnostics, color=in_colour()).splitlines()


class InternalError(Exception):
    """A promise between two parts of flowgraph was broken: our bug, never the user's."""


@dataclass
class Diagnostics:
    """Collects what is found, so that all errors of a file are reported in one run.

    Nothing is kept twice. `items` may be added to; it is never shortened.
    """

    items: list[Diagnostic] = field(default_factory=list)
    _counted: int = 0
    _errors: int = 0
    _known: set[tuple[str, Span | str, str]] = field(default_factory=set)

    def report(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        label: str = "",
        *,
        labels: Iterable[tuple[Span | None, str]] = (),
        help: str = "",
        path: str = "",
    ) -> None:
        """Add an error (`E...`) or a warning (`W...`); labels without a span are left out.

        What is reported already, word for word and of the same place, is not added again.
        """
        self._count()
        if (code, span or path, message) in self._known:
            return
        kept = tuple(Label(at, text) for at, text in labels if at is not None)
        self.items.append(Diagnostic(code, message, span, label, kept, help, path))

    def has(self, code: str, span: Span) -> bool:
        """Whether there is a diagnostic of this code at this place."""
        self._count()
        return (code, span, "") in self._known

    def closest(self, name: str, known: Iterable[str]) -> str:
        """`did_you_mean`, but nothing once more is reported than is shown: it takes time."""
        return did_you_mean(name, known) if len(self.items) < MAX_SHOWN else ""

    @property
    def has_errors(self) -> bool:
        return self.error_count > 0

    @property
    def error_count(self) -> int:
        """How many errors there are; asking costs only what was added since it was last asked."""
        self._count()
        return self._errors

    def _count(self) -> None:
        """Take in what was added to `items`."""
        for found in self.items[self._counted :]:
            self._errors += found.is_error
            place = found.span or found.path
            self._known.update([(found.code, place, found.message), (found.code, place, "")])
        self._counted = len(self.items)

    @property
    def warnings(self) -> list[Diagnostic]:
        return [d for d in self.items if not d.is_error]

    def sorted(self) -> list[Diagnostic]:
        """In the order of the source."""
        return sorted(self.items, key=lambda d: d.sort_key)

    def raise_errors(self) -> None:
        """Raise a `FlowError` with everything found so far if any of it is an error."""
        if self.has_errors:
            raise FlowError(self.sorted())


def fail(
    code: str,
    message: str,
    span: Span | None = None,
    label: str = "",
    *,
    labels: Iterable[tuple[Span | None, str]] = (),
    help: str = "",
    path: str = "",
) -> FlowError:
    """A `FlowError` with one diagnostic, to be raised by the caller."""
    found = Diagnostics()
    found.report(code, message, span, label, labels=labels, help=help, path=path)
    return FlowError(found.items)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A help line naming the closest of the known names, or nothing if none is close."""
    close = closest_name(name, known)
    return f"did you mean `{close}`?" if close else ""


def closest_name(name: str, known: Iterable[str]) -> str:
    """The closest of the known names, or nothing if none is close."""
    if len(name) > 80:
        return ""
    pool = sorted(set(known))
    if len(pool) > MAX_POOL:
        alike = (k for k in pool if abs(len(k) - len(name)) <= 2 and k[:1].lower() == name[:1].lower())
        pool = list(itertools.islice(alike, MAX_POOL))
    lower = {k.lower(): k for k in reversed(pool)}
    wanted = name.lower()
    matches = difflib.get_close_matches(wanted, sorted(lower), n=3, cutoff=0.6)
    for close in sorted(matches, key=lambda match: sorted(match) != sorted(wanted)):  # letters swapped first
        is_alike = difflib.SequenceMatcher(None, wanted, close).ratio() >= 0.7
        if is_alike or close[0] == wanted[0] or sorted(close) == sorted(wanted):
            return lower[close]
    return ""


def shorten(text: str, limit: int = 60) -> str:
    """User text fit to stand in a message: one line, printable, at most `limit` characters."""
    clean = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[: limit + 1]
    )
    return clean if len(text) <= limit else clean[: limit - 3] + "..."


# ---------------------------------------------------------------------------------------
# Rendering


def render(diagnostics: Iterable[Diagnostic], *, color: bool = False) -> str:
    """The diagnostics as text for a person, with source excerpts and carets.

    At most `MAX_SHOWN` are shown; a closing line counts the rest.
    """
    found = list(diagnostics)
    parts = [_render_one(d, Paint(color)) for d in found[:MAX_SHOWN]]
    if len(found) > MAX_SHOWN:
        parts.append(f"... and {len(found) - MAX_SHOWN} more\n")
    return "\n".join(parts)


def in_colour() -> bool:
    """Whether colours are wanted, as far as the environment says."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Paint:
    """ANSI colours, or nothing at all."""

    def __init__(self, on: bool) -> None:
        self.on = on

    def __call__(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self.on and text else text


class _Row(NamedTuple):
    """A mark under a source line."""

    span: Span
    label: str
    main: bool


def _render_one(d: Diagnostic, paint: Paint) -> str:
    style = "1;31" if d.is_error else "1;33"
    lines = [paint(f"{d.severity}[{d.code}]", style) + paint(f": {d.message}", "1")]
    if d.span is None:
        if d.path:
            lines.append(f"  --> {d.path}")
        if d.help:
            lines.append(f"  = help: {d.help}")
        return "\n".join(lines) + "\n"

    rows = [_Row(d.span, d.label, True), *(_Row(at, text, False) for at, text in d.labels)]
    sources = list(dict.fromkeys(row.span.source for row in rows))
    width = max(len(str(row.span.line)) for row in rows)
    gutter = " " * (width + 2) + "|"
    for source in sources:
        own = [row for row in rows if row.span.source is source]
        line, column = source.position(own[0].span.start)
        arrow = "-->" if source is d.span.source else ":::"
        lines.append(f"{' ' * (width + 1)}{arrow} {source.path}:{line}:{column}")
        lines.append(gutter)
        before = 0
        for number in sorted({row.span.line for row in own}):
            if before and number > before + 1:
                lines.append("...")
            before = number
            there = [row for row in own if row.span.line == number]
            lines += _excerpt(source, number, there, width, paint, style)
    if d.help:
        lines.append(" " * (width + 2) + f"= help: {d.help}")
    return "\n".join(lines) + "\n"


def _excerpt(
    source: Source, number: int, rows: list[_Row], width: int, paint: Paint, style: str
) -> list[str]:
    """A source line and, under it, a line of carets or dashes for each mark on it.

    Of a long line a part around the most important mark is shown; what lies outside is marked
    under the dots that stand for it.
    """
    text = source.line(number)
    start = source.starts[number - 1]
    rows = sorted(rows, key=lambda r: (not r.main, r.span.start))
    cut = max(0, rows[0].span.start - start - MAX_LINE // 2) if len(text) > MAX_LINE else 0
    shown = text[cut : cut + MAX_LINE]
    lead = "..." if cut else ""
    tail = "..." if cut + MAX_LINE < len(text) else ""
    out = [f" {number:>{width}} | {lead}{_plain(shown)}{tail}"]
    for row in rows:
        begin, end = row.span.start - start - cut, row.span.end - start - cut
        indent, marks = len(lead) + _width(shown[: max(begin, 0)]), len(tail) or 1
        if end <= 0 and lead:
            indent, marks = 0, len(lead)
        elif begin < len(shown):
            marks = max(_width(shown[max(begin, 0) : max(end, 0)]), 1)
        mark = ("^" if row.main else "-") * marks
        line = paint(f"{mark} {row.label}".rstrip(), style if row.main else "34")
        out.append(f"{' ' * (width + 2)}| {' ' * indent}{line}")
    return out


def _plain(text: str) -> str:
    """A source line safe to print: tabs widened, control characters shown as `?`."""
    return "".join(" " * TAB if c == "\t" else c if c.isprintable() else "?" for c in text)


def _width(text: str) -> int:
    """Columns that `_plain(text)` takes on a terminal."""
    return sum(map(_columns, _plain(text)))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _place(span: Span) -> dict[str, int]:
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {"line": line, "column": column, "end_line": end_line, "end_column": end_column}
