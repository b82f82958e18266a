"""What a diagram needs besides its own text: files that it uses, tables of wires, and scipy where asked for.

Promises that what keeps a file from being read is told at the statement that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import Diagnostics, Span, fail
from .parse import parse, read_source
from .syntax import File, WiresStmt

if TYPE_CHECKING:
    from .lower.table_ends import Edges


def read_used(path: str, place: Span, found: Diagnostics) -> File | None:
    """The syntax tree of a file that a diagram uses; what keeps it from being read is told at `place`."""
    mistakes = Diagnostics()
    source = read_source(path, mistakes)
    for mistake in mistakes.items:
        found.report(mistake.code, mistake.message, place, "used here", help=mistake.help)
    return None if source is None else parse(source, found)


def read_edges(
    base: Path, given: Mapping[str, Any], statement: WiresStmt, found: Diagnostics
) -> Edges | None:
    """What a table of wires says, or None with the errors reported. See `data.wires.read_edges`."""
    from .data.wires import read_edges as read

    return read(base, given, statement, found)


def check_sparse(library: str, target: str) -> None:
    """Raise FlowError (E0605) where scipy is asked for and missing, ValueError for any other library."""
    if library not in ("", "scipy") or (library and target != "numpy"):
        raise ValueError(f"no library {library!r} for lists of wires in {target}")
    if library and find_spec(library) is None:
        raise fail("E0605", "scipy is not installed", help="pip install 'flowgraph[sparse]'")
