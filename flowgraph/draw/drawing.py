"""A picture of a diagram, ready to be written: what `Diagram.draw` returns.

Assumes what `Diagram.draw` promises. Layout happens when it is first needed; a format is loaded when it
is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ..graph import Graph
from ..writing import write_bytes
from .collect import collect
from .compose import compose
from .formats import UNPLACED, format_of, writer
from .neurons import SCALES
from .overlay import Overlay
from .picture import Picture
from .scene import Scene
from .theme import Theme
from .theme import theme as named


@dataclass(frozen=True)
class Drawing:
    """picture: what it shows. theme: its colours. at_depth: the picture with so many levels of blocks
    unfolded, for formats that fold and unfold."""

    picture: Picture
    theme: Theme
    at_depth: Callable[[int | None], Picture]

    @cached_property
    def scene(self) -> Scene:
        """The page. Raises FlowError (E0605) where Graphviz is needed and not installed."""
        return compose(self.picture)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader should be told and the picture does not show, one line each."""
        return self.scene.picture.remarks

    def remarks_in(self, format: str) -> tuple[str, ...]:
        """Those that hold for a format: where nothing is laid out, no label can lack room."""
        return self.picture.remarks if format in UNPLACED else self.remarks

    def unfolded(self, depth: int | None) -> Drawing:
        """The same with so many levels of blocks unfolded, None for as many as stay readable."""
        return replace(self, picture=self.at_depth(depth))

    def to_bytes(self, format: str) -> bytes:
        """The file in a format, one of `formats.WRITERS`. Raises FlowError, ValueError."""
        return writer(format)(self)

    def to_text(self, format: str) -> str:
        """The same as text; not for png and pdf. Raises FlowError, ValueError."""
        return self.to_bytes(format).decode("utf-8")

    def save(self, path: str | Path) -> None:
        """Write it to a file whose suffix says the format. Raises FlowError (E0701), ValueError."""
        write_bytes(path, self.to_bytes(format_of(path)))

    def __repr__(self) -> str:
        return f"<Drawing of {self.picture.name}>"

    def _repr_svg_(self) -> str:
        from .inline import inline

        return inline(self.to_text("svg"))


def draw(
    graph: Graph, *, depth: int | None, scale: str, theme: str, metrics: bool, overlay: Overlay | None = None
) -> Drawing:
    """The picture of a typed graph of one example; see `Diagram.draw`. Raises FlowError, ValueError."""
    if scale not in SCALES:
        raise ValueError(f"no scale {scale!r}; there are {', '.join(SCALES)}")

    def at_depth(levels: int | None) -> Picture:
        picture = collect(graph, depth=levels, scale=scale, metrics=metrics)
        return picture if overlay is None else overlay.on(picture)

    return Drawing(at_depth(depth), named(theme), at_depth)
