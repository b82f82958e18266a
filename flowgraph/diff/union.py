"""Two diagrams in one picture: what is new, gone, changed and renamed, each in its own colour and line.

Assumes levels that were compared. Promises every item and wire of both pictures once: what is the same on
both sides where the new diagram has it, what is gone beside what it stood beside, under an id of its own.
Marks are words too (new, removed, was h2, step → sigmoid), so that the picture can be read in print.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from ..draw import names
from ..draw.collect import DEEPEST, READABLE, collect
from ..draw.drawing import Drawing
from ..draw.neurons import SCALES
from ..draw.picture import Frame, Item, Picture, Wire
from ..draw.theme import theme as named
from .changes import ADDED, CHANGED, REMOVED, RENAMED, Change, Note
from .held import is_repeat, rounds
from .levels import Level
from .match import together

OLD = "@old/"
"""How the ids of what is gone begin."""
LONGEST = 30
"""Longer remarks are told on demand only, and stand as "changed" in the picture."""


def draw(levels: Sequence[Level], summary: str, *, depth: int | None, scale: str, theme: str) -> Drawing:
    """The picture of a difference; see `Difference.draw`. Raises ValueError."""
    if scale not in SCALES:
        raise ValueError(f"no scale {scale!r}; there are {', '.join(SCALES)}")

    def at_depth(wanted: int | None) -> Picture:
        if wanted is not None:
            return _united(levels, wanted, scale, summary)
        best = _united(levels, 0, scale, summary)
        for deeper in range(1, DEEPEST):
            if len(best.items) > READABLE or not any(item.kind == "fold" for item in best.items):
                break
            picture = _united(levels, deeper, scale, summary)
            if len(picture.items) > READABLE:
                break
            best = picture
        return best

    return Drawing(at_depth(depth), named(theme), at_depth)


def _united(levels: Sequence[Level], depth: int, scale: str, summary: str) -> Picture:
    """Both diagrams with so many levels of blocks unfolded; where one draws as boxes what the other draws as
    circles, both draw boxes."""
    pairing = levels[0].pairing
    graphs = pairing.old.graph, pairing.new.graph
    for each in (scale, "layers"):
        old, new = (collect(graph, depth=depth, scale=each) for graph in graphs)
        union = _Union(levels[0], old, new)
        if scale != "auto" or union.is_alike():
            break
    return union.picture(summary)


@dataclass
class _Union:
    level: Level
    old: Picture
    new: Picture
    places: dict[str, tuple[Level | None, str]] = field(default_factory=dict)
    """Of the old diagram, what was compared in a frame, and the path there in the new one."""
    known: dict[int, dict[str, str]] = field(default_factory=dict)
    """Of a level, the new node of an old one."""
    renamed: dict[int, dict[str, str]] = field(default_factory=dict)
    """Of a level, the parameters that have another name now."""

    def __post_init__(self) -> None:
        self.places[""] = (self.level, "")
        self.ids = {item.id: self._new_id(item) for item in self.old.items}
        self.twins = {
            now: self.old.by_id[before] for before, now in self.ids.items() if now in self.new.by_id
        }

    def is_alike(self) -> bool:
        """Whether both draw in one way what both have: as circles, or as boxes."""
        circles = {item.node: item.is_circle for item in self.new.items if item.kind != "more"}
        for item in self.old.items:
            twin = self._twin(item.node) if item.node and item.kind != "more" else None
            if twin in circles and circles[twin] != item.is_circle:
                return False
        return True

    # -- what is what

    def _at(self, prefix: str) -> tuple[Level | None, str]:
        """What was compared in the frame of this path, which ends with `/`, and its path in the new
        diagram."""
        if prefix not in self.places:
            around, _, name = prefix[:-1].rpartition("/")
            level, path = self._at(f"{around}/" if around else "")
            self.places[prefix] = (None, "")
            for before, now, child in level.children if level is not None else ():
                if before.name == name:
                    self.places[prefix] = (child, f"{path}{now.name}/")
        return self.places[prefix]

    def _twin(self, node: str) -> str | None:
        """The path of the new node that an old one is, by its path."""
        around, _, name = node.rpartition("/")
        level, path = self._at(f"{around}/" if around else "")
        if level is None:
            return None
        if id(level) not in self.known:
            self.known[id(level)] = dict(_nodes(level))
        found = self.known[id(level)].get(name)
        return None if found is None else path + found

    def _new_id(self, item: Item) -> str:
        """The id that an old item has in the new picture, or would have."""
        if not item.node:
            return item.id
        twin = self._twin(item.node)
        return f"{OLD}{item.id}" if twin is None else f"{twin}{item.id[len(item.node) :]}"

    def _told(self, level: Level, name: str) -> Change | None:
        """What is told of the value of an old node."""
        number = level.pairing.old.number(name)
        return None if number is None else level.told.get((True, number))

    def _renamed(self, level: Level) -> dict[str, str]:
        """The parameters of a level that have another name now."""
        if id(level) not in self.renamed:
            pairing = level.pairing
            pairs = ((pairing.old.units[a], pairing.new.units[b]) for a, b in pairing.to_new.items())
            found = {one.name: other.name for one, other in pairs if one.is_given and one.name != other.name}
            self.renamed[id(level)] = found
        return self.renamed[id(level)]

    # -- the picture

    def picture(self, summary: str) -> Picture:
        """Both in one."""
        counts = {self._frame(frame.id): frame.count for frame in self.old.frames}
        frames = {frame.id: _counted(frame, counts.get(frame.id, frame.count)) for frame in self.new.frames}
        for frame in self.old.frames:
            if self._frame(frame.id) not in frames:
                made = replace(frame, id=f"{OLD}{frame.id}", parent=self._frame(frame.parent))
                frames[made.id] = made
        items = list(self._items())
        known = {item.id for item in items}
        wires = [wire for wire in self._wires() if wire.source in known and wire.target in known]
        return Picture(
            self.new.name,
            f"{self.old.name} and {self.new.name}: {summary}",
            tuple(items),
            tuple(wires),
            tuple(sorted(frames.values(), key=lambda frame: frame.depth)),
            tuple(dict.fromkeys((*self.old.remarks, *self.new.remarks))),
        )

    def _frame(self, frame: str) -> str:
        """The frame that one of the old picture is in the new one, or under which it is kept."""
        twin = self._twin(frame) if frame else ""
        return twin if twin is not None and (not twin or twin in self.new.frame_by_id) else f"{OLD}{frame}"

    def _items(self) -> Iterator[Item]:
        """The new items, and after the twin of the one before it each old one that is gone."""
        gone: dict[str, list[Item]] = {}
        last = ""
        for item in self.old.items:
            if item.kind == "one":
                if self._is_needed(item):
                    gone.setdefault(last, []).append(self._gone(item))
            elif self.ids[item.id] in self.new.by_id:
                last = self.ids[item.id]
            else:
                gone.setdefault(last, []).append(self._gone(item))
        yield from gone.get("", ())
        for item in self.new.items:
            yield self._marked(item)
            yield from gone.get(item.id, ())

    def _gone(self, item: Item) -> Item:
        group = self._twin(item.group) if item.group else ""
        kept = replace(
            item,
            id=f"{OLD}{item.id}",
            frame=self._frame(item.frame) if item.frame else "",
            group=f"{OLD}{item.group}" if group is None else group,
        )
        return kept if item.kind in ("more", "one") else _toned(kept, REMOVED, ("removed", "removed"))

    def _kept(self, old_id: str) -> str:
        """The id of an old item in the picture: of its twin, or its own behind OLD."""
        now = self.ids[old_id]
        return now if now in self.new.by_id else f"{OLD}{old_id}"

    def _marked(self, item: Item) -> Item:
        """A new item with what happened to it."""
        if item.kind in ("more", "one"):
            return item
        twin = self.twins.get(item.id)
        if twin is None:
            return _toned(item, ADDED, ("new", "new"))
        around, _, name = twin.node.rpartition("/")
        level = self._at(f"{around}/" if around else "")[0]
        if level is None:
            return item
        change = self._told(level, name)
        said = list(_remarks(change, item))
        was = names.word("was ") + twin.label if change is not None and change.way == RENAMED else ""
        said += [(text, text) for text in self._held(level, name, item)]
        item, params = self._params(level, twin, item)
        if was:
            return _toned(item, RENAMED, *said, label=was)
        return _toned(item, CHANGED, *said) if said or params else item

    def _held(self, level: Level, name: str, item: Item) -> Iterator[str]:
        """What changed in a block or repeat."""
        for before, now, child in level.children:
            if before.name != name:
                continue
            if is_repeat(now) and rounds(before) != rounds(now):
                yield f"{rounds(before)} -> {rounds(now)} times"
            if item.kind == "fold" and _differs(child):
                yield "changed inside"

    def _params(self, level: Level, twin: Item, item: Item) -> tuple[Item, bool]:
        """The item with the shapes that its parameters had, and whether they had others."""
        renamed = self._renamed(level)
        before = {renamed.get(name, name): shape for name, shape in twin.params}
        pairs = [(name, before.get(name, shape), shape) for name, shape in item.params]
        said = tuple((n, shape if old == shape else f"{old} -> {shape}") for n, old, shape in pairs)
        return replace(item, params=said), said != item.params

    # -- wires

    def _wires(self) -> Iterator[Wire]:
        ones = {w.target: w.source for w in self.new.wires if self.new.by_id[w.source].kind == "one"}
        old: dict[tuple[str, str], Wire] = {}
        for wire in self.old.wires:
            target = self._kept(wire.target)
            source = self._kept(wire.source)
            if self.old.by_id[wire.source].kind == "one":
                source = ones.get(target, f"{OLD}{wire.source}")
            old[source, target] = wire
        for wire in self.new.wires:
            before = old.pop((wire.source, wire.target), None)
            yield replace(wire, tone=ADDED) if before is None else self._compared(before, wire)
        for (source, target), wire in old.items():
            yield replace(wire, id=f"{OLD}{source}->{target}", source=source, target=target, tone=REMOVED)

    def _is_needed(self, one: Item) -> bool:
        """Whether a constant 1 of the old picture has wires that the new one has not."""
        fed = {w.target for w in self.new.wires if self.new.by_id[w.source].kind == "one"}
        return any(self._kept(w.target) not in fed for w in self.old.wires if w.source == one.id)

    def _compared(self, before: Wire, now: Wire) -> Wire:
        """A wire of both, with both weights where they differ."""
        around, _, _ = self.old.by_id[before.target].node.rpartition("/")
        level = self._at(f"{around}/" if around else "")[0]
        renamed = {} if level is None else self._renamed(level)
        terms = [(t.number, renamed.get(t.param, t.param), t.index) for t in before.terms]
        if terms == [(t.number, t.param, t.index) for t in now.terms]:
            return now
        label = f"{before.label}\\to {now.label}" if before.label and now.label else now.label
        return replace(now, tone=CHANGED, label=label)


def _nodes(level: Level) -> Iterator[tuple[str, str]]:
    """The nodes of the old graph that are nodes of the new one: units, and unnamed values in the same
    places."""
    pairing = level.pairing
    for a, b in pairing.to_new.items():
        one, other = pairing.old.units[a], pairing.new.units[b]
        if one.result is None:
            yield one.node.name, other.node.name
            if one.circle is not None and other.circle is not None:
                yield one.circle.excitation.name, other.circle.excitation.name
        for before, now in together(pairing, a, b):
            if not pairing.old.is_named(before.name) and not pairing.new.is_named(now.name):
                yield before.name, now.name


def _differs(level: Level) -> bool:
    """Whether anything differs in a level or below; blocks nest to a bounded depth."""
    stack, seen = [level], {id(level)}
    while stack:
        each = stack.pop()
        if each.changes:
            return True
        below = [child for _, _, child in each.children if id(child) not in seen]
        seen |= set(map(id, below))
        stack += below
    return False


def _counted(frame: Frame, before: int) -> Frame:
    """The frame of a repeat, which was repeated so often before."""
    said = f"\\times {frame.count}"
    if before == frame.count or not frame.title.endswith(said):
        return frame
    return replace(frame, title=f"{frame.title.removesuffix(said)}\\times {before}\\to {frame.count}")


def _remarks(change: Change | None, item: Item) -> Iterator[tuple[str, str]]:
    """What is to be said of a value that changed, in full and in short; a circle says nothing of its layer's
    size."""
    for note in change.notes if change is not None else ():
        if item.index is None or note.what != "shape":
            yield note.text(), _middle(note).text()


def _middle(note: Note) -> Note:
    """A note without the words at the beginning and end that both texts have; where one of them has no
    others, the note as it is. Of calls that begin to differ at their names it says the names."""
    before, now = (re.findall(r"\w+|\W", text) for text in (note.before, note.now))
    if note.what or len(note.text()) <= LONGEST:
        return note
    while before and now and before[0] == now[0]:
        before, now = before[1:], now[1:]
    while before and now and before[-1] == now[-1]:
        before, now = before[:-1], now[:-1]
    texts = ["".join(before), "".join(now)]
    if any(text.count("(") != text.count(")") for text in texts):
        texts = [text.partition("(")[0] for text in texts]
    return Note("", *texts) if all(texts) and texts[0] != texts[1] else note


def _toned(item: Item, tone: str, *said: tuple[str, str], label: str = "") -> Item:
    """An item in the colour of what happened to it. said: remarks in full, told on demand, and in short,
    which stand on it; label: another one before them."""
    short = [text if len(text) <= LONGEST else "changed" for _, text in said]
    notes = [*([label] if label else []), *dict.fromkeys(map(_arrowed, short))]
    facts = tuple(("change", text) for text, _ in said)
    return replace(item, tone=tone, notes=(*item.notes, *notes), facts=(*item.facts, *facts))


def _arrowed(text: str) -> str:
    """A remark as a label, with arrows for `->`."""
    return r"\ \to \ ".join(names.word(part) for part in text.split(" -> "))
