"""An explanation as Unicode text."""

from __future__ import annotations

from collections.abc import Sequence

from .equations import Said
from .page import Entry, Page, Row, Section, Words

INDENT = "  "
WIDEST = 72
"""Values and origins line up behind equations of at most this width."""


def write_text(page: Page) -> str:
    """The page, section by section."""
    return "\n".join(_section(section) for section in page.sections)


def _section(section: Section) -> str:
    lines = [f"{section.heading}:"]
    equations = [_equation(row) for row in section.rows if isinstance(row, Row)]
    column = max((len(e) for e in equations if len(e) <= WIDEST), default=0)
    numbers = [_number(row) for row in section.rows]
    wide = max((len(n) for n in numbers if len(n) <= WIDEST), default=0)
    for row, number in zip(section.rows, numbers, strict=True):
        if isinstance(row, Words):
            lines.append(INDENT * (row.steps + 1) + said_text(row.said))
            continue
        line = _equation(row)
        if number or row.of is not None:
            line = line.ljust(column)
        if wide:
            line += f"   {number.ljust(wide) if row.of is not None else number}"
        if row.of is not None:
            line += f"   from {row.of.left} = {row.of.right}"
        lines.append(line.rstrip())
    lines += _table(section.entries)
    return "\n".join(lines) + "\n"


def _number(row: Row | Words) -> str:
    return f"= {row.value}" if isinstance(row, Row) and row.value is not None else ""


def _equation(row: Row) -> str:
    return f"{INDENT * (row.steps + 1)}{row.left} = {row.right}"


def _table(entries: Sequence[Entry]) -> list[str]:
    """Names, shapes, values or what else is said of them, in columns."""
    named = [str(e.name) if e.other is None else f"{e.name} = {e.other}" for e in entries]
    first = max((len(n) for n in named if len(n) <= WIDEST), default=0)
    second = max((len(entry.said) for entry in entries), default=0)
    lines = []
    for entry, name in zip(entries, named, strict=True):
        line = f"{INDENT}{name.ljust(first)}  {entry.said.ljust(second)}"
        line += "" if entry.value is None else f"  = {entry.value}"
        line += f"  {said_text(entry.more)}"
        lines.append(line.rstrip())
    return lines


def said_text(said: Sequence[Said]) -> str:
    """Words and formulas on a line."""
    return "".join(part if isinstance(part, str) else part.text() for part in said)
