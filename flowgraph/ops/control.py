"""Operations that hold graphs: a block called as one node.

The graph inside is closed: its inputs are the node's operands, in order, and it has no params
of its own. Passes recurse into it by one rule each; `inline` is the pass that dissolves it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..graph import Graph
from ..types import Elem, Mismatch, TensorType, TupleType, Type, Unifier, describe
from .base import Op


class Holder(Op, abstract=True):
    """An operation that applies a closed graph. path: what the names of the parameters that are
    made in it begin with, outside; empty where it makes none."""

    operands = ("*xs",)
    graph: Any
    path: str = ""
    latex = "{xs}"

    def subgraphs(self) -> Sequence[Graph]:
        return (self.graph,)

    def with_subgraphs(self, graphs: Sequence[Graph]) -> Op:
        return self.with_attrs(graph=graphs[0])

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [None for _ in types]

    def feeds(self) -> list[list[int]]:
        """For each input of the graph the slots of the operands that it is given, one after another."""
        return [[slot] for slot in range(len(self.graph.inputs))]

    def round_trip(self) -> int:
        """How many of the inputs, the first ones, are given outputs of the graph again."""
        return 0

    def carrying(self, given: Sequence[int]) -> list[int]:
        """Which inputs of the graph carry the batch axis where these are given it."""
        return sorted({*given, *range(self.round_trip())})

    def over_batch(self, graph: Graph) -> Op:
        """The operation over a batch, given its graph over one."""
        return self.with_subgraphs([graph])

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        for name, slots in zip(self.graph.inputs, self.feeds(), strict=True):
            for slot in slots:
                self._hold(u, slot, types[slot], name)
        return several(tuple(self.graph[r.node].type for r in self.graph.results))

    def _hold(self, u: Unifier, slot: int, given: TensorType, name: str) -> None:
        wanted = self.graph[name].type
        fits = given.elem.kind == wanted.elem.kind and given.rank == wanted.rank
        try:
            for a, b in zip(given.shape, wanted.shape, strict=fits) if fits else ():
                u.unify(a, b)
        except Mismatch:
            fits = False
        if not fits:
            raise Mismatch(
                "shapes do not agree",
                blame=[(slot, f"is {describe(given)}")],
                help=f"`{self.graph.name}` takes {describe(wanted)} for `{name}`",
            )


class Call(Holder):
    """A graph applied to operands; its outputs are the result, a tuple if there are several."""

    def accepts(self, count: int) -> bool:
        return count == len(self.graph.inputs)

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        return applied(self.graph, arrays, sizes)


class Loop(Holder):
    """A graph applied `count` times, its outputs becoming its first inputs of the next round.

    Operands: first values of what goes round, as many as there are outputs; `shared` values that
    are the same for all rounds; then the values of each round, round by round.
    """

    count: int
    shared: int = 0

    def round_trip(self) -> int:
        return len(self.graph.results)

    def each(self) -> int:
        """How many values a round has for itself."""
        return len(self.graph.inputs) - self.round_trip() - self.shared

    def accepts(self, count: int) -> bool:
        return count == self.round_trip() + self.shared + self.count * self.each()

    def feeds(self) -> list[list[int]]:
        first = self.round_trip() + self.shared
        own = [[first + r * self.each() + i for r in range(self.count)] for i in range(self.each())]
        return [[slot] for slot in range(first)] + own

    def of_round(self, values: Sequence[Any], index: int) -> list[Any]:
        """The operands that a round has beside what goes round."""
        first = self.round_trip() + self.shared
        own = first + index * self.each()
        return [*values[self.round_trip() : first], *values[own : own + self.each()]]

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        several = self.round_trip() > 1
        going: Any = list(arrays[: self.round_trip()])
        for index in range(self.count):
            found = applied(self.graph, [*going, *self.of_round(arrays, index)], sizes)
            going = list(found) if several else [found]
        return tuple(going) if several else going[0]


def several(types: Sequence[TensorType]) -> Type:
    """The type of a node with these results."""
    return types[0] if len(types) == 1 else TupleType(tuple(types))


def applied(graph: Graph, arrays: Sequence[Any], sizes: Mapping[str, int]) -> Any:
    """The outputs of a closed graph for its inputs, a tuple if there are several."""
    known = evaluate_nodes(graph, dict(zip(graph.inputs, arrays, strict=True)), sizes)
    found = tuple(known[r.node] for r in graph.results)
    return found[0] if len(found) == 1 else found


def evaluate_nodes(graph: Graph, known: dict[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
    """Add to `known` the value of every node whose operands are known, in order."""
    for node in graph:
        if node.name not in known and node.op.name not in GIVEN and all(o in known for o in node.operands):
            types = [graph[o].type for o in node.operands]
            known[node.name] = node.op.evaluate([known[o] for o in node.operands], types, sizes)
    return known


GIVEN = ("input", "target", "param", "buffer")
"""Nodes whose values come from outside."""
