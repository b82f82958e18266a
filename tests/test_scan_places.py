"""Where a recurrence may stand: in a row, in blocks, repeats and each other; of layers and cells.

One emitted file at several lengths, gradients against central differences and PyTorch's autograd,
batches against examples one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from running import EMITTED, HAS_TORCH, SIMULATOR, Answer, initial, module_of, same, slopes_of

from flowgraph.diagram import Diagram, loads
from flowgraph.naming import class_name

DOUBLE = [e for e in EMITTED if e.dtype == "float64" and (e.target != "torch" or HAS_TORCH)]
LENGTHS = (1, 2, 7)

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


def batch(length: int, count: int = 3) -> tuple[dict[str, Any], dict[str, Any]]:
    rng = np.random.default_rng(length)
    return {"x": rng.normal(size=(count, length, 3))}, {"y": rng.normal(size=(count, length, 5))}


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
    return slopes_of(model)


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
