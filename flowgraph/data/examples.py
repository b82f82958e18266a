"""The data of a program for training: from its table, its equations or a file, in memory or not.

Assumes a lowered `Program`. Promises that data which do not fit are reported before the first
batch is taken.
"""

from __future__ import annotations

from numbers import Real
from pathlib import Path

from ..errors import Diagnostics, Span
from ..lower.program import Program
from ..syntax import DataFileStmt
from .batches import (
    Examples,
    MemoryExamples,
    Opened,
    can_split,
    check_batch,
    check_sizes,
    digest_of,
    report_no_rows,
    split_digest,
)
from .load import load_data, split_of
from .order import split_rows
from .streams import is_large, open_stream
from .table import Table, wanted_columns

__all__ = ["Examples", "MemoryExamples", "Opened", "check_batch", "open_examples"]


def open_examples(
    program: Program,
    base_dir: str | Path,
    found: Diagnostics,
    *,
    path: str | Path | None = None,
    split: float | None = None,
    allow_nan: bool = False,
    stream: bool | None = None,
) -> Opened | None:
    """The data of a program for training, or None with the errors reported to `found`.

    base_dir: the folder that paths in the file are relative to. path: a file in place of the
    file's own data. split: the share of the rows for training in place of the statement's, 1 for
    all. allow_nan: whether real columns may hold nan and infinities. stream: whether the rows stay
    in the file; None: where it is large (see `flowgraph.data.streams`).
    """
    before = found.error_count
    wanted = wanted_columns(program)
    share = _share(program, split, found)
    file, span = _file(program, base_dir, path)
    if not wanted and path is None and program.data is None:
        if split is not None:
            found.report("E0404", "there are no data to split", help="leave the split out")
            return None
        return Opened(MemoryExamples({}), None, {}, "no data", digest_of({}, {}))
    if file is None and stream:
        found.report(
            "E0404", "there is no file to stream", help="name one with --data, or leave --stream out"
        )
        return None
    if file is not None and (stream or (stream is None and is_large(file))):
        opened = open_stream(file, span, wanted, found, share, allow_nan=allow_nan)
        return None if found.error_count > before else opened
    table = load_data(program, base_dir, found, path=path, targets=True, allow_nan=allow_nan)
    if table is None:
        return None
    if not table.count:
        made = program.data.span if program.data is not None and file is None else None
        report_no_rows(found, str(file or ""), made)
        return None
    check_sizes({n: c.shape[1:] for n, c in table.columns.items()}, wanted, found, str(file or ""))
    if share is not None and not can_split(table.count, found):
        return None
    return None if found.error_count > before else _opened(table, share)


# ---------------------------------------------------------------------------------------


def _opened(table: Table, share: float | None) -> Opened:
    """A table as examples, its rows split."""
    digest = digest_of(table.columns, table.labels)
    names = (*table.inputs, *table.targets)
    columns = {name: table.columns[name] for name in names}
    if share is None:
        return Opened(MemoryExamples(columns), None, table.labels, table.origin, digest)
    parts = [
        MemoryExamples({name: column[rows] for name, column in columns.items()})
        for rows in split_rows(share, table.count)
    ]
    return Opened(parts[0], parts[1], table.labels, table.origin, split_digest(digest, parts[0].count))


def _share(program: Program, split: float | None, found: Diagnostics) -> float | None:
    """The share for training, None for all rows; what is out of range is reported (E0404)."""
    if split is None:
        return split_of(program, found)
    if not isinstance(split, Real) or not 0 < split <= 1:
        found.report(
            "E0404",
            f"the share of the data that is for training must lie between 0 and 1, and is {split}",
            help="for example 0.8; 1 keeps no examples for validation",
        )
        return None
    return split if split < 1 else None


def _file(program: Program, base_dir: str | Path, path: str | Path | None) -> tuple[Path | None, Span | None]:
    """The file that the data stand in, if any, and the place that names it."""
    if path is not None:
        return Path(path), None
    if isinstance(program.data, DataFileStmt):
        return Path(base_dir) / program.data.path, program.data.path_span
    return None, None
