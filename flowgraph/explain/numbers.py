"""The numbers of one example, for an explanation to fill in.

Assumes a checked program and graphs of one example. Promises the value of every node of a graph, computed
in float64 as the simulator does, from the values given for inputs and targets and from parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import fail
from ..graph import Graph
from ..lower.program import Program
from ..params import Params
from ..passes.simulate import ShapeClash, mode_values, simulate
from ..run.one import find_one, needs_targets


@dataclass(frozen=True)
class Numbers:
    """What is known of one example: the values of inputs, targets, parameters and buffers, by node."""

    given: Mapping[str, np.ndarray]
    is_whole: bool
    """Whether all inputs are known, so that the rest can be computed."""
    path: str
    seed: int

    def of(self, graph: Graph) -> dict[str, Any]:
        """The values of a graph's nodes, as far as they can be known. Raises FlowError (E0504)."""
        here = {name: value for name, value in self.given.items() if name in graph}
        if not self.is_whole:
            return here
        try:
            modes = mode_values(graph, rng=np.random.default_rng(self.seed))
            return simulate(graph, {**here, **modes})
        except ShapeClash as clash:
            raise fail("E0504", str(clash), path=self.path) from None

    def of_gradient(self, graph: Graph) -> dict[str, Any]:
        """The same of a graph with a gradient, which needs the targets. Raises FlowError (E0504)."""
        values = self.of(graph)
        unknown = [r.node for r in graph.results_of("loss") if r.node not in values]
        if not self.is_whole or not unknown:
            return values
        raise needs_targets(graph, unknown, values, self.path, "the backward pass")


def find_numbers(
    program: Program, graph: Graph, path: str, inputs: Mapping[str, Any], params: Params | None, seed: int
) -> Numbers:
    """The numbers of the example that the inputs are. Raises FlowError (E0504 and those of parameters).

    graph: the typed graph of one example. params: None for first values, where there are inputs.
    """
    one = find_one(program, graph, path, inputs, params, seed, "equations are those of one")
    return Numbers(one.values, one.is_whole, path, seed)
