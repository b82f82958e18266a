"""Forward mode through scans: one scan of values and tangents together.

Assumes typed graphs, in one of which the scan is about to stand or stands already. Promises that its
results can be taken from the new scan, in whatever order they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..graph import Builder, Node, renamed
from ..ops import OPS
from ..ops.base import Value, called, fn
from ..ops.scan import Scan, result_of
from ..types import TensorType
from .scans import is_real, moving, reclosed


def push_scan(builder: Builder, node: Node, tangents: Sequence[Value | None]) -> Value | None:
    """The tangent of a scan that the builder's graph has: one value, or several packed."""
    made = joined(builder, node, tangents)
    if made is None:
        return None
    y = Value(builder, node.name)
    changes = [made.dot(i, result_of(y, i)) for i in range(len(made.joint.dots))]
    return changes[0] if isinstance(node.type, TensorType) else fn.pack(*changes)


def joined(builder: Builder, node: Node, tangents: Sequence[Value | None]) -> Joined | None:
    """Add the scan of a scan's values and tangents together; None if none of its results has a tangent."""
    joint = _Joint.of(node.op, [i for i, t in enumerate(tangents) if t is not None])
    if joint is None:
        return None
    values = [Value(builder, o) for o in node.operands]
    dots = {}
    for i in joint.inputs_moved:
        given = tangents[i]
        dots[i] = fn.zeros_like(values[i]) if given is None else given
    operands = joint.interleave(values, dots)
    builder.of = node.of
    run = builder.apply(joint.op, [v.name for v in operands], name=f"{node.name}_both")
    builder.of = None
    return Joined(joint, Value(builder, run))


def result_taken(node: Node, joints: Mapping[str, Joined]) -> str | None:
    """The scan of these whose only result a node is, or one of whose results it takes."""
    if node.op.name == "item" and node.operands[0] in joints:
        return node.operands[0]
    return node.name if node.name in joints and isinstance(node.type, TensorType) else None


@dataclass
class Joined:
    """A scan of values and tangents together, in a graph."""

    joint: _Joint
    run: Value

    def take(self, node: Node) -> Value | None:
        """Add a node that takes a result of the scan that this one stands for; returns its tangent."""
        graph = self.run.builder.graph
        index = node.op.index if node.op.name == "item" else 0
        op = OPS["item"](index=self.joint.own[index], count=self.joint.count)
        graph.add(renamed(node, op=op, operands=(self.run.name,)))
        place = self.joint.dots[index]
        if place is None:
            return None
        found = result_of(self.run, place)
        found = called(found, f"{node.name}_dot".replace(".", "_"))
        if node.hint is not None:
            graph.set_hint(found.name, f"{node.hint}_dot")
        return found

    def dot(self, index: int, value: Value) -> Value:
        """The tangent of one of the results of the scan that this one stands for."""
        place = self.joint.dots[index]
        return fn.zeros_like(value) if place is None else result_of(self.run, place)


@dataclass
class _Joint:
    """A scan of values and tangents together.

    inputs_moved: the inputs of the step that have a tangent, by place. own: where the results of the scan
    are among those of this one; dots: where their tangents are, None for zero.
    """

    op: Scan
    old: Scan
    inputs_moved: list[int]
    own: list[int]
    dots: list[int | None]

    @property
    def count(self) -> int:
        """How many results it has."""
        return len(self.op.gives()) + len(self.op.last)

    @staticmethod
    def of(op: Scan, moved: Iterable[int]) -> _Joint | None:
        """The scan, where these inputs of the step have a tangent; None if none of the results has one."""
        from .autodiff import Jvp  # which differentiates the step

        graph, places = op.graph, moving(op, moved)
        variables = [graph.inputs[i] for i in places]
        changed = graph.depends_on(variables)
        states = [i for i in places if i < op.states]
        gives = [i for i, n in enumerate(op.gives()) if n in changed and is_real(graph, n)]
        if not gives and not any(i in states for i in op.last):
            return None
        both = Jvp(tuple(variables)).run(graph)
        order = [n.name for n in graph if n.name in variables]
        dotted = dict(zip(order, both.inputs[len(graph.inputs) :], strict=True))
        count = len(graph.results)
        outputs, changes = both.results[:count], both.results[count:]
        joint = _Joint(op, op, places, [], [])
        inputs = joint.interleave(graph.inputs, {i: dotted[graph.inputs[i]] for i in places})
        results = [
            *outputs[: op.states],
            *(changes[i] for i in states),
            *outputs[op.states :],
            *(changes[op.states + i] for i in gives),
        ]
        first = op.states + op.sequences
        last = [*op.last, *(op.states + states.index(i) for i in op.last if i in states)]
        joint.op = op.with_attrs(
            graph=reclosed(both, inputs, results),
            states=op.states + len(states),
            sequences=op.sequences + sum(op.states <= i < first for i in places),
            last=tuple(last),
            pull=None,
        )
        own, all_gives = len(op.gives()), len(op.gives()) + len(gives)
        joint.own = [*range(own), *(all_gives + n for n in range(len(op.last)))]
        finals = [i for i in op.last if i in states]
        joint.dots = [own + gives.index(i) if i in gives else None for i in range(own)]
        after = all_gives + len(op.last)
        joint.dots += [after + finals.index(i) if i in finals else None for i in op.last]
        return joint

    def interleave(self, values: Sequence[Any], dots: Mapping[int, Any]) -> list[Any]:
        """Values for the inputs of the step with those for their tangents, each kind after its own."""
        first = self.old.states + self.old.sequences
        kinds = [(0, self.old.states), (self.old.states, first), (first, len(values))]
        out: list[Any] = []
        for start, end in kinds:
            out += [*values[start:end], *(dots[i] for i in sorted(dots) if start <= i < end)]
        return out
