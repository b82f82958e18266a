"""Storage packs: arrays that are laid out from params alone become params themselves.

Assumes a vectorised graph of one example without dead nodes. An array whose entries are different params,
which nothing else uses, is one param with `parts`, the names that its entries have in the diagram. What
such a param, or one made by the pass `Biases`, holds and where, `held` tells.
Promises the same values; params that other nodes use too stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..graph import Graph, Node, renamed
from ..naming import Namer
from ..ops import OPS
from ..types import Dim
from .base import Pass

Place = tuple[int | slice, ...]
"""Where in an array a param lies, as numpy takes it between brackets."""


@dataclass(frozen=True)
class Packing(Pass):
    """Params of single wires in arrays."""

    name: ClassVar[str] = "packing"

    def run(self, graph: Graph) -> Graph:
        arrays = [node for node in graph if node.op.name == "assemble" and _is_packable(graph, node)]
        return _packed(graph, arrays) if arrays else graph


def _is_packable(graph: Graph, node: Node) -> bool:
    """Whether the entries are different params that nothing else uses."""
    results = {r.node for r in graph.results}
    return all(
        graph[o].op.name == "param" and graph.use_count(o) == 1 and o not in results for o in node.operands
    )


def _packed(graph: Graph, arrays: Sequence[Node]) -> Graph:
    taken = {node.name for node in arrays}
    titles = Namer(str(n.hint) for n in graph if n.hint is not None and n.name not in taken)
    holder = {o: node.name for node in arrays for o in node.operands}
    out = graph.like()
    for node in graph:
        if node.name in holder:
            continue
        if node.name in taken:
            parts = tuple(str(graph[o].hint) for o in node.operands)
            op = OPS["param"](type=node.type, init=None, parts=parts)
            node = renamed(node, op=op, operands=(), hint=titles.unique(node.hint or node.name))
        out.add(node)
    params = dict.fromkeys(holder.get(p, p) for p in graph.params)
    return out.close(graph.inputs, graph.targets, list(params), graph.results)


def held(node: Node) -> list[tuple[str, Place]]:
    """The names of the diagram's params that a param holds (`Param.parts`, `Param.holds`), and where.

    array[place] is the param: a view of a whole one, a number of one that is an entry. In the order in which
    the array is described; nothing for a param of the diagram's own.
    """
    shape = [int(Dim.of(d).value or 0) for d in node.type.shape]
    if node.op.parts:
        return list(zip(node.op.parts, np.ndindex(*shape), strict=True))
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    found: list[tuple[str, Place]] = []
    for names, items in node.op.holds:
        place = tuple(_sliced(item) for item in items)
        if isinstance(names, str):
            found.append((names, place))
            continue
        spots = np.unravel_index(numbers[place].ravel(), shape)
        found += zip(names, zip(*(axis.tolist() for axis in spots), strict=True), strict=True)
    return found


def _sliced(item: Any) -> int | slice:
    return item if isinstance(item, int) else slice(*item[1:])
