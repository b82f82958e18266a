"""A run that diverges is explained: the step, the operation, the example, and what helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from running import example, execute

from flowgraph.diagram import Diagram, loads
from flowgraph.errors import Diagnostic, render
from flowgraph.train.divergence import explain_divergence

Arrays = dict[str, np.ndarray]


@dataclass
class Descent:
    """Plain gradient descent by the emitted numpy module, up to the first loss that is not finite."""

    params: Arrays
    before: Arrays | None
    step: int
    loss: float


def descend(diagram: Diagram, batch: Arrays, lr: float, dtype: str, params: Arrays | None = None) -> Descent:
    module = execute(diagram.compile("numpy", level=0, dtype=dtype))
    now = params or module["init"](0)
    now = {n: np.asarray(a, dtype) for n, a in now.items()}
    before = None
    with np.errstate(all="ignore"):
        for step in range(500):
            loss, gradient = module["loss_and_grad"](now, **batch)
            if not np.isfinite(loss):
                return Descent(now, before, step, loss)
            before, now = now, {n: (a - lr * gradient[n]).astype(dtype) for n, a in now.items()}
    raise AssertionError("it did not diverge")


def explained(
    diagram: Diagram,
    batch: dict[str, Any],
    lr: float = 0.1,
    dtype: str = "float32",
    params: Arrays | None = None,
    **options: Any,
) -> tuple[Descent, Diagnostic]:
    """What is said of a run from these parameters, or the diagram's own."""
    arrays = {n: a if isinstance(a, np.ndarray) else np.array(a, dtype=float) for n, a in batch.items()}
    run = descend(diagram, arrays, lr, dtype, params)
    previous = None if run.before is None else (run.before, arrays)
    found = explain_divergence(
        diagram.expanded,
        diagram.batched(),
        run.params,
        arrays,
        step=run.step,
        loss=run.loss,
        dtype=dtype,
        previous=previous,
        gradient_graph=diagram.differentiated(0),
        training=diagram.program.training,
        **options,
    )
    assert found.code == "E0805"
    assert f"at step {run.step}: " in found.message
    assert f"the loss is {run.loss} " in found.message
    return run, found


def one(text: str) -> Diagram:
    return loads(text, "one.flow")


def marked(found: Diagnostic) -> str:
    """The text of the file that the error points at."""
    assert found.span is not None
    return found.span.text


# ---------------------------------------------------------------------------------------
# Steps that are too large


def test_a_learning_rate_too_large_for_the_cubic() -> None:
    diagram = example("cubic")
    x = np.linspace(-np.pi, np.pi, 200)
    run, found = explained(diagram, {"x": x, "y": np.sin(x)}, lr=1.0)
    assert run.step > 1
    assert marked(found) == "(f - y)^2"
    assert "(more than float32 holds)" in found.message
    assert ", example 0 of the batch and " in found.message
    assert found.help.startswith("the step before took the largest parameter from ")
    assert "take a learning rate smaller than 1e-06 (--lr 1e-07)" in found.help
    assert "clip=1.0" in found.help


def test_a_clip_that_is_there_is_not_proposed() -> None:
    text = "input x\nparam w = 1.0\nloss (w * x)^2\ntrain sgd(lr=8), clip=3.0\n"
    _, found = explained(one(text), {"x": [5.0]}, lr=8.0)
    assert "take a learning rate smaller than 8 (--lr 0.8), or clip the gradient to less than 3" in found.help
    assert "clip=1.0" not in found.help


def test_the_rate_named_is_that_of_the_step_before() -> None:
    text = "input x\nparam w = 1.0\nloss (w * x)^2\ntrain sgd(lr=staircase(8, every=2, factor=0.5))\n"
    run, found = explained(one(text), {"x": [5.0]}, lr=8.0)
    rate = 8 * 0.5 ** ((run.step - 1) // 2)
    assert run.step > 2
    assert f"smaller than {rate:.6g} " in found.help


def test_a_relu_network_that_grows() -> None:
    text = """\
input x : [4]
target y
h = x |> linear(16) |> relu |> linear(16) |> relu |> linear(1)
loss mse(h[0], y)
train sgd(lr=10)
"""
    x = np.random.default_rng(0).normal(size=(8, 4))
    run, found = explained(one(text), {"x": x, "y": np.ones(8)}, lr=10.0)
    assert run.before is not None
    assert marked(found) == "mse(h[0], y)"
    assert "`mse` of numbers up to " in found.message
    assert "take a learning rate smaller than 10" in found.help


def test_parameters_that_ran_away_through_a_finite_gradient() -> None:
    """w reaches 3e38 by steps of one size: the update overflows, no gradient does."""
    text = "input x\nparam w = 3e38\nloss 1e-38 * w * x\ntrain sgd(lr=3e38)\n"
    run, found = explained(one(text), {"x": [-1e38]}, lr=3e38, params={"w": np.array(3e38)})
    assert run.step == 1
    assert "the step before made the param `w` inf, though its gradient was finite" in found.message
    assert "take a learning rate smaller than 3e+38" in found.help


# ---------------------------------------------------------------------------------------
# Operations outside their domain or range


def test_a_logarithm_of_a_negative_number() -> None:
    text = "input x\ntarget y\nparam w = 1.0\nh = log(w * x)\nloss mse(h, y)\n"
    run, found = explained(one(text), {"x": [1, 2, -3, 4], "y": [0, 0, 0, 0]}, rows=[5, 6, 7, 8])
    assert run.step == 0
    assert found.message == "the loss is nan at step 0: `log` of -3 is nan in `h`, example 7"
    assert marked(found) == "log(w * x)"
    assert "log(x + 1e-8)" in found.help and "cross_entropy" in found.help
    assert "learning rate" not in found.help


def test_a_logarithm_reached_by_a_step_too_large() -> None:
    text = "input x\nparam w = 1.0\nloss log(w * x)\ntrain sgd(lr=5.0)\n"
    run, found = explained(one(text), {"x": [1.0]}, lr=5.0)
    assert run.step == 1
    assert "`log` of -4 is nan" in found.message
    assert "smaller than 5 (--lr 0.5)" in found.help and "log(x + 1e-8)" in found.help


def test_an_exponential_that_only_float64_holds() -> None:
    text = "input x : [3]\ntarget y\nparam w : [3] = 1.0\nh = exp(w * x)\nloss mean(h) - y\n"
    batch = {"x": [[1, 2, -3], [1, 100, 2]], "y": [0, 0]}
    _, found = explained(one(text), batch)
    said = "`exp` of 100 is 2.68812e+43 (more than float32 holds) in `h[1]`, example 1 of the batch"
    assert found.message.endswith(said)
    assert "softmax" in found.help and "--dtype float64" in found.help


def test_an_exponential_that_nothing_holds() -> None:
    text = "input x\nparam w = 1.0\nh = exp(w * x)\nloss h\n"
    _, found = explained(one(text), {"x": [1.0, 1000.0]}, dtype="float64")
    assert found.message.endswith("`exp` of 1000 is inf in `h`, example 1 of the batch")
    assert "--dtype" not in found.help


def test_what_float32_rounds_to_0() -> None:
    """softmax gives 1e-87, which is 0 in float32, and has no logarithm there."""
    text = "input x : [3]\ntarget y : class(3)\nparam w = 1.0\np = softmax(w * x)\nloss nll(log(p), y)\n"
    _, found = explained(one(text), {"x": [[1, 2, 200]], "y": np.array([0])})
    assert marked(found) == "log(p)"
    assert "`log` of 0 is -inf" in found.message
    assert [label.text for label in found.labels] == ["`p` is 0 here"]


def test_a_division_by_0_at_one_example_of_many() -> None:
    text = "input x\nparam w = 1.0\nh = w / x\nloss h^2\n"
    x = np.arange(-20.0, 30.0)
    _, found = explained(one(text), {"x": x}, dtype="float64")
    assert found.message.endswith("1 / 0 is inf in `h`, example 20 of the batch")
    assert "a / (b + 1e-8)" in found.help
    assert {label.text for label in found.labels} == {"`w` is 1 here", "`x` is 0 here"}


def test_masked_examples_are_not_blamed() -> None:
    """The logarithm of example 0 is hidden by `where`; that of example 1 is not."""
    text = "input x, y\nparam w = 1.0\nh = where(x > 0, log(w * x), 0) + log(w * y)\nloss h\n"
    _, found = explained(one(text), {"x": [-1.0, 1.0], "y": [1.0, -7.0]})
    assert "`log` of -7 is nan, example 1 of the batch" in found.message
    assert marked(found) == "log(w * y)"


def test_infinities_that_are_meant_are_not_blamed() -> None:
    text = """\
input x : [3]
param w = 1.0
hidden = where([1, 0, 1] == 0, -inf, 0)
s = softmax(exp(w * x) + hidden)
loss s[0]
"""
    _, found = explained(one(text), {"x": [[1, 2, 100]]})
    assert "`exp` of 100 " in found.message


def test_negative_numbers_stand_in_brackets() -> None:
    _, found = explained(one("input x\nparam w = -2.0\nloss w^x\n"), {"x": [0.5]})
    assert "(-2) ^ 0.5 is nan" in found.message
    assert "whole" in found.help


# ---------------------------------------------------------------------------------------
# Slopes, data, parameters


def test_a_slope_that_is_infinite_where_the_loss_is_not() -> None:
    text = "input x\nparam w = 0.0\nh = sqrt(w * x)\nloss h\n"
    run, found = explained(one(text), {"x": [1.0, 2.0]})
    assert run.step == 1
    assert "the step before made the param `w` -inf: the slope of `sqrt` of 0 is inf in `h`" in found.message
    assert marked(found) == "sqrt(w * x)"
    assert "at 0 its slope is infinite" in found.help


def test_the_gradient_is_looked_at_where_the_loss_is_finite() -> None:
    diagram = one("input x\nparam w = 0.0\nh = sqrt(w * x)\nloss h\n")
    found = explain_divergence(
        diagram.expanded,
        diagram.batched(),
        {"w": np.array(0.0)},
        {"x": np.array([3.0])},
        step=9,
        loss=0.0,
        dtype="float64",
        gradient_graph=diagram.differentiated(0),
    )
    assert found.message.startswith("the gradient of the loss is not finite at step 9: the slope of `sqrt`")


def test_a_parameter_that_leaves_the_range_of_float32_at_a_finite_loss() -> None:
    diagram = one("input x\nparam w = 3e38\nloss 1e-38 * w * x\ntrain sgd(lr=1e3), clip=2.0\n")
    found = explain_divergence(
        diagram.expanded,
        diagram.batched(),
        {"w": np.array(3e38)},
        {"x": np.array([-1e36])},
        step=4,
        loss=-3e36,
        dtype="float32",
        gradient_graph=diagram.differentiated(0),
        training=diagram.program.training,
        path="one.flow",
    )
    assert found.message == "step 4 takes a parameter beyond what float32 holds; its gradient is finite"
    assert "smaller than 1000 (--lr 100)" in found.help and found.path == "one.flow"


def test_rows_of_the_step_are_not_said_of_the_step_before() -> None:
    text = "input x\nparam w = 0.0\nh = sqrt(w * x)\nloss h\n"
    _, found = explained(one(text), {"x": [1.0, 2.0]}, rows=[77, 78])
    assert found.message.endswith("example 0 of the batch and 1 more")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_data_that_are_no_numbers(value: float) -> None:
    text = "input x : [2]\ntarget y\nparam w = 1.0\nloss mse(sum(w * x), y)\n"
    x = np.ones((4, 2))
    x[2, 1] = value
    run, found = explained(one(text), {"x": x, "y": np.zeros(4)}, rows=[9, 3, 12, 5])
    assert run.step == 0
    assert found.message.endswith(f"the input `x[1]` is {value}, example 12")
    assert "--allow-nan" in found.help


def test_targets_that_are_no_numbers() -> None:
    text = "input x\ntarget y\nparam w = 1.0\nloss mse(w * x, y)\n"
    _, found = explained(one(text), {"x": [1.0, 2.0], "y": [np.nan, 0.0]})
    assert "the target `y` is nan, example 0 of the batch" in found.message


def test_data_that_float32_cannot_hold_are_not_called_infinite() -> None:
    _, found = explained(one("input x\nparam w = 1.0\nloss w * x\n"), {"x": [1.0, 1e300]})
    assert found.message.endswith("the input `x` is 1e+300 (more than float32 holds), example 1 of the batch")
    assert "--dtype float64" in found.help and "--allow-nan" not in found.help


def test_first_parameters_that_are_no_numbers() -> None:
    text = "input x\nparam w : [2] = 1.0\nloss sum(w) * x\n"
    run, found = explained(one(text), {"x": [1.0]}, params={"w": np.array([1.0, np.nan])})
    assert run.step == 0
    assert "the param `w[1]` is nan" in found.message
    assert "--params" in found.help


def test_what_the_simulator_does_not_see_is_said() -> None:
    diagram = one("input x\nparam w = 1.0\nloss w * x\n")
    found = explain_divergence(
        diagram.expanded,
        diagram.batched(),
        {"w": np.array(1.0)},
        {"x": np.array([1.0])},
        step=3,
        loss=np.inf,
        dtype="float32",
        gradient_graph=diagram.differentiated(0),
        path="one.flow",
    )
    assert "everything is finite" in found.message and found.path == "one.flow"
    assert "--dtype float64" in found.help


def test_circles_are_named() -> None:
    text = """\
input x1, x2
target y
node h1, h2 : relu
node f
x1, x2 -> h1, h2
h1, h2 -> f
1 -> h1, h2, f
loss mse(f, y)
train sgd(lr=1e6)
"""
    xor = {"x1": [0, 0, 1, 1], "x2": [0, 1, 0, 1], "y": [0, 1, 1, 0]}
    _, found = explained(one(text), xor, lr=1e6)
    assert any(label.text.startswith("`f` is ") for label in found.labels)
    assert "smaller than 1e+06" in found.help


def test_it_can_be_shown() -> None:
    text = "input x\nparam w = 1.0\nh = log(w * x)\nloss h\n"
    _, found = explained(one(text), {"x": [-1.0]})
    assert render([found]) == (
        "error[E0805]: the loss is nan at step 0: `log` of -1 is nan in `h`, example 0 of the batch\n"
        "  --> one.flow:3:5\n"
        "   |\n"
        " 3 | h = log(w * x)\n"
        "   |     ^^^^^^^^^^ `log` of -1\n"
        f"   = help: {found.help}\n"
    )
