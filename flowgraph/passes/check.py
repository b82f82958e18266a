"""What a typed graph of one example must satisfy to be meant, and what looks unmeant.

Assumes the result of `infer-types`. Reports to `found`, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ..errors import Diagnostics
from ..graph import Graph, Result
from ..types import TupleType, describe
from .base import Pass


@dataclass(frozen=True)
class Check(Pass):
    """Errors of results, and warnings about nodes that reach none."""

    name: ClassVar[str] = "check"
    found: Diagnostics = field(default_factory=Diagnostics, compare=False)

    def run(self, graph: Graph) -> Graph:
        for result in graph.results:
            _check_result(graph, result, self.found)
        if not self.found.has_errors:
            _warn_unreached(graph, self.found)
        return graph


def _check_result(graph: Graph, result: Result, found: Diagnostics) -> None:
    type = graph[result.node].type
    if isinstance(type, TupleType):
        found.report(
            "E0310",
            f"the {result.role} `{result.label}` is {len(type.items)} values",
            result.span,
            "several values",
            help="give each a name first: `a, b = ...`",
        )
        return
    if result.role == "output":
        _check_output(graph, result, found)
        return
    if type.shape:
        found.report(
            "E0306",
            f"a {result.role} is one number per example",
            result.span,
            f"this is {describe(type)}",
            help="reduce it with `mean(...)` or `sum(...)`",
        )


def _check_output(graph: Graph, result: Result, found: Diagnostics) -> None:
    if not graph.targets:
        return
    behind = graph.ancestors([result.node])
    target = next((t for t in graph.targets if t in behind), None)
    if target is not None:
        found.report(
            "E0209",
            f"the output `{result.label}` depends on the target `{graph[target].hint}`",
            result.span,
            "targets are known in training and metrics only",
            labels=[(graph[target].span, "the target")],
            help="make it a loss or a metric, or compute it from the inputs alone",
        )


def _warn_unreached(graph: Graph, found: Diagnostics) -> None:
    """Warn of named nodes, inputs and targets that no result depends on."""
    reached = graph.ancestors(r.node for r in graph.results)
    for node in graph:
        if node.name in reached or node.hint is None or node.hint.startswith("xi_"):
            continue
        if any(user.hint is not None for user in graph.users(node.name)):
            continue  # the last of the chain is the one to name
        kind = node.op.name if node.op.name in ("input", "target", "param") else "node"
        if kind == "param" and not graph.users(node.name):
            continue  # already said: it is not used
        if node.op.name == "const":
            continue  # a list converted where it is used; an unused const is reported by its name
        found.report(
            "W0103",
            f"the {kind} `{node.hint}` has no path to an output, loss or metric",
            node.span,
            "its value is never used",
            help="use it, or remove it",
        )
