"""Models linear in their parameters: one product forward, one backward, and every param under its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from agreement import by_name, gradients, laid_out, operations, results, values_of

from flowgraph.diagram import load, loads
from flowgraph.graph import Graph, verify
from flowgraph.passes.autodiff import Vjp
from flowgraph.passes.base import Pipeline
from flowgraph.passes.batch import Batch
from flowgraph.passes.columns import Columns
from flowgraph.passes.keep import Keep
from flowgraph.passes.linear_model import LinearModel
from flowgraph.passes.packing import held
from flowgraph.passes.vectorise import Vectorise
from flowgraph.pipelines import TIDY

EXAMPLES = Path(__file__).parents[2] / "examples" / "lecture"

PARAMS = "".join(f"param {name} = normal()\n" for name in "abcd")

MODELS = {
    "cubic": "f = a + b * x + c * x ^ 2 + d * x ^ 3",
    "scaled": "f = 2 * a - b * (3 * x) + 0.5 * (c * tanh(x))",
    "twice": "f = a * x + b + a * x ^ 2 + c + d",
    "rest": "f = a + b * x + tanh(c * x + d) + x - 3",
    "wave": "f = a * sin(x) - (b * cos(x) - c) + d",
    "named part": "g = a + b * x\nf = g + c * x ^ 2 + d * x",
    "two": "p = a + b * x\nq = c - d * x\nf = p * q",
}


def typed(model: str) -> Graph:
    return loads(f"input x\ntarget y\n{PARAMS}{model}\noutput f\nloss (f - y) ^ 2").expanded


def trained(graph: Graph) -> Graph:
    return Pipeline((Batch(), *TIDY, Keep(("loss",)), Vjp(), *TIDY, Columns(), *TIDY)).run(graph)


@pytest.mark.parametrize("name", MODELS)
def test_values_and_gradients_agree_by_name(name) -> None:
    graph = typed(MODELS[name])
    found = LinearModel().run(graph)
    verify(found, typed=True)
    assert any(held(found[p]) for p in found.params)
    values = values_of(graph)
    again = laid_out(found, values, by_name(graph, values))
    for want, got in zip(results(graph, values), results(found, again), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    one, other = trained(graph), trained(found)
    values = values_of(one)
    again = laid_out(other, values, by_name(one, values))
    want, got = gradients(one, values), gradients(other, again)
    assert want.keys() == got.keys()
    for label, value in want.items():
        np.testing.assert_allclose(got[label], value, rtol=1e-12, atol=1e-12, err_msg=label)


def test_a_step_of_the_cubic_is_two_products() -> None:
    found = trained(LinearModel().run(Vectorise().run(load(EXAMPLES / "cubic.flow").expanded)))
    (param,) = found.params
    assert found[param].op.parts == ("a", "b", "c", "d")
    after = operations(found)[operations(found).index("stack") + 1 :]
    assert after == ["matmul", "sub", "pow", "batch_sum", "mul", "identity", "matmul"]


def test_the_factors_lie_in_rows_of_examples() -> None:
    found = trained(LinearModel().run(Vectorise().run(load(EXAMPLES / "cubic.flow").expanded)))
    (stack,) = (n for n in found if n.op.name == "stack")
    assert [str(d) for d in stack.type.shape] == ["4", "N"]


@pytest.mark.parametrize(
    "model",
    [
        "f = a * x + tanh(b) + tanh(c) + tanh(d)",
        "f = a * x + b\noutput a + c + d",
        "h = tanh(a * x)\nf = b * h + c * h * x + tanh(d)",
        "f = a * b * x + c * d",
    ],
    ids=["one param", "param used elsewhere", "factors that are trained", "products of params"],
)
def test_other_sums_stay_as_they_are(model) -> None:
    graph = loads(f"input x\ntarget y\n{PARAMS}{model}\noutput f\nloss (f - y) ^ 2").expanded
    assert LinearModel().run(graph) is graph


def test_a_constant_model_is_the_sum_of_its_params() -> None:
    graph = typed("f = a + b\ng = c * x + d\noutput g")
    values = values_of(graph)
    found = LinearModel().run(graph)
    again = laid_out(found, values, by_name(graph, values))
    for want, got in zip(results(graph, values), results(found, again), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
