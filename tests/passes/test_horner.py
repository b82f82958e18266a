"""Horner's rule: fewer products where it is used, and it is used only where there are fewer."""

from __future__ import annotations

import pytest
from agreement import assert_agree, operations

from flowgraph.diagram import loads
from flowgraph.graph import Graph
from flowgraph.passes.base import Pipeline
from flowgraph.passes.batch import Batch
from flowgraph.passes.horner import Horner
from flowgraph.passes.powers import Powers
from flowgraph.pipelines import TIDY

HEAD = "input x : [3]\n"


def before(output: str) -> Graph:
    return Pipeline((Batch(), *TIDY, Powers(), *TIDY)).run(loads(f"{HEAD}output {output}").expanded)


def products(graph: Graph) -> int:
    return sum(name in ("mul", "square") for name in operations(graph))


@pytest.mark.parametrize(
    ("output", "count"),
    [
        ("1 + 2 * x + 3 * x ^ 2 + 4 * x ^ 3", 3),
        ("x ^ 3 - 2 * x ^ 2 + 0.5 * x - 7", 2),
        ("5 * x ^ 4 - (x ^ 3 * 2 - (x + 1)) * 0.5", 4),
        ("-(3 * x ^ 2) - 2 * x", 2),
        ("0.5 * x ^ 6 + 0.25 * x ^ 4 + 3 * x ^ 2 + 1", 4),
        ("2 * tanh(x) ^ 3 + 3 * tanh(x) ^ 2 + tanh(x)", 3),
        ("2 * sum(x) ^ 2 + 3 * sum(x) + x", 2),
        ("1 - x ^ 2 / 2 + x ^ 4 / 24 - x ^ 6 / 720", 7),
        ("1 - x ^ 2 * 0.5 + x ^ 4 * 0.25 - x ^ 6 * 0.125", 4),
    ],
)
def test_a_polynomial_takes_the_fewest_products(output, count) -> None:
    graph = before(output)
    found = Horner().run(graph)
    assert_agree(graph, found)
    found = Pipeline(TIDY).run(found)
    assert_agree(graph, found)
    assert products(found) <= min(count, products(graph))


@pytest.mark.parametrize(
    "output",
    [
        "x + 3 * x",
        "1 + x ^ 8",
        "x + 0.04 * x ^ 3",
        "2 * x ^ 2 + 3 * sin(x)",
        "x ^ 2 + x ^ (-2) * 2 + 3 * x",
        "2 * x + 3 * x ^ 2 + 4 * x ^ 3, x ^ 2",
        "x * sum(x) + sum(x) ^ 2",
        "x - x",
    ],
)
def test_where_it_saves_nothing_it_is_not_used(output) -> None:
    graph = before(output)
    found = Horner().run(graph)
    assert_agree(graph, found)
    assert products(found) == products(graph)


def test_names_stay() -> None:
    graph = Pipeline((Batch(), Powers())).run(
        loads(f"{HEAD}p = 1 + 2 * x + 3 * x ^ 2 + 4 * x ^ 3\noutput p").expanded
    )
    found = Horner().run(graph)
    assert found["p"].hint == "p"
    assert_agree(graph, found)
