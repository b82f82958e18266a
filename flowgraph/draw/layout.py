"""Positions and routes: the one function around the engines.

Pictures of circles without frames are placed in columns by depth (`place`); all others by Graphviz's dot,
which
comes inside of the wheel of pygraphviz 2 (the extra `draw`). Promises the same result for the same picture,
no two
items in one place, and routes that begin and end at outlines. spacing 1 is the least; a larger one
gives labels more room.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import fail
from .geometry import Point, Rect, line_distance, line_meets_rect, straight
from .looks import wire_label
from .measure import measure
from .picture import Frame, Picture, Wire
from .place import Columns, place
from .sizes import TITLE, WEIGHT, Sized

ROW_GAP, COLUMN_GAP, WIDEST_GAP = 26.0, 104.0, 300.0
"""Between circles of a column, and between columns: the least, and the most that steep wires may ask for."""
ROOMY = 1.4
"""Local factors are long: between wires that fan out they need more room than their own."""
STEEP, STEEP_NOTED = 0.5, 0.7
"""A gap is at least this share of the greatest height that a wire climbs in it; more where there are notes
below circles, which steep wires would cross."""
CLEAR = 4.0
"""Least distance of an arrow from a circle that it does not touch."""
NODE_GAP, RANK_GAP, TIGHT_RANK_GAP = 26.0, 96.0, 30.0
"""dot's: between items of a rank; between ranks with labels on the wires, and without."""
SLIDE = (960.0, 540.0)
"""Boxes flow downwards, or to the right where the page then fits a slide better,"""
PREFERRED = 1.15
"""by so much."""
LARGE = 400
"""From so many items on, dot takes less trouble."""


@dataclass
class Placed:
    """positions: centres of items; routes: chains of Béziers from outline to outline; frames. All by id."""

    positions: dict[str, Point]
    routes: dict[str, tuple[Point, ...]]
    frames: dict[str, Rect] = field(default_factory=dict)


def layout(picture: Picture, sizes: Mapping[str, Sized], spacing: float = 1.0) -> Placed:
    """Where everything stands. Raises FlowError (E0605) where Graphviz is needed and not installed."""
    if not picture.items:
        return Placed({}, {})
    if any(i.is_circle for i in picture.items) and not picture.frames:
        return _in_columns(picture, sizes, spacing)
    return _by_dot(picture, sizes, spacing)


# ---------------------------------------------------------------------------------------
# Columns


def _in_columns(picture: Picture, sizes: Mapping[str, Sized], spacing: float) -> Placed:
    extents = {i.id: (-sizes[i.id].extent.y0, sizes[i.id].extent.y1) for i in picture.items}
    noted = [i.id for i in picture.items if i.is_circle and (i.notes or i.gradient)]
    lowest = max((extents[name][1] for name in noted), default=0.0)
    extents |= {name: (extents[name][0], lowest) for name in noted}  # so that rows stay level
    found = place(picture.items, picture.wires, extents, ROW_GAP * spacing)
    half = [
        max([max(-sizes[n].extent.x0, sizes[n].extent.x1) for n in column if n in sizes], default=0.0)
        for column in found.order
    ]
    xs = _column_places(picture, found, half, spacing)
    positions = {i.id: (xs[found.slots[i.id].column], found.slots[i.id].y) for i in picture.items}
    routes = {w.id: _route(w, found, positions, xs, half, sizes) for w in picture.wires}
    return Placed(positions, routes)


def _column_places(picture: Picture, found: Columns, half: list[float], spacing: float) -> list[float]:
    """The middle of each column."""
    gaps = [COLUMN_GAP] * max(len(half) - 1, 0)
    steep = STEEP_NOTED if any(item.notes for item in picture.items) else STEEP
    for wire in picture.wires:
        ends = [wire.source, *found.chains[wire.id], wire.target]
        label = wire_label(picture, wire)
        room = measure(label, WEIGHT).width * (ROOMY if wire.is_backward else 1.0) + 44 if label else 0.0
        for a, b in itertools.pairwise(ends):
            one, two = found.slots[a], found.slots[b]
            at = min(one.column, two.column)
            if one.column == two.column:
                continue
            climb = steep * abs(one.y - two.y) if len(ends) == 2 else 0.0
            gaps[at] = max(gaps[at], room, min(climb, WIDEST_GAP))
    xs = [half[0]]
    for number, gap in enumerate(gaps):
        xs.append(xs[-1] + half[number] + gap * spacing + half[number + 1])
    return xs


def _route(
    wire: Wire, found: Columns, positions: Mapping[str, Point], xs: list[float], half: list[float],
    sizes: Mapping[str, Sized],
) -> tuple[Point, ...]:  # fmt: skip
    a, b = positions[wire.source], positions[wire.target]
    start, end = outline_point(sizes[wire.source], a, b), outline_point(sizes[wire.target], b, a)
    if _is_free(wire, start, end, found, positions, sizes):
        return straight(start, end)
    forward = 1.0 if b[0] >= a[0] else -1.0
    first, last = found.slots[wire.source].column, found.slots[wire.target].column
    points = [
        (a[0] + forward * sizes[wire.source].width / 2, a[1]),
        (xs[first] + forward * half[first], a[1]),
    ]
    for name in found.chains[wire.id]:
        slot = found.slots[name]
        points += [(xs[slot.column] + side * forward * half[slot.column], slot.y) for side in (-1, 1)]
    points += [
        (xs[last] - forward * half[last], b[1]),
        (b[0] - forward * sizes[wire.target].width / 2, b[1]),
    ]
    points = [p for n, p in enumerate(points) if not n or math.dist(p, points[n - 1]) > 1e-6]
    path = [points[0]]
    for p, q in itertools.pairwise(points):
        middle = (p[0] + q[0]) / 2
        path += [(middle, p[1]), (middle, q[1]), q]
    return tuple(path)


def _is_free(
    wire: Wire,
    start: Point,
    end: Point,
    found: Columns,
    positions: Mapping[str, Point],
    sizes: Mapping[str, Sized],
) -> bool:
    """Whether the straight line keeps clear of all other items of the columns that it crosses."""
    line = [start, end]
    for name in (wire.source, *found.chains[wire.id], wire.target):
        for other in found.order[found.slots[name].column]:
            if other in (wire.source, wire.target) or other not in sizes:
                continue
            x, y = positions[other]
            own = sizes[other]
            if own.radius and line_distance((x, y), line) < own.radius + CLEAR:
                return False
            if not own.radius and line_meets_rect(line, own.extent.moved(x, y).grown(CLEAR)):
                return False
    return True


def outline_point(own: Sized, at: Point, towards: Point) -> Point:
    """Where the line from an item's centre to a point leaves its outline."""
    dx, dy = towards[0] - at[0], towards[1] - at[1]
    length = math.hypot(dx, dy) or 1.0
    if own.radius:
        return at[0] + dx / length * own.radius, at[1] + dy / length * own.radius
    across = (own.width / 2) / abs(dx) if dx else math.inf
    down = (own.height / 2) / abs(dy) if dy else math.inf
    share = min(across, down)
    return at[0] + dx * share, at[1] + dy * share


# ---------------------------------------------------------------------------------------
# dot


def _by_dot(picture: Picture, sizes: Mapping[str, Sized], spacing: float) -> Placed:
    try:
        import pygraphviz
    except ImportError:
        raise fail(
            "E0605",
            "pictures of layers are laid out by Graphviz, and pygraphviz is not installed",
            help="pip install 'flowgraph[draw]'",
        ) from None
    has_circles = any(i.is_circle for i in picture.items)
    numbers = {item.id: f"n{n}" for n, item in enumerate(picture.items)}
    found = []
    for direction in ("LR",) if has_circles else ("TB",) if len(picture.items) > LARGE else ("TB", "LR"):
        graph = pygraphviz.AGraph(string=_dot_text(picture, sizes, spacing, numbers, direction))
        graph.layout(prog="dot")
        x0, y0, x1, y1 = map(float, graph.graph_attr["bb"].split(","))
        found.append((min(SLIDE[0] / (x1 - x0), SLIDE[1] / (y1 - y0)), graph))
    best = found[-1] if found[-1][0] > PREFERRED * found[0][0] else found[0]
    return _read(best[1], picture, sizes, numbers)


def _dot_text(
    picture: Picture, sizes: Mapping[str, Sized], spacing: float, numbers: Mapping[str, str], direction: str
) -> str:
    """The picture in dot's language: sizes only, no text, so that no font takes part."""
    settings = _dot_settings(picture, sizes, spacing) | {"rankdir": direction}
    lines = ["digraph {", *(f"{key}={value};" for key, value in settings.items())]
    lines.append('node [label="", fixedsize=true, shape=box]; edge [arrowhead=none];')
    inside: dict[str, list[str]] = {}
    for item in picture.items:
        own = sizes[item.id]
        shape = "shape=circle, " if own.radius else ""
        said = f"{numbers[item.id]} [{shape}width={_inches(own.width)}, height={_inches(own.height)}];"
        inside.setdefault(item.frame, []).append(said)
    children: dict[str, list[int]] = {}
    for number, frame in enumerate(picture.frames):
        children.setdefault(frame.parent, []).append(number)
    lines += inside.get("", [])
    waiting: list[int | str] = list(reversed(children.get("", [])))
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            lines.append(each)
            continue
        frame = picture.frames[each]
        lines += [f"subgraph cluster{each} {{", _title_room(frame), *inside.get(frame.id, [])]
        waiting += ["}", *reversed(children.get(frame.id, []))]
    for number, wire in enumerate(picture.wires):
        lines.append(f"{numbers[wire.source]} -> {numbers[wire.target]} [key=e{number}];")
    return "\n".join([*lines, "}"])


def _title_room(frame: Frame) -> str:
    """A frame's settings: an empty label as large as its title."""
    title = measure(frame.title, TITLE) if frame.title else None
    wide, high = (title.width + 12, TITLE + 6) if title else (8.0, 4.0)
    size = f'FIXEDSIZE="TRUE" WIDTH="{wide:.0f}" HEIGHT="{high:.0f}"'
    table = f'<TABLE BORDER="0" {size}><TR><TD></TD></TR></TABLE>'
    return f"label=<{table}>; labeljust=l; labelloc=t; margin=12;"


def _dot_settings(picture: Picture, sizes: Mapping[str, Sized], spacing: float) -> dict[str, str]:
    below = max((s.extent.y1 - s.height / 2 for s in sizes.values()), default=0.0)
    labels = any(wire_label(picture, wire) for wire in picture.wires)
    settings = {
        "nodesep": _inches((NODE_GAP + below) * spacing),
        "ranksep": _inches((RANK_GAP if labels else TIGHT_RANK_GAP) * spacing),
        "splines": "spline",
    }
    if len(picture.items) > LARGE:
        settings |= {"nslimit": "1", "nslimit1": "1", "mclimit": "0.2", "splines": "polyline"}
    return settings


def _inches(points: float) -> str:
    return f"{points / 72:.4f}"


def _read(graph: Any, picture: Picture, sizes: Mapping[str, Sized], numbers: Mapping[str, str]) -> Placed:
    """Positions and routes out of dot's attributes; its y axis points up."""

    def point(text: str) -> Point:
        x, y = text.split(",")[-2:]
        return float(x), -float(y)

    positions = {i.id: point(graph.get_node(numbers[i.id]).attr["pos"]) for i in picture.items}
    routes = {}
    for number, wire in enumerate(picture.wires):
        edge = graph.get_edge(numbers[wire.source], numbers[wire.target], key=f"e{number}")
        parts = edge.attr["pos"].replace("\\\n", "").split()
        route = tuple(point(p) for p in parts if p[0] not in "es")
        ends = ((sizes[name], positions[name]) for name in (wire.source, wire.target))
        routes[wire.id] = _touching(route, *ends)
    frames = {}
    clusters = _clusters(graph)
    for number, frame in enumerate(picture.frames):
        x0, y0, x1, y1 = map(float, clusters[f"cluster{number}"].graph_attr["bb"].split(","))
        frames[frame.id] = Rect(x0, -y1, x1, -y0)
    return Placed(positions, routes, frames)


def _touching(
    route: tuple[Point, ...], source: tuple[Sized, Point], target: tuple[Sized, Point]
) -> tuple[Point, ...]:
    """A route whose ends lie on the outlines: dot leaves some of them a point away."""
    start, end = _nearest(*source, route[0]), _nearest(*target, route[-1])
    return (start, *route[1:-1], end)


def _nearest(own: Sized, at: Point, point: Point) -> Point:
    """The point of an item's outline that is nearest to a point, for boxes to one that is not inside."""
    if own.radius:
        return outline_point(own, at, point)
    x = min(max(point[0], at[0] - own.width / 2), at[0] + own.width / 2)
    y = min(max(point[1], at[1] - own.height / 2), at[1] + own.height / 2)
    return x, y


def _clusters(graph: Any) -> dict[str, Any]:
    """dot's clusters by name, whatever they stand in."""
    found: dict[str, Any] = {}
    waiting = [graph]
    while waiting:
        for inner in waiting.pop().subgraphs():
            found[inner.name] = inner
            waiting.append(inner)
    return found
