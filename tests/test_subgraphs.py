"""Nodes that hold graphs: a called block verifies, prints, runs, batches and inlines."""

from __future__ import annotations

import numpy as np
import pytest

from flowgraph.errors import InternalError
from flowgraph.graph import Builder, Graph, Node, Result, verify
from flowgraph.ops import OPS
from flowgraph.passes.batch import Batch
from flowgraph.passes.expand_grad import ExpandDerivatives
from flowgraph.passes.inline import Inline
from flowgraph.passes.simulate import simulate
from flowgraph.types import REAL, Dim, TensorType

VECTOR = TensorType(REAL, (Dim.of(3),))
MATRIX = TensorType(REAL, (Dim.of(3), Dim.of(3)))


def residual() -> Graph:
    """The block h = x + tanh(W x), with both of its values as results."""
    graph = Graph("residual")
    builder = Builder(graph)
    for name, type in (("W", MATRIX), ("x", VECTOR)):
        builder.keep(Node(name, OPS["input"](type=type), (), type, name))
    product = builder.apply(OPS["matmul"](), ["W", "x"])
    bent = builder.apply(OPS["tanh"](), [product], hint="bent")
    total = builder.apply(OPS["add"](), ["x", bent], hint="h")
    return graph.close(["W", "x"], [], [], [Result("output", "h", total), Result("output", "bent", bent)])


def twice() -> Graph:
    """The block called twice with the same weights, then both results used."""
    graph = Graph("twice")
    builder = Builder(graph)
    builder.keep(Node("x", OPS["input"](type=VECTOR), (), VECTOR, "x"))
    builder.keep(Node("W", OPS["param"](type=MATRIX, init=None), (), MATRIX, "W"))
    first = builder.apply(OPS["call"](graph=residual()), ["W", "x"], hint="a")
    inner = builder.apply(OPS["item"](index=0, count=2), [first])
    second = builder.apply(OPS["call"](graph=residual()), ["W", inner], hint="b")
    parts = [builder.apply(OPS["item"](index=i, count=2), [second]) for i in (0, 1)]
    total = builder.apply(OPS["mul"](), parts, hint="y")
    return graph.close(["x"], [], ["W"], [Result("output", "y", total)])


def by_hand(W: np.ndarray, x: np.ndarray) -> np.ndarray:
    h = x + np.tanh(W @ x)
    bent = np.tanh(W @ h)
    return (h + bent) * bent


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"W": rng.normal(size=(3, 3)), "x": rng.normal(size=(5, 3))}


def test_call_verifies_and_runs(arrays: dict[str, np.ndarray]) -> None:
    graph = twice()
    verify(graph, typed=True)
    found = simulate(graph, {"W": arrays["W"], "x": arrays["x"][0]})["y"]
    assert np.allclose(found, by_hand(arrays["W"], arrays["x"][0]), rtol=1e-14)


def test_batching_goes_into_calls(arrays: dict[str, np.ndarray]) -> None:
    graph = Batch().run(twice())
    verify(graph, typed=True)
    assert any(node.op.name == "call" for node in graph)
    found = simulate(graph, arrays)["y"]
    wanted = [by_hand(arrays["W"], x) for x in arrays["x"]]
    assert np.allclose(found, wanted, rtol=1e-14)


@pytest.mark.parametrize("first", ["batch", "inline"])
def test_inlining_commutes_with_batching(first: str, arrays: dict[str, np.ndarray]) -> None:
    passes = [Batch(), Inline()] if first == "batch" else [Inline(), Batch()]
    graph = twice()
    for step in passes:
        graph = step.run(graph)
        verify(graph, typed=True)
    assert not any(node.op.subgraphs() for node in graph)
    wanted = [by_hand(arrays["W"], x) for x in arrays["x"]]
    assert np.allclose(simulate(graph, arrays)["y"], wanted, rtol=1e-14)


def test_verifier_looks_inside() -> None:
    inner = residual()
    inner._nodes["h"] = Node("h", OPS["add"](), ("x", "missing"), VECTOR, "h")
    graph = Graph("outer")
    builder = Builder(graph)
    builder.keep(Node("x", OPS["input"](type=VECTOR), (), VECTOR, "x"))
    builder.keep(Node("W", OPS["input"](type=MATRIX), (), MATRIX, "W"))
    builder.apply(OPS["call"](graph=inner), ["W", "x"])
    graph.close(["x", "W"], [], [], [])
    with pytest.raises(InternalError, match="missing"):
        verify(graph)


def test_same_operand_twice_is_two_edges() -> None:
    graph = Graph("square")
    builder = Builder(graph)
    builder.keep(Node("x", OPS["input"](type=VECTOR), (), VECTOR, "x"))
    product = builder.apply(OPS["mul"](), ["x", "x"])
    graph.close(["x"], [], [], [Result("output", "y", product)])
    assert sorted(graph.nx.edges(keys=True)) == [("x", product, 0), ("x", product, 1)]
    assert graph.use_count("x") == 2


# ---------------------------------------------------------------------------------------
# Derivatives that a diagram asks for


def slope_of_block(x: np.ndarray, W: np.ndarray) -> np.ndarray:
    """∂ Σ (x + tanh(W x)) / ∂x = 1 + Wᵀ (1 - tanh²(W x))."""
    return 1 + W.T @ (1 - np.tanh(W @ x) ** 2)


def test_a_derivative_goes_through_a_call(arrays: dict[str, np.ndarray]) -> None:
    graph = Graph("outer")
    builder = Builder(graph)
    builder.keep(Node("x", OPS["input"](type=VECTOR), (), VECTOR, "x"))
    builder.keep(Node("W", OPS["param"](type=MATRIX, init=None), (), MATRIX, "W"))
    called = builder.apply(OPS["call"](graph=residual()), ["W", "x"], hint="a")
    inner = builder.apply(OPS["item"](index=0, count=2), [called])
    total = builder.apply(OPS["sum"](axis=(-1,)), [inner], hint="s")
    slope = builder.apply(OPS["grad"](), [total, "x"], hint="g")
    results = [Result("output", "g", slope), Result("output", "s", total)]
    graph.close(["x"], [], ["W"], results)
    expanded = ExpandDerivatives().run(graph)
    verify(expanded, typed=True)
    found = simulate(expanded, {"W": arrays["W"], "x": arrays["x"][0]})["g"]
    assert np.allclose(found, slope_of_block(arrays["x"][0], arrays["W"]), rtol=1e-13)


def test_a_block_may_ask_for_a_derivative(arrays: dict[str, np.ndarray]) -> None:
    block = Graph("slope")
    builder = Builder(block)
    for name, type in (("W", MATRIX), ("x", VECTOR)):
        builder.keep(Node(name, OPS["input"](type=type), (), type, name))
    bent = builder.apply(OPS["tanh"](), [builder.apply(OPS["matmul"](), ["W", "x"])])
    total = builder.apply(OPS["sum"](axis=(-1,)), [builder.apply(OPS["add"](), ["x", bent])])
    slope = builder.apply(OPS["grad"](), [total, "x"], hint="g")
    block.close(["W", "x"], [], [], [Result("output", "g", slope)])
    graph = Graph("outer")
    builder = Builder(graph)
    builder.keep(Node("x", OPS["input"](type=VECTOR), (), VECTOR, "x"))
    builder.keep(Node("W", OPS["param"](type=MATRIX, init=None), (), MATRIX, "W"))
    called = builder.apply(OPS["call"](graph=block), ["W", "x"], hint="y")
    graph.close(["x"], [], ["W"], [Result("output", "y", called)])
    batched = Batch().run(ExpandDerivatives().run(graph))
    verify(batched, typed=True)
    assert any(node.op.name == "call" for node in batched)
    found = simulate(batched, arrays)["y"]
    assert np.allclose(found, [slope_of_block(x, arrays["W"]) for x in arrays["x"]], rtol=1e-13)
