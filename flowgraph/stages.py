"""The stages on the way from a file to code, each as text: what `flowc compile --emit` prints.

Assumes a diagram without errors.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
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
    diagram: Any, name: str, target: str, level: int, dtype: str, extras: Sequence[str], spans: bool,
    without: Collection[str],
) -> str:  # fmt: skip
    """A stage of a `Diagram` as text. Raises ValueError for another name, FlowError where there is none."""
    if name == "ast":
        from .tree import print_tree

        return print_tree(diagram.file)
    if name == "code":
        return diagram.compile(target, level=level, dtype=dtype, extras=extras, without=without)
    if name == "plan":
        return _plan(diagram, dtype, frozenset(without))
    if name not in GRAPHS:
        raise ValueError(f"no stage {name!r}")
    from .text import print_graph

    return print_graph(GRAPHS[name](diagram, level), spans=spans)


SYMBOLIC = 64
"""What a plan takes a symbolic size for that nothing tells."""


def nominal_sizes(diagram: Any) -> dict[str, int]:
    """The sizes at which a plan is told: a batch as the `train` statement says, or all of the file's data."""
    batch = diagram.training.batch
    if not isinstance(batch, int):
        from .data import load_data
        from .errors import Diagnostics

        base = Path(diagram.source.path).parent
        table = load_data(diagram.program, base, Diagnostics())
        batch = SYMBOLIC if table is None else table.count
    return {"N": batch, **dict.fromkeys(diagram.graph.sizes, SYMBOLIC)}


def _plan(diagram: Any, dtype: str, without: frozenset[str]) -> str:
    """The plan of the memory of -O2: the Trainer's, or Forward's where there is nothing to train."""
    from .emit.planned.report import plan_text
    from .emit.planned.trainer import BLOCK
    from .emit.planned.write import forward_plan, training_plan
    from .passes.learn import staying

    sizes = nominal_sizes(diagram)
    if diagram.graph.results_of("loss") and diagram.graph.params:
        graph = diagram.planned("loss_and_grad", without=without)
        title, training = f"{diagram.name}: a Trainer's step", diagram.training
        frozen = bool(staying(diagram.expanded, training.freeze))
        made = training_plan(graph, without, frozen=frozen)
        return plan_text(made, title, dtype, sizes, training, BLOCK)
    graph = diagram.planned("outputs", without=without)
    return plan_text(forward_plan(graph, without), f"{diagram.name}: Forward", dtype, sizes, None, BLOCK)
