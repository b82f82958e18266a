"""The step at which a run went wrong: taken again from the last good state, and looked into.

Assumes that the same steps from the same state go wrong again. Promises the error of
`explain_divergence`, and the learner in whatever state this took; or the error of an example that
no engine can compute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..data.batches import MemoryExamples
from ..data.order import epoch_order, place_of, split_rows
from ..errors import FlowError, fail
from ..passes.simulate import ShapeClash, mode_values, simulate
from .divergence import explain_divergence
from .evaluate import count_of
from .learner import Batch, Learner
from .plan import Plan
from .subject import Subject

if TYPE_CHECKING:
    from ..data.examples import Opened

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class _Step:
    """A step: its number from 0, what it was taken with, and the loss before it."""

    number: int
    params: Arrays
    batch: Batch
    loss: float


def all_finite(arrays: Arrays) -> bool:
    """Whether no entry of any array is infinite or not a number."""
    return all(bool(np.isfinite(a).all()) for a in arrays.values())


def diverged(
    diagram: Subject, plan: Plan, learner: Learner, opened: Opened, good: Arrays, last: int
) -> FlowError:
    """The error (E0805) that says where the first value arose that is not finite.

    good: the learner's state after an earlier step. last: a step whose loss was not finite, or
    after which a parameter was not; steps count from 0.
    """
    learner.load_state(good)
    before: _Step | None = None
    # One step more: the loss of spoilt parameters shows which of their values spoils it.
    for number in range(learner.step_count, last + 2):
        params = learner.params()
        batch = opened.train.batch(number, plan.batch, plan.seed)
        here = _Step(number, params, batch, learner.step(batch))
        if not np.isfinite(here.loss):
            return _explained(diagram, plan, opened, here, before)
        if before is not None and not all_finite(params):
            return _explained(diagram, plan, opened, before, None)
        before = here
    return fail(
        "E0805",
        f"a value was not finite at step {last}, and the same steps taken again do not make it so",
        help="operations of a device that change from run to run may be the cause: try --device cpu",
        path=diagram.source.path,
    )


def unfit(
    diagram: Subject, batches: Iterable[Batch], what: str, rows: Sequence[int] | None = None
) -> FlowError | None:
    """The error (E0503) of the first example with an index beyond what it points into, None without one.

    what: the batches, in words. rows: the number of each example of the only batch in the data.
    Parameters are taken for 0: indices come from data, and what they point into has a size.
    """
    graph = diagram.batched()
    columns = {str(graph[name].hint): name for name in (*graph.inputs, *graph.targets)}
    others = mode_values(graph, train=True, rng=np.random.default_rng(0))
    for name in (*graph.params, *graph.buffers):
        others[name] = np.zeros([size.value or 0 for size in graph[name].type.shape])

    def clash(batch: Batch) -> ShapeClash | None:
        try:
            simulate(graph, others | {columns[name]: array for name, array in batch.items()})
        except ShapeClash as found:
            return found
        return None

    for batch in batches:
        if clash(batch) is None:
            continue
        for row in range(count_of(batch)):
            found = clash({name: array[row : row + 1] for name, array in batch.items()})
            if found is not None:
                which = f"example {row} of {what}" if rows is None else f"example {rows[row]}"
                cure = "change such rows, or what the index points into"
                return fail("E0503", f"{found} ({which})", help=cure, path=diagram.source.path)
    return None


def _explained(diagram: Subject, plan: Plan, opened: Opened, step: _Step, before: _Step | None) -> FlowError:
    found = explain_divergence(
        diagram.expanded,
        diagram.batched(),
        step.params,
        step.batch,
        step=step.number,
        loss=step.loss,
        dtype=plan.dtype,
        rows=row_numbers(opened, plan, step.number),
        previous=None if before is None else (before.params, before.batch),
        gradient_graph=diagram.differentiated(0),
        training=plan.training,
        seed=plan.seed,
        path=diagram.source.path,
    )
    return FlowError([found])


def row_numbers(opened: Opened, plan: Plan, step: int) -> list[int] | None:
    """The numbers, from 0, that the rows of a batch have in the data; None where that is not known."""
    if not isinstance(opened.train, MemoryExamples):
        return None
    count = opened.train.count
    rows = np.arange(count)
    if plan.batch is not None:
        epoch, start, stop = place_of(step, count, plan.batch)
        rows = epoch_order(plan.seed, epoch, count)[start:stop]
    if opened.valid is not None:
        total = count + opened.valid.count
        rows = split_rows(count / total, total)[0][rows]
    return rows.tolist()
