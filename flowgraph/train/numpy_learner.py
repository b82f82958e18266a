"""Training by the emitted numpy module: its `Trainer` takes the steps.

Assumes the text of a numpy module with a `Trainer`, and batches that name its inputs and targets.
Promises the parameters that the emitted file gives on its own, bit for bit.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import fail, shorten
from ..execute import execute
from .learner import EVALUATING, Batch
from .plan import Plan


class NumpyLearner:
    """A learner of one process. params: first values, of buffers too, by name; None: the module's own."""

    target = "numpy"
    is_writer = True
    is_distributed = False

    def __init__(self, text: str, params: Mapping[str, np.ndarray] | None, plan: Plan) -> None:
        self.module = execute(text)
        first = self.module["init"](plan.seed) if params is None else params
        buffers = {name: first[name] for name in self.module.get("BUFFERS", ()) if name in first}
        self.trainer = self.module["Trainer"](first, **({"buffers": buffers} if buffers else {}))
        self.seed = plan.seed
        self.step_count = 0

    def step(self, batch: Batch) -> float:
        loss: float = self.trainer.step(**batch)
        self.step_count += 1
        return loss

    def evaluate(self, batch: Batch) -> dict[str, float]:
        params = self.trainer.params
        values = {"loss": float(self.module["loss"](params, **batch, **self._modes("loss")))}
        if "metrics" in self.module:
            found = self.module["metrics"](params, **batch, **self._modes("metrics"))
            values |= {n: float(v) for n, v in found.items()}
        return values

    def _modes(self, function: str) -> dict[str, Any]:
        """What a function of the module takes besides; its draws follow from the seed and the step."""
        taken = inspect.signature(self.module[function]).parameters
        given: dict[str, Any] = {"buffers": self._buffers()} if "buffers" in taken else {}
        if "rng" in taken:
            given["rng"] = np.random.default_rng([self.seed, self.step_count, EVALUATING])
        return given

    def _buffers(self) -> Mapping[str, np.ndarray]:
        return self.trainer.buffers if "BUFFERS" in self.module else {}

    def params(self) -> dict[str, np.ndarray]:
        return {name: view.copy() for name, view in {**self.trainer.params, **self._buffers()}.items()}

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
