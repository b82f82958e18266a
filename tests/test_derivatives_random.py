"""Random programs that ask for derivatives, and the gradients of their single examples.

The second opinion is PyTorch's autograd of the emitted module without the request: examples do
not see each other, so the gradient of Σ_n y_n with respect to a batch holds each example's own.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import running
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from programs import Value, Writer, random_program
from running import (
    EMITTED,
    EXAMPLES,
    HAS_TORCH,
    SIMULATOR,
    Values,
    example,
    execute,
    module_of,
    same,
)
from test_equivalence import bounded_values

from flowgraph.diagram import Diagram, loads
from flowgraph.naming import class_name

pytestmark = [
    pytest.mark.filterwarnings("ignore:var.*degrees of freedom:UserWarning"),
    pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed"),
]
PROGRAMS = st.randoms(use_true_random=False)
CALM: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}
DOUBLE = [e for e in EMITTED if e.dtype == "float64"]


def random_start(rng: random.Random) -> tuple[Writer, Value, Value]:
    """A random program without results, one of its values, and an input of reals."""
    writer = Writer(rng)
    x = writer.input(writer.shape())
    makers = (
        writer.unary, writer.unary, writer.binary, writer.binary, writer.product, writer.product,
        writer.reduce, writer.reshape, writer.reshape, writer.wires,
    )  # fmt: skip
    for _ in range(rng.choice((2, 4, 6))):
        rng.choice(makers)()
    return writer, writer.values[-1], x


def diagram_of(lines: list[str]) -> Diagram:
    text = "\n".join(lines) + "\n"
    note(text)
    return loads(text, "random.flow")


def slopes_of(diagram: Diagram, params: Values, inputs: Values, x: str, order: int) -> np.ndarray:
    """∂y/∂x by PyTorch for each example, y the module's one output; of order 2 that of Σ (∂y/∂x)²."""
    import torch

    model = module_of(diagram, "torch", 0, "float64")[class_name(diagram.graph.name)]()
    model.load_state_dict({k: torch.tensor(v) for k, v in params.items()})
    given = {k: torch.tensor(v) for k, v in inputs.items()}
    given[x].requires_grad_()
    total = model(**given).sum()
    for left in reversed(range(order)):
        slope = None
        if total.requires_grad:
            (slope,) = torch.autograd.grad(total, given[x], create_graph=left > 0, allow_unused=True)
        slope = torch.zeros_like(given[x]) if slope is None else slope
        total = (slope**2).sum()
    return slope.detach().numpy(force=True)


@settings(max_examples=150, derandomize=True, **CALM)
@given(PROGRAMS)
def test_gradients_agree_with_autograd(rng: random.Random) -> None:
    assert_gradients_agree(rng)


@pytest.mark.slow
@settings(max_examples=2000, **CALM)
@given(PROGRAMS)
def test_gradients_agree_with_autograd_on_many(rng: random.Random) -> None:
    assert_gradients_agree(rng)


def assert_gradients_agree(rng: random.Random) -> None:
    """A gradient of order 1 or 2 by every engine, and by PyTorch's autograd."""
    writer, y, x = random_start(rng)
    text = "\n".join(writer.lines)
    order = 1 if "hard_s" in text else rng.choice((1, 1, 2))  # PyTorch has no second order of those
    ask = f"grad(sum({y.name}), {x.name})"
    if order == 2:
        ask = f"grad(sum({ask} ^ 2), {x.name})"
    plain = diagram_of([*writer.lines, f"output sum({y.name})"])
    diagram = diagram_of([*writer.lines, f"output {ask}"])
    numbers = np.random.default_rng(1)
    params = bounded_values(diagram, diagram.graph.params, numbers, ())
    inputs = bounded_values(diagram, diagram.graph.inputs, numbers, (3,))
    expected = SIMULATOR.run(diagram, params, inputs)
    slopes = slopes_of(plain, params, inputs, x.name, order)
    tolerance = 1e-6 if "hard_s" in text else 1e-9  # PyTorch's 1/6 is of float32
    np.testing.assert_allclose(
        np.broadcast_to(expected.outputs[0], slopes.shape), slopes, rtol=tolerance, atol=tolerance
    )
    for engine in DOUBLE:
        same(engine.run(diagram, params, inputs), expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=60, derandomize=True, **CALM)
@given(PROGRAMS)
def test_losses_over_derivatives_agree_with_autograd(rng: random.Random) -> None:
    assert_losses_agree(rng)


@pytest.mark.slow
@settings(max_examples=1000, **CALM)
@given(PROGRAMS)
def test_losses_over_derivatives_agree_with_autograd_on_many(rng: random.Random) -> None:
    assert_losses_agree(rng)


def assert_losses_agree(rng: random.Random) -> None:
    """`loss_and_grad` of a loss over derivatives, against PyTorch's autograd of the same loss."""
    writer, y, x = random_start(rng)
    lines = [*writer.lines, f"r = grad(sum({y.name}), {x.name})", f"d = jvp({y.name}, {x.name}, {x.name})"]
    diagram = diagram_of([*lines, "loss mean(tanh(r)^2)", "loss sum(d^2) by sum"])
    if not diagram.graph.params:
        return
    numbers = np.random.default_rng(2)
    params = bounded_values(diagram, diagram.graph.params, numbers, ())
    inputs = bounded_values(diagram, diagram.graph.inputs, numbers, (3,))
    import torch

    model = module_of(diagram, "torch", 0, "float64")[class_name(diagram.graph.name)]()
    model.load_state_dict({k: torch.tensor(v) for k, v in params.items()})
    total = model.loss(**{k: torch.tensor(v) for k, v in inputs.items()})
    if total.requires_grad:
        total.backward()
    slopes = running.slopes_of(model)
    tolerance = 1e-6 if "hard_s" in "\n".join(writer.lines) else 1e-8
    for level in (0, 1):
        loss, grads = module_of(diagram, "numpy", level, "float64")["loss_and_grad"](params, **inputs)
        np.testing.assert_allclose(loss, float(total.detach()), rtol=1e-9, atol=1e-9)
        for name, grad in grads.items():
            slope = slopes[name]
            scale = 1 + np.abs(slope).max(initial=0)
            np.testing.assert_allclose(grad / scale, slope / scale, rtol=tolerance, atol=tolerance)


# ---------------------------------------------------------------------------------------
# The gradient of each example's own loss


def assert_each_alone(diagram: Diagram, count: int, tolerance: float = 1e-11) -> None:
    """An example's gradient is that of a batch that holds this example alone."""
    numbers = np.random.default_rng(4)
    graph = diagram.graph
    params = bounded_values(diagram, graph.params, numbers, ())
    params = {str(graph[k].hint): v for k, v in params.items()}
    examples = bounded_values(diagram, (*graph.inputs, *graph.targets), numbers, (count,))
    for level in (0, 1):
        module = execute(diagram.compile("numpy", level=level, dtype="float64", extras=["per_example_grad"]))
        found = module["per_example_grad"](params, **examples)
        assert {k: v.shape for k, v in found.items()} == {k: (count, *v.shape) for k, v in params.items()}
        for i in range(count):
            one = {k: v[i : i + 1] for k, v in examples.items()}
            _, alone = module["loss_and_grad"](params, **one)
            for name, grad in alone.items():
                np.testing.assert_allclose(found[name][i], grad, rtol=tolerance, atol=tolerance)


TRAINED = [n for n in EXAMPLES if example(n).graph.results_of("loss") and example(n).graph.params]


@pytest.mark.parametrize("count", [3, 0])
@pytest.mark.parametrize("name", TRAINED)
def test_each_example_alone(name: str, count: int) -> None:
    assert_each_alone(example(name), count)


@settings(max_examples=60, derandomize=True, **CALM)
@given(PROGRAMS)
def test_each_example_alone_in_random_programs(rng: random.Random) -> None:
    text = random_program(rng)
    note(text)
    diagram = loads(text, "random.flow")
    if diagram.graph.params:
        assert_each_alone(diagram, 3)


def test_their_mean_is_the_gradient_of_the_mean() -> None:
    """With losses `by sum` the sum; a term that depends on no example is in each of them."""
    text = "input x\ntarget y\nparam w = 0.5\nloss (w * x - y)^2{}\nloss 0.1 * w^2\n"
    values = {"x": np.array([1.0, 2, 3]), "y": np.array([0.0, 1, 2])}
    penalty = 2 * 0.1 * 0.5
    each = 2 * (0.5 * values["x"] - values["y"]) * values["x"] + penalty
    for by, total in (("", each.mean()), (" by sum", (each - penalty).sum() + penalty)):
        module = execute(
            loads(text.format(by)).compile("numpy", dtype="float64", extras=["per_example_grad"])
        )
        params = module["init"]()
        np.testing.assert_allclose(module["per_example_grad"](params, **values)["w"], each, rtol=1e-13)
        np.testing.assert_allclose(module["loss_and_grad"](params, **values)[1]["w"], total, rtol=1e-13)


def test_against_torch_func() -> None:
    import torch
    from torch.func import functional_call, grad, vmap

    diagram = example("mlp_2_3_2")
    numbers = np.random.default_rng(5)
    module = execute(diagram.compile("numpy", dtype="float64", extras=["per_example_grad"]))
    params = module["init"]()
    x, y = numbers.normal(size=(2, 7, 2))
    loss = module_of(diagram, "torch", 1, "float64")[f"{class_name(diagram.graph.name)}Loss"]
    model = module_of(diagram, "torch", 1, "float64")[class_name(diagram.graph.name)]().double()

    def of_one(values: Any, x: Any, y: Any) -> Any:
        named = {f"model.{k}": v for k, v in values.items()}
        return functional_call(loss(model), named, (x[None], y[None]))

    tensors = {k: torch.tensor(v) for k, v in params.items()}
    expected = vmap(grad(of_one), in_dims=(None, 0, 0))(tensors, torch.tensor(x), torch.tensor(y))
    found = module["per_example_grad"](params, x, y)
    assert list(found) == list(params)
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name].numpy(), rtol=1e-12, atol=1e-12)


def test_it_needs_a_loss_and_the_numpy_target() -> None:
    from flowgraph.errors import FlowError

    with pytest.raises(FlowError, match="E0603"):
        loads("input x\nparam w = 1.0\noutput w * x\n").compile("numpy", extras=["per_example_grad"])
    with pytest.raises(ValueError, match="per_example_grad"):
        example("cubic").compile("torch", extras=["per_example_grad"])
