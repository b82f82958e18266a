"""The one example that equations and pictures are filled in with.

Assumes a checked program and its typed graph of one example. Promises the values given for inputs and
targets, and those of all parameters and buffers, in float64 by node, or every reason why not.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.table import wanted_columns
from ..errors import Diagnostics, FlowError, fail
from ..graph import Graph
from ..lower.program import Program
from ..params import Params, find_params
from . import table_of_inputs


@dataclass(frozen=True)
class One:
    """What is given of one example.

    values: of inputs, targets, parameters and buffers, by node. is_whole: whether all inputs are known, so
    that the rest can be computed. params_from: where the parameters come from, in words.
    """

    values: Mapping[str, np.ndarray]
    is_whole: bool
    params_from: str


def find_one(
    program: Program,
    graph: Graph,
    path: str,
    inputs: Mapping[str, Any] | None,
    params: Params | None,
    seed: int,
    what: str,
) -> One:
    """The example that the inputs are. Raises FlowError (E0504, E0307, and those of parameters).

    graph: the typed graph of one example. path: its file. inputs: by name, targets among them or not;
    None for no example. params, seed: as `run` takes them. what: what is shown of one example, in words, for
    the message that there are several.
    """
    found = Diagnostics()
    table = table_of_inputs(inputs, wanted_columns(program), found, path) if inputs else None
    values, params_from = find_params(graph, params, seed, found)
    found.raise_errors()
    if table is not None and table.count != 1:
        said = f"the values given are {table.count} examples, and {what}"
        raise fail("E0504", said, help="give one value for each input", path=path)
    columns = {} if table is None else {name: column[0] for name, column in table.columns.items()}
    whole = table is not None or not any(c.role == "input" for c in wanted_columns(program))
    return One({**values, **columns}, whole, params_from)


def needs_targets(
    graph: Graph, unknown: Iterable[str], known: Container[str], path: str, what: str
) -> FlowError:
    """The error (E0504) that losses cannot be computed for want of targets.

    unknown: the nodes of these losses. known: the nodes that have values. what: needs them, in words.
    """
    behind = graph.ancestors(unknown)
    missing = [t for t in graph.targets if t in behind and t not in known]
    said = ", ".join(f"`{name}`" for name in missing[:8])
    plural = "target" if len(missing) == 1 else "targets"
    help = f"give it with --in {missing[0]}=..., or leave --in out" if missing else ""
    return fail("E0504", f"{what} needs values for the {plural} {said}", help=help, path=path)
