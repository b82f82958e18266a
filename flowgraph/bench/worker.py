"""A process that holds one contestant and times it when it is asked to.

Contestants do not share a process: the thread pools of BLAS, OpenMP and XLA would wait on each
other's cores. A request is a line of JSON on standard input and its answer one on standard output;
whatever a library prints goes to standard error. Assumes a parent that asks one thing at a time
(`turns.Worker`). Promises times of what a contestant does alone, with the collector of garbage off.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Losses = Any
"""The losses that were logged, in order: a list or an array."""


@dataclass(frozen=True)
class Contestant:
    """One way to compute a workload.

    train: makes ready a run of so many steps from the first parameters; the call that it returns takes
    them and returns the losses before them. params: what the last run ended with, by name. forward: one
    forward pass, finished when it returns. What is None cannot be asked for. said: facts worth telling.
    """

    train: Callable[[int], Callable[[], Losses]] | None = None
    params: Callable[[], Mapping[str, np.ndarray]] = dict
    forward: Callable[[], Any] | None = None
    said: dict[str, Any] = field(default_factory=dict)


def serve(make: Callable[[], Contestant]) -> None:
    """Make a contestant and answer requests on it until standard input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        contestant = make()
        _answer(answers, {"ready": True, "said": contestant.said})
        for line in sys.stdin:
            _answer(answers, _done(contestant, json.loads(line)))
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        _answer(answers, {"error": f"{type(error).__name__}: {lines[0]}"[:300]})
        raise


def _answer(answers: Any, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _done(contestant: Contestant, request: dict[str, Any]) -> dict[str, Any]:
    """What a request comes to: `check` keeps values in a file, `train` and `forward` are timed."""
    count = request["count"]
    if request["do"] == "check":
        assert contestant.train is not None
        losses = np.asarray(contestant.train(count)(), dtype=np.float64)
        params = {f"params/{name}": np.asarray(value) for name, value in contestant.params().items()}
        keep_arrays(request["to"], {"losses": losses, **params})
        return {}
    if request["do"] == "train":
        assert contestant.train is not None
        return _seconds(contestant.train(count))
    assert contestant.forward is not None
    forward = contestant.forward
    return _seconds(lambda: [forward() for _ in range(count)])


def _seconds(run: Callable[[], Any]) -> dict[str, float]:
    """How long it takes: on the clock, and of the processors' time."""
    gc.collect()
    gc.disable()
    try:
        start, spent = time.perf_counter(), time.process_time()
        run()
        return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - spent}
    finally:
        gc.enable()


def keep_arrays(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name into an npz file."""
    named: dict[str, Any] = dict(arrays)
    np.savez(path, **named)
