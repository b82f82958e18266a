"""Scans of recurrent cells in torch: one call for a whole sequence, where that gives what the loop would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from running import HAS_TORCH

from flowgraph.diagram import loads
from flowgraph.naming import class_name

pytestmark = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")

SIZES = "size T\ninput x : [T, 3]\n"
CALLED = {
    "lstm": "h, c = scan(lstm_cell, x, zeros(2), zeros(2))\noutput h",
    "gru": "h = scan(gru_cell, x, zeros(2))\noutput h",
    "rnn": "h = scan(rnn_cell, x, zeros(2))\noutput h",
    "learnt first state": "param first : [2] = 0.5\nh = scan(gru_cell, x, first)\noutput h",
    "two layers": "g = scan(gru_cell, x, zeros(2))\nh = scan(rnn_cell, g, zeros(2))\noutput h",
}
LOOPED = {
    "the last c": "h, c = scan(lstm_cell, x, zeros(2), zeros(2))\noutput h, c[-1]",
    "all c": "h, c = scan(lstm_cell, x, zeros(2), zeros(2))\noutput h, c",
    "more than the cell": "block step(x : [d], h : [n]) -> [n] {\n    k = gru_cell(x, h)\n    return 2 * k\n"
    "}\nh = scan(step, x, zeros(2))\noutput h",
}
ENDS = {
    "last of the states": "h = scan(gru_cell, x[1:], zeros(2))\noutput h[-1]",
    "both ways": "h = scan(gru_cell, x, zeros(2))\n"
    "b = flip(scan(gru_cell, flip(x, 0), zeros(2)), 0)\noutput h, b",
}
"""Called too; a state at the end is asked for, or the scan begins there."""
FUNCTIONS = ("torch.lstm(", "torch.gru(", "torch.rnn_tanh")


def module(body: str, level: int, dtype: str = "float64") -> tuple[str, Any]:
    """The emitted text, and a model that has its parameters from `init`."""
    import torch

    diagram = loads(SIZES + body + "\n")
    code = diagram.compile("torch", level=level, dtype=dtype)
    space: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(code, "emitted", "exec"), space)
    model = space[class_name(diagram.graph.name)]()
    first = diagram.params(seed=1, dtype=dtype)
    model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in first.items()})
    return code, model


def outcome(model: Any, x: Any) -> list[np.ndarray]:
    """Outputs, and the gradients of a sum of them."""
    values = model(x)
    values = values if isinstance(values, tuple) else (values,)
    sum((v.sin() * (1 + i)).sum() for i, v in enumerate(values)).backward()
    grads = [p.grad for p in model.state_dict(keep_vars=True).values() if p.grad is not None]
    found = [v.detach().numpy() for v in (*values, *grads)]
    model.zero_grad()
    return found


def assert_same(found: list[np.ndarray], want: list[np.ndarray]) -> None:
    for a, b in zip(found, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", [*CALLED, *ENDS, *LOOPED])
def test_a_scan_gives_what_its_loop_gives(name: str) -> None:
    import torch

    x = torch.tensor(np.random.default_rng(0).normal(size=(4, 5, 3)))
    body = (CALLED | ENDS | LOOPED)[name]
    code, model = module(body, 1)
    assert any(f in code for f in FUNCTIONS) == (name not in LOOPED)
    assert_same(outcome(model, x), outcome(module(body, 0)[1], x))


@pytest.mark.parametrize("name", CALLED)
@pytest.mark.parametrize("shape", [(0, 5, 3), (4, 0, 3), (4, 1, 3), (1, 5, 3)])
def test_sequences_and_batches_may_be_empty_or_of_one(name: str, shape: tuple[int, ...]) -> None:
    import torch

    for dtype in (torch.float32, torch.float64):
        _, model = module(CALLED[name], 1, str(dtype).removeprefix("torch."))
        x = torch.ones(shape, dtype=dtype)
        found = model(x)
        assert found.shape == (*shape[:2], 2)
        if found.requires_grad:
            found.sum().backward()


@pytest.mark.parametrize("name", CALLED)
def test_what_compiles_a_module_gets_the_loop(name: str) -> None:
    """`torch.compile` takes no function for whole sequences; nor does `torch.export`, for every batch."""
    import torch

    _, model = module(CALLED[name], 1, "float32")
    x = torch.randn(4, 5, 3)
    want = model(x)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), want)
    exported = torch.export.export(model, (x,), dynamic_shapes={"x": {0: torch.export.Dim.AUTO}})
    torch.testing.assert_close(exported.module()(x[:3]), want[:3])
