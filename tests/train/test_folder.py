"""The folder of a run: what may be written into it, and the log that is cut back on resume."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from flowgraph.errors import FlowError
from flowgraph.train.checkpoint import Checkpoint, checkpoint_name, write_checkpoint
from flowgraph.train.folder import LOCK, RunFolder

COLUMNS = ["step", "epoch", "lr", "loss"]


def error_of(action: object, *arguments: object, **options: object) -> str:
    """Code, message and help of the one error that an action ends with."""
    assert callable(action)
    with pytest.raises(FlowError) as caught:
        action(*arguments, **options)
    (diagnostic,) = caught.value.diagnostics
    return f"{diagnostic.code} {diagnostic.message} {diagnostic.help}"


def a_run(path: Path, rows: int = 3) -> int:
    """Make a folder with a run of some rows in it; the length of its log."""
    with RunFolder(path) as run:
        run.prepare(resume=False)
        run.write_config({"seed": 0})
        run.open_log(COLUMNS)
        for step in range(1, rows + 1):
            run.log_row([step, 1, 0.1, 1 / step])
        length = run.sync_log()
        write_checkpoint(path, rows, Checkpoint({}, {"log": length}))
    return length


def visible(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir() if p.name != LOCK)


# -- taking a folder


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "a" / "b") as run:
        run.prepare(resume=False)
    assert visible(tmp_path / "a" / "b") == []


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    a_run(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    said = error_of(RunFolder(tmp_path).prepare, resume=False)
    assert said.startswith("E0804") and "holds a run already" in said and "--resume" in said
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_run_is_gone_on_with(tmp_path: Path) -> None:
    a_run(tmp_path)
    with RunFolder(tmp_path) as run:
        run.prepare(resume=True)


def test_resume_without_a_run_begins_one(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "new") as run:
        run.prepare(resume=True)
        run.write_config({})
    with RunFolder(tmp_path / "new") as run:
        run.prepare(resume=True)


def test_files_of_others_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".notes.x.tmp").write_text("mine")
    a_run(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == (tmp_path / ".notes.x.tmp").read_text() == "mine"


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", ["config.json", "log.csv", "model.safetensors", "loss.png"])
def test_files_that_no_run_wrote_are_not_overwritten(tmp_path: Path, name: str, resume: bool) -> None:
    (tmp_path / name).write_text('{"name": "mine"}')
    said = error_of(RunFolder(tmp_path).prepare, resume=resume)
    assert said.startswith("E0804") and f"`{name}`, which no run wrote" in said and "--out" in said
    assert visible(tmp_path) == [name] and (tmp_path / name).read_text() == '{"name": "mine"}'


@pytest.mark.parametrize(
    "name", ["config.json", "log.csv", "model.safetensors", "loss.png", checkpoint_name(7)]
)
def test_links_are_refused(tmp_path: Path, name: str) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "run"
    outside.write_text("kept")
    a_run(folder)
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(outside)
    said = error_of(RunFolder(folder).prepare, resume=True)
    assert said.startswith("E0804") and f"`{name}`, which is a link" in said
    assert outside.read_text() == "kept"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    assert "is there already, and is no folder" in error_of(RunFolder(tmp_path / "a").prepare, resume=False)
    assert error_of(RunFolder(tmp_path / "a" / "b").prepare, resume=False).startswith("E0701")
    assert error_of(RunFolder("a\0b").prepare, resume=False).startswith("E0701")
    assert (tmp_path / "a").read_text() == "mine"


def test_a_read_only_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def read_only(path: object, flags: int, *rest: object, **options: object) -> int:
        if flags & os.O_CREAT:
            raise OSError(30, "Read-only file system")
        return opened(path, flags, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", read_only)
    said = error_of(RunFolder(tmp_path).prepare, resume=False)
    assert said.startswith("E0701") and "Read-only file system" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "Permission denied" in error_of(RunFolder(tmp_path).prepare, resume=False)
    tmp_path.chmod(0o700)


def test_two_runs_do_not_write_one_folder(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as first:
        first.prepare(resume=False)
        said = error_of(RunFolder(tmp_path).prepare, resume=True)
        assert said.startswith("E0804") and "another run" in said
    with RunFolder(tmp_path) as second:
        second.prepare(resume=True)


def test_what_a_killed_run_left_behind_is_removed(tmp_path: Path) -> None:
    a_run(tmp_path)
    ours = [".model.safetensors.abc123_x.flowgraph-tmp", f".{checkpoint_name(7)}.zzzzzzzz.flowgraph-tmp"]
    others = [".notes.txt.abcdefgh.flowgraph-tmp", ".model.safetensors.abcdefgh.tmp"]
    for name in ours + others:
        (tmp_path / name).write_bytes(b"half")
    with RunFolder(tmp_path) as run:
        run.prepare(resume=True)
    assert [name in visible(tmp_path) for name in ours + others] == [False, False, True, True]


# -- the files


def test_the_config_is_sorted_and_says_what_it_is(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        run.prepare(resume=False)
        run.write_config({"seed": 0, "batch": "all", "optimiser": {"name": "sgd", "lr": 0.1}})
        text = (tmp_path / "config.json").read_text()
        run.write_config({"optimiser": {"lr": 0.1, "name": "sgd"}, "batch": "all", "seed": 0})
    assert (tmp_path / "config.json").read_text() == text
    assert list(json.loads(text)) == ["batch", "format", "optimiser", "seed"]
    assert text.endswith("}\n")


def test_the_model_is_read_by_others(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    params = {
        "W": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "b": np.array(0.5),
        "e": np.zeros((0, 2), np.float32),
    }
    with RunFolder(tmp_path) as run:
        run.prepare(resume=False)
        run.write_model(params)
    back = load_file(tmp_path / "model.safetensors")
    assert set(back) == set(params)
    for name, array in params.items():
        assert back[name].dtype == array.dtype and back[name].shape == array.shape
        np.testing.assert_array_equal(back[name], array)


def test_the_model_is_read_by_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from safetensors.torch import load_file

    with RunFolder(tmp_path) as run:
        run.prepare(resume=False)
        run.write_model({"W": np.eye(2, 3)})
    assert torch.equal(load_file(tmp_path / "model.safetensors")["W"], torch.eye(2, 3, dtype=torch.float64))


# -- the log


def test_numbers_of_the_log_read_back_exactly(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        run.prepare(resume=False)
        run.open_log(["step", "a", "b", "c"])
        run.log_row([1, 0.1 + 0.2, np.float64(1 / 3), np.float32(0.1)])
        run.log_row([np.int64(2), float("nan"), float("-inf"), None])
        text = (tmp_path / "log.csv").read_text()
        assert run.sync_log() == len(text)
    assert text == (
        f"step,a,b,c\n1,0.30000000000000004,0.3333333333333333,{float(np.float32(0.1))!r}\n2,nan,-inf,\n"
    )


def test_a_row_is_there_at_once(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        run.prepare(resume=False)
        run.open_log(COLUMNS)
        run.log_row([1, 1, 0.1, 0.5])
        assert (tmp_path / "log.csv").read_text() == "step,epoch,lr,loss\n1,1,0.1,0.5\n"


def test_rows_after_the_checkpoint_are_cut(tmp_path: Path) -> None:
    length = a_run(tmp_path / "a", rows=2)
    undisturbed = tmp_path / "b"
    a_run(undisturbed, rows=4)
    with (tmp_path / "a" / "log.csv").open("a") as file:
        file.write("3,1,0.1,0.33333")  # a row that the kill tore
    with RunFolder(tmp_path / "a") as run:
        run.prepare(resume=True)
        run.open_log(COLUMNS, length)
        for step in (3, 4):
            run.log_row([step, 1, 0.1, 1 / step])
        assert run.sync_log() == (undisturbed / "log.csv").stat().st_size
    assert (tmp_path / "a" / "log.csv").read_bytes() == (undisturbed / "log.csv").read_bytes()


def test_a_run_killed_before_its_first_checkpoint_begins_its_log_anew(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        run.prepare(resume=False)
        run.write_config({})
        run.open_log(COLUMNS)
        run.log_row([1, 1, 0.1, 0.5])
    with RunFolder(tmp_path) as run:
        run.prepare(resume=True)
        run.open_log(COLUMNS)
    assert (tmp_path / "log.csv").read_text() == "step,epoch,lr,loss\n"


def resumed_log(path: Path, at_bytes: int, columns: list[str] = COLUMNS) -> str:
    with RunFolder(path) as run:
        run.prepare(resume=True)
        return error_of(run.open_log, columns, at_bytes)


def test_a_log_that_is_not_the_checkpoints_is_refused(tmp_path: Path) -> None:
    length = a_run(tmp_path)
    log = tmp_path / "log.csv"
    good = log.read_bytes()
    said = resumed_log(tmp_path, length, [*COLUMNS, "accuracy"])
    assert (
        said.startswith("E0803") and "`step,epoch,lr,loss`, and this run has `step,epoch,lr,loss,acc" in said
    )
    assert "no row ends at byte" in resumed_log(tmp_path, length - 1)
    assert "no row ends at byte" in resumed_log(tmp_path, 0)
    assert f"{length} bytes, and it had {length + 9}" in resumed_log(tmp_path, length + 9)
    assert log.read_bytes() == good, "a refused log is not touched"
    log.unlink()
    said = resumed_log(tmp_path, length)
    assert said.startswith("E0804") and "a checkpoint and no `log.csv`" in said and not log.exists()


def test_a_full_disk_tears_no_row(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        run.prepare(resume=False)
        run.open_log(COLUMNS)
        run.log_row([1, 1, 0.1, 0.5])
        real = os.dup(run._log)
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, run._log)
        said = error_of(run.log_row, [2, 1, 0.1, 0.25])
        assert said.startswith("E0701") and "No space left on device" in said and "make room" in said
        os.dup2(real, run._log)
        run.log_row([2, 1, 0.1, 0.25])
        os.close(real)
        os.close(full)
    assert (tmp_path / "log.csv").read_text() == "step,epoch,lr,loss\n1,1,0.1,0.5\n2,1,0.1,0.25\n"


def test_a_row_written_in_part_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, calls = os.write, []

    def partly(handle: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) == 1:
            return write(handle, data[:3])
        raise OSError(28, "No space left on device")

    with RunFolder(tmp_path) as run:
        run.prepare(resume=False)
        run.open_log(COLUMNS)
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", partly)
            assert error_of(run.log_row, [1, 1, 0.1, 0.5]).startswith("E0701")
    assert (tmp_path / "log.csv").read_text() == "step,epoch,lr,loss\n"


def test_a_log_that_does_not_reach_the_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: int) -> None:
        raise OSError(5, "Input/output error")

    with RunFolder(tmp_path) as run:
        run.prepare(resume=False)
        run.open_log(COLUMNS)
        monkeypatch.setattr(os, "fsync", failing)
        assert error_of(run.sync_log).startswith("E0701")


# -- the picture


def test_the_picture_is_drawn_from_the_log(tmp_path: Path) -> None:
    a_run(tmp_path)
    with RunFolder(tmp_path) as run:
        run.prepare(resume=True)
        run.write_curve()
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_a_log_that_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    a_run(tmp_path)
    for text in ("", "a,b\n1,2\n", "step,loss\n1\n", "step,loss\n1,x\n"):
        (tmp_path / "log.csv").write_text(text)
        assert error_of(RunFolder(tmp_path).write_curve).startswith("E0804")
    (tmp_path / "log.csv").unlink()
    assert error_of(RunFolder(tmp_path).write_curve).startswith("E0804")
