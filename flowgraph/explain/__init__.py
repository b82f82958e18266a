"""A diagram as equations of one example, forward and backward, in its own names.

Assumes a checked program. Promises one line for every value that the diagram names, in the notation that
operations declare, and for the backward pass one line for every cotangent, with the forward line whose
chain rule it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..graph import Graph, Node, rebuild, renamed, with_subgraphs
from ..lower.program import Program
from ..ops.derivative import REQUESTS
from ..params import Params
from ..passes.autodiff import Vjp, expand_composites
from ..passes.base import Pipeline
from ..passes.cse import Cse
from ..passes.dce import Dce
from ..passes.fold import Fold
from ..passes.inline import Inline
from ..passes.keep import Keep
from ..passes.name_values import NameValues
from ..passes.simplify import Simplify
from ..passes.vectorise import Vectorise
from ..pipelines import TIDY, within
from .backward import Backward
from .equations import Names
from .forward import add_forward, add_matrices
from .latex import write_latex
from .markdown import write_markdown
from .numbers import find_numbers
from .page import Page
from .text import write_text

FORMATS: dict[str, Callable[[Page], str]] = {
    "text": write_text,
    "latex": write_latex,
    "markdown": write_markdown,
}
"""The ways of writing an explanation."""


def explained(
    program: Program,
    graph: Graph,
    expanded: Graph,
    path: str,
    *,
    backward: bool = False,
    saved: bool = False,
    expand: bool = False,
    inputs: Mapping[str, Any] | None = None,
    params: Params | None = None,
    seed: int = 0,
) -> Page:
    """The equations of a program of one example. Raises FlowError.

    graph: its typed graph; expanded: the same with calls and derivatives written out. path: its file.
    backward: the chain rule too, of a program with a loss, with blocks written out. saved: also what the
    forward pass keeps for it. expand: write out blocks and repeats. inputs: values of one example to fill
    in; params and seed as `run` takes them.
    """
    if not expand and backward and not _asks_for_derivatives(graph):
        graph = Pipeline((Inline(rounds=True),)).run(graph)
    elif expand or backward:
        graph = expanded
    forward = _named(graph, backward=backward)
    matrices = _in_matrices(expanded)
    gradient = _differentiated(forward) if backward else None
    values, gradients, entries = {}, {}, {}
    if inputs or params is not None:
        numbers = find_numbers(program, expanded, path, inputs or {}, params, seed)
        values = numbers.of(forward)
        gradients = {} if gradient is None else numbers.of_gradient(gradient)
        entries = {} if matrices is None else numbers.of(matrices)
    page = Page(forward.name, forward.doc)
    names = Names.of(forward)
    if gradient is None:
        add_forward(page, forward, names, values)
        if matrices is not None:
            add_matrices(page, matrices, entries)
    else:
        first = Backward(gradient, Names.of(forward))  # which says what the forward pass must tell of
        rows = add_forward(page, forward, names, values, first.forward, first.read_in_steps)
        if matrices is not None:
            add_matrices(page, matrices, entries)
        Backward(gradient, names).add(page, rows, gradients, saved=saved)
    return page


def explain(*program: Any, format: str = "text", **wishes: Any) -> str:
    """The text of `explained`, which takes the same arguments. Raises FlowError, ValueError.

    format: one of FORMATS.
    """
    if format not in FORMATS:
        raise ValueError(f"no format {format!r}; there are {', '.join(FORMATS)}")
    return FORMATS[format](explained(*program, **wishes))


def _asks_for_derivatives(graph: Graph) -> bool:
    return any(node.op.name in REQUESTS for each in with_subgraphs(graph) for node in each)


def _named(graph: Graph, *, backward: bool) -> Graph:
    """The graph in which every value that is told of has a name.

    backward: as it is differentiated, of operations that declare a derivative; else as it is written.
    """
    if backward:
        graph = Pipeline((*within(Fold(), Simplify()), Cse())).run(graph)
        losses = [r.node for r in graph.results_of("loss")]
        graph = _with_steps_expanded(expand_composites(graph, graph.params, losses))
    return Pipeline((NameValues(),)).run(graph)


def _in_matrices(graph: Graph) -> Graph | None:
    """The graph with layers of circles as vectors, as the compiler writes them; None where there are none."""
    graph = Pipeline(within(Fold(), Simplify())).run(graph)
    found = Vectorise().run(graph)
    layers = [n for n in found if n.name not in graph and n.op.group == "activations" and n.type.shape]
    return Pipeline((Dce(), NameValues())).run(found) if layers else None


def _with_steps_expanded(graph: Graph) -> Graph:
    """The graph in which rounds and steps consist of operations that declare a derivative."""

    def step(inner: Graph) -> Graph:
        inner = expand_composites(inner, inner.inputs, [r.node for r in inner.results])
        return Simplify().run(_with_steps_expanded(inner))

    def node(each: Node) -> Node:
        inside = [step(inner) for inner in each.op.subgraphs()]
        return renamed(each, op=each.op.with_subgraphs(inside)) if inside else each

    return rebuild(graph, map(node, graph))


def _differentiated(graph: Graph) -> Graph:
    """The graph of the loss with its gradient."""
    return Pipeline((Keep(("loss",)), Vjp(tidy=TIDY), Dce(), *within(Fold(), *TIDY))).run(graph)
