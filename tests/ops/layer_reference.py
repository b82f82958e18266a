"""Holding a diagram against the same thing written with torch.nn: values, gradients, second order.

A diagram has params and inputs, outputs and one loss per example. Its reference maps tensors by
name (inputs over a batch) to the outputs. Everything is in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from running import execute, module_of, slopes_of

from flowgraph.diagram import Diagram, loads
from flowgraph.naming import class_name
from flowgraph.passes.simulate import simulate

Reference = Callable[[Mapping[str, Any]], Any]
CLOSE = {"rtol": 1e-10, "atol": 1e-11}


def agree(text: str, reference: Reference, inputs: Mapping[str, np.ndarray], seed: int = 0) -> None:
    """Assert that simulator and emitted code agree with the reference, at random parameters.

    The loss, which the diagram need not have, is the sum of the sines of its outputs.
    """
    import torch

    diagram = with_loss(text)
    rng = np.random.default_rng(seed)
    shapes = execute(diagram.compile("numpy", dtype="float64"))["PARAMS"]
    params = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    way = {name: rng.normal(size=shape) for name, shape in shapes.items()}

    tensors = {n: torch.tensor(v, requires_grad=True) for n, v in params.items()}
    wanted = several(reference({**tensors, **{n: torch.tensor(v) for n, v in inputs.items()}}))
    outputs = [o.detach().numpy() for o in wanted]
    loss = sum(torch.sin(o).flatten(1).sum(1) for o in wanted).mean()
    leaves = list(tensors.values())
    grads = torch.autograd.grad(loss, leaves, create_graph=True)
    along = sum((g * torch.tensor(way[n])).sum() for n, g in zip(tensors, grads, strict=True))
    twice = torch.autograd.grad(along, leaves, materialize_grads=True)
    gradient = {n: g.detach().numpy() for n, g in zip(tensors, grads, strict=True)}
    hessian = {n: g.detach().numpy() for n, g in zip(tensors, twice, strict=True)}

    graph = diagram.batched()
    known = simulate(graph, {**params, **inputs})
    all_close([known[r.node] for r in graph.results_of("output")], outputs)
    for level in (0, 1):
        module = execute(diagram.compile("numpy", level=level, dtype="float64", extras=("hvp",)))
        all_close(several(module["forward"](params, **inputs)), outputs)
        value, found = module["loss_and_grad"](params, **inputs)
        np.testing.assert_allclose(value, loss.item(), **CLOSE)
        same_entries(found, gradient)
        same_entries(module["hvp"](params, way, **inputs), hessian)

    model = torch_model(diagram, params)
    given = {n: torch.tensor(v) for n, v in inputs.items()}
    all_close([o.detach().numpy() for o in several(model(**given))], outputs)
    model.loss(**given).backward()
    same_entries(slopes_of(model), gradient)


def with_loss(text: str) -> Diagram:
    """The diagram with the sum of the sines of its outputs as loss."""
    outputs = text.strip().splitlines()[-1].removeprefix("output ").split(", ")
    losses = [f"loss sum(sin({name}))" for name in outputs]
    return loads("\n".join([text.strip(), *losses]) + "\n", "case.flow")


def torch_model(diagram: Diagram, params: Mapping[str, np.ndarray]) -> Any:
    """The emitted module in float64, with these parameters under the diagram's names."""
    import torch

    model = module_of(diagram, "torch", 1, "float64")[class_name(diagram.name)]()
    model.load_state_dict({n: torch.tensor(v) for n, v in params.items()}, strict=True)
    return model


def several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def all_close(found: list[Any], wanted: list[Any]) -> None:
    assert len(found) == len(wanted)
    for f, w in zip(found, wanted, strict=True):
        assert np.shape(f) == np.shape(w)
        np.testing.assert_allclose(f, w, **CLOSE)


def same_entries(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        assert np.shape(found[name]) == np.shape(value), name
        np.testing.assert_allclose(found[name], value, err_msg=name, **CLOSE)
