"""The lecture's examples against numbers worked out by hand.

Every number below stands with its working. Each test runs once for every engine: the simulator,
and the emitted code of both targets at each level and dtype, executed, with the same parameters.
"""

from __future__ import annotations

import csv
import math
from typing import Any

import numpy as np
import pytest
from running import (
    EMITTED,
    ENGINES,
    EXAMPLES,
    HAS_TORCH,
    SIMULATOR,
    Answer,
    Engine,
    example,
    initial,
    random_values,
    same,
)

from flowgraph.cli.main import main
from flowgraph.passes.simulate import simulate

BITS = {"x1": [0, 0, 1, 1], "x2": [0, 1, 0, 1]}
"""The four inputs of a truth table."""

ln2, ln3 = math.log(2), math.log(3)


@pytest.fixture(params=ENGINES, ids=str)
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.param
    if found.target == "torch" and not HAS_TORCH:
        pytest.skip("torch is not installed")
    return found


def check(
    engine: Engine,
    name: str,
    inputs: dict[str, Any],
    outputs: list[Any],
    *,
    targets: dict[str, Any] | None = None,
    params: dict[str, Any] | None = None,
    loss: float | None = None,
    metrics: dict[str, float] | None = None,
) -> None:
    """Assert what an engine answers to a batch; params are the file's own unless given."""
    diagram = example(name)
    params = initial(diagram) if params is None else params
    arrays = {key: np.asarray(value) for key, value in inputs.items()}
    labels = None if targets is None else {key: np.asarray(value) for key, value in targets.items()}
    answer = engine.run(diagram, params, arrays, labels)
    expected = Answer([np.asarray(o, dtype=float) for o in outputs], loss, metrics or {})
    same(answer, expected, **engine.tolerance)


def circles(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """The value of every node over a batch, and of every named node's excitation as `xi_NAME`."""
    diagram = example(name)
    graph = diagram.batched()
    known = simulate(graph, {**initial(diagram), **inputs})
    excitations = {f"xi_{n.name}": known[n.operands[0]] for n in graph if n.operands and n.hint}
    return {**excitations, **known}


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


# ---------------------------------------------------------------------------------------
# The cubic
#
# With (a, b, c, d) = (1, 2, 3, 4):
#     f(0) = 1, f(1) = 1 + 2 + 3 + 4 = 10, f(-1) = 1 - 2 + 3 - 4 = -2, f(2) = 1 + 4 + 12 + 32 = 49
# Against y = (1, 8, -2, 50): errors 0, 2, 0, -1, summed squares 5.


def test_cubic(engine: Engine) -> None:
    params = {"a": 1, "b": 2, "c": 3, "d": 4}
    inputs, targets = {"x": [0, 1, -1, 2]}, {"y": [1, 8, -2, 50]}
    check(engine, "cubic", inputs, [[1, 10, -2, 49]], targets=targets, params=params, loss=5)


# x - x³/6 is the sine's expansion: at π it is π - π³/6, where the sine is 0.


def test_cubic_at_pi(engine: Engine) -> None:
    params = {"a": 0, "b": 1, "c": 0, "d": -1 / 6}
    f = math.pi - math.pi**3 / 6
    check(
        engine, "cubic", {"x": [math.pi, 0, -math.pi]}, [[f, 0, -f]], targets={"y": [0, 0, 0]},
        params=params, loss=2 * f**2,
    )  # fmt: skip


# With all parameters 0 the loss is Σ sin² x over the 2000 points x_i = -π + 2π i/1999. As
# sin² = (1 - cos 2x)/2 and cos(2 x_i) = cos(4π i/1999) sums to 0 over i = 0..1998 and is 1 at
# i = 1999, it is 2000/2 - 1/2 = 999.5.


def test_cubic_of_the_file(engine: Engine) -> None:
    x = np.linspace(-math.pi, math.pi, 2000)
    params = dict.fromkeys("abcd", 0)
    targets = {"y": np.sin(x)}
    check(engine, "cubic", {"x": x}, [np.zeros(2000)], targets=targets, params=params, loss=999.5)


# ---------------------------------------------------------------------------------------
# Networks
#
# 2-3-2. The first layer's weights are ln 3 · [[1, 0], [0, 1], [1, -1]], its bias 0. As
# sigmoid(ln 3) = 3/4, sigmoid(0) = 1/2 and sigmoid(-ln 3) = 1/4:
#
#     x        ξ / ln 3      h                 f = [[4, 0, 0], [0, 4, 4]] h - (1, 2)
#     (1, 0)   (1, 0,  1)    (3/4, 1/2, 3/4)   (3 - 1, 2 + 3 - 2) = (2, 3)
#     (0, 1)   (0, 1, -1)    (1/2, 3/4, 1/4)   (2 - 1, 3 + 1 - 2) = (1, 2)
#
# Against y = (2, 1), (0, 0): (0 + 4)/2 = 2 and (1 + 4)/2 = 2.5, mean 2.25.


def test_mlp_2_3_2(engine: Engine) -> None:
    params = {
        "f.linear.weight": ln3 * np.array([[1, 0], [0, 1], [1, -1]]),
        "f.linear.bias": np.zeros(3),
        "f.linear_2.weight": np.array([[4, 0, 0], [0, 4, 4]]),
        "f.linear_2.bias": np.array([-1, -2]),
    }
    check(
        engine, "mlp_2_3_2", {"x": [[1, 0], [0, 1]]}, [[[2, 3], [1, 2]]],
        targets={"y": [[2, 1], [0, 0]]}, params=params, loss=2.25,
    )  # fmt: skip


def test_mlp_2_3_2_is_the_lectures_sequential() -> None:
    text = example("mlp_2_3_2").compile("torch")
    lines = [line.strip() for line in text.splitlines()]
    start = lines.index("self.f = nn.Sequential(")
    assert lines[start + 2 : start + 5] == [
        "linear=nn.Linear(2, 3),",
        "sigmoid=nn.Sigmoid(),",
        "linear_2=nn.Linear(3, 2),",
    ]


# Five layers, with t = tanh. W_4 and b_4 make 2 h - 1 and 1 - 2 h of the sigmoids, which are
# t(ξ/2) and -t(ξ/2):
#
#     h_0      ξ_1 -> step            ξ_2 -> sign              ξ_3       ξ_4
#     (0, 0)   (-1, 0, .5) (0,1,1)    (-1, 0, .5) (-1,0,1)     (0, 1)    (0, -t(.5))
#     (1, 0)   (0, 1, -.5) (1,1,0)    (0, 1, .5)  (0,1,1)      (1, 3)    (t(.5), -t(1.5))
#     (0, 1)   (0, -1, .5) (1,0,1)    (1, -1, .5) (1,-1,1)     (2, -1)   (t(1), t(.5))
#     (1, 1)   (1, 0, -.5) (1,1,0)    as for (1, 0)
#
# With h_4 = (p, q) the last layer answers relu(p + q), relu(p - q).

LAYERS_IN = [[0, 0], [1, 0], [0, 1], [1, 1]]
LAYERS: dict[str, Any] = {
    "xi_1": [[-1, 0, 0.5], [0, 1, -0.5], [0, -1, 0.5], [1, 0, -0.5]],
    "h_1": [[0, 1, 1], [1, 1, 0], [1, 0, 1], [1, 1, 0]],
    "xi_2": [[-1, 0, 0.5], [0, 1, 0.5], [1, -1, 0.5], [0, 1, 0.5]],
    "h_2": [[-1, 0, 1], [0, 1, 1], [1, -1, 1], [0, 1, 1]],
    "xi_3": [[0, 1], [1, 3], [2, -1], [1, 3]],
}


def test_layers(engine: Engine) -> None:
    def t(x: float) -> float:
        return math.tanh(math.tanh(x))

    # p + q and p - q, their negative values cut off: t(.5) < t(1.5), t(1) > t(.5).
    h_5 = [
        [0, t(0.5)],
        [0, t(0.5) + t(1.5)],
        [t(1) + t(0.5), t(1) - t(0.5)],
        [0, t(0.5) + t(1.5)],
    ]
    check(engine, "layers", {"h_0": LAYERS_IN}, [h_5])


def test_layers_step_by_step() -> None:
    known = circles("layers", {"h_0": LAYERS_IN})
    assert {name: known[name].tolist() for name in LAYERS} == LAYERS
    sigmoid = [[1 / (1 + math.exp(-a)) for a in row] for row in LAYERS["xi_3"]]
    np.testing.assert_allclose(known["h_3"], sigmoid, rtol=1e-15)


# ---------------------------------------------------------------------------------------
# ε = f - y
#
# W_p = W_r = [[1, 0], [0, 1], [-1, -1]]: z = (x0, x1, -x0 - x1).
#
#     x         z             y           f_p         ε_p          L_p   ε_r           L_r
#     ( 1, 0)   ( 1, 0, -1)   (1, 0, 0)   (1, 0, 0)   0              0   (0, 0, -1)    0.5
#     ( 0, 1)   ( 0, 1, -1)   (0, 1, 0)   (0, 1, 0)   0              0   (0, 0, -1)    0.5
#     (-1, 0)   (-1, 0,  1)   (0, 0, 1)   (0, 0, 1)   0              0   (-1, 0, 0)    0.5
#     ( 1, 1)   ( 1, 1, -2)   (0, 1, 0)   (1, 0, 0)   (1, -1, 0)     0   (1, 0, -2)    2.5
#
# The mean of L_p is 0, of L_r (3 · 0.5 + 2.5)/4 = 1.

ERROR_IN = {"x": [[1, 0], [0, 1], [-1, 0], [1, 1]]}
ERROR_OUT = {"y": [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0]]}
SCORES = [[1, 0, -1], [0, 1, -1], [-1, 0, 1], [1, 1, -2]]
FIXED = np.array([[1, 0], [0, 1], [-1, -1]])


def test_one_hot_error(engine: Engine) -> None:
    f_p = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    check(engine, "one_hot_error", ERROR_IN, [f_p, SCORES], targets=ERROR_OUT, loss=1)


# With W_p = [[0, 0], [0, 0], [1, 1]] z_p is (0, 0, 1), (0, 0, 1), (0, 0, -1), (0, 0, 2). Class 2
# wins but in the third row, whose tie goes to class 0; ε · z = max z - z_y is 1, 1, 0 + 1, 2: mean
# 5/4, and L_r adds 1.


def test_one_hot_error_of_mistakes(engine: Engine) -> None:
    params = {"W_p": np.array([[0, 0], [0, 0], [1, 1]]), "W_r": FIXED}
    f_p = [[0, 0, 1], [0, 0, 1], [1, 0, 0], [0, 0, 1]]
    check(engine, "one_hot_error", ERROR_IN, [f_p, SCORES], targets=ERROR_OUT, params=params, loss=2.25)


def test_one_hot_error_is_the_slope_of_both_losses() -> None:
    """W ← W - η ε xᵀ: the derivative of each loss by its W is ε xᵀ, by central differences."""
    diagram = example("one_hot_error")
    rng = np.random.default_rng(0)
    params = {name: rng.normal(size=(3, 2)) for name in ("W_p", "W_r")}
    one = {"x": np.array([0.3, -1.7]), "y": np.array([0.0, 1.0, 0.0])}
    known = simulate(diagram.graph, {**params, **one})
    for param, loss, epsilon in (("W_p", "L_p", "epsilon_p"), ("W_r", "L_r", "epsilon_r")):
        slope = np.zeros((3, 2))
        for place in np.ndindex(3, 2):
            step = np.zeros((3, 2))
            step[place] = 1e-6
            above = simulate(diagram.graph, {**params, **one, param: params[param] + step})[loss]
            below = simulate(diagram.graph, {**params, **one, param: params[param] - step})[loss]
            slope[place] = (above - below) / 2e-6
        np.testing.assert_allclose(slope, np.outer(known[epsilon], one["x"]), atol=1e-8)


# ---------------------------------------------------------------------------------------
# Iris


def iris() -> tuple[dict[str, Any], dict[str, Any]]:
    with (EXAMPLES["iris"].parent / "iris.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("setosa", "versicolor", "virginica")
    inputs = {key: np.array([float(r[key]) for r in rows]) for key in rows[0] if key != "species"}
    return inputs, {"species": np.array([names.index(r["species"]) for r in rows])}


def test_iris_data() -> None:
    """Fisher's table: 50 of each, and the means of his paper, which the file's W repeats."""
    inputs, targets = iris()
    assert np.bincount(targets["species"]).tolist() == [50, 50, 50]
    table = np.stack(list(inputs.values()), axis=1)
    means = [table[targets["species"] == c].mean(axis=0) for c in range(3)]
    np.testing.assert_allclose(initial(example("iris"))["W"], means, atol=1e-12)
    halves = [-(m @ m) / 2 for m in means]
    np.testing.assert_allclose(initial(example("iris"))["b"], halves, atol=1e-12)


def test_iris(engine: Engine) -> None:
    """Scores rise as squared distances from the means fall: z_c - z_k = (|x-m_k|² - |x-m_c|²)/2."""
    inputs, targets = iris()
    x, y = np.stack(list(inputs.values()), axis=1), targets["species"]
    means = np.stack([x[y == c].mean(axis=0) for c in range(3)])
    distance = ((x[:, None] - means) ** 2).sum(axis=2)
    p = np.exp(-distance / 2)
    p /= p.sum(axis=1, keepdims=True)
    assert (distance.argmin(axis=1) == y).sum() == 139
    loss = -np.log(p[np.arange(150), y]).mean()
    answer = engine.run(example("iris"), initial(example("iris")), inputs, targets)
    rounding = 1e-4 if engine.dtype == "float32" else 1e-10  # z is a difference of numbers near 40
    same(answer, Answer([p], loss, {"accuracy": 139 / 150}), rtol=0, atol=rounding)


# ---------------------------------------------------------------------------------------
# All examples


def test_the_lecture_is_complete() -> None:
    lecture = {name for name, path in EXAMPLES.items() if path.parent.name == "lecture"}
    assert lecture >= {
        "or", "and", "xor", "xor_wires", "perceptron", "regression", "softmax", "cubic", "mlp_2_3_2",
        "layers", "augmented", "argmax_softmax", "one_hot_error",
    }  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_warnings(name: str) -> None:
    assert [w.message for w in example(name).warnings] == []


@pytest.mark.parametrize("count", [4, 1, 0])
@pytest.mark.parametrize("name", EXAMPLES)
def test_engines_agree(name: str, count: int) -> None:
    """On random inputs and parameters; the loss of no examples at all is 0."""
    diagram = example(name)
    graph = diagram.graph
    rng = np.random.default_rng(count)
    params = random_values(graph, graph.params, rng)
    inputs = random_values(graph, graph.inputs, rng, (count,))
    targets = random_values(graph, graph.targets, rng, (count,))
    expected = SIMULATOR.run(diagram, params, inputs, targets)
    if count == 0:
        assert all(len(output) == 0 for output in expected.outputs)
        assert expected.loss in (None, 0)
    for engine in EMITTED:
        if engine.dtype == "float64" and (engine.target != "torch" or HAS_TORCH):
            same(engine.run(diagram, params, inputs, targets), expected, **engine.tolerance)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_batch_is_a_loop_over_examples(name: str) -> None:
    """Outputs stacked, losses and metrics averaged or summed, as the file says."""
    diagram = example(name)
    graph = diagram.graph
    rng = np.random.default_rng(7)
    params = random_values(graph, graph.params, rng)
    examples = random_values(graph, (*graph.inputs, *graph.targets), rng, (5,))
    whole = simulate(diagram.batched(), {**params, **examples})
    single = [simulate(graph, {**params, **{k: v[i] for k, v in examples.items()}}) for i in range(5)]
    for of_batch, of_one in zip(diagram.batched().results, graph.results, strict=True):
        each = np.stack([known[of_one.node] for known in single])
        if of_one.role != "output":
            each = each.sum() if of_one.by == "sum" else each.mean()
        np.testing.assert_allclose(whole[of_batch.node], each, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", EXAMPLES)
def test_canonical(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As `flowc fmt` would write it."""
    assert main(["fmt", "--check", str(EXAMPLES[name])]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("name", EXAMPLES)
def test_runs_from_the_command_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every example has data of its own, and its run prints a row for each of the first of them."""
    assert main(["run", str(EXAMPLES[name])]) == 0
    shown, complaints = capsys.readouterr()
    assert complaints == ""
    table = shown.split("\n\n")[0].splitlines()
    assert len(table) >= 5


def test_iris_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """139 of 150 are 0.926667; the loss is that of `test_iris`."""
    assert main(["run", str(EXAMPLES["iris"])]) == 0
    shown = capsys.readouterr().out
    assert "accuracy = 0.926667" in shown
    assert "loss = 0.233365" in shown


def test_xor_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The truth table above, in equations and in wires."""
    for name in ("xor", "xor_wires"):
        assert main(["run", str(EXAMPLES[name]), "--trace"]) == 0
        rows = [line.replace("|", " ").split() for line in capsys.readouterr().out.splitlines()[:5]]
        head = ["x1", "x2", *(key.replace("xi", "ξ") for key in XOR_CIRCLES)]
        columns: list[Any] = [BITS["x1"], BITS["x2"], *XOR_CIRCLES.values()]
        expected = [[f"{v:g}" for v in row] for row in zip(*columns, strict=True)]
        assert rows == [head, *expected]
