"""A laid-out picture: a display list in points, and the properties that make it a good one.

The origin is the top left corner of the page, y grows downwards. Everything is tied to what it shows by
`owner`, the id of an item, wire or frame of the Picture. Nothing here has a colour: `role` names one of
`theme.ROLES`, so one Scene is drawn light or dark. Draw in the order frames, arrows, shapes, curves, texts.

The properties (`faults` and what it is made of) read nothing but the geometry, and the sizes of texts
in it are those of the fonts (`measure`); they hold for every scene that `compose` makes of up to 40 circles,
and
are what its tests compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from .geometry import (
    Grid,
    Lines,
    Point,
    Rect,
    around_points,
    flattened,
    line_distance,
    line_meets_rect,
)
from .names import Tex
from .picture import Picture

TOUCH = 0.75
"""An arrow touches what its tip is at most this far from, in points."""
MARGIN = 0.01
"""What overlaps by less than this does not, in points: rounding."""
CLEARLY, SEEN = 0.5, 40.0
"""A label is at least so much nearer to its own wire than to another; how far it is looked for."""


@dataclass(frozen=True)
class Circle:
    """The outline of an item: centre and radius."""

    owner: str
    x: float
    y: float
    radius: float
    role: str


@dataclass(frozen=True)
class Box:
    """The outline of an item: a rectangle with rounded corners."""

    owner: str
    rect: Rect
    corner: float
    role: str


@dataclass(frozen=True)
class Panel:
    """A frame around items; depth: 1 for the outermost."""

    owner: str
    rect: Rect
    corner: float
    role: str
    depth: int = 1


@dataclass(frozen=True)
class Curve:
    """A polyline inside an item: its nonlinearity, or the axes behind it."""

    owner: str
    points: tuple[Point, ...]
    role: str
    width: float


@dataclass(frozen=True)
class Arrow:
    """A wire: a chain of cubic Béziers (first point, then three for each piece), and the head at its end.

    points end where the head begins; head: its polygon, tip first. width: of the line. sign: of its weight
    (-1, 0 or 1, 0 where it is
    unknown), strength: 0 to 1, how much of the ink it gets. role: of the theme.
    """

    owner: str
    source: str
    target: str
    points: tuple[Point, ...]
    head: tuple[Point, ...]
    width: float
    role: str
    sign: int = 0
    strength: float = 1.0

    @property
    def tip(self) -> Point:
        return self.head[0] if self.head else self.points[-1]


@dataclass(frozen=True)
class Text:
    """A label: the left end of its baseline, and the rectangle of its ink's upper bound.

    tex: as `names` describes it. size: of the font in points. inside: whether it stands within the item or
    frame that owns it
    (else beside it, or beside a wire). halo: whether a rim of the page's colour is drawn around its letters.
    """

    owner: str
    tex: Tex
    x: float
    y: float
    size: float
    rect: Rect
    role: str
    inside: bool = False
    halo: bool = False


@dataclass(frozen=True)
class Scene:
    """A page of `width` x `height` points, and what is on it."""

    picture: Picture
    width: float
    height: float
    frames: tuple[Panel, ...] = ()
    arrows: tuple[Arrow, ...] = ()
    circles: tuple[Circle, ...] = ()
    boxes: tuple[Box, ...] = ()
    curves: tuple[Curve, ...] = ()
    texts: tuple[Text, ...] = ()

    @cached_property
    def shapes(self) -> dict[str, Circle | Box]:
        """The outlines of the items by id. That of a ⋮ is a box whose role is drawn invisible."""
        found: dict[str, Circle | Box] = {circle.owner: circle for circle in self.circles}
        return found | {box.owner: box for box in self.boxes}

    @cached_property
    def panels(self) -> dict[str, Panel]:
        """The frames by id."""
        return {panel.owner: panel for panel in self.frames}


# ---------------------------------------------------------------------------------------
# Properties


def faults(scene: Scene) -> list[str]:
    """Everything that is wrong with a scene, one line each; none in a good one."""
    return [
        *labels_on_labels(scene),
        *labels_on_shapes(scene),
        *labels_out_of_place(scene),
        *labels_of_two_wires(scene),
        *labels_crossed(scene),
        *shapes_on_shapes(scene),
        *arrows_through(scene),
        *loose_arrows(scene),
        *off_the_page(scene),
    ]


def labels_on_labels(scene: Scene) -> list[str]:
    """Labels that overlap labels."""
    grid: Grid[Text] = Grid()
    found = []
    for text in scene.texts:
        for rect, other in grid.near(text.rect):
            if rect.overlaps(text.rect, MARGIN):
                found.append(f"the label {text.tex} of {text.owner} overlaps {other.tex} of {other.owner}")
        grid.add(text.rect, text)
    return found


def labels_on_shapes(scene: Scene) -> list[str]:
    """Labels that overlap circles or boxes which they do not stand in."""
    grid = _shape_grid(scene)
    found = []
    for text in scene.texts:
        for _, shape in grid.near(text.rect):
            if text.inside and shape.owner == text.owner:
                continue
            if meets(shape, text.rect):
                found.append(f"the label {text.tex} of {text.owner} overlaps {shape.owner}")
    return found


def labels_out_of_place(scene: Scene) -> list[str]:
    """Labels that should stand within what owns them and do not, or lie on its curve."""
    found = []
    curves: dict[str, list[Curve]] = {}
    for curve in scene.curves:
        curves.setdefault(curve.owner, []).append(curve)
    for text in scene.texts:
        if not text.inside:
            continue
        if not _contains(scene, text.owner, text.rect):
            found.append(f"the label {text.tex} does not fit into {text.owner}")
        for curve in curves.get(text.owner, []):
            if around_points(curve.points).overlaps(text.rect, MARGIN):
                found.append(f"the label {text.tex} lies on the curve of {text.owner}")
    return found


def labels_of_two_wires(scene: Scene) -> list[str]:
    """Labels beside wires that are not clearly nearer to their own wire than to any other.

    In the backward flow a wire that takes no part is pale and has no label: it is nobody's rival.
    """
    picture = scene.picture
    pale = {w.id for w in picture.wires if picture.is_backward and not w.is_backward}
    lines = _lines(scene)
    wires = {arrow.owner for arrow in scene.arrows}
    found = []
    for text in scene.texts:
        if text.owner not in wires:
            continue
        near = lines.distances(text.rect, SEEN)
        own = near.pop(text.owner, SEEN)
        for other, away in near.items():
            if away < own + CLEARLY and other not in pale:
                found.append(f"the label {text.tex} of {text.owner} might be one of {other}")
    return found


def labels_crossed(scene: Scene) -> list[str]:
    """Labels outside of shapes, titles too, that an arrow passes through, and nothing sets off from it."""
    lines = _lines(scene)
    return [
        f"the arrow {owner} passes through the label {text.tex} of {text.owner}"
        for text in scene.texts
        if not text.halo and (not text.inside or text.owner in scene.panels)
        for owner in lines.distances(text.rect.grown(-MARGIN), MARGIN)
    ]


def shapes_on_shapes(scene: Scene) -> list[str]:
    """Circles and boxes that overlap, or do not stand within their frame, or stand in a foreign one."""
    found = []
    grid: Grid[Circle | Box] = Grid()
    for shape in scene.shapes.values():
        rect = bounds(shape)
        for _, other in grid.near(rect):
            if shapes_meet(shape, other):
                found.append(f"{shape.owner} overlaps {other.owner}")
        grid.add(rect, shape)
    picture = scene.picture
    around = {item.id: [f.id for f in picture.frames_of(item)] for item in picture.items}
    for panel in scene.frames:
        for _, shape in grid.near(panel.rect):
            if panel.owner not in around[shape.owner] and panel.rect.overlaps(bounds(shape), MARGIN):
                found.append(f"{shape.owner} reaches into the frame {panel.owner}")
    for item in picture.items:
        for name in around[item.id]:
            if not scene.panels[name].rect.holds(bounds(scene.shapes[item.id]), MARGIN):
                found.append(f"{item.id} sticks out of the frame {name}")
    return found


def arrows_through(scene: Scene) -> list[str]:
    """Arrows through circles or boxes that they do not connect."""
    grid = _shape_grid(scene)
    found = []
    for arrow in scene.arrows:
        line = [*flattened(arrow.points), arrow.tip]
        for _, shape in grid.near(around_points(line)):
            if shape.owner not in (arrow.source, arrow.target) and line_meets(shape, line):
                found.append(f"the arrow {arrow.owner} passes through {shape.owner}")
    return found


def loose_arrows(scene: Scene) -> list[str]:
    """Arrows that do not begin at their source or whose heads do not touch their target."""
    found = []
    for arrow in scene.arrows:
        for name, point in ((arrow.source, arrow.points[0]), (arrow.target, arrow.tip)):
            away = outline_distance(scene.shapes[name], point)
            if away > TOUCH:
                found.append(f"the arrow {arrow.owner} ends {away:.1f} points from {name}")
    return found


def off_the_page(scene: Scene) -> list[str]:
    """What does not lie on the page."""
    page = Rect(0, 0, scene.width, scene.height)
    things = [(t.owner, t.rect) for t in scene.texts]
    things += [(s.owner, bounds(s)) for s in scene.shapes.values()]
    things += [(p.owner, p.rect) for p in scene.frames]
    things += [(a.owner, around_points([*flattened(a.points), *a.head])) for a in scene.arrows]
    return [f"{owner} is not on the page" for owner, rect in things if not page.holds(rect, MARGIN)]


# ---------------------------------------------------------------------------------------
# Outlines


def bounds(shape: Circle | Box) -> Rect:
    """The smallest rectangle around an outline."""
    if isinstance(shape, Box):
        return shape.rect
    r = shape.radius
    return Rect(shape.x - r, shape.y - r, shape.x + r, shape.y + r)


def meets(shape: Circle | Box, rect: Rect) -> bool:
    """Whether a rectangle overlaps an outline or its inside."""
    if isinstance(shape, Box):
        return shape.rect.overlaps(rect, MARGIN)
    return rect.distance((shape.x, shape.y)) < shape.radius - MARGIN


def line_meets(shape: Circle | Box, line: Sequence[Point]) -> bool:
    """Whether a polyline enters an outline."""
    if isinstance(shape, Box):
        return line_meets_rect(line, shape.rect.grown(-MARGIN))
    return line_distance((shape.x, shape.y), line) < shape.radius - MARGIN


def shapes_meet(a: Circle | Box, b: Circle | Box) -> bool:
    """Whether two outlines overlap."""
    if isinstance(a, Circle) and isinstance(b, Circle):
        return (a.x - b.x) ** 2 + (a.y - b.y) ** 2 < (a.radius + b.radius - MARGIN) ** 2
    return meets(a, bounds(b)) if isinstance(b, Box) else meets(b, bounds(a))


def outline_distance(shape: Circle | Box, point: Point) -> float:
    """How far a point is from an outline, inside or outside."""
    if isinstance(shape, Box):
        return shape.rect.border_distance(point)
    dx, dy = point[0] - shape.x, point[1] - shape.y
    return abs(float((dx * dx + dy * dy) ** 0.5) - shape.radius)


def _contains(scene: Scene, owner: str, rect: Rect) -> bool:
    if owner in scene.panels:
        return scene.panels[owner].rect.holds(rect, MARGIN)
    shape = scene.shapes[owner]
    if isinstance(shape, Box):
        return shape.rect.holds(rect, MARGIN)
    reach = (shape.radius + MARGIN) ** 2
    corners = [(x, y) for x in (rect.x0, rect.x1) for y in (rect.y0, rect.y1)]
    return all((x - shape.x) ** 2 + (y - shape.y) ** 2 <= reach for x, y in corners)


def _lines(scene: Scene) -> Lines:
    lines = Lines()
    for arrow in scene.arrows:
        lines.add(arrow.owner, [*flattened(arrow.points), arrow.tip])
    return lines


def _shape_grid(scene: Scene) -> Grid[Circle | Box]:
    grid: Grid[Circle | Box] = Grid()
    for shape in scene.shapes.values():
        grid.add(bounds(shape), shape)
    return grid
