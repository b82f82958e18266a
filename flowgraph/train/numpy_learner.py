"""Training by the emitted numpy module: its `Trainer` takes the steps.

Assumes the text of a numpy module with a `Trainer`, and batches that name its inputs and targets.
Promises the parameters that the emitted file gives on its own, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import fail, shorten
from ..execute import execute
from .learner import Batch
from .plan import Plan


class NumpyLearner:
    """A learner of one process. params: first values by name; None: the module's `init(seed)`."""

    target = "numpy"
    is_writer = True
    is_distributed = False

    def __init__(self, text: str, params: Mapping[str, np.ndarray] | None, plan: Plan) -> None:
        self.module = execute(text)
        first = self.module["init"](plan.seed) if params is None else params
        self.trainer = self.module["Trainer"](first)
        self.step_count = 0

    def step(self, batch: Batch) -> float:
        loss: float = self.trainer.step(**batch)
        self.step_count += 1
        return loss

    def evaluate(self, batch: Batch) -> dict[str, float]:
        params = self.trainer.params
        values = {"loss": float(self.module["loss"](params, **batch))}
        if "metrics" in self.module:
            values |= {n: float(v) for n, v in self.module["metrics"](params, **batch).items()}
        return values

    def params(self) -> dict[str, np.ndarray]:
        return {name: view.copy() for name, view in self.trainer.params.items()}

    def state(self) -> dict[str, np.ndarray]:
        return {name: np.array(array) for name, array in self.trainer.state().items()}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        own = self.trainer.state()
        for name in sorted(own.keys() | state.keys()):
            if name not in own or name not in state:
                held = "does not hold" if name in own else "holds more than this run has:"
                raise fail("E0802", f"the checkpoint {held} `{shorten(name)}`", help="start without --resume")
            if np.shape(state[name]) != np.shape(own[name]):
                shapes = f"{list(np.shape(state[name]))}, not {list(np.shape(own[name]))}"
                said = f"`{shorten(name)}` of the checkpoint is {shapes}"
                raise fail("E0802", said, help="start without --resume")
        self.trainer.load_state(dict(state))
        self.step_count = int(state["step"])

    def stop(self, wanted: bool) -> bool:
        return wanted
