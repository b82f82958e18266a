"""loss.png: the loss over the steps, and the metrics under it, from the rows of log.csv; and the same live.

Assumes the columns `step,epoch,lr,loss[,METRIC...][,val_loss,val_METRIC...]`. Promises the same
bytes for the same log and the same matplotlib, whatever a user's own style is; what is not finite
is left out, and never stops the drawing.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

SETTINGS = ("step", "epoch", "lr")
VALIDATION = "val_"
DECADES = 2
"""A loss that spans more than so many powers of ten is drawn on a logarithmic scale."""
FEW = 40
"""So many rows or fewer are marked one by one."""
MANY = 1000
"""More rows than this are drawn with a thinner line."""
LARGEST, SMALLEST = 1e200, 1e-200
"""What is larger counts as not finite, what is smaller as 0: the drawing's own arithmetic would overflow."""
TRAINING_COLOUR, VALIDATION_COLOUR = "#1f6feb", "#d9480f"
METRIC_COLOURS = ("#2f9e44", "#9c36b5", "#e8590c", "#0c8599", "#846358", "#5f3dc4")


class CannotDraw(Exception):
    """matplotlib cannot be used here."""


def draw_curve(log: str) -> bytes:
    """The picture, as PNG, of a log's text. Raises ValueError where the text is no log, CannotDraw."""
    return draw_columns(read_log(log))


def draw_columns(found: Mapping[str, np.ndarray], title: str = "") -> bytes:
    """The picture, as PNG, of the columns of a log, and a line over it. Raises CannotDraw."""
    columns = dict(found)
    try:
        import matplotlib.style
        from matplotlib.figure import Figure
    except (ImportError, OSError, ValueError) as error:  # it reads MPLBACKEND and the user's own settings
        raise CannotDraw(" ".join(str(error).split())) from None

    steps = columns.pop("step")
    metrics = {name: v for name, v in columns.items() if name not in (*SETTINGS, "loss", "val_loss")}
    with matplotlib.style.context("default"):
        figure = Figure(figsize=(7.2, 5.6 if metrics else 4.0), dpi=140, layout="constrained")
        if metrics:
            upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(5, 3))
            _draw_metrics(lower, steps, metrics)
        else:
            upper = lower = figure.subplots()
        _draw_loss(upper, steps, columns)
        _tidy_steps(lower, steps)
        lower.set_xlabel("step")
        if title:
            upper.set_title(title, loc="left", fontsize="small", parse_math=False)
        figure.align_ylabels()
        picture = io.BytesIO()
        figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def read_log(log: str) -> dict[str, np.ndarray]:
    """The columns of a log by name, float64, nan for an empty cell. Raises ValueError."""
    try:
        rows = list(csv.reader(io.StringIO(log)))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    names = rows[0] if rows else []
    if "step" not in names or "loss" not in names:
        raise ValueError("it has no columns `step` and `loss`")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(names):
            raise ValueError(f"line {number} has {len(row)} cells, and there are {len(names)} columns")
    values = np.array([[float(cell) if cell else math.nan for cell in row] for row in rows[1:]])
    values = values.reshape(-1, len(names))
    return {name: values[:, i] for i, name in enumerate(names)}


def _drawable(values: np.ndarray) -> np.ndarray:
    size = np.abs(values)
    return np.where(size <= LARGEST, np.where(size >= SMALLEST, values, 0.0), np.nan)


def _style(steps: np.ndarray) -> dict[str, Any]:
    marker = "o" if len(steps) <= FEW else None
    return {"linewidth": 1.6 if len(steps) <= MANY else 0.9, "marker": marker, "markersize": 3.5}


def _draw_loss(axes: Any, steps: np.ndarray, columns: dict[str, np.ndarray]) -> None:
    training = _drawable(columns["loss"])
    validation = _drawable(columns["val_loss"]) if "val_loss" in columns else None
    axes.plot(steps, training, color=TRAINING_COLOUR, label="training", **_style(steps))
    if validation is not None:
        axes.plot(steps, validation, color=VALIDATION_COLOUR, label="validation", **_style(steps))
        _mark_lowest(axes, steps, validation)
    _scale(axes, np.concatenate([training, [] if validation is None else validation]))
    axes.set_ylabel("loss")
    axes.grid(True, color="#e3e6ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if np.isnan(training).all():
        axes.text(0.5, 0.5, "no finite loss", ha="center", va="center", transform=axes.transAxes)
        return
    axes.legend(frameon=False, loc="best")


def _mark_lowest(axes: Any, steps: np.ndarray, validation: np.ndarray) -> None:
    if len(steps) < 2 or np.isnan(validation).all():
        return
    at = int(np.nanargmin(validation))
    axes.plot(
        steps[at], validation[at], "o", markersize=8, fillstyle="none", color=VALIDATION_COLOUR,
        label=f"lowest: {validation[at]:.4g} at step {steps[at]:.0f}",
    )  # fmt: skip


def _scale(axes: Any, losses: np.ndarray) -> None:
    """A logarithmic scale where the losses span more than two decades and none is negative."""
    losses = losses[~np.isnan(losses)]
    positive = losses[losses > 0]
    if not len(positive) or (losses < 0).any():
        return
    if math.log10(positive.max()) - math.log10(positive.min()) > DECADES:
        axes.set_yscale("log", nonpositive="clip")


def _draw_metrics(axes: Any, steps: np.ndarray, metrics: dict[str, np.ndarray]) -> None:
    for index, (name, values) in enumerate(metrics.items()):
        plain = name.removeprefix(VALIDATION)
        label = f"{plain} (validation)" if name.startswith(VALIDATION) else plain
        colour = METRIC_COLOURS[index % len(METRIC_COLOURS)]
        axes.plot(steps, _drawable(values), color=colour, label=label, **_style(steps))
    axes.set_ylabel("metric" if len(metrics) == 1 else "metrics")
    axes.grid(True, color="#e3e6ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="best", ncols=2 if len(metrics) > 3 else 1)


def _tidy_steps(axes: Any, steps: np.ndarray) -> None:
    """Whole numbers on the axis, also for a run of a few steps."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10]))
    if len(steps) == 1:
        axes.set_xlim(steps[0] - 1, steps[0] + 1)
