"""What the tests of derivatives share: operations as graphs with a loss, orders, differences.

The loss of a case is Σ ȳ·y over its real results, ȳ being further inputs: its gradient is the
vjp of the operation along ȳ. `summed` makes the gradients of a graph a loss again, which is how a
graph is differentiated once more in reverse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from op_cases import as_torch, evaluate

from flowgraph.graph import Builder, Graph, Node, Result, verify
from flowgraph.ops import OPS
from flowgraph.ops.base import Op, Sample, Value, apply, fn
from flowgraph.passes.autodiff import Jvp, Vjp
from flowgraph.passes.keep import Keep
from flowgraph.passes.simulate import simulate
from flowgraph.types import TupleType

Values = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A graph with outputs and a loss, a point to differentiate at, and a way to move it.

    wrt: the real inputs. point: a value for every input. ways: three directions, each an array
    for every name of wrt.
    """

    graph: Graph
    wrt: tuple[str, ...]
    point: Values
    ways: tuple[Values, Values, Values]


def case_of(cls: type[Op], sample: Sample, rng: np.random.Generator) -> Case:
    """An operation on a sample's operands; the loss is Σ ȳ·y."""
    graph = Graph(cls.name)
    builder = Builder(graph)
    names = [new_input(builder, arg.type, f"x{i}").name for i, arg in enumerate(sample.args)]
    point: Values = {n: np.asarray(arg.draw(rng)) for n, arg in zip(names, sample.args, strict=True)}
    y = apply(cls(**sample.attrs), *(Value(builder, n) for n in names))
    outputs = parts_of(y)
    results = [Result("output", f"y{i}", part.name) for i, part in enumerate(outputs)]
    real = [part for part in outputs if part.type.elem.kind == "real"]
    given = [new_input(builder, part.type, f"c{i}") for i, part in enumerate(real)]
    point |= {c.name: rng.uniform(-1, 1, shape_of(builder, c.name)) for c in given}
    if given:
        results.append(Result("loss", "loss", inner(given, real).name))
    graph.close([*names, *(c.name for c in given)], [], [], results)
    wrt = tuple(n for n, arg in zip(names, sample.args, strict=True) if arg.kind == "real")
    ways = tuple({n: rng.uniform(-1, 1, np.shape(point[n])) for n in wrt} for _ in range(3))
    return Case(graph, wrt, point, (ways[0], ways[1], ways[2]))


def parts_of(value: Value) -> list[Value]:
    """A value that is several as its parts."""
    if not isinstance(value.type, TupleType):
        return [value]
    count = len(value.type.items)
    return [apply(OPS["item"](index=i, count=count), value) for i in range(count)]


def new_input(builder: Builder, type: Any, hint: str) -> Value:
    return Value(builder, builder.apply(OPS["input"](type=type), (), hint=hint))


def shape_of(builder: Builder, name: str) -> tuple[int, ...]:
    return tuple(size.value for size in builder.graph[name].type.shape)


def inner(left: Sequence[Value], right: Sequence[Value]) -> Value:
    """The sum of the products of all entries."""
    total = None
    for a, b in zip(left, right, strict=True):
        term = fn.sum(a * b)
        total = term if total is None else total + term
    assert total is not None
    return total


# ---------------------------------------------------------------------------------------
# Orders


def gradient(graph: Graph, wrt: Sequence[str]) -> Graph:
    """The graph with its gradient; its only results."""
    return checked(Keep(("gradient",)).run(Vjp(tuple(wrt)).run(graph)))


def pushed(graph: Graph, wrt: Sequence[str], role: str) -> tuple[Graph, tuple[str, ...]]:
    """The derivative of the results of a role, its only results, and the tangents' names."""
    out = Jvp(tuple(wrt)).run(Keep((role,)).run(graph))
    made = Keep((f"{role}_dot",)).run(out)
    return checked(made), out.inputs[len(graph.inputs) :]


def summed(graph: Graph, wrt: Sequence[str]) -> tuple[Graph, tuple[str, ...]]:
    """The graph whose loss is Σ v·g over its gradients, and the names of the v."""
    out = graph.like()
    builder = Builder(out)
    for node in graph:
        builder.keep(node)
    given = [new_input(builder, graph[n].type, f"v_{n}") for n in wrt]
    found = [Value(builder, r.node) for r in graph.results_of("gradient")]
    loss = inner(given, found)
    out.close(
        [*graph.inputs, *(v.name for v in given)], [], graph.params, [Result("loss", "loss", loss.name)]
    )
    return out, tuple(v.name for v in given)


def checked(graph: Graph) -> Graph:
    verify(graph, typed=True)
    return graph


def results(graph: Graph, values: Mapping[str, Any]) -> list[np.ndarray]:
    """The values of a graph's results."""
    known = simulate(graph, values)
    return [np.asarray(known[r.node], dtype=float) for r in graph.results]


def named(names: Sequence[str], way: Mapping[str, Any]) -> Values:
    """A direction under the names that a pass gave it."""
    return dict(zip(names, way.values(), strict=True))


def dot(left: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> float:
    return float(sum(np.sum(a * b) for a, b in zip(left, right, strict=True)))


def flat(values: Sequence[Any]) -> np.ndarray:
    return np.concatenate([np.ravel(np.asarray(v, dtype=float)) for v in values])


def rates(
    function: Callable[[Values], Sequence[np.ndarray]], point: Values, way: Values, step: float = 1e-3
) -> np.ndarray:
    """Central differences of fourth order along a direction, all results in a row.

    Their error is about step^4 of the fifth derivative, 1e-12, and 1e-13 of rounding.
    """

    def at(t: float) -> np.ndarray:
        return flat(function(point | {n: point[n] + t * d for n, d in way.items()}))

    near, far = at(step) - at(-step), at(2 * step) - at(-2 * step)
    return (8 * near - far) / (12 * step)


# ---------------------------------------------------------------------------------------
# PyTorch


def torch_loss(case: Case) -> Callable[..., Any]:
    """The case's loss as a function of its real inputs, by the torch forms."""
    ready = simulate(case.graph, {})
    given = {n: as_torch(v) for n, v in case.point.items()}

    def loss(*tensors: Any) -> Any:
        known = given | dict(zip(case.wrt, tensors, strict=True))
        for node in case.graph:
            if node.name not in known:
                known[node.name] = _torch_value(case.graph, node, known, ready)
        return known[case.graph.results_of("loss")[0].node]

    return loss


def _torch_value(graph: Graph, node: Node, known: Mapping[str, Any], ready: Mapping[str, Any]) -> Any:
    if node.name in ready and not node.operands:
        return as_torch(ready[node.name])
    types = [graph[o].type for o in node.operands]
    return evaluate(node.op, [known[o] for o in node.operands], types, {}, "torch")
