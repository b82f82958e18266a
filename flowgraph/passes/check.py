"""What a typed graph of one example must satisfy to be meant, and what looks unmeant.

Assumes the result of `infer-types`. Reports to `found`, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..errors import Diagnostics, shorten
from ..graph import Graph, Node, Requirement, Result
from ..ops.control import Loop
from ..ops.scan import Scan
from ..types import Dim, TupleType, Type, describe
from .base import Pass


@dataclass(frozen=True)
class Check(Pass):
    """Errors of results, and warnings about nodes that reach none."""

    name: ClassVar[str] = "check"
    found: Diagnostics = field(default_factory=Diagnostics, compare=False)

    def run(self, graph: Graph) -> Graph:
        """The graph as it is; reports errors, and warnings where there is no error."""
        behind = _Behind(graph)
        for result in graph.results:
            _check_result(graph, result, behind, self.found)
        _check_sizes(graph, self.found)
        if not self.found.has_errors:
            _warn_unreached(graph, self.found)
        return graph


class _Behind:
    """Which target each node depends on, if any: the first one found."""

    def __init__(self, graph: Graph) -> None:
        self._target: dict[str, str] = {t: t for t in graph.targets}
        if graph.targets:
            for node in graph:
                hit = next((self._target[o] for o in node.operands if o in self._target), None)
                if hit is not None:
                    self._target.setdefault(node.name, hit)

    def target(self, node: str) -> str | None:
        return self._target.get(node)


def _check_result(graph: Graph, result: Result, behind: _Behind, found: Diagnostics) -> None:
    type = graph[result.node].type
    label = shorten(result.label)
    if isinstance(type, TupleType):
        found.report(
            "E0310",
            f"the {result.role} `{label}` is {len(type.items)} values",
            result.span,
            "several values",
            help="give each a name first: `a, b = ...`",
        )
        return
    if result.role == "output":
        _check_output(graph, result, behind, found)
    elif type.shape:
        found.report(
            "E0306",
            f"a {result.role} is one number per example",
            result.span,
            f"this is {describe(type)}",
            help="reduce it with `mean(...)` or `sum(...)`",
        )
    elif result.role == "loss" and type.elem.kind != "real":
        found.report(
            "E0303",
            "a loss is a real number, for it is to be made small step by step",
            result.span,
            f"this is {describe(type)}",
            help="use a loss such as `mse` or `cross_entropy`; what is counted belongs into a `metric`",
        )


def _check_output(graph: Graph, result: Result, behind: _Behind, found: Diagnostics) -> None:
    target = behind.target(result.node)
    if target is None:
        return
    name = shorten(str(graph[target].hint))
    found.report(
        "E0209",
        f"the output `{shorten(result.label)}` depends on the target `{name}`",
        result.span,
        "targets are known in training and metrics only",
        labels=[(graph[target].span, f"the target `{name}`")],
        help="make it a loss or a metric, or compute it from the inputs alone",
    )


# ---------------------------------------------------------------------------------------
# Symbolic sizes


def _check_sizes(graph: Graph, found: Diagnostics) -> None:
    """Report symbolic sizes that are used and that no argument's shape tells."""
    unread = {s for s in graph.sizes if not _is_read_off(graph, graph.inputs, s)}
    if not unread:
        return
    by_target = {s for s in unread if _is_read_off(graph, graph.targets, s)}
    forward = graph.ancestors(r.node for r in graph.results_of("output")) if by_target else set()
    reported: set[str] = set()
    for node in graph:
        for symbol in (*_symbols_of(node.type), *_mentioned(tuple(node.op.values.values()))):
            if symbol not in unread or symbol in reported:
                continue
            if symbol in by_target and node.op.name != "input" and node.name not in forward:
                continue
            reported.add(symbol)
            _report_unread(found, symbol, node, symbol in by_target)
    for requirement in graph.requires:
        for symbol in _mentioned(requirement.condition):
            if symbol in unread - by_target - reported:
                reported.add(symbol)
                _report_unread(found, symbol, requirement, False)


def _report_unread(found: Diagnostics, symbol: str, user: Node | Requirement, by_target: bool) -> None:
    whose, size = "an input" if by_target else "an input or target", shorten(symbol)
    found.report(
        "E0308",
        f"nothing says how large `{size}` is when data arrive",
        user.span,
        f"`{size}` is needed here" + (", and only a target tells it" if by_target else ""),
        help=f"give {whose} an axis of size `{size}` alone, such as `input x : [{size}]`",
    )


def _is_read_off(graph: Graph, arguments: Iterable[str], symbol: str) -> bool:
    """Whether the size is the whole size of an axis of one of these arguments."""
    wanted = Dim.symbol(symbol)
    return any(size == wanted for a in arguments for size in graph[a].type.shape)


def _symbols_of(type: Type) -> Iterator[str]:
    """The symbolic sizes that a type mentions."""
    for tensor in type.items if isinstance(type, TupleType) else (type,):
        for size in (*tensor.shape, tensor.elem.classes):
            if isinstance(size, Dim) and size.value is None:
                yield from size.symbols


def _mentioned(value: Any) -> Iterator[str]:
    """The symbolic sizes of a requirement's condition, or of an operation's attrs."""
    stack = [value]
    while stack:
        part = stack.pop()
        if isinstance(part, tuple):
            stack += part
        elif isinstance(part, Dim):
            yield from part.symbols


# ---------------------------------------------------------------------------------------
# What looks unmeant


def _warn_unreached(graph: Graph, found: Diagnostics) -> None:
    """Warn of named nodes, inputs and targets that no result depends on."""
    reached = graph.ancestors(r.node for r in graph.results)
    for node in graph:
        if node.name in reached or node.hint is None or _is_excitation(graph, node):
            continue
        if any(user.hint is not None for user in graph.users(node.name)):
            continue  # the last of the chain is the one to name
        if any(isinstance(graph[o].op, (Loop, Scan)) and o in reached for o in node.operands[:1]):
            continue  # something that goes round goes on by another, which a round makes from it
        kind = node.op.name if node.op.name in ("input", "target", "param") else "node"
        if kind == "param" and not graph.users(node.name):
            continue  # already said: it is not used
        if node.op.name in ("const", "size_value"):
            continue  # a const: `lower` tells of those
        name = shorten(node.hint)
        found.report(
            "W0103",
            f"the {kind} `{name}` has no path to an output, loss or metric",
            node.span,
            "its value is never used",
            help="use it, or remove it",
        )


def _is_excitation(graph: Graph, node: Node) -> bool:
    """Whether this is the excitation of a circle, which is the one to name."""
    return any(node.hint == f"xi_{user.hint}" for user in graph.users(node.name))
