"""What verification found, as a table for people and as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace

from ..errors import Diagnostic

ORDER = ("ok", "skipped", "rounding", "kink", "DIFFERS")
"""What may become of a comparison, the worst last.

rounding: a difference above the tolerance, no larger than what rounding each operation does to
this diagram. kink: a derivative that is a matter of convention at this very point, and agrees
beside it.
"""

NEAR = "or within single precision of one, which has a slope to either side"
"""Of a kink: why float32 may have another derivative than float64."""

TRAINING_STEPS = 5
TRAINED = f"parameters after {TRAINING_STEPS} steps"

QUANTITIES = (
    "init", "outputs", "loss", "metrics", "gradient", "gradient written out", "gradient per example",
    "jvp", "hvp", "buffers", TRAINED,
)  # fmt: skip
"""In the order of the table."""


@dataclass(frozen=True)
class Row:
    """A quantity by an engine, against the simulator.

    difference: the largest, relative to the largest entry; None where nothing was compared. note:
    where it is and what explains it, empty for agreement.
    """

    quantity: str
    engine: str
    difference: float | None
    tolerance: float | None
    status: str
    note: str = ""

    @property
    def badness(self) -> tuple[int, float]:
        """Orders the rows of one quantity and engine: the worst is reported."""
        share = (self.difference or 0) / (self.tolerance or 1)
        return ORDER.index(self.status), share

    def as_json(self) -> str:
        """One line; a difference that is no number is null."""
        finite = self.difference is not None and math.isfinite(self.difference)
        return json.dumps(
            {
                "quantity": self.quantity,
                "engine": self.engine,
                "difference": self.difference if finite else None,
                "tolerance": self.tolerance,
                "status": self.status.lower(),
                "note": self.note,
            }
        )


@dataclass
class Verification:
    """All comparisons. head: what was compared, in sentences. blamed: operations found wrong."""

    head: list[str] = field(default_factory=list)
    blamed: list[str] = field(default_factory=list)
    _rows: dict[tuple[str, str], Row] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Add a comparison; of several of one quantity and engine the worst stays."""
        old = self._rows.get((row.quantity, row.engine))
        if old is None or row.badness > old.badness:
            self._rows[row.quantity, row.engine] = row

    @property
    def rows(self) -> list[Row]:
        """By quantity, then in the order in which engines were asked."""
        return sorted(self._rows.values(), key=lambda r: QUANTITIES.index(r.quantity))

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.disagreements

    @property
    def disagreements(self) -> list[Row]:
        return [r for r in self.rows if r.status == "DIFFERS"]

    def diagnostics(self, path: str) -> list[Diagnostic]:
        """The disagreements as errors (E0604), for tools."""
        help = (
            "this is a bug of flowgraph, not of your file: please report it with the diagram and this table"
        )
        if self.blamed:
            help = f"wrong by themselves: {'; '.join(self.blamed[:3])}; {help}"
        return [
            Diagnostic(
                "E0604",
                f"{r.quantity}: {r.engine} and the simulator disagree: {r.note}",
                path=path,
                help=help,
            )
            for r in self.disagreements
        ]

    def table(self) -> str:
        """The head, the table, and under it a remark on each row that is not plainly ok."""
        cells = [("quantity", "engine", "difference", "tolerance", "")]
        notes: list[str] = []
        for row in _merged(self.rows):
            status = row.status
            if row.note:
                if row.note not in notes:
                    notes.append(row.note)
                status += f" [{notes.index(row.note) + 1}]"
            cells.append((row.quantity, row.engine, _number(row.difference), _number(row.tolerance), status))
        widths = [max(len(c[i]) for c in cells) for i in range(4)]
        lines = [*self.head, ""]
        for quantity, engine, difference, tolerance, status in cells:
            left = f"{quantity:<{widths[0]}}  {engine:<{widths[1]}}"
            lines.append(f"{left}  {difference:>{widths[2]}}  {tolerance:>{widths[3]}}  {status}".rstrip())
        if notes:
            lines += ["", *(f"[{i}] {note}" for i, note in enumerate(notes, 1))]
        if self.blamed:
            lines += ["", "Looked at one by one, these operations are wrong:"]
            lines += [f"  {said}" for said in self.blamed]
        return "\n".join(lines) + "\n"


def _merged(rows: list[Row]) -> list[Row]:
    """One row where a quantity came out alike at all levels of a target, with the largest difference."""
    merged: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        parts = row.engine.split(" ")
        kind = tuple(p for p in parts if not p.startswith("-O"))
        merged.setdefault((row.quantity, kind, row.tolerance, row.status, row.note), []).append(row)
    found = []
    for alike in merged.values():
        worst = max(alike, key=lambda r: r.badness)
        levels = [p for r in alike for p in r.engine.split(" ") if p.startswith("-O")]
        words = worst.engine.split(" ")
        words[1:2] = levels if levels else words[1:2]
        found.append(replace(worst, engine=" ".join(words)))
    return found


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return "0" if value == 0 else f"{value:.1e}" if math.isfinite(value) else "no number"
