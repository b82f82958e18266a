"""Parquet files, by row groups; needs pyarrow (the extra `data`).

Columns belong to names as in CSV files: `x`, or `x0`, `x1`, ... for the entries of a vector; a
column of lists of one length is a vector too. Promises numpy arrays of numbers or texts without
gaps; a missing value is reported with its row.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Diagnostics, Span, shorten
from .arrays import unusable_reported
from .files import MAX_BYTES, report_unusable
from .load import table_of_arrays
from .mapped import Unusable
from .readers import BLOCK_BYTES
from .table import MISSING_CURE, Match, Misfit, Table, Wanted, header_problems, match_columns

MAX_GROUP_BYTES = 2**30
"""A file is streamed by whole row groups, none of which may take more, 8 bytes a number."""


class ParquetReader:
    """The rows of the declared columns; blocks are row groups, small neighbours taken together."""

    def __init__(self, path: Path, file: Any, match: Match, wanted: Sequence[Wanted]) -> None:
        self.path, self.file = path, file
        names = file.schema_arrow.names
        self.columns = {c.name: [names[i] for i in match.columns_of(c.name)] for c in wanted}
        self.spread = set(match.spread)
        self.empty = {c.name: tuple(n or 0 for n in c.shape) for c in wanted}
        self.needed = [name for own in self.columns.values() for name in own]
        meta = file.metadata
        groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
        self.count = sum(g.num_rows for g in groups)
        self.group_bounds = [0, *np.cumsum([g.num_rows for g in groups], dtype=np.int64).tolist()]
        self.group_bytes = [8 * _numbers(g, set(self.needed)) for g in groups]
        self.bounds = self._bounds()
        fields = [(name, str(file.schema_arrow.field(name).type)) for name in self.needed]
        self.layout = repr((fields, self.count))

    @property
    def nbytes(self) -> int:
        """What the columns take in memory, 8 bytes a number."""
        return sum(self.group_bytes)

    def read(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """The rows of every column, [rows, *shape]. Raises Misfit (row counted from `start`), OSError,
        ValueError."""
        spans = list(pairwise(self.group_bounds))
        inside = [i for i, (a, b) in enumerate(spans) if a < stop and b > start]
        if not inside:
            table = self.file.schema_arrow.empty_table().select(list(dict.fromkeys(self.needed)))
        else:
            table = self.file.read_row_groups(inside, columns=self.needed)
            table = table.slice(start - self.group_bounds[inside[0]], stop - start)
        if table.num_rows != stop - start:
            raise ValueError("its row groups do not have the rows that its end says")
        return {name: self._column(name, table) for name in self.columns}

    def _column(self, name: str, table: Any) -> np.ndarray:
        if not table.num_rows:
            return np.zeros((0, *self.empty[name]))
        parts = [_to_numpy(table.column(own), own) for own in self.columns[name]]
        return np.stack(parts, axis=1) if name in self.spread else parts[0]

    def _bounds(self) -> list[int]:
        bounds, size = [0], 0
        for begin, nbytes in zip(self.group_bounds, self.group_bytes, strict=False):
            if size and size + nbytes > BLOCK_BYTES:
                bounds.append(begin)
                size = 0
            size += nbytes
        return [*bounds, self.count] if self.count else [0]


def open_parquet(
    path: Path, wanted: Sequence[Wanted], found: Diagnostics, span: Span | None, *, targets: bool = True
) -> ParquetReader | None:
    """The reader of a file, or None with the errors (E0501, E0502, E0605) reported.

    targets: whether every target needs its columns.
    """
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError:
        found.report(
            "E0605",
            "Parquet files are read by pyarrow, which is not installed",
            span,
            "a Parquet file" if span else "",
            help="pip install 'flowgraph[data]'",
            path="" if span else str(path),
        )
        return None
    file = None
    with unusable_reported(path, found, span):
        file = ParquetFile(path, page_checksum_verification=True)
    if file is None:
        return None
    header = file.schema_arrow.names
    match = match_columns(header, wanted)
    problems = list(header_problems(header, match, wanted, targets=targets, lists=True))
    for said, cure in problems:
        found.report("E0502", said, help=cure, path=str(path))
    if problems:
        return None
    return ParquetReader(path, file, match, [c for c in wanted if c.name not in match.missing])


def read_parquet(
    path: Path,
    wanted: Sequence[Wanted],
    found: Diagnostics,
    span: Span | None,
    *,
    targets: bool,
    allow_nan: bool = False,
) -> Table | None:
    """The examples of a file read whole, or None with the errors reported."""
    reader = open_parquet(path, wanted, found, span, targets=targets)
    if reader is None:
        return None
    if reader.nbytes > MAX_BYTES:
        why = f"its columns take more than {MAX_BYTES} bytes"
        report_unusable(found, str(path), why, span, "use a part of it, or train with --stream")
        return None
    with unusable_reported(path, found, span):
        try:
            columns = reader.read(0, reader.count)
        except Misfit as error:
            place = "" if error.row is None else f" (example {error.row})"
            found.report(error.code, error.message + place, help=error.help, path=str(path))
            return None
        return table_of_arrays(columns, wanted, found, str(path), targets=targets, allow_nan=allow_nan)
    return None


def memory_bytes(path: Path) -> int:
    """What all columns of a file would take in memory, 8 bytes a number. Raises ImportError, OSError,
    ValueError."""
    from pyarrow.parquet import read_metadata

    meta = read_metadata(path)
    groups = (meta.row_group(i) for i in range(meta.num_row_groups))
    return sum(8 * g.column(i).num_values for g in groups for i in range(g.num_columns))


def check_groups(reader: ParquetReader) -> None:
    """Raise Unusable where a row group is too large to be read at once."""
    if max(reader.group_bytes, default=0) > MAX_GROUP_BYTES:
        why = f"a row group of it takes more than {MAX_GROUP_BYTES} bytes"
        raise Unusable(why, "write it with smaller row groups, such as row_group_size=65536")


def _numbers(group: Any, names: set[str]) -> int:
    """How many numbers a row group holds in the columns of these names."""
    columns = (group.column(i) for i in range(group.num_columns))
    return sum(c.num_values for c in columns if c.path_in_schema.split(".")[0] in names)


def _to_numpy(column: Any, name: str) -> np.ndarray:
    """A column as an array [rows, *lengths of its lists]. Raises Misfit, Unusable."""
    import pyarrow as pa

    array = pa.concat_arrays(column.chunks)
    shape = [len(array)]
    while pa.types.is_list(array.type) or pa.types.is_large_list(array.type) or _is_fixed(array.type):
        _refuse_gaps(array, name, shape)
        lengths = np.unique(array.value_lengths().to_numpy(zero_copy_only=False))
        if len(lengths) > 1:
            cure = "examples of one file have equal sizes"
            raise Misfit("E0503", f"the lists of `{shorten(name)}` are not all of one length", None, cure)
        shape.append(int(lengths[0]) if len(lengths) else 0)
        array = array.flatten()
    _refuse_gaps(array, name, shape)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array(array.to_pylist(), dtype=object).reshape(shape)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise Unusable(f"the column `{shorten(name)}` holds {kind}", "save numbers, or names of classes")
    return array.to_numpy(zero_copy_only=False).reshape(shape)


def _is_fixed(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_fixed_size_list(kind))


def _refuse_gaps(array: Any, name: str, shape: Sequence[int]) -> None:
    """Raise Misfit for the first missing value."""
    if not array.null_count:
        return
    first = int(np.argmax(array.is_null().to_numpy(zero_copy_only=False)))
    per_row = max(int(np.prod(shape[1:], dtype=object)), 1)
    said = f"the column `{shorten(name)}` has a missing value"
    raise Misfit("E0503", said, first // per_row, MISSING_CURE)
