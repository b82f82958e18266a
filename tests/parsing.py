"""What the tests of parser and formatter share: a sample of the language, and texts parsed."""

from __future__ import annotations

from pathlib import Path

from flowgraph import syntax as s
from flowgraph.errors import Diagnostics, Source, render
from flowgraph.parse import parse

SAMPLE = (Path(__file__).parent / "parse" / "everything.flow").read_text(encoding="utf-8")


def tree(text: str) -> s.File:
    """The tree of a text without errors."""
    found = Diagnostics()
    file = parse(Source("t.flow", text), found)
    found.raise_errors()
    return file


def errors(text: str) -> list[tuple[str, int, str]]:
    """Code, line and message of everything found."""
    found = Diagnostics()
    parse(Source("t.flow", text), found)
    return [(d.code, d.span.line if d.span else 0, d.message) for d in found.sorted()]


def shown(text: str) -> str:
    found = Diagnostics()
    parse(Source("t.flow", text), found)
    return render(found.sorted())
