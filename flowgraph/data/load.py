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
) -> Table | None:
    """The examples as arrays, or None with the errors reported to `found`.

    base_dir: the folder that paths in the file are relative to. path: a file to be read in
    place of the file's own data. targets: whether every target needs its column. seed: of
    generated random columns.
    """
    statement, wanted = program.data, wanted_columns(program)
    if path is not None:
        return read_file(Path(path), wanted, found, None, targets=targets)
    if isinstance(statement, DataTableStmt):
        from .inline import read_table

        return read_table(statement, wanted, found, targets=targets)
    if isinstance(statement, DataMadeStmt):
        from .made import check_made, read_made

        made = check_made(statement, program, wanted, found, targets=targets)
        return None if made is None else read_made(made, wanted, found, seed)
    if isinstance(statement, DataFileStmt):
        file = Path(base_dir) / statement.path
        table = read_file(file, wanted, found, statement.path_span, targets=targets)
        return None if table is None else replace(table, split=_split(statement, program, found))
    found.report(
        "E0501",
        "there are no data",
        help="write a `data` statement, or give a file with --data",
    )
    return None


def _split(statement: DataFileStmt, program: Program, found: Diagnostics) -> float | None:
    """The share of the rows that is for training."""

    def static(name: Name) -> object:
        return program.statics[name.name]

    if statement.split is None:
        return None
    try:
        return float(evaluate(statement.split, static, found))
    except Skip:
        return None


def read_file(
    path: Path, wanted: Sequence[Wanted], found: Diagnostics, span: Span | None, *, targets: bool
) -> Table | None:
    """The examples of a file of any format, or None with the errors reported."""
    from .files import check_file, check_format

    if not check_format(str(path), found, span) or not check_file(path, found, span):
        return None
    if path.suffix.lower() == ".csv":
        from .csvfile import read_csv

        return read_csv(path, wanted, found, span, targets=targets)
    from .arrays import read_arrays

    arrays = read_arrays(path, found, span)
    if arrays is None:
        return None
    if list(arrays) == [""]:
        inputs = [c for c in wanted if c.role == "input"]
        if len(inputs) != 1:
            from .files import report_unusable

            cure = "save several arrays by name, as npz"
            why = f"an npy file holds one array, and there are {len(inputs)} inputs"
            report_unusable(found, str(path), why, span, cure)
            return None
        arrays = {inputs[0].name: arrays[""]}
    return table_of_arrays(arrays, wanted, found, str(path), targets=targets)


def table_of_arrays(
    arrays: dict[str, np.ndarray],
    wanted: Sequence[Wanted],
    found: Diagnostics,
    path: str,
    *,
    targets: bool,
) -> Table | None:
    """Arrays by name as examples, or None with the errors (E0502, E0503, E0307) reported."""
    from .table import extra_text

    before = len(found.items)
    known = {c.name for c in wanted}
    for name in sorted(set(arrays) - known):
        said, cure = extra_text(name, wanted)
        found.report("E0502", said, help=cure, path=path)
    for column in wanted:
        if column.name not in arrays and (column.role == "input" or targets):
            keys = ", ".join(sorted(arrays)[:8])
            said = f"there is no array for the {column.role} `{column.name}`"
            found.report("E0502", said, help=f"the file has: {keys}", path=path)
    columns: dict[str, np.ndarray] = {}
    labels: dict[str, tuple[str, ...]] = {}
    for column in wanted:
        if column.name not in arrays:
            continue
        array = arrays[column.name]
        try:
            fit_shape(array, column)
            texts = sorted({str(v) for v in array.ravel()}) if array.dtype.kind == "U" else []
            names = labels_of(column, texts) if texts or column.type.elem.names else ()
            columns[column.name] = fit_values(array, column, names)
        except Misfit as error:
            place = "" if error.row is None else f" (example {error.row})"
            found.report(error.code, error.message + place, help=error.help, path=path)
            continue
        if names:
            labels[column.name] = names
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"`{n}` has {c}" for n, c in counts.items())
        found.report("E0503", f"the arrays have different numbers of examples: {said}", path=path)
    if any(d.is_error for d in found.items[before:]):
        return None
    return Table(
        columns,
        tuple(c.name for c in wanted if c.role == "input" and c.name in columns),
        tuple(c.name for c in wanted if c.role == "target" and c.name in columns),
        labels,
        Path(path).name,
    )
