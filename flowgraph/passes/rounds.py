"""What the rounds of a loop have for themselves: which loops can be written as a function of one round.

Assumes a typed graph. A round's own values are spoken of by the input of the loop's graph that they go
into. They are told apart by name, so that this holds in a block too, whose parameters are its inputs.
"""

from __future__ import annotations

from ..graph import Graph, Node
from ..ops.control import Loop
from ..types import KEY


def path_of(graph: Graph, node: Node, place: int) -> str:
    """`h` where the rounds of a loop have `h.0.w`, `h.1.w`, ... for its graph's input `w`; else empty.

    place: that of the input among those that a round has for itself.
    """
    op: Loop = node.op
    inside = _title(op.graph, op.graph.inputs[op.round_trip() + op.shared + place])
    slots = [op.own_slots(index)[place] for index in range(op.count)]
    names = [_title(graph, node.operands[slot]) for slot in slots]
    path, found, _ = names[0].partition(f".0.{inside}")
    is_regular = found and names == [f"{path}.{index}.{inside}" for index in range(op.count)]
    return path if is_regular else ""


def first_stream(graph: Graph, node: Node, place: int) -> tuple[str, int] | None:
    """The key from which the rounds draw, and the number of the first: each has the next one's stream."""
    op: Loop = node.op
    streams = [graph[node.operands[op.own_slots(index)[place]]] for index in range(op.count)]
    if any(s.op.name != "stream" or len(s.op.path) != 1 for s in streams):
        return None
    first = streams[0].op.path[0]
    is_regular = [s.op.path[0] for s in streams] == [first + index for index in range(op.count)]
    return (streams[0].operands[0], first) if is_regular and len({s.operands for s in streams}) == 1 else None


def differ_in_params(graph: Graph, node: Node) -> bool:
    """Whether the rounds of a loop differ in their parameters, and in what they draw, alone.

    Buffers, which training changes, are no parameters.
    """
    op: Loop = node.op
    paths = set()
    for place in range(op.each()):
        operands = [graph[node.operands[op.own_slots(index)[place]]] for index in range(op.count)]
        if operands[0].type.elem == KEY:
            if first_stream(graph, node, place) is None:
                return False
        elif any(o.op.name not in ("param", "input") for o in operands):
            return False
        else:
            paths.add(path_of(graph, node, place))
    return len(paths) == 1 and all(paths)


def _title(graph: Graph, name: str) -> str:
    return str(graph[name].hint or name)
