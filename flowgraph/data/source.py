"""A file that is read by blocks: all of it checked once, then any block at any time.

Promises that a block's columns are float64, int64 or bool and were checked; a file that changed
since is refused, since a run that goes on with other data is no run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np

from ..errors import Diagnostics, fail
from .arrays import unusable_reported
from .readers import BlockReader, entry_bytes
from .table import Misfit, Wanted, fit_shape, fit_values, labels_of

SAMPLES = 64
"""So many blocks, evenly spread over the file, are in its digest."""


class Source:
    """The blocks of a file. `labels` and `shapes` (per example) are known after `check`."""

    def __init__(self, path: Path, reader: BlockReader, wanted: Sequence[Wanted], allow_nan: bool) -> None:
        self.path, self.reader, self.wanted, self.allow_nan = path, reader, tuple(wanted), allow_nan
        self.labels = {c.name: c.type.elem.names for c in wanted if c.type.elem.names}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._texts: dict[str, dict[str, int]] = {}
        self._stamp = self._stamped()

    @property
    def row_bytes(self) -> int:
        """What a row takes in memory."""
        return sum(prod(self.shapes[c.name]) * entry_bytes(c) for c in self.wanted)

    def bounds(self, number: int) -> tuple[int, int]:
        """The first row of a block, and the first after it."""
        return self.reader.bounds[number], self.reader.bounds[number + 1]

    def block(self, number: int) -> dict[str, np.ndarray]:
        """The columns of a block, [rows, *shape]. Raises FlowError where the file changed."""
        found = Diagnostics()
        columns: dict[str, np.ndarray] = {}
        try:
            with unusable_reported(self.path, found):
                self._refuse_changes()
                raw = self.reader.read(*self.bounds(number))
                columns = {c.name: self._fitted(c, raw[c.name]) for c in self.wanted}
        except Misfit as error:
            raise fail(error.code, error.message, help=error.help, path=str(self.path)) from None
        found.raise_errors()
        return columns

    def check(self, found: Diagnostics) -> str | None:
        """Read the whole file once. A digest of it, or None with the errors reported."""
        blocks = len(self.reader.bounds) - 1
        total = hashlib.blake2b(digest_size=16)
        total.update(repr((self.reader.layout, self._stamp[0])).encode())
        open_columns = list(self.wanted)
        before = found.error_count
        for number in range(blocks):
            raw = self._raw(number, found)
            if raw is None:
                return None
            if number % -(-blocks // SAMPLES) == 0:
                for name in sorted(raw):
                    total.update(_bytes_of(raw[name]))
            start = self.bounds(number)[0]
            open_columns = [c for c in open_columns if self._fits(c, raw[c.name], start, found)]
            if not open_columns:
                break
        for column in open_columns:
            self._name_classes(column, found)
        total.update(repr(sorted(self.labels.items())).encode())
        return None if found.error_count > before else total.hexdigest()

    def _raw(self, number: int, found: Diagnostics) -> dict[str, np.ndarray] | None:
        """A block as it is in the file, or None with the error reported."""
        start, stop = self.bounds(number)
        try:
            with unusable_reported(self.path, found):
                return self.reader.read(start, stop)
        except Misfit as error:
            self._report(error, None if error.row is None else start + error.row, found)
        return None

    def _fits(self, column: Wanted, array: np.ndarray, start: int, found: Diagnostics) -> bool:
        """Whether a column of a block fits; if not, its first row that does not is reported."""
        try:
            fit_shape(array, column)
            shape = self.shapes.setdefault(column.name, array.shape[1:])
            if shape != array.shape[1:]:
                cure = "examples of one file have equal sizes"
                raise Misfit("E0503", f"the examples of `{column.name}` are not all of one size", 0, cure)
            if self._has_own_names(column, array):
                self._collect(column, array, start)
            else:
                fit_values(array, column, self.labels.get(column.name, ()), finite=not self.allow_nan)
        except Misfit as error:
            self._report(error, None if error.row is None else start + error.row, found)
            return False
        return True

    def _has_own_names(self, column: Wanted, array: np.ndarray) -> bool:
        elem = column.type.elem
        return elem.kind == "class" and not elem.names and array.dtype.kind in "UO"

    def _collect(self, column: Wanted, array: np.ndarray, start: int) -> None:
        """Note the names of classes that are new, each with its first row."""
        known = self._texts.setdefault(column.name, {})
        texts = array.reshape(-1).tolist()
        per_row = max(len(texts) // max(len(array), 1), 1)
        if set(texts) <= known.keys():
            return
        for index, text in enumerate(texts):
            known.setdefault(text, start + index // per_row)

    def _name_classes(self, column: Wanted, found: Diagnostics) -> None:
        """The names of a column's classes from those that occur; what does not fit is reported."""
        texts = self._texts.get(column.name)
        if texts is None:
            return
        try:
            names = labels_of(column, list(texts))
            fit_values(np.array(list(texts), dtype=object), column, names)
        except Misfit as error:
            self._report(error, None if error.row is None else list(texts.values())[error.row], found)
            return
        if names:
            self.labels[column.name] = names

    def _fitted(self, column: Wanted, array: np.ndarray) -> np.ndarray:
        fit_shape(array, column)
        return fit_values(array, column, self.labels.get(column.name, ()), finite=not self.allow_nan)

    def _report(self, error: Misfit, row: int | None, found: Diagnostics) -> None:
        place = "" if row is None else f" (example {row})"
        found.report(error.code, error.message + place, help=error.help, path=str(self.path))

    def _stamped(self) -> tuple[int, int, int]:
        stat = self.path.stat()
        return stat.st_size, stat.st_mtime_ns, stat.st_ino

    def _refuse_changes(self) -> None:
        if self._stamped() != self._stamp:
            raise ValueError("it changed since it was opened")


def _bytes_of(array: np.ndarray) -> bytes:
    if array.dtype.kind == "O":
        return repr(array.tolist()).encode()
    return np.ascontiguousarray(array).tobytes()
