"""npz, npy and safetensors files: arrays by key, never anything that could run.

Assumes nothing of a file. Promises arrays of numbers or texts, or the reason why not; pickled
objects, duplicate keys and archives that would unpack to more than the limit are refused.
"""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import Diagnostics, Span
from .files import MAX_BYTES, report_unusable
from .mapped import PICKLED, Unusable, check_keys, npy_array, open_archive, safetensors_arrays


def read_arrays(path: Path, found: Diagnostics, span: Span | None = None) -> dict[str, np.ndarray] | None:
    """All arrays of a file by key, or None with E0501 reported. A plain npy has the key ""."""
    readers = {".npz": _npz, ".npy": _npy, ".safetensors": _safetensors}
    with unusable_reported(path, found, span):
        return readers[path.suffix.lower()](path)
    return None


@contextlib.contextmanager
def unusable_reported(path: Path, found: Diagnostics, span: Span | None = None) -> Iterator[None]:
    """Report (E0501) whatever makes a file unreadable in the body, and go on after it."""
    suffix = path.suffix.lower()
    try:
        yield
    except Unusable as error:
        report_unusable(found, str(path), error.why, span, error.cure)
    except (
        ValueError,
        OSError,
        EOFError,
        KeyError,
        RecursionError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
    ) as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        report_unusable(found, str(path), why, span, f"save it as {suffix} again")
    except MemoryError:
        report_unusable(found, str(path), "there is not enough memory for it", span, "use a part of it")


def _npz(path: Path) -> dict[str, np.ndarray]:
    with open_archive(path) as archive:
        if sum(i.file_size for i in archive.infolist()) > MAX_BYTES:
            cure = "use a part of it, or save it with np.savez, which is read by batches"
            raise Unusable(f"it unpacks to more than {MAX_BYTES} bytes", cure)
        check_keys(archive)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: _checked(name, arrays[name]) for name in arrays.files}
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise Unusable(PICKLED, "save plain numbers or texts") from None


def _npy(path: Path) -> dict[str, np.ndarray]:
    array = npy_array(path).read_all(path)
    if array.dtype.names:
        return {name: _checked(name, np.array(array[name])) for name in array.dtype.names}
    return {"": _checked("", array)}


def _checked(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "biufU":
        raise Unusable(f"{name or 'it'} holds {array.dtype}", "save plain numbers")
    return array


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    safetensors_arrays(path)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return {name: _checked(name, array) for name, array in sorted(load_file(path).items())}
    except (SafetensorError, TypeError, AttributeError) as error:
        raise Unusable(" ".join(str(error).split()), "save float32, float64 or int64 arrays") from None
