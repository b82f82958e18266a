"""PyTorch as one would write it: a module of `benchmarks/torch_modules.py`, an optimiser, a loop.

The cubic is the lecture's: four tensors, autograd, and the update by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch_modules as modules
from rivals.task import CUBIC_LR, GPT2_DECAY, GPT2_LR, LENET_LR, MOMENTUM, Task
from torch import Tensor, nn
from torch.nn import functional as F
from workloads import GPT2

from flowgraph.bench.worker import Contestant

Compile = Callable[[Any], Any]
ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}


def contestant(task: Task, compile: Compile = lambda f: f) -> Contestant:
    torch.set_num_threads(task.threads)
    made = cubic(task, compile) if task.name == "cubic" else network(task, compile)
    made.said.update({"torch": torch.__version__})
    return made


def cubic(task: Task, compile: Compile) -> Contestant:
    x, y = (torch.from_numpy(a) for a in task.batch.values())
    log = task.workload.log

    @compile
    def loss_of(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
        return (a + b * x + c * x**2 + d * x**3 - y).pow(2).sum()

    params: list[Tensor] = []

    def train(steps: int) -> Any:
        params[:] = [torch.tensor(float(v), dtype=x.dtype, requires_grad=True) for v in task.first.values()]

        def run() -> list[float]:
            losses = []
            for t in range(steps):
                loss = loss_of(*params)
                if t % log == 0:
                    losses.append(loss.item())
                loss.backward()
                with torch.no_grad():
                    for p in params:
                        p -= CUBIC_LR * p.grad
                        p.grad = None
            return losses

        return run

    return Contestant(train, lambda: task.named([p.detach().numpy() for p in params]))


def network(task: Task, compile: Compile) -> Contestant:
    x, y = (torch.from_numpy(a) for a in task.batch.values())
    model, loss_of, optimizer_of = parts(task)
    order = positions(model, task)

    @compile
    def loss_of_batch(x: Tensor, y: Tensor) -> Tensor:
        return loss_of(model(x), y)

    def train(steps: int) -> Any:
        with torch.no_grad():
            for parameter, value in zip(order, task.first.values(), strict=True):
                parameter.copy_(torch.from_numpy(value))
        optimizer = optimizer_of(model.parameters())

        def run() -> list[float]:
            losses = []
            for _ in range(steps):
                optimizer.zero_grad()
                loss = loss_of_batch(x, y)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            return losses

        return run

    return Contestant(train, lambda: task.named([p.detach().numpy().copy() for p in order]))


def parts(task: Task) -> tuple[nn.Module, Callable[..., Tensor], Callable[..., Any]]:
    """A module, the loss of what it gives, and what makes an optimiser."""
    mlp = task.workload.mlp
    if mlp is not None:
        loss = F.cross_entropy if mlp.loss == "cross_entropy" else F.mse_loss
        model = modules.Mlp(mlp.sizes, ACTIVATIONS[mlp.activation])
        return model, loss, lambda given: torch.optim.SGD(given, lr=mlp.lr)
    if task.name == "lenet":
        sgd = lambda given: torch.optim.SGD(given, lr=LENET_LR, momentum=MOMENTUM)  # noqa: E731
        return modules.LeNet(), F.cross_entropy, sgd
    model = modules.Gpt(GPT2["V"], GPT2["P"], GPT2["L"], GPT2["H"], GPT2["D"])
    adamw = lambda given: torch.optim.AdamW(given, lr=GPT2_LR, weight_decay=GPT2_DECAY)  # noqa: E731
    return model, lambda z, y: F.cross_entropy(z.flatten(0, 1), y.flatten()), adamw


def positions(model: nn.Module, task: Task) -> list[nn.Parameter]:
    """The module's parameters in the order of the diagram's, which is the same; their shapes must agree."""
    found = list(model.parameters())
    shapes = [tuple(p.shape) for p in found], [v.shape for v in task.first.values()]
    assert shapes[0] == shapes[1], shapes
    return found
