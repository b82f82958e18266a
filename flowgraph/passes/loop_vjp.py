"""Reverse mode through loops: one that keeps what is needed of every round, and one that goes back.

Assumes typed graphs. `prepare_loops` lets a loop keep what its backward loop needs, and notes on it how
that loop is built (`ops.control.LoopPullback`); `scan_vjp.settle` takes the note away again. Promises that
every node keeps its name and its value. Cotangents go through all real values that go round, and
through those shared values, and values of rounds, that depend on what is differentiated by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ..graph import Builder, Graph, Node, Result, renamed
from ..naming import Namer
from ..ops import OPS
from ..ops.base import Value
from ..ops.control import Loop, LoopPullback
from .residuals import Halves, split_vjp
from .scans import is_real

Tidy = Callable[[Graph], Graph]


def prepare_loops(graph: Graph, wrt: Iterable[str], ends: Iterable[str], tidy: Tidy) -> Graph:
    """The graph with every loop on the way from `wrt` to `ends` ready for reverse mode.

    tidy: passes over the derivative of a round, before it is parted from what it is the derivative of.
    """
    if not any(isinstance(node.op, Loop) for node in graph):
        return graph
    behind, before = graph.depends_on(wrt), graph.ancestors(ends)
    out = graph.like()
    builder = Builder(out, [n.name for n in graph])
    runs: dict[str, str] = {}
    for node in graph:
        if isinstance(node.op, Loop) and node.name in behind and node.name in before:
            ready = _prepared(graph, node, behind, tidy)
            if ready is not None:
                runs[node.name] = _add(builder, node, ready)
                continue
        if node.op.name == "item" and node.operands[0] in runs:
            count = len(out[runs[node.operands[0]]].type.items)
            op = OPS["item"](index=node.op.index, count=count)
            node = renamed(node, op=op, operands=(runs[node.operands[0]],))
        out.add(node)
    return out.close(graph.inputs, graph.targets, graph.params, graph.results)


def _add(builder: Builder, node: Node, op: Loop) -> str:
    """Add the loop that stands for a node, whose name it returns; a node of one value is an item of it."""
    graph = builder.graph
    type = op.result_type([graph[o].type for o in node.operands])
    if type == node.type:
        graph.add(renamed(node, op=op))
        return node.name
    if op.round_trip() > 1:
        graph.add(renamed(node, op=op, type=type))
        return node.name
    run = builder.names.unique(f"{node.name}_run")
    graph.add(Node(run, op, node.operands, type, None, node.span, node.of))
    item = OPS["item"](index=0, count=len(type.items))  # type: ignore[union-attr]
    graph.add(Node(node.name, item, (run,), node.type, node.hint, node.span, node.of))
    return run


def _prepared(graph: Graph, node: Node, behind: set[str], tidy: Tidy) -> Loop | None:
    """The loop with what its backward loop needs; None where no cotangent can go through it."""
    op: Loop = node.op
    inner = op.graph

    def active(place: int, slots: Iterable[int]) -> bool:
        return is_real(inner, inner.inputs[place]) and any(node.operands[s] in behind for s in slots)

    first = op.round_trip() + op.shared
    going = [i for i in range(op.round_trip()) if is_real(inner, inner.inputs[i])]
    shared = [i for i in range(op.round_trip(), first) if active(i, [i])]
    slots = [[op.own_slots(r)[p] for r in range(op.count)] for p in range(op.each())]
    own = [p for p in range(op.each()) if active(first + p, slots[p])]
    if not going:
        return None
    wrt = [inner.inputs[i] for i in (*going, *shared, *(first + p for p in own))]
    halves = split_vjp(inner, wrt, tidy, going)
    before = [i for i in halves.needed if i < op.round_trip()]
    back = _Backward(op, halves, before)
    pull = LoopPullback(
        back.close(going, shared, own),
        tuple(going),
        tuple(shared),
        tuple(i for i in halves.needed if op.round_trip() <= i < first),
        tuple(i - first for i in halves.needed if i >= first),
        tuple(own),
    )
    forward = _keeping(halves.forward, before)
    kept = halves.saved + len(before)
    return op.with_attrs(graph=forward, keeps=kept, pull=pull)


def _keeping(forward: Graph, before: Sequence[int]) -> Graph:
    """The forward half, which keeps what goes round as it was before the round, too."""
    out = forward.like()
    for node in forward:
        out.add(node)
    names = [forward.inputs[i] for i in before]
    extra = [Result("output", f"{name}_before", name) for name in names]
    return out.close(forward.inputs, (), (), [*forward.results, *extra])


class _Backward:
    """Builds the loop that goes back. before: what goes round, by place, whose value before the round it
    needs; it comes after what the forward half saves."""

    def __init__(self, op: Loop, halves: Halves, before: Sequence[int]) -> None:
        self.op, self.half, self.halves = op, halves.backward, halves
        self.out = self.half.like()
        self.builder = Builder(self.out, [n.name for n in self.half])
        needed = self.half.inputs[: len(halves.needed)]
        self.needed = dict(zip(halves.needed, needed, strict=True))
        self.saved = self.half.inputs[len(needed) : len(needed) + halves.saved]
        self.sent = self.half.inputs[len(needed) + halves.saved :]
        self.before = [self.needed[i] for i in before]

    def close(self, going: Sequence[int], shared: Sequence[int], own: Sequence[int]) -> Loop:
        """The loop; the arguments name what cotangents are wanted of, by place."""
        op, first = self.op, self.op.round_trip() + self.op.shared
        found = [r.node for r in self.half.results]
        back, per_shared, per_own = _parts(found, len(going), len(shared))
        hints = dict(zip(self.sent, (f"d_{self._title(i)}" for i in going), strict=True))
        for node in self.half:
            self.out.add(renamed(node, hint=hints.get(node.name, node.hint)))
        sums, totals = [], []
        for place, name in zip(shared, per_shared, strict=True):
            value = Value(self.builder, name)
            start = self.builder.apply(OPS["input"](type=value.type), (), hint=f"d_{self._title(place)}")
            sums.append(start)
            totals.append((Value(self.builder, start) + value).name)
        taken = [self.needed[i] for i in self.needed if op.round_trip() <= i < first]
        rounds = [self.needed[i] for i in self.needed if i >= first]
        titles = [self._title(first + place) for place in own]
        results = [Result("output", f"d_{i}", n) for i, n in enumerate((*back, *totals))]
        results += [Result("output", t, n) for t, n in zip(titles, per_own, strict=True)]
        inputs = [*self.sent, *sums, *taken, *rounds, *self.saved, *self.before]
        graph = _unhinted(self.out.close(inputs, (), (), results), len(going) + len(shared))
        return Loop(
            graph=graph,
            count=op.count,
            shared=len(taken),
            keeps=len(own),
            reverse=not op.reverse,
            path=op.path,
        )

    def _title(self, place: int) -> str:
        """What the diagram calls an input of a round."""
        name = self.op.graph.inputs[place]
        return self.op.graph[name].hint or name


def _parts(
    names: Sequence[str], going: int, shared: int
) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    return names[:going], names[going : going + shared], names[going + shared :]


def _unhinted(graph: Graph, first: int) -> Graph:
    """The graph with no hints for what is kept: it stands under its name in what a round gives, and needs
    no statement of its own. first: which of the results is the first that is kept."""
    going = {r.node for r in graph.results[:first]} | set(graph.inputs)
    namer = Namer(n.name for n in graph)
    new = {r.node: namer.unique(f"d_{r.label}".replace(".", "_")) for r in graph.results[first:]}
    new = {old: name for old, name in new.items() if old not in going}
    out = graph.like()
    for node in graph:
        node = renamed(node, operands=tuple(new.get(o, o) for o in node.operands))
        out.add(renamed(node, name=new[node.name], hint=None) if node.name in new else node)
    results = [replace(r, node=new.get(r.node, r.node)) for r in graph.results]
    return out.close(graph.inputs, (), (), results)
