"""Reverse mode through scans: one that keeps what is needed of every step, and one that goes back.

Assumes typed graphs. `prepare` lets a scan give out what its backward scan needs, and notes on it how
that scan is built (`ops.scan.Pullback`); `settle` takes the note away again. Promises that every node
keeps its name and its value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..graph import Builder, Graph, Node, Result, rebuild, renamed
from ..naming import Namer
from ..ops import OPS
from ..ops.base import Value
from ..ops.scan import Pullback, Scan
from ..types import TensorType
from .scans import is_real, moving, reaching, reclosed


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
    """The graph without the notes on how to go back, which scans and loops have while it is made."""
    noted = {node.name for node in graph if getattr(node.op, "pull", None) is not None}
    if not noted:
        return graph
    return rebuild(
        graph, (renamed(n, op=n.op.with_attrs(pull=None)) if n.name in noted else n for n in graph)
    )


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


@dataclass(frozen=True)
class _Ways:
    """What cotangents go through: inputs of the step by place, and which values that it gives out."""

    wrt: tuple[int, ...]
    states: tuple[int, ...]
    entries: tuple[int, ...]
    shared: tuple[int, ...]
    gives: tuple[int, ...]

    @staticmethod
    def of(graph: Graph, node: Node, behind: set[str], before: set[str]) -> _Ways:
        """Those of a scan between what is differentiated by (`behind` it) and the ends."""
        op: Scan = node.op
        wanted = (
            [0]
            if isinstance(node.type, TensorType)
            else sorted({u.op.index for u in graph.users(node.name) if u.name in before})
        )
        moved = moving(op, [i for i, o in enumerate(node.operands) if o in behind])
        reached = set(reaching(op, wanted))
        wrt = [i for i in moved if i in reached]
        changed = op.graph.depends_on(op.graph.inputs[i] for i in wrt)
        gives = [i for i, n in enumerate(op.gives()) if i in wanted and n in changed and is_real(op.graph, n)]
        states, entries, shared = (
            tuple(i for i in wrt if i in kind) for kind in op.parts(range(len(node.operands)))
        )
        return _Ways(tuple(wrt), states, entries, shared, tuple(gives))


def _prepared(graph: Graph, node: Node, behind: set[str], before: set[str]) -> _Run | None:
    """The scan with what its backward scan needs; None where no cotangent can go through it."""
    from .residuals import split_vjp  # which differentiates the step

    op: Scan = node.op.with_attrs(pull=None)
    ways = _Ways.of(graph, node, behind, before)
    if not ways.wrt or not (ways.gives or ways.states):
        return None
    ends = [*ways.states, *(op.states + i for i in ways.gives)]
    halves = split_vjp(op.graph, [op.graph.inputs[i] for i in ways.wrt], given=ends)
    forward = _Forward(op, halves.forward)
    sources = [forward.source(place) for place in halves.needed]
    extra = halves.forward.results[len(op.graph.results) :]
    sources += [("saved", forward.give(r.node)) for r in extra]
    run = forward.finish()
    run.op = run.op.with_attrs(pull=_pullback(op, ways, halves.backward, sources, ends, run))
    return run


def _pullback(
    op: Scan,
    ways: _Ways,
    half: Graph,
    sources: Sequence[tuple[str, int]],
    ends: Sequence[int],
    run: _Run,
) -> Pullback:
    """The backward scan. half: the backward half of the step. sources: where its first inputs come from;
    ends: which results of the step the others are cotangents of."""
    of_kind: dict[str, dict[int, str]] = {kind: {} for kind in KINDS}
    for (kind, place), name in zip(sources, half.inputs, strict=False):
        of_kind[kind][place] = name
    entries, saved, taken = (of_kind[kind] for kind in KINDS)
    sent = dict(zip(ends, half.inputs[len(sources) :], strict=True))
    step = _BackwardStep(half, op, ways)
    if not entries and not saved and not ways.gives:
        entries = {op.states: step.unused()}
    graph = step.close(
        [sent[i] for i in ways.states],
        list(entries.values()),
        list(saved.values()),
        [sent[op.states + i] for i in ways.gives],
        list(taken.values()),
    )
    count = len(ways.states) + len(ways.shared)
    back = Scan(
        graph=graph,
        states=count,
        sequences=len(entries) + len(saved) + len(ways.gives),
        last=tuple(range(count)),
        axis=op.axis,
        reverse=not op.reverse,
        path=op.path,
    )
    given = tuple(run.places[i] for i in ways.gives)
    return Pullback(
        back, ways.states, ways.shared, ways.entries, tuple(entries), tuple(saved), given, tuple(taken)
    )


KINDS = ("entry", "saved", "shared")
"""What a backward step takes of the forward scan: entries of its sequences, saved values, shared ones."""


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

    def source(self, place: int) -> tuple[str, int]:
        """Where the backward step has an input of the step from: its kind, and its place among these."""
        if place < self.op.states:
            return "saved", self.give(self.op.graph.inputs[place])
        return ("entry" if place < self.op.states + self.op.sequences else "shared"), place

    def finish(self) -> _Run:
        step = reclosed(self.graph, self.graph.inputs, [*self.follows, *self.given.values()])
        order = list(self.given)
        places = [order.index(name) for name in self.first]
        places += [len(order) + i for i in range(len(self.op.last))]
        return _Run(self.op.with_attrs(graph=step), places, self.saved)


class _BackwardStep:
    """The graph of a backward scan's step, from the backward half of the step's graph."""

    def __init__(self, half: Graph, op: Scan, ways: _Ways) -> None:
        self.half, self.op, self.ways = half, op, ways
        self.out = half.like()
        self.builder = Builder(self.out, [n.name for n in half])
        self.found = dict(zip(ways.wrt, (r.node for r in half.results), strict=True))

    def unused(self) -> str:
        """An entry that the step does not look at: the number of steps is that of the entries."""
        type = self.op.graph[self.op.graph.inputs[self.op.states]].type
        return self.builder.apply(OPS["input"](type=type), (), name="entry")

    def close(
        self,
        states: Sequence[str],
        entries: Sequence[str],
        saved: Sequence[str],
        given: Sequence[str],
        taken: Sequence[str],
    ) -> Graph:
        """The graph; each argument names the inputs of the half that are of that kind."""
        ends = {self.found[i] for i in (*self.ways.states, *self.ways.shared)}
        hints = dict(zip(states, (f"d_{self._title(i)}" for i in self.ways.states), strict=True))
        for node in self.half:
            if node.name in ends and node.operands:
                node = renamed(node, hint=None)
            self.out.add(renamed(node, hint=hints.get(node.name, node.hint)))
        sums, totals = [], []
        for i in self.ways.shared:
            value = Value(self.builder, self.found[i])
            op = OPS["input"](type=value.type)
            sums.append(self.builder.apply(op, (), hint=f"d_{self._title(i)}"))
            totals.append((Value(self.builder, sums[-1]) + value).name)
        nodes = [*(self.found[i] for i in self.ways.states), *totals]
        nodes += [self.found[i] for i in self.ways.entries]
        results = [Result("output", f"result_{i}", n) for i, n in enumerate(nodes)]
        return self.out.close([*states, *sums, *entries, *saved, *given, *taken], (), (), results)

    def _title(self, place: int) -> str:
        """What the diagram calls an input of the step."""
        name = self.op.graph.inputs[place]
        return self.op.graph[name].hint or name
