"""Replace operations whose numpy form goes over its arrays several times by operations that go once.

For planned code, where each node is one call that writes into an array of its own. Assumes a typed
graph that is differentiated and batched. An operation says itself what it is made of (`Op.simpler`);
what it is made of is replaced in turn, until nothing more can be. Promises the same values to
rounding, and the names, hints, places and origins of the nodes replaced. What several of them
compute alike is left to `Cse`, and a `pack` of several results to `Simplify`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ..errors import InternalError, Span
from ..graph import Builder, Graph, Node, Operation, Result, renamed
from ..ops.base import Value, fn
from .base import Pass

DEEPEST = 12
"""So many times what an operation is made of is made of something simpler; more is an endless circle."""


@dataclass(frozen=True)
class Simpler(Pass):
    """Operations as calls that pass over their arrays once."""

    name: ClassVar[str] = "simpler"

    def run(self, graph: Graph) -> Graph:
        return simplified(graph, lambda _, node: True)


def simplified(graph: Graph, chosen: Callable[[Graph, Node], bool]) -> Graph:
    """The graph with what is chosen of it replaced by simpler operations, and these in turn if chosen."""
    for _ in range(DEEPEST):
        made = _once(graph, chosen)
        if made is graph:
            return graph
        graph = made
    raise InternalError(f"graph {graph.name}: simpler operations without end")


class _Builder(Builder):
    """Notes the place of the node replaced on all that is made for it."""

    span: Span | None = None

    def apply(
        self,
        op: Operation,
        operands: Sequence[str],
        *,
        hint: str | None = None,
        span: Span | None = None,
        name: str | None = None,
    ) -> str:
        return super().apply(op, operands, hint=hint, span=span or self.span, name=name)


def _once(graph: Graph, chosen: Callable[[Graph, Node], bool]) -> Graph:
    """The graph with each operation chosen replaced by what it says; itself where none says anything."""
    out = graph.like()
    builder = _Builder(out, [node.name for node in graph])
    new: dict[str, str] = {}
    changed = False
    for node in graph:
        operands = tuple(new[o] for o in node.operands)
        builder.span, builder.of = node.span, node.of
        made = node.op.simpler(*(Value(builder, o) for o in operands)) if chosen(graph, node) else None
        if made is None:
            out.add(node if operands == node.operands else renamed(node, operands=operands))
            new[node.name] = node.name
        else:
            new[node.name] = _settled(out, builder, node, made)
            changed = True
    if not changed:
        return graph
    results: list[Result] = [replace(r, node=new[r.node]) for r in graph.results]
    return out.close(graph.inputs, graph.targets, graph.params, results)


def _settled(out: Graph, builder: Builder, node: Node, made: Value) -> str:
    """The name of what stands for a node: its own, for a value that was just made."""
    if made.type != node.type:
        raise InternalError(f"{node.op.name} of {node.type} became {made.type}")
    is_new = out.last == made.name and out[made.name].hint is None
    if not is_new and node.hint is None:
        return made.name
    if not is_new:
        made = fn.identity(made)
    last: Any = out.pop_last()
    out.add(renamed(last, name=node.name, hint=node.hint))
    return node.name
