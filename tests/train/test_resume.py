"""Nothing lost: runs that are killed or stopped and go on equal runs that nobody disturbed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running import HAS_TORCH

from flowgraph.cli.main import main

NET = """
input x : [2]
target y
f = x |> linear(8) |> tanh |> linear(1) |> sum
loss mse(f, y)
metric mae(f, y)
train adam(lr=0.01), epochs=60, batch=7, seed=3
data 40 {
    x = [uniform(-1, 1), normal()]
    y = sin(x[0]) * x[1]
}
"""
KEPT = ("model.safetensors", "log.csv")
"""What a run leaves that must not depend on how often it was interrupted."""

COMMAND = [sys.executable, "-c", "from flowgraph.cli.main import run; run()"]


def net(folder: Path, text: str = NET) -> str:
    path = folder / "net.flow"
    path.write_text(text)
    return str(path)


def options(out: Path, *more: str) -> list[str]:
    return ["--out", str(out), "--resume", "--log", "5", *more]


def start(file: str, out: Path, *more: str) -> subprocess.Popen[str]:
    arguments = [*COMMAND, "train", file, *options(out, *more)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kept(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in KEPT}


def last_step(out: Path) -> int:
    """The step of the newest checkpoint, 0 without any."""
    return max((int(p.stem.partition("-")[2]) for p in out.glob("checkpoint-*")), default=0)


def wait_for_step(process: subprocess.Popen[str], out: Path, step: int) -> None:
    """Wait until the run has kept a step beyond this one, or has ended."""
    end = time.monotonic() + 60
    while last_step(out) <= step and process.poll() is None:
        assert time.monotonic() < end, "the run does not move"
        time.sleep(0.002)


def end_by(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    """Send a signal; the exit code, and what was said on standard error."""
    process.send_signal(number)
    return (process.communicate(timeout=60)[1], process.returncode)[::-1]  # type: ignore[return-value]


def kill_again_and_again(file: str, out: Path, times: int, rng: random.Random, *more: str) -> list[int]:
    """Start a run without end and kill it, so often; the steps that it had kept each time."""
    steps = [0]
    for _ in range(times):
        process = start(file, out, "--save-every", "4", "--steps", "1000000", *more)
        if rng.random() < 0.8:  # else perhaps before it has kept anything new
            wait_for_step(process, out, steps[-1])
        time.sleep(rng.uniform(0.0, 0.1))
        code, err = end_by(process, signal.SIGKILL)
        assert code == -signal.SIGKILL, err
        steps.append(last_step(out))
    return steps[1:]


def assert_equal_after_kills(folder: Path, times: int, seed: int, *more: str) -> None:
    file, torn, whole = net(folder), folder / "torn", folder / "whole"
    steps = kill_again_and_again(file, torn, times, random.Random(seed), *more)
    assert sorted(steps) == steps and len(set(steps)) > times // 2
    assert any(step % 6 for step in steps), "none was killed within an epoch, which has six steps"
    end = str(steps[-1] + 31)
    for out in (torn, whole):
        assert main(["train", file, *options(out, "--save-every", "100", "--steps", end, *more)]) == 0
    assert kept(torn) == kept(whole)


def test_a_run_killed_again_and_again_equals_an_undisturbed_one(tmp_path: Path) -> None:
    assert_equal_after_kills(tmp_path, 4, 0)


@pytest.mark.slow
def test_thirty_kills_tear_nothing(tmp_path: Path) -> None:
    assert_equal_after_kills(tmp_path, 30, 1)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
def test_kills_of_the_torch_target_tear_nothing(tmp_path: Path) -> None:
    assert_equal_after_kills(tmp_path, 5, 2, "--target", "torch")


def test_a_run_goes_on_from_within_an_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = net(tmp_path)
    assert main(["train", file, *options(tmp_path / "two", "--steps", "9")]) == 0  # of six an epoch
    capsys.readouterr()
    assert main(["train", file, *options(tmp_path / "two", "--steps", "40")]) == 0
    assert "going on after step 9 of 40\n" in capsys.readouterr().err
    assert main(["train", file, *options(tmp_path / "one", "--steps", "40")]) == 0
    assert kept(tmp_path / "two")["model.safetensors"] == kept(tmp_path / "one")["model.safetensors"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_keeps_its_last_step(number: signal.Signals, tmp_path: Path) -> None:
    file, out = net(tmp_path), tmp_path / "run"
    process = start(file, out, "--epochs", "200000", "--save-every", "100")
    wait_for_step(process, out, 100)
    code, err = end_by(process, number)
    assert code == 130
    assert err.endswith(f"stopped at step {last_step(out)} of 1200000; go on with --resume\n")
    assert last_step(out) % 100, "it was stopped between two checkpoints"
    more = ["--steps", str(last_step(out) + 7)]
    assert main(["train", file, *options(out, *more)]) == 0
    assert main(["train", file, *options(tmp_path / "whole", *more)]) == 0
    assert kept(out)["model.safetensors"] == kept(tmp_path / "whole")["model.safetensors"]


def test_without_a_folder_a_stopped_run_says_that_nothing_is_kept(tmp_path: Path) -> None:
    arguments = [*COMMAND, "train", net(tmp_path), "--epochs", "1000000000", "--log", "1"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    process.stderr.readline()
    code, err = end_by(process, signal.SIGINT)
    assert code == 130 and err.rstrip().endswith("without --out nothing of it is kept")


# -- in one process


def run(file: str, out: Path, *more: str) -> int:
    return main(["train", file, *options(out, *more)])


def test_a_folder_without_a_checkpoint_is_begun_anew(tmp_path: Path) -> None:
    file = net(tmp_path)
    assert run(file, tmp_path / "whole", "--epochs", "3") == 0
    (tmp_path / "empty").mkdir()
    assert run(file, tmp_path / "empty", "--epochs", "3") == 0
    assert run(file, tmp_path / "killed", "--epochs", "3") == 0
    for path in (tmp_path / "killed").glob("checkpoint-*"):  # as if killed before the first was written
        path.unlink()
    (tmp_path / "killed" / "model.safetensors").unlink()
    assert run(file, tmp_path / "killed", "--epochs", "3") == 0
    assert kept(tmp_path / "empty") == kept(tmp_path / "killed") == kept(tmp_path / "whole")


def test_parameters_whose_checkpoints_are_gone_are_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = net(tmp_path), tmp_path / "run"
    assert run(file, out, "--epochs", "3") == 0
    for path in out.glob("checkpoint-*"):
        path.unlink()
    files = kept(out)
    assert run(file, out, "--epochs", "1") == 1
    err = capsys.readouterr().err
    assert "E0804" in err and "no checkpoint to go on from" in err and "--params" in err
    assert kept(out) == files


def test_params_beside_a_checkpoint_are_said_to_be_first_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = net(tmp_path), tmp_path / "run"
    params = ("--params", str(out / "model.safetensors"))
    assert run(file, out, "--epochs", "3") == 0
    assert run(file, out, "--epochs", "4", *params) == 0
    assert "parameters are those of the checkpoint" in capsys.readouterr().err
    assert run(file, tmp_path / "whole", "--epochs", "4") == 0
    assert kept(out)["model.safetensors"] == kept(tmp_path / "whole")["model.safetensors"]


def test_a_finished_run_says_so_and_mends_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = net(tmp_path), tmp_path / "run"
    assert run(file, out, "--epochs", "3") == 0
    first, files = capsys.readouterr().out, kept(out)
    (out / "model.safetensors").unlink()
    assert run(file, out, "--epochs", "3") == 0
    again, err = capsys.readouterr()
    assert again.splitlines()[:3] == first.splitlines()[:3]
    assert "18 steps, 3 epochs\n" in again
    assert "the run has taken its 18 steps already" in err
    assert kept(out) == files


def test_more_epochs_go_on_where_the_run_ended(tmp_path: Path) -> None:
    file = net(tmp_path)
    assert run(file, tmp_path / "two", "--epochs", "5") == 0  # 30 steps: a row every 5 ends with it
    assert run(file, tmp_path / "two", "--epochs", "10") == 0
    assert run(file, tmp_path / "one", "--epochs", "10") == 0
    assert kept(tmp_path / "two") == kept(tmp_path / "one")


@pytest.mark.parametrize(
    "more, text, said",
    [
        (["--seed", "4"], NET, "`seed` was 3, now 4"),
        (["--batch", "8"], NET, "`batch` was 7, now 8"),
        (["--lr", "0.5"], NET, "`optimiser.lr` was 0.01, now 0.5"),
        (["--dtype", "float64"], NET, "`dtype` was float32, now float64"),
        ([], NET.replace("linear(8)", "linear(9)"), "the param `f.linear.weight` was [8, 2], now [9, 2]"),
        ([], NET.replace("tanh", "sigmoid"), "sigmoid"),
        ([], NET.replace("data 40", "data 41"), "`examples` was 40, now 41"),
        ([], NET.replace("sin", "cos"), "the data hold other values"),
    ],
)
def test_another_run_is_refused_with_the_differences(
    more: list[str], text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run(net(tmp_path), out, "--epochs", "2") == 0
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    capsys.readouterr()
    assert run(net(tmp_path, text), out, "--epochs", "3", *more) == 1
    err = capsys.readouterr().err
    assert "error[E0803]" in err and said in err and "checkpoint-00000012.flowckpt" in err
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = net(tmp_path), tmp_path / "run"
    assert run(file, out, "--epochs", "5", "--save-every", "9") == 0
    files = kept(out)
    newest = out / "checkpoint-00000030.flowckpt"
    data = bytearray(newest.read_bytes())
    data[-5] ^= 1
    newest.write_bytes(data)
    capsys.readouterr()
    assert run(file, out, "--epochs", "5", "--save-every", "9") == 0
    err = capsys.readouterr().err
    assert "warning[W0801]" in err and newest.name in err and "going on after step 27 of 30" in err
    assert kept(out) == files


def test_a_folder_that_cannot_be_written_is_named_and_nothing_of_it_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = net(tmp_path), tmp_path / "run"
    assert run(file, out, "--epochs", "2") == 0

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        capsys.readouterr()
        assert run(file, out, "--epochs", "5") == 1
    err = capsys.readouterr().err
    assert "error[E0701]" in err and "No space left on device" in err and last_step(out) == 12
    assert run(file, out, "--epochs", "5") == 0
    assert run(file, tmp_path / "whole", "--epochs", "5") == 0
    assert kept(out)["model.safetensors"] == kept(tmp_path / "whole")["model.safetensors"]
