"""npz, npy and safetensors files: arrays by key, never anything that could run.

Assumes nothing of a file. Promises arrays of numbers or texts, or the reason why not; pickled
objects, duplicate keys and archives that would unpack to more than the limit are refused.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..errors import Diagnostics, Span
from .files import MAX_BYTES, report_unusable

MAX_HEADER = 100 * 2**20


class Unusable(Exception):
    """The file is not what its name says, or not safe to read; carries the reason and a cure."""

    def __init__(self, why: str, cure: str = "") -> None:
        self.why, self.cure = why, cure
        super().__init__(why)


def read_arrays(path: Path, found: Diagnostics, span: Span | None = None) -> dict[str, np.ndarray] | None:
    """All arrays of a file by key, or None with E0501 reported. A plain npy has the key ""."""
    readers = {".npz": _npz, ".npy": _npy, ".safetensors": _safetensors}
    try:
        return readers[path.suffix.lower()](path)
    except Unusable as error:
        report_unusable(found, str(path), error.why, span, error.cure)
    except (
        ValueError,
        OSError,
        EOFError,
        KeyError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
    ) as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        report_unusable(found, str(path), why, span, f"save it as {path.suffix.lower()} again")
    except MemoryError:
        report_unusable(found, str(path), "there is not enough memory for it", span, "use a part of it")
    return None


def _npz(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        names = [i.filename for i in archive.infolist()]
        if sum(i.file_size for i in archive.infolist()) > MAX_BYTES:
            raise Unusable(f"it unpacks to more than {MAX_BYTES} bytes", "use a part of it")
        double = next((n for i, n in enumerate(names) if n in names[:i]), None)
        if double is not None:
            raise Unusable(f"the key {double!r} is there twice", "save it again")
    with np.load(path, allow_pickle=False) as arrays:
        return {name: _checked(name, arrays[name]) for name in arrays.files}


def _npy(path: Path) -> dict[str, np.ndarray]:
    # Mapped, not read: a header may promise more than the file holds.
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.dtype.names:
        return {name: _checked(name, np.array(array[name])) for name in array.dtype.names}
    return {"": _checked("", np.array(array))}


def _checked(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "biufU":
        raise Unusable(f"{name or 'it'} holds {array.dtype}", "save plain numbers")
    return array


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        start = file.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= size <= min(MAX_HEADER, path.stat().st_size):
            raise Unusable("it has no safetensors header", "save it as safetensors again")
        header = file.read(size)
    # The library takes the last of two equal keys without a word.
    json.loads(header.decode("utf-8"), object_pairs_hook=_no_duplicates)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return {name: _checked(name, array) for name, array in sorted(load_file(path).items())}
    except (SafetensorError, TypeError, AttributeError) as error:
        raise Unusable(" ".join(str(error).split()), "save float32, float64 or int64 arrays") from None


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    out: dict[str, object] = {}
    for key, value in pairs:
        if key in out:
            raise Unusable(f"the key {key!r} is there twice", "save it again")
        out[key] = value
    return out
