"""The lecture's circles and classifiers against numbers worked out by hand.

Every number below stands with its working. Each test runs once for every engine: the simulator,
and the emitted code of both targets at each level and dtype, executed, with the same parameters.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from running import (
    EXAMPLES,
    Engine,
    check,
    circles,
)

from flowgraph.cli.main import main

ln2, ln3 = math.log(2), math.log(3)

BITS = {"x1": [0, 0, 1, 1], "x2": [0, 1, 0, 1]}
"""The four inputs of a truth table."""


# ---------------------------------------------------------------------------------------
# Threshold circles

# ξ = -0.5 + x1 + x2, f = 1 where ξ ≥ 0:
#
#     x1 x2     ξ   f
#      0  0  -0.5   0
#      0  1   0.5   1
#      1  0   0.5   1
#      1  1   1.5   1


def test_or(engine: Engine) -> None:
    check(engine, "or", BITS, [[0, 1, 1, 1]])


def test_or_excitation() -> None:
    assert circles("or", BITS)["xi_f"].tolist() == [-0.5, 0.5, 0.5, 1.5]


# ξ = -1.5 + x1 + x2:  -1.5, -0.5, -0.5, 0.5


def test_and(engine: Engine) -> None:
    check(engine, "and", BITS, [[0, 0, 0, 1]])


def test_and_excitation() -> None:
    assert circles("and", BITS)["xi_f"].tolist() == [-1.5, -0.5, -0.5, 0.5]


# ξ_h1 = 0.5 - x1 - x2, ξ_h2 = -1.5 + x1 + x2, ξ_f = 0.5 - h1 - h2:
#
#     x1 x2   ξ_h1 h1   ξ_h2 h2    ξ_f  f
#      0  0    0.5  1   -1.5  0   -0.5  0
#      0  1   -0.5  0   -0.5  0    0.5  1
#      1  0   -0.5  0   -0.5  0    0.5  1
#      1  1   -1.5  0    0.5  1   -0.5  0

XOR_CIRCLES = {
    "xi_h1": [0.5, -0.5, -0.5, -1.5],
    "h1": [1, 0, 0, 0],
    "xi_h2": [-1.5, -0.5, -0.5, 0.5],
    "h2": [0, 0, 0, 1],
    "xi_f": [-0.5, 0.5, 0.5, -0.5],
    "f": [0, 1, 1, 0],
}


@pytest.mark.parametrize("name", ["xor", "xor_wires"])
def test_xor(engine: Engine, name: str) -> None:
    check(engine, name, BITS, [[0, 1, 1, 0]])


@pytest.mark.parametrize("name", ["xor", "xor_wires"])
def test_xor_circles(name: str) -> None:
    known = circles(name, BITS)
    assert {key: known[key].tolist() for key in XOR_CIRCLES} == XOR_CIRCLES


def test_wires_and_equations_are_the_same_network() -> None:
    rng = np.random.default_rng(0)
    inputs = {"x1": rng.normal(size=1000), "x2": rng.normal(size=1000)}
    wires, equations = circles("xor_wires", inputs), circles("xor", inputs)
    for name in XOR_CIRCLES:
        np.testing.assert_array_equal(wires[name], equations[name])


# The rows of W_1 are h1 and h2 of XOR, that of W_2 is f; h_0 = (x1, x2, 1), h_1 = (h1, h2, 1).


def test_augmented(engine: Engine) -> None:
    x = [[0, 0], [0, 1], [1, 0], [1, 1]]
    check(engine, "augmented", {"x": x}, [[[0], [1], [1], [0]]])


def test_augmented_layers_end_in_one() -> None:
    known = circles("augmented", {"x": np.array([[0, 0], [0, 1], [1, 0], [1, 1]])})
    assert known["h_0"].tolist() == [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]]
    assert known["h_1"].tolist() == [[1, 0, 1], [0, 0, 1], [0, 0, 1], [0, 1, 1]]


# ---------------------------------------------------------------------------------------
# The perceptron
#
# W = [[1, 0], [0, 1], [-1, -1]], b = 0: z = (x0, x1, -x0 - x1).
#
#     x          z             winner   y   max z - z_y   right
#     ( 2,  1)   ( 2,  1, -3)     0     0     2 -  2 = 0      1
#     ( 0,  2)   ( 0,  2, -2)     1     1     2 -  2 = 0      1
#     (-1, -2)   (-1, -2,  3)     2     2     3 -  3 = 0      1
#     ( 1,  1)   ( 1,  1, -2)     0     1     1 -  1 = 0      0      the tie goes to the first
#     ( 1, -1)   ( 1, -1,  0)     0     2     1 -  0 = 1      0
#
# Mean loss 1/5, accuracy 3/5.

CORNERS = [[2, 1], [0, 2], [-1, -2], [1, 1], [1, -1]]


def test_perceptron(engine: Engine) -> None:
    f = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [1, 0, 0]]
    targets = {"y": [0, 1, 2, 1, 2]}
    check(engine, "perceptron", {"x": CORNERS}, [f], targets=targets, loss=0.2, metrics={"accuracy": 0.6})


# With W = 0 and b = (0, 5, 3): z = (0, 5, 3) whatever x is, class 1 wins by 5, 0 and 2.
# Labels 0, 1, 2: losses 5, 0, 2, mean 7/3; accuracy 1/3.


def test_perceptron_bias(engine: Engine) -> None:
    params = {"W": np.zeros((3, 2)), "b": np.array([0, 5, 3])}
    inputs, targets = {"x": [[7, 8], [0, 0], [-1, 2]]}, {"y": [0, 1, 2]}
    f = [[0, 1, 0]] * 3
    check(
        engine, "perceptron", inputs, [f], targets=targets, params=params, loss=7 / 3,
        metrics={"accuracy": 1 / 3},
    )  # fmt: skip


# ---------------------------------------------------------------------------------------
# Regression
#
# The file's data lie on y = 1 + 2 x0 - x1.

POINTS = [[0, 0], [1, 0], [0, 1], [1, 1], [2, 1]]
HEIGHTS = [1, 3, 0, 2, 4]


@pytest.mark.parametrize(
    ("w", "b", "f", "loss"),
    [
        # f = 0: the mean of y² is (1 + 9 + 0 + 4 + 16) / 5 = 30 / 5.
        ([0, 0], 0, [0, 0, 0, 0, 0], 6),
        # f - y = (-1, -2, 1, 0, -1): (1 + 4 + 1 + 0 + 1) / 5.
        ([1, 1], 0, [0, 1, 1, 2, 3], 1.4),
        # The plane itself.
        ([2, -1], 1, HEIGHTS, 0),
    ],
)
def test_regression(engine: Engine, w: list[int], b: int, f: list[int], loss: float) -> None:
    params = {"w": np.array(w), "b": np.array(b)}
    check(engine, "regression", {"x": POINTS}, [f], targets={"y": HEIGHTS}, params=params, loss=loss)


def test_regression_starts_at_zero(engine: Engine) -> None:
    check(engine, "regression", {"x": POINTS}, [[0] * 5], targets={"y": HEIGHTS}, loss=6)


# ---------------------------------------------------------------------------------------
# Softmax and cross-entropy
#
# With W = 0 and b = (0, ln 2, ln 3): exp(z) = (1, 2, 3), so p = (1/6, 2/6, 3/6) whatever x is.
# -ln p_y is ln 6, ln 3, ln 2 for y = 0, 1, 2. Labels 0, 0, 1, 2, 2:
# (2 ln 6 + ln 3 + 2 ln 2) / 5 = (4 ln 2 + 3 ln 3) / 5; class 2 is right in two of five.


def test_softmax(engine: Engine) -> None:
    params = {"W": np.zeros((3, 2)), "b": np.array([0, ln2, ln3])}
    check(
        engine, "softmax", {"x": CORNERS}, [[[1 / 6, 2 / 6, 3 / 6]] * 5],
        targets={"y": [0, 0, 1, 2, 2]}, params=params,
        loss=(4 * ln2 + 3 * ln3) / 5, metrics={"accuracy": 0.4},
    )  # fmt: skip


# The file's own W: at x = (0, 0) z = 0, p = 1/3 each, loss ln 3. At x = (ln 2, ln 3)
# z = (ln 2, ln 3, -ln 6), exp(z) = (2, 3, 1/6), the sum is 31/6: p = (12, 18, 1) / 31, and for
# y = 0 the loss is ln(31/12). Ties at (0, 0) go to class 0, which is right; at (ln 2, ln 3)
# class 1 wins, wrongly.


def test_softmax_of_the_file(engine: Engine) -> None:
    p = [[1 / 3, 1 / 3, 1 / 3], [12 / 31, 18 / 31, 1 / 31]]
    check(
        engine, "softmax", {"x": [[0, 0], [ln2, ln3]]}, [p], targets={"y": [0, 0]},
        loss=(ln3 + math.log(31 / 12)) / 2, metrics={"accuracy": 0.5},
    )  # fmt: skip


# z = 10⁴ (1, 0, -1): p is (1, 0, 0) to rounding. The loss of y = 2 is z_0 - z_2 = 2 · 10⁴, which
# -ln p_2 = -ln 0 would make infinite.


def test_softmax_far_out(engine: Engine) -> None:
    check(
        engine, "softmax", {"x": [[1e4, 0]]}, [[[1, 0, 0]]], targets={"y": [2]}, loss=2e4,
        metrics={"accuracy": 0},
    )  # fmt: skip


# exp of (0, ln 2, ln 3) is (1, 2, 3), of ten times that (1, 2¹⁰, 3¹⁰) = (1, 1024, 59049), which
# sum to 60074. In the second row the first two tie: the argmax gives it to the first, the softmax
# divides: (2, 2, 1) / 5 and (1024, 1024, 1) / 2049. The third row is the tie of all.


def test_argmax_softmax(engine: Engine) -> None:
    z = [[0, ln2, ln3], [ln2, ln2, 0], [5, 5, 5]]
    hard = [[0, 0, 1], [1, 0, 0], [1, 0, 0]]
    soft = [[1 / 6, 2 / 6, 3 / 6], [2 / 5, 2 / 5, 1 / 5], [1 / 3] * 3]
    sharp = [
        [1 / 60074, 1024 / 60074, 59049 / 60074],
        [1024 / 2049, 1024 / 2049, 1 / 2049],
        [1 / 3] * 3,
    ]
    check(engine, "argmax_softmax", {"z": z}, [hard, soft, sharp])


def test_xor_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The truth table above, in equations and in wires."""
    for name in ("xor", "xor_wires"):
        assert main(["run", str(EXAMPLES[name]), "--trace"]) == 0
        rows = [line.replace("|", " ").split() for line in capsys.readouterr().out.splitlines()[:5]]
        head = ["x1", "x2", *(key.replace("xi", "ξ") for key in XOR_CIRCLES)]
        columns: list[Any] = [BITS["x1"], BITS["x2"], *XOR_CIRCLES.values()]
        expected = [[f"{v:g}" for v in row] for row in zip(*columns, strict=True)]
        assert rows == [head, *expected]
