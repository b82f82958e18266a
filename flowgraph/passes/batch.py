"""Give a leading batch axis to everything that depends on an input or a target.

Assumes a typed graph of one example. Promises a typed graph whose inputs, targets and what
depends on them carry the symbolic size N first, whose losses are means or sums over it (a
loss that depends on no example stands as it is), and whose metrics are means. Knows no single
operation: each says how it works over a batch (`Op.batch`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..graph import Builder, Graph, Node, Result, renamed
from ..ops import OPS
from ..ops.base import Batching, Value
from ..types import Dim, TensorType
from .base import Pass


@dataclass(frozen=True)
class Batch(Pass):
    """The graph over a batch of examples."""

    name: ClassVar[str] = "batch"

    def run(self, graph: Graph) -> Graph:
        return _Batcher(graph).run()


class _Batcher:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        taken = {*graph.sizes, *(n.name for n in graph)}
        self.size_name = next(n for n in ("N", *(f"N{i}" for i in range(2, len(taken) + 3))) if n not in taken)
        self.size = Dim.symbol(self.size_name)
        self.out = graph.like(sizes=(self.size_name, *graph.sizes), batch=self.size_name)
        self.builder = Builder(self.out, [n.name for n in graph])
        self.new: dict[str, str] = {}
        self.carries: set[str] = set()
        self.batching = Batching(self.size, lambda name: name in self.carries)

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
        if node.op.name in ("input", "target"):
            type = TensorType(node.type.elem, (self.size, *node.type.shape))
            self.out.add(renamed(node, op=node.op.with_attrs(type=type), type=type))
            self.carries.add(node.name)
            return node.name
        if not any(o in self.carries for o in operands):
            self.out.add(renamed(node, operands=tuple(operands)))
            return node.name
        types = [self.graph[o].type for o in node.operands]
        values = [Value(self.builder, o) for o in operands]
        count = len(self.out)
        made = node.op.batch(self.batching, values, types)
        name = self._take(made.name, node, fresh=len(self.out) > count and self.out.last == made.name)
        self.carries.add(name)
        return name

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
        if result.role == "output" or name not in self.carries:
            return Result(result.role, result.label, name, result.by, result.span)
        by = "batch_sum" if result.role == "loss" and result.by == "sum" else "batch_mean"
        total = self.builder.apply(OPS[by](), [name], span=result.span)
        return Result(result.role, result.label, total, result.by, result.span)


