"""Differentiate a graph: forward (jvp) and reverse (vjp) mode, as passes.

Assumes a typed graph. Knows no single operation: each declares its derivative in graph nodes
(`Op.jvp`, `Op.vjp`, or an expansion into operations that do), so the result is a graph again
that prints, simplifies, emits and differentiates. Promises that the nodes of the graph are
kept as they are, each evaluated once, and that only what depends on `wrt` is differentiated.

Reverse mode walks the nodes backwards; the cotangent of a value used several times is the sum
of what its users send, the last user's first. Where an operand was broadcast, its cotangent is
summed over the axes it was repeated along. Called graphs are put in place of their calls first; in
reverse mode loops whose rounds differ in their parameters alone stay loops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..graph import Builder, Graph, Node, Result, renamed
from ..ops import OPS
from ..ops.ambient import OF_RATE
from ..ops.base import Composite, Op, Value, beside, constant, fn
from ..ops.scan import Scan
from ..types import TensorType, TupleType
from .base import Pass, Pipeline
from .inline import Inline
from .scan_jvp import Joined, joined, push_scan, result_taken
from .scan_vjp import prepare, settle

MAX_EXPANSIONS = 20

Cotangent = Value | list[Value | None]
"""Of a node with one value, and of a node with several."""


@dataclass(frozen=True)
class Vjp(Pass):
    """Add the gradient of the sum of all losses with respect to `wrt` (all params if empty).

    Each is a result of role "gradient" labelled with the node's name in the diagram. scaled: whether
    they are to be multiplied by the learning rate, a leaf `rate`: the steps of plain gradient descent.
    """

    name: ClassVar[str] = "vjp"
    parts: ClassVar[bool] = True
    wrt: tuple[str, ...] = ()
    scaled: bool = False
    tidy: tuple[Pass, ...] = ()
    """Passes over the derivative of a loop's round, before it is parted from the round."""

    def run(self, graph: Graph) -> Graph:
        from .loop_vjp import prepare_loops  # which differentiates the rounds

        graph = Inline(rounds=True).run(graph)
        wrt = self.wrt or graph.params
        losses = [r.node for r in graph.results_of("loss")]
        graph = prepare(expand_composites(graph, wrt, losses), wrt, losses)
        graph = prepare_loops(graph, wrt, losses, Pipeline(self.tidy).run)
        out, builder = _copy(graph)
        seeds = {loss: constant(builder, float(losses.count(loss))) for loss in dict.fromkeys(losses)}
        if self.scaled and losses:
            rate = beside(next(iter(seeds.values())), OPS["rate"](type=OF_RATE))
            seeds = {loss: seed * rate for loss, seed in seeds.items()}
        cotangents = pull_back(graph, builder, seeds, wrt)
        results = list(graph.results)
        for name in wrt:
            label = graph[name].hint or name
            value = cotangents.get(name)
            if value is None:
                value = fn.zeros_like(Value(builder, name))
            results.append(Result("gradient", label, value.name, span=graph[name].span))
        return settle(out.close(graph.inputs, graph.targets, graph.params, results))


@dataclass(frozen=True)
class Jvp(Pass):
    """Add the derivative of every result along tangents of `wrt` (all params if empty).

    The tangents are new inputs, named `<name>_dot`; the derivative of a result has its label and
    the role of its kind: "output_dot", "loss_dot", "metric_dot", "gradient_dot".
    """

    name: ClassVar[str] = "jvp"
    parts: ClassVar[bool] = True
    wrt: tuple[str, ...] = ()

    def run(self, graph: Graph) -> Graph:
        graph = Inline().run(graph)
        wrt = self.wrt or graph.params
        ends = [r.node for r in graph.results]
        graph = expand_composites(graph, wrt, ends)
        reached, variables = graph.ancestors(ends), set(wrt)
        out = graph.like()
        builder = Builder(out, [n.name for n in graph])
        tangents: dict[str, Value] = {}
        joints: dict[str, Joined] = {}
        inputs = list(graph.inputs)
        for node in graph:
            if isinstance(node.op, Scan):
                both = joined(builder, node, [tangents.get(o) for o in node.operands])
                if both is not None:
                    joints[node.name] = both
            taken = result_taken(node, joints)
            if taken is not None:
                found = joints[taken].take(node)
                if found is not None:
                    tangents[node.name] = found
                continue
            if node.name in joints:
                continue  # its results are taken from the scan that stands for it
            builder.keep(node)
            if node.name in variables:
                op = OPS["input"](type=node.type)
                name = builder.apply(op, (), hint=f"{node.hint or node.name}_dot")
                tangents[node.name] = Value(builder, name)
                inputs.append(name)
            elif node.name in reached and any(o in tangents for o in node.operands):
                found = push(builder, node, tangents)
                if found is not None:
                    tangents[node.name] = found
        results = list(graph.results)
        for result in graph.results:
            tangent = tangents.get(result.node)
            if tangent is None:
                tangent = fn.zeros_like(Value(builder, result.node))
            results.append(Result(f"{result.role}_dot", result.label, tangent.name, result.by, result.span))
        return out.close(inputs, graph.targets, graph.params, results)


def _copy(graph: Graph) -> tuple[Graph, Builder]:
    """The graph's nodes in a new graph that can be added to."""
    out = graph.like()
    builder = Builder(out)
    for node in graph:
        builder.keep(node)
    return out, builder


def push(builder: Builder, node: Node, tangents: Mapping[str, Value]) -> Value | None:
    """The tangent of a node, from those of its operands."""
    values = [Value(builder, o) for o in node.operands]
    given = [tangents.get(o) for o in node.operands]
    y = Value(builder, node.name)
    if isinstance(node.op, Scan):
        return push_scan(builder, node, given)
    builder.of = node.name
    found = node.op.jvp(given, y, *values)
    if found is not None and not isinstance(node.type, TupleType):
        found = spread_to(found, y)
    builder.of = None
    if found is None or found.name in {v.name for v in (y, *values, *given) if v is not None}:
        return found
    return _tangent_of(builder, found, node)


def _tangent_of(builder: Builder, tangent: Value, node: Node) -> Value:
    """A tangent just made, under the name of what it is the tangent of: `h1_dot`."""
    made = builder.graph[tangent.name]
    if made.hint is not None or builder.graph.last != made.name:
        return tangent
    builder.graph.pop_last()
    name = builder.names.unique(f"{node.name}_dot".replace(".", "_"))
    hint = None if node.hint is None else f"{node.hint}_dot"
    builder.graph.add(renamed(made, name=name, hint=hint))
    return Value(builder, name)


def pull_back(
    graph: Graph, builder: Builder, seeds: Mapping[str, Value], wrt: Sequence[str], prefix: str = "d_"
) -> dict[str, Value]:
    """Add the backward pass; returns the cotangent of every node between `wrt` and the seeds.

    graph: the nodes to go back through, all of them in the builder's graph, which it may be.
    seeds: the cotangents of the ends. prefix: what the cotangent of `h1` is called, before `h1`.
    """
    active = graph.depends_on(wrt) & graph.ancestors(seeds)
    cotangents: dict[str, Cotangent] = {name: value for name, value in seeds.items() if name in active}
    for node in reversed(list(graph)):
        cotangent = cotangents.get(node.name)
        if cotangent is None:
            continue
        if isinstance(cotangent, Value):
            name_after(builder, cotangent, node, prefix)
        if not any(o in active for o in node.operands):
            continue
        builder.of = node.name
        values = [Value(builder, o) for o in node.operands]
        sent = node.op.vjp(cotangent, Value(builder, node.name), *values)
        names = Counter(v.name for v in (cotangent, cotangent, *sent) if isinstance(v, Value))
        shared = {name for name, count in names.items() if count > 1}
        for operand, value, part in zip(node.operands, values, sent, strict=True):
            if part is None or operand not in active:
                continue
            total = _added(cotangents.get(operand), part, value)
            if isinstance(total, Value) and total.name not in shared:
                total = _called_after(builder, total, graph[operand], prefix)
            if total is not None:
                cotangents[operand] = total
    builder.of = None
    return {name: value for name, value in cotangents.items() if isinstance(value, Value)}


def _added(old: Cotangent | None, part: Cotangent, value: Value) -> Cotangent | None:
    """The cotangent of a value with one more part, which one of its users sends.

    A value that is several has a list, entry by entry, with None for zero. None where the value
    is no real and so has no cotangent.
    """
    if isinstance(part, Value):
        if not _is_real(value.type):
            return old
        part = unbroadcast(part, value)
        return old + part if isinstance(old, Value) else part
    known = old if isinstance(old, list) else [None] * len(part)
    return [a + b if a is not None and b is not None else a or b for a, b in zip(known, part, strict=True)]


def _called_after(builder: Builder, cotangent: Value, node: Node, prefix: str) -> Value:
    """A cotangent just made for a value that nobody named, under a name that says whose it is."""
    made = builder.graph[cotangent.name]
    if node.hint is not None or made.hint is not None or builder.graph.last != made.name:
        return cotangent
    builder.graph.pop_last()
    name = builder.names.unique(f"{prefix}{node.name}")
    builder.graph.add(renamed(made, name=name))
    return Value(builder, name)


def name_after(builder: Builder, cotangent: Value, node: Node, prefix: str) -> None:
    """Give the cotangent of a named node its name: `d_h1`."""
    made = builder.graph[cotangent.name]
    if node.hint is not None and made.hint is None and made.op.name not in ("const", "input", "param"):
        builder.graph.set_hint(made.name, f"{prefix}{node.hint}")


def _is_real(type: Any) -> bool:
    return isinstance(type, TensorType) and type.elem.kind == "real"


def unbroadcast(value: Value, operand: Value) -> Value:
    """Sum a cotangent over the axes along which the operand was repeated.

    Where the cotangent has fewer axes than the operand (it is the same for all its entries),
    it is repeated instead.
    """
    have, want = value.shape, operand.shape
    if len(have) > len(want):
        axes = tuple(range(-len(have), -len(want)))
        single = tuple(i for i in range(-len(want), 0) if want[i] == 1 and have[i] != 1)
        value = fn.sum(value, axis=(*axes, *single))
        if single:
            value = fn.unsqueeze(value, axis=single)
        have = value.shape
    if len(have) == len(want):
        axes = tuple(
            i - len(want) for i, (a, b) in enumerate(zip(have, want, strict=True)) if b == 1 and a != 1
        )
        if axes:
            value = fn.sum(value, axis=axes, keepdims=True)
    return spread_to(value, operand)


def spread_to(value: Value, like: Value) -> Value:
    """The value repeated to the shape of another, if it has fewer entries."""
    if value.shape == like.shape:
        return value
    return fn.expand(value, shape=like.shape)


# ---------------------------------------------------------------------------------------
# Composites


def expand_composites(graph: Graph, wrt: Iterable[str], ends: Iterable[str]) -> Graph:
    """Replace the composites on the way from `wrt` to `ends` that declare no derivative of
    their own by what they are made of, until none is left."""
    wrt, ends = list(wrt), list(ends)
    for _ in range(MAX_EXPANSIONS):
        active = graph.depends_on(wrt) & graph.ancestors(ends)
        if not any(n.name in active and _needs_expansion(n.op) for n in graph):
            break
        graph = _expanded(graph, active)
    return graph


def _needs_expansion(op: Op) -> bool:
    return isinstance(op, Composite) and type(op).vjp is Op.vjp


def _expanded(graph: Graph, active: set[str]) -> Graph:
    out = graph.like()
    builder = Builder(out, [n.name for n in graph])
    for node in graph:
        if node.name not in active or not _needs_expansion(node.op):
            out.add(node)
            continue
        made = node.op.expand(*(Value(builder, o) for o in node.operands))
        last = out.pop_last()
        if last.name == made.name:
            out.add(Node(node.name, last.op, last.operands, node.type, node.hint, node.span))
        else:
            out.add(last)
            identity = fn.identity(made)
            last = out.pop_last()
            assert last.name == identity.name
            out.add(Node(node.name, last.op, last.operands, node.type, node.hint, node.span))
    return out.close(graph.inputs, graph.targets, graph.params, graph.results)
