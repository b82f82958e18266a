"""Runs that are killed, and disks that are full: whatever happens, a whole checkpoint is there."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flowgraph.train.checkpoint import NAME, newest_checkpoint, read_checkpoint
from flowgraph.train.folder import RunFolder
from flowgraph.writing import temporary_of

ROOT = Path(__file__).resolve().parents[2]

WRITER = """
import sys
from pathlib import Path
import numpy as np
from flowgraph.train.checkpoint import Checkpoint, write_checkpoint
folder, size = Path(sys.argv[1]), int(sys.argv[2])
for step in range(1, 10**6):
    array = np.full(size, float(step))
    write_checkpoint(folder, step, Checkpoint({"a": array, "b": array[:3]}, {"step": step}))
    print(step, flush=True)
"""


def kill_while_writing(folder: Path, seed: int) -> int:
    """Kill a process that writes one checkpoint after the other, at a random instant; the step that
    it had written last."""
    size = 300_000
    command = [sys.executable, "-c", WRITER, str(folder), str(size)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(random.Random(seed).uniform(0, 0.08))
        writer.kill()
        rest = writer.stdout.read().split()
    return int(rest[-1]) if rest else 1


def check_kills(tmp_path: Path, kills: int) -> int:
    """Assert that no kill tears a file or loses more than the step being written; how many of the
    kills struck in the middle of a write."""
    torn, temporaries = [], 0
    for seed in range(kills):
        folder = tmp_path / str(seed)
        folder.mkdir()
        last = kill_while_writing(folder, seed)
        newest, warnings = newest_checkpoint(folder)
        torn += warnings
        assert newest is not None and newest.about["step"] in (last, last + 1)
        assert (newest.arrays["a"] == newest.about["step"]).all()
        for path in folder.iterdir():
            if NAME.fullmatch(path.name):
                read_checkpoint(path)
            else:
                assert temporary_of(path.name)
                temporaries += 1
        with RunFolder(folder) as run:
            run.prepare(resume=True)
        assert not [p.name for p in folder.iterdir() if temporary_of(p.name)]
    assert torn == []
    return temporaries


def test_a_killed_writer_leaves_whole_checkpoints(tmp_path: Path) -> None:
    check_kills(tmp_path, 5)


@pytest.mark.slow
def test_a_writer_killed_30_times_leaves_whole_checkpoints(tmp_path: Path) -> None:
    assert check_kills(tmp_path, 30) > 5, "the kills should strike while a file is being written"


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from flowgraph.errors import FlowError
from flowgraph.train.checkpoint import Checkpoint, write_checkpoint
from flowgraph.train.folder import RunFolder
run = RunFolder(sys.argv[1])
run.prepare(resume=False)
run.write_config({})
run.open_log(["step", "loss"])
for step in (1, 2):
    run.log_row([step, 0.5])
    write_checkpoint(run.path, step, Checkpoint({"a": np.zeros(10)}, {"log": run.sync_log()}))
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
def attempt(action):
    try:
        action()
    except FlowError as error:
        print(*(d.code + " " + d.message for d in error.diagnostics))
def log():
    for step in range(3, 1000):
        run.log_row([step, 0.5])
attempt(lambda: write_checkpoint(run.path, 3, Checkpoint({"a": np.zeros(1000)}, {})))
attempt(lambda: run.write_model({"a": np.zeros(1000)}))
attempt(log)
attempt(run.write_curve)
"""


def test_a_full_disk_is_said_and_the_last_checkpoint_is_intact(tmp_path: Path) -> None:
    # A limit on the size of files stands for the end of the disk.
    folder = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    said = done.stdout.splitlines()
    files = ["checkpoint-00000003.flowckpt", "model.safetensors", "log.csv", "loss.png"]
    assert len(said) == len(files)
    for line, file in zip(said, files, strict=True):
        assert line.startswith("E0701") and file in line and line.endswith("File too large")
    newest, warnings = newest_checkpoint(folder)
    assert newest is not None and warnings == [] and newest.about["log"] == len("step,loss\n1,0.5\n2,0.5\n")
    assert not [p.name for p in folder.iterdir() if temporary_of(p.name)]
    rows = (folder / "log.csv").read_text().splitlines()
    assert all(row.endswith(",0.5") for row in rows[1:]), "no row is torn"
    with RunFolder(folder) as run:
        run.prepare(resume=True)
        run.open_log(["step", "loss"], newest.about["log"])
    assert (folder / "log.csv").read_text() == "step,loss\n1,0.5\n2,0.5\n"
