"""Arrays by their place in a file: npy, the stored members of an npz, safetensors.

Only headers are read here, and never unpickled. Promises arrays whose bytes lie within the file,
which can then be read a few rows at a time.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import shorten

MAX_HEADER = 100 * 2**20
NUMBERS = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BOOL": "?",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
}  # fmt: skip
"""The dtypes of safetensors that numpy has."""


PICKLED = "it holds pickled objects, which are never read"


class Unusable(Exception):
    """The file is not what its name says, or not safe to read; carries the reason and a cure."""

    def __init__(self, why: str, cure: str = "") -> None:
        self.why, self.cure = why, cure
        super().__init__(why)


@dataclass(frozen=True)
class Mapped:
    """An array [N, ...] that begins at a byte of a file; `fortran`: the first axis varies fastest."""

    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool = False

    @property
    def nbytes(self) -> int:
        return self.dtype.itemsize * prod(self.shape)

    def read(self, path: Path, start: int, stop: int) -> np.ndarray:
        """The rows `start` to `stop` as an array of its own. Raises OSError, ValueError.

        The map is dropped at once: its pages would count as memory of ours for as long as it lives.
        """
        shape = (stop - start, *self.shape[1:])
        if not prod(shape) or not self.dtype.itemsize:
            return np.zeros(shape, self.dtype)
        if self.fortran and len(shape) > 1:
            whole = np.memmap(path, self.dtype, "r", self.offset, self.shape, order="F")
            return np.array(whole[start:stop], order="C")
        row = self.nbytes // self.shape[0]
        return np.array(np.memmap(path, self.dtype, "r", self.offset + start * row, shape))

    def read_all(self, path: Path) -> np.ndarray:
        """The whole array. Raises OSError, ValueError."""
        if self.shape:
            return self.read(path, 0, self.shape[0])
        return Mapped(self.offset, self.dtype, (1,)).read(path, 0, 1).reshape(())


def npy_array(path: Path) -> Mapped:
    """The array of an npy file. Raises Unusable, OSError, ValueError."""
    with path.open("rb") as file:
        return _npy_at(file, 0, path.stat().st_size, "it")


def npz_arrays(path: Path) -> dict[str, Mapped]:
    """The arrays of an npz by key; all must be stored as they are. Raises as zipfile does, and Unusable."""
    with open_archive(path) as archive, path.open("rb") as file:
        check_keys(archive)
        return {member_key(info): _member(file, info) for info in archive.infolist()}


def open_archive(path: Path) -> zipfile.ZipFile:
    """An archive without encrypted members. Raises Unusable, and as zipfile does."""
    if not zipfile.is_zipfile(path):
        raise Unusable("it is no zip archive, or it is cut short", "save it with np.savez again")
    archive = zipfile.ZipFile(path)
    if any(i.flag_bits & 1 for i in archive.infolist()):
        archive.close()
        raise Unusable("it is encrypted", "save it without a password")
    return archive


def member_key(info: zipfile.ZipInfo) -> str:
    """The key of an archive's member: its name without `.npy`."""
    return info.filename.removesuffix(".npy")


def check_keys(archive: zipfile.ZipFile) -> None:
    """Raise Unusable where two members have one key, or one of them is no array."""
    seen: set[str] = set()
    for info in archive.infolist():
        key = member_key(info)
        if key in seen:
            raise Unusable(f"the key {key!r} is there twice", "save it again")
        if not info.filename.endswith(".npy"):
            raise Unusable(f"its member {shorten(info.filename)!r} is no array", "save it with np.savez")
        seen.add(key)


def is_stored(path: Path) -> bool:
    """Whether every member of an archive can be read by parts. Raises as zipfile does."""
    with zipfile.ZipFile(path) as archive:
        return all(i.compress_type == zipfile.ZIP_STORED for i in archive.infolist())


def _member(file: BinaryIO, info: zipfile.ZipInfo) -> Mapped:
    key = shorten(member_key(info))
    if info.compress_type != zipfile.ZIP_STORED:
        why = f"`{key}` is compressed, and a compressed array cannot be read by parts"
        raise Unusable(why, "save it with np.savez, not np.savez_compressed")
    file.seek(info.header_offset)
    local = file.read(30)
    if len(local) < 30 or local[:4] != b"PK\3\4":
        raise Unusable(f"the place of `{key}` is wrong", "save it again")
    name, extra = struct.unpack("<HH", local[26:30])
    return _npy_at(file, info.header_offset + 30 + name + extra, info.file_size, f"`{key}`")


def _npy_at(file: BinaryIO, start: int, size: int, what: str) -> Mapped:
    """The array whose npy header begins at a byte and which has `size` bytes with it."""
    file.seek(start)
    if file.read(6) != b"\x93NUMPY":
        raise Unusable(f"{what} does not begin as an npy file does", "save it with np.save or np.savez")
    file.seek(start)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise Unusable(f"{what} is of npy format {version[0]}.{version[1]}", "save plain numbers")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise Unusable(f"{what}: {PICKLED}", "save plain numbers or texts")
    if any(n < 0 for n in shape):
        raise Unusable(f"{what} has the shape {list(shape)}", "save it again")
    found = Mapped(file.tell(), dtype, tuple(shape), bool(fortran))
    missing = found.offset + found.nbytes - start - size
    if missing > 0:
        raise Unusable(f"{what} is cut short: {missing} bytes are missing", "save it, or copy it, again")
    return found


# ---------------------------------------------------------------------------------------
# safetensors


def safetensors_header(path: Path) -> tuple[dict[str, Any], int]:
    """What the header says, and the byte at which the arrays begin. Raises Unusable, OSError, ValueError."""
    with path.open("rb") as file:
        start = file.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= size <= min(MAX_HEADER, path.stat().st_size):
            raise Unusable("it has no safetensors header", "save it as safetensors again")
        header = file.read(size)
    # The library takes the last of two equal keys without a word.
    said = json.loads(header.decode("utf-8"), object_pairs_hook=_no_duplicates)
    if not isinstance(said, dict):
        raise Unusable("it has no safetensors header", "save it as safetensors again")
    return said, 8 + size


def safetensors_arrays(path: Path, kinds: Mapping[str, Any] = NUMBERS) -> dict[str, Mapped]:
    """The arrays of a safetensors file by key. Raises Unusable, OSError, ValueError.

    kinds: the dtypes that may occur, and as what of numpy's their bytes are taken.
    """
    said, start = safetensors_header(path)
    size = path.stat().st_size - start
    keys = sorted(key for key in said if key != "__metadata__")
    return {key: _tensor(key, said[key], start, size, kinds) for key in keys}


def _tensor(key: str, row: Any, start: int, size: int, kinds: Mapping[str, Any]) -> Mapped:
    try:
        kind, shape, (begin, end) = row["dtype"], tuple(row["shape"]), row["data_offsets"]
        numbers = [begin, end, *shape]
    except (TypeError, KeyError, ValueError):
        numbers = [-1]
    if not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise Unusable(f"its header does not say what `{shorten(key)}` is", "save it again")
    if not isinstance(kind, str) or kind not in kinds:
        why = f"`{shorten(key)}` holds {shorten(str(kind))}"
        raise Unusable(why, "save float32, float64 or int64 arrays")
    found = Mapped(start + begin, np.dtype(kinds[kind]), shape)
    if end > size or end - begin != found.nbytes:
        raise Unusable(f"`{shorten(key)}` does not lie within the file", "save it, or copy it, again")
    return found


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    out: dict[str, object] = {}
    for key, value in pairs:
        if key in out:
            raise Unusable(f"the key {key!r} is there twice", "save it again")
        out[key] = value
    return out
