"""Files of weights: safetensors, npz, and what `torch.save` writes, as entries by name.

Assumes nothing of a file. Promises entries whose shape is known before their numbers are read, or
the reason why not (E0501, E0605). A pickle is opened by `torch.load(weights_only=True)` alone,
which builds tensors and runs nothing, in versions of PyTorch in which that holds; there is no
other way to it.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Diagnostics, shorten
from ..writing import write_bytes
from .arrays import read_arrays, unusable_reported
from .files import MAX_BYTES, check_file, report_unusable
from .mapped import NUMBERS, Mapped, Unusable, open_archive, safetensors_arrays

PICKLED = (".pt", ".pth", ".bin")
SUFFIXES = (".safetensors", ".npz", *PICKLED)
BFLOAT16 = np.dtype([("bits", "<u2")])
"""numpy has no such type: its bits."""
MAX_ENTRIES = 10**6
MAX_DEPTH = 16
OLDEST = "2.10"
"""Of PyTorch: before it, a file could make `weights_only=True` corrupt memory."""
CURE = 'save the weights as safetensors: safetensors.torch.save_file(model.state_dict(), "m.safetensors")'


@dataclass(frozen=True)
class Entry:
    """An array by its shape. holds: its element type in words. read: its numbers, None if it has none."""

    shape: tuple[int, ...]
    holds: str
    read: Callable[[], np.ndarray] | None


def read_entries(path: Path, found: Diagnostics) -> dict[str, Entry] | None:
    """The entries of a file by name, or None with E0501 or E0605 reported."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        cure = f"parameters are read from {', '.join(SUFFIXES)} files"
        report_unusable(found, str(path), f"`{shorten(suffix)}` is no format of weights", None, cure)
        return None
    if not check_file(path, found, None, MAX_BYTES):
        return None
    if suffix == ".npz":
        arrays = read_arrays(path, found)
        return None if arrays is None else {name: array_entry(array) for name, array in arrays.items()}
    if suffix in PICKLED and not _can_unpickle(path, found):
        return None
    with unusable_reported(path, found):
        return _safetensors(path) if suffix == ".safetensors" else _unpickled(path)
    return None


def value_entry(value: Any) -> Entry:
    """An array, a tensor, a number or nested lists, as a caller gives them."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _tensor_entry(value)
    try:
        return array_entry(np.asarray(value))
    except (TypeError, ValueError):
        return Entry((), type(value).__name__, None)


def array_entry(array: np.ndarray) -> Entry:
    """An array as an entry."""
    return Entry(array.shape, str(array.dtype), (lambda: array) if array.dtype.kind in "biuf" else None)


def write_weights(path: str | Path, arrays: Mapping[str, np.ndarray], *, follow: bool = True) -> None:
    """Write arrays by name as safetensors, whole or not at all. Raises FlowError (E0701).

    follow: as in `flowgraph.writing.write_bytes`.
    """
    from safetensors.numpy import save

    plain = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    # Other readers of safetensors go by this word for "named and laid out as PyTorch does it".
    write_bytes(path, save(plain, metadata={"format": "pt"}), follow=follow)


# ---------------------------------------------------------------------------------------
# safetensors


def _safetensors(path: Path) -> dict[str, Entry]:
    from safetensors import SafetensorError, safe_open

    arrays = safetensors_arrays(path, NUMBERS | {"BF16": BFLOAT16})
    try:
        with safe_open(path, framework="numpy"):  # the library looks for gaps and overlaps
            pass
    except SafetensorError as error:
        raise Unusable(" ".join(str(error).split()), "save it again") from None
    return {name: _mapped_entry(path, array) for name, array in arrays.items()}


def _mapped_entry(path: Path, array: Mapped) -> Entry:
    if array.dtype == BFLOAT16:
        return Entry(array.shape, "bfloat16", lambda: bfloat16_numbers(array.read_all(path)["bits"]))
    return Entry(array.shape, str(array.dtype), lambda: array.read_all(path))


def bfloat16_numbers(bits: np.ndarray) -> np.ndarray:
    """The float32 numbers of bfloat16 bits (uint16), exactly: they are the upper half of float32's."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


# ---------------------------------------------------------------------------------------
# torch.save


def _can_unpickle(path: Path, found: Diagnostics) -> bool:
    """Whether a PyTorch is there that reads such files safely; else E0605 is reported."""
    try:
        import torch
        from torch.torch_version import TorchVersion
    except ImportError:
        said = f"`{shorten(str(path), 200)}` is read by PyTorch, which is not installed"
        found.report("E0605", said, help=f"pip install 'flowgraph[torch]'; or {CURE}", path=str(path))
        return False
    if TorchVersion(torch.__version__) >= OLDEST:
        return True
    said = f"`{shorten(str(path), 200)}` is not safe to read with PyTorch {torch.__version__}"
    cure = f"{CURE}; or install PyTorch {OLDEST} or later"
    found.report("E0605", said, help=cure, path=str(path))
    return False


def _unpickled(path: Path) -> dict[str, Entry]:
    import torch

    _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # PyTorch names none of what a damaged file makes it raise
        raise Unusable(_reason(error), CURE) from None
    if not isinstance(loaded, Mapping):
        raise Unusable(f"it holds {type(loaded).__name__}, not weights by name", CURE)
    return _flat(loaded)


def _check_archive(path: Path) -> None:
    """Raise Unusable for what is no plain zip archive of a bearable size."""
    try:
        archive = open_archive(path)
    except Unusable as error:
        raise Unusable(error.why, CURE) from None
    with archive:
        members = [i.filename for i in archive.infolist()]
        if sum(i.file_size for i in archive.infolist()) > MAX_BYTES:
            raise Unusable(f"it unpacks to more than {MAX_BYTES} bytes", CURE)
    if len(set(members)) < len(members):
        raise Unusable("two of its members have one name", CURE)


def _reason(error: Exception) -> str:
    """In our words, as PyTorch's tell how to run what is in the file."""
    code = re.search(r"(?:GLOBAL|global) `?([\w.]+)", str(error))
    if code:
        return f"it holds more than tensors (`{shorten(code[1])}`), and that is never unpickled"
    if "TorchScript" in str(error):
        return "it is a TorchScript program, not weights"
    return "it is damaged, or holds more than tensors"


def _flat(loaded: Mapping[Any, Any]) -> dict[str, Entry]:
    """Tensors by name; those of a dict in the dict under both names with a dot between.

    What is neither has an entry without numbers.
    """
    entries: dict[str, Entry] = {}
    waiting = [("", loaded, 1)]
    while waiting:
        prefix, items, depth = waiting.pop()
        for key, value in items.items():
            name = f"{prefix}{key}"
            if isinstance(value, Mapping):
                waiting.append((f"{name}.", value, depth + 1))
            elif name in entries:
                raise Unusable(f"the name `{shorten(name)}` is there twice", CURE)
            else:
                entries[name] = _item_entry(value)
        if depth > MAX_DEPTH or len(entries) + len(waiting) > MAX_ENTRIES:
            raise Unusable("its dicts are nested too deeply, or hold too much", CURE)
    return entries


def _item_entry(value: Any) -> Entry:
    import torch

    return _tensor_entry(value) if isinstance(value, torch.Tensor) else Entry((), type(value).__name__, None)


def _tensor_entry(tensor: Any) -> Entry:
    """A tensor of PyTorch as an entry."""
    import torch

    shape, holds = tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
    is_plain = tensor.layout == torch.strided and not tensor.is_nested
    if not is_plain or tensor.is_quantized or tensor.is_meta or tensor.is_complex():
        return Entry(shape, holds if tensor.is_complex() else f"{holds} in another form", None)
    # numpy has no bfloat16 and no eight bits of floating point; float64 holds all of them exactly.
    return Entry(shape, holds, lambda: tensor.detach().cpu().to(torch.float64).numpy(force=True))
