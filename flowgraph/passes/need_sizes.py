"""Require of symbolic sizes what the operations need of them: a kernel fits into no shorter sequence.

Assumes a typed graph. Promises the same nodes, and a requirement for each need that a size of the
data could leave unmet, those of the graphs inside included; so every engine says what is wrong
before it computes anything. Of needs of one size the strictest is said.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ..graph import Graph, Node, Requirement
from ..ops.control import GIVEN
from ..types import Dim, Size, TupleType, Type
from .base import Pass

STRICT = {">": (">=", 1), "<": ("<=", -1)}
"""What a strict comparison of whole numbers says as another, and what is added to the right."""


@dataclass(frozen=True)
class NeedSizes(Pass):
    """The graph, requiring what its operations need."""

    name: ClassVar[str] = "need-sizes"

    def run(self, graph: Graph) -> Graph:
        forward = graph.ancestors(r.node for r in graph.results_of("output"))
        strictest: dict[Any, Requirement] = {}
        for found in _needs(graph, forward):
            held = strictest.setdefault((_side(found), found.for_loss), found)
            if not _implies(held, found):
                strictest[_side(found), found.for_loss] = found
        always = [r for r in strictest.values() if not r.for_loss]
        more = [
            r
            for r in strictest.values()
            if not any(_implies(said, r) for said in (*graph.requires, *(always if r.for_loss else ())))
        ]
        if not more:
            return graph
        out = graph.like(requires=(*graph.requires, *more))
        for node in graph:
            out.add(node)
        return out.close(graph.inputs, graph.targets, graph.params, graph.results)


def _needs(graph: Graph, forward: Container[str]) -> Iterator[Requirement]:
    """forward: the nodes that outputs need."""
    for node in graph:
        types = [graph[o].type for o in node.operands]
        if node.op.name in GIVEN or not all(map(_is_known, (node.type, *types))):
            continue  # what is not known is an error that is reported elsewhere
        for size, least, why in (*node.op.needs(types), *_results(node)):
            if _may_be_less(size, least):
                yield replace(_at_least(size, least, why, node), for_loss=node.name not in forward)
        for inner in node.op.subgraphs():
            for found in _needs(inner, ()):
                yield replace(found, for_loss=node.name not in forward)


def _results(node: Node) -> Iterator[tuple[Dim, int, str]]:
    """No size of what an operation gives is below 0."""
    for size in _sizes(node.type):
        if isinstance(size, Dim):
            yield size, 0, f"so that no size of `{node.op.name}` is negative"


def _is_known(type: Type) -> bool:
    return all(isinstance(size, Dim) for size in _sizes(type))


def _sizes(type: Type) -> list[Size]:
    return [s for t in (type.items if isinstance(type, TupleType) else [type]) for s in t.shape]


def _may_be_less(size: Dim, least: int) -> bool:
    """Whether some data have a size below this."""
    falls = any(factor < 0 for names, factor in size.terms if names)
    return bool(size.symbols) and (falls or size.at(dict.fromkeys(size.symbols, 0)) < least)


def _at_least(size: Dim, least: int, why: str, node: Node) -> Requirement:
    """The requirement with the number alone on the right: 2*T - 2 >= 1 is T >= 2, 5 - T >= 0 is T <= 5."""
    constant = size.at(dict.fromkeys(size.symbols, 0))
    left, right = size - constant, least - constant
    if len(left.terms) == 1:
        names, factor = left.terms[0]
        left, right = Dim([(names, 1 if factor > 0 else -1)]), -(-right // abs(factor))
    if all(factor < 0 for _, factor in left.terms):
        return Requirement(("<=", -left, -right), f"{-left} must be at most {-right} {why}", node.span)
    return Requirement((">=", left, right), f"{left} must be at least {right} {why}", node.span)


def _side(requirement: Requirement) -> Any:
    """Which bound it is: the operator and what stands on the left."""
    return requirement.condition[:2]


def _implies(said: Requirement, other: Requirement) -> bool:
    """Whether what is said is a bound on the same side of the same size, and as strict."""
    if not isinstance(said.condition, tuple) or len(said.condition) != 3:
        return False
    sign, left, right = said.condition
    have, want = right.value if isinstance(right, Dim) else right, other.condition[2]
    sign, more = STRICT.get(sign, (sign, 0))
    if (sign, left) != _side(other) or not isinstance(have, int):
        return False
    return have + more >= want if sign == ">=" else have + more <= want
