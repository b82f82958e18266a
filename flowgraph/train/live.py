"""A run in a notebook: the loss curve, drawn again in its place while the run goes on.

Assumes IPython with a kernel (`progress.in_kernel`). Promises to draw seldom enough to take no more than a
small share of the run's time, and to leave the whole curve there in the end, however the run ends.
"""

from __future__ import annotations

import base64
import math
import time
from typing import Any, TextIO

import numpy as np

from .curve import CannotDraw, draw_columns
from .progress import Lines, Moment, fitting

BETWEEN_PICTURES = 0.5
"""Seconds at least between two pictures."""
SHARE = 0.1
"""Drawing takes no greater share of the time."""
MOST_POINTS = 2000
"""Of a longer log so many rows are drawn, evenly spread, and the last."""
ROOM = 90
"""Letters of the line over the curve, which are as many as fit."""
WIDTH = 560
"""Pixels of the picture on the page; it has almost twice as many, for screens that show them."""


class Live(Lines):
    """The curve of the rows and of the mean loss since the last of them; lines where it cannot be drawn.

    stream: for what is said in words.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._rows: list[dict[str, float]] = []
        self._latest: Moment | None = None
        self._handle: Any = None
        self._due = time.monotonic() + BETWEEN_PICTURES
        self._in_lines = False

    def row(self, moment: Moment) -> None:
        if self._in_lines:
            super().row(moment)
            return
        self._rows.append({"step": moment.step, "loss": moment.loss, **moment.values})
        self._note(moment)

    def tick(self, moment: Moment) -> None:
        if self._in_lines:
            super().tick(moment)
            return
        self._note(moment)

    def close(self) -> None:
        if self._latest is not None:
            self._show(self._latest)

    def _note(self, moment: Moment) -> None:
        self._latest = moment
        if time.monotonic() >= self._due:
            self._show(moment)

    def _show(self, moment: Moment) -> None:
        self._latest = None
        start = time.monotonic()
        epoch = f"epoch {moment.epoch}/{moment.epochs}  "
        line = epoch + fitting(moment, ROOM - len(epoch))
        try:
            picture = draw_columns(self._columns(moment), line)
        except CannotDraw as error:
            self._in_lines = True
            self.note(f"there is no curve: {error}")
            self._write(moment)
            return
        self._publish({"image/png": base64.b64encode(picture).decode("ascii"), "text/plain": line})
        now = time.monotonic()
        self._due = now + max(BETWEEN_PICTURES, (now - start) / SHARE)

    def _columns(self, moment: Moment) -> dict[str, np.ndarray]:
        every = -(-len(self._rows) // MOST_POINTS) or 1
        rows = self._rows[::every]
        if self._rows and rows[-1] is not self._rows[-1]:
            rows.append(self._rows[-1])
        if not rows or rows[-1]["step"] < moment.step:
            rows.append({"step": moment.step, "loss": moment.loss})
        return {name: np.array([row.get(name, math.nan) for row in rows]) for name in rows[0]}

    def _publish(self, bundle: dict[str, str]) -> None:
        from IPython.display import display

        metadata = {"image/png": {"width": WIDTH}}
        if self._handle is None:
            self._handle = display(bundle, raw=True, metadata=metadata, display_id=True)
        else:
            self._handle.update(bundle, raw=True, metadata=metadata)
