"""Training by the emitted modules alone, step by step, for the tests of training systems.

The batches are drawn here by the formula that `docs/training.md` promises, apart from the code
that keeps the promise.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from running import HAS_TORCH, execute

from flowgraph.diagram import Diagram
from flowgraph.naming import class_name

TARGETS = ["numpy", "torch"] if HAS_TORCH else ["numpy"]

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Step:
    """One step taken: its rows, the loss before it, and the parameters after it (views)."""

    rows: Any
    loss: float
    params: Arrays


def batches(count: int, size: int | str, seed: int) -> Iterator[Any]:
    """The rows of each batch, without end."""
    for epoch in itertools.count():
        if size == "all":
            yield slice(None)
            continue
        order = np.random.default_rng([seed, epoch]).permutation(count)
        for start in range(0, count, int(size)):
            yield order[start : start + int(size)]


def steps(
    target: str,
    diagram: Diagram,
    data: Arrays,
    first: Mapping[str, Any],
    *,
    dtype: str = "float64",
    seed: int = 0,
    **settings: Any,
) -> Iterator[Step]:
    """Training step by step, without end, from the parameters `first`.

    settings: of the numpy Trainer, in place of the file's.
    """
    made = {"numpy": _numpy_stepper, "torch": _torch_stepper}[target]
    step, params = made(diagram, first, dtype, settings)
    with one_thread() if target == "torch" else contextlib.nullcontext():
        for rows in batches(len(next(iter(data.values()))), diagram.training.batch, seed):
            yield Step(rows, step({name: array[rows] for name, array in data.items()}), params)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: on matrices as small as ours, where tests share the cores, several
    threads spend up to a hundred times the work on waiting for each other.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def trained(target: str, diagram: Diagram, data: Arrays, first: Arrays, count: int, **options: Any) -> Arrays:
    """Copies of the parameters after `count` steps."""
    last = next(itertools.islice(steps(target, diagram, data, first, **options), count - 1, None))
    return {name: np.array(value) for name, value in last.params.items()}


def _numpy_stepper(diagram: Diagram, first: Mapping[str, Any], dtype: str, settings: Any) -> tuple[Any, Any]:
    space = execute(diagram.compile("numpy", dtype=dtype))
    trainer = space["Trainer"](first, **settings)
    return lambda batch: trainer.step(**batch), trainer.params


def _torch_stepper(diagram: Diagram, first: Mapping[str, Any], dtype: str, settings: Any) -> tuple[Any, Any]:
    import torch

    assert not settings, "the emitted torch module has the settings of its file"
    real = getattr(torch, dtype)
    space = execute(diagram.compile("torch", dtype=dtype))
    name = class_name(diagram.graph.name)
    model = space[name]()
    state = {key: torch.tensor(np.asarray(value), dtype=real) for key, value in first.items()}
    model.load_state_dict(state, strict=True)
    loss_module = space[f"{name}Loss"](model)
    optimizer = space["make_optimizer"](model)

    def step(batch: Arrays) -> float:
        tensors = {key: torch.as_tensor(array) for key, array in batch.items()}
        tensors = {key: t.to(real) if t.is_floating_point() else t for key, t in tensors.items()}
        return float(space["train_step"](loss_module, optimizer, **tensors))

    return step, {key: p.detach().numpy() for key, p in model.state_dict().items()}
