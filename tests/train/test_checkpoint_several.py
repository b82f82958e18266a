"""The checkpoints of a folder: the newest two stay, the newest that is whole is used."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from flowgraph.errors import FlowError
from flowgraph.train.checkpoint import (
    Checkpoint,
    checkpoint_name,
    newest_checkpoint,
    read_checkpoint,
    write_checkpoint,
)


def test_the_newest_two_stay(tmp_path: Path) -> None:
    for step in (1, 2, 10, 99_999_999, 100_000_000):
        path = write_checkpoint(tmp_path, step, Checkpoint({}, {"step": step}))
        assert path.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint-100000000.flowckpt",
        "checkpoint-99999999.flowckpt",
    ]
    newest, warnings = newest_checkpoint(tmp_path)
    assert newest is not None and newest.about == {"step": 100_000_000} and not warnings


def test_other_files_stay(tmp_path: Path) -> None:
    others = {"checkpoint-1.flowckpt", "checkpoint-00000001.flowckpt.bak", "notes.txt"}
    for name in others:
        (tmp_path / name).write_bytes(b"mine")
    for step in (3, 4, 5):
        write_checkpoint(tmp_path, step, Checkpoint({}, {}))
    assert {p.name for p in tmp_path.iterdir()} == others | {checkpoint_name(4), checkpoint_name(5)}


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) == (None, [])
    assert newest_checkpoint(tmp_path / "missing") == (None, [])


def test_a_damaged_newest_is_named_and_the_one_before_is_used(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 100, Checkpoint({}, {"step": 100}))
    bad = write_checkpoint(tmp_path, 200, Checkpoint({}, {"step": 200}))
    bad.write_bytes(bad.read_bytes()[:-1])
    newest, (warning,) = newest_checkpoint(tmp_path)
    assert newest is not None and newest.about == {"step": 100}
    assert warning.code == "W0801" and not warning.is_error
    assert "checkpoint-00000200.flowckpt" in warning.message and "cut short" in warning.message
    assert "checkpoint-00000100.flowckpt" in warning.help


def test_all_damaged_is_an_error_that_names_each(tmp_path: Path) -> None:
    for step in (100, 200):
        write_checkpoint(tmp_path, step, Checkpoint({}, {}))
    for path in tmp_path.iterdir():
        path.write_bytes(b"\x80\x05.")
    with pytest.raises(FlowError) as caught:
        newest_checkpoint(tmp_path)
    assert [d.code for d in caught.value.diagnostics] == ["E0802", "E0802"]
    assert [Path(d.path).name for d in caught.value.diagnostics] == [
        checkpoint_name(200),
        checkpoint_name(100),
    ]


def test_going_back_to_an_earlier_step_leaves_the_later_ones_behind(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 100, Checkpoint({}, {"step": 100}))
    write_checkpoint(tmp_path, 200, Checkpoint({}, {})).write_bytes(b"damaged")
    write_checkpoint(tmp_path, 150, Checkpoint({}, {"step": 150}))
    assert sorted(p.name for p in tmp_path.iterdir()) == [checkpoint_name(100), checkpoint_name(150)]


def test_a_failed_write_leaves_the_old_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    for step in (1, 2):
        write_checkpoint(tmp_path, step, Checkpoint({"a": np.full(3, step)}, {}))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(FlowError, match=r"E0701.*No space left"):
            write_checkpoint(tmp_path, 3, Checkpoint({"a": np.ones(3)}, {}))
    assert sorted(p.name for p in tmp_path.iterdir()) == [checkpoint_name(1), checkpoint_name(2)]
    newest, warnings = newest_checkpoint(tmp_path)
    assert newest is not None and not warnings
    np.testing.assert_array_equal(newest.arrays["a"], [2, 2, 2])


def test_a_checkpoint_is_not_written_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"kept")
    run = tmp_path / "run"
    run.mkdir()
    (run / checkpoint_name(1)).symlink_to(outside)
    read_checkpoint(write_checkpoint(run, 1, Checkpoint({}, {})))
    assert outside.read_bytes() == b"kept"
