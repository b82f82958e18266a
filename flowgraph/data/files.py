"""Opening data files: what may be read at all, before a byte of it is."""

from __future__ import annotations

from pathlib import Path
from stat import S_ISDIR, S_ISREG

from ..errors import Diagnostics, Span, shorten

FORMATS = (".csv", ".npz", ".npy", ".safetensors", ".parquet")
MAX_BYTES = 4 * 2**30
"""No file larger than this is read whole."""


def report_unusable(found: Diagnostics, path: str, why: str, span: Span | None, help: str) -> None:
    """Report E0501 at the file itself, or at the statement that names it."""
    message = f"`{shorten(path, 200)}` cannot be used: {why}"
    found.report("E0501", message, span, "named here" if span else "", help=help, path="" if span else path)


def check_format(path: str, found: Diagnostics, span: Span | None) -> bool:
    """Whether the name's ending is that of a format we read."""
    suffix = Path(path).suffix.lower()
    if suffix in FORMATS:
        return True
    cure = f"data are read from {', '.join(FORMATS)} files"
    report_unusable(found, path, f"`{shorten(suffix)}` is no format that is read", span, cure)
    return False


def check_file(path: Path, found: Diagnostics, span: Span | None, limit: float = MAX_BYTES) -> bool:
    """Whether a path is a regular file of at most `limit` bytes."""
    try:
        stat = path.stat()
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        cure = "paths in a file are relative to that file" if span else "check the path"
        report_unusable(found, str(path), reason, span, cure)
        return False
    if S_ISDIR(stat.st_mode) or not S_ISREG(stat.st_mode):
        kind = "a directory" if S_ISDIR(stat.st_mode) else "not a regular file"
        report_unusable(found, str(path), f"it is {kind}", span, "name a file")
        return False
    if stat.st_size > limit:
        cure = "use a part of it, or save it as npy, npz (np.savez) or Parquet, which train by batches"
        report_unusable(found, str(path), f"it is larger than {limit} bytes", span, cure)
        return False
    return True
