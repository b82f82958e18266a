"""Numpy by hand: `benchmarks/hand`, each network as a good engineer would write it."""

from __future__ import annotations

from typing import Any

import loops
import numpy as np
from hand import cubic, gpt2, lenet, mlps
from rivals.task import Arrays, Task

from flowgraph.bench.worker import Contestant


def mlp_2_3_2(first: Arrays, x: np.ndarray, y: np.ndarray, steps: int) -> tuple[Arrays, list[float]]:
    return loops.mlp_2_3_2(first, [(x, y)] * steps)


TRAIN = {
    "cubic": cubic.train,
    "xor": mlps.xor_2_2_2,
    "2-3-2": mlp_2_3_2,
    "digits": mlps.digits_64_32_10,
    "mlp": mlps.mlp_784,
    "deep": mlps.deep_1024,
    "lenet": lenet.train,
    "gpt2": gpt2.train,
}


def contestant(task: Task) -> Contestant:
    last: dict[str, np.ndarray] = {}

    def train(steps: int) -> Any:
        def run() -> list[float]:
            params, losses = TRAIN[task.name](task.first, *task.batch.values(), steps)
            last.update(params)
            return losses

        return run

    return Contestant(train, lambda: last, said={"numpy": np.__version__})
