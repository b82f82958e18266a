"""How far measuring has come: a bar on a terminal, plain lines elsewhere, or nothing.

Assumes to be told between turns, so that nothing is drawn while a contestant is timed.
"""

from __future__ import annotations

import os
from typing import Any, Protocol, TextIO


class Watcher(Protocol):
    """Who is told of measuring."""

    def phase(self, text: str, turns: int) -> None:
        """Something begins that has so many turns."""

    def turn(self, name: str = "") -> None:
        """A turn is over: that of a contestant."""

    def close(self) -> None:
        """Nothing more comes; may be called twice."""


class Silent:
    """Tells nobody."""

    def phase(self, text: str, turns: int) -> None:
        pass

    def turn(self, name: str = "") -> None:
        pass

    def close(self) -> None:
        pass


class Lines(Silent):
    """A line a phase, for files and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def phase(self, text: str, turns: int) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


class Bar:
    """A bar on a terminal, gone when measuring is over."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        # Drawn between turns: a thread of its own would take time from what is timed.
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            console=Console(file=stream),
            auto_refresh=False,
            transient=True,
        )
        self._progress.start()
        self._task: Any = None

    def phase(self, text: str, turns: int) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(text, total=turns)
        self._progress.refresh()

    def turn(self, name: str = "") -> None:
        self._progress.advance(self._task)
        self._progress.refresh()

    def close(self) -> None:
        self._progress.stop()


def watcher_for(stream: TextIO) -> Watcher:
    """The bar where a terminal can redraw a line, else plain lines."""
    return Bar(stream) if stream.isatty() and os.environ.get("TERM") != "dumb" else Lines(stream)
