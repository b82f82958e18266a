"""`python -m flowgraph.train` in several processes: files, messages, and what is left of those that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from processes import children, environment, free_port, together, torchrun

from flowgraph.cli.main import main

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")


TEXT = """
input x : [3]
target y : class(3)
hidden = linear(x, 4)
z = linear(tanh(hidden), 3)
loss cross_entropy(z, y)
loss penalty = 0.05 * sum(hidden.weight ^ 2)
metric accuracy(z, y)
train adam(lr=0.05), clip=0.5, epochs=2, batch=6
data "d.csv" split 0.8
"""
MODULE = ["-m", "flowgraph.train"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A diagram with data: 26 examples for training in batches of 6, the last of 2."""
    rng = np.random.default_rng(0)
    rows = [[*map(repr, map(float, x)), str(int(x.argmax()))] for x in rng.normal(size=(33, 3))]
    (tmp_path / "d.csv").write_text("\n".join(map(",".join, [["x0", "x1", "x2", "y"], *rows])) + "\n")
    path = tmp_path / "d.flow"
    path.write_text(TEXT)
    return path


def model(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    found: dict[str, np.ndarray] = load_file(folder / "model.safetensors")
    return found


def test_torchrun_trains_and_one_process_goes_on(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = torchrun("-m", "flowgraph.train", "--", file, "--out", tmp_path / "two", "--log", "5")
    assert ended.code == 0, ended.err
    assert ended.out.count("training          26") == 1, "one process prints the table"
    assert ended.err.count("epoch 2/2") == 1, "and the progress"
    line = ["train", str(file), "--target", "torch", "--device", "cpu"]
    assert main([*line, "--out", str(tmp_path / "one")]) == 0
    here, there = model(tmp_path / "one"), model(tmp_path / "two")
    assert list(here) == list(there)
    for name, array in here.items():
        np.testing.assert_allclose(there[name], array, rtol=1e-6, atol=1e-6)
    longer = [*line, "--epochs", "3", "--out"]
    assert main([*longer, str(tmp_path / "two"), "--resume", "--log", "5"]) == 0
    assert main([*longer, str(tmp_path / "three")]) == 0
    assert "going on after step 10" in capsys.readouterr().err
    for name, array in model(tmp_path / "three").items():
        np.testing.assert_allclose(model(tmp_path / "two")[name], array, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_a_split_model_is_saved_whole_and_resumed_by_one_process(file: Path, tmp_path: Path) -> None:
    line = [*MODULE, str(file), "--dtype", "float64", "--out", str(tmp_path / "run")]
    for ended in together([*line, "--fsdp"], [*line, "--fsdp"]):
        assert (ended.code, "E0" in ended.err) == (0, False), ended.err
    again = [*line, "--fsdp", "--resume"]  # nothing is left to do: parameters and table are the same
    assert [e.code for e in together(again, again)] == [0, 0]
    alone = [
        "train",
        str(file),
        "--target",
        "torch",
        "--device",
        "cpu",
        "--dtype",
        "float64",
        "--epochs",
        "3",
    ]
    assert main([*alone, "--out", str(tmp_path / "run"), "--resume"]) == 0
    assert main([*alone, "--out", str(tmp_path / "alone")]) == 0
    for name, array in model(tmp_path / "alone").items():
        np.testing.assert_allclose(model(tmp_path / "run")[name], array, rtol=1e-12, atol=1e-12)


def spoken(*lines: list[str], **more: str) -> str:
    """What processes that all fail say, which one of them does."""
    ended = together(*lines, **more)
    assert all(e.code in (1, 2) and not e.out for e in ended), ended
    said = [e.err for e in ended if e.err]
    assert len(said) == 1, said
    return said[0]


@pytest.mark.slow
def test_one_process_says_what_is_wrong(file: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.flow"
    bad.write_text("input x : [3]\nloss mse(x, q)\n")
    assert "`q` is not defined" in spoken([*MODULE, str(bad)], [*MODULE, str(bad)])
    line = [*MODULE, str(file)]
    assert "No such option" in spoken([*line, "--nonsense"], [*line, "--nonsense"])
    numpy = [*line, "--target", "numpy"]
    assert "the numpy target trains in one process" in spoken(numpy, numpy)
    assert "the loss is" in spoken([*line, "--lr", "1e30"], [*line, "--lr", "1e30"])


@pytest.mark.slow
def test_what_goes_wrong_in_one_process_ends_all(file: Path, tmp_path: Path) -> None:
    line = [*MODULE, str(file)]
    assert "`none.csv` cannot be used" in spoken(line, [*line, "--data", "none.csv"])
    other = tmp_path / "other.csv"
    other.write_text((tmp_path / "d.csv").read_text().replace(",1\n", ",2\n", 1))
    assert "do not have the same data" in spoken(line, [*line, "--data", str(other)])
    assert "do not have the same diagrams or settings" in spoken(line, [*line, "--lr", "1"])
    (tmp_path / "log.csv").write_text("mine\n")
    assert "no run wrote" in spoken(*[[*line, "--out", str(tmp_path)]] * 2)


@pytest.mark.slow
def test_a_process_that_waits_in_vain_says_so(file: Path) -> None:
    more = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    env = environment(FLOWC_TIMEOUT="1", **more)
    ended = subprocess.run([sys.executable, *MODULE, str(file)], env=env, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error[E0806]: process 1 of 2 cannot join the others by gloo")


@pytest.mark.slow
def test_a_run_started_again_by_torchrun_ends_as_if_nothing_had_been(file: Path, tmp_path: Path) -> None:
    line = ["--max-restarts", "2", "-m", "flowgraph.train", "--", file, "--steps", "3000"]
    line += ["--log", "100", "--save-every", "100", "--resume", "--out"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launcher += ["--master-port", str(free_port()), *map(str, line), str(tmp_path / "killed")]
    with subprocess.Popen(launcher, env=environment(), text=True, stderr=subprocess.PIPE) as process:
        while not any((tmp_path / "killed").glob("checkpoint-*")):
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(max(children(process.pid)), signal.SIGKILL)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "going on after step" in err
    assert torchrun(*line, tmp_path / "whole").code == 0
    for name in ("log.csv", "model.safetensors"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
