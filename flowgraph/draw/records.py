"""What a page says about an item, wire or frame on demand: plain text, in pairs of a title and a text.

Assumes a laid-out or plain Picture. Promises Unicode text without markup: it is data, and whoever shows it
escapes it. The keys of a record are those that `page.js` reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import TypedDict

from ..errors import MAX_LINE, Span
from .names import number, plain
from .picture import Facts, Frame, Item, Picture, Wire


class Record(TypedDict):
    """title, kind: one line each; facts: pairs; words: what search looks through, in lower case."""

    title: str
    kind: str
    facts: list[list[str]]
    words: str


KINDS = {"one": "constant", "box": "operation", "fold": "folded block", "more": "left out", "value": "number"}
MOST_ENDS = 8
"""So many items are named that an item reads or feeds."""


def records(picture: Picture) -> dict[str, Record]:
    """The records of everything in a picture by id."""
    found = {frame.id: _of_frame(frame, picture) for frame in picture.frames}
    reads: dict[str, list[str]] = {}
    feeds: dict[str, list[str]] = {}
    for wire in picture.wires:
        source, target = picture.by_id[wire.source], picture.by_id[wire.target]
        weight = plain(wire.label)
        reads.setdefault(target.id, []).append(title_of(source) + (f" · {weight}" if weight else ""))
        feeds.setdefault(source.id, []).append(title_of(target))
        found[wire.id] = _of_wire(wire, source, target)
    for item in picture.items:
        found[item.id] = _of_item(item, reads.get(item.id, []), feeds.get(item.id, []))
    return found


def title_of(item: Item) -> str:
    """What an item is called in a sentence."""
    if item.kind == "more":
        return f"{item.count} more"
    if item.index is not None and item.name:
        return item.name  # h[0]: Unicode has no comma as a subscript, as h₁,₀ would need
    return plain(item.label) or item.name or plain(item.operation) or item.kind


def _of_item(item: Item, reads: list[str], feeds: list[str]) -> Record:
    kind = KINDS.get(item.kind, item.kind)
    if item.kind == "fold" and item.count:
        kind += f", {item.count} times"
    told: list[tuple[str, str]] = [*item.facts]
    operation = plain(item.operation)
    if operation and operation not in dict(told).values():
        told.append(("operation", operation))
    told += [("parameter", f"{name} {shape}".strip()) for name, shape in item.params]
    if "value" not in dict(told):
        told += [("value", plain(note)) for note in item.notes]
    if item.slope:
        told.append(("slope", plain(item.slope)))
    if item.gradient and "gradient" not in dict(told):
        told.append(("gradient", plain(item.gradient)))
    told += _ends("reads", reads) + _ends("feeds", feeds)
    words = [item.name, operation, dict(item.facts).get("activation", ""), *(name for name, _ in item.params)]
    return _record(title_of(item), kind, told, item.span, words)


def _of_wire(wire: Wire, source: Item, target: Item) -> Record:
    told: list[tuple[str, str]] = [*wire.facts]
    known = dict(told)
    if wire.label and "weight" not in known:
        told.append(("weight", plain(wire.label)))
    elif wire.weight is not None and "weight" not in known:
        told.append(("weight", plain(number(wire.weight, 6))))
    if wire.factor and "local factor" not in known:
        told.append(("local factor", plain(wire.factor)))
    if wire.count > 1:
        told.append(("stands for", f"{wire.count} wires"))
    names = [term.param for term in wire.terms if term.param]
    ends = (target, source) if wire.is_backward else (source, target)
    kind = "gradient" if wire.is_backward else "trained wire" if wire.is_trained else "wire"
    return _record(" → ".join(title_of(end) for end in ends), kind, told, wire.span, names)


def _of_frame(frame: Frame, picture: Picture) -> Record:
    kind = f"{frame.kind}, {frame.count} times" if frame.count else frame.kind
    inside = sum(1 for item in picture.items if any(f.id == frame.id for f in picture.frames_of(item)))
    told = [*frame.facts, ("holds", f"{inside} items")]
    return _record(plain(frame.title) or frame.kind, kind, told, frame.span, [frame.name])


def _ends(title: str, names: list[str]) -> list[tuple[str, str]]:
    if not names:
        return []
    more = f" and {len(names) - MOST_ENDS} more" if len(names) > MOST_ENDS else ""
    return [(title, ", ".join(names[:MOST_ENDS]) + more)]


def _record(title: str, kind: str, told: Facts | list[tuple[str, str]], span: Span | None,
            words: Iterable[str]) -> Record:  # fmt: skip
    facts = [[key, text] for key, text in told if key != "line" and text]
    if span is not None:
        facts.append(["line", str(span.line)])
        file, text = PurePath(span.source.path).name, span.source.line(span.line).strip()
        facts[-1][1] = f"{file}:{span.line}" if file else facts[-1][1]
        facts.append(["source", text if len(text) <= MAX_LINE else text[: MAX_LINE - 1] + "…"])
    searched = " ".join(dict.fromkeys(w.lower() for w in (title, *words) if w))
    return {"title": title, "kind": kind, "facts": facts, "words": searched}
