"""What learns: parameters and an optimiser behind one interface, whatever computes them.

A learner knows nothing of epochs, files or terminals: it is given batches and changes its
parameters. Promises that a learner brought to another's state goes on as that one would, bit for
bit, and that every array it hands out is a copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

Batch = Mapping[str, np.ndarray]
"""The rows of one step: every input and target by name, [N, *shape], float64, int64 or bool."""


STEPPING, EVALUATING = 1, 2
"""What the draws of a step, and of an evaluation after it, are told apart by: (seed, step, this)."""


class Learner(Protocol):
    """One diagram being trained by one target."""

    target: str
    """numpy or torch."""
    step_count: int
    """The number of steps taken, those before a resume included."""

    @property
    def is_writer(self) -> bool:
        """Whether this process prints and writes: it is alone, or the first of several."""
        ...

    @property
    def is_distributed(self) -> bool:
        """Whether other processes take the same steps on other rows of each batch."""
        ...

    def step(self, batch: Batch) -> float:
        """Take one step; the loss over the batch before it."""
        ...

    def evaluate(self, batch: Batch) -> dict[str, float]:
        """`loss` over the batch, then each metric by its label; the batch may be empty."""
        ...

    def params(self) -> dict[str, np.ndarray]:
        """Every parameter, frozen ones and buffers too, by the diagram's names, in the run's dtype."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """All that is needed to go on: parameters, buffers, the optimiser's memory, the number of steps."""
        ...

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Become the learner whose state this is. Raises FlowError (E0802) if it does not fit."""
        ...

    def stop(self, wanted: bool) -> bool:
        """Whether any process wants to stop; all of them must ask at the same step."""
        ...
