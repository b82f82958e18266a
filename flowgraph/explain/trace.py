"""`flowc run --trace`: one example as a table, a row for every named value.

    node  formula            ξ     h  ∂L/∂node
    x₁                             0
    x₂                             1
    h₁    u(0.5 − x₁ − x₂)  −0.5   0

Assumes a run of a checked diagram. Promises the values that the run computed, and derivatives of the loss
of this one example computed from them; where there is no loss, or no target is given, there is no such
column. Several examples stay rows of one table while they fit on a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..formula.make import name
from ..graph import Graph, Node
from ..ops.control import GIVEN, evaluate_nodes
from ..ops.notation import written
from ..passes.autodiff import Vjp
from ..passes.base import Pipeline
from ..passes.keep import Keep
from ..passes.name_values import NameValues, excitation_of
from ..passes.simulate import bind_sizes
from ..run import Run
from ..run.table import array_text, fits_page, number_text, summary
from ..types import Dim, TensorType
from .equations import Equation, Names
from .held import Held

LONGEST, WIDEST = 44, 60
"""A formula has its excitation written out while it is at most this long, and is cut where it is wider."""
MOST_ENTRIES = 4
"""So many entries of an array are shown."""


@dataclass(frozen=True)
class Traced:
    """A row: a value with its formula, its excitation if it is a circle, and the loss's derivative by it."""

    node: str
    formula: str = ""
    xi: str = ""
    value: str = ""
    slope: str = ""


def trace_text(graph: Graph, run: Run, *, rows: int | None = 20) -> str:
    """The trace of a run as text. graph: that of one example, with calls and derivatives written out.

    rows: how many examples to show, None for all.
    """
    count = run.count if run.data.columns else 1
    shown = count if rows is None else min(rows, count)
    if shown != 1 and fits_page(run, shown):
        return run.table(rows=rows, trace=True)
    tables = [_table(graph, run, index, heading=shown > 1) for index in range(shown)]
    if shown < count:
        rest = "1 more example" if count - shown == 1 else f"{count - shown} more examples"
        tables.append(f"... and {rest} (--rows N or --all shows them)")
    return "\n\n".join(tables) + "\n" + "".join(f"{line}\n" for line in summary(run))


def _table(graph: Graph, run: Run, index: int, *, heading: bool) -> str:
    """One example."""
    values = _values_of(run, index)
    named = Pipeline((NameValues(),)).run(graph)
    slopes = _slopes(graph, values)
    traced = _rows(named, values, slopes, run)
    columns = [("node", "formula", "ξ", "h", f"∂{Names.of(named).loss}/∂node")]
    columns += [(r.node, r.formula, r.xi, r.value, r.slope) for r in traced]
    used = [i for i in range(5) if any(line[i] for line in columns[1:])]
    widths = {i: max(len(line[i]) for line in columns) for i in used}
    lines = [f"example {index}"] if heading else []
    for line in columns:
        cells = [line[i].ljust(widths[i]) if i < 2 else line[i].rjust(widths[i]) for i in used]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _values_of(run: Run, index: int) -> dict[str, Any]:
    """The values of one example, by node."""
    batch = Dim.symbol(str(run.graph.batch))
    found = {}
    for node in run.graph:
        value = run.values.get(node.name)
        if value is not None and isinstance(node.type, TensorType):
            own = bool(node.type.shape) and node.type.shape[0] == batch
            found[node.name] = np.asarray(value[index] if own else value)
    return found


def _slopes(graph: Graph, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The derivative of the loss of one example by every named value that it depends on; none without
    a loss or its target."""
    losses = [r.node for r in graph.results_of("loss")]
    if not losses or any(loss not in _known(graph, values) for loss in losses):
        return {}
    reached = graph.ancestors(losses)
    wrt = tuple(n.name for n in graph if n.name in reached and _is_real(n) and n.op.name != "const")
    gradient = Pipeline((Keep(("loss",)), Vjp(wrt=wrt))).run(graph)
    here = {n: v for n, v in values.items() if n in gradient and gradient[n].of is None and n not in losses}
    with np.errstate(all="ignore"):
        known = evaluate_nodes(gradient, here, bind_sizes(gradient, here))
    ends = [r.node for r in gradient.results_of("gradient")]
    return {name: known[end] for name, end in zip(wrt, ends, strict=True) if end in known}


def _known(graph: Graph, values: Mapping[str, Any]) -> set[str]:
    """The values that follow from what is given."""
    found: set[str] = set()
    for node in graph:
        if node.name in values if node.op.name in GIVEN else all(o in found for o in node.operands):
            found.add(node.name)
    return found


def _is_real(node: Node) -> bool:
    return isinstance(node.type, TensorType) and node.type.elem.kind == "real"


def _rows(
    graph: Graph, values: Mapping[str, Any], slopes: Mapping[str, np.ndarray], run: Run
) -> list[Traced]:
    """Inputs and targets, then the named values in order; an excitation stands with its circle."""
    sheet = Held(Names.of(graph)).equations(graph)
    lines = sheet.write([r.node for r in graph.results if r.node in values], [r.node for r in graph.results])
    equations = {e.node.name: e for e in lines if isinstance(e, Equation) and e.node is not None}
    circles = {below.name: n for n in graph if (below := excitation_of(graph, n)) and n.name in equations}
    circles = {
        below: n
        for below, n in circles.items()
        if below in equations and str(graph[below].hint).startswith("xi_")
    }

    def row(node: Node, title: str, formula: str = "", xi: str = "") -> Traced:
        labels = run.data.labels.get(node.name, ())
        value = values.get(node.name)
        slope = slopes.get(node.name)
        return Traced(
            title, formula, xi, "" if value is None else _cell(value, labels),
            "" if slope is None else _cell(slope),
        )  # fmt: skip

    given = [n for n in (*graph.inputs, *graph.targets) if n in values]
    rows = [row(graph[n], name(graph[n].hint or n).text()) for n in given]
    for node in graph:
        equation = equations.get(node.name)
        if node.name in circles or node.name not in values or node.op.name in GIVEN:
            continue
        if equation is None:
            if node.hint is not None:  # a result of a recurrence, whose equations are many
                rows.append(row(node, name(node.hint).text()))
            continue
        formula, xi = equation.right.text(), ""
        below = excitation_of(graph, node)
        if below is not None and below.name in circles:
            whole = written(node.op, [below.type], [equations[below.name].right]).text()
            formula = whole if len(whole) <= LONGEST else formula
            xi = _cell(values[below.name]) if below.name in values else ""
        formula = formula if len(formula) <= WIDEST else formula[: WIDEST - 1] + "…"
        rows.append(row(node, equation.left.text(), formula, xi))
    return rows


def _cell(value: Any, labels: tuple[str, ...] = ()) -> str:
    """A number, a label, or an array: of a long one its shape, the first entries and the last."""
    array = np.asarray(value)
    if labels and not array.ndim and 0 <= int(array) < len(labels):
        return labels[int(array)]
    if array.size <= MOST_ENTRIES or not array.ndim:
        return array_text(array if not array.ndim or array.dtype.kind != "f" else _rounded(array))
    entries = [number_text(v) for v in _rounded(array).ravel()[[0, 1, -1]]]
    return f"{'x'.join(map(str, array.shape))}: {entries[0]} {entries[1]} ... {entries[2]}"


def _rounded(array: np.ndarray) -> np.ndarray:
    """Four digits of every entry, so that rows stay short."""
    return np.array([float(f"{v:.4g}") for v in array.ravel()]).reshape(array.shape)
