"""The run itself: its steps, its log, what it keeps, and how it ends."""

from __future__ import annotations

import csv
import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import HAS_TORCH

from flowgraph.data.batches import MemoryExamples
from flowgraph.diagram import Diagram, loads
from flowgraph.errors import FlowError
from flowgraph.execute import execute
from flowgraph.train import evaluate as evaluating
from flowgraph.train import loop
from flowgraph.train.checkpoint import newest_checkpoint
from flowgraph.train.evaluate import evaluate, loss_by
from flowgraph.train.numpy_learner import NumpyLearner
from flowgraph.train.plan import Plan
from flowgraph.train.progress import Moment, Silent
from flowgraph.train.start import Wishes, start
from flowgraph.train.stopping import Stopping

ROWS = 25
NET = """
input x : [2]
target y
f = x |> linear(4) |> tanh |> linear(1) |> sum
loss mse(f, y)
metric mae(f, y)
"""
DATA = f"data {ROWS} {{ x = [uniform(-1, 1), normal()]; y = sin(x[0]) * x[1] }}\n"


def net(train: str = "train sgd(lr=0.05), epochs=4, batch=6, seed=2", data: str = DATA) -> Diagram:
    return loads(f"{NET}{train}\n{data}")


def columns_of(diagram: Diagram) -> dict[str, np.ndarray]:
    """The rows that a diagram without a split is trained on."""
    from flowgraph.data import open_examples
    from flowgraph.errors import Diagnostics

    opened = open_examples(diagram.program, ".", Diagnostics())
    assert opened is not None
    return opened.train.batch(0, None, 0)


def assert_same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert list(ours) == list(theirs)
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype and array.tobytes() == theirs[name].tobytes(), name


# -- the steps


@pytest.mark.parametrize(
    "statement",
    [
        "train sgd(lr=0.05), epochs=4, batch=6, seed=2",
        "train adam(lr=cosine(0.05, steps=17)), steps=17, batch=4, clip=0.1",
        'train rmsprop(momentum=0.5), steps=9, freeze="f.linear.bias"',
        "train sgd(lr=0.1), epochs=2, batch=1",
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_numpy_target_trains_as_the_emitted_file_does_alone(statement: str, dtype: str) -> None:
    diagram = net(statement)
    seed = diagram.training.seed
    module = execute(diagram.compile("numpy", dtype=dtype))
    trainer = module["Trainer"](module["init"](seed))
    losses = trainer.run(**columns_of(diagram))
    trained = diagram.train(dtype=dtype, log=1)
    assert_same(trained.params, dict(trainer.params))
    assert trained.losses.tolist() == losses.tolist()


@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
def test_both_targets_train_alike() -> None:
    diagram = net("train adam(lr=0.05), epochs=6, batch=6")
    ours, theirs = (diagram.train(target=t, dtype="float64") for t in ("numpy", "torch"))
    assert list(ours.params) == list(theirs.params)
    for name, array in ours.params.items():
        np.testing.assert_allclose(array, theirs.params[name], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-9)
    assert ours.training.values == pytest.approx(theirs.training.values, rel=1e-9)


def test_first_parameters_can_be_given() -> None:
    first = net().train(epochs=1).params
    trained = net().train(params=first, epochs=1, lr=1e-30)
    assert_same(trained.params, first)


def test_frozen_parameters_stay() -> None:
    diagram = net('train sgd(lr=0.1), epochs=2, freeze="*.weight"')
    first = execute(diagram.compile())["init"](0)
    trained = diagram.train().params
    for name, array in trained.items():
        assert (array.tobytes() == first[name].tobytes()) == name.endswith("weight"), name


def test_a_diagram_without_data_can_be_trained() -> None:
    trained = loads(
        "param w : [2] = [3, -1]\nloss sum((w - [1, 2])^2)\ntrain sgd(lr=0.25), steps=40\n"
    ).train()
    np.testing.assert_allclose(trained.params["w"], [1, 2], atol=1e-5)
    assert trained.training.count == 0 and trained.loss < 1e-9


def test_one_step_longer_is_one_step_more() -> None:
    seven, eight = (net().train(steps=n, log=1) for n in (7, 8))
    assert eight.losses[:7].tolist() == seven.losses.tolist() and (seven.steps, eight.steps) == (7, 8)


# -- the log


def test_a_row_for_every_epoch() -> None:
    rows = net().train().rows
    assert [(r["step"], r["epoch"]) for r in rows] == [(5, 1), (10, 2), (15, 3), (20, 4)]
    assert list(rows[0]) == ["step", "epoch", "lr", "loss", "mae"]


def test_a_row_for_every_so_many_steps_and_one_at_the_end() -> None:
    rows = net().train(log=8).rows
    assert [(r["step"], r["epoch"]) for r in rows] == [(8, 2), (16, 4), (20, 4)]


def test_the_loss_of_a_row_is_the_mean_since_the_last() -> None:
    each = net().train(log=1).losses
    assert net().train(log=8).losses.tolist() == pytest.approx(
        [each[:8].mean(), each[8:16].mean(), each[16:].mean()], rel=1e-12
    )


def test_of_many_epochs_not_each_has_a_row() -> None:
    plan = Plan("numpy", "float32", net().training, None, None, 2500, 0)
    assert loop.rows_every(plan, ROWS, None) == 3
    rows = net("train sgd(), epochs=2500").train().rows
    assert len(rows) == 834 and rows[-1]["step"] == 2500


def test_the_rate_of_a_row_is_that_of_its_last_step() -> None:
    rows = net("train sgd(lr=staircase(0.1, every=10, factor=0.5)), epochs=4, batch=6").train().rows
    assert [r["lr"] for r in rows] == [0.1, 0.1, 0.05, 0.05]


def test_metrics_of_a_row_are_those_of_the_parameters_after_its_step() -> None:
    diagram = net()
    rows = diagram.train(log=8).rows
    there = diagram.train(steps=8)
    assert rows[0]["mae"] == there.metrics["mae"] == there.training.values["mae"]


def test_rows_kept_for_validation_are_judged_and_not_trained_on(tmp_path: Path) -> None:
    file = tmp_path / "d.npz"
    columns = columns_of(net())
    np.savez(file, **columns)
    trained = net(data="").train(file, split=0.8)
    assert (trained.training.count, trained.validation and trained.validation.count) == (20, 5)
    assert list(trained.rows[0]) == ["step", "epoch", "lr", "loss", "val_loss", "val_mae"]
    assert trained.validation is not None
    last = trained.rows[-1]
    assert trained.validation.values == {"loss": last["val_loss"], "mae": last["val_mae"]}
    assert trained.metrics == {"mae": last["val_mae"]}
    kept = np.sort(np.random.default_rng(0).permutation(ROWS)[20:])
    columns["y"][kept] = 1e6  # nothing of the training sees them
    np.savez(file, **columns)
    assert_same(net(data="").train(file, split=0.8).params, trained.params)


def test_the_log_of_a_folder_is_the_rows(tmp_path: Path) -> None:
    trained = net().train(out=tmp_path / "run", log=3)
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert rows == trained.rows


# -- evaluation


class Counted:
    """A learner's place: its loss is what the rows say, by one of the ways to make a loss of rows."""

    target, is_writer, is_distributed, step_count = "numpy", True, False, 0

    def __init__(self, by: str) -> None:
        self.by = by
        self.most = 0

    def evaluate(self, batch: dict[str, np.ndarray]) -> dict[str, float]:
        x, count = batch["x"], len(batch["x"])
        self.most = max(self.most, count)
        mean = float(x.sum() / max(count, 1))
        terms = {"mean": mean, "sum": float(x.sum()), "both": mean + float((x * x).sum())}
        return {"loss": terms[self.by] + 0.5, "middle": mean}


@pytest.mark.parametrize("by", ["mean", "sum", "both"])
@pytest.mark.parametrize("count", [0, 1, 10, 11, 37])
def test_in_parts_as_at_once(by: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluating, "MOST_ROWS", 10)
    learner: Any = Counted(by)
    x = np.random.default_rng(count).normal(size=count)
    found = evaluate(learner, MemoryExamples({"x": x}), by)
    assert learner.most <= 20
    assert found == pytest.approx(Counted(by).evaluate({"x": x}), rel=1e-12)


@pytest.mark.parametrize("terms, by", [("", "mean"), (" by sum", "sum"), (" by sum\nloss x * w", "both")])
def test_a_diagrams_loss_in_parts(terms: str, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"input x\ntarget y\nparam w = 2\nloss (w * x - y)^2{terms}\nloss 3 * w^2\nmetric mae(w * x, y)\n"
    diagram = loads(text)
    assert loss_by(diagram.graph) == by
    plan = Plan("numpy", "float64", diagram.training, None, 1, None, 0)
    learner = NumpyLearner(diagram.compile(dtype="float64"), None, plan)
    rng = np.random.default_rng(1)
    columns = {"x": rng.normal(size=23), "y": rng.normal(size=23)}
    whole = learner.evaluate(columns)
    monkeypatch.setattr(evaluating, "MOST_ROWS", 7)
    assert evaluate(learner, MemoryExamples(columns), by) == pytest.approx(whole, rel=1e-12)
    assert evaluate(learner, MemoryExamples({n: a[:0] for n, a in columns.items()}), by)["loss"] == 12.0


def test_rows_of_many_numbers_are_looked_at_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluating, "MOST_ENTRIES", 100)
    learner: Any = Counted("mean")
    evaluate(learner, MemoryExamples({"x": np.ones((50, 30))}), "mean")
    assert learner.most == 3


# -- checkpoints


def steps_kept(out: Path) -> list[int]:
    return sorted(int(p.stem.removeprefix("checkpoint-")) for p in out.glob("checkpoint-*"))


def test_checkpoints_after_so_many_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    write = loop.write_checkpoint
    monkeypatch.setattr(loop, "write_checkpoint", lambda f, s, c: (written.append(s), write(f, s, c))[1])
    net().train(out=tmp_path / "run", save_every=6)
    assert written == [6, 12, 18, 20] and steps_kept(tmp_path / "run") == [18, 20]


def test_checkpoints_after_some_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(loop, "SAVE_SHARE", 1e9)
    monkeypatch.setattr(loop, "LONGEST_STRETCH", 1)
    net().train(out=tmp_path / "run")
    assert steps_kept(tmp_path / "run") == [19, 20]


def test_a_checkpoint_says_where_the_run_is(tmp_path: Path) -> None:
    net().train(out=tmp_path / "run", steps=13, log=4)
    found, damaged = newest_checkpoint(tmp_path / "run")
    assert found is not None and damaged == []
    about = found.about
    assert (about["step"], about["epoch"], about["position"]) == (13, 2, 3)
    assert about["rng"] == {"kind": "default_rng([seed, epoch]).permutation", "seed": 2, "epoch": 2}
    assert about["log_bytes"] == (tmp_path / "run" / "log.csv").stat().st_size
    assert about["sum"] == {"losses": 0.0, "since": 13} and len(about["fingerprint"]) == 64


# -- divergence


WILD = """
input x
target y
param w = 0.5
f = w * x
loss (f - y)^2
train sgd(lr=0.5), steps=200, batch=2
data { x | y
1 | 0
2 | 1
3 | 2
4 | 3 }
"""


def divergence(diagram: Diagram, **wishes: Any) -> str:
    with pytest.raises(FlowError) as caught:
        diagram.train(**wishes)
    (found,) = caught.value.diagnostics
    assert found.code == "E0805"
    return found.message


def test_a_loss_that_is_not_finite_stops_the_run_and_is_explained() -> None:
    said = divergence(loads(WILD))
    assert "the loss is inf at step" in said and "more than float32 holds" in said
    assert int(said.split("at step ")[1].split(":")[0]) > 10


def test_the_step_is_found_again_from_any_earlier_state(monkeypatch: pytest.MonkeyPatch) -> None:
    first = divergence(loads(WILD))
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(loop, "SAVE_SHARE", 1e9)
    monkeypatch.setattr(loop, "LONGEST_STRETCH", 1)
    assert divergence(loads(WILD)) == first


def test_a_last_step_that_spoils_the_parameters_is_found() -> None:
    text = "input x\nparam w = 0\nloss sqrt(x * w * w)\ntrain sgd(), steps=1\ndata { x\n1\n}"
    said = divergence(loads(text))  # the loss is 0, and its gradient 0/0
    assert "the step before made the param `w` nan: the slope of `sqrt` of 0 is inf" in said


def test_what_is_kept_is_of_a_good_step(tmp_path: Path) -> None:
    out = tmp_path / "run"
    divergence(loads(WILD), out=out, save_every=1)
    found, _ = newest_checkpoint(out)
    assert found is not None and all(np.isfinite(a).all() for a in found.arrays.values())


def test_with_detect_anomaly_a_spoilt_parameter_is_found_at_its_step() -> None:
    # The gate is shut, so that the loss never shows what becomes of `w`.
    text = """
input x, gate
param w = 0
param v = 1
loss where(gate > 0, sqrt(x * w * w), (v - 2)^2)
train sgd(lr=0.1), steps=6, batch=1
data { x gate
1 0
1 0
1 1
}
"""
    diagram = loads(text)
    assert "step" in divergence(diagram, detect_anomaly=True)


# -- stopping


class Impatient(Silent):
    """Sends the signal of a Ctrl-C once the run has taken some steps."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.notes: list[str] = []

    def tick(self, moment: Moment) -> None:
        if self.at and moment.step >= self.at:
            self.at = 0
            os.kill(os.getpid(), signal.SIGINT)

    row = tick

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = net().train(out=tmp_path / "whole", log=4)
    diagram, out = net(), tmp_path / "stopped"
    reporter = Impatient(7)
    stopped = start(diagram, Wishes(out=out, log=4), reporter)
    assert stopped.stopped and 7 < stopped.steps < 20 and stopped.training.values == {}
    assert reporter.notes[-1] == f"stopped at step {stopped.steps} of 20; go on with --resume"
    assert steps_kept(out)[-1] == stopped.steps
    resumed = diagram.train(out=out, log=4, resume=True)
    assert not resumed.stopped
    assert_same(resumed.params, whole.params)
    for name in ("log.csv", "model.safetensors"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_signals_are_as_before_after_a_run() -> None:
    before = signal.getsignal(signal.SIGINT)
    start(net(), Wishes(), Impatient(3))
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_interrupt_stops_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), Stopping() as stopping:
        os.kill(os.getpid(), signal.SIGINT)
        assert stopping.wanted
        os.kill(os.getpid(), signal.SIGINT)


def test_outside_the_main_thread_nothing_is_caught() -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(net().train().steps))
    thread.start()
    thread.join()
    assert found == [20]
