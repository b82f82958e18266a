"""Put the computation of a derivative in the place where the diagram asks for it.

Assumes a typed graph of one example, with requests (`grad`, `jvp`). Promises a typed graph
without any, in which every other node keeps its name and its value. A derivative with respect
to a node takes that node as the variable: what y would do if the node's value changed and
everything else that y is made of stayed. Requests are expanded in the graph's order, so that an
inner one is there as plain nodes when an outer one is expanded, and orders compose. Exact, but
that composites on the way are computed by their expansions where a derivative needs a value
inside of them. A request costs a walk over the graph before it, and adds at most a constant
number of nodes for each node between x and y.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar

from ..errors import Diagnostics, Span
from ..graph import Builder, Graph, Node, Result, renamed
from ..ops import OPS
from ..ops.base import Composite, Value, constant, fn
from ..ops.derivative import Grad, Request
from ..types import TensorType
from .autodiff import expand_composites, pull_back, push
from .base import Pass
from .infer import view
from .inline import Inline
from .scan_vjp import prepare
from .scans import undifferentiated


@dataclass(frozen=True)
class ExpandDerivatives(Pass):
    """Requests become what they ask for; warnings (W0401) go to `found`."""

    name: ClassVar[str] = "expand-derivatives"
    found: Diagnostics = field(default_factory=Diagnostics, compare=False)

    def run(self, graph: Graph) -> Graph:
        return _Expansion(graph, self.found).run() if has_requests(graph) else graph


def has_requests(graph: Graph) -> bool:
    """Whether the graph, or one that it holds, asks for a derivative."""
    stack = [graph]
    while stack:
        for node in stack.pop():
            if isinstance(node.op, Request):
                return True
            stack += node.op.subgraphs()
    return False


class _Expansion:
    """Expands the requests of one graph, walking it once from its inputs to its results."""

    def __init__(self, graph: Graph, found: Diagnostics) -> None:
        self.graph = graph
        self.found = found
        self.rest: deque[Node] = deque(graph)
        self.start(())
        self.new: dict[str, str] = {}
        """The derivative that stands for each request expanded so far."""
        self.names: dict[str, str] = {}
        """Derivatives that take the name of the request they stand for."""
        self.inner: set[str] = set()
        """The nodes that composites were expanded into."""

    def start(self, nodes: Iterable[Node]) -> None:
        """Begin a graph of these nodes, to be added to; no name of the rest is given away."""
        self.out = self.graph.like()
        self.builder = Builder(self.out, [n.name for n in (*self.graph, *self.rest)])
        for node in nodes:
            self.builder.keep(node)

    def run(self) -> Graph:
        while self.rest:
            node = self._mapped(self.rest.popleft())
            if isinstance(node.op, Request):
                self._request(node)
            else:
                held = [ExpandDerivatives(self.found).run(g) for g in node.op.subgraphs()]
                self.builder.keep(renamed(node, op=node.op.with_subgraphs(held)) if held else node)
        return self._finished()

    def _mapped(self, node: Node) -> Node:
        return renamed(node, operands=tuple(self.new.get(o, o) for o in node.operands))

    # -- one request

    def _request(self, node: Node) -> None:
        y, x = node.operands[:2]
        self._open_up(node)
        count = len(self.out)
        found = (
            self._gradient(node, y, x) if isinstance(node.op, Grad) else self._along(y, *node.operands[1:])
        )
        if found is None:
            self._warn(node)
            found = fn.zeros_like(Value(self.builder, x if isinstance(node.op, Grad) else y))
        made = {n.name for n in islice(self.out, count, None)}
        if found.name in made and self.out[found.name].op.name != "const":
            self.names[found.name] = node.name
            if node.hint is not None:
                self.out.set_hint(found.name, node.hint)
        elif node.hint is not None:
            identity = OPS["identity"]()
            self.out.add(Node(node.name, identity, (found.name,), node.type, node.hint, node.span))
            found = Value(self.builder, node.name)
        self.new[node.name] = found.name

    def _gradient(self, node: Node, y: str, x: str) -> Value | None:
        seeds = {y: constant(self.builder, 1.0)}
        hint = self.graph[self.graph[node.name].operands[0]].hint
        return pull_back(self.out, self.builder, seeds, [x], "d_" if hint is None else f"d{hint}_d").get(x)

    def _along(self, y: str, x: str, direction: str) -> Value | None:
        between = self._between(x, y)
        tangents = {x: Value(self.builder, direction)}
        for node in list(self.out):
            if node.name in between and node.name != x:
                tangent = push(self.builder, node, tangents)
                if tangent is not None:
                    tangents[node.name] = tangent
        return tangents.get(y) if y in between else None

    def _between(self, x: str, y: str) -> set[str]:
        return self.out.depends_on([x]) & self.out.ancestors([y])

    def _open_up(self, request: Node) -> None:
        """Put calls and composites between x and y in terms of operations with derivatives."""
        y, x = request.operands[:2]
        ways = [self.out[n].op for n in self._between(x, y)]
        if not any(isinstance(op, Composite) or op.subgraphs() for op in ways):
            return
        whole = self.graph.like()
        for node in (*self.out, request, *(self._mapped(n) for n in self.rest)):
            whole.add(node)
        if any(op.subgraphs() for op in ways):
            whole = Inline().run(whole)
        whole_opened = expand_composites(whole, [x], [y])
        if isinstance(request.op, Grad):
            whole_opened = prepare(whole_opened, [x], [y])
        opened = list(whole_opened)
        self.inner.update(n.name for n in opened if n.name not in whole)
        place = next(i for i, n in enumerate(opened) if n.name == request.name)
        self.rest = deque(opened[place + 1 :])
        self.start(opened[:place])

    # -- the result

    def _finished(self) -> Graph:
        nodes = {node.name: node for node in self.out}
        kept = {node.name for node in self.graph} | set(self.new.values())
        alive = _needed(nodes, kept)
        nodes |= {n.name: n for n in self._restored(alive)}
        alive = _needed(nodes, kept)
        final = self.graph.like()
        for node in nodes.values():
            if node.name in alive:
                final.add(self._named(node))
        results = [self._result(r) for r in self.graph.results]
        return final.close(self.graph.inputs, self.graph.targets, self.graph.params, results)

    def _restored(self, alive: Mapping[str, Node]) -> list[Node]:
        """The composites that were expanded and whose inside no derivative reads, as they were.

        A `linear` on the way stays a `linear`: its derivative needs its operands alone.
        """
        users: dict[str, set[str]] = {}
        for node in alive.values():
            for operand in node.operands:
                users.setdefault(operand, set()).add(node.name)
        found = []
        for node in self.graph:
            if not isinstance(node.op, Composite) or alive[node.name].op == node.op:
                continue
            inside = _reached(alive, alive[node.name].operands, self.inner)
            if all(users[n] <= inside | {node.name} for n in inside):
                found.append(self._mapped(node))
        return found

    def _named(self, node: Node) -> Node:
        """The node under its final name, and so its operands; no part of a backward pass."""
        operands = tuple(self.names.get(o, o) for o in node.operands)
        op = undifferentiated(node.op) if node.op.subgraphs() else node.op
        return renamed(node, name=self.names.get(node.name, node.name), op=op, operands=operands, of=None)

    def _result(self, result: Result) -> Result:
        node = self.new.get(result.node, result.node)
        return Result(result.role, result.label, self.names.get(node, node), result.by, result.span)

    # -- warnings

    def _warn(self, request: Node) -> None:
        """Say why a derivative is 0 whatever the values."""
        y, x = request.operands[:2]
        original = self.graph[request.name].operands
        of, by = (view(self.graph[o], o, None).text for o in original[:2])
        behind = self.out.ancestors([y])
        labels: list[tuple[Span | None, str]] = []
        why, cure = f"{of} does not depend on {by}", f"make {of} from {by}, or leave the derivative out"
        if isinstance(self.graph[original[0]].op, Request):
            cure = f"{of} is the same for every {by}: leave this derivative out"
        if x in behind:
            blocker = self._blocker(x, y)
            name = "a comparison" if blocker.type.elem.kind == "bool" else f"`{blocker.op.name}`"
            why = f"every way from {by} to {of} goes through {name}, whose derivative is 0"
            labels = [(blocker.span, "here")]
            cure = "use a smooth function in its place"
            if blocker.op.name == "stop_gradient":
                cure = "take `stop_gradient` away, or leave the derivative out"
        else:
            earlier = [n for n in self.out if n.name in behind and n.hint == self.graph[original[1]].hint]
            if earlier and earlier[-1].hint is not None:
                why = f"{by} was bound again after {of} was made from it"
                labels = [(earlier[-1].span, f"{of} is made from this {by}")]
                cure = f"take the derivative before {by} is bound again, or give the new value another name"
        self.found.report(
            "W0401",
            f"this `{request.op.name}` is 0 whatever the values",
            request.span,
            why,
            labels=labels,
            help=cure,
        )

    def _blocker(self, x: str, y: str) -> Node:
        """The operation nearest to y that has no derivative, where all ways from x lead through one."""
        between = self._between(x, y)
        scratch = self.graph.like()
        builder = Builder(scratch)
        for node in self.out:
            builder.keep(node)
        reached = pull_back(self.out, builder, {y: constant(builder, 1.0)}, [x])
        stack = [y]
        while True:
            node = self.out[stack.pop()]
            further = [o for o in node.operands if o in between]
            if not any(o in reached for o in further):
                return self._first_step(node, between)
            stack += [o for o in further if o in reached]

    def _first_step(self, node: Node, between: set[str]) -> Node:
        """The node, or that which made the whole number, label or truth value it takes."""
        while True:
            taken = (self.out[o] for o in node.operands if o in between)
            step = next(
                (n for n in taken if isinstance(n.type, TensorType) and n.type.elem.kind != "real"), None
            )
            if step is None:
                return node
            node = step


def _needed(nodes: Mapping[str, Node], wanted: Iterable[str]) -> dict[str, Node]:
    """These nodes and all that they are made from, in order."""
    reached = _reached(nodes, [n for n in wanted if n in nodes], nodes)
    return {name: node for name, node in nodes.items() if name in reached}


def _reached(nodes: Mapping[str, Node], names: Iterable[str], within: Iterable[str]) -> set[str]:
    """What is found going back from these nodes without leaving `within`."""
    seen: set[str] = set()
    inside = set(within)
    stack = [n for n in names if n in inside]
    while stack:
        name = stack.pop()
        if name not in seen:
            seen.add(name)
            stack += [o for o in nodes[name].operands if o in inside]
    return seen
