"""The emitted modules as contestants.

Assumes a folder that `Job.write` filled: a module's text, first parameters and one batch. Promises the
steps that the emitted file takes by itself: of numpy `Trainer.run` over the batch as whole data, of
torch `train_step` in a loop, each loss taken as a number where it is logged.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..execute import execute
from ..naming import class_name
from .worker import Contestant, keep_arrays

MODULE, ARRAYS, ABOUT = "module.py", "arrays.npz", "about.json"


@dataclass(frozen=True)
class Job:
    """A module to measure. name: the diagram's. inputs, targets: their names, in the order of `loss`.

    log: every which step's loss is wanted. threads: of PyTorch. compiled: whether by torch.compile.
    """

    target: str
    name: str
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    log: int = 1
    threads: int = 1
    compiled: bool = False

    def write(
        self, folder: Path, text: str, params: Mapping[str, np.ndarray], batch: Mapping[str, np.ndarray]
    ) -> None:
        """Fill a folder for `contestant`. params: of buffers too; reals in the dtype of the module."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MODULE).write_text(text, encoding="utf-8")
        (folder / ABOUT).write_text(json.dumps(asdict(self)), encoding="utf-8")
        arrays = {f"params/{n}": a for n, a in params.items()} | {f"batch/{n}": a for n, a in batch.items()}
        keep_arrays(folder / ARRAYS, arrays)


def contestant(folder: Path) -> Contestant:
    """What a folder holds, ready to be measured."""
    job = Job(**json.loads((folder / ABOUT).read_text(encoding="utf-8")))
    text = (folder / MODULE).read_text(encoding="utf-8")
    with np.load(folder / ARRAYS) as held:
        arrays = {name: held[name] for name in held.files}
    params = {n.removeprefix("params/"): a for n, a in arrays.items() if n.startswith("params/")}
    batch = {n.removeprefix("batch/"): a for n, a in arrays.items() if n.startswith("batch/")}
    return {"numpy": in_numpy, "torch": in_torch}[job.target](job, text, params, batch)


def in_numpy(
    job: Job, text: str, first: Mapping[str, np.ndarray], batch: Mapping[str, np.ndarray]
) -> Contestant:
    """By the emitted numpy module: `Trainer.run`, and `Forward` where there is one, else `forward`."""
    module = execute(text)
    buffers = {name: first[name] for name in module.get("BUFFERS", ())}
    own = {name: value for name, value in first.items() if name not in buffers}
    keep = {"buffers": buffers} if buffers else {}
    has_batches = "Trainer" in module and "batch" in inspect.signature(module["Trainer"]).parameters
    whole = {"batch": "all"} if has_batches else {}  # without inputs there is nothing to take rows of
    last: list[Any] = []

    def train(steps: int) -> Any:
        trainer = module["Trainer"](own, **whole, **keep)
        last[:] = [trainer]
        columns = {name: batch[name] for name in (*job.inputs, *job.targets)}
        return lambda: trainer.run(**columns, steps=steps, log=job.log)

    given = {name: batch[name] for name in job.inputs}
    if "Forward" in module:
        pass_by = module["Forward"](own, **keep)
    else:
        taken = inspect.signature(module["forward"]).parameters
        modes: dict[str, Any] = dict(keep)
        if "rng" in taken:
            modes["rng"] = np.random.default_rng(0)

        def pass_by(**inputs: np.ndarray) -> Any:
            return module["forward"](own, **inputs, **modes)

    return Contestant(
        train if "Trainer" in module else None,
        lambda: {name: np.array(view) for name, view in last[0].params.items()},
        lambda: pass_by(**given),
        {"numpy": np.__version__},
    )


def in_torch(
    job: Job, text: str, first: Mapping[str, np.ndarray], batch: Mapping[str, np.ndarray]
) -> Contestant:
    """By the emitted torch module: `train_step`, and `forward` without gradients."""
    import torch

    torch.set_num_threads(job.threads)
    module, name = execute(text, "emitted_torch"), class_name(job.name)
    state = {n: torch.from_numpy(value.copy()) for n, value in first.items()}
    tensors = {n: torch.from_numpy(value.copy()) for n, value in batch.items()}
    columns = [tensors[n] for n in (*job.inputs, *job.targets)]
    given = [tensors[n] for n in job.inputs]
    model = module[name]()
    loss = module[f"{name}Loss"](model) if f"{name}Loss" in module else None
    stepped = torch.compile(loss, fullgraph=True) if job.compiled and loss is not None else loss
    passed = torch.compile(model, fullgraph=True) if job.compiled else model

    def train(steps: int) -> Any:
        model.load_state_dict(state, strict=True)
        model.train()
        torch.manual_seed(0)
        optimizer = module["make_optimizer"](model)

        def run() -> list[float]:
            losses = []
            for step in range(steps):
                value = module["train_step"](stepped, optimizer, *columns)
                if job.log and step % job.log == 0:
                    losses.append(float(value))
            return losses

        return run

    def forward() -> Any:
        model.eval()
        with torch.no_grad():
            return passed(*given)

    model.load_state_dict(state, strict=True)
    return Contestant(
        train if "train_step" in module else None,
        lambda: {n: v.detach().numpy().copy() for n, v in model.state_dict().items() if n in first},
        forward,
        {"torch": torch.__version__, "threads": torch.get_num_threads()},
    )
