"""The stages on the way from a file to code, each as text: what `flowc compile --emit` prints.

Assumes a diagram without errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .graph import Graph

GRAPHS: dict[str, Callable[[Any, int], Graph]] = {
    "graph": lambda diagram, level: diagram.program.graph,
    "typed": lambda diagram, level: diagram.graph,
    "batched": lambda diagram, level: diagram.batched(),
    "grad": lambda diagram, level: diagram.written(level, "loss_and_grad"),
    "optimised": lambda diagram, level: diagram.written(level),
}
"""The stages of a `Diagram` that are graphs; numpy code is written from the last two."""


def stage_text(
    diagram: Any, name: str, target: str, level: int, dtype: str, extras: Sequence[str], spans: bool
) -> str:
    """A stage of a `Diagram` as text. Raises ValueError for another name, FlowError where there is none."""
    if name == "ast":
        from .tree import print_tree

        return print_tree(diagram.file)
    if name == "code":
        return diagram.compile(target, level=level, dtype=dtype, extras=extras)
    if name not in GRAPHS:
        raise ValueError(f"no stage {name!r}")
    from .text import print_graph

    return print_graph(GRAPHS[name](diagram, level), spans=spans)
