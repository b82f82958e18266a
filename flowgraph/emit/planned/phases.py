"""When each value of a step is computed: once for all, once for every batch, or in every step.

Assumes a typed graph over batches. Promises an order in which every operand comes before its users.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum

from ...graph import Graph, Node
from ...ops.control import GIVEN


class Phase(IntEnum):
    """SETUP: depends on no data. BEGIN: on a batch alone. STEP: on parameters, draws or statistics. LOSS:
    like STEP, and only the value of the loss needs it."""

    SETUP = 0
    BEGIN = 1
    STEP = 2
    LOSS = 3


TRAINING = {
    **dict.fromkeys(("param", "buffer", "key", "training"), Phase.STEP),
    **dict.fromkeys(("input", "target"), Phase.BEGIN),
}
"""When the leaves of a graph change in training; what is not here never does."""

INFERENCE = dict.fromkeys(("input", "key"), Phase.STEP)
"""The same where parameters stay as they are."""


def phases(
    graph: Graph, always: Iterable[str], asked: Iterable[str], leaves: Mapping[str, Phase]
) -> dict[str, Phase]:
    """The phase of each node that is needed. always: results of every step; asked: those that only
    some steps are asked for, the losses. leaves: when leaves change, by their operation.
    """
    needed = graph.ancestors(always)
    found: dict[str, Phase] = {}
    wanted = needed | graph.ancestors(asked)
    for node in graph:
        if node.name not in wanted:
            continue
        phase = leaves.get(node.op.name, Phase.SETUP)
        for operand in node.operands:
            phase = max(phase, min(found[operand], Phase.STEP))
        if phase == Phase.STEP and node.name not in needed and node.op.name not in GIVEN:
            phase = Phase.LOSS
        found[node.name] = phase
    return found


def ordered(graph: Graph, phase: dict[str, Phase]) -> list[Node]:
    """The nodes in the order in which they are computed.

    What only the loss needs stands together, as soon as all that it is made of is there: then the arrays
    of the forward pass need not be kept for it.
    """
    nodes = [node for node in graph if node.name in phase]
    early = [n for p in (Phase.SETUP, Phase.BEGIN) for n in nodes if phase[n.name] == p]
    step = [n for n in nodes if phase[n.name] == Phase.STEP]
    asked = [n for n in nodes if phase[n.name] == Phase.LOSS]
    place = {n.name: i for i, n in enumerate(step)}
    inside = {n.name for n in asked}
    last = max((place.get(o, -1) for n in asked for o in n.operands if o not in inside), default=-1)
    return [*early, *step[: last + 1], *asked, *step[last + 1 :]]
