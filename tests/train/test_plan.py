"""What a run is to do: the `train` statement, and what is said otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flowgraph.diagram import loads
from flowgraph.errors import Diagnostics, FlowError
from flowgraph.train.plan import Plan, make_plan

HEAD = """
input x : [2]
target y : [2]
f = x |> linear(3) |> tanh |> linear(2)
loss mse(f, y)
"""


def planned(text: str, **wishes: Any) -> Plan:
    diagram = loads(text)
    found = Diagnostics()
    plan = make_plan(diagram.program, diagram.expanded, found, path="a.flow", **wishes)
    found.raise_errors()
    assert plan is not None
    return plan


def refusal(text: str, **wishes: Any) -> list[tuple[str, str]]:
    """Code and message of every error."""
    with pytest.raises(FlowError) as caught:
        planned(text, **wishes)
    return [(d.code, d.message) for d in caught.value.diagnostics if d.is_error]


def test_the_statement_is_the_plan() -> None:
    plan = planned(
        HEAD
        + "train adam(lr=0.02), epochs=7, batch=3, seed=5, clip=2.0, freeze='f.linear.*'".replace("'", '"')
    )
    assert (plan.epochs, plan.steps, plan.batch, plan.seed, plan.clip) == (7, None, 3, 5, 2.0)
    assert plan.frozen == ("f.linear.weight", "f.linear.bias") and plan.said == ()
    assert plan.training.optimiser.name == "adam" and plan.training.optimiser.rate == 0.02


def test_steps_of_an_epoch_and_of_a_run() -> None:
    plan = planned(HEAD + "train sgd(), epochs=7, batch=3")
    assert (plan.per_epoch(10), plan.per_epoch(9), plan.total_steps(10)) == (4, 3, 28)
    assert planned(HEAD + "train sgd(), epochs=7").total_steps(10) == 7
    assert planned(HEAD + "train sgd(), steps=7, batch=3").total_steps(10) == 7


def test_what_nobody_says_is_said() -> None:
    plan = planned(HEAD)
    assert (plan.epochs, plan.batch, plan.seed, plan.training.optimiser.rate) == (10, None, 0, 0.01)
    assert plan.said == (
        "there is no `train` statement: sgd, lr=0.01",
        "nothing says how long to train: 10 epochs",
    )


def test_the_caller_has_the_last_word() -> None:
    text = HEAD + "train sgd(lr=0.1, momentum=0.9), epochs=7, batch=3, seed=5"
    plan = planned(text, steps=4, batch="all", seed=6, lr=0.5, target="torch", dtype="float64")
    assert (plan.epochs, plan.steps, plan.batch, plan.seed) == (None, 4, None, 6)
    assert (plan.target, plan.dtype, plan.training.optimiser.momentum) == ("torch", "float64", 0.9)
    assert plan.training.optimiser.rate == 0.5
    assert planned(HEAD + "train sgd(), steps=9", epochs=2).steps is None
    assert planned(text, batch=4).batch == 4


def test_a_rate_inside_a_schedule_is_replaced_and_the_shape_stays() -> None:
    text = HEAD + "train sgd(lr=warmup(cosine(0.1, steps=90), steps=10)), steps=100"
    before, after = planned(text).training.optimiser, planned(text, lr=1).training.optimiser
    steps = (0, 9, 55)
    assert [after.rate_at(t) for t in steps] == pytest.approx([10 * before.rate_at(t) for t in steps])
    assert before.rate_at(55) == pytest.approx(0.05)


@pytest.mark.parametrize(
    "wishes, code, said",
    [
        ({"steps": 0}, "E0404", "`steps` must be at least 1, and it is 0"),
        ({"epochs": -1}, "E0404", "`epochs` must be at least 1, and it is -1"),
        ({"batch": 0}, "E0404", "`batch` must be at least 1, and it is 0"),
        ({"batch": "some"}, "E0404", "`batch` must be a whole number, and it is 'some'"),
        ({"steps": 10**16}, "E0404", "`steps` must be at most 1000000000000000, and it is 10000000000000000"),
        ({"epochs": 2.5}, "E0404", "`epochs` must be a whole number, and it is 2.5"),
        ({"seed": -1}, "E0404", "`seed` must be at least 0, and it is -1"),
        ({"lr": -0.1}, "E0404", "`lr` of `sgd` must be more than 0, and it is -0.1"),
        ({"lr": 0.0}, "E0404", "`lr` of `sgd` must be more than 0, and it is 0.0"),
        ({"lr": float("nan")}, "E0404", "`lr` of `sgd` must be more than 0, and it is nan"),
        ({"lr": float("inf")}, "E0404", "`lr` of `sgd` must be a finite number, and it is inf"),
        ({"lr": "fast"}, "E0404", "`lr` must be a number, and it is 'fast'"),
        ({"epochs": 1, "steps": 1}, "E0403", "both epochs and steps are given"),
    ],
)
def test_settings_out_of_range_are_refused(wishes: dict[str, Any], code: str, said: str) -> None:
    assert refusal(HEAD, **wishes) == [(code, said)]


def test_whole_numbers_may_be_numpys() -> None:
    plan = planned(HEAD, epochs=np.int64(3), batch=np.int32(2), seed=np.uint8(4), lr=np.float32(0.5))
    assert (plan.epochs, plan.batch, plan.seed, plan.training.optimiser.rate) == (3, 2, 4, 0.5)
    assert {type(n) for n in (plan.epochs, plan.batch, plan.seed)} == {int}


@pytest.mark.parametrize("rate", ["inf", "cosine(inf, steps=3)", "warmup(constant(inf), steps=3)"])
def test_an_infinite_rate_in_the_file_is_refused(rate: str) -> None:
    with pytest.raises(FlowError, match="must be a finite number, and it is inf"):
        loads(f"{HEAD}train sgd(lr={rate})")


def test_a_length_in_the_file_that_no_run_reaches_is_refused() -> None:
    with pytest.raises(FlowError, match="`epochs` must be at most 1000000000000000"):
        loads(f"{HEAD}train sgd(lr=1), epochs=99999999999999999999")


@pytest.mark.parametrize("name", ["step", "epoch", "lr", "val_loss"])
def test_a_metric_must_not_be_taken_for_another_column_of_the_log(name: str) -> None:
    said = f"the metric `{name}` has the name of a column of the log"
    assert refusal(f"{HEAD}metric {name} = mae(f, y)") == [("E0102", said)]


def test_everything_wrong_is_said_at_once() -> None:
    codes = [code for code, _ in refusal(HEAD, steps=0, batch=-1, lr=-1.0)]
    assert codes == ["E0404"] * 3


def test_without_a_loss_nothing_is_trained() -> None:
    assert [code for code, _ in refusal("input x : [2]\nf = x |> linear(3)\n")] == ["E0603"]


def test_without_parameters_nothing_is_trained() -> None:
    ((code, said),) = refusal("input x\ntarget y\nloss (x - y)^2\n")
    assert code == "E0801" and "no parameters" in said


def test_parameters_that_no_gradient_reaches_are_nothing_to_train() -> None:
    ((code, said),) = refusal("input x\ntarget y\nparam w = 1\nf = step(w * x)\nloss (f - y)^2\n")
    assert code == "E0801" and "no gradient of the loss reaches any parameter (`w`)" in said


def test_freezing_everything_leaves_nothing_to_train() -> None:
    ((code, said),) = refusal(HEAD + 'train sgd(), freeze="*"')
    assert code == "E0801" and "`freeze` holds every parameter" in said


def test_several_patterns_freeze_what_either_matches() -> None:
    plan = planned(HEAD + 'train sgd(), freeze="f.linear.bias, f.linear_2.*"')
    assert plan.frozen == ("f.linear.bias", "f.linear_2.weight", "f.linear_2.bias")


def test_a_plan_is_the_same_in_every_process() -> None:
    assert " at 0x" not in repr(planned(HEAD + "train sgd(), epochs=3"))
