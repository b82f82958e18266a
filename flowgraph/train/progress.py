"""How far a run has come: a bar on a terminal, a curve in a notebook, plain lines elsewhere, or nothing.

Assumes that the loop calls `tick` often and `row` for every line of the log. Promises to write
seldom, so that a run is not slowed down by being watched.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

from ..errors import Diagnostic, render
from ..run.table import number_text

BETWEEN_FRAMES = 0.25
"""Seconds between two pictures of the bar."""
BETWEEN_LINES = 1.0
"""Seconds at least between two lines, but for the last."""
SILENCE = 30.0
"""Seconds after which a line is written though the log has none."""
SHORTEST_BAR = 10
MOST_METRICS = 3
"""So many are shown while training; the log and the table have all."""


@dataclass(frozen=True)
class Moment:
    """Where a run is.

    step of total steps; epoch of epochs, counted from 1. loss: the mean over the steps since the
    last row, nan before the first. values: metrics of the last row. examples_per_second: since
    the run began. seconds_left: None while nothing is known.
    """

    step: int
    total: int
    epoch: int
    epochs: int
    loss: float
    values: Mapping[str, float] = field(default_factory=dict)
    examples_per_second: float = 0.0
    seconds_left: float | None = None

    @property
    def is_last(self) -> bool:
        return self.step >= self.total


class Reporter(Protocol):
    """Who is told of a run."""

    def row(self, moment: Moment) -> None:
        """A line was added to the log."""

    def tick(self, moment: Moment) -> None:
        """Time passed."""

    def note(self, text: str) -> None:
        """Something worth a line was done."""

    def warn(self, found: Sequence[Diagnostic]) -> None:
        """Something is not as it should be, and the run goes on."""

    def close(self) -> None:
        """The run has ended, or failed; may be called twice."""


class Silent:
    """Tells nobody."""

    def row(self, moment: Moment) -> None:
        pass

    def tick(self, moment: Moment) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def warn(self, found: Sequence[Diagnostic]) -> None:
        pass

    def close(self) -> None:
        pass


class Lines:
    """Plain lines, for files and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._last = time.monotonic()

    def row(self, moment: Moment) -> None:
        if moment.is_last or time.monotonic() - self._last >= BETWEEN_LINES:
            self._write(moment)

    def tick(self, moment: Moment) -> None:
        if time.monotonic() - self._last >= SILENCE:
            self._write(moment)

    def note(self, text: str) -> None:
        self.stream.write(f"{text}\n")
        self.stream.flush()

    def warn(self, found: Sequence[Diagnostic]) -> None:
        self.stream.write(render(found))
        self.stream.flush()

    def close(self) -> None:
        pass

    def _write(self, moment: Moment) -> None:
        self._last = time.monotonic()
        self.note("  ".join([f"epoch {moment.epoch}/{moment.epochs}", *facts(moment)]))


class Bar:
    """A bar on a terminal, redrawn in its place."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        # Drawn when the loop has time for it: a thread of its own would take the time from a step.
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(None, complete_style="green", finished_style="green", table_column=Column(ratio=1)),
            TextColumn("{task.fields[facts]}", markup=False, table_column=Column(no_wrap=True)),
            console=Console(file=stream),
            auto_refresh=False,
            redirect_stdout=False,
            expand=True,
        )
        self._task: Any = None
        self._drawn = 0.0

    def row(self, moment: Moment) -> None:
        self.tick(moment)

    def tick(self, moment: Moment) -> None:
        now = time.monotonic()
        if now - self._drawn < BETWEEN_FRAMES and not moment.is_last:
            return
        self._drawn = now
        epoch = f"{moment.epoch}/{moment.epochs}"
        room = self._progress.console.width - len(f"epoch {epoch} ") - SHORTEST_BAR
        shown: dict[str, Any] = {
            "total": moment.total,
            "completed": moment.step,
            "epoch": epoch,
            "facts": fitting(moment, room),
        }
        if self._task is None:
            self._task = self._progress.add_task("", **shown)
            self._progress.start()
        self._progress.update(self._task, **shown)
        self._progress.refresh()

    def note(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False)

    def warn(self, found: Sequence[Diagnostic]) -> None:
        if found:
            self._progress.console.out(render(found), end="", highlight=False)

    def close(self) -> None:
        self._progress.stop()


def facts(moment: Moment, *, step: bool = True, metrics: int = MOST_METRICS, rate: bool = True) -> list[str]:
    """The numbers of a moment: `step 72/480`, `loss 0.1234`, metrics, `5432 examples/s`."""
    is_told = moment.epochs == moment.total  # by the epoch, which is one step
    found = [f"step {moment.step}/{moment.total}"] if step and not is_told else []
    found += [f"{n} {short(v)}" for n, v in [("loss", moment.loss), *moment.values.items()][: 1 + metrics]]
    if moment.examples_per_second and rate:
        found.append(f"{speed(moment.examples_per_second)} examples/s")
    return found


def fitting(moment: Moment, room: int) -> str:
    """As many facts as fit on a line, and the time left: the step gives way first, then metrics."""
    left = _time_left(moment)
    text = "  ".join([*facts(moment), *left])
    for metrics in range(MOST_METRICS, -1, -1):
        if len(text) > room:
            text = "  ".join([*facts(moment, step=False, metrics=metrics), *left])
    if len(text) > room:
        text = "  ".join([*facts(moment, step=False, metrics=0, rate=False), *left])
    return text


def short(value: float) -> str:
    """A number in four digits."""
    return f"{value:.4g}"


def speed(rate: float) -> str:
    """Examples per second in three digits: 5430, 301k, 9.16M."""
    if rate >= 1e6:
        return f"{rate / 1e6:.3g}M"
    if rate >= 1e4:
        return f"{rate / 1e3:.3g}k"
    return number_text(float(f"{rate:.3g}"))


def duration(seconds: float) -> str:
    """How long something took: `5.7 ms`, `0.41 s`, `12 s`, `1:02`, `1:02:03`."""
    if seconds < 0.1:
        return f"{seconds * 1e3:.2g} ms"
    return f"{seconds:.2g} s" if seconds < 59.5 else clock(seconds)


def clock(seconds: float) -> str:
    """A time as a clock shows it, `0:12` or `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _time_left(moment: Moment) -> list[str]:
    known = moment.seconds_left is not None and not moment.is_last
    return [f"{clock(moment.seconds_left or 0)} left"] if known else []


def reporter_for(stream: TextIO) -> Reporter:
    """The curve in a notebook, the bar where a terminal can redraw a line, else plain lines."""
    if in_kernel():
        from .live import Live

        return Live(stream)
    return Bar(stream) if stream.isatty() and os.environ.get("TERM") != "dumb" else Lines(stream)


def in_kernel() -> bool:
    """Whether IPython runs here with a kernel, which shows pictures and changes those it has shown."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None
