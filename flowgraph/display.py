"""How a diagram shows itself: as a picture in a notebook, in words elsewhere.

Assumes `draw` and `explain` of a `Diagram`. Promises that showing never raises what a user could do
something about: where there is no picture there are the equations, and why there is no picture.
"""

from __future__ import annotations

from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

from .errors import Diagnostic, FlowError

if TYPE_CHECKING:
    from .draw.drawing import Drawing

MOST_NAMES = 6
"""So many inputs and outputs are named."""
MOST_LINES = 100
"""So many lines of equations are shown in place of a picture."""


class Displayed:
    """The part of a `Diagram` that shows it."""

    if TYPE_CHECKING:
        draw: Any
        explain: Any
        graph: Any
        name: Any

    def __repr__(self) -> str:
        inputs = _listed([self.graph[node].hint for node in self.graph.inputs])
        outputs = _listed([result.label for result in self.graph.results_of("output")])
        return f"<Diagram {self.name}: {inputs} → {outputs}>"

    @cached_property
    def shown(self) -> Drawing | FlowError:
        """The picture as a notebook shows it, or why there is none."""
        try:
            drawing: Drawing = self.draw()
            _ = drawing.scene  # lays it out, which needs what may be missing
            return drawing
        except FlowError as error:
            return error

    def _repr_svg_(self) -> str | None:
        """The picture as svg, None where there is none."""
        return None if isinstance(self.shown, FlowError) else self.shown._repr_svg_()

    def _repr_html_(self) -> str | None:
        """In place of a picture: why there is none, and the equations; None where there is one."""
        if not isinstance(self.shown, FlowError):
            return None
        why = "<br>".join(escape(_reason(found)) for found in self.shown.diagnostics if found.is_error)
        return f"<p>{why}</p>\n<pre>{escape(self._in_words())}</pre>"

    def _in_words(self) -> str:
        """The equations, or at least what goes in and comes out."""
        try:
            lines = self.explain().splitlines()
        except FlowError:
            return repr(self)
        if len(lines) > MOST_LINES:
            lines[MOST_LINES:] = [f"... and {len(lines) - MOST_LINES} more lines"]
        return "\n".join(lines)


def _reason(found: Diagnostic) -> str:
    return f"No picture: {found.message}" + (f": {found.help}" if found.help else "")


def _listed(names: list[Any]) -> str:
    more = ["…"] if len(names) > MOST_NAMES else []
    return ", ".join([str(name) for name in names[:MOST_NAMES]] + more) or "nothing"
