"""Repeats that stay loops: their gradient, node by node and as code, is that of the rounds written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flowgraph import ops
from flowgraph.diagram import Diagram, loads
from flowgraph.emit import Header, emit
from flowgraph.graph import Graph
from flowgraph.passes.inline import Inline
from flowgraph.passes.simulate import simulate
from flowgraph.pipelines import derivative_pipeline, pipeline
from flowgraph.text import parse_graph, print_graph

DEEP = """
size T
input x : [T, 4], m : [4]
target y : [T, 4]
param a : [4] = normal(0.3)
u = x
v = x * 0.5
repeat 3 as h {
    w = linear(u, 4)
    u = u + sigmoid(w * m) + a
    v = v * 0.9 + u * [1.0, 2.0, 3.0, 4.0]
    repeat 2 as k { v = v + 0.1 * linear(v, 4) }
}
loss mean(square(v - y))
"""
"""Two values go round, rounds share an input, a param and a literal array, and repeats lie in repeats."""

RECURRENT = """
size T
input x : [T, 3]
target y : [T, 3]
u = x
repeat 2 as g { u = scan(rnn_cell, u, zeros(3)) }
loss mean(square(u - y))
"""

DROPPING = """
input x : [4]
target y : [4]
u = x
repeat 3 as h { u = u + dropout(tanh(linear(u, 4)), 0.5) }
loss mse(u, y)
"""

IN_A_BLOCK = """
input x : [4]
target y : [4]
block deep(z : [d]) -> [d] {
    u = z
    repeat 3 as h { u = u + tanh(linear(u, d)) }
    return u
}
loss mse(deep(deep(x)), y)
"""

COUNTED = """
input x : [4]
target y : [4]
u = x
n = 3
repeat 3 as h {
    u = tanh(linear(u, 4)) * n
    n = n - 1
}
loss mse(u, y)
"""

PROGRAMS = {
    "deep": DEEP,
    "recurrent": RECURRENT,
    "dropping": DROPPING,
    "block": IN_A_BLOCK,
    "counted": COUNTED,
}


def folded(diagram: Diagram, level: int = 1) -> Graph:
    return derivative_pipeline(level, "loss_and_grad", rounds=True).run(diagram.graph)


def loops(graph: Graph) -> list[Any]:
    return [node.op for node in graph if node.op.name == "loop"]


def arrays(diagram: Diagram) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    graph = diagram.graph
    values = {
        n: 0.5 * rng.normal(size=[2, *(s.value or 5 for s in graph[n].type.shape)]) for n in takes(graph)
    }
    return values | {p: 0.5 * rng.normal(size=[s.value for s in graph[p].type.shape]) for p in graph.params}


def takes(graph: Graph) -> list[str]:
    return [*graph.inputs, *graph.targets]


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("name", PROGRAMS)
def test_gradient_is_that_of_the_rounds_written_out(name: str, level: int) -> None:
    diagram = loads(PROGRAMS[name])
    graph, values = folded(diagram, level), arrays(diagram)
    assert loops(graph)
    kept, flat = simulate(graph, values), simulate(diagram.differentiated(level), values)
    found = {r.label: kept[r.node] for r in graph.results}
    wanted = {r.label: flat[r.node] for r in diagram.differentiated(level).results}
    assert found.keys() == wanted.keys()
    for label, value in wanted.items():
        np.testing.assert_allclose(found[label], value, rtol=1e-12, atol=1e-15, err_msg=label)


@pytest.mark.parametrize("name", PROGRAMS)
def test_loops_of_a_gradient_can_be_dissolved(name: str) -> None:
    diagram = loads(PROGRAMS[name])
    graph, values = folded(diagram), arrays(diagram)
    flat = Inline().run(graph)
    assert not loops(flat)
    kept, dissolved = simulate(graph, values), simulate(flat, values)
    for result, same in zip(graph.results, flat.results, strict=True):
        np.testing.assert_allclose(dissolved[same.node], kept[result.node], rtol=1e-12)


def test_gradient_with_loops_has_a_text_that_reads_back() -> None:
    text = print_graph(folded(loads(DEEP)))
    assert print_graph(parse_graph(text, ops)) == text


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("name", PROGRAMS)
def test_code_with_loops_computes_what_code_without_does(name: str, level: int) -> None:
    diagram = loads(PROGRAMS[name])
    whole = diagram.compile("numpy", level=level, dtype="float64")
    header = Header("flat.flow", "0", "numpy", level, "float64")
    flat = emit(diagram.optimised(level), header, {"loss_and_grad": diagram.differentiated(level)})
    assert "for i in reversed(range(" in whole and "reversed(range(3))" not in flat
    ours, theirs = run(whole), run(flat)
    params = ours["init"](5)
    assert list(params) == list(ours["PARAMS"]) and ours["PARAMS"] == theirs["PARAMS"]
    assert all(np.array_equal(value, theirs["init"](5)[key]) for key, value in params.items())
    given = [arrays(diagram)[n] for n in takes(diagram.graph)]
    modes = [{"train": True, "rng": np.random.default_rng(1)} if "rng=None" in whole else {} for _ in "ab"]
    loss, grads = ours["loss_and_grad"](params, *given, **modes[0])
    other, expected = theirs["loss_and_grad"](params, *given, **modes[1])
    assert loss == pytest.approx(other, rel=1e-12) and list(grads) == list(params)
    for key, value in expected.items():
        np.testing.assert_allclose(grads[key], value, rtol=1e-11, atol=1e-14, err_msg=key)
    if not modes[0]:
        assert ours["loss"](params, *given) == pytest.approx(loss, rel=1e-12)


def run(text: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(compile(text, "emitted", "exec"), namespace)
    return namespace


def test_rounds_that_use_their_number_are_written_out() -> None:
    diagram = loads("input x : [2]\nu = x\nrepeat 3 as h { u = tanh(linear(u, 2)) * (h + 1) }\noutput u\n")
    assert not loops(pipeline(1, rounds=True).run(diagram.graph))


def test_rounds_that_keep_statistics_are_written_out() -> None:
    """Training changes buffers, which is not what a pure function of a round could do."""
    text = "input x : [2]\ntarget y : [2]\nu = x\nrepeat 2 as h { u = batchnorm(u) }\nloss mse(u, y)\n"
    diagram = loads(text)
    assert not loops(folded(diagram))
    grads = run(diagram.compile())
    assert "h.1.u.running_mean" in grads["BUFFERS"]


def test_forward_shares_the_function_of_the_gradient() -> None:
    text = loads(IN_A_BLOCK).compile()
    assert "def deep_h_round(" not in text and text.count("_forward(params, at, u)") == 2


def test_without_a_loss_there_is_one_function_of_the_round() -> None:
    text = loads("input x : [2]\nu = x\nrepeat 3 as h { u = tanh(linear(u, 2)) }\noutput u\n").compile()
    assert text.count("def h_") == 1 and 'u = h_round(params, f"h.{i}.", u)' in text


def test_parts_of_a_value_give_its_cotangent_side_by_side() -> None:
    """The gradient through x[0] and x[1] is their cotangents stacked, not a sum of padded arrays."""
    text = "input x : [3]\ntarget y : [3]\nw = linear(x, 6) |> reshape([2, 3])\nloss mse(w[0] * w[1], y)\n"
    code = loads(text).compile()
    assert "np.stack([" in code and "np.pad" not in code
    halves = "input x : [3]\ntarget y : [3]\nw = linear(x, 6)\nloss mse(w[:3] * w[3:], y)\n"
    assert "np.concatenate([" in loads(halves).compile()
