"""`grad`, `jvp` and `stop_gradient` in a diagram.

Values are held against numbers worked out by hand and central differences of the simulator in
float64, every engine against the simulator, and gradients of losses over derivatives against
PyTorch's autograd. Random programs: `test_derivatives_random.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from running import EMITTED, HAS_TORCH, SIMULATOR, Values, initial, module_of, random_values, same, slopes_of

from flowgraph import ops
from flowgraph.diagram import Diagram, loads
from flowgraph.naming import class_name
from flowgraph.ops.derivative import Request
from flowgraph.passes.expand_grad import ExpandDerivatives, has_requests
from flowgraph.passes.simulate import simulate
from flowgraph.text import parse_graph, print_graph

pytestmark = pytest.mark.filterwarnings("ignore:var.*degrees of freedom:UserWarning")
"""PyTorch says so of the variances of no examples at all."""
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
EXACT: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-12}
DOUBLE = [e for e in EMITTED if e.dtype == "float64" and (e.target != "torch" or HAS_TORCH)]


def outputs(text: str, **inputs: Any) -> dict[str, np.ndarray]:
    """The outputs of a program without warnings, by the simulator; one example or several."""
    diagram = loads(text)
    assert [w.message for w in diagram.warnings] == []
    return diagram.run(inputs).outputs


def only(text: str, **inputs: Any) -> np.ndarray:
    """The one output of a program for one example, with the axis of examples taken off if it has one."""
    diagram = loads(text)
    (value,) = outputs(text, **inputs).values()
    rank = diagram.graph[diagram.graph.results[0].node].type.rank
    return value[0] if value.ndim > rank else value


# ---------------------------------------------------------------------------------------
# What a derivative is

BY_HAND = {
    "of a product": ("input a, b; g = grad(a * b, a)", {"a": 2, "b": 5}, 5),
    "of itself": ("input x; g = grad(x, x)", {"x": 7}, 1),
    "of a vector's square": ("input x : [3]; g = grad(sum(x^2), x)", {"x": [1, 2, -3]}, [2, 4, -6]),
    "of one entry": ("input x : [3]; y = x^2; g = grad(y[1], x)", {"x": [1, 2, 3]}, [0, 4, 0]),
    "by a matrix": (
        "param W = [[1.0, 2], [3, 4]]; input x : [2]; g = grad(sum(W @ x), W)",
        {"x": [5, 6]},
        [[5, 6], [5, 6]],
    ),
    "by a layer's weight": (
        "input x : [2]; h = linear(x, 1); g = grad(sum(h), h.weight)",
        {"x": [5, 6]},
        [[5, 6]],
    ),
    "by an excitation": ("input x; h = square(3 * x); z = tanh(h); g = grad(h + z, z.xi)", {"x": 0}, 2),
    "of the second order": ("input x; g = grad(grad(x^3, x), x)", {"x": 2}, 12),
    "of the third order": ("input x; g = grad(grad(grad(x^5, x), x), x)", {"x": 2}, 240),
    "mixed": ("input x, t; g = grad(grad(x^2 * t^3, x), t)", {"x": 2, "t": 1}, 12),
    "along a direction": ("input x : [2], v : [2]; g = jvp(x^2, x, v)", {"x": [1, 2], "v": [10, 1]}, [20, 4]),
    "along whole numbers": ("input x; g = jvp(x^2, x, 3)", {"x": 2}, 12),
    "of a pipe": ("input x; g = x^2 |> grad(x)", {"x": 3}, 6),
    "by keywords": ("input x; g = grad(y=x^2, x=x)", {"x": 3}, 6),
    "inside an expression": ("input x; g = 1 + 2 * grad(x^2, x) * x", {"x": 3}, 37),
    "beside a stop": ("input x; g = grad(x * stop_gradient(x), x)", {"x": 3}, 3),
    "of a stopped label": ("input x; k = stop_gradient(round(x)); g = grad(k * x, x)", {"x": 2.2}, 2),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name: str) -> None:
    text, inputs, expected = BY_HAND[name]
    found = only(text.replace("; ", "\n") + "\noutput g\n", **inputs)
    np.testing.assert_allclose(found, expected, **EXACT)
    assert found.shape == np.shape(expected)


def test_a_node_counts_as_the_variable() -> None:
    """∂y/∂h leaves alone that x is behind h too: y = h·x, h = x², so ∂y/∂h = x and dy/dx = 3x²."""
    text = "input x\nh = x^2\ny = h * x\noutput p = grad(y, h), q = grad(y, x)\n"
    found = outputs(text, x=[2.0, 3.0])
    np.testing.assert_allclose(found["p"], [2, 3], **EXACT)
    np.testing.assert_allclose(found["q"], [12, 27], **EXACT)


def test_a_new_name_for_a_value_is_a_variable_of_its_own() -> None:
    text = "input x\nu = x\ny = u * x\noutput p = grad(y, u), q = grad(y, x)\n"
    found = outputs(text, x=3)
    assert (found["p"][0], found["q"][0]) == (3, 6)


def test_a_derivative_is_a_node_like_any_other() -> None:
    """Named, it can be the variable: y = g² + x with g = ∂(x³)/∂x, so ∂y/∂g = 2g."""
    text = "input x\ng = grad(x^3, x)\ny = g^2 + x\noutput p = grad(y, g), q = grad(y, x)\n"
    found = outputs(text, x=2)
    np.testing.assert_allclose([found["p"][0], found["q"][0]], [24, 2 * 12 * 12 + 1], **EXACT)


def test_a_circle_may_be_the_variable() -> None:
    text = """
        input x1, x2
        node h1, h2 : tanh
        node f
        x1 -[2]-> h1; x2 -[3]-> h1; x1 -[-1]-> h2
        h1 -[5]-> f; h2 -[7]-> f; h1 -[v]-> h2
        output a = grad(f, h1), b = grad(f, h1.xi), w = grad(f, v)
    """
    run = loads(text).run({"x1": 0.3, "x2": -0.1}, params={"v": np.float64(0.5)})
    h1 = np.tanh(2 * 0.3 - 3 * 0.1)
    slope = 1 - np.tanh(-0.3 + 0.5 * h1) ** 2
    np.testing.assert_allclose(run["a"], [5 + 7 * slope * 0.5], **EXACT)
    np.testing.assert_allclose(run["b"], [(5 + 7 * slope * 0.5) * (1 - h1**2)], **EXACT)
    np.testing.assert_allclose(run["w"], [7 * slope * h1], **EXACT)


def test_a_rebound_name_means_the_binding_in_force() -> None:
    text = "input x\nu = 2 * x\nu = u * 3\ny = u^2\noutput g = grad(y, u)\n"
    np.testing.assert_allclose(only(text, x=1), 12, **EXACT)


def test_what_depends_on_nothing_is_zero() -> None:
    diagram = loads("input x : [3], t\ny = t^2\noutput g = grad(y, x), d = jvp(x * 2, t, 1)\n")
    assert [w.code for w in diagram.warnings] == ["W0401", "W0401"]
    found = diagram.run({"x": [1, 2, 3], "t": 1}).outputs
    assert found["g"].tolist() == [[0, 0, 0]] and found["d"].tolist() == [[0, 0, 0]]


def test_data_may_ask_for_derivatives() -> None:
    text = "input x\ntarget y\nf = 2 * x\nloss mse(f, y)\ndata 5 { x = linspace(0, 1); y = grad(x^2, x) }\n"
    assert loads(text).run().loss == 0


# ---------------------------------------------------------------------------------------
# Central differences, order by order

SMOOTH = {
    "products": "tanh(x * t) + x^2 * sin(t)",
    "quotient": "exp(-x * x) / (1 + t^2)",
    "network": "[x, t] |> linear(4) |> tanh |> linear(1) |> sum",
    "softmax": "softmax([x, t, x * t])[0] * logsumexp([x, 2 * t])",
    "norms": "norm([x, t, 1]) * sqrt(2 + sin(x * t))",
    "powers": "(1.5 + sigmoid(x))^(2 + t * t) + log1p(t^2) * erf(x)",
}


@pytest.mark.parametrize("name", SMOOTH)
def test_orders_against_central_differences(name: str) -> None:
    """Each derivative is the central difference of the one before: (f(x+h) - f(x-h)) / 2h, h = 1e-5."""
    text = f"""
        input x, t
        u = {SMOOTH[name]}
        u_x = grad(u, x)
        u_xt = grad(u_x, t)
        u_xtx = grad(u_xt, x)
        output u, u_x, u_xt, u_xtx
    """
    diagram = loads(text)
    params = initial(diagram)
    points = np.random.default_rng(0).uniform(-1, 1, (2, 6))

    def at(dx: float, dt: float) -> list[np.ndarray]:
        return SIMULATOR.run(diagram, params, {"x": points[0] + dx, "t": points[1] + dt}).outputs

    here, h = at(0, 0), 1e-5
    for order, (dx, dt) in enumerate([(h, 0), (0, h), (h, 0)]):
        slope = (at(dx, dt)[order] - at(-dx, -dt)[order]) / (2 * h)
        np.testing.assert_allclose(here[order + 1], slope, rtol=1e-7, atol=1e-7)
        assert np.all(np.abs(slope) > 1e-4)


@pytest.mark.parametrize("name", SMOOTH)
def test_jvp_is_the_product_with_the_gradient(name: str) -> None:
    text = f"""
        input p : [2], v : [2], w : [2]
        x, t = split(p, 2)
        x = sum(x); t = sum(t)
        u = {SMOOTH[name]}
        g = grad(u, p)
        output ahead = jvp(u, p, v), behind = sum(g * v)
        output twice = jvp(jvp(u, p, v), p, w)
        output mixed = sum(jvp(g, p, w) * v), back = sum(grad(sum(g * v), p) * w)
    """
    diagram = loads(text)
    assert diagram.warnings == ()
    inputs = random_values(diagram.graph, diagram.graph.inputs, np.random.default_rng(1), (5,))
    found = SIMULATOR.run(diagram, initial(diagram), inputs).outputs
    np.testing.assert_allclose(found[0], found[1], **EXACT)
    for second in found[3:]:
        np.testing.assert_allclose(second, found[2], rtol=1e-11, atol=1e-11)


# ---------------------------------------------------------------------------------------
# Every engine, and batches

PROGRAMS = {
    "heat": """
        input x, t
        target y
        u = [x, t] |> linear(5) |> tanh |> linear(1) |> sum
        r = grad(u, t) - 0.1 * grad(grad(u, x), x)
        output u, r
        loss r^2
        loss (u - y)^2 by sum
    """,
    "penalty": """
        input x : [3]
        target y
        param w : [3] = normal()
        h = tanh(w * x)
        f = sum(h) * x[1]
        g = grad(f, x)
        output f, g
        loss (norm(g) - 1)^2
        loss mse(f, y)
        loss 0.1 * sum(grad(sum(w^4), w)^2)
    """,
    "contractive": """
        input x : [3], v : [3]
        h = x |> linear(4) |> sigmoid
        d = jvp(h, x, v)
        output h, d
        loss sum(d^2)
        metric m = sum(abs(d))
    """,
    "stopped": """
        input x : [2]
        param w : [2] = [0.5, -2]
        y = x @ w
        t = stop_gradient(y + 1)
        output y, t, s = stop_gradient(x)
        loss (y - t)^2
    """,
    "params only": """
        input x
        param w : [3] = [1, 2, 3]
        e = sum(w^3)
        g = grad(e, w)
        output f = x * sum(g)
        loss sum(g^2)
    """,
    "kinds": """
        input x : [4], k : class(3), n : int
        s = logsumexp(concat(x[1:], x[:2])) + where(x[0] > 0, x[0]^2, -x[0]) * n
        z = log_softmax(reshape(x, [2, 2]) @ ones([2, 3]))
        output g = grad(s, x), q = grad(z[0, 0] + z[1, 2] * n + one_hot(k) @ z[1], x)
        output m = grad(max(x) * var(x), x)
    """,
    "three orders": """
        input x, t
        param k = 0.7
        u = sin(k * x) * exp(-t) + x^3 * t
        output a = grad(grad(grad(u, x), x), t), b = jvp(jvp(jvp(u, x, t), t, x), x, 1)
        loss a^2 + grad(grad(u, k), k)^2
    """,
}


def values_of(diagram: Diagram, lead: tuple[int, ...]) -> tuple[Values, Values, Values]:
    """Random params, inputs and targets."""
    rng = np.random.default_rng(3)
    graph = diagram.graph
    params = random_values(graph, graph.params, rng)
    inputs, targets = (random_values(graph, names, rng, lead) for names in (graph.inputs, graph.targets))
    return {str(graph[n].hint): v for n, v in params.items()}, inputs, targets


@pytest.mark.parametrize("count", [4, 1, 0])
@pytest.mark.parametrize("name", PROGRAMS)
def test_engines_agree(name: str, count: int) -> None:
    diagram = loads(PROGRAMS[name], "program.flow")
    assert diagram.warnings == ()
    params, inputs, targets = values_of(diagram, (count,))
    expected = SIMULATOR.run(diagram, params, inputs, targets)
    for engine in DOUBLE:
        same(engine.run(diagram, params, inputs, targets), expected, rtol=1e-11, atol=1e-11)


@needs_torch
@pytest.mark.parametrize("name", PROGRAMS)
def test_losses_over_derivatives_have_gradients(name: str) -> None:
    """`loss_and_grad` against PyTorch's autograd of the emitted module, in which it is plain code."""
    diagram = loads(PROGRAMS[name], "program.flow")
    if not diagram.graph.results_of("loss"):
        pytest.skip("it has no loss")
    params, inputs, targets = values_of(diagram, (4,))
    for level in (0, 1):
        loss, grads = module_of(diagram, "numpy", level, "float64")["loss_and_grad"](
            params, **inputs, **targets
        )
        expected, slopes = autograd(diagram, level, params, {**inputs, **targets})
        np.testing.assert_allclose(loss, expected, **EXACT)
        assert list(grads) == list(slopes) == list(params)
        for key, slope in slopes.items():
            np.testing.assert_allclose(grads[key], slope, rtol=1e-10, atol=1e-10)


def autograd(diagram: Diagram, level: int, params: Values, examples: Values) -> tuple[float, Values]:
    """The loss and its gradient as PyTorch computes them."""
    import torch

    model = module_of(diagram, "torch", level, "float64")[class_name(diagram.graph.name)]()
    model.load_state_dict({name: torch.tensor(value) for name, value in params.items()})
    loss = model.loss(**{name: torch.tensor(value) for name, value in examples.items()})
    loss.backward()
    slopes = slopes_of(model)
    return float(loss.detach()), {n: slopes[n] for n in params}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_batch_is_a_loop(name: str) -> None:
    diagram = loads(PROGRAMS[name], "program.flow")
    params, inputs, targets = values_of(diagram, (3,))
    graph = diagram.expanded
    known = {n: params[str(graph[n].hint)] for n in graph.params}
    whole = simulate(diagram.batched(), {**known, **inputs, **targets})
    carried = graph.depends_on([*graph.inputs, *graph.targets])
    for i in range(3):
        one = {k: v[i] for k, v in {**inputs, **targets}.items()}
        single = simulate(graph, {**known, **one})
        for result in graph.results_of("output"):
            got = whole[result.node][i] if result.node in carried else whole[result.node]
            np.testing.assert_allclose(got, single[result.node], **EXACT)


# ---------------------------------------------------------------------------------------
# Stages


@pytest.mark.parametrize("name", PROGRAMS)
def test_requests_are_there_until_they_are_expanded(name: str) -> None:
    diagram = loads(PROGRAMS[name], "program.flow")
    assert has_requests(diagram.graph) == ("grad(" in PROGRAMS[name] or "jvp(" in PROGRAMS[name])
    assert not has_requests(diagram.expanded) and not has_requests(diagram.batched())
    for graph in (diagram.graph, diagram.expanded):
        assert print_graph(parse_graph(print_graph(graph), ops)) == print_graph(graph)
    read = parse_graph(print_graph(diagram.graph), ops)
    assert print_graph(ExpandDerivatives().run(read)) == print_graph(diagram.expanded)


def test_everything_else_keeps_name_type_and_operation() -> None:
    for text in PROGRAMS.values():
        diagram = loads(text, "program.flow")
        for node in diagram.graph:
            if isinstance(node.op, Request):
                continue
            after = diagram.expanded[node.name]
            assert (after.type, after.hint, after.op) == (node.type, node.hint, node.op)


def test_the_typed_stage_shows_the_request() -> None:
    diagram = loads("input x\nu = x^2\noutput g = grad(u, x)\n")
    assert "g: real = grad(u, x)" in diagram.stage("typed")
    assert "g: real[N] = mul(" in diagram.stage("batched")


def test_a_layer_stays_a_layer() -> None:
    """Its derivative needs its weight alone, so the torch module is of nn.Linear."""
    code = loads(PROGRAMS["heat"]).compile("torch")
    assert '"linear": nn.Linear(2, 5)' in code
    assert "self.u.linear.weight" in code


def test_many_requests_over_a_long_chain() -> None:
    """No recursion: 3,000 nodes deep, and a second derivative through them."""
    lines = ["input x", "h = x"] + [f"h = h + 0.001 * sin(h) * x  # {i}" for i in range(1000)]
    text = "\n".join([*lines, "g = grad(grad(h, x), x)", "output g"]) + "\n"
    graph = loads(text).expanded
    assert len(graph) < 40 * 1000
