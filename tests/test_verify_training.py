"""`flowc verify` takes a few steps of training in every engine, and says which is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from running import HAS_TORCH, example

from flowgraph.compiling import LEVELS
from flowgraph.diagram import Diagram, loads
from flowgraph.lower.program import DEFAULT_TRAINING
from flowgraph.ops.optimiser import OPTIMISERS
from flowgraph.passes.learn import staying
from flowgraph.verify.engines import Case, Simulator
from flowgraph.verify.report import TRAINED, TRAINING_STEPS, Row, Verification
from flowgraph.verify.training import Steps

has_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")

NET = """\
diagram net
input x : [2]
target y
param W : [3, 2] = glorot()
param b : [3] = zeros()
h = tanh(W @ x + b)
f = sum(h)
loss mse(f, y)
data { x0 x1 |  y
        0  1 |  1
        1  2 | -1
        3  1 |  0.5
        2  0 |  3 }
"""

STATEMENTS = [
    "sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=0.01), batch=3, seed=7",
    "adam(lr=warmup(cosine(0.02, steps=9), steps=2)), clip=0.05, batch=1",
    'adamw(lr=0.01), freeze="b"',
    "rmsprop(lr=staircase(0.01, every=2), momentum=0.5), batch=2",
    "adagrad(lr=0.1, weight_decay=0.1), clip=1000, batch=100",
]


def net(train: str = "", text: str = NET) -> Diagram:
    return loads(f"{text}train {train}\n" if train else text, "net.flow")


def trained(found: Verification) -> dict[str, Row]:
    return {r.engine: r for r in found.rows if r.quantity == TRAINED}


def verified(diagram: Diagram, **options: Any) -> Verification:
    """In float64 alone, which is all that most tests need."""
    return diagram.verify(dtypes=("float64",), **options)


# ---------------------------------------------------------------------------------------
# What is right agrees


@pytest.mark.parametrize("name", ["regression", "perceptron", "one_hot_error", "mlp_2_3_2", "contractive"])
def test_examples_are_trained(name: str) -> None:
    """That all agree is tested with the other quantities."""
    rows = trained(verified(example(name)))
    assert rows and all(row.status == "ok" for row in rows.values())


def test_what_has_no_loss_is_not_trained() -> None:
    assert not trained(verified(example("xor")))


@pytest.mark.parametrize("train", ["", *STATEMENTS])
def test_every_engine_takes_the_declared_steps(train: str) -> None:
    found = net(train).verify()
    assert found.ok, found.table()
    levels = [(target, level) for target in ("numpy", "torch") for level in LEVELS]
    engines = {f"{target} -O{level}{d}" for target, level in levels for d in ("", " float32")}
    rows = trained(found)
    assert set(rows) == {e for e in engines if HAS_TORCH or not e.startswith("torch")}
    for name, row in rows.items():
        assert row.status == "ok", found.table()
        if "float32" not in name:
            assert row.difference is not None and row.difference < 1e-11


def steps_of(diagram: Diagram, params: dict[str, np.ndarray], examples: dict[str, np.ndarray]) -> Steps:
    training = diagram.program.training or DEFAULT_TRAINING
    case = Case("these values", params, examples, params, tuple(range(len(examples["x"]))), True)
    return Steps(Simulator(diagram.batched()), training, staying(diagram.graph, training.freeze), case)


LINE = "input x\ntarget y\nparam w = 1.0\nparam c = 0.0\nloss mse(w * x + c, y)\n"


EXAMPLES_OF_LINE = {"x": np.array([1.0, 2.0, -1.0]), "y": np.array([0.0, 1.0, 2.0])}


def line_path(train: str) -> list[list[float]]:
    """w and c after each step."""
    first = {"w": np.array(1.0), "c": np.array(0.0)}
    path = steps_of(net(train, LINE), first, EXAMPLES_OF_LINE).path
    return [[float(after["w"]), float(after["c"])] for after in path]


def by_hand(batches: list[list[int]], rates: list[float]) -> Any:
    """Gradient descent of the line, written out."""
    x, y = EXAMPLES_OF_LINE.values()
    w, c, path = 1.0, 0.0, []
    for rows, lr in zip(batches, rates, strict=True):
        error = w * x[rows] + c - y[rows]
        w, c = w - lr * np.mean(2 * error * x[rows]), c - lr * np.mean(2 * error)
        path.append([w, c])
    return [pytest.approx(step, abs=1e-15) for step in path]


def test_the_reference_is_gradient_descent_on_all_rows() -> None:
    want = by_hand([[0, 1, 2]] * TRAINING_STEPS, [0.1] * TRAINING_STEPS)
    assert line_path("sgd(lr=0.1)") == want


def test_the_reference_takes_the_batches_of_the_statement() -> None:
    """Two epochs of a batch of two and a batch of one, each shuffled by seed and epoch."""
    orders = [np.random.default_rng([5, epoch]).permutation(3) for epoch in range(3)]
    batches = [list(rows) for order in orders for rows in (order[:2], order[2:])][:TRAINING_STEPS]
    want = by_hand(batches, [0.1] * TRAINING_STEPS)
    assert line_path("sgd(lr=0.1), batch=2, seed=5") == want


def test_the_reference_follows_a_schedule() -> None:
    want = by_hand([[0, 1, 2]] * TRAINING_STEPS, [0.1, 0.1, 0.05, 0.05, 0.025])
    assert line_path("sgd(lr=staircase(0.1, every=2, factor=0.5))") == want


def test_the_reference_leaves_frozen_parameters() -> None:
    first = {"w": np.array(1.0), "c": np.array(0.0)}
    steps = steps_of(net('sgd(lr=0.1), freeze="c"', LINE), first, EXAMPLES_OF_LINE)
    assert [set(after) for after in steps.path] == [{"w"}] * TRAINING_STEPS
    assert steps.path[1]["w"] != steps.path[0]["w"]


def test_the_reference_clips() -> None:
    moved = np.array(line_path("sgd(lr=0.1), clip=0.5")[0]) - [1.0, 0.0]
    assert np.linalg.norm(moved) == pytest.approx(0.1 * 0.5, rel=1e-5)


# ---------------------------------------------------------------------------------------
# What is wrong is found


def eps_inside(self: Any) -> list[str]:
    return [*self.moments(), "w -= lr * m_hat / np.sqrt(v_hat + eps)"]


@has_torch
def test_a_wrong_update_is_found_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OPTIMISERS["adam"], "update", eps_inside)
    found = verified(net("adam(lr=0.01, eps=1e-4)"))
    assert not found.ok
    assert {r.quantity for r in found.disagreements} == {TRAINED}
    assert {r.engine for r in found.disagreements} == {"torch -O0", "torch -O1", "torch -O2"}
    assert found.blamed == ["`adam`, line 14: its update is not that of torch.optim.Adam (step 1)"]
    assert " after step " in found.disagreements[0].note
    [error, *_] = found.diagnostics("net.flow")
    assert error.code == "E0604" and error.message.startswith(f"{TRAINED}: torch -O0 and the simulator")
    assert "its update is not that of torch.optim.Adam" in error.help


@has_torch
def test_a_default_that_is_not_pytorchs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OPTIMISERS["adam"], "torch_settings", lambda self: {})
    found = verified(net("adam(lr=0.01, betas=[0.5, 0.9])"))
    assert trained(found)["torch -O1"].status == "DIFFERS"
    assert found.blamed


@pytest.mark.parametrize(
    "changes",
    [
        {"w -= lr * g": "w -= lr * g * 1.001", "np.multiply(lr, g, ": "np.multiply(lr * 1.001, g, "},
        {"n not in self._frozen": "n != 'W'", "name not in frozen": "name != 'W'"},
        {"staircase(self._t, ": "staircase(self._t + 1, "},
        {"default_rng([self._seed, epoch])": "default_rng([epoch, self._seed])"},
        {"norm + 1e-6": "norm + 1e-2"},
    ],
)
def test_a_wrong_trainer_is_found(changes: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """changes: of the code of either trainer, that of -O2 works in other statements."""
    from flowgraph.emit import numpy as emit_numpy

    real = emit_numpy.emit_numpy

    def emit_broken(*arguments: Any) -> str:
        text = real(*arguments)
        if "class Trainer" in text:
            assert any(before in text for before in changes)
        for before, after in changes.items():
            text = text.replace(before, after)
        return text

    monkeypatch.setattr("flowgraph.emit.emit_numpy", emit_broken)
    found = verified(net('sgd(lr=staircase(0.1, every=2)), freeze="b", clip=1.0, batch=2, seed=3'))
    rows = trained(found)
    assert all(rows[f"numpy -O{level}"].status == "DIFFERS" for level in LEVELS), found.table()
    assert not HAS_TORCH or rows["torch -O1"].status == "ok"
    assert {r.quantity for r in found.disagreements} == {TRAINED}
    assert not any("torch.optim" in said for said in found.blamed)


def test_a_trainer_that_raises_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from flowgraph.emit import numpy as emit_numpy

    real = emit_numpy.emit_numpy
    broken = "def step(self"
    monkeypatch.setattr(
        "flowgraph.emit.emit_numpy", lambda *a: real(*a).replace(broken, "def step_(self") if a else ""
    )
    row = trained(verified(net()))["numpy -O0"]
    assert row.status == "DIFFERS" and "raises AttributeError" in row.note


def test_a_small_learning_rate_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Differences are relative to what training changes: 1 % of a step of 1e-9 is seen."""
    from flowgraph.emit import numpy as emit_numpy

    real = emit_numpy.emit_numpy
    monkeypatch.setattr(
        "flowgraph.emit.emit_numpy", lambda *a: real(*a).replace("w -= lr * g", "w -= lr * g * 1.01")
    )
    assert trained(verified(net("sgd(lr=1e-9)")))["numpy -O1"].status == "DIFFERS"


# ---------------------------------------------------------------------------------------
# What is not wrong is not called so


def test_training_that_diverges_is_compared_as_far_as_it_goes() -> None:
    text = "input x\nparam w = 1.0\nloss (w * x)^4\ntrain sgd(lr=100)\ndata { x\n 1\n 2 }\n"
    found = net(text=text).verify()
    assert found.ok, found.table()
    assert "training diverges (beyond 1e+12) in step 2: 1 of 5 steps are compared." in found.table()
    endless = net(text=text.replace("lr=100", "lr=1e30")).verify()
    assert endless.ok and not trained(endless)
    assert "in step 1: it is not compared." in endless.table()


@has_torch
def test_rounding_that_training_magnifies_is_no_difference() -> None:
    """The gradient of b is rounding alone, and Adam makes steps of full size of it."""
    text = """\
input x : [3]
param a = 2.0
param b : [3] = 0.3
loss a * sum(softmax(x + b))
train adam(lr=0.1, eps=1e-30)
data { x0 x1 x2
 0.1 0.7 0.3
 0.9 0.2 0.5 }
"""
    found = verified(net(text=text))
    assert found.ok, found.table()
    assert any(row.status == "rounding" for row in trained(found).values())


@has_torch
def test_a_kink_on_the_path_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """abs at 0: the slope that PyTorch takes there is another one, if it is told to."""
    from flowgraph.ops import OPS

    monkeypatch.setattr(OPS["abs"], "torch", "torch.where(x >= 0, x, -x)")
    text = "input x\nparam w = 0.0\nloss abs(w * x) + 0.1 * w * x\ntrain sgd(lr=0.1)\ndata { x\n 1\n 2 }\n"
    found = verified(net(text=text))
    assert found.ok, found.table()
    assert trained(found)["torch -O1"].status == "kink"


def test_nothing_to_train_is_not_trained() -> None:
    assert not trained(verified(net(text="input x\nparam w = 1.0\nloss step(w * x)\n")))
    assert not trained(verified(net('sgd(), freeze="W, b"')))


def test_params_that_are_given_are_where_training_starts() -> None:
    """At the minimum nothing moves: all parameters are as they were."""
    text = LINE + "data { x | y\n 1 | 3\n 2 | 5 }\ntrain sgd(lr=0.1)\n"
    found = verified(net(text=text), params={"w": np.array(2.0), "c": np.array(1.0)})
    assert found.ok, found.table()
    assert "all 2 rows of the data with the values given." in found.table()


def test_a_diagram_without_examples_is_trained() -> None:
    rows = trained(verified(net(text="param w : [2] = [1, 2]\nloss sum(w^2)\ntrain adam(lr=0.1)\n")))
    assert rows and all(row.status == "ok" for row in rows.values())


def test_what_float32_cannot_hold_is_no_difference() -> None:
    """eps is 0 there, and the first step of what has no slope is 0 / 0."""
    text = "input x\nparam w = 2.0\nparam v = 1.0\nloss w * x + 0 * v\ntrain adam(lr=0.1, eps=1e-60)\n"
    found = net(text=text).verify()
    assert found.ok, found.table()


def test_a_wrong_class_of_outputs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from flowgraph.emit import numpy as emit_numpy

    real = emit_numpy.emit_numpy
    monkeypatch.setattr(
        "flowgraph.emit.emit_numpy", lambda *a: real(*a).replace("np.array(f)", "np.array(f) + 1e-6")
    )
    found = net().verify(dtypes=("float64",))
    assert {(r.quantity, r.engine) for r in found.disagreements} == {("outputs", "numpy -O2")}
