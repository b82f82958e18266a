"""Columns of data: which belong to which input or target, and whether their values fit.

Assumes declared types without unknown sizes. Promises arrays of the simulator's dtypes whose
values are finite, whole where they must be, and labels within range.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import did_you_mean, shorten
from ..lower.program import Program
from ..types import Dim, TensorType, describe

MAX_PROBLEMS = 60
"""Reading stops after so many: more are not shown anyway."""

NAN_CURE = "fill in or leave out such rows, or train with --allow-nan"
"""What to do about nan and infinities in real columns."""

MISSING_CURE = "fill in or leave out such rows"

NOT_FINITE = ("nan", "inf", "infinity")
"""How a text may say what is no finite number, whatever its case and sign."""


@dataclass(frozen=True)
class Table:
    """Examples: for every column an array [N, *shape].

    labels: the names of the classes, for columns of a class type that have any. origin: where
    the data come from, in words. split: the share of the rows that is for training, if the
    file says one; the columns hold all rows.
    """

    columns: dict[str, np.ndarray]
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    origin: str = ""
    split: float | None = None

    @property
    def count(self) -> int:
        """The number of examples."""
        return next((len(c) for c in self.columns.values()), 0)


@dataclass(frozen=True)
class Wanted:
    """A column that the diagram declares; role is "input" or "target"."""

    name: str
    type: TensorType
    role: str

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The sizes per example, None for those known only when data arrive."""
        return tuple(d.value for d in self.type.shape)


def wanted_columns(program: Program) -> list[Wanted]:
    """Every declared input and target, inputs first."""
    graph, types = program.graph, program.types
    inputs = [Wanted(n, types[n], "input") for n in graph.inputs if n in types]
    return inputs + [Wanted(n, types[n], "target") for n in graph.targets if n in types]


# ---------------------------------------------------------------------------------------
# Matching names


@dataclass
class Match:
    """Which columns of a header belong to which declared name.

    whole: a column of that very name. spread: one column for each entry (`x0`, `x1`, ... or
    `x[0]`, `x[1]`, ...). missing: the columns a name lacks. extra: columns that belong to none.
    """

    whole: dict[str, int] = field(default_factory=dict)
    spread: dict[str, list[int]] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    extra: list[int] = field(default_factory=list)

    def columns_of(self, name: str) -> list[int]:
        """The columns of a declared name; none if it is missing."""
        return [self.whole[name]] if name in self.whole else self.spread.get(name, [])


def match_columns(header: Sequence[str], wanted: Sequence[Wanted]) -> Match:
    """Match the names of a header with what is declared; of equal names the first counts."""
    places: dict[str, int] = {}
    for index, name in enumerate(header):
        places.setdefault(name, index)
    match = Match()
    for column in wanted:
        if column.name in places:
            match.whole[column.name] = places[column.name]
        elif not column.shape:
            match.missing[column.name] = [column.name]
        else:
            names = _entry_names(column, places)
            lacking = [n for n in names if n not in places]
            if lacking:
                match.missing[column.name] = lacking
            if len(lacking) < len(names):
                match.spread[column.name] = [places[n] for n in names if n in places]
    used = {i for c in wanted for i in match.columns_of(c.name)}
    match.extra = [i for i in range(len(header)) if i not in used]
    return match


def _entry_names(column: Wanted, places: Mapping[str, int]) -> list[str]:
    """`x0`, `x1`, ... or, where the header writes them so, `x[0]`, `x[1]`, ...; row by row."""
    pattern = "{}[{}]" if f"{column.name}[0]" in places else "{}{}"
    sizes = [size for size in column.shape if size is not None]
    if len(sizes) == len(column.shape):
        count = min(int(np.prod(sizes, dtype=object)), len(places) + 1)
        return [pattern.format(column.name, i) for i in range(max(count, 1))]
    found: list[str] = []
    while (name := pattern.format(column.name, len(found))) in places and len(column.shape) == 1:
        found.append(name)
    return found or [column.name]


def needs(match: Match, wanted: Sequence[Wanted], *, targets: bool) -> list[Wanted]:
    """The declared names that lack columns: inputs always, targets only if any of it is there."""
    found = []
    for column in wanted:
        partly = column.name in match.spread
        if column.name in match.missing and (column.role == "input" or targets or partly):
            found.append(column)
    return found


def missing_text(column: Wanted, missing: Sequence[str]) -> tuple[str, str]:
    """What to say of a declared name without (all of) its columns, and the cure."""
    shown = ", ".join(f"`{n}`" for n in missing[:4]) + (", ..." if len(missing) > 4 else "")
    said = f"the {column.role} `{column.name}` has no column {shown}"
    if not column.shape:
        return said, f"add the column, or remove the {column.role}"
    first, last = f"`{column.name}0`", f"`{column.name}1`, ..."
    return said, f"`{column.name}` is {describe(column.type)}: one column for each entry, {first}, {last}"


def extra_text(name: str, wanted: Sequence[Wanted]) -> tuple[str, str]:
    """What to say of a column that nothing declares, and the cure."""
    cure = did_you_mean(name, [c.name for c in wanted])
    said = f"the column `{shorten(name)}` belongs to no input or target"
    return said, cure or "declare it as an input or target, or remove the column"


def header_problems(
    header: Sequence[str],
    match: Match,
    wanted: Sequence[Wanted],
    *,
    targets: bool,
    lists: bool = False,
) -> Iterator[tuple[str, str]]:
    """What is wrong with the header of a file, and the cures.

    targets: whether every target needs its columns. lists: whether a cell may hold a vector.
    """
    seen: set[str] = set()
    extra = set(match.extra)
    for index, name in enumerate(header):
        if name in seen:
            yield f"the column `{shorten(name)}` is given twice", "keep one of them"
        elif index in extra:
            yield extra_text(name, wanted)
        seen.add(name)
    for column in needs(match, wanted, targets=targets):
        yield missing_text(column, match.missing[column.name])
    for column in wanted:
        if column.shape and column.name in match.whole and not lists:
            yield missing_text(column, [f"{column.name}0"])


# ---------------------------------------------------------------------------------------
# Fitting values


class Misfit(Exception):
    """Values do not fit a declared type; `row` is the first example that does not."""

    def __init__(self, code: str, message: str, row: int | None = None, help: str = "") -> None:
        self.code, self.message, self.row = code, message, row
        self.help = help or "change the value, or the declared type"
        super().__init__(message)


def fit_shape(array: np.ndarray, column: Wanted) -> None:
    """Raise Misfit (E0503) unless the array is [N, *shape]."""
    want = column.shape
    have = array.shape[1:]
    agree = len(have) == len(want) and all(w is None or w == h for w, h in zip(want, have, strict=True))
    if array.ndim == 0 or not agree:
        shape = ", ".join(["N", *(str(d) for d in column.type.shape)])
        given = ", ".join(map(str, array.shape))
        raise Misfit("E0503", f"`{column.name}` is [{given}], where [{shape}] is needed, N examples first")


def fit_values(
    array: np.ndarray, column: Wanted, labels: Sequence[str] = (), *, finite: bool = True
) -> np.ndarray:
    """The values as the declared element type: float64, int64 or bool. Raises Misfit.

    array: [N, ...] of numbers, true and false, or names of classes; labels: those names.
    finite: whether nan and infinities are refused.
    """
    kind = column.type.elem.kind
    if array.dtype.kind in "UO":
        if kind != "class":
            raise _text_misfit(array, column)
        array = name_numbers(array, column, labels)
    if array.dtype.kind not in "biuf":
        raise Misfit("E0503", f"`{column.name}` holds {array.dtype}, where numbers are needed")
    if array.dtype.kind == "f" and (finite or kind != "real"):
        cure = NAN_CURE if kind == "real" else ""
        _refuse(~np.isfinite(array), array, column, "E0503", "is not a finite number", cure)
    if kind == "real":
        return array.astype(np.float64)
    if array.dtype.kind == "f":
        _refuse(array != np.round(array), array, column, "E0503", "is not a whole number")
    if array.dtype.kind == "f" or array.dtype == np.uint64:
        far = (array >= 2.0**63) | (array < -(2.0**63))
        _refuse(far, array, column, "E0503", "is too large for a whole number")
    if kind == "bool":
        _refuse((array != 0) & (array != 1), array, column, "E0503", "is neither true (1) nor false (0)")
        return array.astype(np.bool_)
    if kind == "class":
        classes = column.type.elem.classes
        count = classes.value if isinstance(classes, Dim) else None
        limit = np.inf if count is None else count
        help = f"labels of class({classes}) are whole numbers from 0 to {limit - 1}" if count else ""
        bad = (array < 0) | (array >= limit)
        _refuse(bad, array, column, "E0307", f"is no label of class({classes})", help)
    return array.astype(np.int64)


def name_numbers(array: np.ndarray, column: Wanted, labels: Sequence[str]) -> np.ndarray:
    """The numbers of classes given by name, or as whole numbers. Raises Misfit (E0307)."""
    numbers = {name: i for i, name in enumerate(labels)}
    flat = array.reshape(-1)
    by_name = [numbers.get(value) for value in flat.tolist()] if numbers else [None]
    if None not in by_name:
        return np.array(by_name, dtype=np.int64).reshape(array.shape)
    out = np.empty(flat.shape, dtype=np.int64)
    per_row = max(flat.size // max(len(array), 1), 1)
    for index, value in enumerate(flat):
        text = str(value).strip()
        if text in numbers:
            out[index] = numbers[text]
        elif _is_whole(text):
            out[index] = int(text)
        else:
            known = ", ".join(f"`{shorten(n)}`" for n in labels[:8]) + (", ..." if len(labels) > 8 else "")
            cure = did_you_mean(text, labels) or (f"the classes are {known}" if labels else "")
            said = f"`{shorten(text)}` is no class of `{column.name}`"
            raise Misfit("E0307", said, index // per_row, cure or "write labels as whole numbers from 0 on")
    return out.reshape(array.shape)


def labels_of(column: Wanted, values: Sequence[str], per_row: int = 1) -> tuple[str, ...]:
    """The names of a column's classes: those declared, else the names in the data, sorted.

    No names where the data hold whole numbers. values: as they occur, `per_row` of them in an example.
    Raises Misfit (E0307) for more names than classes, names beside whole numbers, and what stands
    for a missing label.
    """
    elem = column.type.elem
    if elem.kind != "class":
        return ()
    if elem.names:
        return elem.names
    rows: dict[str, int] = {}
    for index, value in enumerate(values):
        rows.setdefault(value.strip(), index // per_row)
    numbers = [n for n in rows if _is_whole(n)]
    if len(numbers) == len(rows):
        return ()
    for name, row in rows.items():
        if says_missing(name):
            raise Misfit("E0307", f"`{shorten(name)}` is no label, in `{column.name}`", row, MISSING_CURE)
    if numbers:
        other = next(n for n in rows if not _is_whole(n))
        said = f"`{column.name}` has the label `{shorten(other)}` beside whole numbers such as `{numbers[0]}`"
        cure = "write all labels as names, or all as whole numbers from 0 on"
        raise Misfit("E0307", said, rows[other], cure)
    names = sorted(rows)
    count = elem.classes.value if isinstance(elem.classes, Dim) else None
    if count is not None and len(names) > count:
        shown = ", ".join(f"`{shorten(n, 20)}`" for n in names[: count + 1])
        said = f"`{column.name}` has {len(names)} different labels ({shown}), not {count}"
        raise Misfit("E0307", said, list(rows.values())[count])
    return tuple(names)


def says_not_finite(text: str) -> bool:
    """Whether a text is one of the ways to write nan or an infinity."""
    word = text.strip().lower()
    return (word[1:] if word[:1] in ("+", "-") else word) in NOT_FINITE


def says_missing(text: str) -> bool:
    """Whether a text stands for a value that is not there."""
    return not text.strip() or says_not_finite(text)


def _is_whole(text: str) -> bool:
    digits = text[1:] if text[:1] in ("+", "-") else text
    return digits.isascii() and digits.isdigit() and len(digits) < 19


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _text_misfit(array: np.ndarray, column: Wanted) -> Misfit:
    """What to say of text in a column of numbers: its first entry that is no number, if there is one."""
    for index, value in np.ndenumerate(array):
        if not _is_number(value):
            where = "".join(f"[{i}]" for i in index[1:])
            said = (
                f"`{column.name}{where}` holds text (`{shorten(str(value), 40)}`), where numbers are needed"
            )
            return Misfit("E0503", said, int(index[0]) if index else None)
    return Misfit("E0503", f"`{column.name}` holds text, where numbers are needed")


def _refuse(bad: np.ndarray, array: np.ndarray, column: Wanted, code: str, what: str, help: str = "") -> None:
    """Raise Misfit for the first bad entry, if there is one."""
    if not bad.any():
        return
    index = np.unravel_index(int(np.argmax(bad)), bad.shape)
    where = "".join(f"[{i}]" for i in index[1:])
    value = array[index].item()
    shown = str(value).lower() if isinstance(value, bool) else f"{value:g}"
    raise Misfit(code, f"{shown} {what}, in `{column.name}{where}`", int(index[0]) if index else None, help)
