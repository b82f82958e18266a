"""Errors that only echo a syntax error, in a file of which some text could not be read.

Assumes the statements that the parser returned and the syntax errors it reported. Promises to
keep every error that stands on its own: what names a thing that the unread text may declare, or
points at a place that has a syntax error, is left out, and so are all warnings.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Sequence

from ..errors import Diagnostic
from ..syntax import File

WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

ABSENT = ("E0101", "E0103", "E0202")
"""What is said of a name whose definition, or wire, is missed."""


def without_echoes(
    found: Iterable[Diagnostic], syntax_errors: Sequence[Diagnostic], file: File
) -> list[Diagnostic]:
    """The diagnostics of lowering that stand on their own beside the syntax errors."""
    unread = _unread_words(file)
    places = sorted((d.span.start, d.span.end) for d in syntax_errors if d.span is not None)
    return [d for d in found if d.is_error and not _is_echo(d, unread, places)]


def _is_echo(d: Diagnostic, unread: set[str], places: list[tuple[int, int]]) -> bool:
    if d.span is None:
        return False
    if d.code in ABSENT:
        word = WORD.match(d.span.text)
        if word is not None and word.group() in unread:
            return True
    after = bisect.bisect_left(places, (d.span.end, 0))
    return after > 0 and places[after - 1][1] > d.span.start


def _unread_words(file: File) -> set[str]:
    """The words of the text that belongs to no statement and no comment."""
    text = file.span.source.text
    spans = [*(s.span for s in file.statements), *(c.span for c in file.comments)]
    words: set[str] = set()
    at = 0
    for span in sorted(spans, key=lambda s: s.start):
        words.update(WORD.findall(text, at, max(at, span.start)))
        at = max(at, span.end)
    words.update(WORD.findall(text, at))
    return words
