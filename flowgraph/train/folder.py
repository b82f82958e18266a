"""The folder of a run: config.json, log.csv, model.safetensors, checkpoints, loss.png.

Assumes one run a folder at a time, which it sees to by a lock. Promises that no file is overwritten
that a run did not write; that nothing is written outside the folder, through a link or otherwise;
that every file but the log appears whole or not at all; and that the log, cut back to the length
noted in a checkpoint, is that of a run which was never disturbed, byte for byte.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from stat import S_ISREG
from typing import Any

import numpy as np

from ..data.weights import write_weights
from ..errors import FlowError, InternalError, fail, shorten
from ..writing import temporary_of, unwritable, write_bytes
from .checkpoint import NAME

CONFIG, LOG, MODEL, CURVE = "config.json", "log.csv", "model.safetensors", "loss.png"
LOCK = ".flowgraph-lock"
FORMAT = "flowgraph run 1"
"""What `format` in config.json says: by it a run's folder is known."""


class RunFolder:
    """One run's folder, held from `prepare` to `close`; also a context manager.

    Everything that cannot be written raises FlowError (E0701) with the reason.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock: int | None = None
        self._log: int | None = None
        self._length = 0
        self._width = 0

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the log and the lock go. What was written stays; nothing is flushed."""
        for handle in (self._log, self._lock):
            if handle is not None:
                os.close(handle)
        self._log = self._lock = None

    # -- the folder

    def prepare(self, resume: bool) -> None:
        """Make the folder, or take over one that is there; hold it until `close`.

        resume: whether it may hold a run already. Temporary files that a killed run left are removed.
        Raises FlowError: E0804 where it holds a run and `resume` is false, files of these names that no run
        wrote, links in the place of files, or where another run is writing; E0701 where it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise self._refused("is there already, and is no folder", "give another folder") from None
        except (OSError, ValueError) as error:
            raise unwritable(self.path, error) from None
        try:
            self._check(resume)
            self._take_lock()
            self._check(resume)  # another run may have come and gone before the lock was taken
            self._remove_temporaries()
        except BaseException:
            self.close()
            raise

    def _refused(self, why: str, cure: str, code: str = "E0804") -> FlowError:
        return fail(code, f"`{shorten(str(self.path), 200)}` {why}", help=cure, path=str(self.path))

    def _names(self) -> list[str]:
        """What the folder holds. Raises FlowError (E0701)."""
        try:
            return sorted(path.name for path in self.path.iterdir())
        except OSError as error:
            raise unwritable(self.path, error) from None

    def _check(self, resume: bool) -> None:
        """Raise FlowError (E0804) where this run must not write here."""
        own = [name for name in self._names() if _is_own(name)]
        for name in own:
            if not S_ISREG((self.path / name).lstat().st_mode):
                why = f"holds `{name}`, which is a link or no regular file"
                raise self._refused(
                    why, "a run writes nothing through links: remove it, or give another folder"
                )
        if not own:
            return
        is_run = self._is_run(own)
        if not is_run:
            listed = ", ".join(f"`{name}`" for name in own)
            why = f"holds {listed}, which no run wrote and which would be overwritten"
            raise self._refused(why, "give another folder with --out")
        if not resume:
            raise self._refused("holds a run already", "go on with it by --resume, or give another folder")
        if MODEL in own and not any(NAME.fullmatch(name) for name in own):
            # It is written after a checkpoint: somebody has removed those.
            why = f"holds `{MODEL}` and no checkpoint to go on from, and a new run would write over it"
            cure = f"put a checkpoint back, or start from it in another folder: --params {self.path / MODEL}"
            raise self._refused(why, cure)

    def _is_run(self, own: Iterable[str]) -> bool:
        """Whether the files with our names are a run's: there is a checkpoint, or a config.json of ours."""
        if any(NAME.fullmatch(name) for name in own):
            return True
        with contextlib.suppress(OSError, ValueError, RecursionError):
            config = json.loads((self.path / CONFIG).read_text(encoding="utf-8"))
            return isinstance(config, dict) and config.get("format") == FORMAT
        return False

    def _take_lock(self) -> None:
        """Hold the folder's lock, which ends with this process at the latest. Raises FlowError."""
        try:
            import fcntl
        except ImportError:  # a system without such locks
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        try:
            self._lock = os.open(self.path / LOCK, flags, 0o666)
        except OSError as error:
            raise unwritable(self.path, error) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            cure = "wait for it to end, stop it, or give another folder"
            raise self._refused("is being written to by another run", cure) from None
        except OSError:
            pass  # a file system without locks

    def _remove_temporaries(self) -> None:
        for name in self._names():
            if (meant := temporary_of(name)) is not None and _is_own(meant):
                with contextlib.suppress(OSError):
                    (self.path / name).unlink()

    # -- files that are written whole

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write config.json: the settings of the run as plain JSON values, in the order of their names."""
        text = json.dumps({"format": FORMAT, **config}, indent=2, sort_keys=True)
        write_bytes(self.path / CONFIG, text.encode("ascii"), b"\n", follow=False)

    def write_model(self, params: Mapping[str, np.ndarray]) -> None:
        """Write model.safetensors: the parameters by the diagram's names, for any reader of that format."""
        write_weights(self.path / MODEL, params, follow=False)

    def write_curve(self) -> str:
        """Write loss.png, drawn from the log; why matplotlib could not draw it, "" if it could.

        Raises FlowError (E0804) where the log is none any more.
        """
        from .curve import CannotDraw, draw_curve

        try:
            picture = draw_curve((self.path / LOG).read_text(encoding="utf-8"))
        except CannotDraw as error:
            return shorten(str(error), 200)
        except (OSError, ValueError) as error:
            why = f"holds a `{LOG}` that cannot be drawn: {shorten(str(error), 200)}"
            raise self._refused(why, "something else has written to it") from None
        write_bytes(self.path / CURVE, picture, follow=False)
        return ""

    # -- the log

    def open_log(self, columns: Sequence[str], at_bytes: int | None = None) -> None:
        """Begin log.csv with these columns; or go on with it after `at_bytes` bytes, cutting off the rest.

        at_bytes: what `sync_log` returned before the checkpoint that the run goes on from. Raises
        FlowError: E0803 where the log has other columns, E0804 where it is shorter or otherwise not the
        log of that checkpoint.
        """
        if self._log is not None:
            raise InternalError("the log is open already")
        header = _csv_line(columns)
        self._width = len(columns)
        flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        if at_bytes is None:
            flags |= os.O_CREAT | os.O_TRUNC
        try:
            self._log = os.open(self.path / LOG, flags, 0o666)
            if at_bytes is None:
                self._length = 0
                self._append(header)
            else:
                self._check_log(header, at_bytes)
                os.ftruncate(self._log, at_bytes)
                self._length = at_bytes
        except FileNotFoundError:
            why = f"holds a checkpoint and no `{LOG}`"
            raise self._refused(why, "put the log back, or start a new run in another folder") from None
        except OSError as error:
            raise unwritable(self.path / LOG, error) from None

    def _check_log(self, header: bytes, at_bytes: int) -> None:
        """Raise FlowError (E0803, E0804) if the log is not that of the checkpoint being resumed."""
        assert self._log is not None
        cure = "put the log back, or start a new run in another folder"
        size = os.fstat(self._log).st_size
        if size < at_bytes:
            why = f"holds a `{LOG}` of {size} bytes, and it had {at_bytes} when the checkpoint was written"
            raise self._refused(why, cure)
        with open(self._log, "rb", closefd=False) as file:
            first = file.readline(max(len(header), 4096))
            file.seek(max(at_bytes - 1, 0))
            last = file.read(1)
        if first != header:
            old, new = (shorten(line.decode("utf-8", "replace").strip()) for line in (first, header))
            why = f"holds a `{LOG}` with the columns `{old}`, and this run has `{new}`"
            raise self._refused(
                why, "ask for the metrics it had, or start a new run in another folder", "E0803"
            )
        if at_bytes < len(header) or last != b"\n":
            why = f"holds a `{LOG}` that has been changed: no row ends at byte {at_bytes}"
            raise self._refused(why, cure)

    def log_row(self, values: Sequence[float | int | None]) -> None:
        """Append a row; it has reached the operating system when this returns.

        Numbers are written by `repr`, so that they read back exactly; None is an empty cell.
        """
        if len(values) != self._width:
            raise InternalError(f"a row of {len(values)} values for a log of {self._width} columns")
        self._append(_csv_line([_cell(value) for value in values]))

    def sync_log(self) -> int:
        """Let the log reach the disk; its length in bytes, to be noted in a checkpoint."""
        assert self._log is not None
        try:
            os.fsync(self._log)
        except OSError as error:
            raise unwritable(self.path / LOG, error) from None
        return self._length

    def _append(self, line: bytes) -> None:
        """Write a whole line, or leave the log as it was. Raises FlowError (E0701)."""
        assert self._log is not None
        try:
            done = 0
            while done < len(line):
                done += os.write(self._log, line[done:])
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._log, self._length)
            raise unwritable(self.path / LOG, error) from None
        self._length += len(line)


def _is_own(name: str) -> bool:
    """Whether a run writes files of this name."""
    return name in (CONFIG, LOG, MODEL, CURVE) or NAME.fullmatch(name) is not None


def _csv_line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8")


def _cell(value: float | int | None) -> str:
    if value is None:
        return ""
    # numpy's numbers have a repr of their own
    return repr(float(value)) if isinstance(value, (float, np.floating)) else str(int(value))
