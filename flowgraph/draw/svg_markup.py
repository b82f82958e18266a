"""A scene as svg inside of a page: real text, and every shape tied to what it shows.

Assumes a page that defines the classes: `k-ROLE` for colours (`html.colours`), `shape`, `line`, `head`,
`halo`, and the fonts. Promises well-formed XML, the scene's geometry to PLACES decimals, the drawing order of
`scene`, one element for each item, wire and frame with `data-id` and `data-r`, the number of its record, and
no text but through `escaped`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence

from .geometry import Point, Rect
from .measure import FONTS, LAST, measure
from .names import COMMA, runs
from .picture import Item
from .scene import Arrow, Box, Circle, Curve, Panel, Scene, Text
from .theme import LIGHT, Style

PLACES = 2
STYLES = LIGHT
"""Widths and dashes are the same in all themes; only colours are left to the page."""
GRAB = 9
"""Width of the unseen line that makes a wire easy to point at."""
CLASSES = {FONTS["roman"]: "", FONTS["italic"]: "i", FONTS["bold"]: "b", LAST: "s"}
"""Of a font's file, the class of text in it."""
UNFIT = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML has no way to write."""

Told = Mapping[str, tuple[int, str]]
"""By id: the number of its record, and what it is called aloud."""


def markup(scene: Scene, told: Told, moves: Iterable[str] = ()) -> str:
    """The svg element. told: of everything in the scene; moves: the blocks that fold and unfold."""
    picture = scene.picture
    texts: dict[str, list[Text]] = {}
    for text in scene.texts:
        texts.setdefault(text.owner, []).append(text)
    curves: dict[str, list[Curve]] = {}
    for curve in scene.curves:
        curves.setdefault(curve.owner, []).append(curve)
    moving = frozenset(moves)
    width, height = number(scene.width), number(scene.height)
    out = [
        f'<svg class="page" viewBox="0 0 {width} {height}" width="{width}pt" height="{height}pt" '
        f'data-width="{width}" data-height="{height}" role="group" aria-label="{escaped(picture.name)}">',
        f"<title>{escaped(picture.name)}</title>",
        f"<desc>{escaped(described(scene))}</desc>",
        '<g class="frames">',
        *(_frame(panel, told, moving) for panel in scene.frames),
        '</g><g class="wires">',
        *(_wire(arrow, told) for arrow in scene.arrows),
        '</g><g class="items">',
    ]
    for item in picture.items:
        shape = scene.shapes[item.id]
        out.append(_item(item, shape, curves.get(item.id, ()), texts.get(item.id, ()), told, moving))
    out.append('</g><g class="labels">')
    for owner, said in texts.items():
        if owner not in picture.by_id:
            kind = "label" if owner in picture.frame_by_id else "label of-wire"
            inside = "".join(_text(text) for text in said)
            out.append(f'<g class="{kind}" {_tie(owner, told)}>{inside}</g>')
    out.append("</g></svg>")
    return "\n".join(out)


def described(scene: Scene) -> str:
    """What a picture holds, in one sentence after the diagram's own text."""
    picture = scene.picture
    counts = [(len(picture.items), "item"), (len(picture.wires), "wire"), (len(picture.frames), "open block")]
    said = ", ".join(f"{n} {word}{'s' if n != 1 else ''}" for n, word in counts if n)
    flow = "The backward flow of a diagram" if picture.is_backward else "A flow diagram"
    return f"{picture.doc + '. ' if picture.doc else ''}{flow}: {said or 'nothing'}."


def escaped(text: str) -> str:
    """Any text, fit for XML and HTML, in elements and in quoted attributes."""
    return html.escape(UNFIT.sub("\ufffd", text), quote=True)


def number(value: float) -> str:
    """A coordinate, without trailing zeros and without a minus before 0."""
    text = f"{value:.{PLACES}f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


# ---------------------------------------------------------------------------------------
# Things


def _tie(owner: str, told: Told) -> str:
    return f'data-id="{escaped(owner)}" data-r="{told[owner][0]}"'


def _button(owner: str, told: Told, more: str = "") -> str:
    """What makes an element one that the keyboard reaches and a screen reader speaks of."""
    return f'{_tie(owner, told)} tabindex="0" role="button" aria-label="{escaped(told[owner][1])}"{more}'


def _frame(panel: Panel, told: Told, moving: frozenset[str]) -> str:
    shape = _rect(panel.rect, panel.corner, panel.role)
    tie = _button(panel.owner, told, ' aria-expanded="true"' if panel.owner in moving else "")
    return f'<g class="frame" {tie}>{shape}</g>'


def _item(
    item: Item, shape: Circle | Box, curves: Sequence[Curve], texts: Sequence[Text], told: Told,
    moving: frozenset[str],
) -> str:  # fmt: skip
    more = ' aria-expanded="false"' if item.id in moving else ""
    if isinstance(shape, Circle):
        x, y, r = number(shape.x), number(shape.y), number(shape.radius)
        outline = (
            f'<circle class="shape k-{shape.role}" cx="{x}" cy="{y}" r="{r}"{_pen(STYLES[shape.role])}/>'
        )
    else:
        outline = _rect(shape.rect, shape.corner, shape.role)
    inside = "".join(_curve(curve) for curve in curves) + "".join(_text(text) for text in texts)
    return f'<g class="item" {_button(item.id, told, more)}>{outline}{inside}</g>'


def _wire(arrow: Arrow, told: Told) -> str:
    style = STYLES[arrow.role]
    path = bezier(arrow.points)
    pen = f' stroke-width="{number(arrow.width)}"{_dash(style.dash)}'
    faint = f' opacity="{number(arrow.strength)}"' if arrow.strength < 1 else ""
    head = ""
    if arrow.head:
        corners = " ".join(f"{number(x)},{number(y)}" for x, y in arrow.head)
        head = f'<polygon class="head k-{arrow.role}" points="{corners}"{faint}/>'
    return (
        f'<g class="wire" {_tie(arrow.owner, told)} data-from="{escaped(arrow.source)}" '
        f'data-to="{escaped(arrow.target)}"><path class="grab" d="{path}" stroke-width="{GRAB}"/>'
        f'<path class="line k-{arrow.role}" d="{path}"{pen}{faint}/>{head}</g>'
    )


def _rect(rect: Rect, corner: float, role: str) -> str:
    size = f'width="{number(rect.width)}" height="{number(rect.height)}" rx="{number(corner)}"'
    corner_at = f'x="{number(rect.x0)}" y="{number(rect.y0)}"'
    return f'<rect class="shape k-{role}" {corner_at} {size}{_pen(STYLES[role])}/>'


def _curve(curve: Curve) -> str:
    points = " ".join(f"{number(x)},{number(y)}" for x, y in curve.points)
    return f'<polyline class="line k-{curve.role}" points="{points}" stroke-width="{number(curve.width)}"/>'


def _pen(style: Style) -> str:
    return f' stroke-width="{number(style.width)}"{_dash([d * style.width for d in style.dash])}'


def _dash(lengths: Sequence[float]) -> str:
    return f' stroke-dasharray="{" ".join(number(d) for d in lengths)}"' if lengths else ""


def bezier(points: Sequence[Point]) -> str:
    """The data of a path along a chain of cubic Béziers."""
    first, *rest = [f"{number(x)} {number(y)}" for x, y in points]
    return f"M{first}C{' '.join(rest)}" if rest else f"M{first}"


# ---------------------------------------------------------------------------------------
# Texts


def _text(text: Text) -> str:
    """Each piece of one font at the place that was measured for it; a space stands where there is room."""
    halo = " halo" if text.halo else ""
    out = []
    for x, y, file, size, letters in _pieces(text):
        font = f' class="{CLASSES[file]}"' if CLASSES[file] else ""
        scaled = f' font-size="{number(size)}"' if size != text.size else ""
        out.append(f'<tspan x="{number(x)}" y="{number(y)}"{font}{scaled}>{escaped(letters)}</tspan>')
    return f'<text class="k-{text.role}{halo}" font-size="{number(text.size)}">{"".join(out)}</text>'


def _pieces(text: Text) -> list[tuple[float, float, str, float, str]]:
    """Of each piece: where it begins, its font, its size and its letters.

    Two that stand apart, as words do, have a space between them: it takes no part in where they stand, and
    is there for who searches or copies.
    """
    gaps, end = set(), 0
    for run in runs(text.tex):
        if run.space > COMMA and end:
            gaps.add(end)
        end += len(run.text)
    out, at = [], 0
    for piece in measure(text.tex, text.size).pieces:
        at += len(piece.text)
        letters = piece.text + (" " if at in gaps else "")
        out.append((text.x + piece.dx, text.y + piece.dy, piece.file, piece.size, letters))
    return out
