"""Text to syntax tree: reading a file, and parsing it with Lark, mistakes included.

Assumes `grammar/flow.lark` and the callbacks of `parse_build`. Promises that a file with syntax
errors has all of them reported in one run, each as a diagnostic with a cure, and that what could be
read is returned; that time and memory grow linearly with the file; and that nothing recurses, so
no input, however deeply nested, exhausts the stack.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any

from ..errors import Diagnostics, Source, Span
from ..syntax import Comment, File
from .build import TreeBuilder
from .exprs import STATEMENT_WORDS
from .run import Run
from .tables import load_tables

if TYPE_CHECKING:
    from lark import Lark

__all__ = ["MAX_BYTES", "STATEMENT_WORDS", "load_grammar", "parse", "paused_collector", "read_source"]

MAX_BYTES = 64 * 2**20

# ---------------------------------------------------------------------------------------
# Reading


def read_source(path: str, found: Diagnostics, *, limit: int = MAX_BYTES) -> Source | None:
    """The text of a file of at most `limit` bytes, or None with the reason reported.

    `-` is standard input. Everything else has to be a regular file: devices and pipes may never
    end. A byte-order mark is dropped. Reports E0001 and E0002.
    """
    data = _read_bytes(path, found, limit)
    if data is None:
        return None
    shown = "<stdin>" if path == "-" else path
    if len(data) > limit:
        cure = "split it with `use`, or raise the limit"
        _unreadable(found, shown, f"`{shown}` is larger than {limit} bytes", cure)
        return None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        at = data.find(b"\0")
        message = f"`{shown}` is not text: it holds a zero byte at offset {at}"
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            message = f"`{shown}` is not UTF-8 but UTF-16 text"
        found.report("E0002", message, help="save the file as UTF-8 text", path=shown)
        return None
    try:
        return Source(shown, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        at = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        line = data.count(b"\n", 0, at) + 1
        message = f"`{shown}` is not UTF-8: byte 0x{data[at]:02x} at offset {at}, in line {line}"
        found.report("E0002", message, help="save the file as UTF-8 text", path=shown)
        return None


def _read_bytes(path: str, found: Diagnostics, limit: int) -> bytes | None:
    """At most `limit + 1` bytes of a regular file or of standard input."""
    if path == "-":
        return sys.stdin.buffer.read(limit + 1)
    try:
        mode = Path(path).stat().st_mode
        if S_ISDIR(mode):
            _unreadable(found, path, f"`{path}` is a directory", "name a `.flow` file in it")
            return None
        if not S_ISREG(mode):
            cure = "for standard input write `-`"
            _unreadable(found, path, f"`{path}` is not a regular file", cure)
            return None
        with Path(path).open("rb") as file:
            return file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        _unreadable(found, path, f"`{path}` cannot be read: {reason}", "check the path")
        return None


def _unreadable(found: Diagnostics, path: str, message: str, cure: str) -> None:
    found.report("E0001", message, help=cure, path=path)


# ---------------------------------------------------------------------------------------
# The parser

_LOCK = threading.Lock()
_BUILDER = TreeBuilder()
_lark: Lark | None = None


class _Unfiltered:
    """Makes the contextual lexer see line breaks in every state; `Run` drops those not meant."""

    always_accept = ("NL",)

    def process(self, stream: Iterator[Any]) -> Iterator[Any]:
        return stream


def grammar_path() -> Path:
    """Where the grammar lies: inside an installed package, else beside it (checkout, sdist)."""
    here = Path(__file__).resolve().parents[1]
    inside = here / "grammar" / "flow.lark"
    return inside if inside.is_file() else here.parent / "grammar" / "flow.lark"


def load_grammar(transformer: Any = None, **options: Any) -> Lark:
    """A Lark parser of the Flow grammar; without a transformer it makes Lark's own trees."""
    from lark import Lark

    return Lark(
        grammar_path().read_text(encoding="utf-8"),
        parser="lalr",
        lexer="contextual",
        start="file",
        postlex=_Unfiltered(),
        keep_all_tokens=True,
        maybe_placeholders=False,
        transformer=transformer,
        **options,
    )


def parse(source: Source, found: Diagnostics) -> File:
    """The syntax tree of a source.

    All syntax errors are reported to `found` (E0003 to E0009, E0901 to E0903, and E0203, E0204 for
    constants as ends of wires); the statements that could be read are returned all the same.
    """
    global _lark
    with _LOCK, paused_collector():
        if _lark is None:
            callbacks = {"COMMENT": _BUILDER.on_comment}
            runtime = {"transformer": _BUILDER, "lexer_callbacks": callbacks}
            _lark = load_tables(grammar_path(), postlex=_Unfiltered(), **runtime) or load_grammar(**runtime)
        _BUILDER.begin(source, found)
        try:
            statements = Run(_lark, source, found).statements()
            comments = _comments(source, _BUILDER.comments)
        finally:
            _BUILDER.begin(Source("", ""), Diagnostics())
    return File(tuple(statements), Span(source, 0, len(source.text)), comments)


@contextmanager
def paused_collector() -> Iterator[None]:
    """No garbage collection meanwhile: trees and graphs are millions of objects, and no rubbish cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if not gc.get_freeze_count():
                gc.freeze()  # what was made counts as old from now on, and is not looked through at once
                gc.unfreeze()
            gc.enable()


def _comments(source: Source, tokens: list[Any]) -> tuple[Comment, ...]:
    """The comments in order; text that was read twice while recovering gives one comment."""
    made: dict[int, Comment] = {}
    for token in tokens:
        start = token.start_pos
        text = token.value.rstrip()
        before = source.text[source.text.rfind("\n", 0, start) + 1 : start]
        alone = not before.strip(" \t\r\f\ufeff")
        made[start] = Comment(text, alone, Span(source, start, start + len(text)))
    return tuple(made[start] for start in sorted(made))
