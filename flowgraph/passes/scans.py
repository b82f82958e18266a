"""Derivatives of scans: graphs of steps for the operation `scan` to go on with.

Assumes typed graphs. Forward mode makes one scan of values and tangents together. Reverse mode makes
two: `prepare` lets a scan give out what its backward scan needs of every step, and notes on it how
that scan is built (`ops.scan.Pullback`); `settle` takes the note away again. Promises that every node
keeps its name and its value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..graph import Builder, Graph, Node, Result, renamed
from ..naming import Namer
from ..ops import OPS
from ..ops.base import Value, called, fn
from ..ops.scan import Pullback, Scan, result_of
from ..types import TensorType


def is_real(graph: Graph, name: str) -> bool:
    """Whether a node is an array of reals."""
    type = graph[name].type
    return isinstance(type, TensorType) and type.elem.kind == "real"


def moving(op: Scan, moved: Iterable[int]) -> list[int]:
    """The real inputs of a step, by place, that change where these do: states follow what makes them."""
    graph, found = op.graph, set(moved)
    while True:
        behind = graph.depends_on(graph.inputs[i] for i in found)
        more = {i for i, name in enumerate(op.follows()) if name in behind} - found
        if not more:
            return sorted(i for i in found if is_real(graph, graph.inputs[i]))
        found |= more


def reaching(op: Scan, results: Iterable[int]) -> list[int]:
    """The inputs of a step, by place, that these results of the scan depend on, in whatever step."""
    graph, follows = op.graph, op.follows()
    results = list(results)
    count = len(op.gives())
    ends = {op.gives()[i] for i in results if i < count}
    ends |= {follows[op.last[i - count]] for i in results if i >= count}
    while True:
        before = graph.ancestors(ends)
        more = {follows[i] for i in range(op.states) if graph.inputs[i] in before} - ends
        if not more:
            kept = {op.last[i - count] for i in results if i >= count}
            return [i for i, name in enumerate(graph.inputs) if name in before or i in kept]
        ends |= more


# ---------------------------------------------------------------------------------------
# Forward mode


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
    run = builder.apply(joint.op, [v.name for v in operands], name=f"{node.name}_both")
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
        if self.joint.dots[index] is None:
            return None
        found = result_of(self.run, self.joint.dots[index])
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
            graph=_reclosed(both, inputs, results),
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


def _reclosed(graph: Graph, inputs: Sequence[str], results: Sequence[Result]) -> Graph:
    """The graph with its inputs in this order, and these results, as outputs."""
    out = graph.like()
    for node in graph:
        out.add(node)
    outputs = [Result("output", r.label, r.node, span=r.span) for r in results]
    return out.close(inputs, (), (), outputs)


# ---------------------------------------------------------------------------------------
# Reverse mode


def prepare(graph: Graph, wrt: Iterable[str], ends: Iterable[str]) -> Graph:
    """The graph with every scan on the way from `wrt` to `ends` ready for reverse mode."""
    if not any(isinstance(node.op, Scan) for node in graph):
        return graph
    behind, before = graph.depends_on(wrt), graph.ancestors(ends)
    out = graph.like()
    builder = Builder(out, [n.name for n in graph])
    runs: dict[str, _Run] = {}
    for node in graph:
        if isinstance(node.op, Scan) and node.name in behind and node.name in before:
            run = _prepared(graph, node, behind, before)
            if run is not None:
                runs[node.name] = run
                _add_run(builder, node, run)
                continue
        if node.op.name == "item" and node.operands[0] in runs:
            run = runs[node.operands[0]]
            op = OPS["item"](index=run.places[node.op.index], count=run.count)
            node = renamed(node, op=op, operands=(run.name,))
        out.add(node)
    return out.close(graph.inputs, graph.targets, graph.params, graph.results)


def settle(graph: Graph) -> Graph:
    """The graph without the notes that `prepare` makes."""
    if not any(isinstance(node.op, Scan) and node.op.pull is not None for node in graph):
        return graph
    out = graph.like()
    for node in graph:
        is_scan = isinstance(node.op, Scan) and node.op.pull is not None
        out.add(renamed(node, op=node.op.with_attrs(pull=None)) if is_scan else node)
    return out.close(graph.inputs, graph.targets, graph.params, graph.results)


@dataclass
class _Run:
    """A scan that is ready, in place of one that was not.

    places: where each of its results now is. saved: names for the results added, by place.
    """

    op: Scan
    places: list[int]
    saved: dict[int, str] = field(default_factory=dict)
    name: str = ""

    @property
    def count(self) -> int:
        return len(self.op.gives()) + len(self.op.last)


def _add_run(builder: Builder, node: Node, run: _Run) -> None:
    """Add the scan that stands for a node; a node of one value becomes an item of it."""
    graph = builder.graph
    type = run.op.result_type([graph[o].type for o in node.operands])
    is_single = isinstance(node.type, TensorType)
    if is_single and run.count == 1:
        run.name = node.name
        graph.add(renamed(node, op=run.op))
        return
    run.name = builder.names.unique(f"{node.name}_run") if is_single else node.name
    graph.add(Node(run.name, run.op, node.operands, type, None, node.span, node.of))
    if is_single:
        op = OPS["item"](index=run.places[0], count=run.count)
        graph.add(Node(node.name, op, (run.name,), node.type, node.hint, node.span, node.of))
    for place, name in run.saved.items():
        item = OPS["item"](index=place, count=run.count)
        builder.of = node.of
        builder.apply(item, [run.name], name=name)
        builder.of = None


def _prepared(graph: Graph, node: Node, behind: set[str], before: set[str]) -> _Run | None:
    """The scan with what its backward scan needs; None where no cotangent can go through it."""
    from .residuals import split_vjp  # which differentiates the step

    op: Scan = node.op.with_attrs(pull=None)
    wanted = _wanted(graph, node, before)
    moved = moving(op, [i for i, o in enumerate(node.operands) if o in behind])
    reached = set(reaching(op, wanted))
    wrt = [i for i in moved if i in reached]
    changed = op.graph.depends_on(op.graph.inputs[i] for i in wrt)
    gives = [i for i, n in enumerate(op.gives()) if i in wanted and n in changed and is_real(op.graph, n)]
    states = [i for i in wrt if i < op.states]
    if not wrt or not (gives or states):
        return None
    ends = [*states, *(op.states + i for i in gives)]
    halves = split_vjp(op.graph, [op.graph.inputs[i] for i in wrt], given=ends)
    forward = _Forward(op, halves.forward)
    sources: list[tuple[str, int]] = []
    for place in halves.needed:
        if place < op.states:
            sources.append(("saved", forward.give(op.graph.inputs[place])))
        elif place < op.states + op.sequences:
            sources.append(("entry", place))
        else:
            sources.append(("shared", place))
    first = len(op.graph.results)
    sources += [("saved", forward.give(r.node)) for r in halves.forward.results[first:]]
    run = forward.finish()
    names = halves.backward.inputs
    of_kind = {k: {i: n for (kind, i), n in zip(sources, names, strict=False) if kind == k} for k in KINDS}
    entries, saved, taken = (of_kind[k] for k in KINDS)
    sent = dict(zip(ends, names[len(sources) :], strict=True))
    step = _BackwardStep(halves.backward, op, wrt).close(
        [sent[i] for i in states],
        list(entries.values()),
        list(saved.values()),
        [sent[op.states + i] for i in gives],
        list(taken.values()),
    )
    shared = [i for i in wrt if i >= op.states + op.sequences]
    made = [i for i in wrt if op.states <= i < op.states + op.sequences]
    back = Scan(
        graph=step,
        states=len(states) + len(shared),
        sequences=len(entries) + len(saved) + len(gives),
        last=tuple(range(len(states) + len(shared))),
        axis=op.axis,
        reverse=not op.reverse,
        path=op.path,
    )
    pull = Pullback(
        back,
        tuple(states),
        tuple(shared),
        tuple(made),
        tuple(entries),
        tuple(saved),
        tuple(run.places[i] for i in gives),
        tuple(taken),
    )
    run.op = run.op.with_attrs(pull=pull)
    return run


KINDS = ("entry", "saved", "shared")
"""What a backward step takes of the forward scan: entries of its sequences, saved values, shared ones."""


def _wanted(graph: Graph, node: Node, before: set[str]) -> list[int]:
    """The results of a scan, by place, that the ends depend on."""
    if isinstance(node.type, TensorType):
        return [0]
    return sorted({u.op.index for u in graph.users(node.name) if u.name in before})


class _Forward:
    """Collects what a scan gives out, each value once, and builds it."""

    def __init__(self, op: Scan, graph: Graph) -> None:
        self.op, self.graph = op, graph
        results = graph.results[: len(op.graph.results)]
        self.follows, self.given = list(results[: op.states]), {r.node: r for r in results[op.states :]}
        self.first = [r.node for r in results[op.states :]]
        self.namer = Namer()
        self.saved: dict[int, str] = {}

    def give(self, node: str) -> int:
        """Let every step give out a value too; returns the place of its sequence."""
        if node not in self.given:
            self.given[node] = Result("output", f"saved_{len(self.given)}", node)
            before = node in self.graph.inputs
            made = self.graph[node]
            name = (made.hint or made.name).replace(".", "_")
            self.saved[len(self.given) - 1] = f"{name}_before" if before else f"{name}_all"
        return list(self.given).index(node)

    def finish(self) -> _Run:
        step = _reclosed(self.graph, self.graph.inputs, [*self.follows, *self.given.values()])
        order = list(self.given)
        places = [order.index(name) for name in self.first]
        places += [len(order) + i for i in range(len(self.op.last))]
        return _Run(self.op.with_attrs(graph=step), places, self.saved)


class _BackwardStep:
    """The graph of a backward scan's step, from the backward half of the step's graph."""

    def __init__(self, half: Graph, op: Scan, wrt: Sequence[int]) -> None:
        self.half, self.op = half, op
        found = dict(zip(wrt, (r.node for r in half.results), strict=True))
        first = op.states + op.sequences
        self.names = {i: op.graph[op.graph.inputs[i]].hint or op.graph.inputs[i] for i in wrt}
        self.states = [found[i] for i in wrt if i < op.states]
        self.made = [found[i] for i in wrt if op.states <= i < first]
        self.shared = {i: found[i] for i in wrt if i >= first}

    def close(
        self,
        states: Sequence[str],
        entries: Sequence[str],
        saved: Sequence[str],
        given: Sequence[str],
        taken: Sequence[str],
    ) -> Graph:
        """The graph; each argument names the inputs of the half that are of that kind."""
        out = self.half.like()
        builder = Builder(out)
        ends = {*self.states, *self.shared.values()}
        titles = [f"d_{name}" for i, name in self.names.items() if i < self.op.states]
        hints = dict(zip(states, titles, strict=True))
        for node in self.half:
            if node.name in ends and node.operands:
                node = renamed(node, hint=None)
            builder.keep(renamed(node, hint=hints.get(node.name, node.hint)))
        sums, totals = [], []
        for i, name in self.shared.items():
            value = Value(builder, name)
            hint = f"d_{self.names[i]}"
            total = Value(builder, builder.apply(OPS["input"](type=value.type), (), hint=hint))
            sums.append(total.name)
            totals.append((total + value).name)
        results = [
            Result("output", f"result_{i}", n) for i, n in enumerate((*self.states, *totals, *self.made))
        ]
        return out.close([*states, *sums, *entries, *saved, *given, *taken], (), (), results)
