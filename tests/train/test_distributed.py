"""Training in two processes on the loopback: the same numbers as in one.

This file is a test, and the program that the processes run (`python test_distributed.py FOLDER`): every
case in turn, so that PyTorch is loaded once for all of them.
"""

from __future__ import annotations

import functools
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from processes import Ended, together

from flowgraph import loads
from flowgraph.errors import FlowError
from flowgraph.execute import execute
from flowgraph.train import distributed
from flowgraph.train.evaluate import loss_by
from flowgraph.train.place import Place
from flowgraph.train.plan import Plan
from flowgraph.train.torch_learner import TorchLearner

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")

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
ADAM, SGD = (
    "train adam(lr=0.05), clip=0.5, steps=6\n",
    "train sgd(lr=0.05, momentum=0.9), clip=1.0, steps=6\n",
)
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
# The same numbers


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


# ---------------------------------------------------------------------------------------
# Finding each other


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"RANK": "0"}, "WORLD_SIZE is not set"),
        ({"WORLD_SIZE": "2"}, "RANK is not set"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "ranks count from 0"),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, "RANK must be a whole number of at least 0, and it is '-1'"),
        ({"RANK": "0", "WORLD_SIZE": "two"}, "WORLD_SIZE must be"),
        ({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "²"}, "LOCAL_RANK must be"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, "MASTER_ADDR is not set"),
        ({"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "h", "MASTER_PORT": ""}, "MASTER_PORT is not set"),
        ({"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "h", "MASTER_PORT": "x"}, "MASTER_PORT must be"),
        ({"RANK": "0", "WORLD_SIZE": "2", "FLOWC_TIMEOUT": "soon"}, "FLOWC_TIMEOUT must be"),
    ],
)
def test_an_environment_that_says_too_little_is_refused(
    given: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_CPP_LOG_LEVEL", "FATAL")
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "FLOWC_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(FlowError, match="E0806") as error, distributed.processes("cpu"):
        pass
    assert said in str(error.value)


def test_a_process_that_torchrun_did_not_start_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with distributed.processes("cpu") as group:
        assert (group.rank, group.world, group.any(True), group.total([2.5])) == (0, 1, True, [2.5])


def test_shares_are_those_of_array_split() -> None:
    for world in (1, 2, 3, 7):
        for rows in (0, 1, 2, 6, 7, 8, 100):
            groups = [distributed.Group(Place(rank, world), None) for rank in range(world)]
            parts = [list(range(rows))[group.share(rows)] for group in groups]
            assert parts == [p.tolist() for p in np.array_split(np.arange(rows), world)]


def test_processes_do_not_meet_the_dead() -> None:
    """A launcher lets new processes meet where those before them left their names."""
    from torch.distributed import HashStore

    store = HashStore()
    names: list[str] = []
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        with ThreadPoolExecutor(3) as pool:
            waiting = []
            for rank in order:
                end = time.monotonic() + 30
                waiting.append(pool.submit(distributed._meeting, store, Place(rank, 3), end))
                time.sleep(0.1)
            found = {w.result() for w in waiting}
        assert len(found) == 1
        names += found
    assert len(set(names)) == 3
    with pytest.raises(TimeoutError, match="process 0 did not come"):
        distributed._meeting(store, Place(1, 2), time.monotonic() + 0.2)


if __name__ == "__main__":
    work(sys.argv[1])
