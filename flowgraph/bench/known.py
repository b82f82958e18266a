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


def table_of(found: Sequence[Bench], ascii: bool = False, said: Sequence[str] = ()) -> str:
    """A line a network: the training step of every contestant, and the quickest numpy over PyTorch.

    said: remarks on all of them, after those of each.
    """
    names = list(dict.fromkeys(row.name for bench in found for row in bench.rows))
    has_base = BASE in names
    cells = [["training step", "batch", *names, *([f"best numpy / {BASE}"] if has_base else [])]]
    for bench in found:
        rows = [bench.row(name) for name in names]
        times = [NOTHING if row is None else measured_text(row.step, ascii) for row in rows]
        ratios = [bench.ratio(name) for name in names if name.startswith("numpy")]
        best = min((r for r in ratios if r is not None), default=None)
        cells.append([bench.name, str(bench.batch), *times, *([ratio_text(best)] if has_base else [])])
    text = f"{found[0].conditions}\n\n{columns(cells)}"
    return text + "".join(f"\n{note}\n" for note in [*_remarks(found), *said])


def _remarks(found: Sequence[Bench]) -> list[str]:
    """The notes, each under the names of its networks, but for one that is on all."""
    owners: dict[str, list[str]] = {}
    for bench in found:
        for note in bench.all_notes():
            owners.setdefault(note, []).append(bench.name)
    return [n if len(names) == len(found) else f"{', '.join(names)}: {n}" for n, names in owners.items()]
