"""Checkpoints: a file format of our own that shows any damage, and runs nothing.

A file is two lines of text, a header in JSON and the arrays' bytes (docs/checkpoints.md):

    flowgraph checkpoint 1
    sha256 HEX of N bytes
    the header's length (8 bytes), the header: {"about": ..., "arrays": [[name, dtype, shape], ...]}
    each array, little endian, in C order, one after the other to the end of the file

Assumes nothing of a file that is read. Promises that a file is either returned bit for bit as it
was written or refused with the reason (E0802), and that no more memory is taken for it than the
file is long; that a file appears whole or not at all (`flowgraph.writing`); and that it is never
written through a link nor read through one.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, NamedTuple

import numpy as np

from ..errors import Diagnostic, FlowError, fail, shorten
from ..writing import write_bytes

FIRST_LINE = b"flowgraph checkpoint 1\n"
MAGIC = b"flowgraph checkpoint "
SECOND_LINE = re.compile(rb"sha256 ([0-9a-f]{64}) of ([1-9][0-9]{0,17}) bytes\n")
SUFFIX = ".flowckpt"
NAME = re.compile(r"checkpoint-([0-9]{8,18})\.flowckpt", re.ASCII)
KEPT = 2
"""So many checkpoints of a run stay: the newest, and one to fall back on."""
MAX_HEADER = 64 * 2**20
MAX_AXES = 32
INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
DTYPES = {
    name: np.dtype(name).newbyteorder("<") for name in ("bool", "float16", "float32", "float64", *INTEGERS)
}
"""What arrays may hold, by name."""

STRANGERS = (
    (b"PK\x03\x04", "a zip archive, as `torch.save` and `numpy.savez` write"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x80", "a pickle, as `torch.save` and `pickle.dump` write"),
    (b"\x93NUMPY", "an array that `numpy.save` wrote"),
    (b"\x1f\x8b", "packed by gzip"),
    (b"\x89HDF", "an HDF5 file"),
)
"""First bytes of files that one might take for a checkpoint."""


@dataclass(frozen=True)
class Checkpoint:
    """A run at one instant: arrays by name, and what is to be known about them as plain JSON values."""

    arrays: dict[str, np.ndarray]
    about: dict[str, Any]


class _Unusable(Exception):
    """The file cannot be used; carries the reason and a cure."""

    def __init__(self, why: str, cure: str = "use another checkpoint, or start the run anew") -> None:
        self.why, self.cure = why, cure
        super().__init__(why)


# ---------------------------------------------------------------------------------------
# Writing


def checkpoint_name(step: int) -> str:
    """The file name of the checkpoint after so many steps."""
    return f"checkpoint-{step:08d}{SUFFIX}"


def write_checkpoint(folder: Path, step: int, checkpoint: Checkpoint) -> Path:
    """Write the checkpoint after `step` steps into a folder, and return its path.

    Once it is on the disk, all but the newest two are removed; so are those of later steps, which
    a run that went back to an earlier step has left behind. Raises FlowError: E0701 where it cannot be
    written (the older checkpoints are then as they were), E0802 where its header would be too long;
    TypeError for values that are no plain JSON, or arrays of other types than DTYPES.
    """
    path = folder / checkpoint_name(step)
    write_bytes(path, *encoded(checkpoint, path), follow=False)
    older = [(s, p) for s, p in _listed(folder) if s <= step]
    kept = {p for _, p in older[:KEPT]}
    for _, each in _listed(folder):
        if each not in kept:
            with contextlib.suppress(OSError):  # the new one is safe: an old one too many does no harm
                each.unlink()
    return path


def encoded(checkpoint: Checkpoint, path: Path) -> list[bytes | memoryview]:
    """The bytes of a checkpoint's file, in parts; arrays are not copied. Raises as `write_checkpoint`."""
    arrays = {name: _plain_array(name, array) for name, array in checkpoint.arrays.items()}
    rows = [[name, array.dtype.name, list(array.shape)] for name, array in arrays.items()]
    _check_plain(checkpoint.about, "about")
    header = json.dumps({"about": checkpoint.about, "arrays": rows}, separators=(",", ":")).encode("ascii")
    if len(header) > MAX_HEADER:
        said = f"`{path}` cannot be written: its header would have {len(header)} bytes"
        raise fail("E0802", said, help=f"at most {MAX_HEADER} are allowed: fewer parameters", path=str(path))
    body: list[bytes | memoryview] = [len(header).to_bytes(8, "little"), header]
    body += [array.reshape(-1).view(np.uint8).data for array in arrays.values()]
    digest = hashlib.sha256()
    for part in body:
        digest.update(part)
    count = sum(len(part) for part in body)
    return [FIRST_LINE, f"sha256 {digest.hexdigest()} of {count} bytes\n".encode("ascii"), *body]


def _plain_array(name: str, array: np.ndarray) -> np.ndarray:
    if not isinstance(name, str) or array.dtype.name not in DTYPES or array.ndim > MAX_AXES:
        raise TypeError(f"a checkpoint cannot hold {name!r}: {array.dtype} with {array.ndim} axes")
    return np.asarray(array, dtype=DTYPES[array.dtype.name], order="C")


def _check_plain(value: Any, where: str) -> None:
    """Raise TypeError for what JSON would not give back as it was."""
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"{where} has the key {key!r}, which is no string")
            _check_plain(item, f"{where}.{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check_plain(item, f"{where}[{number}]")
    elif value is not None and not isinstance(value, (bool, int, float, str)):
        raise TypeError(f"{where} is a {type(value).__name__}: only plain JSON values can be stored")


# ---------------------------------------------------------------------------------------
# Finding


def newest_checkpoint(folder: Path) -> tuple[Checkpoint | None, list[Diagnostic]]:
    """The newest checkpoint of a folder that is whole, or None if there is none at all.

    Newer ones that are damaged are named in warnings (W0801). Raises FlowError (E0802, one for
    each) where there are checkpoints and none of them can be used.
    """
    damaged: list[tuple[Path, Diagnostic]] = []
    for step, path in _listed(folder):
        try:
            checkpoint = read_checkpoint(path)
        except FlowError as error:
            damaged += [(path, d) for d in error.diagnostics]
            continue
        return checkpoint, [_passed_over(d, bad, path, step) for bad, d in damaged]
    if damaged:
        raise FlowError(d for _, d in damaged)
    return None, []


def _passed_over(error: Diagnostic, bad: Path, used: Path, step: int) -> Diagnostic:
    cure = f"the run goes on from `{used.name}`, after step {step}; nothing needs to be done"
    return replace(error, code="W0801", help=cure, path=str(bad))


def _listed(folder: Path) -> list[tuple[int, Path]]:
    """The checkpoints of a folder by their names, with their steps, the newest first. Raises FlowError."""
    try:
        found = [(name, path) for path in folder.iterdir() if (name := NAME.fullmatch(path.name))]
    except FileNotFoundError:
        return []
    except OSError as error:
        reason = error.strerror or str(error)
        said = f"`{shorten(str(folder), 200)}` cannot be read: {reason}"
        raise fail("E0802", said, help="check the path", path=str(folder)) from None
    return sorted(((int(name.group(1)), path) for name, path in found), reverse=True)


# ---------------------------------------------------------------------------------------
# Reading


def read_checkpoint(path: str | Path) -> Checkpoint:
    """The checkpoint in a file; its arrays are new and can be written to. Raises FlowError (E0802)."""
    try:
        with _opened(Path(path)) as file:
            return _read(file)
    except _Unusable as error:
        why, cure = error.why, error.cure
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or " ".join(str(error).split())).lower()
        cure = "check the path"
    except MemoryError:
        why, cure = "there is not enough memory for it", "use a machine with more memory"
    said = f"the checkpoint `{shorten(str(path), 200)}` cannot be used: {why}"
    raise fail("E0802", said, help=cure, path=str(path))


def _opened(path: Path) -> io.BufferedReader:
    """The file, if it is a regular one and no link. Raises _Unusable, OSError."""
    # O_NONBLOCK: a pipe that nobody writes to would be waited for.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink():
            why = f"it is a link to `{shorten(str(path.readlink()), 200)}`"
            raise _Unusable(why, "links are not followed here; put the file itself there") from None
        raise
    mode = os.fstat(handle).st_mode
    if not S_ISREG(mode):
        os.close(handle)
        raise _Unusable("it is a directory" if S_ISDIR(mode) else "it is not a regular file", "name a file")
    return io.BufferedReader(io.FileIO(handle))


def _read(file: io.BufferedReader) -> Checkpoint:
    """The checkpoint in an open file. Raises _Unusable."""
    digest, count = _read_lines(file)
    start = file.tell()
    there = os.fstat(file.fileno()).st_size - start
    if there < count:
        raise _Unusable(f"it is cut short: {there} of {count} bytes are there")
    if there > count:
        raise _Unusable(f"it is damaged: {there - count} bytes follow its end")
    # The checksum first: damage is then called damage, and no damaged length is ever believed.
    if hashlib.file_digest(file, "sha256").hexdigest() != digest:
        raise _Unusable("it is damaged: its checksum is wrong")
    file.seek(start)
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(MAX_HEADER, count - 8):
        raise _Unusable(f"its header is said to have {length} bytes")
    about, rows = _header(file.read(length))
    if (said := sum(row.size for row in rows)) != count - 8 - length:
        raise _Unusable(f"its arrays are said to have {said} bytes, and {count - 8 - length} are there")
    return Checkpoint({row.name: _array(file, row) for row in rows}, about)


def _read_lines(file: io.BufferedReader) -> tuple[str, int]:
    """Checksum and number of bytes, from the two lines of text. Raises _Unusable."""
    first = file.readline(len(FIRST_LINE))
    for start, kind in STRANGERS:
        if first.startswith(start):
            cure = f"nothing of that kind is ever opened here: give a {SUFFIX} file that training wrote"
            raise _Unusable(f"it is {kind}, and no checkpoint of flowgraph", cure)
    if not first:
        raise _Unusable("it is empty")
    if first != FIRST_LINE:
        if first.startswith(MAGIC) and first[len(MAGIC) :].strip().isdigit():
            raise _Unusable("it is of another version of the format", "use the flowgraph that wrote it")
        raise _Unusable(f"it does not begin as a {SUFFIX} file does: it is something else, or damaged")
    second = SECOND_LINE.fullmatch(file.readline(128))
    if second is None:
        raise _Unusable("it is damaged: its second line is not what it should be")
    return second.group(1).decode("ascii"), int(second.group(2))


class _Row(NamedTuple):
    """What the header says of an array; size in bytes."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    size: int


def _header(text: bytes) -> tuple[dict[str, Any], list[_Row]]:
    """What the header says: `about`, and a row for each array. Raises _Unusable."""
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise _Unusable(f"its header is no JSON: {shorten(why)}") from None
    if not isinstance(header, dict) or set(header) != {"about", "arrays"}:
        raise _Unusable("its header does not say what it should")
    about, rows = header["about"], header["arrays"]
    if not isinstance(about, dict) or not isinstance(rows, list):
        raise _Unusable("its header does not say what it should")
    found = [_row(row) for row in rows]
    if len({row.name for row in found}) < len(found):
        raise _Unusable("it holds two arrays of one name")
    return about, found


def _row(row: Any) -> _Row:
    if not isinstance(row, list) or len(row) != 3 or not isinstance(row[0], str):
        raise _Unusable("its header does not say what its arrays are")
    name, kind, shape = row
    if not isinstance(kind, str) or kind not in DTYPES:
        raise _Unusable(f"its array `{shorten(name)}` is of type {shorten(repr(kind))}")
    sizes = shape if isinstance(shape, list) and len(shape) <= MAX_AXES else [-1]
    if not all(type(size) is int and 0 <= size < 2**62 for size in sizes):
        raise _Unusable(f"its array `{shorten(name)}` has no possible shape")
    return _Row(name, DTYPES[kind], tuple(sizes), math.prod(sizes) * DTYPES[kind].itemsize)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Unusable("its header has a key twice")
    return found


def _array(file: io.BufferedReader, row: _Row) -> np.ndarray:
    """The next array of the file. Raises _Unusable."""
    data = np.empty(row.size, np.uint8)
    if file.readinto(data.data) != row.size:
        raise _Unusable("it became shorter while it was read")
    if row.dtype.kind == "b" and (data > 1).any():
        raise _Unusable(f"its array `{shorten(row.name)}` holds what is neither true nor false")
    try:
        return data.view(row.dtype).reshape(row.shape).astype(row.dtype.newbyteorder("="), copy=False)
    except ValueError:
        raise _Unusable(f"its array `{shorten(row.name)}` has no possible shape") from None
