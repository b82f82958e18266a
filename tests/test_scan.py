"""Recurrence: `scan` in a diagram, its values and derivatives in every engine.

Held against numbers worked out by hand, loops over PyTorch's cells and its autograd, central
differences, and examples one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from running import EMITTED, HAS_TORCH, SIMULATOR, Answer, Engine, execute, initial, module_of, same

from flowgraph.diagram import Diagram, loads
from flowgraph.naming import class_name

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
# Where it stands

PLACES = {
    "two in a row": """
us = scan(gru_cell, x, zeros(4))
hs = scan(rnn_cell, us, zeros(5))
""",
    "in a block": """
block encoder(x : [n, d], width) {
  hs, cs = scan(lstm_cell, x, zeros(width), zeros(width))
  return hs + cs
}
hs = encoder(x, 5)
""",
    "in a repeat": """
hs = linear(x, 5)
repeat 2 as r { hs = hs + scan(rnn_cell, hs, zeros(5)) }
""",
    "in another": """
block rows(x_t, h) {
  us = scan(rnn_cell, [x_t, 2 * x_t], h)
  return tanh(us[-1] + linear(h, 5))
}
hs = scan(rows, x, zeros(5))
""",
    "of a layer that takes more": """
param W : [5, 5] = normal(0.4)
block cell(x_t, h, M, b) { return tanh(M @ h + linear(x_t, 5) + b) }
layer step = cell(W, x[0, 0])
hs = scan(step, x, zeros(5)) + flip(scan(step, flip(x, 0), ones(5)), 0)
""",
    "of a cell without biases": """
layer cell = gru_cell(bias=false)
hs = scan(cell, x, zeros(5))
""",
    "of a first state that is computed": """
h0 = linear(mean(x, axis=0), 5)
hs = scan(rnn_cell, x, tanh(h0))
""",
}


def placed(place: str) -> Diagram:
    head = "size T\ninput x : [T, 3]\ntarget y : [T, 5]\n"
    return loads(f"{head}{PLACES[place]}\nloss mean((hs - y)^2)\noutput hs")


@pytest.mark.parametrize("place", PLACES)
def test_every_engine_agrees_at_every_length(place: str) -> None:
    diagram = placed(place)
    params = initial(diagram)
    for length in LENGTHS:
        inputs, targets = batch(length)
        expected = SIMULATOR.run(diagram, params, inputs, targets)
        for engine in DOUBLE:
            same(engine.run(diagram, params, inputs, targets), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("place", PLACES)
def test_gradients_are_the_slopes(place: str) -> None:
    """Central differences along a direction, and what PyTorch's autograd says of the emitted loop."""
    diagram = placed(place)
    params = initial(diagram)
    inputs, targets = batch(3)
    module = module_of(diagram, "numpy", 1, "float64")
    _, grads = module["loss_and_grad"](params, **inputs, **targets)
    rng = np.random.default_rng(1)
    way = {n: rng.normal(size=a.shape) for n, a in params.items()}
    ends = [
        module["loss"]({n: a + e * way[n] for n, a in params.items()}, **inputs, **targets)
        for e in (1e-5, -1e-5)
    ]
    slope = sum(float(np.sum(grads[n] * way[n])) for n in params)
    np.testing.assert_allclose((ends[0] - ends[1]) / 2e-5, slope, rtol=1e-7)
    if HAS_TORCH:
        for name, value in torch_gradients(diagram, params, {**inputs, **targets}).items():
            np.testing.assert_allclose(grads[name], value, rtol=1e-9, atol=1e-12)


def torch_gradients(diagram: Diagram, params: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    import torch

    model = module_of(diagram, "torch", 1, "float64")[class_name(diagram.name)]()
    model.load_state_dict({n: torch.tensor(a) for n, a in params.items()})
    model.loss(**{n: torch.tensor(a) for n, a in values.items()}).backward()
    return {n: p.grad.numpy() for n, p in model.named_parameters()}


@pytest.mark.parametrize("place", PLACES)
def test_a_batch_is_its_examples_one_by_one(place: str) -> None:
    diagram = placed(place)
    params = initial(diagram)
    inputs, targets = batch(4)
    whole = SIMULATOR.run(diagram, params, inputs, targets)
    each = [
        SIMULATOR.run(diagram, params, {"x": inputs["x"][i : i + 1]}, {"y": targets["y"][i : i + 1]})
        for i in range(3)
    ]
    losses = [answer.loss for answer in each if answer.loss is not None]
    joined = Answer([np.concatenate([a.outputs[0] for a in each])], float(np.mean(losses)), {})
    same(whole, joined, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_verify_finds_nothing(place: str) -> None:
    diagram = placed(place)
    found = diagram.verify()
    assert found.ok, found.table()


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
    assert "h, c = self.hs(x[:, t], (h, c))" in code


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
    assert "totals = scan over x from total = 0; at each step:" in said
    assert "next total = total + x_t" in said
    assert "scan backwards" not in said  # there is nothing to learn


def test_a_param_in_a_scan_is_known_to_learn() -> None:
    text = "input x : [3]\nparam w = 0.5\nblock f(x_t, h, w) { return w * h + x_t }\n"
    text += "layer g = f(w)\nhs = scan(g, x, 0)\nloss sum(hs)"
    assert loads(text).warnings == ()


def test_a_param_that_a_step_blocks_is_told_of() -> None:
    text = "input x : [3]\nparam w = 0.5\nblock f(x_t, h, w) { return step(w * x_t) + h }\n"
    text += "layer g = f(w)\nhs = scan(g, x, 0)\nloss sum(hs)"
    assert [w.code for w in loads(text).warnings] == ["W0301"]
