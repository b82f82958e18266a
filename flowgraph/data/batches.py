"""Examples by batches, the examples held in memory, and what makes data unfit for training.

Promises that a batch is a pure function of (step, size, seed), with every input and target of
the diagram in it as float64, int64 or bool arrays [rows, *shape].
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import Diagnostics, FlowError, Span, fail
from ..types import Dim
from .order import epoch_order, place_of, steps_per_epoch
from .table import Wanted

ALL_AT_ONCE = "data that stay in their file cannot make one batch of all"
BATCH_CURE = "give the number of rows of a batch, such as `batch=256` or --batch 256"


class Examples(Protocol):
    """Rows to train or to validate on. count: how many. names: inputs, then targets."""

    count: int
    names: tuple[str, ...]

    def batch(self, step: int, size: int | None, seed: int) -> dict[str, np.ndarray]:
        """The batch of a step, counted from 0: a pure function of the arguments.

        size: rows of a batch (the last of an epoch may have fewer), None for all in file order.
        """

    def per_epoch(self, size: int | None) -> int:
        """How many batches make an epoch."""

    def chunks(self, size: int) -> Iterator[dict[str, np.ndarray]]:
        """All rows in file order, at most `size` at a time."""


class MemoryExamples:
    """Examples held in memory; batches are copies, except the batch of all rows."""

    def __init__(self, columns: Mapping[str, np.ndarray]) -> None:
        self.columns = dict(columns)
        self.names = tuple(self.columns)
        self.count = next((len(c) for c in self.columns.values()), 0)
        self._drawn: tuple[int, int] | None = None
        self._order = np.arange(0)

    def batch(self, step: int, size: int | None, seed: int) -> dict[str, np.ndarray]:
        """The batch of a step: `epoch_order(seed, epoch, count)`, cut into pieces of `size`."""
        if size is None or not self.columns:
            return dict(self.columns)
        epoch, start, stop = place_of(step, self.count, size)
        if self._drawn != (seed, epoch):
            self._drawn, self._order = (seed, epoch), epoch_order(seed, epoch, self.count)
        rows = self._order[start:stop]
        return {name: column[rows] for name, column in self.columns.items()}

    def per_epoch(self, size: int | None) -> int:
        """How many batches make an epoch."""
        return steps_per_epoch(self.count, size)

    def chunks(self, size: int) -> Iterator[dict[str, np.ndarray]]:
        """All rows in file order, `size` at a time; views, not copies."""
        for start in range(0, self.count, size):
            yield {name: column[start : start + size] for name, column in self.columns.items()}


@dataclass(frozen=True)
class Opened:
    """Data ready for training.

    valid: the rows kept for validation, None without a split. labels: the names of classes by
    column. origin: where the data come from, in words. digest: the same for the same data and
    split, and different for others. streamed: whether the rows stay in the file.
    """

    train: Examples
    valid: Examples | None
    labels: dict[str, tuple[str, ...]]
    origin: str
    digest: str
    streamed: bool = False


def check_batch(
    size: int | None, count: int, found: Diagnostics, *, streamed: bool = False, span: Span | None = None
) -> bool:
    """Whether `count` examples make a batch of `size` (None: all of them); if not, E0404 is reported.

    span: of the setting in the file, where it comes from there.
    """
    if size is None and streamed:
        found.report("E0404", ALL_AT_ONCE, span, "all rows at once" if span else "", help=BATCH_CURE)
    elif size is not None and count and size > count:
        there = "there is one example" if count == 1 else f"there are {count} examples"
        found.report(
            "E0404",
            f"a batch of {size} is larger than the data: {there} for training",
            span,
            "larger than the data" if span else "",
            help=f"give at most {count}, or `all` for one batch of them all",
        )
    else:
        return True
    return False


def fail_all_at_once() -> FlowError:
    """The error (E0404) of asking a stream for all of its rows."""
    return fail("E0404", ALL_AT_ONCE, help=BATCH_CURE)


def report_no_rows(found: Diagnostics, path: str, span: Span | None = None) -> None:
    """Report E0503: there is nothing to train on."""
    found.report("E0503", "there are no examples", span, help="training needs one at least", path=path)


def can_split(count: int, found: Diagnostics) -> bool:
    """Whether there are two rows at least, one for each part; if not, E0404 is reported."""
    if count >= 2:
        return True
    found.report("E0404", "a single example cannot be split", help="give more examples, or no split")
    return False


def check_sizes(
    shapes: Mapping[str, tuple[int, ...]], wanted: Sequence[Wanted], found: Diagnostics, path: str
) -> None:
    """Report columns (E0503) whose shapes per example give a symbolic size two values."""
    known: dict[str, tuple[int, str]] = {}
    for column in wanted:
        for dim, size in zip(column.type.shape, shapes.get(column.name, ()), strict=False):
            if not isinstance(dim, Dim) or dim != Dim.symbol(str(dim)):
                continue
            other, name = known.setdefault(str(dim), (size, column.name))
            if other != size:
                said = f"the size {dim} is {other} in `{name}`, and {size} in `{column.name}`"
                found.report("E0503", said, help="one size has one value in all columns", path=path)


def digest_of(columns: Mapping[str, np.ndarray], labels: Mapping[str, Sequence[str]]) -> str:
    """A fingerprint of columns: names, dtypes, shapes, contents, and the names of classes."""
    total = hashlib.blake2b(digest_size=16)
    for name, column in columns.items():
        total.update(repr((name, column.dtype.str, column.shape, tuple(labels.get(name, ())))).encode())
        total.update(np.ascontiguousarray(column).reshape(-1).view(np.uint8).data)
    return total.hexdigest()


def split_digest(digest: str, training: int) -> str:
    """The fingerprint of data of which so many rows are for training."""
    return hashlib.blake2b(f"{digest} {training}".encode(), digest_size=16).hexdigest()
