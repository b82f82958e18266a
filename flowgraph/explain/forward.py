"""The forward half of an explanation: equations, blocks, parameters, the loss."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..formula import DOTS, Apply, Formula, Infix, Rank, Script, Symbol
from ..formula.make import name, number, word
from ..graph import Graph, Node
from ..ops.notation import setting
from ..types import TensorType, describe
from .equations import Equation, Line, Names, array
from .held import Held, I
from .page import Entry, Page, Row, Section, Words

Values = Mapping[str, Any]
"""Numbers by the names of nodes."""

ROUND = re.compile(r"(.*?)\.([0-9]+)\.(.*)")


def add_forward(
    page: Page,
    graph: Graph,
    names: Names,
    values: Values,
    apart: Collection[str] = (),
    read_in_steps: Collection[str] = (),
) -> list[Row]:
    """Add the forward sections; returns the rows of the equations.

    apart: nodes with a line of their own; read_in_steps: the same in the steps of recurrences.
    """
    held = Held(names, read_in_steps)
    results = [r.node for r in graph.results]
    lines = held.equations(graph).write(results, apart={*results, *apart})
    section = Section("Forward, for one example")
    section.rows = rows_of(lines, values)
    page.sections.append(section)
    rows = [row for row in section.rows if isinstance(row, Row)]
    if held.calls:
        _add_blocks(page, held)
    _add_params(page, graph, values)
    _add_loss(page, graph, names, values)
    return rows


def add_matrices(page: Page, graph: Graph, values: Values) -> None:
    """Add the equations of a graph in which layers of circles are vectors, after those of the circles.

    Of a graph that is made of other things for the most part, only the equations that are new.
    """
    results = [r.node for r in graph.results]
    lines = Held(Names.of(graph)).equations(graph).write(results, apart=results)
    rows = unmarked(lines, values)
    known = {str(row.left): str(row.right) for row in page.sections[0].rows if isinstance(row, Row)}
    new = [r for r in rows if not isinstance(r, Row) or known.get(str(r.left)) != str(r.right)]
    page.sections.insert(1, Section("In matrices", rows if 2 * len(new) > len(rows) else new))


def _add_blocks(page: Page, held: Held) -> None:
    """What the blocks do, in the order in which they are called."""
    section = Section("Blocks, whose parameters have the name of the call before theirs")
    for known in held.definitions():
        section.rows += [Words((known.head, ":")), *unmarked(known.lines, {})]
    page.sections.append(section)


def rows_of(lines: list[Line], values: Values) -> list[Row | Words]:
    """Lines with their numbers, marked from 1."""
    rows: list[Row | Words] = []
    mark = 0
    for line in lines:
        if isinstance(line, Equation):
            mark += 1
            rows.append(Row(line.left, line.right, value_of(line.node, values), mark, None, line.steps))
        else:
            value = value_of(line.node, values)
            said = line.said if value is None else (*line.said, "   (result: ", value, ")")
            rows.append(Words(said, line.steps))
    return rows


def unmarked(lines: list[Line], values: Values) -> list[Row | Words]:
    """The same without marks."""
    return [replace(row, mark=None) if isinstance(row, Row) else row for row in rows_of(lines, values)]


def value_of(node: Node | None, values: Values) -> Formula | None:
    """The number that a node has."""
    value = values.get(node.name) if node is not None else None
    if node is None or value is None or isinstance(value, tuple) or node.op.name == "const":
        return None
    labels = getattr(node.type.elem, "names", ())
    if labels and value.ndim == 0 and 0 <= int(value) < len(labels):
        return word(str(labels[int(value)]))
    return array(value + 0.0 if value.dtype.kind == "f" else value)


def _add_params(page: Page, graph: Graph, values: Values) -> None:
    """The parameters with their shapes; those of the rounds of a repeat in one line."""
    for role, heading in ((graph.params, "Parameters"), (graph.buffers, "Kept by layers")):
        nodes = {str(graph[p].hint): graph[p] for p in role if graph[p].hint is not None}
        entries = []
        for group, span in grouped([(hint, describe(n.type)) for hint, n in nodes.items()], bool(values)):
            node = nodes[group[0]]
            value = value_of(node, values)
            called = name(group[0]) if span is None else name(ROUND.sub(r"\1.i.\3", group[0]))
            more = () if span is None else ("for ", span)
            entries.append(Entry(called, describe(node.type), value, None, more, space(node.type)))
        if entries:
            page.sections.append(Section(heading, entries=entries))


def grouped(items: Sequence[tuple[str, Any]], is_apart: bool) -> list[tuple[list[str], Formula | None]]:
    """Names that differ in the number of a round alone, and agree in what is with them, in one group.

    Returns the groups in order, each with the rounds that it spans. is_apart: none has company.
    """
    groups: dict[Any, list[str]] = {}
    for hint, kind in items:
        found = ROUND.fullmatch(hint)
        key = hint if found is None or is_apart else (found[1], found[3], kind)
        groups.setdefault(key, []).append(hint)
    out: list[tuple[list[str], Formula | None]] = []
    for group in groups.values():
        rounds = [number(int(m[2])) for m in map(ROUND.fullmatch, group) if m]
        dots = [DOTS] if len(rounds) > 2 else []
        span = Infix("=", I, Rank((rounds[0], *dots, rounds[-1]))) if len(group) > 1 else None
        out.append((group, span))
    return out


def space(type: Any) -> Formula | None:
    """The set that values of a type are in: ℝ, ℝ³, or matrices; None of what is no real."""
    if not isinstance(type, TensorType) or type.elem.kind != "real":
        return None
    reals = Symbol(r"\mathbb{R}", "ℝ")
    if not type.shape:
        return reals
    sizes_ = [setting(d) for d in type.shape]
    times = r" \times ".join(d.latex() for d in sizes_)
    return Script(reals, above=Symbol(times, "×".join(d.text() for d in sizes_)))


def _add_loss(page: Page, graph: Graph, names: Names, values: Values) -> None:
    """The loss of a batch, from those of the examples."""
    terms = []
    for result in graph.results_of("loss"):
        over = "mean" if result.by == "mean" else "sum"
        terms.append(Apply(word(over, "function"), (names.losses[result.node],)))
    if not terms:
        return
    total: Formula = terms[0]
    for term in terms[1:]:
        total = Infix("+", total, term)
    section = Section("Loss")
    section.rows.append(Words(("over a batch: ", total)))
    if len(terms) > 1:
        parts = list(dict.fromkeys(r.node for r in graph.results_of("loss")))
        both: Formula = names.losses[parts[0]]
        for part in parts[1:]:
            both = Infix("+", both, names.losses[part])
        known = [values.get(part) for part in parts]
        value = None if any(v is None for v in known) else number(float(sum(known)))  # type: ignore[arg-type]
        section.rows.insert(0, Row(names.loss, both, value))
    page.sections.append(section)
