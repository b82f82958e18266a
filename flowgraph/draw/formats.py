"""The formats of pictures: from a file's suffix to what writes it.

One place: a writer is a function of a Drawing that returns the file's bytes; its module is loaded when it
is asked for. Adding a format adds a line to WRITERS.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .drawing import Drawing

WRITERS = {
    "svg": "figure:svg",
    "png": "figure:png",
    "pdf": "figure:pdf",
    "html": "html:html",
    "dot": "dot:dot",
    "mmd": "mermaid:mermaid",
    "tex": "tikz:tikz",
}
"""Suffixes, each with a module of this package and its function."""
UNPLACED = ("dot", "mmd")
"""Formats in which nothing is laid out: those who read them do that."""


def format_of(path: str | Path) -> str:
    """The format that a file's name asks for. Raises ValueError for one that is not known."""
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in WRITERS:
        named = f"`.{suffix}` is none" if suffix else "it has none"
        raise ValueError(f"the file's suffix says the format, and {named}; there are {', '.join(WRITERS)}")
    return suffix


def writer(format: str) -> Callable[[Drawing], bytes]:
    """What writes a format. Raises ValueError for one that is not known."""
    if format not in WRITERS:
        raise ValueError(f"no format {format!r}; there are {', '.join(WRITERS)}")
    module, name = WRITERS[format].split(":")
    found: Callable[[Drawing], bytes] = getattr(import_module(f".{module}", __package__), name)
    return found
