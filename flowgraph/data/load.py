"""The data of a program, from wherever its `data` statement or the user says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Diagnostics, Span
from ..lower.program import Program
from ..lower.static import Skip, evaluate
from ..syntax import DataFileStmt, DataMadeStmt, DataTableStmt, Name
from .table import Misfit, Table, Wanted, fit_shape, fit_values, labels_of, wanted_columns

if TYPE_CHECKING:
    import numpy as np


def check_data(program: Program, found: Diagnostics) -> None:
    """Report what is wrong with the `data` statement, as far as it shows without reading a file."""
    statement, wanted = program.data, wanted_columns(program)
    if isinstance(statement, DataTableStmt):
        from .inline import read_table

        read_table(statement, wanted, found)
    elif isinstance(statement, DataMadeStmt):
        from .made import check_made

        check_made(statement, program, wanted, found, targets=False)
    elif isinstance(statement, DataFileStmt):
        from .files import check_format

        check_format(statement.path, found, statement.path_span)


def load_data(
    program: Program,
    base_dir: str | Path,
    found: Diagnostics,
    *,
    path: str | Path | None = None,
    targets: bool = False,
    seed: int = 0,
    allow_nan: bool = False,
) -> Table | None:
    """The examples as arrays, or None with the errors reported to `found`.

    base_dir: the folder that paths in the file are relative to. path: a file to be read in
    place of the file's own data. targets: whether every target needs its column. seed: of
    generated random columns. allow_nan: whether real columns may hold nan and infinities.
    """
    statement, wanted = program.data, wanted_columns(program)
    if path is not None:
        return read_file(Path(path), wanted, found, None, targets=targets, allow_nan=allow_nan)
    if isinstance(statement, DataTableStmt):
        from .inline import read_table

        return read_table(statement, wanted, found, targets=targets)
    if isinstance(statement, DataMadeStmt):
        from .made import check_made, read_made

        made = check_made(statement, program, wanted, found, targets=targets)
        return None if made is None else read_made(made, wanted, found, seed, allow_nan=allow_nan)
    if isinstance(statement, DataFileStmt):
        file = Path(base_dir) / statement.path
        table = read_file(file, wanted, found, statement.path_span, targets=targets, allow_nan=allow_nan)
        return None if table is None else replace(table, split=split_of(program, found))
    found.report(
        "E0501",
        "there are no data",
        help="write a `data` statement, or give a file with --data",
    )
    return None


def split_of(program: Program, found: Diagnostics) -> float | None:
    """The share of the rows that is for training, None where the `data` statement says none."""
    statement = program.data

    def static(name: Name) -> object:
        return program.statics[name.name]

    if not isinstance(statement, DataFileStmt) or statement.split is None:
        return None
    try:
        return float(evaluate(statement.split, static, found))
    except Skip:
        return None


def read_file(
    path: Path,
    wanted: Sequence[Wanted],
    found: Diagnostics,
    span: Span | None,
    *,
    targets: bool,
    allow_nan: bool = False,
) -> Table | None:
    """The examples of a file of any format, or None with the errors reported."""
    from .files import check_file, check_format

    if not check_format(str(path), found, span) or not check_file(path, found, span):
        return None
    if path.suffix.lower() == ".csv":
        from .csvfile import read_csv

        return read_csv(path, wanted, found, span, targets=targets, allow_nan=allow_nan)
    if path.suffix.lower() == ".parquet":
        from .parquet import read_parquet

        return read_parquet(path, wanted, found, span, targets=targets, allow_nan=allow_nan)
    from .arrays import read_arrays

    arrays = read_arrays(path, found, span)
    if arrays is None:
        return None
    from .readers import name_single

    named = name_single(arrays, wanted, found, str(path), span)
    if named is None:
        return None
    return table_of_arrays(named, wanted, found, str(path), targets=targets, allow_nan=allow_nan)


def table_of_arrays(
    arrays: dict[str, np.ndarray],
    wanted: Sequence[Wanted],
    found: Diagnostics,
    path: str,
    *,
    targets: bool,
    allow_nan: bool = False,
) -> Table | None:
    """Arrays by name as examples, or None with the errors (E0502, E0503, E0307) reported."""
    from .files import MAX_BYTES, report_unusable
    from .readers import check_counts, check_names, entry_bytes

    before = found.error_count
    check_names(list(arrays), wanted, found, path, targets=targets)
    if sum(arrays[c.name].size * entry_bytes(c) for c in wanted if c.name in arrays) > MAX_BYTES:
        cure = "use a part of them, or train with --stream"
        report_unusable(found, path, f"its arrays come to more than {MAX_BYTES} bytes", None, cure)
        return None
    columns: dict[str, np.ndarray] = {}
    labels: dict[str, tuple[str, ...]] = {}
    for column in wanted:
        if column.name not in arrays:
            continue
        array = arrays[column.name]
        try:
            fit_shape(array, column)
            texts = list(map(str, array.ravel())) if array.dtype.kind in "UO" else []
            per_row = max(len(texts) // max(len(array), 1), 1)
            names = labels_of(column, texts, per_row) if texts or column.type.elem.names else ()
            columns[column.name] = fit_values(array, column, names, finite=not allow_nan)
        except Misfit as error:
            place = "" if error.row is None else f" (example {error.row})"
            found.report(error.code, error.message + place, help=error.help, path=path)
            continue
        if names:
            labels[column.name] = names
    check_counts({name: len(column) for name, column in columns.items()}, found, path)
    if found.error_count > before:
        return None
    return Table(
        columns,
        tuple(c.name for c in wanted if c.role == "input" and c.name in columns),
        tuple(c.name for c in wanted if c.role == "target" and c.name in columns),
        labels,
        Path(path).name,
    )
