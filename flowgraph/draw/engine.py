"""Graphviz's dot as a layout engine: boxes in ranks, frames around them, routes that keep clear of both.

dot comes inside of the wheel of pygraphviz 2 (the extra `draw`). It gets sizes only, no text, so that no font
takes part. Promises the same result for the same picture, and routes that begin and end at outlines. The
longest way through a picture is drawn straight.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..errors import fail
from .depth import columns
from .frames import fitted
from .geometry import Point, Rect
from .looks import wire_label
from .measure import measure
from .picture import Frame, Picture
from .placed import Placed, outline_point
from .sizes import TITLE, Sized

NODE_GAP, RANK_GAP, TIGHT_RANK_GAP = 26.0, 96.0, 30.0
"""dot's: between items of a rank; between ranks with labels on the wires, and without."""
LARGE = 800
"""From so many items on, those counted that long wires pass by, dot takes less trouble."""
STRAIGHT, FAN = 50, 3
"""How much more a wire of the longest way is to be straight than any other; not where so many fan out."""


def by_dot(picture: Picture, sizes: Mapping[str, Sized], spacing: float, direction: str) -> Placed:
    """Where everything stands. direction: of the flow, "TB" downwards or "LR" to the right.

    Raises FlowError (E0605) where pygraphviz is not installed.
    """
    try:
        import pygraphviz
    except ImportError:
        raise fail(
            "E0605",
            "pictures of layers are laid out by Graphviz, and pygraphviz is not installed",
            help="pip install 'flowgraph[draw]'",
        ) from None
    numbers = {item.id: f"n{n}" for n, item in enumerate(picture.items)}
    graph = pygraphviz.AGraph(string=_dot_text(picture, sizes, spacing, numbers, direction))
    graph.layout(prog="dot")
    return _read(graph, picture, sizes, numbers)


def is_large(picture: Picture) -> bool:
    """Whether laying it out takes so long that it is done with less care."""
    at = columns(picture.items, picture.wires)
    passed = sum(max(at[w.target] - at[w.source] - 1, 0) for w in picture.wires)
    return len(picture.items) + passed > LARGE


def trunk(picture: Picture) -> list[tuple[str, str]]:
    """The wires of the longest way through a picture, as pairs of items; of several ways the first one.

    Where three or more wires fan out from an item, or into one, side by side, none of them is preferred.
    """
    at = columns(picture.items, picture.wires)
    steps = dict.fromkeys((w.source, w.target) for w in picture.wires if at[w.target] == at[w.source] + 1)
    out, into = Counter(a for a, _ in steps), Counter(b for _, b in steps)
    back: dict[str, str] = {}
    for a, b in steps:
        back.setdefault(b, a)
    name = max((item.id for item in picture.items), key=lambda n: at[n])
    found = []
    while name in back:
        found.append((back[name], name))
        name = back[name]
    return [(a, b) for a, b in reversed(found) if out[a] < FAN and into[b] < FAN]


def _dot_text(
    picture: Picture, sizes: Mapping[str, Sized], spacing: float, numbers: Mapping[str, str], direction: str
) -> str:
    """The picture in dot's language."""
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
        lines += [f"subgraph cluster{each} {{", _title_room(frame, direction), *inside.get(frame.id, [])]
        waiting += ["}", *reversed(children.get(frame.id, []))]
    straight = dict.fromkeys(trunk(picture))
    lines += [f"{numbers[name]} [group=trunk];" for name in dict.fromkeys(itertools.chain(*straight))]
    for number, wire in enumerate(picture.wires):
        more = f", weight={STRAIGHT}" if (wire.source, wire.target) in straight else ""
        lines.append(f"{numbers[wire.source]} -> {numbers[wire.target]} [key=e{number}{more}];")
    return "\n".join([*lines, "}"])


def _title_room(frame: Frame, direction: str) -> str:
    """A frame's settings: an empty label as large as its title, beside what enters from above."""
    title = measure(frame.title, TITLE) if frame.title else None
    beside = 2.0 if direction == "TB" else 1.0
    wide, high = (beside * title.width + 16, TITLE + 6) if title else (8.0, 4.0)
    size = f'FIXEDSIZE="TRUE" WIDTH="{wide:.0f}" HEIGHT="{high:.0f}"'
    table = f'<TABLE BORDER="0" {size}><TR><TD></TD></TR></TABLE>'
    return f"label=<{table}>; labeljust=l; labelloc=t; margin=9;"


def _dot_settings(picture: Picture, sizes: Mapping[str, Sized], spacing: float) -> dict[str, str]:
    below = max((s.extent.y1 - s.height / 2 for s in sizes.values()), default=0.0)
    labels = any(wire_label(picture, wire) for wire in picture.wires)
    settings = {
        "nodesep": _inches((NODE_GAP + below) * spacing),
        "ranksep": _inches((RANK_GAP if labels else TIGHT_RANK_GAP) * spacing),
        "splines": "spline",
    }
    if is_large(picture):
        settings |= {"nslimit": "0.1", "nslimit1": "1", "mclimit": "0.2", "splines": "polyline"}
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
    found = Placed(positions, routes, frames)
    found.frames = fitted(picture, found, sizes)
    return found


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
