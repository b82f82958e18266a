"""The simulator's front: inputs, data and parameters in, values by name out.

Assumes a checked diagram. Promises float64 values of every node over a batch of examples, each
array [N, *shape] where the value depends on the example, computed by the graph as written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.load import load_data
from ..data.table import Misfit, Table, Wanted, fit_values, labels_of, wanted_columns
from ..errors import Diagnostics, did_you_mean, shorten
from ..graph import Graph
from ..lower.program import Program
from ..params import Params, find_params
from ..passes.base import Pipeline
from ..passes.batch import Batch
from ..passes.simulate import ShapeClash, mode_values, simulate
from ..types import describe


@dataclass(frozen=True)
class Run:
    """What a diagram computes from a table of examples.

    graph: the graph over a batch that was simulated. values: of every node, by its name there;
    nodes that need a target which was not given have none. params_from: where the parameters
    come from, in words.
    """

    graph: Graph
    data: Table
    values: dict[str, np.ndarray]
    params_from: str = ""

    def __getitem__(self, name: str) -> np.ndarray:
        """The value that the diagram calls `name`; the last one where a name was bound again.

        Raises KeyError.
        """
        nodes = [n.name for n in self.graph if n.hint == name and n.name in self.values]
        if not nodes:
            raise KeyError(name)
        return self.values[nodes[-1]]

    @property
    def count(self) -> int:
        """The number of examples."""
        return self.data.count

    @property
    def outputs(self) -> dict[str, np.ndarray]:
        """The diagram's outputs by label, [N, *shape]."""
        return self._results("output")

    @property
    def losses(self) -> dict[str, float]:
        """The terms of the loss over the batch by label; none without targets."""
        return {label: float(value) for label, value in self._results("loss").items()}

    @property
    def loss(self) -> float | None:
        """The sum of the terms of the loss; None unless all of them are known."""
        terms = self.losses
        known = terms and len(terms) == len(self.graph.results_of("loss"))
        return sum(terms.values()) if known else None

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics over the batch by label."""
        return {label: float(value) for label, value in self._results("metric").items()}

    def table(self, *, rows: int | None = 20, trace: bool = False, ascii: bool = False) -> str:
        """The examples as text: inputs | outputs | targets, and with `trace` every named value.

        rows: how many examples to show, None for all.
        """
        from .table import render_table

        return render_table(self, rows, trace, ascii)

    def _results(self, role: str) -> dict[str, np.ndarray]:
        found = {r.label: r.node for r in self.graph.results_of(role)}
        return {label: self.values[node] for label, node in found.items() if node in self.values}


def run_program(
    program: Program,
    graph: Graph,
    path: str,
    inputs: Mapping[str, Any] | None = None,
    data: str | Path | Table | None = None,
    params: Params | None = None,
    seed: int = 0,
) -> Run:
    """Simulate a program in float64. Raises FlowError.

    graph: the typed graph of one example. path: the file it comes from. inputs: values by name,
    of one example ([*shape]) or of several ([N, *shape]), in place of data; targets may be among
    them. data: a file or a table in place of the file's own. params: a file of weights, arrays by
    name, or `Weights`; else each parameter is drawn as the emitted `init(seed)` draws it. What is
    random draws from `default_rng(seed)`; nothing is in training.
    """
    found = Diagnostics()
    table = _table(program, path, inputs, data, found)
    values, params_from = find_params(graph, params, seed, found)
    found.raise_errors()
    assert table is not None
    batched = Pipeline((Batch(),)).run(graph)
    try:
        modes = mode_values(batched, rng=np.random.default_rng(seed))
        computed = simulate(batched, {**table.columns, **values, **modes})
    except ShapeClash as clash:
        raise clash.refusal("E0504", path) from None
    return Run(batched, table, computed, params_from if graph.params else "")


# ---------------------------------------------------------------------------------------
# Inputs


def _table(
    program: Program,
    path: str,
    inputs: Mapping[str, Any] | None,
    data: str | Path | Table | None,
    found: Diagnostics,
) -> Table | None:
    wanted = wanted_columns(program)
    if inputs:
        return table_of_inputs(inputs, wanted, found, path)
    if isinstance(data, Table):
        return data
    if data is None and program.data is None:
        needed = [c.name for c in wanted if c.role == "input"]
        if not needed:
            return Table({}, (), ())
        names = ", ".join(f"`{n}`" for n in needed[:8]) + (", ..." if len(needed) > 8 else "")
        plural = "input" if len(needed) == 1 else "inputs"
        found.report(
            "E0504",
            f"there are no values for the {plural} {names}",
            help=f"give them with --in {needed[0]}=..., a file with --data, or a `data` statement",
            path=path,
        )
        return None
    return load_data(program, Path(path).parent, found, path=data)


def table_of_inputs(
    inputs: Mapping[str, Any], wanted: Sequence[Wanted], found: Diagnostics, path: str
) -> Table | None:
    """Values by name as examples, or None with the errors (E0504, E0307) reported.

    A value without the axis of examples stands for all of them.
    """
    known = {c.name: c for c in wanted}
    for name in inputs:
        if name not in known:
            cure = did_you_mean(name, known) or f"inputs and targets are {', '.join(known) or 'none'}"
            said = f"there is no input or target `{shorten(name)}`"
            found.report("E0504", said, help=cure, path=path)
    columns: dict[str, np.ndarray] = {}
    labels: dict[str, tuple[str, ...]] = {}
    for column in wanted:
        if column.name in inputs:
            try:
                labels[column.name] = labels_of(column, [])
                columns[column.name] = _examples(inputs[column.name], column)
            except Misfit as error:
                code = "E0504" if error.code == "E0503" else error.code
                found.report(code, error.message, help=error.help, path=path)
        elif column.role == "input":
            cure = f"give it with --in {column.name}=..."
            found.report("E0504", f"the input `{column.name}` has no value", help=cure, path=path)
    counts = {name: len(c) for name, c in columns.items() if np.ndim(inputs[name]) > known[name].type.rank}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"`{n}` has {c}" for n, c in counts.items())
        found.report("E0504", f"the inputs have different numbers of examples: {said}", path=path)
    if found.has_errors:
        return None
    count = next(iter(counts.values()), 1)
    for name, array in columns.items():
        if name not in counts:
            columns[name] = np.repeat(array, count, axis=0)
    return Table(
        columns,
        tuple(n for n in columns if known[n].role == "input"),
        tuple(n for n in columns if known[n].role == "target"),
        {name: names for name, names in labels.items() if names},
        "the values given",
    )


def _examples(value: Any, column: Wanted) -> np.ndarray:
    """A value as examples [N, *shape], N = 1 for a single one. Raises Misfit."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise Misfit("E0504", f"the lists of `{column.name}` are not all of one length") from None
    want = column.shape
    lead = array.ndim - len(want)
    have = array.shape[max(lead, 0) :]
    agree = lead in (0, 1) and all(w in (None, h) for w, h in zip(want, have, strict=True))
    if not agree:
        shape = f"[{', '.join(map(str, array.shape))}]" if array.ndim else "a single number"
        several = ", ".join(["N", *(str(d) for d in column.type.shape)])
        help = f"give {describe(column.type)}, or [{several}] for N examples"
        raise Misfit("E0504", f"the value of `{column.name}` is {shape}, which does not fit", None, help)
    return fit_values(array if lead else array[None], column, labels_of(column, []), finite=False)
