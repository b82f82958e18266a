"""What the tests of passes share: random values for a graph, and whether two graphs compute the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from flowgraph.graph import Graph, verify
from flowgraph.passes.packing import held
from flowgraph.passes.simulate import mode_values, simulate
from flowgraph.text import print_graph


def values_of(graph: Graph, *, examples: int = 5, other: int = 4, seed: int = 0) -> dict[str, Any]:
    """A value for every leaf: `examples` along the batch axis, `other` along further unknown axes."""
    rng = np.random.default_rng(seed)
    sizes = {s: examples if s == graph.batch else other for s in graph.sizes}
    found = mode_values(graph, train=True, rng=rng)
    for name in (*graph.inputs, *graph.targets, *graph.params, *graph.buffers):
        type = graph[name].type
        shape = tuple(d.at(sizes) for d in type.shape)
        top = type.elem.classes.at(sizes) if type.elem.kind == "class" else 2
        is_real = type.elem.kind == "real"
        found[name] = rng.normal(size=shape) if is_real else rng.integers(0, top, size=shape)
    return found


def results(graph: Graph, values: dict[str, Any]) -> list[np.ndarray]:
    """The value of every result, in order."""
    known = simulate(graph, values)
    return [known[r.node] for r in graph.results]


def assert_agree(one: Graph, other: Graph, tolerance: float = 1e-12, **how: Any) -> None:
    """Both are sound, and give the same results under the same labels to rounding."""
    verify(other, typed=True)
    values = values_of(one, **how)
    assert [(r.role, r.label) for r in one.results] == [(r.role, r.label) for r in other.results]
    for result, want, got in zip(one.results, results(one, values), results(other, values), strict=True):
        assert got.shape == want.shape, result.label
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance, err_msg=result.label)


def statements(graph: Graph, *, leaves: Sequence[str] = ("input", "target", "param", "const")) -> list[str]:
    """The printed nodes but for the leaves, one a line."""
    lines = (line.strip() for line in print_graph(graph).splitlines())
    return [line for line in lines if " = " in line and not any(f"= {leaf}(" in line for leaf in leaves)]


def operations(graph: Graph) -> list[str]:
    """The names of the operations, in order, without leaves."""
    return [node.op.name for node in graph if node.operands]


# Arrays that hold params of the diagram


def laid_out(graph: Graph, values: dict[str, Any], named: dict[str, Any]) -> dict[str, Any]:
    """The values with those of arrays that hold params; named: the params by the diagram's names."""
    found = dict(values)
    for param in graph.params:
        places = held(graph[param])
        if places:
            array = np.full([int(str(d)) for d in graph[param].type.shape], np.nan)
            for name, place in places:
                array[place] = named[name]
            assert not np.isnan(array).any(), "an entry without a name"
            found[param] = array
    return found


def by_name(graph: Graph, values: dict[str, Any]) -> dict[str, Any]:
    """The params by the diagram's names."""
    found = {}
    for param in graph.params:
        places = held(graph[param]) or [(str(graph[param].hint), ())]
        found |= {name: values[param][place] for name, place in places}
    return found


def gradients(graph: Graph, values: dict[str, Any]) -> dict[str, Any]:
    """The gradients by the diagram's names."""
    known = dict(zip([r.label for r in graph.results], results(graph, values), strict=True))
    by_hint = {str(graph[p].hint): p for p in graph.params}
    return by_name(graph, {by_hint[label]: known[label] for label in known if label in by_hint})
