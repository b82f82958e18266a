"""The gradient of each example's own loss: differentiate first, batch after.

Assumes a typed graph of one example. Promises the gradient of the sum of its losses with
respect to every param, as results of role "example_gradient" which `batch` gives the batch
axis. How a loss is summed up over a batch takes no part in it: the gradient of an example is
that of a batch which holds this example alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ..graph import Graph, rebuild
from .autodiff import Vjp
from .base import Pass


@dataclass(frozen=True)
class PerExample(Pass):
    """The gradients of the losses of one example, to be batched."""

    name: ClassVar[str] = "per-example"
    parts: ClassVar[bool] = True

    def run(self, graph: Graph) -> Graph:
        graph = Vjp().run(graph)
        gradients = [replace(r, role="example_gradient") for r in graph.results_of("gradient")]
        return rebuild(graph, graph, gradients)
