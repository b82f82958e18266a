"""A scan of a recurrent cell in torch: one call of PyTorch's function for the whole sequence.

Assumes a scan over a batch. Promises that the call is written only where it gives what the loop over
the steps would: the step is the cell and nothing else, its parameters are a module's, and of the states
before the last only the first one is asked for.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ..graph import Node
from ..ops.scan import Scan
from . import source
from .loops import title_of, wanted_results
from .template import call, helper_name, name

if TYPE_CHECKING:
    from .torch_body import TorchBody


def cell_of(node: Node) -> Node | None:
    """The cell that a scan is a whole sequence of, given the scan's node."""
    op: Scan = node.op
    if op.axis != 1 or op.sequences != 1 or op.reverse:
        return None
    found = [n for n in op.graph if n.op.name not in ("input", "item")]
    if len(found) != 1 or found[0].op.torch_along is None:
        return None
    cell = found[0]
    states, sequences, shared = op.parts(op.graph.inputs)
    if list(cell.operands) != [*sequences, *states, *shared]:
        return None
    return cell if _places(op, cell, op.follows()) == list(range(op.states)) else None


def _places(op: Scan, cell: Node, names: list[str]) -> list[int | None]:
    """Which state of the cell each of some values of the step is."""
    found: list[int | None] = []
    for each in names:
        node = op.graph[each]
        is_item = node.op.name == "item" and node.operands == (cell.name,)
        found.append(node.op.index if is_item else 0 if each == cell.name else None)
    return found


def write_along(body: TorchBody, node: Node) -> bool:
    """Write a scan as a call, if it can be one; returns whether it was."""
    cell = cell_of(node)
    layers = body.layers.inside.get(node.name)
    if cell is None or layers is None or cell.name not in layers.calls:
        return False
    op: Scan = node.op
    wanted = wanted_results(body, node)
    count = len(op.gives())
    given = _places(op, cell, op.gives())
    if any(place < count and given[place] != 0 for place in wanted):
        return False
    firsts, sequences, shared = op.parts(node.operands)
    form = cell.op.torch_along
    body.helpers[helper_name(form)] = form
    values = [_first(body, o, op.graph[i].hint or i) for o, i in zip(firsts, op.graph.inputs, strict=False)]
    rows = body.take(sequences[0])
    for operand in shared:  # the parameters, which the module has
        body.take(operand)
    title = helper_name(form)
    function = body.renamed.get(title, title)
    made = call(function, body.access(layers.calls[cell.name]), rows, *values)
    target = ", ".join(_name_results(body, op, wanted))
    body.lines += body.comments.above(node, body.depth)
    body.lines += source.assign(target, made, depth=body.depth)
    body.comments.statements[node.name] = f"{target} = {source.text(made)}"
    return True


def _name_results(body: TorchBody, op: Scan, wanted: dict[int, list[Node]]) -> list[str]:
    """Variables for all h and the last of each state, `_` for what nothing uses."""
    targets = ["_"] * (1 + op.states)
    count = len(op.gives())
    for place, takers in wanted.items():
        slot = 0 if place < count else 1 + op.last[place - count]
        if targets[slot] == "_":
            hint = next((n.hint for n in takers if n.hint is not None), None)
            targets[slot] = body.namer.variable(hint or title_of(body, takers[0]))
        for taker in takers:
            body.variables[taker.name] = name(targets[slot])
    return targets


def _first(body: TorchBody, operand: str, title: str) -> ast.expr:
    """The first value of a state, in a variable."""
    value = body.take(operand)
    if isinstance(value, (ast.Name, ast.Attribute)):
        return value
    variable = body.namer.variable(f"first_{title}")
    body.lines += source.assign(variable, value, depth=body.depth)
    body.variables[operand] = name(variable)
    return body.variables[operand]
