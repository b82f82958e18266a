"""Contestants that take turns, each in a process of its own, and what comes of it.

Assumes programs that end in `worker.serve`. Promises for every contestant a time a round, the rounds
of all taken in alternation and each in another order, so that what else the machine does
meets all alike; ratios are therefore made round by round and their median taken, never from medians.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
"""Where the package lies: a process is to find the same one."""
POOLS = ("OMP", "OPENBLAS", "MKL", "VECLIB", "NUMBA", "BLIS")
PAUSE = 0.03
"""Seconds between turns: the idle threads of the one before still spin for a while."""
ROUND_SECONDS = 0.1
"""A turn takes about so long."""


class Failed(Exception):
    """A contestant that cannot go on; the text says why, in a line."""


class Worker:
    """A process with one contestant. Raises Failed where it cannot be made.

    command: of the program. threads: to which every pool of threads in it is held.
    """

    def __init__(self, name: str, command: Sequence[str], threads: int) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the process
        suffix = {"VECLIB": "MAXIMUM_THREADS"}
        pools = {f"{pool}_{suffix.get(pool, 'NUM_THREADS')}": str(threads) for pool in POOLS}
        path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-P", *command],  # nothing in the user's folder stands for a library
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | pools | {"PYTHONPATH": os.pathsep.join(path)},
            text=True,
            encoding="utf-8",
        )
        self._said: dict[str, Any] | None = None

    def wait(self) -> dict[str, Any]:
        """What it tells of itself, when it is ready. Raises Failed."""
        if self._said is None:
            self._said = dict(self._read()["said"])
        return self._said

    def check(self, count: int, to: str) -> None:
        """Take steps from the first parameters; keep losses and parameters in an npz file. Raises Failed."""
        self._ask(do="check", count=count, to=to)

    def seconds(self, what: str, count: int) -> float:
        """Of `count` steps ("train") or forward passes ("forward"). Raises Failed."""
        found: float = self._ask(do=what, count=count)["seconds"]
        return found

    def close(self) -> None:
        """End the process; may be called twice."""
        self._hold(False)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(BrokenPipeError):
                stream.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _ask(self, **request: Any) -> dict[str, Any]:
        self.wait()
        assert self._process.stdin is not None
        self._hold(False)
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Failed(self._end()) from None
        answer = self._read()
        self._hold(True)
        return answer

    def _hold(self, still: bool) -> None:
        """Stop the process, or let it go on: threads that wait for work by spinning take the others' time.

        Where processes cannot be stopped, they go on.
        """
        if hasattr(signal, "SIGSTOP"):
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGSTOP if still else signal.SIGCONT)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Failed(self._end())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def _end(self) -> str:
        """How the process ended, in a line."""
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        if code < 0:
            return f"killed by signal {-code}" + (", which a lack of memory does" if code == -9 else "")
        return lines[-1][:300] if lines else f"ended with exit code {code}"


@dataclass(frozen=True)
class Times:
    """Seconds of one step or one pass, a number for every round, in their order."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def least(self) -> float:
        return min(self.rounds)

    def over(self, other: Times) -> float:
        """The median of the rounds' ratios to another contestant's of the same rounds."""
        return statistics.median(a / b for a, b in zip(self.rounds, other.rounds, strict=True))


Told = Callable[[str], None]
"""Called after every turn with the name of whose it was."""


def take_turns(
    workers: Mapping[str, Worker],
    what: str,
    rounds: int,
    *,
    count: int | None = None,
    seconds: float = ROUND_SECONDS,
    told: Told = lambda name: None,
) -> dict[str, Times | Failed]:
    """Times of "train" or "forward" by name; of who cannot go on, why.

    count: steps in a turn; else as many as take about `seconds`, at least one. Runs before the first
    round warm the contestants up.
    """
    counts: dict[str, int] = {}
    failed: dict[str, Times | Failed] = {}
    for name, worker in workers.items():
        try:
            counts[name] = count or calibrated(worker, what, seconds)
            worker.seconds(what, counts[name])
        except Failed as error:
            failed[name] = error
    taken: dict[str, list[float]] = {name: [] for name in workers}
    for number in range(rounds):
        names = [name for name in workers if name not in failed]
        first = number % max(1, len(names))
        for name in names[first:] + names[:first]:
            time.sleep(PAUSE)
            try:
                taken[name].append(workers[name].seconds(what, counts[name]) / counts[name])
            except Failed as error:
                failed[name] = error
            told(name)
    return {name: failed.get(name) or Times(tuple(found)) for name, found in taken.items()}


def calibrated(worker: Worker, what: str, seconds: float) -> int:
    """How many steps or passes take about so long, at least one. Raises Failed."""
    worker.seconds(what, 2)  # the first calls make ready what later ones use
    count = 1
    while (taken := worker.seconds(what, count)) < seconds / 4:
        count *= 4
    return max(1, round(count * seconds / taken))
