"""Factors that are single numbers, merged and moved; and the learning rate as the first of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from agreement import assert_agree, operations, results, statements, values_of

from flowgraph.diagram import load, loads
from flowgraph.graph import Graph
from flowgraph.passes.autodiff import Vjp
from flowgraph.passes.base import Pipeline
from flowgraph.passes.batch import Batch
from flowgraph.passes.dce import Dce
from flowgraph.passes.keep import Keep
from flowgraph.passes.scales import Scales
from flowgraph.passes.simpler import Simpler
from flowgraph.pipelines import TIDY, pipeline

EXAMPLES = Path(__file__).parents[2] / "examples" / "lecture"

HEAD = "input x : [3]\nparam W : [3, 4] = normal()\nparam s = normal()\nparam t = normal()\n"


def before(output: str, head: str = HEAD) -> Graph:
    return Pipeline((Batch(), *TIDY)).run(loads(f"{head}output {output}").expanded)


def scaled(output: str, head: str = HEAD) -> Graph:
    graph = before(output, head)
    found = Scales().run(graph)
    assert_agree(graph, found)
    return Dce().run(found)


def arrays(graph: Graph) -> list[str]:
    """The operations that give arrays, in order."""
    return [n.op.name for n in graph if n.operands and n.type.shape]


@pytest.mark.parametrize(
    ("output", "calls"),
    [
        ("3 * (s * x)", ["mul"]),
        ("-(s * x) / t", ["mul"]),
        ("0.3 * (x / s / t) * 5", ["mul"]),
        ("-(-(2 * (x / 2)))", ["identity"]),
        ("-(2 * (x * 0.5))", ["neg"]),
        ("2 * x", ["mul"]),
        ("x / s", ["div"]),
        ("s / (t / x)", ["div", "div"]),
        ("3 * (s * x) + tanh(3 * (s * x))", ["mul", "tanh", "add"]),
    ],
)
def test_factors_of_an_array_become_one(output, calls) -> None:
    assert arrays(scaled(output)) == calls


def test_a_scaled_array_that_is_used_otherwise_stays() -> None:
    head = HEAD + "h = s * x\n"
    assert arrays(scaled("h, 2 * h", head)) == ["mul", "mul"]


def test_what_divides_by_zero_is_not_turned_round() -> None:
    found = Scales().run(before("2 * (x / 0)"))
    assert "div" in operations(found)


@pytest.mark.parametrize(
    ("output", "shapes"),
    [("sum(s * x)", ["[N]"]), ("(s * W) @ [1, 2, 3, 4]", ["[3]"]), ("W.T @ (s * x)", ["[N, 3]"])],
    ids=["sum", "smaller product", "larger product"],
)
def test_a_factor_moves_behind_what_makes_less(output, shapes) -> None:
    lines = [line for line in statements(scaled(output)) if "= mul(" in line]
    assert [line.split("real")[1].split(" =")[0] for line in lines] == shapes


def test_a_factor_stays_where_it_would_be_applied_more_often() -> None:
    head = HEAD + "h = s * x\n"
    assert arrays(scaled("sum(h) + sum(h ^ 2)", head)).count("mul") == 1


def test_a_factor_moves_past_another_look_at_the_array() -> None:
    head = "input x : [3]\nparam W : [30, 40] = normal()\nparam s = normal()\n"
    found = scaled("sum((s * W).T @ linspace(0, 1, 30))", head)
    assert not any("[30, 40] = mul" in line or "[40, 30] = mul" in line for line in statements(found))


# ---------------------------------------------------------------------------------------
# The learning rate


def steps(graph: Graph, rate: float, scaled: bool) -> dict[str, np.ndarray]:
    derived = Pipeline((Keep(("loss",)), Vjp(scaled=scaled), *TIDY, Simpler(), *TIDY)).run(graph)
    if scaled:
        derived = Pipeline((Scales(), *TIDY)).run(derived)
    values = values_of(derived)
    values |= {n.name: rate for n in derived if n.op.name == "rate"}
    found = zip(derived.results, results(derived, values), strict=True)
    return {r.label: v for r, v in found if r.role == "gradient"}


@pytest.mark.parametrize("name", ["cubic", "xor_learned", "softmax", "one_hot_error"])
def test_scaled_gradients_are_the_rate_times_them(name) -> None:
    graph = pipeline(1).run(load(EXAMPLES / f"{name}.flow").expanded)
    plain, found = steps(graph, 0.25, scaled=False), steps(graph, 0.25, scaled=True)
    assert plain.keys() == found.keys()
    for label, value in plain.items():
        np.testing.assert_allclose(found[label], 0.25 * value, rtol=1e-12, atol=1e-13, err_msg=label)


def test_several_losses_are_scaled_by_one_rate() -> None:
    text = "input x\ntarget y\nparam w = normal()\nloss (w * x - y) ^ 2\nloss decay = 0.1 * w ^ 2"
    graph = pipeline(1).run(loads(text).expanded)
    plain, found = steps(graph, 3.0, scaled=False), steps(graph, 3.0, scaled=True)
    np.testing.assert_allclose(found["w"], 3 * plain["w"], rtol=1e-12)


def test_two_over_n_and_the_rate_are_one_factor() -> None:
    graph = pipeline(1).run(load(EXAMPLES / "regression.flow").expanded)
    tidy = (*TIDY, Simpler(), *TIDY)
    derived = Pipeline((Keep(("loss",)), Vjp(scaled=True), *tidy, Scales(), *TIDY)).run(graph)
    lines = [line for line in statements(derived) if " of " in line and "real[N]" in line]
    assert [line.split(" = ")[1].split("(")[0] for line in lines] == ["mul"]


def test_a_diagram_without_a_loss_has_no_rate() -> None:
    graph = pipeline(1).run(loads("input x\nparam w = normal()\noutput w * x").expanded)
    assert not any(n.op.name == "rate" for n in Vjp(scaled=True).run(graph))
