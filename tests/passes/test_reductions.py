"""Sums by products: the same values for every shape and axis, and the calls that are expected."""

from __future__ import annotations

import pytest
from agreement import assert_agree, operations

from flowgraph.diagram import loads
from flowgraph.graph import Graph
from flowgraph.passes.base import Pipeline
from flowgraph.passes.batch import Batch
from flowgraph.passes.reductions import Reductions
from flowgraph.passes.simpler import Simpler
from flowgraph.pipelines import TIDY


def before(output: str, inputs: str = "input x : [2, 3]") -> Graph:
    steps = (Batch(), *TIDY, Simpler(), *TIDY)
    return Pipeline(steps).run(loads(f"{inputs}\noutput {output}").expanded)


def reduced(output: str, inputs: str = "input x : [2, 3]") -> Graph:
    graph = before(output, inputs)
    found = Reductions().run(graph)
    assert_agree(graph, found)
    found = Pipeline(TIDY).run(found)
    assert_agree(graph, found)
    return found


SHAPES = ["[3]", "[2, 3]", "[3, 2]", "[2, 3, 4]", "[1, 2]", "[2, 1]"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("op", ["sum", "mean", "max", "min"])
@pytest.mark.parametrize("settings", ["", ", axis=0", ", axis=-1", ", axis=0, keepdims=true"])
def test_reductions_agree(shape, op, settings) -> None:
    reduced(f"{op}(x{settings})", f"input x : {shape}")


@pytest.mark.parametrize("settings", ["axis=(0, 1)", "axis=(1, 2)", "axis=(0, 2)", "axis=1, keepdims=true"])
def test_reductions_of_more_axes_agree(settings) -> None:
    reduced(f"sum(x, {settings.replace('(', '[').replace(')', ']')})", "input x : [2, 3, 4]")


@pytest.mark.parametrize(
    "output",
    [
        "sum(sum(x, axis=0))",
        "sum(sum(x, axis=-1) ^ 2)",
        "sum(x ^ 2)",
        "sum(square(x.T))",
        "sum(x * tanh(x))",
        "sum(x.T * tanh(x).T)",
        "sum(x * x.T) + 0 * sum(x)",
        "sum(x * [1, 2, 3]) + sum(x * 2)",
        "sum(sum(sum(square(x), axis=-1), axis=-1))",
    ],
)
def test_sums_of_sums_and_products_agree(output) -> None:
    reduced(output, "input x : [3, 3]")


def test_a_sum_is_a_product_with_ones() -> None:
    graph = Graph("rows", sizes=("N",), batch="N")
    assert Reductions().run(graph.close((), (), (), ())).results == ()
    assert operations(reduced("sum(x, axis=-1)", "input x : [3]"))[-1] == "matmul"


def test_a_sum_of_squares_is_one_inner_product() -> None:
    found = operations(reduced("sum(square(h))", "input x : [3]\nparam h : [4] = normal()"))
    assert found == ["matmul"]


def test_a_product_that_is_used_otherwise_stays() -> None:
    found = operations(reduced("q, sum(q)", "input x : [3]\nparam h : [4] = normal()\nq = h * h"))
    assert found == ["mul", "matmul"]


def test_the_larger_of_two_rows_is_one_comparison() -> None:
    found = operations(reduced("max(h, axis=0)", "input x : [3]\nparam h : [2, 4] = normal()"))
    assert found == ["index", "index", "maximum"]


def test_whole_numbers_are_added_as_they_are() -> None:
    assert operations(reduced("sum(x)", "input x : int[3]"))[0] == "sum"


def test_axes_between_others_are_summed_as_before() -> None:
    assert "sum" in operations(reduced("sum(h, axis=1)", "input x\nparam h : [2, 3, 4] = normal()"))


PICKED = """
input x : [3]
target y : class(4)
z = linear(x, 4)
loss cross_entropy({}, y)
"""


def trained(scores: str) -> Graph:
    graph = loads(PICKED.format(scores)).differentiated(1)
    found = Pipeline((Simpler(), *TIDY)).run(graph)
    assert_agree(found, Reductions().run(found))
    return Pipeline((Reductions(), *TIDY)).run(found)


def test_entries_that_labels_pick_are_added_up_by_the_ones_of_the_gradient() -> None:
    found = operations(trained("z"))
    assert "take" not in found
    assert found.count("add_at") == 1


@pytest.mark.parametrize("scores", ["log(abs(z))", "z + log(abs(x[0]))"])
def test_scores_that_may_be_infinite_are_picked(scores) -> None:
    assert "take" in operations(trained(scores))


def test_a_sum_of_differences_without_labels_is_one_product() -> None:
    found = operations(reduced("sum(h - x)", "input x : [3]\nparam h : [3] = normal()"))
    assert found == ["sub", "matmul"]
