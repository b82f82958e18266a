"""The loss and the metrics over all rows, a part of them at a time.

Assumes a learner whose loss over a batch is what design 1.6 says: the mean over the rows, or
their sum for terms `by sum`, and terms that depend on no row added once. Promises what one call
on all rows would give, to rounding, without holding more than a part of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..graph import Graph
from .learner import Learner

if TYPE_CHECKING:
    from ..data.examples import Examples

MOST_ROWS = 4096
MOST_ENTRIES = 2**20
"""A part holds no more rows, and no more numbers, unless a batch does."""


def loss_by(graph: Graph) -> str:
    """How the loss is made of its rows: mean, sum, or both where it has terms of either kind."""
    of_rows = {*graph.inputs, *graph.targets, *(n.name for n in graph if n.op.name == "key")}
    kinds = {r.by for r in graph.results_of("loss") if graph.ancestors([r.node]) & of_rows}
    return "both" if len(kinds) > 1 else next(iter(kinds), "mean")


def evaluate(learner: Learner, examples: Examples, by: str, batch: int | None = None) -> dict[str, float]:
    """`loss` over all rows, then each metric; of no rows what an empty batch gives.

    by: of `loss_by`. batch: rows that are known to fit into memory at once.
    """
    if not examples.count:
        return learner.evaluate(examples.batch(0, None, 0))
    rows = max(_rows_at_once(examples), batch or 1)
    if examples.count <= rows:
        return learner.evaluate(next(iter(examples.chunks(rows))))
    once = 0.0
    sums: dict[str, float] = {}
    for index, chunk in enumerate(examples.chunks(rows)):
        share = count_of(chunk) / examples.count
        values = learner.evaluate(chunk)
        loss = values.pop("loss")
        if by == "mean":
            weighted = loss * share
        else:
            once = learner.evaluate({n: a[:0] for n, a in chunk.items()})["loss"] if not index else once
            summed = loss - once if by == "sum" else _summed(learner, chunk, loss)
            weighted = summed + (loss - once - summed) * share
        sums["loss"] = sums.get("loss", 0.0) + weighted
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value * share
    sums["loss"] += once
    return sums


def count_of(batch: Mapping[str, np.ndarray]) -> int:
    """The number of rows of a batch."""
    return next((len(a) for a in batch.values()), 0)


def _summed(learner: Learner, chunk: Mapping[str, np.ndarray], loss: float) -> float:
    """The part of a loss that is a sum over rows: by how much it grows when every row is there twice."""
    twice = {name: np.concatenate([a, a]) for name, a in chunk.items()}
    return learner.evaluate(twice)["loss"] - loss


def _rows_at_once(examples: Examples) -> int:
    entries = sum(a.size for a in next(iter(examples.chunks(1))).values())
    return max(min(MOST_ROWS, MOST_ENTRIES // max(entries, 1)), 1)
