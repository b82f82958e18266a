"""Digits: the shipped csv, and the network that reads at least 97 % of those it has never seen."""

from __future__ import annotations

import contextlib
import csv
import functools
import itertools
from pathlib import Path

import numpy as np
import pytest
from running import EXAMPLES, example, execute, initial
from trained import TARGETS, Arrays, one_thread, steps, trained

from flowgraph.cli.main import main

STEPS = 30 * 45
"""The file's 30 epochs of 45 batches: 1438 rows for training, 32 in a batch."""


@functools.cache
def table() -> np.ndarray:
    """The csv, [1797, 65], without flowgraph's reader."""
    path = EXAMPLES["digits"].parent / "digits.csv"
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == [*(f"x{i}" for i in range(64)), "y"]
    return np.array(rows, dtype=int)


def parts() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The rows for training and the held-out fifth, as `split 0.8` draws them."""
    rows = table()
    order = np.random.default_rng(0).permutation(len(rows))
    chosen = order[: round(0.8 * len(rows))], order[round(0.8 * len(rows)) :]
    training, held_out = (rows[np.sort(part)] for part in chosen)
    return (
        {"x": training[:, :64].astype(float), "y": training[:, 64]},
        {"x": held_out[:, :64].astype(float), "y": held_out[:, 64]},
    )


def share_right(params: Arrays, data: Arrays) -> float:
    """The accuracy of the network, written by hand."""
    h = np.maximum(data["x"] / 16 @ params["h.linear.weight"].T + params["h.linear.bias"], 0)
    answers = np.argmax(h @ params["z.weight"].T + params["z.bias"], axis=1)
    return float(np.mean(answers == data["y"]))


def test_the_csv_is_the_data_set() -> None:
    """1797 images of whole numbers 0 to 16; how many there are of each digit, as UCI's test set says."""
    rows = table()
    assert rows.shape == (1797, 65)
    assert rows[:, :64].min() == 0
    assert rows[:, :64].max() == 16
    assert np.bincount(rows[:, 64]).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert rows[0, :16].tolist() == [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0]
    assert rows[:, :64].sum() == 561718


def test_the_reader_sees_the_same_rows() -> None:
    data = example("digits").run().data.columns
    np.testing.assert_array_equal(data["x"], table()[:, :64])
    np.testing.assert_array_equal(data["y"], table()[:, 64])


def accuracy_after_training(target: str, seed: int) -> float:
    """On the held-out fifth, after the file's training in float32 by the emitted module alone."""
    training, held_out = parts()
    diagram = example("digits")
    first = initial(diagram, seed)
    return share_right(trained(target, diagram, training, first, STEPS, dtype="float32", seed=seed), held_out)


@pytest.mark.parametrize("target", TARGETS)
def test_97_percent_of_the_held_out_fifth_are_read(target: str) -> None:
    assert [len(part["y"]) for part in parts()] == [1438, 359]
    assert accuracy_after_training(target, 0) >= 0.97


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_from_other_seeds_too(seed: int) -> None:
    assert accuracy_after_training("numpy", seed) >= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("target", TARGETS)
def test_from_many_seeds_in_both_targets(target: str, seed: int) -> None:
    assert accuracy_after_training(target, seed) >= 0.97


def test_both_targets_go_the_same_way() -> None:
    """For the first epoch in float64, at each of its steps."""
    training, _ = parts()
    diagram = example("digits")
    paths = [steps(target, diagram, training, initial(diagram)) for target in TARGETS]
    for together in itertools.islice(zip(*paths, strict=True), 45):
        for other in together[1:]:
            assert other.loss == pytest.approx(together[0].loss, rel=1e-9)
            for name, value in together[0].params.items():
                np.testing.assert_allclose(other.params[name], value, rtol=1e-9, atol=1e-9)


def test_the_trainer_runs_the_same_batches() -> None:
    training, _ = parts()
    space = execute(example("digits").compile("numpy", dtype="float64"))
    trainer = space["Trainer"](space["init"](0))
    trainer.run(**training, steps=90)
    expected = trained("numpy", example("digits"), training, initial(example("digits")), 90)
    for name, value in trainer.params.items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.parametrize("target", TARGETS)
def test_the_command_trains_as_the_emitted_module_does(
    target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`flowc train` from the same seed: the same batches, hence the same accuracy to rounding."""
    folder = tmp_path / "run"
    command = ["train", str(EXAMPLES["digits"]), "--target", target, "--epochs", "3", "--out", str(folder)]
    with one_thread() if target == "torch" else contextlib.nullcontext():
        assert main([*command, "--dtype", "float64"]) == 0
    capsys.readouterr()
    with (folder / "log.csv").open(encoding="utf-8", newline="") as file:
        log = list(csv.DictReader(file))
    assert [row["step"] for row in log] == ["45", "90", "135"]
    training, held_out = parts()
    expected = trained(target, example("digits"), training, initial(example("digits")), 135)
    assert float(log[-1]["val_accuracy"]) == pytest.approx(share_right(expected, held_out), abs=1e-12)
    from safetensors.numpy import load_file

    for name, value in load_file(folder / "model.safetensors").items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-9, atol=1e-9)
