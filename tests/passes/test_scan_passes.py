"""Scans in the IR: text, verification, batching, trimming, and the two modes of differentiation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flowgraph import ops
from flowgraph.diagram import loads
from flowgraph.errors import InternalError
from flowgraph.graph import Builder, Graph, Node, Result, verify
from flowgraph.ops import OPS
from flowgraph.ops.scan import Scan
from flowgraph.passes.autodiff import Jvp, Vjp
from flowgraph.passes.batch import Batch
from flowgraph.passes.dce import Dce
from flowgraph.passes.inline import Inline
from flowgraph.passes.keep import Keep
from flowgraph.passes.simulate import simulate
from flowgraph.text import parse_graph, print_graph
from flowgraph.types import REAL, Dim, TensorType, TupleType

NUMBER = TensorType(REAL)
T = Dim.symbol("T")
SERIES = TensorType(REAL, (T,))


def leaf(graph: Graph, name: str, type: Any) -> str:
    graph.add(Node(name, OPS["input"](type=type), (), type, name))
    return name


def decay() -> Graph:
    """The step h' = w h + x, n' = n + 1, giving out h' and the product w h."""
    step = Graph("decay", sizes=["T"])
    builder = Builder(step, ["h", "n", "x", "w"])
    for name in ("h", "n", "x", "w"):
        leaf(step, name, NUMBER)
    product = builder.apply(OPS["mul"](), ["w", "h"], hint="wh")
    following = builder.apply(OPS["add"](), [product, "x"], hint="new")
    one = builder.apply(OPS["const"](value=1.0), ())
    count = builder.apply(OPS["add"](), ["n", one])
    names = [following, count, following, product]
    results = [Result("output", f"r{i}", n) for i, n in enumerate(names)]
    return step.close(["h", "n", "x", "w"], [], [], results)


def program(*, reverse: bool = False, axis: int = 0) -> Graph:
    """The scan of `decay` over x from h0 and 0, with both sequences and both last states as outputs."""
    graph = Graph("program", sizes=["T"])
    builder = Builder(graph, ["h0", "x", "w"])
    for name, type in (("h0", NUMBER), ("x", SERIES), ("w", NUMBER)):
        leaf(graph, name, type)
    zero = builder.apply(OPS["const"](value=0.0), ())
    scan = Scan(graph=decay(), states=2, sequences=1, last=(0, 1), reverse=reverse, axis=axis)
    run = builder.apply(scan, ["h0", zero, "x", "w"])
    titles = ("hs", "products", "end", "count")
    items = [
        builder.apply(OPS["item"](index=i, count=4), [run], hint=title) for i, title in enumerate(titles)
    ]
    results = [Result("output", title, item) for title, item in zip(titles, items, strict=True)]
    return graph.close(["h0", "x", "w"], [], [], results)


VALUES = {"h0": 8.0, "x": np.array([1.0, 2.0, 3.0]), "w": 0.5}


def scans(graph: Graph) -> list[Node]:
    return [node for node in graph if isinstance(node.op, Scan)]


def only_scan(graph: Graph) -> Scan:
    (node,) = scans(graph)
    scan: Scan = node.op
    return scan


def outputs(graph: Graph, values: Any) -> dict[str, Any]:
    known = simulate(graph, values)
    return {r.label: known[r.node] for r in graph.results}


# ---------------------------------------------------------------------------------------
# Values


def test_a_scan_verifies_and_runs() -> None:
    graph = program()
    verify(graph, typed=True)
    found = outputs(graph, VALUES)
    np.testing.assert_array_equal(found["hs"], [5, 4.5, 5.25])
    np.testing.assert_array_equal(found["products"], [4, 2.5, 2.25])
    assert (found["end"], found["count"]) == (5.25, 3)


def test_in_reverse_the_last_entry_comes_first() -> None:
    found = outputs(program(reverse=True), VALUES)
    np.testing.assert_array_equal(found["hs"], [3.75, 5.5, 7])
    np.testing.assert_array_equal(found["products"], [2.75, 3.5, 4])
    assert found["end"] == 3.75


def test_no_steps_leave_the_states_as_they_were() -> None:
    found = outputs(program(), {**VALUES, "x": np.zeros(0)})
    assert found["hs"].shape == (0,) and found["end"] == 8 and found["count"] == 0


def test_a_step_that_changes_a_type_is_refused() -> None:
    graph = program()
    (node,) = scans(graph)
    inner = node.op.graph
    inner._nodes["new"] = Node("new", inner["new"].op, inner["new"].operands, SERIES, "new")
    with pytest.raises(InternalError):
        verify(graph)


@pytest.mark.parametrize("stage", ["typed", "batched", "optimised", "grad"])
def test_text_reads_back(stage: str) -> None:
    text = "size T\ninput x : [T, 2]\ntarget y : [3]\nhs, cs = scan(lstm_cell, x, zeros(3), zeros(3))\n"
    said = loads(text + "z = hs[-1]\nloss mse(z, y)\noutput z").stage(stage)
    assert print_graph(parse_graph(said, ops)) == said
    assert "scan(" in said and "@1 graph lstm_cell" in said


def test_a_batch_is_its_examples_one_by_one() -> None:
    batched = Batch().run(program())
    verify(batched, typed=True)
    assert only_scan(batched).axis == 1
    rng = np.random.default_rng(0)
    values = {"h0": rng.normal(size=4), "x": rng.normal(size=(4, 5)), "w": rng.normal(size=4)}
    whole = outputs(batched, values)
    for i in range(4):
        single = outputs(program(), {n: a[i] for n, a in values.items()})
        for label, value in single.items():
            np.testing.assert_allclose(np.broadcast_to(whole[label], (4, *np.shape(value)))[i], value)


# ---------------------------------------------------------------------------------------
# What nobody asks for


def keeping(*labels: str) -> Graph:
    graph = program()
    results = [r for r in graph.results if r.label in labels]
    out = graph.like()
    for node in graph:
        out.add(node)
    return Dce().run(out.close(graph.inputs, (), (), results))


def test_states_and_results_that_nobody_needs_are_trimmed() -> None:
    graph = keeping("hs")
    verify(graph, typed=True)
    scan = only_scan(graph)
    assert (scan.states, len(scan.gives()), scan.last) == (1, 1, ())
    assert "hs" in graph and graph["hs"].op is scan
    np.testing.assert_array_equal(outputs(graph, VALUES)["hs"], [5, 4.5, 5.25])


def test_a_sequence_stays_to_say_how_long_it_is() -> None:
    graph = keeping("count")
    scan = only_scan(graph)
    assert (scan.states, scan.sequences, len(scan.graph.inputs)) == (1, 1, 2)
    assert outputs(graph, VALUES)["count"] == 3


def test_a_state_that_another_reads_stays() -> None:
    graph = keeping("products", "count")
    assert only_scan(graph).states == 2
    found = outputs(graph, VALUES)
    np.testing.assert_array_equal(found["products"], [4, 2.5, 2.25])
    assert found["count"] == 3


# ---------------------------------------------------------------------------------------
# Derivatives


def with_loss() -> Graph:
    """The sum of all that the scan gives, squared: every kind of result on the way."""
    graph = program()
    out = graph.like()
    builder = Builder(out)
    for node in graph:
        builder.keep(node)
    total = [builder.apply(OPS["sum"](axis=(-1,)), [n]) for n in ("hs", "products")]
    summed = builder.apply(OPS["add"](), total)
    summed = builder.apply(OPS["add"](), [summed, "end"])
    loss = builder.apply(OPS["pow"](), [summed, builder.apply(OPS["const"](value=2.0), ())])
    return out.close(graph.inputs, (), (), [*graph.results, Result("loss", "loss", loss)])


WRT = ("h0", "x", "w")


def loss_at(values: Any) -> float:
    return float(outputs(with_loss(), values)["loss"])


def slopes() -> dict[str, np.ndarray]:
    """Central differences of the loss."""
    found: dict[str, np.ndarray] = {}
    for name in WRT:
        array = np.asarray(VALUES[name], dtype=float)
        found[name] = np.zeros(array.shape)
        for place in np.ndindex(array.shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = array.copy()
                moved[place] += step
                ends.append(loss_at({**VALUES, name: moved}))
            found[name][place] = (ends[0] - ends[1]) / 2e-6
    return found


def test_reverse_mode_is_the_slope() -> None:
    graph = Vjp(WRT).run(with_loss())
    verify(graph, typed=True)
    assert [s.op.reverse for s in scans(graph)] == [False, True]
    assert not any(s.op.pull for s in scans(graph))
    found = simulate(graph, VALUES)
    for result, slope in zip(graph.results_of("gradient"), slopes().values(), strict=True):
        np.testing.assert_allclose(found[result.node], slope, rtol=1e-7)


def test_forward_mode_is_the_slope_and_computes_values_once() -> None:
    graph = Jvp(WRT).run(with_loss())
    verify(graph, typed=True)
    assert len(scans(graph)) == 1
    dots = {"h0_dot": 1.0, "x_dot": np.array([0.5, -1.0, 2.0]), "w_dot": -0.25}
    found = simulate(graph, {**VALUES, **dots})
    (dot,) = graph.results_of("loss_dot")
    want = sum(float(np.sum(slope * dots[f"{n}_dot"])) for n, slope in slopes().items())
    np.testing.assert_allclose(found[dot.node], want, rtol=1e-7)
    np.testing.assert_array_equal(found["hs"], [5, 4.5, 5.25])


@pytest.mark.parametrize("order", ["forward over reverse", "reverse over reverse"])
def test_second_order(order: str) -> None:
    """The derivative of ∂loss/∂w along w, against differences of the gradient."""
    first = Keep(("gradient",)).run(Vjp(("w",)).run(with_loss()))

    def gradient(w: float) -> float:
        (result,) = first.results
        return float(simulate(first, {**VALUES, "w": w})[result.node])

    want = (gradient(0.5 + 1e-5) - gradient(0.5 - 1e-5)) / 2e-5
    if order == "forward over reverse":
        graph = Jvp(("w",)).run(first)
        (result,) = graph.results_of("gradient_dot")
        found = simulate(graph, {**VALUES, "w_dot": 1.0})[result.node]
    else:
        (result,) = first.results
        out = first.like()
        for node in first:
            out.add(node)
        graph = Vjp(("w",)).run(out.close(first.inputs, (), (), [Result("loss", "w", result.node)]))
        (result,) = graph.results_of("gradient")
        found = simulate(graph, VALUES)[result.node]
    verify(graph, typed=True)
    np.testing.assert_allclose(found, want, rtol=1e-7)


def test_a_backward_scan_without_sequences_of_its_own_counts_the_steps() -> None:
    """end = h0 + T w: nothing of any step is needed, only how many there were."""
    step = Graph("grow")
    builder = Builder(step, ["h", "x", "w"])
    for name in ("h", "x", "w"):
        leaf(step, name, NUMBER)
    following = builder.apply(OPS["add"](), ["h", "w"])
    step.close(["h", "x", "w"], [], [], [Result("output", "h", following)])
    graph = Graph("grown", sizes=["T"])
    builder = Builder(graph, WRT)
    for name, type in (("h0", NUMBER), ("x", SERIES), ("w", NUMBER)):
        leaf(graph, name, type)
    scan = Scan(graph=step, states=1, sequences=1, last=(0,))
    end = builder.apply(scan, ["h0", "x", "w"])
    graph.close(WRT, [], [], [Result("loss", "loss", end)])
    derived = Dce().run(Vjp(("h0", "w")).run(graph))
    verify(derived, typed=True)
    found = simulate(derived, VALUES)
    assert [float(found[r.node]) for r in derived.results_of("gradient")] == [1, 3]


def test_what_is_not_on_the_way_is_not_differentiated() -> None:
    """By h0, through the products alone: the count and the sequence of x have no cotangent."""
    graph = program()
    out = graph.like()
    builder = Builder(out)
    for node in graph:
        builder.keep(node)
    loss = builder.apply(OPS["sum"](axis=(-1,)), ["products"])
    out.close(graph.inputs, (), (), [Result("loss", "loss", loss)])
    derived = Dce().run(Vjp(("h0",)).run(out))
    forward, backward = (s.op for s in scans(derived))
    assert (backward.states, len(backward.gives())) == (1, 0)
    assert forward.states == 1  # the count is gone
    found = simulate(derived, VALUES)
    (result,) = derived.results_of("gradient")
    np.testing.assert_allclose(found[result.node], 0.5 + 0.25 + 0.125)


# ---------------------------------------------------------------------------------------
# Calls and literal arrays in a step


def test_inlining_goes_into_steps() -> None:
    text = """
size T
input x : [T, 2]
block turn(v) { return [[0, -1], [1, 0]] @ v }
block step(x_t, h) { return turn(h) + x_t }
hs = scan(step, x, [1, 0])
"""
    diagram = loads(text)
    graph = Inline().run(diagram.graph)
    verify(graph, typed=True)
    scan = only_scan(graph)
    assert not any(n.op.subgraphs() or (n.op.name == "const" and n.type.shape) for n in scan.graph)
    found = simulate(graph, {"x": np.ones((2, 2))})["hs"]
    np.testing.assert_array_equal(found, [[1, 2], [-1, 2]])


def test_several_results_have_a_type_of_several() -> None:
    (node,) = scans(program())
    assert isinstance(node.type, TupleType)
    assert [str(t) for t in node.type.items] == ["real[T]", "real[T]", "real", "real"]
