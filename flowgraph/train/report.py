"""What a run came to, as a table for people and as one JSON object."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .progress import duration, short, speed


@dataclass(frozen=True)
class Part:
    """The rows for training or for validation: how many, and `loss` and metrics over all of them."""

    count: int
    values: dict[str, float]


@dataclass(frozen=True)
class Trained:
    """A run that has ended, or was stopped.

    params: by the diagram's names, in the run's dtype. steps: taken in all, of `total`. epochs:
    of passes over the data, the last perhaps begun only. training, validation: with the final
    parameters; validation is None without rows for it. rows: the log of this process, its columns
    by name. seconds, examples_per_second: of this process. stopped: whether by Ctrl-C.
    """

    target: str
    params: dict[str, np.ndarray]
    steps: int
    total: int
    epochs: int
    training: Part
    validation: Part | None = None
    rows: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    examples_per_second: float = 0.0
    stopped: bool = False
    folder: Path | None = None

    @property
    def loss(self) -> float:
        """Over the rows for training, with the final parameters."""
        return self.training.values["loss"]

    @property
    def metrics(self) -> dict[str, float]:
        """Over the rows for validation where there are any, else over those for training."""
        part = self.validation or self.training
        return {name: value for name, value in part.values.items() if name != "loss"}

    @property
    def losses(self) -> np.ndarray:
        """The losses of the log, [rows]."""
        return np.array([row["loss"] for row in self.rows])

    def table(self) -> str:
        """The parts, how long it took, and where the parameters are."""
        parts = {"training": self.training, "validation": self.validation}
        named = {name: part for name, part in parts.items() if part is not None}
        lines = [["", "examples", *self.training.values]]
        for name, part in named.items():
            lines.append([name, str(part.count), *(short(v) for v in part.values.values())])
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        text = [
            "  ".join(
                [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
            )
            for line in lines
        ]
        return "\n".join([*(t.rstrip() for t in text), "", *self._ending()]) + "\n"

    def _ending(self) -> list[str]:
        steps, epochs = _several(self.steps, "step"), _several(self.epochs, "epoch")
        said = f"{steps}, {epochs}"
        if self.examples_per_second:
            said += f", in {duration(self.seconds)}, {speed(self.examples_per_second)} examples/s"
        lines = [said]
        if self.folder is not None:
            lines.append(f"parameters: {self.folder / 'model.safetensors'}")
        return lines

    def as_json(self) -> str:
        """One line; numbers that are not finite are null."""
        parts = {"training": self.training, "validation": self.validation}
        found: dict[str, Any] = {
            "target": self.target,
            "steps": self.steps,
            "total_steps": self.total,
            "epochs": self.epochs,
            **{name: _json_part(part) for name, part in parts.items()},
            "seconds": round(self.seconds, 3),
            "examples_per_second": round(self.examples_per_second, 1),
            "stopped": self.stopped,
            "params": None if self.folder is None else str(self.folder / "model.safetensors"),
        }
        return json.dumps(found)


def _json_part(part: Part | None) -> dict[str, float | None] | None:
    if part is None:
        return None
    values = {name: value if math.isfinite(value) else None for name, value in part.values.items()}
    return {"examples": part.count, **values}


def _several(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
