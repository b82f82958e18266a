"""The run itself: steps, rows of the log, checkpoints, and how it ends.

Assumes a plan, a learner for it and data that fit. Promises that the run is a pure function of
diagram, plan, data and first parameters, wherever it was stopped and resumed: the batch of a step
follows from the step and the seed, and what the loop itself remembers (the sum of the losses since
the last row) is kept in the checkpoint.

Only the process that writes (`Learner.is_writer`) prints and touches files. All processes of a run
take the same steps, evaluate and gather their state at the same steps: what depends on a clock is
agreed upon.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FlowError
from .checkpoint import Checkpoint, write_checkpoint
from .culprit import all_finite, diverged, row_numbers, unfit
from .evaluate import evaluate, loss_by
from .learner import Learner
from .plan import Plan
from .progress import Moment, Reporter
from .report import Part, Trained
from .stopping import Stopping
from .subject import Subject

if TYPE_CHECKING:
    from ..data.batches import Examples
    from ..data.examples import Opened
    from .folder import RunFolder

SAVE_EVERY = 15.0
"""Seconds between two checkpoints."""
SAVE_SHARE = 0.05
"""Saving takes no greater share of the time."""
LOOK_EVERY = 0.02
"""Seconds between two looks at the clock."""
LONGEST_STRETCH = 100_000
AGREE_EVERY = 16
"""Steps after which several processes agree on whether to save."""
UNFIT = (IndexError, RuntimeError)
"""What numpy and PyTorch raise for an index that is out of range."""
MOST_EPOCHS = 1000
"""Of more epochs, not each has a row of its own."""


def rows_every(plan: Plan, count: int, log: int | None) -> int:
    """After how many steps there is a row in the log: `log` of them, else at the end of an epoch."""
    if log is not None:
        return log
    per_epoch = plan.per_epoch(count)
    epochs = -(-plan.total_steps(count) // per_epoch)
    return per_epoch * -(-epochs // MOST_EPOCHS)


def train(
    diagram: Subject,
    plan: Plan,
    learner: Learner,
    opened: Opened,
    *,
    reporter: Reporter,
    folder: RunFolder | None = None,
    resume: Checkpoint | None = None,
    belongs: Mapping[str, Any] | None = None,
    log: int | None = None,
    save_every: int | None = None,
    detect_anomaly: bool = False,
) -> Trained:
    """Train to the end of the plan. Raises FlowError.

    folder: prepared, for log, checkpoints and parameters. resume: where to go on. belongs: what is
    written into checkpoints about the run they belong to. log: steps between two rows, None for
    whole epochs. save_every: steps between two checkpoints, None for some seconds. detect_anomaly:
    look at all parameters after every step.

    Raises E0805 where the loss or a parameter is not finite any more; what the folder holds is then
    of an earlier, good step. Raises E0802 and E0701 as learners and folders do.
    """
    run = _Run(diagram, plan, learner, opened, reporter, folder if learner.is_writer else None)
    run.row_every = rows_every(plan, opened.train.count, log)
    run.save_every, run.detect_anomaly, run.belongs = save_every, detect_anomaly, dict(belongs or {})
    try:
        return run.go(resume)
    finally:
        reporter.close()


@dataclass
class _Sum:
    """What the loop remembers between two rows: the sum of the losses since step `since`."""

    losses: float = 0.0
    since: int = 0


class _Run:
    row_every: int
    save_every: int | None
    detect_anomaly: bool
    belongs: dict[str, Any]

    def __init__(
        self,
        diagram: Subject,
        plan: Plan,
        learner: Learner,
        opened: Opened,
        reporter: Reporter,
        folder: RunFolder | None,
    ) -> None:
        self.diagram, self.plan, self.learner, self.opened = diagram, plan, learner, opened
        self.reporter, self.folder = reporter, folder
        self.total = plan.total_steps(opened.train.count)
        self.per_epoch = plan.per_epoch(opened.train.count)
        self.by = loss_by(diagram.graph)
        self.metrics = [r.label for r in diagram.graph.results_of("metric")]
        self.sum = _Sum()
        self.rows: list[dict[str, float]] = []
        self.shown: dict[str, float] = {}
        self.pace = 1
        self.stopped = False

    # -- from the beginning to the end

    def go(self, resume: Checkpoint | None) -> Trained:
        if resume is not None:
            self.learner.load_state(resume.arrays)
            self.sum = _Sum(**resume.about["sum"])
        if self.folder is not None:
            self.folder.open_log(self._columns(), None if resume is None else resume.about["log_bytes"])
        if resume is not None:
            self._say_where()
        self.first, self.good = self.learner.step_count, self.learner.state()
        self.began = self.saved = time.monotonic()
        self.saving = 0.0
        # An overflow shows in the loss; numpy need not warn of it as well.
        with np.errstate(all="ignore"):
            with Stopping() as stopping:
                while self.learner.step_count < self.total and not self.stopped:
                    self._stretch(stopping)
                if self.learner.step_count > self.first:
                    self._keep()
                self.ended = time.monotonic()
                self._finish()
            return self._trained()

    def _say_where(self) -> None:
        step = self.learner.step_count
        if step < self.total:
            self.reporter.note(f"going on after step {step} of {self.total}")
        else:
            longer = "a larger --epochs or --steps makes it go on"
            self.reporter.note(f"the run has taken its {step} steps already; {longer}")

    def _finish(self) -> None:
        """Bring the folder up to its end, also where a run was killed after its last checkpoint."""
        if self.stopped:
            cure = "go on with --resume" if self.folder else "without --out nothing of it is kept"
            self.reporter.note(f"stopped at step {self.learner.step_count} of {self.total}; {cure}")
        params = self.learner.params()
        if self.folder is not None:
            if self.learner.step_count == self.first:
                self.folder.write_model(params)
            if why := self.folder.write_curve():
                self.reporter.note(f"there is no loss.png: {why}")

    def _trained(self) -> Trained:
        step, first, seconds = self.learner.step_count, self.first, self.ended - self.began
        rate = (self._examples(step) - self._examples(first)) / seconds if step > first else 0.0
        return Trained(
            self.plan.target,
            self.learner.params(),
            step,
            self.total,
            -(-step // self.per_epoch),
            self._part(self.opened.train),
            None if self.opened.valid is None else self._part(self.opened.valid),
            self.rows,
            seconds,
            rate,
            self.stopped,
            None if self.folder is None else self.folder.path,
        )

    def _part(self, examples: Examples) -> Part:
        """The final loss and metrics; a run that was stopped does not go through all rows for them."""
        return Part(examples.count, {} if self.stopped else self._evaluate(examples))

    def _evaluate(self, examples: Examples) -> dict[str, float]:
        try:
            return evaluate(self.learner, examples, self.by, self.plan.batch)
        except UNFIT as error:
            what = "those for validation" if examples is self.opened.valid else "those for training"
            chunks = examples.chunks(examples.count)
            raise (unfit(self.diagram, chunks, what) or error) from None

    # -- steps

    def _stretch(self, stopping: Stopping) -> None:
        """Steps up to the next row, checkpoint or look at the clock, and what is due after them."""
        before, start = self.learner.step_count, time.monotonic()
        ends = [self.total, before + self.pace, _next(before, self.row_every)]
        if self.save_every is not None:
            ends.append(_next(before, self.save_every))
        self._steps(min(ends), stopping)
        now, step = time.monotonic(), self.learner.step_count
        if self.learner.is_distributed:
            self.pace = AGREE_EVERY - step % AGREE_EVERY
        else:
            fitting = LOOK_EVERY * (step - before) / max(now - start, 1e-9)
            self.pace = max(1, min(int(fitting), LONGEST_STRETCH))
        if step == self.total or step % self.row_every == 0:
            self._row()
        else:
            self.reporter.tick(self._moment(now))
        if step < self.total and not self.stopped and self._is_save_due(step):
            self._keep()

    def _steps(self, until: int, stopping: Stopping) -> None:
        """Take steps up to one, or until the run is to stop. Raises FlowError (E0805)."""
        learner, batch_of = self.learner, self.opened.train.batch
        size, seed = self.plan.batch, self.plan.seed
        for step in range(learner.step_count, until):
            batch = batch_of(step, size, seed)
            try:
                loss = learner.step(batch)
            except UNFIT as error:
                rows = row_numbers(self.opened, self.plan, step)
                raise (unfit(self.diagram, [batch], "the batch", rows) or error) from None
            if not math.isfinite(loss) or (self.detect_anomaly and not all_finite(learner.params())):
                raise self._diverged(step)
            self.sum.losses += loss
            if learner.stop(stopping.wanted) if learner.is_distributed else stopping.wanted:
                self.stopped = step + 1 < self.total
                return

    def _diverged(self, step: int) -> FlowError:
        return diverged(self.diagram, self.plan, self.learner, self.opened, self.good, step)

    # -- rows of the log

    def _columns(self) -> list[str]:
        if self.opened.valid is None:
            return ["step", "epoch", "lr", "loss", *self.metrics]
        return ["step", "epoch", "lr", "loss", "val_loss", *(f"val_{name}" for name in self.metrics)]

    def _row(self) -> None:
        """Evaluate, add a row to the log, and tell of it."""
        step = self.learner.step_count
        row: dict[str, float] = {
            "step": step,
            "epoch": -(-step // self.per_epoch),
            "lr": self.plan.training.optimiser.rate_at(step - 1),
            "loss": self._loss(step),
        }
        self.shown = self._judged()
        row |= self.shown
        if self.folder is not None:
            self.folder.log_row(list(row.values()))
        self.rows.append(row)
        self.reporter.row(self._moment(time.monotonic()))
        self.sum = _Sum(0.0, step)

    def _judged(self) -> dict[str, float]:
        """Loss and metrics over the rows for validation, or the metrics over those for training."""
        if self.opened.valid is not None:
            return {f"val_{name}": value for name, value in self._evaluate(self.opened.valid).items()}
        if not self.metrics:
            return {}
        values = self._evaluate(self.opened.train)
        return {name: values[name] for name in self.metrics}

    def _loss(self, step: int) -> float:
        """The mean of the losses since the last row."""
        return self.sum.losses / (step - self.sum.since) if step > self.sum.since else math.nan

    def _moment(self, now: float) -> Moment:
        step, seconds = self.learner.step_count, now - self.began
        taken = step - self.first
        return Moment(
            step,
            self.total,
            max(-(-step // self.per_epoch), 1),
            -(-self.total // self.per_epoch),
            self._loss(step),
            self.shown,
            (self._examples(step) - self._examples(self.first)) / seconds if seconds else 0.0,
            (self.total - step) * seconds / taken if taken else None,
        )

    def _examples(self, step: int) -> int:
        """How many examples were seen in so many steps."""
        count = self.opened.train.count
        epochs, rest = divmod(step, self.per_epoch)
        return epochs * count + min(rest * (self.plan.batch or count), count)

    # -- checkpoints

    def _is_save_due(self, step: int) -> bool:
        if self.save_every is not None and step % self.save_every == 0:
            return True
        waited = time.monotonic() - self.saved
        is_due = waited >= max(SAVE_EVERY, self.saving / SAVE_SHARE)
        if not self.learner.is_distributed:
            return is_due
        return step % AGREE_EVERY == 0 and self.learner.stop(is_due)

    def _keep(self) -> None:
        """Remember where the run is, in the folder too if it is the step for it. Raises FlowError."""
        start, step = time.monotonic(), self.learner.step_count
        params = self.learner.params()
        if not all_finite(params):
            raise self._diverged(step - 1)
        self.good = self.learner.state()
        is_end = self.stopped or step == self.total
        if self.folder is not None and (self.save_every is None or is_end or step % self.save_every == 0):
            about = self._about(step, self.folder.sync_log())
            write_checkpoint(self.folder.path, step, Checkpoint(self.good, about))
            self.folder.write_model(params)
        self.saved = time.monotonic()
        self.saving = self.saved - start

    def _about(self, step: int, log_bytes: int) -> dict[str, Any]:
        epoch, position = divmod(step, self.per_epoch)
        return {
            "step": step,
            "epoch": epoch,
            "position": position,
            "rng": {"kind": "default_rng([seed, epoch]).permutation", "seed": self.plan.seed, "epoch": epoch},
            "sum": asdict(self.sum),
            "log_bytes": log_bytes,
            **self.belongs,
        }


def _next(step: int, every: int) -> int:
    """The first multiple of `every` after a step."""
    return (step // every + 1) * every
