"""Examples that stay in their file and are read a few blocks at a time.

For files larger than memory. Promises that every row is in exactly one batch of an epoch, that a
batch is a pure function of (file, step, size, seed), and that no more than one window of rows and
one block are held at a time, however long the file is. The values were all checked once before.

Rows are shuffled as far as a window reaches. Epoch e takes the blocks in the order
default_rng([seed, e]).permutation(blocks); each `window` blocks of that order make a pool, in which
pool p (from 1) takes its rows in the order default_rng([seed, e, p]).permutation(rows).
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from stat import S_ISREG

import numpy as np

from ..errors import Diagnostics, Span
from .arrays import unusable_reported
from .batches import Opened, can_split, check_sizes, fail_all_at_once, report_no_rows, split_digest
from .files import check_file, check_format, report_unusable
from .mapped import is_stored
from .order import place_of, steps_per_epoch, training_count
from .readers import BlockReader, open_arrays
from .source import Source
from .table import Wanted

STREAMED_BYTES = 512 * 2**20
"""Larger files are not read whole, where their format allows it."""

WINDOW_BYTES = 64 * 2**20
"""Rows are pooled and shuffled in windows of about so many bytes."""


@dataclass(frozen=True)
class Part:
    """The rows that examples consist of: `training` of all `count`, or the others, or (None) all.

    Each block gives its share: of the rows before row r, floor(r * training / count) are for
    training, and a block draws those of its own by default_rng([0, block]).
    """

    count: int
    training: int | None = None
    is_training: bool = True

    def size(self, start: int, stop: int) -> int:
        """How many rows a block gives."""
        if self.training is None:
            return stop - start
        first = stop * self.training // self.count - start * self.training // self.count
        return first if self.is_training else stop - start - first

    def rows(self, block: int, start: int, stop: int) -> np.ndarray:
        """The rows that a block gives, counted from its first, in file order."""
        drawn = np.arange(stop - start)
        if self.training is not None:
            drawn = np.random.default_rng([0, block]).permutation(stop - start)
        size = self.size(start, stop)
        return np.sort(drawn[:size] if self.is_training else drawn[len(drawn) - size :])


class StreamExamples:
    """Examples read from their file as they are needed."""

    def __init__(self, source: Source, part: Part) -> None:
        self.source, self.part = source, part
        self.names = tuple(c.name for c in source.wanted)
        bounds = source.reader.bounds
        self.sizes = np.array([part.size(a, b) for a, b in pairwise(bounds)], dtype=np.int64)
        self.count = int(self.sizes.sum())
        largest = max(b - a for a, b in pairwise(bounds)) * source.row_bytes
        self.window = max(WINDOW_BYTES // max(largest, 1), 1)
        self._epoch: tuple[int, int] | None = None
        self._blocks = self._ends = np.arange(0)
        self._pooled: tuple[int, int, int] | None = None
        self._pool: dict[str, np.ndarray] = {}
        self._order = np.arange(0)

    def batch(self, step: int, size: int | None, seed: int) -> dict[str, np.ndarray]:
        """The batch of a step. Raises FlowError (E0404 for all rows at once, E0501)."""
        if size is None:
            raise fail_all_at_once()
        epoch, start, stop = place_of(step, self.count, size)
        self._draw_epoch(seed, epoch)
        parts = []
        pool = int(np.searchsorted(self._ends, start, side="right"))
        while start < stop:
            self._draw_pool(seed, epoch, pool)
            end = int(self._ends[pool])
            base = end - len(self._order)
            rows = self._order[start - base : min(stop, end) - base]
            parts.append({name: column[rows] for name, column in self._pool.items()})
            start, pool = end, pool + 1
        return {name: np.concatenate([p[name] for p in parts]) for name in self.names}

    def per_epoch(self, size: int | None) -> int:
        """How many batches make an epoch. Raises FlowError (E0404) for all rows at once."""
        if size is None:
            raise fail_all_at_once()
        return steps_per_epoch(self.count, size)

    def chunks(self, size: int) -> Iterator[dict[str, np.ndarray]]:
        """All rows in file order, at most `size` at a time and of one block each. Raises FlowError."""
        for number in range(len(self.sizes)):
            columns = self._rows(number)
            for start in range(0, int(self.sizes[number]), size):
                yield {name: column[start : start + size] for name, column in columns.items()}

    def _rows(self, number: int) -> dict[str, np.ndarray]:
        """The rows of a block that belong to these examples."""
        columns = self.source.block(number)
        if self.part.training is None:
            return columns
        rows = self.part.rows(number, *self.source.bounds(number))
        return {name: column[rows] for name, column in columns.items()}

    def _draw_epoch(self, seed: int, epoch: int) -> None:
        """The order of the blocks, and where in the epoch each pool ends."""
        if self._epoch == (seed, epoch):
            return
        self._epoch = (seed, epoch)
        self._blocks = np.random.default_rng([seed, epoch]).permutation(len(self.sizes))
        starts = np.arange(0, len(self.sizes), self.window)
        self._ends = np.cumsum(np.add.reduceat(self.sizes[self._blocks], starts))

    def _draw_pool(self, seed: int, epoch: int, pool: int) -> None:
        """The rows of a pool, read from the file, and their order."""
        if self._pooled == (seed, epoch, pool):
            return
        self._pooled, self._pool = None, {}  # the old rows go before the new ones come
        blocks = self._blocks[pool * self.window : (pool + 1) * self.window]
        count = int(self.sizes[blocks].sum())
        columns: dict[str, np.ndarray] = {}
        at = 0
        for number in blocks.tolist():
            rows = self._rows(number)
            for name, column in rows.items():
                if name not in columns:
                    columns[name] = np.empty((count, *column.shape[1:]), column.dtype)
                columns[name][at : at + len(column)] = column
            at += int(self.sizes[number])
        # Not [..., pool]: a last 0 adds nothing to a seed, and pool 0 would repeat the draw of the blocks.
        self._order = np.random.default_rng([seed, epoch, pool + 1]).permutation(count)
        self._pooled, self._pool = (seed, epoch, pool), columns


# ---------------------------------------------------------------------------------------


def is_large(path: Path) -> bool:
    """Whether a file is streamed without being asked for: its size, and what its format allows.

    False also for what cannot be read: who reads it whole says why not.
    """
    suffix = path.suffix.lower()
    try:
        stat = path.stat()
        if not S_ISREG(stat.st_mode):
            return False
        if suffix == ".parquet":
            from .parquet import memory_bytes

            return max(stat.st_size, memory_bytes(path)) > STREAMED_BYTES
        if stat.st_size <= STREAMED_BYTES or suffix not in (".npy", ".npz", ".safetensors"):
            return False
        return suffix != ".npz" or is_stored(path)
    except (OSError, ValueError, ImportError, zipfile.BadZipFile, NotImplementedError):
        return False


def open_stream(
    path: Path,
    span: Span | None,
    wanted: Sequence[Wanted],
    found: Diagnostics,
    share: float | None,
    *,
    allow_nan: bool,
) -> Opened | None:
    """A file as examples that stay in it, or None with the errors reported.

    All values are checked, in one pass. share: of the rows for training, None for all.
    """
    reader = _open(path, span, wanted, found)
    if reader is None:
        return None
    if not reader.count:
        report_no_rows(found, str(path))
        return None
    if share is not None and not can_split(reader.count, found):
        return None
    source = Source(path, reader, wanted, allow_nan)
    digest = source.check(found)
    if digest is None:
        return None
    check_sizes(source.shapes, wanted, found, str(path))
    if share is None:
        train = StreamExamples(source, Part(reader.count))
        return Opened(train, None, source.labels, path.name, digest, streamed=True)
    first = training_count(share, reader.count)
    train, valid = (StreamExamples(source, Part(reader.count, first, which)) for which in (True, False))
    return Opened(train, valid, source.labels, path.name, split_digest(digest, first), streamed=True)


def _open(path: Path, span: Span | None, wanted: Sequence[Wanted], found: Diagnostics) -> BlockReader | None:
    """The reader of a file by its name's ending, or None with the errors reported."""
    if not check_format(str(path), found, span) or not check_file(path, found, span, math.inf):
        return None
    suffix = path.suffix.lower()
    if suffix == ".csv":
        cure = "save them as npz (np.savez) or Parquet, or leave --stream out"
        report_unusable(found, str(path), "csv files are not read by parts", span, cure)
        return None
    if suffix != ".parquet":
        return open_arrays(path, wanted, found, span)
    from .parquet import check_groups, open_parquet

    reader = open_parquet(path, wanted, found, span)
    if reader is not None:
        with unusable_reported(path, found, span):
            check_groups(reader)
            return reader
    return None
