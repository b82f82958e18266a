"""What a picture shows, before anything has a position.

A Picture is made by `collect` from a diagram, changed by `overlay`, laid out by `compose`. All of it is
frozen: overlays return new pictures (`dataclasses.replace`). Labels are `names.Tex`, a subset of LaTeX's
math. Every item, wire and frame has an id which is unique in the picture, stable from run to run, and the
same for whatever overlay: renderers use it as the id of what they draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ..errors import Span
from .curve import Sketch
from .names import Tex

CIRCLES = ("input", "target", "neuron", "one", "value")
"""Kinds of items that are drawn as circles, where they are one number. one: the constant 1; value: a number
that
is no neuron, such as x²."""
BOXES = ("input", "target", "box", "fold", "loss", "metric", "constant")
"""Kinds that are drawn as boxes. fold: a block, repeat or scan that is not unfolded."""
MORE = "more"
"""The kind of ⋮ (or ⋯), which stands for items that are left out."""

Facts = tuple[tuple[str, str], ...]
"""Pairs of a title and plain Unicode text: what a renderer shows on demand (hover)."""


@dataclass(frozen=True)
class Item:
    """A circle, a box or a ⋮.

    id: unique. kind: of CIRCLES, BOXES or MORE. is_circle: which of the two it is drawn as.
    name: as the file spells it, "" where it has none. label: the same as mathematics.
    operation: a box's second line: the operation, or the equation with unnamed values folded in.
    curve: a circle's nonlinearity; symbol: what stands for it where no curve
    makes sense. shape: `[3, T]`, "" of a number. params: the parameters beside it, each name and shape.
    notes: lines added by overlays (ξ = 0.5), drawn beside a circle and in a box; gradient: another one, the
    derivative of the loss by its value; slope: that of a circle's value by its excitation. state: "active" of
    a circle whose value is known, "idle" if that is 0. mark: of a circle with a curve, the excitation whose
    place on the curve is marked.
    facts: what hovering shows: shape, value, gradient, equation.
    group: circles of one layer have the same, and stand together; "" for none. count: of a MORE, or of a
    fold that is repeated, how many it stands for. frame: the id of the frame it stands in, "" for none.
    column: its column by depth, where circles have columns; None: the layout decides.
    node, index: the node of the graph that it shows (path of nodes joined by "/" inside of blocks), and of a
    layer's circle which entry. span: where it is written. tone: of a diff, "added", "removed", "changed"
    or "renamed".
    """

    id: str
    kind: str
    is_circle: bool = False
    name: str = ""
    label: Tex = ""
    operation: Tex = ""
    symbol: Tex = ""
    curve: Sketch | None = None
    shape: str = ""
    params: tuple[tuple[str, str], ...] = ()
    notes: tuple[Tex, ...] = ()
    gradient: Tex = ""
    slope: Tex = ""
    state: str = ""
    mark: float | None = None
    facts: Facts = ()
    group: str = ""
    count: int = 0
    frame: str = ""
    column: int | None = None
    node: str = ""
    excitation: str = ""
    index: int | None = None
    span: Span | None = None
    tone: str = ""


@dataclass(frozen=True)
class Weight:
    """A number, times an entry of a parameter where `param` names one."""

    number: float
    param: str = ""
    index: tuple[int, ...] = ()


@dataclass(frozen=True)
class Wire:
    """An arrow from an item to an item, in the direction of the forward flow.

    label: the weight beside it, as a number or a name. weight: its value where it is known (a literal, an
    initial value that the file gives, or one of `--params`).
    terms: what the weight is the sum of. is_trained: whether any of them is.
    strength: 0 to 1, how much of the ink it gets among many parallel wires; 1 where they are few.
    is_coded: whether width and sign are drawn by the weight; share: the weight's size over the largest there
    is.
    is_backward: whether its arrow is reversed, and `factor`, the local factor ∂target/∂source, stands beside
    it in place of the weight: the gradient flows back through it. count: how many wires it stands for.
    """

    id: str
    source: str
    target: str
    label: Tex = ""
    weight: float | None = None
    terms: tuple[Weight, ...] = ()
    strength: float = 1.0
    share: float = 0.0
    is_coded: bool = False
    factor: Tex = ""
    is_backward: bool = False
    count: int = 1
    facts: Facts = ()
    span: Span | None = None
    tone: str = ""

    @property
    def is_trained(self) -> bool:
        return any(term.param for term in self.terms)


@dataclass(frozen=True)
class Frame:
    """A block, repeat or scan that is unfolded: a frame around its items and frames.

    kind: "block", "repeat" or "scan". title: its name. count: how often it is repeated, 0 for once.
    parent: the id of the frame around it, "" for none. depth: 1 for the outermost.
    """

    id: str
    kind: str
    title: Tex = ""
    name: str = ""
    count: int = 0
    parent: str = ""
    depth: int = 1
    facts: Facts = ()
    span: Span | None = None


@dataclass(frozen=True)
class Picture:
    """Everything that is drawn of one diagram.

    name, doc: the diagram's. remarks: what a reader should be told and the picture does not show
    (that something was folded), one line each. is_backward: whether it shows the backward flow, on those
    wires that are reversed.
    """

    name: str
    doc: str = ""
    items: tuple[Item, ...] = ()
    wires: tuple[Wire, ...] = ()
    frames: tuple[Frame, ...] = ()
    remarks: tuple[str, ...] = ()
    is_backward: bool = False

    @cached_property
    def by_id(self) -> Mapping[str, Item]:
        """The items by id."""
        return {item.id: item for item in self.items}

    @cached_property
    def frame_by_id(self) -> Mapping[str, Frame]:
        """The frames by id."""
        return {frame.id: frame for frame in self.frames}

    def frames_of(self, item: Item) -> list[Frame]:
        """The frames around an item, the innermost first."""
        found, at = [], item.frame
        while at:
            found.append(self.frame_by_id[at])
            at = found[-1].parent
        return found
