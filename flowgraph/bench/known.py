"""Networks of known sizes: what `flowc bench` measures where no file is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..diagram import Diagram, load
from .report import BASE, NOTHING, Bench, columns, measured_text, ratio_text

FLOWS = Path(__file__).parent / "flows"
NAMES = ("xor_2_2_2", "digits_64_32_10", "mlp_784", "lenet_28")
"""From a step that is all overhead to one that is all arithmetic."""


def known() -> Iterator[Diagram]:
    """The networks, from small to large."""
    for name in NAMES:
        yield load(FLOWS / f"{name}.flow")


def table_of(found: Sequence[Bench], ascii: bool = False) -> str:
    """A line a network: the training step of every contestant, and the quickest numpy over PyTorch."""
    names = list(dict.fromkeys(row.name for bench in found for row in bench.rows))
    has_base = BASE in names
    cells = [["training step", "batch", *names, *([f"best numpy / {BASE}"] if has_base else [])]]
    notes: list[str] = []
    for bench in found:
        rows = [bench.row(name) for name in names]
        times = [NOTHING if row is None else measured_text(row.step, ascii) for row in rows]
        ratios = [bench.ratio(name) for name in names if name.startswith("numpy")]
        best = min((r for r in ratios if r is not None), default=None)
        cells.append([bench.name, str(bench.batch), *times, *([ratio_text(best)] if has_base else [])])
        notes += [f"{bench.name}: {note}" for note in bench.all_notes()]
    first = found[0]
    text = f"{first.conditions}\n\n{columns(cells)}"
    return text + "".join(f"\n{note}\n" for note in notes)
