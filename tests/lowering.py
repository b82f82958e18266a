"""What the tests of lowering share: a text's outputs for one example, its parameters, labels and codes."""

from __future__ import annotations

import numpy as np

from flowgraph.diagram import Diagram, loads
from flowgraph.errors import FlowError
from flowgraph.passes.simulate import simulate


def outputs(diagram: Diagram | str, **values: object) -> list[np.ndarray]:
    """The outputs for one example; params are given by name, dots as two underscores."""
    made = loads(diagram) if isinstance(diagram, str) else diagram
    given = {name.replace("__", "."): np.asarray(value) for name, value in values.items()}
    by_node = {
        p: given.pop(str(made.graph[p].hint)) for p in made.graph.params if made.graph[p].hint in given
    }
    known = simulate(made.graph, {**given, **by_node})
    return [known[r.node] for r in made.graph.results_of("output")]


def output(diagram: Diagram | str, **values: object) -> list[float] | float:
    """The one output, as numbers."""
    (value,) = outputs(diagram, **values)
    return value.tolist()


def params(text: str) -> dict[str, list[int]]:
    """Names and shapes of the parameters, in order."""
    graph = loads(text).graph
    return {str(graph[p].hint): [int(str(d)) for d in graph[p].type.shape] for p in graph.params}


def labels(text: str, role: str = "output") -> list[str]:
    return [r.label for r in loads(text).graph.results_of(role)]


def codes(text: str, **options: object) -> list[str]:
    """The codes of errors, or of warnings where there is no error."""
    try:
        return [d.code for d in loads(text, **options).warnings]
    except FlowError as error:
        return [d.code for d in error.diagnostics]
