"""Take out of scans what nothing depends on: results, states, sequences and shared values.

Assumes a typed graph. Promises the same values for the results asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..graph import Graph, Node, Result, renamed
from ..ops import OPS
from ..ops.control import several
from ..ops.scan import Scan
from ..types import TensorType
from .scans import reaching


def trimmed(graph: Graph, wanted: Iterable[str]) -> tuple[list[Node], set[str]]:
    """The nodes of a graph with its scans trimmed, and the names of those that `wanted` depend on."""
    alive = set(wanted)
    changed: dict[str, list[Node]] = {}
    for node in reversed(list(graph)):
        if node.name not in alive:
            continue
        if not isinstance(node.op, Scan):
            alive.update(node.operands)
            continue
        users = [u for u in graph.users(node.name) if u.op.name == "item" and u.name in alive]
        used = [0] if isinstance(node.type, TensorType) else sorted({u.op.index for u in users})
        op, operands = without_unused(node.op, node.operands, used)
        alive.update(operands)
        if op is node.op:
            continue
        changed |= _in_place(node, op, operands, used, users)
    nodes = [new for node in graph for new in changed.get(node.name, [node])]
    return nodes, alive


def _in_place(
    node: Node, op: Scan, operands: Sequence[str], used: Sequence[int], users: Sequence[Node]
) -> dict[str, list[Node]]:
    """What stands for a scan of which some results are used, and for the nodes that take them."""
    if isinstance(node.type, TensorType):
        return {node.name: [renamed(node, op=op, operands=tuple(operands))]}
    items = [node.type.items[i] for i in used]
    if len(used) > 1:
        type = several(items)
        found = {node.name: [renamed(node, op=op, operands=tuple(operands), type=type)]}
        for user in users:
            item = OPS["item"](index=used.index(user.op.index), count=len(used))
            found[user.name] = [renamed(user, op=item)]
        return found
    first, *others = users
    alone = renamed(first, op=op, operands=tuple(operands))
    found = {node.name: [], first.name: [alone]}
    found |= {u.name: [renamed(u, op=OPS["identity"](), operands=(first.name,))] for u in others}
    return found


def without_unused(op: Scan, operands: Sequence[str], used: Sequence[int]) -> tuple[Scan, list[str]]:
    """A scan that gives these of its results alone, and the operands that it needs for them."""
    from .dce import Dce  # which trims the scans of a graph, those in a step too

    count, first = len(op.gives()), op.states + op.sequences
    needed = set(reaching(op, used))
    if not any(op.states <= i < first for i in needed):
        needed.add(op.states)  # one sequence must stay, to say how many steps there are
    states = [i for i in range(op.states) if i in needed]
    results: list[Result] = [op.graph.results[i] for i in states]
    results += [op.graph.results[op.states + i] for i in used if i < count]
    kept = [i for i in range(len(op.graph.inputs)) if i in needed]
    step = op.graph.like()
    gone = {name for i, name in enumerate(op.graph.inputs) if i not in needed}
    before = op.graph.ancestors(r.node for r in results)
    for node in op.graph:
        if (node.name in before or node.op.name == "input") and node.name not in gone:
            step.add(node)
    step.close([op.graph.inputs[i] for i in kept], (), (), results)
    step = Dce().run(step)
    is_whole = len(step) == len(op.graph) and len(results) == len(op.graph.results)
    if is_whole and len(used) == count + len(op.last):
        return op, list(operands)
    last = tuple(states.index(op.last[i - count]) for i in used if i >= count)
    sequences = sum(op.states <= i < first for i in kept)
    made = op.with_attrs(graph=step, states=len(states), sequences=sequences, last=last)
    return made, [operands[i] for i in kept]
