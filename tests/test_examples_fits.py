"""The lecture's fits and layers, and iris, against numbers worked out by hand, as in test_examples."""

from __future__ import annotations

import csv
import math
from typing import Any

import numpy as np
from running import (
    EXAMPLES,
    Answer,
    Engine,
    check,
    circles,
    example,
    initial,
    same,
)

from flowgraph.passes.simulate import simulate

ln2, ln3 = math.log(2), math.log(3)


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
