"""autograd: plain numpy code, and its gradient by `value_and_grad`."""

from __future__ import annotations

from typing import Any

import autograd
import autograd.numpy as anp
from rivals.functional import loss_of, optimiser
from rivals.task import CUBIC_LR, Task

from flowgraph.bench.worker import Contestant


def contestant(task: Task) -> Contestant:
    from importlib.metadata import version

    loss = loss_of(anp, task)
    value_and_grad, grad = autograd.value_and_grad(loss), autograd.grad(loss)
    start, update = optimiser(anp, task)
    batch, log = list(task.batch.values()), task.workload.log
    last: list[Any] = []

    def train(steps: int) -> Any:
        def run() -> list[float]:
            params = [v.copy() for v in task.first.values()]
            state, losses = start(params), []
            for t in range(steps):
                if t % log == 0:
                    value, grads = value_and_grad(params, *batch)
                    losses.append(float(value))
                else:
                    grads = grad(params, *batch)
                if task.name == "cubic":
                    params = [p - CUBIC_LR * g for p, g in zip(params, grads, strict=True)]
                else:
                    params, state = update(params, grads, state)
            last[:] = params
            return losses

        return run

    return Contestant(train, lambda: task.named(last), said={"autograd": version("autograd")})
