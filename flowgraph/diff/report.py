"""Differences as text for people and as JSON for tools.

Promises text of aligned columns in the order of the new file, with a sign at the beginning of each
line (+ added, - removed, ~ changed, > renamed), so that colours, on a terminal, only repeat what it says.
Changes that say the same of parameters numbered in a row (`h.0.w`, `h.1.w`, ...) share a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import Paint, Span, shorten
from .changes import ADDED, CHANGED, KINDS, REMOVED, RENAMED, WAYS, Change, Note

SIGNS = {ADDED: "+", REMOVED: "-", CHANGED: "~", RENAMED: ">"}
STYLES = {ADDED: "32", REMOVED: "31", CHANGED: "33", RENAMED: "36"}
"""ANSI colours."""
WIDEST = 40
"""What is said lines up behind names of at most this width."""
LONGEST = 52
"""Longer texts are cut where before and now agree."""
DOTS = "..."
NUMBERED = re.compile(r"((?:.*?\.)?)(\d+)(\..*)\Z")


def text(changes: Sequence[Change], *, color: bool = False) -> str:
    """The report: a section for every kind of thing, those of the diagram itself first, and a count at the
    end."""
    paint = Paint(color)
    if not changes:
        return "no differences\n"
    sections: dict[str, dict[str, list[Change]]] = {}
    for change in changes:
        sections.setdefault(change.scope, {}).setdefault(change.kind, []).append(change)
    parts = []
    for scope, kinds in sections.items():
        lines = [paint(f"in {scope}:", "1")] if scope else []
        indent = "  " if scope else ""
        for kind in (k for k in (*KINDS,) if k in kinds):
            lines.append(f"{indent}{paint(KINDS[kind], '1')}")
            lines += [f"{indent}{line}" for line in _section(kinds[kind], paint)]
        parts.append("\n".join(lines) + "\n")
    return "\n".join([*parts, f"{summary(changes)}\n"])


def summary(changes: Sequence[Change]) -> str:
    """How many differences there are of each kind: `3 differences: 1 added, 2 changed`."""
    counts = [(sum(c.way == way for c in changes), way) for way in WAYS]
    said = ", ".join(f"{count} {way}" for count, way in counts if count)
    return f"{len(changes)} difference{'' if len(changes) == 1 else 's'}: {said}"


def json_lines(changes: Iterable[Change]) -> str:
    """One JSON object a line for every change."""
    return "".join(json.dumps(row(change), ensure_ascii=False) + "\n" for change in changes)


def row(change: Change) -> dict[str, object]:
    """A change as plain values."""
    return {
        "change": change.way,
        "kind": change.kind,
        "name": change.name,
        "new_name": change.new_name or None,
        "in": change.scope or None,
        "said": change.said or None,
        "notes": [{"what": n.what or None, "before": n.before, "now": n.now} for n in change.notes],
        "before": _place(change.before),
        "now": _place(change.now),
    }


def _place(span: Span | None) -> dict[str, object] | None:
    if span is None:
        return None
    line, column = span.source.position(span.start)
    return {"file": span.source.path, "line": line, "column": column}


# ---------------------------------------------------------------------------------------
# Lines


@dataclass
class _Row:
    """A line: names with a number in common places are a range of it."""

    way: str
    names: tuple[str, ...]
    said: str


def _section(changes: Sequence[Change], paint: Paint) -> list[str]:
    rows = _gathered(changes)
    names = [" -> ".join(r.names) for r in rows]
    width = max((len(n) for n in names if len(n) <= WIDEST), default=0)
    lines = []
    for each, name in zip(rows, names, strict=True):
        line = f"  {SIGNS[each.way]} {name.ljust(width) if each.said else name}"
        line += f"  {each.said}" if name and each.said else each.said
        lines.append(paint(line.rstrip(), STYLES[each.way]))
    return lines


def _gathered(changes: Sequence[Change]) -> list[_Row]:
    """The lines of a section, parameters numbered in a row on one."""
    found: dict[tuple[object, ...], tuple[Change, list[int]]] = {}
    for change in changes:
        names = [n for n in (change.name, change.new_name) if n]
        matches = [NUMBERED.match(n) for n in names] if change.kind in ("param", "buffer") else []
        same = {m[2] for m in matches if m is not None}
        if not matches or None in matches or len(same) > 1:
            found[len(found), "alone"] = (change, [])
            continue
        pattern = tuple((m[1], m[3]) for m in matches if m is not None)
        key = (change.way, pattern, change.said, change.notes)
        found.setdefault(key, (change, []))[1].append(int(same.pop()))
    rows = []
    for change, numbers in found.values():
        names = [n for n in (change.name, change.new_name) if n]
        matches = [NUMBERED.match(name) for name in names] if len(numbers) > 1 else []
        names = [f"{m[1]}{_range(numbers)}{m[3]}" for m in matches if m is not None] or names
        rows.append(_Row(change.way, tuple(names), _said(change)))
    return rows


def _range(numbers: Sequence[int]) -> str:
    """`{0..11}` for numbers in a row, `{0,2,5}` for others; of many the ends."""
    ordered = sorted(numbers)
    if ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{{{ordered[0]}..{ordered[-1]}}}"
    shown = ordered if len(ordered) <= 8 else [*ordered[:6], DOTS, ordered[-1]]
    return f"{{{','.join(map(str, shown))}}}"


def _said(change: Change) -> str:
    notes = ", ".join(_note(note) for note in change.notes)
    return notes or shorten(change.said, 2 * LONGEST)


def _note(note: Note) -> str:
    before, now = focused(note.before, note.now)
    return Note(note.what, before, now).text()


def focused(before: str, now: str) -> tuple[str, str]:
    """Two texts fit to stand on a line: of long ones the part where they differ, with whole words around
    it."""
    if max(len(before), len(now)) <= LONGEST:
        return before, now
    start = 0
    while start < min(len(before), len(now)) and before[start] == now[start]:
        start += 1
    end = 0
    while end < min(len(before), len(now)) - start and before[-1 - end] == now[-1 - end]:
        end += 1
    start = _word_start(before, max(0, start - LONGEST // 4))
    end = max(0, end - LONGEST // 4)
    return _cut(before, start, end), _cut(now, start, end)


def _word_start(said: str, at: int) -> int:
    """Where the word begins that a place lies in, if it is not far."""
    word = re.search(r"[\w.]{0,16}\Z", said[:at])
    return at - len(word[0]) if word is not None else at


def _cut(said: str, start: int, end: int) -> str:
    middle = said[start : len(said) - end]
    shown = shorten(middle, 2 * LONGEST)
    return f"{DOTS if start else ''}{shown}{DOTS if end else ''}"
