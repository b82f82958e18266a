"""The values of everything in a picture, for one example.

Assumes typed graphs of one example and values of its leaves. Promises the values that the simulator
computes, by the path of the node (`levels`): what is inside of a repeat or scan has none but for the
parameters that are the same each time, since it is another one each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..graph import Graph, Node
from ..ops.control import Call, Holder, evaluate_nodes
from ..passes.simulate import bind_sizes, mode_values, simulate
from .levels import Levels

Values = Mapping[str, Any]
"""By path."""


def values_of(levels: Levels, given: Mapping[str, np.ndarray], seed: int) -> dict[str, Any]:
    """The values of all nodes that can be computed. Raises simulate.ShapeClash.

    given: values of inputs, targets, parameters and buffers, by node. seed: of what is random.
    """
    graph = levels.plain("")
    known = simulate(graph, {**given, **modes(graph, seed)})
    sizes = bind_sizes(graph, given)
    found: dict[str, Any] = {}
    waiting = [("", known)]
    while waiting:
        level, known = waiting.pop()
        found |= {level + name: value for name, value in known.items()}
        written = levels.written(level)
        for node in written:
            if isinstance(node.op, Holder):
                inner = f"{level}{node.name}/"
                inside = _inside(node, written, known)
                if isinstance(node.op, Call):
                    inside = evaluate_nodes(levels.plain(inner), inside, sizes)
                waiting.append((inner, inside))
    return found


def modes(graph: Graph, seed: int) -> dict[str, Any]:
    """The values of the leaves that say how a graph is run: not in training."""
    return mode_values(graph, rng=np.random.default_rng(seed))


def _inside(node: Node, around: Graph, known: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the inputs of what a node holds, as far as they are the same whenever it is applied."""
    found = {}
    for name, slots in zip(node.op.graph.inputs, node.op.feeds(), strict=True):
        operand = node.operands[slots[0]] if len(slots) == 1 else None
        if operand is None or operand not in known:
            continue
        same = around[operand].type == node.op.graph[name].type
        if isinstance(node.op, Call) or (same and slots[0] >= node.op.round_trip()):
            found[name] = known[operand]
    return found
