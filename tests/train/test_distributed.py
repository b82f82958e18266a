"""Training in two processes on the loopback: the same numbers as in one.

This file is a test, and the program that the processes run (`python test_distributed.py FOLDER`): every
case in turn, so that PyTorch is loaded once for all of them.
"""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from flowgraph import loads
from flowgraph.errors import FlowError
from flowgraph.execute import execute
from flowgraph.train import distributed
from flowgraph.train.evaluate import loss_by
from flowgraph.train.plan import Plan
from flowgraph.train.torch_learner import TorchLearner

HEAD = """
input x : [3]
target y : class(3)
hidden = linear(x, 4)
h = tanh(hidden)
z = linear(h, 3)
metric accuracy(z, y)
"""
PENALTY = "loss penalty = 0.05 * sum(hidden.weight ^ 2)\n"
LARGE = """
input x : [3]
target y : [3]
wide = x |> linear(300) |> tanh |> linear(250) |> tanh
f = linear(wide, 3)
loss mse(f, y)
"""
MEAN, SUM = "loss cross_entropy(z, y)\n", "loss cross_entropy(z, y) by sum\n"
BOTH = MEAN + "loss extent = mean(z ^ 2) by sum\n" + PENALTY
ADAM, SGD = "train adam(lr=0.05), clip=0.5, steps=6\n", "train sgd(lr=0.05, momentum=0.9), clip=1.0, steps=6\n"
ADAGRAD = 'train adagrad(lr=cosine(0.05, steps=6)), freeze="hidden.bias", steps=6\n'


@dataclass(frozen=True)
class Case:
    text: str
    dtype: str = "float64"
    fsdp: bool = False


CASES = {
    "mean": Case(HEAD + MEAN + ADAM),
    "mean32": Case(HEAD + MEAN + ADAM, "float32"),
    "mean_penalty": Case(HEAD + MEAN + PENALTY + SGD),
    "sum_penalty": Case(HEAD + SUM + PENALTY + SGD),
    "both": Case(HEAD + BOTH + ADAM),
    "fsdp": Case(HEAD + MEAN + PENALTY + ADAM, fsdp=True),
    "fsdp_sum": Case(HEAD + SUM + PENALTY + ADAGRAD, fsdp=True),
    "fsdp_layers": Case(LARGE + SGD, fsdp=True),
}
ROWS = (7, 8, 1, 3, 2, 5)
"""Of each step's batch: unequal shares, and once a process without any."""
CHANGE = 3
"""After so many steps a new learner goes on from the state."""


def batch(case: Case, step: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([step, 1])
    rows = ROWS[step]
    y = rng.normal(size=(rows, 3)) if case.text.startswith(LARGE) else rng.integers(0, 3, rows)
    return {"x": rng.normal(size=(rows, 3)), "y": y}


def train(case: Case, group: distributed.Group | None = None) -> dict[str, np.ndarray]:
    """What a run comes to: losses, an evaluation, and the state."""
    diagram = loads(case.text)
    plan = Plan("torch", case.dtype, diagram.training, 8, len(ROWS), None, 0)
    params = execute(diagram.compile("numpy", dtype=case.dtype))["init"](0)
    text = diagram.compile("torch", dtype=case.dtype)
    by = loss_by(diagram.graph)
    fsdp = case.fsdp and group is not None

    def make() -> TorchLearner:
        return TorchLearner(text, diagram.name, params, plan, device="cpu", fsdp=fsdp, group=group, by=by)

    learner, losses = make(), []
    for step in range(len(ROWS)):
        losses.append(learner.step(batch(case, step)))
        if step + 1 == CHANGE:
            state, learner = learner.state(), make()
            learner.load_state(state)
    values = [*learner.evaluate(batch(case, 0)).values(), *learner.evaluate(batch(case, 2)).values()]
    nothing = {name: a[:0] for name, a in batch(case, 0).items()}
    values += learner.evaluate(nothing).values()
    return {"losses": np.array(losses), "values": np.array(values), **learner.state()}


def work(folder: str) -> None:
    """One process's part: every case, and what a group is for beside it."""
    with distributed.processes("cpu") as group:
        for name, case in CASES.items():
            np.savez(Path(folder) / f"{name}-{group.rank}.npz", **train(case, group))
        wishes = np.array([group.any(group.rank == 1), group.any(False)])
        try:
            group.agree(b"01"[: group.rank + 1], "settings")
            said = ""
        except FlowError as error:
            said = str(error)
        np.savez(Path(folder) / f"group-{group.rank}.npz", wishes=wishes, said=said)


# ---------------------------------------------------------------------------------------
# Starting processes


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def environment(**more: str) -> dict[str, str]:
    """An environment of one thread, in which nothing of an outer launcher is left."""
    kept = {n: v for n, v in os.environ.items() if n not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    root = str(Path(__file__).parents[2])
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONPATH": root} | more


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


def together(*lines: list[str], **more: str) -> list[Ended]:
    """How processes end, one for each command line, told their places as torchrun would tell them."""
    port = str(free_port())
    started = []
    for rank, line in enumerate(lines):
        place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(len(lines))}
        there = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        env = environment(**(place | there | more))
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen([sys.executable, *line], env=env, text=True, **pipes))
    try:
        outputs = [process.communicate(timeout=120) for process in started]
    finally:
        for process in started:
            process.kill()
            process.communicate()
    return [Ended(p.returncode, *said) for p, said in zip(started, outputs, strict=True)]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which two processes left what they computed."""
    folder = tmp_path_factory.mktemp("two")
    for ended in together(*[[__file__, str(folder)]] * 2):
        assert ended == Ended(0, "", ""), ended.err
    return folder


@functools.cache
def one(name: str) -> dict[str, np.ndarray]:
    return train(CASES[name])


# ---------------------------------------------------------------------------------------
# The same numbers


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_as_one(two: Path, name: str) -> None:
    tolerance = 1e-12 if CASES[name].dtype == "float64" else 1e-6
    expected = one(name)
    found = np.load(two / f"{name}-0.npz")
    assert list(found) == list(expected)
    for key, array in expected.items():
        assert found[key].dtype == array.dtype, key
        np.testing.assert_allclose(found[key], array, rtol=tolerance, atol=tolerance, err_msg=key)


@pytest.mark.parametrize("name", CASES)
def test_both_processes_hold_the_same(two: Path, name: str) -> None:
    first, second = (np.load(two / f"{name}-{rank}.npz") for rank in range(2))
    assert list(first) == list(second)
    assert all(first[key].tobytes() == second[key].tobytes() for key in first)


def test_both_processes_stop_when_one_wants_to(two: Path) -> None:
    for rank in range(2):
        assert np.load(two / f"group-{rank}.npz")["wishes"].tolist() == [True, False]


def test_processes_that_differ_are_refused(two: Path) -> None:
    for rank in range(2):
        said = str(np.load(two / f"group-{rank}.npz")["said"])
        assert "E0806" in said and "do not have the same settings: process 1 differs" in said


if __name__ == "__main__":
    work(sys.argv[1])
