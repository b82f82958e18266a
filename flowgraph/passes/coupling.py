"""Refuse losses that no training can have: derivatives of one example through what couples examples.

Assumes a typed graph of one example with requests (`grad`, `jvp`), blocks dissolved. Reports E0406 to
`found`, changes nothing. Elsewhere than in a loss such derivatives are computed outside training,
and refused in it by the emitted functions (`outside_training`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ..errors import Diagnostics
from ..graph import Graph
from ..ops.derivative import Request
from .base import Pass


@dataclass(frozen=True)
class Coupling(Pass):
    """Errors of losses made of derivatives through batch normalisation. Raises FlowError."""

    name: ClassVar[str] = "coupling"
    found: Diagnostics = field(default_factory=Diagnostics, compare=False)

    def run(self, graph: Graph) -> Graph:
        if not any(node.op.couples for node in graph):
            return graph
        before = graph.ancestors(r.node for r in graph.results_of("loss"))
        for node in graph:
            if node.name not in before or not isinstance(node.op, Request):
                continue
            y, x = node.operands[:2]
            between = graph.depends_on([x]) & graph.ancestors([y])
            through = next((n for n in graph if n.name in between and n.op.couples), None)
            if through is not None:
                name = through.op.name
                self.found.report(
                    "E0406",
                    f"the loss needs this `{node.op.name}`, which cannot be computed in training",
                    node.span,
                    f"the derivative of one example, through `{name}`",
                    labels=[(through.span, f"`{name}` in training couples the examples of a batch")],
                    help="normalise each example by itself (`layernorm`, `groupnorm`), "
                    "or keep the derivative out of the loss",
                )
        self.found.raise_errors()
        return graph
