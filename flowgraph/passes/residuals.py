"""The reverse mode of a closed graph in two halves: forward with what it saves, and backward.

Assumes a typed closed graph (a block, or a step of a recurrence) whose results are its outputs.
Promises two closed graphs, so that what holds the graph can hold its derivative: the forward half
computes the same outputs and, as further outputs, what the backward half needs of the values in
between; the backward half takes inputs of the graph, those saved values and the cotangents of the
outputs, and gives the cotangents of the inputs asked for. What costs nothing to compute again
(constants, views) is not saved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..graph import Builder, Graph, Result, renamed
from ..ops import OPS
from ..ops.base import Value, fn
from ..types import TensorType
from .autodiff import expand_composites, pull_back
from .inline import Inline
from .scan_vjp import prepare, settle

FREE = ("const", "size_value")
"""Leaves that either half writes for itself."""


@dataclass(frozen=True)
class Halves:
    """needed: which inputs of the graph the backward half takes, by place; they come first.

    saved: how many outputs the forward half has beyond those of the graph; they come next. given:
    for which outputs of the graph, by place, a cotangent comes last.
    """

    forward: Graph
    backward: Graph
    needed: tuple[int, ...]
    saved: int
    given: tuple[int, ...]


def split_vjp(
    graph: Graph,
    wrt: Sequence[str],
    tidy: Callable[[Graph], Graph] = lambda g: g,
    given: Sequence[int] | None = None,
) -> Halves:
    """Both halves. wrt: inputs of the graph, all real. tidy: passes over both halves in one graph.

    given: the outputs, by place, that have a cotangent; by default all that are real.
    """
    if given is None:
        given = [i for i, r in enumerate(graph.results) if _is_real(graph, r.node)]
    made: set[str] = set()
    both = tidy(_both(Inline().run(graph), wrt, given, made))
    outputs = both.results_of("output")
    gradients = both.results_of("gradient")
    seeds = [name for name in both.inputs if name not in graph.inputs]
    behind = both.depends_on(seeds)
    writer = _Backward(both, behind | made)
    results = [Result("output", g.label, writer.value(g.node), span=g.span) for g in gradients]
    saved = list(writer.saved)
    forward = both.like()
    alive = both.ancestors([*(r.node for r in outputs), *saved])
    for node in both:
        if (node.name in alive or node.name in graph.inputs) and node.name not in seeds:
            forward.add(node)
    extra = [Result("output", f"saved_{i}", name) for i, name in enumerate(saved)]
    forward.close(graph.inputs, (), (), [*outputs, *extra])
    needed = tuple(i for i, name in enumerate(graph.inputs) if name in writer.taken)
    backward = writer.close([*(graph.inputs[i] for i in needed), *saved, *seeds], results)
    return Halves(forward, backward, needed, len(saved), tuple(given))


def _is_real(graph: Graph, name: str) -> bool:
    type = graph[name].type
    return isinstance(type, TensorType) and type.elem.kind == "real"


def _both(graph: Graph, wrt: Sequence[str], given: Sequence[int], made: set[str]) -> Graph:
    """The graph with its backward pass: the cotangents of its outputs are further inputs.

    made: takes the names of the nodes that derivative rules make, none of which is saved.
    """
    ends = [graph.results[i].node for i in given]
    graph = prepare(expand_composites(graph, wrt, ends), wrt, ends)
    out = graph.like()
    builder = Builder(out)
    for node in graph:
        builder.keep(node)
    seeds: dict[str, Value] = {}
    inputs = list(graph.inputs)
    for result in (graph.results[i] for i in given):
        op = OPS["input"](type=graph[result.node].type)
        seed = Value(builder, builder.apply(op, (), hint=f"d_{graph[result.node].hint or result.label}"))
        inputs.append(seed.name)
        seeds[result.node] = seeds[result.node] + seed if result.node in seeds else seed
    found = pull_back(graph, builder, seeds, wrt)
    made.update(n.name for n in out if n.name not in graph and n.op.name != "input")
    results = list(graph.results)
    for name in wrt:
        value = found.get(name)
        if value is None:
            value = fn.zeros_like(Value(builder, name))
        results.append(Result("gradient", graph[name].hint or name, value.name))
    return settle(out.close(inputs, (), (), results))


class _Backward:
    """Collects the nodes of the backward half, and what they take from the forward half."""

    def __init__(self, both: Graph, behind: set[str]) -> None:
        self.both, self.behind = both, behind
        self.inside: set[str] = set()
        self.saved: dict[str, None] = {}
        self.taken: set[str] = set()

    def value(self, name: str) -> str:
        """Note that the backward half uses a value, and what that takes."""
        stack = [name]
        while stack:
            current = stack.pop()
            if current in self.inside:
                continue
            self.inside.add(current)
            node = self.both[current]
            if node.op.name == "input":
                self.taken.add(current)
            elif node.op.name == "item" and node.operands[0] not in self.behind:
                self.saved[current] = None  # arrays are saved, not several at once
            elif current in self.behind or node.op.name in FREE or node.op.is_view or not node.operands:
                stack += node.operands
            else:
                self.saved[current] = None
        return name

    def close(self, inputs: Sequence[str], results: Sequence[Result]) -> Graph:
        out = self.both.like()
        for name in inputs:
            node = self.both[name]
            out.add(renamed(node, op=OPS["input"](type=node.type), operands=(), of=None))
        for node in self.both:
            if node.name in self.inside and node.name not in out:
                out.add(node)
        return out.close(inputs, (), (), results)
