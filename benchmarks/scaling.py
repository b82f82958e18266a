"""How long a step of training takes with more threads and more processes, for networks of some sizes.

    python benchmarks/scaling.py [--rounds 3] [--cases 4]

Every contestant takes the same steps in float32 through the learners that `flowc train` uses: the
emitted numpy Trainer, the emitted torch module in one process, and in two processes on this machine
(gloo) with half of the threads each, by DistributedDataParallel and by FSDP2. A round starts each
contestant anew, so that they take turns; a number is the median step of the quietest round. The losses
are compared first.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from flowgraph.diagram import loads
from flowgraph.train.distributed import Group, processes
from flowgraph.train.evaluate import loss_by
from flowgraph.train.learner import Learner
from flowgraph.train.numpy_learner import NumpyLearner
from flowgraph.train.plan import Plan
from flowgraph.train.torch_learner import TorchLearner


@dataclass(frozen=True)
class Case:
    """An MLP with relu and cross-entropy: its widths, the rows of a batch, how many steps are timed."""

    widths: tuple[int, ...]
    batch: int
    steps: int

    @property
    def title(self) -> str:
        return f"{'-'.join(map(str, self.widths))}, batch {self.batch}"

    @property
    def text(self) -> str:
        layers = [f"linear({width})" for width in self.widths[1:]]
        return (
            f"input x : [{self.widths[0]}]\ntarget y : class({self.widths[-1]})\n"
            f"z = x |> {' |> relu |> '.join(layers)}\nloss cross_entropy(z, y)\n"
            f"train sgd(lr=0.01, momentum=0.9), batch={self.batch}, steps={self.steps}\n"
        )


CASES = (
    Case((64, 64, 10), 32, 300),
    Case((784, 256, 128, 10), 64, 150),
    Case((784, 1024, 1024, 10), 256, 30),
    Case((1024, 2048, 2048, 10), 1024, 8),
)
WARM_UP = 3


@dataclass(frozen=True)
class Contestant:
    """How a case is trained: in so many processes of so many threads."""

    title: str
    target: str
    processes: int
    threads: int
    fsdp: bool = False


def contestants(cores: int) -> list[Contestant]:
    half = max(cores // 2, 1)
    return [
        Contestant("numpy", "numpy", 1, cores),
        Contestant("torch", "torch", 1, cores),
        Contestant("torch, 1 thread", "torch", 1, 1),
        Contestant("2 processes", "torch", 2, half),
        Contestant("2 processes, FSDP", "torch", 2, half, fsdp=True),
    ]


# ---------------------------------------------------------------------------------------
# One process's part


def timed(case: Case, contestant: Contestant, group: Group | None) -> dict[str, Any]:
    """The median step in milliseconds, and the losses."""
    learner = make(case, contestant, group)
    rng = np.random.default_rng(0)
    batches = [
        {"x": rng.normal(size=(case.batch, case.widths[0])), "y": rng.integers(0, 10, case.batch)}
        for _ in range(4)
    ]
    losses, seconds = [], []
    for step in range(WARM_UP + case.steps):
        start = time.perf_counter()
        losses.append(learner.step(batches[step % 4]))
        seconds.append(time.perf_counter() - start)
    return {"ms": 1e3 * statistics.median(seconds[WARM_UP:]), "losses": losses}


def make(case: Case, contestant: Contestant, group: Group | None) -> Learner:
    diagram = loads(case.text)
    plan = Plan(contestant.target, "float32", diagram.training, case.batch, case.steps, None, 0)
    text = diagram.compile(contestant.target)
    numpy = NumpyLearner(diagram.compile("numpy"), None, plan)
    if contestant.target == "numpy":
        return numpy
    by = loss_by(diagram.graph)
    return TorchLearner(text, diagram.name, numpy.params(), plan, fsdp=contestant.fsdp, group=group, by=by)


def work(contestant: Contestant, cases: tuple[Case, ...]) -> None:
    """Time the cases, and let the first process print the numbers as JSON."""
    if contestant.target == "numpy":
        print(json.dumps([timed(case, contestant, None) for case in cases]))
        return
    with processes("cpu") as group:
        found = [timed(case, contestant, group) for case in cases]
    if group.rank == 0:
        print(json.dumps(found))


# ---------------------------------------------------------------------------------------
# All of them


def run(index: int, contestant: Contestant, count: int) -> list[dict[str, Any]]:
    """Start the processes of a contestant; what the first of them found."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    threads = {f"{name}_NUM_THREADS": str(contestant.threads) for name in ("OMP", "OPENBLAS", "MKL")}
    started = []
    for rank in range(contestant.processes):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": contestant.processes}
        place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        env = (
            os.environ | threads | ({n: str(v) for n, v in place.items()} if contestant.processes > 1 else {})
        )
        line = [sys.executable, __file__, "--work", str(index), "--cases", str(count)]
        started.append(subprocess.Popen(line, env=env, stdout=subprocess.PIPE, text=True))
    outputs = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise SystemExit(f"{contestant.title} failed")
    found: list[dict[str, Any]] = json.loads(outputs[0])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", type=int, default=len(CASES), help="only the first so many")
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    cases = CASES[: given.cases]
    racing = contestants(os.cpu_count() or 1)
    if given.work is not None:
        work(racing[given.work], cases)
        return
    found: dict[tuple[int, int], list[float]] = {}
    for _ in range(given.rounds):
        expected: list[dict[str, Any]] = []
        for index, contestant in enumerate(racing):
            results = run(index, contestant, given.cases)
            expected = expected or results
            for number, (result, other) in enumerate(zip(results, expected, strict=True)):
                np.testing.assert_allclose(result["losses"], other["losses"], rtol=1e-3)
                found.setdefault((number, index), []).append(result["ms"])
    print(f"milliseconds a step, {os.cpu_count()} cores, the best of {given.rounds} rounds\n")
    print(f"| network | {' | '.join(c.title for c in racing)} |")
    print(f"|---|{'---:|' * len(racing)}")
    for number, case in enumerate(cases):
        numbers = [min(found[number, index]) for index in range(len(racing))]
        print(f"| {case.title} | {' | '.join(f'{n:.3g}' for n in numbers)} |")


if __name__ == "__main__":
    main()
