"""`flowc run --trace`: one example as a table, with formulas and derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from running import EXAMPLES, example

from flowgraph.cli.main import main
from flowgraph.diagram import load, loads
from flowgraph.explain.trace import trace_text

TWO_LAYERS = """
input x : [2]
target y : [2]
param W_1 : [2, 2] = [[1, 0], [0, 2]]
param W_2 : [2, 2] = [[1, 1], [1, -1]]
h_1 = relu(W_1 @ x)
f = W_2 @ h_1
loss mse(f, y)
"""


def rows(text: str) -> list[list[str]]:
    """The cells of a table, which are two blanks apart."""
    import re

    return [re.split(r"\s{2,}", line) for line in text.splitlines()]


def test_xor_as_in_the_lecture() -> None:
    found = example("xor")
    assert trace_text(found.expanded, found.run({"x1": 0, "x2": 1})) == (
        "node  formula               ξ  h\n"
        "x₁                             0\n"
        "x₂                             1\n"
        "h₁    u(0.5 − x₁ − x₂)   -0.5  0\n"
        "h₂    u(−1.5 + x₁ + x₂)  -0.5  0\n"
        "f     u(0.5 − h₁ − h₂)    0.5  1\n"
    )


def test_a_two_layer_network_with_its_derivatives() -> None:
    """x = (1, 1) gives h₁ = (1, 2) and f = (3, −1); with y = (2, 0), ∂L/∂f = (1, −1) and ∂L/∂h₁ = (0, 2)."""
    found = loads(TWO_LAYERS)
    text = trace_text(found.expanded, found.run({"x": [1, 1], "y": [2, 0]}))
    assert rows(text)[:6] == [
        ["node", "formula", "ξ", "h", "∂L/∂node"],
        ["x", "[1 1]", "[0 4]"],
        ["y", "[2 0]", "[-1 1]"],
        ["h₁", "relu(W₁ x)", "[1 2]", "[1 2]", "[0 2]"],
        ["f", "W₂ h₁", "[3 -1]", "[1 -1]"],
        ["L", "1/2 Σ (f − y)²", "1", "1"],
    ]


def test_without_the_target_there_are_no_derivatives() -> None:
    found = loads(TWO_LAYERS)
    assert rows(trace_text(found.expanded, found.run({"x": [1, 1]})))[0] == ["node", "formula", "ξ", "h"]


def test_what_the_loss_does_not_depend_on_has_no_derivative() -> None:
    found = loads(TWO_LAYERS + "p = softmax(f)\noutput p\n")
    table = rows(trace_text(found.expanded, found.run({"x": [1, 1], "y": [2, 0]})))
    assert next(row for row in table if row[0] == "p") == ["p", "softmax(f)", "[0.982 0.01799]"]


def test_wide_arrays_are_shortened() -> None:
    found = example("digits")
    text = trace_text(found.expanded, found.run(), rows=1)
    assert "64: 0 0 ... 0" in text
    assert max(map(len, text.splitlines())) <= 170
    assert "... and 1796 more examples (--rows N or --all shows them)" in text


def test_several_examples_are_rows_of_one_table_while_they_fit() -> None:
    found = example("xor")
    assert trace_text(found.expanded, found.run()) == found.run().table(trace=True)


def test_several_wide_examples_have_a_table_each() -> None:
    found = loads(
        "input x : [9]\ntarget y\nf = mean(x) * x[0] + x[1] * x[2]\nz = x * x\nloss mse(f, y)\noutput f, z\n"
    )
    run = found.run({"x": np.arange(18.0).reshape(2, 9) / 7, "y": [0, 1]})
    text = trace_text(found.expanded, run)
    assert text.count("node") == 4 and "\n\nexample 1\nnode" in text


def test_derivatives_agree_with_central_differences() -> None:
    found = example("xor_learned")
    table = rows(trace_text(found.expanded, found.run({"x": [0.3, 0.9], "y": 1})))
    shown = np.array(next(r for r in table if r[0] == "x")[-1].strip("[]").split(), float)
    for axis in range(2):
        step = np.eye(2)[axis] * 1e-5
        ends = [found.run({"x": np.array([0.3, 0.9]) + s, "y": 1}).loss or 0 for s in (step, -step)]
        assert np.isclose((ends[0] - ends[1]) / 2e-5, shown[axis], rtol=1e-3)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_traced(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(EXAMPLES[name]), "--trace", "--rows", "1"]) == 0
    assert capsys.readouterr().out.startswith(("node", "x"))


def test_random_draws_are_those_of_the_run() -> None:
    found = loads("input x\ntarget y\nn = normal(shape=[2])\nf = sum(n) * x\nloss mse(f, y)\noutput f, n\n")
    run = found.run({"x": 2, "y": 0})
    table = rows(trace_text(found.expanded, run))
    f, x = (next(r for r in table if r[0] == n) for n in "fx")
    assert np.isclose(float(f[-2]), run["f"].item(), rtol=1e-5)
    assert np.isclose(float(x[-1]), 2 * run["f"].item() ** 2 / 2, rtol=1e-4), "∂L/∂x = 2 f Σ n = f² at x = 2"


def test_a_recurrence_is_a_row() -> None:
    found = load(EXAMPLES["xor"].parents[1] / "models" / "gru_chars.flow")
    table = rows(trace_text(found.expanded, found.run(), rows=1))
    assert any(row[0] == "h" and row[1].startswith("32x64: ") for row in table)
