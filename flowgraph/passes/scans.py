"""What the passes that differentiate scans share: which inputs of a step matter, and its graph.

Assumes typed graphs. A step's inputs are spoken of by their place: states, entries, shared values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..graph import Graph, Result, rebuild, renamed
from ..ops.base import Op
from ..ops.scan import Scan
from ..types import TensorType


def is_real(graph: Graph, name: str) -> bool:
    """Whether a node is an array of reals."""
    type = graph[name].type
    return isinstance(type, TensorType) and type.elem.kind == "real"


def moving(op: Scan, moved: Iterable[int]) -> list[int]:
    """The real inputs of a step, by place, that change where these do: states follow what makes them."""
    graph, found = op.graph, set(moved)
    while True:
        behind = graph.depends_on(graph.inputs[i] for i in found)
        more = {i for i, name in enumerate(op.follows()) if name in behind} - found
        if not more:
            return sorted(i for i in found if is_real(graph, graph.inputs[i]))
        found |= more


def reaching(op: Scan, results: Iterable[int]) -> list[int]:
    """The inputs of a step, by place, that these results of the scan depend on, in whatever step."""
    graph, follows = op.graph, op.follows()
    results = list(results)
    count = len(op.gives())
    ends = {op.gives()[i] for i in results if i < count}
    ends |= {follows[op.last[i - count]] for i in results if i >= count}
    while True:
        before = graph.ancestors(ends)
        more = {follows[i] for i in range(op.states) if graph.inputs[i] in before} - ends
        if not more:
            kept = {op.last[i - count] for i in results if i >= count}
            return [i for i, name in enumerate(graph.inputs) if name in before or i in kept]
        ends |= more


def reclosed(graph: Graph, inputs: Sequence[str], results: Sequence[Result]) -> Graph:
    """The graph with its inputs in this order, and these results, as outputs."""
    out = graph.like()
    for node in graph:
        out.add(node)
    outputs = [Result("output", r.label, r.node, span=r.span) for r in results]
    return out.close(inputs, (), (), outputs)


def undifferentiated(op: Op) -> Op:
    """An operation as one of a diagram's own: no part of a backward pass, nor anything that it holds."""
    if isinstance(op, Scan) and op.pull is not None:
        op = op.with_attrs(pull=None)
    held = [rebuild(g, (renamed(n, op=undifferentiated(n.op), of=None) for n in g)) for g in op.subgraphs()]
    return op.with_subgraphs(held) if held else op
