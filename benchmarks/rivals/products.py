"""The matrix products of a network of linear layers and nothing else: what a step costs at least.

Forward and backward, into arrays made beforehand; the input's own gradient is not among them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from rivals.task import NotWritten, Task

from flowgraph.bench.worker import Contestant


def contestant(task: Task) -> Contestant:
    if task.workload.mlp is None:
        raise NotWritten("not a network of linear layers alone")
    rng = np.random.default_rng(0)
    Ws = list(task.first.values())[::2]
    x = task.batch["x"]
    hs = [x, *(rng.normal(size=(len(x), len(W))).astype(x.dtype) for W in Ws)]
    ds = [h.copy() for h in hs]
    grads = [np.empty_like(W) for W in Ws]

    def step() -> None:
        for i, W in enumerate(Ws):
            np.matmul(hs[i], W.T, out=hs[i + 1])
        for i in range(len(Ws) - 1, -1, -1):
            np.matmul(ds[i + 1].T, hs[i], out=grads[i])
            if i:
                np.matmul(ds[i + 1], Ws[i], out=ds[i])

    def train(steps: int) -> Any:
        for d in ds:  # else they grow from step to step until they are infinite
            d[...] = rng.normal(size=d.shape) / 32
        return lambda: [step() for _ in range(steps)] and []

    return Contestant(train)
