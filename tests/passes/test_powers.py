"""Powers as products: the fewest of them, each once, and the same values."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from agreement import assert_agree, operations, statements

from flowgraph.diagram import load, loads
from flowgraph.graph import Graph
from flowgraph.passes.base import Pipeline
from flowgraph.passes.batch import Batch
from flowgraph.passes.powers import MOST, Powers, chain
from flowgraph.pipelines import TIDY

EXAMPLES = Path(__file__).parents[2] / "examples" / "lecture"

FEWEST = {2: 1, 3: 2, 4: 2, 5: 3, 6: 3, 7: 4, 8: 3, 9: 4, 10: 4, 11: 5, 12: 4, 13: 5, 14: 5, 15: 5, 16: 4}
"""The lengths of the shortest addition chains (OEIS A003313)."""


def graph(output: str, inputs: str = "input x : [3]") -> Graph:
    return Batch().run(loads(f"{inputs}\noutput {output}").expanded)


def powered(output: str) -> Graph:
    return Pipeline((Powers(), *TIDY)).run(graph(output))


@pytest.mark.parametrize("exponent", range(2, MOST + 1))
def test_a_power_takes_the_fewest_products(exponent) -> None:
    found = powered(f"x ^ {exponent}")
    assert len(operations(found)) == FEWEST[exponent]
    assert_agree(graph(f"x ^ {exponent}"), found)


def test_a_chain_gives_every_exponent_from_those_before_it() -> None:
    for count in (1, 2, 3):
        for wanted in combinations(range(2, MOST + 1), count):
            known = {1}
            for number, (a, b) in chain(wanted).items():
                assert {a, b} <= known
                assert a + b == number
                known.add(number)
            assert known >= set(wanted)


@pytest.mark.parametrize(
    "output",
    [
        "x ^ (-1) + 1",
        "x ^ (-2)",
        "x ^ (-3) - x ^ 3",
        "abs(x) ^ 0.5 + abs(x) ^ (-0.5)",
        "x ^ 2 * x - square(x) * (x * x)",
        "square(square(x) ^ 3) ^ (-1)",
        "(x ^ 3) ^ 4 + (x ^ 3) ^ 7",
        "x ^ 17 + x ^ 2.5 * 0 + x ^ 1",
        "sum(x) ^ 3 * x ^ 2",
        "sum(x) * x",
    ],
)
def test_values_agree(output) -> None:
    assert_agree(graph(output), Powers().run(graph(output)), tolerance=1e-13)


def test_powers_share_products() -> None:
    assert operations(powered("x ^ 3 + x ^ 2")) == ["square", "mul", "add"]
    assert operations(powered("x * x + x ^ 2 + square(x)")).count("square") == 1
    assert operations(powered("x ^ 2 * x ^ 3 - x ^ 5")).count("mul") == 2


def test_negative_powers_divide_by_positive_ones() -> None:
    assert operations(powered("x ^ 3 + x ^ (-3)")) == ["square", "mul", "reciprocal", "add"]


def test_other_exponents_stay() -> None:
    assert "pow" in operations(powered("abs(x) ^ 2.5"))
    assert "pow" in operations(powered("2 ^ x"))
    assert "pow" in operations(powered("x ^ 17"))


def test_names_stay() -> None:
    text = "input x\na = x ^ 2\nb = x ^ 2\nc = x ^ 4\noutput a, b, c"
    before = Batch().run(loads(text).expanded)
    found = Powers().run(before)
    assert_agree(before, found)
    assert [n.hint for n in found if n.hint] == ["x", "a", "b", "c"]
    assert found["c"].operands == ("a",)


def test_a_graph_without_powers_stays() -> None:
    before = graph("tanh(x)")
    assert Powers().run(before) is before


def test_the_cubic_needs_three_products_for_its_powers() -> None:
    before = load(EXAMPLES / "cubic.flow").differentiated(1)
    found = Pipeline((Powers(), *TIDY)).run(before)
    assert_agree(before, found)
    lines = statements(found)
    assert sum("square(x)" in line for line in lines) == 1
    assert not any("pow(" in line for line in lines)
