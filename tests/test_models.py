"""The networks of `examples/models`, trained in plain numpy: the emitted gradient and Adam by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from running import EXAMPLES, Values, example, execute

from flowgraph.data.load import load_data
from flowgraph.diagram import Diagram, load
from flowgraph.errors import Diagnostics


def data_of(diagram: Diagram) -> Values:
    """The file's own data, inputs and targets by name."""
    table = load_data(diagram.program, EXAMPLES["burgers"].parent, Diagnostics(), targets=True)
    assert table is not None
    return table.columns


def train(
    module: dict[str, Any], data: Values, steps: int, rate: Callable[[int], float]
) -> dict[str, np.ndarray]:
    """Parameters after so many steps of Adam (Kingma and Ba, 2014) on the whole data."""
    params = module["init"](0)
    first, second = ({k: np.zeros_like(v) for k, v in params.items()} for _ in range(2))
    for step in range(1, steps + 1):
        _, grads = module["loss_and_grad"](params, **data)
        for k, g in grads.items():
            first[k] = 0.9 * first[k] + 0.1 * g
            second[k] = 0.999 * second[k] + 0.001 * g**2
            mean, square = first[k] / (1 - 0.9**step), second[k] / (1 - 0.999**step)
            params[k] = params[k] - rate(step) * mean / (np.sqrt(square) + 1e-8)
    return params


def test_burgers_comes_close_to_the_exact_solution() -> None:
    """Within 0.01 of u = sigmoid((t/2 - x) / 2ν), which goes from 0 to 1, all over the region."""
    diagram, steps = example("burgers"), 1500
    data = data_of(diagram)
    module = execute(diagram.compile("numpy", dtype="float64"))
    params = train(module, data, steps, lambda s: 0.005 * (1 + np.cos(np.pi * s / steps)))
    x, t = (a.ravel() for a in np.meshgrid(np.linspace(-1, 1, 81), np.linspace(0, 1, 41)))
    exact = 1 / (1 + np.exp((x - t / 2) / (2 * 0.1)))
    before, after = (module["forward"](p, x, t) - exact for p in (module["init"](0), params))
    assert np.abs(before).max() > 0.5
    assert np.abs(after).max() < 0.01
    assert np.linalg.norm(after) < 0.005 * np.linalg.norm(exact)
    assert module["loss"](params, **data) < 2e-5


def test_the_weights_of_burgers_make_means_over_each_set() -> None:
    data = data_of(example("burgers"))
    inside = data["in_equation"] > 0
    assert (inside.sum(), (~inside).sum()) == (800, 200)
    residual = np.random.default_rng(0).normal(size=1000)
    np.testing.assert_allclose(np.mean(data["in_equation"] * residual), residual[inside].mean())
    np.testing.assert_allclose(np.mean(data["in_known"] * residual), residual[~inside].mean())
    edge = (data["t"] == 0) | (np.abs(data["x"]) == 1)
    np.testing.assert_array_equal(edge, ~inside)


def test_burgers_residual_by_finite_differences() -> None:
    """The residual that the loss is made of is that of the network's own values."""
    diagram = example("burgers")
    module = execute(diagram.compile("numpy", dtype="float64"))
    params, h = module["init"](0), 1e-4
    data = {k: v[:50] for k, v in data_of(diagram).items()}
    x, t = data["x"], data["t"]

    def u(dx: float = 0, dt: float = 0) -> np.ndarray:
        return module["forward"](params, x + dx, t + dt)

    u_t = (u(dt=h) - u(dt=-h)) / (2 * h)
    u_x = (u(dx=h) - u(dx=-h)) / (2 * h)
    u_xx = (u(dx=h) - 2 * u() + u(dx=-h)) / h**2
    residual = u_t + u() * u_x - 0.1 * u_xx
    equation = np.mean(data["in_equation"] * residual**2)
    known = np.mean(data["in_known"] * (u() - data["known"]) ** 2)
    np.testing.assert_allclose(module["loss"](params, **data), equation + known, rtol=1e-6)


def jacobian(params: Values, h: np.ndarray) -> np.ndarray:
    """||J||² of h = sigmoid(W x + b) for each example: Σ_ij (h_i (1 - h_i) W_ij)²."""
    return np.sum((h * (1 - h)) ** 2 * np.sum(params["W"] ** 2, axis=1), axis=-1)


def test_contraction_is_the_jacobian_on_average() -> None:
    """The mean of ||J v||² over 20,000 normal v, whose standard error is below 2%."""
    module = execute(example("contractive").compile("numpy", dtype="float64"))
    params = {k: v + 0.1 for k, v in module["init"](0).items()}
    rng = np.random.default_rng(0)
    x = np.tile(rng.normal(size=4), (20_000, 1))
    h, r = module["forward"](params, x)
    contraction = module["loss"](params, x, rng.normal(size=x.shape)) - np.mean(np.sum((r - x) ** 2, axis=1))
    np.testing.assert_allclose(contraction, 0.5 * jacobian(params, h[0]), rtol=0.05)


def test_contraction_holds_the_code_still() -> None:
    """The penalty makes the Jacobian less than half of what it is without; both reconstruct."""
    sizes = {}
    for strength in (0.5, 0):
        diagram = load(EXAMPLES["contractive"], settings={"strength": strength})
        module = execute(diagram.compile("numpy", dtype="float64"))
        data = data_of(diagram)
        params = train(module, data, 600, lambda step: 0.01)
        h, r = module["forward"](params, data["x"])
        error = np.mean(np.sum((r - data["x"]) ** 2, axis=1))
        assert error < 0.1 * np.sum(np.var(data["x"], axis=0))
        sizes[strength] = jacobian(params, h).mean()
    assert sizes[0.5] < 0.5 * sizes[0]
