"""Give a leading batch axis to everything that depends on an input or a target.

Assumes a typed graph of one example. Promises a typed graph whose inputs, targets and what
depends on them carry the symbolic size N first, whose losses are means or sums over it (a
loss that depends on no example stands as it is), whose metrics are means, and whose gradients
of single examples all carry the axis. Where there are inputs, what is drawn at random is drawn for
every example: the key of the call counts as one of them, without having the axis itself. Knows no
single operation: each says how it works over a batch (`Op.batch`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..graph import Builder, Graph, Node, Result, renamed
from ..ops import OPS
from ..ops.base import Batching, Value
from ..types import KEY, Dim, TensorType
from .base import Pass


@dataclass(frozen=True)
class Batch(Pass):
    """The graph over a batch of examples."""

    name: ClassVar[str] = "batch"

    def run(self, graph: Graph) -> Graph:
        return _Batcher(graph).run()


class _Batcher:
    """Batches one graph; `carried` says which inputs of an inner graph carry the axis."""

    def __init__(self, graph: Graph, size: Dim | None = None, carried: Sequence[str] | None = None) -> None:
        self.graph = graph
        if carried is None:
            keys = [n.name for n in graph if n.op.name == "key"] if graph.inputs else []
            carried = (*graph.inputs, *graph.targets, *keys)
        self.carried = carried
        if size is None:
            taken = {*graph.sizes, *(n.name for n in graph)}
            free = ("N", *(f"N{i}" for i in range(2, len(taken) + 3)))
            size = Dim.symbol(next(n for n in free if n not in taken))
        self.size = size
        name = size.symbols[0]
        self.out = graph.like(sizes=(name, *graph.sizes), batch=name)
        self.builder = Builder(self.out, [n.name for n in graph])
        self.new: dict[str, str] = {}
        self.carries: set[str] = set()
        self.batching = Batching(self.size, self.carries.__contains__)

    def run(self) -> Graph:
        for node in self.graph:
            self.new[node.name] = self._node(node)
        results = [self._result(r) for r in self.graph.results]

        def again(names: Sequence[str]) -> list[str]:
            return [self.new[n] for n in names]

        return self.out.close(
            again(self.graph.inputs), again(self.graph.targets), again(self.graph.params), results
        )

    def _node(self, node: Node) -> str:
        operands = [self.new[o] for o in node.operands]
        if node.name in self.carried and node.type.elem == KEY:
            self.out.add(node)
            self.carries.add(node.name)
            return node.name
        if node.name in self.carried:
            type = TensorType(node.type.elem, (self.size, *node.type.shape))
            self.out.add(renamed(node, op=node.op.with_attrs(type=type), type=type))
            self.carries.add(node.name)
            return node.name
        if not any(o in self.carries for o in operands):
            self.out.add(renamed(node, operands=tuple(operands)))
            return node.name
        if node.op.subgraphs():
            return self._holder(node, operands)
        types = [self.graph[o].type for o in node.operands]
        values = [Value(self.builder, o) for o in operands]
        count = len(self.out)
        self.builder.of = None if node.of is None else self.new.get(node.of, node.of)
        made = node.op.batch(self.batching, values, types)
        self.builder.of = None
        name = self._take(made.name, node, fresh=len(self.out) > count and self.out.last == made.name)
        self.carries.add(name)
        return name

    def _holder(self, node: Node, operands: list[str]) -> str:
        """A node that holds a graph: batch that for the operands that carry the axis.

        What goes round in a loop carries it in every round, if anything in the loop does.
        """
        (inner,) = node.op.subgraphs()
        feeds = node.op.feeds()
        carried = [i for i, slots in enumerate(feeds) if any(operands[s] in self.carries for s in slots)]
        carried = node.op.carrying(carried)
        for slot in (s for i in carried for s in feeds[i]):
            value = Value(self.builder, operands[slot])
            operands[slot] = self.batching.spread(value, self.graph[node.operands[slot]].type).name
        batched = _Batcher(inner, self.size, [inner.inputs[i] for i in carried]).inner()
        op = node.op.over_batch(batched)
        type = op.result_type([self.out[o].type for o in operands])
        of = None if node.of is None else self.new.get(node.of, node.of)
        self.out.add(Node(node.name, op, tuple(operands), type, node.hint, node.span, of))
        self.carries.add(node.name)
        return node.name

    def inner(self) -> Graph:
        """The batched graph for use inside a node: every result carries the axis."""
        for node in self.graph:
            self.new[node.name] = self._node(node)
        results = []
        for result in self.graph.results:
            value = Value(self.builder, self.new[result.node])
            spread = self.batching.spread(value, self.graph[result.node].type)
            results.append(Result(result.role, result.label, spread.name, result.by, result.span))
        return self.out.close([self.new[i] for i in self.graph.inputs], (), (), results)

    def _take(self, made: str, node: Node, *, fresh: bool) -> str:
        """Let the node just made take the name, hint and span of the one it stands for."""
        if not fresh:
            if node.hint is None:
                return made
            identity = OPS["identity"]()
            type = self.out[made].type
            self.out.add(Node(node.name, identity, (made,), type, node.hint, node.span))
            return node.name
        last = self.out.pop_last()
        assert last.name == made
        self.out.add(renamed(last, name=node.name, hint=node.hint, span=node.span))
        return node.name

    def _result(self, result: Result) -> Result:
        name = self.new[result.node]
        if result.role == "example_gradient":
            value = self.batching.spread(Value(self.builder, name), self.graph[result.node].type)
            return Result(result.role, result.label, value.name, result.by, result.span)
        if result.role == "output" or name not in self.carries:
            return Result(result.role, result.label, name, result.by, result.span)
        by = "batch_sum" if result.role == "loss" and result.by == "sum" else "batch_mean"
        total = self.builder.apply(OPS[by](), [name], span=result.span)
        return Result(result.role, result.label, total, result.by, result.span)
