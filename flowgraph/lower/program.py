"""What a file comes to once lowered: its graph, and what it says of training and data."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ..errors import Span
from ..graph import Graph
from ..ops.optimiser import Sgd
from ..syntax import DataFileStmt, DataMadeStmt, DataTableStmt, Expr
from ..types import Dim, TensorType

DEFAULT_EPOCHS = 10
"""How long training goes on where nothing says so."""


@dataclass(frozen=True)
class Training:
    """The `train` statement, checked: optimiser, its attrs, and the settings of the run."""

    optimiser: Any
    settings: dict[str, Any]
    span: Span | None = None

    @property
    def batch(self) -> int | str:
        """Examples in a step, or "all"."""
        return self.settings.get("batch", "all")

    @property
    def seed(self) -> int:
        """Of initial values and shuffles."""
        return int(self.settings.get("seed", 0))

    @property
    def length(self) -> tuple[int | None, int | None]:
        """Steps or epochs; the other is None."""
        if "steps" in self.settings:
            return self.settings["steps"], None
        return None, self.settings.get("epochs", DEFAULT_EPOCHS)

    @property
    def clip(self) -> float | None:
        """The greatest norm of a gradient."""
        return self.settings.get("clip")

    @property
    def freeze(self) -> tuple[str, ...]:
        """Patterns of the names of parameters that do not learn."""
        return tuple(p for p in re.split(r"[,\s]+", self.settings.get("freeze", "")) if p)

    @property
    def is_plain(self) -> bool:
        """Whether a step takes the gradient times a fixed rate from the parameters, and does no more."""
        plain = self.optimiser.update() == ["w -= lr * g"] and self.optimiser.schedule is None
        return plain and self.clip is None


DEFAULT_TRAINING = Training(Sgd(), {})
"""What a diagram without a `train` statement is trained by."""


@dataclass(frozen=True)
class Made:
    """Generated data: the number of examples, and the columns' equations in order."""

    count: int
    columns: tuple[tuple[str, Expr], ...]
    span: Span


@dataclass
class Program:
    """One diagram. `statics` holds sizes and consts, for data equations that use them."""

    graph: Graph
    training: Training | None = None
    data: DataFileStmt | DataTableStmt | DataMadeStmt | None = None
    statics: dict[str, Any] = field(default_factory=dict)
    types: dict[str, TensorType] = field(default_factory=dict)
    """Declared types of inputs and targets."""
    sizes: dict[str, Dim] = field(default_factory=dict)
    is_partial: bool = False
    """Whether statements or nodes were left out, which happens only where errors were reported."""
