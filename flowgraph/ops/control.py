"""Operations that hold graphs: a block called as one node.

The graph inside is closed: its inputs are the node's operands, in order, and it has no params
of its own. Passes recurse into it by one rule each; `inline` is the pass that dissolves it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..graph import Graph
from ..types import Elem, Mismatch, TensorType, TupleType, Type, Unifier, describe
from .base import Op, OpDefinitionError, Value, apply, fn
from .value import OPS


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

    Operands: first values of what goes round; `shared` values that are the same for all rounds; then
    the values of each round, round by round. The last `keeps` outputs of the graph do not go round: the
    node's results are what has gone round, and then what was kept, round by round. reverse: the last
    round comes first. That is how cotangents go: what such a loop keeps are the cotangents of values
    that a round has for itself, each output labelled with the name of its value.
    """

    count: int
    shared: int = 0
    keeps: int = 0
    reverse: bool = False
    pull: Any = None
    """How cotangents go back through it: a `LoopPullback`, there only while a graph is differentiated."""

    def round_trip(self) -> int:
        return len(self.graph.results) - self.keeps

    def each(self) -> int:
        """How many values a round has for itself."""
        return len(self.graph.inputs) - self.round_trip() - self.shared

    def own_slots(self, index: int) -> range:
        """The slots of the values that a round has for itself."""
        first = self.round_trip() + self.shared + index * self.each()
        return range(first, first + self.each())

    def kept_place(self, index: int, which: int) -> int:
        """Which of the node's results is one of the values kept of a round."""
        return self.round_trip() + index * self.keeps + which

    def accepts(self, count: int) -> bool:
        return count == self.round_trip() + self.shared + self.count * self.each()

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        once = super().rule(u, *types)
        if not self.keeps:
            return once
        found = [self.graph[r.node].type for r in self.graph.results]
        first = self.round_trip()
        return several((*found[:first], *(found[first:] * self.count)))

    def feeds(self) -> list[list[int]]:
        first = self.round_trip() + self.shared
        own = zip(*(self.own_slots(r) for r in range(self.count)), strict=True)
        return [[slot] for slot in range(first)] + [list(slots) for slots in own]

    def of_round(self, values: Sequence[Any], index: int) -> list[Any]:
        """The operands that a round has beside what goes round."""
        shared = values[self.round_trip() : self.round_trip() + self.shared]
        return [*shared, *(values[slot] for slot in self.own_slots(index))]

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        going = list(arrays[: self.round_trip()])
        kept: list[list[Any]] = []
        rounds = range(self.count)
        for index in reversed(rounds) if self.reverse else rounds:
            found = applied(self.graph, [*going, *self.of_round(arrays, index)], sizes)
            found = list(found) if isinstance(found, tuple) else [found]
            going = found[: self.round_trip()]
            kept.append(found[self.round_trip() :])
        results = [*going, *(v for values in (kept[::-1] if self.reverse else kept) for v in values)]
        return results[0] if len(results) == 1 else tuple(results)

    def vjp(self, cotangent: Any, y: Value, *xs: Value) -> list[Value | None]:
        if self.pull is None:
            raise OpDefinitionError("a loop is prepared before it is differentiated")
        given = cotangent if isinstance(cotangent, list) else [cotangent]
        found: list[Value | None] = self.pull.cotangents(self, given, y, xs)
        return found


@dataclass(frozen=True)
class LoopPullback:
    """How the cotangents of a loop's results become those of its operands: by a loop the other way.

    op: that loop. What goes round in it are the cotangents of `going`, then the sums of those of
    `shared`; it shares the operands `taken`; a round has for itself the `own` of the round and what the
    loop kept of it; it keeps the cotangents of the round's `made`. going, shared, taken: slots of the
    loop's operands. own, made: places among what a round has for itself.
    """

    op: Loop
    going: tuple[int, ...]
    shared: tuple[int, ...]
    taken: tuple[int, ...]
    own: tuple[int, ...]
    made: tuple[int, ...]

    def cotangents(
        self, loop: Loop, given: Sequence[Value | None], y: Value, xs: Sequence[Value]
    ) -> list[Value | None]:
        """The cotangent of each operand; `given` are those of the results, None for zero."""
        firsts = [fn.zeros_like(xs[s]) if (d := given[s]) is None else d for s in self.going]
        firsts += [fn.zeros_like(xs[s]) for s in self.shared]
        rounds: list[Value] = []
        for index in range(loop.count):
            slots = loop.own_slots(index)
            rounds += [xs[slots[place]] for place in self.own]
            rounds += [_result(y, loop.kept_place(index, which)) for which in range(loop.keeps)]
        run = apply(self.op, *firsts, *(xs[slot] for slot in self.taken), *rounds)
        found: list[Value | None] = [None for _ in xs]
        for place, slot in enumerate((*self.going, *self.shared)):
            found[slot] = _result(run, place)
        for index in range(loop.count):
            slots = loop.own_slots(index)
            for which, place in enumerate(self.made):
                found[slots[place]] = _result(run, self.op.kept_place(index, which))
        return found


def _result(value: Value, index: int) -> Value:
    """One of the results of a node that may have several."""
    items = getattr(value.type, "items", None)
    return value if items is None else apply(OPS["item"](index=index, count=len(items)), value)


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
