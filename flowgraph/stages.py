"""The stages on the way from a file to code, each as text: what `flowc compile --emit` prints.

Assumes a diagram without errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .graph import Graph

if TYPE_CHECKING:
    from .diagram import Diagram

GRAPHS: dict[str, Callable[[Diagram, int], Graph]] = {
    "graph": lambda diagram, level: diagram.program.graph,
    "typed": lambda diagram, level: diagram.graph,
    "batched": lambda diagram, level: diagram.batched(),
    "grad": lambda diagram, level: diagram.written(level, "loss_and_grad"),
    "optimised": lambda diagram, level: diagram.written(level),
}
"""The stages that are graphs; the last two are those that numpy code is written from."""


def stage_text(
    diagram: Diagram, name: str, target: str, level: int, dtype: str, extras: Sequence[str], spans: bool
) -> str:
    """A stage as text. Raises FlowError where the diagram has no such stage, ValueError for another name."""
    if name == "ast":
        from .tree import print_tree

        return print_tree(diagram.file)
    if name == "code":
        return diagram.compile(target, level=level, dtype=dtype, extras=extras)
    if name not in GRAPHS:
        raise ValueError(f"no stage {name!r}")
    from .text import print_graph

    return print_graph(GRAPHS[name](diagram, level), spans=spans)
