"""A run as text: a row for every example, and what belongs to all of them.

    x1  x2 |  f
     0   0 |  0
     0   1 |  1

A trace shows every named value in place of the outputs alone, and before the value h of each
circle its excitation ξ. Tables too wide for a page become a paragraph for each example.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph import Graph, Node
from ..types import Dim, TupleType

if TYPE_CHECKING:
    from . import Run

WIDTH = 110
MAX_ENTRIES = 8


@dataclass(frozen=True)
class Column:
    """What is shown under one title: an array [N, *shape], or one value for all examples."""

    title: str
    values: np.ndarray
    labels: tuple[str, ...] = ()
    shared: bool = False

    def cell(self, row: int) -> str:
        value = self.values if self.shared else self.values[row]
        if self.labels and not np.ndim(value) and 0 <= int(value) < len(self.labels):
            return self.labels[int(value)]
        return array_text(value)


def render_table(run: Run, rows: int | None, trace: bool, ascii: bool) -> str:
    """The text of a run; see `Run.table`."""
    inputs, middle, targets = _columns(run, trace, "xi" if ascii else "ξ")
    shared = [c for c in middle if c.shared]
    groups = [inputs, [c for c in middle if not c.shared], targets]
    count = run.count if run.data.columns else 1
    shown = count if rows is None else min(rows, count)
    lines = [f"{c.title} = {c.cell(0)}" for c in shared]
    if lines and any(groups):
        lines.append("")
    if any(groups):
        lines += _rows([g for g in groups if g], shown)
    if shown < count:
        rest = "1 more row" if count - shown == 1 else f"{count - shown} more rows"
        lines.append(f"... and {rest} (--rows N or --all shows them)")
    lines += summary(run)
    return "\n".join(lines) + "\n"


def fits_page(run: Run, shown: int) -> bool:
    """Whether a trace of so many examples is a table that is no wider than a page."""
    inputs, middle, targets = _columns(run, True, "ξ")
    groups = [g for g in (inputs, [c for c in middle if not c.shared], targets) if g]
    return _width(groups, shown) <= WIDTH


def _columns(run: Run, trace: bool, xi: str) -> tuple[list[Column], list[Column], list[Column]]:
    """Inputs; outputs or, in a trace, all named nodes; targets."""
    data, graph = run.data, run.graph
    inputs = [Column(n, data.columns[n], data.labels.get(n, ())) for n in data.inputs]
    targets = [Column(n, data.columns[n], data.labels.get(n, ())) for n in data.targets]
    if trace:
        return inputs, _trace(run, xi), targets
    outputs = [
        _column(graph, graph[r.node], run, r.label)
        for r in graph.results_of("output")
        if r.node in run.values
    ]
    return inputs, outputs, targets


def _column(graph: Graph, node: Node, run: Run, title: str) -> Column:
    shared = not node.type.shape or node.type.shape[0] != Dim.symbol(str(graph.batch))
    return Column(title, np.asarray(run.values[node.name]), node.type.elem.names, shared)


def _trace(run: Run, xi: str) -> list[Column]:
    """Every named value, the excitation of a circle before its value, and unnamed outputs."""
    graph = run.graph
    circles = {n.operands[0]: n for n in graph if n.hint and n.op.group == "activations" and n.operands}
    columns = []
    for node in graph:
        leaf = node.op.name in ("input", "target")
        if leaf or node.name not in run.values or isinstance(node.type, TupleType):
            continue
        circle = circles.get(node.name)
        if node.hint is not None:
            title = xi + node.hint[2:] if node.hint.startswith("xi_") else node.hint
            if circle is not None and not node.hint.startswith("xi_"):
                title += f" = {xi}_{circle.hint}"
            columns.append(_column(graph, node, run, title))
        elif circle is not None:
            columns.append(_column(graph, node, run, f"{xi}_{circle.hint}"))
    for result in graph.results_of("output"):
        if graph[result.node].hint is None and result.node in run.values:
            columns.append(_column(graph, graph[result.node], run, result.label))
    return columns


def _cells(groups: list[list[Column]], shown: int) -> list[list[list[str]]]:
    """Titles and values by group and column."""
    return [[[c.title, *(c.cell(r) for r in range(shown))] for c in group] for group in groups]


def _width(groups: list[list[Column]], shown: int) -> int:
    """How wide the table is."""
    widths = [max(map(len, column)) for group in _cells(groups, shown) for column in group]
    return sum(w + 2 for w in widths) + 2 * len(groups)


def _rows(groups: list[list[Column]], shown: int) -> list[str]:
    if _width(groups, shown) > WIDTH:
        return _paragraphs(groups, shown)
    cells = _cells(groups, shown)
    widths = [[max(map(len, column)) for column in group] for group in cells]
    lines = []
    for row in range(shown + 1):
        parts = [
            "  ".join(column[row].rjust(width) for column, width in zip(group, ws, strict=True))
            for group, ws in zip(cells, widths, strict=True)
        ]
        lines.append(" | ".join(parts).rstrip())
    return lines


def _paragraphs(groups: list[list[Column]], shown: int) -> list[str]:
    lines: list[str] = []
    for row in range(shown):
        lines.append(f"example {row}")
        lines += [f"  {c.title} = {c.cell(row)}" for group in groups for c in group]
    return lines


def summary(run: Run) -> list[str]:
    """What belongs to all examples: losses, metrics, where the parameters come from."""
    lines = []
    losses = run.losses
    if run.loss is not None:
        said = f"loss = {number_text(run.loss)}"
        if len(losses) > 1:
            said += " = " + " + ".join(f"{number_text(v)} ({label})" for label, v in losses.items())
        lines.append(said)
    lines += [f"{label} = {number_text(value)}" for label, value in run.metrics.items()]
    if run.params_from:
        lines.append(f"parameters: {run.params_from}")
    return ["", *lines] if lines else []


def number_text(value: Any) -> str:
    """A number in six digits, whole ones without a point, and no minus before 0."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    number = float(value)
    if number.is_integer() and abs(number) < 1e16:
        return str(int(number))
    return f"{number:.6g}"


def array_text(value: Any) -> str:
    """An array on one line: `[0.1 0.2 0.3]`; of a long one the first entries and the last."""
    array = np.asarray(value)
    if not array.ndim:
        return number_text(array.item())
    if array.size <= MAX_ENTRIES:
        return _nested(array)
    flat = array.ravel()
    first = " ".join(number_text(v) for v in flat[:4])
    shape = "" if array.ndim == 1 else "x".join(map(str, array.shape)) + ": "
    of = f" ({array.size} entries)" if array.ndim == 1 else ""
    return f"[{shape}{first} ... {number_text(flat[-1])}]{of}"


def _nested(array: np.ndarray) -> str:
    """All entries in nested brackets; arrays have few axes, so this may call itself."""
    if not array.ndim:
        return number_text(array.item())
    return f"[{' '.join(_nested(part) for part in array)}]"
