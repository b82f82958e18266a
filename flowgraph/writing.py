"""Writing files whole or not at all.

What is written goes to a temporary file beside the old one, reaches the disk, and only then takes
its name; whatever goes wrong, the old file is as it was and nothing is left behind. Only a killed
process leaves its temporary file, under a name by which it is known (`temporary_of`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from stat import S_ISDIR, S_ISLNK

from .errors import FlowError, fail

TEMPORARY = re.compile(r"\.(.+)\.[A-Za-z0-9_]+\.flowgraph-tmp")
LONGEST = 50
"""So many characters of a file's name are kept in that of its temporary file."""
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""The errors that say that there is no room."""


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text, replacing the file if there is one. Raises FlowError (E0701).

    A link is followed, and the permissions of an old file are kept. What is no regular file
    (a pipe, a terminal) is written to directly.
    """
    with _told(path):
        _write(Path(path), (text.encode("utf-8"),), follow=True)


def write_bytes(path: str | Path, *parts: bytes | memoryview, follow: bool = True) -> None:
    """Write bytes, one part after the other, as `write_text` writes text. Raises FlowError (E0701).

    follow: whether a link is followed; else the file takes the link's place, and what the link
    leads to stays as it is.
    """
    with _told(path):
        _write(Path(path), parts, follow=follow)


def unwritable(path: str | Path, error: Exception) -> FlowError:
    """The E0701 that says why a path cannot be written, to be raised by the caller."""
    reason = getattr(error, "strerror", None) or str(error)
    cure = "nothing was changed; check the path"
    if getattr(error, "errno", None) in FULL:
        cure = "what was there is as it was; make room on the disk, or write elsewhere"
    return fail("E0701", f"`{path}` cannot be written: {reason}", help=cure, path=str(path))


def temporary_of(name: str) -> str | None:
    """The name, up to 50 characters, that the temporary file of this name was to take; or None."""
    found = TEMPORARY.fullmatch(name)
    return found.group(1) if found else None


@contextlib.contextmanager
def _told(path: str | Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise unwritable(path, error) from None


def _write(given: Path, parts: Sequence[bytes | memoryview], *, follow: bool) -> None:
    target = given.resolve() if follow else given
    if follow and target.exists() and not target.is_file() and not target.is_dir():
        with target.open("wb") as stream:
            stream.writelines(parts)
        return
    _replace(target, parts)


def _replace(target: Path, parts: Sequence[bytes | memoryview]) -> None:
    mode = _mode(target)
    handle, temporary = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.name[:LONGEST]}.", suffix=".flowgraph-tmp"
    )
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    _sync_folder(target.parent)


def _mode(target: Path) -> int:
    """The permissions of the old file, or those that a new one would get. Raises OSError."""
    try:
        old = target.lstat().st_mode
    except FileNotFoundError:
        return _default_mode()
    if S_ISLNK(old):  # not followed: it gives way
        return _default_mode()
    if S_ISDIR(old):
        raise IsADirectoryError(None, "it is a directory")
    if not os.access(target, os.W_OK):
        raise PermissionError(None, "it is write-protected")
    return old & 0o7777


def _default_mode() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    """Let the new name reach the disk too, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
