"""Weights of single wires in the arrays of a torch module: saved, loaded, trained, resumed by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import HAS_TORCH

from flowgraph.diagram import Diagram, loads

pytestmark = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")

TEXT = """
diagram wired
input x1, x2
target y
node h1, h2, h3 : tanh
node g : sigmoid
1, x1, x2 -> h1, h2
x1 -[0.5]-> h3
x2 -> h3
param v = 0.25
h1, h2, h3 -> g
x1 -[v]-> g
loss mse(g, y)
train adam(lr=0.05), steps=6, batch=2
data {
    x1 x2 | y
    0  0  | 0
    0  1  | 1
    1  0  | 1
    1  1  | 0
}
"""


def module(diagram: Diagram, dtype: str = "float64", **options: Any) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(diagram.compile("torch", dtype=dtype, **options), "emitted", "exec"), namespace)
    return namespace


def test_state_dict_has_the_names_of_the_diagram() -> None:
    import torch

    diagram = loads(TEXT)
    model = module(diagram)["Wired"]()
    names = [str(diagram.graph[p].hint) for p in diagram.graph.params]
    assert sorted(model.state_dict()) == sorted(names)
    assert len(list(model.parameters())) < len(names)
    first = {n: torch.tensor(float(i)) for i, n in enumerate(names)}
    assert str(model.load_state_dict(first, strict=True)) == "<All keys matched successfully>"
    assert {n: float(v) for n, v in model.state_dict().items()} == {n: float(v) for n, v in first.items()}


def test_state_dict_of_a_module_around_it_has_them_too() -> None:
    import torch

    space = module(loads(TEXT))
    inner = space["Wired"]()
    outer = torch.nn.ModuleList([space["WiredLoss"](inner), space["Wired"]()])
    state = outer.state_dict()
    assert {"0.model.w_x1_h1", "1.w_x1_h1"} <= set(state) and not any("W_h" in key for key in state)
    outer.load_state_dict({key: torch.zeros_like(value) for key, value in state.items()}, strict=True)
    assert all(not p.any() for p in outer.parameters())


def test_a_missing_wire_is_told() -> None:
    space = module(loads(TEXT))
    state = dict(space["Wired"]().state_dict())
    del state["w_x1_h1"]
    with pytest.raises(RuntimeError, match="Missing key"):
        space["Wired"]().load_state_dict(state, strict=True)


def test_first_values_of_an_array_are_those_of_its_wires() -> None:
    """Weights within their bounds and not alike, biases 0, given numbers as given."""
    state = module(loads(TEXT))["Wired"]().state_dict()
    assert state["b_h1"] == state["b_h2"] == 0 and state["v"] == 0.25
    weights = np.array([float(state[f"w_x{i}_h{j}"]) for i in (1, 2) for j in (1, 2)])
    assert np.all(np.abs(weights) <= 2**-0.5) and len(set(weights)) == 4


def test_gradient_of_an_array_is_that_of_its_wires() -> None:
    import torch

    diagram = loads(TEXT)
    space = module(diagram)
    numpy_space: dict[str, Any] = {}
    exec(compile(diagram.compile("numpy", level=0, dtype="float64"), "numpy", "exec"), numpy_space)
    params = numpy_space["init"](1)
    model = space["Wired"]()
    model.load_state_dict({n: torch.tensor(v) for n, v in params.items()})
    rng = np.random.default_rng(0)
    x1, x2, y = rng.normal(size=(3, 5))
    space["WiredLoss"](model)(*map(torch.tensor, (x1, x2, y))).backward()
    _, grads = numpy_space["loss_and_grad"](params, x1, x2, y)
    for param in model.parameters():
        param.data = param.grad  # what is saved by name now are the gradients
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(value.numpy(), grads[name], rtol=1e-10, atol=1e-13, err_msg=name)


def test_compiles_and_exports() -> None:
    import torch

    model = module(loads(TEXT), "float32")["Wired"]()
    given = torch.randn(4), torch.randn(4)
    wanted = model(*given)
    assert torch.equal(torch.compile(model, fullgraph=True, backend="aot_eager")(*given), wanted)
    assert torch.allclose(torch.export.export(model, given).module()(*given), wanted)


def test_both_targets_train_alike_and_resume(tmp_path: Path) -> None:
    """Adam's slots are saved and loaded wire by wire."""
    diagram = loads(TEXT, str(tmp_path / "wired.flow"))
    runs = {t: diagram.train(target=t, dtype="float64", seed=2) for t in ("numpy", "torch")}
    for name, value in runs["numpy"].params.items():
        np.testing.assert_allclose(runs["torch"].params[name], value, rtol=1e-8, atol=1e-10, err_msg=name)
    for target, whole in runs.items():
        out = tmp_path / target
        diagram.train(target=target, dtype="float64", seed=2, steps=3, out=out)
        again = diagram.train(target=target, dtype="float64", seed=2, out=out, resume=True)
        for name, value in whole.params.items():
            np.testing.assert_array_equal(again.params[name], value, err_msg=f"{target} {name}")
