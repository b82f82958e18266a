"""rnn_cell, gru_cell and lstm_cell against torch.nn, one step and several, and what is said of mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from running import execute, initial, module_of

from flowgraph.diagram import loads
from flowgraph.errors import FlowError

torch = pytest.importorskip("torch", reason="torch is not installed")
from layer_reference import agree, torch_model  # noqa: E402
from torch import nn  # noqa: E402

RNG = np.random.default_rng(6)
MODULES = {"rnn_cell": nn.RNNCell, "gru_cell": nn.GRUCell, "lstm_cell": nn.LSTMCell}


def cell(kind: str, values: Any, name: str, **settings: Any) -> Any:
    """torch.nn's cell as a function, with the parameters that the statement `name` made."""
    weights = {n.rpartition(".")[2]: v for n, v in values.items() if n.startswith(f"{name}.")}
    size, state = weights["weight_ih"].shape[1], weights["weight_hh"].shape[1]
    module = MODULES[kind](size, state, bias="bias_ih" in weights, **settings).double()

    def step(x: Any, *states: Any) -> Any:
        rows = [v.reshape(-1, v.shape[-1]) for v in (x, *states)]
        given = (rows[0], (rows[1], rows[2])) if kind == "lstm_cell" else tuple(rows)
        found = torch.func.functional_call(module, weights, given)
        if kind == "lstm_cell":
            return [f.reshape(states[0].shape) for f in found]
        return found.reshape(states[0].shape)

    return step


@pytest.mark.parametrize("kind", ["rnn_cell", "gru_cell"])
@pytest.mark.parametrize(
    ("inputs", "states"), [((3,), (2,)), ((1,), (1,)), ((4, 3), (4, 5)), ((2, 1, 3), (2, 1, 2))]
)
@pytest.mark.parametrize("bias", [True, False])
def test_a_cell_of_one_state_is_that_of_pytorch(kind, inputs, states, bias):
    text = f"input x : {list(inputs)}, s\nparam h0 : {list(states)} = 1\n"
    text += f"h = {kind}(x, h0 * s, bias={str(bias).lower()})\noutput h"

    def reference(v):
        state = v["h0"] * v["s"].reshape(-1, *[1] * len(states))
        return cell(kind, v, "h")(v["x"], state)

    agree(text, reference, {"x": RNG.normal(size=(3, *inputs)), "s": RNG.normal(size=3)})


@pytest.mark.parametrize(
    ("inputs", "states"), [((3,), (2,)), ((1,), (1,)), ((4, 3), (4, 5)), ((2, 1, 3), (2, 1, 2))]
)
@pytest.mark.parametrize("bias", [True, False])
def test_a_cell_of_two_states_is_that_of_pytorch(inputs, states, bias):
    text = f"input x : {list(inputs)}, s\nparam h0 : {list(states)} = 1\nparam c0 : {list(states)} = 1\n"
    text += f"h, c = lstm_cell(x, h0 * s, c0 - s, bias={str(bias).lower()})\noutput h, c"

    def reference(v):
        s = v["s"].reshape(-1, *[1] * len(states))
        return cell("lstm_cell", v, "h")(v["x"], v["h0"] * s, v["c0"] - s)

    agree(text, reference, {"x": RNG.normal(size=(3, *inputs)), "s": RNG.normal(size=3)})


def test_a_cell_with_relu_is_that_of_pytorch():
    text = 'input x : [3], s : [2]\nh = rnn_cell(x, s, nonlinearity="relu")\noutput h'

    def reference(v):
        return cell("rnn_cell", v, "h", nonlinearity="relu")(v["x"], v["s"])

    agree(text, reference, {"x": RNG.normal(size=(3, 3)), "s": RNG.normal(size=(3, 2))})


def test_steps_one_after_the_other_are_those_of_pytorch():
    """Two layers, three steps, the second result of the last step unused."""
    text = "input x : [3, 2]\nparam h0 : [4] = 0\nparam c0 : [4] = 0\n"
    text += "h1, c1 = lstm_cell(x[0], h0, c0)\nh2, c2 = lstm_cell(x[1], h1, c1)\ng = gru_cell(h2, c2)\n"
    text += "h3, c3 = lstm_cell(x[2], g, c2)\noutput h3"

    def reference(v):
        count = len(v["x"])
        h, c = cell("lstm_cell", v, "h1")(v["x"][:, 0], v["h0"].expand(count, 4), v["c0"].expand(count, 4))
        h, c = cell("lstm_cell", v, "h2")(v["x"][:, 1], h, c)
        g = cell("gru_cell", v, "g")(h, c)
        return cell("lstm_cell", v, "h3")(v["x"][:, 2], g, c)[0]

    agree(text, reference, {"x": RNG.normal(size=(3, 3, 2))})


def test_the_gradient_by_the_state_of_one_example_goes_through_a_cell():
    """grad() in the diagram takes both results of the cell apart; the code differentiates it once more."""
    text = "input x : [3], h : [2], c : [2]\nh2, c2 = lstm_cell(x, h, c)\n"
    text += "d = grad(sum(h2) + sum(square(c2)), c)\noutput d"

    def reference(v):
        c = v["c"].clone().requires_grad_()
        h2, c2 = cell("lstm_cell", v, "h2")(v["x"], v["h"], c)
        return torch.autograd.grad(h2.sum() + c2.square().sum(), c, create_graph=True)[0]

    agree(text, reference, {n: RNG.normal(size=(2, k)) for n, k in (("x", 3), ("h", 2), ("c", 2))})


@pytest.mark.parametrize(
    ("call", "made", "said"),
    [
        ("r = rnn_cell(x, h)", "nn.RNNCell(3, 2)", "self.r(x, h)"),
        ('r = rnn_cell(x, h, nonlinearity="relu")', 'nn.RNNCell(3, 2, nonlinearity="relu")', "self.r(x, h)"),
        ("r = gru_cell(x, h, bias=false)", "nn.GRUCell(3, 2, bias=False)", "self.r(x, h)"),
        ("r, k = lstm_cell(x, h, c)", "nn.LSTMCell(3, 2)", "r, k = self.r(x, (h, c))"),
    ],
)
def test_cells_are_modules_in_torch(call, made, said):
    text = loads(f"input x : [3], h : [2], c : [2]\n{call}\noutput r").compile("torch")
    assert f"self.r = {made}\n" in text
    assert said.replace("k", "_") in text


def test_cells_over_rows_are_functions_of_the_same_parameters_in_torch():
    diagram = loads("input x : [4, 3], h : [4, 2], c : [4, 2]\nr, k = lstm_cell(x, h, c)\noutput r, k")
    model = torch_model(diagram, initial(diagram))
    assert list(model.state_dict()) == ["r.weight_ih", "r.weight_hh", "r.bias_ih", "r.bias_hh"]


def test_parameters_and_first_values_are_those_of_pytorch():
    diagram = loads("input x : [3], h : [400], c : [400]\nr, k = lstm_cell(x, h, c)\noutput r, k")
    first = initial(diagram)
    module = nn.LSTMCell(3, 400)
    assert {n: v.shape for n, v in first.items()} == {
        f"r.{n}": tuple(p.shape) for n, p in module.named_parameters()
    }
    for value in first.values():  # uniform in ±1/√H
        assert 0.045 < np.abs(value).max() <= 0.05
    model = execute(diagram.compile("torch"))["Diagram"]()
    assert all(0.045 < p.abs().max().item() <= 0.05 for p in model.parameters())


def test_a_state_that_is_the_same_for_all_examples_goes_with_a_batch():
    diagram = loads("input x : [3]\nh, c = lstm_cell(x, zeros([2]), ones([2]))\noutput h, c")
    params, x = initial(diagram), RNG.normal(size=(4, 3))
    found = module_of(diagram, "numpy", 1, "float64")["forward"](params, x)
    states = (torch.zeros(4, 2, dtype=torch.float64), torch.ones(4, 2, dtype=torch.float64))
    values = {n: torch.tensor(v) for n, v in params.items()}
    for ours, theirs in zip(found, cell("lstm_cell", values, "h")(torch.tensor(x), *states), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-12)


def test_the_backward_pass_of_a_cell_shares_its_gates():
    text = "input x : [3], h : [2], c : [2]\nh2, c2 = lstm_cell(x, h, c)\nloss sum(h2) + sum(square(c2))"
    code = loads(text, "case.flow").compile("numpy")
    backward = code[code.index("def loss_and_grad") : code.index("class Trainer")]
    made = [line for line in backward.splitlines() if "sigmoid(" in line and "#" not in line.split("=")[0]]
    assert len(made) == 3
    assert "c2_zi, c2_zf, c2_zg, h2_zo = np.split(" in backward
    assert "c2 = c2_f * c + c2_i * c2_g" in backward
    assert backward.count("np.concatenate([") == 1


def test_many_steps_stay_finite_in_single_precision():
    text = "input x : [2]\nh = gru_cell(1e4 * x, x)\na, b = lstm_cell(-1e4 * x, x, h)\noutput a, b"
    diagram = loads(text, "case.flow")
    params = {n: v.astype(np.float32) for n, v in initial(diagram).items()}
    found = execute(diagram.compile("numpy"))["forward"](params, np.array([[3, -4]], np.float32))
    assert all(np.isfinite(f).all() for f in found)


MISTAKES = [
    ("r = rnn_cell(x[0], h)", "E0310", "`rnn_cell` needs a vector"),
    ("r = gru_cell(m, h)", "E0310", "x and the states must agree in all axes but the last"),
    ("r = gru_cell(m, n)", "E0310", "x and the states must agree in all axes but the last"),
    ("r, k = lstm_cell(x, h, x)", "E0310", "all states must have one size"),
    ("r = lstm_cell(x, h, h)", "E0310", "the output `r` is 2 values"),
    ("r, k = gru_cell(x, h)", "E0310", "2 names"),
    ("r, k = lstm_cell(x, h)", "E0401", "`lstm_cell(x, h, c, bias=true)`"),
    ('r = rnn_cell(x, h, nonlinearity="sigmoid")', "E0404", 'it is "tanh" or "relu"'),
    ("r = rnn_cell(x, t)", "E0308", "cannot depend on the symbolic size T"),
]


@pytest.mark.parametrize(("line", "code", "said"), MISTAKES)
def test_mistakes_are_told_with_their_cure(line, code, said):
    with pytest.raises(FlowError) as caught:
        loads(f"size T\ninput x : [3], h : [2], m : [4, 3], n : [5, 2], t : [T]\n{line}\noutput r")
    assert code in [d.code for d in caught.value.diagnostics if d.is_error]
    assert said in str(caught.value)
