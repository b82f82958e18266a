"""What `python benchmarks` compares: peers written by hand compute what the emitted code computes."""

from __future__ import annotations

import functools
import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import peers
import pytest
from rivals import functional, hand, products
from rivals.task import NotWritten, Task
from running import HAS_TORCH, execute
from workloads import ALL, BY_NAME, Workload

from flowgraph.bench import first_values
from flowgraph.bench.turns import Times

NAMES = [workload.name for workload in ALL]
STEPS = 2
TOLERANCE = {"float32": {"rtol": 1e-3, "atol": 2e-5}, "float64": {"rtol": 1e-9, "atol": 1e-12}}


@functools.cache
def task_of(name: str) -> Task:
    workload = BY_NAME[name]
    first = first_values(workload.diagram(), dtype=workload.dtype)
    return Task(workload, first, workload.batch(np.random.default_rng(0)), 1)


@functools.cache
def emitted(name: str) -> dict[str, Any]:
    workload = BY_NAME[name]
    return execute(workload.diagram().compile("numpy", dtype=workload.dtype))


def trained(name: str, steps: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Losses and parameters of the emitted Trainer."""
    task = task_of(name)
    trainer = emitted(name)["Trainer"](task.first, batch="all")
    losses = trainer.run(**task.batch, steps=steps, log=task.workload.log)
    return losses, trainer.params


@pytest.mark.parametrize("name", NAMES)
def test_numpy_by_hand_takes_the_steps_of_the_emitted_trainer(name: str) -> None:
    steps = 200 if name == "cubic" else STEPS
    task, within = task_of(name), TOLERANCE[BY_NAME[name].dtype]
    made = hand.contestant(task)
    assert made.train is not None
    losses, params = trained(name, steps)
    np.testing.assert_allclose(made.train(steps)(), losses, **within)
    assert made.params().keys() == params.keys()
    for key, value in made.params().items():
        np.testing.assert_allclose(value, params[key], err_msg=key, **within)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "lenet"])
def test_the_losses_for_jax_and_autograd_are_the_emitted_ones(name: str) -> None:
    task = task_of(name)
    found = functional.loss_of(np, task)(list(task.first.values()), *task.batch.values())
    np.testing.assert_allclose(found, emitted(name)["loss"](task.first, **task.batch), rtol=2e-5)


def test_the_loss_of_lenet_needs_a_convolution_and_says_so() -> None:
    with pytest.raises(NotWritten, match="convolution"):
        functional.loss_of(np, task_of("lenet"))


@pytest.mark.parametrize("name", ["lenet", "gpt2"])
def test_the_optimisers_for_jax_and_autograd_take_the_emitted_steps(name: str) -> None:
    task = task_of(name)
    params = [v.copy() for v in task.first.values()]
    start, update = functional.optimiser(np, task)
    state = start(params)
    for _ in range(STEPS):
        _, grads = emitted(name)["loss_and_grad"](task.named(params), **task.batch)
        params, state = update(params, [grads[key] for key in task.first], state)
    _, expected = trained(name, STEPS)
    for key, value in task.named(params).items():
        np.testing.assert_allclose(value, expected[key], err_msg=key, rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(not HAS_TORCH, reason="PyTorch is not installed")
@pytest.mark.parametrize("name", ["cubic", "xor", "lenet", "gpt2"])
def test_torch_by_hand_takes_the_steps_of_the_emitted_trainer(name: str) -> None:
    from rivals import torch_eager

    steps = 200 if name == "cubic" else STEPS
    made = torch_eager.contestant(task_of(name))
    assert made.train is not None
    losses, params = trained(name, steps)
    np.testing.assert_allclose(made.train(steps)(), losses, rtol=1e-3)
    for key, value in made.params().items():
        np.testing.assert_allclose(value, params[key], err_msg=key, rtol=1e-2, atol=1e-4)


def test_matrix_products_alone_stay_finite_and_are_of_linear_layers() -> None:
    made = products.contestant(task_of("digits"))
    assert made.train is not None and list(made.train(50)()) == []
    with pytest.raises(NotWritten):
        products.contestant(task_of("gpt2"))


def test_a_task_reads_back(tmp_path: Path) -> None:
    from rivals.task import read

    task = task_of("xor")
    task.write(tmp_path)
    found = read(tmp_path, "xor", 2)
    assert found.threads == 2 and list(found.first) == list(task.first)
    np.testing.assert_array_equal(found.batch["y"], task.batch["y"])


def outcome(ours: float, hand: float) -> peers.Outcome:
    made = peers.Outcome(BY_NAME["xor"], 1)
    made.found = {"ours": Times((ours,)), "hand": Times((hand,)), "jax": "not installed"}
    made.said = {"ours": "numpy 2", "hand": "numpy 2"}
    return made


def test_the_table_names_peers_that_are_missing_and_says_which_aims_are_met() -> None:
    text = peers.table([outcome(1e-5, 4e-5)], ["hand", "jax"])
    row = text.splitlines()[2]
    assert "| 10.0 µs |" in row and "40.0 µs (0.250)" in row and "not installed" in row
    assert "yes: hand 0.250, at most 0.500" in row and "jax" not in row.split("|")[-2]
    assert "no: hand 1.00" in peers.table([outcome(4e-5, 4e-5)], ["hand"])


def test_who_computes_something_else_is_found() -> None:
    right = {"losses": np.ones(3), "params/w": np.array([1.0, 100.0])}
    near = {"losses": np.ones(3), "params/w": np.array([1.01, 100.0])}
    far = {"losses": np.ones(3), "params/w": np.array([3.0, 100.0])}
    assert peers.disagreement(near, right, 1e-3) == ""
    assert "`params/w` differs by 2.0e-02" in peers.disagreement(far, right, 1e-3)
    assert "shape" in peers.disagreement(right | {"losses": np.ones(2)}, right, 1e-3)
    assert "lacks" in peers.disagreement({"losses": np.ones(3)}, right, 1e-3)
    assert peers.disagreement(right | {"losses": np.full(3, np.nan)}, right, 1e-3) != ""


def test_the_plot_and_the_raw_times_are_written(tmp_path: Path) -> None:
    peers.plot([outcome(1e-5, 4e-5)], ["hand", "jax"], tmp_path / "a.svg")
    assert "<svg" in (tmp_path / "a.svg").read_text(encoding="utf-8")
    raw = json.loads(peers.raw([outcome(1e-5, 4e-5)]))
    assert raw["xor"] == {"ours": [1e-5], "hand": [4e-5], "jax": {"none": "not installed"}}


def test_the_command_measures_and_keeps_what_it_is_asked_to(tmp_path: Path) -> None:
    kept = tmp_path / "table.md"
    wishes = [
        "--only",
        "xor",
        "--peers",
        "hand",
        "products",
        "--rounds",
        "1",
        "--seconds",
        "0.004",
        "--level",
        "1",
    ]
    said = io.StringIO()
    with redirect_stdout(said):
        assert peers.main([*wishes, "-o", str(kept)]) == 0
    row = said.getvalue().splitlines()[2]
    assert row.startswith("| XOR 2-2-2, batch 4 | float32 |") and len(re.findall(r"\d (?:µ|m)?s\b", row)) == 3
    assert kept.read_text(encoding="utf-8") in said.getvalue()


def test_a_name_of_another_kind_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        peers.main(["-o", "times.txt"])
    assert "must end in .md, .svg, .png or .json" in capsys.readouterr().err


def test_every_aim_is_about_a_peer() -> None:
    workloads: list[Workload] = ALL
    assert {peer for workload in workloads for peer in workload.aims} <= set(peers.PEERS)
