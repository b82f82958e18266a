"""What was measured, as a table for people and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from .turns import Failed, Times

BASE = "torch"
"""Times are also given over those of this contestant, where it took part."""
NOTHING = "–"

Measured = Times | Failed | None
"""None: it has nothing of the kind to do, as without a loss there are no steps."""


@dataclass(frozen=True)
class Row:
    """A contestant: its training steps, and its forward passes."""

    name: str
    step: Measured
    forward: Measured


@dataclass
class Bench:
    """What became of a diagram. what: the examples, in words. batch: how many of them are in a step.

    notes: what else is to be said, in sentences.
    """

    name: str
    what: str
    batch: int
    dtype: str
    threads: int
    rounds: int
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def row(self, name: str) -> Row | None:
        """A contestant's, None if it took no part."""
        return next((row for row in self.rows if row.name == name), None)

    def ratio(self, name: str, what: str = "step", base: str = BASE) -> float | None:
        """The median of the rounds' ratios of one's times to another's; None if there are not both."""
        times = [getattr(self.row(n), what, None) for n in (name, base)]
        own, other = (t if isinstance(t, Times) else None for t in times)
        return own.over(other) if own and other else None

    def table(self, ascii: bool = False) -> str:
        """The head, a line for every contestant, and the notes."""
        has_base = self.row(BASE) is not None
        titles = ["", "step", "forward"] + [f"step / {BASE}", f"forward / {BASE}"] * has_base
        cells = [titles]
        for row in self.rows:
            line = [row.name, measured_text(row.step, ascii), measured_text(row.forward, ascii)]
            if has_base:
                line += [ratio_text(self.ratio(row.name, what)) for what in ("step", "forward")]
            cells.append(line)
        text = f"{self.name}: {self.what}, {self.conditions}\n\n{columns(cells)}"
        return text + "".join(f"\n{note}\n" for note in self.all_notes())

    @property
    def conditions(self) -> str:
        """Under which it was measured, for a table's head."""
        threads, rounds = count_text(self.threads, "thread"), count_text(self.rounds, "round")
        return f"{self.dtype}, {threads}, medians of {rounds}"

    def all_notes(self) -> list[str]:
        """The notes, and why contestants failed."""
        failed = [
            f"{row.name} failed: {value}"
            for row in self.rows
            for value in dict.fromkeys(str(m) for m in (row.step, row.forward) if isinstance(m, Failed))
        ]
        return [*self.notes, *failed]

    def as_dict(self) -> dict[str, Any]:
        """For JSON; times in seconds."""
        return {
            "diagram": self.name,
            "batch": self.batch,
            "dtype": self.dtype,
            "threads": self.threads,
            "rounds": self.rounds,
            "contestants": [self._row_dict(row) for row in self.rows],
            "notes": self.all_notes(),
        }

    def as_json(self) -> str:
        """One line."""
        return json.dumps(self.as_dict(), ensure_ascii=False)

    def _row_dict(self, row: Row) -> dict[str, Any]:
        ratios = {f"{w}_over_{BASE}": self.ratio(row.name, w) for w in ("step", "forward")}
        return {
            "name": row.name,
            "step": _times_dict(row.step),
            "forward": _times_dict(row.forward),
            **ratios,
        }


def _times_dict(value: Measured) -> dict[str, Any] | None:
    if value is None:
        return None
    if isinstance(value, Failed):
        return {"failed": str(value)}
    return {"median": value.median, "least": value.least, "rounds": list(value.rounds)}


# ---------------------------------------------------------------------------------------
# Text


def measured_text(value: Measured, ascii: bool = False) -> str:
    """A median time, `failed`, or a dash where there is nothing to do."""
    if value is None:
        return "-" if ascii else NOTHING
    return "failed" if isinstance(value, Failed) else time_text(value.median, ascii)


def time_text(seconds: float, ascii: bool = False) -> str:
    """A time in three digits: `5.12 µs`, `1.27 ms`, `0.413 s`, `12.4 s`."""
    for scale, unit in ((1e6, "us" if ascii else "µs"), (1e3, "ms")):
        if seconds * scale < 999.5:
            return f"{three_digits(seconds * scale)} {unit}"
    return f"{three_digits(seconds)} s"


def count_text(count: int, what: str) -> str:
    """`1 thread`, `2 threads`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def ratio_text(ratio: float | None) -> str:
    """A ratio in three digits, or a dash."""
    return NOTHING if ratio is None else three_digits(ratio)


def three_digits(value: float) -> str:
    """A number without an exponent: <0.001, 0.071, 0.413, 1.27, 12.4, 895, 23450."""
    if value < 0.0005:
        return "<0.001"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.{2 if value >= 0.995 and value < 9.995 else 1 if value >= 9.995 else 3}f}"


def columns(cells: list[list[str]]) -> str:
    """Lines of aligned columns, the first to the left and the others to the right."""
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = []
    for row in cells:
        rest = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("   ".join([row[0].ljust(widths[0]), *rest]).rstrip())
    return "\n".join(lines) + "\n"
