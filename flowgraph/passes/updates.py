"""What training makes of the buffers: the arrays that layers keep up by themselves.

Assumes a typed graph over batches without calls. Promises the same nodes, and for every buffer a
result of role "buffer", labelled with its name: its value after a step, which is itself where
nothing that the loss depends on changes it. Each layer says what it makes of its buffers
(`Op.kept`); one that is applied several times takes them as the application before left them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..graph import Builder, Graph, Result
from ..ops.base import Value
from .base import Pass


@dataclass(frozen=True)
class Updates(Pass):
    """The new buffers as results."""

    name: ClassVar[str] = "updates"
    parts: ClassVar[bool] = True

    def run(self, graph: Graph) -> Graph:
        if not graph.buffers:
            return graph
        out = graph.like()
        builder = Builder(out)
        for node in graph:
            builder.keep(node)
        now = {name: Value(builder, name) for name in graph.buffers}
        before = graph.ancestors(r.node for r in graph.results_of("loss"))
        for node in graph:
            held = {slot: now[o] for slot, o in enumerate(node.operands) if o in now}
            if node.name in before and held:
                made = node.op.kept(held, *(Value(builder, o) for o in node.operands))
                now |= {node.operands[slot]: value for slot, value in made.items()}
        new = [Result("buffer", str(graph[name].hint), value.name) for name, value in now.items()]
        return out.close(graph.inputs, graph.targets, graph.params, [*graph.results, *new])
