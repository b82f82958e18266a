"""From a picture to a page: sizes, layout, labels, arrowheads.

Promises a Scene without faults (`scene.faults`) for pictures of up to 40 circles: where labels find no room
the
drawing is spread until they do. Of larger ones labels that still find none after SPREADS are left out, and a
remark says how many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ..parse import paused_collector
from .bundle import thinned
from .geometry import Point, Rect, around, around_points, flattened, pieces, point_at, split
from .labels import Wanted, place_labels
from .layout import layout
from .looks import THIN, item_role, label_role, wire_label, wire_look
from .measure import measure
from .picture import Picture, Wire
from .placed import Placed
from .scene import Arrow, Box, Circle, Curve, Panel, Scene, Text
from .sizes import CORNER, TITLE, WEIGHT, Sized, sized
from .titles import titles

SPREADS = (1.0, 1.15, 1.35, 1.6, 2.0, 2.5)
"""How far a drawing is spread, until all labels have room."""
TRIES = (*((s, False) for s in SPREADS[:4]), *((s, True) for s in SPREADS))
"""Spreads, first without labels that stand on their wires: they are harder to read."""
MANY, TRIES_OF_MANY = 200, ((1.0, True), (1.5, True))
SPARED = 0.01
"""With more labels than MANY a drawing is spread once, and not for so small a share of those beyond."""
EDGE = 14.0
"""The empty rim of the page."""
HEAD, HEAD_WIDTH = 7.0, 2.6
"""Length and half the width of an arrowhead on the thinnest line."""
NOTCH = 1.6
"""How far the line reaches into its head."""


def compose(picture: Picture) -> Scene:
    """The page of a picture. Raises FlowError (E0605) where Graphviz is needed and not installed."""
    with paused_collector():
        return _composed(picture)


def _composed(picture: Picture) -> Scene:
    picture, crowded = thinned(picture)
    sizes = sized(picture.items)
    best: tuple[int, Placed, dict[str, Rect]] | None = None
    wanted_count = sum(1 for w in picture.wires if wire_label(picture, w))
    known: dict[float, Placed] = {}
    for spread, on_wires in TRIES if wanted_count <= MANY else TRIES_OF_MANY:
        if spread not in known:
            known[spread] = layout(picture, sizes, spread)
        labels = _labels(picture, known[spread], sizes, on_wires=on_wires)
        missing = wanted_count - len(labels)
        if best is None or missing < best[0]:
            best = missing, known[spread], labels
        if missing <= SPARED * max(wanted_count - MANY, 0):
            break
    assert best is not None
    missing, placed, labels = best
    missing += crowded
    if missing:
        said = f"{missing} weights are not shown: there is no room beside their wires"
        picture = replace(picture, remarks=(*picture.remarks, said))
    return _scene(picture, placed, sizes, labels)


def _labels(picture: Picture, placed: Placed, sizes: dict[str, Sized], *, on_wires: bool) -> dict[str, Rect]:
    wanted = [
        Wanted(wire.id, measure(wire_label(picture, wire), WEIGHT), _flow(wire, placed))
        for wire in picture.wires
        if wire_label(picture, wire)
    ]
    if not wanted:
        return {}
    taken: list[Rect] = [rect for rect, _ in titles(picture, placed).values()]
    discs = []
    for item in picture.items:
        own, (x, y) = sizes[item.id], placed.positions[item.id]
        if own.radius:
            discs.append(((x, y), own.radius))
        else:
            taken.append(Rect(x - own.width / 2, y - own.height / 2, x + own.width / 2, y + own.height / 2))
        taken += [line.rect.moved(x, y) for line in own.lines if not line.inside]
    # In the backward flow the wires that take no part are pale and have no labels: others may lie on them.
    pale = {w.id for w in picture.wires if picture.is_backward and not w.is_backward}
    return place_labels(wanted, taken, discs, placed.routes, pale, on_wires=on_wires)


def _flow(wire: Wire, placed: Placed) -> tuple[Point, ...]:
    """The route of a wire in the direction of its arrow."""
    route = placed.routes[wire.id]
    return route[::-1] if wire.is_backward else route


# ---------------------------------------------------------------------------------------
# The page


def _scene(picture: Picture, placed: Placed, sizes: dict[str, Sized], labels: dict[str, Rect]) -> Scene:
    arrows = tuple(_arrow(picture, wire, _flow(wire, placed)) for wire in picture.wires)
    circles, boxes, curves, texts = [], [], [], []
    for item in picture.items:
        own, (x, y) = sizes[item.id], placed.positions[item.id]
        role = item_role(item)
        if own.radius:
            circles.append(Circle(item.id, x, y, own.radius, role))
        else:
            rect = Rect(x - own.width / 2, y - own.height / 2, x + own.width / 2, y + own.height / 2)
            boxes.append(Box(item.id, rect, CORNER if item.kind != "fold" else CORNER * 1.6, role))
        for stroke in own.strokes:
            points = tuple((x + px, y + py) for px, py in stroke.points)
            curves.append(Curve(item.id, points, stroke.role, stroke.width))
        for line in own.lines:
            texts.append(
                Text(item.id, line.tex, x + line.x, y + line.y, line.size, line.rect.moved(x, y), line.role,
                     inside=line.inside, halo=not line.inside)
            )  # fmt: skip
    panels = [Panel(f.id, placed.frames[f.id], CORNER * 1.6, f.kind, f.depth) for f in picture.frames]
    for name, (rect, is_crossed) in titles(picture, placed).items():
        title = picture.frame_by_id[name].title
        said = measure(title, TITLE)
        x, y = rect.x0 + said.left, rect.y0 + said.up
        texts.append(Text(name, title, x, y, TITLE, rect, "title", inside=True, halo=is_crossed))
    for wire in picture.wires:
        if wire.id in labels:
            texts.append(_weight(picture, wire, labels[wire.id]))
    return _on_page(
        Scene(picture, 0, 0, tuple(panels), arrows, tuple(circles), tuple(boxes), tuple(curves), tuple(texts))
    )


def _weight(picture: Picture, wire: Wire, rect: Rect) -> Text:
    tex = wire_label(picture, wire)
    said = measure(tex, WEIGHT)
    role = label_role(picture, wire)
    return Text(wire.id, tex, rect.x0 + said.left, rect.y0 + said.up, WEIGHT, rect, role, halo=True)


def _arrow(picture: Picture, wire: Wire, route: tuple[Point, ...]) -> Arrow:
    """The line of a wire up to its head, and the head; reversed where the gradient flows back."""
    source, target = wire.source, wire.target
    if wire.is_backward:
        source, target = target, source
    role, width, sign = wire_look(picture, wire)
    length = HEAD + 1.5 * (width - THIN)
    body, tip, direction = _cut(route, length - NOTCH)
    wide = HEAD_WIDTH + 0.9 * (width - THIN)
    base = (tip[0] - direction[0] * length, tip[1] - direction[1] * length)
    head = (
        tip,
        (base[0] - direction[1] * wide, base[1] + direction[0] * wide),
        (base[0] + direction[0] * NOTCH, base[1] + direction[1] * NOTCH),
        (base[0] + direction[1] * wide, base[1] - direction[0] * wide),
    )
    return Arrow(wire.id, source, target, body, head, width, role, sign, wire.strength)


def _cut(route: tuple[Point, ...], length: float) -> tuple[tuple[Point, ...], Point, Point]:
    """The route without its last piece of a length, its end, and the direction of an arrowhead there."""
    tip = route[-1]
    chain = list(pieces(route))
    while len(chain) > 1 and all(math.dist(p, tip) < length for p in chain[-1]):
        chain.pop()
    last = chain[-1]
    low, high = 0.0, 1.0
    if math.dist(last[0], tip) <= length:
        high = 0.0
    for _ in range(40 if high else 0):
        middle = (low + high) / 2
        if math.dist(point_at(last, middle), tip) > length:
            low = middle
        else:
            high = middle
    first = split(last, high)[0] if high else (last[0],) * 4
    body = [p for piece in chain[:-1] for p in piece[:3]]
    end = first[-1]
    away = math.dist(end, tip) or 1.0
    direction = ((tip[0] - end[0]) / away, (tip[1] - end[1]) / away)
    return (*body, *first), tip, direction


def _on_page(scene: Scene) -> Scene:
    """The scene moved so that all of it lies on the page, with a rim."""
    rects = [t.rect for t in scene.texts] + [b.rect for b in scene.boxes] + [p.rect for p in scene.frames]
    rects += [Rect(c.x - c.radius, c.y - c.radius, c.x + c.radius, c.y + c.radius) for c in scene.circles]
    rects += [around_points([*flattened(a.points), *a.head]) for a in scene.arrows]
    if not rects:
        return replace(scene, width=2 * EDGE, height=2 * EDGE)
    whole = around(rects)
    dx, dy = EDGE - whole.x0, EDGE - whole.y0

    def moved(points: Sequence[Point]) -> tuple[Point, ...]:
        return tuple((x + dx, y + dy) for x, y in points)

    return replace(
        scene,
        width=whole.width + 2 * EDGE,
        height=whole.height + 2 * EDGE,
        frames=tuple(replace(p, rect=p.rect.moved(dx, dy)) for p in scene.frames),
        arrows=tuple(replace(a, points=moved(a.points), head=moved(a.head)) for a in scene.arrows),
        circles=tuple(replace(c, x=c.x + dx, y=c.y + dy) for c in scene.circles),
        boxes=tuple(replace(b, rect=b.rect.moved(dx, dy)) for b in scene.boxes),
        curves=tuple(replace(c, points=moved(c.points)) for c in scene.curves),
        texts=tuple(replace(t, x=t.x + dx, y=t.y + dy, rect=t.rect.moved(dx, dy)) for t in scene.texts),
    )
