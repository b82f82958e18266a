"""Rows of a file by blocks: what a format must offer to be streamed, and the formats that map.

Promises that reading a block takes memory for that block alone, and that the blocks of a file
depend on the file alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from ..errors import Diagnostics, Span, shorten
from .arrays import unusable_reported
from .files import report_unusable
from .mapped import Mapped, Unusable, npy_array, npz_arrays, safetensors_arrays
from .table import Misfit, Wanted, extra_text, fit_shape

T = TypeVar("T")

BLOCK_BYTES = 4 * 2**20
"""Rows are grouped to blocks of about so many bytes, as they are trained on."""


class BlockReader(Protocol):
    """The rows of a file, by blocks.

    count: how many rows. bounds: the row at which each block begins, and at last the count.
    layout: the names, dtypes and shapes of the columns, in words.
    """

    count: int
    bounds: list[int]
    layout: str

    def read(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """The rows `start` to `stop` of every declared column, as they are in the file.

        Raises OSError, ValueError and others where the file cannot be read any more; Misfit for
        what no array can hold.
        """


def entry_bytes(column: Wanted) -> int:
    """The bytes that a number of a column takes in training: those of float64, int64 or bool."""
    return 1 if column.type.elem.kind == "bool" else 8


def even_bounds(count: int, row_bytes: int) -> list[int]:
    """Blocks of about BLOCK_BYTES, of one row at least."""
    rows = max(BLOCK_BYTES // max(row_bytes, 1), 1)
    return [*range(0, count, rows), count]


class ArrayReader:
    """Arrays of one length that stand in a file as they are, each under the name of a column."""

    def __init__(self, path: Path, arrays: Mapping[str, Mapped], wanted: Sequence[Wanted]) -> None:
        self.path = path
        self.arrays = {c.name: arrays[c.name] for c in wanted}
        self.count = next((a.shape[0] for a in self.arrays.values()), 0)
        row = sum(prod(arrays[c.name].shape[1:]) * entry_bytes(c) for c in wanted)
        self.bounds = even_bounds(self.count, row)
        self.layout = repr([(name, a.dtype.str, a.shape) for name, a in self.arrays.items()])

    def read(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """The rows of every array. Raises OSError, ValueError."""
        return {name: array.read(self.path, start, stop) for name, array in self.arrays.items()}


class RecordReader:
    """One array of records in an npy file, its fields the columns."""

    def __init__(self, path: Path, array: Mapped, wanted: Sequence[Wanted]) -> None:
        self.path, self.array = path, array
        self.names = [c.name for c in wanted]
        self.count = array.shape[0]
        fields = fields_of(array)
        row = sum(prod(fields[c.name].shape[1:]) * entry_bytes(c) for c in wanted)
        self.bounds = even_bounds(self.count, row)
        self.layout = repr((array.dtype.descr, array.shape))

    def read(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """The rows of every field. Raises OSError, ValueError."""
        rows = self.array.read(self.path, start, stop)
        return {name: np.ascontiguousarray(rows[name]) for name in self.names}


def fields_of(array: Mapped) -> dict[str, Mapped]:
    """The fields of an array of records; their places stand for shape and dtype alone."""
    fields = {}
    for name in array.dtype.names or ():
        dtype = array.dtype[name]
        fields[name] = Mapped(array.offset, dtype.base, (*array.shape, *dtype.shape))
    return fields


def open_arrays(
    path: Path, wanted: Sequence[Wanted], found: Diagnostics, span: Span | None
) -> BlockReader | None:
    """The reader of an npy, npz or safetensors file, or None with the errors reported."""
    records: Mapped | None = None
    arrays: dict[str, Mapped] | None = None
    with unusable_reported(path, found, span):
        if path.suffix.lower() == ".npz":
            there = npz_arrays(path)
        elif path.suffix.lower() == ".safetensors":
            there = safetensors_arrays(path)
        else:
            only = npy_array(path)
            records = only if only.dtype.names else None
            there = fields_of(only) if records else {"": only}
        _check_numbers(there)
        arrays = there
    if arrays is None:
        return None
    named = name_single(arrays, wanted, found, str(path), span)
    if named is None or not _fits(named, wanted, found, str(path)):
        return None
    return RecordReader(path, records, wanted) if records else ArrayReader(path, named, wanted)


def _check_numbers(arrays: Mapping[str, Mapped]) -> None:
    for name, array in arrays.items():
        if array.dtype.kind not in "biufU":
            raise Unusable(f"{shorten(name) or 'it'} holds {array.dtype}", "save plain numbers")


def name_single(
    arrays: dict[str, T], wanted: Sequence[Wanted], found: Diagnostics, path: str, span: Span | None
) -> dict[str, T] | None:
    """An array without a name (key "") as the only input; None with E0501 where there is none such."""
    if list(arrays) != [""]:
        return arrays
    inputs = [c for c in wanted if c.role == "input"]
    if len(inputs) == 1:
        return {inputs[0].name: arrays[""]}
    why = f"an npy file holds one array, and there are {len(inputs)} inputs"
    report_unusable(found, path, why, span, "save several arrays by name, as npz")
    return None


def check_names(
    names: Sequence[str], wanted: Sequence[Wanted], found: Diagnostics, path: str, *, targets: bool = True
) -> None:
    """Report (E0502) the arrays that nothing declares, and the declared ones that are missing."""
    for name in sorted(set(names) - {c.name for c in wanted}):
        said, cure = extra_text(name, wanted)
        found.report("E0502", said, help=cure, path=path)
    for column in wanted:
        if column.name not in names and (column.role == "input" or targets):
            keys = ", ".join(f"`{shorten(n)}`" for n in sorted(names)[:8]) or "no arrays"
            said = f"there is no array for the {column.role} `{column.name}`"
            found.report("E0502", said, help=f"the file has {keys}", path=path)


def check_counts(counts: Mapping[str, int], found: Diagnostics, path: str) -> None:
    """Report (E0503) arrays that do not have the same number of examples."""
    if len(set(counts.values())) > 1:
        said = ", ".join(f"`{n}` has {c}" for n, c in counts.items())
        cure = "give every array one row for each example"
        found.report("E0503", f"the arrays have different numbers of examples: {said}", help=cure, path=path)


def _fits(arrays: Mapping[str, Mapped], wanted: Sequence[Wanted], found: Diagnostics, path: str) -> bool:
    """Whether names, shapes and counts fit; what does not is reported."""
    before = found.error_count
    check_names(list(arrays), wanted, found, path)
    counts = {}
    for column in wanted:
        if column.name in arrays:
            try:
                fit_shape(np.broadcast_to(np.zeros((), np.int8), arrays[column.name].shape), column)
                counts[column.name] = arrays[column.name].shape[0]
            except Misfit as error:
                found.report(error.code, error.message, help=error.help, path=path)
    check_counts(counts, found, path)
    return found.error_count == before
