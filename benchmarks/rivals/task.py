"""What a contestant is to compute, as `peers.py` hands it to the process that does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from workloads import BY_NAME, GPT2, Arrays, Workload

from flowgraph.bench.worker import keep_arrays

LENET_LR, MOMENTUM = 0.05, 0.9
GPT2_LR, GPT2_DECAY = 1e-3, 0.01
CUBIC_LR = 1e-6
HEADS = GPT2["H"]


class NotWritten(Exception):
    """The contestant has no program for the workload; the text says why."""


@dataclass(frozen=True)
class Task:
    """A workload with first parameters and a batch by the diagram's names."""

    workload: Workload
    first: Arrays
    batch: Arrays
    threads: int

    @property
    def name(self) -> str:
        return self.workload.name

    def named(self, values: Any) -> Arrays:
        """Values in the parameters' order, by their names."""
        return dict(zip(self.first, map(np.asarray, values), strict=True))

    def write(self, folder: Path) -> None:
        """Fill a folder for `read`."""
        arrays = {f"params/{n}": a for n, a in self.first.items()}
        keep_arrays(folder / "task.npz", arrays | {f"batch/{n}": a for n, a in self.batch.items()})


def read(folder: Path, name: str, threads: int) -> Task:
    """The task in a folder."""
    with np.load(folder / "task.npz") as held:
        kinds: dict[str, Arrays] = {"params": {}, "batch": {}}
        for key in held.files:
            kind, own = key.split("/", 1)
            kinds[kind][own] = held[key]
    return Task(BY_NAME[name], kinds["params"], kinds["batch"], threads)


def in_loop(step: Callable[[], Any], steps: int) -> Callable[[], list[Any]]:
    """A run that takes steps one by one and keeps what each returns."""
    return lambda: [step() for _ in range(steps)]
