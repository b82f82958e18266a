"""The gradient of the loss by everything in a picture.

Assumes the graphs of a picture (`levels`). Promises, by path, the derivative of the sum of all losses of one
example by the value of each node that is real and that the loss depends on, all else being as it is: computed
by the reverse mode of `passes.autodiff`, level by level, inside of a block from the gradients of its
results. Inside of repeats and scans nothing has one gradient, so nothing there has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph import Builder, Graph, Result
from ..ops import OPS
from ..ops.base import Value, fn
from ..ops.control import Call
from ..passes.autodiff import Vjp
from ..passes.base import Pipeline
from ..passes.dce import Dce
from ..passes.keep import Keep
from ..passes.simulate import simulate
from .levels import Levels, is_real
from .values import Values, modes


@dataclass(frozen=True)
class Pulled:
    """A graph with the derivatives of some of its values.

    graph: computes them. seeds: its inputs that are the cotangents of the ends, by end. wrt: the node of the
    derivative by each variable. live: the variables whose derivative is not 0 whatever the values.
    """

    graph: Graph
    seeds: Mapping[str, str]
    wrt: Mapping[str, str]
    live: frozenset[str]

    def at(self, known: Mapping[str, Any], seeds: Mapping[str, Any], seed: int = 0) -> dict[str, Any]:
        """The derivatives by variable. known: values of the leaves. seeds: the cotangents of the ends. seed:
        of what is random."""
        given = {self.seeds[end]: np.asarray(value) for end, value in seeds.items()}
        values = simulate(self.graph, {**known, **modes(self.graph, seed), **given})
        return {name: values[node] for name, node in self.wrt.items() if node in values}


def pulled(graph: Graph, ends: Sequence[str], wrt: Sequence[str]) -> Pulled:
    """Differentiate the values of `ends`, each along a direction that is to be given, by those of `wrt`."""
    out = graph.like()
    builder = Builder(out)
    for node in graph:
        builder.keep(node)
    seeds: dict[str, str] = {}
    total: Value | None = None
    for end in dict.fromkeys(ends):
        value = Value(builder, end)
        seeds[end] = builder.apply(OPS["input"](type=value.type), (), name="seed")
        part = value * Value(builder, seeds[end])
        part = fn.sum(part) if part.shape else part
        total = part if total is None else total + part
    assert total is not None, "something is differentiated"
    out.close(
        (*graph.inputs, *seeds.values()), graph.targets, graph.params, [Result("loss", "loss", total.name)]
    )
    found = Pipeline((Vjp(tuple(wrt)), Keep(("gradient",)), Dce())).run(out)
    nodes = {name: r.node for name, r in zip(wrt, found.results, strict=True)}
    moving = found.depends_on(seeds.values())
    live = frozenset(name for name, node in nodes.items() if node in moving)
    return Pulled(found, seeds, nodes, live)


@dataclass(frozen=True)
class Gradient:
    """values: the derivative of the loss by each node, by path; none without numbers. zero: the paths of
    those that are 0 whatever the numbers, such as before a `step`."""

    values: Values
    zero: frozenset[str]


def gradient_of(levels: Levels, known: Values | None, seed: int) -> Gradient:
    """The gradient of the loss. known: the values of all nodes by path; None for what is 0 alone."""
    values: dict[str, Any] = {}
    zero: set[str] = set()
    waiting: list[tuple[str, dict[str, Any]]] = [("", dict.fromkeys(levels.ends(""), 1.0))]
    while waiting:
        level, seeds = waiting.pop()
        graph = levels.plain(level)
        on_path = levels.plain(level).ancestors(seeds)
        wrt = [n.name for n in graph if n.name in on_path and is_real(n)]
        found = pulled(graph, list(seeds), wrt)
        zero |= {level + name for name in wrt if name not in found.live}
        given: dict[str, Any] = {}
        if known is not None:
            leaves = (*graph.inputs, *graph.targets, *graph.params, *graph.buffers)
            leaf_values = {n: known[level + n] for n in leaves if level + n in known}
            given = found.at(leaf_values, seeds, seed)
            values |= {level + name: value for name, value in given.items()}
        waiting += _inside(levels, level, found.live, given)
    return Gradient(values, frozenset(zero))


def _inside(
    levels: Levels, level: str, live: frozenset[str], given: Mapping[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    """The blocks that a graph calls, with the gradients of their results."""
    found = []
    for node in levels.written(level):
        if not isinstance(node.op, Call):
            continue
        inner = f"{level}{node.name}/"
        seeds: dict[str, Any] = {}
        results = levels.written(inner).results
        for result, names in zip(results, levels.results_in(inner), strict=True):
            for name in names:
                if name in live:
                    seeds[result.node] = seeds.get(result.node, 0.0) + given.get(name, 0.0)
        if seeds:
            found.append((inner, seeds))
    return found
