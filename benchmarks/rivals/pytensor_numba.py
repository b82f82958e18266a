"""PyTensor with numba: parameters and the batch are shared variables, a step is one call.

`trust_input` leaves out the checks of what is passed. The cubic has a second function without the loss,
for the steps that log none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from rivals.task import CUBIC_LR, NotWritten, Task, in_loop

from flowgraph.bench.worker import Contestant

ACTIVATIONS = {"tanh": pt.tanh, "relu": lambda z: pt.maximum(z, 0), "sigmoid": pt.sigmoid}


def contestant(task: Task) -> Contestant:
    mlp = task.workload.mlp
    if mlp is None and task.name != "cubic":
        raise NotWritten("it is not written for PyTensor")
    dtype = task.workload.dtype
    pytensor.config.floatX = dtype
    params = [pytensor.shared(np.array(v), name=f"p{i}") for i, v in enumerate(task.first.values())]
    x, y = (pytensor.shared(a) for a in task.batch.values())
    if mlp is None:
        a, b, c, d = params
        loss, lr = ((a + b * x + c * x**2 + d * x**3 - y) ** 2).sum(), CUBIC_LR
    else:
        lr, z = mlp.lr, x
        for i in range(0, len(params) - 2, 2):
            z = ACTIVATIONS[mlp.activation](z @ params[i].T + params[i + 1])
        z = z @ params[-2].T + params[-1]
        if mlp.loss == "cross_entropy":
            loss = -pt.special.log_softmax(z, axis=1)[pt.arange(len(task.batch["y"])), y].mean()
        else:
            loss = ((z - y) ** 2).mean()
    loss = pt.cast(loss, dtype)
    rate = np.asarray(lr, dtype)
    updates = [(p, p - rate * g) for p, g in zip(params, pt.grad(loss, params), strict=True)]
    step = pytensor.function([], loss, updates=updates, mode="NUMBA", trust_input=True)
    log = task.workload.log
    quiet = step if log == 1 else pytensor.function([], [], updates=updates, mode="NUMBA", trust_input=True)

    def train(steps: int) -> Any:
        for p, value in zip(params, task.first.values(), strict=True):
            p.set_value(np.array(value))
        if log == 1:
            return in_loop(step, steps)
        return lambda: [(step if t % log == 0 else quiet)() for t in range(steps)][::log]

    return Contestant(
        train, lambda: task.named([p.get_value() for p in params]), said={"pytensor": pytensor.__version__}
    )
