"""Recurrence: `scan` in a diagram, its values and derivatives in every engine.

Held against numbers worked out by hand, and loops over PyTorch's cells with their derivatives.
Where a recurrence may stand: `test_scan_places.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from running import EMITTED, HAS_TORCH, SIMULATOR, Engine, execute, initial, same

from flowgraph.diagram import Diagram, loads

needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
DOUBLE = [e for e in EMITTED if e.dtype == "float64" and (e.target != "torch" or HAS_TORCH)]
LENGTHS = (1, 2, 7)

TOTALS = """
size T
input x : [T]
block add_up(x_t, total) { return total + x_t }
block smooth(x_t, mean) { return 0.25 * x_t + 0.75 * mean }
totals = scan(add_up, x, 0)
means = scan(smooth, x, 8)
"""


# ---------------------------------------------------------------------------------------
# Values


def test_running_totals_and_averages() -> None:
    outputs = loads(TOTALS).run({"x": [4.0, 0.0, -4.0]}).outputs
    np.testing.assert_array_equal(outputs["totals"], [[4, 4, 0]])
    np.testing.assert_array_equal(outputs["means"], [[7, 5.25, 2.9375]])


@pytest.mark.parametrize("engine", [SIMULATOR, *DOUBLE], ids=str)
def test_of_no_steps_there_is_nothing(engine: Engine) -> None:
    diagram = loads(TOTALS)
    answer = engine.run(diagram, {}, {"x": np.zeros((3, 0))})
    assert [o.shape for o in answer.outputs] == [(3, 0), (3, 0)]


def test_states_may_swap() -> None:
    fibonacci = """
size T
input x : [T]
block step(x_t, a, b) { return b, a + x_t * b }
a, b = scan(step, x, 0, 1)
"""
    diagram = loads(fibonacci)
    for engine in (SIMULATOR, *DOUBLE):
        answer = engine.run(diagram, {}, {"x": np.ones((2, 6))})
        np.testing.assert_array_equal(answer.outputs[0], [[1, 1, 2, 3, 5, 8]] * 2)
        np.testing.assert_array_equal(answer.outputs[1], [[1, 2, 3, 5, 8, 13]] * 2)


def test_a_state_may_be_a_label() -> None:
    last_one = """
size T
input ids : class(5)[T], first : class(5)
block keep(k, state) { return where(k > state, k, state) }
tops = scan(keep, ids, first)
"""
    diagram = loads(last_one)
    inputs = {"ids": np.array([[1, 3, 2, 4]]), "first": np.array([2])}
    for engine in (SIMULATOR, *DOUBLE):
        (found,) = engine.run(diagram, {}, inputs).outputs
        np.testing.assert_array_equal(found, [[2, 3, 3, 4]])


def test_literal_arrays_in_a_step_stand_outside_of_the_loop() -> None:
    text = """
size T
input x : [T, 2]
block turn(x_t, h) { return [[0, -1], [1, 0]] @ h + x_t }
hs = scan(turn, x, [1, 0])
"""
    diagram = loads(text)
    for engine in (SIMULATOR, *DOUBLE):
        (found,) = engine.run(diagram, {}, {"x": np.zeros((1, 4, 2))}).outputs
        np.testing.assert_array_equal(found, [[[0, 1], [-1, 0], [0, -1], [1, 0]]])
    code = diagram.compile("numpy")
    assert code.count("np.array([[0, -1], [1, 0]]") == 1


def test_the_recurrence_axis_of_a_parameter() -> None:
    """The sequence need not depend on the example."""
    text = """
input h0 : [2]
param steps : [3, 2] = [[1, 0], [0, 1], [1, 1]]
block walk(step, h) { return h + step }
path = scan(walk, steps, h0)
target y : [2]
loss sum((path[-1] - y)^2)
output path
"""
    diagram = loads(text)
    params, targets = initial(diagram), {"y": np.zeros((2, 2))}
    inputs = {"h0": np.array([[0.0, 0.0], [10.0, 0.0]])}
    expected = SIMULATOR.run(diagram, params, inputs, targets)
    np.testing.assert_array_equal(
        expected.outputs[0], [[[1, 0], [1, 1], [2, 2]], [[11, 0], [11, 1], [12, 2]]]
    )
    for engine in DOUBLE:
        same(engine.run(diagram, params, inputs, targets), expected, rtol=1e-13)
    module = execute(diagram.compile("numpy", dtype="float64"))
    _, grads = module["loss_and_grad"](params, **inputs, **targets)
    np.testing.assert_allclose(grads["steps"], [[14, 4]] * 3)  # of the mean of |end|² over two examples


# ---------------------------------------------------------------------------------------
# Against PyTorch's cells

BY_HAND = {
    "rnn": """
block cell(x_t, h) { return tanh(linear(x_t, 5) + linear(h, 5)) }
hs = scan(cell, x, zeros(5))
""",
    "gru": """
block cell(x_t, h) {
  zr_x = linear(x_t, 15); zr_h = linear(h, 15)
  r = sigmoid(zr_x[:5] + zr_h[:5])
  z = sigmoid(zr_x[5:10] + zr_h[5:10])
  n = tanh(zr_x[10:] + r * zr_h[10:])
  return (1 - z) * n + z * h
}
hs = scan(cell, x, zeros(5))
""",
    "lstm": """
block cell(x_t, h, c) {
  s = linear(x_t, 20) + linear(h, 20)
  next = sigmoid(s[5:10]) * c + sigmoid(s[:5]) * tanh(s[10:15])
  return sigmoid(s[15:]) * tanh(next), next
}
hs, cs = scan(cell, x, zeros(5), zeros(5))
""",
}
OPERATIONS = {
    "rnn": "hs = scan(rnn_cell, x, zeros(5))",
    "gru": "hs = scan(gru_cell, x, zeros(5))",
    "lstm": "hs, cs = scan(lstm_cell, x, zeros(5), zeros(5))",
}
TORCH_NAMES = ("weight_ih", "bias_ih", "weight_hh", "bias_hh")


def network(kind: str, *, by_hand: bool) -> Diagram:
    text = (BY_HAND if by_hand else OPERATIONS)[kind]
    head = "size T\ninput x : [T, 3]\ntarget y : [T, 5]\n"
    return loads(f"{head}{text}\nloss mean((hs - y)^2)\noutput hs")


def batch(length: int, count: int = 3) -> tuple[dict[str, Any], dict[str, Any]]:
    rng = np.random.default_rng(length)
    return {"x": rng.normal(size=(count, length, 3))}, {"y": rng.normal(size=(count, length, 5))}


def torch_names(params: dict[str, Any]) -> dict[str, str]:
    """The name in PyTorch's cell of each parameter: by name, or in order for the blocks' linear layers."""
    if all(n.rpartition(".")[2] in TORCH_NAMES for n in params):
        return {n: n.rpartition(".")[2] for n in params}
    return dict(zip(params, TORCH_NAMES, strict=True))


def torch_loop(kind: str, params: dict[str, Any], inputs: Any, targets: Any) -> Any:
    """The sequence, the loss as a function of the parameters, and these, of a loop over PyTorch's cell."""
    import torch

    cells = {"rnn": torch.nn.RNNCell, "gru": torch.nn.GRUCell, "lstm": torch.nn.LSTMCell}
    cell = cells[kind](3, 5).double()
    names = torch_names(params)
    state = {names[n]: torch.tensor(a, requires_grad=True) for n, a in params.items()}
    x, y = torch.tensor(inputs["x"]), torch.tensor(targets["y"])

    def run(values: dict[str, Any]) -> Any:
        h = c = torch.zeros(len(x), 5, dtype=torch.float64)
        out = []
        for t in range(x.shape[1]):
            given = (h, c) if kind == "lstm" else h
            found = torch.func.functional_call(cell, values, (x[:, t], given))
            h, c = found if kind == "lstm" else (found, c)
            out.append(h)
        return torch.stack(out, dim=1)

    def loss(values: dict[str, Any]) -> Any:
        return ((run(values) - y) ** 2).mean()

    return run, loss, state, names


@needs_torch
@pytest.mark.parametrize("kind", BY_HAND)
@pytest.mark.parametrize("by_hand", [True, False], ids=["block", "operation"])
def test_values_and_derivatives_are_those_of_the_cell(kind: str, by_hand: bool) -> None:
    """One emitted file at several lengths; gradients, and Hessians along a direction."""
    import torch

    diagram = network(kind, by_hand=by_hand)
    params = initial(diagram)
    module = execute(diagram.compile("numpy", dtype="float64", extras=["hvp"]))
    rng = np.random.default_rng(0)
    way = {n: rng.normal(size=a.shape) for n, a in params.items()}
    for length in LENGTHS:
        inputs, targets = batch(length)
        run, loss, state, names = torch_loop(kind, params, inputs, targets)
        found = module["forward"](params, **inputs)
        np.testing.assert_allclose(found, run(state).detach(), rtol=1e-11, atol=1e-13)
        ours, grads = module["loss_and_grad"](params, **inputs, **targets)
        np.testing.assert_allclose(ours, float(loss(state).detach()), rtol=1e-12)
        order = [state[names[n]] for n in params]
        theirs = torch.autograd.grad(loss(state), order, create_graph=True)
        slope = sum((g * torch.tensor(way[n])).sum() for n, g in zip(params, theirs, strict=True))
        twice = torch.autograd.grad(slope, order)
        products = module["hvp"](params, way, **inputs, **targets)
        for name, once, second in zip(params, theirs, twice, strict=True):
            np.testing.assert_allclose(grads[name], once.detach(), rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(products[name], second, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", BY_HAND)
def test_parameters_of_a_cell_are_named_after_the_statement(kind: str) -> None:
    found = list(initial(network(kind, by_hand=False)))
    assert found == [f"hs.{n}" for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


def test_parameters_of_a_block_are_named_after_its_statements() -> None:
    text = """
size T
input x : [T, 3]
block cell(x_t, h) { a = linear(x_t, 4); return tanh(a + linear(h, 4, bias=false)) }
hs = scan(cell, x, zeros(4))
hs = scan(cell, hs, zeros(4))
f = scan(rnn_cell, hs, zeros(2))[-1]
"""
    assert list(initial(loads(text))) == [
        "hs.a.weight", "hs.a.bias", "hs.return.linear.weight",
        "hs_2.a.weight", "hs_2.a.bias", "hs_2.return.linear.weight",
        "f.scan.weight_ih", "f.scan.weight_hh", "f.scan.bias_ih", "f.scan.bias_hh",
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------
# Derivatives in the language


def test_a_derivative_goes_through_a_recurrence() -> None:
    """h_t = u h_{t-1} from 1: h_T = u^T, its derivatives T u^(T-1) and T (T-1) u^(T-2)."""
    text = """
size T
input x : [T], u
block power(x_t, h, k) { return k * h }
layer step = power(u)
hs = scan(step, x, 1)
last = hs[-1]
slope = grad(last, u)
bend = grad(slope, u)
along = jvp(last, u, 2)
output last, slope, bend, along
"""
    diagram = loads(text)
    inputs = {"x": np.zeros((2, 4)), "u": np.array([3.0, -1.0])}
    for engine in (SIMULATOR, *DOUBLE):
        found = engine.run(diagram, {}, inputs).outputs
        np.testing.assert_allclose(found, [[81, 1], [108, -4], [108, 12], [216, -8]], rtol=1e-13)


def test_a_step_may_ask_for_a_derivative() -> None:
    """Gradient descent on (h - x_t)² / 2 with rate 1/2: h moves half the way to x_t."""
    text = """
size T
input x : [T]
block descend(x_t, h) { e = (h - x_t)^2 / 2; return h - 0.5 * grad(e, h) }
hs = scan(descend, x, 0)
"""
    diagram = loads(text)
    for engine in (SIMULATOR, *DOUBLE):
        (found,) = engine.run(diagram, {}, {"x": np.array([[4.0, 4.0, -5.0]])}).outputs
        np.testing.assert_allclose(found, [[2, 3, -1]])


# ---------------------------------------------------------------------------------------
# What is emitted


@needs_torch
def test_cells_in_torch_are_modules() -> None:
    code = network("lstm", by_hand=False).compile("torch")
    assert "self.hs = nn.LSTMCell(3, 5)" in code
    assert "lstm_along(self.hs, x, first_h, first_c)" in code
    plain = network("lstm", by_hand=False).compile("torch", level=0)
    assert "for t in range(T):" in plain and "= self.hs(x_t, (h, c))" in plain


def test_what_the_backward_loop_reads_is_kept_and_nothing_else() -> None:
    code = network("rnn", by_hand=False).compile("numpy")
    grad = code[code.index("def loss_and_grad") :]
    assert "h_before[:, t] = h" in grad and "for t in reversed(range(T)):" in grad
    kept = [line for line in grad.splitlines() if "np.empty" in line]
    assert len(kept) == 2  # the states, and the states before


def test_a_state_that_nobody_asks_for_is_not_collected() -> None:
    code = network("lstm", by_hand=False).compile("numpy")
    forward = code[code.index("def forward") : code.index("def loss")]
    assert forward.count("np.empty") == 1


def test_explain_shows_a_step() -> None:
    said = loads(TOTALS).run({"x": [1.0]}) and loads(TOTALS + "loss sum(totals)").explain(backward=True)
    assert "totals: for each xₜ of x, from total₀ = 0:\n    totalₜ = totalₜ₋₁ + xₜ\n" in said
    assert "the last one first" not in said  # there is nothing to learn


def test_a_param_in_a_scan_is_known_to_learn() -> None:
    text = "input x : [3]\nparam w = 0.5\nblock f(x_t, h, w) { return w * h + x_t }\n"
    text += "layer g = f(w)\nhs = scan(g, x, 0)\nloss sum(hs)"
    assert loads(text).warnings == ()


def test_a_param_that_a_step_blocks_is_told_of() -> None:
    text = "input x : [3]\nparam w = 0.5\nblock f(x_t, h, w) { return step(w * x_t) + h }\n"
    text += "layer g = f(w)\nhs = scan(g, x, 0)\nloss sum(hs)"
    assert [w.code for w in loads(text).warnings] == ["W0301"]


# ---------------------------------------------------------------------------------------
# Random draws


def test_every_step_draws_afresh_and_the_backward_loop_knows_what() -> None:
    """h_t = h_{t-1} + dropout(w x_t): the gradient by w is the sum of the masks that were drawn."""
    text = """
size T
input x : [T]
param w = 2.0
block add_some(x_t, h, w) { return h + dropout(w * x_t, 0.5) }
layer some = add_some(w)
hs = scan(some, x, 0)
loss hs[-1]
output hs
"""
    module = execute(loads(text).compile("numpy", dtype="float64"))
    params, x = {"w": np.array(1.0)}, np.ones((4, 32))

    def drawn() -> np.random.Generator:
        return np.random.default_rng(5)

    hs = module["forward"](params, x, train=True, rng=drawn())
    masks = np.diff(hs, axis=1, prepend=0.0)
    assert set(np.unique(masks)) == {0.0, 2.0}
    assert len({tuple(column) for column in masks.T}) > 4  # of 16 possible ones
    loss, grads = module["loss_and_grad"](params, x, rng=drawn())
    np.testing.assert_allclose(loss, hs[:, -1].mean())
    np.testing.assert_allclose(grads["w"], masks.sum() / 4)
