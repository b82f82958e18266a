"""What cannot learn: parameters that no gradient reaches, and losses given what they do not expect.

Assumes a typed graph of one example without requests for derivatives. Reports warnings to
`found`, changes nothing. Knows no single operation: each declares whether it is differentiable,
what to train with instead (`Op.instead`), between which numbers its results lie (`Op.interval`),
where it is flat (`Op.is_flat`), and what a loss is hardly meant to be given (`Op.unmeant`,
`Op.numbers_only`). Silent without a loss.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import ClassVar

from ..errors import Diagnostics, Span
from ..graph import Graph, Node
from ..ops.base import ANYTHING, Interval, Op
from ..types import TensorType
from .base import Pass

SHOWN = 6
"""Names and places said of many."""


@dataclass(frozen=True)
class Learn(Pass):
    """Warnings about training. frozen: patterns of parameters that are not to learn."""

    name: ClassVar[str] = "learn"
    found: Diagnostics = field(default_factory=Diagnostics, compare=False)
    frozen: tuple[str, ...] = ()

    def run(self, graph: Graph) -> Graph:
        losses = [r.node for r in graph.results_of("loss")]
        if losses:
            self._warn_params(graph, losses)
            before = graph.ancestors(losses)
            self._warn_flat(graph, before)
            for node in graph:
                if node.name in before:
                    self._warn_unmeant(graph, node)
                    self._warn_labels(graph, node)
        return graph

    # -- parameters

    def _warn_params(self, graph: Graph, losses: list[str]) -> None:
        before = graph.ancestors(losses)
        learning = receiving(graph, losses)
        seen = graph.ancestors(r.node for r in graph.results)
        blocked: dict[tuple[str, ...], list[Node]] = {}
        stops: dict[tuple[str, ...], dict[str, Node]] = {}
        cuts: dict[str, tuple[str, ...]] = {}
        for name in graph.params:
            param = graph[name]
            if name in learning or any(fnmatchcase(str(param.hint), pattern) for pattern in self.frozen):
                continue
            if name in before:
                cuts = cuts or blockers(graph, before)
                cut = {n: graph[n] for n in cuts[name]}
                kinds = tuple(dict.fromkeys(n.op.name for n in cut.values()))
                blocked.setdefault(kinds, []).append(param)
                stops.setdefault(kinds, {}).update(cut)
            elif name in seen:
                self._warn_aside(param)
        for kinds, params in blocked.items():
            self._warn_blocked(params, list(stops[kinds].values()))

    def _warn_aside(self, param: Node) -> None:
        self.found.report(
            "W0302",
            f"no path leads from the param `{param.hint}` to the loss",
            param.span,
            "training leaves it as it is",
            help="use it on the way to the loss, or declare it as a `const`",
        )

    def _warn_blocked(self, params: list[Node], stops: list[Node]) -> None:
        first = stops[0]
        kinds = list(dict.fromkeys(f"`{n.op.name}`" for n in stops))
        through = " or ".join(kinds[:SHOWN]) + (" or others" if len(kinds) > SHOWN else "")
        who = f"the param{'s' if len(params) > 1 else ''} {_listed(params)}"
        labels = [(n.span, f"`{n.op.name}` passes none either") for n in stops[1:SHOWN]]
        places: dict[Span | None, list[Node]] = {}
        for param in params[:SHOWN]:
            places.setdefault(param.span, []).append(param)
        labels += [
            (span, f"{_listed(at)} never change{'s' if len(at) == 1 else ''}")
            for span, at in places.items()
            if span != first.span
        ]
        self.found.report(
            "W0301",
            f"{who} can never learn: every path to the loss goes through {through}",
            first.span,
            f"`{first.op.name}` passes no gradient",
            labels=labels,
            help=_cure(stops),
        )

    # -- circles that are always the same

    def _warn_flat(self, graph: Graph, before: set[str]) -> None:
        if not any(type(n.op).is_flat is not Op.is_flat for n in graph if n.name in before):
            return
        lies = intervals(graph)
        for node in graph:
            if node.name not in before or len(node.operands) != 1:
                continue
            low, high = lies[node.operands[0]]
            if low <= high and node.op.is_flat(low, high):
                name = f"`{node.hint}`" if node.hint is not None else f"this `{node.op.name}`"
                self.found.report(
                    "W0303",
                    f"{name} is always the same, and nothing before it can learn",
                    node.span,
                    f"`{node.op.name}` of what is {_range(low, high)}",
                    help="look at the signs of the fixed weights and of the bias that lead to it",
                )

    # -- losses

    def _warn_unmeant(self, graph: Graph, node: Node) -> None:
        if not node.op.unmeant or not node.operands:
            return
        given = _behind(graph, node.operands[0], ("identity",))
        cure = node.op.unmeant.get(given.op.name)
        if cure is not None:
            said = f"`{node.op.name}` is given the output of `{given.op.name}`"
            labels = [(given.span, f"`{given.op.name}` is applied here")] if given.span != node.span else []
            self.found.report("W0304", said, node.span, cure[0], labels=labels, help=cure[1])

    def _warn_labels(self, graph: Graph, node: Node) -> None:
        if not node.op.numbers_only:
            return
        for operand in node.operands:
            given = _behind(graph, operand, ("identity", "cast"))
            if isinstance(given.type, TensorType) and given.type.elem.kind == "class":
                self.found.report(
                    "W0305",
                    f"`{node.op.name}` takes the class `{given.hint or given.op.name}` for a number",
                    node.span,
                    "class 2 counts as twice class 1",
                    labels=[(given.span, f"this is {given.type.elem}")] if given.span != node.span else [],
                    help="use `cross_entropy` with a score for each class, or declare it without `class`",
                )


def receiving(graph: Graph, losses: Iterable[str]) -> set[str]:
    """The nodes that a gradient of the losses reaches."""
    found: set[str] = set()
    stack = list(losses)
    while stack:
        name = stack.pop()
        if name in found or not carries_gradient(graph[name]):
            continue
        found.add(name)
        stack += passing(graph[name])
    return found


def passing(node: Node) -> list[str]:
    """The operands to which a gradient goes on from a node: of a scan those that its steps let through."""
    if not node.op.differentiable:
        return []
    held = node.op.subgraphs()
    if not held:
        return list(node.operands)
    (inner,) = held
    reached = receiving(inner, [r.node for r in inner.results])
    feeds = zip(inner.inputs, node.op.feeds(), strict=True)
    open_slots = {slot for name, slots in feeds for slot in slots if name in reached}
    return [o for slot, o in enumerate(node.operands) if slot in open_slots]


def staying(graph: Graph, patterns: Iterable[str] = ()) -> tuple[str, ...]:
    """Names of the parameters that training leaves as they are, in order.

    No gradient of the loss reaches them, or a pattern of names that are not to learn matches.
    """
    learning = receiving(graph, [r.node for r in graph.results_of("loss")])
    frozen = tuple(patterns)
    names = [(p, str(graph[p].hint)) for p in graph.params]
    return tuple(n for p, n in names if p not in learning or any(fnmatchcase(n, f) for f in frozen))


def carries_gradient(node: Node) -> bool:
    """Whether a gradient can arrive at a value: it is real, or several."""
    return not isinstance(node.type, TensorType) or node.type.elem.kind == "real"


def blockers(graph: Graph, before: set[str]) -> dict[str, tuple[str, ...]]:
    """For each of these nodes where its paths to the losses are cut, the first on each path.

    before: what the losses depend on. At most SHOWN are given, those that come first in the graph.
    """
    place = {node.name: index for index, node in enumerate(graph)}
    found: dict[str, tuple[str, ...]] = {}
    for node in reversed(list(graph)):
        if node.name not in before:
            continue
        stops: set[str] = set()
        for user in graph.users(node.name):
            if user.name not in before:
                continue
            passes = user.op.differentiable and carries_gradient(user)
            passes = passes and (not user.op.subgraphs() or node.name in passing(user))
            stops.update(found[user.name] if passes else (user.name,))
        found[node.name] = tuple(sorted(stops, key=place.__getitem__)[:SHOWN])
    return found


def intervals(graph: Graph) -> dict[str, Interval]:
    """For every node the numbers that its entries lie between, as far as its operations say."""
    found: dict[str, Interval] = {}
    for node in graph:
        types = [graph[o].type for o in node.operands]
        low, high = node.op.interval([found[o] for o in node.operands], types)
        found[node.name] = ANYTHING if math.isnan(low) or math.isnan(high) else (low, high)
    return found


def _behind(graph: Graph, name: str, passing: tuple[str, ...]) -> Node:
    """What a value is, under another name or element type."""
    node = graph[name]
    while node.op.name in passing:
        node = graph[node.operands[0]]
    return node


def _listed(nodes: list[Node]) -> str:
    names = [f"`{n.hint}`" for n in nodes[:SHOWN]]
    if len(nodes) > SHOWN:
        return f"{', '.join(names)} and {len(nodes) - SHOWN} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _cure(stops: list[Node]) -> str:
    """What to do about operations without a derivative."""
    better = next((n.op.instead for n in stops if n.op.instead), "use a function with a derivative")
    return f"{better}, or declare what is not to learn as a `const`"


def _range(low: float, high: float) -> str:
    if low == high:
        return f"always {low:g}"
    if math.isinf(low):
        return f"at most {high:g}"
    return f"at least {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"
