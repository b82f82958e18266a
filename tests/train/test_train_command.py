"""`flowc train`: what it prints where, what it writes, and what it refuses."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from running import EXAMPLES, HAS_TORCH

from flowgraph.cli.main import main
from flowgraph.data.arrays import read_arrays
from flowgraph.diagram import load
from flowgraph.errors import Diagnostics
from flowgraph.train import start as starting
from flowgraph.train.progress import Moment, clock, duration, facts, fitting, speed

Capture = pytest.CaptureFixture[str]

IRIS = str(EXAMPLES["iris"])
LINE = """
input x
target y
param a = 0
param b = 0
f = a * x + b
loss mse(f, y)
metric mae(f, y)
train sgd(lr=0.1), epochs=30, batch=2
data { x | y
       0 | 1
       1 | 3
       2 | 5
       3 | 7 }
"""


def flow(folder: Path, text: str = LINE) -> str:
    path = folder / "line.flow"
    path.write_text(text, encoding="utf-8")
    return str(path)


# -- what it prints


def test_the_table_and_the_last_line_of_progress(tmp_path: Path, capsys: Capture) -> None:
    assert main(["train", flow(tmp_path), "--epochs", "60"]) == 0
    out, err = capsys.readouterr()
    trained = load(tmp_path / "line.flow").train(epochs=60)
    head, row, blank, end = out.splitlines()
    assert head.split() == ["examples", "loss", "mae"] and blank == ""
    assert row.split() == ["training", "4", f"{trained.loss:.4g}", f"{trained.metrics['mae']:.4g}"]
    assert re.fullmatch(r"120 steps, 60 epochs, in [\d.]+ m?s, [\d.]+[kM]? examples/s", end)
    assert err.count("\n") == 1 and err.startswith("epoch 60/60  step 120/120  loss ")
    assert " examples/s" in err and "\x1b" not in err
    assert trained.params["a"] == pytest.approx(2, abs=0.1)


def test_rows_for_validation_have_a_line_of_their_own(capsys: Capture) -> None:
    assert main(["train", IRIS, "--epochs", "2", "--split", "0.8"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[:2] for line in out.splitlines()[1:3]] == [["training", "120"], ["validation", "30"]]
    assert "val_accuracy" in err


def test_json_is_one_object(tmp_path: Path, capsys: Capture) -> None:
    assert main(["train", flow(tmp_path), "--json", "--out", str(tmp_path / "run")]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == "" and out.count("\n") == 1
    assert (found["target"], found["steps"], found["total_steps"], found["epochs"]) == ("numpy", 60, 60, 30)
    assert found["training"].keys() == {"examples", "loss", "mae"} and found["validation"] is None
    assert found["stopped"] is False and found["params"] == str(tmp_path / "run" / "model.safetensors")


def test_what_is_assumed_is_said(tmp_path: Path, capsys: Capture) -> None:
    text = re.sub("train .*\n", "", LINE)
    assert main(["train", flow(tmp_path, text)]) == 0
    err = capsys.readouterr().err
    assert "there is no `train` statement: sgd, lr=0.01\n" in err
    assert "nothing says how long to train: 10 epochs\n" in err


@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
def test_the_torch_target(tmp_path: Path, capsys: Capture) -> None:
    rows = []
    for target in ("numpy", "torch"):
        assert (
            main(["train", flow(tmp_path), "--target", target, "--dtype", "float64", "--device", "cpu"]) == 0
        )
        rows.append(capsys.readouterr().out.splitlines()[1])
    assert rows[0] == rows[1]


# -- a terminal


def in_terminal(arguments: list[str], columns: int = 100) -> tuple[str, str]:
    """Standard output, and what a terminal as standard error shows, of a run of flowc."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": str(columns)}
    script = "from flowgraph.cli.main import run; run()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, stderr=theirs, env=environment
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    out = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 0, shown
    return out, shown.decode()


def test_a_terminal_shows_a_bar_with_loss_and_time_left(tmp_path: Path) -> None:
    out, shown = in_terminal(["train", flow(tmp_path), "--epochs", "8000"])
    assert "━" in shown and " loss " in shown and re.search(r"\d:\d\d left", shown)
    assert "epoch 8000/8000" in shown and "examples/s" in shown
    assert out.startswith("          examples") and "\x1b" not in out


# -- what it takes


def test_the_options_are_those_of_diagram_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    given: list[starting.Wishes] = []
    begin = starting.start
    monkeypatch.setattr(starting, "start", lambda d, w, r: (given.append(w), begin(d, w, r))[1])
    file, out = flow(tmp_path), str(tmp_path / "run")
    options = (
        "--steps 9 --batch 3 --lr 0.01 --seed 7 --dtype float64 --resume --log 2 --save-every 4 "
        "--split 0.75 --allow-nan --detect-anomaly"
    )
    assert main(["train", file, *options.split(), "--out", out, "--json"]) == 0
    (wishes,) = given
    assert wishes == starting.Wishes(
        steps=9, batch=3, lr=0.01, seed=7, dtype="float64", resume=True, log=2, save_every=4,
        split=0.75, allow_nan=True, detect_anomaly=True, out=out,
    )  # fmt: skip


def test_batch_all(tmp_path: Path, capsys: Capture) -> None:
    assert main(["train", flow(tmp_path), "--batch", "all", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 30


def test_data_and_first_parameters_from_files(tmp_path: Path, capsys: Capture) -> None:
    np.savez(tmp_path / "d.npz", x=np.arange(6.0), y=np.arange(6.0))
    np.savez(tmp_path / "p.npz", a=1.0, b=0.0)
    options = ["--data", str(tmp_path / "d.npz"), "--params", str(tmp_path / "p.npz"), "--json"]
    assert main(["train", flow(tmp_path), *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["training"] == {"examples": 6, "loss": 0.0, "mae": 0.0}


def test_a_setting_of_the_diagram(tmp_path: Path, capsys: Capture) -> None:
    text = (
        "size H = 2\ninput x : [3]\ntarget y : [H]\nf = linear(x, H)\nloss mse(f, y)\ntrain sgd(), steps=1\n"
    )
    text += "data 5 { x = zeros(3)\n y = zeros(H) }\n"
    assert main(["train", flow(tmp_path, text), "--set", "H=7", "--out", str(tmp_path / "run")]) == 0
    arrays = read_arrays(tmp_path / "run" / "model.safetensors", Diagnostics())
    assert arrays is not None and arrays["f.weight"].shape == (7, 3)


# -- what it writes


def test_a_folder_holds_everything(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "run"
    assert main(["train", flow(tmp_path), "--out", str(out)]) == 0
    assert f"parameters: {out / 'model.safetensors'}" in capsys.readouterr().out
    names = {"config.json", "log.csv", "model.safetensors", "checkpoint-00000060.flowckpt", "loss.png"}
    assert {p.name for p in out.iterdir() if not p.name.startswith(".")} == names
    with (out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30 and rows[-1]["step"] == "60" and list(rows[0])[3:] == ["loss", "mae"]
    config = json.loads((out / "config.json").read_text())
    assert config["settings"]["batch"] == 2 and config["data"]["examples"] == 4


def test_the_parameters_run_in_the_simulator(tmp_path: Path, capsys: Capture) -> None:
    file, out = flow(tmp_path), tmp_path / "run"
    assert main(["train", file, "--out", str(out), "--json"]) == 0
    loss = json.loads(capsys.readouterr().out)["training"]["loss"]
    assert main(["run", file, "--params", str(out / "model.safetensors")]) == 0
    said = re.search(r"^loss = (.*)$", capsys.readouterr().out, re.MULTILINE)
    assert said is not None and float(said[1]) == pytest.approx(loss, rel=1e-4)


def test_a_matplotlib_that_cannot_be_used_fails_no_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "flowgraph", "train", flow(tmp_path), "--out", str(out)]
    environment = {**os.environ, "MPLBACKEND": "nonsense"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and "parameters: " in done.stdout
    assert "there is no loss.png: " in done.stderr and "nonsense" in done.stderr
    assert (out / "model.safetensors").exists() and not (out / "loss.png").exists()


# -- what it refuses


@pytest.mark.parametrize(
    "options, said",
    [
        (["--epochs", "1", "--steps", "1"], "give --epochs or --steps, not both"),
        (["--resume"], "name it with --out"),
        (["--device", "cuda"], "--device is for --target torch"),
        (["--fsdp"], "--fsdp is for --target torch"),
        (["--batch", "some"], "neither a number of rows nor `all`"),
        (["--epochs", "many"], "not a valid integer"),
        (["--lr", "slow"], "not a valid float"),
        (["--log", "0"], "--log"),
        (["--save-every", "-1"], "--save-every"),
        (["--dtype", "float16"], "--dtype"),
        (["--target", "jax"], "--target"),
        (["--out", ""], "'--out': the name is empty"),
    ],
)
def test_a_wrong_command_line(options: list[str], said: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["train", flow(tmp_path), *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, code, said",
    [
        (["--epochs", "0"], "E0404", "`epochs` must be at least 1"),
        (["--steps", "-3"], "E0404", "`steps` must be at least 1"),
        (["--lr", "-1"], "E0404", "`lr` of `sgd` must be more than 0"),
        (["--lr", "nan"], "E0404", "`lr` of `sgd` must be more than 0"),
        (["--batch", "5"], "E0404", "a batch of 5 is larger than the data"),
        (["--split", "1.5"], "E0404", "must lie between 0 and 1"),
        (["--data", "none.csv"], "E0501", "none.csv"),
        (["--params", "none.npz"], "E0501", "none.npz"),
        (["--stream"], "E0404", "no file to stream"),
    ],
)
def test_what_cannot_be_done(
    options: list[str], code: str, said: str, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "run"
    assert main(["train", flow(tmp_path), "--out", str(out), *options]) == 1
    captured = capsys.readouterr()
    assert f"error[{code}]" in captured.err and said in captured.err and captured.out == ""
    assert not out.exists()


def test_all_that_is_wrong_is_said_in_one_run(tmp_path: Path, capsys: Capture) -> None:
    options = ["--epochs", "0", "--lr", "-1", "--data", "none.csv", "--params", "none.npz"]
    assert main(["train", flow(tmp_path), *options]) == 1
    err = capsys.readouterr().err
    assert err.count("error[") == 4


def test_a_run_is_not_overwritten(tmp_path: Path, capsys: Capture) -> None:
    arguments = ["train", flow(tmp_path), "--out", str(tmp_path / "run")]
    assert main(arguments) == 0
    before = (tmp_path / "run" / "log.csv").read_bytes()
    assert main([*arguments, "--lr", "0.2"]) == 1
    assert "error[E0804]" in capsys.readouterr().err
    assert (tmp_path / "run" / "log.csv").read_bytes() == before


def test_a_diverging_run_says_where_and_what_to_do(tmp_path: Path, capsys: Capture) -> None:
    assert main(["train", flow(tmp_path), "--lr", "100"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "error[E0805]" in err and "--lr" in err and "Traceback" not in err


def test_without_torch_the_extra_is_named(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["train", flow(tmp_path), "--target", "torch"]) == 1
    err = capsys.readouterr().err
    assert "error[E0605]" in err and "pip install 'flowgraph[torch]'" in err


def test_several_processes_are_for_torch(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["train", flow(tmp_path)]) == 1
    assert "error[E0806]" in capsys.readouterr().err


# -- numbers in words


def moment(**changes: object) -> Moment:
    values = {"val_loss": 0.25, "val_accuracy": 0.97}
    plain: dict[str, object] = {"step": 72, "total": 480, "epoch": 3, "epochs": 20, "loss": 0.12345}
    return Moment(**{**plain, "values": values, "examples_per_second": 5432.1, **changes})  # type: ignore[arg-type]


def test_a_line_of_progress() -> None:
    assert "  ".join(facts(moment())) == (
        "step 72/480  loss 0.1235  val_loss 0.25  val_accuracy 0.97  5430 examples/s"
    )
    assert facts(moment(epoch=72, epochs=480))[0] == "loss 0.1235"  # an epoch is a step


@pytest.mark.parametrize("room", [200, 75, 60, 45, 30, 10])
def test_what_fits_on_a_line_always_has_loss_and_time_left(room: int) -> None:
    text = fitting(moment(seconds_left=65.0), room)
    assert "loss 0.1235" in text and text.endswith("1:05 left")
    assert len(text) <= max(room, len("loss 0.1235  1:05 left"))


def test_times_and_speeds() -> None:
    assert [duration(s) for s in (0.0057, 0.41, 12.3, 75, 3723)] == [
        "5.7 ms",
        "0.41 s",
        "12 s",
        "1:15",
        "1:02:03",
    ]
    assert [speed(r) for r in (3.14159, 5432.1, 65172, 9162000)] == ["3.14", "5430", "65.2k", "9.16M"]
    assert clock(59.6) == "1:00"
