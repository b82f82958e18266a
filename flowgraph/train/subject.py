"""What training asks of a diagram: `flowgraph.diagram.Diagram`, which stands above, is one."""

from __future__ import annotations

from typing import Protocol

from ..errors import Source
from ..graph import Graph
from ..lower.program import Program, Training


class Subject(Protocol):
    """A checked diagram. graph: of one example, typed; expanded: with its derivatives computed."""

    source: Source
    program: Program
    graph: Graph
    expanded: Graph

    @property
    def name(self) -> str: ...

    @property
    def training(self) -> Training:
        """What the `train` statement says, or the default."""
        ...

    def batched(self) -> Graph:
        """The graph over a batch of examples."""
        ...

    def differentiated(self, level: int = 1) -> Graph:
        """The graph of the loss and its gradient."""
        ...

    def compile(
        self,
        target: str = "numpy",
        *,
        level: int = 1,
        dtype: str = "float32",
        training: Training | None = None,
    ) -> str:
        """The text of the module for a target."""
        ...
