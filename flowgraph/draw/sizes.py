"""How large items are, and where their texts and curves stand in them.

Assumes a Picture. Everything is relative to the item's centre, y downwards, in points. Promises that what
stands in an outline lies within it, by the fonts' own metrics, and that all circles of a kind are equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from . import names
from .geometry import Point, Rect, around
from .measure import Measured, measure
from .names import Tex
from .picture import Item

NAME, OPERATION, SHAPE, PARAM, NOTE, WEIGHT, TITLE = 14.0, 11.0, 9.5, 9.5, 9.5, 10.5, 11.0
"""Sizes of fonts, by what they are for."""
RADIUS, LARGEST, ONE = 21.0, 34.0, 10.0
"""Of circles: the least, the most that a name may ask for, and that of the constant 1."""
ICON = (24.0, 12.0)
"""Width and height of a nonlinearity below a name; alone it is half as large again."""
DOT = 2.0
"""The radius of the mark on a nonlinearity, about."""
RIM = 2.5
"""Room between a circle and what stands in it."""
PAD_X, PAD_Y, LEADING = 9.0, 7.0, 2.5
LEAST_WIDTH, LEAST_HEIGHT = 44.0, 26.0
CORNER = 5.0
MOST_PARAMS = 4
UP, DOWN = 0.69, 0.21
"""Of a line of text without unusual letters, in the size of its font: so that baselines are level."""


@dataclass(frozen=True)
class Line:
    """A text: the left end of its baseline, from the item's centre."""

    tex: Tex
    size: float
    role: str
    x: float
    y: float
    inside: bool = True

    @property
    def rect(self) -> Rect:
        return measure(self.tex, self.size).rect(self.x, self.y)


@dataclass(frozen=True)
class Stroke:
    """A polyline within an item."""

    points: tuple[Point, ...]
    role: str
    width: float


@dataclass(frozen=True)
class Sized:
    """An item with its outline: `radius` of a circle, else half of `width` and `height`.

    extent: the rectangle of everything that belongs to it, texts outside of the outline included.
    """

    item: Item
    width: float
    height: float
    radius: float = 0.0
    lines: tuple[Line, ...] = ()
    strokes: tuple[Stroke, ...] = ()
    extent: Rect = field(default=Rect(0, 0, 0, 0))


def sized(items: Iterable[Item]) -> dict[str, Sized]:
    """All items with their sizes, by id."""
    items = list(items)
    circles = [i for i in items if i.is_circle and i.kind != "one"]
    radius = max([RADIUS, *(min(_radius_wanted(i), LARGEST) for i in circles)])
    out: dict[str, Sized] = {}
    for item in items:
        if item.kind == "more":
            found = _more(item)
        elif item.kind == "one":
            found = _circle(item, ONE)
        elif item.is_circle:
            found = _circle(item, radius)
        else:
            found = _box(item)
        out[item.id] = found
    return out


def _ups_and_downs(said: Measured, size: float) -> tuple[float, float]:
    """How far a line reaches above and below its baseline: mostly the same for all of a size."""
    return max(said.up, UP * size), max(said.down, DOWN * size)


# ---------------------------------------------------------------------------------------
# Circles


def _radius_wanted(item: Item) -> float:
    label, icon = _inside(item)
    return _reach(_stacked(label, icon, NAME)) + RIM


def _inside(item: Item) -> tuple[Measured | None, tuple[float, float] | None]:
    """The name, and the size of the nonlinearity below it."""
    label = measure(item.label, NAME) if item.label else None
    icon = None
    if item.curve is not None:
        icon = ICON if label is not None else (ICON[0] * 1.25, ICON[1] * 1.6)
    elif item.symbol:
        said = measure(item.symbol, SHAPE)
        icon = (said.left + said.right, said.height)
    return label, icon


def _stacked(label: Measured | None, icon: tuple[float, float] | None, size: float) -> list[Rect]:
    """The rectangles of name and nonlinearity, one above the other around the centre."""
    high = sum(_ups_and_downs(label, size)) if label else 0.0
    tops = [*([high] if label else []), *([icon[1]] if icon else [])]
    gap = 2.0
    total = sum(tops) + gap * (len(tops) - 1)
    at = -total / 2
    out = []
    for width, height in [
        *([(label.left + label.right, high)] if label else []),
        *([icon] if icon else []),
    ]:
        out.append(Rect(-width / 2, at, width / 2, at + height))
        at += height + gap
    return out


def _reach(rects: Sequence[Rect]) -> float:
    return max((math.hypot(max(-r.x0, r.x1), max(-r.y0, r.y1)) for r in rects), default=0.0)


def _circle(item: Item, radius: float) -> Sized:
    size = NAME if item.kind != "one" else OPERATION
    label, icon = _inside(item) if item.kind != "one" else (measure(item.label, size), None)
    rects = _stacked(label, icon, size)
    lines: list[Line] = []
    strokes: list[Stroke] = []
    below = radius + 4.0
    role = "name"
    if label is not None and _reach(rects) + min(RIM, 1.0) > radius:
        if icon is not None and item.curve is not None:
            icon = (ICON[0] * 1.25, ICON[1] * 1.6)
        rects = [Rect(0, 0, 0, 0), *_stacked(None, icon, size)]
        lines.append(Line(item.label, size, role, -(label.right - label.left) / 2, below + label.up, False))
        below += label.height + LEADING
    elif label is not None:
        lines.append(_set(item.label, size, role, rects[0]))
    if icon is not None and item.curve is not None:
        strokes = _icon(item, rects[-1])
    elif icon is not None:
        lines.append(_set(item.symbol, SHAPE, "operation", rects[-1]))
    for note, note_role in notes_of(item):
        said = measure(note, NOTE)
        lines.append(Line(note, NOTE, note_role, -(said.right - said.left) / 2, below + said.up, False))
        below += said.height + 2.0
    return _with_extent(Sized(item, 2 * radius, 2 * radius, radius, tuple(lines), tuple(strokes)))


def _set(tex: Tex, size: float, role: str, rect: Rect) -> Line:
    """A text whose ink fills a rectangle."""
    said = measure(tex, size)
    up, down = _ups_and_downs(said, size)
    return Line(tex, size, role, rect.x0 + said.left, rect.y0 + (rect.height - up - down) / 2 + up)


def _icon(item: Item, rect: Rect) -> list[Stroke]:
    """Axes and graph of a nonlinearity in a rectangle."""
    assert item.curve is not None
    cx, cy = rect.center
    half_w, half_h = rect.width / 2, rect.height / 2
    axis = cy - item.curve.axis * half_h
    graph = tuple((cx + x * half_w, cy - y * half_h) for x, y in item.curve.points)
    strokes = [
        Stroke(((rect.x0, axis), (rect.x1, axis)), "axis", 0.6),
        Stroke(((cx, rect.y0), (cx, rect.y1)), "axis", 0.6),
        Stroke(graph, "curve", 1.5),
    ]
    if item.mark is not None and math.isfinite(item.mark):
        x, y = item.curve.at(item.mark)
        strokes.append(_dot(cx + x * half_w, cy - y * half_h))
    return strokes


def _dot(x: float, y: float) -> Stroke:
    """A small disc: a ring whose line is as wide as its hole."""
    corners = [n * math.tau / 12 for n in range(13)]
    ring = tuple((x + DOT / 2 * math.cos(a), y + DOT / 2 * math.sin(a)) for a in corners)
    return Stroke(ring, "mark", DOT * 1.1)


def _more(item: Item) -> Sized:
    dots, count = measure(item.label, 20.0), measure(f"+{item.count}", SHAPE)
    width = max(dots.left + dots.right, count.left + count.right) + 4
    height = dots.height + count.height + 4 + 4
    top = -height / 2 + 2
    lines = (
        Line(item.label, 20.0, "count", -(dots.right - dots.left) / 2, top + dots.up),
        Line(
            f"+{item.count}",
            SHAPE,
            "count",
            -(count.right - count.left) / 2,
            top + dots.height + 4 + count.up,
        ),
    )
    return _with_extent(Sized(item, width, height, 0.0, lines))


# ---------------------------------------------------------------------------------------
# Boxes


def _box(item: Item) -> Sized:
    """Name, operation and shape one below the other, the parameters to their right."""
    left = [(t, s, r) for t, s, r in lines_of(item) if t]
    right = [(t, PARAM, "param") for t in params_of(item)]
    wide, high = _column_size(left)
    param_wide, param_high = _column_size(right)
    width = max(wide + 2 * PAD_X, LEAST_WIDTH)
    height = max(high, param_high) + 2 * PAD_Y
    height = max(height, LEAST_HEIGHT)
    total = width + (param_wide + 2 * PAD_X - 2 if right else 0)
    lines = _column(left, -total / 2 + width / 2, high, centred=True)
    strokes: list[Stroke] = []
    if right:
        at = -total / 2 + width
        strokes.append(Stroke(((at, -height / 2 + 4), (at, height / 2 - 4)), "axis", 0.6))
        lines += _column(right, at + PAD_X - 2, param_high, centred=False)
    return _with_extent(Sized(item, total, height, 0.0, tuple(lines), tuple(strokes)))


def lines_of(item: Item) -> list[tuple[Tex, float, str]]:
    """What stands in a box, one below the other: label ("" for none), size and role."""
    operation = NAME - 1.5 if not item.label else OPERATION
    found = [(item.label, NAME, "name"), (item.operation, operation, "operation")]
    found.append((names.word(item.shape), SHAPE, "shape"))
    return [*found, *((note, NOTE, role) for note, role in notes_of(item))]


def notes_of(item: Item) -> list[tuple[Tex, str]]:
    """The lines that overlays add, and their roles."""
    back = [(tex, "gradient") for tex in (item.slope, item.gradient) if tex]
    return [*((note, "note") for note in item.notes), *back]


def params_of(item: Item) -> list[Tex]:
    """The parameters beside it, without the prefix that is its name, the first MOST_PARAMS."""
    out = []
    for name, shape in item.params[:MOST_PARAMS]:
        short = name.removeprefix(f"{item.name}.") if item.name else name
        label = names.name(short)
        out.append(label + names.word(f" {shape}") if shape else label)
    rest = len(item.params) - MOST_PARAMS
    return [*out, names.word(f"+{rest} more")] if rest > 0 else out


def _column_size(texts: Sequence[tuple[Tex, float, str]]) -> tuple[float, float]:
    found = [measure(t, s) for t, s, _ in texts]
    if not found:
        return 0.0, 0.0
    high = sum(sum(_ups_and_downs(m, size)) for m, (_, size, _) in zip(found, texts, strict=True))
    return max(m.left + m.right for m in found), high + LEADING * (len(found) - 1)


def _column(texts: Sequence[tuple[Tex, float, str]], x: float, height: float, *, centred: bool) -> list[Line]:
    """Texts one below the other; x: their middle, or their left."""
    out, at = [], -height / 2
    for tex, size, role in texts:
        said = measure(tex, size)
        left = x - (said.right - said.left) / 2 if centred else x + said.left
        up, down = _ups_and_downs(said, size)
        out.append(Line(tex, size, role, left, at + up))
        at += up + down + LEADING
    return out


def _with_extent(found: Sized) -> Sized:
    half_w, half_h = found.width / 2, found.height / 2
    rects = [Rect(-half_w, -half_h, half_w, half_h), *(line.rect for line in found.lines)]
    return Sized(
        found.item, found.width, found.height, found.radius, found.lines, found.strokes, around(rects)
    )
