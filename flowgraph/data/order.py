"""Which rows make which batch, and which are for training: pure functions of a few numbers.

The whole position of a run is its seed and its step, so that a run can go on anywhere, and every
target sees the same batches.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Place(NamedTuple):
    """Where a step stands: its epoch, and the rows `start` to `stop` (exclusive) of the epoch's order."""

    epoch: int
    start: int
    stop: int


def epoch_order(seed: int, epoch: int, count: int) -> np.ndarray:
    """The rows in the order in which an epoch takes them, int64 [count]; epochs count from 0."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def steps_per_epoch(count: int, size: int | None) -> int:
    """How many batches of `size` rows there are in `count`, the last perhaps smaller; None: one of all."""
    return 1 if size is None else max(-(-count // size), 1)


def place_of(step: int, count: int, size: int) -> Place:
    """The place of a step, counted from 0 over all epochs."""
    epoch, batch = divmod(step, steps_per_epoch(count, size))
    return Place(epoch, batch * size, min((batch + 1) * size, count))


def training_count(share: float, count: int) -> int:
    """How many of `count` >= 2 rows are for training: the nearest whole number, never none or all."""
    return min(max(round(share * count), 1), count - 1)


def split_rows(share: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows for training and those for validation, each in file order; the same for every seed."""
    drawn = np.random.default_rng(0).permutation(count)
    first = training_count(share, count)
    return np.sort(drawn[:first]), np.sort(drawn[first:])
