"""Differentiation of graphs as a whole: what is shared, what is several, what is long, what is nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from derivatives import flat, gradient, named, parts_of, pushed, rates, results, summed
from running import HAS_TORCH, execute

from flowgraph.diagram import Diagram, loads
from flowgraph.graph import Builder, Graph, Node, Result
from flowgraph.ops import OPS
from flowgraph.ops.base import Value, fn
from flowgraph.passes.autodiff import Jvp, Vjp
from flowgraph.passes.simulate import simulate
from flowgraph.types import REAL, Dim, TensorType

NUMBER = TensorType(REAL, ())
has_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")


def vector(size: int) -> TensorType:
    return TensorType(REAL, (Dim.of(size),))


def build(write: Callable[..., Value], *types: TensorType, role: str = "loss") -> Graph:
    """The graph of a function of inputs x0, x1, ..., with one result."""
    graph = Graph("case")
    builder = Builder(graph)
    xs = []
    for i, type in enumerate(types):
        builder.keep(Node(f"x{i}", OPS["input"](type=type), (), type, f"x{i}"))
        xs.append(Value(builder, f"x{i}"))
    result = write(*xs)
    return graph.close([x.name for x in xs], [], [], [Result(role, "y", result.name)])


def check(graph: Graph, *point: Any, order: int = 2) -> list[np.ndarray]:
    """Gradient and Hessian along a direction against differences; returns the gradient."""
    rng = np.random.default_rng(0)
    names = graph.inputs
    values = {n: np.asarray(v, dtype=float) for n, v in zip(names, point, strict=True)}
    way = {n: rng.uniform(-1, 1, np.shape(v)) for n, v in values.items()}
    first = gradient(graph, names)
    found = results(first, values)
    along = sum(np.sum(g * d) for g, d in zip(found, way.values(), strict=True))
    want = rates(lambda at: results(graph, at), values, way)
    assert along == pytest.approx(float(want[0]), rel=1e-8, abs=1e-9)
    forward, tangents = pushed(graph, names, "loss")
    assert flat(results(forward, values | named(tangents, way))) == pytest.approx(want, rel=1e-8, abs=1e-9)
    if order > 1:
        again, given = summed(first, names)
        hessian = gradient(again, names)
        want = rates(lambda at: results(first, at), values, way)
        assert flat(results(hessian, values | named(given, way))) == pytest.approx(want, rel=1e-7, abs=1e-8)
    return found


# ---------------------------------------------------------------------------------------
# Several values


def split_used(x: Value) -> Value:
    a, b, _ = parts_of(fn.split(x, parts=3))
    return fn.sum(fn.sin(a) * b) + fn.sum(a**3)


def test_parts_used_and_not():
    found = check(build(split_used, vector(6)), np.linspace(-1, 2, 6))
    assert found[0][4:] == pytest.approx([0, 0])


def test_parts_of_different_sizes_used_twice():
    def write(x: Value) -> Value:
        a, b = parts_of(fn.split(x, parts=(2, 3)))
        again, _ = parts_of(fn.split(fn.exp(x), parts=(2, 3)))
        return fn.sum(a * again) * fn.sum(b * b)

    check(build(write, vector(5)), np.linspace(-1, 1, 5))


def test_parts_in_a_program():
    diagram = loads(
        "input x : [4]\nparam W : [4, 4] = glorot()\n"
        "a, b = split(W @ x, 2)\ny = a * sigmoid(b)\noutput y\nloss sum(y ^ 2)\n"
    )
    assert_program_agrees(diagram, {"x": np.random.default_rng(0).normal(size=(3, 4))})


def assert_program_agrees(diagram: Diagram, examples: dict[str, np.ndarray]) -> None:
    """The emitted gradient at both levels is the simulator's, and the central differences'."""
    rng = np.random.default_rng(1)
    params = {
        n: rng.normal(size=[d.value for d in diagram.graph[n].type.shape]) for n in diagram.graph.params
    }
    graph = Vjp().run(diagram.batched())
    known = simulate(graph, params | examples)
    way = {n: rng.uniform(-1, 1, p.shape) for n, p in params.items()}
    batched = diagram.batched()
    [loss] = [r.node for r in batched.results_of("loss")]
    want = rates(lambda at: [simulate(batched, at | examples)[loss]], params, way)
    found = {r.label: known[r.node] for r in graph.results_of("gradient")}
    assert sum(np.sum(found[n] * d) for n, d in way.items()) == pytest.approx(want[0], rel=1e-8, abs=1e-9)
    for level in (0, 1):
        module = execute(diagram.compile("numpy", level=level, dtype="float64"))
        value, grads = module["loss_and_grad"](params, **examples)
        assert value == pytest.approx(float(known[loss]), rel=1e-12)
        for name, array in found.items():
            np.testing.assert_allclose(grads[name], array, rtol=1e-11, atol=1e-12)


# ---------------------------------------------------------------------------------------
# Called graphs


def block() -> Graph:
    """x, W -> (tanh(W x) + x, its sum)."""
    graph = Graph("block")
    builder = Builder(graph)
    for name, type in (("W", TensorType(REAL, (Dim.of(3), Dim.of(3)))), ("x", vector(3))):
        builder.keep(Node(name, OPS["input"](type=type), (), type, name))
    W, x = (Value(builder, n) for n in ("W", "x"))
    h = fn.tanh(W @ x) + x
    return graph.close(
        ["W", "x"], [], [], [Result("output", "h", h.name), Result("output", "s", fn.sum(h).name)]
    )


def test_called_graphs():
    """A block called twice with the same weights, the second time on the first one's result."""
    inner = OPS["call"](graph=block())

    def write(W: Value, x: Value) -> Value:
        from flowgraph.ops.base import apply

        first, _ = parts_of(apply(inner, W, x))
        second, total = parts_of(apply(inner, W, first))
        return fn.sum(second * second) * total

    rng = np.random.default_rng(3)
    matrix = TensorType(REAL, (Dim.of(3), Dim.of(3)))
    check(build(write, matrix, vector(3)), rng.normal(size=(3, 3)), rng.normal(size=3))


# ---------------------------------------------------------------------------------------
# Sharing


def test_a_value_used_many_times():
    def write(x: Value, y: Value) -> Value:
        z = x * y
        return z * fn.sin(z) + z / (1 + z * z) + x * z

    check(build(write, NUMBER, NUMBER), 0.7, -1.3)


def test_broadcast_operands_get_sums():
    def write(row: Value, column: Value, number: Value) -> Value:
        return fn.sum(fn.exp(row * column) / (2 + number * number) + row)

    column = TensorType(REAL, (Dim.of(3), Dim.of(1)))
    found = check(build(write, vector(4), column, NUMBER), np.ones(4), np.ones((3, 1)), 0.5)
    assert [g.shape for g in found] == [(4,), (3, 1), ()]


def test_losses_that_are_one_node_count_twice():
    diagram = loads("input x\nparam w = 2.0\nr = w ^ 3\nloss r\nloss a = r\noutput x\n")
    module = execute(diagram.compile("numpy", dtype="float64"))
    value, grads = module["loss_and_grad"](module["init"](), [1.0])
    assert value == 16.0
    assert grads["w"] == 24.0


def test_what_the_loss_does_not_depend_on_has_gradient_zero():
    graph = build(lambda x, y: fn.sum(x * x), vector(2), vector(3))
    [first, second] = results(gradient(graph, graph.inputs), {"x0": np.ones(2), "x1": np.ones(3)})
    assert first == pytest.approx([2, 2])
    assert second == pytest.approx([0, 0, 0])
    forward, names = pushed(graph, ["x1"], "loss")
    assert results(forward, {"x0": np.ones(2), "x1": np.ones(3), names[0]: np.ones(3)})[0] == 0


def test_with_respect_to_a_node():
    """The derivative by a value in the middle: what it depends on stands still."""
    graph = build(lambda x: fn.exp(fn.sin(x)) + x, NUMBER)
    node = next(n.name for n in graph if n.op.name == "sin")
    known = {"x0": np.array(0.3)}
    [slope] = results(gradient(graph, [node]), known)
    assert slope == pytest.approx(np.exp(np.sin(0.3)))
    forward, names = pushed(graph, [node], "loss")
    assert results(forward, known | {names[0]: np.array(2.0)})[0] == pytest.approx(2 * slope)


def test_only_what_depends_is_differentiated():
    """Each forward node is kept and evaluated once; the backward pass is a few nodes for each."""
    diagram = loads(
        "input x : [2]\nparam w : [2] = zeros()\nu = exp(sin(x)) * 3\nloss sum(u * w)\noutput u\n"
    )
    before, after = diagram.batched(), Vjp().run(diagram.batched())
    assert [n.name for n in after][: len(before)] == [n.name for n in before]
    assert not any(n.op.name in ("cos", "sin", "exp") for n in list(after)[len(before) :])


# ---------------------------------------------------------------------------------------
# Length


def chain(length: int) -> Graph:
    def write(x: Value) -> Value:
        for step in range(length):
            x = (fn.sin(x), x * x, fn.tanh(x), x + 1.0)[step % 4]
        return x

    return build(write, NUMBER)


def test_ten_thousand_nodes_in_a_chain():
    """No recursion, and work in proportion: the nodes added are the same for each node."""
    short, long = chain(1_000), chain(10_000)
    reverse, forward = (differentiate(("x0",)).run(long) for differentiate in (Vjp, Jvp))
    assert len(reverse) <= 10 * len(Vjp(("x0",)).run(short))
    assert len(forward) <= 10 * len(Jvp(("x0",)).run(short))
    known = {"x0": np.array(0.5), forward.inputs[-1]: np.array(1.0)}
    slope = simulate(reverse, known)[reverse.results_of("gradient")[0].node]
    rate = simulate(forward, known)[forward.results_of("loss_dot")[0].node]
    assert np.isfinite(slope)
    assert rate == pytest.approx(slope, rel=1e-9)


def test_a_sum_of_many_terms():
    """A circle with ten thousand wires is one node with as many operands."""
    count = 10_000
    weights = tuple(float(i % 3 - 1) for i in range(count))

    def write(*xs: Value) -> Value:
        from flowgraph.ops.base import apply

        return apply(OPS["weighted_sum"](weights=weights, bias=0.5), *xs)

    graph = build(write, *[NUMBER] * count)
    found = results(gradient(graph, graph.inputs), {n: np.array(1.0) for n in graph.inputs})
    assert [float(g) for g in found] == list(weights)


# ---------------------------------------------------------------------------------------
# Where the arithmetic has no number and the mathematics has one


def slope_at(text: str, at: Any) -> np.ndarray:
    """The gradient of Σ f(w) by w, for f as text in the language."""
    at = np.asarray(at, dtype=float)
    shape = f"[{at.size}]" if at.ndim else ""
    declared = f"param w : {shape} = zeros()" if shape else "param w = 0.0"
    diagram = loads(f"input x\n{declared}\nf = {text}\nloss sum(f)\noutput x\n")
    found = {}
    for level in (0, 1):
        module = execute(diagram.compile("numpy", level=level, dtype="float64"))
        with np.errstate(all="ignore"):
            found[level] = module["loss_and_grad"]({"w": at}, x=[1.0])[1]["w"]
    np.testing.assert_array_equal(found[0], found[1])
    return np.asarray(found[1])


DOCUMENTED = {
    "norm at 0": ("norm(w)", [0, 0], [0, 0]),
    "norm of one number at 0": ("norm(w)", 0.0, 0.0),
    "norm": ("norm(w)", [3, 4], [0.6, 0.8]),
    "std of equal numbers": ("std(w)", [2, 2], [0, 0]),
    "where guards a log": ("where(w > 0, log(w), 0)", [0, -1, 2], [0, 0, 0.5]),
    "where guards the other way": ("where(w <= 0, 0, log(w))", [0, -1, 2], [0, 0, 0.5]),
    "where guards w log w": ("where(w > 0, w * log(w), 0)", [0, 1], [0, 1]),
    "where guards a root": ("where(w > 0, sqrt(w), 0)", [0, 4], [0, 0.25]),
    "where guards a quotient": ("where(w == 0, 1, sin(w) / w)", [0], [0]),
    "where guards a chain": ("where(w > 0, -3 * log(sqrt(2 * w)), 0)", [0, 2], [0, -0.75]),
    "x^2 at 0": ("w ^ 2", [0, -3], [0, -6]),
    "x^3 below 0": ("w ^ 3", [0, -2], [0, 12]),
    "x^1 at 0": ("w ^ 1", [0], [1]),
    "x^0 at 0": ("w ^ 0 + w", [0], [1]),
    "x^-1 below 0": ("w ^ -1", [-2], [-0.25]),
    "an exponent that is computed": ("w ^ (1 + 2 * x)", [0, -2], [0, 12]),
    "softmax with -inf": ("softmax(where(w > 5, -inf, w))[0]", [0, 9, 0], [0.25, 0, -0.25]),
    "log_softmax with -inf": ("log_softmax(where(w > 5, -inf, w))[0]", [0, 9, 0], [0.5, 0, -0.5]),
    "logsumexp with -inf": ("logsumexp(where(w > 5, -inf, w))", [0, 9, 0], [0.5, 0, 0.5]),
    "max with ties": ("max(w)", [1, 2, 2], [0, 1, 0]),
    "min with ties": ("min(w)", [2, 1, 1], [0, 1, 0]),
    "maximum with a tie": ("maximum(w, 2 * w - 1)", [1], [1]),
    "minimum with a tie": ("minimum(w, 2 * w - 1)", [1], [1]),
    "relu at 0": ("relu(w)", [0], [0]),
    "abs at 0": ("abs(w)", [0], [0]),
    "clip at its bounds": ("clip(w, -1, 1)", [-1, 1, 2], [1, 1, 0]),
    "prod with a zero": ("prod(w)", [0, 2, 3], [6, 0, 0]),
    "prod with two zeros": ("prod(w)", [0, 0, 3], [0, 0, 0]),
    "softplus far out": ("softplus(w)", [-800, 800], [0, 1]),
    "sigmoid far out": ("sigmoid(w)", [-800, 800], [0, 0]),
    "logsumexp far out": ("logsumexp(w)", [1000, 0], [1, 0]),
    "silu far out": ("silu(w)", [-800, 800], [0, 1]),
    "elu far out": ("elu(w)", [-800, 800], [0, 1]),
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_documented_slopes(name):
    text, at, want = DOCUMENTED[name]
    np.testing.assert_allclose(slope_at(text, at), want, rtol=1e-15, atol=0)


def test_bce_of_a_certain_answer_is_finite():
    """A slope's denominator stops at 1e-12, as PyTorch's."""
    diagram = loads("input x\ntarget y\nparam w = 0.0\nloss bce(w * x, y)\noutput x\n")
    module = execute(diagram.compile("numpy", dtype="float64"))
    value, grads = module["loss_and_grad"]({"w": np.array(0.0)}, x=[1.0], y=[1.0])
    assert value == 100
    assert grads["w"] == -1e12


@pytest.mark.parametrize("size", [0, 1])
def test_small_batches(size):
    """The mean over an empty batch is 0 with gradient 0; one example is one example."""
    diagram = loads("input x : [2]\ntarget y\nparam w : [2] = 0.5\nloss mse(w @ x, y)\noutput x\n")
    for level in (0, 1):
        module = execute(diagram.compile("numpy", level=level, dtype="float64"))
        w, x, y = np.array([0.5, -2.0]), np.full((size, 2), 3.0), np.ones(size)
        value, grads = module["loss_and_grad"]({"w": w}, x, y)
        error = 1.5 - 6 - 1
        assert value == (error**2 if size else 0)
        np.testing.assert_array_equal(grads["w"], np.full(2, 2 * error * 3 if size else 0))
