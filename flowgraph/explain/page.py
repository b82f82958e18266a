"""What an explanation says, before it is set: sections of equations, words and tables.

The writers `text`, `latex` and `markdown` turn a page into characters and decide nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..formula import Formula
from .equations import Said


@dataclass(frozen=True)
class Row:
    """An equation. value: its number, if there is one. mark: by what number others point at it; of: the
    mark of the equation it is derived from, and that equation. steps: how far it is indented."""

    left: Formula
    right: Formula
    value: Formula | None = None
    mark: int | None = None
    of: Row | None = None
    steps: int = 0


@dataclass(frozen=True)
class Words:
    """A line of words and formulas, which may be the heading of rows below it."""

    said: tuple[Said, ...]
    steps: int = 0


@dataclass(frozen=True)
class Entry:
    """A line of a table: a name, its shape in words, and a value if it has one. other: what it equals;
    more: what else is said of it. space: the set that it is in, as a formula."""

    name: Formula
    said: str
    value: Formula | None = None
    other: Formula | None = None
    more: tuple[Said, ...] = ()
    space: Formula | None = None


@dataclass
class Section:
    """A heading and what stands under it."""

    heading: str
    rows: list[Row | Words] = field(default_factory=list)
    """Equations and words."""
    entries: list[Entry] = field(default_factory=list)


@dataclass
class Page:
    """An explanation. title: the diagram's name; doc: what its author says of it."""

    title: str
    doc: str = ""
    sections: list[Section] = field(default_factory=list)
